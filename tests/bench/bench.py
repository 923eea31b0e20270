"""What a backup costs, beside what else people use, on real servers: see run.sh.

Everything that is compared runs in turns within one call, so that the machine's mood is the same for all; what is printed
are medians. CPU, memory and writes are those of the client processes alone (wait4); what etcd and S3 used meanwhile stands
beside it, since on shared cores the wall clock measures mostly those two.
"""

import argparse
import json
import os
import shlex
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


AWS = "/usr/bin/aws"  # Debian's


def save_by_script(site, folder, compressed=False):
    """What people have without a program for it: etcdctl to a file, openssl to another, aws to the bucket."""
    ceph, plain, sealed = site.bucket.ceph, folder / "script.db", folder / "script.enc"
    for path in (plain, sealed):
        path.unlink(missing_ok=True)
    save = shlex.join([*map(str, etcdctl(site.etcd)), "snapshot", "save", str(plain)])
    read = f"zstd -q -3 -T0 -c {plain} |" if compressed else f"<{plain}"
    upload = f"{AWS} --endpoint-url {site.settings['s3_client']['endpoint']} s3 cp --only-show-errors {sealed} s3://{site.bucket.name}/script"
    encrypt = f"openssl enc -aes-256-cbc -pbkdf2 -pass pass:secret -out {sealed}"
    return Measured(["sh", "-ec", f"{save}; {f'{read} {encrypt}' if compressed else f'{encrypt} {read}'}; {upload}; rm {plain} {sealed}"],
                    env=dict(servers.ENVIRONMENT, ETCDCTL_API="3", AWS_ACCESS_KEY_ID=ceph.access_key, AWS_SECRET_ACCESS_KEY=ceph.secret_key,
                             AWS_DEFAULT_REGION="us-east-1", AWS_CA_BUNDLE=str(ceph.ca("ca"))))


def backup(site, compression="none", bandwidth="0"):
    site.configure({"compression": compression, "s3_client": {"max_bandwidth": bandwidth}})
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


def look_inside(site, options, size):
    """Into a plain file, and into the newest backup, beside a restore of that to a file."""
    snapshot = site.dir / "look.db"
    site.etcd.snapshot(snapshot)
    commands = [("`ls --file`", ["ls", "--file", snapshot]), ("`export --file`", ["export", "--file", snapshot]),
                ("`ls --prefixes 2 --file`", ["ls", "--prefixes", "2", "--file", snapshot]),
                ("`ls` of the backup", ["-c", site.file, "ls"]), ("`export` of the backup", ["-c", site.file, "export"])]
    runs = [(restore(site), *(Measured([site.programs.ctl, *command], env=site.programs.environment) for _, command in commands))
            for _ in range(options.runs)]
    print(f"\nratios to a restore to a file:\n{HEAD}")
    restores, *looks = zip(*runs)
    base = row("`etcd-backupctl restore` (to a file)", restores, size)
    for (name, _), measured in zip(commands, looks):
        row(name, measured, size, base)
    snapshot.unlink()


def measure_proofs(options, site, size):
    """What it costs to look at a database: as it goes by, which each backup does, and when backups are read again."""
    snapshot = site.dir / "look.db"
    site.etcd.snapshot(snapshot)
    told = subprocess.run([site.programs.build / "tests" / "system" / "bolt_probe", "time", snapshot, str(5 * options.runs)],
                          stdout=subprocess.PIPE, check=True).stdout.decode()
    assert "structure sound" in told, told
    snapshot.unlink()
    tool = site.etcd.binary("etcdctl" if site.etcd.version == "3.4" else "etcdutl")
    without = dict(site.programs.environment, PATH="/nonexistent")
    commands = [("`verify`", [], None), ("`verify --drill` without etcdutl", ["--drill"], without),
                ("`verify --drill`", ["--drill", "-e", tool], None)]
    runs = [(restore(site), *(Measured([site.programs.ctl, "-c", site.file, "verify", *more], env=env or site.programs.environment)
                              for _, more, env in commands)) for _ in range(options.runs + 1)]
    print(f"\nthe look at the structure of what goes by: {float(told.split()[-1]):.2f} ns a byte (wanted: at most 0.3)\n\n"
          f"ratios to a restore to a file:\n{HEAD}")
    restores, *proofs = zip(*runs[1:])  # the first was warming up
    base = row("`etcd-backupctl restore` (to a file)", restores, size)
    for (name, _, _), measured in zip(commands, proofs):
        row(name, measured, size, base)


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


HEAD = ("| | time | rate | CPU | a byte | CPU of etcd | of S3 | peak memory | written to disk | time, ratio | CPU, ratio |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|")


def row(name, runs, size, base=(None, None)):
    """Prints it. Returns its seconds, by the clock and of the processor: what others are compared with."""
    seconds, cpu = (statistics.median(values) for values in ([r.seconds for r in runs], [r.cpu for r in runs]))
    cells = [name, f"{seconds:.2f} s", f"{size / 1e6 / seconds:.0f} MB/s",
             f"{cpu:.2f} s", f"{cpu / size * 1e9:.2f} ns",
             *(f"{statistics.median(r.theirs[name] for r in runs):.1f} s" for name in Measured.servers),
             f"{max(r.rss for r in runs) / MIB:.1f} MiB",
             f"{statistics.median(r.written for r in runs) / MIB:.0f} MiB",
             *(f"{own / other:.2f}" if other else "1.00" for own, other in zip((seconds, cpu), base))]
    print("| " + " | ".join(cells) + " |", flush=True)
    return seconds, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="MiB of data in etcd; of a cluster's half as much is written")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--etcd", default="3.7", choices=["3.4", "3.5", "3.6", "3.7"])
    parser.add_argument("--data", default="both", choices=["random", "kubernetes", "both"],
                        help="values that do not compress, or objects as kube-apiserver stores them")
    parser.add_argument("--only", choices=["proofs", "bytes"],
                        help="of all the tables that of what `verify` costs; or a backup and a restore beside etcdctl, and no more")
    parser.add_argument("--plain-http", action="store_true", help="no TLS on either side")
    options = parser.parse_args()
    # The store shares the few cores with all that is measured: no more threads than it can use, and memory stays its own.
    servers.ENVIRONMENT["TCMALLOC_RELEASE_RATE"] = "0"
    folder = Path(tempfile.mkdtemp(prefix="ebd-bench-"))
    try:
        ca = servers.Ca(folder / "ca")
        with servers.Ceph(folder / "ceph", ca, rgw=f"rgw_thread_pool_size={2 * os.cpu_count()}") as ceph:
            for data in ("random", "kubernetes") if options.data == "both" else (options.data,):
                measure(options, folder, ca, ceph, data)
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


def measure_backups(options, site, folder, size):
    """In turns; the last is the one that the restores read. Returns what others are compared with."""
    has_aws = os.access(AWS, os.X_OK)
    kinds = {"`etcdctl snapshot save` (plain file)": lambda: save_plain(site.etcd, folder)}
    if has_aws:
        kinds["that, `openssl enc`, `aws s3 cp`, as a script"] = lambda: save_by_script(site, folder)
        kinds["the script with `zstd -3`"] = lambda: save_by_script(site, folder, compressed=True)
    kinds["`etcd-backupctl backup` with `compression: zstd`"] = lambda: backup(site, "zstd")
    kinds["`etcd-backupctl backup` (encrypted, in S3)"] = lambda: backup(site)
    runs = []
    for _ in range(options.runs + 1):
        empty(site.bucket.ceph, site.bucket)
        runs.append([run() for run in kinds.values()])
    base = (None, None)
    for name, *measured in zip(kinds, *runs[1:]):  # the first was warming up
        if "zstd`" in name and "etcd-backupctl" in name:
            name += f" (stored as {measured[-1].stored / MIB:.0f} MiB, ratio {size / measured[-1].stored:.1f})"
        told = row(name, measured, size, base)
        base = base if base[0] else told
    if not has_aws:
        print(f"(no {AWS}: the script is left out; apt-get install awscli)")
    return base


def measure_bytes(options, site, folder, size):
    """What is short enough for a large database, and for another etcd beside it."""
    runs = []
    for _ in range(options.runs + 1):
        empty(site.bucket.ceph, site.bucket)
        runs.append((save_plain(site.etcd, folder), backup(site), restore(site)))
    saves, backups, restores = zip(*runs[1:])  # the first was warming up
    print(HEAD)
    base = row("`etcdctl snapshot save` (plain file)", saves, size)
    row("`etcd-backupctl backup` (encrypted, in S3)", backups, size, base)
    row("`etcd-backupctl restore` (decrypted, to a file)", restores, size, base)


def measure_narrow(site, size):
    """What compression saves where the way to the store is narrow. Once: it takes as long as it must."""
    print(f"\nto a store that takes 12 MB/s:\n{HEAD}")
    base = row("`etcd-backupctl backup`", [backup(site, "none", "12000000")], size)
    row("with `compression: zstd`", [backup(site, "zstd", "12000000")], size, base)


def measure(options, folder, ca, ceph, data):
    tls = "none" if options.plain_http else "mutual"
    quota = ("--quota-backend-bytes", str(8 << 30))
    folder = folder / data
    folder.mkdir()
    with servers.Etcd(folder / "etcd", ca, version=options.etcd, tls=tls, extra=quota) as etcd:
        bucket = servers.Bucket(ceph, f"bench-{data}")
        site = servers.Site(folder / "site", servers.Programs(), etcd, bucket, https=not options.plain_http)
        if data == "random":
            etcd.fill(options.size * MIB, value_size=64 << 10)
        else:
            etcd.fill_as_kubernetes(options.size * MIB // 2)
        size = etcd.status()["dbSize"]
        print(f"etcd {options.etcd}, database {size / MIB:.0f} MiB of {data} data, TLS on both sides: {'no' if tls == 'none' else 'yes'}, "
              f"{os.cpu_count()} cores, medians of {options.runs}\n" + ("" if options.only else f"\n{HEAD}"), flush=True)
        Measured.servers = {"etcd": etcd.process.pid, "S3": ceph.process.pid}
        if options.only:
            if options.only == "bytes":
                measure_bytes(options, site, folder, size)
            else:
                backup(site)
                measure_proofs(options, site, size)
            empty(ceph, bucket)
            return
        base = measure_backups(options, site, folder, size)
        if data == "random":
            measure_restores(options, site, size, base)
        look_inside(site, options, size)
        measure_proofs(options, site, size)
        if data == "kubernetes":
            backup(site, "zstd")
            row("`etcd-backupctl restore` of a compressed backup (to a file)", [restore(site) for _ in range(options.runs)], size)
            measure_narrow(site, size)
        else:
            print()
            idle(site)
        print()
        empty(ceph, bucket)


if __name__ == "__main__":
    main()
