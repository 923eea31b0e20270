"""lib/h2: how a call can end, against a scripted peer: each way is told with its cause, and none is mistaken for success."""

import pytest

from h2_probe import METHOD, Probe, answer, h2peer, play

Peer, grpc = h2peer.Peer, h2peer.grpc


@pytest.mark.parametrize("status, kind, name", [
    (1, "transient", "CANCELLED"), (2, "transient", "UNKNOWN"), (3, "config", "INVALID_ARGUMENT"),
    (4, "transient", "DEADLINE_EXCEEDED"), (7, "auth", "PERMISSION_DENIED"), (8, "transient", "RESOURCE_EXHAUSTED"),
    (9, "config", "FAILED_PRECONDITION"), (12, "config", "UNIMPLEMENTED"), (13, "transient", "INTERNAL"),
    (14, "transient", "UNAVAILABLE"), (15, "transient", "DATA_LOSS"), (16, "auth", "UNAUTHENTICATED")])
@pytest.mark.parametrize("shape", ["one block", "two blocks", "after a message"])
def test_status(status, kind, name, shape):
    def handler(call):
        if shape == "one block":
            call.trailers_only(status, "caf%C3%A9 100%25 %zz %")
            return
        call.headers()
        if shape == "after a message":
            call.message(b"hello")
        call.trailers(status, "caf%C3%A9 100%25 %zz %")

    probe, _ = play(handler, unary=shape == "after a message")
    assert probe.outcome == kind and probe.code == status
    assert probe.text == f"grpc-status {status} {name}: café 100% %zz %"
    assert probe.messages == ([b"hello"] if shape == "after a message" else [])


@pytest.mark.parametrize("status", ["17", "-1", "abc", "", "99999999999999999999"])
def test_nonsense_for_a_status(status):
    def handler(call):
        call.headers()
        call.trailers(status, "m")
    probe, _ = play(handler)
    assert probe.outcome == "transient" and "UNKNOWN: m" in probe.text


def test_message_with_control_characters():
    probe, _ = play(lambda call: call.trailers_only(13, "a%0Ab%1B[31m%00c"))
    assert probe.text == "grpc-status 13 INTERNAL: a?b?[31m?c"


def test_long_message():
    probe, _ = play(lambda call: call.trailers_only(13, "x" * 8000))
    assert probe.outcome == "transient" and probe.text.startswith("grpc-status 13 INTERNAL: xxx") and len(probe.text) < 512


@pytest.mark.parametrize("http, kind, code", [
    ("400", "transient", 13), ("401", "auth", 16), ("403", "auth", 7), ("404", "config", 12), ("429", "transient", 14),
    ("502", "transient", 14), ("503", "transient", 14), ("504", "transient", 14), ("500", "transient", 2)])
@pytest.mark.parametrize("body", [b"", b"<html>upstream is gone</html>"])
def test_http_status(http, kind, code, body):
    """From a proxy in between, not from gRPC."""
    def handler(call):
        call.headers([(":status", http), ("content-type", "text/html")], end=not body)
        if body:
            call.data(body, end=True)
    probe, _ = play(handler)
    assert (probe.outcome, probe.code) == (kind, code) and probe.text == f"HTTP {http} without grpc-status"


def test_not_grpc():
    def handler(call):
        call.headers([(":status", "200"), ("content-type", "text/html")])
        call.data(b"<html>", end=True)
    probe, _ = play(handler)
    assert probe.outcome == "protocol" and "not gRPC but 'text/html'" in probe.text


def test_informational_headers_come_first():
    def handler(call):
        call.headers([(":status", "103"), ("link", "x")])
        answer(b"hello")(call)
    probe, _ = play(handler)
    assert probe.outcome == "OK" and probe.messages == [b"hello"]


def test_missing_trailers():
    def handler(call):
        call.headers()
        call.message(b"hello", end=True)
    probe, _ = play(handler)
    assert probe.outcome == "transient" and "ended the call without grpc-status" in probe.text and probe.messages == [b"hello"]


def test_status_too_early():
    """A status in headers that do not end the stream says nothing about how it ends."""
    def handler(call):
        call.headers([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")])
        call.message(b"half", end=True)
    probe, _ = play(handler)
    assert probe.outcome == "transient" and "without grpc-status" in probe.text


def test_trailers_without_status():
    def handler(call):
        call.headers()
        call.trailers(None, more=[("x", "y")])
    probe, _ = play(handler)
    assert probe.outcome == "transient" and "without grpc-status" in probe.text


def test_trailers_that_do_not_end():
    def handler(call):
        call.headers()
        call.message(b"hello")
        call.headers([("grpc-status", "0")])
    probe, _ = play(handler)
    assert probe.outcome == "protocol"


@pytest.mark.parametrize("cut", range(1, 9))
def test_end_within_a_message(cut):
    def handler(call):
        call.headers()
        call.data(grpc(b"four")[:cut])
        call.trailers(0)
    probe, _ = play(handler)
    assert probe.outcome == "protocol" and "ended within a message" in probe.text


def test_unary_without_message():
    probe, _ = play(answer(), unary=True)
    assert probe.outcome == "protocol" and "grpc-status OK without an answer" in probe.text


def test_unary_with_two_messages():
    probe, peer = play(answer(b"1", b"2"), unary=True)
    assert probe.outcome == "protocol" and "more than one message" in probe.text and probe.messages == [b"1"]


@pytest.mark.parametrize("code, kind, name", [
    (h2peer.NO_ERROR, "transient", "NO_ERROR"), (h2peer.INTERNAL_ERROR, "transient", "INTERNAL_ERROR"),
    (h2peer.REFUSED_STREAM, "transient", "REFUSED_STREAM"), (h2peer.CANCEL, "transient", "CANCEL"),
    (h2peer.ENHANCE_YOUR_CALM, "transient", "ENHANCE_YOUR_CALM"), (h2peer.PROTOCOL_ERROR, "protocol", "PROTOCOL_ERROR"),
    (h2peer.INADEQUATE_SECURITY, "config", "INADEQUATE_SECURITY"), (0x1234, "transient", "unknown")])
@pytest.mark.parametrize("when", ["at once", "after headers", "after a message"])
def test_reset(code, kind, name, when):
    def handler(call):
        if when != "at once":
            call.headers()
        if when == "after a message":
            call.message(b"hello")
        call.reset(code)
    probe, _ = play(handler)
    assert probe.outcome == kind and probe.code == code and f"the stream was reset: {name}" in probe.text


def test_reset_after_the_end_is_nothing():
    def handler(call):
        answer(b"hello")(call)
        call.reset(h2peer.NO_ERROR)
    probe, _ = play(handler, repeat=3)
    assert probe.lines.count("done OK") == 3


def test_end_before_the_request_was_taken():
    """An early refusal: the rest of the request is not sent, and the connection stays usable."""
    # A window of nothing: the request cannot be sent.
    with Peer({}, settings={h2peer.INITIAL_WINDOW_SIZE: 0}) as peer:
        probe = Probe(peer.endpoint, METHOD, b"x" * 100)
        conn = peer.connection()
        conn.wait_frame(h2peer.HEADERS)
        conn.calls[1].trailers_only(7, "no")
        probe.wait()
        assert probe.outcome == "auth"
        assert peer.calls[0].wait_reset() == h2peer.NO_ERROR
