"""The units under a real systemd, as they are installed: started, reloaded, stopped, by their sockets, by their watchdog."""

import http.server
import json
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

import servers
from faults import check_clean
from servers import wait_for, yaml

pytestmark = pytest.mark.installed

OURS = "/usr/local/etc/etcd-backupd"


class Systemd(servers.Server):
    """A systemd that has our units, and the configuration of a site where the README puts it."""

    def __init__(self, directory, site):
        self.site, self.tree = site, directory / "tree"
        build = Path(site.programs.daemon).parent.parent
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", self.tree], check=True,
                       stdout=subprocess.PIPE)
        if site.programs.sanitized:
            # The leak sanitizer traces the process at its end, which the unit's system calls do not allow.
            for unit in ("etcd-backupd.service", "etcd-backupd@.service"):
                with open(self.tree / "usr/local/lib/systemd/system" / unit, "a", encoding="utf-8") as file:
                    file.write("[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1\n")
        super().__init__("systemd.sh", directory / "systemd", self.tree)
        self.configure()

    def ask(self, *words):
        """A command beside systemd, as root: what it left."""
        process = subprocess.Popen(["sh", self.script, "ctl", self.dir, *map(str, words)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=servers.ENVIRONMENT)
        return servers.Finished(process, *process.communicate(timeout=600))

    def do(self, *words):
        """One that must work: what it printed."""
        done = self.ask(*words)
        assert done.status == 0, f"{words}: {done}\n{self.journal()}"
        return done.out

    def write(self, path, text, mode="0640", group="etcd-backupd"):
        """A file where systemd and the services see it."""
        source = self.site.write("to-install", text)
        self.do("install", "-D", "-o", "root", "-g", group, "-m", mode, source, path)

    def configure(self, name="etcd-backupd", changes=None, keys=OURS, handed=None):
        """The site's configuration for the service or an instance of it, its keys and certificates in files that the group
        may read; or the keys in `keys`, which root alone may, and named as they are `handed` over."""
        settings = self.site.settings
        etcd, s3 = settings["etcd_client"]["auth"], settings["s3_client"]["auth"]
        for source, path in ((settings["encryption_key_path"], "master.key"), (s3["key_auth"], "s3-keys.yml"),
                             (etcd["client_key"], "etcd-client.key")):
            self.write(f"{keys}/{path}", Path(source).read_text(), *(["0600", "root"] if handed else []))
        for source, path in ((etcd["client_cert"], "etcd-client.crt"), (etcd["ca_cert"], "ca.crt")):
            self.write(f"{OURS}/{path}", Path(source).read_text())
        keys = handed or keys
        settings = servers.merge(settings, {
            "snapshot_path": "/var/lib/etcd-backupd/snapshot.db", "encryption_key_path": f"{keys}/master.key", "control": None,
            "s3_client": {"auth": {"key_auth": f"{keys}/s3-keys.yml", "ca_cert": f"{OURS}/ca.crt"}},
            "etcd_client": {"auth": {"client_key": f"{keys}/etcd-client.key", "client_cert": f"{OURS}/etcd-client.crt",
                                     "ca_cert": f"{OURS}/ca.crt"}}})
        self.write(f"{OURS}.conf" if name == "etcd-backupd" else f"{OURS}/{name}.conf",
                   yaml(servers.merge(settings, changes or {})))

    def example(self, name):
        """The text of a drop-in that is installed as an example."""
        return (self.tree / "usr/local/share/doc/etcd-backupd/examples" / name).read_text()

    def drop_in(self, text, unit="etcd-backupd.service"):
        self.write(f"{self.dir}/units/{unit}.d/test.conf", f"[Service]\n{text}\n", "0644", "root")
        self.do("systemctl", "daemon-reload")

    def show(self, unit="etcd-backupd.service"):
        """The properties of a unit."""
        return dict(line.split("=", 1) for line in self.do("systemctl", "show", unit).splitlines())

    def shows(self, unit="etcd-backupd.service", **wanted):
        """Waits until the unit has these properties; returns all."""
        return wait_for(lambda: (lambda all_: all(all_.get(k) == v for k, v in wanted.items()) and all_)(self.show(unit)),
                        what=f"{wanted} of {unit}\n{self.journal()}")

    def journal(self, *options, unit="etcd-backupd"):
        """The lines of a unit."""
        return self.ask("journalctl", "--no-pager", "-q", "-o", "cat", "-u", unit, *options).out.splitlines()

    def says(self, pattern, *options, **unit):
        """Waits for a line in the journal that matches; returns it."""
        return wait_for(lambda: next((line for line in self.journal(*options, **unit) if re.search(pattern, line)), None),
                        what=f"{pattern} among {self.journal(*options, **unit)}")

    def ctl(self, *words):
        return self.ask("etcd-backupctl", *words)


@pytest.fixture
def systemd(site, folder):
    if os.geteuid() != 0:
        pytest.skip("only root can start a systemd")
    with Systemd(folder, site) as started:
        yield started


def test_service(systemd, site):
    """`systemctl start` returns when commands are answered; a reload takes what is new, or fails and says why; the end."""
    systemd.do("systemctl", "start", "etcd-backupd")
    told = systemd.ctl("status", "--json")
    assert told.status == 0, told
    shown = systemd.shows(StatusText="ready")
    assert [shown[key] for key in ("ActiveState", "SubState", "User")] == ["active", "running", "etcd-backupd"]
    made = systemd.ctl("backup", "--json")
    assert made.status == 0, (made, systemd.journal())
    wait_for(lambda: re.fullmatch(f"last backup {made.json['instant']}, .* MiB", systemd.show()["StatusText"]))
    status = systemd.do("systemctl", "status", "--no-pager", "etcd-backupd")
    assert "Active: active (running)" in status and f'Status: "last backup {made.json["instant"]}' in status, status
    process = dict(re.findall(r"^(\w+):\s+(.*)$", systemd.do("cat", f"/proc/{shown['MainPID']}/status"), re.M))
    assert [process[key] for key in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")] == ["0" * 16, "0" * 16, "1", "2"]
    assert process["Uid"].split() == systemd.do("id", "-u", "etcd-backupd").split() * 4

    systemd.configure(changes={"schedule": {"interval": "6h"}})
    systemd.do("systemctl", "reload", "etcd-backupd")
    wait_for(lambda: systemd.ctl("status", "--json").json["schedule"] == "every 6h")
    systemd.configure(changes={"schedule": {"interval": "sometimes"}})
    assert systemd.ask("systemctl", "reload", "etcd-backupd").status != 0
    after = systemd.show()
    assert (after["ActiveState"], after["MainPID"], after["NRestarts"]) == ("active", shown["MainPID"], "0")
    systemd.says(r":\d+:\d+: schedule\.interval: ")
    assert systemd.ctl("status", "--json").json["schedule"] == "every 6h"

    systemd.do("systemctl", "stop", "etcd-backupd")
    after = systemd.show()
    assert [after[key] for key in ("ActiveState", "Result", "ExecMainStatus")] == ["inactive", "success", "0"]
    systemd.says("^SIGTERM: stopping$", "-p", "info..info")
    assert systemd.ctl("status").status == 3
    check_clean(site, 1)


class Listener(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted."""

    def do_POST(self):  # pylint: disable=invalid-name
        self.server.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_hook_of_the_example(systemd):
    """What the example file suggests works within the limits of the unit."""
    command = re.search(r"^#    on_failure: (.*)$", systemd.example("etcd-backupd.conf.example"), re.M)[1]
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.posted = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/etcd-backup"
            systemd.configure(changes={"hooks": {"on_failure": command.replace("https://alerts.example.com/etcd-backup", url)}})
            systemd.do("systemctl", "start", "etcd-backupd")
            systemd.write(f"{OURS}/master.key", "nonsense")
            assert systemd.ctl("backup").status == 1
            event = json.loads(wait_for(lambda: server.posted and server.posted[0], what=f"an event\n{systemd.journal()}"))
            assert (event["event"], event["kind"]) == ("backup-failed", "config"), event
            assert not [line for line in systemd.journal() if "hooks.on_failure" in line]
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_configuration(systemd):
    """It does not start, is not tried again, and the journal has the place."""
    systemd.configure(changes={"log_level": "loud"})
    assert systemd.ask("systemctl", "start", "etcd-backupd").status != 0
    shown = systemd.show()
    assert [shown[key] for key in ("ActiveState", "Result", "ExecMainStatus")] == ["failed", "exit-code", "2"]
    systemd.says(r"etcd-backupd\.conf:\d+:\d+: log_level: ")


def test_activation(systemd, site):
    """Nothing runs until somebody asks; the daemon leaves again when nobody does, and comes back."""
    systemd.drop_in("ExecStart=\nExecStart=/usr/local/sbin/etcd-backupd --idle-exit 300ms")
    systemd.do("systemctl", "start", "etcd-backupd.socket")
    assert systemd.show()["ActiveState"] == "inactive"
    pids = []
    for count in (1, 2):
        done = systemd.ctl("backup", "--json")
        assert done.status == 0, (done, systemd.journal())
        pids.append(systemd.show()["ExecMainPID"])
        shown = systemd.shows(ActiveState="inactive")
        assert [shown[key] for key in ("Result", "ExecMainStatus", "NRestarts")] == ["success", "0", "0"]
        assert systemd.show("etcd-backupd.socket")["ActiveState"] == "active"
        check_clean(site, count)
    assert len(set(pids)) == 2
    systemd.says("^nobody has asked for anything for 300ms: leaving until somebody does$")
    systemd.do("systemctl", "stop", "etcd-backupd.socket")
    assert systemd.ctl("status").status == 3
    assert systemd.ask("test", "-e", "/run/etcd-backupd/control.sock").status == 1  # RemoveOnStop=


def test_watchdog(systemd):
    """A daemon that stands still is ended and started again; one that lives is left alone."""
    systemd.drop_in("WatchdogSec=12s\nRestartSec=10ms")
    systemd.do("systemctl", "start", "etcd-backupd")
    shown = systemd.show()
    assert shown["WatchdogUSec"] == "12s"
    stamp = shown["WatchdogTimestampMonotonic"]
    wait_for(lambda: systemd.show()["WatchdogTimestampMonotonic"] != stamp)
    assert systemd.show()["MainPID"] == shown["MainPID"]
    systemd.do("kill", "-STOP", shown["MainPID"])
    again = systemd.shows(NRestarts="1", ActiveState="active", StatusText="ready")
    assert again["MainPID"] != shown["MainPID"]
    systemd.says(r"Failed with result 'watchdog'")
    assert systemd.ctl("status").status == 0


def test_keys_that_stay_roots(systemd, site):
    """keys.conf: root alone may read the files, and the service works with what it is handed, after a reload too. Whether
    that is good the daemon alone can see."""
    handed = {"keys": "/etc/etcd-backupd", "handed": "/run/credentials/etcd-backupd.service"}
    systemd.configure(**handed)
    systemd.drop_in(re.sub(r"^#(LoadCredential=etcd-client)", r"\1", systemd.example("keys.conf"), flags=re.M))
    systemd.do("systemctl", "start", "etcd-backupd")
    assert systemd.do("stat", "-c", "%U %a", "/etc/etcd-backupd/master.key") == "root 600\n"
    done = systemd.ctl("backup")
    assert done.status == 0, (done, systemd.journal())
    check_clean(site, 1)
    systemd.configure(changes={"log_level": "loud"}, **handed)
    systemd.do("systemctl", "reload", "etcd-backupd")
    wait_for(lambda: re.match("the configuration stays as it was: .*log_level", systemd.show()["StatusText"]))
    systemd.configure(changes={"s3_client": {"objects_prefix": "other"}}, **handed)
    systemd.do("systemctl", "reload", "etcd-backupd")
    systemd.shows(StatusText="ready")
    assert systemd.ctl("backup").status == 0
    assert [name.partition("-")[0] for name in site.bucket.dumps()] == ["backup", "other"]


def test_an_instance(systemd, site):
    """One service a cluster, with its own configuration, socket and directory, beside the others."""
    systemd.configure("prod", {"control": {"socket": "/run/etcd-backupd/prod.sock"},
                               "snapshot_path": "/var/lib/etcd-backupd/prod/snapshot.db",
                               "s3_client": {"objects_prefix": "prod"}})
    systemd.do("systemctl", "start", "etcd-backupd", "etcd-backupd@prod")
    assert systemd.ctl("backup").status == 0
    made = systemd.ctl("-s", "/run/etcd-backupd/prod.sock", "backup", "--json")
    assert made.status == 0, (made, systemd.journal(unit="etcd-backupd@prod"))
    assert [name.partition("-")[0] for name in site.bucket.dumps()] == ["backup", "prod"]
    restored = systemd.ctl("-s", "/run/etcd-backupd/prod.sock", "restore", "--use-etcdutl=false")
    assert restored.status == 0, restored
    assert systemd.do("stat", "-c", "%U %a", "/var/lib/etcd-backupd/prod/snapshot.db") == "etcd-backupd 600\n"
    systemd.do("systemctl", "stop", "etcd-backupd")
    assert systemd.ctl("-s", "/run/etcd-backupd/prod.sock", "status").status == 0


def test_a_restore_on_a_node_of_etcd(systemd):
    """restore.conf: the socket alone is enabled, and what is restored is the etcd user's at once; nothing else can be
    written, which is said."""
    systemd.drop_in(systemd.example("restore.conf"))
    systemd.do("install", "-d", "-o", "etcd", "-g", "etcd", "/var/lib/etcd", "/var/lib/elsewhere")
    systemd.do("systemctl", "start", "etcd-backupd.socket")
    assert systemd.ctl("backup").status == 0, systemd.journal()
    done = systemd.ctl("restore", "-d", "/var/lib/etcd/restored")
    assert done.status == 0, (done, systemd.journal())
    assert systemd.do("stat", "-c", "%U", "/var/lib/etcd/restored/member/snap/db") == "etcd\n"
    done = systemd.ctl("restore", "-d", "/var/lib/elsewhere/restored")
    assert done.status == 1 and re.search("/var/lib/elsewhere: Read-only file system", done.err), done
