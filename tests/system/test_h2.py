"""lib/h2 against real etcd: TLS of every kind, and what goes wrong is told in words that say who must do what."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import servers
from h2_probe import PROGRAM, SNAPSHOT, STATUS, Probe, call
from servers import MIB, wait_for

VERSIONS = ["3.4", "3.5"]


def certs(etcd, client="root"):
    """Options for a server with TLS."""
    out = {"ca": etcd.ca("ca")}
    if client:
        out |= {"cert": etcd.ca(client), "key": etcd.ca.key(client)}
    return out


def localhost(url):
    return url.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tls", ["none", "server", "mutual"])
def test_unary_and_stream(shared_etcd, version, tls):
    etcd = shared_etcd(version=version, tls=tls)
    options = {} if tls == "none" else certs(etcd, "root" if tls == "mutual" else None)
    status = call(etcd.endpoints[0], unary=True, **options)
    assert status.outcome == "OK"
    assert re.search(rb"\x12\x06" + re.escape(version.encode()) + rb"\.", status.messages[0])
    # TLS 1.2 with mbedTLS 2.28, 1.3 with 3.6.
    cipher = "plain" if tls == "none" else r"TLSv1\.[23] TLS\S*-CHACHA20-POLY1305-SHA256"
    assert re.match(f"ready {cipher}", status.lines[0])
    snapshot = call(etcd.endpoints[0], SNAPSHOT, count=True, **options)
    assert snapshot.outcome == "OK"
    number, size = map(int, snapshot.wait_line("messages").split())
    assert number > 64 and size > etcd.status()["dbSize"]


def test_rsa_certificate(new_etcd):
    etcd = new_etcd(tls="server", cert="server-rsa")
    probe = call(etcd.endpoints[0], unary=True, **certs(etcd, None))
    assert probe.outcome == "OK" and re.search("ECDHE-RSA-WITH-CHACHA20|TLSv1.3", probe.lines[0])


def test_host_name(shared_etcd):
    etcd = shared_etcd(version="3.5", tls="mutual")
    assert call(localhost(etcd.endpoints[0]), unary=True, **certs(etcd)).outcome == "OK"


def test_certificate_for_the_address_alone(new_etcd):
    etcd = new_etcd(tls="server", cert="server-ip")
    assert call(etcd.endpoints[0], unary=True, **certs(etcd, None)).outcome == "OK"
    probe = call(localhost(etcd.endpoints[0]), unary=True, **certs(etcd, None))
    assert probe.outcome == "auth"
    assert probe.text.endswith("the server's certificate is for 127.0.0.1, not for localhost")


def test_certificate_for_the_name_alone(new_etcd):
    etcd = new_etcd(tls="server", cert="server-dns")
    assert call(localhost(etcd.endpoints[0]), unary=True, **certs(etcd, None)).outcome == "OK"
    probe = call(etcd.endpoints[0], unary=True, **certs(etcd, None))
    assert probe.outcome == "auth"
    assert probe.text.endswith("the server's certificate is for localhost, not for 127.0.0.1")


def test_certificate_for_somebody_else(new_etcd):
    etcd = new_etcd(tls="server", cert="server-other")
    for url in etcd.endpoints[0], localhost(etcd.endpoints[0]):
        probe = call(url, unary=True, **certs(etcd, None))
        assert probe.outcome == "auth" and "is for elsewhere.example, not for" in probe.text


def test_expired_certificate(new_etcd):
    etcd = new_etcd(tls="server", cert="server-expired")
    probe = call(etcd.endpoints[0], unary=True, **certs(etcd, None))
    assert probe.outcome == "auth"
    assert probe.text.endswith("the server's certificate expired on 2024-02-01 00:00:00 UTC")


def test_wrong_authority(shared_etcd):
    etcd = shared_etcd(version="3.5", tls="mutual")
    probe = call(etcd.endpoints[0], unary=True, **{**certs(etcd), "ca": etcd.ca("other-ca")})
    assert probe.outcome == "auth"
    assert "signed by an unknown authority (CN=etcd-backupd tests ca): it is not in ca_cert" in probe.text


def test_authorities_of_the_system(shared_etcd):
    etcd = shared_etcd(version="3.5", tls="mutual")
    probe = call(etcd.endpoints[0], unary=True)
    assert probe.outcome == "auth" and "not one of the system's, and no ca_cert is configured" in probe.text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("client, words", [
    (None, "in which we had no client certificate: if it wants one, client_cert and client_key must be configured"),
    ("client-alien", "the server does not accept our client certificate"),
    ("client-expired", "the server does not accept our client certificate"),
])
def test_client_certificate_not_accepted(shared_etcd, version, client, words):
    etcd = shared_etcd(version=version, tls="mutual")
    probe = call(etcd.endpoints[0], unary=True, **certs(etcd, client))
    assert probe.outcome == "auth" and words in probe.text


def test_server_without_our_tls_versions(new_etcd):
    etcd = new_etcd(version="3.5", tls="server", extra=["--tls-min-version", "TLS1.3"])
    probe = call(etcd.endpoints[0], unary=True, **certs(etcd, None))
    if probe.outcome != "OK":  # mbedTLS 3 has TLS 1.3
        assert probe.outcome == "config" and "takes none of our TLS versions (alert protocol_version; the newest here is 1.2)" in probe.text


def test_aes(new_etcd):
    """Without ChaCha20 on the server's side; etcd itself insists on AES-128."""
    etcd = new_etcd(version="3.5", tls="server", extra=["--cipher-suites", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
    probe = call(etcd.endpoints[0], SNAPSHOT, count=True, **certs(etcd, None))
    assert probe.outcome == "OK" and re.search("AES-128-GCM|TLSv1.3", probe.lines[0])  # Go has no say in 1.3


def test_tls_or_not(shared_etcd):
    secure, plain = shared_etcd(version="3.5", tls="mutual"), shared_etcd(version="3.5", tls="none")
    probe = call(secure.endpoints[0].replace("https:", "http:"), unary=True)
    assert probe.outcome in ("transient", "protocol") and re.search("wants? TLS|speaks TLS", probe.text)
    probe = call(plain.endpoints[0].replace("http:", "https:"), unary=True, ca=secure.ca("ca"))
    assert probe.outcome in ("transient", "protocol") and re.search("speaks? TLS", probe.text)


def test_files(shared_etcd, folder):
    etcd = shared_etcd(version="3.5", tls="mutual")
    good = certs(etcd)

    def outcome(**changes):
        probe = call(etcd.endpoints[0], unary=True, **{**good, **changes})
        return probe.outcome, probe.text

    nothing, broken = str(folder / "nothing"), folder / "broken"
    broken.write_text("not PEM")
    for option in "ca", "cert", "key":
        assert outcome(**{option: nothing}) == ("not-found", f"{nothing}: No such file or directory")
        kind, text = outcome(**{option: str(broken)})
        assert kind == "config" and text.startswith(f"{broken}:") and "holds no " in text
        kind, text = outcome(**{option: str(folder)})
        assert kind == "config" and text in (f"{folder}: is a directory, not a file", f"{folder}: not a regular file")
    kind, text = outcome(key=etcd.ca.key("backup"))
    assert kind == "config" and text.endswith(f"this key does not belong to the certificate {good['cert']}")
    locked = str(folder / "locked.key")
    subprocess.run(["openssl", "ec", "-in", good["key"], "-aes128", "-passout", "pass:secret", "-out", locked], check=True,
                   stderr=subprocess.DEVNULL)
    kind, text = outcome(key=locked)
    assert kind == "config" and "the key has a pass phrase" in text


def test_files_are_read_anew(shared_etcd, folder):
    """A certificate that was renewed is used by the next connection, without anything being restarted."""
    etcd = shared_etcd(version="3.5", tls="mutual")
    cert, key = folder / "c.crt", folder / "c.key"
    for client, expected in ("client-alien", "auth"), ("root", "OK"):
        shutil.copy(etcd.ca(client), cert)
        shutil.copy(etcd.ca.key(client), key)
        assert call(etcd.endpoints[0], unary=True, ca=etcd.ca("ca"), cert=cert, key=key).outcome == expected


def test_calls_share_a_connection(shared_etcd):
    etcd = shared_etcd(version="3.5", tls="mutual")
    for way in {}, {"parallel": True}:
        probe = call(etcd.endpoints[0], unary=True, repeat=50, **way, **certs(etcd))
        assert probe.lines.count("done OK") == 50 and sum(line.startswith("ready") for line in probe.lines) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_dialects(shared_etcd, version):
    etcd = shared_etcd(version=version, tls="mutual")
    unknown = call(etcd.endpoints[0], "/etcdserverpb.Maintenance/Nonsense", unary=True, **certs(etcd))
    assert unknown.outcome == "config" and unknown.code == 12 and "grpc-status 12 UNIMPLEMENTED: unknown method" in unknown.text
    # Field 1 of AuthenticateRequest is the name, 2 the password: authentication is off here.
    probe = call(etcd.endpoints[0], "/etcdserverpb.Auth/Authenticate", b"\x0a\x01a\x12\x01b", unary=True, **certs(etcd))
    assert probe.outcome == "config" and probe.code == 9 and "authentication is not enabled" in probe.text


@pytest.mark.parametrize("version", VERSIONS)
def test_token(shared_etcd, version):
    etcd = shared_etcd(version=version, tls="none", auth="password")
    probe = call(etcd.endpoints[0], "/etcdserverpb.Auth/Authenticate", b"\x0a\x04root\x12\x06rootpw", unary=True)
    assert probe.outcome == "OK"
    answer = probe.messages[0]
    at = answer.index(b"\x12", 2 + answer[1])  # behind the header; field 2 is the token
    token = answer[at + 2:at + 2 + answer[at + 1]].decode()
    assert call(etcd.endpoints[0], SNAPSHOT, token=token, count=True).outcome == "OK"
    assert call(etcd.endpoints[0], SNAPSHOT, token="nonsense.1", count=True).outcome != "OK"
    assert call(etcd.endpoints[0], SNAPSHOT, count=True).outcome != "OK"


def open_snapshots(etcd):
    """How many read transactions the snapshots have finished."""
    connection = etcd._connection()  # pylint: disable=protected-access
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(float(re.search(r"^etcd_disk_backend_snapshot_duration_seconds_count (\S+)$", text, re.M).group(1)))


@pytest.fixture(scope="module")
def big_etcd(shared_etcd):
    """With more data than fits into the windows and the sockets' buffers together."""
    made = {}

    def get(tls):
        if tls not in made:
            made[tls] = shared_etcd(version="3.5", tls=tls, members=1)
            if made[tls].filled < 24 * MIB:
                made[tls].fill(24 * MIB, prefix="big")
        return made[tls]

    return get


@pytest.mark.parametrize("tls", ["none", "mutual"])
def test_back_pressure(big_etcd, tls):
    """Nothing is credited: the server stalls at the window. Then it goes on, to the last byte."""
    etcd = big_etcd(tls)
    window = 1 << 20
    probe = Probe(etcd.endpoints[0], SNAPSHOT, hold=True, count=True, window=window,
                  **({} if tls == "none" else certs(etcd)))
    try:
        probe.wait_line("ready")
        wait_for(lambda: held(probe) > window - 64 * 1024, what="the window to be used up")
        probe.signal(signal.SIGUSR1)
        before = int(re.search(r"(\d+) bytes", probe.wait_line("goes on after")).group(1))
        assert window - 64 * 1024 <= before <= window
        probe.wait()
        assert probe.outcome == "OK"
        assert int(probe.wait_line("messages").split()[1]) > 24 * MIB
    finally:
        probe.kill()


def held(probe):
    """Bytes of messages that the probe has been given and does not credit."""
    lines = [line for line in probe.lines if line.startswith("held ")]
    return int(lines[-1].split()[1]) if lines else 0


@pytest.mark.parametrize("tls", ["none", "mutual"])
@pytest.mark.parametrize("way", ["cancel_after", "close_after"])
def test_etcd_is_free_at_once(big_etcd, tls, way):
    """Cancelling, or closing the connection, from within a message ends etcd's read transaction."""
    etcd = big_etcd(tls)
    before = open_snapshots(etcd)
    probe = Probe(etcd.endpoints[0], SNAPSHOT, count=True, linger=way == "cancel_after", **{way: 3},
                  **({} if tls == "none" else certs(etcd)))
    try:
        probe.wait_line("cancelled" if way == "cancel_after" else "closed by us")
        wait_for(lambda: open_snapshots(etcd) > before, what="the read transaction to end")
        # The connection itself was not given up.
        assert probe.process.poll() is None or way == "close_after"
    finally:
        probe.kill()


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_etcd_is_free_at_the_deadline(new_etcd, version):
    """Nobody reads any more and nobody says so, as when a host loses its power: a stopped process for the others."""
    etcd = new_etcd(version=version)
    etcd.fill(24 * MIB)
    before = open_snapshots(etcd)
    probe = Probe(etcd.endpoints[0], SNAPSHOT, hold=True, count=True, deadline=2000)
    try:
        probe.wait_line("held")
        probe.signal(signal.SIGSTOP)
        wait_for(lambda: open_snapshots(etcd) > before, what="the read transaction to end")
        probe.signal(signal.SIGCONT)
        probe.signal(signal.SIGUSR1)  # the status comes behind what etcd had in hand
        probe.wait()
        assert (probe.outcome, probe.code) == ("transient", 4), probe.lines  # DEADLINE_EXCEEDED
    finally:
        probe.signal(signal.SIGCONT)
        probe.kill()


def test_server_killed(new_etcd):
    etcd = new_etcd(version="3.5")
    etcd.fill(24 * MIB)
    probe = Probe(etcd.endpoints[0], SNAPSHOT, hold=True, count=True)
    try:
        wait_for(lambda: held(probe) > MIB // 2)
        etcd.kill("n1")
        probe.wait()
        assert probe.outcome == "transient" and re.search("closed the connection|connection is lost", probe.text)
    finally:
        probe.kill()


def test_server_stops(new_etcd):
    """SIGTERM: etcd says GOAWAY or closes; the call fails, and another may be tried elsewhere."""
    etcd = new_etcd(version="3.5")
    etcd.fill(24 * MIB)
    probe = Probe(etcd.endpoints[0], SNAPSHOT, hold=True, count=True)
    try:
        wait_for(lambda: held(probe) > MIB // 2)
        etcd.signal("n1", signal.SIGTERM)
        probe.wait()
        assert probe.outcome == "transient"
    finally:
        probe.kill()


def test_unix_socket(shared_etcd, folder):
    """etcd's own sockets have odd names; a relay in front of one is as good."""
    etcd = shared_etcd(version="3.5", tls="none")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen()

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def relay():
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", etcd.ports[0]))
        back = threading.Thread(target=pump, args=(far, near))
        back.start()
        pump(near, far)
        back.join()
        near.close()
        far.close()

    thread = threading.Thread(target=relay)
    thread.start()
    assert call(f"unix://{folder}/s", SNAPSHOT, count=True).outcome == "OK"
    thread.join()
    listener.close()
    probe = call(f"unix://{folder}/s", unary=True)
    assert probe.outcome == "transient" and probe.text == f"{folder}/s: cannot connect: connection refused"


def test_second_address(shared_etcd):
    """localhost is ::1 and 127.0.0.1; etcd listens on one of them alone."""
    etcd = shared_etcd(version="3.5", tls="none")
    addresses = {info[4][0] for info in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
    assert "127.0.0.1" in addresses
    assert call(localhost(etcd.endpoints[0]), unary=True).outcome == "OK"


def test_idle_connection_sleeps(shared_etcd, folder):
    """A connection without calls: no system call at all, until the signal that ends it."""
    etcd = shared_etcd(version="3.5", tls="none")
    trace = folder / "trace"
    probe = Probe(etcd.endpoints[0], STATUS, unary=True, linger=True,
                  wrapper=["strace", "-D", "-f", "-qq", "-r", "-o", str(trace), "-e", "trace=epoll_wait,epoll_pwait"])
    try:
        probe.wait_line("done OK")
        wait_for(lambda: re.search(r"epoll_p?wait\(\d+,\s*$|epoll_p?wait\([^)]*$", trace.read_text()), what="it to sleep")
        last = trace.read_text().splitlines()[-1]
        assert re.search(r"epoll_p?wait\(", last)
        wait_for(lambda: stands_still(trace), what="it to stay asleep")
    finally:
        probe.kill()


def stands_still(trace):
    """Whether it does not wake up for half a second."""
    before = trace.stat().st_size
    time.sleep(0.5)
    return trace.stat().st_size == before


def test_usage():
    assert subprocess.run([str(PROGRAM)], stderr=subprocess.DEVNULL, check=False).returncode == 2
    assert servers.HERE.name == "system" and os.access(PROGRAM, os.X_OK)
