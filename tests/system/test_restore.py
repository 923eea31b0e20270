"""Restoring: our restore and the independent reader agree, and the Go tool's backups are read."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

import reader
from test_reader import VECTORS, vectors


def restore(site, *arguments):
    return site.ctl("restore", "--use-etcdutl=false", "--json", *arguments)


def test_equals_the_reader(site):
    """By default the latest, into snapshot_path, for the owner alone."""
    site.start()
    made = [site.ctl("backup", "--json").json for _ in range(2)]
    done = restore(site)
    assert done.status == 0, done
    assert done.json["name"] == made[-1]["name"]
    assert done.json["output"] == str(site.snapshot)
    assert site.snapshot.read_bytes() == site.plaintext(made[-1]["name"])
    assert stat.S_IMODE(site.snapshot.stat().st_mode) == 0o600
    assert done.json["snapshot_size"] == site.snapshot.stat().st_size
    assert done.json["hash_checked"] and done.json["encrypted"]
    assert sorted(path.name for path in site.dir.iterdir() if path.name.startswith((".", "snapshot"))) == ["snapshot.db"]


def test_by_timestamp(site, folder):
    site.start()
    made = [site.ctl("backup", "--json").json for _ in range(2)]
    # Something longer is in the way; a tail of it must not stay.
    output = folder / "out.db"
    output.write_bytes(bytes(1 << 23))
    done = restore(site, "-t", made[0]["instant"], "--output", output)
    assert done.status == 0, done
    assert done.json["name"] == made[0]["name"]
    assert output.read_bytes() == site.plaintext(made[0]["name"])
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


def test_private_daemon(site, folder):
    name = site.ctl("backup", "--json").json["name"]
    done = restore(site, "--output", folder / "out.db")
    assert done.status == 0, done
    assert (folder / "out.db").read_bytes() == site.plaintext(name)


def test_on_a_rescue_node(site, folder):
    """Master key, S3 credentials and configuration are back, and nothing else: what only reads the bucket works, and a backup
    says all that it lacks."""
    name = site.ctl("backup", "--json").json["name"]
    gone = {key: folder / "gone" / f"{key}.pem" for key in ("ca_cert", "password_auth", "client_cert", "client_key")}
    site.configure({"etcd_client": {"auth": gone}, "snapshot_path": folder / "gone" / "snapshot.db",
                    "control": {"group": "no-such-group-here"}})
    listed = site.ctl("list", "--json")
    assert listed.status == 0 and name in listed.out, listed
    assert site.ctl("verify").status == 0
    done = restore(site, "--output", folder / "out.db")
    assert done.status == 0, done
    assert (folder / "out.db").read_bytes() == site.plaintext(name)
    assert site.ctl("prune", "--dry-run", "--max-age", "1d").status == 0
    done = restore(site)
    assert done.status == 1 and f"{folder}/gone does not exist: mkdir -p {folder}/gone" in done.err, done
    done = site.ctl("backup")
    lines = done.err.splitlines()
    assert done.status == 2 and len(lines) == 6, done
    for line, (key, path) in zip(lines, gone.items()):
        assert f"etcd_client.auth.{key}: {path}: No such file or directory" in line, done
    assert f"snapshot_path: directory {folder}/gone does not exist: mkdir -p {folder}/gone" in lines[4], done
    assert "control.group: there is no group 'no-such-group-here'" in lines[5], done
    assert site.check_config().err.splitlines() == lines


def test_not_encrypted(etcd, bucket, new_site):
    site = new_site(etcd, bucket, encrypted=False).start()
    name = site.ctl("backup", "--json").json["name"]
    assert restore(site).status == 0
    assert site.snapshot.read_bytes() == bucket.get(name)


def test_etcd_restores_it(site, folder):
    """etcdutl, which checks the SHA-256, makes a data directory of it."""
    site.start()
    site.ctl("backup")
    assert restore(site).status == 0
    servers_own = folder / "data"
    done = site.run(site.etcd.binary("etcdutl"), "snapshot", "restore", site.snapshot, "--data-dir", servers_own)
    assert done.status == 0, done
    assert (servers_own / "member" / "snap" / "db").exists()


@pytest.fixture
def go_site(etcd, bucket, new_site):
    """A bucket filled by the Go tool."""
    site = new_site(etcd, bucket)
    site.write("master.key", (VECTORS / "master.key").read_text())
    site.master_key = reader.parse_master_key((VECTORS / "master.key").read_bytes())
    for path in VECTORS.glob("backup-*"):
        bucket.put(path.name, path.read_bytes())
    return site.start()


def test_go_vectors(go_site, folder):
    listed = go_site.ctl("list", "--json")
    assert len(listed.out.splitlines()) == 6, listed
    for name, data, trailer, digest in vectors():
        output = folder / f"{data}.db"
        done = restore(go_site, "-t", name[len("backup-"):], "--output", output)
        # They are whole, if anything proves it, but no databases.
        assert done.status == 5 and ("page 0: it is no meta of a bbolt file" if trailer else "SHA-256") in done.err, done
        assert not output.exists()
        done = restore(go_site, "-t", name[len("backup-"):], "--output", output, "--skip-hash-check")
        assert done.status == 0 and not done.json["hash_checked"], done
        assert hashlib.sha256(output.read_bytes()).hexdigest() == digest
    assert [path for path in folder.iterdir() if path.name.startswith(".")] == []


def test_name_with_an_offset(go_site, bucket, folder):
    """The same instant, spelled in another zone, is a backup of its own; it is fetched by the name that it has."""
    name = "backup-2024-12-06T21:22:25Z"
    for kind in ("dump", "key"):
        bucket.put(f"backup-2024-12-07T02:22:30+05:00.{kind}", (VECTORS / f"{name}.{kind}").read_bytes())
    listed = go_site.ctl("list", "--json")
    assert "backup-2024-12-07T02:22:30+05:00.dump" in listed.out, listed
    done = restore(go_site, "-t", "2024-12-06T21:22:30Z", "--output", folder / "out.db", "--skip-hash-check")
    assert done.status == 0 and done.json["name"] == "backup-2024-12-07T02:22:30+05:00.dump", done
    assert hashlib.sha256((folder / "out.db").read_bytes()).hexdigest() == next(
        digest for of, _, _, digest in vectors() if of == name)


def sealed_backup(site):
    name = site.ctl("backup", "--json").json["name"]
    return name, site.bucket.get(name)


CHUNK = reader.CHUNK + reader.OVERHEAD

TAMPERINGS = {
    "a flipped bit": (lambda d: d[:CHUNK + 1000] + bytes([d[CHUNK + 1000] ^ 1]) + d[CHUNK + 1001:], "chunk 1"),
    "cut at a border": (lambda d: d[:CHUNK], "chunk 0"),
    "cut inside": (lambda d: d[:-1], "chunk"),
    "swapped": (lambda d: d[CHUNK:2 * CHUNK] + d[:CHUNK] + d[2 * CHUNK:], "chunk 0"),
    "repeated": (lambda d: d[:CHUNK] + d, "chunk 1"),
    "empty": (lambda d: b"", ""),
}


@pytest.mark.parametrize("way", TAMPERINGS)
def test_tampered(site, folder, way):
    """Refused with exit status 5, one line that names the place, and nothing under the name of the output."""
    change, place = TAMPERINGS[way]
    site.start()
    name, dump = sealed_backup(site)
    assert len(dump) > 2 * CHUNK
    site.bucket.put(name, change(dump))
    output = folder / "out.db"
    output.write_text("as before")
    done = restore(site, "--output", output)
    assert done.status == 5 and place in done.err, done
    assert output.read_text() == "as before"
    assert [path.name for path in Path(folder).iterdir() if path.is_file()] == ["out.db"]


def test_renamed(site, folder):
    """An old backup under a new name is not the latest while that name is of the future, and refused where it is asked for,
    unless the user says that it was renamed."""
    site.start()
    name, dump = sealed_backup(site)
    key = site.bucket.get(name.replace(".dump", ".key"))
    site.bucket.put("backup-2100-01-01T00:00:00Z.dump", dump)
    site.bucket.put("backup-2100-01-01T00:00:00Z.key", key)
    output = folder / "out.db"
    done = restore(site, "--output", output)
    assert done.status == 0 and done.json["name"] == name, done
    assert "backup-2100-01-01T00:00:00Z.dump is newer, but its time has not come yet" in done.err, done
    output.unlink()
    done = restore(site, "-t", "2100-01-01T00:00:00Z", "--output", output)
    assert done.status == 5 and "bound to another instant than 2100-01-01T00:00:00Z" in done.err, done
    assert "; --allow-renamed accepts it" in done.err, done
    assert not os.path.exists(output)
    done = restore(site, "-t", "2100-01-01T00:00:00Z", "--output", output, "--allow-renamed")
    assert done.status == 0, done
    assert output.read_bytes() == site.plaintext(name)


def test_planted(site, folder):
    """Without the master key anybody can write a dump that is not encrypted: it is not taken for one of ours."""
    name, _ = sealed_backup(site.start())
    planted = "backup-2100-01-01T00:00:00Z.dump"
    site.bucket.put(planted, site.plaintext(name))
    output = folder / "out.db"
    done = restore(site, "--output", output)
    assert done.status == 5 and planted in done.err and "is not encrypted" in done.err, done
    assert not output.exists()
    done = restore(site, "--output", output, "--allow-plain")
    assert done.status == 0 and done.json["name"] == planted and not done.json["encrypted"], done
    assert output.read_bytes() == site.plaintext(name)


def test_a_limit_of_file_sizes(site, folder):
    """It is met as a full disk is: told, and nothing is left behind."""
    assert site.ctl("backup", "-q").status == 0
    done = site.run("sh", "-c", f"ulimit -f 100; exec {site.programs.ctl} -c {site.file} restore --use-etcdutl=false "
                    f"--output {folder}/out.db")
    assert done.status == 1 and "File too large" in done.err, done
    assert not [path for path in folder.iterdir() if path.is_file()]


def test_wrong_master_key(site, folder):
    site.ctl("backup")
    site.write("master.key", os.urandom(32).hex())
    done = restore(site, "--output", folder / "out.db")
    assert done.status == 5 and "master key" in done.err.lower(), done
    assert not (folder / "out.db").exists()


def test_nothing_to_restore(site, folder):
    site.start()
    done = restore(site, "--output", folder / "out.db")
    assert done.status == 1 and site.bucket.name in done.err, done
    site.ctl("backup")
    done = restore(site, "-t", "2024-01-01T00:00:00Z", "--output", folder / "out.db")
    assert done.status == 1 and "2024-01-01T00:00:00Z" in done.err, done
    assert not (folder / "out.db").exists()
