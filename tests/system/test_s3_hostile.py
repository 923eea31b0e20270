"""lib/s3/request.h against a scripted peer: what no real store does in a test, and what one should never do."""

import base64
import hashlib
import os
import re
import signal
import socket
import statistics
import struct
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from s3_probe import S3, UNORDERED, Gone, Peer, failed, is_body, seconds_told
from s3_proxy import error
from servers import state_of, wait_for

MIB = 1 << 20


def forever(script):
    """A script that answers every request of a connection by script(connection, request)."""
    def run(connection):
        while True:
            script(connection, connection.request())
    return run


def date(**offset):
    return format_datetime(datetime.now(timezone.utc) + timedelta(**offset), usegmt=True)


def amz_time(request):
    return datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def skew_of(request):
    return (amz_time(request) - datetime.now(timezone.utc)).total_seconds()


# A bucket whose objects come under retention by default

WANTS_MD5 = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"


@pytest.mark.parametrize("code, message", [("InvalidRequest", WANTS_MD5), ("MissingContentMD5", "m")])
def test_md5_for_who_wants_it(folder, code, message):
    """Sent again at once, and with all that is put from then on; nobody else is told one."""
    def script(connection, request):
        if request.method == "PUT" and "content-md5" not in request.headers:
            connection.answer(400, error(code, message))
        else:
            connection.answer(200, b"", etag='"e"')

    (folder / "file").write_bytes(os.urandom(100000))
    md5 = base64.b64encode(hashlib.md5((folder / "file").read_bytes()).digest()).decode()
    with Peer(forever(script)) as peer, S3(peer.url, attempts=1) as s3:
        assert s3("put", "k", folder / "file")["attempts"] == 2
        assert s3("put", "k", folder / "file")["attempts"] == 1
        assert s3("head", "k")["attempts"] == s3("create", "k")["attempts"] == 1
        assert [r.headers.get("content-md5") for r in peer.requests] == [None, md5, md5, None, None]
        assert all("content-md5" in r.headers["authorization"] for r in peer.requests[1:3])


@pytest.mark.parametrize("code, message, status, requests", [
    ("InvalidRequest", WANTS_MD5, 400, 2), ("InvalidRequest", "m", 400, 1), ("InvalidDigest", WANTS_MD5, 400, 1),
    ("MissingContentMD5", "m", 403, 1),
])
def test_md5_that_does_not_help(folder, code, message, status, requests):
    (folder / "file").write_bytes(b"here")
    with Peer(forever(lambda c, r: c.answer(status, error(code, message)))) as peer, S3(peer.url) as s3:
        event = s3("put", "k", folder / "file")
        assert event["event"] == "failed" and f"HTTP {status} {code}: {message}" in event["text"], event
        assert len(peer.requests) == requests


def test_nobody_learns_from_a_get():
    with Peer(forever(lambda c, r: c.answer(400, error("InvalidRequest", WANTS_MD5)))) as peer, S3(peer.url) as s3:
        failed(s3("get", "k", 9), "config", f"HTTP 400 InvalidRequest: {WANTS_MD5}")
        assert len(peer.requests) == 1


# The clock


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_skewed_clock_is_corrected(hours):
    def script(connection, request):
        if abs(skew_of(request) - 3600 * hours) < 60:
            connection.answer(200, b"here", date=date(hours=hours))
        else:
            connection.answer(403, error("RequestTimeTooSkewed"), date=date(hours=hours))

    with Peer(forever(script)) as peer, S3(peer.url, attempts=1) as s3:
        done = s3("get", "object", 100)
        assert done["event"] == "done" and done["attempts"] == 2
        assert abs(s3("look")["skew"] - 3600 * hours) < 60
        assert s3("get", "object", 100)["attempts"] == 1  # and stays corrected
        # The day is part of the signature's scope.
        last = peer.requests[-1]
        assert amz_time(last).strftime("%Y%m%d") in last.headers["authorization"]


def test_skewed_clock_of_a_head():
    """HEAD has no <Error>: a 403 from a server whose clock is far from ours is taken for that, once."""
    def script(connection, request):
        connection.answer(200 if skew_of(request) > 3000 else 403, date=date(hours=1))

    with Peer(forever(script)) as peer, S3(peer.url) as s3:
        assert s3("head", "object")["attempts"] == 2


def test_correct_clock_is_not_the_reason():
    with Peer(forever(lambda c, r: c.answer(403, date=date()))) as peer, S3(peer.url) as s3:
        failed(s3("head", "object"), "auth", f"HTTP 403 Forbidden from 127.0.0.1:{peer.port}")
        assert len(peer.requests) == 1


def test_clock_that_pleases_nobody():
    def script(connection, request):
        connection.answer(403, error("RequestTimeTooSkewed"), date=date(hours=1 + len(peer.requests)))

    with Peer(forever(script)) as peer, S3(peer.url) as s3:
        failed(s3("get", "object", 10), "auth", "HTTP 403 RequestTimeTooSkewed: m (2 attempts over 0 s)")


def test_all_that_are_in_flight_are_corrected():
    def script(connection, request):
        peer.wait_requests(4)
        ok = skew_of(request) > 3000
        connection.answer(200 if ok else 403, b"" if ok else error("RequestTimeTooSkewed"), date=date(hours=1))

    with Peer(forever(script)) as peer, S3(peer.url, connections=4) as s3:
        last = s3.start(*(["get", f"object-{n}", 10] for n in range(4)))
        assert [s3.wait(n + 1)["event"] for n in range(last)] == ["done"] * 4


# Credentials


def test_credentials_are_read_for_each_attempt(folder):
    """They change while the store is overloaded: the next attempt is signed by the new ones, with their token."""
    file = folder / "credentials"
    file.write_text("first\nsecret1\n")

    def script(connection, request):
        if len(peer.requests) < 3:
            file.write_text(f"access{len(peer.requests)}\nsecret\ntoken{len(peer.requests)}\n")
            connection.answer(503, error("SlowDown"))
        else:
            connection.answer(200)

    with Peer(forever(script)) as peer, S3(peer.url, credentials=file) as s3:
        assert s3("head", "object")["attempts"] == 3
        keys = [re.search("Credential=([^/]*)/", r.headers["authorization"]).group(1) for r in peer.requests]
        assert keys == ["first", "access1", "access2"]
        assert [r.headers.get("x-amz-security-token") for r in peer.requests] == [None, "token1", "token2"]
        assert "x-amz-security-token" in peer.requests[2].headers["authorization"]


def test_secrets_are_not_repeated(folder):
    """A server that quotes what we sent: neither the token nor the signature gets into an error."""
    (folder / "credentials").write_text("key\nsecret\nsession-token-of-some-length\n")

    def script(connection, request):
        words = request.headers["x-amz-security-token"]
        if len(peer.requests) > 1:
            words = request.headers["authorization"]
        connection.answer(403, b"<Error><Code>AccessDenied</Code><Message>what is " + words[-80:].encode()
                          + b"?</Message></Error>")

    with Peer(forever(script)) as peer, S3(peer.url, credentials=folder / "credentials") as s3:
        for _ in range(2):
            failed(s3("get", "object", 10), "auth", "HTTP 403 AccessDenied: this access key may not do that")


# What is sent


def test_what_is_sent(folder):
    (folder / "file").write_bytes(b"data" * 1000)
    with Peer(forever(lambda c, r: c.answer())) as peer, S3(peer.url) as s3:
        for command in (["put", "a b", folder / "file"], ["head", "k"], ["delete", "k"], ["get", "k", 9], ["create", "k"]):
            s3(*command)
        put, *others = peer.requests
        assert put.target == "/bucket/a%20b" and put.body == b"data" * 1000
        for request in peer.requests:
            assert "expect" not in request.headers and "transfer-encoding" not in request.headers
            assert "accept-encoding" not in request.headers
            assert request.headers["host"] == f"127.0.0.1:{peer.port}"
        assert [r.method for r in others] == ["HEAD", "DELETE", "GET", "POST"]
        assert others[3].target == "/bucket/k?uploads=" and others[3].headers["content-length"] == "0"
        assert "content-type" not in others[3].headers


def test_payload_is_unsigned_over_tls_only(folder, ca):
    (folder / "file").write_bytes(b"data")
    for certificate in (None, (ca("server"), ca.key("server"))):
        with Peer(forever(lambda c, r: c.answer()), certificate) as peer, S3(peer.url, ca=ca("ca")) as s3:
            assert s3("put", "k", folder / "file")["event"] == "done"
            got = peer.requests[0].headers["x-amz-content-sha256"]
            assert got == ("UNSIGNED-PAYLOAD" if certificate else
                           "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7")


CORKED_S = 0.2  # so long the kernel keeps the end of what is corked (tcp(7))


def test_a_body_leaves_in_full_packets(folder, ca):
    """And its end waits for nothing: not even once in thirty is it kept as long as the kernel would."""
    (folder / "file").write_bytes(bytes(300 << 10))
    segments = []

    def script(connection, request):
        info = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
        segments.append(struct.unpack_from("I", info, 152)[0])  # tcpi_data_segs_in, of linux/tcp.h
        connection.answer()

    with Peer(forever(script), (ca("server"), ca.key("server"))) as peer, S3(peer.url, ca=ca("ca")) as s3:
        began = time.monotonic()
        for _ in range(30):
            assert s3("put", "k", folder / "file")["event"] == "done"
        assert time.monotonic() - began < 30 * CORKED_S
        assert len(peer.requests) == len(segments) == 30
    # A head and 19 records of TLS, of which the first four leave before it is known where to.
    assert statistics.median(b - a for a, b in zip(segments, segments[1:])) < 16


def test_proxy():
    with Peer(forever(lambda c, r: c.answer())) as peer:
        with S3("http://s3.example.com", proxy=peer.url, proxy_user="u", proxy_password="secret") as s3:
            assert s3("head", "key")["event"] == "done"
        assert peer.requests[0].target == "http://s3.example.com/bucket/key"
        assert peer.requests[0].headers["proxy-authorization"] == "Basic dTpzZWNyZXQ="


@pytest.mark.parametrize("status, kind, attempts", [
    (404, "config", 1), (403, "config", 1), (407, "auth", 1), (502, "transient", 3),
])
def test_refusal_of_a_proxy(status, kind, attempts):
    """It is not the store that said so: nothing is taken for gone, no clock for wrong."""
    name = {404: "Not Found", 403: "Forbidden", 407: "Proxy Authentication Required", 502: "Bad Gateway"}[status]
    tried = f" ({attempts} attempts over 0 s)" if attempts > 1 else ""

    def script(connection, request):
        assert (request.method, request.target) == ("CONNECT", "s3.example.com:443")
        connection.answer(status, error("NoSuchUpload"), date=date(hours=1))

    with Peer(forever(script)) as peer:
        with S3("https://s3.example.com", attempts=3, proxy=peer.url) as s3:
            event = s3("abort", "key", "id")
            failed(event, kind, f"HTTP {status} {name} from the proxy {peer.url} (s3_client.proxy){tried}")
            assert s3("look")["skew"] == 0
        assert len(peer.requests) == attempts


def test_dead_proxy():
    """Is told as the proxy, not as the store."""
    with socket.socket() as kept:  # nobody else listens there either
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        with S3("https://s3.example.com", attempts=1, proxy=f"http://127.0.0.1:{port}") as s3:
            failed(s3("head", "k"), "transient",
                   f"cannot connect to the proxy http://127.0.0.1:{port} (s3_client.proxy): Connection refused")
    with Peer(forever(lambda c, r: c.answer(404))) as peer:
        with S3("http://s3.example.com", proxy=peer.url) as s3:
            failed(s3("head", "k"), "not-found", f"HTTP 404 Not Found from s3.example.com through the proxy {peer.url}")


def test_no_proxy_of_the_environment():
    """Whatever it names, and whomever it excepts."""
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    with Peer(forever(lambda c, r: c.answer())) as peer:
        with S3(peer.url, environment=dict.fromkeys(names, "http://127.0.0.1:1")) as s3:
            assert s3("head", "key")["event"] == "done"
        with S3("http://s3.example.com", proxy=peer.url, environment={"no_proxy": "*", "NO_PROXY": "*"}) as s3:
            assert s3("head", "key")["event"] == "done"
        assert len(peer.requests) == 2


def test_tunnel_of_a_proxy(ca):
    """What comes through it is the store's, and kept for the next request."""
    def proxy(connection):
        host, port = connection.head().target.split(":")
        store = socket.create_connection((host, int(port)))
        connection.answer(200, date=date(hours=1), content_length=None)
        back = threading.Thread(target=pump, args=(store, connection.sock))
        back.start()
        pump(connection.sock, store)
        back.join()
        store.close()

    def pump(source, sink):
        try:
            while chunk := source.recv(1 << 16):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    store = forever(lambda c, r: c.answer(404 if "gone" in r.target else 200))
    with Peer(store, (ca("server"), ca.key("server"))) as peer, Peer(proxy) as between:
        with S3(peer.url, ca=ca("ca"), proxy=between.url, proxy_user="u", proxy_password="p") as s3:
            assert s3("head", "k")["event"] == "done" and s3("look")["skew"] == 0
            failed(s3("head", "gone"), "not-found",
                   f"HTTP 404 Not Found from 127.0.0.1:{peer.port} through the proxy {between.url}")
        assert [r.method for r in between.requests] == ["CONNECT"] and len(peer.requests) == 2
        assert between.requests[0].headers["proxy-authorization"] == "Basic dTpw"
        assert not any("proxy-authorization" in r.headers for r in peer.requests)


# Connections


def test_connections_are_kept():
    with Peer(forever(lambda c, r: c.answer())) as peer, S3(peer.url, connections=4) as s3:
        for n in range(10):
            assert s3("head", f"k{n}")["event"] == "done"
        assert peer.n_connections == 1
        s3.start("close-idle")
        assert s3("head", "k")["event"] == "done" and peer.n_connections == 2


def test_close_idle_waits_for_what_is_in_flight():
    def script(connection):
        connection.request()
        peer.wait_requests(2)
        connection.answer()
        connection.wait_gone()
        closed.append(connection.number)

    closed = []
    with Peer(script) as peer, S3(peer.url, connections=4) as s3:
        s3.start("head", "k1")
        peer.wait_requests(1)
        s3.start("close-idle")
        assert s3("head", "k2")["event"] == "done" and s3.wait(1)["event"] == "done"
        for thread in peer.threads[1:]:
            thread.join(60)  # both connections are closed while the client lives
        assert sorted(closed) == [0, 1]


def test_stale_connections_cost_no_attempt(folder):
    """A kept connection that is dead by the time it is used: the request goes over a new one, at once."""
    (folder / "file").write_bytes(os.urandom(3 * MIB))

    def script(connection):
        connection.request()
        connection.answer()
        connection.head()  # and goes away instead of answering

    with Peer(script) as peer, S3(peer.url, attempts=1) as s3:
        sent = [s3(*command)["attempts"] for command in (
            ["head", "k"], ["get", "k", 9], ["put", "k", folder / "file"], ["delete", "k"], ["create", "k"])]
        assert sent == [1, 2, 2, 2, 2]  # what was lost with them may have been done
        assert peer.requests[-1].body == b"" and any(r.body == (folder / "file").read_bytes() for r in peer.requests)


def test_not_more_connections_than_allowed():
    now, most, arrived = [], [], threading.Condition()

    def script(connection, request):
        with arrived:
            now.append(request)
            most.append(len(now))
            arrived.notify_all()
            assert arrived.wait_for(lambda: max(most) >= 2, 60), "never two at a time"
            now.remove(request)
        connection.answer()

    with Peer(forever(script)) as peer, S3(peer.url, connections=2) as s3:
        last = s3.start(*(["head", f"k{n}"] for n in range(20)))
        assert all(s3.wait(n + 1)["event"] == "done" for n in range(last))
        assert max(most) == 2 and peer.n_connections <= 2


# Ends and cancellations


def test_cancelled_at_every_stage():
    def script(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        connection.wait_gone()

    with Peer(script) as peer, S3(peer.url, connections=1) as s3:
        s3.start("get", "in-flight", 1000)
        peer.wait_requests(1)
        waiting = s3.start("get", "waiting-for-a-slot", 1000)
        s3.start("cancel", waiting)
        assert s3.wait(waiting)["event"] == "cancelled"
        s3.start("cancel", 1)
        assert s3.wait(1)["event"] == "cancelled"
        both = s3.start(["get", "not-even-begun", 1000], ["cancel", s3.count + 1])
        assert s3.wait(both - 1)["event"] == "cancelled"
        # The slot is free again.
        s3.start("get", "next", 1000)
        peer.wait_requests(2)


def test_cancelled_between_attempts():
    with Peer(forever(lambda c, r: c.answer(503))) as peer, S3(peer.url, retry_min=1000000, retry_max=1000000) as s3:
        s3.start("head", "k")
        peer.wait_requests(1)
        s3.start("list", "")  # a turn in which the first answer is read
        peer.wait_requests(2)
        s3.start(["cancel", 1], ["cancel", 2])
        assert s3.wait(1)["event"] == s3.wait(2)["event"] == "cancelled"


def test_owner_cancels_when_told_of_progress():
    data = os.urandom(4 * MIB)

    def script(connection, request):
        connection.answer(206, data, Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")

    with Peer(forever(script)) as peer, S3(peer.url) as s3:
        assert s3("quit-range", "k", 0, len(data), 1)["event"] == "quit"
        assert s3("quit-range", "k", 0, len(data), len(data))["event"] == "quit"
        assert is_body(s3("range", "k", 0, len(data)), data)


@pytest.mark.parametrize("status", [200, 404])
def test_client_is_freed_when_told_of_the_end(status):
    with Peer(forever(lambda c, r: c.answer(status))) as peer, S3(peer.url) as s3:
        s3.start("free-on-done")
        assert s3("head", "k")["event"] in ("done", "failed")


# Retries


def test_retry_after_is_obeyed():
    def script(connection, request):
        connection.answer(200 if len(peer.requests) > 1 else 503, Retry_After="1")

    with Peer(forever(script)) as peer, S3(peer.url) as s3:
        start = time.monotonic()
        assert s3("head", "k")["attempts"] == 2
        assert time.monotonic() - start >= 1


def test_seconds_are_told():
    """Of these, half a second at least was waiting."""
    with Peer(forever(lambda c, r: c.answer(503))) as peer, S3(peer.url, attempts=2, retry_min=1000, retry_max=1000) as s3:
        event = s3("head", "k")
        assert " (2 attempts over " in event["text"] and seconds_told(event) >= 1, event


def test_closed_without_an_answer():
    with Peer(lambda c: c.request()) as peer, S3(peer.url, attempts=3) as s3:
        failed(s3("head", "k"), "transient", "the connection was closed without an answer by "
               f"127.0.0.1:{peer.port}: Empty reply from server (3 attempts over 0 s)")
        assert len(peer.requests) == 3


# Answers that break off


def pieces(data, lengths, etag='"e"', later='"e"'):
    """Answers ranges of `data`; the n-th answer breaks off after lengths[n] bytes, if there is such a number."""
    def script(connection):
        while True:
            request = connection.request()
            number = len(connection.peer.requests) - 1
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"]).groups())
            tag = etag if number == 0 else later
            if "if-match" in request.headers and request.headers["if-match"] != tag:
                connection.answer(412, error("PreconditionFailed"))
                continue
            body = data[first:last + 1]
            headers = {"content_range": f"bytes {first}-{last}/{len(data)}", "etag": tag}
            if number < len(lengths):
                connection.answer(206, body[:lengths[number]], content_length=len(body), **headers)
                return
            connection.answer(206, body, **headers)
    return script


def test_broken_answers_are_continued():
    data = os.urandom(3 * MIB)
    with Peer(pieces(data, [1, 1000000, 0, 5])) as peer, S3(peer.url, attempts=9) as s3:
        done = s3("range", "k", 7, len(data) - 7)
        assert is_body(done, data[7:]) and done["attempts"] == 5
        assert [r.headers["range"].split("=")[1].split("-")[0] for r in peer.requests] == [
            "7", "8", "1000008", "1000008", "1000013"]
        assert [r.headers.get("if-match") for r in peer.requests] == [None] + ['"e"'] * 4
        assert done["etag"] == '"e"' and done["content_length"] == len(data) - 7


def test_all_bytes_and_then_a_broken_connection():
    def script(connection):
        connection.request()
        connection.send(b"HTTP/1.1 206 X\r\nETag: \"e\"\r\nContent-Range: bytes 0-9/10\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"a\r\n0123456789\r\n")

    with Peer(script) as peer, S3(peer.url) as s3:
        assert is_body(s3("range", "k", 0, 10), b"0123456789")
        assert len(peer.requests) == 1


def test_two_versions_are_not_spliced():
    data = os.urandom(1000)
    with Peer(pieces(data, [100], later='"f"')) as peer, S3(peer.url) as s3:
        failed(s3("range", "k", 0, 1000), "integrity", "HTTP 412 PreconditionFailed: m (2 attempts over 0 s)")

    def ignores_if_match(connection):
        request = connection.request()
        if len(peer.requests) == 1:
            connection.answer(206, data[:100], content_length=1000, etag='"e"', content_range="bytes 0-999/1000")
            return
        first = int(re.match(r"bytes=(\d+)", request.headers["range"]).group(1))
        connection.answer(206, data[first:], etag='"f"', content_range=f"bytes {first}-999/1000")

    with Peer(ignores_if_match) as peer, S3(peer.url) as s3:
        failed(s3("range", "k", 0, 1000), "integrity", "the object changed while it was read (2 attempts over 0 s)")


def test_without_an_etag_it_begins_again():
    data = os.urandom(1000)

    def script(connection):
        connection.request()
        length = 100 if len(peer.requests) == 1 else 1000
        connection.answer(206, data[:length], content_length=1000, content_range="bytes 0-999/1000")

    with Peer(script) as peer, S3(peer.url) as s3:
        assert is_body(s3("range", "k", 0, 1000), data)
        assert [r.headers["range"] for r in peer.requests] == ["bytes=0-999"] * 2


IGNORES_RANGE = "the store, or a cache before it, ignores Range"


@pytest.mark.parametrize("start, answer, kind, text", [
    (5, {"status": 206, "content_range": "bytes 0-9/100"}, "protocol",
     "an answer with another range than that asked for"),
    (5, {"status": 206}, "protocol", "an answer with another range than that asked for"),
    (5, {"status": 206, "content_range": "bytes 5-15/100"}, "protocol",
     "an answer with another range than that asked for"),
    (5, {"status": 200}, "protocol", f"HTTP 200 in place of the part asked for: {IGNORES_RANGE}"),
    (0, {"status": 200, "body": b"x" * 11}, "protocol", f"HTTP 200 in place of the part asked for: {IGNORES_RANGE}"),
    (0, {"status": 200, "body": b"x" * 9}, "protocol", f"HTTP 200 in place of the part asked for: {IGNORES_RANGE}"),
    (5, {"status": 206, "content_range": "bytes 5-14/100", "body": b"x" * 11}, "integrity",
     "the answer is longer than the 10 bytes asked for"),
    (5, {"status": 206, "content_range": "bytes 5-14/100", "body": b"x" * 9}, "integrity",
     "the answer ended after 9 of 10 bytes"),
    (5, {"status": 206, "content_range": "bytes 5-14/100", "body": b""}, "integrity",
     "the answer ended after 0 of 10 bytes"),
])
def test_wrong_ranges(start, answer, kind, text):
    answer = {"body": b"x" * 10, **answer}
    with Peer(forever(lambda c, r: c.answer(**answer))) as peer, S3(peer.url) as s3:
        failed(s3("range", "k", start, 10), kind, text)


def test_server_that_knows_no_ranges():
    """The whole object in place of all of its bytes is what was asked for."""
    with Peer(forever(lambda c, r: c.answer(200, b"0123456789"))) as peer, S3(peer.url) as s3:
        assert is_body(s3("range", "k", 0, 10), b"0123456789")


def test_small_object_broken_in_the_middle():
    def script(connection):
        connection.request()
        connection.answer(200, b"01234" if len(peer.requests) < 3 else b"0123456789", content_length=10)

    with Peer(script) as peer, S3(peer.url) as s3:
        done = s3("get", "k", 100)
        assert is_body(done, b"0123456789") and done["attempts"] == 3


def test_refusal_broken_in_the_middle(folder):
    """The first line has said it, before all of the body was sent."""
    (folder / "file").write_bytes(os.urandom(32 * MIB))

    def script(connection):
        connection.head()
        connection.answer(403, b"<Error><Code>Acc", content_length=1000)
        if connection.number == 0:
            return
        connection.wait_gone()

    with Peer(script) as peer, S3(peer.url, stall_timeout=6000) as s3:
        for command in (["get", "k", 100], ["put", "k", folder / "file"]):
            failed(s3(*command), "auth", f"HTTP 403 Forbidden from 127.0.0.1:{peer.port}")


def stop(process):
    """A client that waits for something; it then sees at once all that has come since."""
    wait_for(lambda: state_of(process.pid) == "S")
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state_of(process.pid) == "T")


@pytest.mark.parametrize("size", [1, 32 * MIB])
@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_refusal_and_a_reset(folder, ca, size, https):
    """The store says no and closes with the rest unread: both are there when the client looks next."""
    (folder / "file").write_bytes(os.urandom(size))

    def script(connection):
        request = connection.head()
        if size == 1:
            connection.body(request)
        stop(s3.process)
        try:
            connection.answer(403, error("UserSuspended") + b" " * 60000)  # several reads
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sock.close()
        finally:
            s3.process.send_signal(signal.SIGCONT)

    with Peer(script, (ca("server"), ca.key("server")) if https else None) as peer:
        with S3(peer.url, ca=ca("ca"), attempts=3) as s3:
            failed(s3("put", "k", folder / "file"), "auth", "HTTP 403 UserSuspended: m")
        assert len(peer.requests) == 1


def test_a_reset_and_no_answer(folder):
    """Nothing waits to be read: it is over at once, whatever the client still had to send."""
    (folder / "file").write_bytes(os.urandom(32 * MIB))

    def script(connection):
        connection.head()
        stop(s3.process)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sock.close()
        s3.process.send_signal(signal.SIGCONT)

    with Peer(script) as peer, S3(peer.url, attempts=2) as s3:
        event = s3("put", "k", folder / "file")
        assert event["kind"] == "transient" and event["text"].endswith("s)"), event
        assert re.search(rf"^the connection broke while \w+ (from|to) 127.0.0.1:{peer.port}: .*\(2 attempts", event["text"])


# Silence


@pytest.mark.parametrize("stage", ["nothing is read", "no answer", "half a head", "half a body"])
def test_silence_ends(folder, stage):
    """Nothing for the time allowed, at any stage."""
    (folder / "file").write_bytes(os.urandom(32 * MIB))
    let_go = threading.Event()

    def script(connection):
        if stage != "nothing is read":
            connection.request()
        if stage == "half a head":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-")
        if stage == "half a body":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        let_go.wait()

    with Peer(script) as peer, S3(peer.url, stall_timeout=200, attempts=2) as s3:
        event = s3(*(["put", "k", folder / "file"] if stage == "nothing is read" else ["get", "k", 100]))
        let_go.set()
        assert event["kind"] == "transient", event
        assert re.fullmatch(rf"no byte to or from 127.0.0.1:{peer.port} for \d+ s \(2 attempts over \d+ s\)", event["text"])


def test_slow_is_not_silent():
    """A byte now and then, for longer than the time allowed without one."""
    def script(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        for n in range(20):
            time.sleep(0.4)
            connection.send(b"%d" % (n % 10))

    with Peer(forever(script)) as peer, S3(peer.url, stall_timeout=6000, attempts=1) as s3:
        assert is_body(s3("get", "k", 100), b"0123456789" * 2)


def test_slow_reader_is_not_silent(folder):
    """All of the body is in the kernel's buffers at once, and leaves them slowly."""
    body = os.urandom(MIB)
    (folder / "file").write_bytes(body)

    def script(connection):
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
        request = connection.head()
        while len(connection.buffer) < MIB:
            time.sleep(0.15)
            chunk = connection.sock.recv(16 << 10)
            if not chunk:
                raise Gone
            connection.buffer += chunk
        connection.body(request)
        connection.answer()

    with Peer(script) as peer, S3(peer.url, stall_timeout=6000, attempts=1) as s3:
        done = s3("put", "k", folder / "file")
        assert done["event"] == "done", done
        assert peer.requests[0].body == body


def test_nobody_accepts(ca):
    """TLS that never shakes hands: the connection's own time is over."""
    def script(connection):
        connection.wait_gone()

    with Peer(script) as peer, S3(f"https://127.0.0.1:{peer.port}", ca=ca("ca"), connect_timeout=200, attempts=2) as s3:
        event = s3("head", "k")
        assert event["kind"] == "transient" and "(2 attempts over " in event["text"]
        assert event["text"].startswith(f"no connection in time to 127.0.0.1:{peer.port}: "), event


# Floods and rubbish


def flood(head, chunk):
    def script(connection):
        connection.request()
        connection.send(head)
        while True:
            connection.send(chunk)
    return script


@pytest.mark.parametrize("head, chunk, kind, text", [
    (b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"y" * 1000 + b"\r\n", "protocol",
     "an answer with more than 64 KiB of headers"),
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "protocol", "an answer with more than 64 KiB of headers"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", b"x" * 65536, "integrity",
     "the answer is longer than 1000 bytes"),
    (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, "integrity", "the answer is longer than 1000 bytes"),
    (b"HTTP/1.1 403 No\r\nContent-Length: 1000000000000\r\n\r\n", b"x" * 65536, "auth",
     "HTTP 403 Forbidden from {host}"),
    (b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"<" * 4096 + b"\r\n", "not-found",
     "HTTP 404 Not Found from {host}"),
])
def test_floods(head, chunk, kind, text):
    with Peer(flood(head, chunk)) as peer, S3(peer.url) as s3:
        failed(s3("get", "k", 1000), kind, text.format(host=f"127.0.0.1:{peer.port}"))


def test_header_line_without_end():
    with Peer(flood(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536)) as peer, S3(peer.url) as s3:
        event = s3("get", "k", 1000)
        assert event["event"] == "failed" and "header without end" in event["text"], event


@pytest.mark.parametrize("rubbish", [
    b"hello\r\n", b"\0\1\2\3\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 2 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"<html>\r\n", b"\r\n\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
])
def test_rubbish(rubbish):
    """Refused with one line, whatever it is."""
    def script(connection):
        connection.request()
        connection.send(rubbish)

    with Peer(script) as peer, S3(peer.url, attempts=2) as s3:
        event = s3("create", "k")
        assert event["event"] == "failed" or "kind" in event or event["body"] == "", event
        assert all(c.isprintable() for c in event.get("text", ""))


def test_errors_are_one_plain_line():
    body = (b"<Error><Code>Bad&#10;Code</Code><Message>&#27;[2J\xc2\x9b1m\xe2\x80\xaelines\r\nand&#9;tabs "
            + "ü".encode() * 1000 + b"</Message></Error>")
    with Peer(forever(lambda c, r: c.answer(400, body))) as peer, S3(peer.url) as s3:
        text = s3("get", "k", 10)["text"]
        assert text.startswith("HTTP 400 ") and not re.search("[\0-\x1f\x7f-\x9f]", text)
        text.encode()  # whole characters
        assert len(text.encode()) < 512


# Listings


def page(items, more=b"", root=b"ListBucketResult"):
    contents = b"".join(b"<Contents><Key>%b</Key><Size>1</Size><LastModified>2024-12-06T21:22:25.000Z</LastModified>"
                        b"</Contents>" % item for item in items)
    return b"<%b>%b%b</%b>" % (root, contents, more, root)


MORE = b"<IsTruncated>true</IsTruncated><NextContinuationToken>%b</NextContinuationToken>"


@pytest.mark.parametrize("pages, shown, text", [
    ([page([b"p/a"], MORE % b"1"), page([b"p/a"])], ["p/a"], "a name comes twice"),
    ([page([b"p/b", b"p/a"])], ["p/b"], UNORDERED),
    ([page([b"p/a", b"q/b"])], ["p/a"], "a name does not begin with the prefix asked for"),
    ([page([], b"<IsTruncated>true</IsTruncated>")], [], "more is to follow and it is not said from where"),
    ([page([b"p/a"], b"<IsTruncated>true</IsTruncated>"), page([b"p/a"])], ["p/a"], "a name comes twice"),
    ([page([b"p/a"], MORE % b"1"), page([b"p/b"], MORE % b"1")], ["p/a", "p/b"], "the pages do not advance"),
])
def test_listings_that_lie(pages, shown, text):
    with Peer(forever(lambda c, r: c.answer(200, pages[len(c.peer.requests) - 1]))) as peer, S3(peer.url) as s3:
        event = s3("list", "p/")
        failed(event, "protocol", f"a listing in which {text}")
        assert [item["key"] for item in event["items"]] == shown


def test_listing_without_end():
    with Peer(forever(lambda c, r: c.answer(200, page([], MORE % b"%d" % len(c.peer.requests))))) as peer:
        with S3(peer.url) as s3:
            failed(s3("list", ""), "protocol", "a listing in which the pages do not end")


@pytest.mark.parametrize("body, text", [
    (b"", "an empty answer in place of XML"),
    (b"<html></html>", "<html> in place of <ListBucketResult>"),
    (page([b"p/a"])[:-5], "not XML: unclosed token at byte 120"),
    (b"<!DOCTYPE x [<!ENTITY e 'x'>]>" + page([b"p/a"]), "XML with a DOCTYPE is refused"),
])
def test_pages_that_are_none(body, text):
    with Peer(forever(lambda c, r: c.answer(200, body))) as peer, S3(peer.url) as s3:
        event = s3("list", "")
        failed(event, "protocol", text)
        assert event["items"] == []


@pytest.mark.parametrize("refusal", [None, (501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_store_that_knows_the_first_version_of_listings(refusal):
    """It passes over list-type, or refuses it; its pages begin behind a name."""
    def script(connection, request):
        query = parse_qs(urlsplit(request.target).query)
        if refusal and "list-type" in query:
            connection.answer(refusal[0], error(refusal[1]))
            return
        behind = query.get("marker", [""])[0]
        left = [name for name in ("p/a b", "p/b&", "p/c") if name > behind]
        more = b"<IsTruncated>true</IsTruncated>" if len(left) > 1 else b""
        connection.answer(200, page([quote(left[0]).encode()], b"<EncodingType>url</EncodingType>" + more))

    with Peer(forever(script)) as peer, S3(peer.url, attempts=1) as s3:
        assert [i["key"] for i in s3("list", "p/")["items"]] == ["p/a b", "p/b&", "p/c"]
        assert len(peer.requests) == (4 if refusal else 3)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json"])
def test_a_page_in_place_of_an_answer(content_type):
    with Peer(forever(lambda c, r: c.answer(404 if r.method == "HEAD" else 200, b"<html></html>",
                                            content_type=content_type))) as peer, S3(peer.url) as s3:
        short = content_type.partition(";")[0]
        failed(s3("list", ""), "protocol", f"HTTP 200 from 127.0.0.1:{peer.port} is {short} and no answer of S3: another "
               "service may be there, or stand before the store")
        failed(s3("head", "k"), "protocol", f"HTTP 404 Not Found from 127.0.0.1:{peer.port} ({short}), which is no answer of "
               "S3: another service may be there, or stand before the store")


def test_a_redirect_says_where_to():
    with Peer(forever(lambda c, r: c.answer(302, location="https://login.example.com/a?token=secret"))) as peer:
        with S3(peer.url) as s3:
            failed(s3("head", "k"), "config", f"HTTP 302 redirect from 127.0.0.1:{peer.port} leads to "
                   "https://login.example.com/a; redirects are not followed, the endpoint has to be the store itself")


def test_http_to_a_port_for_tls():
    words = b"Client sent an HTTP request to an HTTPS server.\n"  # as Go's servers, and so MinIO
    with Peer(forever(lambda c, r: c.answer(400, words, content_type="text/plain"))) as peer, S3(peer.url) as s3:
        failed(s3("list", ""), "config", f"HTTP 400 Bad Request from 127.0.0.1:{peer.port}: Client sent an HTTP request to an "
               "HTTPS server.; a port for TLS may answer so: https:// before the endpoint asks for it")


# Signatures


@pytest.mark.parametrize("status, code", [(403, "AccessDenied"), (400, "XAmzContentSHA256Mismatch"), (501, "NotImplemented")])
def test_a_store_that_wants_hashes_over_tls_too(folder, ca, status, code):
    """Sent again at once with the hash of its body, and so is all that follows."""
    def script(connection, request):
        unsigned = request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
        connection.answer(*((status, error(code)) if unsigned else (200, b"")), etag='"e"')

    (folder / "file").write_bytes(b"data")
    with Peer(forever(script), (ca("server"), ca.key("server"))) as peer, S3(peer.url, attempts=1, ca=ca("ca")) as s3:
        assert [s3("put", "k", folder / "file")["event"] for _ in range(2)] == ["done"] * 2
        assert [r.headers["x-amz-content-sha256"][:8] for r in peer.requests] == ["UNSIGNED", "3a6eb079", "3a6eb079"]


def test_a_store_that_took_one_without_hash_is_not_asked_again(folder, ca):
    (folder / "file").write_bytes(b"data")
    with Peer(forever(lambda c, r: c.answer(*((403, error("AccessDenied")) if "no" in r.target else (200, b"")), etag='"e"')),
              (ca("server"), ca.key("server"))) as peer, S3(peer.url, ca=ca("ca")) as s3:
        assert s3("put", "k", folder / "file")["event"] == "done"
        assert s3("put", "no", folder / "file")["event"] == "failed"
        assert len(peer.requests) == 2


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"])
def test_a_refusal_of_what_was_accepted_is_doubted_once(code):
    def script(connection, request):
        connection.answer(*((403, error(code)) if len(peer.requests) in refused else (200, b"")))

    refused = {1}
    with Peer(forever(script)) as peer, S3(peer.url) as s3:
        assert s3("put", "k", os.devnull)["event"] == "failed" and len(peer.requests) == 1  # nothing was accepted yet
        refused.clear()
        assert s3("head", "k")["event"] == "done"
        refused |= {len(peer.requests) + 1}
        assert s3("put", "k", os.devnull)["attempts"] == 2
        refused |= set(range(100))
        event = s3("put", "k", os.devnull)
        assert (event["event"], event["kind"]) == ("failed", "auth") and "(2 attempts" in event["text"], event


def test_continuation_is_asked_for_as_it_was_given():
    def script(connection, request):
        last = "continuation-token=" in request.target
        connection.answer(200, page([b"p/b" if last else b"p/a"], b"" if last else MORE % b"a+%2F=&amp;"))

    with Peer(forever(script)) as peer, S3(peer.url) as s3:
        assert [i["key"] for i in s3("list", "p/")["items"]] == ["p/a", "p/b"]
        assert "continuation-token=a%2B%252F%3D%26" in peer.requests[1].target
