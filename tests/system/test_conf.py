"""etcd-backupd --check-config: a bad configuration is one line with its place, and nothing starts."""

import os
import re
import subprocess

import pytest

import servers

ROOT = servers.HERE.parent.parent

# What the Go tool's users have, as its README tells them to write it, with the quotes that people use and do not use.
GOOD = """\
etcd_client:
  endpoints:
    - "127.0.0.1:2379"
    - 'https://localhost:22379'
  connection_timeout: "60s"
  request_timeout: 1m
  retries: 10
  auth:
    ca_cert: {ca}/ca.crt
    client_cert: {ca}/root.crt
    client_key: {ca}/root.key
snapshot_path: "snapshot"
encryption_key_path: master.key
s3_client:
  objects_prefix: backup
  endpoint: "127.0.0.1:9000"
  bucket: backups
  auth:
    ca_cert: {ca}/ca.crt
    key_auth: s3.yml
  region: us-east-1
  connection_timeout: 60s
  request_timeout: 60s
log_level: INFO
"""


class Config:
    """config.yml in a folder of its own, with the files that it names beside it."""

    def __init__(self, folder, ca, programs):
        self.folder, self.programs = folder, programs
        self.text = GOOD.format(ca=ca.dir)
        self.write("master.key", os.urandom(32).hex() + "\n")
        self.write("s3.yml", "access_key: key\nsecret_key: GEHEIM\n")

    def write(self, name, content, mode=0o600):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    def replace(self, old, new):
        assert self.text.count(old) == 1
        self.text = self.text.replace(old, new)
        return self

    def run(self, *options, **environment):
        if self.text is not None:
            self.write("config.yml", self.text)
        return subprocess.run([self.programs.daemon, *options, "-c", "config.yml"], cwd=self.folder, text=True,
                              env=self.programs.environment | environment, stdin=subprocess.DEVNULL,
                              capture_output=True)

    def is_good(self):
        done = self.run("--check-config")
        assert (done.stdout, done.stderr, done.returncode) == ("config.yml: the configuration is good\n", "", 0)

    def is_refused(self, line, started=2):
        """By the check and by the start, with the same line, behind the file's name; by the start with this status."""
        for options, status in (["--check-config"], 2), ([], started):
            done = self.run(*options)
            assert (done.stderr, done.stdout, done.returncode) == (f"config.yml:{line}\n", "", status)


@pytest.fixture
def config(folder, ca, programs):
    return Config(folder, ca, programs)


def test_good(config):
    config.is_good()


def test_every_way_of_passing_the_options(config):
    config.is_good()
    for options in ["--config", "config.yml", "--check-config"], ["--check-config", "-cconfig.yml"]:
        done = subprocess.run([config.programs.daemon, *options], cwd=config.folder, env=config.programs.environment,
                              text=True, capture_output=True)
        assert (done.stdout, done.returncode) == ("config.yml: the configuration is good\n", 0)


@pytest.mark.parametrize("old, new, line", [
    ("  retries: 10", "  retries: 10x", "7:12: etcd_client.retries: '10x' is not a number (decimal digits alone)"),
    ("  retries: 10", "  retrys: 10", "7:3: etcd_client.retrys: unknown key; did you mean etcd_client.retries?"),
    ("  retries: 10", "  retries: 1\n  retries: 2",
     "8:3: etcd_client.retries: is there a second time; the first is in line 7, column 3"),
    ("  bucket: backups", "  bucket:", "17:3: s3_client.bucket: has no value: The bucket that holds the backups; it must exist."),
    ("  retries: 10", "\tretries: 10", "7:1: a tab; YAML is indented with spaces alone"),
    ("  request_timeout: 1m", "  request_timeout: 15x", "6:20: etcd_client.request_timeout: '15x' is not a duration "
     "(examples: 90s, 1m, 1h30m, 15d, 10w, 1y)"),
    ("    - 'https://localhost:22379'", "    - 'ftp://localhost'", "4:7: etcd_client.endpoints[1]: 'ftp://localhost' "
     "is not an endpoint: the scheme is none of https, http and unix"),
    ("  bucket: backups\n", "",
     "14:1: s3_client.bucket: is missing: The bucket that holds the backups; it must exist."),
    ("  bucket: backups", "  bucket: [backups]", "17:11: s3_client.bucket: must be a single value (name), not a list"),
    ("  bucket: backups", "  bucket: back/ups",
     "17:11: s3_client.bucket: 'back/ups' has a character that cannot be in such a name"),
    ("  bucket: backups", "  bucket: *b", "17:11: s3_client.bucket: anchors and aliases are not supported; write the "
     "value out"),
    ("log_level: INFO", "log_level: loud", "24:12: log_level: 'loud' is none of error, warning, info, debug"),
    ("log_level: INFO", "log_level: 'INFO", "24:12: not valid YAML: found unexpected end of stream while scanning a "
     "quoted scalar"),
])
def test_a_line_that_is_wrong(config, old, new, line):
    config.replace(old, new).is_refused(line)


@pytest.mark.parametrize("old, new, line", [
    ("encryption_key_path: master.key", "encryption_key_path: other.key",
     "13:1: encryption_key_path: other.key: No such file or directory"),
    ("snapshot_path: \"snapshot\"", "snapshot_path: nodir/snapshot",
     "12:1: snapshot_path: directory nodir does not exist: mkdir -p nodir"),
])
def test_a_line_that_names_what_is_not_there(config, old, new, line):
    """It may come, with a mount say: the unit starts the daemon again."""
    config.replace(old, new).is_refused(line, started=1)


@pytest.mark.parametrize("content, line", [
    ("", "1:1: the file is empty; etcd-backupd.conf.example shows what belongs here"),
    ("hello\n", "1:1: must be 'key: value' lines, not a single value"),
    (b"log_level: \xff\n", "1:12: is not text in UTF-8"),
    (b"log_level: a\0b\n", "1:13: a control character (U+0000)"),
    ("[" * 100000, "1:10: [0][0][0][0][0][0][0][0][0]: nested too deeply"),
    ("#" * (1 << 20) + "\n", "1:1: longer than 1048576 bytes"),
])
def test_a_file_that_is_none(config, content, line):
    config.text = None
    config.write("config.yml", content)
    config.is_refused(line)


def test_no_file(config):
    config.text = None
    config.is_refused(" No such file or directory")
    (config.folder / "config.yml").mkdir()
    config.is_refused(" is a directory, not a file")


@pytest.mark.parametrize("name, key", [("master.key", "13:1: encryption_key_path"),
                                       ("s3.yml", "20:5: s3_client.auth.key_auth")])
def test_secrets_that_all_can_read(config, name, key):
    (config.folder / name).chmod(0o644)
    config.is_refused(f"{key}: {name}: holds a secret but is open to all users (mode 0644); use chmod o-rwx")
    (config.folder / name).chmod(0o640)
    config.is_good()


@pytest.mark.parametrize("name, content, line", [
    ("master.key", "0123\n", "13:1: encryption_key_path: master.key: is not a master key: 4 hexadecimal digits instead "
     "of 64"),
    ("s3.yml", "access_key: key\nsecret: GEHEIM\n", "20:5: s3_client.auth.key_auth: s3.yml:2:1: a key that is none of "
     "access_key, secret_key, session_token"),
    ("s3.yml", "GEHEIM\n", "20:5: s3_client.auth.key_auth: s3.yml:1:1: is not 'key: value'"),
])
def test_files_with_something_else_in_them(config, name, content, line):
    config.write(name, content)
    config.is_refused(line)


def test_key_and_certificate_mixed_up(config, ca):
    config.replace(f"client_cert: {ca.dir}/root.crt", f"client_cert: {ca.dir}/root.key")
    config.is_refused(f"10:5: etcd_client.auth.client_cert: {ca.dir}/root.key:1: holds no certificate in PEM "
                      "(-----BEGIN CERTIFICATE-----)")


def test_without_etcd(config):
    """As the Go tool's templates have it for a machine that only restores: it is said what this is good for."""
    start, end = config.text.index("etcd_client:"), config.text.index("snapshot_path:")
    whole = config.text
    config.text = config.text[:start] + config.text[end:].replace("region: us-east-1", 'region: ""') + "etcd_client:\n"
    done = config.run("--check-config")
    assert (done.stdout, done.stderr, done.returncode) == (
        "config.yml: the configuration is good for list, verify, restore, prune and rotate-key; a backup needs "
        "etcd_client.endpoints, too\n", "", 0)
    done = subprocess.run([config.programs.ctl, "-c", "config.yml", "backup"], cwd=config.folder, capture_output=True,
                          env=config.programs.environment, text=True)
    assert done.returncode == 2 and re.fullmatch(
        r"config\.yml:14:1: etcd_client\.endpoints: is missing: .*\n", done.stderr), done
    config.text += "schedule: {interval: 1h}\n"
    config.is_refused("15:1: schedule: needs etcd_client.endpoints: what would be backed up?")
    config.text = whole
    config.is_good()


def test_options_of_the_go_tool(config, folder):
    """Its -c=FILE; its config.yml where one works, if neither a daemon nor a file is named; and a file that was forgotten."""
    config.is_good()
    done = config.run("--check-config", "-c=config.yml")
    assert done.returncode == 0

    def ctl(*arguments):
        return subprocess.run([config.programs.ctl, *arguments], cwd=folder, capture_output=True, text=True,
                              env=config.programs.environment)

    config.text = config.text.replace("bucket: backups", "bucket: back/ups")
    config.write("config.yml", config.text)
    line = "config.yml:17:11: s3_client.bucket: 'back/ups' has a character that cannot be in such a name\n"
    for arguments in ("list", "-c=config.yml"), ("-c", "config.yml", "list"):
        done = ctl(*arguments)
        assert (done.returncode, done.stderr) == (2, line)
    if not os.path.exists("/run/etcd-backupd/control.sock"):
        done = ctl("list")
        note = "note: no daemon has /run/etcd-backupd/control.sock: working with ./config.yml\n"
        assert (done.returncode, done.stderr) == (2, note + line)
        assert ctl("-q", "list").stderr == line
        (folder / "config.yml").chmod(0o666)  # anybody may have written it
        assert ctl("list").returncode == 3
        assert ctl("-s", "other.sock", "list").returncode == 3
    done = ctl("-c", "list")
    assert done.returncode == 2 and done.stderr.startswith("etcd-backupctl: which command? 'list' was taken for the FILE of -c\n")


def test_open_secrets_and_who_only_reads(config, folder):
    """The Go tool's users have them so: a daemon and what changes the bucket stop, what reads is told."""
    (folder / "s3.yml").chmod(0o644)
    config.is_refused("20:5: s3_client.auth.key_auth: s3.yml: holds a secret but is open to all users (mode 0644); use "
                      "chmod o-rwx")
    config.text = config.text.replace('"127.0.0.1:9000"', "http://127.0.0.1:1")
    config.write("config.yml", config.text)

    def ctl(*arguments):
        return subprocess.run([config.programs.ctl, "-c", "config.yml", *arguments], cwd=folder, capture_output=True, text=True,
                              env=config.programs.environment)

    for command in (["backup"], ["prune"], ["rotate-key", "-p", "master.key"]):
        done = ctl(*command)
        assert done.returncode == 2 and "use chmod o-rwx" in done.stderr, done


def test_warnings_are_no_errors(config):
    config.replace("encryption_key_path: master.key\n", "")
    config.replace("\"127.0.0.1:9000\"", "http://10.0.0.1:9000")
    done = config.run("--check-config")
    assert done.returncode == 0
    assert done.stdout == "config.yml: the configuration is good\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "encryption_key_path: is left out: backups are NOT encrypted" in lines[0]
    assert "config.yml:15:13: s3_client.endpoint: http:// is not encrypted" in lines[1]


def test_the_example(config):
    """As it comes it says nothing; without its signs it is good, but for the files that are not there."""
    example = (ROOT / "etcd-backupd.conf.example").read_text()
    config.text = example
    config.is_refused("1:1: the file is empty; etcd-backupd.conf.example shows what belongs here")
    config.text = re.sub(r"^#", "", example, flags=re.MULTILINE).replace("    cron:", "#   cron:")  # or interval
    done = config.run("--check-config")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"config\.yml:\d+:9: etcd_client\.auth\.ca_cert: /etc/etcd-backupd/etcd-ca\.crt: No such file or "
                        r"directory", lines[0])
    assert all(re.fullmatch(r"config\.yml:\d+:\d+: [a-z0-9_.]+: (/\S+: No such file or directory|directory (\S+) does not "
                            r"exist: mkdir -p \2|there is no group '\S+')", line) for line in lines), lines


def test_the_environment_has_no_credentials(config):
    """Those that other tools take from there are not taken: the file stays mandatory."""
    config.replace("    key_auth: s3.yml\n", "")
    done = config.run("--check-config", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="GEHEIM")
    assert done.returncode == 2
    assert re.fullmatch(r"config\.yml:18:3: s3_client\.auth\.key_auth: is missing: .*, s3_client\.auth\.source "
                        r"says so\.\n", done.stderr)
