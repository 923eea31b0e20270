"""lib/s3/remove.h against a real store, and against one that lacks the batch call, is overloaded or breaks off."""

import base64
import hashlib
import json

import pytest

from s3_probe import S3, Peer
from s3_proxy import DROP, LOSE, After, Answer, Hold, Proxy, error
from servers import wait_for

# What XML has to escape, what a path has to, and what some parser might change on the way.
NAMES = [
    "plain", "backup-2024-12-06T21:22:25Z.dump", "a/b/c.key", "a//b", "plus+and space", "100% %2F %zz",
    "ümläut/日本語/😀", "quotes\"'<>&;", "&amp;", "]]>", "<Key>", "?a=b#c&d", "../up/./here/..", "x" * 1024, "&" * 1024,
]
# What goes by itself: a request of one key, in its path.
ALONE = [" leading", "trailing ", "new\nline", "carriage\rreturn", "tab\there", "\x01\x7f", "\ufffe"]


@pytest.fixture
def s3(bucket):
    with S3(bucket.ceph.http, bucket.name) as client:
        yield client


def keys_file(folder, names):
    path = folder / "keys"
    path.write_bytes(b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names))
    return path


def remove(s3, folder, names):
    """Its last event; "gone" are the names that were told to be gone, "errors" a dict of the others."""
    return told(s3("remove", keys_file(folder, names)), names)


def told(event, names):
    """As remove() has it, of a command that was begun before."""
    indices = [item["index"] for item in event["items"]]
    assert len(set(indices)) == len(indices), "a key was told twice"
    if event["event"] == "done":
        assert len(indices) == len(names)
    event["gone"] = {names[item["index"]] for item in event["items"] if "kind" not in item}
    event["errors"] = {names[item["index"]]: (item["kind"], item["text"]) for item in event["items"] if "kind" in item}
    return event


def put_all(s3, folder, names):
    (folder / "x").write_bytes(b"x")
    last = s3.start(*(["put", name, folder / "x"] for name in names))
    assert all(s3.wait(last - n)["event"] == "done" for n in range(len(names)))


def all_gone(event, names):
    assert event["event"] == "done" and not event["errors"], event
    assert event["gone"] == set(names)


def versions(bucket):
    """Names of objects, and of delete markers."""
    listed = bucket.client.list_object_versions(Bucket=bucket.name)
    return tuple(sorted(v["Key"] for v in listed.get(kind, ())) for kind in ("Versions", "DeleteMarkers"))


@pytest.fixture
def versioned(ceph, new_bucket):
    """A bucket that keeps versions; emptied at the end."""
    bucket = new_bucket()
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    yield bucket
    listed = bucket.client.list_object_versions(Bucket=bucket.name)
    for item in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
        bucket.client.delete_object(Bucket=bucket.name, Key=item["Key"], VersionId=item["VersionId"])


@pytest.mark.parametrize("tls", [False, True])
def test_any_name(bucket, folder, tls):
    """Over TLS with an unsigned payload, else with a signed one; in one request, and nothing else goes."""
    neighbours = ["plai", "plainn", "a", "&", "leading", "trailing"]
    ceph = bucket.ceph
    with S3(ceph.https if tls else ceph.http, bucket.name, ca=ceph.ca("ca") if tls else None) as s3:
        for name in NAMES + neighbours:
            if ".." not in name:
                bucket.put(name, b"x")
        put_all(s3, folder, [name for name in NAMES if ".." in name])
        all_gone(remove(s3, folder, NAMES), NAMES)
        assert sorted(bucket.list()) == sorted(neighbours)


def test_one_request(bucket, folder):
    for name in NAMES[:5]:
        bucket.put(name, b"x")
    with Proxy(bucket.ceph) as proxy, S3(proxy.url, bucket.name) as s3:
        all_gone(remove(s3, folder, NAMES), NAMES)
        assert [r.call for r in proxy.requests] == ["remove"]
        assert not bucket.list()


def test_names_that_go_alone(bucket, folder):
    with Proxy(bucket.ceph) as proxy, S3(proxy.url, bucket.name) as s3:
        for name in ["leading", "trailing", "between", *ALONE[:3]]:
            bucket.put(name, b"x")
        all_gone(remove(s3, folder, [*ALONE, "between"]), [*ALONE, "between"])
        assert sorted(r.call for r in proxy.requests) == ["delete"] * len(ALONE) + ["remove"]
        assert sorted(bucket.list()) == ["leading", "trailing"]


def test_names_that_no_store_takes(s3, bucket, folder):
    bucket.put("good", b"x")
    event = remove(s3, folder, ["", "good", "y" * 1025])
    assert event["event"] == "done" and event["gone"] == {"good"} and not bucket.list()
    assert [event["errors"][name][0] for name in ("", "y" * 1025)] == ["config"] * 2


def test_nothing_to_remove(s3, folder):
    event = remove(s3, folder, [])
    assert event["event"] == "done" and event["items"] == []


def test_missing_and_twice(s3, bucket, folder):
    bucket.put("there", b"x")
    bucket.put("other", b"x")
    names = ["there", "missing", "there"]
    event = s3("remove", keys_file(folder, names))
    assert event["event"] == "done" and sorted(item["index"] for item in event["items"]) == [0, 1, 2]
    assert not any("kind" in item for item in event["items"])
    assert list(bucket.list()) == ["other"]


def test_many(bucket, folder):
    names = [f"many/{n:05}:+ &ü" for n in range(2500)]
    with Proxy(bucket.ceph) as proxy, S3(proxy.url, bucket.name) as s3:
        with S3(bucket.ceph.http, bucket.name) as direct:
            put_all(direct, folder, [*names, "many", "manz"])
        all_gone(remove(s3, folder, names), names)
        assert [r.call for r in proxy.requests] == ["remove"] * 3
        assert sorted(bucket.list()) == ["many", "manz"]


def test_long_names_are_split_by_size(bucket, folder):
    """Ceph reads no body of more than 1 MiB."""
    names = [f"{n:04}" + "&" * 1020 for n in range(250)]
    bucket.put(names[0], b"x")
    bucket.put(names[249], b"x")
    with Proxy(bucket.ceph) as proxy, S3(proxy.url, bucket.name) as s3:
        all_gone(remove(s3, folder, names), names)
        assert len(proxy.calls("remove")) == 3 and not bucket.list()


def test_cancel(s3, bucket, folder):
    names = [f"{n:04}" for n in range(1200)]
    event = s3("quit-remove", keys_file(folder, names), 700)
    assert event["event"] == "quit" and len(event["items"]) == 700
    event = s3("quit-remove", keys_file(folder, ALONE), 2)
    assert event["event"] == "quit" and len(event["items"]) == 2
    number = s3.count + 1
    s3.start(["remove", keys_file(folder, names)], ["cancel", number])
    assert s3.wait(number)["event"] == "cancelled"
    assert s3("look")["active"] == 0


@pytest.mark.parametrize("names", [["a", "b"], [" a", " b", " c", " d", " e"]])
def test_cancel_in_flight(bucket, folder, names):
    with Proxy(bucket.ceph, lambda r: Hold()) as proxy, S3(proxy.url, bucket.name) as s3:
        number = s3.start("remove", keys_file(folder, names))
        wait_for(lambda: len(proxy.requests) == (1 if "a" in names else 4))
        s3.start("cancel", number)
        assert s3.wait(number)["event"] == "cancelled" and not s3.wait(number)["items"]


def test_client_goes_with_the_last_word(bucket, folder):
    with S3(bucket.ceph.http, bucket.name) as s3:
        s3.start("free-on-done")
        all_gone(remove(s3, folder, ["a", " b"]), ["a", " b"])


@pytest.mark.parametrize("lines, code", [
    ("otherkey\nothersecret\n", "AccessDenied"),
    ("nobody\ntestsecret\n", "InvalidAccessKeyId"),
    ("testkey\nwrong\n", "SignatureDoesNotMatch"),
])
def test_no_permission(bucket, folder, lines, code):
    bucket.put("a", b"x")
    (folder / "credentials").write_text(lines)
    with S3(bucket.ceph.http, bucket.name, credentials=folder / "credentials") as s3:
        event = remove(s3, folder, ["a", "b"])
        assert event["event"] == "failed" and event["kind"] == "auth", event
        assert event["text"].startswith(f"HTTP 403 {code}: ") and not event["items"]
        # Each of those that go alone is told; what is wrong with all is found out by each.
        event = remove(s3, folder, [" a", "b\n"])
        assert event["event"] == "done" and {kind for kind, _ in event["errors"].values()} == {"auth"}, event
    assert list(bucket.list()) == ["a"]


def test_missing_bucket(ceph, folder):
    with S3(ceph.http, "no-such-bucket") as s3:
        event = remove(s3, folder, ["a"])
        assert event["event"] == "failed" and event["kind"] == "not-found" and "no-such-bucket" in event["text"]
        event = remove(s3, folder, [" a"])
        assert event["event"] == "done" and event["errors"][" a"][0] == "not-found", "a lie: nothing is known of it"


def policy(bucket, *statements):
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Principal": "*", **s} for s in statements]}))


def test_policy_denies_some(bucket, folder):
    names = ["free/1", "kept/1", "free/2", "kept/2 & more", " kept"]
    for name in names:
        bucket.put(name, b"x")
    policy(bucket, {"Effect": "Deny", "Action": "s3:DeleteObject",
                    "Resource": [f"arn:aws:s3:::{bucket.name}/kept/*", f"arn:aws:s3:::{bucket.name}/ kept"]})
    try:
        with S3(bucket.ceph.http, bucket.name) as s3:
            event = remove(s3, folder, names)
        print(event)
        assert event["event"] == "done" and event["gone"] == {"free/1", "free/2"}
        assert set(event["errors"]) == {"kept/1", "kept/2 & more", " kept"}
        assert all(kind == "auth" and "AccessDenied" in text for kind, text in event["errors"].values())
        assert sorted(bucket.list()) == sorted(event["errors"])
    finally:
        bucket.client.delete_bucket_policy(Bucket=bucket.name)


def test_versioned(versioned, folder):
    """Deleted is what a delete marker covers; the versions stay."""
    for name in ("a", "b&", " c"):
        versioned.put(name, b"x")
    with S3(versioned.ceph.http, versioned.name) as s3:
        all_gone(remove(s3, folder, ["a", "b&", " c"]), ["a", "b&", " c"])
    assert not versioned.list()
    assert versions(versioned) == ([" c", "a", "b&"], [" c", "a", "b&"])


def test_object_lock(ceph, folder):
    """A lock holds a version, and deleting without its number only covers it."""
    client, name = ceph.client(), "test-locked"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    version = client.put_object(Bucket=name, Key="locked", Body=b"x")["VersionId"]
    client.put_object_legal_hold(Bucket=name, Key="locked", LegalHold={"Status": "ON"})
    try:
        with S3(ceph.http, name) as s3:
            all_gone(remove(s3, folder, ["locked"]), ["locked"])
        assert client.get_object(Bucket=name, Key="locked", VersionId=version)["Body"].read() == b"x"
    finally:
        client.put_object_legal_hold(Bucket=name, Key="locked", VersionId=version, LegalHold={"Status": "OFF"})
        listed = client.list_object_versions(Bucket=name)
        for item in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
            client.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])
        client.delete_bucket(Bucket=name)


@pytest.mark.parametrize("answer", [
    Answer(501, error("NotImplemented")), Answer(405, error("MethodNotAllowed")), Answer(400, error("MalformedXML")),
    Answer(501), Answer(405, b"<html>no</html>"),
])
def test_store_without_the_call(bucket, folder, answer):
    names = [f"{n:04} &" for n in range(1100)]
    for name in names[:10]:
        bucket.put(name, b"x")
    with Proxy(bucket.ceph, lambda r: answer if r.call == "remove" else None) as proxy, S3(proxy.url, bucket.name) as s3:
        all_gone(remove(s3, folder, names), names)
        assert len(proxy.calls("remove")) == 1, "asked again for what it lacks"
        assert len(proxy.calls("delete")) == len(names)
    assert not bucket.list()


def test_singles_say_not_found(folder):
    """S3 answers 204 for what is not there, and some stores 404."""
    def script(connection):
        while True:
            request = connection.request()
            code = b"NoSuchBucket" if "bad" in request.target else b"NoSuchKey"
            connection.answer(404, error(code.decode()))

    with Peer(script) as peer, S3(peer.url) as s3:
        event = remove(s3, folder, [" a", " bad"])
        assert event["event"] == "done" and event["gone"] == {" a"} and event["errors"][" bad"][0] == "not-found"


def test_overload_passes(bucket, folder):
    names = [f"{n:04}" for n in range(1500)] + [" alone"]
    for name in names[::500]:
        bucket.put(name, b"x")
    with Proxy(bucket.ceph, lambda r: Answer(503, error("SlowDown")) if r.nth in (1, 2) or r.call == "delete" and
               r.nth == 0 else None) as proxy, S3(proxy.url, bucket.name) as s3:
        all_gone(remove(s3, folder, names), names)
        assert [r.call for r in proxy.requests] == ["remove"] * 4 + ["delete"] * 4
    assert not bucket.list()


def test_overload_stays(bucket, folder):
    """The first batch is gone, and is told; of the second nobody knows."""
    names = [f"{n:04}" for n in range(1500)]
    with Proxy(bucket.ceph, lambda r: Answer(503, error("SlowDown")) if r.nth else None) as proxy:
        with S3(proxy.url, bucket.name) as s3:
            event = remove(s3, folder, names)
    assert event["event"] == "failed" and event["kind"] == "transient" and "(4 attempts" in event["text"]
    assert event["gone"] == set(names[:1000]) and not event["errors"]


def test_singles_stop_when_the_store_fails(bucket, folder):
    """For each of ten thousand it would take days to find that out."""
    def rule(request):
        if request.call == "remove":
            return Answer(501, error("NotImplemented"))
        fails = Answer(500, error("InternalError"))
        if "/9" in request.path:
            return Hold(fails)
        return fails if request.path.endswith(("3", "7")) else None

    names = ["0", "3", "7", "1", "x3", "x7", "2"] + [f"9{n:03}" for n in range(1000)]
    bucket.put("3", b"x")
    with Proxy(bucket.ceph, rule) as proxy, S3(proxy.url, bucket.name, attempts=2) as s3:
        number = s3.start("remove", keys_file(folder, names))
        wait_for(lambda: len(s3.events.get(number, ())) == 7, what="the first seven")
        proxy.release()
        event = told(s3.wait(number), names)
        assert event["event"] == "failed" and event["kind"] == "transient", event
        assert event["gone"] == {"0", "1", "2"} and {"3", "7", "x3", "x7"} < set(event["errors"])
        assert len(proxy.calls("delete")) < 50
    assert list(bucket.list()) == ["3"]


@pytest.mark.parametrize("trouble", ["before", "after", "in the middle"])
def test_broken_connection(bucket, folder, trouble):
    """A lost answer is asked for again, and what is gone stays gone."""
    names = ["a", "b", "c"]
    for name in names:
        bucket.put(name, b"x")
    actions = {"before": DROP, "after": LOSE, "in the middle": DROP}
    if trouble != "in the middle":
        with Proxy(bucket.ceph, lambda r: actions[trouble] if r.nth == 0 else None) as proxy:
            with S3(proxy.url, bucket.name) as s3:
                all_gone(remove(s3, folder, names), names)
                assert len(proxy.calls("remove")) == 2
        assert not bucket.list()
        return
    body = result(*(deleted(name) for name in names))

    def script(connection):
        connection.request()
        if connection.number == 0:
            connection.answer(200, body[:len(body) // 2], content_length=len(body))
        else:
            connection.answer(200, body)
            connection.wait_gone()

    with Peer(script) as peer, S3(peer.url) as s3:
        all_gone(remove(s3, folder, names), names)
        assert len(peer.requests) == 2
        assert peer.requests[0].body == peer.requests[1].body


def result(*items):
    return b"<DeleteResult>" + b"".join(items) + b"</DeleteResult>"


def deleted(key):
    return f"<Deleted><Key>{key}</Key></Deleted>".encode()


def refused(key, code, message=""):
    return f"<Error><Key>{key}</Key><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def changed(body):
    """A rule that tells the store nothing of the batch and answers so."""
    return lambda r: Answer(200, body) if r.call == "remove" else None


def test_errors_of_single_keys(bucket, folder):
    """What may work later is tried again by itself; a refusal is told in the store's words."""
    names = ["busy", "broken", "locked", "odd", "gone", "missing", "silent"]
    for name in names:
        bucket.put(name, b"x")
    body = result(
        refused("busy", "SlowDown"), refused("locked", "AccessDenied", "Access Denied because object protected by object lock."),
        deleted("gone"), refused("broken", "InternalError", "We encountered an internal error."), refused("missing", "NoSuchKey"),
        refused("odd", "MethodNotAllowed"), deleted("not asked for"))
    with Proxy(bucket.ceph, changed(body)) as proxy, S3(proxy.url, bucket.name) as s3:
        event = remove(s3, folder, names)
        assert event["event"] == "done" and event["gone"] == {"busy", "broken", "gone", "missing"}
        assert event["errors"] == {
            "locked": ("auth", "AccessDenied: Access Denied because object protected by object lock. "
                       "(DeleteObject of locked, which needs s3:DeleteObject)"),
            "odd": ("config", "MethodNotAllowed"),
            "silent": ("protocol", "the store does not say whether it is deleted"),
        }
        assert sorted(r.path.rpartition("/")[2] for r in proxy.calls("delete")) == ["broken", "busy"]
    assert sorted(bucket.list()) == ["gone", "locked", "missing", "odd", "silent"]


@pytest.mark.parametrize("body, text", [
    (b"", "an empty answer in place of XML"),
    (b"<html>ok</html>", "<html> in place of <DeleteResult>"),
    (result(deleted("a"))[:-3], "not XML: "),
    (b"<!DOCTYPE x>" + result(deleted("a")), "XML with a DOCTYPE is refused"),
    (result(b"<Deleted></Deleted>"), "an item of <DeleteResult> without <Key>"),
])
def test_answers_that_are_none(bucket, folder, body, text):
    with Proxy(bucket.ceph, changed(body)) as proxy, S3(proxy.url, bucket.name) as s3:
        event = remove(s3, folder, ["a", "b", " c"])
        assert event["event"] == "failed" and event["kind"] == "protocol" and not event["items"], event
        assert event["text"].startswith(text)
        assert len(proxy.requests) == 1


def test_overload_after_the_status(bucket, folder):
    """S3 may find out that it is overloaded when it has sent the 200 already."""
    bucket.put("a", b"x")
    with Proxy(bucket.ceph, lambda r: After(lambda *_: (200, {}, error("SlowDown"))) if r.nth == 0 else None) as proxy:
        with S3(proxy.url, bucket.name) as s3:
            all_gone(remove(s3, folder, ["a"]), ["a"])
            assert len(proxy.requests) == 2


def test_request_as_it_is_sent(folder):
    """Its headers, and every key in it once: what S3 demands and no test against one store would show."""
    def script(connection):
        connection.request()
        connection.answer(200, result(deleted("a &lt; b"), deleted("c")))
        connection.wait_gone()

    with Peer(script) as peer, S3(peer.url) as s3:
        all_gone(remove(s3, folder, ["c", "a < b"]), ["c", "a < b"])
        request = peer.requests[0]
    assert (request.method, request.target) == ("POST", "/bucket?delete=")
    assert request.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Object><Key>c</Key></Object><Object><Key>a &lt; b</Key></Object><Quiet>false</Quiet></Delete>")
    assert request.headers["content-md5"] == base64.b64encode(hashlib.md5(request.body).digest()).decode()
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()
    assert "content-md5" in request.headers["authorization"]
