"""The database in a backup is looked at as it goes by: a damaged one becomes no backup while one member is sound."""

import hashlib
import json
import os
import random
import re
import shutil
import struct
import subprocess

import pytest

from etcd_peer import Etcd, framed, meta, pieces, stream
from faults import Scripted, check_clean
from s3_proxy import Answer, error
from servers import MIB, wait_for
from test_service import Page

VERSIONS = ["3.4", "3.5", "3.6", "3.7"]
PAGE = 4096
SOUND = framed(bytes(MIB))


def broken(content):
    """Its root is no leaf any more."""
    return content[:2 * PAGE + 8] + b"\x10" + content[2 * PAGE + 9:]


DAMAGED = broken(SOUND)
WHY = "page 2: it is neither a branch nor a leaf"


def probe(programs, *arguments):
    """What bolt_probe prints, as a dict."""
    done = subprocess.run([programs.build / "tests" / "system" / "bolt_probe", *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())


# ---- backups ----

def test_a_damaged_member_is_left(bucket, new_site):
    """The next attempt asks another one, whatever `retries` says; nothing of the first is to be seen."""
    with Etcd(stream(*pieces(DAMAGED))) as bad, Etcd(stream(*pieces(SOUND))) as good:
        site = new_site(Scripted(bad), bucket)
        site.configure({"etcd_client": {"endpoints": [bad.endpoint, good.endpoint], "retries": 0}})
        site.start()
        done = [site.ctl("backup", "--json", "-q") for _ in range(2)]
        assert [one.status for one in done] == [0, 0] and [one.json["attempts"] for one in done] == [2, 1], done
        assert f"attempt 1 failed: {bad.endpoint}: its database is damaged: {WHY}; trying again" in done[0].err, done[0]
        assert [one.json["structure"] for one in done] == ["sound", "sound"]
        assert len(bad.snapshots) == 1 and len(good.snapshots) == 2  # nor is it asked first the next time
        check_clean(site, 2)


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
def test_nobody_is_sound(bucket, new_site, encrypted):
    """Half a database is better than none: it is stored, and counts for nothing."""
    with Etcd(stream(*pieces(SOUND))) as peer:
        site = new_site(Scripted(peer), bucket, encrypted=encrypted, changes={"health": {"max_age": "1h"}})
        site.start()
        assert site.ctl("backup").status == 0
        good, = site.bucket.dumps()
        peer.handlers["/etcdserverpb.Maintenance/Snapshot"] = stream(*pieces(DAMAGED))
        done = site.ctl("backup", "--json", "-q")
        name, = set(site.bucket.dumps()) - {good}
        assert done.status == 5 and done.json["failure"]["text"] == (
            f"no sound database was to be had; the damaged one is stored as {name}, and does not count: "
            f"{peer.endpoint}: its database is damaged: {WHY}"), done
        assert states(site) == {good: "complete", name: "damaged"}
        # It is what etcd sent, and a look at it says the same.
        assert site.plaintext(name) == DAMAGED + hashlib.sha256(DAMAGED).digest()
        if encrypted:
            assert "structure" not in bucket.client.head_object(Bucket=bucket.name, Key=name.replace(".dump", ".key"))["Metadata"]
        done = site.ctl("verify", "-t", name[len("backup-"):-len(".dump")])
        assert done.status == 5 and f"the database in it is damaged: {WHY}" in done.err, done
        # For another process, too: it takes no good one's place.
        site.stop()
        site.start()
        done = site.ctl("prune", "-a", "1s", "-i", "1")
        assert good in site.bucket.dumps(), done
        assert states(site) == {good: "complete", name: "damaged"}


def denied(condition):
    return lambda request: Answer(403, error("AccessDenied")) if condition(request) else None


@pytest.mark.parametrize("condition, doing", [
    (lambda request: request.call == "put" and request.path.endswith(".key"), "storing the data key"),
    (lambda request: request.call == "complete", "completing the upload"),
], ids=["key", "complete"])
def test_what_comes_in_the_way_of_storing_it(ceph, proxied, condition, doing):
    """It is told, and hides nothing: there is no sound database, and that is what somebody has to see to."""
    with Etcd(stream(*pieces(DAMAGED))) as peer:
        site, _ = proxied(ceph, Scripted(peer), denied(condition))
        done = site.start().ctl("backup", "--json", "-q")
        assert (done.status, done.json["failure"]["kind"]) == (5, "integrity"), done
        assert re.fullmatch(f"{peer.endpoint}: its database is damaged: {WHY}; no sound one was to be had, and storing it as "
                            rf"backup-\S+\.dump failed: {doing}: HTTP 403 AccessDenied.*", done.json["failure"]["text"]), done
        assert not site.bucket.dumps()


def test_a_mark_needs_no_look_at_the_dump(ceph, proxied):
    """An access key that may write alone: what the store said of the commit tells whose mark it is."""
    with Etcd(stream(*pieces(DAMAGED))) as peer:
        site, _ = proxied(ceph, Scripted(peer), denied(lambda request: request.call == "head"))
        done = site.start().ctl("backup", "--json", "-q")
        assert done.status == 5 and "does not count" in done.json["failure"]["text"], done
        site.stop()
        assert list(states(site.start()).values()) == ["damaged"]


def test_a_mark_that_cannot_be_put(ceph, proxied):
    """This daemon knows it all the same; that others do not is said."""
    with Etcd(stream(*pieces(DAMAGED))) as peer:
        site, _ = proxied(ceph, Scripted(peer), denied(lambda request: request.call == "put" and ".bad-" in request.path))
        done = site.start().ctl("backup", "--json", "-q")
        assert (done.status, done.json["failure"]["kind"]) == (5, "integrity"), done
        assert re.fullmatch(r"no sound database was to be had; the damaged one is stored as backup-\S+\.dump, and that it is "
                            r"damaged could not be written beside it, so others may take it for a good one \(verify it\): "
                            rf".*HTTP 403 AccessDenied.*; {peer.endpoint}: its database is damaged: {WHY}",
                            done.json["failure"]["text"]), done
        assert list(states(site).values()) == ["damaged"]
        site.stop()
        assert list(states(site.start()).values()) == ["complete"]


def test_it_counts_for_nothing(bucket, new_site):
    """A daemon whose etcd has damaged data alone: each try is told as a failure, one in an hour is stored, and none is a success."""
    with Etcd(stream(*pieces(DAMAGED))) as peer:
        site = new_site(Scripted(peer), bucket)
        page, told = Page(site, health={"max_age": "1h"}), site.dir / "told"
        site.configure({"schedule": {"interval": "1h", "retry": {"initial": "1s", "max": "1s"}},
                        "hooks": {"on_failure": f"cat >>{told}"}})
        site.start()
        wait_for(lambda: told.exists() and len(told.read_text().splitlines()) >= 3)
        name, = site.bucket.dumps()
        events = [json.loads(line) for line in told.read_text().splitlines()]
        assert {(event["event"], event["kind"]) for event in events} == {("backup-failed", "integrity")}
        assert [name in event["text"] for event in events] == [True] + [False] * (len(events) - 1), events
        assert all(f"its database is damaged: {WHY}" in event["text"] for event in events)
        status = site.ctl("status", "--json").json
        assert status["newest"] is None and status["last_success"] is None and status["failures_in_a_row"] >= 3, status
        assert page.ask("/healthz")[::2] == (503, "there is no backup\n")
        values = page.values()
        assert values["backup_last_success_timestamp_seconds"] == 0 and values["bucket_backups"] == 0, values
        assert values['backups_total{result="success"}'] == 0 and values['backup_failures_total{kind="integrity"}'] >= 3
        # Neither does it for one that begins with it in the bucket.
        site.stop()
        site.start()
        wait_for(lambda: page.values().get("bucket_backups") == 0)
        assert page.ask("/healthz")[::2] == (503, "there is no backup\n") and states(site) == {name: "damaged"}


def states(site):
    return {one["name"]: one["state"] for one in map(json.loads, site.ctl("list", "--json").out.splitlines())}


def test_nothing_damaged_is_put_in_place(bucket, new_site, folder):
    with Etcd(stream(*pieces(DAMAGED))) as peer:
        site = new_site(Scripted(peer), bucket)
        site.start()
        assert site.ctl("backup").status == 5
        when = site.bucket.dumps()[0][len("backup-"):-len(".dump")]
        done = site.ctl("restore", "-t", when, "--use-etcdutl=false", "--output", folder / "out.db")
        assert done.status == 5 and f"the database in it is damaged: {WHY}" in done.err, done
        assert not (folder / "out.db").exists()
        done = site.ctl("restore", "-t", when, "--use-etcdutl=false", "--output", folder / "out.db", "--skip-hash-check")
        assert done.status == 0 and (folder / "out.db").read_bytes()[:len(DAMAGED)] == DAMAGED, done


def test_what_nobody_knows_is_stored(bucket, new_site):
    """A fault of our own reader must never cost a backup."""
    content = meta(0, 64, version=3) + os.urandom(MIB)
    with Etcd(stream(*pieces(content))) as peer:
        site = new_site(Scripted(peer), bucket)
        site.start()
        done = site.ctl("backup", "--json")
        assert (done.status, done.json["structure"]) == (0, "not inspected"), done
        assert done.json["structure_why"] == "page 0: its format is of another version"
        assert site.ctl("verify").status == 0
        check_clean(site, 1)


# ---- the readers against etcd's own ----

def utl(etcd, *arguments):
    """etcdutl, of 3.4 etcdctl: what it says of a file, as JSON."""
    tool = etcd.binary("etcdctl" if etcd.version == "3.4" else "etcdutl")
    done = subprocess.run([tool, *map(str, arguments), "-w", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(os.environ, ETCDCTL_API="3"), check=True)
    return json.loads(done.stdout)


def hash_by_tool(etcd, path):
    """What etcdutl says of the file's HashKV, (hash, compact revision), from 3.6 on; None where it does not say."""
    copy = path.with_suffix(".copy")  # which it changes: it goes on with a compaction
    shutil.copyfile(path, copy)
    done = subprocess.run([etcd.binary("etcdutl"), "hashkv", copy, "-w", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if b"no lessor to attach lease" in done.stderr:  # 3.6 panics at keys that have one
        return None
    told = json.loads(done.stdout)
    return told["hash"], told["compactRevision"]


def agree(programs, etcd, folder):
    """A snapshot of it is sound, and tells what the server and its tool tell."""
    path = folder / "db"
    path.unlink(missing_ok=True)
    server = json.loads(etcd.ctl("endpoint", "hashkv", "-w", "json"))[0]["HashKV"]
    etcd.snapshot(path)
    seen, hashed = probe(programs, "structure", path), probe(programs, "hash", path)
    assert seen["structure"] == "sound", seen
    assert int(seen["memory"]) <= MIB // 2 + path.stat().st_size * 6 // 1024
    assert (int(hashed["hash"]), int(hashed["compacted"])) == (server["hash"], server["compact_revision"]), (hashed, server)
    assert seen["current"] == hashed["revision"] and int(seen["current"]) == server["header"]["revision"]
    assert (seen["revisions"], seen["compacted"]) == (hashed["revisions"], hashed["compacted"])
    if etcd.version in ("3.6", "3.7"):
        assert hash_by_tool(etcd, path) in (None, (int(hashed["hash"]), int(hashed["compacted"]))), hashed
    told = utl(etcd, "snapshot", "status", path)
    assert told["totalSize"] == int(seen["pages"]) * PAGE
    if etcd.version in ("3.4", "3.5"):  # entries of all buckets; later ones count live keys
        assert told["totalKey"] == sum(int(n) for name, n in seen.items() if name.startswith("bucket."))
    else:
        assert told["totalKey"] == int(hashed["keys"])
    live = json.loads(etcd.ctl("get", "", "--prefix", "--keys-only", "--limit", "1", "-w", "json"))
    assert live.get("count", 0) == int(hashed["keys"])
    return seen


@pytest.mark.parametrize("version", VERSIONS)
def test_every_state_is_sound_and_tells_what_etcd_tells(new_etcd, programs, folder, version):
    etcd = new_etcd(version=version)
    agree(programs, etcd, folder)
    for n in range(60):
        etcd.ctl("put", f"k{n % 7}", f"v{n}")
    lease = etcd.ctl("lease", "grant", "10000").split()[1].decode()
    etcd.ctl("put", "leased", "x", "--lease", lease)
    etcd.ctl("del", "k3")
    agree(programs, etcd, folder)
    etcd.ctl("compact", "40")
    agree(programs, etcd, folder)
    etcd.ctl("put", "k3", "")  # an empty value, of a key that was deleted
    etcd.fill(6 * MIB, value_size=60, prefix="small")
    agree(programs, etcd, folder)
    etcd.fill(12 * MIB, value_size=MIB, prefix="large")
    etcd.ctl("put", "largest", input=b"v" * 1_500_000)
    agree(programs, etcd, folder)
    etcd.ctl("del", "small/", "--prefix")
    etcd.ctl("del", "large/0000000", "--prefix")
    agree(programs, etcd, folder)
    revision = etcd.status()["header"]["revision"]
    etcd.ctl("compact", "--physical", str(revision))
    seen = agree(programs, etcd, folder)
    assert int(seen["used"]) < int(seen["pages"]) // 2  # most is free, and told to be
    etcd.ctl("defrag")
    seen = agree(programs, etcd, folder)
    assert int(seen["used"]) > int(seen["pages"]) * 9 // 10
    etcd.ctl("user", "add", "root:pw")
    etcd.ctl("role", "add", "r" * 300)
    agree(programs, etcd, folder)


# ---- damage ----

def elements(page):
    flags, count = struct.unpack_from("<HH", page, 8)
    return flags, count


def places(data):
    """Each field of each page that is in use, by the tree: (page, offset in it, length, what)."""
    root, = struct.unpack_from("<Q", data, 32)
    found, waiting = [(0, at, n, "meta") for at, n in ((0, 8), (8, 2), (16, 4), (20, 4), (24, 4), (32, 8), (48, 8), (56, 8), (64, 8), (72, 8))], [root]
    while waiting:
        number = waiting.pop()
        page = data[number * PAGE:]
        flags, count = elements(page)
        found += [(number, 0, 8, "number"), (number, 8, 2, "type"), (number, 10, 2, "count"), (number, 12, 4, "overflow")]
        for i in range(count):
            at = 16 + 16 * i
            if flags == 1:
                found += [(number, at, 4, "place"), (number, at + 4, 4, "key's length"), (number, at + 8, 8, "child"),
                          (number, at + struct.unpack_from("<I", page, at)[0], 1, "key")]
                waiting.append(struct.unpack_from("<Q", page, at + 8)[0])
                continue
            kind, pos, key_size, _ = struct.unpack_from("<IIII", page, at)
            found.append((number, at + 4, 4, "place"))
            if i + 1 < count:  # nothing stands behind the last one that could contradict it
                found += [(number, at + 8, 4, "key's length"), (number, at + 12, 4, "value's length")]
            if kind == 1:
                bucket, = struct.unpack_from("<Q", page, at + pos + key_size)
                if bucket:
                    waiting.append(bucket)
                    found.append((number, at + pos + key_size, 8, "bucket"))
    return found


def test_each_damage_is_found(new_etcd, programs, folder):
    """Of a real snapshot; each field in turn, the others of its kind by chance."""
    etcd = new_etcd(version="3.5")
    etcd.fill(MIB, value_size=300)
    etcd.fill(MIB, value_size=100_000, prefix="large")
    etcd.snapshot(folder / "db")
    data = bytearray((folder / "db").read_bytes()[:-32])
    chance, by_kind = random.Random(1), {}
    for place in places(data):
        by_kind.setdefault(place[3], []).append(place)
    assert len(by_kind) == 11, by_kind.keys()
    for kind, all_of_it in by_kind.items():
        for page, at, length, _ in chance.sample(all_of_it, min(len(all_of_it), 12)):
            where = page * PAGE + at + chance.randrange(length)
            before = data[where]
            data[where] ^= 1 << chance.randrange(8)
            (folder / "damaged").write_bytes(data)
            data[where] = before
            seen = probe(programs, "structure", folder / "damaged")
            assert seen["structure"] == "damaged" and seen["why"].startswith("page "), (kind, page, at, seen)
