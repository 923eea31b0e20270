"""However the programs are started: closed descriptors, a log that nobody reads, signals that are blocked or ignored."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from servers import descriptors, wait_for

ALL_SIGNALS = set(range(1, signal.NSIG)) - {32, 33, signal.SIGKILL, signal.SIGSTOP}


def close_standard():
    for fd in (0, 1, 2):
        os.close(fd)


def block_all():
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)


def ignore_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def start(site, before, **streams):
    """The daemon, with `before` run in its process before it is one."""
    site.log = site.dir / "daemon.log"
    site.log.touch()
    site.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", site.programs.daemon, "-c", str(site.file)],
                                    env=site.programs.environment, cwd=site.dir, start_new_session=True,
                                    preexec_fn=before, **streams)
    wait_for(lambda: site.process.poll() is not None or site._listening(), what="the daemon's socket")
    assert site.process.poll() is None
    return site


@pytest.fixture
def unpacked(site, folder):
    """unpacked(**options of Popen): a restore into a new data directory by a private daemon."""
    made = []

    def restore(**options):
        made.append(folder / f"data{len(made)}")
        done = site.ctl("restore", "--data-dir", made[-1], "-e", site.etcd.binary("etcdutl"), "-q", **options)
        assert (made[-1] / "member" / "snap" / "db").exists() == (done.status == 0)
        return done
    return restore


def test_descriptors_that_are_closed(site):
    start(site, close_standard)
    held = descriptors(site.process.pid)
    assert [held[Path(f"/proc/{site.process.pid}/fd/{fd}")] for fd in (0, 1, 2)] == ["/dev/null"] * 3
    assert site.ctl("backup").status == 0
    assert site.ctl("restore", "--use-etcdutl=false").status == 0
    assert site.stop() == 0


def test_a_client_without_descriptors(site, unpacked):
    """Nothing of a daemon's, a tool's or the loop's own gets their numbers, and the restore is a good one."""
    assert site.ctl("backup", preexec_fn=close_standard).status == 0
    assert unpacked(preexec_fn=close_standard).status == 0


def test_an_answer_that_nobody_can_hear(site, folder):
    """What is done without a stdout is done. What is no more than an answer has failed, and says so."""
    key = folder / "new.key"

    def run(program, *words):
        return site.run(program, *words, preexec_fn=lambda: os.close(1))

    site.etcd.ctl("put", "heard", "nothing")
    site.start()
    client, words = (site.programs.ctl, "-s", site.socket), "could not be written to stdout"
    for done in (["backup"], ["--json", "backup"], ["verify"], ["prune", "-a", "1h"], ["generate-key", key],
                 ["restore", "--use-etcdutl=false"], ["ls", "none"]):
        done = run(*client, *done)
        assert done.status == 0 and words not in done.err, done
    for asked in (["list"], ["status"], ["check"], ["check", "--policy"], ["prune", "-a", "1h", "--dry-run"], ["key-fingerprint", key],
                  ["ls"], ["--json", "ls"], ["get", "heard"], ["export"], ["diff", "--live"], ["--help"], ["-V"]):
        if asked == ["diff", "--live"]:
            site.etcd.ctl("put", "heard", "more")
        done = run(*client, *asked)
        assert done.status == (2 if "diff" in asked else 1) and words in done.err, (asked, done)
    for asked in ("-V", "--help"):
        done = run(site.programs.daemon, asked)
        assert done.status == 1 and words in done.err, done


def test_a_log_that_nobody_reads(site):
    """A full pipe for stderr: the daemon makes backups, answers, ends, and says afterwards what is missing."""
    ours, its = os.pipe()
    os.set_blocking(its, False)
    try:
        while os.write(its, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(its, True)
    site.configure({"log_level": "debug"})
    start(site, None, stderr=its, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    assert site.ctl("backup").status == 0
    assert site.ctl("status").status == 0
    site.process.terminate()
    assert site.process.wait(60) == 0
    os.close(its)
    os.close(ours)


def test_a_log_that_is_read_late(site):
    """What was queued comes when it is read, in order and whole."""
    ours, its = os.pipe()
    start(site, None, stderr=its, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    os.close(its)
    assert site.ctl("backup").status == 0
    site.process.terminate()
    assert site.process.wait(60) == 0
    with open(ours, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert len(lines) == 3 and " is ready: " in lines[0] and "backup done" in lines[1] and "SIGTERM: stopping" in lines[2]


@pytest.mark.parametrize("before", [block_all, ignore_children])
def test_signals_that_are_blocked_or_ignored(site, unpacked, before):
    """They are heard all the same, and a tool's end is seen: by a daemon, and by a private one with its client."""
    start(site, before, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{site.process.pid}/status").read_text().splitlines())
    assert int(status["SigBlk"], 16) == 0
    assert site.ctl("backup").status == 0
    assert unpacked().status == 0
    site.process.terminate()
    assert site.process.wait(60) == 0
    site.process = None
    assert unpacked(preexec_fn=before).status == 0


def test_children_get_clean_signals(new_site, etcd, bucket, folder):
    """A hook's command, whatever the daemon was started with, and although the daemon ignores some itself."""
    out = folder / "status"
    site = new_site(etcd, bucket, changes={"hooks": {"on_success": f"cat /proc/self/status >{out}.new; mv {out}.new {out}"}})
    start(site, block_all, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    assert site.ctl("backup").status == 0
    wait_for(out.exists)
    status = dict(line.split(":\t", 1) for line in out.read_text().splitlines())
    assert (int(status["SigBlk"], 16), int(status["SigIgn"], 16)) == (0, 0)
    assert site.stop() == 0
