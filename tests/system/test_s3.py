"""lib/s3/request.h and object.h against a real store, which checks signatures, with boto3 on the other side."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import servers
from s3_probe import S3, Peer, failed, is_body
from s3_proxy import Answer, Proxy, error
from servers import MIB

NAMES = [
    "plain",
    "backup-2024-12-06T21:22:25Z.dump",
    "a/b/c.key",
    "a//b",
    "plus+and space",
    "100% %2F %zz",
    "ümläut/日本語/😀",
    "quotes\"'<>&;",
    "?a=b#c&d",
    "~!@$^*()=[]{}|\\`,",
    "x" * 1024,
    " leading and trailing ",
    "../up/./here/..",
]


@pytest.fixture
def s3(bucket):
    with S3(bucket.ceph.http, bucket.name) as client:
        yield client


@pytest.fixture(params=["http", "https", "virtual http", "virtual https"])
def any_s3(request, new_bucket):
    """Each way to reach a store: with a signed payload and with an unsigned one, by path and by host."""
    tls = request.param.endswith("https")
    bucket = new_bucket(name="bucket")  # of this name is the certificate
    port = urlsplit(bucket.ceph.https if tls else bucket.ceph.http).port
    with S3(f"{'https' if tls else 'http'}://localhost:{port}", bucket.name, ca=bucket.ceph.ca("ca") if tls else None,
            addressing="virtual" if "virtual" in request.param else "path") as client:
        client.bucket = bucket
        yield client


def file_with(folder, data, name="data"):
    (folder / name).write_bytes(data)
    return folder / name


def test_round_trip(any_s3, folder):
    bucket = any_s3.bucket
    for number, name in enumerate(NAMES):
        data = f"{number} {name}".encode() * (1 + 100 * number)
        done = any_s3("put", name, file_with(folder, data), "note=two words", "empty=")
        assert done["event"] == "done" and done["status"] == 200 and done["attempts"] == 1, done
        if ".." not in name:  # boto3 resolves the dots before it asks
            assert bucket.get(name) == data
        got = any_s3("get", name, 8 * MIB)
        assert is_body(got, data) and got["etag"] == done["etag"]
        assert got["metadata"]["note"] == "two words" and got["metadata"]["empty"] == ""
        head = any_s3("head", name)
        assert head["content_length"] == len(data) and head["etag"] == done["etag"] and head["last_modified"] > 1.7e9
        assert head["metadata"]["note"] == "two words"
        part = any_s3("range", name, 2, len(data) - 3, head["etag"])
        assert is_body(part, data[2:-1]) and part["progress"] == len(data) - 3
    names = [item["key"] for item in any_s3("list", "")["items"]]
    assert names == sorted(NAMES, key=str.encode) == sorted(bucket.list(), key=str.encode)
    for name in names:
        assert any_s3("delete", name)["status"] == 204
    assert not bucket.list()


def test_big_body(any_s3, folder):
    bucket = any_s3.bucket
    data = os.urandom(20 * MIB + 1)
    assert any_s3("put", "big", file_with(folder, data))["event"] == "done"
    assert bucket.get("big") == data
    done = any_s3("range", "big", 0, len(data))
    assert is_body(done, data) and done["progress"] == len(data)


def test_empty_body(any_s3, folder):
    bucket = any_s3.bucket
    assert any_s3("put", "empty", file_with(folder, b""))["event"] == "done"
    assert bucket.get("empty") == b""
    assert any_s3("get", "empty", 10)["body"] == ""
    assert any_s3("head", "empty")["content_length"] == 0


def test_what_is_missing(s3, bucket):
    host = urlsplit(bucket.ceph.http).netloc
    failed(s3("get", "none", 10), "not-found", "HTTP 404 NoSuchKey: there is no such object")
    failed(s3("head", "none"), "not-found", f"HTTP 404 Not Found from {host}")
    assert s3("delete", "none")["status"] == 204
    assert s3("list", "none")["items"] == []
    assert s3("abort", "none", "2~no-such-upload")["status"] == 404


def test_get_is_limited(s3, bucket):
    bucket.put("object", b"x" * 1000)
    assert s3("get", "object", 1000)["event"] == "done"
    failed(s3("get", "object", 999), "integrity", "the answer is longer than 999 bytes")


def test_ranges(s3, bucket):
    bucket.put("object", bytes(range(100)))
    etag = s3("head", "object")["etag"]
    assert is_body(s3("range", "object", 99, 1), bytes([99]))
    failed(s3("range", "object", 90, 11), "integrity", "the answer ended after 10 of 11 bytes")
    failed(s3("range", "object", 100, 1), "integrity", "HTTP 416 InvalidRange")
    assert s3("range", "object", 0, 0)["event"] == "refused"
    assert s3("range", "object", 0, 10, etag)["event"] == "done"
    bucket.put("object", bytes(100))
    failed(s3("range", "object", 0, 10, etag), "integrity",
           "HTTP 412 PreconditionFailed: the object is not what it was required to be")


def test_conditional_put(s3, bucket, folder):
    file = file_with(folder, b"data")
    first = s3("put", "object", file, "if-none-match=*")
    assert first["event"] == "done"
    again = s3("put", "object", file, "if-none-match=*")
    assert (again["kind"], again["code"], again["domain"]) == ("config", 412, 7)
    # Ceph 16 compares the header with an ETag without quotes.
    assert s3("put", "object", file, "if-match=" + first["etag"].strip('"'))["event"] == "done"
    other = s3("put", "object", file, 'if-match="00000000000000000000000000000000"')
    assert (other["kind"], other["code"]) == ("config", 412)


def test_stored_error_document_is_data(s3, bucket):
    bucket.put("object", error("InternalError"))
    assert is_body(s3("get", "object", 1000), error("InternalError"))


def test_listing_of_many_pages(s3, bucket, folder):
    names = [f"many/{n:04}:+ %ü" for n in range(2300)]
    file = file_with(folder, b"x")
    last = s3.start(*(["put", name, file] for name in names), ["put", "many", file], ["put", "manz", file])
    assert all(s3.wait(n + 1)["event"] == "done" for n in range(last))
    listed = s3("list", "many/")
    assert listed["event"] == "done" and [item["key"] for item in listed["items"]] == names
    assert all(item["size"] == 1 and item["last_modified"] > 1.7e9 for item in listed["items"])
    assert len(s3("list", "")["items"]) == len(names) + 2
    quit_at = s3("quit-list", "many/", 1500)
    assert quit_at["event"] == "quit" and len(quit_at["items"]) == 1500
    for start in range(0, len(names), 1000):
        bucket.client.delete_objects(Bucket=bucket.name, Delete={"Objects": [{"Key": n} for n in names[start:start + 1000]]})


def test_unfinished_uploads(s3, bucket):
    names = sorted([f"u/{n:04}:+ %ü" for n in range(1100)] + ["u/same"] * 3)
    last = s3.start(*(["create", name] for name in names))
    made = sorted((names[n], s3.wait(n + 1)["upload_id"]) for n in range(last))
    listed = s3("unfinished", "u/")
    assert listed["event"] == "done"
    assert sorted((item["key"], item["upload_id"]) for item in listed["items"]) == made
    assert all(item["initiated"] > 1.7e9 for item in listed["items"])
    last = s3.start(*(["abort", *pair] for pair in made))
    assert all(s3.wait(last - n)["event"] == "done" for n in range(len(made)))
    assert s3("unfinished", "")["items"] == []
    assert s3("abort", *made[0])["status"] in (204, 404)  # a second time is no error


@pytest.mark.parametrize("lines, code", [
    ("testkey\nwrong\n", "SignatureDoesNotMatch: the signature is not the one that the store makes; the "
     "secret key may be another one, or what stands before the store may change the host or the path"),
    ("nobody\ntestsecret\n", "InvalidAccessKeyId: the store does not know this access key"),
    ("otherkey\nothersecret\n", "AccessDenied: this access key may not do that"),
])
def test_wrong_credentials(bucket, folder, lines, code):
    (folder / "credentials").write_text(lines)
    with S3(bucket.ceph.http, bucket.name, credentials=folder / "credentials") as s3:
        failed(s3("get", "object", 10), "auth", f"HTTP 403 {code}")
        failed(s3("put", "object", file_with(folder, b"x")), "auth", f"HTTP 403 {code}")
        failed(s3("list", ""), "auth", f"HTTP 403 {code}")
        failed(s3("head", "object"), "auth", f"HTTP 403 Forbidden from {urlsplit(bucket.ceph.http).netloc}")
        (folder / "credentials").write_text("testkey\ntestsecret\n")
        assert s3("put", "object", file_with(folder, b"x"))["event"] == "done"


def test_credentials_that_cannot_be_used(bucket, folder):
    with S3(bucket.ceph.http, bucket.name, credentials=folder / "credentials") as s3:
        failed(s3("head", "object"), "config", "no credentials")
        (folder / "credentials").write_text("test/key\nx\n")
        failed(s3("head", "object"), "config", "the access key has characters that no access key has")
        (folder / "credentials").write_text("testkey\ntestsecret\nto\rken\n")
        failed(s3("head", "object"), "config", "the value of x-amz-security-token cannot be sent in a header")


def test_suspended_user(bucket, folder):
    ceph = bucket.ceph
    (folder / "credentials").write_text("suspendedkey\nsuspendedsecret\n")
    ceph.admin("user", "create", "--uid=suspended", "--display-name=suspended", "--access-key=suspendedkey",
               "--secret-key=suspendedsecret")
    ceph.admin("user", "suspend", "--uid=suspended")
    try:
        with S3(ceph.http, bucket.name, credentials=folder / "credentials") as s3:
            failed(s3("list", ""), "auth", "HTTP 403 UserSuspended: the user of this access key is suspended")
    finally:
        ceph.admin("user", "rm", "--uid=suspended")


def test_missing_bucket(ceph, folder):
    host = urlsplit(ceph.http).netloc
    with S3(ceph.http, "no-such-bucket") as s3:
        for command in (["list", ""], ["get", "x", 10], ["put", "x", file_with(folder, b"x")], ["create", "x"],
                        ["unfinished", ""]):
            failed(s3(*command), "not-found", f'HTTP 404 NoSuchBucket: there is no bucket "no-such-bucket" at {host}')


@pytest.mark.parametrize("region", ["", "eu-west-3"])
def test_regions(bucket, region):
    with S3(bucket.ceph.http, bucket.name, region=region) as s3:
        assert s3("list", "")["event"] == "done"


def test_tls(bucket, ca):
    host = urlsplit(bucket.ceph.https).netloc
    with S3(bucket.ceph.https, bucket.name, ca=ca("ca")) as s3:
        assert s3("list", "")["event"] == "done"
        assert s3("look")["tls"]
    with S3(bucket.ceph.https, bucket.name, ca=ca("other-ca")) as s3:
        failed(s3("list", ""), "auth",
               f"the certificate of {host} is not accepted: its issuer is not among {ca('other-ca')}")
    with S3(bucket.ceph.https, bucket.name) as s3:
        failed(s3("list", ""), "auth",
               f"the certificate of {host} is not accepted: its issuer is not among the system's CAs")


@pytest.mark.parametrize("certificate, text", [
    ("server-expired", "it has expired, or its issuer's has, if our clock is right"),
    ("server-dns", "SSL: no alternative certificate subject name matches target ipv4 address '127.0.0.1'"),
    ("server-alien", "its issuer is not among {ca}"),
    ("server-ip", None),
    ("server-rsa", None),
])
def test_certificates(ca, certificate, text):
    with Peer(lambda c: c.request() and c.answer(), (ca(certificate), ca.key(certificate))) as peer:
        with S3(peer.url, ca=ca("ca")) as s3:
            if text is None:
                assert s3("head", "x")["event"] == "done"
            else:
                said = s3("head", "x")
                said["text"] = said["text"].replace("target host name", "target ipv4 address")  # libcurl 7
                failed(said, "auth", f"the certificate of 127.0.0.1:{peer.port} is not accepted: {text.format(ca=ca('ca'))}")


def test_ca_file_is_read_for_each_connection(bucket, ca, folder):
    """Replaced while the client lives: the next connection goes by the new one."""
    def use(name):
        (folder / "new").write_bytes(open(ca(name), "rb").read())
        os.replace(folder / "new", folder / "ca.crt")

    use("other-ca")
    with S3(bucket.ceph.https, bucket.name, ca=folder / "ca.crt") as s3:
        assert s3("list", "")["kind"] == "auth"
        use("ca")
        assert s3("list", "")["event"] == "done"
        s3.start("close-idle")
        use("other-ca")
        assert s3("list", "")["kind"] == "auth"
        os.unlink(folder / "ca.crt")
        assert s3("list", "")["kind"] in ("config", "auth")


def test_refused_configurations(bucket, folder, ca):
    (folder / "empty").write_text("")
    certificate = Path(ca("ca")).read_text()
    (folder / "half").write_text(certificate + certificate.replace("MI", "NI", 1))
    line = certificate.count("\n") + 1
    for options, text in [
            ({"ca": folder / "none"}, f"CA file {folder}/none: No such file or directory"),
            ({"ca": folder / "empty"}, f"CA file {folder}/empty:1: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"),
            ({"ca": folder / "half"}, f"CA file {folder}/half:{line}: the certificate that begins here cannot be read: "),
            ({"endpoint": "ftp://x"}, "'ftp://x' is not an endpoint: the scheme is neither https nor http, in small letters"),
            ({"bucket": "x"}, '"x" cannot be the name of a bucket'),
    ]:
        s3 = S3(**{"endpoint": bucket.ceph.https, "bucket": bucket.name, **options})
        event = s3.wait(0)
        assert (event["event"], event["kind"]) == ("refused", "config")
        assert event["text"].startswith(text) if text.endswith(": ") else event["text"] == text
        s3.close()


def test_nobody_listens():
    with socket.socket() as kept:  # nobody else listens there either
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        with S3(f"http://127.0.0.1:{port}", attempts=3) as s3:
            event = s3("head", "x")
        failed(event, "transient", f"cannot connect to 127.0.0.1:{port}: Connection refused (3 attempts over 0 s)")


def test_tls_and_plain_mixed_up(bucket, ca):
    tls, plain = urlsplit(bucket.ceph.https).netloc, urlsplit(bucket.ceph.http).netloc
    with S3(f"http://{tls}", bucket.name, attempts=1) as s3:
        assert tls in s3("head", "x")["text"]
    with S3(f"https://{plain}", bucket.name, attempts=1, ca=ca("ca")) as s3:
        event = s3("head", "x")
        assert event["kind"] == "transient" and event["text"].startswith(f"no TLS with {plain}: "), event
        assert event["text"].endswith("; what answers may speak plain HTTP, which http:// before the endpoint asks for"), event


def test_overload_passes(bucket, folder):
    """Twice SlowDown, and then it works: nobody hears of it but in the number of attempts."""
    def rule(request):
        return Answer(503, error("SlowDown")) if request.nth < 2 else None

    with Proxy(bucket.ceph, rule) as proxy, S3(proxy.url, bucket.name) as s3:
        done = s3("put", "object", file_with(folder, b"data" * 100000))
        assert done["event"] == "done" and done["attempts"] == 3
        assert bucket.get("object") == b"data" * 100000
        assert s3("get", "object", MIB)["attempts"] == 3
        assert s3("list", "")["event"] == "done"
        assert s3("delete", "object")["attempts"] == 3


@pytest.mark.parametrize("answer, kind, text", [
    (Answer(503, error("SlowDown")), "transient", "HTTP 503 SlowDown: m (4 attempts over 0 s)"),
    (Answer(500, b""), "transient", "HTTP 500 Internal Server Error from {host} (4 attempts over 0 s)"),
    (Answer(502, b"<html><body>proxy</body></html>"), "transient", "HTTP 502 Bad Gateway from {host} (4 attempts over 0 s)"),
    (Answer(429, b""), "transient", "HTTP 429 Too Many Requests from {host} (4 attempts over 0 s)"),
    (Answer(400, error("RequestTimeout")), "transient", "HTTP 400 RequestTimeout: m (4 attempts over 0 s)"),
    (Answer(200, error("InternalError")), "transient", "HTTP 200 InternalError: m (4 attempts over 0 s)"),
    (Answer(200, b"  \n " + error("SlowDown")), "transient", "HTTP 200 SlowDown: m (4 attempts over 0 s)"),
    (Answer(400, error("InvalidArgument")), "config", "HTTP 400 InvalidArgument: m"),
    (Answer(403, error("AccessDenied")), "auth", "HTTP 403 AccessDenied: m"),
    (Answer(301, error("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-3", "Location": "http://127.0.0.1:1/"}),
     "config", 'HTTP 301 PermanentRedirect: bucket "{bucket}" is in the region eu-west-3'),
])
def test_errors(bucket, answer, kind, text):
    with Proxy(bucket.ceph, lambda request: answer) as proxy, S3(proxy.url, bucket.name) as s3:
        event = s3("create", "object")
        failed(event, kind, text.format(host=urlsplit(proxy.url).netloc, bucket=bucket.name))
        assert len(proxy.requests) == (4 if "attempts" in text else 1)


def test_many_at_once(bucket, folder):
    """More requests than connections: all are done, over no more connections than allowed."""
    data = os.urandom(MIB)
    file = file_with(folder, data)
    with S3(bucket.ceph.http, bucket.name, connections=3) as s3:
        last = s3.start(*(["put", f"object-{n}", file] for n in range(40)))
        assert all(s3.wait(n + 1)["event"] == "done" for n in range(last))
        last = s3.start(*(["range", f"object-{n}", n, MIB - n] for n in range(40)))
        for n in range(40):
            assert is_body(s3.wait(last - 39 + n), data[n:])


def test_freed_while_everything_is_under_way(bucket, folder):
    """All stages at once: connecting, sending, waiting for a slot. __exit__ sees that nothing is left."""
    file = file_with(folder, os.urandom(8 * MIB))
    with S3(bucket.ceph.https, bucket.name, connections=2, ca=bucket.ceph.ca("ca")) as s3:
        s3.start(*(["put", f"object-{n}", file] for n in range(10)), ["list", ""])
        s3.wait(1)


def test_idle_client_waits_for_nothing(s3, bucket):
    bucket.put("object", b"x" * 100000)
    for command in (["get", "object", MIB], ["list", ""], ["head", "none"]):
        s3(*command)
    servers.wait_for(lambda: s3("look")["active"] == 0)
    s3.start("close-idle")
    assert s3("look")["active"] == 0
    assert s3("get", "object", MIB)["event"] == "done"
