"""A scripted etcd (tests/peer/h2peer.py): answers as etcd does, but for what a test replaces."""

import hashlib
import struct
import sys

import servers
from etcd_probe import run

sys.path.insert(0, str(servers.HERE.parent / "peer"))

from h2peer import Peer  # noqa: E402

STATUS = "/etcdserverpb.Maintenance/Status"
SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"
AUTHENTICATE = "/etcdserverpb.Auth/Authenticate"
MEMBER_LIST = "/etcdserverpb.Cluster/MemberList"

PAGE = 4096


def fnv(data):
    """FNV-1a, 64 bits: bbolt's checksum of a meta."""
    h = 14695981039346656037
    for byte in data:
        h = (h ^ byte) * 1099511628211 % 2**64
    return h


def meta(number, pages, version=2, root=2):
    """A meta page's beginning, as bbolt writes it into a snapshot."""
    body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, version, PAGE, 0, root, 0, 2**64 - 1, pages, 7 - number)
    return struct.pack("<QHHI", number, 0x04, 0, 0) + body + struct.pack("<Q", fnv(body))


def framed(content):
    """A bbolt file of that length and, but for its first three pages, that content: an empty root, and pages that are free. One
    that is too short for it, or not of whole pages, is of a version that nobody knows, so that nobody inspects it."""
    pages = len(content) // PAGE
    if len(content) % PAGE or pages < 3:
        head = meta(0, pages, version=3)
        return head + content[len(head):] if len(content) >= len(head) else content
    front = meta(0, pages).ljust(PAGE, b"\0") + meta(1, pages).ljust(PAGE, b"\0")
    return front + struct.pack("<QHHI", 2, 0x02, 0, 0).ljust(PAGE, b"\0") + content[3 * PAGE:]


DATABASE = framed(bytes(range(256)) * 512)  # 128 KiB
TRAILER = hashlib.sha256(DATABASE).digest()


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def message(**values):
    """A protobuf message: f3=b"..." is field 3; a zero is left out, as proto3 does."""
    out = b""
    for name, value in values.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += varint(number << 3) + varint(value) if value else b""
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def piece(blob, remaining):
    """SnapshotResponse, as 3.6 sends it."""
    return message(f2=remaining, f3=blob, f4="3.6.0")


def pieces(database=DATABASE, size=32 << 10):
    """The whole stream but its end."""
    out, left = [], len(database)
    for at in range(0, left, size):
        blob = database[at:at + size]
        left -= len(blob)
        out.append(piece(blob, left))
    return [*out, piece(hashlib.sha256(database).digest(), 0)]


def unary(answer):
    def handler(call):
        call.headers()
        call.message(answer)
        call.trailers(0)
    return handler


def member(leader=1, me=1, index=100, errors=(), learner=0, version="3.6.0", cluster=9, quota=0):
    """StatusResponse."""
    body = message(f1=message(f1=cluster, f2=me, f3=7, f4=1), f2=version, f3=131072, f4=leader, f5=index, f6=1, f7=index)
    return body + b"".join(message(f8=e) for e in errors) + message(f9=4096, f10=learner, f12=quota)


class Etcd(Peer):
    """A peer that answers all but `snapshot` as etcd does; `handlers` replace others by their names above."""

    def __init__(self, snapshot=None, handlers=None, **options):
        super().__init__({STATUS: unary(member()), MEMBER_LIST: unary(message(f2=message(f1=1, f2="peer"))),
                          **({SNAPSHOT: snapshot} if snapshot else {}), **(handlers or {})}, **options)

    @property
    def snapshots(self):
        return [call for call in self.calls if call.method == SNAPSHOT]


def stream(*messages, end=lambda call: call.trailers(0)):
    """A snapshot of these messages, and its end."""
    def handler(call):
        call.headers()
        for one in messages:
            call.message(one)
        end(call)
    return handler


def attempt(peer, folder, **options):
    """The last line of a snapshot that must fail, without the endpoint."""
    status, lines = run([peer.endpoint], "snapshot", folder / "db", **options)
    assert status == 1, lines
    return lines[-1].replace(f" {peer.endpoint}:", "")
