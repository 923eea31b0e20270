"""lib/h2: the life of a connection, against a scripted peer: silence, loss, GOAWAY, PING."""

import queue
import re
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from h2_probe import METHOD, Probe, answer, call, h2peer, play
from servers import wait_for

Peer, grpc = h2peer.Peer, h2peer.grpc


@pytest.mark.parametrize("when", ["instead of settings", "with settings"])
def test_goaway_before(when):
    def greet(conn):
        # In one piece: between two the client would begin its call, and that be answered.
        settings = h2peer.frame(h2peer.SETTINGS, 0, 0) if when == "with settings" else b""
        why = struct.pack(">II", 0, h2peer.ENHANCE_YOUR_CALM) + b"too_many_pings"
        conn.send(settings + h2peer.frame(h2peer.GOAWAY, 0, 0, why))
    probe, _ = play(answer(b""), greet=greet)
    if when == "with settings":
        assert probe.outcome == "transient" and probe.text.endswith("going away: ENHANCE_YOUR_CALM: too_many_pings")
    else:
        assert probe.outcome == "protocol"


def test_goaway_spares_the_call():
    """A server that stops in good order: what it has taken on it finishes."""
    def handler(call):
        call.headers()
        call.conn.goaway(call.stream, h2peer.NO_ERROR, b"max_age")
        call.message(b"hello")
        call.trailers(0)
    probe, _ = play(handler, linger=True)
    assert "done OK" in probe.lines
    assert probe.outcome == "transient" and probe.text.endswith("the server is going away: NO_ERROR: max_age")


def test_goaway_in_two_steps():
    """As Go's servers do it: the largest number first, then the real one."""
    def handler(call):
        call.headers()
        call.conn.goaway()
        call.conn.ping()
        call.conn.wait_frame(h2peer.PING, ack=True)
        call.conn.goaway(call.stream)
        call.message(b"hello")
        call.trailers(0)
    probe, _ = play(handler)
    assert probe.outcome == "OK"


def test_goaway_takes_the_call():
    """Above the last stream it says: it was not processed, and can be tried elsewhere."""
    def handler(call):
        call.headers()
        call.message(b"hello")
        call.conn.goaway(0, h2peer.NO_ERROR, b"bye")
    probe, _ = play(handler, linger=True)
    assert any(line.startswith("done transient") for line in probe.lines) and probe.messages == [b"hello"]
    assert probe.outcome == "transient" and "the server is going away: NO_ERROR: bye" in probe.text


def test_no_call_after_goaway():
    def handler(call):
        call.headers()
        call.message(b"hello")
        call.conn.goaway(call.stream)
        call.trailers(0)
    probe, peer = play(handler, repeat=2)
    assert len(peer.calls) == 1 and "not started transient" in " ".join(probe.lines)


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("when", ["before headers", "within a message"])
def test_connection_lost(how, when):
    def handler(call):
        if when == "within a message":
            call.headers()
            call.data(grpc(b"hello")[:7])
        getattr(call.conn, how)()
    probe, peer = play(handler, linger=True)
    words = "the server closed the connection" if how == "close" else "the connection is lost: connection reset by peer"
    assert [line.split(" ")[:2] for line in probe.lines[1:]] == [["done", "transient"], ["closed", "transient"]]
    assert probe.outcome == "transient" and probe.text == f"127.0.0.1:{peer.port}: {words}"


def test_a_reset_behind_data():
    """What arrived before it is read in the same breath; libuv then says that this was the end."""
    started = queue.Queue()

    def handler(call):
        probe = started.get()
        probe.signal(signal.SIGSTOP)
        wait_for(lambda: "State:\tT" in Path(f"/proc/{probe.process.pid}/status").read_text())
        call.headers()
        call.data(grpc(b"hello")[:7])
        call.conn.abort()
        wait_for(lambda: call.conn.sock.fileno() == -1)
        probe.signal(signal.SIGCONT)

    with h2peer.Peer({METHOD: handler}) as peer:
        probe = Probe(peer.endpoint, METHOD, linger=True)
        started.put(probe)
        probe.wait()
    assert [line.split(" ")[:2] for line in probe.lines[1:]] == [["done", "transient"], ["closed", "transient"]]
    assert probe.text == f"127.0.0.1:{peer.port}: the connection is lost: connection reset by peer"


def test_silence_before_headers():
    """The call's own patience ends it, and the connection goes on."""
    def handler(call):
        if len(call.conn.calls) == 1:
            assert call.wait_reset() == h2peer.CANCEL
        else:
            answer(b"hello")(call)
    probe, _ = play(handler, timeout=3000, repeat=2)
    assert any(line.startswith("done transient") and line.endswith("no answer within 3 s") for line in probe.lines)
    assert probe.outcome == "OK"


def test_silence_before_settings():
    probe, peer = play(answer(b""), greet=lambda conn: conn.wait_gone(), connect_timeout=3000)
    assert probe.outcome == "transient"
    assert probe.text == f"127.0.0.1:{peer.port}: no connection within 3 s: waiting for HTTP/2 SETTINGS took too long"


def silent(sock):
    while sock.recv(65536):
        pass


def test_silence_in_the_handshake(ca):
    probe = None
    with Peer(accept=silent) as peer:
        probe = call(peer.endpoint.replace("http:", "https:"), METHOD, ca=ca("ca"), connect_timeout=3000)
    assert probe.outcome == "transient" and probe.text.endswith("no connection within 3 s: the TLS handshake took too long")


def test_silence_while_connecting():
    """A listener that is full: the kernel drops what comes."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    try:
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        probe = call(f"http://127.0.0.1:{listener.getsockname()[1]}", METHOD, connect_timeout=3000)
        assert probe.outcome == "transient" and probe.text.endswith("no connection within 3 s: connecting took too long")
    finally:
        for sock in [*waiting, listener]:
            sock.close()


def test_ping_is_answered():
    def handler(call):
        call.conn.ping(b"abcdefgh")
        assert call.conn.wait_frame(h2peer.PING, ack=True).payload == b"abcdefgh"
        answer(b"hello")(call)
    probe, _ = play(handler)
    assert probe.outcome == "OK"


def test_dead_peer():
    """Silence with a call open: after a while a PING, and when that is not answered either, the end. No second PING."""
    def handler(call):
        call.headers()
        call.message(b"hello")
        call.conn.wait_gone()
    start = time.monotonic()
    probe, peer = play(handler, ack_pings=False, connect_timeout=5000, quiet=1000, linger=True)
    over = time.monotonic()
    silent_for = float(re.search(r"the server gave no sign of life for ([0-9.]+) s$", probe.text)[1])
    assert probe.outcome == "transient" and 6 <= silent_for <= over - start
    pings = [f for f in peer.connections[0].frames if f.type == h2peer.PING]
    # It had 5 s left for an answer, of which this side may have needed 4 to read it.
    assert len(pings) == 1 and start + 1 <= pings[0].when <= over - 1


def test_quiet_peer():
    """One that answers PINGs may think as long as it likes."""
    def handler(call):
        call.headers()
        call.conn.wait_frame(h2peer.PING, count=3)
        call.message(b"hello")
        call.trailers(0)
    probe, _ = play(handler, quiet=50, connect_timeout=10000)
    assert probe.outcome == "OK"


def test_no_ping_without_calls():
    """... but nobody asks one that has nothing to do."""
    def asked(conn, nth):
        """So often by now: the answer to a PING of ours comes behind all that the client had sent."""
        conn.ping()
        conn.wait_frame(h2peer.PING, ack=True, count=nth)
        return len([f for f in conn.frames if f.type == h2peer.PING and not f.flags & h2peer.ACK])

    with Peer({METHOD: answer(b"hello")}) as peer:
        probe = Probe(peer.endpoint, METHOD, quiet=20, linger=True)
        try:
            probe.wait_line("done OK")
            before = asked(peer.connection(), 1)
            time.sleep(0.2)
            assert asked(peer.connection(), 2) == before
        finally:
            probe.kill()


def test_garbage():
    for data in b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 100, bytes(range(256)), b"\xff" * 1000:
        def accept(sock, data=data):
            sock.sendall(data)
            silent(sock)
        probe = None
        with Peer(accept=accept) as peer:
            probe = call(peer.endpoint, METHOD, connect_timeout=300)
        assert probe.outcome in ("protocol", "transient") and probe.text


@pytest.mark.parametrize("said, words", [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server speaks HTTP/1 on this port, not HTTP/2"),
    (b"\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS on this port"),
])
def test_another_protocol(said, words):
    def accept(sock):
        sock.recv(100)
        sock.sendall(said)
        silent(sock)
    with Peer(accept=accept) as peer:
        probe = call(peer.endpoint, METHOD)
    assert probe.outcome == "protocol" and words in probe.text


@pytest.mark.parametrize("way", ["cancel_after", "close_after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_ending_it_within_a_message(way, number):
    """Several messages in one segment: after the call is cancelled or the connection closed in the middle, nothing comes."""
    def handler(call):
        call.headers()
        call.data(b"".join(grpc(bytes([n])) for n in range(4)))
        call.wait_for(lambda: call.reset_code == h2peer.CANCEL)
    probe, _ = play(handler, **{way: number})
    assert len(probe.messages) == number and not any(line.startswith("done") for line in probe.lines)


def test_parallel_calls_fail_together():
    calls, lock = [], threading.Lock()

    def handler(call):
        call.headers()
        with lock:
            calls.append(call)
            is_last = len(calls) == 20
        if is_last:
            call.conn.abort()
    probe, _ = play(handler, repeat=20, parallel=True, linger=True)
    assert sum(line.startswith("done transient") for line in probe.lines) == 20
    assert probe.lines[-1].startswith("closed transient")


def test_limited_streams():
    """The server allows one call at a time: the others wait."""
    probe, peer = play(answer(b"hello"), settings={h2peer.MAX_CONCURRENT_STREAMS: 1}, repeat=20, parallel=True)
    assert probe.lines.count("done OK") == 20
