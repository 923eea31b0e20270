"""Looking inside a backup: what is shown is what etcd itself answers for the same revision, whatever it was told before."""

import base64
import fcntl
import grp
import json
import os
import pty
import random
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import servers
from etcd_peer import message
from faults import Command, phase
from s3_proxy import Hold
from servers import descriptors, wait_for
from test_control import HELLO, NOBODY, Client, as_other, needs_root

LARGE = 1500 * 1000
EMPTY = base64.b64encode(b"\0").decode()


def text(raw):
    return base64.b64encode(raw).decode()


class Teller:
    """Tells an etcd things over its JSON gateway, and asks it."""

    def __init__(self, etcd):
        self.connection = etcd._connection()  # pylint: disable=protected-access
        self.revision = 1

    def post(self, path, **body):
        self.connection.request("POST", f"/v3/{path}", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 200, told
        self.revision = int(told.get("header", {}).get("revision", self.revision))
        return told

    def range(self, revision=0, key=EMPTY, end=EMPTY):
        """Each key with all that belongs to it, as `export` shows it."""
        told = self.post("kv/range", key=key, range_end=end, revision=revision)
        return [{"key": kv["key"], "value": kv.get("value", ""), **{name: int(kv.get(name, 0)) for name in (
            "create_revision", "mod_revision", "version", "lease")}} for kv in told.get("kvs", [])]


# Names that are each other's beginning, and end in zeros, where they are compared by eight bytes at a time.
ALIKE = [b"z" * n for n in (7, 8, 9, 16, 17)] + [b"z" * n + b"\0" * m for n in (7, 8) for m in (1, 7, 8, 9)] + [b"z" * 20 + b"\0y"]


def names(chosen):
    """Names with every byte, and such that are a prefix of each other."""
    some = [b"a", b"a/", b"a/b", b"a/b/c", b"/registry/pods/one", b"/registry/pods/two", b"-x", b"'\"\\$`\n", "schl\u00fcssel".encode(),
            b"\0", b"\xff\xff", bytes(range(256))]
    return some + ALIKE + [chosen.randbytes(chosen.randint(1, 40)) for _ in range(12)]


def tell_history(etcd, seed):
    """Puts, deletes, transactions, leases, a compaction. Returns the teller and the revision that was compacted."""
    chosen = random.Random(seed)
    teller, keys = Teller(etcd), names(chosen)
    leases = [teller.post("lease/grant", TTL=3600, ID=n + 7)["ID"] for n in range(3)]

    def put(key):
        value = chosen.choice([b"", b"text", chosen.randbytes(chosen.randint(1, 6000))])
        return {"key": text(key), "value": text(value), "lease": chosen.choice([0, 0, *leases])}

    compacted = 0
    for step in range(250):
        key = chosen.choice(keys)
        kind = chosen.random()
        if kind < 0.5:
            teller.post("kv/put", **put(key))
        elif kind < 0.7:
            teller.post("kv/deleterange", key=text(key))
        elif kind < 0.75:
            teller.post("kv/deleterange", key=text(b"a"), range_end=text(b"b"))
        else:
            several = chosen.sample(keys, 5)
            teller.post("kv/txn", success=[{"requestPut": put(name)} for name in several[:3]] +
                        [{"requestDeleteRange": {"key": text(name)}} for name in several[3:]])
        if step == 120 and seed % 2:
            compacted = teller.revision - 20
            teller.post("kv/compaction", revision=compacted, physical=True)
    teller.post("kv/txn", success=[{"requestPut": put(name)} for name in ALIKE])
    teller.post("kv/put", key=text(b"\0\\x00"), value=text(b"no argument"))
    teller.post("kv/put", key=text(b"large"), value=text(chosen.randbytes(LARGE)))
    return teller, compacted


def run(programs, *arguments, **options):
    done = subprocess.run([programs.ctl, *map(str, arguments)], env=programs.environment, check=False, stdin=subprocess.DEVNULL,
                          capture_output=True, **options)
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr
    return done


def is_full(pipe):
    """Whether nobody who writes to it gets on."""
    waiting = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)
    return waiting > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096


def rows(done):
    assert done.returncode in (0, 1), done
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module", params=[("3.4", 1), ("3.5", 2), ("3.6", 3), ("3.7", 5)], ids=lambda param: param[0])
def told(request, scratch, ca):
    """An etcd with a history, a snapshot of it, and what was compacted."""
    version, seed = request.param
    with servers.Etcd(scratch / f"look-{version}", ca, version=version) as etcd:
        teller, compacted = tell_history(etcd, seed)
        snapshot = Path(etcd.snapshot(scratch / f"look-{version}.db"))
        yield etcd, teller, snapshot, compacted


def revisions(teller, compacted):
    last = teller.revision
    first = compacted or 2
    return [last, first, *random.Random(last).sample(range(first, last), 6)]


def test_each_revision_is_what_etcd_answers(programs, told):
    etcd, teller, snapshot, compacted = told
    for revision in revisions(teller, compacted):
        wanted = teller.range(revision)
        assert rows(run(programs, "export", "--file", snapshot, "--rev", revision)) == wanted
        listed = rows(run(programs, "ls", "--json", "--file", snapshot, "--rev", revision))
        for kv in wanted:
            kv["size"] = len(base64.b64decode(kv.pop("value")))
        assert listed == wanted
        below = rows(run(programs, "ls", "a/", "--json", "--file", snapshot, "--rev", revision))
        assert below == [kv for kv in wanted if base64.b64decode(kv["key"]).startswith(b"a/")]
    assert rows(run(programs, "export", "--file", snapshot)) == teller.range()
    assert etcd.ctl("get", "", "--prefix", "--keys-only", "-w", "fields").count(b'"Key"') == len(teller.range())


def test_one_key(programs, told, folder):
    """The value, to the byte; a key that was deleted says when, and where its last value is."""
    _, teller, snapshot, compacted = told
    for kv in teller.range():
        key = base64.b64decode(kv["key"])
        if b"\0" in key or not key:
            continue
        done = run(programs, "get", "--file", snapshot, "--", key.decode(errors="surrogateescape"))
        assert (done.returncode, done.stdout) == (0, base64.b64decode(kv["value"])), done.stderr
    done = run(programs, "get", "large", "--file", snapshot, "--output", folder / "value")
    assert done.returncode == 0 and (folder / "value").stat().st_size == LARGE and (folder / "value").stat().st_mode & 0o777 == 0o600
    again = run(programs, "get", "large", "--file", snapshot, "--output", folder / "value")
    assert again.returncode == 1 and b"File exists" in again.stderr
    done = run(programs, "get", "no such key", "--file", snapshot)
    assert done.returncode == 1 and done.stdout == b"" and b"there is no such key at revision" in done.stderr
    for revision, word in ((teller.revision + 1, b"is not there yet"), (compacted - 1, b"is not there any more")):
        if revision > 0:
            done = run(programs, "get", "a", "--file", snapshot, "--rev", revision)
            assert done.returncode == 1 and word in done.stderr, done


def test_each_key_as_ls_shows_it(programs, told):
    """Also one with bytes that no argument can hold."""
    _, teller, snapshot, _ = told
    shown = run(programs, "ls", "--file", snapshot).stdout.splitlines()
    live = teller.range()
    assert len(shown) == len(live) and any(b"\\x00" in name for name in shown) and any(b"\\\\" in name for name in shown)
    for name, kv in zip(shown, live):
        done = subprocess.run([programs.ctl, "get", "--escaped", "--file", snapshot, "--", name], env=programs.environment,
                              check=True, capture_output=True)
        assert text(done.stdout) == kv["value"], name
    for name in ("\\", "\\x0", "\\n", "a\\xg0"):
        done = run(programs, "get", "--escaped", "--file", snapshot, "--", name)
        assert done.returncode == 2 and b"two hexadecimal digits" in done.stderr, done


def test_leases_are_those_of_etcd(programs, told):
    _, teller, snapshot, _ = told
    attached = {}
    for lease in teller.post("lease/leases").get("leases", []):
        told_of = teller.post("lease/timetolive", ID=lease["ID"], keys=True)
        attached.update((key, int(lease["ID"])) for key in told_of.get("keys", []))
    assert attached
    assert {kv["key"]: kv["lease"] for kv in rows(run(programs, "ls", "--file", snapshot, "--json")) if kv["lease"]} == attached


def test_long_lines_are_what_etcd_answers(programs, told):
    _, teller, snapshot, compacted = told
    for revision in revisions(teller, compacted)[:3]:
        head, *listed = run(programs, "ls", "-l", "--file", snapshot, "--rev", revision).stdout.splitlines()
        assert head.split() == [b"CREATED", b"MODIFIED", b"VERSION", b"SIZE", b"LEASE", b"KEY"]
        shown = run(programs, "ls", "--file", snapshot, "--rev", revision).stdout.splitlines()
        assert [line.split(maxsplit=5)[:5] for line in listed] == [
            [str(field).encode() for field in (kv["create_revision"], kv["mod_revision"], kv["version"], len(base64.b64decode(kv["value"])),
                                               f"{kv['lease']:016x}" if kv["lease"] else "-")] for kv in teller.range(revision)]
        assert all(line.endswith(b"  " + name) for line, name in zip(listed, shown, strict=True))


def changes(teller, first):
    """What became of each key from a revision on, by what etcd answers for each: what `--history` is to show."""
    become, before = {}, {kv["key"]: kv for kv in teller.range(first)}
    for key, kv in before.items():
        become[key] = [(kv["mod_revision"], kv)]  # a compaction leaves the last one
    for revision in range(first + 1, teller.revision + 1):
        after = {kv["key"]: kv for kv in teller.range(revision)}
        for key in {*before, *after}:
            if before.get(key) != after.get(key):
                become.setdefault(key, []).append((revision, after.get(key)))
        before = after
    return become


def test_each_history_is_what_etcd_answers(programs, told):
    """Also of keys that are gone; and no older than the compaction."""
    _, teller, snapshot, compacted = told
    first = compacted or 1
    become = changes(teller, first)
    asked = sorted(become, key=lambda key: len(become[key]))[-8:]
    assert any(kv is None for key in asked for _, kv in become[key]) and len(become[asked[-1]]) > 9
    for key in asked:
        name = "".join(f"\\x{byte:02x}" for byte in base64.b64decode(key))
        told_of = rows(run(programs, "get", "--escaped", name, "--history", "--json", "--file", snapshot))
        if compacted and told_of[0]["deleted"] and told_of[0]["revision"] <= compacted:
            del told_of[0]  # which some releases keep
        assert told_of == [{"revision": revision, "deleted": True} if kv is None else {
            "revision": revision, "deleted": False, **{field: kv[field] for field in (
                "create_revision", "version", "lease", "value")}} for revision, kv in become[key]], name


def test_history(programs, new_etcd, folder):
    etcd = new_etcd(version="3.5")
    teller = Teller(etcd)
    for value in (b"one", b"two"):
        teller.post("kv/put", key=text(b"k"), value=text(value))
    teller.post("kv/deleterange", key=text(b"k"))
    teller.post("kv/put", key=text(b"other"), value=text(b"x"))
    snapshot = etcd.snapshot(folder / "s.db")
    done = run(programs, "get", "k", "--file", snapshot)
    assert done.returncode == 1 and done.stderr.decode().strip().endswith(
        "the key was deleted at revision 4; --rev 3 shows what it was before"), done
    assert run(programs, "get", "k", "--file", snapshot, "--rev", 3).stdout == b"two"
    assert run(programs, "get", "k", "--file", snapshot, "--rev", 2).stdout == b"one"
    done = run(programs, "get", "k", "--file", snapshot, "--history")
    assert [line.split() for line in done.stdout.decode().splitlines()] == [
        ["REVISION", "VERSION", "SIZE", "CHANGE"], ["2", "1", "3", "created"], ["3", "2", "3", "changed"], ["4", "-", "-", "deleted"]]
    history = rows(run(programs, "get", "k", "--file", snapshot, "--history", "--json"))
    assert [(h["revision"], h["deleted"], h.get("value")) for h in history] == [
        (2, False, text(b"one")), (3, False, text(b"two")), (4, True, None)]
    done = run(programs, "get", "never", "--file", snapshot, "--history")
    assert done.returncode == 1 and done.stdout == b"" and b"there is nothing of this key" in done.stderr


def test_what_fills_it(programs, told):
    _, teller, snapshot, _ = told
    for slashes in (1, 2):
        wanted = {}
        for kv in teller.range():
            key = base64.b64decode(kv["key"])
            parts = key[1:].split(b"/", slashes)
            prefix = key if len(parts) <= slashes else key[:len(key) - len(parts[-1])]
            keys, size = wanted.get(prefix, (0, 0))
            wanted[prefix] = keys + 1, size + len(key) + len(base64.b64decode(kv["value"]))
        sums = rows(run(programs, "ls", "--prefixes", slashes, "--json", "--file", snapshot))
        assert [(base64.b64decode(s["prefix"]), (s["keys"], s["bytes"])) for s in sums] == sorted(wanted.items())
        shown = run(programs, "ls", "--prefixes", slashes, "--file", snapshot).stdout.splitlines()
        assert len(shown) == 1 + len(wanted)


def test_differences(programs, told, folder):
    """Between two revisions of one, as between two snapshots; exit statuses as those of diff."""
    _, teller, snapshot, compacted = told
    for before in revisions(teller, compacted)[1:4]:
        a, b = ({kv["key"]: kv for kv in teller.range(revision)} for revision in (before, 0))
        wanted = [("removed" if key not in b else "added" if key not in a else "changed", key)
                  for key in sorted({*a, *b}, key=base64.b64decode) if a.get(key) != b.get(key)]
        done = run(programs, "diff", "--file", snapshot, "--rev", before, "--json")
        assert [(d["change"], d["key"]) for d in rows(done)] == wanted and done.returncode == 1
        assert [(d["mod_revision"], d["to_mod_revision"]) for d in rows(done)] == [
            (a.get(key, {}).get("mod_revision"), b.get(key, {}).get("mod_revision")) for _, key in wanted]
        assert len(run(programs, "diff", "--file", snapshot, "--rev", before).stdout.splitlines()) == len(wanted)
        other = run(programs, "diff", "--file", snapshot, "--rev", before, "--to", snapshot, "--json")
        assert other.stdout == done.stdout
    same = run(programs, "diff", "--file", snapshot, "--to", snapshot)
    assert (same.returncode, same.stdout) == (0, b"") and same.stderr.startswith(b"0 added, 0 removed, 0 changed"), same
    assert run(programs, "diff", "--file", snapshot, "--to", folder / "none").returncode == 2
    assert run(programs, "diff", "--file", snapshot).returncode == 2


def test_put_back(programs, told, new_etcd, folder):
    """Run against an empty etcd, the script makes the same keys and values."""
    etcd, teller, snapshot, _ = told
    done = run(programs, "export", "--file", snapshot, "--etcdctl")
    assert done.returncode == 0, done
    script = folder / "put-back.sh"
    script.write_bytes(done.stdout)
    other = new_etcd(version=etcd.version)
    subprocess.run(["sh", script], check=True, env=dict(
        os.environ, PATH=f"{Path(other.binary('etcdctl')).parent}:{os.environ['PATH']}", ETCDCTL_ENDPOINTS=other.endpoints[0]))
    assert [(kv["key"], kv["value"]) for kv in Teller(other).range()] == [(kv["key"], kv["value"]) for kv in teller.range()]
    leased = sum(kv["lease"] != 0 for kv in teller.range())
    assert leased and f"note: {leased} of".encode() in done.stderr


def test_a_pipe(programs, told, new_etcd):
    """A value of any size and any bytes goes back through it; and where there is none, what is there is not replaced by nothing."""
    etcd, teller, snapshot, _ = told
    other = new_etcd(version=etcd.version)

    def pipe(key):
        return subprocess.run(f"'{programs.ctl}' get --file '{snapshot}' -- '{key}' | '{other.binary('etcdctl')}' put -- key", shell=True,
                              env=dict(programs.environment, ETCDCTL_API="3", ETCDCTL_ENDPOINTS=other.endpoints[0]), check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)

    assert pipe("large").returncode == 0
    large = next(kv["value"] for kv in teller.range() if kv["key"] == text(b"large"))
    assert [kv["value"] for kv in Teller(other).range()] == [large]
    done = pipe("no such key")
    assert done.returncode != 0 and b"there is no such key" in done.stderr, done
    assert [(kv["value"], kv["version"]) for kv in Teller(other).range()] == [(large, 1)]


def test_bumped_revision(programs, told, folder):
    """What a restore with a bumped revision leaves behind is no key; and a member's database is read as it lies there."""
    etcd, teller, snapshot, _ = told
    # The tools of 3.4 know no bumped revision; those of 3.5 restore its snapshots, too.
    etcdutl = etcd.binary("etcdutl") if etcd.version != "3.4" else os.path.join(os.environ["ETCD_35_DIR"], "etcdutl")
    subprocess.run([etcdutl, "snapshot", "restore", snapshot, "--data-dir", folder / "data", "--bump-revision", "1000",
                    "--mark-compacted"], check=True, capture_output=True)
    db = folder / "data" / "member" / "snap" / "db"
    done = run(programs, "ls", "--file", db, "--json")
    assert done.returncode == 5 and b"--skip-hash-check" in done.stderr, done
    listed = rows(run(programs, "ls", "--file", db, "--json", "--skip-hash-check"))
    assert [kv["key"] for kv in listed] == [kv["key"] for kv in teller.range()]
    assert f"at revision {teller.revision + 1000} of".encode() in run(programs, "ls", "--file", db, "--skip-hash-check").stderr


def on_a_terminal(programs, *arguments):
    """Exit status and what was shown where stdout is a terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen([programs.ctl, *map(str, arguments)], env=programs.environment, stdin=subprocess.DEVNULL, stdout=its,
                               stderr=subprocess.PIPE)
    os.close(its)
    shown = b""
    try:
        while more := os.read(ours, 65536):
            shown += more
    except OSError:  # a terminal that nobody has open any more
        pass
    os.close(ours)
    _, err = process.communicate()
    return process.returncode, shown, err


def test_a_terminal_is_not_fooled(programs, new_etcd, folder):
    etcd = new_etcd(version="3.5")
    teller = Teller(etcd)
    values = {b"text": b"one\ntwo\t\xc3\xa4\n", b"escape": b"\x1b[2J", b"pod": b"k8s\0\n\x0cprotobuf", b"secret": b"k8s:enc:aescbc:v1:key1:\x01\xff",
              b"na\x1b[2Jme": b""}
    for key, value in values.items():
        teller.post("kv/put", key=text(key), value=text(value))
    snapshot = etcd.snapshot(folder / "s.db")
    assert on_a_terminal(programs, "get", "text", "--file", snapshot)[:2] == (0, values[b"text"].replace(b"\n", b"\r\n"))
    for key in ("escape", "pod", "secret"):
        status, shown, err = on_a_terminal(programs, "get", key, "--file", snapshot)
        assert (status, shown) == (1, b"") and b"would go to a terminal" in err, err
        assert (b"auger" in err) == (key == "pod") and (b"Kubernetes has encrypted" in err) == (key == "secret")
        assert run(programs, "get", key, "--file", snapshot).stdout == values[key.encode()]
    assert on_a_terminal(programs, "get", "escape", "--file", snapshot, "--binary")[:2] == (0, b"\x1b[2J")
    assert rb"na\x1b[2Jme" in run(programs, "ls", "--file", snapshot).stdout.splitlines()


def test_damaged(programs, told, folder):
    """Whatever byte is another one: an error, and nothing else."""
    _, _, snapshot, _ = told
    whole = snapshot.read_bytes()
    chosen = random.Random(1)
    damaged = folder / "damaged.db"
    for at in [0, 17, len(whole) - 1, *chosen.sample(range(len(whole)), 3)]:
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        for command in ("ls",), ("export",), ("get", "large"), ("get", "large", "--history"), ("diff", "--to", snapshot):
            done = run(programs, *command, "--file", damaged)
            assert (done.returncode, done.stdout) == (5, b"") and b"SHA-256 does not match" in done.stderr, done
    for cut in (b"", whole[:31], whole[:4096], whole[:-32], whole[:len(whole) // 2]):
        damaged.write_bytes(cut)
        done = run(programs, "ls", "--file", damaged)
        assert (done.returncode, done.stdout) == (5, b""), done
    # And where nobody checked the hash, the pages are.
    commands = (["export"], ["get", "large", "--history"], ["get", "large"], ["diff", "--to", snapshot])
    right = [(done.returncode, done.stdout) for done in (run(programs, *command, "--file", snapshot) for command in commands)]
    failed = [0] * len(commands)
    for page in range(2, len(whole) // 4096):
        at = page * 4096 + 8  # its type
        if whole[at - 8:at] != page.to_bytes(8, "little"):  # what belongs to another page has none, but bytes of values
            continue
        damaged.write_bytes(whole[:at] + b"\xff" + whole[at + 1:])
        for i, command in enumerate(commands):
            done = run(programs, *command, "--file", damaged, "--skip-hash-check")
            assert (done.returncode, done.stdout) in ((5, b""), right[i]), (page, command, done)
            failed[i] += done.returncode == 5
        if max(failed) == 10:
            break
    assert all(failed)


def test_a_file_that_shrinks(programs, told, folder):
    """While it is shown: a line says so, and the exit status; what was not read is not made up."""
    _, _, snapshot, _ = told
    shrinking = folder / "shrinking.db"
    shrinking.write_bytes(snapshot.read_bytes())
    whole = run(programs, "export", "--file", shrinking).stdout
    with subprocess.Popen([programs.ctl, "export", "--file", shrinking], env=programs.environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        wait_for(lambda: is_full(child.stdout) or child.poll() is not None, what="a full pipe")
        os.truncate(shrinking, 0)
        out, err = child.communicate()
    assert child.returncode == 5 and whole.startswith(out) and len(out) < len(whole), err
    assert err == b"etcd-backupctl: the snapshot was changed while it was read, or its disk failed\n"


def test_what_is_no_snapshot(programs, told, folder):
    """What people have at hand says what to do in its place: the database of an etcd that runs, and what lies in a bucket."""
    etcd, _, snapshot, _ = told
    db = next(etcd.dir.glob("**/member/snap/db"))
    for words in (["ls"], ["ls", "--skip-hash-check"], ["diff", "--to", db], ["get", "a", "--skip-hash-check"]):
        done = run(programs, *words, "--file", db)
        assert done.returncode == (2 if words[0] == "diff" else 1) and done.stdout == b"", done
        assert done.stderr.startswith(f"etcd-backupctl: {db}: an etcd is at work on it: ".encode()) and done.stderr.count(b"\n") == 1
    done = run(programs, "diff", "--file", snapshot, "--to", db, "--skip-hash-check")
    assert done.returncode == 2 and b"an etcd is at work on it" in done.stderr, done
    dump = folder / "x.dump"
    for beginning in (b"\xebETCDBK\x02", b"\x28\xb5\x2f\xfd", bytes(range(24, 48))):
        dump.write_bytes(beginning + bytes(8192))
        done = run(programs, "ls", "--file", dump)
        assert (done.returncode, done.stdout) == (5, b"") and b"looked into in its bucket, with -t" in done.stderr, done


def test_full_device(programs, told):
    _, _, snapshot, _ = told
    with open("/dev/full", "wb") as full:
        done = subprocess.run([programs.ctl, "export", "--file", snapshot], env=programs.environment, check=False, stdout=full,
                              stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"could not be written to stdout" in done.stderr


# ---- backups ----


@pytest.fixture(scope="module")
def made(scratch, programs, ceph, ca):
    """An etcd with two backups between which something was told to it, the snapshots in them, and the site: read it only."""
    bucket = servers.Bucket(ceph, f"look-{os.getpid()}")
    with servers.Etcd(scratch / "look-etcd", ca, version="3.5", tls="mutual") as etcd:
        site = servers.Site(scratch / "look-site", programs, etcd, bucket)
        backups = []
        for seed in (4, 6):
            tell_history(etcd, seed) if seed == 4 else [Teller(etcd).post("kv/deleterange", key=text(b"large")),
                                                        Teller(etcd).post("kv/put", key=text(b"new"), value=text(b"value"))]
            backups.append(site.ctl("backup", "--json").json)
        files = []
        for backup in backups:
            files.append(scratch / f"look-{backup['instant']}.db")
            files[-1].write_bytes(site.plaintext(backup["name"]))
        yield site, backups, files
        site.stop()
    bucket.remove()


def contents(site):
    return sorted(path.name for path in site.dir.iterdir())


@pytest.mark.parametrize("private", [True, False], ids=["private", "socket"])
def test_a_backup_is_as_its_snapshot(programs, made, private):
    """By the socket and without a daemon; and nothing is left beside snapshot_path."""
    site, backups, files = made
    if not private:
        site.start()
    try:
        before = contents(site)
        for words in (["ls", "-l"], ["ls", "--json"], ["export"], ["export", "--etcdctl"], ["ls", "--prefixes", "1"]):
            for given, file in (([], files[1]), (["-t", backups[0]["instant"]], files[0]), (["-t", backups[1]["name"]], files[1])):
                done = site.ctl(*words, *given)
                assert done.status == 0 and done.out == run(programs, *words, "--file", file).stdout.decode(), done
        assert "Kubernetes" not in site.ctl("get", "new").out and site.ctl("get", "new").out == "value"
        done = site.ctl("get", "large", "-t", backups[0]["instant"], "--json")
        assert len(base64.b64decode(done.json["value"])) == LARGE
        done = site.ctl("get", "large")
        assert done.status == 1 and "--rev" in done.err and backups[1]["name"] in done.err, done
        done = site.ctl("diff", "-t", backups[0]["instant"], "--to", backups[1]["instant"])
        assert (done.status, done.out) == (1, "removed  large\nadded    new\n"), done
        assert site.ctl("diff", "-t", backups[0]["instant"], "--to", backups[0]["instant"]).status == 0
        assert site.ctl("ls", "-t", "2001-01-01T00:00:00Z").status == 1
        assert site.ctl("diff", "-t", "2001-01-01T00:00:00Z", "--to", backups[0]["instant"]).status == 2
        assert contents(site) == before
        if not private:
            log = site.log.read_text()
            assert f"look done: {backups[1]['name']}" in log and "large" not in log and "value" not in log
    finally:
        site.stop()


@needs_root
def test_who_may(made):
    """Members of control.group may list, and not look."""
    site, _, _ = made
    group = grp.getgrgid(NOBODY).gr_name
    site.configure({"control": {"group": group}})
    site.start()
    try:
        look = message(f10=message(f1=1))
        assert as_other(site, look, groups=[NOBODY]) == ("auth", "only root and the daemon's own user may look inside a backup")
        assert as_other(site, message(f3=message()), groups=[NOBODY]) is None
        assert Client(site).send(HELLO, look).failure() is None
    finally:
        site.stop()
        site.configure({"control": {"group": None}})


def test_a_damaged_backup(made, new_site, new_bucket):
    """One flipped byte, and nothing is shown."""
    site, backups, _ = made
    other = new_site(site.etcd, new_bucket())
    other.key_file = site.key_file
    other.configure({"encryption_key_path": site.key_file})
    name = backups[0]["name"]
    dump, key = site.bucket.get(name), site.bucket.get(name.replace(".dump", ".key"))
    other.bucket.put(name, dump[:70000] + bytes([dump[70000] ^ 1]) + dump[70001:])
    other.bucket.put(name.replace(".dump", ".key"), key)
    done = other.ctl("export")
    assert (done.status, done.out) == (5, "") and name in done.err, done
    assert contents(other) == sorted(["etcd-backupd.yml", "master.key", "s3.yml"])


def test_cancelled(made, proxied, ceph):
    """In mid-download; what only reads does not hinder it afterwards, and nothing is left."""
    site, backups, _ = made
    reached, proxy = proxied(ceph, site.etcd, lambda r: Hold() if (
        r.method == "GET" and r.path.endswith(".dump") and "list-type" not in r.query and not r.is_look) else None)
    reached.configure({"encryption_key_path": site.key_file})
    for name in (backups[0]["name"], backups[0]["name"].replace(".dump", ".key")):
        reached.bucket.put(name, site.bucket.get(name))
    reached.start()
    before = contents(reached)
    command = Command(reached, "ls", "--json")
    phase(reached, "fetching")
    wait_for(lambda: proxy.held)
    assert reached.ctl("status", "--json").json["running"]["job"] == "look"
    assert reached.ctl("ls").status == 4
    command.signal(signal.SIGINT)
    done = command.end()
    assert done.status == 1 and done.json["failure"]["kind"] == "cancelled", done
    assert contents(reached) == before
    # Who leaves without a word, too, keeps nobody waiting.
    waiting = len(proxy.held)
    command = Command(reached, "ls")
    wait_for(lambda: len(proxy.held) > waiting)
    command.signal(signal.SIGKILL)
    command.end()
    wait_for(lambda: reached.ctl("status", "--json").json["running"] is None)
    proxy.rule = lambda r: None
    proxy.release()
    assert reached.ctl("ls", "--json").status == 0
    assert contents(reached) == before


def test_who_pages_keeps_nothing(made):
    """Somebody who does not read on keeps no job of the daemon, whose memory does not know how long the listing is; and the file has
    no name."""
    site, backups, _ = made
    site.start()
    try:
        done = site.log.read_text().count("look done")  # the log goes on from the daemons before
        command = Command(site, "export", "-t", backups[0]["instant"])  # more than a pipe holds, which nobody reads
        wait_for(lambda: site.log.read_text().count("look done") > done)
        assert site.ctl("status", "--json").json["running"] is None
        wait_for(lambda: any(link.endswith("(deleted)") for link in maps(command.process.pid)))
        # The daemon closes its own after the client has it.
        wait_for(lambda: not any("(deleted)" in link for link in descriptors(site.process.pid).values()))
        assert site.ctl("get", "new").out == "value"
        command.process.kill()
        command.end()
    finally:
        site.stop()


def maps(pid):
    """What a process has mapped, by its children."""
    found = []
    for task in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        try:
            found += [line.split(maxsplit=5)[-1] for line in Path(f"/proc/{task}/maps").read_text().splitlines()]
        except OSError:  # gone
            pass
    return found


# ---- and etcd as it is ----


@pytest.mark.parametrize("version, way", [("3.4", "private"), ("3.5", "socket"), ("3.6", "private"), ("3.7", "socket")])
def test_with_etcd_as_it_is(programs, new_etcd, new_site, bucket, version, way):
    """More keys than a page of them; those of etcd and of the backup, name by name."""
    etcd = new_etcd(version=version, tls="mutual")
    teller, _ = tell_history(etcd, 5)
    for batch in range(13):
        teller.post("kv/txn", success=[{"requestPut": {"key": text(b"many/%d/%d" % (n, batch)), "value": ""}} for n in range(100)])
    site = new_site(etcd, bucket)
    name = site.ctl("backup", "--json").json["name"]
    before = {kv["key"]: kv for kv in teller.range()}
    if way == "socket":
        site.start()
    same = site.ctl("diff", "--live")
    assert (same.status, same.out) == (0, "") and f"of {name} to etcd at revision {teller.revision}" in same.err, same
    teller.post("kv/deleterange", key=text(b"many/7"), range_end=text(b"many/8"))
    teller.post("kv/deleterange", key=text(b"\xff\xff"))
    for key in (b"\0new", b"many/55/3", b"many/zz"):  # the last one is among those that went
        teller.post("kv/put", key=text(key), value=text(b"anew"))
    after = {kv["key"]: kv for kv in teller.range()}
    wanted = [("removed" if key not in after else "added" if key not in before else "changed", key)
              for key in sorted({*before, *after}, key=base64.b64decode) if before.get(key) != after.get(key)]
    done = site.ctl("diff", "--live", "--json")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert done.status == 1 and [(d["change"], d["key"]) for d in told] == wanted, done.err
    assert [d["to_mod_revision"] for d in told] == [after.get(key, {}).get("mod_revision") for _, key in wanted]
    assert not any(d["to_size"] for d in told)
    below = site.ctl("diff", "--live", "--json", "many/")
    assert [json.loads(line)["key"] for line in below.out.splitlines()] == [
        key for _, key in wanted if base64.b64decode(key).startswith(b"many/")]
    assert site.ctl("diff", "--live", "--to", name).status == 2
    etcd.stop()
    done = site.ctl("diff", "--live")
    assert (done.status, done.out) == (2, "") and done.err.count("\n") == 1, done


def test_live_for_a_reader_who_is_late(programs, new_etcd, new_site, bucket):
    """A pager holds neither etcd nor the daemon: when the pipe is full the comparison has ended, and all of it comes."""
    etcd = new_etcd(version="3.5")
    teller = Teller(etcd)
    site = new_site(etcd, bucket)
    assert site.ctl("backup").status == 0
    site.start()
    for batch in range(20):
        teller.post("kv/txn", success=[{"requestPut": {"key": text(b"%d/%d/" % (batch, n) + b"x" * 400), "value": ""}}
                                       for n in range(100)])
    with subprocess.Popen([site.programs.ctl, "-s", site.socket, "diff", "--live"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=site.programs.environment) as child:
        wait_for(lambda: is_full(child.stdout) or child.poll() is not None, what="a full pipe")
        assert child.poll() is None
        assert not [fd for fd in os.listdir(f"/proc/{child.pid}/fd") if os.readlink(f"/proc/{child.pid}/fd/{fd}").startswith("socket:")]
        out, err = child.communicate()
        assert child.returncode == 1 and out.count(b"added  ") == 2000, err


@needs_root
def test_who_may_see_keys(made):
    site, _, _ = made
    site.configure({"control": {"group": grp.getgrgid(NOBODY).gr_name}})
    site.start()
    try:
        live = message(f11=message())
        assert as_other(site, live, groups=[NOBODY]) == ("auth", "only root and the daemon's own user may see etcd's keys")
        assert Client(site).send(HELLO, live).failure() is None
        client = Client(site)  # who leaves in the middle leaves nothing
        client.send(HELLO, live)
        client.close()
        assert site.ctl("status").status == 0
    finally:
        site.stop()
        site.configure({"control": {"group": None}})


def test_compressed(new_etcd, new_site, bucket):
    """What was compressed before it was encrypted is looked into like any other."""
    etcd = new_etcd(version="3.5", tls="mutual")
    teller, _ = tell_history(etcd, 8)
    site = new_site(etcd, bucket, changes={"compression": "zstd"})
    made = site.ctl("backup", "--json").json
    assert made["stored_size"] < made["snapshot_size"]
    done = site.ctl("export")
    assert done.status == 0 and [json.loads(line) for line in done.out.splitlines()] == teller.range(), done.err
