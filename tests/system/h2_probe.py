"""h2_probe.c, driven by a test: one call by lib/h2, and what it says, line by line."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import servers

sys.path.insert(0, str(servers.HERE.parent / "peer"))

import h2peer  # noqa: E402

BUILD = Path(os.environ.get("BUILD_DIR", servers.HERE.parent.parent / "build" / "gcc"))
PROGRAM = BUILD / "tests" / "system" / "h2_probe"
ENVIRONMENT = dict(servers.ENVIRONMENT, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
STATUS = "/etcdserverpb.Maintenance/Status"
METHOD = "/test/Method"  # of the scripted peer
SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"


class Probe:
    """Started at once. Options: ca="FILE", unary=True, cancel_after=3 and so on, as in h2_probe.c."""

    def __init__(self, endpoint, method, request=b"", wrapper=(), **options):
        self.lines, self.changed = [], threading.Condition()
        words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
                 for name, value in options.items() if value not in (None, False)]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *wrapper, str(PROGRAM), *words, endpoint, method, request.hex()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.ended = False
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_line(self, beginning, count=1):
        """Waits for the `count`th line that begins so; returns the rest of it."""
        def find():
            found = [line for line in self.lines if line.startswith(beginning)]
            return found[count - 1][len(beginning):].strip() if len(found) >= count else None
        with self.changed:
            self.changed.wait_for(lambda: find() is not None or self.ended, 120)
            assert find() is not None, f"no '{beginning}' among: {self.lines}"
            return find()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Waits for its end; returns itself. What a sanitizer has to say is an error here."""
        self.reader.join()
        self.err = self.process.stderr.read()
        self.status = self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        assert "Sanitizer" not in self.err and "runtime error:" not in self.err, self.err
        assert self.status in (0, 1), (self.status, self.lines, self.err)
        return self

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.reader.join()
        self.process.wait()

    @property
    def messages(self):
        """The messages of the answer, when they were told (no --count)."""
        return [bytes.fromhex(line[8:]) for line in self.lines if line.startswith("message ")]

    @property
    def _words(self):
        line = next(line for line in reversed(self.lines) if line.startswith(("done", "closed", "not ")))
        return line.split(" ", 4) if not line.startswith("not ") else line.split(" ", 5)[1:]

    @property
    def outcome(self):
        """"OK", or the kind of the error, of the last call or the connection; `code` and `text` are its."""
        return self._words[1]

    @property
    def code(self):
        return int(self._words[3])

    @property
    def text(self):
        return self._words[4]


def call(endpoint, method=STATUS, request=b"", **options):
    """One call to its end."""
    return Probe(endpoint, method, request, **options).wait()


def play(handler, settings=None, **options):
    """One call to a scripted peer, answered by the handler; returns the probe and the peer. Options of both."""
    peer_options = {name: options.pop(name) for name in ("greet", "accept", "ack_pings", "tls") if name in options}
    with h2peer.Peer({METHOD: handler}, settings=settings, **peer_options) as peer:
        return call(peer.endpoint, METHOD, options.pop("request", b""), **options), peer


def answer(*messages, status=0):
    """A handler that says this."""
    def handler(asked):
        asked.headers()
        for message in messages:
            asked.message(message)
        asked.trailers(status)
    return handler
