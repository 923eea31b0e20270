"""What is known decides: prune, list, the schedule and /healthz ask what verify, a look at the keys and the metadata have shown."""
import json
import random

from s3_proxy import Answer
from servers import wait_for
from test_prune import name, paired, plain, prune, put, put_dump  # noqa: F401


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
