"""What is known decides: prune, list, the schedule and /healthz ask what verify, a look at the keys and the metadata have shown."""
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor

import reader

from etcd_peer import DATABASE, TRAILER
from s3_proxy import After, Answer, error
from servers import wait_for
from test_prune import name, paired, plain, prune, put, put_dump  # noqa: F401
from test_reader import seal, wrap


SNAPSHOT = DATABASE + TRAILER  # of a sound database


def listed(site, *options):
    return {one["name"][:-5]: one for one in map(json.loads, site.ctl(*options, "list", "--json").out.splitlines())}


def spoil(site, stem):
    dump = site.bucket.get(f"{stem}.dump")
    site.bucket.put(f"{stem}.dump", dump[:-1] + bytes([dump[-1] ^ 1]))


def test_planted_dumps_take_no_place(plain):
    """Anyone with PutObject can make a dump without a key; where backups are encrypted none of them counts."""
    put(plain, name(20), name(30), name(40))
    for stem in (name(1), name(2)):
        plain.bucket.put(f"{stem}.dump", random.Random(1).randbytes(4128))
    told, result = prune(plain, "-a", "1s", "-i", "2")
    assert result["deleted"] == 1 and not told[f"{name(20)}.dump"][0] and not told[f"{name(30)}.dump"][0], told
    assert {name(20), name(30)} <= {dump.removesuffix(".dump") for dump in plain.bucket.dumps()}
    assert {one["state"] for stem, one in listed(plain).items() if stem in (name(1), name(2))} == {"not-encrypted"}


def test_keys_that_are_gone(ceph, etcd, proxied):
    """Listed, and answered with 404: those backups count for nothing."""
    site, proxy = proxied(ceph, etcd)
    put(site.start(), name(20), name(30), name(40))
    gone = [f"{stem}.key".replace(":", "%3A") for stem in (name(20), name(30))]
    proxy.rule = lambda request: Answer(404, b"<Error><Code>NoSuchKey</Code></Error>") if request.method == "GET" and any(
        one in request.path for one in gone) else None
    told, result = prune(site, "-a", "1s", "-i", "1")
    assert result["deleted"] == 0, told
    assert told[f"{name(20)}.dump"] == (False, "part of it is gone"), told


def test_a_key_in_the_archive(ceph, etcd, proxied):
    """It stays, and is named; the others go on."""
    site, proxy = proxied(ceph, etcd)
    put(site.start(), name(20), name(30), name(40))
    archived = f"{name(30)}.key".replace(":", "%3A")
    proxy.rule = lambda request: Answer(
        403, b"<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>") if archived in request.path else None
    done = site.ctl("prune", "-a", "1s", "-i", "1")
    assert done.status == 0 and f"{name(30)}.key" in done.err and "archive" in done.err, done
    assert paired(site) == sorted([name(20), name(30)])


def clusters(site, ids):
    """Backups, each with the id of a cluster in its dump's metadata."""
    for stem, cluster in ids.items():
        put(site, stem)
        put_dump(site, stem, **{"etcd-cluster-id": cluster})


def test_two_clusters_in_turn(plain):
    """Which is ours, nobody knows who has made no backup."""
    clusters(plain, {name(20): "a1", name(30): "b2", name(40): "a1", name(50): "b2"})
    done = plain.ctl("prune", "-a", "1s", "-i", "1")
    assert done.status == 1 or done.status == 2, done
    assert "several etcd clusters in turn (a1, b2)" in done.err and len(paired(plain)) == 4, done


def test_the_cluster_before(plain):
    """What was restored is a new cluster: the backups of the old one stay, and displace nothing."""
    clusters(plain, {name(20): "b2", name(30): "b2", name(40): "a1", name(50): "a1"})
    done = plain.ctl("prune", "-a", "1s", "-i", "1")
    assert done.status == 0 and "2 backups are of another etcd cluster (a1, ours is b2)" in done.err, done
    assert paired(plain) == sorted([name(20), name(40), name(50)])


def test_a_bad_one_takes_no_place(plain):
    """What verify has found bad stays and displaces nothing, is shown after a restart and to others, until it is good again."""
    for _ in range(3):
        assert plain.ctl("backup").status == 0
    first, second, third = sorted(paired(plain))
    good = plain.bucket.get(f"{third}.dump")
    spoil(plain, third)
    assert plain.ctl("verify", "--all").status == 5
    assert {stem: one["state"] for stem, one in listed(plain).items()} == {
        first: "complete", second: "complete", third: "damaged"}
    assert [one for one in plain.bucket.list() if one.startswith(f"{third}.bad-")]
    plain.stop()
    plain.start()
    assert listed(plain)[third]["state"] == "damaged"
    wait_for(lambda: prune(plain, "-a", "1s", "-i", "1")[1]["deleted"] == 1)
    assert set(plain.bucket.dumps()) == {f"{second}.dump", f"{third}.dump"}
    plain.bucket.put(f"{third}.dump", good)  # another object of that name: nothing is known of it
    assert listed(plain)[third]["state"] == "complete"
    wait_for(lambda: prune(plain, "-a", "1s", "-i", "1")[1]["deleted"] == 1)
    assert plain.bucket.dumps() == [f"{third}.dump"]


def test_a_verdict_that_is_taken_back(plain):
    """One that was found bad by mistake: by the mark of the very same object, which goes when it is found good."""
    assert plain.ctl("backup").status == 0
    (stem,) = paired(plain)
    good = plain.bucket.get(f"{stem}.dump")
    spoil(plain, stem)
    assert plain.ctl("verify").status == 5
    (bad,) = [one for one in plain.bucket.list() if ".bad-" in one]
    plain.bucket.put(f"{stem}.dump", good)
    assert plain.ctl("verify").status == 0
    assert listed(plain)[stem]["state"] == "complete" and bad in plain.bucket.list()  # of another object
    plain.bucket.delete(f"{stem}.dump", f"{stem}.key")
    assert listed(plain) == {}


def test_a_mark_goes_with_its_backup(plain):
    """Dump, key and mark in the same prune."""
    stems = [name(20), name(30)]
    for stem in stems:
        put_good(plain, stem)
    spoil(plain, stems[1])
    assert plain.ctl("verify", "--all").status == 5
    assert any(one.startswith(f"{stems[1]}.bad-") for one in plain.bucket.list())
    assert prune(plain, "-a", "25d", "-i", "1")[1]["deleted"] == 1
    assert set(plain.bucket.list()) == {f"{stems[0]}.dump", f"{stems[0]}.key"}


def flip(status, headers, body):
    return status, headers, body[:-1] + bytes([body[-1] ^ 1]) if status < 300 and body else body


def test_a_mark_that_is_taken_back(ceph, etcd, proxied):
    """The very same object is found good: its mark goes, and it counts again."""
    site, proxy = proxied(ceph, etcd)
    stem = name(20)
    put_good(site.start(), stem)
    proxy.rule = lambda request: After(flip) if (
        request.method == "GET" and ".dump" in request.path and not request.is_look) else None
    assert site.ctl("verify").status == 5 and listed(site)[stem]["state"] == "damaged"
    assert any(".bad-" in one for one in site.bucket.list())
    proxy.rule = lambda request: None
    assert site.ctl("verify", "--all").status == 0
    assert set(site.bucket.list()) == {f"{stem}.dump", f"{stem}.key"} and listed(site)[stem]["state"] == "complete"


def test_a_mark_that_may_not_be_put(ceph, etcd, proxied):
    """Who may only read hears that the next process will not know it; this one does."""
    site, proxy = proxied(ceph, etcd)
    stem = name(20)
    put_good(site.start(), stem)
    spoil(site, stem)
    proxy.rule = lambda request: Answer(403, error("AccessDenied")) if request.method == "PUT" else None
    done = site.ctl("verify")
    assert done.status == 5 and f"{stem}.dump: the verdict could not be written beside it" in done.err, done
    assert listed(site)[stem]["state"] == "damaged" and not any(".bad-" in one for one in site.bucket.list())


def put_good(site, stem, cluster=None, master_key=None):
    """One that opens, without a backup."""
    data_key = os.urandom(32)
    dump = seal(SNAPSHOT, key=data_key)
    site.bucket.put(f"{stem}.key", wrap(stem[-20:], master_key or site.master_key, os.urandom(8), data_key))
    site.bucket.client.put_object(Bucket=site.bucket.name, Key=f"{stem}.dump", Body=dump,
                                  Metadata={"etcd-cluster-id": cluster} if cluster else {})


def test_the_newest_is_of_another_cluster(site):
    """backup, restore, verify and list say it; nothing is refused, and prune goes on for the new ones."""
    put_good(site, name(1), "b2")
    put_good(site, name(2), "b2")
    done = site.ctl("backup", "--json")
    assert done.status == 0 and f"{name(1)}.dump, the newest before this one, is of another etcd cluster (b2, " in done.json["doubt"]
    (ours,) = set(paired(site)) - {name(1), name(2)}
    done = site.ctl("backup", "--json")
    assert done.status == 0 and done.json["doubt"] == "", done
    assert {stem: one["state"] for stem, one in listed(site).items() if stem in (name(1), ours)} == {
        name(1): "other-cluster", ours: "complete"}
    instant = name(1)[-20:]
    for command in (["restore", "--use-etcdutl=false"], ["verify"]):
        done = site.ctl(*command, "-t", instant)
        assert done.status == 0 and f"{name(1)}.dump is of etcd cluster b2, and " in done.err, done
        done = site.ctl(*command)
        assert done.status == 0 and "etcd cluster" not in done.err, done
    site.start()  # who has made one knows which cluster is his
    assert site.ctl("backup").status == 0
    done = site.ctl("verify", "-t", instant)
    assert done.status == 0 and f"{name(1)}.dump is of etcd cluster b2; the backups that are made here are of " in done.err
    assert prune(site, "-a", "1s", "-i", "1")[1]["deleted"] == 2
    assert len(paired(site)) == 3 and {name(1), name(2)} < set(paired(site))


def test_what_to_ask_for_instead(plain):
    """An empty newest dump, and one that was deleted or hidden behind a delete marker."""
    put_good(plain, name(20))
    put_good(plain, name(10))
    plain.bucket.put(f"{name(10)}.dump", b"")
    for command in (["restore", "--use-etcdutl=false"], ["verify"]):
        done = plain.ctl(*command)
        assert done.status == 5 and "is empty" in done.err + done.out, done
        assert f"; -t {name(20)[-20:]} asks for the nearest other backup" in done.err, done
    plain.bucket.client.put_bucket_versioning(Bucket=plain.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    plain.bucket.delete(f"{name(10)}.dump")
    for command in (["restore", "--use-etcdutl=false"], ["verify"]):
        done = plain.ctl(*command)
        assert done.status == 0 and f"{name(10)}.key is newer, and its dump is not there: " in done.err, done
        assert f"this is about {name(20)}.dump" in done.err, done
    versions = plain.bucket.client.list_object_versions(Bucket=plain.bucket.name)
    for one in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
        plain.bucket.client.delete_object(Bucket=plain.bucket.name, Key=one["Key"], VersionId=one["VersionId"])


def test_in_the_archive(ceph, etcd, proxied):
    """A dump or a key: which object, what to do about it, and which other to ask for."""
    site, proxy = proxied(ceph, etcd)
    for stem in (name(10), name(20), name(30)):
        put_good(site, stem)
    site.start()
    for suffix in ("key", "dump"):
        archived = f"{name(30)}.{suffix}".replace(":", "%3A")
        proxy.rule = lambda request, archived=archived: Answer(403, error(
            "InvalidObjectState", "not valid for the object's storage class")) if (
                request.method == "GET" and archived in request.path) else None
        for command in (["restore", "--use-etcdutl=false"], ["verify"]):
            done = site.ctl(*command, "-t", name(30)[-20:])
            assert done.status == 1 and f"{name(30)}.{suffix}" in done.err and "(RestoreObject)" in done.err, done
            assert f"; -t {name(10)[-20:]} asks for the newest other backup" in done.err, done
    proxy.rule = lambda request: Answer(403, error("InvalidObjectState")) if (
        request.method == "GET" and ".key" in request.path and name(10)[-20:-10] not in request.path) else None
    for stem in (name(40), name(50), name(60)):
        put_good(site, stem)
    done = site.ctl("verify", "--all", "--json")
    assert [json.loads(line).get("good") for line in done.out.splitlines()[:-1]] == [True] + 5 * [False], done


KINDS = ["good", "good", "good", "good", "planted", "planted with a key", "damaged", "key lost", "other key", "other cluster", "future"]


def plant(site, number, kind):
    """One backup of that kind, some days old: its dump, and whether a reader that knows nothing of the program opens it."""
    stem, data_key = name(number) if kind != "future" else name(-1 - number), os.urandom(32)
    master_key = os.urandom(32) if kind == "other key" else site.master_key
    dump, key = seal(SNAPSHOT, key=data_key), wrap(stem[-20:], master_key, os.urandom(8), data_key)
    if kind.startswith("planted"):
        dump, key = os.urandom(4128 if kind == "planted" else 4136), os.urandom(72)
    if kind == "damaged":
        dump = dump[:-1] + bytes([dump[-1] ^ 1])
    if kind not in ("planted", "key lost"):
        site.bucket.put(f"{stem}.key", key)
    site.bucket.client.put_object(Bucket=site.bucket.name, Key=f"{stem}.dump", Body=dump,
                                  Metadata={"etcd-cluster-id": "b2"} if kind == "other cluster" else {})
    return f"{stem}.dump"


def opens(site, dump):
    try:
        return bool(site.plaintext(dump))
    except (reader.FormatError, site.bucket.client.exceptions.NoSuchKey):
        return False


def test_a_hundred_sequences(plain):
    """However bad ones come, a prune never leaves fewer backups that open than it promises."""
    assert plain.ctl("backup").status == 0  # it knows its cluster
    there, deleted = plain.bucket.list(), 0
    with ThreadPoolExecutor(8) as pool:
        for seed in range(100):
            chance = random.Random(seed)
            plain.bucket.client.delete_objects(Bucket=plain.bucket.name, Delete={"Objects": [{"Key": one} for one in there]})
            kinds = [chance.choice(KINDS) for _ in range(chance.randrange(4, 9))]
            dumps = dict(zip(pool.map(plant, [plain] * 8, range(1, 9), kinds), kinds))
            if "damaged" in kinds:
                plain.ctl("verify", "--all", "-q")
            readable = dict(zip(dumps, pool.map(opens, [plain] * 8, dumps)))
            good = {dump for dump, kind in dumps.items() if readable[dump] and kind not in ("other cluster", "future")}
            floor, age = chance.randrange(3), f"{chance.randrange(4) * 24 + 1}h"
            done = plain.ctl("prune", "-a", age, "-i", floor, "--allow-other-keys", "--json")
            there = plain.bucket.list()
            left = {dump for dump in good if dump in there and dump[:-4] + "key" in there}  # none is ever written
            assert len(left) >= min(len(good), floor), (seed, dumps, floor, age, done)
            assert done.status == 0 or left == good, (seed, dumps, done)
            assert all(dump in there for dump, kind in dumps.items() if kind == "other cluster"), (seed, dumps, done)
            assert len(good) == sum(kind == "good" for kind in kinds), (seed, readable, dumps)
            deleted += len(good) - len(left)
    assert deleted > 50  # it was a test of something
