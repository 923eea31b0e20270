"""Daemons on several hosts that share one schedule: one backup in each interval, whoever of them fails, hangs, is cut off or dies."""

import calendar
import os
import re
import signal
import time

import pytest

import s3_proxy
from s3_proxy import DROP, Answer, Hold, error
from servers import Programs, wait_for


@pytest.fixture
def shared(new_site, etcd, new_bucket, ceph):
    """shared(n, interval=..., takeover=...): n sites of one bucket, each with a proxy of its own before the store."""
    proxies, bucket = [], new_bucket(ceph)

    def make(n, **schedule):
        sites = []
        for _ in range(n):
            proxies.append(s3_proxy.Proxy(ceph, lambda request: None))
            sites.append(new_site(etcd, bucket, https=False, changes={
                "s3_client": {"endpoint": proxies[-1].url}, "etcd_client": {"retries": 0},
                "schedule": {"shared": True, "retry": {"initial": "100ms", "max": "1s"}, **schedule}}))
            sites[-1].configure({"encryption_key_path": sites[0].key_file})
            sites[-1].proxy = proxies[-1]
        return sites

    yield make
    for proxy in proxies:
        proxy.__exit__()


def instants(site):
    return sorted(calendar.timegm(time.strptime(re.search(r"\d{4}-.*Z", name)[0], "%Y-%m-%dT%H:%M:%SZ"))
                  for name in site.bucket.dumps())


def wait_for_more(site, n):
    """Waits for n backups more than there are; returns the instants of all."""
    there = len(instants(site))
    return wait_for(lambda: (lambda found: len(found) >= there + n and found)(instants(site)), 120, what=f"{n} more backups")


def hurry(site, **variables):
    """Of hurry.c."""
    site.programs = Programs()
    site.programs.environment |= {"LD_PRELOAD": str(site.programs.build / "tests/system/hurry.so"), **variables}
    site.programs.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"


def gaps(found):
    return [b - a for a, b in zip(found, found[1:])]


def is_upload(request):
    return request.method in ("PUT", "POST") and ".dump" in request.path


def claims(site):
    return [name for name in site.bucket.list("") if name.endswith(".claim")]


@pytest.mark.parametrize("schedule", [{"interval": "6s"}, {"interval": "6s", "jitter": "2s"}], ids=["even", "jitter"])
def test_three_keep_one_schedule(shared, schedule):
    """They come at the same moment, again and again: one of them makes it, and the others say so and know of it."""
    sites = shared(3, takeover="20s", **schedule)
    for site in sites:
        site.start()
    found = wait_for(lambda: (lambda there: len(there) >= 5 and there)(instants(sites[0])), 180, what="five backups")
    assert min(gaps(found)) >= 4, found
    wait_for(lambda: len({site.ctl("--json", "status").json["newest"] for site in sites}) == 1, 60, what="one view")
    assert any("another daemon has made the backup that is due" in site.log.read_text() for site in sites)
    assert ", shared)" in sites[0].ctl("status").out
    for site in sites:
        assert site.stop() == 0
        assert " error " not in site.log.read_text()
    assert not claims(sites[0])


def held(shared, takeover):
    """Two: the first is at the backup, its upload is held, and the second waits for it."""
    first, second = shared(2, interval="1h", takeover=takeover)
    first.proxy.rule = lambda request: Hold() if is_upload(request) else None
    first.start()
    wait_for(lambda: any(is_upload(request) for request in first.proxy.requests), what="the upload")
    second.start()
    wait_for(lambda: "another daemon is at the backup that is due" in second.log.read_text(), what="the one who waits")
    return first, second


def test_who_is_slow_is_waited_for_and_who_is_dead_is_not(shared):
    first, second = held(shared, "3s")

    def renewals():
        return sum(request.method == "PUT" and request.path.endswith(".claim") for request in first.proxy.requests)

    before = renewals()
    wait_for(lambda: renewals() >= before + 14, what="twice the time after which it would be taken for dead")
    assert not instants(second)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    first.process = None
    wait_for(lambda: len(instants(second)) == 1, what="the backup of the other")
    wait_for(lambda: len(claims(second)) == 2, what="its claims to go, and those of the dead one to stay")


def test_who_is_stopped_gives_its_turn_back(shared):
    first, second = held(shared, "2m")
    first.process.send_signal(signal.SIGTERM)
    first.proxy.rule = lambda request: None
    first.proxy.release()
    wait_for(lambda: len(instants(second)) == 1, 60, what="the backup of the other")
    wait_for(lambda: not claims(second), what="the end of the claims")


def test_a_turn_without_a_job_is_given_back_too(shared):
    """SIGTERM comes between the claim and the backup, while the bucket is looked at."""
    site, = shared(1, interval="1h", takeover="2m")
    claimed, listed = [], []

    def rule(request):
        if request.method == "PUT" and request.path.endswith(".claim"):
            claimed.append(request)
        elif claimed and request.method == "GET" and "list-type" in request.query:
            listed.append(request)
            return Hold() if len(listed) == 2 else None  # the first is the turn's own
        return None

    site.proxy.rule = rule
    site.start()
    wait_for(lambda: site.proxy.held, what="the look")
    assert len(claims(site)) == 1 and not any(is_upload(request) for request in site.proxy.requests)
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(60) == 0
    assert not claims(site)


def test_who_cannot_give_its_turn_back_leaves_all_the_same(shared):
    site, = shared(1, interval="1h", takeover="2m")
    hurry(site, HURRY_MS="10000")

    def rule(request):
        if request.method == "DELETE" or "list-type" in request.query and any(
                r.method == "PUT" and r.path.endswith(".claim") for r in site.proxy.requests):
            return Hold()
        return None

    site.proxy.rule = rule
    site.start()
    wait_for(lambda: site.proxy.held, what="the look")
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(60) == 0
    site.proxy.release()
    assert "the turn could not be given back in time" in site.log.read_text()


def test_who_finds_it_made_serves_itself(shared):
    """The one who waited counts what the other made."""
    first, second = held(shared, "2m")
    first.proxy.rule = lambda request: None
    first.proxy.release()
    wait_for(lambda: "another daemon has made the backup that is due" in second.log.read_text(), 60, what="its words")
    assert len(instants(second)) == 1
    newest = {site.ctl("--json", "status").json["newest"] for site in (first, second)}
    assert len(newest) == 1, newest


def test_what_looks_like_a_backup_serves_nobody(shared):
    """Whoever can write to the bucket can put a dump and a key of the right sizes: one that no key opens keeps none of us waiting."""
    site, = shared(1, interval="1h", takeover="2m")
    planted = "backup-" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    site.bucket.put(f"{planted}.dump", os.urandom((1 << 20) + 40 + 32 + 40))
    site.bucket.put(f"{planted}.key", os.urandom(72))
    site.start()
    wait_for(lambda: [name for name in site.bucket.dumps() if name != f"{planted}.dump"], 60, what="a backup of its own")


def test_a_store_that_lets_nobody_write_over_a_claim(shared):
    """Its answer shows that it is there: a backup that takes longer than `takeover` is made all the same."""
    site, = shared(1, interval="1h", takeover="3s")
    refused = []

    def rule(request):
        if request.method == "PUT" and request.path.endswith(".claim") and "If-None-Match" not in request.headers:
            refused.append(request)
            return Answer(403, error("AccessDenied"))
        return Hold() if is_upload(request) and not site.proxy.released else None

    site.proxy.rule = rule
    site.start()
    wait_for(lambda: len(refused) >= 12, what="twice the time after which it would be taken for lost")
    site.proxy.release()
    wait_for(lambda: len(instants(site)) == 1, what="the backup")
    assert "another daemon's turn" not in site.log.read_text()


def test_clocks_that_differ(shared):
    """The first backup's maker is behind, the next's ahead: its interval is shorter by so much, once, and from then on they keep one
    schedule, as the store's clock has it."""
    sites = shared(3, interval="14s", takeover="20s")
    for site, ahead in zip(sites, (-5, 0, 5)):
        hurry(site, HURRY_SHIFT=str(ahead))
        began = time.time()
        site.start()
        first = calendar.timegm(time.strptime(site.log.read_text()[:19], "%Y-%m-%dT%H:%M:%S"))
        assert began - 1 <= first - ahead <= time.time()  # it has a clock of its own
        wait_for(lambda: instants(sites[0]), what="the first backup")
    wait_for(lambda: len(instants(sites[0])) >= 4, 120, what="three more")
    stored = sorted(entry["LastModified"].timestamp() for entry in
                    sites[0].bucket.client.list_objects_v2(Bucket=sites[0].bucket.name)["Contents"] if entry["Key"].endswith(".dump"))
    assert gaps(stored)[0] >= 14 - 10 - 2 and min(gaps(stored)[1:]) >= 10, stored  # a clock of its own would make it 4, or 9
    wait_for(lambda: len({site.ctl("--json", "status").json["newest"] for site in sites}) == 1, 60, what="one view")
    for site in sites:
        assert site.stop() == 0
        assert " error " not in site.log.read_text()


def test_each_cut_off_in_turn(shared):
    """From the store, or with an etcd that is away: the others go on, and nothing comes twice when it is back."""
    sites = shared(3, interval="8s", takeover="9s")
    endpoints = sites[2].settings["etcd_client"]["endpoints"]
    sites[2].configure({"etcd_client": {"endpoints": ["127.0.0.1:1"], "connection_timeout": "1s"}})
    sites[2].start()
    wait_for(lambda: "backup failed" in sites[2].log.read_text(), what="the one without etcd to have tried")
    for site in sites[:2]:
        site.start()
    wait_for_more(sites[0], 1)
    sites[2].configure({"etcd_client": {"endpoints": endpoints}})
    sites[2].process.send_signal(signal.SIGHUP)
    for site in sites:
        site.proxy.rule = lambda request: DROP
        wait_for_more(site, 1)
        site.proxy.rule = lambda request: None
    found = wait_for_more(sites[0], 2)
    # One that is cut off while its commit is on its way cannot know what came of it: then there may be two.
    assert sum(gap < 3 for gap in gaps(found)) <= 1, found
