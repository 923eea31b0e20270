"""Where a cloud gives credentials, played on 127.0.0.1 with the documented bytes.

    Ec2(give)     the metadata service of an instance, version 2
    Agent(give)   the agent of ECS or EKS
    Broker(give)  what a program has that is asked for them
    Sts(give)     AssumeRole and AssumeRoleWithWebIdentity
    OpenId(dir)   who a web identity is from: its tokens, and the key that they are signed with, for a real STS

`give()` returns Credentials. `asked` are the requests so far, as (method, path, headers, body). `answer`, where it is set, is called
with (method, path) before all else and may return (status, body) in place of what the real one would say, or HANG."""

import base64
import datetime
import http.server
import json
import os
import socketserver
import subprocess
import threading
import time
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

HANG = "hang"


class Credentials:
    def __init__(self, access_key, secret_key, token="", seconds=3600):
        self.access_key, self.secret_key, self.token = access_key, secret_key, token
        self.expires = time.time() + seconds

    @property
    def expiration(self):
        return datetime.datetime.utcfromtimestamp(self.expires).strftime("%Y-%m-%dT%H:%M:%SZ")

    def document(self, token="Token", **more):
        return json.dumps({"AccessKeyId": self.access_key, "SecretAccessKey": self.secret_key, token: self.token,
                           "Expiration": self.expiration} | more)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer_anything(self):
        cloud = self.server.cloud
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        cloud.asked.append((self.command, self.path, self.headers, body))
        said = cloud.answer(self.command, self.path) if cloud.answer else None
        if said == HANG:
            cloud.closing.wait()
            self.close_connection = True
            return
        status, text = said or cloud.say(self.command, self.path, self.headers, body)
        text = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = answer_anything

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Cloud:
    def __init__(self, give):
        self.give, self.asked, self.answer, self.closing = give, [], None, threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.cloud = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class Ec2(Cloud):
    """EC2 User Guide, "Use the Instance Metadata Service": nothing without a token that a PUT has brought."""
    roles = "/latest/meta-data/iam/security-credentials/"
    role = "etcd-backup"

    def __init__(self, give):
        super().__init__(give)
        self.tokens = set()

    def say(self, method, path, headers, _):
        if method == "PUT" and path == "/latest/api/token":
            if not 1 <= int(headers.get("X-aws-ec2-metadata-token-ttl-seconds", "0")) <= 21600 or "X-Forwarded-For" in headers:
                return 400, ""
            token = os.urandom(20).hex()
            self.tokens.add(token)
            return 200, token
        if headers.get("X-aws-ec2-metadata-token") not in self.tokens:
            return 401, "<html>Unauthorized</html>"
        if path == self.roles:
            return 200, self.role
        if path == self.roles + self.role:
            return 200, self.give().document(Code="Success", Type="AWS-HMAC", LastUpdated="2026-01-01T00:00:00Z")
        return 404, "<html>Not Found</html>"


class Agent(Cloud):
    token = None

    def say(self, method, path, headers, _):
        if method != "GET" or path != "/v1/credentials":
            return 404, ""
        if self.token and headers.get("Authorization") != self.token:
            return 401, '{"message": "no"}'
        return 200, self.give().document(RoleArn="arn:aws:iam::1:role/r")


class Broker(Cloud):
    """Whom a program asks that gives credentials (`credential_process`); command(): that program."""

    def say(self, *_):
        return 200, self.give().document(token="SessionToken", Version=1)

    def command(self):
        return ["/usr/bin/python3", "-c", f"import urllib.request; print(urllib.request.urlopen('{self.url}').read().decode())"]


class Sts(Cloud):
    token = None  # the web identity that is accepted

    def say(self, method, path, headers, body):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        action = form.get("Action", "")
        if method != "POST" or path != "/" or form.get("Version") != "2011-06-15":
            return 400, self.refusal("InvalidAction", "what?")
        if action == "AssumeRoleWithWebIdentity" and ("Authorization" in headers or form.get("WebIdentityToken") != self.token):
            return 400, self.refusal("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
        if action == "AssumeRole" and "/sts/aws4_request" not in headers.get("Authorization", ""):
            return 403, self.refusal("MissingAuthenticationToken", "Request is missing Authentication Token")
        given = self.give()
        return 200, (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>'
                     f"<Arn>arn:aws:sts::1:assumed-role/r/{escape(form['RoleSessionName'])}</Arn></AssumedRoleUser><Credentials>"
                     f"<AccessKeyId>{given.access_key}</AccessKeyId><SecretAccessKey>{given.secret_key}</SecretAccessKey>"
                     f"<SessionToken>{given.token or 'token'}</SessionToken><Expiration>{given.expiration}</Expiration></Credentials>"
                     f"</{action}Result></{action}Response>")

    @staticmethod
    def refusal(code, message):
        return ('<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
                f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class OpenId(Cloud):
    """A provider as the cluster of a pod has one: OpenID Connect Discovery 1.0, and the public half of one key (RFC 7517). Its tokens
    are JSON web tokens, RS256 (RFC 7519, RFC 7518)."""
    audience = "etcd-backup"

    def __init__(self, directory):
        super().__init__(None)
        self.key = str(directory / "openid.pem")
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True, stderr=subprocess.DEVNULL)

    def modulus(self):
        said = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True, stdout=subprocess.PIPE).stdout
        return base64url(bytes.fromhex(said.decode().strip().partition("=")[2]))

    def say(self, method, path, headers, body):
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.url, "jwks_uri": f"{self.url}/keys", "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/token", "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]},
            "/keys": {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "e": "AQAB", "n": self.modulus()}]}}
        return (200, json.dumps(documents[path])) if path in documents else (404, "")

    def token(self, seconds, **claims):
        now = int(time.time())
        parts = ({"alg": "RS256", "typ": "JWT", "kid": "1"},
                 {"iss": self.url, "aud": self.audience, "sub": "system:serviceaccount:etcd:backup", "iat": now, "exp": now + seconds,
                  **claims})
        signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True,
                                   stdout=subprocess.PIPE).stdout
        return f"{signed}.{base64url(signature)}"
