"""The test house itself: servers serve, come back, and never outlive who started them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import servers

HERE = Path(__file__).resolve().parent

HOLDER = """
import sys, time
sys.path.insert(0, {here!r})
import servers
ca = servers.Ca({ca!r})
one = servers.Etcd({folder!r} + "/etcd", ca, version="3.4")
two = servers.Ceph({folder!r} + "/ceph", ca)
print("ready", flush=True)
time.sleep(600)
"""


def processes_of(folder):
    """Running processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_behind(folder, number):
    code = HOLDER.format(here=str(HERE), folder=str(folder), ca=str(folder / "ca"))
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert holder.stdout.readline() == b"ready\n"
        assert len(processes_of(folder)) >= 6  # two scripts, etcd, and three of Ceph
    finally:
        os.kill(holder.pid, number)
        holder.wait(60)
        holder.stdout.close()
    servers.wait_for(lambda: not processes_of(folder), what="all servers to end")


def test_nothing_is_left_behind_without_its_folder(new_etcd, new_ceph):
    """Whoever ends a test run may remove its files before its servers have noticed."""
    for server in (new_etcd(), new_ceph()):
        # A server may make a file in a folder that is just being emptied.
        servers.wait_for(lambda d=server.dir: servers.subprocess.run(["rm", "-rf", d], check=False).returncode == 0)
        server.process.terminate()
        server.process.wait(60)
        servers.wait_for(lambda d=server.dir: not processes_of(d), what="all servers to end")


@pytest.mark.parametrize("version", ["3.4", "3.5", "3.6", "3.7"])
def test_etcd_survives_a_kill(new_etcd, version):
    etcd = new_etcd(version=version, members=3)
    etcd.ctl("put", "key", "value")
    for member in etcd.members:
        etcd.kill(member)
    etcd.restart()
    assert etcd.ctl("get", "key", "--print-value-only") == b"value\n"
    assert {etcd.status(n)["version"].rpartition(".")[0] for n in range(3)} == {version}


@pytest.mark.parametrize("options", [
    {"version": "3.4"},
    {"version": "3.5", "tls": "server", "auth": "password"},
    {"version": "3.4", "tls": "mutual", "auth": "cn"},
], ids=str)
def test_fill(new_etcd, options):
    etcd = new_etcd(**options)
    etcd.fill(3 * servers.MIB + 5, value_size=servers.MIB)
    values = etcd.ctl("get", "--prefix", "fill/", "--print-value-only")
    assert len(values) == 3 * servers.MIB + 5 + 4  # with a line end after each


def test_stores(ceph, new_ceph, new_bucket):
    """http and https, path and virtual host, and objects on disk."""
    for store in (ceph, new_ceph(store="bluestore", cert="server-rsa")):
        bucket = new_bucket(store, "bucket")
        bucket.put("a/b:c", b"x" * 100000)
        assert bucket.list() == {"a/b:c": 100000}
        assert bucket.get("a/b:c") == b"x" * 100000
        for url in (store.http, store.https, store.https.replace("127.0.0.1", "bucket.localhost"),
                    store.http.replace("127.0.0.1", "bucket.localhost")):
            text = subprocess.run(["curl", "-q", "-sS", "--cacert", store.ca("ca"), url], env=servers.ENVIRONMENT,
                                  stdout=subprocess.PIPE, check=True).stdout
            assert (b"AccessDenied" if "bucket" in url else b"ListAllMyBucketsResult") in text, url


def test_yaml():
    assert servers.yaml({"a": {"b": 1, "c": None, "d": True}, "e": ["x", "y: z"], "f": servers.Raw("15d")}) == (
        'a:\n  b: 1\n  d: true\ne:\n  - "x"\n  - "y: z"\nf: 15d\n')
