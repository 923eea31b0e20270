"""A gRPC server that does as it is told, frame by frame: the peer that no well-behaved library lets us be.

    def snapshot(call):
        call.headers()                                  # :status 200, content-type application/grpc
        call.message(b"...")                            # one gRPC message in DATA frames
        call.trailers(0)                                # grpc-status, END_STREAM

    with Peer({"/etcdserverpb.Maintenance/Snapshot": snapshot}) as peer:
        run("h2_probe", peer.endpoint, ...)
        assert peer.calls[0].wait_reset() == CANCEL

A handler runs in a thread of its own for each call, when the request is complete, and sends what it likes, when it likes;
what it leaves out is left out. It may wait for what the client does: wait_reset, wait_for, conn.wait_frame. When it returns,
the stream stays as it is. An exception in a handler, other than that the client has gone, is raised again by Peer.check,
which leaving the `with` calls: an assert in a handler counts.

What is always done for it, unless told otherwise: the server's SETTINGS at the start (`settings`, or `greet` to do
something else), acknowledging SETTINGS (not with `greet`) and PING, keeping to the client's windows (`force=True` does not), frames of at most
16 KiB. `tls` is an ssl.SSLContext; see tls_context.

Everything that the client sent is in conn.frames. Needs Debian's python3-hpack.
"""

import collections
import select
import socket
import ssl
import struct
import threading
import time

import hpack

from h2frames import *  # noqa: F403  pylint: disable=wildcard-import,unused-wildcard-import

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATIENCE = 60  # seconds; only a test that fails waits so long

Frame = collections.namedtuple("Frame", "type flags stream payload when")


class Gone(Exception):
    """The client has closed the connection, or reset the stream."""


def tls_context(cert, key, alpn=("h2",), client_ca=None):
    """For `tls`: a server's context; client_ca: clients need a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Call:
    """One request. request: its DATA; fields: its header fields, a dict; method: its :path."""

    def __init__(self, conn, stream, fields):
        self.conn, self.stream, self.fields = conn, stream, dict(fields)
        self.method = self.fields.get(":path")
        self.request = b""
        self.window = conn.initial_window
        self.reset_code = None  # of the client's RST_STREAM

    # What is sent.

    def send(self, kind, flags=0, payload=b"", **options):
        """Any frame on this stream."""
        self.conn.send(frame(kind, flags, self.stream, payload, **options))

    def headers(self, fields=None, end=False, pieces=1):
        """HEADERS, in `pieces` with CONTINUATION; the ordinary ones unless `fields` says which."""
        if fields is None:
            fields = [(":status", "200"), ("content-type", "application/grpc")]
        # Never indexed: no state that a hostile handler could spoil.
        block = self.conn.encoder.encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)
        size = max(1, -(-len(block) // pieces))
        parts = [block[at:at + size] for at in range(0, len(block), size)]
        for number, part in enumerate(parts):
            flags = END_STREAM if end and number == 0 else 0
            flags |= END_HEADERS if number == len(parts) - 1 else 0
            self.send(CONTINUATION if number else HEADERS, flags, part)

    def trailers(self, status=0, message=None, more=()):
        """The end of a call: HEADERS with END_STREAM."""
        fields = [("grpc-status", str(status))] if status is not None else []
        if message is not None:
            fields.append(("grpc-message", message))
        self.headers([*fields, *more], end=True)

    def trailers_only(self, status, message="", more=()):
        """A failure as native gRPC servers tell it: one HEADERS frame and nothing else."""
        self.headers([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", str(status)),
                      ("grpc-message", message), *more], end=True)

    def data(self, payload, end=False, piece=16384, force=False):
        """DATA frames of at most `piece` bytes, as the client's windows allow."""
        at = 0
        while at < len(payload) or (end and not payload):
            part = payload[at:at + piece]
            if not force:
                part = part[:self._room(len(part))]
            at += len(part)
            self.send(DATA, END_STREAM if end and at == len(payload) else 0, part)
            if not payload:
                break

    def message(self, message, flag=0, length=None, **options):
        """One gRPC message."""
        self.data(grpc(message, flag, length), **options)

    def reset(self, code):
        self.send(RST_STREAM, payload=struct.pack(">I", code))

    # What is waited for.

    def _room(self, wanted):
        """Waits for both windows to be open, and takes what they allow."""
        def room():
            if self.reset_code is not None:
                raise Gone("reset")
            return min(wanted, self.window, self.conn.window)
        with self.conn.changed:
            if wanted == 0:
                return 0
            got = self.conn.wait_locked(lambda: max(0, room()))
            self.window -= got
            self.conn.window -= got
            return got

    def wait_for(self, condition):
        """Waits until condition() is true; looks whenever the client has sent something. Returns its value."""
        with self.conn.changed:
            return self.conn.wait_locked(condition)

    def wait_reset(self):
        """Waits for the client's RST_STREAM; returns its code."""
        self.wait_for(lambda: self.reset_code is not None)
        return self.reset_code

    @property
    def messages(self):
        """The gRPC messages of the request."""
        out, rest = [], self.request
        while len(rest) >= 5:
            size = struct.unpack(">I", rest[1:5])[0]
            out.append(rest[5:5 + size])
            rest = rest[5 + size:]
        return out


class Connection:
    """One connection of a client."""

    def __init__(self, peer, sock):
        self.peer, self.sock = peer, sock
        self.changed = threading.Condition()
        self.sending = threading.Lock()
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.frames = []  # what the client sent
        self.calls, self.settings = {}, {}  # the client's
        self.initial_window = self.window = 65535
        self.gone = self.aborted = False
        self.ack_pings = peer.ack_pings
        self._block = None  # stream, flags and the fields so far, while CONTINUATION is expected

    def send(self, data):
        """Bytes as they are."""
        with self.sending:
            try:
                self.sock.sendall(data)
            except OSError as failure:
                raise Gone(str(failure)) from failure

    def send_settings(self, settings):
        self.send(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *item) for item in settings.items())))

    def goaway(self, last=2**31 - 1, code=NO_ERROR, debug=b""):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug))

    def ping(self, payload=b"12345678"):
        self.send(frame(PING, 0, 0, payload))

    def close(self):
        """An end in good order, without TLS' or HTTP/2's goodbye; unless a reset is on its way already."""
        if self.aborted:
            return
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def abort(self):
        """A TCP reset."""
        self.aborted = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.sock.shutdown(socket.SHUT_RD)  # tells the client nothing, but wakes our reader, which closes
        except OSError:
            pass

    def wait_locked(self, condition):
        deadline = time.monotonic() + PATIENCE
        while True:
            value = condition()
            if value:
                return value
            if self.gone:
                raise Gone("closed")
            if not self.changed.wait(max(0, deadline - time.monotonic())):
                raise AssertionError("the client did not do what was waited for")

    def wait_frame(self, kind, ack=False, count=1):
        """Waits for the client's `count`th frame of that type; returns it."""
        def find():
            found = [f for f in self.frames if f.type == kind and (kind not in (SETTINGS, PING) or bool(f.flags & ACK) == ack)]
            return found[count - 1] if len(found) >= count else None
        with self.changed:
            return self.wait_locked(find)

    def wait_gone(self):
        """Waits until the client has closed the connection."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.gone, PATIENCE), "the client did not close the connection"

    # The reading side.

    def _recv(self, size):
        """What `abort` has woken does not read: TLS would find the end of its input, and send an alert of that."""
        if not getattr(self.sock, "pending", int)():
            select.select([self.sock], [], [], self.sock.gettimeout())
        if self.aborted:
            raise Gone("aborted")
        return self.sock.recv(size)

    def _receive(self, size):
        data = b""
        while len(data) < size:
            part = self._recv(size - len(data))
            if not part:
                raise Gone("closed")
            data += part
        return data

    def run(self):
        try:
            if self._receive(len(PREFACE)) != PREFACE:
                raise Gone("not HTTP/2")
            if self.peer.greet:  # it may wait for what is read here
                self.peer.start(self.peer.greet, self)
            else:
                self.send_settings(self.peer.settings)
            while True:
                head = self._receive(9)
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                payload = self._receive(int.from_bytes(head[:3], "big"))
                with self.changed:
                    self.frames.append(Frame(kind, flags, stream, payload, time.monotonic()))
                    self._handle(kind, flags, stream, payload)
                    self.changed.notify_all()
        except (OSError, Gone, ValueError):
            pass
        finally:
            with self.changed:
                self.gone = True
                self.changed.notify_all()

    def _handle(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                self.settings[name] = value
            before, self.initial_window = self.initial_window, self.settings.get(INITIAL_WINDOW_SIZE, 65535)
            for call in self.calls.values():
                call.window += self.initial_window - before
            if self.peer.ack_settings:
                self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK and self.ack_pings:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            credit = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += credit
            elif stream in self.calls:
                self.calls[stream].window += credit
        elif kind == RST_STREAM and stream in self.calls:
            self.calls[stream].reset_code = struct.unpack(">I", payload)[0]
        elif kind in (HEADERS, CONTINUATION):
            if kind == HEADERS:
                self._block = (stream, flags, payload[5:] if flags & PRIORITIZED else payload)
            else:
                self._block = (*self._block[:2], self._block[2] + payload)
            if flags & END_HEADERS:
                self._begin(*self._block)
        elif kind == DATA and stream in self.calls:
            self.calls[stream].request += payload
            if flags & END_STREAM:
                self.peer.serve(self.calls[stream])

    def _begin(self, stream, flags, block):
        call = Call(self, stream, self.decoder.decode(block))
        self.calls[stream] = call
        self.peer.calls.append(call)
        if flags & END_STREAM:
            self.peer.serve(call)


class Peer:
    """The server. handlers: {":path": handler(call)}; others are answered with UNIMPLEMENTED.

    settings: the server's SETTINGS, a dict. greet(connection): what is done when the client's preface has arrived, instead of
    sending these. accept(socket): what is done with a connection instead of speaking HTTP/2 on it; it may read and write.
    """

    def __init__(self, handlers=None, settings=None, greet=None, accept=None, tls=None, ack_pings=True, ack_settings=True,
                 unix=None):
        self.handlers, self.settings, self.tls = handlers or {}, settings or {}, tls
        self.greet = greet
        self.accept, self.ack_pings, self.ack_settings = accept, ack_pings, ack_settings and not greet
        self.connections, self.calls, self.failures = [], [], []
        self.arrived = threading.Condition()
        self.threads = []
        if unix:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(unix))
            self.endpoint = f"unix{'s' if tls else ''}://{unix}"
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
            self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.listener.listen(16)
        self.start(self._listen)

    def start(self, function, *arguments):
        thread = threading.Thread(target=self._guard, args=(function, *arguments), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _guard(self, function, *arguments):
        try:
            function(*arguments)
        except Gone:
            pass
        except BaseException as failure:  # pylint: disable=broad-except
            self.failures.append(failure)

    def _listen(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.start(self._connection, sock)

    def _connection(self, sock):
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
        except OSError:
            return
        if self.accept:
            with sock:
                self.accept(sock)
            return
        conn = Connection(self, sock)
        with self.arrived:
            self.connections.append(conn)
            self.arrived.notify_all()
        try:
            conn.run()
        finally:
            sock.close()

    def serve(self, call):
        handler = self.handlers.get(call.method, lambda c: c.trailers_only(12, f"unknown method {c.method}"))
        self.start(handler, call)

    def connection(self, number=0):
        """Waits for the nth connection."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.connections) > number, PATIENCE), "nobody has connected"
            return self.connections[number]

    def check(self):
        """Raises what went wrong in a handler."""
        if self.failures:
            raise self.failures[0]

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in self.connections:
            conn.close()
        for thread in self.threads:
            thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None:
            self.check()
