"""Command lines that people and scripts plausibly give: each works, or fails in one line that is true; none of it crashes."""

import itertools
import random
import re
import subprocess

import pytest

VALUES = ["", "=", "=x", "x", "-1", "0", "00", "1", "9" * 20, "15d", "360h", "-5m", "1.5h", "yesterday", "latest", "2024-12-06",
          "2024-12-06T21:22:25Z", "2024-12-06 21:22:25+00:00", "2024-12-06T21:22:25.123Z", "backup-2024-12-06T21:22:25Z.dump",
          "s3://bucket/backup-2024-12-06T21:22:25Z.dump", "/", ".", "/dev/null", "a\nb", "\x1b[2J", "\udcff", "x" * 5000, "--", "-"]
COMMANDS = {
    "backup": [], "list": [], "status": [],
    "restore": ["-t", "-d", "-e", "-o", "-l", "-a", "-n", "--output", "--wal-dir", "--owner", "--bump-revision", "-u"],
    "verify": ["-t", "-e"],
    "ls": ["-t", "--rev", "--prefixes"],
    "get": ["-t", "--rev", "--output"],
    "diff": ["-t", "--rev", "--to", "--to-rev"],
    "export": ["-t", "--rev"],
    "prune": ["-a", "-i"],
    "rotate-key": ["-p", "--new-key"],
    "key-fingerprint": [],
}


def lines(done):
    """What it said on standard error: lines for a person, which no terminal can be fooled by."""
    text = done.stderr.decode(errors="surrogateescape")
    assert "Sanitizer" not in text and "runtime error" not in text, text
    return text.split("\n")


def run(programs, folder, *arguments):
    return subprocess.run([programs.ctl, "-s", "no.sock", *arguments], cwd=folder, env=programs.environment, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_with_each_value(programs, folder, command):
    chosen = random.Random(command)
    ways = [lambda option, value: [option, value],
            lambda option, value: [option + ("=" if option[1] == "-" else chosen.choice(["", "="])) + value]]
    for option, value in itertools.product(COMMANDS[command] or [""], chosen.sample(VALUES, 6)):
        words = chosen.choice(ways)(option, value) if option else [value]
        done = run(programs, folder, command, *words)
        # Nothing listens there (3), or it is said before that what is wrong (2); a file that is no key fails (1).
        assert done.returncode in ((1, 2, 3) if "key" in command else (2, 3)), (words, done)
        said = [line for line in lines(done)[:-1] if not line.startswith(("note: ", "warning: "))]
        assert said and all(line.startswith("etcd-backupctl: ") or line.startswith("try: ") for line in said) or "\n" in value, (words, done)
        assert len(said) <= 2 or "\n" in value, (words, done)
        assert done.stdout == b"", done


@pytest.mark.parametrize("program", ["daemon", "ctl"])
def test_version_names_all_that_is_linked(programs, program):
    """Bug reports want them."""
    headers = subprocess.run(["objdump", "-p", getattr(programs, program)], check=True, capture_output=True, text=True).stdout
    # libc's are Debian's; of mbedTLS there are three; sanitizers have some of their own.
    needed = set(re.findall(r"NEEDED +lib(\w[\w-]*)\.so", headers)) - {"c", "m", "asan", "ubsan", "gcc_s"}
    names = {re.sub("^mbed.*", "mbedTLS", name).removesuffix("-0") for name in needed}
    done = subprocess.run([getattr(programs, program), "-V"], check=True, capture_output=True, text=True, env=programs.environment)
    said = done.stdout.splitlines()[1]
    assert needed and not {name for name in names if not re.search(rf"{name}[ /_]v?\d", said)}, said


@pytest.mark.parametrize("words, status, said", [
    ([], 2, "which command?"),
    (["-c", "list"], 2, "which command? 'list' was taken for the FILE of -c"),
    (["-q"], 2, "which command?"),
    (["backups"], 2, "no command 'backups'"),
    (["--config=x", "-s", "y", "list"], 2, "give one of them"),
    (["list", "backup"], 2, "'backup' is not expected here"),
    (["verify", "-t", "2024-12-06T21:22:25.5Z"], 2, "is between two seconds"),
    (["restore"], 2, "which data directory?"),
    (["restore", "-n", ""], 2, "--name is empty"),
    (["restore", "-u", "maybe", "-d", "x"], 2, "'maybe' is not expected here"),
    (["get"], 2, "which KEY?"),
    (["get", ""], 2, "which KEY?"),
    (["ls", "a", "b"], 2, "'b' is not expected here"),
    (["ls", "--rev", "0"], 2, "no whole number"),
    (["ls", "--file", "x", "-t", "2024-12-06T21:22:25Z"], 2, "--file is no backup"),
    (["ls", "--file", ""], 2, "--file is empty"),
    (["ls", "--file", "none"], 1, "none: No such file or directory"),
    (["ls", "--file", "."], 1, ".: is not a file"),
    (["diff"], 2, "compare it with what?"),
    (["diff", "--to", "yesterday"], 2, "yesterday"),
    (["diff", "--file", "a"], 2, "compare it with what?"),
    (["get", "k", "--history", "--output", "x"], 2, "give one of them"),
    (["get", "\\x", "--escaped"], 2, "two hexadecimal digits"),
    (["diff", "--live", "--to", "x"], 2, "give one of them"),
    (["ls", "/registry/"], 3, "no etcd-backupd listens on"),
    (["prune", "-a", "-1d"], 2, "'-1d' is less than nothing"),
    (["prune", "-a", "0"], 2, "at least a second"),
    (["prune", "-a=15"], 2, "'15' is not a duration"),
    (["prune", "-i=x"], 2, "'x' is no whole number"),
    (["prune", "-a=360h", "-i", "0"], 3, "no etcd-backupd listens on"),
    (["restore", "-t", "", "-n=x", "-l=x=http://localhost:2380", "-d=data"], 3, "no etcd-backupd listens on"),
    (["verify", "-t=2024-12-06t21:22:25.000z"], 3, "no etcd-backupd listens on"),
])
def test_words(programs, folder, words, status, said):
    command = [programs.ctl, *words] if "-c" in words or "-s" in words else [programs.ctl, "-s", "no.sock", *words]
    done = subprocess.run(command, cwd=folder, env=programs.environment, check=False, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    assert done.returncode == status and said in done.stderr, done
