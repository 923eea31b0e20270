"""A key ceremony on a real store: every backup from the previous master key to the new one, and nothing is ever lost."""

import datetime
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import reader
from etcd_peer import message
from faults import Command, has_connections, news, running
from s3_proxy import DROP, LOSE, After, Answer, Hold, error
from servers import wait_for
from test_control import as_other, needs_root
from test_reader import VECTORS, aead_encrypt, vectors, wrap


def fingerprint(key):
    """The first ten bytes of subkey 2 of the context etcdbkey, in groups of two."""
    digits = reader.kdf_derive(key, 2, b"etcdbkey", 16)[:10].hex()
    return "-".join(digits[at:at + 4] for at in range(0, 20, 4))


def mark(previous, wrapped):
    """What says that a wrapped key was rotated from that master key, and cannot be made by anybody else."""
    mac = hashlib.blake2b(wrapped, digest_size=16, key=reader.kdf_derive(previous, 3, b"etcdbkey", 32)).hexdigest()
    return f"{fingerprint(previous)}/{mac}"


class Keys:
    """The previous master key in a file that a person brings along, and the new one where the configuration names it."""

    def __init__(self, site, swap=True):
        self.site = site
        self.previous, self.next = site.master_key, os.urandom(32)
        self.previous_file = site.write("previous.key", self.previous.hex() + "\n")
        self.next_file = site.write("next.key", self.next.hex() + "\n")
        if swap:
            self.swap()

    def swap(self):
        self.site.write("master.key", self.next.hex() + "\n")
        self.site.master_key = self.next


def stamp(n):
    """The n-th of many instants, a minute apart, long ago."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1700000000 + 60 * n))


def key_name(n, prefix="backup"):
    return f"{prefix}-{stamp(n)}.key"


def put_keys(site, count, master=None, first=0):
    """Backups as far as a rotation looks: nobody reads their dumps. Returns {name of the key: data key}."""
    made = {}
    for n in range(first, first + count):
        made[key_name(n)] = os.urandom(32)
        site.bucket.put(key_name(n), wrap(stamp(n), master or site.master_key, os.urandom(8), made[key_name(n)]))
        site.bucket.put(key_name(n).replace(".key", ".dump"), b"x" * 1000)
    return made


def opens(key, name, wrapped):
    """The data key, by the independent reader, which checks the binding, too; or None."""
    try:
        return reader.unwrap(key, wrapped, re.search(r"(\d{4}-.*)\.key$", name)[1])
    except reader.FormatError:
        return None


def check_opens(site, key, made):
    """That this master key opens all of them, to the data keys that they had."""
    assert {name: opens(key, name, site.bucket.get(name)) for name in made} == made


def state(bucket):
    """What a write of any kind would change."""
    listed = bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", ())
    return {item["Key"]: (item["ETag"], item["LastModified"]) for item in listed}


def rotate(site, keys, *arguments, status=0):
    """All that --json told: what was not rotated, and the result or the failure (and, with it, how far it came)."""
    done = site.ctl("rotate-key", "-p", keys.previous_file, *arguments, "--json")
    assert done.status == status, done
    return [json.loads(line) for line in done.out.splitlines()]


def rotated(site, keys, *arguments):
    result, = rotate(site, keys, *arguments)
    return result


def counts(result):
    return result["rotated"], result["already"], result["failed"]


def refused(site, keys, *arguments, status=1):
    """The failure's kind and text. The bucket is as it was."""
    before = state(site.bucket)
    lines = rotate(site, keys, *arguments, status=status)
    assert state(site.bucket) == before
    failure = next(line["failure"] for line in lines if "failure" in line)
    return failure["kind"], failure["text"]


# ---- as it should be ----


@pytest.mark.parametrize("by_daemon", [True, False])
def test_a_ceremony(site, by_daemon):
    """A real backup: after it the old key opens nothing, the new one everything, and the dump is what it was."""
    if by_daemon:
        site.start()
    assert site.ctl("backup").status == 0
    dump, = site.bucket.dumps()
    name = dump.replace(".dump", ".key")
    before, plain, wrapped = state(site.bucket)[dump], site.plaintext(dump), site.bucket.get(name)
    metadata = site.bucket.client.head_object(Bucket=site.bucket.name, Key=name)["Metadata"]
    keys = Keys(site)
    result = rotated(site, keys)
    assert counts(result) == (1, 0, 0)
    assert (result["previous_key"], result["new_key"]) == (fingerprint(keys.previous), fingerprint(keys.next))
    assert result["configured_key"] == result["new_key"] and not result["dry_run"]
    assert opens(keys.next, name, site.bucket.get(name)) == opens(keys.previous, name, wrapped) is not None
    assert opens(keys.previous, name, site.bucket.get(name)) is None
    assert site.plaintext(dump) == plain and state(site.bucket)[dump] == before
    told = site.bucket.client.head_object(Bucket=site.bucket.name, Key=name)["Metadata"]
    instant = name[len("backup-"):-len(".key")].encode()
    assert told == metadata | {"rotated-from": mark(keys.previous, site.bucket.get(name)),
                               "rotated-away": mark(keys.previous, instant)} and metadata
    assert site.ctl("verify", "--all").status == 0
    # A second run has nothing to do, and knows that this was the key.
    assert counts(rotated(site, keys)) == (0, 1, 0)
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 0
    assert f"needs the previous key {fingerprint(keys.previous)} any more: it can be destroyed." in done.out, done
    # And back again, by the option for a new key that is not configured yet: a success only when it is.
    keys.previous_file = keys.next_file
    back = site.write("third.key", keys.previous.hex())
    failure, result = rotate(site, keys, "--new-key", back, status=1)
    assert counts(result) == (1, 0, 0) and opens(keys.previous, name, site.bucket.get(name))
    assert f"do NOT destroy the previous key {fingerprint(keys.next)} yet: encryption_key_path still holds " in (
        failure["failure"]["text"])
    site.write("master.key", keys.previous.hex())
    assert counts(rotated(site, keys, "--new-key", back)) == (0, 1, 0)


def test_backups_of_the_go_tool(site):
    """Their keys are not bound to an instant; afterwards they are, and restore with the new key alone."""
    site.master_key = reader.parse_master_key((VECTORS / "master.key").read_bytes())
    digests = {}
    for name, _, has_trailer, digest in vectors():
        digests[name] = digest if has_trailer else None
        for kind in (".dump", ".key"):
            site.bucket.put(name + kind, (VECTORS / (name + kind)).read_bytes())
    keys = Keys(site)
    assert counts(rotated(site, keys)) == (6, 0, 0)
    for name in digests:
        wrapped = site.bucket.get(f"{name}.key")
        assert wrapped.startswith(reader.KEY_MAGIC) and opens(keys.next, f"{name}.key", wrapped)
        with pytest.raises(reader.FormatError):
            reader.unwrap(keys.next, wrapped, "2024-12-06T00:00:00Z")
    name = next(name for name, digest in digests.items() if digest)
    done = site.ctl("restore", "-t", name[len("backup-"):], "--use-etcdutl=false", "--skip-hash-check")  # no database is in it
    assert done.status == 0, done
    assert hashlib.sha256(site.snapshot.read_bytes()).hexdigest() == digests[name]


def test_all_names_of_the_prefix_alone(site):
    """Lone keys too, in any spelling of an instant; no other prefix, and nothing that only looks like ours."""
    made = put_keys(site, 3)
    lone = f"backup-{stamp(7)}.key"
    site.bucket.put(lone, wrap(stamp(7), site.master_key))
    offset = "backup-2023-11-14T23:13:20+01:00.key"  # the instant of the first
    site.bucket.put(offset, wrap(stamp(0), site.master_key))
    site.bucket.put(offset.replace(".key", ".dump"), b"x" * 1000)
    for foreign in (key_name(0, "backup-b"), key_name(0, "other"), "backup-notes.key", "backup.key"):
        site.bucket.put(foreign, wrap(stamp(0), site.master_key))
    before = state(site.bucket)
    keys = Keys(site)
    assert counts(rotated(site, keys)) == (5, 0, 0)
    check_opens(site, keys.next, made)
    changed = {name for name, was in before.items() if state(site.bucket)[name] != was}
    assert changed == set(made) | {lone, offset}


def test_dry_run(site):
    put_keys(site, 3)
    keys = Keys(site)
    before = state(site.bucket)
    result = rotated(site, keys, "--dry-run")
    assert counts(result) == (3, 0, 0) and result["dry_run"] and state(site.bucket) == before
    done = site.ctl("rotate-key", "-p", keys.previous_file, "--dry-run")
    assert done.status == 0 and "the previous key is still needed" in done.out and "destroyed" not in done.out, done
    assert counts(rotated(site, keys)) == (3, 0, 0)
    assert counts(rotated(site, keys, "--dry-run")) == (0, 3, 0)
    done = site.ctl("rotate-key", "-p", keys.previous_file, "--dry-run")
    assert "nothing is left to rotate" in done.out and "still needed" not in done.out, done


@pytest.mark.installed
def test_more_than_a_page(site):
    """1,100 keys, several at a time; memory does not grow with them."""
    made = put_keys(site, 1100)
    keys = Keys(site)
    site.start()
    assert counts(rotated(site, keys)) == (1100, 0, 0)
    if not site.programs.sanitized:
        assert site.memory() < 24 << 20
    for name in list(made)[::100]:
        assert opens(keys.next, name, site.bucket.get(name)) == made[name]


def test_several_at_a_time(ceph, etcd, proxied):
    site, proxy = proxied(ceph, etcd, lambda request: Hold() if request.call == "put" else None)
    put_keys(site, 20)
    keys = Keys(site)
    command = Command(site.start(), "rotate-key", "-p", keys.previous_file, "--json")
    wait_for(lambda: len(proxy.held) == 16, what="16 requests at once")
    told = running(site)
    assert (told["job"], told["phase"], told["done"], told["total"], told["unit"]) == ("rotate-key", "rotating", 0, 20, "keys")
    assert site.ctl("backup").status == 4  # one job at a time
    proxy.release()
    done = command.end()
    assert done.status == 0 and counts(done.json) == (20, 0, 0), done


# ---- keys that people hold and compare ----


def test_generate_key(site, folder):
    file = folder / "new.key"
    done = site.run(site.programs.ctl, "generate-key", file)
    key = reader.parse_master_key(file.read_bytes())
    assert done.status == 0 and done.out == f"{fingerprint(key)}  {file}\n" and done.err == "", done
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_bytes() == key.hex().encode() + b"\n"
    assert site.run(site.programs.ctl, "key-fingerprint", file, "--json").json == {
        "file": str(file), "fingerprint": fingerprint(key)}
    again = site.run(site.programs.ctl, "generate-key", file)
    assert again.status == 2 and "exists already" in again.err and key.hex() in file.read_text(), again
    (folder / "link.key").symlink_to(folder / "elsewhere")
    assert site.run(site.programs.ctl, "generate-key", folder / "link.key").status == 2
    assert not (folder / "elsewhere").exists()
    for words in (["generate-key"], ["generate-key", file, file], ["key-fingerprint", folder / "missing"],
                  ["generate-key", folder / "missing" / "key"]):
        assert site.run(site.programs.ctl, *words).status == 2, words
    other = folder / "other.key"
    assert site.run(site.programs.ctl, "generate-key", other).status == 0
    assert other.read_bytes() != file.read_bytes()


def test_generate_identity(site, folder):
    file = folder / "new.identity"
    done = site.run(site.programs.ctl, "generate-key", "--identity", file)
    recipient = subprocess.run(["age-keygen", "-y", file], check=True, capture_output=True, text=True).stdout.strip()
    assert done.status == 0 and done.out == f"{recipient}  {file}\n" and done.err == "", done
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    again = site.run(site.programs.ctl, "generate-key", "--identity", file)
    assert again.status == 2 and "exists already" in again.err and file.read_bytes() == before, again
    other = folder / "other.identity"
    told = site.run(site.programs.ctl, "generate-key", "--identity", other, "--json").json
    assert told["file"] == str(other) and told["recipient"] != recipient and other.read_bytes() != before, told


def test_a_disk_that_is_full_leaves_no_half_key(site, folder):
    """A limit on the size of files stands for it."""
    file = folder / "new.key"
    done = site.run("sh", "-c", f"ulimit -f 0; exec {site.programs.ctl} generate-key {file}")
    assert done.status != 0 and "File too large" in done.err and not file.exists(), done


def test_fingerprints_are_shown(site):
    """status and list, of the key in use, and of that which opens each backup."""
    keys = Keys(site, swap=False)
    put_keys(site, 1, keys.previous)
    put_keys(site, 1, keys.next, first=1)
    put_keys(site, 1, os.urandom(32), first=2)
    site.bucket.put(f"backup-{stamp(3)}.dump", b"x" * (512 + 32))
    site.configure({"previous_key_paths": [keys.next_file]})
    site.start()
    assert site.ctl("status", "--json").json["key"] == fingerprint(keys.previous)
    assert f"master key {fingerprint(keys.previous)}" in site.ctl("status").out
    listed = [json.loads(line) for line in site.ctl("list", "--json").out.splitlines()]
    assert [one["key"] for one in listed] == ["", "none", fingerprint(keys.next), fingerprint(keys.previous)]
    shown = site.ctl("list").out
    assert f"master key: {fingerprint(keys.previous)}" in shown
    at = shown.splitlines()[0].index(" KEY") + 1
    assert [row[at:].split()[0] for row in shown.splitlines()[1:5]] == [
        "-", "none", fingerprint(keys.next)[:9], fingerprint(keys.previous)[:9]]
    site.write("master.key", "no key\n")
    told = site.ctl("status", "--json").json
    assert told["key"] == "" and "hexadecimal" in told["key_trouble"]
    assert site.ctl("list").status == 0


# ---- what is wrong ----


BAD_FILES = {
    "not hex": ("g" * 64, "not a hexadecimal digit"),
    "too short": ("0" * 63, "63 hexadecimal digits instead of 64"),
    "too long": ("0" * 65, "65 hexadecimal digits instead of 64"),
    "empty": ("", "0 hexadecimal digits instead of 64"),
}


@pytest.mark.parametrize("option", ["-p", "--new-key"])
@pytest.mark.parametrize("name", [*BAD_FILES, "a directory", "missing", "unreadable"])
def test_bad_files(site, option, name):
    """Read by the client: the daemon hears of nothing."""
    put_keys(site, 1)
    keys = Keys(site)
    before = state(site.bucket)
    file = site.dir / "bad.key"
    text, says = BAD_FILES.get(name, ("", {"a directory": "not a regular file", "missing": "No such file"}.get(name, "")))
    options = {}
    if name == "a directory":
        file.mkdir()
    elif name == "unreadable":
        site.dir.chmod(0o711)
        file.write_text("0" * 64)
        file.chmod(0o000)
        options, says = {"user": 65534, "group": 65534, "extra_groups": []}, "Permission denied"
    elif name != "missing":
        file.write_text(text)
    ctl = site.programs.ctl
    if options:
        ctl = "./ctl"
        (site.dir / "ctl").write_bytes(Path(site.programs.ctl).read_bytes())
        (site.dir / "ctl").chmod(0o755)
        Path(keys.previous_file).chmod(0o644)
    files = ["-p", "bad.key"] if option == "-p" else ["-p", "previous.key", "--new-key", "bad.key"]
    done = site.run(ctl, "-c", site.file, "rotate-key", *files, **options)
    assert done.status == 2 and len(done.err.splitlines()) == 1 and says in done.err and "bad.key" in done.err, done
    assert "0" * 60 not in done.err and state(site.bucket) == before
    told = site.run(ctl, "-c", site.file, "rotate-key", *files, "--json", **options)
    assert told.status == 2 and says in told.json["failure"]["text"] and told.err == done.err, told


def test_bad_words(site):
    keys = Keys(site)
    for words in (["rotate-key"], ["rotate-key", "-p", keys.previous_file, "more"], ["rotate-key", "--nonsense"]):
        assert site.ctl(*words).status == 2, words


def test_a_wrong_previous_key(site):
    put_keys(site, 3)
    keys = Keys(site)
    site.write("previous.key", os.urandom(32).hex())
    kind, text = refused(site, keys, status=5)
    assert kind == "integrity" and "opens none of the 3 keys, and nothing was changed: do not destroy any key" in text


def test_integrity_is_the_exit_status_of_keys_that_open_with_neither(site):
    put_keys(site, 1)
    keys = Keys(site)
    site.bucket.put(key_name(1), os.urandom(72 - 1) + b"x")
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 5 and "do not destroy the previous key" in done.err, done


def test_the_same_key(site):
    put_keys(site, 1)
    keys = Keys(site, swap=False)
    assert refused(site, keys) == ("config", "the previous key and the new one are the same "
                                             f"({fingerprint(keys.previous)}): nothing was changed")
    assert refused(site, keys, "--new-key", keys.previous_file)[0] == "config"


def test_keys_that_were_interchanged(site):
    """The "previous" key is one that nothing was ever wrapped by: no word of destroying it."""
    put_keys(site, 2)
    keys = Keys(site, swap=False)
    keys.previous_file = keys.next_file
    kind, text = refused(site, keys)
    assert kind == "config" and "are the two interchanged?" in text and "Destroy neither" in text, text
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert "can be destroyed" not in done.out + done.err


def test_nothing_to_rotate(site):
    keys = Keys(site)
    assert refused(site, keys)[0] == "not-found"
    site.bucket.put(f"backup-{stamp(3)}.dump", b"x" * (512 + 32))
    kind, text = refused(site, keys)
    assert "no encrypted backups in http" in text


def test_no_new_key(site):
    put_keys(site, 1)
    keys = Keys(site)
    site.configure({"encryption_key_path": None})
    kind, text = refused(site, keys)
    assert kind == "config" and "encryption_key_path is not configured" in text
    assert counts(rotated(site, keys, "--new-key", keys.next_file)) == (1, 0, 0)


def test_one_that_fails_does_not_stop_the_others(site):
    """Each is named with its reason, and stays to the byte what it was."""
    made = put_keys(site, 4)
    wrong = {
        key_name(10): (wrap(stamp(10), os.urandom(32)), "neither of the two keys opens it"),
        key_name(11): (wrap(stamp(12), site.master_key), "bound to another instant"),
        key_name(13): (wrap(stamp(13), site.master_key)[:71], "71 bytes instead of 72"),
        key_name(14): (b"", "0 bytes instead of 72"),
        key_name(15): (b"\xebK3" + wrap(stamp(15), site.master_key)[3:], "written by a newer version"),
        key_name(16): (b"x" * 20000, "16384"),
        "backup-2023-99-14T23:13:20Z.key": (wrap(stamp(0), site.master_key), "no time stamp that can be read"),
    }
    flipped = bytearray(wrap(stamp(17), site.master_key))
    flipped[40] ^= 1
    wrong[key_name(17)] = (bytes(flipped), "neither of the two keys opens it")
    for name, (body, _) in wrong.items():
        site.bucket.put(name, body)
        site.bucket.put(name.replace(".key", ".dump"), b"x" * 1000)
    keys = Keys(site)
    *told, failure, result = rotate(site, keys, status=5)
    assert counts(result) == (4, 0, 8)
    assert {one["name"] for one in told} == set(wrong)
    for one in told:
        assert wrong[one["name"]][1] in one["text"], one
    assert f"8 of 12 keys were not rotated: do not destroy the previous key {fingerprint(keys.previous)}; " in (
        failure["failure"]["text"])
    check_opens(site, keys.next, made)
    assert {name: site.bucket.get(name) for name in wrong} == {name: body for name, (body, _) in wrong.items()}
    # When they are gone, the rest is done already.
    for name in wrong:
        site.bucket.delete(name, name.replace(".key", ".dump"))
    assert counts(rotated(site, keys)) == (0, 4, 0)


def test_a_bucket_that_takes_no_put(ceph, etcd, proxied):
    """The first that cannot be its own fault is as good as all: after 32 in a row nobody waits for the rest."""
    site, proxy = proxied(ceph, etcd, lambda request: Answer(403, error("AccessDenied")) if request.call == "put" else None)
    put_keys(site, 60)
    keys = Keys(site)
    kind, text = refused(site, keys)
    assert kind == "auth" and "AccessDenied" in text and "do not destroy the previous key" in text, text
    assert re.search(r"\d\d failures in a row, \d+ keys not looked at", text), text
    proxy.rule = lambda request: None
    assert counts(rotated(site, keys)) == (60, 0, 0)


@needs_root
def test_others_may_not(site):
    """A dry run neither: it says whether a key is the right one."""
    put_keys(site, 1)
    keys = Keys(site)
    site.dir.chmod(0o711)
    site.start()
    site.socket.chmod(0o666)
    body = message(f9=message(f1=keys.previous, f3=1))
    assert as_other(site, body)[0] == "auth"
    assert site.ctl("rotate-key", "-p", keys.previous_file).status == 0


# ---- versions ----


def versions(bucket, name):
    found = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=name).get("Versions", ())
    return [(one["VersionId"], one["IsLatest"]) for one in found]


@contextmanager
def keeping_versions(site, **more):
    """The site's bucket keeps versions; behind it none are left."""
    client, bucket = site.bucket.client, site.bucket.name
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        yield site
    finally:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], **more)


@pytest.fixture
def versioned(site):
    with keeping_versions(site):
        yield site


def test_old_versions_are_told(versioned):
    """They still open with the previous key; the ceremony is a success all the same."""
    site, made = versioned, put_keys(versioned, 3)
    keys = Keys(site)
    result = rotated(site, keys)
    assert counts(result) == (3, 0, 0) and (result["old_versions"], result["purged"]) == (3, 0)
    assert all(len(versions(site.bucket, name)) == 2 for name in made)
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert "keeps 3 old versions of these keys" in done.out and "--purge-versions removes those that open" in done.out, done
    result = rotated(site, keys, "--purge-versions", "--dry-run")
    assert counts(result) == (0, 3, 0) and (result["old_versions"], result["purged"]) == (3, 0)
    assert all(len(versions(site.bucket, name)) == 2 for name in made)
    result = rotated(site, keys, "--purge-versions")
    assert counts(result) == (0, 3, 0) and (result["old_versions"], result["purged"]) == (0, 3)
    for name in made:
        (_, is_latest), = versions(site.bucket, name)
        assert is_latest
    check_opens(site, keys.next, made)


def test_old_versions_that_are_needed_stay(versioned):
    """An old version that holds another data key may be the true one; those of deleted backups are their last hope."""
    site = versioned
    name, = put_keys(site, 1)
    site.bucket.put(name, wrap(stamp(0), site.master_key, data_key=os.urandom(32)))  # somebody has exchanged it
    deleted, = put_keys(site, 1, first=1)
    site.bucket.delete(deleted, deleted.replace(".key", ".dump"))
    keys = Keys(site)
    *told, failure, result = rotate(site, keys, "--purge-versions", status=5)
    assert [one["name"] for one in told] == [name] and "holds another data key than the current version" in told[0]["text"]
    assert "all keys are rotated, but 1 old versions stay" in failure["failure"]["text"]
    assert (result["rotated"], result["purged"], result["old_versions"], result["lost_versions"]) == (1, 1, 1, 1)
    assert len(versions(site.bucket, name)) == 2 and len(versions(site.bucket, deleted)) == 1


def test_a_key_that_was_deleted_and_its_dump_was_not(versioned):
    """Its old version is the dump's last hope, and may need the previous key."""
    site = versioned
    put_keys(site, 2)
    site.bucket.put(key_name(1).replace(".key", ".dump"), b"x" * 1001)  # by its size no plain dump
    site.bucket.delete(key_name(1))
    keys = Keys(site)
    failure, result = rotate(site, keys, status=5)
    assert counts(result) == (1, 0, 0) and f"{key_name(1)} was deleted and its dump was not" in failure["failure"]["text"]
    assert "keep the previous key until then" in failure["failure"]["text"]


def test_versions_of_an_older_key(versioned):
    """From a ceremony before the last: told, and removed by who still has that key, though no key is left to rotate."""
    site = versioned
    name, = made = put_keys(site, 1)
    keys = Keys(site)
    rotated(site, keys)
    again = Keys(site)
    done = site.ctl("rotate-key", "-p", again.previous_file, "--purge-versions")
    assert "1 old versions of these keys that open with neither key" in done.out, done
    result = rotated(site, again, "--purge-versions")
    assert (result["purged"], result["old_versions"], result["other_versions"]) == (0, 0, 1)
    assert len(versions(site.bucket, name)) == 2
    site.write("previous.key", keys.previous.hex())
    result = rotated(site, keys, "--purge-versions")
    assert counts(result) == (0, 1, 0) and (result["purged"], result["other_versions"]) == (1, 0)
    assert len(versions(site.bucket, name)) == 1
    check_opens(site, again.next, made)


@pytest.mark.parametrize("hold", [False, True], ids=["retention", "hold"])
def test_old_versions_that_are_locked(etcd, bucket, new_site, hold):
    """No backup needs the previous key for them: told, with the date, and a success."""
    bucket.remove()
    client = bucket.client
    client.create_bucket(Bucket=bucket.name, ObjectLockEnabledForBucket=True)
    site = new_site(etcd, bucket, https=False).start()
    with keeping_versions(site, BypassGovernanceRetention=True):
        made = put_keys(site, 2)
        (old, _), = versions(bucket, key_name(0))
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        if hold:
            client.put_object_legal_hold(Bucket=bucket.name, Key=key_name(0), VersionId=old, LegalHold={"Status": "ON"})
        else:
            client.put_object_retention(Bucket=bucket.name, Key=key_name(0), VersionId=old,
                                        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
        keys = Keys(site)
        done = site.ctl("rotate-key", "-p", keys.previous_file, "--purge-versions")
        words = "locked, under a legal hold" if hold else f"locked until {until:%Y-%m-%dT%H:%M:%SZ}. No backup needs"
        assert done.status == 0 and f"1 old versions are {words}" in done.out, done
        assert "NOT ROTATED" not in done.err and "it can be destroyed" in done.out, done
        result = rotated(site, keys, "--purge-versions")
        assert (result["purged"], result["locked_versions"], result["old_versions"]) == (0, 1, 0)
        check_opens(site, keys.next, made)
        for version, _ in versions(bucket, key_name(0)):  # the new one, too: a hold goes with it
            client.put_object_legal_hold(Bucket=bucket.name, Key=key_name(0), VersionId=version, LegalHold={"Status": "OFF"})


def test_keys_that_another_program_rotated(site):
    """The Go tool wraps them with the new key and binds them to nothing: we bind them, once, to the same data keys."""
    made = put_keys(site, 1)
    keys = Keys(site)
    rotated(site, keys)
    for n in (1, 2):
        made[key_name(n)], nonce = os.urandom(32), os.urandom(24)
        site.bucket.put(key_name(n), nonce + aead_encrypt(made[key_name(n)], None, nonce, keys.next))
        site.bucket.put(key_name(n).replace(".key", ".dump"), b"x" * 1000)
    assert [(one["bound"], *counts(one)) for one in (rotated(site, keys, "--dry-run"), rotated(site, keys))] == [(2, 0, 1, 0)] * 2
    for name in made:
        assert site.bucket.get(name).startswith(reader.KEY_MAGIC)
    check_opens(site, keys.next, made)
    assert (rotated(site, keys)["bound"], state(site.bucket)) == (0, state(site.bucket))
    for n in (1, 2):  # nobody has seen that they were wrapped by the previous key
        assert "rotated-from" not in site.bucket.client.head_object(Bucket=site.bucket.name, Key=key_name(n))["Metadata"]


def test_versions_are_purged_only_after_success(versioned):
    site = versioned
    put_keys(site, 2)
    site.bucket.put(key_name(9), b"damaged")
    keys = Keys(site)
    *_, result = rotate(site, keys, "--purge-versions", status=5)
    assert counts(result) == (2, 0, 1) and result["purged"] == 0 and len(versions(site.bucket, key_name(0))) == 2


# ---- stores and people that come in between ----


def test_somebody_else_writes(ceph, etcd, proxied):
    """Between our GET and our PUT: If-Match keeps us from writing over it, and what is there now is rotated."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 1)
    name, = made
    keys = Keys(site)
    other = os.urandom(32)

    def rule(request):
        # The first put tells how this store wants its condition; the second is the one that is overtaken.
        if request.call == "put" and request.nth == 1:
            site.bucket.put(name, wrap(stamp(0), keys.previous, data_key=other))
    proxy.rule = rule
    assert counts(rotated(site, keys)) == (1, 0, 0)
    assert opens(keys.next, name, site.bucket.get(name)) == other
    assert len(proxy.calls("put")) == 3


def test_a_store_without_conditions(ceph, etcd, proxied):
    """501 NotImplemented for what it does not know."""
    def rule(request):
        return Answer(501, error("NotImplemented")) if request.call == "put" and request.nth < 2 else None
    site, _ = proxied(ceph, etcd, rule)
    made = put_keys(site, 1)
    keys = Keys(site)
    assert counts(rotated(site, keys)) == (1, 0, 0)
    check_opens(site, keys.next, made)


@pytest.mark.parametrize("body", [b"x" * 72, b"", b"short"])
def test_a_store_that_gives_back_something_else(ceph, etcd, proxied, body):
    """Whatever it was: the old key is put back, and the backup can be read as before."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 2)
    keys = Keys(site)
    victim = key_name(0)

    def damaged(status, headers, _):
        return status, headers, body

    def rule(request):
        done = [r for r in proxy.calls("put") if r.path.endswith(victim.replace(":", "%3A")) and r.status == 200]
        if request.call == "get" and request.path.endswith(victim.replace(":", "%3A")) and len(done) == 1:
            return After(damaged)
        return None
    proxy.rule = rule
    told, failure, result = rotate(site, keys, status=5)
    assert told["name"] == victim and "gave back another key than was stored; the one of before was put back" in told["text"]
    assert counts(result) == (1, 0, 1) and "do not destroy" in failure["failure"]["text"]
    assert opens(keys.previous, victim, site.bucket.get(victim)) == made[victim]
    proxy.rule = lambda request: None
    assert counts(rotated(site, keys)) == (1, 1, 0)
    check_opens(site, keys.next, made)


def test_a_backup_that_was_made_meanwhile(ceph, etcd, proxied):
    """Another daemon still had the previous key: its backup is found by listing again."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 2)
    keys = Keys(site)

    def rule(request):
        if request.call == "put" and key_name(5) not in made:
            made.update(put_keys(site, 1, keys.previous, first=5))
    proxy.rule = rule
    assert counts(rotated(site, keys)) == (3, 0, 0)
    check_opens(site, keys.next, made)


def test_a_key_that_the_store_hides_once(ceph, etcd, proxied):
    """404 for one that was listed: success needs that all that is listed was seen to be opened by the new key."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 3)
    keys = Keys(site)
    hidden = key_name(1).replace(":", "%3A")
    proxy.rule = lambda request: (
        Answer(404, error("NoSuchKey")) if request.path.endswith(hidden) and request.nth == 0 else None)
    assert counts(rotated(site, keys)) == (3, 0, 0)
    check_opens(site, keys.next, made)
    # And one that it hides for ever is no success.
    keys = Keys(site)
    proxy.requests.clear()
    proxy.rule = lambda request: (
        Answer(404, error("NoSuchKey")) if request.path.endswith(hidden) and request.call == "get" else None)
    failure, _ = rotate(site, keys, status=1)
    assert "there are still keys that change, come or go" in failure["failure"]["text"]


def test_a_key_that_is_written_over_when_it_was_done(ceph, etcd, proxied):
    """Somebody brings back the old wrap, before the end: the last pass finds it."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 3)
    keys = Keys(site)
    old = site.bucket.get(key_name(2))
    listings = []

    def rule(request):
        if "list-type" in request.query:
            listings.append(request)
            if len(listings) == 2:
                site.bucket.put(key_name(2), old)
    proxy.rule = rule
    assert counts(rotated(site, keys)) == (4, 0, 0)
    check_opens(site, keys.next, made)


def test_two_ceremonies_one_after_the_other(versioned):
    """To different new keys, where no condition keeps one from writing over the other: neither undoes the other's work."""
    site = versioned
    made = put_keys(site, 1)
    name, = made
    keys = Keys(site)
    assert counts(rotated(site, keys)) == (1, 0, 0)
    wrapped = site.bucket.get(name)
    other = os.urandom(32)
    site.write("master.key", other.hex())
    lines = rotate(site, keys, status=5)
    assert "it was rotated from the same previous key, but to another new one" in lines[0]["text"]
    assert site.bucket.get(name) == wrapped


def test_a_backup_that_is_under_way(ceph, etcd, proxied):
    """By a program that read the previous key when it began: its key would come at its end."""
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 2)
    keys = Keys(site)
    client, bucket = site.bucket.client, site.bucket.name
    dump = f"backup-{stamp(9)}.dump"
    upload = client.create_multipart_upload(Bucket=bucket, Key=dump)["UploadId"]
    foreign = client.create_multipart_upload(Bucket=bucket, Key=f"other-{stamp(9)}.dump")["UploadId"]
    failure, result = rotate(site, keys, status=1)
    assert counts(result) == (2, 0, 0) and f"the upload of {dump}, begun 20" in failure["failure"]["text"]
    # Its key is there: it was rotated like the others, and whatever becomes of the upload needs nothing more.
    site.bucket.put(dump.replace(".dump", ".key"), wrap(stamp(9), keys.previous))
    assert counts(rotated(site, keys)) == (1, 2, 0)
    client.abort_multipart_upload(Bucket=bucket, Key=dump, UploadId=upload)
    client.abort_multipart_upload(Bucket=bucket, Key=f"other-{stamp(9)}.dump", UploadId=foreign)
    # A store that does not list them: said, and no more.
    proxy.rule = lambda request: Answer(501, error("NotImplemented")) if request.call == "uploads" else None
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 0 and "note: whether a backup is under way could not be seen" in done.err, done


def test_a_backup_of_ours_that_is_under_way(ceph, large, proxied):
    """It reads the master key again when it wraps, at etcd's end of the snapshot, which is more than is taken while a part is
    held: swapped before, the new one is used."""
    site, proxy = proxied(ceph, large, lambda request: Hold() if request.number == 2 else None, parts_in_flight=1)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: proxy.held)
    keys = Keys(site)
    proxy.release()
    done = command.end()
    assert done.status == 0, done
    name = done.json["name"].replace(".dump", ".key")
    assert opens(keys.next, name, site.bucket.get(name)) and site.plaintext(done.json["name"])


def test_a_key_that_goes_meanwhile(ceph, etcd, proxied):
    """Pruned: nothing is left of it that could depend on anything."""
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 2)
    keys = Keys(site)

    def rule(request):
        if request.call == "get" and "list-type" in request.query:
            return After(lambda *answer: (site.bucket.delete(key_name(1)), answer)[1])
        return None
    proxy.rule = rule
    assert counts(rotated(site, keys)) == (1, 0, 0)


# ---- whatever happens at whatever request ----

# Three keys: a listing, three times three requests and what a store's dialect adds, a pass that only looks, the uploads, a
# last listing, the versions.
MOMENTS = range(29)


def started(site, proxy):
    """The daemon, when it has had its own look at the bucket: a listing, and the three keys."""
    site.start()
    wait_for(lambda: len([r for r in proxy.requests if r.status]) == 4, what="the look at the start")
    proxy.requests.clear()


def check_no_backup_is_lost(site, keys, made):
    """Each key is opened by exactly one of the two, and is what it was."""
    for name, data_key in made.items():
        wrapped = site.bucket.get(name)
        found = [opens(key, name, wrapped) for key in (keys.previous, keys.next)]
        assert sorted(found, key=bool) == [None, data_key], name


class At:
    """A rule that acts once, when so many requests of a rotation have come."""

    def __init__(self, n, act, then):
        self.left, self.act, self.then, self.acted = n, act, then, False

    def __call__(self, request):
        self.left -= 1
        if self.left >= 0 or self.acted:
            return None
        self.acted = True
        self.act()
        return self.then


@pytest.mark.parametrize("told", [True, False], ids=["told", "lost"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_every_request(ceph, etcd, proxied, moment, told):
    """-9 to the daemon. Every key opens with one of the two; the next run ends right."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 3)
    keys = Keys(site)
    started(site, proxy)
    rule = proxy.rule = At(moment, site.process.kill, None if told else DROP)
    done = Command(site, "rotate-key", "-p", keys.previous_file, "--json").end()
    with proxy.condition:  # between two requests
        proxy.rule = lambda request: None
        acted, came = rule.acted, len(proxy.requests)
    if acted:  # perhaps in the look at the bucket that follows a rotation
        assert done.status == 0 or "the daemon ended before it had answered" in done.err, done
        site.kill()
        check_no_backup_is_lost(site, keys, made)
        site.start()
    else:
        assert done.status == 0 and came <= moment, done
    if done.status == 0:
        check_opens(site, keys.next, made)
    result = rotated(site, keys)
    assert result["failed"] == 0 and result["rotated"] + result["already"] == 3
    check_opens(site, keys.next, made)


@pytest.mark.parametrize("loses", [LOSE, DROP], ids=["answers", "requests"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_cut_off_at_every_request(ceph, etcd, proxied, moment, loses):
    """S3 is gone from that request on, before or after it has done what was asked."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 3)
    keys = Keys(site)
    came = []

    def rule(request):
        came.append(request)
        return loses if len(came) > moment else None
    started(site, proxy)
    proxy.rule = rule
    command = Command(site, "rotate-key", "-p", keys.previous_file, "--json")
    wait_for(lambda: len(came) > moment or command.process.poll() is not None, what="the moment")
    wait_for(lambda: len(came) > moment + 1 or command.process.poll() is not None, what="another try")
    if command.process.poll() is None:
        command.signal(signal.SIGINT)
    done = command.end()
    assert done.status in (0, 1), done
    proxy.rule = lambda request: None
    check_no_backup_is_lost(site, keys, made)
    result = rotated(site, keys)
    assert result["failed"] == 0 and result["rotated"] + result["already"] == 3
    check_opens(site, keys.next, made)


def test_interrupted(ceph, etcd, proxied):
    """^C: what is rotated is, and the message says how to go on."""
    site, proxy = proxied(ceph, etcd, lambda request: Hold() if request.call == "put" else None)
    made = put_keys(site, 20)
    keys = Keys(site)
    command = Command(site.start(), "rotate-key", "-p", keys.previous_file)
    wait_for(lambda: proxy.held)
    command.signal(signal.SIGINT)
    done = command.end()
    assert done.status == 1 and "cancelled: at least 0 keys are rotated, and some that were on their way may be" in done.err
    proxy.release()
    check_no_backup_is_lost(site, keys, made)
    result = rotated(site, keys)
    assert result["failed"] == 0 and result["rotated"] + result["already"] == 20


def test_who_leaves_does_not_stop_it(ceph, etcd, proxied):
    site, proxy = proxied(ceph, etcd, lambda request: Hold() if request.call == "put" else None)
    made = put_keys(site, 2)
    keys = Keys(site)
    command = Command(site.start(), "rotate-key", "-p", keys.previous_file)
    wait_for(lambda: proxy.held)
    command.signal(signal.SIGKILL)
    command.process.wait()
    command.process.communicate()
    proxy.release()
    wait_for(lambda: not running(site))
    check_opens(site, keys.next, made)
    assert not [text for text in news(site) if text.startswith("rotate-key")]


# ---- secrets ----


def test_no_key_stays_in_memory(site):
    """Neither bytes nor digits of a key that was handed over, once the rotation has ended."""
    put_keys(site, 3)
    keys = Keys(site, swap=False)
    site.start()
    assert counts(rotate(site, keys, "--new-key", keys.next_file, status=1)[-1]) == (3, 0, 0)
    # Behind a rotation the daemon looks at the bucket, with the key that is configured, which is the previous one.
    wait_for(lambda: not has_connections(site.process.pid), what="an idle daemon")
    looked_at = 0
    with open(f"/proc/{site.process.pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{site.process.pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in span.split("-"))
            if not rights.startswith("rw") or end - begin > 1 << 28:  # a sanitizer's shadow has terabytes
                continue
            try:
                memory.seek(begin)
                held = memory.read(end - begin)
            except OSError:
                continue  # a guard page
            looked_at += len(held)
            for key in (keys.previous, keys.next):
                assert key not in held and key.hex().encode() not in held, line
    assert looked_at > 1 << 20
    assert keys.previous.hex() not in site.log.read_text() and keys.next.hex() not in site.log.read_text()


# ---- between two keys ----


def test_previous_keys_open_backups(site):
    """Restore and verify, before the rotation, with the file of before in previous_key_paths."""
    assert site.ctl("backup").status == 0
    dump, = site.bucket.dumps()
    plain = site.plaintext(dump)
    keys = Keys(site)
    failed = site.ctl("verify", "--all")
    assert failed.status == 5 and f"not opened by {fingerprint(keys.next)}" in failed.out, failed
    site.configure({"previous_key_paths": [keys.previous_file]})
    assert site.ctl("verify", "--all").status == 0
    assert site.ctl("restore", "--use-etcdutl=false").status == 0 and site.snapshot.read_bytes() == plain
    # Each that fails is named; one that cannot be read any more does no harm while the others open what is there.
    other = site.write("other.key", os.urandom(32).hex())
    site.configure({"previous_key_paths": [other, keys.previous_file]})
    site.start()
    assert site.ctl("verify", "--all").status == 0
    Path(other).unlink()
    assert site.ctl("verify", "--all").status == 0
    Path(keys.previous_file).unlink()
    failed = site.ctl("verify", "--all", "--json")
    assert failed.status == 5 and "not tried: " in json.loads(failed.out.splitlines()[0])["text"], failed


def test_previous_keys_in_the_configuration(site):
    """Checked like the key in use, and named by their place in the list."""
    keys = Keys(site)
    for paths, says in ([str(site.dir)], "not a regular file"), ([keys.previous_file, site.write("bad", "x")], "bad"):
        site.configure({"previous_key_paths": paths})
        done = site.check_config()
        assert done.status == 2 and says in done.err and f"previous_key_paths[{len(paths) - 1}]" in done.err, done
    site.configure({"previous_key_paths": keys.previous_file})
    done = site.check_config()
    assert done.status == 2 and 'previous_key_paths: must be a list: ["/path", ...]' in done.err, done
