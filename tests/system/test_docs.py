"""What is written about the programs is what they are."""

import re
import shutil
import subprocess
from pathlib import Path

import servers

TOP = Path(__file__).resolve().parent.parent.parent


def schema():
    """Key to (default, help), as the program has them."""
    build = Path(servers.Programs().daemon).parent.parent
    text = subprocess.run([build / "tests" / "unit" / "conf" / "print_schema"], check=True, stdout=subprocess.PIPE).stdout
    rows = [line.split("\t") for line in text.decode().splitlines()]
    return {key: (default, words) for key, _, default, words in rows}


def test_readme_has_every_key_at_its_default():
    text = (TOP / "README.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| `?([^|`]+)`? \| (.+) \|$", text, re.M)
    assert {key: (default.strip(), words) for key, default, words in rows} == schema()


def test_readme_names_every_command_and_exit_status():
    text = (TOP / "README.md").read_text()
    usage = subprocess.run([servers.Programs().ctl, "--help"], check=True, stdout=subprocess.PIPE).stdout.decode()
    commands = re.findall(r"^  ([a-z-]+) {2,}\S", usage, re.M)
    assert {"backup", "list", "status", "restore"} <= set(commands)
    for command in commands:
        assert re.search(rf"^\| `{command}\b", text, re.M), command
    for status, meaning in re.findall(r"(\d) ([a-z ]+)[,\n]", usage[usage.index("exit status"):]):
        assert re.search(rf"^\| {status} \|", text, re.M), (status, meaning)


def test_service_file_is_one(folder):
    build = Path(servers.Programs().daemon).parent.parent
    unit = (build / "systemd" / "etcd-backupd.service").read_text()
    # The program where it is now, since systemd looks whether it is there.
    path = folder / "etcd-backupd.service"
    path.write_text(re.sub(r"=\S+/etcd-backupd\b", f"={servers.Programs().daemon}", unit))
    assert shutil.which("systemd-analyze"), "tests/setup.sh installs systemd"
    done = subprocess.run(["systemd-analyze", "verify", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, "")
