"""lib/h2: what a call asks, and messages in every shape, against a scripted peer (tests/peer)."""

import struct

import pytest

from h2_probe import METHOD, answer, call, h2peer, play

Peer, grpc = h2peer.Peer, h2peer.grpc


# What is asked.

def test_request():
    """The request as PROTOCOL-HTTP2.md wants it."""
    probe, peer = play(answer(b"yes"), unary=True, timeout=20000, token="a-secret-token", request=b"\x01\x02\x03")
    assert probe.outcome == "OK" and probe.messages == [b"yes"]
    asked = peer.calls[0]
    assert asked.fields == {
        ":method": "POST", ":scheme": "http", ":path": METHOD, ":authority": f"127.0.0.1:{peer.port}", "grpc-timeout": "20000m",
        "content-type": "application/grpc", "te": "trailers", "user-agent": "etcd-backupd", "token": "a-secret-token"}
    assert asked.messages == [b"\x01\x02\x03"] and asked.request == grpc(b"\x01\x02\x03")
    conn = peer.connections[0]
    assert conn.settings[h2peer.ENABLE_PUSH] == 0 and conn.settings[h2peer.INITIAL_WINDOW_SIZE] == 1 << 20


def test_token_is_never_indexed():
    """HPACK: a token is a literal that no intermediary may put into its table (0001xxxx, RFC 7541, 6.2.3)."""
    _, peer = play(answer(b""), unary=True, token="T" * 40)
    block = next(f.payload for f in peer.connections[0].frames if f.type == h2peer.HEADERS)
    names = []

    class Decoder(h2peer.hpack.Decoder):
        def _decode_literal_no_index(self, data):
            field, consumed = super()._decode_literal_no_index(data)
            names.append((field[0], data[0] & 0xf0))
            return field, consumed

    Decoder().decode(block)
    assert (b"token", 0x10) in names


def test_stream_has_the_deadline_that_it_is_given():
    """And no other: the time-out is between messages."""
    _, peer = play(answer(b"1", b"2"), timeout=20000)
    assert "grpc-timeout" not in peer.calls[0].fields
    _, peer = play(answer(b"1", b"2"), timeout=20000, deadline=3600000)
    assert peer.calls[0].fields["grpc-timeout"] == "3600000m"


def test_nothing_is_asked_before_settings():
    def greet(conn):
        conn.wait_frame(h2peer.SETTINGS)
        assert not conn.calls
        conn.close()
    probe, peer = play(answer(b""), greet=greet)
    assert probe.outcome == "transient" and "the server closed the connection" in probe.text and not peer.calls


# Pieces.

@pytest.mark.parametrize("piece", [1, 4, 5, 6, 7, 16384])
def test_cut_anywhere(piece):
    messages = [b"", b"a", b"hello", b"", bytes(range(256)) * 3]

    def handler(call):
        call.headers()
        call.data(b"".join(map(grpc, messages)), piece=piece)
        call.trailers(0)

    probe, _ = play(handler)
    assert probe.outcome == "OK" and probe.messages == messages


def test_empty_and_padded_frames():
    def handler(call):
        call.headers()
        for _ in range(100):
            call.send(h2peer.DATA)
        data = grpc(b"hello")
        call.send(h2peer.DATA, h2peer.PADDED, bytes([10]) + data[:4] + bytes(10))
        call.send(h2peer.DATA, h2peer.PADDED, bytes([0]) + data[4:])
        call.trailers(0)

    probe, _ = play(handler)
    assert probe.outcome == "OK" and probe.messages == [b"hello"]


def test_all_at_once():
    """Headers, message, trailers and GOAWAY in a single segment."""
    def handler(call):
        conn = call.conn
        sent = []
        real, conn.send = conn.send, sent.append
        call.headers()
        call.message(b"hello")
        call.trailers(0)
        conn.goaway(call.stream)
        conn.send = real
        conn.send(b"".join(sent))

    probe, _ = play(handler)
    assert probe.outcome == "OK" and probe.messages == [b"hello"]


def test_windows():
    """More than the windows hold, to the last byte, with credit in batches of half a window."""
    window, size = 1 << 17, 3 << 20
    probe, peer = play(answer(*[b"x" * 32768] * (size // 32768)), window=window, count=True)
    assert probe.outcome == "OK" and probe.wait_line("messages") == f"{size // 32768} {size}"
    updates = [f for f in peer.connections[0].frames if f.type == h2peer.WINDOW_UPDATE]
    assert len(updates) <= 2 * 2 * size // window + 2
    # All of it is credited to the connection in the end: another call finds the whole window, less than half of it missing.
    total = sum(struct.unpack(">I", f.payload)[0] for f in updates if f.stream == 0)
    assert total + 65535 - (size + 5 * size // 32768) >= window // 2


def test_credit_of_cancelled_calls_comes_back():
    """Calls that are cancelled with bytes in the window do not use it up for those after them."""
    window = 1 << 17

    def handler(call):
        call.headers()
        if len(call.conn.calls) <= 4:
            call.message(b"x" * (window // 2 + 1000))
            call.wait_reset()
        else:
            call.message(b"last")
            call.trailers(0)

    with Peer({METHOD: handler}) as peer:
        # Four calls time out with half a window of a message that has not been credited: two windows in all.
        probe = call(peer.endpoint, METHOD, hold=True, window=window, repeat=5, timeout=3000, count=True)
        assert probe.outcome == "OK"
        assert [c.reset_code for c in peer.calls[:4]] == [h2peer.CANCEL] * 4


# Framing.

def test_compressed():
    def handler(call):
        call.headers()
        call.message(b"hello", flag=1)
        call.wait_reset()
    probe, peer = play(handler)
    assert probe.outcome == "protocol" and "compressed message" in probe.text
    assert peer.calls[0].reset_code == h2peer.CANCEL


def test_unknown_flag():
    def handler(call):
        call.headers()
        call.message(b"hello", flag=0x80)
        call.wait_reset()
    probe, _ = play(handler)
    assert probe.outcome == "protocol" and "unknown flags 0x80" in probe.text


@pytest.mark.parametrize("length", [1001, 1 << 20, 0xffffffff])
def test_message_over_the_limit(length):
    def handler(call):
        call.headers()
        call.message(b"x", length=length)
        call.wait_reset()
    probe, peer = play(handler, limit=1000)
    assert probe.outcome == "protocol" and f"gRPC message of {length} bytes, more than the 1000 allowed" in probe.text


def test_message_at_the_limit():
    probe, _ = play(answer(b"x" * 1000), limit=1000)
    assert probe.outcome == "OK"


def test_length_prefix_promises_more():
    def handler(call):
        call.headers()
        call.message(b"x" * 10, length=1000)
        call.trailers(0)
    probe, _ = play(handler)
    assert probe.outcome == "protocol" and "ended within a message" in probe.text


def test_length_prefix_promises_less():
    """What follows is then taken for the next message's prefix."""
    def handler(call):
        call.headers()
        call.message(b"abc" + b"\x63\0\0\0\0", length=3)
        call.wait_reset()
    probe, _ = play(handler)
    assert probe.outcome == "protocol" and probe.messages == [b"abc"] and "unknown flags 0x63" in probe.text
