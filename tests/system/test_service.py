"""Life as a service: what the service manager hears, sockets that it hands over, metrics for Prometheus, and hooks."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from faults import Command, check_clean, events, news
from s3_proxy import Answer, Hold, error
from servers import Programs, free_ports, state_of, wait_for
from test_prune import locking_rule, name as aged, put

# ---- the service manager ----


class Manager:
    """A socket as $NOTIFY_SOCKET names it, and what came to it."""

    def __init__(self, site, abstract=False, **variables):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"\0ebd-{os.getpid()}-{id(self)}" if abstract else str(site.dir / "notify")
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.messages = []
        site.programs = Programs()
        site.programs.environment |= {"NOTIFY_SOCKET": path.replace("\0", "@")} | variables

    def heard(self):
        """All messages so far."""
        try:
            while True:
                self.messages.append(self.socket.recv(65536).decode())
        except BlockingIOError:
            return self.messages

    def hears(self, pattern):
        """Waits for a message that matches as a whole; returns its number."""
        return wait_for(lambda: next((n + 1 for n, m in enumerate(self.heard()) if re.fullmatch(pattern, m, re.S)), None),
                        what=f"{pattern} among {self.messages}") - 1


@pytest.mark.parametrize("abstract", [False, True])
def test_readiness(site, abstract):
    """Ready when commands are answered, what it does, and that it ends; nobody else is told."""
    manager = Manager(site, abstract)
    site.start()
    assert manager.hears("READY=1") < manager.hears("STATUS=ready")
    assert site.ctl("backup").status == 0
    running = manager.hears("STATUS=backup is running")
    assert running < manager.hears(r"STATUS=last backup \S+Z, [\d.]+ \wi?B")
    site.write("master.key", "nonsense")
    assert site.ctl("backup").status == 1
    manager.hears(r"STATUS=backup failed at \S+Z: [^\n]*master\.key[^\n]*")
    assert site.stop() == 0
    assert manager.heard()[-1] != "READY=1" and "STOPPING=1" in manager.messages
    assert not [m for m in manager.messages if m.startswith("WATCHDOG")]
    assert not [m for m in manager.messages if "testsecret" in m or site.master_key.hex() in m]
    manager.socket.close()


def test_watchdog(site):
    """From the loop, at half the time; not when it is meant for somebody else."""
    manager = Manager(site, WATCHDOG_USEC="200000")
    site.start()
    wait_for(lambda: manager.heard().count("WATCHDOG=1") >= 3)
    site.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state_of(site.process.pid) == "T")
    count = len(manager.heard())
    assert len(manager.heard()) == count
    site.process.send_signal(signal.SIGCONT)
    wait_for(lambda: len(manager.heard()) > count)
    assert site.stop() == 0
    site.programs.environment["WATCHDOG_PID"] = "1"
    manager.heard()  # what the first one said last
    manager.messages.clear()
    site.start()
    manager.hears("READY=1")
    assert site.ctl("backup").status == 0 and site.stop() == 0
    assert "WATCHDOG=1" not in manager.heard()
    manager.socket.close()


def test_reload(site):
    """RELOADING with the time, as systemd wants it, then READY; also when what is new is refused, which is said."""
    manager = Manager(site)
    site.start()
    manager.hears("STATUS=ready")
    good = site.file.read_text()
    for text, says in ((good, None), ("nonsense: [", r"STATUS=the configuration stays as it was: .+"), (good, "STATUS=ready")):
        manager.messages.clear()
        site.write(site.file.name, text)
        site.process.send_signal(signal.SIGHUP)
        begun = manager.hears(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        assert begun < manager.hears("READY=1")
        if says:
            manager.hears(says)
    manager.socket.close()


def test_a_manager_that_does_not_listen(site):
    """It is gone, or its socket is full: nothing waits for it."""
    manager = Manager(site)
    manager.socket.close()
    assert site.start().ctl("backup").status == 0
    assert site.stop() == 0


def test_an_end_that_takes_too_long(ceph, medium, proxied):
    """The store takes a part and then answers nothing, to the abort neither: SIGTERM has a limit, and says so. The
    limit lies within what the unit allows; hurry.c brings it here."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 or request.call == "abort" else None)
    unit = (Path(__file__).parents[2] / "systemd" / "etcd-backupd.service.in").read_text()
    assert int(re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.M)[1]) > 80
    site.programs = Programs()
    site.programs.environment |= {"LD_PRELOAD": str(Path(site.programs.daemon).parents[1] / "tests/system/hurry.so"),
                                  "HURRY_MS": "80000"}
    site.programs.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    site.process.terminate()
    assert site.process.wait(60) == 1
    assert events(site, "info")[-1] == "SIGTERM: stopping, the running job is taken back"
    assert events(site, "error") == [
        "the backup did not end within 80 s: leaving at once; what it left in the bucket goes with a later prune"]
    assert command.end().status == 1
    proxy.release()
    assert site.bucket.dumps() == []


class Activated:
    """systemd-socket-activate with our daemon, on these sockets."""

    def __init__(self, site, *options, sockets=1):
        paths = [site.socket] + [site.dir / f"other{n}.sock" for n in range(1, sockets)]
        self.site, self.log = site, site.dir / "activated.log"
        listen = [word for path in paths for word in ("-l", str(path))]
        variables = [word for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "PATH") for word in ("-E", name)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "systemd-socket-activate", *variables, *listen, site.programs.daemon,
                 "-c", str(site.file), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=site.programs.environment, cwd=site.dir)
        wait_for(lambda: self.text().count("Listening on ") == len(paths), what="its sockets")

    def ctl(self, *arguments):
        return self.site.run(self.site.programs.ctl, "-s", self.site.socket, *arguments)

    def text(self):
        return self.log.read_text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)


def test_activation(site):
    """The first command starts it, and is answered; the socket stays when it ends."""
    with Activated(site) as daemon:
        assert "is ready" not in daemon.text()
        told = daemon.ctl("status", "--json")
        assert told.status == 0 and told.json["pid"] == daemon.process.pid, told  # it has become the daemon
        assert "control socket of the service manager" in daemon.text()
        assert daemon.ctl("backup").status == 0
        daemon.process.terminate()
        assert daemon.process.wait(60) == 0
        assert site.socket.exists()
    check_clean(site, 1)


def test_leaving_when_idle(site):
    """Nobody asks: it leaves, with status 0 and a line that says so."""
    with Activated(site, "--idle-exit", "2s") as daemon:
        assert daemon.ctl("backup", "--json").status == 0
        assert daemon.process.wait(60) == 0
        assert re.search("nobody has asked for anything for .*s: leaving until somebody does$", daemon.text(), re.M)
    check_clean(site, 1)


def test_not_while_it_is_used(ceph, medium, proxied):
    """Neither during a job, nor while somebody is connected."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    with Activated(site, "--idle-exit", "2s") as daemon:
        command = subprocess.Popen([site.programs.ctl, "-s", site.socket, "backup", "-q"], stdout=subprocess.DEVNULL,
                                   env=site.programs.environment)
        wait_for(lambda: proxy.held)
        over = time.monotonic() + 4
        while time.monotonic() < over:
            assert daemon.ctl("status").status == 0 and daemon.process.poll() is None
            time.sleep(0.05)
        proxy.release()
        assert command.wait(60) == 0
        assert daemon.process.wait(60) == 0
    check_clean(site, 1)


def test_not_while_a_hook_runs(site):
    """The command of the last backup is let end."""
    go, done = site.dir / "go", site.dir / "done"
    site.configure({"hooks": {"on_success": f"until test -e {go}; do sleep 0.1; done; touch {done}"}})
    with Activated(site, "--idle-exit", "300ms") as daemon:
        assert daemon.ctl("backup").status == 0
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(3)
        go.touch()
        assert daemon.process.wait(60) == 0
        assert done.exists()


def test_not_with_a_schedule(site):
    site.configure({"schedule": {"interval": "1s"}})
    with Activated(site, "--idle-exit", "50ms") as daemon:
        daemon.ctl("status")
        wait_for(lambda: len(site.bucket.dumps()) >= 2)
        assert daemon.process.poll() is None and "leaving" not in daemon.text()
        daemon.process.terminate()
        assert daemon.process.wait(60) == 0


def test_more_than_one_socket(site):
    """A mistake in the unit: one line, and the status that keeps systemd from trying again."""
    with Activated(site, sockets=2) as daemon:
        probe = socket.socket(socket.AF_UNIX)
        probe.connect(str(site.socket))
        assert daemon.process.wait(60) == 2
        assert "the service manager hands over more than the control socket" in daemon.text().splitlines()[-1]
        probe.close()


# ---- metrics ----


class Page:
    """The page of a site, which it configures."""

    def __init__(self, site, **changes):
        self.port, = free_ports(1)
        site.configure({"metrics": {"listen": f"127.0.0.1:{self.port}"}, **changes})

    def ask(self, path="/metrics", method="GET", body=None):
        """(status, headers, text)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def values(self):
        status, headers, text = self.ask()
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return {key.removeprefix("etcd_backupd_"): float(value) for key, _, value in (
            line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))}


@pytest.fixture
def page(site):
    return Page(site)


def test_metrics(site, page):
    """Each value against what happened; promtool finds nothing to say."""
    site.ctl("backup")
    site.start()
    at_start = wait_for(lambda: (lambda v: "bucket_backups" in v and v)(page.values()))
    assert at_start["bucket_backups"] == 1 and at_start["backup_last_success_timestamp_seconds"] > 1.7e9
    assert at_start['backups_total{result="success"}'] == 0 and "backup_last_size_bytes" not in at_start
    made = [site.ctl("backup", "--json").json for _ in range(2)]
    # A look at the bucket that began between the two has seen one of them; the next sees both, while it may still look.
    wait_for(lambda: page.values()["bucket_backups"] == 3)
    site.write("s3.yml", '{access_key: "testkey", secret_key: "wrong"}')
    assert site.ctl("backup").status == 1
    seen = page.values()
    assert seen['backups_total{result="success"}'] == 2 and seen['backups_total{result="failure"}'] == 1
    assert {k: v for k, v in seen.items() if k.startswith("backup_failures_total") and v} == {
        'backup_failures_total{kind="auth"}': 1}
    assert seen["backup_bytes_total"] == sum(one["snapshot_size"] for one in made)
    assert seen["backup_attempts_total"] == sum(one["attempts"] for one in made) + 1  # of the one that failed
    assert seen["backup_last_size_bytes"] == made[1]["snapshot_size"]
    assert seen["backup_last_duration_seconds"] == made[1]["elapsed_ms"] / 1000
    assert 0 < seen["etcd_read_transaction_seconds_total"] <= sum(one["elapsed_ms"] for one in made) / 1000
    assert seen["bucket_backups"] == 3 == len(site.bucket.dumps())
    assert seen["bucket_bytes"] == sum(size for name, size in site.bucket.list().items() if name.endswith(".dump"))
    assert seen["backup_last_success_timestamp_seconds"] > at_start["backup_last_success_timestamp_seconds"]
    expiries = {k: v for k, v in seen.items() if k.startswith("certificate_expiry_timestamp_seconds")}
    assert f'certificate_expiry_timestamp_seconds{{file="{site.etcd.ca("backup")}"}}' in expiries and len(expiries) == 2
    assert all(v > 1.7e9 for v in expiries.values()) and seen['job_running{task="backup"}'] == 0
    version = site.run(site.programs.daemon, "--version").out.split()[1]
    assert seen[f'build_info{{version="{version}"}}'] == 1
    checked = subprocess.run(["promtool", "check", "metrics"], input=page.ask()[2].encode(), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False)
    assert (checked.returncode, checked.stdout) == (0, b"")


def expiry(path):
    """Of the first certificate in a file, by OpenSSL."""
    out = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", path], stdout=subprocess.PIPE, check=True).stdout
    return ssl.cert_time_to_seconds(out.decode().strip().partition("=")[2])


def test_certificates_that_are_replaced(site, page):
    """Of CAs the last to expire counts, wherever it stands; of the client's chain its own."""
    auth = site.settings["etcd_client"]["auth"]
    retired = site.dir / "retired.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                    "-subj", "/CN=retired", "-keyout", site.dir / "retired.key", "-out", retired], check=True,
                   stderr=subprocess.DEVNULL)
    old, ca, client = (Path(path).read_text() for path in (retired, auth["ca_cert"], auth["client_cert"]))
    files = {name: site.write(name, text) for name, text in {
        "before.crt": old + ca, "behind.crt": ca + old, "client.crt": client + old}.items()}
    site.configure({"etcd_client": {"auth": {"ca_cert": files["before.crt"], "client_cert": files["client.crt"]}},
                    "s3_client": {"auth": {"ca_cert": files["behind.crt"]}}})
    expected = {files[name]: expiry(auth[key]) for name, key in (
        ("before.crt", "ca_cert"), ("behind.crt", "ca_cert"), ("client.crt", "client_cert"))}
    assert min(expected.values()) > expiry(retired)
    site.start()
    assert {k.partition('"')[2].rstrip('"}'): v for k, v in page.values().items() if k.startswith("certificate_")} == {
        str(path): seconds for path, seconds in expected.items()}


def test_metrics_of_a_schedule_and_its_prunes(site, page):
    put(site, "backup-2001-01-01T00:00:00Z", "backup-2001-01-02T00:00:00Z")
    site.configure({"schedule": {"interval": "1h"}, "prune": {"max_age": "1d", "min_count": 1}})
    site.start()
    seen = wait_for(lambda: (lambda v: v["prune_deleted_total"] == 2 and v)(page.values()))
    assert seen["bucket_backups"] == 1 and seen["prune_failures_total"] == 0
    assert seen["next_backup_timestamp_seconds"] - seen["backup_last_success_timestamp_seconds"] <= 3602


def test_metrics_of_what_fails(ceph, etcd, proxied):
    """What went before a failure is counted; a look that fails is no failed prune, and one that is refused is."""
    site, proxy = proxied(ceph, etcd)
    page = Page(site)
    put(site, *map(aged, (0, 20, 30)))
    site.start()

    def prunes():
        values = page.values()
        return values["prune_deleted_total"], values["prune_failures_total"]
    wait_for(lambda: "master_key_mismatch" in page.values(), what="the look of the start")
    proxy.rule = lambda request: Answer(403, error("AccessDenied"))
    assert site.ctl("prune", "-i", "1", "--dry-run").status == 1
    assert prunes() == (0, 0)
    asked = []

    def refuse(request):  # whether it is locked; before, it was asked whose it is
        if aged(20).replace(":", "%3A") in request.path:
            asked.append(request)
            return Answer(403) if len(asked) > 1 else None
        return None
    proxy.rule = locking_rule(refuse)
    assert site.ctl("prune", "-i", "1").status == 1
    assert prunes() == (1, 1) and len(site.bucket.dumps()) == 2
    # Not the claim of its name, behind which etcd is asked for a snapshot.
    proxy.rule = lambda request: (Hold(Answer(403, error("AccessDenied")))
                                  if request.method in ("POST", "PUT") and request.path.endswith(".dump") else None)
    command = Command(site, "backup", "--json", "-q")
    wait_for(lambda: proxy.held)
    proxy.release()
    done = command.end()
    assert done.status == 1 and list(done.json) == ["failure"], done
    values = page.values()
    assert values["backup_attempts_total"] == 1 and values["etcd_read_transaction_seconds_total"] > 0, values
    assert values["backup_bytes_total"] == 0 and "backup_last_size_bytes" not in values
    assert site.ctl("prune", "-i", "1").status == 1
    assert prunes() == (1, 2)


def test_a_running_job(ceph, medium, proxied):
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    page = Page(site)
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    seen = page.values()
    assert seen['job_running{task="backup"}'] == 1 and seen['job_running{task="prune"}'] == 0
    proxy.release()
    assert command.end().status == 0


def test_health(site, page):
    """200 while the newest backup is young enough, 503 with one line when it is old, when there is none, or nobody knows."""
    site.start()
    assert page.ask("/healthz")[::2] == (200, "ok\n")  # no limit is configured
    site.stop()
    site.configure({"health": {"max_age": "1h"}})
    site.start()
    wait_for(lambda: page.ask("/healthz")[::2] == (503, "there is no backup\n"))
    put(site, "backup-2024-12-06T21:22:25Z")
    site.stop()
    site.start()
    status, _, text = wait_for(lambda: (lambda a: "old" in a[2] and a)(page.ask("/healthz")))
    assert status == 503 and re.fullmatch(r"the newest backup is \S+ old, more than 1h\n", text), text
    assert site.ctl("backup").status == 0
    assert page.ask("/healthz")[::2] == (200, "ok\n")


def test_health_after_a_bad_verdict(site, page):
    """What verify has found bad is not the newest good backup any more, here and after a restart."""
    site.configure({"health": {"max_age": "1h"}})
    site.start()
    made = site.ctl("backup", "--json").json
    wait_for(lambda: page.ask("/healthz")[0] == 200 and page.values().get("bucket_backups") == 1)
    dump = site.bucket.get(made["name"])
    site.bucket.put(made["name"], dump[:-1] + bytes([dump[-1] ^ 1]))
    assert site.ctl("verify").status == 5
    wait_for(lambda: page.ask("/healthz")[0] == 503 and page.values().get("bucket_backups") == 0)
    site.stop()
    site.start()
    wait_for(lambda: page.ask("/healthz")[0] == 503 and page.values().get("bucket_backups") == 0)


def test_health_beside_broken_ones(site, page):
    """Names that pair and hold nothing are no backups: neither for the health and the metrics, nor for the schedule."""
    put(site, "backup-2024-12-06T21:22:25Z")
    now = time.time()
    for n in range(20):  # as a copy that broke leaves them
        stem = f"backup-{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now - 60 - n))}"
        site.bucket.put(f"{stem}.key", site.bucket.get("backup-2024-12-06T21:22:25Z.key") if n % 2 else b"")
        site.bucket.put(f"{stem}.dump", b"" if n % 2 else b"x" * 1000)
    site.configure({"health": {"max_age": "1h"}})
    site.start()
    status, _, text = wait_for(lambda: (lambda a: "old" in a[2] and a)(page.ask("/healthz")))
    assert status == 503 and re.fullmatch(r"the newest backup is \S+ old, more than 1h\n", text), text
    seen = page.values()
    assert (seen["bucket_backups"], seen["bucket_bytes"]) == (1, 1000)
    assert seen["backup_last_success_timestamp_seconds"] == 1733520145
    site.stop()
    site.configure({"schedule": {"interval": "1h"}})
    site.start()
    wait_for(lambda: page.values().get("bucket_backups") == 2)  # it was due at once


def test_health_unknown(ceph, etcd, proxied):
    """The bucket cannot be seen: that is no good health."""
    site, proxy = proxied(ceph, etcd, lambda request: Hold())
    page = Page(site, health={"max_age": "1h"})
    site.start()
    status, _, text = page.ask("/healthz")
    assert status == 503 and text == "the newest backup is not known: the bucket has not been looked at yet\n", text
    proxy.release()
    wait_for(lambda: "there is no backup" in page.ask("/healthz")[2])


def test_other_requests(site, page):
    site.start()
    for path in ("/", "/metrics/", "/..", "/healthz?x=/metrics", "/metricsx"):
        assert page.ask(path)[0] == (200 if path.startswith("/healthz?") else 404), path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert page.ask(method=method, body=b"x" * 100000 if method != "DELETE" else None)[0] == 405, method
    status, headers, text = page.ask(method="HEAD")
    assert status == 200 and text == "" and int(headers["Content-Length"]) > 1000


@pytest.mark.installed
def test_connections_that_do_nothing(site, page):
    """They have their limit, and neither stall nor spin the daemon: it works for others, and answers when they are gone."""
    site.start()
    idle = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(40)]
    for connection in idle[::2]:
        connection.sendall(b"GET /metr")
    assert site.ctl("backup").status == 0
    stat = Path(f"/proc/{site.process.pid}/stat")
    before = sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))
    for _ in range(30):
        assert site.ctl("status").status == 0
    spent = sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) - before
    assert spent <= 20 or site.programs.sanitized, "hundredths of a second for thirty small questions"
    for connection in idle:
        connection.close()
    assert wait_for(page.values)
    check_clean(site, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-name.invalid"])
def test_what_keeps_the_page_away(site, host):
    """A port that somebody has and a name that does not resolve may pass: backups are made, and it is tried again."""
    page = Page(site)
    site.configure({"metrics": {"listen": f"{host}:{page.port}"}})
    with socket.socket() as other:
        other.bind(("127.0.0.1", page.port))
        other.listen()
        site.start()
        line, = wait_for(lambda: events(site, "warning"))
        assert re.match(rf"metrics\.listen: {host}:{page.port}: .*; tried again every 10 s$", line), line
        assert ("address already in use" in line.lower()) == (host == "127.0.0.1"), line
        assert site.ctl("backup").status == 0
    if host == "127.0.0.1":
        wait_for(lambda: [text for text in events(site, "info") if text.endswith(": listens now")])
        assert page.values()['backups_total{result="success"}'] == 1
    assert site.stop() == 0 and events(site, "warning") == [line]


def test_ipv6(site):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        port = probe.getsockname()[1]
    site.configure({"metrics": {"listen": f"[::1]:{port}"}})
    site.start()
    connection = http.client.HTTPConnection("::1", port, timeout=60)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()


# ---- hooks ----


def test_hooks(site):
    """The event on standard input, one line of JSON, for success and failure; nothing of our environment."""
    out = site.dir / "events"
    site.programs = Programs()
    site.programs.environment["SECRET_OF_OURS"] = "1"
    site.configure({"hooks": {"on_success": f"cat >>{out}.ok; env >{out}.env", "on_failure": f"cat >>{out}.bad"}})
    site.start()
    made = site.ctl("backup", "--json").json
    told = wait_for(lambda: Path(f"{out}.env").exists() and Path(f"{out}.ok").read_text())
    assert told.endswith("}\n") and len(told.splitlines()) == 1
    event = json.loads(told)
    assert event["event"] == "backup-done" and event["bucket"].endswith(f"/{site.bucket.name}/backup-"), event
    assert list(event) == ["event", "at", "bucket", *made] and {key: event[key] for key in made} == made, event
    assert "SECRET_OF_OURS" not in Path(f"{out}.env").read_text()
    site.write("master.key", "nonsense")
    failed = site.ctl("backup", "--json").json["failure"]
    event = json.loads(wait_for(lambda: Path(f"{out}.bad").exists() and Path(f"{out}.bad").read_text()))
    assert (event["event"], event["kind"], event["text"]) == ("backup-failed", failed["kind"], failed["text"])
    assert len(Path(f"{out}.ok").read_text().splitlines()) == 1
    assert site.stop() == 0


def test_no_hook_for_what_was_cancelled(ceph, medium, proxied):
    """Whoever did it knows. What fails by itself is told as ever."""
    site, proxy = proxied(ceph, medium, lambda request: Hold() if request.number == 2 else None)
    out = site.dir / "events"
    site.configure({"hooks": {"on_failure": f"cat >>{out}"}})
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: proxy.held)
    command.signal(signal.SIGINT)
    proxy.release()
    assert command.end().json["failure"]["kind"] == "cancelled"
    assert site.ctl("status", "--json").json["last_failure"] is None
    site.write("master.key", "nonsense")
    assert site.ctl("backup").status == 1
    told = wait_for(lambda: out.exists() and out.read_text())
    assert "cancelled" not in told and len(told.splitlines()) == 1, told


def test_a_hook_that_fails(site):
    """One warning that says how; the backup was made all the same."""
    site.configure({"hooks": {"on_success": "cat >/dev/null; echo no such door; exit 3"}})
    site.start()
    assert site.ctl("backup").status == 0
    line, = wait_for(lambda: news(site))
    assert line.startswith("hooks.on_success: ") and "3" in line and "no such door" in line, line
    assert site.ctl("status", "--json").json["last_failure"] is None
    check_clean(site, 1)


def test_a_hook_when_the_daemon_is_asked_to_stop(site):
    """The alert of what failed just before a restart gets out."""
    go, sent = site.dir / "go", site.dir / "sent"
    site.configure({"hooks": {"on_failure": f"while ! [ -e {go} ]; do sleep 0.1; done; cat >{sent}"},
                    "etcd_client": {"endpoints": ["127.0.0.1:1"], "retries": 0}})
    site.start()
    assert site.ctl("backup").status == 1
    wait_for(lambda: children(site))
    site.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "a hook is running: waiting for its end" in events(site, "info"))
    go.touch()
    assert site.process.wait(60) == 0
    assert json.loads(sent.read_text())["event"] == "backup-failed"


def test_hooks_that_hang(site):
    """They do not delay what is next; no more than four run at once; each is ended after its time."""
    site.configure({"hooks": {"on_success": "exec sleep 1000", "timeout": "10m"}})
    site.start()
    for _ in range(5):
        assert site.ctl("backup").status == 0
    assert news(site) == ["hooks.on_success: not run: 4 of them are running already"]
    assert len(children(site)) == 4
    # The end of the daemon waits for them, at most so long.
    site.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "a hook is running: waiting for its end" in events(site, "info"))
    for pid in children(site):
        os.kill(int(pid), signal.SIGKILL)
    assert site.process.wait(60) == 0
    assert len(news(site)) == 4
    site.configure({"hooks": {"timeout": "1s"}})
    site.start()
    assert site.ctl("backup").status == 0
    line, = wait_for(lambda: [text for text in news(site) if text.startswith("hooks.on_success: ")])
    assert line == "hooks.on_success: /bin/sh did not end within 1 s"
    assert not children(site)


def children(site):
    return Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
