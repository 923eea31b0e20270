"""The daemon's life: how it starts and ends, what it holds on to, one job at a time, and what it says."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

import servers
from faults import Command, check_clean, check_dumps, events, log, news
from s3_proxy import Hold
from servers import MIB, descriptors, wait_for

pytestmark = pytest.mark.installed

# ---- beginning and end ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end(site, number):
    """In order, with status 0, and its socket goes; two lines tell of it."""
    site.start()
    site.process.send_signal(number)
    assert site.process.wait(60) == 0
    assert not list(site.dir.glob("control.*"))
    first, last = events(site, "info")
    assert re.fullmatch(r"etcd-backupd \S+ is ready: \S+ to \S+, control socket \S+", first)
    assert last == f"{signal.Signals(number).name}: stopping"
    assert news(site) == []


def start_badly(site):
    """A daemon that must not start: its exit status, and its one line."""
    done = site.run(site.programs.daemon, "-c", site.file)
    assert done.out == "" and len(done.err.splitlines()) == 1, done
    return done.status, done.err.rstrip("\n").rpartition("  ")[2]


def test_started_twice(site, new_site):
    """The second does not start, and does the first no harm."""
    site.start()
    status, line = start_badly(site)
    assert status == 1 and line == f"another etcd-backupd has {site.socket}", line
    assert site.ctl("backup").status == 0
    check_clean(site, 1)


def test_many_started_at_once(site):
    """One of them has the socket."""
    daemons = [subprocess.Popen(["setpriv", "--pdeathsig", "KILL", site.programs.daemon, "-c", str(site.file)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=site.dir,
                                env=site.programs.environment) for _ in range(6)]
    wait_for(lambda: sum(daemon.poll() is None for daemon in daemons) == 1)
    winner, = [daemon for daemon in daemons if daemon.poll() is None]
    status = wait_for(lambda: (lambda done: done.status == 0 and done)(
        site.run(site.programs.ctl, "-s", site.socket, "status", "--json")))
    assert status.json["pid"] == winner.pid
    winner.terminate()
    for daemon in daemons:
        _, err = daemon.communicate(timeout=60)
        assert daemon.returncode == (0 if daemon is winner else 1)
        assert daemon is winner or (b"another etcd-backupd" in err and len(err.splitlines()) == 1), err


def test_a_socket_that_was_left_behind(site):
    site.start()
    site.kill()
    assert stat.S_ISSOCK(site.socket.stat().st_mode)
    assert site.run(site.programs.ctl, "-s", site.socket, "status").status == 3
    assert site.start().ctl("status").status == 0
    assert site.stop() == 0
    assert not site.socket.exists()


def test_what_is_no_place_for_a_socket(site):
    """Nothing that is in the way is touched."""
    site.socket.write_text("precious")
    assert start_badly(site)[0] == 2
    assert site.socket.read_text() == "precious"
    site.socket.unlink()
    site.socket.symlink_to(site.key_file)
    assert start_badly(site)[0] == 2
    assert site.socket.is_symlink()
    for path, shown in ((site.dir / "nowhere" / "socket", f"directory {site.dir / 'nowhere'} does not exist: "),
                        (site.dir / ("x" * 120), f"{site.dir}/xxxx")):
        site.configure({"control": {"socket": path}})
        status, line = start_badly(site)
        assert status == 2 and "control.socket: " in line and shown in line, line
    foreign = socket.socket(socket.AF_UNIX)
    foreign.bind(str(site.dir / "foreign"))
    foreign.listen()
    site.configure({"control": {"socket": site.dir / "foreign"}})
    status, line = start_badly(site)
    assert status == 1 and "another etcd-backupd listens on" in line, line
    assert (site.dir / "foreign").exists()
    foreign.close()


def test_a_configuration_that_is_wrong(site):
    """One line, status 2, and nothing is started: neither by the daemon, nor by its client."""
    site.configure({"etcd_client": {"retires": 3}})
    status, line = start_badly(site)
    assert status == 2 and re.match(re.escape(str(site.file)) + r":\d+:\d+: etcd_client\.retires: ", line), line
    done = site.ctl("backup", "--json")
    assert (done.status, done.err) == (2, f"{line}\n"), done
    assert not site.socket.exists()
    check_clean(site, 0)


def test_a_file_that_comes_later(site):
    """What the configuration names and what cannot be read yet is no reason never to start again; asked now, it is wrong.
    With an error in the text beside it nothing gets better by itself."""
    text = (site.dir / "master.key").read_text()
    missing = "master.key: No such file or directory"
    (site.dir / "master.key").unlink()
    status, line = start_badly(site)
    assert status == 1 and missing in line, line
    for done in (site.check_config(), site.ctl("list")):
        assert done.status == 2 and missing in done.err, done
    site.configure({"control": {"group": "no-such-group"}})
    done = site.run(site.programs.daemon, "-c", site.file)
    assert done.status == 2 and missing in done.err and "no-such-group" in done.err, done
    site.configure({"control": {"group": None}})
    site.write("master.key", text)
    assert site.start().ctl("list").status == 0


@pytest.mark.parametrize("name, words", [("master.key", "readable|mode"), ("s3.yml", "readable|mode")])
def test_secrets_that_others_can_read(site, name, words):
    (site.dir / name).chmod(0o644)
    status, line = start_badly(site)
    assert status == 2 and str(site.dir / name) in line and re.search(words, line), line
    done = site.ctl("list")  # which only reads: told, and done
    assert (done.status, done.out) == (0, "") and f"{site.file}:" in done.err, done
    assert "the file holds a secret but is open to all users (mode 0644); use chmod o-rwx" in done.err, done


def test_master_keys(site):
    """Read anew for each backup; what is wrong with one is told without showing it."""
    site.start()
    good, digits = site.master_key, os.urandom(31).hex()
    site.write("master.key", digits + "\n")
    done = site.ctl("backup", "--json")
    assert done.status == 1 and "master.key" in done.err and digits[:8] not in done.err, done
    Path(site.key_file).unlink()
    done = site.ctl("backup", "--json")
    assert done.status == 1 and "master.key" in done.err, done
    assert len(news(site)) == 2
    check_clean(site, 0)
    site.master_key = os.urandom(32)
    site.write("master.key", site.master_key.hex())
    assert site.ctl("backup").status == 0 and site.master_key != good
    check_clean(site, 1)


# ---- one job at a time ----


def test_two_backups_at_once(ceph, medium, proxied):
    """The second is told what is going on, with a status of its own; the first does not notice."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: proxy.held)
    for what in (["backup"], ["restore", "--use-etcdutl=false"]):
        done = site.ctl(*what, "--json")
        assert done.status == 4 and done.json["failure"]["kind"] == "busy", done
        assert re.search("a backup is running", done.err) and len(done.err.splitlines()) == 1, done
    running = site.ctl("status", "--json").json["running"]
    assert running["job"] == "backup" and running["total"] > running["done"] >= 0, running
    assert site.ctl("list").status == 0
    proxy.release()
    assert command.end().status == 0
    check_clean(site, 1)
    assert news(site) == []


@pytest.mark.parametrize("encrypted", (True, False), ids=("encrypted", "plain"))
def test_one_prefix_for_several_daemons(ceph, etcd, new_bucket, new_site, encrypted):
    """Whoever begins in the same second: no name is used twice, and nothing is written over another's."""
    bucket = new_bucket(ceph)
    changes = {"etcd_client": {"retries": 5}} | ({} if encrypted else {"encryption_key_path": None})
    sites = [new_site(etcd, bucket, https=False, changes=changes) for _ in range(3)]
    for site in sites[1:] if encrypted else []:
        site.master_key = sites[0].master_key
        site.write("master.key", site.master_key.hex())
    names, notes = [], []

    def collide():
        done = [command.end() for command in [Command(site, "backup", "--json", "-q") for site in sites]]
        assert [one.status for one in done] == [0] * len(sites), done
        names.extend(one.json["name"] for one in done)
        notes.extend(line for one in done for line in one.err.splitlines() if "NOT encrypted" not in line)
        return notes

    wait_for(collide, what="two that begin in one second")
    assert all("another backup began in the same second" in note for note in notes), notes
    assert len(set(names)) == len(names)
    assert sorted(check_clean(sites[0], len(names))) == sorted(names)


def test_names_in_one_second(site):
    """A backup that would have the name of the one before waits for the next second."""
    site.start()
    done = [site.ctl("backup", "--json").json for _ in range(3)]
    names = [backup["name"] for backup in done]
    assert names == sorted(set(names)) == check_clean(site, 3)
    assert [backup["attempts"] for backup in done] == [1] * 3


# ---- what it says ----


def test_the_journal(site):
    """Where systemd reads: priorities, and no time stamps."""
    path = site.dir / "daemon.log"
    path.touch()
    at = path.stat()
    site.programs = type(site.programs)()
    site.programs.environment["JOURNAL_STREAM"] = f"{at.st_dev}:{at.st_ino}"
    site.start()
    assert site.ctl("backup").status == 0
    site.write("s3.yml", servers.yaml({"access_key": "testkey", "secret_key": "wrong"}))
    assert site.ctl("backup").status == 1
    assert site.stop() == 0
    lines = path.read_text().splitlines()
    assert [line[:3] for line in lines] == ["<6>", "<6>", "<3>", "<6>"]
    assert [re.match(r"<.>(etcd-backupd|backup done|backup failed|SIGTERM)", line) is not None for line in lines] == [True] * 4


def test_levels(site):
    for level, count in (("error", 0), ("warning", 1), ("info", 3)):
        site.configure({"log_level": level, "encryption_key_path": None})
        site.start()
        assert site.ctl("status").status == 0
        assert site.stop() == 0
        assert len(log(site)) == count, log(site)
        site.log.unlink()


def test_what_ctl_prints(site):
    """Results on standard output and all else on standard error, as JSON when asked for, so that programs can read it."""
    site.start()
    assert site.ctl("list").err == ("no backups with the configured prefix; etcd-backupctl status shows where they are "
                                    "looked for\n")
    made = site.ctl("backup", "--json")
    assert made.err == "" and len(made.out.splitlines()) == 1, made
    name = json.loads(made.out)["name"]
    told = site.ctl("backup")
    assert told.status == 0 and told.out.startswith("backup-") and "encrypted" in told.out, told
    assert told.err == ""  # it was too quick for a line about its progress
    silent = site.ctl("-q", "backup")  # as a crontab has it: cron(8) mails whatever is printed
    assert (silent.status, silent.out, silent.err) == (0, "", "")
    listed = site.ctl("list", "--json")
    entries = [json.loads(line) for line in listed.out.splitlines()]
    assert listed.err == "" and [entry["state"] for entry in entries] == ["complete"] * 3
    assert sorted(entry["name"] for entry in entries) == check_dumps(site)
    restored = site.ctl("restore", "--use-etcdutl=false", "-t", made.json["instant"], "--json")
    assert restored.err == "" and json.loads(restored.out)["name"] == name
    status = site.ctl("status", "--json")
    assert status.err == "" and json.loads(status.out)["last_success"]["instant"] > made.json["instant"]
    site.stop()
    nobody = site.run(site.programs.ctl, "-s", site.socket, "status", "--json")
    assert nobody.status == 3 and json.loads(nobody.out)["failure"]["kind"] == "not-found", nobody


def test_progress_on_a_terminal(ceph, medium, proxied):
    """A bar with bytes and rate, drawn over itself, and gone at the end."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 3 else None)
    master, slave = os.openpty()
    process = subprocess.Popen([site.programs.ctl, "-s", str(site.start().socket), "backup"], stdin=slave, stderr=slave,
                               stdout=subprocess.PIPE, env=site.programs.environment)
    os.close(slave)
    os.set_blocking(master, False)
    seen = b""
    wait_for(lambda: proxy.held)
    size = re.escape(b"%.1f MiB" % (site.ctl("status", "--json").json["running"]["total"] / MIB))

    def shown(pattern):
        nonlocal seen
        try:
            seen += os.read(master, 65536)
        except BlockingIOError:
            pass
        return re.search(pattern, seen)

    wait_for(lambda: shown(rb"\r\x1b\[K(streaming|flushing) +\[[#.]{24}\] [0-9.]+ M?i?B of " + size + rb"  \d+ MiB/s"))
    proxy.release()
    wait_for(lambda: shown(rb"\[#+\] (" + size + rb") of \1  \d+ MiB/s[^\n]*\r\x1b\[K$"), what="the bar to be wiped")
    assert b"\n" not in seen
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and out.startswith(b"backup-")
    os.close(master)


# ---- what it holds on to ----


def waits_in(site):
    """The time-out of the epoll_wait that the daemon's loop is in, in ms; None while it runs."""
    text = Path(f"/proc/{site.process.pid}/syscall").read_text(encoding="ascii").split()
    if text[0] not in ("232", "281", "441"):  # epoll_wait, epoll_pwait, epoll_pwait2 of x86-64
        return None
    return int(text[4], 16) & 0xFFFFFFFF  # the register has more bits, which one libuv sets and another does not


def test_rest(site):
    """An idle daemon holds no connection, wakes up for nothing, and is small; so it is after a backup and a restore."""
    site.start()
    for command in (["status"], ["backup"], ["restore", "--use-etcdutl=false"], ["list"]):
        assert site.ctl(*command).status == 0
        wait_for(lambda: waits_in(site) == 0xFFFFFFFF, what="a wait without end")
    inodes = {f"socket:[{line.split()[9]}]" for line in Path(f"/proc/{site.process.pid}/net/tcp").read_text().splitlines()[1:]}
    assert not inodes & set(descriptors(site.process.pid).values())
    if not site.programs.sanitized:
        text = Path(f"/proc/{site.process.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024 <= 12 * MIB


def test_secrets_stay_inside(ceph, medium, proxied):
    """Keys are in locked memory; no core dump, no arguments, no log has them; and nobody but root may look."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    proc = Path(f"/proc/{site.process.pid}")
    if not site.programs.sanitized:  # the address sanitizer makes mlock do nothing
        assert int(re.search(r"VmLck:\s+(\d+) kB", (proc / "status").read_text())[1]) > 0
    assert re.search(r"Max core file size +0 +0 ", (proc / "limits").read_text())
    assert (proc / "mem").stat().st_uid == 0
    for text in ((proc / "cmdline").read_text(), (proc / "environ").read_text(), site.log.read_text()):
        for secret in (site.master_key.hex(), "testsecret"):
            assert secret not in text
    proxy.release()
    assert command.end().status == 0
