"""lib/etcd against real etcd: authentication, the choice of a member, and snapshots that go well."""

import hashlib
import socket
import subprocess
import time

import pytest

import servers
from etcd_probe import Probe, fields, run
from servers import MIB, wait_for

VERSIONS = ["3.4", "3.5", "3.6", "3.7"]


def tls_options(etcd, user="root"):
    options = {}
    if etcd.tls != "none":
        options["ca"] = etcd.ca("ca")
    if etcd.tls == "mutual":
        options |= {"cert": etcd.ca(user), "key": etcd.ca.key(user)}
    return options


def password(folder, text):
    """A file with a password that is nobody else's to read."""
    path = folder / "password"
    path.write_text(text)
    path.chmod(0o600)
    return path


def check_snapshot(path):
    """What etcd appended is the SHA-256 of the rest."""
    data = path.read_bytes()
    assert len(data) % 4096 == 32
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    return data


@pytest.mark.parametrize("tls", ["none", "server", "mutual"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_snapshot_is_what_etcdctl_saves(shared_etcd, folder, version, tls):
    etcd = shared_etcd(version=version, tls=tls)
    ours, before, after = folder / "ours.db", folder / "before.db", folder / "after.db"

    def quiet():
        """Ours between two of etcdctl's. etcd may still be writing down what it has been told before."""
        for path in (before, after):
            path.unlink(missing_ok=True)
        etcd.ctl("snapshot", "save", before)
        status, lines = run(etcd.endpoints, "snapshot", ours, **tls_options(etcd))
        etcd.ctl("snapshot", "save", after)
        assert status == 0, lines
        check_snapshot(ours)
        return lines if etcd.describe(before) == etcd.describe(after) else None

    lines = wait_for(quiet)
    assert etcd.describe(ours) == etcd.describe(before)
    if version == "3.4":  # from 3.5 on it counts its snapshots in the database
        assert ours.read_bytes() == after.read_bytes()

    assert lines[1:3] == [f"begin {ours.stat().st_size}", f"end {ours.stat().st_size}"]
    ready, done = fields(lines[0]), fields(lines[3])
    assert int(ready["revision"]) <= etcd.describe(ours)[1] <= int(done["revision"])
    assert int(ready["db_size"]) == ours.stat().st_size - 32
    assert ready["version"].startswith(version)
    assert (ready["name"], ready["leader"], ready["learner"], ready["alarms"]) == ("n1", "1", "0", "")


@pytest.mark.parametrize("chunk", [32768, 100000, 1 << 20, 8 << 20])
def test_chunks_of_any_size_add_up(shared_etcd, folder, chunk):
    etcd = shared_etcd(version="3.5", tls="none")
    status, lines = run(etcd.endpoints, "snapshot", folder / "db", chunk=chunk, window=1 << 20)
    assert status == 0, lines
    check_snapshot(folder / "db")


def test_an_empty_etcd_has_a_snapshot_too(new_etcd, folder):
    etcd = new_etcd(version="3.4")
    status, lines = run(etcd.endpoints, "snapshot", folder / "db")
    assert status == 0, lines
    check_snapshot(folder / "db")


@pytest.mark.parametrize("version", VERSIONS)
def test_passwords(shared_etcd, folder, version):
    etcd = shared_etcd(version=version, tls="server", auth="password")
    options = tls_options(etcd)

    early = "" if version >= "3.6" else "authenticating: "  # who asks for Status is asked who he is

    def attempt(user, text):
        status, lines = run(etcd.endpoints, "snapshot", folder / "db", user=user,
                            password_file=password(folder, text), **options)
        assert not any(text in line for line in lines)
        return status, lines[-1]

    status, line = attempt("backup", "backuppw")
    assert status == 0, line
    check_snapshot(folder / "db")
    for user, wrong in (("backup", "backuppwx"), ("backup", "bbackuppw"), ("somebody", "backuppw")):
        status, line = attempt(user, wrong)
        assert status == 1
        assert line.startswith(
            f"session failed auth {etcd.endpoints[0]}: {early}wrong user name or password (grpc-status 3"), line
    status, line = attempt("nobody", "nobodypw")
    assert status == 1
    assert line.startswith(f"snapshot failed auth {etcd.endpoints[0]}: permission denied: the user needs the root role (grpc-status "), line

    status, lines = run(etcd.endpoints, "snapshot", folder / "db", **options)
    assert status == 1
    assert lines[-1].startswith(
        f"{'session' if early == '' else 'snapshot'} failed auth {etcd.endpoints[0]}: "
        "etcd requires authentication, none is configured (grpc-status "), lines


def test_a_password_that_nobody_asks_for_does_no_harm(shared_etcd, folder):
    etcd = shared_etcd(version="3.5", tls="none")
    status, lines = run(etcd.endpoints, "snapshot", folder / "db", user="backup",
                        password_file=password(folder, "backuppw"))
    assert status == 0, lines


@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_that_has_become_invalid_is_renewed(new_etcd, folder, version):
    etcd = new_etcd(version=version, auth="password")
    with Probe(etcd.endpoints, "snapshot", folder / "db", user="backup", stop_at=0,
               password_file=password(folder, "backuppw")) as probe:
        probe.until("stopped")
        # Whoever changes a user makes its tokens invalid.
        etcd.ctl("user", "passwd", "backup", "--interactive=false", input=b"backuppw\n")
        probe.go_on()
        probe.end()
        assert probe.status == 0, probe.seen
    check_snapshot(folder / "db")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_password_that_changes_meanwhile_is_told(new_etcd, folder, version):
    etcd = new_etcd(version=version, auth="password")
    with Probe(etcd.endpoints, "snapshot", folder / "db", user="backup", stop_at=0,
               password_file=password(folder, "backuppw")) as probe:
        probe.until("stopped")
        etcd.ctl("user", "passwd", "backup", "--interactive=false", input=b"another\n")
        probe.go_on()
        assert probe.until("snapshot").startswith(
            f"snapshot failed auth {etcd.endpoints[0]}: authenticating: wrong user name or password"), probe.seen


@pytest.mark.parametrize("version", VERSIONS)
def test_users_by_their_certificates(shared_etcd, folder, version):
    etcd = shared_etcd(version=version, tls="mutual", auth="cn")
    status, lines = run(etcd.endpoints, "snapshot", folder / "db", **tls_options(etcd, "backup"))
    assert status == 0, lines
    check_snapshot(folder / "db")
    # A certificate of the same authority, but of no user: its common name is localhost.
    status, lines = run(etcd.endpoints, "snapshot", folder / "db", **tls_options(etcd, "server"))
    assert status == 1
    assert lines[-1].startswith(
        f"snapshot failed auth {etcd.endpoints[0]}: the client certificate's common name is no user of etcd (grpc-status "), lines


def test_endpoints_that_cannot_be():
    status, lines = run(["http://[::1"], "status")
    assert status == 1 and lines[0].startswith("client failed config "), lines
    status, lines = run(["http://127.0.0.1:1"] * 65, "status")
    assert (status, lines) == (1, ["client failed config 65 endpoints of etcd are given, 1 to 64 are possible"])


# Three members.


@pytest.fixture(scope="module")
def three(scratch, ca):
    # A busy machine is no reason to vote anew.
    with servers.Etcd(scratch / "three", ca, version="3.5", members=3,
                      extra=["--heartbeat-interval=500", "--election-timeout=5000"]) as etcd:
        etcd.fill(2 * MIB, value_size=4096)
        yield etcd


def leader_of(etcd):
    """The number of the leader."""
    def leaders():
        status = [etcd.status(n) for n in range(len(etcd.members))]
        return [n for n, s in enumerate(status) if s.get("leader") and s["leader"] == s["header"]["member_id"]]

    return wait_for(leaders)[0]


def undisturbed(etcd, *command):
    """Runs the probe when no member is so late that it is not waited for (GRACE_MS of gather.c) and the leader stays. Returns
    the leader's number, the exit status and the lines."""
    def once():
        leader, began = leader_of(etcd), time.monotonic()
        status, lines = run(etcd.endpoints, *command)
        return (leader, status, lines) if time.monotonic() - began < 0.5 and leader_of(etcd) == leader else None

    return wait_for(once)


def test_a_follower_is_taken_and_the_leader_if_it_is_alone(three, folder):
    leader, status, lines = undisturbed(three, "snapshot", folder / "db")
    assert status == 0, lines
    assert fields(lines[0])["leader"] == "0"
    # The name, by MemberList, is that of the member whose endpoint it is.
    chosen = fields(lines[0])
    assert chosen["name"] == three.members[three.endpoints.index(chosen["endpoint"])]
    status, lines = run([three.endpoints[leader]], "status")
    assert (status, fields(lines[0])["leader"]) == (0, "1")


def test_those_that_failed_come_last(three):
    leader, status, lines = undisturbed(three, "rotate")
    assert status == 0
    leader = three.endpoints[leader]
    endpoints = [fields(line)["endpoint"] for line in lines]
    assert sorted(endpoints[:3]) == sorted(three.endpoints)
    assert endpoints[2] == leader
    assert endpoints[3] == endpoints[0]


def test_dead_endpoints_are_passed_over(three, folder):
    leader = three.endpoints[leader_of(three)]
    with socket.socket() as nobody, socket.socket() as silent:
        nobody.bind(("127.0.0.1", 0))  # bound, so that it stays free, and refuses connections
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # the kernel connects, and nobody ever says a word
        dead = [f"http://127.0.0.1:{s.getsockname()[1]}" for s in (nobody, silent)]
        # With a time-out of an hour for the one that is silent.
        status, lines = run([*dead, leader], "snapshot", folder / "db", timeout=3600000)
        assert status == 0, lines
        assert fields(lines[0])["endpoint"] == leader
        status, lines = run(dead, "snapshot", folder / "db", timeout=3000)
        assert status == 1
        assert lines[0].startswith("session failed transient ")
        first, second = lines[0].split("; ")
        assert first.endswith(f" {dead[0][7:]}: cannot connect: connection refused") and second.startswith(dead[1][7:]), lines


def test_without_a_quorum_there_is_still_a_snapshot(new_etcd, folder):
    etcd = new_etcd(version="3.5", members=3)
    etcd.fill(MIB, value_size=4096)
    left = (leader_of(etcd) + 1) % 3
    for number in range(3):
        if number != left:
            etcd.kill(f"n{number + 1}")

    def leaderless():
        status, lines = run(etcd.endpoints, "status")
        return status == 0 and fields(lines[0])["leader"] == "0" and lines[0]

    assert fields(wait_for(leaderless))["endpoint"] == etcd.endpoints[left]
    status, lines = run(etcd.endpoints, "snapshot", folder / "db")
    assert status == 0, lines
    check_snapshot(folder / "db")


@pytest.mark.parametrize("version", VERSIONS)
def test_out_of_space_is_told_and_no_reason_to_refuse(new_etcd, folder, version):
    etcd = new_etcd(version=version, extra=["--quota-backend-bytes=2097152"])
    with pytest.raises(AssertionError, match="no space|400|500|429"):
        etcd.fill(16 * MIB, value_size=64 << 10)
    status, lines = run(etcd.endpoints, "snapshot", folder / "db")
    assert status == 0, lines
    assert fields(lines[0])["alarms"] == "NOSPACE"
    check_snapshot(folder / "db")


@pytest.fixture(params=["3.5", "3.6", "3.7"])
def learner(new_etcd, folder, request):
    """(etcd, endpoint): a cluster of one, and a learner that has joined it."""
    etcd = new_etcd(version=request.param)
    etcd.fill(MIB, value_size=4096)
    client, peer = (f"http://127.0.0.1:{port}" for port in servers.free_ports(2))
    answer = etcd.ctl("member", "add", "n2", "--learner", f"--peer-urls={peer}").decode()
    cluster = next(line.split('"')[1] for line in answer.splitlines() if line.startswith("ETCD_INITIAL_CLUSTER="))
    with open(folder / "learner.log", "wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", etcd.binary("etcd"), "--name=n2", f"--data-dir={folder}/n2.data",
             f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
             f"--initial-advertise-peer-urls={peer}", f"--initial-cluster={cluster}", "--initial-cluster-state=existing"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=servers.ENVIRONMENT)
    try:
        wait_for(lambda: run([client], "status")[1][0].endswith(": is a learner") or process.poll() is not None,
                 what=(folder / "learner.log"))
        assert process.poll() is None, (folder / "learner.log").read_text()[-2000:]
        yield etcd, client
    finally:
        process.kill()
        process.wait()


def test_a_learner_is_never_taken(learner, folder):
    etcd, client = learner
    status, lines = run([client, *etcd.endpoints], "snapshot", folder / "db")
    assert status == 0, lines
    assert fields(lines[0])["endpoint"] == etcd.endpoints[0]
    assert run([client], "status") == (1, [f"session failed config {client}: is a learner"])
