"""lib/etcd against a scripted peer: snapshots such as no real etcd sends, or sends when nobody looks."""

import hashlib
import threading
import time

import pytest

from etcd_peer import DATABASE, TRAILER, Etcd, attempt, piece, pieces, stream
from etcd_probe import Probe, fields, run
from h2peer import CANCEL, INTERNAL_ERROR, grpc
from servers import MIB


def test_the_peer_can_play_a_good_etcd(folder):
    with Etcd(stream(*pieces())) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db")
        assert status == 0, lines
        assert (folder / "db").read_bytes() == DATABASE + TRAILER
        assert fields(lines[0])["name"] == "peer"
        call = peer.snapshots[0]
        assert call.messages == [b""]
        assert "token" not in call.fields and "hasleader" not in call.fields
        assert call.fields["grpc-timeout"] == "21600000m"  # 6 h


@pytest.mark.parametrize("end, left", [(32, 0), (64, 32), (32768, 0), (32768, 32)])
def test_ends_that_look_like_the_trailer(folder, end, left):
    """The last pieces of the database have remaining_bytes 0, or 32 bytes, as the trailer has."""
    database = DATABASE[:65536 + end + left]
    with Etcd(stream(*pieces(database))) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db")
        assert status == 0, lines
    assert (folder / "db").read_bytes() == database + hashlib.sha256(database).digest()


def nothing(_):
    """The stream stays open."""


# What comes after the headers, how it ends, and what is said of it.
BROKEN = {
    "nothing": ([], None, "integrity snapshot ended before its first byte"),
    "cut off": (pieces()[:2], None, "integrity snapshot is cut off: it ended after 65536 of 131104 bytes"),
    "no trailer": (pieces()[:-1], None,
                   "integrity snapshot ended without etcd's SHA-256 (all 131072 bytes of the database arrived)"),
    "short trailer": ([*pieces()[:-1], piece(TRAILER[:31], 0)], nothing,
                      "integrity snapshot ends with 31 bytes in place of etcd's SHA-256"),
    "two trailers": ([*pieces(), piece(TRAILER, 0)], nothing,
                     "protocol snapshot stream: more messages after the end (at byte 131104 of 131104: 32 more, then "
                     "remaining_bytes 0)"),
    "remaining does not fall": ([piece(b"x" * 512, 1024)] * 2, nothing,
                                "protocol snapshot stream: remaining_bytes does not match the bytes that arrived (at byte "
                                "512 of 1568: 512 more, then remaining_bytes 1024)"),
    "too much": ([piece(b"x" * 512, 1), piece(b"x" * 2, 0)], nothing,
                 "protocol snapshot stream: more bytes than announced (at byte 512 of 545: 2 more, then remaining_bytes 0)"),
    "absurd": ([piece(b"x", 2**64 - 1)], nothing,
               "protocol snapshot stream: absurd size announced (at byte 0 of 0: 1 more, then remaining_bytes "
               "18446744073709551615)"),
    "no protobuf": ([b"\x1a\xff\xff\xff"], nothing, "protocol a message of the snapshot cannot be decoded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_snapshot(folder, name):
    messages, end, text = BROKEN[name]
    with Etcd(stream(*messages, **({"end": end} if end else {}))) as peer:
        assert attempt(peer, folder) == f"snapshot failed {text}"
        if end:  # we have refused it, while the server would go on
            assert peer.snapshots[0].wait_reset() == CANCEL


def test_a_status_that_is_not_ok_after_all_bytes(folder):
    with Etcd(stream(*pieces(), end=lambda call: call.trailers(13, "the database is gone"))) as peer:
        assert attempt(peer, folder) == (
            "snapshot failed transient the snapshot broke off after 128.0 KiB of 128.0 KiB: "
            "grpc-status 13 INTERNAL: the database is gone")


def test_a_snapshot_that_takes_too_long(folder):
    """What is meant by the deadline is said in words."""
    with Etcd(stream(*pieces()[:2], end=lambda call: call.trailers(4, "context deadline exceeded"))) as peer:
        assert attempt(peer, folder) == (
            "snapshot failed transient the snapshot broke off after 64.0 KiB of 128.0 KiB: it may take 6h: "
            "grpc-status 4 DEADLINE_EXCEEDED: context deadline exceeded")


def test_no_status_after_all_bytes(folder):
    """DATA with END_STREAM, and no trailers."""
    def handler(call):
        call.headers()
        for one in pieces()[:-1]:
            call.message(one)
        call.message(pieces()[-1], end=True)

    with Etcd(handler) as peer:
        line = attempt(peer, folder)
        assert line.startswith("snapshot failed ") and "128.0 KiB of 128.0 KiB" in line and "grpc-status" in line, line


def test_the_status_never_comes(folder):
    with Etcd(stream(*pieces(), end=nothing)) as peer:
        assert attempt(peer, folder, timeout=4000) == (
            "snapshot failed transient the snapshot broke off after 128.0 KiB of 128.0 KiB: "
            "etcd sent all bytes but no status within 4.0s")
        assert peer.snapshots[0].wait_reset() == CANCEL


def test_a_reset_after_the_status_changes_nothing(folder):
    def end(call):
        call.trailers(0)
        call.reset(INTERNAL_ERROR)

    with Etcd(stream(*pieces(), end=end)) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db")
        assert status == 0, lines


def test_a_reset_in_place_of_the_status(folder):
    with Etcd(stream(*pieces(), end=lambda call: call.reset(CANCEL))) as peer:
        line = attempt(peer, folder)
        # It was not we who cancelled: another attempt may succeed.
        assert line.startswith("snapshot failed transient the snapshot broke off after 128.0 KiB of 128.0 KiB: "), line


def test_bytes_one_by_one(folder):
    database = DATABASE[:2048]

    def handler(call):
        call.headers()
        for one in pieces(database, 100):
            call.message(one, piece=1)
        call.trailers(0)

    with Etcd(handler) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db")
        assert status == 0, lines
    assert (folder / "db").read_bytes()[:-32] == database


def test_messages_of_one_byte_keep_the_window_open(folder):
    """Framing counts against the window too: what is not given back would stop such a stream. The prefixes alone, 5 bytes
    each, are more than the window."""
    database = bytes(220000)

    def handler(call):
        call.headers()
        batch = b"".join(grpc(one) for one in pieces(database, 1))
        call.data(batch)
        call.trailers(0)

    with Etcd(handler) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db", window=1 << 20, chunk=32768)
        assert status == 0, lines
    assert (folder / "db").read_bytes()[:-32] == database


def test_empty_messages_without_end(folder):
    """etcd #22125: the server's own read has ended early."""
    def handler(call):
        call.headers()
        call.message(piece(DATABASE[:1000], 5000))
        while True:
            call.message(piece(b"", 5000))

    with Etcd(handler) as peer:
        assert attempt(peer, folder) == (
            "snapshot failed protocol snapshot stream: empty messages without end, as etcd sends them when it cannot read its own "
            "database: look at its log and its disk (at byte 1000 of 6032: 0 more, then remaining_bytes 5000)")
        assert peer.snapshots[0].wait_reset() == CANCEL


def test_empty_messages_are_no_progress(folder):
    """One now and then, so that they are never too many: the clock runs on bytes."""
    over = threading.Event()

    def handler(call):
        call.headers()
        call.message(piece(DATABASE[:1000], 5000))
        while not over.wait(0.1):
            call.message(piece(b"", 5000))

    with Etcd(handler) as peer:
        line = attempt(peer, folder, timeout=4000)
        over.set()
        assert line == ("snapshot failed transient the snapshot broke off after 1000 B of 5.9 KiB: etcd sent nothing but empty "
                        "messages for 4.0s, "
                        "as when it cannot read its own database: look at its log and its disk")


@pytest.mark.parametrize("handler", [nothing, lambda call: call.headers()], ids=["before headers", "after headers"])
def test_silence(folder, handler):
    """A defragmentation, or a token from the future."""
    with Etcd(handler) as peer:
        assert attempt(peer, folder, timeout=4000) == "snapshot failed transient etcd did not begin the snapshot within 4.0s"
        assert peer.snapshots[0].wait_reset() == CANCEL


@pytest.mark.parametrize("sent, shown", [(31, "992.0 KiB"), (127, "4.0 MiB")])
def test_a_stall_is_ours_or_the_servers(folder, sent, shown):
    """While we keep the window closed, the server has all the time; and when we have opened it, only so much, whether it
    goes on first or not."""
    database = DATABASE * 32  # 4 MiB, four windows

    def handler(call):
        call.headers()
        for one in pieces(database)[:sent]:
            call.message(one)

    with Etcd(handler) as peer:
        with Probe([peer.endpoint], "snapshot", folder / "db", window=MIB, chunk=MIB // 16, stop_at=MIB // 16,
                   timeout=4000) as probe:
            probe.until("stopped")
            time.sleep(5)
            assert probe.process.poll() is None
            probe.go_on()
            assert probe.until("snapshot").endswith(
                f": the snapshot broke off after {shown} of 4.0 MiB: etcd sent nothing for 4.0s")
            probe.end()


def test_goaway_in_mid_stream(folder):
    """A server that stops lets its streams end, and those end well."""
    def handler(call):
        call.headers()
        for number, one in enumerate(pieces()):
            if number == 2:
                call.conn.goaway(last=call.stream)
            call.message(one)
        call.trailers(0)

    with Etcd(handler) as peer:
        with Probe([peer.endpoint], "snapshot", folder / "db") as probe:
            probe.until("end")
    assert (folder / "db").read_bytes() == DATABASE + TRAILER


def test_goaway_that_forsakes_the_stream(folder):
    def handler(call):
        call.headers()
        call.message(pieces()[0])
        call.conn.goaway(last=call.stream)
        call.conn.close()

    with Etcd(handler) as peer:
        line = attempt(peer, folder)
        assert line.startswith("snapshot failed transient ") and "broke off after 32.0 KiB of 128.0 KiB" in line, line
