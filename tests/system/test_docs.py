"""What is written about the programs is what they are."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import servers

TOP = Path(__file__).resolve().parent.parent.parent


def print_schema():
    return Path(servers.Programs().daemon).parent.parent / "tests" / "unit" / "conf" / "print_schema"


def schema():
    """Key to its default, as the program has them."""
    rows = [line.split("\t") for line in told(print_schema()).splitlines()]
    return {key: default for key, _, default, _ in rows}


def test_example_is_made_of_the_manual():
    made = told("python3", TOP / "man" / "example.py", print_schema())
    assert made == (TOP / "etcd-backupd.conf.example").read_text(), "python3 man/example.py .../print_schema makes it anew"


DOCUMENTS = [TOP / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "contrib/README.md")] + \
    sorted((TOP / "docs").glob("*.md"))


def anchors(document):
    """What a link to a heading of it may name, as the usual renderers make it of the heading."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^    .*$", "", document.read_text(), flags=re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\[[^]\n]*\]\(([^)\s]+)\)", document.read_text())
    for link in links:
        if re.match(r"https://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists() and TOP in (target, *target.parents), link
        assert not anchor or anchor in anchors(target), link


def test_readme_is_for_an_evening():
    assert len((TOP / "README.md").read_text().splitlines()) <= 150


def test_readme_names_every_command_and_exit_status():
    text = (TOP / "README.md").read_text()
    usage = subprocess.run([servers.Programs().ctl, "--help"], check=True, stdout=subprocess.PIPE).stdout.decode()
    commands = re.findall(r"^  ([a-z-]+) {2,}\S", usage, re.M)
    assert {"backup", "list", "status", "restore"} <= set(commands)
    for command in commands:
        assert re.search(rf"^\| `{command}\b", text, re.M), command
    for status, meaning in re.findall(r"(\d) ([a-z ]+)[,\n]", usage[usage.index("exit status"):]):
        assert re.search(rf"^\| {status} \|", text, re.M), (status, meaning)


# ---- what the programs say of themselves ----


def told(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def options_of(text):
    """Of the lines of a --help that begin with options: every -x and --long."""
    found = set()
    for line in text.splitlines():
        match = re.match(r" {2,6}(-.+?)(  |$)", line)
        if match:
            found |= set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+|-[A-Za-z])\b", match[1]))
    return found


def commands():
    """Command to the options that are its own; "" to the common ones."""
    ctl = servers.Programs().ctl
    common = options_of(told(ctl, "--help"))
    names = re.findall(r"^  ([a-z-]+) {2,}\S", told(ctl, "--help"), re.M)
    assert {"--socket", "-c", "--json"} <= common and {"backup", "verify"} <= set(names)
    return {"": common} | {name: options_of(told(ctl, name, "--help")) - common for name in names}


def daemon_options():
    found = options_of(told(servers.Programs().daemon, "--help"))
    assert {"-c", "--config", "--check-config"} <= found
    return found


# ---- man pages ----

PAGES = ["etcd-backupd.8", "etcd-backupctl.8", "etcd-backupd.conf.5"]


def page(name):
    return (TOP / "man" / name).read_text()


def described(text):
    """The options that have an entry (.It) in this text of a man page."""
    found = set()
    for line in re.findall(r"^\.It (Fl .+)$", text, re.M):
        found |= {"-" + name for name in re.findall(r"\bFl (-?[A-Za-z][a-z-]*)", line)}
    return found


@pytest.mark.parametrize("name", PAGES)
def test_man_page_has_no_mistakes(name):
    path = TOP / "man" / name
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    assert (done.returncode, done.stdout.decode()) == (0, "")
    done = subprocess.run(["man", "--warnings", "-l", "-E", "UTF-8", "-Tutf8", "-Z", path], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C.UTF-8", MANROFFSEQ=""), check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_man_page_has_every_key_at_its_default():
    entries = re.split(r"^\.It Cm ", page("etcd-backupd.conf.5"), flags=re.M)[1:]
    found = {}
    for entry in entries:
        key, words = entry.split(" ", 1)
        default = re.search(r"^Default: (.+)\.$", words, re.M)
        assert key not in found
        found[key] = default[1] if default else "mandatory" if re.search("^Mandatory[.]$", words, re.M) else \
            "optional" if re.search("^No default", words, re.M) else None
    assert found == schema()


def test_man_pages_have_every_command_and_option():
    text = page("etcd-backupctl.8")
    sections = dict(re.findall(r"^\.S[sh] (.+)\n((?:(?!\.S[sh] ).*\n)*)", text, re.M))
    for command, options in commands().items():
        section = sections[command or "DESCRIPTION"]
        assert options <= described(section), command
        assert not command or f".It Nm Cm {command}" in section
    assert described(page("etcd-backupd.8")) == daemon_options()


def test_man_pages_have_every_exit_status():
    usage = told(servers.Programs().ctl, "--help")
    statuses = re.findall(r"(\d) [a-z]", usage[usage.index("exit status"):])
    section = page("etcd-backupctl.8").split(".Sh EXIT STATUS")[1].split("\n.Sh ")[0]
    assert re.findall(r"^\.It (\d)$", section, re.M) == statuses


# ---- completion in shells ----


def bash_offers(script, *words):
    """What the function of that script offers for the last word, as bash calls it."""
    program = words[0].replace("-", "_")
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
           f'_{program}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code, "bash", script, *words], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.stderr == b""
    return set(done.stdout.decode().split())


def fish_offers(script, line):
    done = subprocess.run(["fish", "-N", "-c", f'source {script}; complete -C "{line}"'], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.stderr == b""
    return {offer.split("\t")[0] for offer in done.stdout.decode().splitlines()}


# zsh completes in a terminal alone: here its own functions are played, and write down what they were given to offer.
ZSH = r"""
fpath=($1 $fpath)
autoload -Uz compinit && compinit -D -u
_arguments() { builtin print -rl -- "$@" >>$offers; [[ $* != *'->command'* ]] || { words=($command x); state=$wanted; return 1 } }
_describe() { builtin print -rl -- ${(P)4} >>$offers }
offers=$2 command=$4
autoload +X -Uz $3
for wanted in command option; do $3; done
"""


def zsh_offers(folder, program, command=""):
    offers = folder / "offers"
    offers.write_text("")
    done = subprocess.run(["zsh", "-f", "-c", ZSH, "zsh", TOP / "completions", offers, f"_{program}", command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.stdout == b""
    specs = [re.sub(r"^\(.*?\)", "", line) for line in offers.read_text().splitlines()]
    return {re.match(r"([\w-]*?)[-+=]*(?:[\[:*]|$)", spec)[1] for spec in specs}


def test_bash_offers_every_command_and_option():
    ctl, daemon = TOP / "completions" / "etcd-backupctl.bash", TOP / "completions" / "etcd-backupd.bash"
    known = commands()
    assert known[""] | set(known) - {""} <= bash_offers(ctl, "etcd-backupctl", "")
    for command, options in known.items():
        if command:
            assert options | known[""] <= bash_offers(ctl, "etcd-backupctl", "-c", "list", command, "-"), command
    assert bash_offers(daemon, "etcd-backupd", "") == daemon_options()


def test_bash_offers_what_fits_an_option(folder):
    ctl = TOP / "completions" / "etcd-backupctl.bash"
    (folder / "file.yml").touch()
    assert bash_offers(ctl, "etcd-backupctl", "-c", f"{folder}/fi") == {f"{folder}/file.yml"}
    assert bash_offers(ctl, "etcd-backupctl", "--config", "=", f"{folder}/fi") == {f"{folder}/file.yml"}
    assert bash_offers(ctl, "etcd-backupctl", "restore", "-d", f"{folder}/") == set()
    assert bash_offers(ctl, "etcd-backupctl", "restore", "--use-etcdutl", "=") == {"true", "false"}
    assert bash_offers(ctl, "etcd-backupctl", "restore", "--name", "") == set()


def test_fish_offers_every_command_and_option():
    ctl, daemon = TOP / "completions" / "etcd-backupctl.fish", TOP / "completions" / "etcd-backupd.fish"
    known = commands()
    assert set(known) - {""} <= fish_offers(ctl, "etcd-backupctl ")
    for command, options in known.items():
        if command:
            offers = fish_offers(ctl, f"etcd-backupctl {command} -") | fish_offers(ctl, f"etcd-backupctl {command} --")
            assert options | known[""] <= offers, command
    assert fish_offers(daemon, "etcd-backupd -") | fish_offers(daemon, "etcd-backupd --") == daemon_options()


def test_zsh_offers_every_command_and_option(folder):
    known = commands()
    for command, options in known.items():
        assert options | known[""] | set(known) - {""} <= zsh_offers(folder, "etcd-backupctl", command) | {command}, command
    assert zsh_offers(folder, "etcd-backupd") == daemon_options()


# ---- what is installed, and the units ----


@pytest.fixture(name="installed")
def install(folder):
    """The tree that `meson install` makes, below the prefix; its units with the program where it is now."""
    build = Path(servers.Programs().daemon).parent.parent
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder / "tree"], check=True,
                   stdout=subprocess.PIPE)
    prefix = folder / "tree" / "usr" / "local"
    for unit in (prefix / "lib" / "systemd" / "system").iterdir():
        unit.write_text(re.sub(r"=\S+/etcd-backupd\b(?=$| )", f"={servers.Programs().daemon}", unit.read_text(), flags=re.M))
    return prefix


UNITS = ["etcd-backupd.service", "etcd-backupd.socket", "etcd-backupd@.service", "etcd-backupd@.socket"]


def test_all_is_installed(installed):
    for path in ["sbin/etcd-backupd", "bin/etcd-backupctl",
                 "lib/sysusers.d/etcd-backupd.conf", "lib/tmpfiles.d/etcd-backupd.conf",
                 *[f"lib/systemd/system/{unit}" for unit in UNITS], *[f"share/man/man{name[-1]}/{name}" for name in PAGES],
                 *[f"share/bash-completion/completions/{name}" for name in ("etcd-backupd", "etcd-backupctl")],
                 *[f"share/zsh/site-functions/_{name}" for name in ("etcd-backupd", "etcd-backupctl")],
                 *[f"share/fish/vendor_completions.d/{name}.fish" for name in ("etcd-backupd", "etcd-backupctl")],
                 *[f"share/doc/etcd-backupd/examples/{name}" for name in (
                     "keys.conf", "restore.conf", "etcd-backupd.conf.example", "etcd-backupd.rules.yml",
                     "etcd-backupd.dashboard.json", "reader.py")],
                 *[f"share/doc/etcd-backupd/{path.name}" for path in (TOP / "docs").glob("*.md")]]:
        assert (installed / path).is_file(), path
    written = "".join(path.read_text() for path in installed.parent.parent.rglob("*") if path.suffix in (".service", ".conf"))
    assert not re.search(r"@[a-z_]+@", written)


def verify(unit, manuals):
    done = subprocess.run(["systemd-analyze", "verify", "--man=yes", unit], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, MANPATH=str(manuals)), check=False)
    assert (done.returncode, done.stdout.decode()) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_one(installed, unit):
    units = installed / "lib" / "systemd" / "system"
    for template in [path for path in units.iterdir() if "@" in path.name]:
        template.rename(units / template.name.replace("@", "@prod"))  # systemd looks at instances alone
    verify(units / unit.replace("@", "@prod"), installed / "share" / "man")


@pytest.mark.parametrize("drop_in", ["keys.conf", "restore.conf"])
def test_drop_in_is_one(installed, drop_in):
    unit = installed / "lib" / "systemd" / "system" / "etcd-backupd.service"
    folder = unit.with_name("etcd-backupd.service.d")
    folder.mkdir()
    shutil.copy(installed / "share" / "doc" / "etcd-backupd" / "examples" / drop_in, folder)
    verify(unit, installed / "share" / "man")
    assert exposure(unit) < 2.0


def exposure(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=True)
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout.decode())[1])


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.endswith(".service")])
def test_service_may_do_little(installed, unit):
    assert exposure(installed / "lib" / "systemd" / "system" / unit) < 2.0


def test_user_and_folders_are_made(installed, folder):
    root = folder / "root"
    for name in ("etc", "run"):
        (root / name).mkdir(parents=True)
    for tool, path in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")):
        options = ["--create"] if tool == "systemd-tmpfiles" else []
        text = (installed / "lib" / path / "etcd-backupd.conf").read_text()
        (folder / "made.conf").write_text(text.replace("/usr/local/etc/", "/etc/"))
        done = subprocess.run([tool, f"--root={root}", *options, folder / "made.conf"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()
    user = re.search(r"^etcd-backupd:[^:]*:(\d+):(\d+):[^:]*:/var/lib/etcd-backupd:.*nologin$",
                     (root / "etc/passwd").read_text(), re.M)
    run, keys = (root / "run/etcd-backupd").stat(), (root / "etc/etcd-backupd").stat()
    assert (oct(run.st_mode & 0o777), run.st_uid, run.st_gid) == ("0o755", int(user[1]), int(user[2]))
    assert (oct(keys.st_mode & 0o777), keys.st_uid, keys.st_gid) == ("0o750", 0, int(user[2]))


# ---- alerts and the dashboard ----

CONTRIB = TOP / "contrib"


def metrics():
    """The table of metrics in contrib/README.md: name to the labels."""
    text = (CONTRIB / "README.md").read_text()
    rows = re.findall(r"^\| `(etcd_backupd_\w+)(?:\{(\w+)\})?` \| (?:gauge|counter) \|", text, re.M)
    code = (TOP / "daemon/tell/metrics_page.c").read_text()
    shown = re.findall(r'\b(?:head|sample|sample_ms)\(out, "(\w+)", "(?:gauge|counter)"', code)
    assert len(shown) > 10 and sorted(name for name, _ in rows) == sorted(f"etcd_backupd_{name}" for name in shown)
    return dict(rows)


def promtool(*words, cwd=CONTRIB):
    done = subprocess.run(["promtool", *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()


def test_alert_rules_ring_when_they_should():
    promtool("check", "rules", "etcd-backupd.rules.yml")
    promtool("test", "rules", "etcd-backupd.rules.test.yml")


def test_alert_rules_are_tested_and_documented():
    alerts = re.findall(r"^ +- alert: (\w+)$", (CONTRIB / "etcd-backupd.rules.yml").read_text(), re.M)
    severities = re.findall(r"^ +severity: (\w+)$", (CONTRIB / "etcd-backupd.rules.yml").read_text(), re.M)
    rows = re.findall(r"^\| `(\w+)` \| (critical|warning) \|", (CONTRIB / "README.md").read_text(), re.M)
    assert list(zip(alerts, severities)) == rows
    tests = (CONTRIB / "etcd-backupd.rules.test.yml").read_text()
    for alert in alerts:
        assert re.search(rf"\b{alert}\b", tests), alert


def expressions():
    board = json.loads((CONTRIB / "etcd-backupd.dashboard.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_rules_and_dashboard_name_metrics_that_exist():
    known = metrics()
    rules = "\n".join(re.findall(r"^ +expr: (.+(?:\n {10,}.+)*)", (CONTRIB / "etcd-backupd.rules.yml").read_text(), re.M))
    shown = "\n".join(expressions())
    assert set(re.findall(r"etcd_backupd_\w+", shown)) == set(known)
    assert set(re.findall(r"etcd_backupd_\w+", rules)) <= set(known)
    board = (CONTRIB / "etcd-backupd.dashboard.json").read_text()
    assert set(re.findall(r"etcd_backupd_\w+", board)) == set(known)
    for name, label in re.findall(r"(etcd_backupd_\w+)\{(\w+)=", rules):
        assert known[name] == label, name


def test_dashboard_is_one(folder):
    board = json.loads((CONTRIB / "etcd-backupd.dashboard.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    spots = {(x, y) for panel in board["panels"] for place in [panel["gridPos"]]
             for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
    assert len(spots) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in board["panels"]), "two overlap"
    assert max(x for x, _ in spots) < 24
    # Queries are checked as rules, which promtool reads, with what Grafana fills in.
    rules = [{"record": f"panel:{n}", "expr": text.replace("$__rate_interval", "5m")} for n, text in enumerate(expressions())]
    (folder / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", "panels.yml", cwd=folder)
