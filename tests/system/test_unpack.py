"""Restores into a data directory: what comes out is etcd's data again, whose it is, where it is, and what it is told."""

import grp
import os
import pwd
import shutil
import stat
import subprocess

import pytest

from etcd_peer import message
from test_control import as_other, needs_root
from unpacking import (Revived, contents, data_of, hash_of, held, hidden, plaintext, refused, three, tool, tool_of, unpack)

OLD, NEW = {"version": "3.4"}, {"version": "3.5", "tls": "mutual"}


@pytest.fixture
def backed_up(new_site, bucket, shared_etcd, folder):
    """backed_up(etcd options): a site with one backup, its daemon running, and etcdutl at hand."""
    def make(options=None, start=True, **site):
        etcd = shared_etcd(**(options or NEW))
        made = new_site(etcd, bucket, **site)
        made.tool = tool_of(etcd)
        if start:
            made.start()
        done = made.ctl("backup", "-q", "--json")
        assert done.status == 0, done
        made.name = done.json["name"]
        return made
    return make


@pytest.fixture
def mounted(folder):
    """mounted(path, size): a small file system of its own."""
    made = []

    def mount(path, size="400m"):
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "none", path], check=True)
        made.append(path)
        return path

    yield mount
    for path in reversed(made):
        subprocess.run(["umount", "-l", path], check=True)


# ---- the way there and back ----


@pytest.mark.parametrize("way", ["socket", "private"])
@pytest.mark.parametrize("version", [OLD, NEW], ids=["3.4", "3.5"])
def test_there_and_back(backed_up, folder, version, way):
    """A new etcd on it has the keys, values, revisions and HashKV of the old one; and nothing else remains."""
    site = backed_up(version, start=way == "socket")
    done = unpack(site, folder / "data", "-e", site.tool)
    assert done.status == 0, done
    assert done.json["name"] == site.name and done.json["data_dir"] == str(folder / "data")
    assert done.json["tool"].endswith(f"version: {'3.4.23' if version is OLD else '3.5.16'}")
    assert hidden(folder) == [] and not site.snapshot.exists()
    assert not site.process or held(site) == []
    assert plaintext(folder) and all(path.startswith(f"{folder}/data/") for path in plaintext(folder))
    with Revived(site.etcd, folder / "data") as etcd:
        assert data_of(etcd) == data_of(site.etcd)
        assert hash_of(etcd) == hash_of(site.etcd)


def test_the_letters_of_the_go_tool(backed_up, folder):
    """All at once; etcdutl is told just that, and an older backup is taken."""
    site = backed_up()
    first = site.name
    assert site.ctl("backup", "-q").status == 0
    spy = tool(folder, site.etcd, f"""echo "$@" >'{folder}/told'; exec "$real" "$@" """)
    instant = first[len("backup-"):-len(".dump")]
    done = site.ctl("restore", "-t", instant, "-d", folder / "data", "-e", spy, "-o", "a-token", "-l",
                    "x=http://127.0.0.1:1,y=http://127.0.0.1:2", "-a", "http://127.0.0.1:2", "-n", "y", "-u", "--json")
    assert done.status == 0 and done.json["name"] == first, done
    assert (folder / "told").read_text() == (
        f"snapshot restore /proc/self/fd/3 --data-dir /proc/self/fd/4/data --name y --initial-cluster "
        "x=http://127.0.0.1:1,y=http://127.0.0.1:2 --initial-cluster-token a-token "
        "--initial-advertise-peer-urls http://127.0.0.1:2\n")
    # What it said has reached the person, and how to go on.
    assert "  | " in done.err and "added member" in done.err, done
    for false in ("-u=false", "-ufalse"):
        site.snapshot.unlink(missing_ok=True)
        assert site.ctl("restore", "-t", instant, false).status == 0
        assert site.snapshot.read_bytes() == site.plaintext(first)


def test_defaults(backed_up, folder):
    """Those of the Go tool, said to etcdutl; and the etcdutl of PATH, of ctl's, or else the etcdctl there."""
    site = backed_up(start=False)
    bin = folder / "bin"
    bin.mkdir()
    (bin / "setpriv").symlink_to(shutil.which("setpriv"))  # by which the client is started
    spy = tool(folder, site.etcd, f"""echo "$@" >'{folder}/told'; exec "$real" "$@" """)
    paths = f"{bin}:/bin:/usr/bin" if not os.path.exists("/usr/bin/etcdutl") else str(bin)
    site.programs.environment, saved = dict(site.programs.environment, PATH=paths), site.programs.environment
    try:
        for name in ("etcdctl", "etcdutl"):
            shutil.copy(spy, bin / name)
            done = site.ctl("restore", "-d", folder / name, "--json")
            assert done.status == 0, done
            told = (folder / "told").read_text()
            assert ("--name default --initial-cluster default=http://localhost:2380 --initial-cluster-token etcd-cluster "
                    "--initial-advertise-peer-urls http://localhost:2380\n") in told
            (folder / "told").unlink()
            (bin / name).rename(bin / f"was-{name}")
    finally:
        site.programs.environment = saved


def test_relative_paths_and_slashes(backed_up, folder):
    """Paths are those of the person's working directory; a slash at the end, as shells complete it, means nothing."""
    site = backed_up()
    for way in ("data", "./more/", "empty//"):
        (site.dir / "empty").mkdir(exist_ok=True)
        done = unpack(site, way, "-e", site.tool)
        assert done.status == 0, done
        assert (site.dir / way / "member" / "snap" / "db").exists()
    assert hidden(folder) == []


def test_without_snapshot_path(backed_up, folder):
    site = backed_up(changes={"snapshot_path": None})
    for way in ("data", "data2/"):
        done = unpack(site, f"{folder}/{way}", "-e", site.tool)
        assert done.status == 0, done
    assert hidden(folder) == []


def test_not_encrypted(backed_up, folder):
    site = backed_up(encrypted=False)
    assert unpack(site, folder / "data", "-e", site.tool).status == 0
    with Revived(site.etcd, folder / "data") as etcd:
        assert hash_of(etcd) == hash_of(site.etcd)


def test_log_in_a_directory_of_its_own(backed_up, folder):
    site = backed_up()
    (folder / "wal").mkdir(mode=0o700)
    done = unpack(site, folder / "data", "--wal-dir", folder / "wal", "-e", site.tool)
    assert done.status == 0 and done.json["wal_dir"] == str(folder / "wal"), done
    assert not (folder / "data" / "member" / "wal").exists() and list((folder / "wal").glob("*.wal"))
    assert hidden(folder) == []
    with Revived(site.etcd, folder / "data", "--wal-dir", folder / "wal") as etcd:
        assert hash_of(etcd) == hash_of(site.etcd)


def test_bumped(backed_up, folder):
    """Who watches an older revision is told that it is compacted, and new ones are far above."""
    site = backed_up()
    done = unpack(site, folder / "data", "--bump-revision", "1000000000", "--mark-compacted", "-e", site.tool)
    assert done.status == 0, done
    revision, keys = data_of(site.etcd)
    with Revived(site.etcd, folder / "data") as etcd:
        assert data_of(etcd) == (revision + 1000000000, keys)
        with pytest.raises(AssertionError, match="required revision has been compacted"):
            etcd.ctl("get", "x", "--rev", revision)


def test_a_tool_of_an_older_release(backed_up, shared_etcd, folder):
    """Told before the first byte, and no refusal: it may work."""
    site = backed_up(NEW)
    older = shared_etcd(**OLD).binary("etcdctl")
    done = site.ctl("restore", "-d", folder / "data", "-e", older, "--dry-run")
    assert done.status == 0, done
    (note,) = [line for line in done.err.splitlines() if line.startswith("note: ") and "3.5" in line]
    assert "3.4" in note, done


def test_bumping_that_cannot_be(backed_up, folder):
    """By a tool that does not know it, or by halves."""
    site = backed_up(OLD)
    refused(site, folder, folder / "data", 1, "--bump-revision:", "etcdctl version: 3.4.23", "3.4.27",
            arguments=["--bump-revision", "1", "--mark-compacted", "-e", site.tool])
    for half in (["--bump-revision", "1"], ["--mark-compacted"]):
        refused(site, folder, folder / "data", 1, "only work together", arguments=[*half, "-e", site.etcd.binary("etcdctl")])
    for wrong in ("0", "-1", "1x", "99999999999999999999"):
        done = unpack(site, folder / "data", "--bump-revision", wrong, "--mark-compacted")
        assert done.status == 2 and "--bump-revision" in done.err, done


def test_a_cluster_of_three(backed_up, folder):
    """Three members, each restored with its own name: they find each other and serve the same data."""
    site = backed_up()
    with three(site, folder) as members:
        revision, _ = data_of(site.etcd)
        expected = data_of(site.etcd), hash_of(site.etcd, revision)
        assert [(data_of(member), hash_of(member, revision)) for member in members] == [expected] * 3
        members[0].ctl("put", "after", "1")
        assert members[2].ctl("get", "after", "--print-value-only") == b"1\n"


# ---- where, and whose ----


def name_of(look, number):
    try:
        return look(number)[0]
    except KeyError:
        return str(number)


def owner_of(path):
    found = {(entry.stat().st_uid, entry.stat().st_gid) for entry in (path, *path.rglob("*"))}
    assert len(found) == 1, found
    return found.pop()


@needs_root
def test_whose(backed_up, folder):
    """The owner of the directory above, or owner and mode of the empty directory that was there, or --owner's."""
    site = backed_up()
    above = folder / "above"
    above.mkdir()
    os.chown(above, 12, 34)
    above.chmod(0o2750)
    done = unpack(site, above / "data", "-e", site.tool)
    assert done.status == 0 and done.json["owner"] == f"{name_of(pwd.getpwuid, 12)}:{name_of(grp.getgrgid, 34)}", done
    assert owner_of(above / "data") == (12, 34) and stat.S_IMODE((above / "data").stat().st_mode) == 0o700
    assert (above / "data" / "member").stat().st_mode & 0o777 == 0o700
    own = above / "own"
    own.mkdir()
    os.chown(own, 56, 78)
    own.chmod(0o711)
    assert unpack(site, own, "-e", site.tool).status == 0
    assert owner_of(own) == (56, 78) and stat.S_IMODE(own.stat().st_mode) == 0o711
    assert (above.stat().st_uid, above.stat().st_gid, stat.S_IMODE(above.stat().st_mode)) == (12, 34, 0o2750)
    for n, (owner, ids) in enumerate([("nobody", (65534, 65534)), ("man:daemon", (6, 1)), ("77:88", (77, 88)),
                                      ("nobody:5", (65534, 5)), ("4294967294", (4294967294, 34))]):
        done = unpack(site, above / f"{n}", "--owner", owner, "-e", site.tool)
        assert done.status == 0, done
        assert owner_of(above / f"{n}") == ids


@needs_root
@pytest.mark.parametrize("owner, words", [
    ("no-such-user", "no user 'no-such-user'"), ("nobody:no-such-group", "no group 'no-such-group'"),
    ("4294967295", "no user '4294967295'"), ("0x1", "no user '0x1'"), (":adm", "no user ''"), ("nobody:", "no group ''"),
])
def test_owners_that_are_not(backed_up, folder, owner, words):
    site = backed_up()
    refused(site, folder, folder / "data", 1, words, arguments=["--owner", owner, "-e", site.tool])


def test_not_for_everybody_to_write(backed_up, folder):
    """A directory above like /tmp does not open the data directory to all."""
    site = backed_up()
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    assert unpack(site, folder / "tmp" / "data", "-e", site.tool).status == 0
    assert stat.S_IMODE((folder / "tmp" / "data").stat().st_mode) & 0o002 == 0


@needs_root
def test_a_file_system_of_its_own(backed_up, folder, mounted):
    """Nothing can be renamed onto it; what is in it becomes the data, with or without lost+found."""
    site = backed_up()
    disk = mounted(folder / "disk")
    (disk / "lost+found").mkdir()
    done = unpack(site, disk, "-e", site.tool, "--owner", "12:34")
    assert done.status == 0, done
    assert sorted(os.listdir(disk)) == ["lost+found", "member"]
    assert owner_of(disk / "member") == (12, 34)
    # etcd writes into the directory itself, too.
    assert (disk.stat().st_uid, disk.stat().st_gid) == (12, 34)
    with Revived(site.etcd, disk) as etcd:
        assert hash_of(etcd) == hash_of(site.etcd)
    refused(site, folder, disk, 1, "is not empty (there is member in it)", arguments=["-e", site.tool])


def test_a_link(backed_up, folder):
    """To an empty directory: that one is filled, the link stays."""
    site = backed_up()
    (folder / "there").mkdir()
    (folder / "here").symlink_to("there")
    assert unpack(site, folder / "here", "-e", site.tool).status == 0
    assert (folder / "here").is_symlink() and (folder / "there" / "member" / "snap" / "db").exists()
    assert hidden(folder) == []
    (folder / "nowhere").symlink_to("gone")
    refused(site, folder, folder / "nowhere", 1, "a symbolic link to nothing", arguments=["-e", site.tool])


# ---- looking first ----


def test_dry_run(backed_up, folder):
    """Says what would be done, asks for no byte of the dump, and changes nothing, not even a time."""
    site = backed_up()
    before = contents(folder)
    times = folder.stat().st_mtime_ns, site.dir.stat().st_mtime_ns
    done = unpack(site, folder / "data", "--dry-run", "-e", site.tool, "--owner", "man")
    assert done.status == 0 and done.json["dry_run"] and done.json["owner"].startswith("man:"), done
    assert done.json["snapshot_size"] == len(site.plaintext(site.name))
    done = site.ctl("restore", "-d", folder / "data", "--dry-run", "-e", site.tool)
    assert "nothing was done" in done.out and f"would be {folder}/data" in done.out, done
    assert site.ctl("restore", "--use-etcdutl=false", "--dry-run").status == 0
    assert contents(folder) == before
    assert (folder.stat().st_mtime_ns, site.dir.stat().st_mtime_ns) == times
    assert held(site) == []


def test_every_objection_at_once(backed_up, folder, mounted):
    """One line, one run: the backup, the key, the tool, the owner, the directories, the options, the room."""
    site = backed_up()
    full = folder / "full"
    full.mkdir()
    (full / "precious").write_text("p")
    site.write("master.key", os.urandom(32).hex())
    arguments = ["-e", folder / "no-tool", "--bump-revision", "5", "--owner", "no-such-user",
                 "--wal-dir", folder / "no" / "wal"]
    refused(site, folder, full, 5, "6 things are in the way: (1) ", "; (6) --owner", arguments=arguments)
    # Six do not fit into a line whole: then each is told as well.
    told = [line for line in unpack(site, full, *arguments).err.splitlines() if line.startswith("note: ")]
    assert len(told) == 6
    for word in ("master key", "is not empty (there is precious in it)", "only work together", f"{folder}/no-tool",
                 "no user 'no-such-user'", f"mkdir -p {folder}/no"):
        assert sum(word in line for line in told) == 1, (word, told)
    # Two do, wherever the scratch folder lies, and are told once.
    site.write("master.key", site.master_key.hex())
    done = unpack(site, full, "--dry-run", "-e", folder / "no-tool")
    assert done.status == 1 and "2 things are in the way" in done.err and "note:" not in done.err, done
    for word in ("precious", "no-tool"):
        assert done.err.count(word) == 1, done


@needs_root
def test_too_little_room(backed_up, folder, mounted):
    """For the log alone etcdutl allocates 128 MiB: known before the first byte."""
    site = backed_up()
    disk = mounted(folder / "disk", "100m")
    line = refused(site, folder, disk / "data", 1, f"{disk}/data: too little room", "needed", "available",
                   arguments=["-e", site.tool])
    assert "100" in line or "MiB" in line
    assert unpack(site, folder / "data", "--wal-dir", folder / "wal", "-e", site.tool).status == 0
    refused(site, folder, disk / "data", 1, f"{folder / 'disk'}", "too little room", arguments=["-e", site.tool])
    assert unpack(site, disk / "data", "--wal-dir", folder / "wal2", "-e", site.tool).status == 0


@needs_root
def test_where_the_snapshot_lies_meanwhile(backed_up, folder, mounted):
    """Beside snapshot_path, or beside --output's file, of which nothing remains."""
    site = backed_up()
    disk = mounted(folder / "disk", "1m")
    assert site.stop() == 0
    site.configure({"snapshot_path": disk / "snapshot.db"})
    site.start()
    refused(site, folder, folder / "data", 1, f"{disk}: too little room: ",
            "; --output FILE takes another disk for the snapshot until it is unpacked", arguments=["-e", site.tool])
    (folder / "large").mkdir()
    refused(site, folder, folder / "data", 1, f"--output {folder}/large: is a directory, not the name of a file",
            arguments=["-e", site.tool, "--output", folder / "large"])
    done = unpack(site, folder / "data", "-e", site.tool, "--output", folder / "large" / "snapshot.db")
    assert done.status == 0 and "output" not in {key for key, value in done.json.items() if value}, done
    assert (folder / "data" / "member" / "snap" / "db").exists()
    assert list((folder / "large").iterdir()) == list(disk.iterdir()) == [] and held(site) == []
    done = site.ctl("restore", "-d", folder / "data2", "-e", site.tool, "--output", folder / "large" / "snapshot.db")
    assert done.status == 0 and "note: the file is there for as long as it is unpacked; " in done.err, done
    # Of a file that is going to stay the same is said.
    done = site.ctl("restore", "--use-etcdutl=false")
    assert done.status == 1 and done.err.splitlines()[-1].endswith("; --output FILE takes another disk for the snapshot"), done


@needs_root
def test_not_for_the_group(shared_etcd, bucket, new_site, folder):
    """The daemon starts programs with its own rights: its group may not choose which."""
    site = new_site(shared_etcd(**NEW), bucket, changes={"control": {"group": "daemon"}})
    site.dir.chmod(0o711)
    assert site.start().ctl("backup", "-q").status == 0
    spy = tool(folder, site.etcd, f"echo >'{folder}/ran'")
    for extra in ({}, {"f8": 1}):
        asked = message(f5=message(f1=1, f7=message(f1=str(folder / "data"), f3=str(spy)), **extra))
        kind, text = as_other(site, asked, gid=1)
        assert kind == "auth" and "only root and the daemon's own user may have it unpacked" in text, text
    assert not (folder / "data").exists() and not (folder / "ran").exists()
