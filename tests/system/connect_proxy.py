"""A forward proxy: CONNECT and nothing else, with a password or without."""

import base64
import http.server
import select
import socket
import socketserver
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self):
        proxy = self.server.proxy
        proxy.asked.append((self.path, self.headers.get("Proxy-Authorization")))
        self.close_connection = True
        if proxy.expected and self.headers.get("Proxy-Authorization") != proxy.expected:
            self.send_error(407)
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port))) as far:
            self.send_response(200)
            self.end_headers()
            self.pump(far)

    def pump(self, far):
        near = self.connection
        while True:
            for ready in select.select([near, far], [], [])[0]:
                data = ready.recv(1 << 16)
                if not data:
                    return
                (far if ready is near else near).sendall(data)
                self.server.proxy.passed += len(data)
            if self.server.proxy.most is not None and self.server.proxy.passed > self.server.proxy.most:
                self.server.proxy.go_on.wait()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class ConnectProxy:
    """with ConnectProxy("user", "password") as proxy: proxy.url; proxy.asked are (host:port, Proxy-Authorization). Once `most` bytes
    have passed no more do until go_on is set."""

    def __init__(self, user=None, password=None, most=None):
        self.asked, self.passed, self.most, self.go_on = [], 0, most, threading.Event()
        self.expected = user and "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
