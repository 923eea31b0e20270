"""The documents as somebody follows them: their blocks of commands, and hosts to run them on.

A host is a systemd with namespaces of its own (tests/servers/systemd.sh), and an etcd as Debian has it. All hosts of a test share a
network namespace in which the addresses and names of the documents exist: 10.0.0.11 to 13, and s3.example.com, behind which
stands the store of the tests.
"""

import ctypes
import os
import re
import shutil
import socket
import ssl
import subprocess
import textwrap
import threading
from pathlib import Path

import servers

TOP = servers.HERE.parent.parent
ADDRESSES = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.20"]
CLONE_NEWNET = 0x40000000


class Document:
    """The indented blocks of a page, in their order, each taken once by how it begins. At the end all must have been taken."""

    def __init__(self, name):
        self.name = name
        text = (TOP / name).read_text()
        found = re.findall(r"(?:^|\n)\n((?:[ ]{4,}\S.*\n(?:\n(?=[ ]{4,}\S))?)+)", text)
        self.blocks = [textwrap.dedent(block).strip("\n") for block in found]
        self.blocks = [block for block in self.blocks if not block.startswith("- [")]

    def take(self, beginning):
        """The first block that begins so, and has not been taken."""
        block = next((block for block in self.blocks if block.startswith(beginning)), None)
        assert block is not None, f"{self.name} has no (other) block that begins with {beginning!r}: {self.blocks}"
        self.blocks.remove(block)
        return block

    def is_done(self):
        assert self.blocks == [], f"{self.name}: nobody runs {self.blocks}"


class Network:
    """A network namespace with the addresses of the documents; s3.example.com leads to a store outside of it."""

    def __init__(self, ca, store):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c",
             "ip link set lo up && for a in " + " ".join(ADDRESSES) + "; do ip addr add $a/32 dev lo; done && echo up && "
             "exec sleep infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"up\n"
        self.path = f"/proc/{self.process.pid}/ns/net"
        self.store = int(store.http.rpartition(":")[2])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(ca("documents"), ca.key("documents"))
        self.listener = self._listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _listen(self):
        """A socket belongs to the namespace that its thread was in when it was made."""
        made = []

        def make():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(self.path, "rb") as namespace:
                assert libc.setns(namespace.fileno(), CLONE_NEWNET) == 0
            made.append(socket.create_server(("10.0.0.20", 443)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        try:
            client = self.context.wrap_socket(client, server_side=True)
            store = socket.create_connection(("127.0.0.1", self.store))
        except OSError:
            client.close()
            return
        back = threading.Thread(target=self._copy, args=(store, client), daemon=True)
        back.start()
        self._copy(client, store)
        back.join()
        client.close()
        store.close()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        self.listener.close()
        self.process.kill()
        self.process.wait()


ETCD_UNIT = """\
[Unit]
Description=etcd
[Service]
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
Environment=ETCD_NAME=%H
EnvironmentFile=-/etc/default/etcd
Type=notify
User=etcd
ExecStart=/usr/local/bin/etcd
"""


class Host(servers.Server):
    """One machine of the documents, with etcd 3.5, and what `tree` brings in /usr/local."""

    def __init__(self, directory, network, ca, number=1, build=None):
        self.ca, self.number, self.address = ca, number, f"10.0.0.{10 + number}"
        self.network, self.tree = network, directory / "tree"
        (self.tree / "usr/local/bin").mkdir(parents=True)
        if build:
            subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", self.tree], check=True,
                           stdout=subprocess.PIPE)
        for program in ("etcd", "etcdctl", "etcdutl"):
            os.symlink(Path(os.environ["ETCD_35_DIR"]) / program, self.tree / "usr/local/bin" / program)
        self.environment = dict(servers.ENVIRONMENT, ASAN_OPTIONS="detect_leaks=0",
                                PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        super().__init__("systemd.sh", directory / "systemd", self.tree, inside=["nsenter", f"--net={network.path}"])
        self.write("/etc/hosts", "127.0.0.1 localhost\n10.0.0.20 s3.example.com\n")
        self.write(f"{self.dir}/units/etcd.service", ETCD_UNIT)
        # The leak sanitizer traces the process at its end, which the unit's system calls do not allow.
        self.write(f"{self.dir}/units/etcd-backupd.service.d/sanitizer.conf",
                   "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1\n")
        for name in ("ca", "documents", "backup"):
            self.write(f"/etc/etcd/{name}.crt", Path(ca(name)).read_text(), group="etcd")
            if name != "ca":
                self.write(f"/etc/etcd/{name}.key", Path(ca.key(name)).read_text(), "0640", "etcd")
        self.do("install -d -o etcd -g etcd -m 0700 /var/lib/etcd")
        self.do("systemctl daemon-reload")

    def configure_etcd(self, name="n1", cluster=None):
        """/etc/default/etcd, for client certificates, and for the peers too."""
        peer = f"https://{self.address}:2380"
        values = {"NAME": name, "LISTEN_CLIENT_URLS": f"https://{self.address}:2379",
                  "ADVERTISE_CLIENT_URLS": f"https://{self.address}:2379", "LISTEN_PEER_URLS": peer,
                  "INITIAL_ADVERTISE_PEER_URLS": peer, "INITIAL_CLUSTER": cluster or f"{name}={peer}",
                  "CLIENT_CERT_AUTH": "true"}
        for kind, prefix in (("", ""), ("PEER_", "PEER_")):
            values |= {f"{prefix}TRUSTED_CA_FILE": "/etc/etcd/ca.crt", f"{kind}CERT_FILE": "/etc/etcd/documents.crt",
                       f"{kind}KEY_FILE": "/etc/etcd/documents.key"}
        self.write("/etc/default/etcd", "".join(f"ETCD_{key}={value}\n" for key, value in values.items()))

    def write(self, path, text, mode="0644", group="root"):
        source = self.dir / "to-install"
        source.write_text(text)
        self.do(f"install -D -o root -g {group} -m {mode} {source} {path}")

    def ask(self, script, cwd="/root", **more):
        """A block of commands, as a shell takes it line by line; it ends with the first that fails."""
        process = subprocess.Popen(
            ["sh", self.script, "ctl", self.dir, "env", *(f"{k}={v}" for k, v in more.items()), "bash", "-e", "-o", "pipefail",
             "-c", f"cd {cwd}\n{script}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        return servers.Finished(process, *process.communicate(timeout=900))

    def do(self, script, **more):
        done = self.ask(script, **more)
        assert done.status == 0, f"{script}\n{done}\n" + self.ask("journalctl --no-pager -q -o cat -n 12 -p warning").out
        return done.out

    def rests(self):
        """Waits until the daemon does nothing: behind a backup it prunes."""
        servers.wait_for(lambda: '"running":null' in self.do("etcd-backupctl --json status"))

    def etcdctl(self, words):
        tls = "--cacert /etc/etcd/ca.crt --cert /etc/etcd/backup.crt --key /etc/etcd/backup.key"
        return self.do(f"ETCDCTL_API=3 etcdctl --endpoints https://{self.address}:2379 {tls} {words}")
