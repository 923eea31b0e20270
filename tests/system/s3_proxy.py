"""A misbehaving S3: a proxy before the real store, which does what a rule of the test says and else passes everything on.

The signature covers the Host header and the path, which go on unchanged, so the store checks what the client signed.
A rule is a function that gets the Request and returns None (not mine) or what to do with it:

    Answer(503, b"<Error>...")   answer so, and tell the store nothing
    DROP                         close the connection, and tell the store nothing
    LOSE                         tell the store, throw its answer away and close the connection
    Hold(then)                   wait for proxy.release(), then do `then` (None: pass it on)
    After(function)              tell the store; function(status, headers, body) gives the answer in place of its own
    Late()                       tell the store; its answer goes on when the test says so
    Cut(n)                       tell the store, pass on the first n bytes of its answer's body and close the connection
"""

import http.client
import http.server
import socketserver
import threading
from urllib.parse import parse_qs, urlsplit

DROP, LOSE = "drop", "lose"


class Answer:
    def __init__(self, status, body=b"", headers=()):
        self.status, self.body, self.headers = status, body, dict(headers)


class Hold:
    def __init__(self, then=None):
        self.then = then


class After:
    def __init__(self, change):
        self.change = change


class Late(After):
    """Tell the store, and pass its answer on when `goes_on` is set; `has_come` is set when it is there."""

    def __init__(self):
        super().__init__(self.wait)
        self.has_come, self.goes_on = threading.Event(), threading.Event()

    def wait(self, *answer):
        self.has_come.set()
        assert self.goes_on.wait(60)
        return answer


class Cut:
    def __init__(self, length):
        self.length = length


def error(code, message="m"):
    """The document of an error."""
    return b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>%b</Code><Message>%b</Message></Error>' % (
        code.encode(), message.encode())


class Request:
    """What was asked. `call` is one of create, part, complete, abort, uploads, remove, head, or the method; `nth` counts the
    requests that asked for the same before, so that 0 is the first attempt. `start` is the first byte of the range asked for;
    `headers` are as they came, found in any case."""

    def __init__(self, method, target, headers):
        self.method, self.headers, url = method, headers, urlsplit(target)
        span = headers.get("Range")
        self.path, self.query = url.path, parse_qs(url.query, keep_blank_values=True)
        self.number = int(self.query.get("partNumber", ["0"])[0])
        self.call = {
            ("POST", "uploads"): "create", ("PUT", "partNumber"): "part", ("POST", "uploadId"): "complete",
            ("DELETE", "uploadId"): "abort", ("GET", "uploads"): "uploads", ("POST", "delete"): "remove",
        }.get((method, next((n for n in ("partNumber", "uploadId", "uploads", "delete") if n in self.query), None)),
              method.lower())
        self.nth = 0
        self.is_look = span == "bytes=0-7"  # at the first bytes of a dump: whether it is compressed
        self.start = int(span.partition("=")[2].partition("-")[0]) if span else 0
        self.status = None  # of the answer, once it is sent


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer_anything(self):
        proxy = self.server.proxy
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client has gone in the middle of it
            self.close_connection = True
            return
        request, action = proxy.decide(self.command, self.path, self.headers)
        while isinstance(action, Hold):
            proxy.wait(request)
            action = action.then
        if action == DROP:
            self.close_connection = True
            return
        if isinstance(action, Answer):
            status, headers, answer = action.status, action.headers, action.body
        else:
            status, headers, answer = self.ask_store(body)
        if action == LOSE:
            self.close_connection = True
            return
        if isinstance(action, After):
            status, headers, answer = action.change(status, headers, answer)
        request.status = status
        self.send_answer(status, headers, answer, action.length if isinstance(action, Cut) else None)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer_anything

    def ask_store(self, body):
        self.server.proxy.begin_asking()
        connection = http.client.HTTPConnection(*self.server.proxy.store)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding")}
            return answer.status, headers, answer.read()
        finally:
            connection.close()
            self.server.proxy.end_asking()

    def send_answer(self, status, headers, body, length=None):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body[:length])
        if length is not None:
            self.close_connection = True

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, http.client.HTTPException):
            pass  # either side may go at any time: the tests do that

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Proxy:
    """with Proxy(ceph, rule) as proxy: proxy.url is the endpoint, proxy.requests what came, proxy.rule may change."""

    def __init__(self, ceph, rule=lambda request: None):
        self.rule, self.requests, self.held = rule, [], []
        self.store = ("127.0.0.1", urlsplit(ceph.http).port)
        self.condition = threading.Condition()
        self.released = self.closed = False
        self.asking = 0  # the requests that are at the store
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def decide(self, method, target, headers):
        request = Request(method, target, headers)
        with self.condition:
            request.nth = sum((r.call, r.number, r.path) == (request.call, request.number, request.path)
                              for r in self.requests)
            self.requests.append(request)
            return request, self.rule(request)

    def wait(self, request):
        with self.condition:
            self.held.append(request)
            self.condition.wait_for(lambda: self.released)
            self.held.remove(request)

    def release(self):
        """Lets go what is held, and whatever would be held from now on."""
        with self.condition:
            self.released = True
            self.condition.notify_all()

    def begin_asking(self):
        with self.condition:
            if self.closed:
                raise ConnectionAbortedError("the test is over")
            self.asking += 1

    def end_asking(self):
        with self.condition:
            self.asking -= 1
            self.condition.notify_all()

    def calls(self, call):
        return [r for r in self.requests if r.call == call]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Behind it the store is left alone: what is held is dropped, and what is at the store is waited for."""
        with self.condition:
            self.closed = True
        self.release()
        with self.condition:
            assert self.condition.wait_for(lambda: self.asking == 0, 60), "the store does not answer"
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
