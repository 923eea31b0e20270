"""What a backup costs, beside what else people use, on real servers: see run.sh.

Everything that is compared runs in turns within one call, so that the machine's mood is the same for all; what is printed
are medians. CPU, memory and writes are those of the client processes alone (wait4); what etcd and S3 used meanwhile stands
beside it, since on shared cores the wall clock measures mostly those two.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import servers  # noqa: E402

MIB = 1 << 20


def peak_memory(pid):
    """VmHWM of a process and of its children, the larger; 0 once they are gone. (wait4 would count Python's own.)"""
    found = 0
    try:
        for task in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
            for line in Path(f"/proc/{task}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    found = max(found, int(line.split()[1]) * 1024)
    except OSError:
        pass
    return found


def processor_time(pid):
    """Seconds that a process and its descendants have used, in user mode and in the kernel."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(processor_time, children))


class Measured:
    """One run of a command, its descendants included."""

    servers = {}  # "etcd", "S3": the process that has started it

    def __init__(self, command, **options):
        self.rss = 0
        before = {name: processor_time(pid) for name, pid in self.servers.items()}
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, **options)
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                self.rss = max(self.rss, peak_memory(process.pid))
                time.sleep(0.02)
            self.seconds = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            self.text = output.read().decode(errors="replace")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.theirs = {name: processor_time(pid) - before[name] for name, pid in self.servers.items()}
        self.written = usage.ru_oublock * 512
        if process.returncode:
            raise SystemExit(f"{command[0]} failed ({process.returncode}): {self.text}")


def etcdctl(etcd):
    command = [etcd.binary("etcdctl"), f"--endpoints={etcd.endpoints[0]}"]
    if etcd.tls != "none":
        command += [f"--cacert={etcd.ca('ca')}", f"--cert={etcd.ca('root')}", f"--key={etcd.ca.key('root')}"]
    return command


def save_plain(etcd, folder):
    """etcdctl snapshot save: a plain file on disk."""
    path = folder / "etcdctl.db"
    path.unlink(missing_ok=True)
    return Measured([*etcdctl(etcd), "snapshot", "save", path], env=dict(servers.ENVIRONMENT, ETCDCTL_API="3"))


def backup(site, compression="none"):
    site.configure({"compression": compression})
    run = Measured([site.programs.ctl, "-c", site.file, "--json", "backup"], env=site.programs.environment)
    run.stored = json.loads(run.text.splitlines()[-1])["stored_size"]
    return run


def restore(site):
    return Measured([site.programs.ctl, "-c", site.file, "restore", "--use-etcdutl=false"], env=site.programs.environment)


def unpack(site):
    target = site.dir / "data"
    shutil.rmtree(target, ignore_errors=True)
    tool = site.etcd.binary("etcdctl" if site.etcd.version == "3.4" else "etcdutl")
    return Measured([site.programs.ctl, "-c", site.file, "restore", "--data-dir", target, "-e", tool],
                    env=site.programs.environment)


def download(site, url, through=""):
    """The same object by curl to a file, synced as a restore does; or what somebody with a shell has, who decrypts it with
    openssl: of other bytes than these, but that is the same work."""
    path = site.dir / "download"
    path.unlink(missing_ok=True)
    trust = "" if url.startswith("http:") else f"--cacert '{site.bucket.ceph.ca('ca')}'"
    return Measured(["sh", "-c", f"curl -sSf {trust} '{url}' {through} >'{path}' && sync '{path}'"], env=site.programs.environment)


OPENSSL = f"| openssl enc -d -aes-256-ctr -K {'11' * 32} -iv {'22' * 16}"


def idle(site):
    """Memory of a daemon that has made a backup and rests, and how often it wakes up in ten seconds."""
    site.start()
    try:
        site.ctl("backup")
        time.sleep(1)
        status = Path(f"/proc/{site.process.pid}/status")

        def field(name):
            return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith(name)))

        before = field("voluntary_ctxt_switches")
        time.sleep(10)
        print(f"idle daemon after a backup: {field('VmRSS:') / 1024:.1f} MiB resident, "
              f"{field('RssAnon:') / 1024:.1f} MiB of it its own, peak {field('VmHWM:') / 1024:.1f} MiB, "
              f"{field('voluntary_ctxt_switches') - before} wake-ups in 10 s")
    finally:
        site.stop()


def row(name, runs, size, base=None):
    seconds = statistics.median(r.seconds for r in runs)
    cells = [name, f"{seconds:.2f} s", f"{size / 1e6 / seconds:.0f} MB/s",
             f"{statistics.median(r.cpu for r in runs):.2f} s",
             f"{statistics.median(r.cpu for r in runs) / size * 1e9:.2f} ns",
             *(f"{statistics.median(r.theirs[name] for r in runs):.1f} s" for name in Measured.servers),
             f"{max(r.rss for r in runs) / MIB:.1f} MiB",
             f"{statistics.median(r.written for r in runs) / MIB:.0f} MiB",
             f"{seconds / base:.2f}" if base else "1.00"]
    print("| " + " | ".join(cells) + " |", flush=True)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of data in etcd")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--etcd", default="3.4", choices=["3.4", "3.5", "3.6", "3.7"])
    parser.add_argument("--data", default="random", choices=["random", "kubernetes"],
                        help="values that do not compress, or objects as kube-apiserver stores them")
    parser.add_argument("--plain-http", action="store_true", help="no TLS on either side")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ebd-bench-"))
    try:
        measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty(ceph, bucket):
    """What earlier runs have stored goes, and at once: the store keeps objects in memory, and fresh memory is dear here."""
    bucket.delete(*bucket.list())
    ceph.admin("gc", "process", "--include-all")


def measure_restores(options, site, size, base):
    """Of the newest backup, with curl as the yardstick of what store, TLS and disk take by themselves."""
    ceph, name = site.bucket.ceph, max(site.bucket.dumps())
    client = ceph.client(endpoint=ceph.http if options.plain_http else ceph.https)
    url = client.generate_presigned_url("get_object", Params={"Bucket": site.bucket.name, "Key": name})
    runs = [(download(site, url), download(site, url, OPENSSL), restore(site), unpack(site)) for _ in range(options.runs + 1)]
    names = ("`curl` of the same object, to a file", "`curl` through `openssl enc`, to a file",
             "`etcd-backupctl restore` (decrypted, to a file)", "`etcd-backupctl restore --data-dir` (decrypted, unpacked)")
    for name, *measured in zip(names, *runs[1:]):  # the first was warming up
        row(name, measured, size, base)


def measure(options, folder):
    # The store shares the few cores with all that is measured: no more threads than it can use, and memory stays its own.
    servers.ENVIRONMENT["TCMALLOC_RELEASE_RATE"] = "0"
    ca = servers.Ca(folder / "ca")
    tls = "none" if options.plain_http else "mutual"
    quota = ("--quota-backend-bytes", str(8 << 30))
    with servers.Ceph(folder / "ceph", ca, rgw=f"rgw_thread_pool_size={2 * os.cpu_count()}") as ceph, \
            servers.Etcd(folder / "etcd", ca, version=options.etcd, tls=tls, extra=quota) as etcd:
        bucket = servers.Bucket(ceph, "bench")
        site = servers.Site(folder / "site", servers.Programs(), etcd, bucket, https=not options.plain_http)
        if options.data == "random":
            etcd.fill(options.size * MIB, value_size=64 << 10)
        else:
            etcd.fill_as_kubernetes(options.size * MIB)
        size = etcd.status()["dbSize"]
        print(f"etcd {options.etcd}, database {size / MIB:.0f} MiB of {options.data} data, TLS on both sides: {'no' if tls == 'none' else 'yes'}, "
              f"{os.cpu_count()} cores, medians of {options.runs}\n")
        Measured.servers = {"etcd": etcd.process.pid, "S3": ceph.process.pid}
        print("| | time | rate | CPU | a byte | CPU of etcd | of S3 | peak memory | written to disk | time, ratio |\n"
              "|---|---|---|---|---|---|---|---|---|---|", flush=True)
        plain, ours, compressed = [], [], []
        for _ in range(options.runs + 1):
            empty(ceph, bucket)
            plain.append(save_plain(etcd, folder))
            compressed.append(backup(site, "zstd"))
            ours.append(backup(site)) # the last, whose object the restores read
        del plain[0], ours[0], compressed[0]  # warming up
        base = row("`etcdctl snapshot save` (plain file)", plain, size)
        row("`etcd-backupctl backup` (encrypted, in S3)", ours, size, base)
        row(f"the same with `compression: zstd` (stored as {compressed[-1].stored / MIB:.0f} MiB, ratio "
            f"{size / compressed[-1].stored:.1f})", compressed, size, base)
        measure_restores(options, site, size, base)
        backup(site, "zstd")
        packed = [restore(site) for _ in range(options.runs)]
        row("`etcd-backupctl restore` of a compressed backup (to a file)", packed, size, base)
        print()
        idle(site)


if __name__ == "__main__":
    main()
