"""A soak: backups one after the other with faults mixed in, for minutes, while memory, descriptors and threads stay flat.

sh tests/bench/soak.sh [--minutes N]. A schedule of one second against a real etcd and a real S3 store behind a proxy that breaks
connections, says SlowDown and cuts answers now and then; etcd is stopped and goes on now and then; old backups are pruned
after each cycle. What is printed every ten seconds is the daemon's own; the end says whether it grew, and that every
backup that is visible is whole (verify --all). The exit status is 1 if it did, or if one is not.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import s3_proxy  # noqa: E402
import servers  # noqa: E402


def look(pid):
    """Resident memory in KiB, descriptors and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return (int(re.search(r"VmRSS:\s+(\d+)", status)[1]), len(os.listdir(f"/proc/{pid}/fd")),
            int(re.search(r"Threads:\s+(\d+)", status)[1]))


def counts(site):
    """How many backups were made and how many failed, by the log."""
    log = site.log.read_text()
    return log.count("backup done: "), log.count("backup failed: ")


def soak(minutes, folder):
    dice = random.Random(1)
    ca = servers.Ca(folder / "ca")
    with servers.Ceph(folder / "ceph", ca) as ceph, servers.Etcd(folder / "etcd", ca, version="3.5", tls="mutual") as etcd, \
            s3_proxy.Proxy(ceph, (faults := Faults(dice))) as proxy:
        bucket = servers.Bucket(ceph, "soak")
        site = servers.Site(folder / "site", servers.Programs(), etcd, bucket, https=False, changes={
            "etcd_client": {"retries": 1, "request_timeout": "2s"},
            "s3_client": {"endpoint": proxy.url, "request_timeout": "2s"},
            "schedule": {"interval": "1s", "retry": {"initial": "100ms", "max": "1s"}},
            "prune": {"max_age": "20s", "min_count": 5}})
        etcd.fill(3 << 20)
        site.start()
        seen, end = [], time.monotonic() + 60 * minutes
        try:
            while time.monotonic() < end:
                proxy.requests.clear()
                fault(dice, faults, etcd)
                seen.append(look(site.process.pid))
                if len(seen) % 5 == 0:
                    made, failed = counts(site)
                    print(f"{seen[-1][0] / 1024:6.1f} MiB  {seen[-1][1]:3} descriptors  {seen[-1][2]:2} threads  "
                          f"{made} backups made, {failed} failed", flush=True)
            faults.left = 0
            return judge(site, seen)
        finally:
            site.stop()


class Faults:
    """A rule of the proxy: so many of the next requests go wrong in one way."""

    def __init__(self, dice):
        self.dice, self.kind, self.left = dice, None, 0

    def __call__(self, request):
        if self.left <= 0 or self.dice.random() < 0.5:
            return None
        self.left -= 1
        return {"slow down": s3_proxy.Answer(503, s3_proxy.error("SlowDown")), "reset": s3_proxy.DROP,
                "lost": s3_proxy.LOSE, "cut": s3_proxy.Cut(100)}[self.kind]


def fault(dice, faults, etcd):
    """Something is broken for a while, or nothing; two seconds in all."""
    kind = dice.choice(["none", "none", "none", "etcd", "slow down", "reset", "lost", "cut"])
    if kind == "etcd":
        etcd.signal("n1", signal.SIGSTOP)
        time.sleep(dice.random() * 3)
        etcd.signal("n1", signal.SIGCONT)
    elif kind != "none":
        faults.kind, faults.left = kind, dice.randint(1, 8)
    time.sleep(2)


# What may come on top in the last third. It is the least that counts, what a daemon at rest has: how much is seen of a backup
# at work is chance.
MORE_KIB, MORE_DESCRIPTORS, MORE_THREADS = 1024, 2, 0


def growth(seen):
    """The last third against the one before it: prints both, returns what has grown."""
    third = len(seen) // 3
    before, after = seen[third:2 * third], seen[2 * third:]
    grown = []
    for what, index, unit, more in (("memory", 0, " KiB", MORE_KIB), ("descriptors", 1, "", MORE_DESCRIPTORS),
                                    ("threads", 2, "", MORE_THREADS)):
        least, most = min(s[index] for s in before), max(s[index] for s in before)
        last, most_last = min(s[index] for s in after), max(s[index] for s in after)
        print(f"{what}: {least} to {most}{unit} in the second third, {last} to {most_last}{unit} in the last")
        if last > least + more:
            grown.append(f"{what}: {last - least}{unit} more at rest, where {more} are thought to be noise")
    return grown


def judge(site, seen):
    """What is wrong, in lines; none: nothing is."""
    wrong = growth(seen)
    servers.wait_for(lambda: site.ctl("status", "--json").json["running"] is None, what="a moment of rest")
    site.configure({"schedule": None})
    site.process.send_signal(signal.SIGHUP)
    servers.wait_for(lambda: not site.ctl("status", "--json").json["schedule"], what="the schedule to end")
    done = site.ctl("verify", "--all")
    made, failed = counts(site)
    print(f"{made} backups made, {failed} failed; verify --all: exit status {done.status}, {done.err.splitlines()[-1]}")
    if done.status:
        wrong.append("not every backup is good")
    if not made:
        wrong.append("there is no backup")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ebd-soak-"))
    try:
        wrong = soak(options.minutes, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
