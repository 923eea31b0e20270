"""The master key and the schedule: a key that was swapped or rotated away is noticed at the next cycle, by everybody."""

import json

import pytest

from faults import Command, check_dumps, events, news
from s3_proxy import Answer, Hold, error
from servers import wait_for
from test_rotate import Keys, counts, fingerprint, opens, put_keys, rotated
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


def test_a_key_that_was_swapped(watched):
    """Without a rotation: told in the log, the metrics, the health and the status, again at each cycle; backups go on,
    and nothing is pruned. The rotation ends it."""
    site, page = watched
    scheduled(site, {"interval": "1s"}, prune={"max_age": "1s", "min_count": 1}).start()
    dumps(site, 1)
    wait_for(lambda: gauge(page) == 0)
    assert page.ask("/healthz")[0] == 200 and status(site)["key_trouble"] == ""
    keys = Keys(site)
    told = wait_for_event(site, "error", "the master key is not that of the newest backup, ")
    assert f"not opened by {fingerprint(keys.next)}" in told
    wait_for(lambda: gauge(page) == 1)
    code, _, text = page.ask("/healthz")
    assert code == 503 and "the master key is not that of the " in text
    assert status(site)["key_trouble"] == text.strip() and text.strip() in site.ctl("status").out
    # A backup with the key that is configured is better than none; the oldest goes on telling.
    wait_for_event(site, "error", "the master key is not that of the oldest backup, ")
    newest = site.bucket.dumps()[-1].replace(".dump", ".key")
    assert opens(keys.next, newest, site.bucket.get(newest))
    assert wait_for_event(site, "warning", "nothing is pruned while the master key is in doubt")
    before = site.bucket.dumps()
    result = wait_for(lambda: (lambda done: done.status == 0 and done.json)(
        site.ctl("rotate-key", "-p", keys.previous_file, "--json")))
    assert result["rotated"] >= 1 and result["failed"] == 0
    wait_for(lambda: gauge(page) == 0)
    assert page.ask("/healthz")[0] == 200 and status(site)["key_trouble"] == ""
    wait_for(lambda: set(before) - set(site.bucket.dumps()), what="a prune")
    assert site.stop() == 0
    check_dumps(site)


def test_a_key_that_was_swapped_before_the_start(watched):
    """Nobody has to wait for the next backup to hear of it."""
    site, page = watched
    put_keys(site, 2)
    Keys(site)
    site.start()
    wait_for(lambda: gauge(page) == 1)
    assert page.ask("/healthz")[0] == 503
    assert "the master key is not that of the newest backup" in news(site)[0]


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
    newest = site.bucket.dumps()[-1].replace(".dump", ".key")
    assert opens(keys.next, newest, site.bucket.get(newest))


def test_a_key_that_was_rotated_away(watched):
    """The new key was handed over, and the file still holds the old one: no scheduled backup uses that."""
    site, page = watched
    put_keys(site, 2)
    keys = Keys(site, swap=False)
    site.start()
    result = rotated(site, keys, "--new-key", keys.next_file)
    assert counts(result) == (2, 0, 0) and result["configured_key"] == fingerprint(keys.previous)
    trouble = status(site)["key_trouble"]
    assert "encryption_key_path holds" in trouble and fingerprint(keys.next) in trouble
    assert site.stop() == 0
    # Another process knows it from the bucket.
    scheduled(site, {"interval": "1h"}).start()
    told = wait_for_event(site, "error", "backup failed: encryption_key_path still holds ")
    assert f"{fingerprint(keys.previous)}, which was rotated away" in told
    wait_for(lambda: gauge(page) == 1)
    assert page.ask("/healthz")[0] == 503 and len(site.bucket.dumps()) == 2
    assert page.values()['backup_failures_total{kind="config"}'] >= 1
    keys.swap()
    made = dumps(site, 3)[-1].replace(".dump", ".key")
    assert opens(keys.next, made, site.bucket.get(made)) and not opens(keys.previous, made, site.bucket.get(made))
    wait_for(lambda: gauge(page) == 0)


def test_the_conclusion_names_what_is_left_to_do(site):
    put_keys(site, 1)
    keys = Keys(site, swap=False)
    done = site.ctl("rotate-key", "-p", keys.previous_file, "--new-key", keys.next_file)
    assert done.status == 0 and f"BUT encryption_key_path does not hold the new key yet ({fingerprint(keys.previous)})" in (
        done.out), done


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
