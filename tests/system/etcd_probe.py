"""etcd_probe (etcd_probe.c), running: what it says, line by line."""

import os
import queue
import signal
import subprocess
import threading
from pathlib import Path

import servers

BUILD = Path(os.environ.get("BUILD_DIR", servers.HERE.parent.parent / "build" / "gcc"))
PROBE = BUILD / "tests" / "system" / "etcd_probe"


class Probe:
    """Options as for the program, with `_` for `-`. A command is what follows the endpoints."""

    def __init__(self, endpoints, *command, **options):
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(PROBE), *words, *endpoints, *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=servers.ENVIRONMENT)
        self.lines, self.seen = queue.Queue(), []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        errors = self.process.stderr.read().decode()
        self.process.stdout.close()
        self.process.stderr.close()
        assert "Sanitizer" not in errors and "runtime error:" not in errors, errors

    def line(self):
        """The next line; None at the end."""
        line = self.lines.get(timeout=300)
        if line is not None:
            self.seen.append(line)
        return line

    def until(self, word):
        """Reads up to a line that begins with this word, and returns it."""
        while (line := self.line()) is not None:
            if line.split(" ")[0] == word:
                return line
        raise AssertionError(f"no line begins with {word}: {self.seen}\n{self.process.stderr.read().decode()}")

    def go_on(self):
        self.process.send_signal(signal.SIGURG)

    def end(self):
        """Waits for the end; returns all lines."""
        while self.line() is not None:
            pass
        self.status = self.process.wait()
        return self.seen

    def peak_memory(self):
        """Bytes of the largest resident set so far."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:")) * 1024


def run(endpoints, *command, **options):
    """Runs it to its end; returns (exit status, lines)."""
    with Probe(endpoints, *command, **options) as probe:
        lines = probe.end()
        return probe.status, lines


def fields(line):
    """The NAME=VALUE words of a line."""
    return dict(word.split("=", 1) for word in line.split(" ") if "=" in word)
