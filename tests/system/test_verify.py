"""Verifying: what is good is said to be, what is bad is named with its place, and nothing is left or written."""

import grp
import json
import os
import re
import shutil
import signal
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

import reader
import servers
from etcd_peer import message
from faults import Command, events, news, phase
from s3_proxy import DROP, After, Answer, Hold, error
from servers import gone, wait_for
from test_control import DONE, PROGRESS, VERSION, Client, as_other, fields, needs_root
from test_reader import VECTORS, vectors

CHUNK = reader.CHUNK + reader.OVERHEAD
ETCDCTL_34 = Path(os.environ.get("ETCD_34_DIR", "/usr/bin")) / "etcdctl"
SCRATCH = ".etcd-backupd-unpack."


def copy(site, frm, to, change=lambda dump: dump, key=True):
    """A backup under the name of another instant or site: objects named without their suffix."""
    site.bucket.put(f"{to}.dump", change(site.bucket.get(f"{frm}.dump")))
    if key:
        site.bucket.put(f"{to}.key", site.bucket.get(f"{frm}.key"))


def lines(done):
    """The JSON documents that were printed."""
    return [json.loads(line) for line in done.out.splitlines()]


def stem(told):
    return told["name"][:-len(".dump")]


def flip(at):
    return lambda dump: dump[:at] + bytes([dump[at] ^ 1]) + dump[at + 1:]


@pytest.fixture(scope="module")
def three(scratch, programs, shared_etcd, ceph):
    """A daemon with three good backups: (site, what `backup` told, newest first)."""
    bucket = servers.Bucket(ceph, f"verify-{os.getpid()}")
    site = servers.Site(scratch / "verify", programs, shared_etcd(version="3.5", tls="mutual"), bucket).start()
    yield site, [site.ctl("backup", "--json").json for _ in range(3)][::-1]
    site.stop()
    bucket.remove()


@pytest.fixture
def made(three):
    """The same, for tests that only look. What one of them finds bad, for want of a tool or of a key, is no news for the next."""
    site, _ = three
    yield three
    site.bucket.delete(*(name for name in site.bucket.list() if ".bad-" in name))


@pytest.fixture
def untouched(made):
    """The same; and the folder of the site, where snapshot_path lies, is afterwards what it was before."""
    site, backups = made
    before = contents(site)
    yield site, backups
    assert contents(site) == before


def contents(site):
    return {path.name: path.stat().st_mtime_ns if path.is_file() and path.name != "daemon.log" else None
            for path in site.dir.iterdir()}


# ---- good ones ----


def test_the_latest(untouched):
    site, (latest, *others) = untouched
    done = site.ctl("verify")
    assert done.status == 0, done
    header, row = done.out.splitlines()
    assert header.split() == ["VERDICT", "INSTANT", "SIZE", "ENCRYPTED", "TIME", "REVISION", "HOLDS", "CONTENTS", "NAME"]
    assert row.split()[:2] == ["good", latest["instant"]] and row.split()[-4:] == ["-", "-", "-", latest["name"]]
    assert f"{latest['name']}: good" in done.err and "1 verified, all good" in done.err, done
    assert not any(backup["name"] in done.out + done.err for backup in others)


def test_by_timestamp(untouched):
    """Any spelling of the instant; and one that there is not is not replaced by another."""
    site, (_, wanted, oldest) = untouched
    for spelling in (wanted["instant"], wanted["instant"].replace("Z", "+00:00")):
        done = site.ctl("verify", "-t", spelling, "--json")
        assert done.status == 0 and lines(done)[0]["name"] == wanted["name"], done
    done = site.ctl("verify", "-t", "2001-01-01T00:00:00Z", "--json")
    assert done.status == 1 and "2001-01-01T00:00:00Z" in done.json["failure"]["text"], done
    assert f"nearest is of {oldest['instant']}" in done.json["failure"]["text"] and "VERDICT" not in done.out


def test_all(untouched):
    """Newest first, one verdict each, and what came out as large as what went in; by the socket and without a daemon."""
    site, backups = untouched
    done = site.ctl("verify", "--all", "--json")
    private = site.run(site.programs.ctl, "-c", site.file, "verify", "--all", "--json")
    for told in (done, private):
        assert told.status == 0, told
        *verdicts, result = lines(told)
        assert [v["name"] for v in verdicts] == [backup["name"] for backup in backups]
        for verdict, backup in zip(verdicts, backups):
            assert verdict["good"] and verdict["encrypted"] and (verdict["kind"], verdict["text"]) == ("", "")
            assert verdict["snapshot_size"] == backup["snapshot_size"]
            assert verdict["instant"] == backup["instant"] and "revision" not in verdict
        assert (result["good"], result["bad"], result["tool"]) == (3, 0, "")
    assert f"verify: {backups[0]['name']} is good" in events(site, "info")


def test_quiet(untouched):
    """-q leaves nothing where all is good, else the table; --json leaves nothing but documents."""
    site, backups = untouched
    done = site.ctl("verify", "--all", "-q")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert len(site.ctl("verify", "--all").out.splitlines()) == 1 + len(backups)
    done = site.ctl("verify", "--all", "--json")
    assert done.status == 0 and done.err == "" and len(lines(done)) == 4, done


OPENS = re.compile(r'\b(?:openat|open|creat|mkdir|mkdirat|rename\w*|link\w*|symlink\w*|unlink\w*|truncate)\(.*')


def test_writes_nothing(untouched, folder):
    """What the kernel was asked for: no file is opened for writing, made, renamed or removed."""
    site, _ = untouched
    trace = folder / "trace"
    # The leak checker and strace both want to trace.
    done = site.run("env", "ASAN_OPTIONS=detect_leaks=0", "strace", "-f", "-qq", "-o", trace, "-e", "trace=%file,creat",
                    site.programs.ctl, "-c", site.file, "verify", "--all")
    assert done.status == 0 and "3 verified, all good" in done.err, done
    calls = [line for line in trace.read_text().splitlines() if OPENS.search(line)]
    assert any(str(site.key_file) in line for line in calls)  # it has seen what it should
    wrote = [line for line in calls if '"/dev/' not in line and (
        "O_WRONLY" in line or "O_RDWR" in line or "O_CREAT" in line or "O_TMPFILE" in line or not re.search(r"\bopen", line))]
    assert wrote == []


def test_not_encrypted(etcd, bucket, new_site):
    site = new_site(etcd, bucket, encrypted=False).start()
    told = site.ctl("backup", "--json").json
    done = site.ctl("verify", "--json")
    assert done.status == 0 and not lines(done)[0]["encrypted"], done
    bucket.put(told["name"], flip(CHUNK)(bucket.get(told["name"])))
    done = site.ctl("verify", "--json")
    assert done.status == 5 and "SHA-256" in lines(done)[0]["text"], done


def go_site(etcd, bucket, new_site, only=lambda name, trailer: True):
    site = new_site(etcd, bucket)
    site.write("master.key", (VECTORS / "master.key").read_text())
    for name, _, trailer, _ in vectors():
        if only(name, trailer):
            for kind in ("dump", "key"):
                bucket.put(f"{name}.{kind}", (VECTORS / f"{name}.{kind}").read_bytes())
    return site.start()


def test_go_vectors(etcd, bucket, new_site):
    """What the Go tool wrote can be read, all but the one that nothing proves to be whole; and none of it is a database."""
    site = go_site(etcd, bucket, new_site)
    done = site.ctl("verify", "--all", "--json")
    assert done.status == 5, done
    *verdicts, end = lines(done)
    expected = {f"{name}.dump": (trailer, size + (32 if trailer else 0)) for name, size, trailer, _ in vectors()}
    assert {v["name"]: ("no meta of a bbolt file" in v["text"], v["snapshot_size"]) for v in verdicts} == expected
    bad, = [v for v in verdicts if "no meta of" not in v["text"]]
    assert bad["kind"] == "integrity" and bad["text"].startswith(bad["name"]) and "SHA-256" in bad["text"]
    assert end["failure"]["kind"] == "integrity" and end["failure"]["text"].startswith("6 of 6 backups are not good: ")


# ---- bad ones ----


def test_bad_ones(site):
    """Each is named with its place, and none hides those after it. `list` remembers what came of it."""
    site.start()
    good = site.ctl("backup", "--json").json
    frm = stem(good)
    size = good["stored_size"]
    assert size > 2 * CHUNK
    ways = {
        # instant: (change, with its key, what is said)
        "2100-01-09T00:00:00Z": (lambda d: d, True, "bound to another instant"),
        "2100-01-08T00:00:00Z": (flip(CHUNK + 500), True, f"chunk 1 at byte {CHUNK}: "),
        "2100-01-07T00:00:00Z": (lambda d: d[:CHUNK], True, "chunk 0 at byte 0: .*cut off"),
        "2100-01-06T00:00:00Z": (lambda d: d[:2 * CHUNK - 9], True, f"chunk 1 at byte {CHUNK}: "),
        "2100-01-05T00:00:00Z": (lambda d: d[CHUNK:2 * CHUNK] + d[:CHUNK] + d[2 * CHUNK:], True, "chunk 0 at byte 0: "),
        "2100-01-04T00:00:00Z": (lambda d: d[:CHUNK] + d, True, f"chunk 1 at byte {CHUNK}: "),
        "2100-01-03T00:00:00Z": (lambda d: b"", True, "is empty"),
        "2100-01-02T00:00:00Z": (lambda d: d, False, "its key is missing"),
        "2100-01-01T00:00:00Z": (lambda d: site.plaintext(good["name"]), False, "is not encrypted, though"),
        "2100-13-01T00:00:00Z": (lambda d: d, True, "its name is no time stamp"),
    }
    for instant, (change, key, _) in ways.items():
        copy(site, frm, f"backup-{instant}", change, key)
    # Bound to its instant, a copy of a good one is as bad as any. Only the faults that come first are wanted here.
    done = site.ctl("verify", "--all", "--json")
    assert done.status == 5, done
    first = {v["name"]: v for v in lines(done)[:-1]}
    assert len(first) == len(ways) + 1 and not first["backup-2100-01-09T00:00:00Z.dump"]["good"]
    done = site.ctl("verify", "--all", "--json", "--allow-renamed")
    assert done.status == 5, done
    *verdicts, end = lines(done)
    assert end["failure"]["kind"] == "integrity"
    assert end["failure"]["text"].startswith("9 of 11 backups are not good: ")
    told = {v["name"]: v for v in verdicts}
    assert told.pop(good["name"])["good"] and told.pop("backup-2100-01-09T00:00:00Z.dump")["good"]
    assert re.search(ways.pop("2100-01-09T00:00:00Z")[2], first["backup-2100-01-09T00:00:00Z.dump"]["text"])
    for instant, (_, _, words) in ways.items():
        verdict = told.pop(f"backup-{instant}.dump")
        assert not verdict["good"] and not verdict["unknown"] and verdict["kind"] == "integrity"
        assert re.match(rf"backup-{instant}\.dump: .*{words}", verdict["text"]), verdict
    assert not told
    # For people: a line each while it goes on, then the table; and in the log.
    done = site.ctl("verify", "--all", "--allow-renamed")
    assert done.status == 5 and len(re.findall(r"^BAD: backup-2100", done.err, re.M)) == 9, done
    assert len(re.findall(r"^BAD ", done.out, re.M)) == 9 and len(re.findall(r"^good ", done.out, re.M)) == 2
    assert len(re.findall(rf"^ +backup-2100-01-08T.*chunk 1 at byte {CHUNK}: ", done.out, re.M)) == 1, done
    assert done.err.splitlines()[-1].startswith("etcd-backupctl: 9 of 11 backups are not good: ")
    assert any(f"verify: backup-2100-01-06T00:00:00Z.dump: chunk 1 at byte {CHUNK}" in text for text in events(site, "error"))
    listed = {entry["name"]: entry for entry in lines(site.ctl("list", "--json"))}
    assert {name for name, entry in listed.items() if entry["verified_good"]} == {
        good["name"], "backup-2100-01-09T00:00:00Z.dump"}
    assert all(entry["verified"] for entry in listed.values())
    shown = site.ctl("list").out
    assert len(re.findall(r" BAD, \d+s ago ", shown)) == 9 and len(re.findall(r" (?:complete|future)  +\d+s ago ", shown)) == 2, shown
    # What was put right is no longer bad.
    copy(site, frm, "backup-2100-01-08T00:00:00Z")
    assert site.ctl("verify", "-t", "2100-01-08T00:00:00Z", "--allow-renamed").status == 0
    listed = {entry["name"]: entry for entry in lines(site.ctl("list", "--json"))}
    assert listed["backup-2100-01-08T00:00:00Z.dump"]["verified_good"]


def test_one_bad(site):
    """Asked for by its instant: the one line is the fault."""
    site.start()
    told = site.ctl("backup", "--json").json
    site.bucket.put(told["name"], flip(2 * CHUNK + 30)(site.bucket.get(told["name"])))
    done = site.ctl("verify", "-t", told["instant"])
    assert done.status == 5, done
    assert re.fullmatch(rf"etcd-backupctl: {told['name']}: chunk 2 at byte {2 * CHUNK}: .*", done.err.splitlines()[-1]), done
    site.bucket.delete(told["name"].replace(".dump", ".key"))
    done = site.ctl("verify", "-t", told["instant"])
    assert done.status == 5 and "its key is missing" in done.err, done


def test_every_key_is_missing(site):
    """The latest is bad, as it is beside an older good one; there is no lack of backups."""
    site.start()
    for stem in ("backup-2024-12-06T21:22:25Z", "backup-2024-12-05T21:22:25Z"):
        site.bucket.put(f"{stem}.dump", b"x" * 1000)
    done = site.ctl("verify", "--json")
    verdict, end = lines(done)
    assert done.status == 5 and verdict["name"] == "backup-2024-12-06T21:22:25Z.dump" and not verdict["good"], done
    assert "its key is missing" in end["failure"]["text"] and end["failure"]["kind"] == "integrity"
    done = site.ctl("restore", "--use-etcdutl=false", "--dry-run")
    assert done.status == 5 and "backup-2024-12-06T21:22:25Z.dump is there, but its key is missing" in done.err, done


def test_wrong_master_key(made, new_site, etcd):
    site, backups = made
    other = new_site(etcd, site.bucket)
    done = other.ctl("verify", "--all", "--json")
    *verdicts, end = lines(done)
    assert done.status == 5 and [v["name"] for v in verdicts] == [b["name"] for b in backups], done
    assert all("master key" in v["text"].lower() and v["kind"] == "integrity" for v in verdicts), done
    assert end["failure"]["text"].startswith("3 of 3 backups are not good: ")


def test_nothing_there(site):
    site.start()
    for way in ([], ["--all"]):
        done = site.ctl("verify", *way)
        assert done.status == 1 and site.bucket.name in done.err and done.out == "", done
    site.configure({"s3_client": {"bucket": "no-such-bucket"}})
    done = site.run(site.programs.ctl, "-c", site.file, "verify", "--all", "--json")
    assert done.status == 1 and "NoSuchBucket" in done.json["failure"]["text"], done


# ---- drills ----


def tool_of(site, name):
    return ETCDCTL_34 if name == "etcdctl" else site.etcd.binary(name)


@pytest.mark.parametrize("name", ["etcdutl", "etcdctl"])
def test_drill(untouched, folder, name):
    """etcd's own program has unpacked it; what it holds is what etcd has."""
    site, backups = untouched
    _, revision, entries = site.etcd.describe(site.etcd.snapshot(folder / "by-etcdctl.db"))
    done = site.ctl("verify", "--all", "--drill", "-e", tool_of(site, name), "--json")
    assert done.status == 0, done
    *verdicts, result = lines(done)
    assert [v["name"] for v in verdicts] == [b["name"] for b in backups]
    for verdict, backup in zip(verdicts, backups):
        assert verdict["good"] and verdict["snapshot_size"] == backup["snapshot_size"]
        assert backup["revision_before"] <= verdict["revision"] <= backup["revision_after"] and verdict["revision"] == revision
        # Of the rows in it the membership of the old cluster goes, and that of the new one comes.
        assert abs(verdict["entries"] - entries) <= 16 and verdict["entries"] > 500, (verdict, entries)
        assert 0 < verdict["keys"] < verdict["entries"]  # which is ours: these releases do not count it
    assert result["tool"].startswith(f"{name} version: ")
    assert not list(site.dir.glob(".*"))


def test_drill_for_people(untouched):
    """With the program that PATH knows, without a daemon; what it says is shown while it works."""
    site, (latest, *_) = untouched
    done = site.run(site.programs.ctl, "-c", site.file, "verify", "--drill")
    assert done.status == 0, done
    row = re.split(r" {2,}", done.out.splitlines()[-1])
    assert row[0] == "good" and int(row[-4]) == latest["revision_after"] and row[-1] == latest["name"]
    assert re.fullmatch("[0-9]+ keys", row[-3]), row
    assert "unpacked by etcd" in done.err and "\n  | " in done.err, done


def hash_of(etcd, revision):
    """As a member says it: HashKV and the revision that was compacted."""
    answer, = json.loads(etcd.ctl("endpoint", "hashkv", "-w", "json", "--rev", revision))
    return answer["HashKV"]["hash"], answer["HashKV"].get("compact_revision", 0)


@pytest.fixture
def compacted(new_etcd, new_site, bucket):
    """A backup of an etcd that has forgotten some of what it had, deleted keys among it."""
    etcd = new_etcd(version="3.5")
    for key in ("a", "b", "c", "b", "d"):
        etcd.ctl("put", f"key-{key}", f"value of {key}")
    etcd.ctl("del", "key-a")
    etcd.ctl("compact", etcd.status()["header"]["revision"])
    etcd.ctl("put", "key-e", "the last")
    site = new_site(etcd, bucket).start()
    made = site.ctl("backup", "--json", "-q").json
    site.key = f"{stem(made)}.key"
    site.kept = {k: v for k, v in bucket.metadata(site.key).items() if not k.startswith("hashkv")}
    return site, made


def record(site, hashkv, revision, compacted):
    """As if the member had said that."""
    site.bucket.put(site.key, site.bucket.get(site.key), **site.kept, **{
        "hashkv": str(hashkv), "hashkv-revision": str(revision), "hashkv-compact-revision": str(compacted)})


def test_drill_proves(compacted):
    """What comes out of a backup is what the member had at that revision: the HashKV that etcdctl prints."""
    site, made = compacted
    hashkv, forgotten = hash_of(site.etcd, made["revision"])
    assert forgotten == made["compact_revision"] > 1
    record(site, hashkv, made["revision"], forgotten)
    done = site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl"), "--json")
    verdict, _ = lines(done)
    assert done.status == 0 and verdict["good"], done
    assert (verdict["contents"], verdict["contents_why"]) == ("proven", "") and verdict["hashkv"] == hashkv, verdict
    assert (verdict["keys"], verdict["revision"]) == (4, made["revision"]), verdict
    people = site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl"))
    assert "  4 keys  " in people.out and "  proven  " in people.out, people
    assert f"{made['name']}: good, proven to hold what its etcd had" in people.err, people
    assert f"verify: {made['name']} is good, proven to hold what its etcd had" in events(site, "info")
    assert "contents" not in lines(site.ctl("verify", "--json"))[0]


def test_drill_finds_other_contents(compacted):
    """A sound database, with the right SHA-256, that is not what the member had."""
    site, made = compacted
    hashkv, forgotten = hash_of(site.etcd, made["revision"])
    record(site, hashkv ^ 1, made["revision"], forgotten)
    assert site.ctl("verify").status == 0  # which does not look so far
    done = site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl"), "--json")
    verdict, end = lines(done)
    assert done.status == 5 and not verdict["good"] and not verdict["unknown"] and verdict["kind"] == "integrity", done
    assert verdict["contents"] == "different" and verdict["hashkv"] == hashkv, verdict
    assert f"HashKV at revision {made['revision']} is {hashkv}, and the member said {hashkv ^ 1}" in verdict["text"]
    assert end["failure"]["kind"] == "integrity"
    people = site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl"))
    assert people.status == 5 and re.search(r"^BAD .*  different  ", people.out, re.M), people
    entry, = [json.loads(line) for line in site.ctl("list", "--json").out.splitlines()]
    assert entry["state"] == "damaged", entry
    # A plain look does not see it, and takes nothing back; a drill that finds it good does.
    plain = site.ctl("verify")
    assert "stays marked as bad: a drill has found that, and only verify --drill takes it back" in plain.err, plain
    assert json.loads(site.ctl("list", "--json").out)["state"] == "damaged"
    record(site, hashkv, made["revision"], forgotten)
    assert site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl")).status == 0
    assert json.loads(site.ctl("list", "--json").out)["state"] == "complete"


def test_a_mark_that_cannot_be_read_stays(proxied, ceph, etcd):
    """Whoever may not look at it does not know whether a drill has set it, so it is left, and why is said."""
    site, proxy = proxied(ceph, etcd)
    made = site.ctl("backup", "--json", "-q").json
    site.key, site.kept = f"{stem(made)}.key", {}
    hashkv, forgotten = hash_of(etcd, made["revision"])
    record(site, hashkv ^ 1, made["revision"], forgotten)
    assert site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl")).status == 5
    proxy.rule = lambda r: Answer(403, error("AccessDenied")) if r.method == "GET" and ".bad-" in r.path else None
    done = site.ctl("verify")
    assert re.search(r"stays marked as bad: .*AccessDenied", done.err), done
    assert json.loads(site.ctl("list", "--json").out)["state"] == "damaged"


@pytest.mark.parametrize("what", ["nothing", "nonsense", "another revision", "another compaction"])
def test_drill_compares_nothing(compacted, what):
    """What cannot be compared is said, and is no fault of the backup."""
    site, made = compacted
    hashkv, forgotten = hash_of(site.etcd, made["revision"])
    if what == "nothing":
        site.bucket.put(site.key, site.bucket.get(site.key), **site.kept)
    else:
        record(site, "0x12" if what == "nonsense" else 1, made["revision"] - (what == "another revision"),
               -1 if what == "another compaction" else forgotten)
    done = site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl"), "--json")
    verdict, _ = lines(done)
    assert done.status == 0 and verdict["good"] and verdict["hashkv"] == hashkv, done
    assert verdict["contents"] == ("not compared" if what.startswith("another") else "not recorded"), verdict
    assert ("compacted at" in verdict["contents_why"]) == what.startswith("another"), verdict
    words = "what it holds was not compared: the HashKV that was recorded is of revision" \
        if what.startswith("another") else "what its etcd had was not recorded"
    assert f"{made['name']}: good; {words}" in site.ctl("verify", "--drill").err


def test_drill_without_etcdutl(compacted, folder):
    """The contents are compared all the same, and what was left out is said; one that is named is wanted."""
    site, made = compacted
    hashkv, forgotten = hash_of(site.etcd, made["revision"])
    record(site, hashkv, made["revision"], forgotten)
    site.programs.environment, saved = dict(site.programs.environment, PATH=f"{folder}:/bin-of-nobody"), \
        site.programs.environment
    setpriv = shutil.which("setpriv", path=saved["PATH"])
    os.symlink(setpriv, folder / "setpriv")
    try:
        done = site.run(site.programs.ctl, "-c", site.file, "verify", "--drill", "--json")
        people = site.run(site.programs.ctl, "-c", site.file, "verify", "--drill")
        named = site.run(site.programs.ctl, "-c", site.file, "verify", "--drill", "-e", "etcdutl")
    finally:
        site.programs.environment = saved
    verdict, end = lines(done)
    assert done.status == 0 and verdict["contents"] == "proven" and verdict["keys"] == 4, done
    assert "entries" not in verdict and verdict["revision"] == made["revision"], verdict
    assert end["tool"] == "" and "etcdutl" in end["left_out"], end
    assert people.status == 0 and "; not unpacked\n" in people.err, people
    assert "note: that etcd starts from it is not tried" in people.err, people
    assert named.status == 1 and "no 'etcdutl' in PATH" in named.err, named
    assert not list(site.dir.glob(".*"))


# The beginnings of a program that passes for etcdutl; `restore` follows, with $3 the snapshot and $5 the directory.
FAKE = """#!/bin/sh
case "$1 $3" in
version*) echo "etcdutl version: 9.9.9"; exit 0 ;;
*--help*) echo "  --initial-advertise-peer-urls x"; exit 0 ;;
esac
"""


def fake(folder, restore):
    path = folder / "fake-etcdutl"
    path.write_text(FAKE + restore + "\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("restore, words", [
    ('mkdir -p "$5"; head -c 100000 "$3" >"$5/part"; echo "it broke: here"; exit 3', r"status 3: it broke: here$"),
    ('mkdir -p "$5"; kill -KILL $$', r"ended by signal 9"),
    # It says that all went well, and there is nothing to look at.
    ('if [ "$2" = status ]; then echo "cannot open"; exit 1; fi', r"snapshot status: .*cannot open"),
    ('if [ "$2" = status ]; then echo "nothing of use"; fi', r"snapshot status did not say revision and keys"),
])
def test_drill_fails(untouched, folder, restore, words):
    """Each is told, the others are still looked at, and nothing stays."""
    site, backups = untouched
    done = site.ctl("verify", "--all", "--drill", "-e", fake(folder, restore), "--json")
    *verdicts, end = lines(done)
    assert done.status == (5 if "cannot open" in words else 1), done
    assert [v["name"] for v in verdicts] == [b["name"] for b in backups]
    for verdict in verdicts:
        assert not verdict["good"] and verdict["text"].startswith(f"{verdict['name']}: unpacking it: "), verdict
        assert re.search(words, verdict["text"]), verdict
    assert end["failure"]["text"].startswith("3 of 3 backups are not good: ")
    assert not list(site.dir.glob(".*"))


def test_drill_of_what_is_no_database(etcd, bucket, new_site):
    """Whole, authentic, and not from etcd: all five are looked at, and no program is asked for that."""
    site = go_site(etcd, bucket, new_site, lambda name, trailer: trailer)
    done = site.ctl("verify", "--all", "--drill", "-e", tool_of(site, "etcdutl"), "--json")
    assert done.status == 5, done
    *verdicts, _ = lines(done)
    assert len(verdicts) == 5 and not any(v["good"] for v in verdicts), done
    assert all("page 0: it is no meta of a bbolt file" in v["text"] for v in verdicts)
    assert not list(site.dir.glob(".*"))


def test_drill_without_a_program(untouched, folder):
    """Nothing is fetched for a drill that cannot be."""
    site, _ = untouched
    for path in (folder / "none", site.file, "/bin/true"):
        done = site.ctl("verify", "--drill", "-e", path, "--json")
        assert done.status in (1, 2) and str(path) in done.json["failure"]["text"] and len(lines(done)) == 1, done


@pytest.mark.parametrize("what", ["master key", "place of drills", "program"])
def test_what_is_missing_here(made, new_site, folder, what):
    """What goes away on this machine while the daemon runs says nothing of a backup, and `list` remembers nothing."""
    made_site, backups = made
    site = new_site(made_site.etcd, made_site.bucket)
    site.write("master.key", made_site.master_key.hex())
    (site.dir / "drills").mkdir()
    site.configure({"snapshot_path": site.dir / "drills" / "snapshot.db"})
    site.start()
    drill = []
    if what == "master key":
        (site.dir / "master.key").rename(site.dir / "moved")
    elif what == "place of drills":
        (site.dir / "drills").rmdir()
        drill = ["--drill", "-e", tool_of(site, "etcdutl")]
    else:  # found, and asked whether it can; the first time it works, then it is not even there to look into what it made
        drill = ["--drill", "-e", fake(folder, 'mkdir -p "$5"; rm "$0"')]
    done = site.ctl("verify", "--all", *drill)
    rows = re.findall(r"^(\w+) .* (backup-\S+)\n +(.*)$", done.out, re.M)
    assert done.status == 1 and [name for _, name, _ in rows] == [b["name"] for b in backups], done
    said = f"directory {site.dir / 'drills'} does not exist" if what == "place of drills" else "No such file or directory"
    assert all(verdict == "UNKNOWN" and said in text for verdict, _, text in rows), done
    assert "3 of 3 backups are not good: " in done.err and said in done.err.splitlines()[-1]
    if what == "master key":
        *verdicts, _ = lines(site.ctl("verify", "--all", "--json"))
        assert [(v["good"], v["unknown"]) for v in verdicts] == 3 * [(False, True)], verdicts
    assert "BAD" not in site.ctl("list").out and not any(entry["verified"] for entry in lines(site.ctl("list", "--json")))


def test_drill_without_room(new_site, etcd, made):
    """Of a file system that is too small: known before the first byte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    site, backups = made
    small = new_site(etcd, site.bucket)
    small.write("master.key", site.master_key.hex())
    mount = small.dir / "small"
    mount.mkdir()
    assert small.run("mount", "-t", "tmpfs", "-o", "size=1M", "none", mount).status == 0
    try:
        small.configure({"snapshot_path": mount / "snapshot.db"})
        done = small.ctl("verify", "--all", "--drill", "-e", tool_of(site, "etcdutl"), "--json")
        *verdicts, end = lines(done)
        assert done.status == 1 and len(verdicts) == 3, done
        assert all("too little room" in v["text"] and v["text"].startswith(v["name"]) for v in verdicts)
        assert "too little room" in end["failure"]["text"] and not list(mount.iterdir())
    finally:
        small.run("umount", mount)


# It has made a directory and says so, and stays until somebody ends it. (exec: so that there is one process to end.)
STAYS = 'mkdir -p "$5"; head -c 4096 "$3" >"$5/part"; echo $$ >"$0.pid"; echo busy; exec sleep 1000'


def drill_that_stays(site, folder):
    command = Command(site, "verify", "--all", "--drill", "-e", fake(folder, STAYS), "--json")
    pid = folder / "fake-etcdutl.pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    return command, int(pid.read_text())


def unlocked_names(site):
    return [path.name for path in site.dir.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("way", ["by the socket", "private"])
def test_drill_cancelled(made, new_site, folder, way):
    """While it works all that has a name is in a folder that is nobody else's; then the program ends and nothing stays."""
    site, _ = made
    if way == "private":
        other = new_site(site.etcd, site.bucket)
        other.write("master.key", site.master_key.hex())
        site = other
    before = set(site.dir.iterdir())
    command, pid = drill_that_stays(site, folder)
    scratch, = set(site.dir.iterdir()) - before
    assert scratch.name.startswith(SCRATCH) and stat.S_IMODE(scratch.stat().st_mode) == 0o700
    if way == "by the socket":
        assert site.ctl("status", "--json").json["running"]["phase"] == "unpacking"
        assert site.ctl("verify").status == 4
        command.signal(signal.SIGINT)
    else:
        command.interrupt()
    done = command.end()
    assert done.status == 1 and done.json["failure"]["kind"] == "cancelled" and len(lines(done)) == 1, done
    assert gone(pid) and set(site.dir.iterdir()) == before


def test_drill_whose_client_is_gone(made, folder):
    """Nobody is left to hear the verdict."""
    site, _ = made
    before = set(site.dir.iterdir())
    command, pid = drill_that_stays(site, folder)
    command.process.kill()
    command.end()
    wait_for(lambda: site.ctl("status", "--json").json["running"] is None)
    assert gone(pid) and set(site.dir.iterdir()) == before


def test_drill_whose_daemon_is_killed(made, new_site, folder):
    """What it left is what the next drill takes away."""
    made_site, backups = made
    site = new_site(made_site.etcd, made_site.bucket)
    site.write("master.key", made_site.master_key.hex())
    site.start()
    command, pid = drill_that_stays(site, folder)
    site.kill()
    assert command.end().status == 1
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid), what="the end of the tool")
    left, = unlocked_names(site)
    assert left.startswith(SCRATCH) and not site.snapshot.exists()
    site.start()
    done = site.ctl("verify", "--drill", "-e", tool_of(site, "etcdutl"))
    assert done.status == 0 and backups[0]["name"] in done.out, done
    assert unlocked_names(site) == []


# ---- a store that is in the way ----


def reaching(made, proxied, ceph, rule):
    """A site that sees the bucket of `made` through a proxy."""
    made_site, _ = made
    site, proxy = proxied(ceph, made_site.etcd, rule)
    site.configure({"s3_client": {"bucket": made_site.bucket.name}})
    site.write("master.key", made_site.master_key.hex())
    return site.start(), proxy


def is_dump(request):
    return request.path.endswith(".dump")


def test_the_store_refuses(made, proxied, ceph):
    """Three refusals alike end it: a thousand backups would not fare better. What was not looked at is said."""
    site, backups = made
    for n in range(4):
        copy(site, stem(backups[0]), f"backup-2000-01-0{n + 1}T00:00:00Z")
    try:
        reached, proxy = reaching(made, proxied, ceph,
                                  lambda r: Answer(403, error("AccessDenied")) if r.method == "GET" and is_dump(r) else None)
        done = reached.ctl("verify", "--all", "--json")
        *verdicts, end = lines(done)
        assert done.status == 1 and [v["name"] for v in verdicts] == [b["name"] for b in backups], done
        assert all(v["kind"] == "auth" and "AccessDenied" in v["text"] for v in verdicts)
        assert re.match("3 of 3 backups are not good: 3 failures in a row, 4 more not looked at; the first: backup-.*403",
                        end["failure"]["text"]), end
        # One that is good in between: nothing ends it.
        proxy.rule = lambda r: (Answer(403, error("AccessDenied"))
                                if r.method == "GET" and is_dump(r) and quote(backups[1]["name"]) not in r.path else None)
        done = reached.ctl("verify", "--all", "--json", "--allow-renamed")
        *verdicts, end = lines(done)
        assert [v["good"] for v in verdicts] == [False, True, False, False, False], done
        assert "4 of 5 backups are not good: 3 failures in a row, 2 more not looked at" in end["failure"]["text"]
    finally:
        for n in range(4):
            site.bucket.delete(*(f"backup-2000-01-0{n + 1}T00:00:00Z.{kind}" for kind in ("dump", "key")))


def is_looked_at(proxy, wanted):
    """Whether verify has come there: the daemon's own look at keys, which may come before, asks for no HEAD."""
    return any(r.method == "HEAD" and quote(f"{wanted}.dump") in r.path for r in proxy.requests)


# What is asked for while the backup that is second goes: its HEAD, its key, its first bytes. A dump goes before its key.
@pytest.mark.parametrize("moment", [("HEAD", ".dump"), ("GET", ".key"), ("GET", ".dump")], ids=["head", "key", "dump"])
def test_pruned_meanwhile(made, proxied, ceph, moment):
    """It was listed, and is no more when its turn comes: told, neither good nor bad, and no reason to wake anybody."""
    site, backups = made
    gone_now = stem(backups[1])
    kept = {f"{gone_now}.{kind}": site.bucket.get(f"{gone_now}.{kind}") for kind in ("dump", "key")}

    def rule(request):
        if request.method == moment[0] and quote(gone_now + moment[1]) in request.path and is_looked_at(proxy, gone_now):
            site.bucket.delete(*kept)
        return None

    reached, proxy = reaching(made, proxied, ceph, lambda r: None)
    proxy.rule = rule
    try:
        done = reached.ctl("verify", "--all", "--json")
        *verdicts, end = lines(done)
        assert done.status == 0 and [v["name"] for v in verdicts] == [backups[0]["name"], backups[2]["name"]], done
        assert (end["good"], end["bad"]) == (2, 0)
        assert f"note: {backups[1]['name']} was deleted meanwhile" in done.err, done
        assert news(reached) == [f"verify: {backups[1]['name']} was deleted meanwhile"]
    finally:
        for name, content in kept.items():
            site.bucket.put(name, content)


def test_a_key_that_goes_meanwhile(made, proxied, ceph):
    """Alone: the dump is still there, and cannot be read. That is bad."""
    site, backups = made
    name = backups[1]["name"].replace(".dump", ".key")
    key = site.bucket.get(name)
    reached, proxy = reaching(made, proxied, ceph, lambda r: None)
    proxy.rule = lambda r: (site.bucket.delete(name)
                            if quote(name) in r.path and is_looked_at(proxy, stem(backups[1])) else None)
    try:
        done = reached.ctl("verify", "--all", "--json")
        *verdicts, _ = lines(done)
        assert done.status == 1 and [v["good"] for v in verdicts] == [True, False, True], done
        assert "reading its key " in verdicts[1]["text"]
    finally:
        site.bucket.put(name, key)


def test_a_store_that_stumbles(made, proxied, ceph):
    """Each first GET is cut off: it is asked again, and all is good."""
    reached, proxy = reaching(made, proxied, ceph, lambda r: DROP if r.method == "GET" and is_dump(r) and r.nth == 0 else None)
    done = reached.ctl("verify", "--all", "--json")
    assert done.status == 0 and lines(done)[-1]["good"] == 3, done
    assert sum(r.method == "GET" and is_dump(r) for r in proxy.requests) > 3


def test_a_cache_that_ignores_ranges(made, proxied, ceph):
    """Other bytes than were asked for say nothing of the backup: it is neither good nor bad, and no alarm of integrity."""
    reached, _ = reaching(made, proxied, ceph, lambda r: After(lambda status, headers, body: (200, headers, body + b"older"))
                          if r.method == "GET" and is_dump(r) else None)
    done = reached.ctl("verify", "--json")
    verdict, end = lines(done)
    assert done.status == 1 and verdict["kind"] == "protocol" and "ignores Range" in verdict["text"], done
    assert "UNKNOWN" in reached.ctl("verify").out


def test_progress_and_cancel(made, proxied, ceph):
    """In mid-download: where it is can be asked for, a second of its kind has to wait, and INT ends it at once."""
    _, backups = made
    reached, proxy = reaching(made, proxied, ceph, lambda r: Hold() if r.method == "GET" and is_dump(r) and not r.is_look else None)
    before = contents(reached)
    command = Command(reached, "verify", "--all", "--json")
    phase(reached, "verifying")
    running = wait_for(lambda: proxy.held) and reached.ctl("status", "--json").json["running"]
    assert (running["job"], running["phase"], running["total"]) == ("verify", "verifying", backups[0]["stored_size"])
    assert reached.ctl("verify").status == 4
    command.signal(signal.SIGINT)
    done = command.end()
    assert done.status == 1 and done.json["failure"]["kind"] == "cancelled", done
    # Before the first byte, too.
    proxy.rule = lambda r: Hold() if r.method == "HEAD" else None
    for rule in (lambda r: Hold() if r.method == "HEAD" else None, lambda r: Hold() if "list-type" in r.query else None):
        proxy.rule = rule
        waiting = len(proxy.held)
        command = Command(reached, "verify")
        wait_for(lambda: len(proxy.held) > waiting)
        command.signal(signal.SIGINT)
        done = command.end()
        assert done.status == 1 and "cancelled" in done.err, done
    assert contents(reached) == before
    proxy.rule = lambda r: None
    proxy.release()
    with_progress = Client(reached).send(message(f1=message(f1=VERSION, f2=1)), message(f7=message(f2=1)))
    replies = with_progress.replies()
    phases = [fields(content)[1].decode() for kind, content in replies if kind == PROGRESS]
    assert phases[0] == "listing" and {"opening", "verifying"} <= set(phases)
    assert replies[-1][0] == DONE and 1 not in fields(replies[-1][1])
    with_progress.close()


# ---- who may ask ----


@needs_root
def test_the_group(site, folder):
    """Its members may verify and drill, but not choose the program that root would run."""
    group = next(g for g in grp.getgrall() if g.gr_gid not in (0, 65534))
    site.configure({"control": {"group": group.gr_name}})
    site.dir.chmod(0o711)
    site.start()
    site.ctl("backup")
    folder.chmod(0o755)
    as_member = {"gid": group.gr_gid}
    assert as_other(site, message(f7=message(f1=1)), **as_member) is None
    assert as_other(site, message(f7=message(f2=1)), **as_member) is None
    assert as_other(site, message(f7=message(f2=1, f4=1)), **as_member) is None
    ran = folder / "ran"
    chosen = fake(folder, "")
    chosen.write_text(f"#!/bin/sh\ntouch {ran}\n")
    kind, text = as_other(site, message(f7=message(f2=1, f4=1, f5=str(chosen))), **as_member)
    assert kind == "auth" and "choose the program" in text and not ran.exists(), text
