"""Whole backups from an etcd that refuses, breaks, stops or lies: nothing half appears, and one line says why."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import struct
import termios
import threading
import time

import pytest

import servers
from etcd_peer import SNAPSHOT, STATUS, TRAILER, Etcd, framed, member, message, piece, pieces, stream, unary
from faults import Command, Scripted, backup_fails, check_clean, events, has_connections, news
from h2peer import CANCEL, Gone
from s3_proxy import Hold, Proxy
from servers import MIB, wait_for
from test_rotate import keeping_versions

STARTED = ('grpc_server_started_total{grpc_method="Snapshot",grpc_service="etcdserverpb.Maintenance",'
           'grpc_type="server_stream"}')
RELEASED = "etcd_disk_backend_snapshot_duration_seconds_count"


def address(etcd):
    """Of its first member, as errors begin with it; for a regular expression."""
    return re.escape(etcd.endpoints[0].partition("://")[2])


# ---- who is let in ----


@pytest.mark.parametrize("cert", ["server-rsa", "server-ip"])
def test_certificates_that_are_good(shared_etcd, bucket, new_site, cert):
    """As kubeadm makes them; and the address of the endpoint alone, in a SAN of its own kind."""
    site = new_site(shared_etcd(version="3.5", tls="mutual", cert=cert), bucket)
    assert site.ctl("backup").status == 0
    check_clean(site, 1)


@pytest.mark.parametrize("cert, words", [
    ("server-dns", "the server's certificate is for localhost, not for 127.0.0.1"),
    ("server-expired", "the server's certificate expired on 2024-02-01"),
    ("server-alien", r"the server's certificate is signed by an unknown authority \(CN=.*other-ca\)"),
])
def test_certificates_of_the_server(shared_etcd, bucket, new_site, cert, words):
    etcd = shared_etcd(version="3.5", tls="server", cert=cert)
    site = new_site(etcd, bucket).start()
    backup_fails(site, 1, f"^{address(etcd)}: {words}")
    check_clean(site, 0)


def certificate(name):
    return lambda ca: {"client_cert": ca(name), "client_key": ca.key(name)}


@pytest.mark.parametrize("change, words", [
    (lambda ca: {"ca_cert": ca("other-ca")}, r".* signed by an unknown authority \(CN=.* ca\): it is not in ca_cert"),
    (certificate("client-alien"), "the server does not accept our client certificate"),
    (certificate("client-expired"), "the server does not accept our client certificate"),
    (lambda ca: {"client_cert": None, "client_key": None}, "the server ended the handshake .*in which we had no client certificate: if it wants one, client_cert and client_key must"),
], ids=["wrong CA", "alien", "expired", "none"])
def test_certificates_of_the_client(etcd, bucket, new_site, ca, change, words):
    site = new_site(etcd, bucket, changes={"etcd_client": {"auth": change(ca)}}).start()
    backup_fails(site, 1, f"^{address(etcd)}: {words}")
    check_clean(site, 0)


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_passwords(shared_etcd, bucket, new_site, version):
    """A daemon that is told better uses it at once."""
    etcd = shared_etcd(version=version, tls="server", auth="password")
    site = new_site(etcd, bucket).start()
    wait_for(lambda: not has_connections(site.process.pid), what="the look at the bucket, with the password of before")

    def log_in(user, password):
        site.write("etcd.yml", servers.yaml({"username": user, "password": password}))

    log_in("backup", "a wrong one")
    backup_fails(site, 1, "wrong user name or password")
    log_in("nobody", "nobodypw")
    backup_fails(site, 1, "permission denied: the user needs the root role")
    log_in("", "")
    backup_fails(site, 1, r"etcd\.yml:\d+:\d+: .*username")
    check_clean(site, 0)
    log_in("backup", "backuppw")
    assert site.ctl("backup").status == 0
    check_clean(site, 1)
    for secret in ("a wrong one", "nobodypw", "backuppw", "testsecret", site.master_key.hex()):
        assert secret not in site.log.read_text()


def test_no_password(shared_etcd, bucket, new_site):
    etcd = shared_etcd(version="3.5", tls="server", auth="password")
    site = new_site(etcd, bucket, changes={"etcd_client": {"auth": {"password_auth": None}}}).start()
    backup_fails(site, 1, "etcd requires authentication, none is configured")
    check_clean(site, 0)


def test_the_wrong_scheme(shared_etcd, etcd, bucket, new_site):
    plain = shared_etcd(version="3.5", tls="none")
    site = new_site(plain, bucket, changes={"etcd_client": {
        "endpoints": [plain.endpoints[0].replace("http:", "https:")], "retries": 0}}).start()
    backup_fails(site, 1, f"^{address(plain)}: .*speak TLS on this port")
    site = new_site(etcd, bucket, changes={"etcd_client": {
        "endpoints": [etcd.endpoints[0].replace("https:", "http:")], "retries": 0}}).start()
    backup_fails(site, 1, f"^{address(etcd)}: ")
    check_clean(site, 0)


def test_nobody_there(bucket, new_site):
    """All endpoints are named, each with its cause; another attempt is made, and told."""
    with Etcd() as peer, socket.socket() as one, socket.socket() as two:
        scripted = Scripted(peer)
        for nobody in (one, two):  # bound, so that it stays free, and refuses connections
            nobody.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{nobody.getsockname()[1]}" for nobody in (one, two)]
        scripted.endpoints = [f"http://{address}" for address in addresses]
        site = new_site(scripted, bucket, changes={"etcd_client": {"retries": 1}}).start()
        both = "; ".join(re.escape(address) + ": cannot connect: connection refused" for address in addresses)
        backup_fails(site, 1, f"^attempt 2 of at most 2: {both}$", warnings=[f"attempt 1 failed: {both}; trying again in "])
        check_clean(site, 0)


# ---- in mid-stream ----


@pytest.fixture(scope="module")
def big(scratch, ca):
    """An etcd with 40 MiB, which its tests may kill and stop."""
    with servers.Etcd(scratch / "big", ca, version="3.5", tls="mutual") as etcd:
        etcd.fill(40 * MIB)
        yield etcd


@pytest.fixture
def slow(ceph):
    """The store behind a proxy that holds all parts but the first until proxy.release()."""
    with Proxy(ceph, lambda request: Hold() if request.number > 1 else None) as proxy:
        yield proxy


def start_slowly(new_site, etcd, bucket, slow, **settings):
    """A daemon, and a backup that stands in mid-stream for sure: of 40 MiB, S3 takes 5, memory 10, and the windows 4."""
    site = new_site(etcd, bucket, https=False, changes={
        "s3_client": {"endpoint": slow.url, "part_size": servers.Raw("5MiB"), "parts_in_flight": 1, "spool_size": 0},
        "etcd_client": settings}).start()
    command = Command(site, "backup", "--json", "-q")
    wait_for(lambda: slow.held and slow.calls("part")[0].status == 200, what="the second part to be sent")
    return site, command


def test_etcd_that_is_killed(big, bucket, new_site, slow):
    site, command = start_slowly(new_site, big, bucket, slow, retries=0)
    big.kill("n1")
    done = command.end()
    big.restart()
    backup_fails(site, 1, f"^reading the snapshot: the snapshot broke off after .*: {address(big)}: ", done=done)
    check_clean(site, 0)


def test_etcd_that_stops(big, bucket, new_site, slow):
    site, command = start_slowly(new_site, big, bucket, slow, retries=0, request_timeout="5s")
    before = big.metrics()[RELEASED]
    big.signal("n1", signal.SIGSTOP)
    try:
        slow.release()
        done = command.end()
    finally:
        big.signal("n1", signal.SIGCONT)
    backup_fails(site, 1, f"^reading the snapshot: .*{address(big)}: the snapshot broke off after .*: etcd sent nothing for 5.0s$", done=done)
    check_clean(site, 0)
    # The stream was reset: when etcd runs again its transaction ends.
    wait_for(lambda: big.metrics()[RELEASED] == before + 1)


def test_an_etcd_that_comes_back(big, bucket, new_site, slow):
    """Another attempt is another snapshot and another upload, under another name."""
    slow.rule = lambda request: Hold() if request.number > 1 or request.call == "abort" else None
    site, command = start_slowly(new_site, big, bucket, slow, retries=5)
    big.kill("n1")
    wait_for(lambda: slow.calls("abort"), what="the first upload to be taken back")
    big.restart()
    slow.release()
    done = command.end()
    assert done.status == 0 and done.json["attempts"] == 2, done
    assert [done.json["name"]] == check_clean(site, 1)
    assert len({request.path for request in slow.calls("create")}) == 2
    assert re.search("^backup: attempt 1 failed: .* broke off after .*; trying again in", events(site, "warning")[0])
    assert events(site, "error") == []


@pytest.mark.parametrize("version", ["3.5", "3.6"])
def test_another_member_takes_over(new_etcd, bucket, new_site, slow, version):
    etcd = new_etcd(version=version, members=3, tls="mutual")
    etcd.fill(40 * MIB)
    site, command = start_slowly(new_site, etcd, bucket, slow)
    first = next(m for m in range(3) if etcd.metrics(m).get(STARTED))
    etcd.kill(etcd.members[first])
    slow.release()
    done = command.end()
    assert done.status == 0 and done.json["attempts"] == 2, done
    assert done.json["endpoint"] in etcd.endpoints and done.json["endpoint"] != etcd.endpoints[first]
    check_clean(site, 1)


# ---- members whose data may be old or damaged ----


def doubted(site, *patterns):
    """A backup that is made, and of which it is told everywhere what speaks against it. Returns what it told."""
    done = site.ctl("backup", "--json", "-q")
    assert done.status == 0, done
    doubt = done.json["doubt"]
    assert done.err == f"note: {doubt}\n", done
    assert events(site, "warning")[-1] == f"backup: {doubt}"
    assert site.ctl("status", "--json").json["last_success"]["doubt"] == doubt
    assert json.loads(wait_for(lambda: (site.dir / "event").exists() and (site.dir / "event").read_text()))["doubt"] == doubt
    for pattern in patterns:
        assert re.search(pattern, doubt), doubt
    return done.json


def with_a_hook(site):
    """Which writes its event in one step."""
    site.configure({"hooks": {"on_success": f"cat >{site.dir}/event.new; mv {site.dir}/event.new {site.dir}/event"}})
    return site.start()


def test_a_member_that_is_cut_off(new_etcd, bucket, new_site):
    """Its data are whole, but nobody knows how old: there is a backup, and it is told what it is."""
    etcd = new_etcd(version="3.5", members=3, tls="mutual")
    etcd.fill(MIB, value_size=4096)
    site = new_site(etcd, bucket)
    good = site.ctl("backup", "--json", "-q")
    assert (good.status, good.json["doubt"], good.err) == (0, "", ""), good
    status = [etcd.status(n) for n in range(3)]
    leader = next(n for n, s in enumerate(status) if s["leader"] == s["header"]["member_id"])
    left = (leader + 1) % 3
    for number in (leader, (left + 1) % 3):
        etcd.kill(etcd.members[number])
    wait_for(lambda: etcd.metrics(left)["etcd_server_has_leader"] == 0, what="the loss of the leader")
    endpoint = etcd.endpoints[left]
    told = doubted(with_a_hook(site),
                   f"^the backup may be old: it was taken from {re.escape(endpoint)} n{left + 1}, which knows no leader")
    assert told["endpoint"] == endpoint
    check_clean(site, 2)


def status_of(*answers):
    """A handler of Status: one answer after the other, and the last again and again."""
    left = list(answers)

    def handler(call):
        unary(left.pop(0) if len(left) > 1 else left[0])(call)
    return handler


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("whose, words", [
    ("memberID:1 ", "etcd has raised the alarm CORRUPT$"),
    ("", "etcd has raised the alarm CORRUPT without knowing for which member$"),
])
def test_a_member_that_is_corrupt(small_parts, when, whose, words):
    """Also when etcd finds it out while the snapshot is taken."""
    corrupt = member(errors=[f"{whose}alarm:CORRUPT "])
    answers = [corrupt] if when == "before" else [member(), corrupt]
    with Etcd(stream(*pieces()), {STATUS: status_of(*answers)}) as peer:
        site = with_a_hook(small_parts(peer))
        doubted(site, "^the backup may be damaged: it was taken from ", words)
    check_clean(site, 1)


def test_a_member_that_is_far_behind(bucket, new_site):
    """As another one knows, which is not read: a learner here."""
    told = threading.Event()

    def learner(call):
        unary(member(me=2, index=101_101, learner=1))(call)
        told.set()

    def late(call):  # else it would not be waited for the learner for ever
        assert told.wait(60)
        unary(member(leader=3, index=100_000))(call)

    with Etcd(stream(*pieces()), {STATUS: late}) as behind, Etcd(handlers={STATUS: learner}) as ahead:
        scripted = Scripted(behind)
        scripted.endpoints = [behind.endpoint, ahead.endpoint]
        doubted(with_a_hook(new_site(scripted, bucket)), "^the backup may be old: .*, which is 1101 entries of etcd's log behind$")


def test_who_broke_off_is_better_than_who_is_cut_off(bucket, new_site):
    """A lost connection is no reason to take old data."""
    tries = iter([stream(*pieces()[:2], end=lambda call: call.reset(CANCEL)), stream(*pieces())])
    with Etcd(lambda call: next(tries)(call), {STATUS: unary(member(leader=3))}) as good, \
            Etcd(stream(*pieces()), {STATUS: unary(member(me=2, leader=0))}) as cut_off:
        scripted = Scripted(good)
        scripted.endpoints = [cut_off.endpoint, good.endpoint]
        site = new_site(scripted, bucket)
        done = site.ctl("backup", "--json", "-q")
    assert (done.status, done.json["attempts"]) == (0, 2), done
    assert (done.json["endpoint"], done.json["doubt"]) == (good.endpoint, ""), done
    assert "may be" not in done.err
    check_clean(site, 1)


# ---- exact sizes ----

PART = 5 * MIB
# Snapshots (with their trailer) whose sealed form has just the size of a part, or of two.
SEALED_PART, TWO_SEALED_PARTS = PART - 5 * 40, 2 * PART - 10 * 40


def database(size):
    """What makes a snapshot of that size."""
    return framed(os.urandom(size - len(TRAILER)))


def snapshot_of(content):
    return content + hashlib.sha256(content).digest()


@pytest.fixture
def small_parts(new_site, bucket):
    """small_parts(peer, encrypted): a site of a scripted etcd, with parts of 5 MiB and no second attempts."""
    def make(peer, encrypted=True):
        return new_site(Scripted(peer), bucket, encrypted=encrypted, changes={
            "etcd_client": {"retries": 0}, "s3_client": {"part_size": servers.Raw("5MiB")}})
    return make


@pytest.mark.parametrize("size, encrypted", [
    *((border + by, True) for border in (MIB, SEALED_PART, TWO_SEALED_PARTS) for by in (-1, 0, 1)),
    (112, True), (512 + 32, True), (MIB + 31, True), (MIB + 32, True), (MIB + 33, True), (2 * MIB, True),
    *((border + by, False) for border in (MIB, PART, 2 * PART) for by in (-1, 0, 1)),
    (112, False),
])
def test_exact_sizes(small_parts, bucket, size, encrypted):
    """Around the borders of chunks and parts, and with the trailer in a chunk of its own or on both sides of a border."""
    content = database(size)
    with Etcd(stream(*pieces(content))) as peer:
        site = small_parts(peer, encrypted)
        done = site.ctl("backup", "--json")
        assert done.status == 0, done
    assert done.json["snapshot_size"] == size
    assert [done.json["name"]] == check_clean(site, 1)
    assert bucket.list()[done.json["name"]] == size + (40 * -(-size // MIB) if encrypted else 0)
    assert site.plaintext(done.json["name"]) == snapshot_of(content)
    if encrypted:  # of one that is not, a size that no database has says that its key is missing
        assert site.ctl("restore", "--use-etcdutl=false").status == 0
        assert site.snapshot.read_bytes() == snapshot_of(content)


# ---- an etcd that lies ----

SOUND = database(6 * MIB + 32)


def nothing(_):
    """The stream stays open."""


def unsent(sock):
    """Bytes that the other end has not acknowledged (tcp(7), SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def broken_off(call):
    """A reset; of all that the kernel has still to deliver it would take the rest along."""
    wait_for(lambda: unsent(call.conn.sock) == 0)
    call.conn.abort()
    raise Gone


# What comes after the headers, how it ends; the exit status; and what is said of it.
LIES = {
    "wrong trailer": ([*pieces(SOUND)[:-1], piece(bytes(32), 0)], None, 5, "the snapshot as it arrived: .*SHA-256"),
    "a bit that flipped": ([*pieces(SOUND)[:-2], piece(bytes(32 << 10), 0), *pieces(SOUND)[-1:]], None, 5,
                           "the snapshot as it arrived: .*SHA-256"),
    "no trailer": (pieces(SOUND)[:-1], None, 5, r"snapshot ended without etcd's SHA-256 \(all 6291456 bytes"),
    "short trailer": ([*pieces(SOUND)[:-1], piece(TRAILER[:31], 0)], nothing, 5, "31 bytes in place of etcd's SHA-256"),
    "cut off": (pieces(SOUND)[:180], None, 5, "snapshot is cut off: it ended after 5898240 of 6291488 bytes"),
    "an error after all bytes": (pieces(SOUND), lambda call: call.trailers(13, "the disk said%0a no"), 1,
                                 r"broke off after 6.0 MiB of 6.0 MiB: .*grpc-status 13 INTERNAL: the disk said\? no"),
    "no status after all bytes": (pieces(SOUND), broken_off, 1, "broke off after (5.9|6.0) MiB of 6.0 MiB"),
    "silence after all bytes": (pieces(SOUND), nothing, 1, "etcd sent all bytes but no status within 5.0s"),
    "silence before": ([], nothing, 1, "etcd did not begin the snapshot within 5.0s"),
    "silence in the middle": (pieces(SOUND)[:180], nothing, 1, "broke off after 5.6 MiB of 6.0 MiB: etcd sent nothing for 5.0s"),
    "more than was said": ([*pieces(SOUND)[:-1], piece(bytes(64), 32)], nothing, 1, "remaining_bytes is not 0 at the end"),
    "two trailers": ([*pieces(SOUND), piece(TRAILER, 0)], nothing, 1, "more messages after the end"),
    "empty messages without end": ([*pieces(SOUND)[:180], *[piece(b"", 393216)] * 20000], nothing, 1,
                                   "empty messages without end"),
    "an absurd size": ([piece(b"x", 2**63)], nothing, 1, "absurd size announced"),
    "more than S3 can hold": ([piece(b"x", 6 << 40)], nothing, 1, "TiB"),
    "no protobuf": ([b"\x1a\xff\xff\xff"], nothing, 1, "cannot be decoded"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies(small_parts, name):
    """Whatever had been stored by then: nothing of it is to be seen."""
    messages, end, status, words = LIES[name]
    with Etcd(stream(*messages, **({"end": end} if end else {}))) as peer:
        site = small_parts(peer)
        if "5.0s" in words:
            site.configure({"etcd_client": {"request_timeout": "5s"}})
        site.start()
        backup_fails(site, status, words)
        if end is nothing:
            assert peer.snapshots[0].wait_reset() == CANCEL
        # And it goes on working.
        peer.handlers[SNAPSHOT] = stream(*pieces())
        assert site.ctl("backup").status == 0
    check_clean(site, 1)


def test_one_member_sends_wrong_bytes(bucket, new_site):
    """The error names it, another is asked, and the next job does not ask it first."""
    messages, _, _, words = LIES["a bit that flipped"]
    with Etcd(stream(*messages)) as bad, Etcd(stream(*pieces(SOUND))) as good:
        site = new_site(Scripted(bad), bucket)
        site.configure({"etcd_client": {"endpoints": [bad.endpoint, good.endpoint]}})
        site.start()
        done = [site.ctl("backup", "--json", "-q") for _ in range(2)]
        assert [one.status for one in done] == [0, 0] and [one.json["attempts"] for one in done] == [2, 1], done
        assert re.search(f"attempt 1 failed: {re.escape(bad.endpoint)}: {words}", done[0].err), done[0]
        assert len(bad.snapshots) == 1 and len(good.snapshots) == 2
        assert len(news(site)) == 1
        # Where there is no other, it is the last word.
        site.stop()
        # Under another prefix: the name of this second is taken.
        site.configure({"etcd_client": {"endpoints": [bad.endpoint]}, "s3_client": {"objects_prefix": "other"}})
        backup_fails(site.start(), 5, f"^{re.escape(bad.endpoint)}: {words}")
    site.configure({"s3_client": {"objects_prefix": "backup"}})
    check_clean(site, 2)  # and nothing of the other prefix


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
def test_one_second_where_conditions_are_forgotten(ceph, new_bucket, new_site, encrypted):
    """A versioned bucket of Ceph 16 takes each put: whoever says success has a backup of his own, and it is what his etcd sent."""
    bucket = new_bucket(ceph)
    databases = [framed(bytes([n + 1]) * (64 << 10)) for n in range(3)]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Etcd(stream(*pieces(database)))) for database in databases]
        sites = [new_site(Scripted(peer), bucket, encrypted=encrypted) for peer in peers]
        stack.enter_context(keeping_versions(sites[0]))
        for site in sites[1:]:
            site.master_key = sites[0].master_key
            site.write("master.key", site.master_key.hex())
        names, notes = [], []
        for _ in range(4):
            now = time.time()
            wait_for(lambda now=now: int(time.time()) > int(now), what="the next second")
            done = [command.end() for command in [Command(site, "backup", "--json", "-q") for site in sites]]
            assert [one.status for one in done] == [0] * len(sites), done
            notes.extend(line for one in done for line in one.err.splitlines() if "NOT encrypted" not in line)
            for one, database in zip(done, databases):
                names.append(one.json["name"])
                assert sites[0].plaintext(names[-1])[:len(database)] == database, one
        assert len(set(names)) == len(names)
        assert sorted(check_clean(sites[0], len(names))) == sorted(names)
    assert notes and all("another backup began in the same second" in note for note in notes), notes


def test_endpoints_of_two_clusters(bucket, new_site):
    """An old member that is still listed after a restore knows a much higher index: it is told, and not read."""
    told = threading.Event()

    def stranger(call):
        unary(member(leader=0, index=900000, cluster=0xbeef))(call)
        told.set()

    def ours(call):  # not before the other: who is good is not made to wait for who says nothing
        told.wait(60)
        unary(member())(call)

    with Etcd(stream(*pieces()), {STATUS: ours}) as sound, Etcd(nothing, {STATUS: stranger}) as old:
        site = new_site(Scripted(sound), bucket)
        site.configure({"etcd_client": {"endpoints": [old.endpoint, sound.endpoint]}})
        done = site.ctl("backup", "--json", "-q")
        assert done.status == 0 and done.json["endpoint"] == sound.endpoint and not old.snapshots, done
        words = f"the backup is of 9, that of {sound.endpoint}, and {old.endpoint} belongs to beef"
        assert words in done.json["doubt"] and words in done.err, done
        # Old is better than none.
        old.handlers[SNAPSHOT] = stream(*pieces())
        site.configure({"etcd_client": {"endpoints": [old.endpoint]}})
        done = site.ctl("backup", "--json", "-q")
        assert done.status == 0 and "knows no leader" in done.json["doubt"] and "belongs to" not in done.err, done
    check_clean(site, 2)


def test_a_name_that_wants_to_be_a_header(small_parts, bucket):
    """What etcd calls itself is kept with the object, and shown; it is not trusted."""
    evil = "3.6.0\r\nx-amz-meta-evil: 1\x1b[2J"
    handlers = {STATUS: unary(member(version=evil)),
                "/etcdserverpb.Cluster/MemberList": unary(message(f2=message(f1=1, f2="a\nb\x1b[2J")))}
    with Etcd(stream(*pieces()), handlers) as peer:
        site = small_parts(peer).start()
        done = site.ctl("backup", "--json")
        assert done.status == 0, done
        shown = site.ctl("backup")
        assert shown.status == 0 and "\x1b" not in shown.out, shown
    assert not re.search(r"[\x00-\x1f\x7f]", done.json["etcd_version"] + done.json["member"])
    names = check_clean(site, 2)
    assert "evil" not in bucket.client.head_object(Bucket=bucket.name, Key=names[0])["Metadata"]
    assert len(events(site, "info", "warning", "error")) == 3  # it is ready; two backups
