"""Backups of a real etcd in a real S3 store, read by the independent reader."""

import hashlib
import json
import re

import pytest

import servers
from servers import MIB, wait_for

pytestmark = pytest.mark.installed

NAME = re.compile(r"backup-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.dump")


def stored_size(size):
    """Of an encrypted object for a snapshot of that size."""
    return size + 40 * -(-size // MIB)


def check_backup(site, done, folder):
    """That what `backup --json` tells of is in the bucket, whole, and the content of etcd. Returns the plaintext."""
    assert done.status == 0, done
    told = done.json
    name = told["name"]
    assert NAME.fullmatch(name)
    assert name[len("backup-"):-len(".dump")] == told["instant"]
    assert site.bucket.uploads() == []
    plain = site.plaintext(name)
    assert told["snapshot_size"] == len(plain)
    assert told["stored_size"] == site.bucket.list()[name]
    assert told["encrypted"] == (site.settings["encryption_key_path"] is not None)
    assert told["etcd_version"].startswith(site.etcd.version)
    assert told["revision_before"] <= told["revision_after"]
    assert len(plain) % 4096 == 32
    path = folder / "by-reader.db"
    path.write_bytes(plain)
    saved = site.etcd.snapshot(folder / "by-etcdctl.db")
    told, expected = site.etcd.describe(path), site.etcd.describe(saved)
    # Each log-in is an entry of etcd's log, and the hash covers the number of the last one.
    assert told[1:] == expected[1:] if site.etcd.auth == "password" else told == expected
    return plain


WAYS = [
    ("3.4", "none", "none", False),
    ("3.4", "server", "none", True),
    ("3.4", "mutual", "none", True),
    ("3.4", "server", "password", True),
    ("3.4", "mutual", "cn", True),
    ("3.5", "none", "none", True),
    ("3.5", "none", "password", False),
    ("3.5", "server", "none", False),
    ("3.5", "mutual", "none", True),
    ("3.5", "server", "password", True),
    ("3.5", "mutual", "cn", True),
]


@pytest.mark.parametrize("version,tls,auth,https", WAYS)
def test_backup(shared_etcd, bucket, new_site, folder, version, tls, auth, https):
    """Each way to reach etcd, and both ways to reach S3."""
    site = new_site(shared_etcd(version=version, tls=tls, auth=auth), bucket, https=https).start()
    done = site.ctl("backup", "--json")
    plain = check_backup(site, done, folder)
    name = done.json["name"]
    assert bucket.list() == {name: stored_size(len(plain)), name.replace(".dump", ".key"): 72}
    assert done.json["endpoint"] in site.etcd.endpoints
    assert site.stop() == 0


def test_not_encrypted(etcd, bucket, new_site, folder):
    """The bytes of the snapshot and no key; the daemon says so loudly when it starts."""
    site = new_site(etcd, bucket, encrypted=False).start()
    done = site.ctl("backup", "--json")
    plain = check_backup(site, done, folder)
    assert bucket.list() == {done.json["name"]: len(plain)}
    assert "not encrypted" in site.log.read_text().lower()


def test_private_daemon(site, folder):
    """etcd-backupctl -c: no daemon runs, and none stays."""
    check_backup(site, site.ctl("backup", "--json"), folder)
    assert not site.socket.exists()


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_no_keys(new_etcd, bucket, new_site, folder, version):
    """An etcd that never held a key."""
    etcd = new_etcd(version=version, tls="mutual")
    # The cluster's version is an entry of its log, which comes by itself, a moment after etcd is healthy.
    wait_for(lambda: json.loads(etcd.page("/version"))["etcdcluster"].startswith(version), what="the cluster's version")
    site = new_site(etcd, bucket).start()
    plain = check_backup(site, site.ctl("backup", "--json"), folder)
    assert len(plain) < MIB


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_many_parts(new_etcd, bucket, new_site, folder, version):
    """Many chunks and many parts, in less memory than they have; with sanitizers, which have memory of their own, five parts."""
    etcd = new_etcd(version=version, tls="mutual")
    site = new_site(etcd, bucket)
    size = (40 if site.programs.sanitized else 100) * MIB
    etcd.fill(size)
    plain = check_backup(site.start(), site.ctl("backup", "--json"), folder)
    assert len(plain) > size
    if not site.programs.sanitized:
        assert site.memory() <= 64 * MIB


@pytest.mark.parametrize("prefix", ["a/b/c", "with space+plus:colon", "Übergröße/backup"])
def test_prefixes(etcd, bucket, new_site, prefix):
    site = new_site(etcd, bucket, changes={"s3_client": {"objects_prefix": prefix}}).start()
    done = site.ctl("backup", "--json")
    assert done.status == 0, done
    assert done.json["name"].startswith(f"{prefix}-")
    site.plaintext(done.json["name"])
    listed = site.ctl("list", "--json")
    assert listed.status == 0, listed
    assert [listed.json["name"]] == [done.json["name"]] == bucket.dumps()


def test_virtual_host(etcd, new_bucket, new_site, ceph):
    """bucket.localhost, by name in the certificate too."""
    bucket = new_bucket(name="bucket")
    site = new_site(etcd, bucket, changes={"s3_client": {
        "endpoint": ceph.https.replace("127.0.0.1", "localhost"), "addressing": "virtual"}}).start()
    done = site.ctl("backup", "--json")
    assert done.status == 0, done
    site.plaintext(done.json["name"])


def test_the_address_of_the_bucket(etcd, new_bucket, new_site, ceph):
    """In place of that of the store: told by the check, by a backup that comes off, and by all that look for backups."""
    site = new_site(etcd, new_bucket(name="bucket"), changes={"s3_client": {
        "endpoint": ceph.https.replace("127.0.0.1", "bucket.localhost"), "addressing": "path"}})
    checked = site.check_config()
    assert checked.status == 0 and "s3_client.endpoint: begins with the name of the bucket" in checked.err, checked
    site.start()
    done = site.ctl("backup", "-q")
    words = 'HTTP 404 NoSuchKey from bucket.localhost:.*, asked about the bucket "bucket": it took that for the name of an object'
    assert done.status == 0 and re.search(f"note: whether the master key .*{words}", done.err), done
    for command in (["list"], ["restore", "--output", "/dev/null", "--use-etcdutl=false"], ["verify"]):
        done = site.ctl(*command)
        assert done.status == 1 and re.search(words, done.err), done


def test_list_and_status(site):
    site.start()
    empty = site.ctl("list", "--json")
    assert (empty.status, empty.out) == (0, ""), empty
    made = [site.ctl("backup", "--json").json for _ in range(3)]
    assert len({backup["name"] for backup in made}) == 3
    listed = [servers.json.loads(line) for line in site.ctl("list", "--json").out.splitlines()]
    assert sorted(entry["name"] for entry in listed) == sorted(backup["name"] for backup in made)
    for entry in listed:
        backup = next(b for b in made if b["name"] == entry["name"])
        assert (entry["size"], entry["encrypted"], entry["state"]) == (backup["stored_size"], True, "complete")
    status = site.ctl("status", "--json").json
    assert status["last_success"]["name"] == made[-1]["name"]
    assert (status["running"], status["last_failure"], status["pid"]) == (None, None, site.process.pid)
    for command in ("list", "status"):
        shown = site.ctl(command)
        assert shown.status == 0 and made[-1]["instant"][:10] in shown.out, shown


def test_one_line_tells_of_a_backup(site):
    site.start()
    told = site.ctl("backup", "--json").json
    lines = [line for line in site.log.read_text().splitlines() if told["name"] in line]
    assert len(lines) == 1
    assert f"{told['revision_before']}" in lines[0] and "MiB/s" in lines[0] and told["endpoint"] in lines[0]


def test_exit_statuses(site):
    nobody = site.run(site.programs.ctl, "-s", site.socket, "status")
    assert nobody.status == 3 and str(site.socket) in nobody.err, nobody
    for wrong in (["frobnicate"], [], ["-c"], ["backup", "--frobnicate"]):
        done = site.run(site.programs.ctl, *wrong)
        assert done.status == 2 and done.out == "", done
    assert site.check_config().status == 0
    site.configure({"s3_client": {"region": servers.Raw("[a]")}})
    done = site.check_config()
    line = next(n for n, text in enumerate(site.file.read_text().splitlines(), 1) if "region" in text)
    assert done.status == 2 and f"{site.file}:{line}:" in done.err and "s3_client.region" in done.err, done
    assert len(done.err.splitlines()) == 1


def test_reading_back_what_was_sealed_twice(site):
    """No two backups share a data key, a base or a wrapped key."""
    site.start()
    names = [site.ctl("backup", "--json").json["name"] for _ in range(2)]
    dumps = [site.bucket.get(name) for name in names]
    keys = [site.bucket.get(name.replace(".dump", ".key")) for name in names]
    assert dumps[0][:8] == dumps[1][:8] == b"\xebETCDBK\x02"
    assert dumps[0][8:16] != dumps[1][8:16]
    assert keys[0][:4] == keys[1][:4] == b"\xebK2\x00"
    assert keys[0][4:] != keys[1][4:]
    assert len({hashlib.sha256(dump).digest() for dump in dumps}) == 2
