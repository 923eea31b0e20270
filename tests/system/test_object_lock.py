"""s3_client.object_lock: dumps and keys are put under lock, and whoever deletes or replaces them copes. test_stores.py runs the same
with MinIO, whose create keeps what it is told of a lock; Ceph's passes it over, and is told again behind the commit."""

import datetime
import json
import re

import pytest

from s3_proxy import Answer, error
from servers import wait_for
from test_check import asks, bad
from test_rotate import Keys, counts, rotate, rotated

DAY = datetime.timedelta(days=1)


@pytest.fixture
def lockable(ceph, proxied, etcd):
    """lockable(mode, retain): a site with a bucket of Object Lock, and the proxy before it."""
    made = []

    def make(mode="governance", retain="2d"):
        site, proxy = proxied(ceph, etcd)
        site.bucket.remove()
        site.bucket.client.create_bucket(Bucket=site.bucket.name, ObjectLockEnabledForBucket=True)
        site.configure({"s3_client": {"object_lock": {"mode": mode, "retain": retain}}})
        made.append(site)
        return site, proxy

    yield make
    for site in made:
        site.stop()
        listed = site.bucket.client.list_object_versions(Bucket=site.bucket.name)
        for item in listed.get("Versions", []):
            hold(site, item["Key"], "OFF", VersionId=item["VersionId"])
        for item in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
            site.bucket.client.delete_object(Bucket=site.bucket.name, Key=item["Key"], VersionId=item["VersionId"],
                                             BypassGovernanceRetention=True)


def lock_of(site, name, **which):
    """The mode, and until when; or None."""
    head = site.bucket.client.head_object(Bucket=site.bucket.name, Key=name, **which)
    return (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) if "ObjectLockMode" in head else None


def hold(site, name, status="ON", **which):
    site.bucket.client.put_object_legal_hold(Bucket=site.bucket.name, Key=name, LegalHold={"Status": status}, **which)


def is_held(site, name):
    return site.bucket.client.head_object(Bucket=site.bucket.name, Key=name).get("ObjectLockLegalHoldStatus") == "ON"


def began(name):
    return datetime.datetime.strptime(re.search(r"\d{4}-.*Z", name)[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def lift(site, name):
    """As who may do that: the lock ends in a moment."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    site.bucket.client.put_object_retention(Bucket=site.bucket.name, Key=name, BypassGovernanceRetention=True,
                                            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": end})
    wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > end + datetime.timedelta(seconds=1))


def test_dump_and_key_are_locked(lockable):
    """Both until the same moment, and nothing else is: not the claim, nor what a check tries."""
    site, proxy = lockable()
    done = site.start().ctl("backup", "--json", "-q")
    assert (done.status, done.err) == (0, ""), done
    dump = done.json["name"]
    key, expected = dump.replace(".dump", ".key"), ("GOVERNANCE", began(dump) + 2 * DAY)
    assert lock_of(site, dump) == lock_of(site, key) == expected
    assert site.ctl("verify", "--all", "-q").status == 0
    done = site.ctl("--json", "check")
    assert ("ok", "object lock") in {(f["mark"], f["what"]) for f in map(json.loads, done.out.splitlines()) if "what" in f}, done
    for item in site.bucket.client.list_object_versions(Bucket=site.bucket.name).get("Versions", []):
        which = {"VersionId": item["VersionId"]}
        assert (lock_of(site, item["Key"], **which) is not None) == (item["Key"] in (dump, key)), item
    assert not any("-check-" in item["Key"] for item in
                   site.bucket.client.list_object_versions(Bucket=site.bucket.name).get("Versions", []))


def test_prune_waits_for_the_lock(lockable):
    """It says so of each backup, and takes it when the lock has ended."""
    site, _ = lockable()
    site.start()
    names = [site.ctl("backup", "--json", "-q").json["name"] for _ in range(2)]
    words = f"the store keeps it until {began(names[0]) + 2 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    wait_for(lambda: words in site.ctl("prune", "-a", "1s", "-i", "1", "--json").out)
    assert site.bucket.dumps() == names
    for kind in ("dump", "key"):
        lift(site, names[0].replace("dump", kind))
    assert site.ctl("prune", "-a", "1s", "-i", "1", "-q").status == 0
    assert site.bucket.dumps() == names[1:]


@pytest.mark.parametrize("retain, days", (("2d", 2), ("1h", 2), ("3d", 3)), ids=("same", "shorter", "longer"))
def test_a_rotated_key_stays_locked(lockable, retain, days):
    """As long as what it replaces, or as the configuration says now, if that is longer."""
    site, _ = lockable()
    name = site.ctl("backup", "--json", "-q").json["name"]
    site.configure({"s3_client": {"object_lock": {"retain": retain}}})
    keys = Keys(site)
    assert counts(rotated(site.start(), keys)) == (1, 0, 0)
    assert lock_of(site, name.replace(".dump", ".key")) == ("GOVERNANCE", began(name) + days * DAY)
    assert site.ctl("verify", "--all", "-q").status == 0


def test_a_rotation_when_the_lock_is_over(lockable):
    """What has ended is not asked for: the store would refuse it."""
    site, proxy = lockable()
    name = site.ctl("backup", "--json", "-q").json["name"]
    key = name.replace(".dump", ".key")
    lift(site, key)
    site.configure({"s3_client": {"object_lock": {"retain": "1m"}}})
    proxy.requests.clear()
    assert counts(rotated(site, Keys(site))) == (1, 0, 0)
    puts = [r for r in proxy.calls("put") if r.path.endswith(".key")]
    assert puts and not any("object-lock" in header.lower() for r in puts for header in r.headers)
    assert lock_of(site, key) is None


def test_a_legal_hold_goes_with_the_key(lockable):
    """Of two keys one is held, by somebody: so is the one that takes its place, and the other is not. Who may not do that is told
    what is missing, and nothing was rotated."""
    site, proxy = lockable()
    site.configure({"s3_client": {"object_lock": {"mode": "none", "retain": None}}})
    site.start()
    held, free = (site.ctl("backup", "--json", "-q").json["name"].replace(".dump", ".key") for _ in range(2))
    hold(site, held)
    before = site.bucket.get(held)
    keys = Keys(site)
    header = "x-amz-object-lock-legal-hold"

    def rule(request):
        return Answer(403, error("AccessDenied")) if request.call == "put" and header in request.headers else None

    proxy.rule = rule
    lines = rotate(site, keys, status=1)
    told, = (line["text"] for line in lines if line.get("name") == held)
    assert "under the legal hold of the one before, which needs s3:PutObjectLegalHold, too: HTTP 403" in told
    assert counts(lines[-1]) == (1, 0, 1) and site.bucket.get(held) == before

    proxy.rule = lambda request: None
    assert counts(rotated(site, keys)) == (1, 1, 0)
    assert site.bucket.get(held) != before and is_held(site, held) and not is_held(site, free)
    assert site.ctl("verify", "--all", "-q").status == 0


def test_buckets_without_locks(ceph, proxied, etcd):
    """Nothing is put there that could be deleted, and check says why before."""
    site, _ = proxied(ceph, etcd)
    site.configure({"s3_client": {"object_lock": {"mode": "governance", "retain": "1d"}}})
    done = site.ctl("--json", "check")
    assert done.status == 1 and ("fails", "bucket", "object lock") in bad(done), done
    assert "the bucket was not made with Object Lock" in done.out
    done = site.ctl("backup", "-q")
    assert done.status == 1 and "HTTP 400 InvalidRequest" in done.err, done
    assert site.bucket.dumps() == [] and site.bucket.uploads() == []


def test_a_lock_that_is_refused_afterwards(lockable):
    """The backup is there, so it is no failure; but it is told."""
    site, proxy = lockable()
    refused = []

    def rule(request):
        if asks(request, "retention") and request.call == "put":
            refused.append(request)
            return Answer(403, error("AccessDenied"))
        return None

    proxy.rule = rule
    shown = site.ctl("backup", "--json", "-q")
    assert shown.status == 0, shown
    if refused:  # of the key and of what is created in parts MinIO keeps it
        assert re.search("the backup is stored, but its dump may not be under object lock: .*needs s3:PutObjectRetention", shown.err), shown
    else:
        assert lock_of(site, shown.json["name"]) is not None, shown
    done = site.ctl("--json", "check")
    assert done.status == 1 and re.search("needs s3:PutObjectRetention", done.out), done
    assert {f for f in bad(done) if f[0] == "fails"} == {("fails", "bucket", "object lock")}, done


def test_settings(site):
    for changes, words in (({"mode": "governance"}, "s3_client.object_lock.mode: needs retain beside it"),
                           ({"mode": "none", "retain": None}, None),
                           ({"mode": None, "retain": "1d"}, "s3_client.object_lock.retain: needs mode beside it"),
                           ({"mode": "legal", "retain": "1d"}, "is none of none, governance, compliance"),
                           ({"mode": "compliance", "retain": "30d"}, None)):
        site.configure({"s3_client": {"object_lock": changes}, "prune": {"max_age": "15d"}, "schedule": {"interval": "1h"}})
        done = site.check_config()
        assert done.status == (2 if words else 0) and (words or "") in done.err, done
    words = "s3_client.object_lock.retain: is longer than prune.max_age (15d): what is older stays"
    assert words in done.err and words in site.ctl("--json", "check").out
    site.configure({"s3_client": {"object_lock": {"retain": "30m"}}})
    assert "is shorter than the time between two backups: for a while none of them is locked" in site.check_config().err
    assert "s3:PutObjectRetention" in site.ctl("check", "--policy").out
