"""What the tests of restores into a data directory share: tools that fail, etcd on what came out, and what must not remain."""

import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack, closing, contextmanager

from servers import ENVIRONMENT, descriptors, free_ports, wait_for

# Of every etcd that is filled; who finds it in a file has found plaintext.
PLAINTEXT = b"fill/0000000"


def unpack(site, target, *arguments, **options):
    return site.ctl("restore", "--data-dir", target, "--json", "-q", *arguments, **options)


def tool(folder, etcd, body, name="tool"):
    """A stand-in that says of itself what the real one says, and in place of `snapshot restore` runs `body`, a piece of
    shell in which "$real" is the real one. `mark` tells the test that it has come there, and its process id."""
    path = folder / name
    real = tool_of(etcd)
    path.write_text(f"""#!/bin/sh
real={real}
mark() {{ echo $$ >'{folder}/mark.new' && mv '{folder}/mark.new' '{folder}/mark'; }}
case "$*" in
    version | *--help) exec "$real" "$@" ;;
esac
{body}
""")
    path.chmod(0o755)
    return path


def marked(folder):
    """Waits for `mark`; the process that gave it."""
    wait_for((folder / "mark").exists, what="the tool's mark")
    pid = int((folder / "mark").read_text())
    (folder / "mark").unlink()
    return pid


def end_of(pid):
    """Kills what a test has left without its parent."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def contents(folder):
    """Every name in it with owner, mode, size and time, but for what belongs to the control socket and logs."""
    out = {}
    for path in sorted(folder.rglob("*")):
        if not path.name.startswith(("control.", "daemon.log", "mark")):
            stat = path.lstat()
            out[str(path.relative_to(folder))] = (
                stat.st_uid, stat.st_gid, oct(stat.st_mode), stat.st_size, stat.st_mtime_ns)
    return out


def hidden(folder):
    return [str(path) for path in folder.rglob(".etcd-backupd*")]


def plaintext(folder):
    """The files that hold plaintext."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and PLAINTEXT in path.read_bytes()]


def held(site):
    """The daemon's files that have no name."""
    return [name for name in descriptors(site.process.pid).values()
            if name.endswith("(deleted)") and str(site.dir.parent) in name]


def refused(site, folder, target, status, *words, arguments=()):
    """A restore that must fail with one line, and change nothing on disk. Returns the line."""
    before = contents(folder)
    done = unpack(site, target, *arguments)
    assert done.status == status, done
    line = done.err.splitlines()[-1]
    assert line == f"etcd-backupctl: {done.json['failure']['text']}", done
    for word in words:
        assert word in line, f"{word!r} is not in: {line}"
    assert contents(folder) == before
    assert not site.process or held(site) == []
    return line


class Revived:
    """etcd on a restored data directory; one per member of a cluster."""

    def __init__(self, etcd, data, *options, name="default", peer=None):
        self.etcd = etcd
        client, own = free_ports(2)
        # Alone, it need not wait a second for votes that nobody else has; with others, a busy machine is no reason to vote anew.
        options = (*options, *(["--heartbeat-interval=500", "--election-timeout=5000"] if peer else
                               ["--heartbeat-interval=20", "--election-timeout=200"]))
        peer = peer or f"http://127.0.0.1:{own}"
        self.endpoint = f"http://127.0.0.1:{client}"
        self.log = data.parent / f"{data.name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", etcd.binary("etcd"), "--name", name, "--data-dir", str(data),
                 "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
                 "--listen-peer-urls", peer, "--logger=zap",
                 *map(str, options)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)

    def ctl(self, *arguments):
        done = subprocess.run([self.etcd.binary("etcdctl"), "--endpoints", self.endpoint, "--dial-timeout=60s",
                               "--command-timeout=120s", *map(str, arguments)],
                              env=dict(ENVIRONMENT, ETCDCTL_API="3"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        assert done.returncode == 0, done.stderr.decode() + self.log.read_text()[-3000:]
        return done.stdout

    def wait(self):
        """Until it serves: with others, until they have a leader."""
        def healthy():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", int(self.endpoint.rpartition(":")[2]))):
                    return False
            return subprocess.run(
                [self.etcd.binary("etcdctl"), "--endpoints", self.endpoint, "endpoint", "health"], check=False,
                env=dict(ENVIRONMENT, ETCDCTL_API="3"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

        wait_for(healthy, what=f"etcd on {self.endpoint}")
        return self

    def __enter__(self):
        return self.wait()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def tool_of(etcd):
    """The program of its release that unpacks."""
    return etcd.binary("etcdctl" if etcd.version == "3.4" else "etcdutl")


@contextmanager
def three(site, folder):
    """The latest backup restored for three members, each with its own name, which then form a cluster."""
    peers = [f"http://127.0.0.1:{port}" for port in free_ports(3)]
    cluster = ",".join(f"m{n}={peer}" for n, peer in enumerate(peers))
    for n, peer in enumerate(peers):
        done = unpack(site, folder / f"m{n}", "-n", f"m{n}", "-l", cluster, "-a", peer, "-o", "restored", "-e", tool_of(site.etcd))
        assert done.status == 0, done
    with ExitStack() as stack:
        members = [Revived(site.etcd, folder / f"m{n}", name=f"m{n}", peer=peer) for n, peer in enumerate(peers)]
        for member in members:
            stack.push(member)
        for member in members:
            member.wait()
        yield members


def data_of(server):
    """All that an etcd holds: every key with value and revisions."""
    answer = json.loads(server.ctl("get", "", "--prefix", "-w", "json"))
    return answer["header"]["revision"], answer["kvs"]


def hash_of(server, revision=0):
    answer, = json.loads(server.ctl("endpoint", "hashkv", "-w", "json", "--rev", revision))
    return answer["HashKV"]["hash"]
