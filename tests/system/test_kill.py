"""Programs that are killed, terminated or interrupted at every step of a backup.

The moments are requests to the store: when one arrives at the proxy in between, the signal is sent, and only then the
request goes on, or never does. Whatever the moment is, every visible dump is whole, and has its key.
"""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from faults import Command, check_clean, check_dumps, check_left_behind, events, news, phase
from s3_proxy import DROP, Hold
from servers import gone, wait_for

pytestmark = pytest.mark.installed

# The requests of a backup of three parts, more or less in order.
MOMENTS = {
    "create": lambda request: request.call == "create",
    "part 1": lambda request: request.number == 1,
    "part 2": lambda request: request.number == 2,
    "part 3": lambda request: request.number == 3,
    "key": lambda request: request.call == "put" and request.path.endswith(".key"),
    "complete": lambda request: request.call == "complete",
    "head": lambda request: request.call == "head" and request.path.endswith(".dump") and request.nth == 1,
}
EVERY_MOMENT = pytest.mark.parametrize("moment, told", [(m, told) for m in MOMENTS for told in (True, False)],
                                       ids=lambda value: {True: "told", False: "lost"}.get(value, value))


class Signal:
    """A rule that sends a signal when the moment has come, and lets the request go on when that has had its effect. told:
    whether the store gets to know of that request."""

    def __init__(self, moment, pid, number, told, has_effect):
        self.matches, self.pid, self.number, self.told = MOMENTS[moment], pid, number, told
        self.has_effect, self.request = has_effect, None

    def __call__(self, request):
        if self.request or not self.matches(request):
            return None
        self.request = request
        os.kill(self.pid, self.number)
        wait_for(self.has_effect, what="the signal's effect")
        return None if self.told else DROP

    def wait(self):
        """Until the signal is sent, and the store has answered if it was told."""
        wait_for(lambda: self.request and (not self.told or self.request.status), what="the moment")


EVERY_MOMENT_AND_COMPRESSED = pytest.mark.parametrize("moment, told, compression", [
    (m, told, compression) for m in MOMENTS for told in (True, False) for compression in ("none", "zstd")
    if told or compression == "none"], ids=lambda value: {True: "told", False: "lost"}.get(value, value))


@EVERY_MOMENT_AND_COMPRESSED
def test_daemon_killed(ceph, medium, proxied, moment, told, compression):
    """-9. The next start replaces the socket, and the next backup is as good as any."""
    site, proxy = proxied(ceph, medium)
    site.configure({"compression": compression})
    pid = site.start().process.pid
    proxy.rule = Signal(moment, pid, signal.SIGKILL, told, lambda: gone(pid))
    done = Command(site, "backup", "--json", "-q").end()
    assert done.status == 1 and done.err == "etcd-backupctl: the daemon ended before it had answered\n", done
    assert done.json["failure"]["kind"] == "transient"
    proxy.rule.wait()
    site.kill()
    committed = moment == "head" or (moment == "complete" and told)
    assert len(check_dumps(site)) == committed
    check_left_behind(site)
    assert site.socket.exists()
    killed = int(time.time())
    wait_for(lambda: int(time.time()) > killed)  # what was begun in that second has left its name behind
    done = site.start().ctl("backup", "--json", "-q")
    assert done.status == 0, done
    assert len(check_dumps(site)) == committed + 1
    site.stop()
    assert not site.socket.exists()


@EVERY_MOMENT
def test_daemon_terminated(ceph, medium, proxied, moment, told):
    """All is taken back, unless the commit is on its way: then it is waited for. Who asked hears which it was."""
    site, proxy = proxied(ceph, medium)
    pid = site.start().process.pid
    stopping = "SIGTERM: stopping, the running job is taken back"
    proxy.rule = Signal(moment, pid, signal.SIGTERM, told, lambda: stopping in events(site, "info"))
    done = Command(site, "backup", "--json", "-q").end()
    assert site.process.wait(60) == 0
    committed = moment in ("complete", "head")
    name = check_clean(site, committed)
    assert stopping in events(site, "info")
    if committed:
        assert (done.status, done.err, done.json["name"]) == (0, "", name[0]), done
        assert news(site) == [] and name[0] in events(site, "info")[-1]
    else:
        assert (done.status, done.err) == (1, "etcd-backupctl: the daemon is stopping: cancelled\n"), done
        assert done.json["failure"]["kind"] == "cancelled"
        assert news(site) == ["backup failed: the daemon is stopping: cancelled"]
    check_left_behind(site)
    assert not site.socket.exists()
    site.stop()


@EVERY_MOMENT
def test_ctl_interrupted(ceph, medium, proxied, moment, told):
    """^C cancels the backup, unless the commit is on its way; the daemon goes on. The moment lasts until it is cancelled."""
    then = None if told else DROP

    def rule(request):
        if MOMENTS[moment](request) and request.nth == (moment == "head"):
            return then if moment == "create" else Hold(then)
        # An abort waits 5 s for the answer to a create: behind that moment it is the parts that are held.
        return Hold() if request.call == "abort" or (moment == "create" and request.number) else None

    site, proxy = proxied(ceph, medium, rule)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: proxy.calls("create") if moment == "create" else proxy.held, what="the moment")
    command.signal(signal.SIGINT)
    committed = moment in ("complete", "head")
    if not committed:
        phase(site, "aborting")
    proxy.release()
    done = command.end()
    assert (done.status == 0) == committed, done
    if not committed:
        assert (done.status, done.err) == (1, "etcd-backupctl: cancelled\n"), done
        assert news(site) == ["backup failed: cancelled"]
    check_clean(site, committed)
    status = site.ctl("status", "--json").json
    assert status["running"] is None and bool(status["last_success"]) == committed


def test_who_does_not_wait_for_the_end_is_not_waited_for(ceph, medium, proxied):
    """Beside the one whose backup ends there are others: they lose their connections at once, and he may leave, too."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.call == "abort" or request.number == 2 else None)
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(site.socket))
        site.process.terminate()
        assert other.recv(1) == b""
    assert not site.socket.exists() and site.process.poll() is None and command.process.poll() is None
    command.signal(signal.SIGKILL)
    assert command.end().status == -signal.SIGKILL
    proxy.release()
    assert site.process.wait(60) == 0
    check_clean(site, 0)


def test_private_daemon_terminated(ceph, medium, proxied):
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(site, "backup", "-q")
    wait_for(lambda: proxy.held)
    private, = children(command.process.pid)
    os.kill(private, signal.SIGTERM)
    done = command.end()
    assert (done.status, done.err) == (1, "etcd-backupctl: the daemon is stopping: cancelled\n"), done
    assert gone(private)
    check_clean(site, 0)


def test_daemon_told_twice_to_stop(ceph, medium, proxied):
    """The second signal ends it at once, and what it has not taken back stays for the next prune."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.call == "abort" or request.number == 2 else None)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: proxy.held)
    site.process.terminate()
    wait_for(lambda: any(request.call == "abort" for request in proxy.held), what="the abort")
    assert site.process.poll() is None and site.ctl("status").status == 3
    site.process.terminate()
    assert site.process.wait(60) == 1
    assert command.end().status == 1
    assert news(site) == ["SIGTERM again: leaving at once"]
    check_left_behind(site)
    assert check_dumps(site) == []
    held = list(proxy.held)
    proxy.release()
    site.stop()
    # What was held goes on now; nothing of it may run into the end of the bucket.
    wait_for(lambda: all(request.status for request in held))


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


WAYS_TO_LEAVE = {
    "killed": lambda command: command.signal(signal.SIGKILL),
    "terminated": lambda command: command.signal(signal.SIGTERM),
    "^C": Command.interrupt,
}


@pytest.mark.parametrize("way", WAYS_TO_LEAVE)
def test_private_daemon_leaves_with_its_client(ceph, medium, proxied, way):
    """And takes back what nobody waits for any more."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(site, "backup", "-q")
    wait_for(lambda: proxy.held)
    private, = children(command.process.pid)
    WAYS_TO_LEAVE[way](command)
    done = command.end()
    if way == "killed":
        assert done.status == -signal.SIGKILL
    else:
        assert (done.status, done.err) == (1, "etcd-backupctl: cancelled\n"), done
    wait_for(lambda: gone(private), what="the end of the private daemon")
    check_clean(site, 0)
    check_left_behind(site)


def test_nobody_needs_to_watch_a_backup(ceph, medium, proxied):
    """It is as good when its client was killed, or went away impatiently after a second ^C."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    command.signal(signal.SIGKILL)
    assert command.end().status == -signal.SIGKILL
    assert site.ctl("status", "--json").json["running"]["job"] == "backup"
    proxy.release()
    wait_for(lambda: site.ctl("status", "--json").json["last_success"])
    check_clean(site, 1)


def test_ctl_interrupted_twice(ceph, medium, proxied):
    """It does not wait for the daemon, which takes the upload back all the same."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.call == "abort" or request.number == 2 else None)
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    command.signal(signal.SIGINT)
    phase(site, "aborting")
    assert command.process.poll() is None
    command.signal(signal.SIGINT)
    done = command.end()
    assert (done.status, done.err) == (
        1, "etcd-backupctl: left without waiting for the daemon to end the job\n"), done
    proxy.release()
    wait_for(lambda: site.ctl("status", "--json").json["running"] is None)
    check_clean(site, 0)


# ---- restores ----


def is_piece(request):
    """Not the first of a dump."""
    return request.call == "get" and request.path.endswith(".dump") and request.nth == 1


def files(folder):
    """All but what belongs to the control socket."""
    return sorted(path for path in folder.rglob("*") if not path.name.startswith("control."))


@pytest.mark.parametrize("who, number, status, words", [
    ("daemon", signal.SIGKILL, 1, "the daemon ended before it had answered"),
    ("daemon", signal.SIGTERM, 1, "cancelled; nothing was changed on disk"),
    ("ctl", signal.SIGKILL, -signal.SIGKILL, None),
    ("ctl", signal.SIGINT, 1, "cancelled; nothing was changed on disk"),
])
def test_restore_that_ends_early(ceph, medium, proxied, folder, who, number, status, words):
    """The file is as it was, and there is no other."""
    site, proxy = proxied(ceph, medium)
    assert site.start().ctl("backup", "-q").status == 0
    output = folder / "out.db"
    output.write_text("as before")
    before = files(folder)
    proxy.rule = lambda request: Hold() if is_piece(request) else None
    command = Command(site, "restore", "--use-etcdutl=false", "--output", output, "-q")
    wait_for(lambda: proxy.held)
    os.kill(site.process.pid if who == "daemon" else command.process.pid, number)
    done = command.end()
    assert done.status == status, done
    note, *rest = done.err.splitlines()
    assert note.startswith(f"note: {output} is there already (9 B, of ") and note.endswith("when the new one is whole"), done
    assert rest == [] if words is None else len(rest) == 1 and rest[0].endswith(words), done
    if who == "daemon":
        site.process.wait(60)
    else:
        wait_for(lambda: site.ctl("status", "--json").json["running"] is None)
    assert output.read_text() == "as before"
    assert files(folder) == before
    check_clean(site, 1)
    if number == signal.SIGKILL and who == "daemon":
        site.kill()
