"""The control socket: who is let in, and what badly behaved clients can do to the daemon, which is nothing."""

import grp
import os
import random
import socket
import stat
import struct
import time
from contextlib import closing

import pytest

import servers
from etcd_peer import message
from faults import Command, check_clean, events, log, news
from s3_proxy import Hold
from servers import wait_for

VERSION, FRAME_MAX, PLACES, IDLE_SECONDS = 5, 64 << 10, 16, 10

# proto/control.proto, as numbers.
HELLO = message(f1=message(f1=VERSION))
BACKUP, LIST, STATUS, CANCEL = message(f2=b""), message(f3=b""), message(f4=b""), message(f6=b"")


def restore(output=None):
    return message(f5=message(f1=1, **({"f3": output} if output else {})))


WELCOME, PROGRESS, NOTE, ENTRY, DONE = 1, 2, 3, 4, 5


def frame(body, length=None):
    return struct.pack(">I", len(body) if length is None else length) + body


def fields(data):
    """A protobuf message as {number: last value}."""
    out, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 1:  # an instant
            value, at = struct.unpack_from("<q", data, at)[0], at + 8
        else:
            value = number()
        if tag & 7 == 2:
            at += value
            value = data[at - value:at]
        out[tag >> 3] = value
    return out


class Client:
    """A connection to the control socket that sends what it likes."""

    def __init__(self, site):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(site.socket))  # waits for its turn
        self.socket.settimeout(60)
        self.received = b""

    def send(self, *bodies):
        self.raw(b"".join(map(frame, bodies)))
        return self

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except BrokenPipeError:
            pass  # it had enough of us: what it said is still to be read
        return self

    def reply(self):
        """The next reply as (number, content); None at the end."""
        while True:
            if len(self.received) >= 4 and len(self.received) >= 4 + struct.unpack(">I", self.received[:4])[0]:
                size = struct.unpack(">I", self.received[:4])[0]
                body, self.received = self.received[4:4 + size], self.received[4 + size:]
                return next(iter(fields(body).items()))
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                assert not self.received
                return None
            self.received += more

    def replies(self):
        return list(iter(self.reply, None))

    def failure(self):
        """The kind and the text of the failure that ends the connection; None where there was no failure."""
        kind, content = self.replies()[-1]
        assert kind == DONE
        told = fields(content)
        if 1 not in told:
            return None
        failed = fields(told[1])
        return failed[3].decode(), failed[4].decode()

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def module_site(scratch, programs, shared_etcd, ceph):
    """A daemon that bad clients do no harm: shared, since that is what is to be shown. There is a backup."""
    bucket = servers.Bucket(ceph, f"control-{os.getpid()}")
    site = servers.Site(scratch / "control", programs, shared_etcd(version="3.5", tls="mutual"), bucket)
    assert site.start().ctl("backup").status == 0
    yield site
    site.stop()
    bucket.remove()


@pytest.fixture
def daemon(module_site):
    """That daemon, in good health before and after."""
    pid = module_site.process.pid
    descriptors = wait_for(lambda: count_descriptors(pid))
    yield module_site
    status = module_site.ctl("status", "--json")
    assert status.status == 0 and status.json["pid"] == pid, status
    assert status.json["running"] is None
    wait_for(lambda: count_descriptors(pid) <= descriptors, what="all connections to be closed")
    assert not [text for level, text in log(module_site) if level == "error" and not text.startswith("restore failed: ")]


def count_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


# ---- what is said ----


def test_exit_statuses(site, folder, proxied, ceph, medium):
    """All that there are, as --help says them."""
    for status, text in enumerate(("done", "failed", "wrong usage", "no daemon", "busy", "integrity")):
        assert f"{status} {text}" in site.run(site.programs.ctl, "--help").out
    assert site.ctl("backup").status == 0
    assert site.ctl("restore", "--use-etcdutl=false", "-t", "2020-01-01T00:00:00Z").status == 1
    assert site.ctl("restore", "--use-etcdutl=perhaps").status == 2
    assert site.run(site.programs.ctl, "-s", site.socket, "status").status == 3
    name, = check_clean(site, 1)
    site.bucket.put(name, site.bucket.get(name)[:-1])
    assert site.ctl("restore", "--use-etcdutl=false").status == 5
    assert not site.snapshot.exists()
    held, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(held.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    assert held.ctl("backup").status == 4
    proxy.release()
    assert command.end().status == 0


def test_a_conversation(daemon):
    """Hello and request in one go, byte by byte, or with more behind: the answer is the same."""
    for send in (lambda c: c.send(HELLO, STATUS), lambda c: c.send(HELLO, STATUS, STATUS, BACKUP),
                 lambda c: [c.raw(bytes([byte])) for byte in frame(HELLO) + frame(STATUS)]):
        with closing(Client(daemon)) as client:
            send(client)
            (welcome, content), (done, result) = client.replies()
            assert (welcome, fields(content)[1], done) == (WELCOME, VERSION, DONE)
            assert fields(fields(result)[4])[2] == daemon.process.pid


def test_listing(daemon):
    with closing(Client(daemon).send(HELLO, LIST)) as client:
        replies = client.replies()
        entries = [fields(content)[1].decode() for kind, content in replies if kind == ENTRY]
        assert [kind for kind, _ in replies] == [WELCOME, *[ENTRY] * len(entries), DONE]
        assert sorted(entries) == check_clean(daemon, len(entries))


# ---- what is not said so ----

UNKNOWN = message(f99=b"x")

# What is sent; words of what is answered; None: nothing is, the connection ends.
WRONG = {
    "another version": (frame(message(f1=message(f1=VERSION + 1))), "the client speaks another version"),
    "no version": (frame(message(f1=b"")), "the client speaks another version"),
    "no hello": (frame(STATUS), "the client speaks another version"),
    "two": (frame(HELLO) + frame(HELLO), "a request that this daemon does not know"),
    "from the future": (frame(HELLO) + frame(UNKNOWN), "a request that this daemon does not know"),
    "nothing to cancel": (frame(HELLO) + frame(CANCEL), "a request that this daemon does not know"),
    "no protobuf": (frame(b"\xff\xff\xff\xff\xff"), "a message that is none of the control protocol"),
    "empty": (frame(b""), "control message of 0 bytes"),
    "too long": (frame(b"", FRAME_MAX + 1), f"control message of {FRAME_MAX + 1} bytes"),
    "far too long": (frame(b"x" * 100, 0xffffffff), "control message of 4294967295 bytes"),
    "the longest": (frame(bytes(FRAME_MAX)), "a message that is none of the control protocol"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "control message of 1195725856 bytes"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "control message of 369295618 bytes"),
    "cut off": (frame(HELLO) + frame(STATUS)[:-1], None),
    "a file that is not absolute": (frame(HELLO) + frame(restore("x.db")), "x.db: not an absolute path"),
    "a file that is a folder": (frame(HELLO) + frame(restore("/")), "'/' is not the name of a file"),
    "a file with a strange name": (frame(HELLO) + frame(restore(b"/no/such\xff\n\x1b[2J/x")), "/no/such???[2J does not exist: mkdir -p "),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong(daemon, name):
    sent, words = WRONG[name]
    with closing(Client(daemon).raw(sent)) as client:
        if words is None:
            client.socket.shutdown(socket.SHUT_WR)
            assert all(kind == WELCOME for kind, _ in client.replies())
            return
        text = client.failure()[1]
        assert words in text and text.isprintable(), text


def test_garbage(daemon):
    """Random bytes, and good messages with some of their bytes changed."""
    chance = random.Random(1)
    good = frame(HELLO) + frame(restore("/nowhere/at/all")) + frame(LIST)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            data = chance.randbytes(chance.randrange(1, 5000))
        with closing(Client(daemon).raw(bytes(data))) as client:
            client.socket.shutdown(socket.SHUT_WR)
            client.replies()
    wait_for(lambda: daemon.ctl("status", "--json").json["running"] is None)


def test_clients_that_leave(daemon):
    """At each point, without a word. The backup that one of them began is made all the same."""
    before = len(daemon.bucket.dumps())
    for sent in (b"", frame(HELLO)[:3], frame(HELLO), frame(HELLO) + frame(LIST), frame(HELLO) + frame(STATUS),
                 frame(HELLO) + frame(restore()), frame(HELLO) + frame(BACKUP)):
        wait_for(lambda: daemon.ctl("status", "--json").json["running"] is None)
        Client(daemon).raw(sent).close()
    wait_for(lambda: len(daemon.bucket.dumps()) == before + 1)
    wait_for(lambda: daemon.ctl("status", "--json").json["running"] is None)
    check_clean(daemon, before + 1)


@pytest.mark.installed
def test_a_flood(daemon):
    """A client that never stops sending gets its answer, and no memory."""
    with closing(Client(daemon).send(HELLO, STATUS)) as client:
        try:
            for _ in range(64):
                client.socket.sendall(bytes(1 << 20))
        except (BrokenPipeError, ConnectionResetError):
            pass
    if not daemon.programs.sanitized:
        assert daemon.memory() < 64 << 20


def test_idle_clients(daemon):
    """More of them than there are places, in the middle of a conversation or before: a backup goes on meanwhile, and they are
    sent away, so that others have their turn."""
    backup = Client(daemon).send(message(f1=message(f1=VERSION, f2=1)), BACKUP)
    assert backup.reply()[0] == WELCOME and backup.reply()[0] == PROGRESS
    began = time.monotonic()
    clients = [Client(daemon).raw(frame(HELLO)[:n % 3]) for n in range(PLACES + 4)]
    late = Command(daemon, "status", "--json")
    assert backup.failure() is None
    backup.close()
    for client in clients[:PLACES - 1]:
        assert client.failure() == ("protocol", f"no request within {IDLE_SECONDS} s")
    assert time.monotonic() - began >= IDLE_SECONDS - 1
    for client in clients:
        client.close()
    assert late.end().status == 0


# ---- who is let in ----

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others")


def as_other(site, body, uid=NOBODY, gid=NOBODY, groups=()):
    """What the daemon answers to that user: (kind, text) of the failure, None for success; the errno of a refused connect."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(site.dir)  # so that only this folder, and not those above, need be open to them
            os.setgroups(list(groups))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            try:
                client = Client(type("Site", (), {"socket": "control.sock"}))
                answer = client.send(HELLO, body).failure()
            except OSError as failure:
                answer = failure.errno
            os.write(there, repr(answer).encode())
        finally:
            os._exit(0)
    os.close(there)
    with open(here, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return eval(answer)  # pylint: disable=eval-used # our own child's


@needs_root
def test_other_users(site):
    """The socket is for its owner alone; and if somebody opens it to others, the daemon still looks who comes."""
    site.dir.chmod(0o711)
    assert stat.S_IMODE(site.start().socket.stat().st_mode) == 0o600
    assert as_other(site, STATUS) == 13
    site.socket.chmod(0o666)
    kind, text = as_other(site, STATUS)
    assert (kind, text) == ("auth", "not allowed: only root, the daemon's own user may do this")
    assert len(news(site)) == 1 and f"refused a connection of user {NOBODY}" in events(site, "warning")[0]
    assert site.ctl("status").status == 0


@needs_root
def test_ctl_says_who_may(site):
    """Of another user, who finds the socket closed."""
    site.dir.chmod(0o711)
    copy = site.dir / "ctl"
    copy.write_bytes(open(site.programs.ctl, "rb").read())
    copy.chmod(0o755)
    site.start()
    done = site.run("./ctl", "-s", "control.sock", "status", user=NOBODY, group=NOBODY, extra_groups=[])
    assert done.status == 1 and done.err == (
        "etcd-backupctl: not allowed to use control.sock: be root or in control.group\n"), done


@needs_root
def test_the_group(site):
    """Its members may ask for everything but a file of their choice."""
    group = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    site.configure({"control": {"group": group.gr_name}})
    site.dir.chmod(0o711)
    mode = site.start().socket.stat()
    assert (stat.S_IMODE(mode.st_mode), mode.st_gid) == (0o660, group.gr_gid)
    for membership in ({"gid": group.gr_gid}, {"groups": [group.gr_gid]}):
        assert as_other(site, STATUS, **membership) is None
        assert as_other(site, BACKUP, **membership) is None
        assert as_other(site, LIST, **membership) is None
        kind, text = as_other(site, restore(str(site.dir / "other.db")), **membership)
        assert kind == "auth" and "only root and the daemon's own user may choose the file" in text, text
        assert as_other(site, restore(), **membership) is None
        assert as_other(site, restore(str(site.snapshot)), **membership) is None
    assert not (site.dir / "other.db").exists()
    assert stat.S_IMODE(site.snapshot.stat().st_mode) == 0o600 and site.snapshot.stat().st_uid == os.geteuid()
    assert as_other(site, STATUS) == 13
    site.socket.chmod(0o666)
    assert as_other(site, STATUS)[0] == "auth"
    check_clean(site, 2)


def test_a_group_that_is_not_there(site):
    site.configure({"control": {"group": "no-such-group"}})
    done = site.run(site.programs.daemon, "-c", site.file)
    assert done.status == 2 and "control.group: there is no group 'no-such-group'" in done.err, done
    assert len(done.err.splitlines()) == 1 and not site.socket.exists()
