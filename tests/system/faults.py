"""What the tests of whole programs under faults share: commands in the background, and what must be true after a fault."""

import os
import re
import signal
import subprocess
from pathlib import Path

import servers
from servers import descriptors, wait_for

# One event of the log: when, how grave, and what.
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) +(.*)")


class Command:
    """etcd-backupctl in the background, by the running daemon's socket or with a private daemon."""

    def __init__(self, site, *arguments):
        self.site = site
        way = ["-s", site.socket] if site.process else ["-c", site.file]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", site.programs.ctl, *map(str, way), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=site.programs.environment,
            cwd=site.dir, start_new_session=True)

    def signal(self, number):
        self.process.send_signal(number)

    def interrupt(self):
        """What a terminal does at ^C: the whole group gets it, a private daemon too."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, timeout=600):
        """What it left, after its end."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return servers.Finished(self.process, out, err)


class Scripted:
    """A scripted etcd (etcd_peer.Etcd) as servers.Site wants one."""

    version, tls, auth = "3.6", "none", "none"

    def __init__(self, peer):
        self.endpoints = [peer.endpoint]


def has_connections(pid):
    """Whether a process has TCP sockets: a daemon without metrics, while a job or a look at the bucket is going on."""
    links = set(descriptors(pid).values())
    rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return any(f"socket:[{row.split()[9]}]" in links for row in rows)


def log(site):
    """The daemon's events as (level, text), in order. Every line of its log is one, but for one that is being written."""
    text = site.log.read_text()
    lines = [LINE.fullmatch(line) for line in text[:text.rfind("\n") + 1].splitlines()]
    assert all(lines), text
    return [line.groups() for line in lines]


def events(site, *levels):
    """The texts of the events with one of these levels."""
    return [text for level, text in log(site) if level in levels]


def news(site):
    """The warnings and errors since the last call, or since the daemon was ready."""
    lines = log(site)
    seen = getattr(site, "seen", None) or next(n for n, (_, text) in enumerate(lines) if " is ready: " in text)
    site.seen = len(lines)
    return [text for level, text in lines[seen:] if level in ("error", "warning")]


def running(site):
    """What `status` says of the job, or None."""
    return site.ctl("status", "--json").json["running"]


def phase(site, *names):
    """Waits until the job is in one of these phases."""
    return wait_for(lambda: (running(site) or {}).get("phase") in names, what=f"phase {names}")


# A request to the store that is made again, which is not an attempt of the backup.
RETRY = re.compile(r"; trying again in [0-9.]+ s(?: \(attempt |, and for )")


def backup_fails(site, status, *words, done=None, warnings=()):
    """Asks a daemon for a backup, which must fail with this exit status and be told in one line.

    words: regular expressions that the line must match, on the person's terminal and in the daemon's log. warnings: those
    of the other lines (an upload that stays behind), in order, but for those of requests that are tried again. done: of a backup that has ended already.
    Returns the line.
    """
    done = done or site.ctl("backup", "--json", "-q")
    assert done.status == status, done
    failure = done.json["failure"]
    lines = [line for line in done.err.splitlines() if not RETRY.search(line)]
    assert lines[-1] == f"etcd-backupctl: {failure['text']}", done
    assert len(lines) == 1 + len(warnings), done
    logged = [line for line in news(site) if not RETRY.search(line)]
    assert logged[-1] == f"backup failed: {failure['text']}", logged
    assert len(logged) == 1 + len(warnings), logged
    for pattern, note, line in zip(warnings, lines, logged):
        assert note == f"note: {line.partition(': ')[2]}", (note, line)
        assert re.search(pattern, line), line
    for word in words:
        assert re.search(word, failure["text"]), f"{word!r} is not in: {failure['text']}"
    told = site.ctl("status", "--json").json["last_failure"]
    assert (told["job"], told["kind"], told["text"]) == ("backup", failure["kind"], failure["text"])
    return failure["text"]


def check_dumps(site):
    """That every visible dump is whole and can be decrypted. Returns their names."""
    dumps = site.bucket.dumps(site.settings["s3_client"]["objects_prefix"])
    for name in dumps:
        site.plaintext(name)
    return dumps


def check_clean(site, dumps):
    """That there are so many dumps, all good, and nothing else: no key alone, no unfinished upload. Returns the dumps."""
    found = check_dumps(site)
    assert len(found) == dumps, found
    expected = found + ([name.replace(".dump", ".key") for name in found] if site.settings["encryption_key_path"] else [])
    assert sorted(site.bucket.list()) == sorted(expected)
    assert site.bucket.uploads() == []
    return found


def check_lone_key(site):
    """After a commit that was sent and refused: no dump, and yet its key, which does no harm until the next prune."""
    name, = site.bucket.list()
    assert name.endswith(".key")
    assert site.bucket.uploads() == []


def check_left_behind(site):
    """After a kill: good dumps, and beside them nothing but what prune removes: lone keys, claims and unfinished uploads."""
    check_dumps(site)
    for name in site.bucket.list():
        assert name.endswith((".dump", ".key", ".claim")), name
    assert not list(site.dir.glob("*.db")) and not [path for path in site.dir.iterdir() if path.name.startswith(".")]
