"""Stores other than Ceph: the whole way with MinIO, and what is sensitive to how a store does things.

Nearly all is tested with Ceph; here the same tests, imported by their names, run against this store: `ceph` is it."""

import json
import os

import boto3
import pytest

import servers
from faults import Command
from s3_proxy import LOSE, Answer, Hold, error
from servers import MIB, wait_for
from test_backup import check_backup
from test_check import PARTS, QUIET, bad, traces
from test_daemon import test_one_prefix_for_several_daemons  # pylint: disable=unused-import
from test_object_lock import (lockable, test_a_legal_hold_goes_with_the_key, test_a_rotated_key_stays_locked, test_a_lock_that_is_refused_afterwards,  # pylint: disable=unused-import
                              test_buckets_without_locks, test_dump_and_key_are_locked, test_prune_waits_for_the_lock)
from test_faults_s3 import check_took_another_name, name_of
from test_faults_s3 import plain as plain_dumps
from test_prune import (locking, plain, test_a_versioned_bucket, test_age_and_count,  # pylint: disable=unused-import
                        test_object_lock)
from test_reader import wrap
from test_rotate import (Keys, counts, opens, put_keys, rotated, stamp, test_a_ceremony, test_old_versions_are_told,  # pylint: disable=unused-import
                         test_old_versions_that_are_locked, versioned)
from unpacking import tool_of


@pytest.fixture(scope="module")
def minio(scratch, ca):
    with servers.Minio(scratch / "minio", ca) as server:
        yield server


@pytest.fixture
def ceph(minio):
    return minio


@pytest.fixture
def site(new_site, etcd, bucket):
    return new_site(etcd, bucket, https=False)


def test_the_whole_way(scratch, ca, medium, new_bucket, new_site, folder):
    """Over TLS, in several parts: backup, list, a drill, a restore, a prune."""
    with servers.Minio(scratch / "minio-tls", ca, tls="server") as store:
        bucket = new_bucket(store)
        site = new_site(medium, bucket, changes={"s3_client": {"part_size": servers.Raw("5MiB")}}).start()
        snapshot = check_backup(site, site.ctl("backup", "--json"), folder)
        assert len(snapshot) > 10 * MIB and bucket.uploads() == []
        entry = site.ctl("list", "--json").json
        assert (entry["state"], entry["encrypted"]) == ("complete", True)
        done = site.ctl("verify", "--drill", "-e", tool_of(medium), "--json", "-q")
        assert done.status == 0 and json.loads(done.out.splitlines()[0])["good"], done
        done = site.ctl("restore", "--use-etcdutl=false", "--output", folder / "restored", "-q")
        assert done.status == 0 and (folder / "restored").read_bytes() == snapshot, done
        assert site.ctl("backup", "-q").status == 0
        wait_for(lambda: site.ctl("prune", "-a", "1s", "-i", "1", "--json").json["remaining"] == 1)
        assert bucket.dumps() != [entry["name"]] and len(bucket.list()) == 2
        site.stop()


def test_conditions(ceph, etcd, proxied):
    """A key that somebody else writes between our GET and our PUT is not written over; one that is there, neither."""
    site, proxy = proxied(ceph, etcd)
    name, = put_keys(site, 1)
    keys, other = Keys(site), os.urandom(32)

    def rule(request):
        if request.call == "put" and request.nth == 0:
            site.bucket.put(name, wrap(stamp(0), keys.previous, data_key=other))
    proxy.rule = rule
    assert counts(rotated(site, keys)) == (1, 0, 0)
    assert opens(keys.next, name, site.bucket.get(name)) == other
    assert len(proxy.calls("put")) == 2  # the quoted ETag is understood at once


def taking(site, taken, others=None):
    """Somebody else stores a dump of the name in the moment between our look and our commit."""
    def rule(request):
        if request.call == "complete" and not taken:
            taken.append(name_of(site, request))
            site.bucket.put(taken[0], b"another's")
            return others
        return None
    return rule


def test_a_commit_overwrites_nothing(ceph, etcd, proxied):
    """Where the store looks itself, nothing comes between that and the commit."""
    site, proxy = plain_dumps(proxied, ceph, etcd)
    taken = []
    proxy.rule = taking(site, taken)
    done = site.start().ctl("backup", "--json", "-q")
    assert [r.headers["If-None-Match"] for r in proxy.calls("complete")] == ["*", "*"]
    check_took_another_name(site, done, *taken, b"another's", "exists already")


def test_a_commit_whose_answer_is_lost(ceph, etcd, proxied):
    """The name is taken then, by ourselves."""
    site, proxy = plain_dumps(proxied, ceph, etcd, retries=0)
    proxy.rule = lambda request: LOSE if request.call == "complete" and request.nth == 0 else None
    done = site.start().ctl("backup", "--json", "-q")
    assert (done.status, done.json["attempts"]) == (0, 1) and len(proxy.calls("complete")) == 2, done
    assert list(site.bucket.list()) == [done.json["name"]] and site.bucket.uploads() == []


def without_claims(request):
    """As one that knows nothing of them has it."""
    answers = {"head": Answer(404), "get": Answer(403, error("AccessDenied")), "put": Answer(200), "delete": Answer(204)}
    return answers[request.call] if ".claim" in request.path else None


def test_two_commits_of_one_name(ceph, etcd, proxied, new_site):
    """Both have found the name free, and each is about to commit: the second takes another name."""
    first, proxy = plain_dumps(proxied, ceph, etcd)
    second, other = plain_dumps(proxied, ceph, etcd)
    second.configure({"s3_client": {"bucket": first.bucket.name}})
    for p in (proxy, other):
        p.rule = lambda request: without_claims(request) or (Hold() if request.call == "complete" else None)

    def collide():
        proxy.released = other.released = False
        commands = [Command(site.start(), "backup", "--json", "-q") for site in (first, second)]
        wait_for(lambda: proxy.held and other.held)
        names = {p.held[0].path for p in (proxy, other)}
        proxy.release()
        other.release()
        done = [command.end() for command in commands]
        assert [one.status for one in done] == [0, 0], done
        assert sorted(one.json["attempts"] for one in done) == [1, 1 if len(names) == 2 else 2], done
        made.extend(one.json["name"] for one in done)
        return len(names) == 1

    made = []
    wait_for(collide, what="two that begin in one second")
    assert first.bucket.dumps() == sorted(set(made)) and len(set(made)) == len(made)


@pytest.mark.parametrize("prefix", ["a/b/c", "with space+plus:colon", "Übergröße/100% & more?"])
def test_prefixes(etcd, bucket, new_site, prefix):
    site = new_site(etcd, bucket, https=False, changes={"s3_client": {"objects_prefix": prefix}}).start()
    made = [site.ctl("backup", "--json", "-q").json["name"] for _ in range(2)]
    assert all(name.startswith(f"{prefix}-") for name in made) and bucket.dumps() == made
    assert [json.loads(line)["name"] for line in site.ctl("list", "--json").out.splitlines()] == made[::-1]
    assert site.ctl("verify", "--all", "-q").status == 0
    wait_for(lambda: site.ctl("prune", "-a", "1s", "-i", "1", "-q").status == 0 and bucket.dumps() == made[1:])


def test_uploads_cannot_be_seen(site):
    """MinIO lists an unfinished upload by its whole name alone: that none is there is not said of it."""
    put_keys(site, 1)
    key = f"backup-{stamp(5)}.dump"
    site.bucket.client.create_multipart_upload(Bucket=site.bucket.name, Key=key)
    words = "this store (MinIO) lists unfinished uploads by their whole names alone"
    done = site.ctl("prune")
    assert done.status == 0 and done.err == "", done  # it removes them by itself, after a day
    keys = Keys(site)
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 0 and f"note: whether a backup is under way could not be seen: {words}" in done.err, done
    upload, = site.bucket.client.list_multipart_uploads(Bucket=site.bucket.name, Prefix=key)["Uploads"]
    site.bucket.client.abort_multipart_upload(Bucket=site.bucket.name, Key=key, UploadId=upload["UploadId"])


def test_rights_of_a_check(minio, site):
    """The store judges: credentials with what --policy prints lack nothing. That there are uploads MinIO does not say, so a prune asks
    for the parts of none, and needs no right for that: it is not told as missing."""
    site.configure(QUIET)
    policy = site.ctl("check", "--policy").json
    sts = boto3.client("sts", endpoint_url=minio.http, region_name="us-east-1", aws_access_key_id=minio.access_key,
                       aws_secret_access_key=minio.secret_key)
    assert PARTS in str(policy)
    for lacking in (None, PARTS, "s3:AbortMultipartUpload"):
        rights = {**policy, "Statement": [{**s, "Action": [a for a in s["Action"] if a != lacking]} for s in policy["Statement"]]}
        given = sts.assume_role(RoleArn="arn:minio:iam:::role/none", RoleSessionName="check", Policy=json.dumps(rights))["Credentials"]
        site.write("s3.yml", servers.yaml({"access_key": given["AccessKeyId"], "secret_key": given["SecretAccessKey"],
                                           "session_token": given["SessionToken"]}))
        done = site.ctl("--json", "check")
        told = {(mark, what) for mark, subject, what in bad(done) if subject == "bucket"}
        hidden = {("warning", "list uploads")}
        assert told == (hidden if lacking in (None, PARTS) else {("fails", "abort uploads")}), (lacking, done)
        assert done.status == (0 if lacking in (None, PARTS) else 1) and traces(site.bucket) == ([], []), done
