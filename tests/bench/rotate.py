"""How long a rotation of the master key takes: N wrapped keys in a real S3 store, over TLS, on this machine.

sh tests/bench/rotate.sh [--keys N]. Prints the time of a dry run, of the rotation and of a run that finds all done, the
daemon's peak memory, and proves with the independent reader that keys picked by chance are opened by the new key.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import servers  # noqa: E402
from test_rotate import Keys, opens, put_keys  # noqa: E402


def rotate(site, keys, what, *arguments):
    begun = time.monotonic()
    done = site.ctl("rotate-key", "-p", keys.previous_file, "--json", *arguments)
    seconds = time.monotonic() - begun
    assert done.status == 0, done
    n = done.json["rotated"] + done.json["already"]
    print(f"{what:28} {seconds:6.1f} s  {n / seconds:7.0f} keys/s  {done.json['rotated']} rotated, "
          f"{done.json['already']} already")


def bench(count, folder):
    ca = servers.Ca(folder / "ca")
    servers.ENVIRONMENT["TCMALLOC_RELEASE_RATE"] = "0"  # as in bench.py: the store shares our cores
    with servers.Ceph(folder / "ceph", ca, rgw=f"rgw_thread_pool_size={2 * os.cpu_count()}") as ceph, \
            servers.Etcd(folder / "etcd", ca, version="3.5", tls="mutual") as etcd:
        site = servers.Site(folder / "site", servers.Programs(), etcd, servers.Bucket(ceph, "keys"))
        step, made = 250, {}
        with ThreadPoolExecutor(8) as pool:
            for part in pool.map(lambda first: put_keys(site, min(step, count - first), first=first), range(0, count, step)):
                made.update(part)
        keys = Keys(site)
        site.start()
        try:
            rotate(site, keys, "dry run", "--dry-run")
            rotate(site, keys, "rotation")
            rotate(site, keys, "again: all is done")
            print(f"the daemon's peak memory     {site.memory() / (1 << 20):6.1f} MiB")
            for name in random.sample(sorted(made), min(count, 50)):
                assert opens(keys.next, name, site.bucket.get(name)) == made[name]
        finally:
            site.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10000)
    folder = Path(tempfile.mkdtemp(prefix="ebd-rotate-", dir=os.environ.get("TMPDIR")))
    try:
        bench(parser.parse_args().keys, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
