"""Real servers and our own programs, for the system tests and for tests/bench.

Everything that is started here dies with the process that started it: each child asks the kernel for a signal at its
parent's death (setpriv --pdeathsig), so that nothing is left behind even when pytest is killed with SIGKILL. The signal
comes at the end of the *thread* that started the child: start things from the main thread.
"""

import base64
import http.client
import io
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import botocore.config

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "contrib"))  # where the independent reader is

import kubernetes  # noqa: E402
import reader  # noqa: E402
SCRIPTS = HERE.parent / "servers"
OWN_MOUNTS = [sys.executable, SCRIPTS / "own_mounts.py"]
MIB = 1 << 20

# What a person's shell may hold and a test must not depend on.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AWS_", "ETCDCTL_", "SSL_CERT", "CURL_CA", "REQUESTS_CA", "NOTIFY_", "LISTEN_", "JOURNAL_"))
    and not name.lower().endswith("_proxy")
}


def wait_for(condition, seconds=60, what=None):
    """Returns the first true value of condition(); fails when there was none for so long."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or getattr(condition, '__name__', condition)}")
        time.sleep(0.01)


def state_of(pid):
    """Of a process: R, S, T, Z, ... (proc(5))"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def gone(pid):
    """Whether a process has ended, with all of its threads (one whose parent has not looked yet counts)."""
    try:
        return state_of(pid) in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def free_ports(count):
    """So many ports of 127.0.0.1 that nobody has just now: below those of outgoing connections, and of whoever leaves the choice
    to the kernel."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with ExitStack() as stack:
        found = []
        while len(found) < count:
            one = stack.enter_context(socket.socket())
            try:
                one.bind(("127.0.0.1", random.randrange(10000, low) if low > 11000 else 0))
            except OSError:
                continue
            found.append(one.getsockname()[1])
        return found


def descriptors(pid):
    """A process' descriptors as {its link in /proc: what it leads to}, without those that are closed meanwhile."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[link] = os.readlink(link)
        except FileNotFoundError:
            pass
    return found


class Server:
    """One of the scripts in tests/servers, running."""

    def __init__(self, script, directory, *options, inside=()):
        """`inside`: a command that runs another one where it is to be, nsenter(1) say."""
        self.script = str(SCRIPTS / script)
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "ready").unlink(missing_ok=True)
        self.log = self.dir / "run.log"
        # HUP asks the script for a restart, and no shell can trap what nohup(1) ignores.
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*inside, "env", "--default-signal=HUP", "setpriv", "--pdeathsig", "TERM", "sh", self.script, "run",
                 str(self.dir), *map(str, options)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=ENVIRONMENT)
        self._wait()

    def _wait(self):
        try:
            wait_for(lambda: (self.dir / "ready").exists() or self.process.poll() is not None, 180, self.script)
            if self.process.poll() is not None:
                raise AssertionError(f"{self.script} did not start:\n{self.log.read_text()[-4000:]}")
        except BaseException:
            self.stop()
            raise
        self.ready = dict(line.split("=", 1) for line in (self.dir / "ready").read_text().splitlines())

    def pid(self, name):
        return int((self.dir / f"{name}.pid").read_text())

    def signal(self, name, number):
        """Sends a signal to one of its processes: "n1", "osd", ..."""
        os.kill(self.pid(name), number)

    def kill(self, name):
        """SIGKILL, and waits until the process is gone."""
        pid = self.pid(name)
        self.signal(name, signal.SIGKILL)
        wait_for(lambda: gone(pid), what=f"the end of {name}")

    def restart(self):
        """Starts again those of its processes that died, on their old ports and data."""
        (self.dir / "ready").unlink(missing_ok=True)
        self.process.send_signal(signal.SIGHUP)
        self._wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Ca:
    """The certificates of tests/servers/ca.sh: ca("server") is the path of server.crt."""

    def __init__(self, directory):
        self.dir = Path(directory)
        subprocess.run(["sh", SCRIPTS / "ca.sh", self.dir], check=True)

    def __call__(self, name):
        return str(self.dir / f"{name}.crt")

    def key(self, name):
        return str(self.dir / f"{name}.key")


class Etcd(Server):
    """An etcd cluster. tls: none, server, mutual; auth: none, password, cn; cert: a name of ca.sh."""

    def __init__(self, directory, ca, version="3.4", members=1, tls="none", auth="none", cert="server", extra=()):
        self.ca, self.version, self.tls, self.auth, self.cert = ca, version, tls, auth, cert
        self.members = [f"n{n + 1}" for n in range(members)]
        self.filled = 0
        super().__init__("etcd.sh", directory, "--ca", ca.dir, "--version", version, "--members", members, "--tls", tls,
                         "--auth", auth, "--cert", cert, "--", *extra)

    @property
    def endpoints(self):
        """URLs, in the order of the members."""
        return self.ready["ETCD_ENDPOINTS"].split(",")

    @property
    def ports(self):
        return [urlsplit(url).port for url in self.endpoints]

    def ctl(self, *arguments, **options):
        """etcdctl with root's rights; returns what it printed."""
        done = subprocess.run(["sh", self.script, "ctl", str(self.dir), *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=ENVIRONMENT, **options)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def snapshot(self, path):
        """What etcdctl itself saves."""
        self.ctl("snapshot", "save", path)
        return path

    def describe(self, path):
        """Hash, revision and number of keys (up to 3.5: of entries) in a snapshot file, as etcd's own tool tells them."""
        tool = self.binary("etcdctl" if self.version == "3.4" else "etcdutl")
        done = subprocess.run([tool, "snapshot", "status", path, "-w", "json"], check=True,
                              env=dict(ENVIRONMENT, ETCDCTL_API="3"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        told = json.loads(done.stdout)
        return told["hash"], told["revision"], told["totalKey"]

    def binary(self, name):
        """Path of etcdctl, or of etcdutl, which 3.4 lacks."""
        return os.path.join(self.ready["ETCD_BIN"], name)

    def status(self, member=0):
        """Maintenance/Status of one member, as etcdctl prints it in JSON."""
        answer = json.loads(self.ctl("endpoint", "status", "-w", "json"))
        return next(s for s in answer if s["Endpoint"] == self.endpoints[member])["Status"]

    def metrics(self, member=0):
        """The member's Prometheus metrics, as a dict from the whole name to the value."""
        lines = self.page("/metrics", member).splitlines()
        return {k: float(v) for k, _, v in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def page(self, path, member=0):
        """What a GET brings."""
        connection = self._connection(member)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def fill(self, size, value_size=MIB, prefix="fill", threads=4, seed=1):
        """Puts so many bytes of values that cannot be compressed, in values of value_size (at most 1 MiB) each.

        Over the JSON gateway and kept-alive connections: about 100 MiB in two seconds. Where clients are users by
        their certificates the gateway has no user, and etcdctl does it, slowly.
        """
        count = -(-size // value_size)
        numbers = iter(range(count))
        lock, failures = threading.Lock(), []
        # Batches keep small values fast; etcd takes at most 1.5 MiB and 128 operations at once.
        batch = max(1, min(100, MIB // value_size))

        def take():
            with lock:
                return [n for _, n in zip(range(batch), numbers)]

        def work():
            try:
                put = self._put_by_etcdctl if self.auth == "cn" else self._gateway()
                while not failures:
                    wanted = take()
                    if not wanted:
                        return
                    put([(f"{prefix}/{n:08}".encode(), random.Random(seed * 1000003 + n).randbytes(
                        min(value_size, size - n * value_size))) for n in wanted])
            except BaseException as failure:  # pylint: disable=broad-except
                failures.append(failure)

        workers = [threading.Thread(target=work) for _ in range(min(threads, count))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failures:
            raise failures[0]
        # etcd has agreed to it; its database has it a moment later.
        self.filled += size
        for member in range(len(self.members)):
            wait_for(lambda m=member: self.status(m)["dbSize"] >= self.filled, what="the database to have all data")

    def fill_as_kubernetes(self, size, seed=1):
        """Puts so many bytes as kube-apiserver stores them, most of them over others that were there before."""
        put, batch, left = self._gateway(), {}, size
        for key, value in kubernetes.writes(seed):
            if key in batch or len(batch) == 100: # a transaction writes a key once
                put(list(batch.items()))
                batch = {}
            if left <= 0:
                break
            batch[key] = value
            left -= len(key) + len(value)
        self.filled += size
        for member in range(len(self.members)):
            wait_for(lambda m=member: self.status(m)["dbSize"] >= self.filled, what="the database to have all data")

    def _put_by_etcdctl(self, pairs):
        for key, value in pairs:
            # etcdctl's parser of options stops at a value that begins with '-': it takes the value from its input.
            self.ctl("put", key.decode(), input=value)

    def _connection(self, member=0):
        url = urlsplit(self.endpoints[member])
        if url.scheme == "http":
            return http.client.HTTPConnection(url.hostname, url.port, timeout=120)
        context = ssl.create_default_context(cafile=self.ca("ca"))
        if self.cert not in ("server", "server-rsa"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.tls == "mutual":
            context.load_cert_chain(self.ca("root"), self.ca.key("root"))
        return http.client.HTTPSConnection(url.hostname, url.port, timeout=120, context=context)

    def _gateway(self):
        connection = self._connection()
        headers = {"Content-Type": "application/json"}

        def post(path, body):
            # On a busy machine etcd may give up on a request (503); what we send can be sent twice.
            for _ in range(20):
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 503:
                    break
            assert answer.status == 200, f"{path}: {answer.status} {text[:300]}"
            return json.loads(text)

        if self.auth == "password":
            headers["Authorization"] = post("/v3/auth/authenticate", '{"name":"root","password":"rootpw"}')["token"]

        def put(pairs):
            operations = b",".join(
                b'{"requestPut":{"key":"%b","value":"%b"}}' % (base64.b64encode(key), base64.b64encode(value))
                for key, value in pairs)
            post("/v3/kv/txn", b'{"success":[%b]}' % operations)

        return put


class Ceph(Server):
    """Ceph's RADOS gateway. store: memstore, bluestore; rgw: settings such as "rgw_max_concurrent_requests=1"."""

    access_key, secret_key = "testkey", "testsecret"

    def __init__(self, directory, ca, store="memstore", cert="server", rgw=""):
        self.ca = ca
        super().__init__("ceph.sh", directory, "--ca", ca.dir, "--store", store, "--cert", cert, "--rgw", rgw)

    @property
    def http(self):
        return self.ready["S3_HTTP"]

    @property
    def https(self):
        return self.ready["S3_HTTPS"]

    def client(self, access_key=None, secret_key=None, endpoint=None):
        """boto3's client of this store, by default without TLS."""
        return boto3.client(
            "s3", endpoint_url=endpoint or self.http, region_name="us-east-1", aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={},
                                          retries={"max_attempts": 2, "mode": "standard"}))

    def admin(self, *arguments):
        """radosgw-admin."""
        return subprocess.run(["sh", self.script, "admin", str(self.dir), *arguments], check=True, env=ENVIRONMENT,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


class Minio(Server):
    """MinIO, with http or with https. What Ceph has for a test to ask is named alike."""

    access_key, secret_key = "testkey", "testsecret"

    def __init__(self, directory, ca, tls="none", settings=()):
        """`settings`: of its environment, as "NAME=VALUE"."""
        self.ca, self.tls = ca, tls
        super().__init__("minio.sh", directory, "--ca", ca.dir, "--tls", tls, *(word for one in settings for word in ("--set", one)))

    @property
    def role(self):
        """The ARN of the role that the tokens of its OpenID provider get."""
        return self.ready["S3_ROLE"]

    @property
    def http(self):
        assert self.tls == "none"
        return self.ready["S3_URL"]

    @property
    def https(self):
        assert self.tls == "server"
        return self.ready["S3_URL"]

    def client(self, access_key=None, secret_key=None):
        """boto3's client of this store."""
        return boto3.client(
            "s3", endpoint_url=self.ready["S3_URL"], region_name="us-east-1", aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key, verify=self.ca("ca"),
            config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={},
                                          retries={"max_attempts": 2, "mode": "standard"}))


class Bucket:
    """A bucket, and what a test wants to know of it."""

    def __init__(self, ceph, name):
        self.ceph, self.name = ceph, name
        self.client = ceph.client()
        self.client.create_bucket(Bucket=name)

    def list(self, prefix=""):
        """Names, in order, to their sizes."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}

    def dumps(self, prefix=""):
        return [name for name in self.list(prefix) if name.endswith(".dump")]

    def uploads(self):
        """Multipart uploads that are neither completed nor aborted."""
        return [u["Key"] for u in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    def upload_ids(self):
        return [u["UploadId"] for u in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    def get(self, name):
        return self.client.get_object(Bucket=self.name, Key=name)["Body"].read()

    def put(self, name, body, **metadata):
        self.client.put_object(Bucket=self.name, Key=name, Body=body, Metadata=metadata)

    def metadata(self, name):
        return self.client.head_object(Bucket=self.name, Key=name)["Metadata"]

    def delete(self, *names):
        for name in names:
            self.client.delete_object(Bucket=self.name, Key=name)

    def remove(self):
        """Everything in it, and the bucket."""
        for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ()):
            self.client.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])
        names = list(self.list())
        while len(names) > 100:  # as many at once as S3 takes
            some, names = names[:1000], names[1000:]
            self.client.delete_objects(Bucket=self.name, Delete={"Objects": [{"Key": name} for name in some], "Quiet": True})
        self.delete(*names)
        self.client.delete_bucket(Bucket=self.name)


def yaml(value, indent=0):
    """Mappings, lists and scalars as YAML. Strings stand in double quotes, unless they are marked as Raw."""
    pad = "  " * indent
    if isinstance(value, dict):
        return "".join(
            f"{pad}{key}:\n{yaml(inner, indent + 1)}" if isinstance(inner, (dict, list)) else
            f"{pad}{key}: {yaml(inner)}\n" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return "".join(f"{pad}- {yaml(item)}\n" for item in value)
    if isinstance(value, Raw):
        return str(value)
    return json.dumps(str(value) if isinstance(value, Path) else value)


class Raw(str):
    """Text that goes into the YAML file as it is."""


def merge(base, changes):
    """A copy of `base` with the nested `changes`; None removes a key."""
    out = dict(base)
    for key, value in changes.items():
        out[key] = merge(out.get(key) or {}, value) if isinstance(value, dict) else value
    return out


class Finished:
    """What a command left: exit status and texts."""

    def __init__(self, process, out, err):
        self.status, self.out, self.err = process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        assert "Sanitizer" not in self.err and "runtime error:" not in self.err, self.err

    @property
    def json(self):
        """The one JSON document, or the last line of several."""
        try:
            return json.loads(self.out)
        except json.JSONDecodeError:
            return json.loads(self.out.splitlines()[-1])

    def __repr__(self):
        return f"exit status {self.status}\nstdout:\n{self.out}\nstderr:\n{self.err}"


class Programs:
    """etcd-backupd and etcd-backupctl of the build directory that the environment names as BUILD_DIR."""

    def __init__(self):
        build = Path(os.environ.get("BUILD_DIR", HERE.parent.parent / "build" / "gcc"))
        self.build = build
        self.daemon = str(build / "daemon" / "etcd-backupd")
        self.ctl = str(build / "daemon" / "ctl" / "etcd-backupctl")
        if os.access(self.daemon, os.X_OK):
            self.sanitized = b"__asan_init" in Path(self.daemon).read_bytes()
        self.environment = dict(ENVIRONMENT, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")


class Site:
    """One configuration: a folder with etcd-backupd.yml, master key, credentials; and the programs run with it."""

    def __init__(self, directory, programs, etcd, bucket, https=True, encrypted=True, changes=None, user="backup"):
        self.dir, self.programs, self.etcd, self.bucket = Path(directory), programs, etcd, bucket
        self.dir.mkdir(parents=True, exist_ok=True)
        self.snapshot, self.socket = self.dir / "snapshot.db", self.dir / "control.sock"
        self.file = self.dir / "etcd-backupd.yml"
        self.master_key = os.urandom(32)
        self.key_file = self.write("master.key", self.master_key.hex() + "\n")
        key_auth = self.write("s3.yml", yaml({"access_key": bucket.ceph.access_key, "secret_key": bucket.ceph.secret_key}))
        etcd_auth = {}
        if etcd.tls != "none":
            etcd_auth["ca_cert"] = etcd.ca("ca")
        if etcd.tls == "mutual":
            etcd_auth |= {"client_cert": etcd.ca(user), "client_key": etcd.ca.key(user)}
        if etcd.auth == "password":
            etcd_auth["password_auth"] = self.write("etcd.yml", yaml({"username": user, "password": f"{user}pw"}))
        self.settings = merge({
            "etcd_client": {"endpoints": etcd.endpoints, "connection_timeout": "10s", "request_timeout": "30s",
                            "retries": 2, "auth": etcd_auth or None},
            "snapshot_path": self.snapshot,
            "encryption_key_path": self.key_file if encrypted else None,
            "s3_client": {"objects_prefix": "backup", "endpoint": bucket.ceph.https if https else bucket.ceph.http,
                          "bucket": bucket.name, "region": "us-east-1", "connection_timeout": "10s",
                          "request_timeout": "30s",
                          "auth": {"ca_cert": bucket.ceph.ca("ca") if https else None, "key_auth": key_auth}},
            "control": {"socket": self.socket},
        }, changes or {})
        self.configure()
        self.process = None

    def write(self, name, text):
        """A file of the site that is nobody else's to read."""
        path = self.dir / name
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return str(path)

    def configure(self, changes=None):
        """Writes the configuration file anew, with nested changes."""
        self.settings = merge(self.settings, changes or {})
        self.write(self.file.name, yaml(self.settings))

    def run(self, program, *arguments, timeout=600, **options):
        """Runs one of the programs to its end."""
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", program, *map(str, arguments)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.programs.environment, cwd=self.dir, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return Finished(process, out, err)

    def ctl(self, *arguments, **options):
        """etcd-backupctl by the socket of the running daemon, or with a private daemon when none was started."""
        way = ["-s", self.socket] if self.process else ["-c", self.file]
        return self.run(self.programs.ctl, *way, *arguments, **options)

    def plaintext(self, name):
        """The snapshot in a backup (named by its .dump), read from the bucket by the independent reader."""
        assert name.endswith(".dump")
        stem = name[:-len(".dump")]
        dump = self.bucket.get(name)
        wrapped = self.bucket.get(f"{stem}.key") if self.settings["encryption_key_path"] else None
        out = io.BytesIO()
        timestamp = stem[len(self.settings["s3_client"]["objects_prefix"]) + 1:]
        proved = reader.read_backup(self.master_key, timestamp, io.BytesIO(dump), len(dump), wrapped, out.write)
        assert proved == (wrapped is not None)  # what we encrypt marks its end
        return out.getvalue()

    def check_config(self):
        return self.run(self.programs.daemon, "-c", self.file, "--check-config")

    def start(self):
        """Starts the daemon, and waits until it takes commands."""
        self.log = self.dir / "daemon.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", self.programs.daemon, "-c", str(self.file)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.programs.environment, cwd=self.dir, start_new_session=True)
        wait_for(lambda: self.process.poll() is not None or self._listening(), what="the daemon's socket")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def _listening(self):
        done = subprocess.run([self.programs.ctl, "-s", str(self.socket), "status"], env=self.programs.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0

    def memory(self):
        """The most memory that the daemon has had so far, in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM:"))

    def stop(self):
        """SIGTERM; returns the exit status. What a sanitizer has to say is an error here."""
        if not self.process:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"the daemon did not end within 60 s of SIGTERM\n{self.log.read_text()}") from None
        text = self.log.read_text()
        assert "Sanitizer" not in text and "runtime error:" not in text, text
        return process.returncode

    def kill(self):
        """SIGKILL to the daemon."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
