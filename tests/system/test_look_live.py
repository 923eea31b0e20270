"""`diff --live` against a scripted etcd that answers as none does, or none that is well, and where tokens end in the middle.

A walk through etcd's keys ends with all of them or with one line that names the cause, and nothing is said of keys then.
"""

import json
import struct
import subprocess
import time

import pytest

import servers
from etcd_peer import AUTHENTICATE, STATUS, Etcd, member, message, unary, varint
from h2peer import CANCEL
from faults import Command, Scripted
from servers import wait_for
from test_control import DONE, HELLO, WELCOME, Client, fields
from test_look import Teller, rows, text

RANGE = "/etcdserverpb.KV/Range"
CLUSTER, REVISION, PAGE = 9, 7, 500  # of etcd_peer.member
LIVE_KEY = 10  # of the control protocol
ONCE = {"etcd_client": {"retries": 0}}


def key(name, create=2, mod=5):
    return message(f1=name, f2=create, f3=mod, f4=1)


def page(names, left=None, more=None, revision=REVISION, cluster=CLUSTER, keys=key):
    """RangeResponse: as many keys are left, from its first one on, as it has, unless told otherwise."""
    left = len(names) if left is None else left
    body = message(f1=message(f1=cluster, f2=1, f3=revision, f4=1))
    return body + b"".join(message(f2=keys(name)) for name in names) + message(
        f3=int(left > len(names) if more is None else more), f4=left)


def some(first, n=PAGE):
    return [b"%08d" % at for at in range(first, first + n)]


def script(*pages):
    """One after the other; behind the last one nothing is answered."""
    def handler(call):
        at = sum(other.method == RANGE for other in call.conn.peer.calls) - 1
        if at >= len(pages):
            call.headers()
        elif callable(pages[at]):
            pages[at](call)
        else:
            unary(pages[at])(call)
    return handler


@pytest.fixture(scope="module")
def bucket(ceph):
    """One for all of them: nothing is put there."""
    made = servers.Bucket(ceph, "look-live")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def old(scratch, ca):
    """A snapshot with one key, to compare with."""
    with servers.Etcd(scratch / "look-live", ca, version="3.5") as etcd:
        Teller(etcd).post("kv/put", key=text(b"old"), value=text(b"x"))
        yield etcd.snapshot(scratch / "look-live.db")


@pytest.fixture
def compare(new_site, bucket, old):
    """compare(handler, prefix): what `diff --live` says to such answers, and the peer."""
    def ask(handler, *arguments, handlers=(), **changes):
        with Etcd(handlers={RANGE: handler, **dict(handlers)}) as peer:
            site = new_site(Scripted(peer), bucket, changes=servers.merge(ONCE, changes))
            done = site.ctl("diff", "--live", "--file", old, "--json", *arguments)
            return done, peer, site
    return ask


def test_the_peer_can_play_a_good_etcd(compare):
    names = some(0, 3 * PAGE - 1)
    done, peer, _ = compare(script(*(page(names[at:at + PAGE], left=len(names) - at) for at in range(0, len(names), PAGE))))
    assert done.status == 1, done
    assert [row["change"] for row in rows(subprocess.CompletedProcess([], 1, done.out, ""))] == ["added"] * len(names) + ["removed"]
    asked = [call for call in peer.calls if call.method == RANGE]
    # The first name behind those that came, before none, of the first page's revision, 500; serializable, names alone.
    assert [call.messages[0] for call in asked] == [
        message(f1=first, f2=b"\0", f3=PAGE) + (message(f4=revision)) + message(f7=1, f8=1)
        for first, revision in ((b"\0", 0), (names[PAGE - 1] + b"\0", REVISION), (names[2 * PAGE - 1] + b"\0", REVISION))]


def endless(call):
    """Keys without end, each behind the one before."""
    at = sum(other.method == RANGE for other in call.conn.peer.calls) - 1
    unary(page(some(at * PAGE), left=1 << 40))(call)


# What is answered, below which prefix, and what is said of it.
HOSTILE = {
    "backwards": ([page(some(PAGE), 3 * PAGE), page(some(0), 2 * PAGE)], "", "holds keys that are out of order"),
    "again": ([page(some(0), 3 * PAGE)] * 2, "", "holds another number of keys than it says, or than the one before said"),
    "again, counted": ([page(some(0), 3 * PAGE), page(some(0), 2 * PAGE)], "", "holds keys that are out of order"),
    "out of order within": ([page([b"b", b"a"])], "", "holds keys that are out of order"),
    "twice within": ([page([b"a", b"a"])], "", "holds keys that are out of order"),
    "no name": ([page([b""])], "", "holds keys that are out of order"),
    "more of nothing": ([page([], more=1)], "", "holds no keys, and says there are more"),
    "more, and it was all": ([page([b"a"], more=1)], "", "holds another number of keys than it says, or than the one before said"),
    "some are left out": ([page([b"a"], left=2, more=0)], "", "holds another number of keys than it says, or than the one before said"),
    "fewer than it has": ([page([b"a", b"b"], left=1)], "", "holds another number of keys than it says, or than the one before said"),
    "a negative number": ([page([b"a"], left=0) + b"\x20" + varint(2**64 - 1)], "",
                          "holds another number of keys than it says, or than the one before said"),
    "without end": (endless, "", "holds another number of keys than it says, or than the one before said"),
    "one vanishes between pages": ([page(some(0), 2 * PAGE), page(some(PAGE, PAGE - 1))], "",
                                   "holds another number of keys than it says, or than the one before said"),
    "before the prefix": ([page([b"a"])], "b", "holds keys that are out of order"),
    "behind the prefix": ([page([b"b", b"c"])], "b", "holds keys that were not asked for"),
    "a key of the future": ([page([b"a"], keys=lambda name: key(name, 2, REVISION + 1))], "", "holds keys of revisions that cannot be"),
    "of a later page": ([page(some(0), PAGE + 1), page([b"x"], revision=REVISION + 2, keys=lambda name: key(name, 2, REVISION + 1))], "",
                        "holds keys of revisions that cannot be"),
    "changed before it was": ([page([b"a"], keys=lambda name: key(name, 5, 4))], "", "holds keys of revisions that cannot be"),
    "never created": ([page([b"a"], keys=lambda name: key(name, 0, 4))], "", "holds keys of revisions that cannot be"),
    "no revision": ([page([b"a"], revision=0)], "", "is of a revision that is older than what was asked for"),
    "the past": ([page(some(0), PAGE + 1), page([b"x"], revision=REVISION - 1)], "",
                 "is of a revision that is older than what was asked for"),
    "more than asked for": ([page(some(0, PAGE + 1))], "", "holds more keys than were asked for"),
    "very many": ([page([]) + message(f2=message(f1=b"a")) * 200000], "", "holds more than an honest one can"),
    "another cluster": ([page([b"a"], cluster=CLUSTER + 1)], "", "is of another cluster"),
    "another cluster, later": ([page(some(0), PAGE + 1), page([b"x"], cluster=CLUSTER + 1)], "", "is of another cluster"),
    "no header": ([message(f2=key(b"a"), f4=1)], "", "is of another cluster"),
    "no protobuf": ([b"\x12\xff\xff"], "", "cannot be decoded"),
}


def check_refused(done, peer, why):
    assert (done.status, done.err.count("\n")) == (2, 1), done
    assert why in done.err and peer.endpoint in done.err, done.err
    assert "change" not in done.out, done.out


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_etcd_answers(compare, name):
    pages, prefix, why = HOSTILE[name]
    done, peer, _ = compare(pages if callable(pages) else script(*pages), *([prefix] if prefix else []))
    check_refused(done, peer, f"the answer to Range {why}")


def test_a_page_that_is_too_large(compare):
    done, peer, _ = compare(script(page([b"a" * (1 << 20) + b"%d" % at for at in range(9)])))
    check_refused(done, peer, "more than the 8388608 allowed")


MIB = 1 << 20


def large_names(path, sizes):
    """A database that no etcd has written: names of zeros, as long as this, that are holes in the file."""
    def number(n):
        return bytes([n & 0x7f | 0x80]) + number(n >> 7) if n > 0x7f else bytes([n])

    heads = [b"\x0a" + number(size) for size in sizes]  # KeyValue: the name, and the revisions
    tails = [b"\x10" + number(at + 2) + b"\x18" + number(at + 2) for at in range(len(sizes))]
    keys = [(at + 2).to_bytes(8, "big") + b"_" + bytes(8) for at in range(len(sizes))]
    lengths = [len(head) + size + len(tail) for head, size, tail in zip(heads, sizes, tails)]
    used = 16 + sum(16 + 17 + length for length in lengths)
    pages = 3 + -(-used // 4096)
    with open(path, "wb") as file:
        def put(at, content):
            file.seek(at)
            file.write(content)

        for page in (0, 1):  # magic, version, page size; root, freelist (none), pages, transaction, and FNV-1a of it all
            meta = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, 4096, 0, 2, 0, (1 << 64) - 1, pages, 7 - page)
            checksum = 14695981039346656037
            for byte in meta:
                checksum = (checksum ^ byte) * 1099511628211 & ((1 << 64) - 1)
            put(page * 4096, struct.pack("<QHHI", page, 4, 0, 0) + meta + struct.pack("<Q", checksum))
        put(2 * 4096, struct.pack("<QHHIIIII3sQQ", 2, 2, 1, 0, 1, 16, 3, 16, b"key", 3, 0))
        put(3 * 4096, struct.pack("<QHHI", 3, 2, len(sizes), pages - 4))
        at = 16 * (1 + len(sizes))
        for i, (head, size, tail, key, length) in enumerate(zip(heads, sizes, tails, keys, lengths)):
            put(3 * 4096 + 16 * (1 + i), struct.pack("<IIII", 0, at - 16 * (1 + i), 17, length))
            put(3 * 4096 + at, key + head)
            put(3 * 4096 + at + 17 + len(head) + size, tail)
            at += 17 + length
        file.truncate(pages * 4096)
    return path


# Names in the backup and those in etcd, in MiB: each may be 64, and what is kept, in base64, 256.
@pytest.mark.parametrize("sizes, names, fits", [
    ([40, 41], [], True), ([40, 41, 42], [], False), ([40, 41, 42], [b"x"], False), ([65], [], False)])
def test_more_is_different_than_fits(new_site, bucket, folder, sizes, names, fits):
    """What is kept until all is known has a bound, which a line tells; and half of a difference is none."""
    file = large_names(folder / "large.db", [size * MIB for size in sizes])
    with Etcd(handlers={RANGE: script(page(names))}) as peer:
        site = new_site(Scripted(peer), bucket, changes=ONCE)
        words = [site.programs.ctl, "-c", site.file, "diff", "--live", "--skip-hash-check", "--file", file, "--json"]
        with open(folder / "out", "wb") as out:
            done = subprocess.run(words, env=site.programs.environment, stdout=out, stderr=subprocess.PIPE, check=False)
    written = (folder / "out").stat().st_size
    if fits:
        assert (done.returncode, done.stderr) == (1, b"") and written > sum(sizes) * MIB * 4 // 3, done
        return
    why = "what is different does not fit into 256.0 MiB of memory: compare the keys below a longer prefix"
    assert (done.returncode, done.stderr.decode()) == (2, f"etcd-backupctl: {why}\n"), done
    assert json.loads((folder / "out").read_bytes()) == {"failure": {"kind": "resource", "text": why}}


@pytest.mark.parametrize("after", [0, 1], ids=["at once", "later"])
def test_a_page_that_does_not_come(compare, after):
    """It has its time as a whole, also where a byte comes now and then."""
    def slowly(call):
        call.headers()
        whole = page(some(PAGE))
        call.data(b"\0" + len(whole).to_bytes(4, "big"))
        while call.reset_code is None:
            call.data(whole[:1])
            time.sleep(0.1)

    for stall in (lambda call: call.headers(), slowly):
        done, peer, _ = compare(script(*[page(some(0), 2 * PAGE)] * after, stall), etcd_client={"request_timeout": "2s"})
        check_refused(done, peer, "no answer within 2 s")
        assert [call for call in peer.calls if call.method == RANGE][-1].wait_reset() == CANCEL


@pytest.mark.parametrize("after", [0, 1], ids=["at once", "later"])
def test_interrupted(new_site, bucket, old, after):
    """Nobody waits for an etcd that does not answer, and nothing is said of keys."""
    with Etcd(handlers={RANGE: script(*[page(some(0), 2 * PAGE)] * after)}) as peer:
        command = Command(new_site(Scripted(peer), bucket, changes=ONCE), "diff", "--live", "--file", old, "--json")
        wait_for(lambda: sum(call.method == RANGE for call in peer.calls) == after + 1, what="the page that does not come")
        command.interrupt()
        done = command.end()
        assert done.status == 2 and json.loads(done.out)["failure"]["kind"] == "cancelled", done
        assert [call for call in peer.calls if call.method == RANGE][-1].wait_reset() == CANCEL


def test_a_compaction_in_the_middle(compare):
    done, peer, _ = compare(script(page(some(0), 2 * PAGE), lambda call: call.trailers_only(
        11, "etcdserver: mvcc: required revision has been compacted")))
    check_refused(done, peer, "etcd was compacted meanwhile: that revision is gone")


EXPIRED = (16, "etcdserver: invalid auth token")


def by_token(good, pages):
    """Pages for whoever has a token that is accepted now; of the nth page that is what good(n) says."""
    told = []

    def handler(call):
        if call.fields.get("token") != good(len(told)):
            call.trailers_only(*EXPIRED)
        else:
            unary(pages[len(told)])(call)
            told.append(call)
    return handler


def tokens():
    made = []

    def handler(call):
        made.append(call)
        unary(message(f2=f"token-{len(made)}"))(call)
    return handler


@pytest.fixture
def with_password(new_site, bucket, old):
    def ask(handler):
        with Etcd(handlers={RANGE: handler, AUTHENTICATE: tokens(), STATUS: unary(member())}) as peer:
            site = new_site(Scripted(peer), bucket, changes=ONCE)
            site.configure({"etcd_client": {"auth": {"password_auth": site.write("etcd.yml", "username: root\npassword: x\n")}}})
            return site.ctl("diff", "--live", "--file", old), peer
    return ask


def test_tokens_that_end_in_the_middle(with_password):
    """Each page may need a new one."""
    names = some(0, 3 * PAGE)
    pages = [page(names[at:at + PAGE], left=len(names) - at) for at in range(0, len(names), PAGE)]
    done, peer = with_password(by_token(lambda n: f"token-{n + 1}", pages))
    assert done.status == 1 and "1500 added, 1 removed, 0 changed" in done.err, done
    assert [call.fields["token"] for call in peer.calls if call.method == RANGE] == [
        "token-1", "token-1", "token-2", "token-2", "token-3"]


def test_a_token_that_is_never_accepted(with_password):
    done, peer = with_password(lambda call: call.trailers_only(*EXPIRED))
    check_refused(done, peer, "the authentication token is not accepted")
    assert len([call for call in peer.calls if call.method == RANGE]) == 2


def test_a_token_that_a_real_etcd_takes_back(new_etcd, new_site, bucket):
    """Between two pages, while whoever compares has not read the first one: a password that is set takes back all tokens."""
    etcd = new_etcd(version="3.5", auth="password")
    put = etcd._gateway()  # pylint: disable=protected-access
    for batch in range(4 * PAGE // 100):  # more than waits in a socket
        put([(b"%02d/%02d/" % (batch, n) + b"x" * 900, b"v") for n in range(100)])
    site = new_site(etcd, bucket, user="root").start()
    client = Client(site)
    client.send(HELLO, message(f11=message()))

    def asked(method):
        return sum(count for name, count in etcd.metrics().items()
                   if name.startswith("grpc_server_handled_total") and f'"{method}"' in name)

    wait_for(lambda: asked("Range"), what="the first page")
    first = client.reply(), client.reply()
    assert [kind for kind, _ in first] == [WELCOME, LIVE_KEY]
    etcd.ctl("user", "passwd", "root", "--interactive=false", input=b"rootpw\n")
    before = asked("Authenticate")
    *keys, (kind, content) = client.replies()
    assert kind == DONE and 1 not in fields(content), fields(content)
    assert len(keys) + 1 == 4 * PAGE
    assert asked("Authenticate") == before + 1
