"""The schedule on real servers: what is due happens, what was missed is made up once, what fails is tried again."""

import calendar
import json
import re
import signal
import time
from pathlib import Path

import pytest

from faults import Command, check_clean, check_dumps, events, has_connections, news
from s3_proxy import DROP, After, Answer, Hold, Late, error
from servers import state_of, wait_for
from test_prune import put
from test_service import Page

EARLIER = "2024-12-06T21:22:25Z"


def status(site):
    done = site.ctl("status", "--json")
    assert done.status == 0, done
    return done.json


def scheduled(site, schedule, **more):
    """The site with this schedule; tries follow each other quickly."""
    site.configure({"schedule": {"retry": {"initial": "100ms", "max": "200ms"}, **schedule}, **more})
    return site


def seconds_of(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def dumps(site, count):
    """Waits until there are so many backups."""
    return wait_for(lambda: (lambda found: len(found) >= count and found)(site.bucket.dumps()), what=f"{count} backups")


def instant_of(name):
    return re.search(r"\d{4}-.*Z", name)[0]


def reload(site, says):
    """SIGHUP, and waits for a line that matches `says`; returns it."""
    before = len(events(site, "info", "error"))
    site.process.send_signal(signal.SIGHUP)
    return wait_for(lambda: next((text for text in events(site, "info", "error")[before:] if re.search(says, text)), None),
                    what=says)


TAKEN, REFUSED = r"^the configuration was read anew: ", r"^the configuration stays as it was: "


# ---- due, missed, not due ----


def test_due_runs(site):
    """One after the other, never two in one second, and none is asked for by anybody."""
    scheduled(site, {"interval": "1s"}).start()
    dumps(site, 3)
    told = status(site)
    assert told["schedule"] == "every 1.0s" and told["failures_in_a_row"] == 0, told
    assert told["last_success"]["attempts"] == 1 and news(site) == []
    assert site.stop() == 0  # perhaps in the middle of the next
    found = check_dumps(site)
    assert len(set(found)) == len(found) >= 3
    assert all(text == "backup failed: the daemon is stopping: cancelled" for text in news(site))
    assert len([text for text in events(site, "info") if text.startswith("backup done: ")]) >= len(found)


def test_a_missed_one_is_made_up_once(site):
    """The newest is years old, and thousands were missed: one is made now, and the next when it is due."""
    site.bucket.put(f"backup-{EARLIER}.dump", b"not looked at".ljust(72))
    site.bucket.put(f"backup-{EARLIER}.key", b"not looked at".ljust(72))  # the size of a key, or it would not count
    before = int(time.time())
    scheduled(site, {"interval": "1h"}).start()
    made = dumps(site, 2)[-1]
    told = wait_for(lambda: (lambda s: s["last_success"] and not s["running"] and s)(status(site)))
    begun, due = (seconds_of(text) for text in (instant_of(made), told["next_backup"]))
    # The hour begins when the backup is due, a moment before it has its name.
    assert before + 3600 <= due <= begun + 3600 + 60, told
    assert told["newest"] == instant_of(made)
    assert len(site.bucket.dumps()) == 2


def test_a_fresh_one_counts(site):
    """State lives in the bucket alone: a daemon that starts anew goes on where another one was."""
    made = site.ctl("backup", "--json").json
    scheduled(site, {"interval": "1h"}).start()
    told = wait_for(lambda: (lambda s: s["next_backup"] and s)(status(site)))
    assert (told["newest"], told["last_success"], told["running"]) == (made["instant"], None, None)
    assert abs(seconds_of(told["next_backup"]) - seconds_of(made["instant"]) - 3600) <= 1
    shown = site.ctl("status").out
    assert re.search(r"^next backup   \S+Z, in \S+ \(every 1h\)$", shown, re.M), shown
    assert re.search(rf"^last backup   {made['instant']}, \S+ ago, by another process$", shown, re.M), shown
    check_clean(site, 1)


def test_an_empty_bucket(site):
    """There has never been a backup: the first is due at once, also by a cron line that is far away."""
    scheduled(site, {"cron": "0 0 29 2 *"}).start()
    dumps(site, 1)
    told = wait_for(lambda: (lambda s: s["last_success"] and s)(status(site)))
    assert told["schedule"] == "cron 0 0 29 2 *" and re.match(r"\d{4}-02-29T00:00:00Z$", told["next_backup"]), told
    check_clean(site, 1)


def test_cron_every_minute(site):
    site.ctl("backup")
    scheduled(site, {"cron": "* * * * *"}).start()
    told = wait_for(lambda: (lambda s: s["next_backup"] and s)(status(site)))
    assert told["schedule"] == "cron * * * * *"
    seconds = seconds_of(told["next_backup"]) - seconds_of(told["newest"])
    assert told["next_backup"].endswith(":00Z") and 0 < seconds <= 120, told
    assert "(cron * * * * *)" in site.ctl("status").out


def test_no_schedule(site):
    """The bucket is looked at, so that status knows; and that is all."""
    made = site.ctl("backup", "--json").json
    site.start()
    told = wait_for(lambda: (lambda s: s["newest"] and s)(status(site)))
    assert (told["newest"], told["next_backup"], told["schedule"]) == (made["instant"], None, "")
    assert "no schedule is configured" in site.ctl("status").out
    check_clean(site, 1)


def test_one_that_was_asked_for_counts(site):
    """The next is an interval after it."""
    site.bucket.put(f"backup-{EARLIER}.dump", b"")
    site.ctl("backup")
    scheduled(site, {"interval": "1h"}).start()
    before = wait_for(lambda: status(site)["next_backup"])
    # Somebody else's clock does not matter: only that it moves on with what was asked for.
    wait_for(lambda: site.ctl("backup").status == 0 and status(site)["next_backup"] > before)
    told = status(site)
    took = told["last_success"]["elapsed_ms"] / 1000  # an interval is counted from the end
    assert 3599 <= seconds_of(told["next_backup"]) - seconds_of(told["newest"]) <= 3602 + took, told


# ---- failures ----


def test_etcd_is_down(new_etcd, bucket, new_site):
    """It is tried again until it works; until then status and log say how often and why."""
    etcd = new_etcd(version="3.5")
    site = scheduled(new_site(etcd, bucket, changes={"etcd_client": {"retries": 0}}), {"interval": "1h"})
    etcd.kill("n1")
    site.start()
    told = wait_for(lambda: (lambda s: s["failures_in_a_row"] >= 3 and s)(status(site)), what="three failures")
    assert told["last_failure"]["job"] == "backup" and str(etcd.ports[0]) in told["last_failure"]["text"], told
    assert told["last_failure"]["kind"] == "transient" and told["last_success"] is None
    assert seconds_of(told["next_backup"]) - time.time() < 60
    shown = site.ctl("status").out
    assert re.search(r"^ +\d+ failed in a row$", shown, re.M) and "last failure  backup at " in shown, shown
    failures = news(site)
    assert len(failures) >= 3 and all(line.startswith("backup failed: ") for line in failures)
    etcd.restart()
    dumps(site, 1)
    told = wait_for(lambda: (lambda s: s["last_success"] and s)(status(site)))
    assert told["failures_in_a_row"] == 0 and seconds_of(told["next_backup"]) - time.time() > 3000, told
    assert site.stop() == 0
    check_clean(site, 1)


def test_s3_is_down_at_the_start(ceph, etcd, proxied):
    """What is due is not known before the bucket has been seen: it is looked at again until that works. Status says so."""
    site, proxy = proxied(ceph, etcd, lambda request: DROP)
    scheduled(site, {"interval": "1h"}).start()
    line, = wait_for(lambda: events(site, "warning"))
    assert re.match(r"the newest backup is not known yet: .*; tried again in 5\.0s$", line), line
    told = status(site)
    assert (told["newest"], told["next_backup"], told["running"]) == (None, None, None)
    cause = told["bucket_trouble"]
    assert f"the newest backup is not known yet: {cause}; tried again in " in line and cause, told
    shown = site.ctl("status").out
    assert "not known yet (every 1h): the bucket has not been seen" in shown
    assert re.search(rf"^ +could not be looked at: {re.escape(cause)}$", shown, re.M), shown
    proxy.rule = lambda request: None
    dumps(site, 1)
    told = wait_for(lambda: (lambda s: s["last_success"] and s)(status(site)))
    assert told["bucket_trouble"] == "" and "could not be looked at" not in site.ctl("status").out
    assert site.stop() == 0
    check_clean(site, 1)


def test_s3_stays_down_at_the_start(ceph, etcd, proxied):
    """After three looks in vain a backup is tried all the same, and its failure is told as any: to the log, the hook, status
    and Prometheus. A network that comes up a moment after the daemon is none. Who looks for the cause makes nothing worse."""
    site, proxy = proxied(ceph, etcd, lambda request: Answer(403, error("AccessDenied")))
    page = Page(site)
    hook = site.dir / "hook"
    site.configure({"schedule": {"interval": "1h", "retry": {"initial": "10m", "max": "10m"}},
                    "hooks": {"on_failure": f"cat >>{hook}"}})
    site.start()
    told = wait_for(lambda: status(site)["bucket_trouble"] and status(site))
    for _ in range(5):
        assert site.ctl("list").status == site.ctl("verify").status == 1
    told = wait_for(lambda: (lambda s: s["failures_in_a_row"] and s)(status(site)), what="a failure")
    failure = told["last_failure"]
    assert (failure["job"], failure["kind"]) == ("backup", "auth") and told["newest"] is None, told
    assert told["next_backup"] and told["bucket_trouble"], told
    event = json.loads(wait_for(lambda: hook.exists() and hook.read_text()).splitlines()[0])
    assert (event["event"], event["kind"], event["text"]) == ("backup-failed", "auth", failure["text"])
    for _ in range(5):
        assert site.ctl("list").status == site.ctl("verify").status == 1
    # Of a wait only what is left of it is known: the same instant, but for how its seconds are rounded.
    assert abs(seconds_of(status(site)["next_backup"]) - seconds_of(told["next_backup"])) <= 1
    assert len(hook.read_text().splitlines()) == 1
    assert page.values()['backup_failures_total{kind="auth"}'] == status(site)["failures_in_a_row"] == 1
    lines = [line for line in news(site) if not line.startswith("verify ")]
    assert [line.partition(":")[0] for line in lines] == ["the newest backup is not known yet"] * 2 + [
        "the newest backup is not known", "backup failed"], lines
    refused = site.ctl("prune")
    assert refused.status == 1 and "the last backup failed" in refused.err, refused
    proxy.rule = lambda request: None
    assert site.ctl("backup").status == 0
    told = wait_for(lambda: (lambda s: not s["bucket_trouble"] and s)(status(site)))
    assert told["failures_in_a_row"] == 0 and page.values()['backups_total{result="failure"}'] == 1, told
    assert abs(seconds_of(told["next_backup"]) - seconds_of(told["newest"]) - 3600) <= 60, told
    assert wait_for(lambda: site.ctl("prune").status == 0)
    assert site.stop() == 0
    check_clean(site, 1)


def test_an_access_key_that_may_not_list(ceph, etcd, proxied):
    """It is good for backups: the daemon makes them from its start, again after a restart, and is healthy."""
    site, proxy = proxied(ceph, etcd, lambda request: Answer(403, error("AccessDenied")) if "list-type" in request.query
                          else None)
    page = Page(site, health={"max_age": "1h"})
    scheduled(site, {"interval": "1h"})
    for count in 1, 2:
        site.start()
        made = dumps(site, count)[-1]
        told = wait_for(lambda: (lambda s: s["last_success"] and not s["running"] and s)(status(site)))
        assert told["newest"] == instant_of(made) and "AccessDenied" in told["bucket_trouble"], told
        assert abs(seconds_of(told["next_backup"]) - seconds_of(told["newest"]) - 3600) <= 60, told
        assert page.ask("/healthz")[::2] == (200, "ok\n")
        assert page.values()["backup_last_success_timestamp_seconds"] == seconds_of(told["newest"])
        assert "bucket_backups" not in page.values()
        assert site.stop() == 0
    proxy.rule = lambda request: None
    check_clean(site, 2)


def test_a_backup_by_hand_owes_a_prune(site):
    """Each restarts the interval, so that none is ever due: what is too old goes all the same."""
    site.ctl("backup")
    scheduled(site, {"interval": "1h"}, prune={"max_age": "1s", "min_count": 1}).start()
    wait_for(lambda: status(site)["next_backup"])
    assert site.ctl("backup").status == 0
    wait_for(lambda: [text for text in events(site, "info") if text.startswith("prune done: ")], what="the prune")
    assert site.stop() == 0
    check_dumps(site)  # the first may be too young to go: test_prune.py looks at what does


def test_a_backup_of_the_future(site):
    """A clock was wrong once: what it made does not count as new, neither for the schedule nor for the alarms."""
    page = Page(site, health={"max_age": "1h"})
    put(site, "backup-2099-01-01T00:00:00Z")
    site.start()
    wait_for(lambda: page.ask("/healthz")[::2] == (503, "there is no backup\n"))
    assert page.values()["backup_last_success_timestamp_seconds"] == 0 and status(site)["newest"] is None
    assert [line for line in news(site) if "newest" in line] == [
        "backup-2099-01-01T00:00:00Z.dump does not count as the newest backup: its time has not come yet; the clock is wrong, "
        "or was"]
    site.stop()
    scheduled(site, {"interval": "1h"}).start()
    made, _ = dumps(site, 2)
    told = wait_for(lambda: (lambda s: s["last_success"] and s["next_backup"] and s)(status(site)))
    assert told["newest"] == instant_of(made)
    assert abs(seconds_of(told["next_backup"]) - seconds_of(told["newest"]) - 3600) <= 60, told
    site.stop()
    site.start()  # and it does not hide the one before it
    wait_for(lambda: status(site)["newest"] == instant_of(made))
    assert len(site.bucket.dumps()) == 2


def test_a_look_that_began_before_a_backup(ceph, etcd, proxied):
    """The listing of the start does not have it, and yet it counts: none is due before its hour is over."""
    site, proxy = proxied(ceph, etcd)
    late = Late()
    proxy.rule = lambda request: late if "list-type" in request.query and not late.has_come.is_set() else None
    scheduled(site, {"interval": "1h"}).start()
    assert late.has_come.wait(60)
    made = site.ctl("backup", "--json").json
    late.goes_on.set()
    told = wait_for(lambda: (lambda s: s["next_backup"] and s)(status(site)))
    assert (told["newest"], told["running"]) == (made["instant"], None)
    assert abs(seconds_of(told["next_backup"]) - seconds_of(made["instant"]) - 3600) <= 1
    wait_for(lambda: not has_connections(site.process.pid), what="the next look's end")
    assert status(site)["newest"] == made["instant"] and len(site.bucket.dumps()) == 1


def test_s3_is_down_later(ceph, etcd, proxied):
    site, proxy = proxied(ceph, etcd)
    scheduled(site, {"interval": "1s"}).start()
    dumps(site, 1)
    proxy.rule = lambda request: Answer(403, error("AccessDenied")) if request.method in ("POST", "PUT") else None
    told = wait_for(lambda: (lambda s: s["failures_in_a_row"] >= 2 and s)(status(site)), what="two failures")
    assert told["last_failure"]["kind"] == "auth", told
    count = len(site.bucket.dumps())
    proxy.rule = lambda request: None
    dumps(site, count + 1)
    wait_for(lambda: status(site)["failures_in_a_row"] == 0)
    assert site.stop() == 0
    assert len(check_dumps(site)) > count


# ---- beside other jobs ----


def test_due_while_another_job_reads(ceph, etcd, proxied):
    """A verify that hangs keeps no backup away, nor a new configuration for which it keeps the clients; the prune waits for its
    end, and no second verify begins. Both are told."""
    site, proxy = proxied(ceph, etcd, lambda request: Hold() if request.call == "get" and request.path.endswith(".dump")
                          else None)
    page = Page(site)
    site.ctl("backup")
    scheduled(site, {"interval": "2s"}, prune={"max_age": "1s", "min_count": 1}).start()
    verify = wait_for(lambda: begun(site, proxy, "verify", "--json"))  # of the newest: no prune has taken that before
    count = len(site.bucket.dumps())
    dumps(site, count + 2)
    site.configure({"log_level": "debug"})
    site.process.send_signal(signal.SIGHUP)
    dumps(site, count + 4)
    told = status(site)
    assert "verify" in ((told["running"] or {}).get("job"), (told["beside"] or {}).get("job")), told
    assert page.values()['job_running{task="verify"}'] == 1 and told["failures_in_a_row"] == 0
    assert not [text for text in events(site, "info") if text.startswith("prune")]
    refused = wait_for(lambda: (lambda done: "a verify" in done.err and done)(site.ctl("verify")))
    assert refused.status == 4, refused
    proxy.release()
    assert verify.end().status == 0
    wait_for(lambda: [text for text in events(site, "info") if text.startswith("prune done: ")], what="the prune")
    assert site.stop() == 0
    assert [text for text in events(site, "error") if "busy" in text or "running" in text] == []
    check_dumps(site)


def test_a_command_that_meets_the_timer(ceph, etcd, proxied):
    """What nobody asked for is waited for, in the order of arrival, with one note; status says who waits; ^C waits no more. What
    runs then is somebody's, and who meets that is refused."""
    site, proxy = proxied(ceph, etcd, lambda request: Hold() if request.call in ("remove", "delete")
                          and not request.path.endswith(".claim") else None)
    for _ in range(2):
        assert site.ctl("backup").status == 0
    scheduled(site, {"interval": "1h"}, prune={"max_age": "1s", "min_count": 1}).start()
    command = Command(site, "backup", "--json")
    assert command.end().status == 0
    wait_for(lambda: proxy.held, what="the prune that follows")
    waiting = []
    for words in (["verify", "--all"], ["prune", "--dry-run"], ["verify", "-q"], ["verify"]):
        waiting.append(Command(site, *words))
        wait_for(lambda: len(status(site)["waiting"]) == len(waiting) or waiting[-1].process.poll() is not None)
    told = status(site)
    assert told["running"]["job"] == "prune" and told["waiting"] == ["verify", "prune", "verify", "verify"], told
    assert re.search(r"^waiting +verify\n +prune\n +verify\n +verify$", site.ctl("status").out, re.M)
    waiting.pop().interrupt()
    wait_for(lambda: status(site)["waiting"] == ["verify", "prune", "verify"])
    proxy.release()
    quiet = waiting.pop()
    for command in waiting:
        done = command.end()
        notes = [line for line in done.err.splitlines() if "waiting" in line]
        assert done.status == 0 and notes == ["note: waiting for the prune that is running"], done
    done = quiet.end()
    assert (done.status, done.out, done.err) == (0, "", ""), done
    assert site.stop() == 0
    ends = [text.split(" ")[0] + text.split(" ")[1] for text in events(site, "info") if re.match("(verify|prune) (done|would)", text)]
    assert ends == ["prunedone:", "verifydone:", "prunewould", "verifydone:"], ends


def begun(site, proxy, *words):
    """A job that has its place and is held: a backup may be at work already."""
    command = Command(site, *words)
    wait_for(lambda: proxy.held or command.process.poll() is not None)
    if proxy.held:
        return command
    command.end()
    return None


def test_what_is_running(ceph, medium, proxied):
    """For a person: what, since when, and how far it is."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: proxy.held)
    wait_for(lambda: re.search(r"^running +backup, for [\d.]+\w+, (streaming|flushing), [1-9][\d.]* MiB of [12]\d\.\d MiB$",
                               site.ctl("status").out, re.M), what="the first part")
    proxy.release()
    wait_for(lambda: re.search("^running +nothing$", site.ctl("status").out, re.M))
    assert site.stop() == 0
    check_clean(site, 1)


def test_the_end_during_a_backup(ceph, medium, proxied):
    """SIGTERM: nothing is left in the bucket."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: proxy.held)
    assert status(site)["running"]["job"] == "backup"
    site.process.terminate()
    wait_for(lambda: "SIGTERM: stopping, the running job is taken back" in events(site, "info"))
    proxy.release()
    assert site.process.wait(60) == 0
    check_clean(site, 0)


# ---- another configuration ----


def test_another_interval(site):
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: status(site)["last_success"])
    site.configure({"schedule": {"interval": "1s"}})
    reload(site, TAKEN)
    dumps(site, 3)
    assert status(site)["schedule"] == "every 1.0s"
    site.configure({"schedule": {"interval": None, "retry": None, "cron": "0 0 1 1 *"}, })
    reload(site, TAKEN)
    told = wait_for(lambda: (lambda s: s["next_backup"] and s)(status(site)))
    assert told["schedule"] == "cron 0 0 1 1 *" and told["next_backup"].endswith("-01-01T00:00:00Z"), told
    site.configure({"schedule": None})
    reload(site, TAKEN)
    told = status(site)
    assert (told["schedule"], told["next_backup"]) == ("", None)
    assert site.stop() == 0
    assert news(site) == []


@pytest.mark.parametrize("mistake, words", [
    ({"schedule": {"interval": "sometimes"}}, r":\d+:\d+: schedule\.interval: "),
    ({"encryption_key_path": "/nowhere/master.key"}, "/nowhere/master.key"),
    ({"log_levle": "info"}, "log_levle"),
])
def test_a_bad_configuration_is_refused(site, mistake, words):
    """One line says why, and the old one stays in force, its secrets too."""
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: status(site)["last_success"])
    good = site.settings
    site.configure(mistake)
    line = reload(site, REFUSED)
    assert re.search(words, line), line
    assert news(site) == [line]
    told = status(site)
    assert told["schedule"] == "every 1h" and told["next_backup"], told
    assert site.ctl("backup").status == 0
    site.settings = good
    check_clean(site, 2)
    site.configure({"schedule": {"interval": "2h"}})
    reload(site, TAKEN)
    assert wait_for(lambda: status(site)["next_backup"]) and status(site)["schedule"] == "every 2h"


def test_what_takes_a_restart(site):
    """A socket or a port that changes is told, and stays as it is."""
    site.start()
    site.configure({"control": {"socket": site.dir / "other.sock"}, "metrics": {"listen": "127.0.0.1:1"}})
    reload(site, TAKEN)
    assert sorted(news(site)) == ["control.socket and control.group change with a restart alone",
                                  "metrics.listen changes with a restart alone"]
    assert status(site)["pid"] == site.process.pid


def test_what_deserves_a_warning(site):
    """Not only at the start: a key that is left out of the new configuration makes all backups plain."""
    site.start()
    site.configure({"encryption_key_path": None})
    reload(site, TAKEN)
    line, = wait_for(lambda: news(site))
    assert re.search("encryption_key_path.* backups are NOT encrypted", line), line


def test_a_reload_to_another_bucket(site, new_bucket):
    """Of the old one nothing is told any more."""
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: status(site)["last_success"] and not status(site)["running"])
    other = new_bucket()
    site.configure({"s3_client": {"bucket": other.name}})
    site.process.send_signal(signal.SIGHUP)
    told = wait_for(lambda: (lambda told: f"/{other.name}/" in told["bucket"] and told)(status(site)))
    assert not told["last_success"] or told["last_success"]["name"] in other.dumps(), told
    wait_for(other.dumps)  # it is empty: a backup is due at once
    names = [json.loads(line)["name"] for line in site.ctl("list", "--json").out.splitlines()]
    assert set(names) <= set(other.dumps()), names
    assert status(site)["last_success"]["name"] in other.dumps()
    assert site.stop() == 0


def test_a_reload_waits_for_the_job(ceph, medium, proxied, new_bucket):
    """The running job ends as it began; the next has the new configuration: here another prefix."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: proxy.held)
    site.configure({"s3_client": {"objects_prefix": "other"}})
    site.process.send_signal(signal.SIGHUP)
    assert site.ctl("status").status == 0
    assert not [text for text in events(site, "info") if re.search(TAKEN, text)]
    proxy.release()
    done = command.end()
    assert done.status == 0 and done.json["name"].startswith("backup-"), done
    wait_for(lambda: [text for text in events(site, "info") if re.search(TAKEN, text)])
    assert site.ctl("backup", "--json", "-q").json["name"].startswith("other-")
    assert sorted(name.partition("-")[0] for name in site.bucket.dumps()) == ["backup", "other"]


def test_a_reload_during_a_lookup(ceph, etcd, proxied):
    """What was found under the old prefix says nothing about the new one: it is looked at again."""
    site, proxy = proxied(ceph, etcd)
    site.ctl("backup")
    proxy.rule = lambda request: Hold() if request.call == "get" and "backup-" in str(request.query) else None
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: proxy.held)
    site.configure({"s3_client": {"objects_prefix": "other"}})
    site.process.send_signal(signal.SIGHUP)
    assert status(site)["newest"] is None
    proxy.release()
    wait_for(lambda: site.bucket.dumps("other-"), what="a backup that the new prefix lacks")


def test_a_reload_while_a_backup_is_always_due(ceph, etcd, proxied):
    """A store so slow that the next backup is due at each one's end: the new configuration still has its turn."""
    def slowly(*answer):
        time.sleep(1.1)
        return answer
    site, _ = proxied(ceph, etcd, lambda request: After(slowly) if request.path.endswith(".key") else None)
    scheduled(site, {"interval": "1s"}).start()
    dumps(site, 2)
    site.configure({"schedule": {"interval": "1h"}})
    reload(site, TAKEN)
    wait_for(lambda: status(site)["schedule"] == "every 1h")
    told = wait_for(lambda: (lambda s: s["next_backup"] and not s["running"] and s)(status(site)))
    assert abs(seconds_of(told["next_backup"]) - seconds_of(told["newest"]) - 3600) <= 60, told
    assert site.stop() == 0
    check_dumps(site)


def test_certificates_and_keys_that_are_renewed(site, ca):
    """Other contents under the same names: each job has what is there, before a SIGHUP and after it."""
    auth, s3_auth = site.settings["etcd_client"]["auth"], site.settings["s3_client"]["auth"]
    good = {name: Path(path).read_text() for name, path in {
        "etcd-ca": auth["ca_cert"], "client.crt": auth["client_cert"], "client.key": auth["client_key"],
        "s3-ca": s3_auth["ca_cert"], "credentials": s3_auth["key_auth"]}.items()}
    at = {name: site.write(f"renewed-{name}", text) for name, text in good.items()}
    site.configure({"etcd_client": {"retries": 0, "auth": {"ca_cert": at["etcd-ca"], "client_cert": at["client.crt"],
                                                           "client_key": at["client.key"]}},
                    "s3_client": {"auth": {"ca_cert": at["s3-ca"], "key_auth": at["credentials"]}}})
    assert site.start().ctl("backup").status == 0
    alien = {name: Path(path).read_text() for name, path in {
        "etcd-ca": ca("other-ca"), "s3-ca": ca("other-ca"), "client.crt": ca("client-alien"),
        "client.key": ca.key("client-alien")}.items()} | {
        "credentials": '{access_key: "testkey", secret_key: "renewed"}'}
    for names in (["etcd-ca"], ["client.crt", "client.key"], ["s3-ca"], ["credentials"]):
        for name in names:
            site.write(f"renewed-{name}", alien[name])
        reload(site, TAKEN)
        assert site.ctl("backup").status == 1, names
        for name in names:
            site.write(f"renewed-{name}", good[name])
        assert site.ctl("backup").status == 0, names
    site.write("renewed-client.key", good["client.key"][:100])  # being written just now
    assert "client_key" in reload(site, REFUSED)
    site.write("renewed-client.key", good["client.key"])
    reload(site, TAKEN)
    assert site.ctl("backup").status == 0
    check_clean(site, 6)


# ---- rest ----


def switches(site):
    text = Path(f"/proc/{site.process.pid}/status").read_text()
    return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))


def test_idle_between(site):
    """A daemon that waits for its next backup does not run at all."""
    scheduled(site, {"interval": "1h"}).start()
    wait_for(lambda: status(site)["last_success"])
    settled = wait_for(lambda: settle(site), what="the daemon to rest")
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 1)
    assert switches(site) == settled


def settle(site):
    """The number of context switches when it has not changed for a moment, in which nobody was kept from running."""
    before = switches(site)
    sleeps = state_of(site.process.pid) == "S"
    time.sleep(0.3)
    return before if switches(site) == before and sleeps and state_of(site.process.pid) == "S" else None
