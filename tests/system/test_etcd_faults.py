"""Snapshots of real etcd that are disturbed in mid-stream, where the probe has stopped for sure.

100 MiB are far more than the window, so etcd has most of it still to send when the probe has stopped after 8 MiB.
"""

import signal
import time

import pytest

import servers
from etcd_probe import PROBE, Probe, fields
from servers import MIB, wait_for
from test_etcd import check_snapshot, tls_options

RELEASED = "etcd_disk_backend_snapshot_duration_seconds_count"


@pytest.fixture(scope="module", params=[("3.4", "none"), ("3.5", "mutual")], ids=lambda p: "-".join(p))
def big(scratch, ca, request):
    """An etcd with 100 MiB, which its tests may kill and stop."""
    version, tls = request.param
    with servers.Etcd(scratch / f"big{version}", ca, version=version, tls=tls) as etcd:
        etcd.fill(100 * MIB)
        yield etcd


def stopped(etcd, folder, endpoints=None, **options):
    """A probe that has consumed 8 MiB and has stopped."""
    probe = Probe(endpoints or etcd.endpoints, "snapshot", folder / "db", stop_at=8 * MIB, **tls_options(etcd), **options)
    probe.until("stopped")
    return probe


def test_etcd_that_is_killed(big, folder):
    with stopped(big, folder) as probe:
        big.kill("n1")
        probe.go_on()
        line = probe.until("snapshot")
        probe.end()
    big.restart()
    assert line.startswith("snapshot failed transient "), line
    assert f"127.0.0.1:{big.ports[0]}" in line and "the snapshot broke off after " in line, line
    assert probe.status == 1


def test_etcd_that_stops(big, folder):
    with stopped(big, folder, timeout=5000) as probe:
        big.signal("n1", signal.SIGSTOP)
        try:
            probe.go_on()
            line = probe.until("snapshot")
        finally:
            big.signal("n1", signal.SIGCONT)
    assert line.startswith(f"snapshot failed transient {big.endpoints[0]}: the snapshot broke off after "), line
    assert line.endswith(": etcd sent nothing for 5.0s"), line
    # The stream was reset: as soon as etcd runs again its transaction ends.
    wait_for(lambda: big.metrics()[RELEASED] >= 1)


@pytest.mark.installed
def test_a_reader_that_stalls_holds_etcd_and_not_memory(big, folder):
    before = big.metrics()[RELEASED]
    with stopped(big, folder, chunk=MIB, window=4 * MIB) as probe:
        time.sleep(0.5)  # whatever it would take in by itself, it has taken in
        assert big.metrics()[RELEASED] == before
        peak = probe.peak_memory()
        probe.go_on()
        probe.end()
        assert probe.status == 0, probe.seen
    check_snapshot(folder / "db")
    if b"__asan_init" not in PROBE.read_bytes():
        assert peak < 24 * MIB  # the program, four chunks of a window, and two


def test_what_is_cancelled_is_released(big, folder):
    before = big.metrics()[RELEASED]
    with Probe(big.endpoints, "snapshot", folder / "db", cancel_at=8 * MIB, **tls_options(big)) as probe:
        probe.end()
        assert probe.seen[-1] == f"cancelled {8 * MIB}" and probe.status == 0
    wait_for(lambda: big.metrics()[RELEASED] == before + 1)


def test_a_reader_that_dies_is_released(big, folder):
    before = big.metrics()[RELEASED]
    with stopped(big, folder) as probe:
        assert big.metrics()[RELEASED] == before
        probe.process.kill()
    wait_for(lambda: big.metrics()[RELEASED] == before + 1)


def test_many_snapshots_leave_nothing_behind(big, folder):
    """Attempts that fail and are made again, in one process."""
    with stopped(big, folder, timeout=5000, attempts=3) as probe:
        big.signal("n1", signal.SIGSTOP)
        try:
            probe.go_on()
            assert probe.until("snapshot").startswith("snapshot failed transient ")
        finally:
            big.signal("n1", signal.SIGCONT)
        probe.end()
        assert probe.status == 0, probe.seen
    check_snapshot(folder / "db")


def test_another_member_takes_over(new_etcd, folder):
    etcd = new_etcd(version="3.5", members=3)
    etcd.fill(40 * MIB)
    with stopped(etcd, folder, attempts=3) as probe:
        first = fields(probe.seen[0])["endpoint"]
        etcd.kill(f"n{etcd.endpoints.index(first) + 1}")
        probe.go_on()
        probe.end()
        assert probe.status == 0, probe.seen
    check_snapshot(folder / "db")
    ready = [fields(line)["endpoint"] for line in probe.seen if line.startswith("ready ")]
    assert len(ready) == 2 and ready[0] == first and ready[1] != first
