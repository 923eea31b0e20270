"""A machine on which the new master key was forgotten: whoever asks it for a backup, by the socket or by a crontab."""

import signal
import time

import pytest

from faults import Command, events, has_connections, phase
from s3_proxy import Answer, Hold, error
from servers import wait_for
from test_faults_s3 import once
from test_rotate import Keys, counts, key_name, opens, put_keys, rotated, state
from test_rotate_cycle import rotated_away, wait_for_event
from test_schedule import dumps, instant_of, scheduled, seconds_of, status


def is_list(request):
    return "list-type" in request.query


def is_get_of_key(request):
    return request.call == "get" and request.path.endswith(".key")


def trouble(keys):
    """What a backup is refused with, when the mark was found at the first of all keys."""
    return rotated_away(keys, f" ({key_name(0)})")


@pytest.fixture
def machines(ceph, etcd, proxied, new_site):
    """machines(by_daemon): two with the same master key and one backup; the second, with a daemon or without, reaches the
    store through a proxy. Its daemon has had its look at the bucket."""
    def make(by_daemon):
        second, proxy = proxied(ceph, etcd)
        first = new_site(etcd, second.bucket)
        first.master_key = second.master_key
        first.write("master.key", first.master_key.hex())
        put_keys(first, 1)
        if by_daemon:
            second.start()
            wait_for(lambda: proxy.calls("get") and not has_connections(second.process.pid), what="the first look's end")
        return first, second, proxy
    return make


BOTH = pytest.mark.parametrize("by_daemon", [True, False], ids=["socket", "crontab"])
SNAPSHOTS = "etcd_disk_backend_snapshot_duration_seconds_count"


@BOTH
def test_no_backup_with_the_old_key(machines, etcd, by_daemon):
    """Refused before anything is asked of etcd or written, however often; with the new key all is well."""
    first, second, proxy = machines(by_daemon)
    keys = Keys(first)
    assert counts(rotated(first, keys)) == (1, 0, 0)
    before, snapshots = state(second.bucket), etcd.metrics()[SNAPSHOTS]
    done = second.ctl("backup", "-q")
    assert (done.status, done.err) == (1, f"etcd-backupctl: {trouble(keys)}\n"), done
    if by_daemon:
        assert f"backup failed: {trouble(keys)}" in events(second, "error")
        # And not only the one who has asked is told.
        wait_for(lambda: status(second)["key_trouble"] == rotated_away(keys), what="the trouble in the status")
    done = second.ctl("backup", "--json")
    assert done.status == 1 and done.json["failure"]["kind"] == "config", done
    assert state(second.bucket) == before and second.bucket.uploads() == []
    assert {request.method for request in proxy.requests} == {"GET"} and etcd.metrics()[SNAPSHOTS] == snapshots
    second.write("master.key", keys.next.hex())
    done = second.ctl("backup", "--json", "-q")
    assert done.status == 0 and done.err == "", done
    made = done.json["name"].replace(".dump", ".key")
    assert opens(keys.next, made, second.bucket.get(made))


def test_a_key_that_came_back(machines):
    """The rotation was taken back, and this machine had the right key all the time: the daemon does not go on refusing."""
    first, second, _ = machines(True)
    keys = Keys(first)
    rotated(first, keys)
    assert second.ctl("backup", "-q").status == 1
    wait_for(lambda: status(second)["key_trouble"] == rotated_away(keys), what="the trouble in the status")
    first.write("master.key", keys.previous.hex())
    keys.previous_file = keys.next_file
    assert counts(rotated(first, keys)) == (1, 0, 0)
    wait_for(lambda: second.ctl("backup", "-q").status == 0, what="a backup")
    assert status(second)["key_trouble"] == ""


@BOTH
@pytest.mark.parametrize("hidden", [is_list, is_get_of_key], ids=["list", "get"])
def test_an_access_key_that_only_writes(machines, by_daemon, hidden):
    """What cannot be found out of the keys hinders no backup, and is not worth a word; but what was stored is looked at, or
    it is told that it could not be."""
    _, second, proxy = machines(by_daemon)
    proxy.rule = lambda request: Answer(403, error("AccessDenied")) if hidden(request) else None
    done = second.ctl("backup", "-q")
    assert done.status == 0 and all("could not be looked at" in line for line in done.err.splitlines()), done
    assert [request for request in proxy.requests if hidden(request) and request.status == 403]
    assert len(second.bucket.dumps()) == 2
    if by_daemon:
        assert all("could not be looked at" in text for text in events(second, "error", "warning"))


def test_a_backup_that_was_made_all_the_same(machines):
    """The store did not let it look before, and does behind it: an error, since the old key is about to be destroyed. What
    it says is a way out."""
    first, second, proxy = machines(True)
    keys = Keys(first)
    rotated(first, keys)
    proxy.rule = once(is_list, Answer(403, error("AccessDenied")))
    done = second.ctl("backup", "--json", "-q")
    assert done.status == 0, done
    made = done.json["name"].replace(".dump", ".key")
    assert opens(keys.previous, made, second.bucket.get(made))
    told = "1 of 2 backups looked at were made with a master key that was rotated away; "
    wait_for_event(second, "error", told + trouble(keys))
    assert second.ctl("backup", "-q").status == 1
    assert counts(rotated(first, keys)) == (1, 1, 0) and opens(keys.next, made, second.bucket.get(made))


@BOTH
def test_a_key_that_was_only_swapped(machines, by_daemon):
    """Backups go on, as the scheduled ones do; one word of it, by the cycle or where there is none by the backup."""
    first, second, _ = machines(by_daemon)
    second.write("master.key", Keys(first).next.hex())
    done = second.ctl("backup", "-q")
    assert done.status == 0, done
    if by_daemon:
        assert done.err == "" and wait_for_event(second, "error", "1 of 2 backups looked at are opened by no ")
        assert len(events(second, "error", "warning")) == 1
    else:
        line, = done.err.splitlines()
        assert line.startswith(f"note: the master key is not that of the newest backup; {key_name(0)}: "), line


@BOTH
@pytest.mark.parametrize("held", [is_list, is_get_of_key], ids=["list", "get"])
def test_cancelled_while_it_looks(machines, by_daemon, held):
    _, second, proxy = machines(by_daemon)
    proxy.rule = lambda request: Hold() if held(request) else None
    command = Command(second, "backup", "-q")
    wait_for(lambda: proxy.held, what="the look")
    if by_daemon:
        phase(second, "checking the key")
    command.signal(signal.SIGINT)
    done = command.end()
    assert (done.status, done.err) == (1, "etcd-backupctl: cancelled\n"), done
    assert len(second.bucket.dumps()) == 1 and {request.method for request in proxy.requests} == {"GET"}


def test_no_look_that_nobody_needs(ceph, etcd, proxied):
    """One that is due comes right behind the cycle's look; and what is not encrypted needs no master key. Each asks, while it runs,
    whose the backup before it is."""
    site, proxy = proxied(ceph, etcd)
    scheduled(site, {"interval": "1h"}).start()
    made, = dumps(site, 1)
    wait_for(lambda: not site.ctl("status", "--json").json["running"])
    site.stop()
    assert [is_list(request) for request in proxy.requests].count(True) == 2
    wait_for(lambda: time.time() >= seconds_of(instant_of(made)) + 1)  # two of one second would share a name
    site.configure({"encryption_key_path": None})
    proxy.requests.clear()
    assert site.ctl("backup").status == 0
    assert [is_list(request) for request in proxy.requests].count(True) == 1
    assert not [request for request in proxy.requests if request.call == "get" and request.path.endswith(".key")]
