"""s3_probe.c, driven by a test; and a scripted peer that speaks as broken HTTP as a test wants."""

import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import servers

BUILD = Path(os.environ.get("BUILD_DIR", servers.HERE.parent.parent / "build" / "gcc"))
PROGRAM = BUILD / "tests" / "system" / "s3_probe"
LAST = ("done", "failed", "refused", "quit", "cancelled", "looked")


class S3:
    """The client under test. s3("head", "key") runs one command to its end and returns what came of it; s3.start(...)
    only starts it, and s3.wait(id) waits. Options are those of s3_probe.c."""

    def __init__(self, endpoint, bucket="bucket", environment=None, **options):
        self.events, self.changed, self.count, self.over = {}, threading.Condition(), 0, False
        self.began = {}
        options = {"endpoint": endpoint, "bucket": bucket, **options}
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(PROGRAM), *(f"{k}={v}" for k, v in options.items() if v is not None)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**servers.ENVIRONMENT, **(environment or {})})
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self.changed:
                self.events.setdefault(event["id"], []).append(event)
                self.changed.notify_all()
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def start(self, *words):
        """Starts a command, or several: then words are lists. Returns the number of the last."""
        commands = [words] if isinstance(words[0], str) else words
        for n in range(len(commands)):
            self.began[self.count + 1 + n] = time.monotonic()
        self.process.stdin.write(b"".join("\t".join(map(str, c)).encode() + b"\n" for c in commands))
        self.process.stdin.flush()
        self.count += len(commands)
        return self.count

    def wait(self, number):
        """The last event of that command, with "items": those before it, and "took": the seconds until it was here."""
        def last():
            return next((e for e in self.events.get(number, ()) if e["event"] in LAST), None)

        with self.changed:
            assert self.changed.wait_for(lambda: last() or self.over, 300), f"nothing came of command {number}"
            assert last(), self.process.stderr.read().decode()
            return dict(last(), items=[e for e in self.events[number] if e["event"] not in LAST],
                        took=time.monotonic() - self.began.get(number, 0))

    def __call__(self, *words):
        return self.wait(self.start(*words))

    def close(self):
        """The client is freed, with all that is under way; nothing may be left."""
        self.process.stdin.close()
        self.reader.join()
        text = self.process.stderr.read().decode()
        status = self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        assert status == 0 and not text, text

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.reader.join()
        else:
            self.close()


UNORDERED = "the names do not ascend; a bucket that lists without order, as directory buckets do, cannot be used"


def seconds_told(event):
    """Of what a failure says about its attempts, the seconds, rounded: no more than it took. None if it says nothing."""
    told = re.search(r" attempts over (\d+) s\)$", event["text"])
    assert not told or int(told[1]) <= event["took"] + 0.51, event
    return told and int(told[1])


def failed(event, kind, text):
    """That it failed so, in so many attempts. The text has "0 s" for the seconds that the machine took, and where rights are
    refused it has not which one is needed (tests/unit/s3/test_right.c knows them all)."""
    assert event["event"] == "failed", event
    seconds_told(event)
    told = re.sub(r" \([A-Z]\w+( of \S+)?, which needs [^()]+\)", "", event["text"])
    assert (event["kind"], re.sub(r"(?<= attempts over )\d+(?= s\)$)", "0", told)) == (kind, text)


def is_body(event, data):
    """Whether that is the body which was read."""
    if len(data) <= 64 << 10:
        return event.get("body") == data.hex()
    return event.get("sha256") == hashlib.sha256(data).hexdigest()


class Gone(Exception):
    """The client closed the connection."""


class Request:
    """One request that a peer has read. Header names are in lower case."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body


class Connection:
    """What a script gets: one accepted connection, the `number`-th from 0."""

    def __init__(self, peer, sock, number):
        self.peer, self.sock, self.number, self.buffer = peer, sock, number, b""

    def _more(self):
        chunk = self.sock.recv(1 << 16)
        if not chunk:
            raise Gone
        self.buffer += chunk

    def head(self):
        """The next request without its body."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        request = Request(method, target, headers, b"")
        with self.peer.changed:
            self.peer.requests.append(request)
            self.peer.changed.notify_all()
        return request

    def body(self, request):
        while len(self.buffer) < int(request.headers.get("content-length", 0)):
            self._more()
        length = int(request.headers.get("content-length", 0))
        request.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return request

    def request(self):
        """The next request, whole."""
        return self.body(self.head())

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, status=200, body=b"", **headers):
        """Header names with _ for -. content_length=None leaves it out."""
        headers = {"content_length": len(body), **headers}
        lines = [f"HTTP/1.1 {status} X"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def wait_gone(self):
        """Until the client has closed the connection."""
        try:
            while self.sock.recv(1 << 16):
                pass
        except OSError:
            pass


class Peer:
    """with Peer(script) as peer: script(connection) runs once for each connection, in a thread of its own; when it
    returns the connection is closed. What a script fails with is the test's failure."""

    def __init__(self, script, certificate=None):
        self.script, self.requests, self.failure, self.n_connections = script, [], None, 0
        self.changed, self.sockets, self.threads = threading.Condition(), [], []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.threads.append(threading.Thread(target=self._accept))
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                number, self.n_connections = self.n_connections, self.n_connections + 1
                self.sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, number))
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock, number):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            self.script(Connection(self, sock, number))
        except (Gone, OSError):
            pass  # either side may go at any time
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure
        finally:
            sock.close()

    def wait_requests(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, 60), f"not {count} requests"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.threads[0].join()
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join()
        if self.failure and not kind:
            raise self.failure
