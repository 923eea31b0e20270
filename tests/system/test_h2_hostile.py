"""lib/h2 against a peer that breaks the rules of HTTP/2: each ends in one error that names what was wrong."""

import itertools
import socket
import struct

import pytest

from h2_probe import METHOD, answer, call, h2peer, play

Peer, frame, grpc = h2peer.Peer, h2peer.frame, h2peer.grpc


# Header fields.

@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_continuation(pieces):
    def handler(call):
        call.headers([(":status", "200"), ("content-type", "application/grpc")] + [(f"x-{n}", "y" * 100) for n in range(50)],
                     pieces=pieces)
        call.message(b"hello")
        call.trailers(0)
    probe, _ = play(handler)
    assert probe.outcome == "OK"


def endless(call):
    """Fields without end, in CONTINUATION frames."""
    fields = call.conn.encoder.encode([h2peer.hpack.NeverIndexedHeaderTuple("x", "y" * 1000)], huffman=False)
    call.send(h2peer.HEADERS, 0, fields)
    while True:
        call.send(h2peer.CONTINUATION, 0, fields)


def test_endless_headers():
    probe, _ = play(endless)
    assert probe.outcome == "protocol" and probe.text


def test_endless_empty_continuation():
    def handler(call):
        call.send(h2peer.HEADERS, 0, b"")
        while True:
            call.send(h2peer.CONTINUATION, 0, b"")
    probe, _ = play(handler)
    assert probe.outcome == "protocol"


def test_many_headers():
    """All in one frame, within HTTP/2's limits and over ours."""
    def handler(call):
        call.headers([(":status", "200")] + [(f"x-{n}", "y" * 100) for n in range(1000)])
        call.conn.wait_gone()
    probe, _ = play(handler)
    assert probe.outcome == "protocol" and "more than 32768 bytes of header fields" in probe.text


@pytest.mark.parametrize("fields", [
    [("content-type", "application/grpc")], [(":status", "abc")], [(":status", "200"), ("Upper", "x")],
    [(":status", "200"), (":status", "200")], [(":status", "200"), ("connection", "close")], [("x", "y"), (":status", "200")]])
def test_malformed_headers(fields):
    def handler(call):
        call.headers(fields)
        call.wait_for(lambda: call.reset_code is not None or call.conn.gone)
    probe, _ = play(handler)
    assert probe.outcome == "protocol"


# Frames.

def raw(data):
    """A handler that sends these bytes on the connection and waits for its end."""
    def handler(call):
        call.headers()
        call.conn.send(data(call) if callable(data) else data)
        call.conn.wait_gone()
    return handler


@pytest.mark.parametrize("data", [
    frame(h2peer.DATA, 0, 0, b"x"),                                     # DATA on stream 0
    frame(h2peer.DATA, 0, 7, b"x"),                                     # ... on one that was never opened
    frame(h2peer.HEADERS, 4, 2, b"\x88"),                               # a stream of the server's own
    frame(h2peer.PUSH_PROMISE, 4, 1, struct.pack(">I", 2) + b"\x82"),   # which we have forbidden
    frame(h2peer.SETTINGS, 0, 0, b"12345"),                             # of an impossible length
    frame(h2peer.SETTINGS, 0, 1, b""),                                  # on a stream
    frame(h2peer.SETTINGS, 0, 0, struct.pack(">HI", h2peer.INITIAL_WINDOW_SIZE, 0xffffffff)),
    frame(h2peer.SETTINGS, 0, 0, struct.pack(">HI", h2peer.MAX_FRAME_SIZE, 1)),
    frame(h2peer.SETTINGS, 0, 0, struct.pack(">HI", 9, 1) * 10000),     # huge
    frame(h2peer.PING, 0, 0, b"1234567"),
    frame(h2peer.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0)),
    frame(h2peer.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fffffff)) * 2,
    frame(h2peer.CONTINUATION, 4, 1, b""),
    frame(h2peer.GOAWAY, 0, 0, b"1234"),
    frame(h2peer.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),   # what HPACK cannot decode
    frame(h2peer.DATA, 8, 1, bytes([200, 1, 2])),                       # more padding than frame
    frame(h2peer.DATA, 0, 1, b"", length=(1 << 20) + 1),                # longer than we allowed
], ids=itertools.count())
def test_broken_rules(data):
    probe, _ = play(raw(data))
    assert probe.outcome == "protocol" and "the server broke HTTP/2: " in probe.text


def test_unknown_frames_are_ignored():
    def handler(call):
        call.conn.send(frame(0xbb, 0xff, 0, b"x" * 10000) + frame(0xbb, 0xff, 1, b""))
        call.conn.send_settings({0x9999: 7})
        answer(b"hello")(call)
    probe, _ = play(handler)
    assert probe.outcome == "OK"


@pytest.mark.parametrize("flood", ["ping", "settings"])
def test_floods(flood):
    """More than anybody could acknowledge, without reading what comes back."""
    def handler(call):
        data = frame(h2peer.PING, 0, 0, b"12345678") if flood == "ping" else frame(h2peer.SETTINGS, 0, 0)
        while True:
            call.conn.send(data * 1000)
    # In one segment after the other; the acknowledgements that wait are limited, or the peer's own buffers are.
    with Peer({METHOD: handler}, ack_settings=False) as peer:
        peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        probe = call(peer.endpoint, METHOD, timeout=3000)
    assert probe.outcome in ("protocol", "transient")


def test_window_overflow():
    """More DATA than the window of the stream and of the connection."""
    def handler(call):
        call.headers()
        call.data(grpc(b"x" * 400000), force=True)
        call.conn.wait_gone()
    probe, _ = play(handler, window=65535, hold=True, count=True)
    assert probe.outcome == "protocol" and probe.text


def test_credit_is_not_given_for_what_waits():
    """Half a message in the window is not the receiver's fault: it is credited, or a message longer than it never comes."""
    probe, _ = play(answer(b"x" * 300000, b"y"), window=65535, count=True)
    assert probe.outcome == "OK" and probe.wait_line("messages") == "2 300001"


def test_message_longer_than_the_window_with_manual_credit():
    """It could never arrive."""
    probe, _ = play(answer(b"x" * 65531), window=65535, count=True, manual=True)
    assert probe.outcome == "protocol" and "gRPC message of 65531 bytes, more than the 65530 allowed" in probe.text
    probe, _ = play(answer(b"x" * 65530, b"y"), window=65535, count=True, manual=True)
    assert probe.outcome == "OK" and probe.wait_line("messages") == "2 65531"
