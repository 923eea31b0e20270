"""etcd-backupctl check: what would fail is named, each missing right alone; nothing is left, and no backup is touched."""

import json
import re

import pytest

from etcd_peer import DATABASE, STATUS, Etcd as Peer, member, pieces, stream, unary
from faults import Command, Scripted, events
from s3_proxy import LOSE, Answer, Hold, error
from servers import wait_for


def findings(done):
    """The findings of a --json check, and its result."""
    lines = [json.loads(line) for line in done.out.splitlines()]
    return [f for f in lines if "mark" in f], next((r for r in lines if "warnings" in r), None)


def bad(done):
    """(mark, subject, what) of all that is not ok."""
    return {(f["mark"], f["subject"], f["what"]) for f in findings(done)[0] if f["mark"] != "ok"}


QUIET = {"schedule": {"interval": "6h"}, "prune": {"max_age": "15d"}}


def traces(bucket):
    return [name for name in bucket.list() if "-check-" in name], bucket.uploads()


def test_all_is_well(site):
    """A table for people, lines for programs; twice, and nothing is left but the backup, as it was."""
    site.configure(QUIET)
    assert site.ctl("backup").status == 0
    before = {name: site.bucket.get(name) for name in site.bucket.list()}
    done = site.ctl("check")
    assert done.status == 0, done
    for words in ("etcd 3.5.", "snapshot", "list", "delete", "abort uploads", "list parts", "write", "read", "read a part", "keys", "etcdutl",
                  "about 60 backups younger than 15d"):
        assert words in done.out, done
    site.start()
    done = site.ctl("--json", "check")
    assert done.status == 0, done
    found, result = findings(done)
    assert result["failures"] == 0 and result["ok"] == sum(f["mark"] == "ok" for f in found) >= 15
    assert not {f["mark"] for f in found if f["subject"] == "bucket"} - {"ok"}, found
    assert {name: site.bucket.get(name) for name in site.bucket.list()} == before and traces(site.bucket) == ([], [])


def asks(request, *what):
    return any(name in request.query for name in what)


# The right, which requests need it, and what is told.
RIGHTS = [
    ("s3:ListBucket", lambda r: r.call == "get" and asks(r, "list-type"), {("fails", "bucket", "list")}),
    ("s3:GetBucketVersioning", lambda r: asks(r, "versioning"), {("warning", "bucket", "versions")}),
    # What may come under retention is not written, so nobody knows of reading.
    ("s3:GetBucketObjectLockConfiguration", lambda r: asks(r, "object-lock"),
     {("warning", "bucket", "lock"), ("warning", "bucket", "read")}),
    ("s3:GetLifecycleConfiguration", lambda r: asks(r, "lifecycle"), {("warning", "bucket", "lifecycle")}),
    # What cannot be taken away again is not written, so nobody knows of reading.
    ("s3:DeleteObject", lambda r: r.call == "delete", {("fails", "bucket", "delete"), ("warning", "bucket", "read")}),
    ("s3:AbortMultipartUpload", lambda r: r.call == "abort", {("fails", "bucket", "abort uploads")}),
    ("s3:ListBucketMultipartUploads", lambda r: r.call == "uploads", {("fails", "bucket", "list uploads")}),
    ("s3:ListMultipartUploadParts", lambda r: r.method == "GET" and asks(r, "uploadId"), {("fails", "bucket", "list parts")}),
    ("s3:PutObject", lambda r: r.call in ("put", "create"), {("fails", "bucket", "write")}),
    ("s3:GetObject", lambda r: r.call in ("get", "head") and "-check-" in r.path and not asks(r, "uploadId"), {("fails", "bucket", "read")}),
]


@pytest.mark.parametrize("right, needs, expected", RIGHTS, ids=[right for right, *_ in RIGHTS])
def test_a_right_is_missing(proxied, ceph, etcd, right, needs, expected):
    """Just that is told, with the name of the right, and nothing is left."""
    site, _ = proxied(ceph, etcd, lambda r: Answer(403, error("AccessDenied")) if needs(r) else None)
    site.configure(QUIET)
    done = site.ctl("--json", "check")
    told = {finding for finding in bad(done) if finding[1] == "bucket"}
    assert told == expected, done
    assert done.status == (1 if any(mark == "fails" for mark, *_ in expected) else 0), done
    assert re.search(rf"needs {right}\b", done.out), done
    assert traces(site.bucket) == ([], [])


def test_what_prune_needs_fails_nothing_without_it(proxied, ceph, etcd):
    site, _ = proxied(ceph, etcd, lambda r: Answer(403, error("AccessDenied")) if r.call in ("delete", "abort", "uploads") else None)
    done = site.ctl("--json", "check")
    assert done.status == 0 and ("warning", "bucket", "delete") in bad(done), done


PARTS = "s3:ListMultipartUploadParts"


def with_rights_of(site, policy, *denied):
    """The site's access key is another user's, who has the rights of this policy in the bucket, but for these: what he has put there
    himself he may do anything with, unless that is denied."""
    him = {"Principal": {"AWS": ["arn:aws:iam:::user/other"]}}
    statements = [{**s, **him} for s in policy["Statement"]]
    if denied:
        statements.append({"Effect": "Deny", "Action": denied, "Resource": f"arn:aws:s3:::{site.bucket.name}/*", **him})
    site.bucket.client.put_bucket_policy(Bucket=site.bucket.name, Policy=json.dumps({**policy, "Statement": statements}))
    keys = site.write("other.yml", "access_key: otherkey\nsecret_key: othersecret\n")
    site.configure({"s3_client": {"auth": {"key_auth": keys}}})


def test_the_policy_and_less(site):
    """The store itself judges: a user who has what --policy prints lacks nothing, and without the parts of uploads just that. It fails
    nothing where nothing is pruned."""
    site.configure(QUIET)
    policy = site.ctl("check", "--policy").json
    assert PARTS in str(policy)
    with_rights_of(site, policy)
    done = site.ctl("--json", "check")
    assert done.status == 0 and not any(subject == "bucket" for _, subject, _ in bad(done)), bad(done)
    with_rights_of(site, policy, PARTS)
    for prunes, mark, status in ((QUIET["prune"], "fails", 1), (None, "warning", 0)):
        site.configure({"prune": prunes})
        done = site.ctl("--json", "check")
        found, = (f for f in findings(done)[0] if f["subject"] == "bucket" and f["mark"] != "ok")
        assert (found["mark"], found["what"], found["affects"], done.status) == (mark, "list parts", "prune", status), done
        assert re.match(rf"unfinished uploads stay: HTTP 403 .*\(ListParts of backup-check-.*, which needs {PARTS}\)$", found["text"]), found
        assert traces(site.bucket) == ([], [])


def with_versions(bucket):
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})


def versions(bucket):
    listed = bucket.client.list_object_versions(Bucket=bucket.name)
    return listed.get("Versions", []) + listed.get("DeleteMarkers", [])


@pytest.mark.parametrize("denied, tried", [
    (("versioning",), True), (("versionId",), False), (("versions",), False), (("versioning", "versionId"), False)],
    ids=("versioning", "delete", "list", "versioning and delete"))
def test_versions_that_could_not_be_taken_away(proxied, ceph, etcd, denied, tried):
    """Where they are kept and cannot be deleted none is made, not even the mark that a delete leaves; and that is told."""
    site, proxy = proxied(ceph, etcd, lambda r: Answer(403, error("AccessDenied")) if asks(r, *denied) else None)
    with_versions(site.bucket)
    done = site.ctl("--json", "check")
    told = {what for mark, _, what in bad(done) if mark == "warning"}
    assert done.status == 0 and ({"read", "delete"} <= told) != tried, done
    assert versions(site.bucket) == [] and traces(site.bucket) == ([], []), done
    assert bool([r for r in proxy.calls("put") if "-check-" in r.path]) == tried


@pytest.mark.parametrize("keeps_versions", (False, True), ids=("plain", "versions"))
@pytest.mark.parametrize("is_lost", (lambda r: r.call == "put", lambda r: r.call == "create", lambda r: r.call == "create" and r.nth == 0),
                         ids=("put", "create", "the first create"))
def test_lost_answers(proxied, ceph, etcd, is_lost, keeps_versions):
    """What was stored all the same is taken away all the same."""
    site, proxy = proxied(ceph, etcd, lambda r: LOSE if is_lost(r) else None)
    if keeps_versions:
        with_versions(site.bucket)
    done = site.ctl("--json", "check")
    lost = [r for r in proxy.requests if is_lost(r)]
    assert lost and done.status == (0 if len(lost) == 1 else 1), done
    assert traces(site.bucket) == ([], []) and versions(site.bucket) == [], done


@pytest.mark.parametrize("question", ("list-type", "versioning", "object-lock", "lifecycle"))
def test_cancelled_before_anything_is_made(proxied, ceph, etcd, question):
    """At once, and not when the store deigns to answer."""
    site, proxy = proxied(ceph, etcd, lambda r: Hold() if asks(r, question) else None)
    command = Command(site, "--json", "check")
    wait_for(lambda: proxy.held)
    command.interrupt()
    done = command.end()
    assert done.status == 1 and "cancelled" in done.out, done
    assert proxy.held and traces(site.bucket) == ([], [])


@pytest.mark.parametrize("call", ("create", "put"))
def test_cancelled_while_something_is_made(proxied, ceph, etcd, call):
    """It is waited for, and taken away."""
    site, proxy = proxied(ceph, etcd, lambda r: Hold() if r.call == call else None)
    command = Command(site.start(), "--json", "check")
    wait_for(lambda: proxy.held)
    site.process.terminate()
    wait_for(lambda: any("is taken back" in event for event in events(site, "info")))
    proxy.release()
    done = command.end()
    assert done.status == 1 and "cancelled" in done.out, done
    assert site.process.wait(60) == 0
    assert proxy.calls("abort" if call == "create" else "delete") and traces(site.bucket) == ([], [])


def test_versions(new_bucket, new_site, etcd):
    """A bucket that keeps versions keeps none of what was tried."""
    bucket = new_bucket()
    with_versions(bucket)
    site = new_site(etcd, bucket)
    done = site.ctl("--json", "check")
    assert done.status == 0 and "it keeps old versions" in done.out, done
    assert versions(bucket) == [], done


def test_members_and_keys(site, new_site, etcd):
    """A member that is not there is a warning beside others, and a failure alone; another master key opens nothing."""
    site.configure(QUIET)
    assert site.ctl("backup").status == 0
    site.configure({"etcd_client": {"endpoints": etcd.endpoints + ["127.0.0.1:1"]}})
    done = site.ctl("--json", "check")
    assert done.status == 0 and ("warning", "127.0.0.1:1", "reach") in bad(done), done
    site.write("master.key", "ab" * 32 + "\n")
    site.configure({"etcd_client": {"endpoints": ["127.0.0.1:1"]}, "prune": None, "schedule": None})
    done = site.ctl("--json", "check")
    assert done.status == 1, done
    assert {("fails", "etcd", "snapshot"), ("fails", "keys", "master key"), ("warning", "schedule", "backups")} <= bad(done), done


def test_the_wrong_store(site):
    """No bucket, wrong keys: one failure with the cause, and not one for each right."""
    site.configure({"s3_client": {"bucket": "there-is-none"}})
    done = site.ctl("--json", "check")
    assert done.status == 1 and {f for f in bad(done) if f[1] == "bucket"} == {("fails", "bucket", "list")}, done
    assert "NoSuchBucket" in done.out


def test_policy(site):
    """JSON for this bucket and this prefix; deleting is in it where prune is configured."""
    site.configure(QUIET)
    policy = site.ctl("check", "--policy").json
    statements = {tuple(s["Action"]): s for s in policy["Statement"]}
    assert any("s3:DeleteObject" in actions for actions in statements)
    assert statements[max(statements, key=len)]["Resource"] == f"arn:aws:s3:::{site.bucket.name}/backup-*"
    site.configure({"prune": None})
    assert "DeleteObject" not in site.ctl("check", "--policy").out


def test_quota_and_certificate_of_a_member(new_etcd, new_site, bucket):
    """etcd at its quota takes no more writes, and a certificate that ends soon is its last night's: told while there is time."""
    etcd = new_etcd(version="3.7", tls="mutual", cert="server-soon")
    site = new_site(etcd, bucket, changes=QUIET)
    done = site.ctl("--json", "check")
    told = {f["what"]: f for f in findings(done)[0] if f["subject"] == etcd.endpoints[0]}
    assert told["quota"]["mark"] == "ok" and re.match(r"16\.0\d* GiB, of which the database takes 0 %", told["quota"]["text"]), told
    assert told["certificate"]["mark"] == "warning" and done.status == 0, done
    assert re.match(r"its own: until 20\d\d-.*Z$", told["certificate"]["text"]), told
    with Peer(stream(*pieces(DATABASE)), {STATUS: unary(member(quota=140000))}) as peer:
        site = new_site(Scripted(peer), bucket, changes=QUIET)
        done = site.ctl("--json", "check")
        assert ("warning", peer.endpoint, "quota") in bad(done) and not any(what == "certificate" for *_, what in bad(done)), done
