"""lib/s3/object.h on the versions of objects: against a real store, and against one that lies."""

from datetime import datetime, timedelta, timezone

import pytest

from s3_probe import S3, UNORDERED, Peer, failed, is_body
from s3_proxy import error

# Among them what Ceph's index of a bucket treats by itself: names that begin with "_", and one that begins another.
NAMES = ["plain", "a/b:c+d e", "ümläut/日本語:+ 😀", "100% %2F %zz", "quotes\"'<>&;", " leading and trailing ", "_x", "__y", "b",
         "b/1", "b!", "x" * 1024, "a//b?c=d&e#f", "&amp;"]


def put(s3, folder, name, data, *words):
    (folder / "data").write_bytes(data)
    done = s3("put", name, folder / "data", *words)
    assert done["event"] == "done", done
    return done


def versions_of(s3, prefix=""):
    """What a listing shows, as (key, id, latest, delete marker)."""
    event = s3("versions", prefix)
    assert event["event"] == "done", event
    return [(i["key"], i["version_id"], i["is_latest"], i["is_delete_marker"]) for i in event["items"]]


def empty(client, name, **options):
    """Deletes all versions. Of Ceph's pages boto3 can read the first alone, when names have "+" or "%": it decodes the
    marker that is not encoded."""
    while True:
        first = client.list_object_versions(Bucket=name)
        found = first.get("Versions", []) + first.get("DeleteMarkers", [])
        if not found:
            return
        told = client.delete_objects(Bucket=name, Delete={
            "Objects": [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found], "Quiet": True}, **options)
        assert not told.get("Errors"), told


def set_versioning(bucket, status):
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(bucket):
    set_versioning(bucket, "Enabled")
    yield bucket
    empty(bucket.client, bucket.name)


@pytest.fixture
def s3(bucket):
    with S3(bucket.ceph.http, bucket.name) as client:
        yield client


class History:
    """Puts and deletes by boto3, and which versions must be there then."""

    def __init__(self, bucket):
        self.bucket, self.versions = bucket, {}

    def put(self, key, body):
        told = self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=body).get("VersionId", "null")
        self._add(key, told, False, len(body))

    def delete(self, key):
        self._add(key, self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)["VersionId"], True, 0)

    def _add(self, key, version, is_delete_marker, size):
        old = [v for v in self.versions.get(key, []) if v[0] != version]  # there is one "null" at most
        self.versions[key] = [(version, is_delete_marker, size)] + old

    def listed(self, prefix=""):
        return [(key, version, n == 0, marker, size)
                for key in sorted(self.versions, key=str.encode) if key.startswith(prefix)
                for n, (version, marker, size) in enumerate(self.versions[key])]


def test_versions_are_listed_as_they_were_made(bucket, s3):
    history = History(bucket)

    def check():
        for prefix in ("", "b", "a/", "ümläut/日本語:+ ", "none"):
            event = s3("versions", prefix)
            assert event["event"] == "done", event
            assert [(i["key"], i["version_id"], i["is_latest"], i["is_delete_marker"], i["size"])
                    for i in event["items"]] == history.listed(prefix)
            assert all(i["last_modified"] > 1.7e9 for i in event["items"])

    for name in NAMES[::2]:
        history.put(name, b"before versioning")
    check()
    set_versioning(bucket, "Enabled")
    try:
        for n, name in enumerate(NAMES):
            for size in range(1 + n % 3):
                history.put(name, b"x" * size)
        check()
        for name in NAMES[::3] + NAMES[4:6] + ["none"]:
            history.delete(name)
        history.put(NAMES[0], b"again")
        check()
        set_versioning(bucket, "Suspended")
        for name in NAMES[::4]:
            history.put(name, b"without")
        history.delete(NAMES[1])
        check()
    finally:
        empty(bucket.client, bucket.name)


def test_more_versions_than_a_page(versioned, s3, folder):
    """Pages end within the versions of one name, and between names that a query has to encode."""
    (folder / "data").write_bytes(b"x")
    names = [f"many/{n:04}:+ %&ü" for n in range(700)]
    last = s3.start(*(["put", name, folder / "data"] for name in ["many/:+ %&ü"] * 1300 + names),
                    *(["delete", name] for name in names))
    assert all(s3.wait(n + 1)["event"] == "done" for n in range(last))
    listed = versions_of(s3, "many/")
    assert [v[0] for v in listed] == [name for name in names for _ in range(2)] + ["many/:+ %&ü"] * 1300
    assert [v[2] for v in listed] == [v[3] for v in listed[:1400]] + [True] + [False] * 1299
    assert [v[3] for v in listed] == [True, False] * 700 + [False] * 1300
    assert len({v[:2] for v in listed}) == 2700
    event = s3("quit-versions", "many/", 1500)
    assert event["event"] == "quit" and len(event["items"]) == 1500


def test_pages_of_a_bucket_without_versions(bucket, s3, folder):
    (folder / "data").write_bytes(b"x")
    names = [f"n/{n:04}:+ %&ü" for n in range(1100)]
    last = s3.start(*(["put", name, folder / "data"] for name in names))
    assert all(s3.wait(n + 1)["event"] == "done" for n in range(last))
    assert versions_of(s3) == [(name, "null", True, False) for name in names]
    empty(bucket.client, bucket.name)


def test_a_version_is_read(versioned, s3, folder):
    name = "a/b:c+d é"
    first = put(s3, folder, name, b"first", "note=one")
    second = put(s3, folder, name, b"second!", "note=two")
    s3("delete", name)
    marker, newer, older = (v[1] for v in versions_of(s3))
    for version, done, body, note in ((older, first, b"first", "one"), (newer, second, b"second!", "two")):
        got = s3("get", name, 7, version)
        assert is_body(got, body) and got["etag"] == done["etag"] and got["metadata"]["note"] == note
    failed(s3("get", name, 4, older), "integrity", "the answer is longer than 4 bytes")
    for version in ([], [marker], ["no-such-version"]):
        failed(s3("get", name, 7, *version), "not-found", "HTTP 404 NoSuchKey: there is no such object")
    assert s3("get", name, 7, "")["text"] == "an empty version id"


def test_a_version_is_deleted(versioned, s3, folder):
    name = "a/b:c+d é"
    for body in (b"1", b"2", b"3"):
        put(s3, folder, name, body)
    put(s3, folder, name + "!", b"other")
    s3("delete", name)
    marker, third, second, first, other = (v[1] for v in versions_of(s3))

    def left():
        return [v[1] for v in versions_of(s3) if v[1] != other]

    assert s3("delete-version", name, second)["status"] == 204
    assert left() == [marker, third, first]
    for gone in (second, "no-such-version", "null"):
        assert s3("delete-version", name, gone)["event"] == "done"
    assert s3("delete-version", "no-such-key", second)["event"] == "done"
    assert left() == [marker, third, first]
    refused = s3("delete-version", name, "")
    assert (refused["event"], refused["kind"], refused["text"]) == ("refused", "config", "an empty version id")
    assert s3("delete-version", name, marker)["status"] == 204
    assert versions_of(s3, name)[0] == (name, third, True, False)
    assert is_body(s3("get", name, 9), b"3")
    assert s3("delete-version", name, third)["status"] == 204
    assert is_body(s3("get", name, 9), b"1")
    assert s3("delete-version", name, first)["status"] == 204
    assert versions_of(s3) == [(name + "!", other, True, False)]


def test_bucket_without_versioning(bucket, s3, folder):
    assert versions_of(s3) == []
    done = put(s3, folder, "object", b"1", "note=x")
    assert versions_of(s3) == [("object", "null", True, False)]
    got = s3("get", "object", 9, "null")
    assert is_body(got, b"1") and got["etag"] == done["etag"] and got["metadata"]["note"] == "x"
    for _ in range(2):
        assert s3("delete-version", "object", "null")["status"] == 204
    assert bucket.list() == {}


def test_locked_version_stays(ceph, folder):
    client, until = ceph.client(), datetime.now(timezone.utc) + timedelta(days=1)
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    try:
        locked = client.put_object(Bucket="locked", Key="object", Body=b"x", ObjectLockMode="GOVERNANCE",
                                   ObjectLockRetainUntilDate=until)["VersionId"]
        with S3(ceph.http, "locked") as s3:
            failed(s3("delete-version", "object", locked), "auth", "HTTP 403 AccessDenied: forbidden by object lock")
            assert versions_of(s3) == [("object", locked, True, False)]
            assert is_body(s3("get", "object", 1, locked), b"x")
    finally:
        empty(client, "locked", BypassGovernanceRetention=True)
        client.delete_bucket(Bucket="locked")


def test_conditions_in_a_versioned_bucket(versioned, s3, folder):
    """What object.h warns of. A Ceph in which this fails can be relied on for more than Ceph 16."""
    (folder / "data").write_bytes(b"x")
    etag = put(s3, folder, "object", b"first", "if-none-match=*")["etag"]
    for condition in ("if-match=" + etag, "if-match=" + etag.strip('"'), "if-match=*", "if-match=00"):
        again = s3("put", "object", folder / "data", condition)
        assert (again["kind"], again["code"]) == ("config", 412), condition
    assert len(versions_of(s3)) == 1
    put(s3, folder, "object", b"second", "if-none-match=*")
    assert len(versions_of(s3)) == 2


# What no real store does


FIELDS = b"<IsLatest>%b</IsLatest><LastModified>2024-12-06T21:22:25.000Z</LastModified>"


def version(key, number, latest=b"false", kind=b"Version"):
    size = b"<Size>1</Size>" if kind == b"Version" else b""
    return b"<%b><Key>%b</Key><VersionId>%b</VersionId>%b%b</%b>" % (kind, key, number, FIELDS % latest, size, kind)


def page(*items, more=b""):
    return b"<ListVersionsResult>%b%b</ListVersionsResult>" % (b"".join(items), more)


def more(key, number):
    return b"<IsTruncated>true</IsTruncated><NextKeyMarker>%b</NextKeyMarker><NextVersionIdMarker>%b</NextVersionIdMarker>" % (
        key, number)


def answering(answers, status=200):
    """A script that answers the n-th request by answers(n), from 0."""
    def run(connection):
        while True:
            connection.request()
            connection.answer(status, answers(len(connection.peer.requests) - 1))
    return Peer(run)


@pytest.mark.parametrize("pages, shown, text", [
    ([page(version(b"p/b", b"1"), version(b"p/a", b"2"))], 1, UNORDERED),
    ([page(version(b"p/a", b"1"), version(b"q", b"2"))], 1, "a name does not begin with the prefix asked for"),
    ([page(version(b"p/a", b"1"), version(b"p/a", b"1"))], 1, "a version comes twice"),
    ([page(version(b"p/a", b"1"), version(b"p/a", b"1", kind=b"DeleteMarker"))], 1, "a version comes twice"),
    ([page(version(b"p/a", b"1"), more=more(b"p/a", b"1")), page(version(b"p/a", b"1"))], 1, "a version comes twice"),
    ([page(version(b"p/b", b"1"), more=more(b"p/b", b"1")), page(version(b"p/a", b"1"))], 1, UNORDERED),
    ([page(version(b"p/a", b"1"), more=more(b"p/a", b"1")), page(version(b"p/a", b"2"), more=more(b"p/a", b"1"))], 2,
     "the pages do not advance"),
    ([page(version(b"p/a", b"1"), more=more(b"", b"1"))], 1, "more is to follow and it is not said from where"),
    ([page(version(b"p/a", b"1"), more=b"<IsTruncated>true</IsTruncated>")], 1,
     "more is to follow and it is not said from where"),
])
def test_listings_that_lie(pages, shown, text):
    with answering(lambda n: pages[n]) as peer, S3(peer.url) as s3:
        event = s3("versions", "p/")
        failed(event, "protocol", f"a listing in which {text}")
        assert len(event["items"]) == shown


@pytest.mark.parametrize("one", [
    lambda n: page(more=more(b"p", b"%d" % n)),
    lambda n: page(version(b"p", b"%d" % (n % 2)), more=more(b"p", b"%d" % (n % 2))),
], ids=["empty", "in a circle"])
def test_listing_without_end(one):
    with answering(one) as peer, S3(peer.url) as s3:
        failed(s3("versions", "p"), "protocol", "a listing in which the pages do not end")


@pytest.mark.parametrize("body, text", [
    (b"<ListBucketResult/>", "<ListBucketResult> in place of <ListVersionsResult>"),
    (page(version(b"p", b"2"), version(b"p", b"")), "a version listed without name, id, IsLatest, time or size"),
    (page(version(b"p", b"2"))[:-5], "not XML: unclosed token at byte 168"),
])
def test_pages_that_are_none(body, text):
    with answering(lambda n: body) as peer, S3(peer.url) as s3:
        failed(s3("versions", "p"), "protocol", text)


def test_markers_are_asked_for_as_they_were_given():
    pages = [page(version(b"p/a+ %2F&amp;", b"2"), more=more(b"p/a+ %2F&amp;", b"i+%2")),
             page(version(b"p/a+ %2F&amp;", b"1"), more=b"<IsTruncated>true</IsTruncated><NextKeyMarker>p/b</NextKeyMarker>"),
             page(version(b"p/c", b"1"))]
    with answering(lambda n: pages[n]) as peer, S3(peer.url) as s3:
        assert [v[:2] for v in versions_of(s3, "p/")] == [("p/a+ %2F&", "2"), ("p/a+ %2F&", "1"), ("p/c", "1")]
        assert [r.target for r in peer.requests] == [
            "/bucket?prefix=p%2F&versions=",
            "/bucket?key-marker=p%2Fa%2B%20%252F%26&prefix=p%2F&version-id-marker=i%2B%252&versions=",
            "/bucket?key-marker=p%2Fb&prefix=p%2F&versions="]


def test_one_version_of_a_key_is_the_latest():
    pages = [page(version(b"a", b"3", b"true", b"DeleteMarker"), version(b"a", b"2", b"true"), more=more(b"a", b"2")),
             page(version(b"a", b"1", b"true"), version(b"b", b"2"), version(b"b", b"1", b"true"))]
    with answering(lambda n: pages[n]) as peer, S3(peer.url) as s3:
        assert [v[2] for v in versions_of(s3)] == [True, False, False, False, True]


@pytest.mark.parametrize("status, code, kind, text", [
    (404, "NoSuchVersion", "not-found", "HTTP 404 NoSuchVersion: there is no such version"),
    (405, "MethodNotAllowed", "config", "HTTP 405 MethodNotAllowed"),
])
def test_reading_what_is_not_there(status, code, kind, text):
    """As S3 says it, of a version that is gone and of a delete marker."""
    with answering(lambda n: b"<Error><Code>%b</Code></Error>" % code.encode(), status) as peer, S3(peer.url) as s3:
        failed(s3("get", "k/e y", 9, "+v/="), kind, text)
        assert peer.requests[0].method == "GET" and peer.requests[0].target == "/bucket/k/e%20y?versionId=%2Bv%2F%3D"


@pytest.mark.parametrize("status, code, kind", [
    (404, "NoSuchVersion", None),
    (404, "NoSuchKey", None),
    (404, "NoSuchBucket", "not-found"),
    (404, "NoSuch", "not-found"),
    (404, "", "not-found"),
    (403, "AccessDenied", "auth"),
    (400, "InvalidArgument", "config"),
])
def test_answers_to_a_deletion(status, code, kind):
    with answering(lambda n: error(code) if code else b"", status) as peer, S3(peer.url) as s3:
        event = s3("delete-version", "k/e y", "+v/=")
        assert (event.get("kind"), event.get("status")) == (kind, None if kind else status), event
        assert peer.requests[0].method == "DELETE" and peer.requests[0].target == "/bucket/k/e%20y?versionId=%2Bv%2F%3D"
