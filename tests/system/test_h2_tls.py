"""lib/h2: TLS against a scripted peer, for what a real etcd cannot be made to do."""

import re
import socket
import ssl
import threading

import pytest

from h2_probe import METHOD, answer, call, h2peer, play

Peer, grpc = h2peer.Peer, h2peer.grpc


def tls(ca, cert="server", **options):
    return h2peer.tls_context(ca(cert), ca.key(cert), **options)


def test_tls(ca):
    probe, _ = play(answer(b"x" * 3000000), tls=tls(ca), ca=ca("ca"), count=True)
    assert probe.outcome == "OK" and probe.lines[0].startswith("ready TLSv1.")


@pytest.mark.parametrize("alpn", [None, ["http/1.1"]])
def test_no_alpn(ca, alpn):
    probe, _ = play(answer(b""), tls=tls(ca, alpn=alpn), ca=ca("ca"))
    assert probe.outcome == "protocol" and "does not offer HTTP/2 (ALPN)" in probe.text


@pytest.mark.parametrize("suites, outcome, words", [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "OK", "AES-256-GCM"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "OK", "AES-128-GCM"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "OK", "CHACHA20"),
    ("ECDHE-ECDSA-AES128-SHA256", "config", "takes none of our cipher suites"),
])
def test_cipher_suites(ca, suites, outcome, words):
    context = tls(ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    probe, _ = play(answer(b"x" * 100000), tls=context, ca=ca("ca"), count=True)
    assert probe.outcome == outcome and words in (probe.lines[0] if outcome == "OK" else probe.text)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls(ca):
    context = tls(ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    probe, _ = play(answer(b""), tls=context, ca=ca("ca"))
    assert probe.outcome == "config" and re.search("TLS version|none of our cipher suites", probe.text)


def test_cut_in_tls(ca):
    """The TCP connection ends without TLS' goodbye in the middle of a message: a failure, never an end."""
    def handler(call):
        call.headers()
        call.data(grpc(b"hello")[:7])
        call.conn.abort()
    probe, _ = play(handler, tls=tls(ca), ca=ca("ca"))
    assert probe.outcome == "transient"


def test_damaged_record(ca):
    """A byte changed on the way: TLS notices."""
    def damage(source, sink):
        seen = 0
        try:
            while data := source.recv(65536):
                seen += len(data)
                if seen > 100000:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for sock in source, sink:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    with Peer({METHOD: answer(b"x" * 3000000)}, tls=tls(ca)) as peer:
        def accept(sock):
            far = socket.create_connection(("127.0.0.1", peer.port))
            there = threading.Thread(target=_forward, args=(sock, far))
            there.start()
            damage(far, sock)
            there.join()
            far.close()

        with Peer(accept=accept) as between:
            probe = call(between.endpoint.replace("http:", "https:"), METHOD, ca=ca("ca"), count=True)
    assert probe.outcome == "protocol" and "TLS failed" in probe.text


def _forward(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass


def test_unix_socket_with_tls(ca, folder):
    with Peer({METHOD: answer(b"hello")}, tls=tls(ca), unix=folder / "socket") as peer:
        probe = call(peer.endpoint, METHOD, ca=ca("ca"))
        assert probe.outcome == "OK" and peer.calls[0].fields[":authority"] == "localhost"
