"""The daemon verifies by itself: what is due is looked at, what is bad is told everywhere, and nobody waits for it."""

import json
import re
import time
from urllib.parse import quote

import pytest

from faults import Command, check_clean, events, news
from s3_proxy import Answer, Late, error
from servers import wait_for
from test_schedule import REFUSED, TAKEN, dumps, instant_of, reload, scheduled, seconds_of, status
from test_service import Page
from test_verify import flip, stem

QUICK = {"retry": {"initial": "100ms", "max": "200ms"}}


def verifying(site, when, what="newest", drill=False, **more):
    """The site with such rounds; tries follow each other quickly."""
    site.configure({"schedule": QUICK, "verify": {"schedule": when, "what": what, "drill": drill}, **more})
    return site


def rounds(site, count=1):
    """Waits until so many have ended, and returns the status after that."""
    def ended():
        return len([text for text in events(site, "info", "error") if text.startswith("verification done: ")]) >= count
    wait_for(ended, what=f"{count} rounds")
    return wait_for(lambda: (lambda s: s["verify_ended"] and s)(status(site)))


def verified(site):
    """Of which backups a verdict was told, in order."""
    found = (re.match(r"verify: (backup-\S+Z\.dump)( is good|: )", text) for text in events(site, "info", "error"))
    return [match[1] for match in found if match]


def backups(site, count):
    """So many, by a daemon that does nothing else; newest first."""
    site.start()
    made = [site.ctl("backup", "--json", "-q").json for _ in range(count)]
    assert site.stop() == 0
    site.log.unlink()
    return [one["name"] for one in reversed(made)]


def damage(site, name):
    """The last bytes of what is in it, so that its size stays."""
    site.bucket.put(name, flip(-1 % len(site.bucket.get(name)))(site.bucket.get(name)))


@pytest.mark.parametrize("what", ["newest", "sample", "all"])
def test_what(site, what):
    """At once after the start, the newest first; and what was looked at `list` knows."""
    names = backups(site, 6)
    page = Page(site)
    verifying(site, {"interval": "1h"}, what=what).start()
    told = rounds(site)
    count = {"newest": 1, "sample": 4, "all": 6}[what]
    assert (told["verify_good"], told["verify_bad"], told["verify_left"], told["verify_text"]) == (count, 0, 0, ""), told
    seen = verified(site)
    assert seen[0] == names[0] and len(set(seen)) == len(seen) == count and set(seen) <= set(names)
    assert seen == names or what != "all"
    words = {"newest": "the newest", "sample": "the newest and three others", "all": "all"}[what]
    assert told["verify_schedule"] == f"every 1.0h: {words}" or told["verify_schedule"] == f"every 1h: {words}", told
    assert abs(seconds_of(told["next_verify"]) - seconds_of(told["verify_began"]) - 3600) <= 2, told
    entries = [json.loads(line) for line in site.ctl("list", "--json").out.splitlines()]
    assert {entry["name"] for entry in entries if entry["verified_good"]} == set(seen)
    values = page.values()
    assert values["verify_last_success_timestamp_seconds"] == seconds_of(told["proven"])
    assert values['verify_failures_total{result="bad"}'] == values['verify_failures_total{result="unknown"}'] == 0
    assert abs(values["next_verify_timestamp_seconds"] - seconds_of(told["next_verify"])) <= 1
    shown = site.ctl("status").out
    assert re.search(rf"^next verify   \S+Z, in \S+ .*\(every .*: {words}\)$", shown, re.M), shown
    assert re.search(rf"^last verified \S+Z, .* ago: {count} good, 0 bad$", shown, re.M), shown
    assert news(site) == []
    assert site.stop() == 0
    check_clean(site, 6)


def test_again_and_again(site):
    """One round after the other, each a drill: without etcdutl its contents are compared all the same."""
    name, = backups(site, 1)
    verifying(site, {"interval": "1s"}, drill=True).start()
    told = rounds(site, 3)
    assert told["verify_schedule"].endswith(": the newest, as a drill") and set(verified(site)) == {name}
    assert site.stop() == 0
    assert not list(site.dir.glob(".*"))


def test_cron(site):
    """A line is waited for, also by a daemon that is new."""
    backups(site, 1)
    verifying(site, {"cron": "* * * * *"}).start()
    told = wait_for(lambda: (lambda s: s["next_verify"] and s)(status(site)))
    assert told["verify_schedule"] == "cron * * * * *: the newest" and told["verify_began"] is None, told
    assert 0 < seconds_of(told["next_verify"]) - time.time() <= 60, told
    assert seconds_of(rounds(site)["verify_began"]) >= seconds_of(told["next_verify"])


def test_a_bad_one(site):
    """It is told once, to everybody: the log, the hook, status, Prometheus, /healthz; and no more when a newer one is there."""
    good, bad = backups(site, 2)[::-1]
    damage(site, bad)
    page = Page(site)
    hook = site.dir / "hook"
    verifying(site, {"interval": "1h"}, what="all", hooks={"on_failure": f"cat >>{hook}", "on_success": f"cat >>{hook}.ok"})
    site.start()
    told = rounds(site)
    assert (told["verify_good"], told["verify_bad"]) == (1, 1) and told["verify_text"].startswith(f"{bad}: "), told
    assert told["last_failure"]["job"] == "verify" and told["newest"] == instant_of(good), told
    assert told["bad_newest"] == f"the newest backup, {bad}, was read and is bad"
    event, = [json.loads(line) for line in wait_for(lambda: hook.exists() and hook.read_text()).splitlines()]
    assert (event["event"], event["kind"], event["text"]) == ("verify-failed", "integrity", told["verify_text"])
    assert page.ask("/healthz")[::2] == (503, told["bad_newest"] + "\n")
    values = page.values()
    assert values['verify_failures_total{result="bad"}'] == 1 and values["verify_last_success_timestamp_seconds"] > 0
    shown = site.ctl("status").out
    assert "1 good, 1 BAD" in shown and told["bad_newest"] in shown, shown
    # Another process finds the mark in the bucket, and its round is about what counts.
    assert site.stop() == 0
    site.log.rename(site.dir / "daemon.log.1")
    site.start()
    again = rounds(site)
    assert (again["verify_good"], again["verify_bad"]) == (1, 0) and again["bad_newest"] == told["bad_newest"], again
    assert page.ask("/healthz")[0] == 503
    assert site.ctl("backup").status == 0
    assert page.ask("/healthz")[::2] == (200, "ok\n") and status(site)["bad_newest"] == ""
    wait_for(lambda: "verify" not in site.ctl("status").out.partition("\nrunning")[2].partition("\n")[0])
    assert len(hook.read_text().splitlines()) == 1 and "verify" not in (site.dir / "hook.ok").read_text()


def test_a_store_that_is_away(ceph, etcd, proxied):
    """What cannot be looked at is no bad backup: told, tried again, and good in the end."""
    site, proxy = proxied(ceph, etcd)
    names = backups(site, 4)
    hook = site.dir / "hook"
    page = Page(site)
    proxy.rule = lambda request: Answer(403, error("AccessDenied")) if request.path.endswith(".dump") else None
    verifying(site, {"interval": "1h"}, what="all", hooks={"on_failure": f"cat >>{hook}"}).start()
    event = json.loads(wait_for(lambda: hook.exists() and hook.read_text()).splitlines()[0])
    assert (event["event"], event["kind"]) == ("verify-failed", "auth") and "4 backups could not be verified" in event["text"]
    wait_for(lambda: len([text for text in events(site, "warning") if "4 backups could not be verified" in text]) >= 3)
    told = status(site)
    assert told["verify_ended"] is None and (told["verify_bad"], told["verify_left"]) == (0, 4), told
    assert told["bad_newest"] == "" and page.ask("/healthz")[::2] == (200, "ok\n")
    assert page.values()['verify_failures_total{result="unknown"}'] >= 9
    assert page.values()['verify_failures_total{result="bad"}'] == page.values()["verify_last_success_timestamp_seconds"] == 0
    proxy.rule = lambda request: None
    told = rounds(site)
    assert (told["verify_good"], told["verify_bad"], told["verify_text"]) == (4, 0, ""), told
    assert len(hook.read_text().splitlines()) == 1 and set(names) == set(verified(site))


def held(ceph, etcd, proxied, count, **settings):
    """A daemon in the middle of a round, whose reading of the first dump is held up; and the hold."""
    site, proxy = proxied(ceph, etcd)
    names = backups(site, count)
    hold = Late()
    proxy.rule = lambda request: hold if request.method == "GET" and request.path.endswith(quote(names[0])) else None
    verifying(site, {"interval": "1h"}, what="all", **settings).start()
    wait_for(hold.has_come.is_set, what="the verification")
    return site, proxy, names, hold


def test_a_due_backup_waits_for_nothing(ceph, etcd, proxied):
    """It is made beside the one that is being read, and the rest is looked at after it."""
    site, proxy, names, hold = held(ceph, etcd, proxied, 3, schedule={"interval": "4s", **QUICK})
    before = status(site)["verify_good"]
    dumps(site, len(dumps(site, 3)) + 3)
    assert status(site)["verify_good"] == before and not set(names) & set(verified(site))
    proxy.rule = lambda request: None
    hold.goes_on.set()
    told = rounds(site)
    assert (told["verify_good"], told["verify_bad"]) == (3 + before, 0) and verified(site)[before:before + 3] == names, told


def test_somebody_does_not_wait(ceph, etcd, proxied):
    """Who wants the place gets it at once, and what was broken off is begun anew."""
    site, proxy, names, hold = held(ceph, etcd, proxied, 2)
    proxy.rule = lambda request: None
    done = Command(site, "restore", "--use-etcdutl=false", "--output", site.dir / "out.db", "-t", instant_of(names[1])).end()
    assert done.status == 0 and (site.dir / "out.db").exists(), done
    assert not hold.goes_on.is_set()
    told = rounds(site)
    assert (told["verify_good"], told["verify_bad"]) == (2, 0) and verified(site) == names, told
    assert site.stop() == 0
    hold.goes_on.set()


def test_one_that_goes_meanwhile(ceph, etcd, proxied):
    """Neither good nor bad."""
    site, proxy, names, hold = held(ceph, etcd, proxied, 3)
    site.bucket.delete(names[1], f"{stem({'name': names[1]})}.key")
    proxy.rule = lambda request: None
    hold.goes_on.set()
    told = rounds(site)
    assert (told["verify_good"], told["verify_bad"], told["verify_text"]) == (2, 0, ""), told
    assert verified(site) == [names[0], names[2]] and told["last_failure"] is None


def test_reload(site):
    """SIGHUP begins with rounds, changes them without another one, and ends them."""
    backups(site, 2)
    site.start()
    told = status(site)
    assert told["verify_schedule"] == "" and told["next_verify"] is None
    assert "verify" not in site.ctl("status").out
    verifying(site, {"interval": "1h"})
    reload(site, TAKEN)
    first = rounds(site)
    assert first["verify_good"] == 1
    verifying(site, {"interval": "2h"}, what="all")
    reload(site, TAKEN)
    told = wait_for(lambda: (lambda s: s["next_verify"] and s)(status(site)))
    assert told["verify_schedule"].endswith(": all") and told["verify_ended"] == first["verify_ended"], told
    assert abs(seconds_of(told["next_verify"]) - seconds_of(first["verify_began"]) - 7200) <= 2, told
    site.configure({"verify": {"schedule": {"cron": "0 3 * * *"}}})
    assert "verify.schedule.cron: and interval: give one of them" in reload(site, REFUSED)
    site.configure({"verify": None})
    reload(site, TAKEN)
    assert status(site)["verify_schedule"] == "" and len(verified(site)) == 1


def test_an_empty_bucket(site):
    """There is nothing to prove, and that is no failure."""
    verifying(site, {"interval": "1h"}, what="all").start()
    told = rounds(site)
    assert (told["verify_good"], told["verify_bad"], told["proven"]) == (0, 0, None) and news(site) == [], told


def test_while_backups_come(site):
    """Beside an ordinary schedule with prunes: each newest one is proven soon."""
    scheduled(site, {"interval": "1s"}, prune={"max_age": "1s", "min_count": 2},
              verify={"schedule": {"interval": "1s"}, "what": "newest"}).start()
    rounds(site, 5)
    assert site.stop() == 0
    assert len(set(verified(site))) >= 3
