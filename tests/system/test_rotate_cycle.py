"""The master key and the schedule: a key that was swapped or rotated away is noticed at the next cycle, by everybody."""

import json
import os

import pytest

from faults import Command, check_dumps, events, has_connections, news
from s3_proxy import Answer, Hold, Late, error
from servers import wait_for
from test_rotate import Keys, counts, fingerprint, key_name, opens, put_keys, rotate, rotated
from test_schedule import TAKEN, dumps, reload, scheduled, status
from test_service import Page


@pytest.fixture
def watched(site):
    """A site with metrics, and its page."""
    return site, Page(site)


def gauge(page):
    return page.values().get("master_key_mismatch")


def wait_for_event(site, level, words):
    return wait_for(lambda: next((text for text in events(site, level) if words in text), None), what=words)


def rotated_away(keys, found=""):
    """What is said when a key that was rotated away is still configured; found: " (NAME)" of the key that has the mark."""
    return (f"encryption_key_path still holds {fingerprint(keys.previous)}, which was rotated away{found}: put the new key "
            "there; if backups were made with the old one since, run rotate-key -p with that before it is destroyed")


def test_a_key_that_was_swapped(watched):
    """Without a rotation: told in the log, the metrics, the health and the status, again at each cycle; backups go on,
    and nothing is pruned. The rotation ends it."""
    site, page = watched
    scheduled(site, {"interval": "1s"}, prune={"max_age": "1s", "min_count": 1}).start()
    dumps(site, 1)
    wait_for(lambda: gauge(page) == 0)
    assert page.ask("/healthz")[0] == 200 and status(site)["key_trouble"] == ""
    keys = Keys(site)
    wait_for_event(site, "error", f"not opened by {fingerprint(keys.next)}")
    wait_for(lambda: gauge(page) == 1)
    code, _, text = page.ask("/healthz")
    assert code == 503 and f"not opened by {fingerprint(keys.next)}" in text
    # Each cycle says it anew, in the words of what it has found: between two questions they may change.
    wait_for(lambda: status(site)["key_trouble"] == page.ask("/healthz")[2].strip() != "")
    wait_for(lambda: page.ask("/healthz")[2].strip() in site.ctl("status").out)
    # A backup with the key that is configured is better than none; the older ones go on telling.
    wait_for_event(site, "error", " backups looked at are opened by no configured key; ")
    newest = site.bucket.dumps()[-1].replace(".dump", ".key")
    assert opens(keys.next, newest, site.bucket.get(newest))
    # The first that failed may have come before that backup, and then says that not even the newest is opened.
    wait_for(lambda: any("prune failed: nothing is deleted: " in text and "are opened by no configured key" in text
                         for text in events(site, "error")))
    refused = site.ctl("prune", "-a", "1s", "-i", "1")
    assert refused.status in (4, 5) and ("nothing is deleted: " in refused.err or refused.status == 4), refused
    before = site.bucket.dumps()
    result = wait_for(lambda: (lambda done: done.status == 0 and done.json)(
        site.ctl("rotate-key", "-p", keys.previous_file, "--json")))
    assert result["rotated"] >= 1 and result["failed"] == 0
    wait_for(lambda: gauge(page) == 0)
    assert page.ask("/healthz")[0] == 200 and status(site)["key_trouble"] == ""
    wait_for(lambda: set(before) - set(site.bucket.dumps()), what="a prune")
    assert site.stop() == 0
    check_dumps(site)


def test_a_key_that_was_swapped_between_start_and_the_first_cycle(watched):
    """What was found out at the start says nothing about the backup that is due later."""
    site, page = watched
    assert site.ctl("backup").status == 0
    scheduled(site, {"interval": "20s"}).start()
    wait_for(lambda: gauge(page) == 0)
    before = site.bucket.dumps()
    keys = Keys(site)
    made = dumps(site, len(before) + 1)[len(before)].replace(".dump", ".key")
    told = [text for text in events(site, "error") if f"not opened by {fingerprint(keys.next)}" in text]
    assert told and opens(keys.next, made, site.bucket.get(made))


def test_a_key_that_was_swapped_before_the_start(watched):
    """Nobody has to wait for the next backup to hear of it."""
    site, page = watched
    put_keys(site, 2)
    Keys(site)
    site.start()
    wait_for(lambda: gauge(page) == 1)
    assert page.ask("/healthz")[0] == 503
    assert "the master key is not that of the newest backup; " in news(site)[0]


def test_the_new_key_and_the_previous_one_together(watched):
    """As the ceremony has it: no error, and a word that rotate-key is not done."""
    site, page = watched
    put_keys(site, 2)
    keys = Keys(site)
    site.configure({"previous_key_paths": [keys.previous_file]})
    scheduled(site, {"interval": "1h"}).start()
    dumps(site, 3)
    wait_for(lambda: gauge(page) == 0)
    assert page.ask("/healthz")[0] == 200
    assert wait_for_event(site, "warning", "rotate-key is not done") and events(site, "error") == []
    assert "rotate-key is not done" in status(site)["key_trouble"]
    newest = site.bucket.dumps()[-1].replace(".dump", ".key")
    assert opens(keys.next, newest, site.bucket.get(newest))


def test_two_machines_in_the_middle(new_site, etcd, bucket):
    """As the README has it: both keys lie beside the one in use, on each, before the first uses the new one. Whatever either
    makes then, both can read, at each moment."""
    machines = [new_site(etcd, bucket), new_site(etcd, bucket)]
    old, new = os.urandom(32), os.urandom(32)
    for site in machines:
        site.write("master.key", old.hex())
        site.configure({"previous_key_paths": [site.write("previous.key", old.hex()), site.write("next.key", new.hex())]})
        done = site.check_config()
        assert done.status == 0 and "previous_key_paths" not in done.err, done
        site.start()
    for mover in [None, *machines]:
        if mover:
            mover.write("in-use.key", (mover.dir / "next.key").read_text())
            (mover.dir / "in-use.key").rename(mover.key_file)
        for site in machines:
            assert site.ctl("backup").status == 0
        for site in machines:
            assert site.ctl("verify", "--all").status == 0
    result = machines[0].ctl("rotate-key", "-p", machines[0].dir / "previous.key", "--json").json
    assert counts(result) == (3, 3, 0)
    for site in machines:
        site.configure({"previous_key_paths": None})
        reload(site, TAKEN)
        assert site.ctl("verify", "--all").status == 0 and events(site, "error") == []


def test_a_list_without_trouble(site):
    """The key that somebody has put back opens all in the list: the status does not go on about it. One that prune says."""
    put_keys(site, 2)
    keys = Keys(site)
    site.start()
    for asks in (("list",), ("prune", "--dry-run")):
        wait_for(lambda: "are opened by no configured key" in status(site)["key_trouble"] or site.ctl("list"), what="trouble")
        site.write("master.key", keys.previous.hex() + "\n")
        assert site.ctl(*asks).status == 0
        wait_for(lambda: status(site)["key_trouble"] == "", what="no trouble any more")
        keys.swap()


def test_a_key_that_was_rotated_away(watched):
    """The new key was handed over, and the file still holds the old one: nobody's backup uses that."""
    site, page = watched
    put_keys(site, 2)
    keys = Keys(site, swap=False)
    site.start()
    failure, result = rotate(site, keys, "--new-key", keys.next_file, status=1)
    assert counts(result) == (2, 0, 0) and result["configured_key"] == fingerprint(keys.previous)
    assert "do NOT destroy" in failure["failure"]["text"]
    trouble = rotated_away(keys)
    assert status(site)["key_trouble"] == trouble
    done = site.ctl("backup")
    assert done.status == 1 and trouble in done.err, done
    assert site.stop() == 0
    # Another process knows it from the bucket.
    scheduled(site, {"interval": "1h"}).start()
    assert wait_for_event(site, "error", f"backup failed: {trouble}")
    wait_for(lambda: gauge(page) == 1)
    assert page.ask("/healthz")[::2] == (503, trouble + "\n") and len(site.bucket.dumps()) == 2
    assert page.values()['backup_failures_total{kind="config"}'] >= 1
    # The right file is taken at once, and nothing is left of it.
    keys.swap()
    assert page.ask("/healthz")[0] == 200 and status(site)["key_trouble"] == ""
    made = dumps(site, 3)[-1].replace(".dump", ".key")
    assert opens(keys.next, made, site.bucket.get(made)) and not opens(keys.previous, made, site.bucket.get(made))
    wait_for(lambda: gauge(page) == 0 and not status(site)["running"])
    assert counts(rotated(site, keys)) == (0, 3, 0)


def test_a_look_that_began_before_a_rotation(ceph, etcd, proxied):
    """What it has read is of before, and takes nothing back of what the rotation has found out."""
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 2)
    keys = Keys(site, swap=False)
    late = Late()

    def is_of_a_key(request):
        return request.call == "get" and request.path.endswith(".key")

    proxy.rule = lambda request: late if is_of_a_key(request) and not late.has_come.is_set() else None
    site.start()
    assert late.has_come.wait(60)
    rotate(site, keys, "--new-key", keys.next_file, status=1)
    proxy.rule = lambda request: Hold() if is_of_a_key(request) else None
    late.goes_on.set()
    wait_for(lambda: proxy.held, what="the next look")
    trouble = rotated_away(keys)
    assert status(site)["key_trouble"] == trouble
    done = site.ctl("backup")
    assert done.status == 1 and trouble in done.err, done
    proxy.release()
    wait_for(lambda: not has_connections(site.process.pid), what="the look's end")
    assert status(site)["key_trouble"] == trouble and len(site.bucket.dumps()) == 2


def test_a_bucket_that_was_emptied(watched):
    """After a key was rotated away: what is gone says nothing about it any more."""
    site, page = watched
    put_keys(site, 1)
    keys = Keys(site, swap=False)
    rotate(site, keys, "--new-key", keys.next_file, status=1)
    scheduled(site, {"interval": "1h"}).start()
    assert wait_for_event(site, "error", "which was rotated away")
    site.bucket.delete(*site.bucket.list())
    dumps(site, 1)
    wait_for(lambda: gauge(page) == 0)


def test_a_mark_that_a_stranger_made(watched):
    """Who can write to the bucket knows the fingerprint, but not the key: he cannot stop backups."""
    site, page = watched
    put_keys(site, 1)
    forged = f"{fingerprint(site.master_key)}/{'0' * 32}"
    site.bucket.client.put_object(Bucket=site.bucket.name, Key=key_name(1), Body=os.urandom(72),
                                  Metadata={"rotated-from": forged})
    site.bucket.put(key_name(1).replace(".key", ".dump"), b"x" * 1000)
    scheduled(site, {"interval": "1h"}).start()
    dumps(site, 3)
    assert wait_for_event(site, "error", "the master key is not that of the newest backup; ")
    assert not [text for text in events(site, "error") if "rotated away" in text]


def test_prune_beside_a_backup_of_another_key(site):
    """Which are the good ones? A dry run refuses as the run does; who knows may insist."""
    put_keys(site, 3)
    put_keys(site, 1, os.urandom(32), first=1)
    for way in ([], ["--dry-run"]):
        refused = site.ctl("prune", "-a", "1d", "-i", "1", *way)
        assert refused.status == 5 and "nothing is deleted: 1 of 3 backups looked at are opened by no configured key" in (
            refused.err), refused
    assert len(site.bucket.dumps()) == 3
    done = site.ctl("prune", "-a", "1d", "-i", "1", "--allow-other-keys")
    assert done.status == 0 and len(site.bucket.dumps()) == 1, done


def test_a_previous_key_that_is_gone(site):
    """Destroyed, and its path left in the configuration: a warning, and everything works."""
    assert site.ctl("backup").status == 0
    site.configure({"previous_key_paths": [str(site.dir / "gone.key")]})
    done = site.check_config()
    assert done.status == 0 and "previous_key_paths[0]: there is no such file" in done.err, done
    assert site.start().ctl("verify").status == 0
    assert len([text for text in events(site, "warning") if "gone.key" in text or "previous_key_paths[0]" in text]) == 1


def test_a_backup_that_is_due_waits(ceph, etcd, proxied):
    """For the end of a rotation, and then uses the new key."""
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 2)
    keys = Keys(site)
    scheduled(site, {"interval": "1h"})
    site.write("master.key", keys.previous.hex())
    proxy.rule = lambda request: Hold() if "list-type" in request.query else None
    site.start()  # its first look at the bucket is held, so nothing is due yet
    wait_for(lambda: proxy.held)
    site.write("master.key", keys.next.hex())
    proxy.rule = lambda request: Hold() if request.call == "put" and request.path.endswith(".key") else None
    command = Command(site, "rotate-key", "-p", keys.previous_file, "--json")
    wait_for(lambda: len(proxy.held) >= 2)
    assert (status(site)["running"] or {}).get("job") == "rotate-key"
    assert len(site.bucket.dumps()) == 2
    proxy.release()
    done = command.end()
    assert done.status == 0 and counts(done.json) == (2, 0, 0), done
    made = dumps(site, 3)[-1].replace(".dump", ".key")
    assert opens(keys.next, made, site.bucket.get(made))


def test_no_rights_to_read_keys(ceph, etcd, proxied):
    """A store that lets us write alone: the backup is made, and what could not be found out is said."""
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 1)
    proxy.rule = lambda request: (
        Answer(403, error("AccessDenied")) if request.call == "get" and request.path.endswith(".key") else None)
    scheduled(site, {"interval": "1h"}).start()
    dumps(site, 2)
    assert wait_for_event(site, "warning", "whether the master key is still that of the backups could not be found out: ")
    assert events(site, "error") == []


def test_reload_takes_previous_keys(site):
    """SIGHUP: the paths are taken, and refused when one of them is no key."""
    assert site.ctl("backup").status == 0
    keys = Keys(site)
    site.start()
    assert site.ctl("verify").status == 5
    site.configure({"previous_key_paths": [keys.previous_file]})
    reload(site, TAKEN)
    assert site.ctl("verify").status == 0
    listed, = [json.loads(line) for line in site.ctl("list", "--json").out.splitlines()]
    assert listed["key"] == fingerprint(keys.previous)
