"""The Debian package: what it is, and what installing, upgrading, removing and purging it does to a host with a systemd.

The daemons have configurations without an etcd and a bucket that answer: they run, and that is what is looked at. Backups are
made by debian/tests/whole-way.
"""

import os
import re
import subprocess

import pytest

import servers
from servers import wait_for
from walk import TOP

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a systemd"), pytest.mark.together]

KEPT = {
    "/etc/etcd-backupd.conf": "control.sock", "/etc/etcd-backupd/prod.conf": "prod.sock",
}
SERVICES = ["etcd-backupd.service", "etcd-backupd@prod.service"]


def clone(source):
    """As somebody has it who wants a package; changes that are not committed come along."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", TOP, source], check=True)
    changed = subprocess.run(["git", "-C", TOP, "diff", "--binary", "HEAD"], check=True, stdout=subprocess.PIPE).stdout
    if changed:
        subprocess.run(["git", "-C", source, "apply"], input=changed, check=True)
    return source


def build(source, **more):
    """The file that contrib/package.sh says it has made."""
    done = subprocess.run(["sh", source / "contrib/package.sh"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          env=dict(servers.ENVIRONMENT, DEB_BUILD_OPTIONS="nocheck parallel=2", **more))
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout.splitlines()[-1]


@pytest.fixture(name="source", scope="module")
def make_source(scratch):
    return clone(scratch / "package-source")


@pytest.fixture(name="deb", scope="module")
def make_package(source):
    return build(source)


def in_other_words(deb, version, folder):
    """The same package by another version."""
    subprocess.run(["dpkg-deb", "-R", deb, folder / version], check=True)
    control = folder / version / "DEBIAN/control"
    control.write_text(re.sub(r"^Version:.*", f"Version: {version}", control.read_text(), flags=re.M))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder / version, folder / f"{version}.deb"], check=True,
                   stdout=subprocess.PIPE)
    return folder / f"{version}.deb"


class Machine(servers.Server):
    """One that has never heard of us."""

    def __init__(self, directory):
        (directory / "tree/etc/systemd/system").mkdir(parents=True)
        super().__init__("systemd.sh", directory / "systemd", directory / "tree")
        self.do("rm -f /usr/sbin/policy-rc.d")  # of containers: nothing may be started there

    def do(self, script):
        """Commands as root; what they print."""
        process = subprocess.Popen(["sh", self.script, "ctl", self.dir, "env", "DEBIAN_FRONTEND=noninteractive", "sh", "-e", "-c",
                                    script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=dict(servers.ENVIRONMENT, PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        done = servers.Finished(process, *process.communicate(timeout=900))
        assert done.status == 0, f"{script}\n{done}"
        return done.out

    def configure(self):
        """The service, and an instance."""
        self.do("cd /etc/etcd-backupd && etcd-backupctl generate-key master.key && printf 'access_key: a\\nsecret_key: b\\n' >s3.yml"
                " && chgrp etcd-backupd * && chmod 0640 *")
        for path, sock in KEPT.items():
            self.do(f"cat >{path} <<'CONF'\n"
                    'etcd_client: {endpoints: ["127.0.0.1:1"]}\n'
                    f"snapshot_path: /var/lib/etcd-backupd/{sock}.db\nencryption_key_path: /etc/etcd-backupd/master.key\n"
                    "s3_client: {objects_prefix: a, endpoint: '127.0.0.1:1', bucket: backups, region: us-east-1,"
                    " auth: {key_auth: /etc/etcd-backupd/s3.yml}}\n"
                    f"control: {{socket: /run/etcd-backupd/{sock}}}\nCONF")

    def kept(self):
        return self.do("md5sum /etc/etcd-backupd.conf /etc/etcd-backupd/*")

    def property(self, unit, name):
        return self.do(f"systemctl show --value -p {name} {unit}").strip()

    def run(self):
        """The numbers of the daemons' processes; they answer."""
        for unit in SERVICES:
            assert self.property(unit, "ActiveState") == "active", self.do(f"journalctl -q --no-pager -u {unit}")
        for sock in KEPT.values():
            self.do(f"etcd-backupctl -s /run/etcd-backupd/{sock} status")
        return [self.property(unit, "MainPID") for unit in SERVICES]

    def rest(self):
        """No unit of ours is active, no process of ours is left."""
        active = self.do("systemctl list-units --no-legend --state=active,activating,deactivating,failed 'etcd-backupd*'")
        assert active == "" and self.do("pgrep -x etcd-backupd || :") == ""

    def enabled(self):
        units = [*SERVICES, "etcd-backupd.socket", "etcd-backupd@prod.socket"]
        return {unit for unit in units if self.do(f"systemctl is-enabled {unit} || :").strip() == "enabled"}


@pytest.fixture(name="machine")
def make_machine(folder):
    with Machine(folder) as machine:
        yield machine


def test_lintian(deb):
    done = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", deb], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and not re.search("^[EW]:", done.stdout, re.M), done.stdout


def test_version():
    """The changelog's version is meson's, and the CHANGELOG's newest."""
    meson = re.search(r"^ *version: '(.*)'", (TOP / "meson.build").read_text(), re.M)[1]
    assert re.match(r"etcd-backupd \((.*)\)", (TOP / "debian/changelog").read_text())[1] == meson
    assert re.search(r"^## \[(\d.*?)\]", (TOP / "CHANGELOG.md").read_text(), re.M)[1] == meson


def test_installed(machine, deb):
    """Nothing runs and nothing is enabled: there is no configuration. What the package's own tests say."""
    machine.do(f"apt-get install -y {deb}")
    machine.rest()
    assert machine.enabled() == set()
    machine.do(f"AUTOPKGTEST_TMP={machine.dir} {TOP}/debian/tests/smoke")
    assert "the whole way works" in machine.do(f"AUTOPKGTEST_TMP={machine.dir} {TOP}/debian/tests/whole-way")
    machine.rest()
    # Nobody has put anything there: nothing is left.
    machine.do("dpkg --purge etcd-backupd")
    assert machine.do("ls -d /etc/etcd-backupd* /var/lib/etcd-backupd* /usr/*bin/etcd-backup* /usr/share/doc/etcd-backupd "
                      "/usr/lib/systemd/system/etcd-backupd* 2>/dev/null || :") == ""


def test_lives(machine, deb, folder):
    """Upgrade, reinstallation, removal and purge, with daemons that run."""
    machine.do(f"dpkg -i {deb}")
    machine.configure()
    kept = machine.kept()

    # Configured, and not enabled: an upgrade starts nothing.
    machine.do(f"dpkg -i {in_other_words(deb, '9.1', folder)}")
    machine.rest()
    assert machine.enabled() == set()

    machine.do("systemctl enable --now etcd-backupd etcd-backupd@prod")
    was = machine.run()
    machine.do(f"dpkg -i {in_other_words(deb, '9.2', folder)}")
    now = machine.run()
    assert not set(was) & set(now), "the new programs run"
    machine.do(f"dpkg -i {folder}/9.2.deb")
    assert not set(machine.run()) & set(now)

    # One that somebody started without enabling it is still there behind an upgrade.
    machine.do("systemctl disable etcd-backupd etcd-backupd@prod")
    machine.do(f"dpkg -i {in_other_words(deb, '9.3', folder)}")
    machine.run()
    machine.do("systemctl enable etcd-backupd etcd-backupd@prod")

    # A configuration that the new version does not like is no reason to leave dpkg in the middle of an upgrade.
    machine.do("cp -p /etc/etcd-backupd.conf /root/good; echo nonsense: 1 >>/etc/etcd-backupd.conf")
    machine.do(f"dpkg -i {in_other_words(deb, '9.4', folder)}")
    assert "ok installed" in machine.do("dpkg -s etcd-backupd")
    assert machine.property("etcd-backupd", "ActiveState") == "failed"
    machine.do("cp -p /root/good /etc/etcd-backupd.conf; systemctl reset-failed; systemctl start etcd-backupd")
    machine.run()

    machine.do("dpkg --remove etcd-backupd")
    machine.rest()
    assert machine.kept() == kept
    machine.do(f"dpkg -i {deb}")
    machine.run()
    assert machine.enabled() == set(SERVICES)

    # Keys and configurations are nobody's but the administrator's.
    machine.do("dpkg --purge etcd-backupd")
    machine.rest()
    assert machine.kept() == kept
    machine.do(f"dpkg -i {deb}")
    machine.rest()
    assert machine.enabled() == set() and machine.kept() == kept


def test_sockets(machine, deb, folder):
    """A socket goes on listening through an upgrade, whether its daemon runs or not; a removal ends both."""
    machine.do(f"dpkg -i {deb}")
    machine.configure()
    machine.do("systemctl enable --now etcd-backupd.socket etcd-backupd@prod.socket")
    machine.do(f"dpkg -i {in_other_words(deb, '9.1', folder)}")
    assert [machine.property(unit, "ActiveState") for unit in SERVICES] == ["inactive"] * 2
    for sock in KEPT.values():
        machine.do(f"etcd-backupctl -s /run/etcd-backupd/{sock} status")
    was = machine.run()
    machine.do(f"dpkg -i {in_other_words(deb, '9.2', folder)}")
    wait_for(lambda: not set(machine.run()) & set(was))
    for sock in KEPT.values():
        machine.do(f"etcd-backupctl -s /run/etcd-backupd/{sock} status")
    machine.do("dpkg --remove etcd-backupd")
    machine.rest()
    machine.do(f"dpkg -i {deb}")
    for sock in KEPT.values():
        machine.do(f"etcd-backupctl -s /run/etcd-backupd/{sock} status")
