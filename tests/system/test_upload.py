"""lib/s3/upload.h against a real store, and against one that misbehaves: every byte arrives, or nothing is left behind."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

import servers
from s3_proxy import DROP, LOSE, After, Answer, Hold, Proxy, error
from servers import MIB, wait_for

PART = 5 * MIB
KEY = "a/b:c+d.dump"
BUILD = Path(os.environ.get("BUILD_DIR", servers.HERE.parent.parent / "build" / "gcc"))
PROBE = BUILD / "tests" / "system" / "upload_probe"


class Probe:
    """upload_probe, running: what it says, in order, and what it is told."""

    def __init__(self, folder, bucket, size, endpoint=None, wrapper=(), **options):
        self.data = os.urandom(size)
        self.bucket = bucket
        (folder / "file").write_bytes(self.data)
        options = {"endpoint": endpoint or bucket.ceph.http, "bucket": bucket.name, "key": KEY, "file": folder / "file",
                   "part_size": PART, **options}
        self.events, self.seen, self.last = queue.Queue(), [], None
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *wrapper, str(PROBE),
             *(f"{name}={value}" for name, value in options.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=servers.ENVIRONMENT)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def expect(self, name):
        """The next event, which must have this name."""
        self.last = self.events.get(timeout=300)
        assert self.last is not None, f"ended instead of: {name}\n{self.process.stderr.read().decode()}"
        self.seen.append(self.last["event"])
        assert self.last["event"] == name, json.dumps(self.last)
        return self.last

    def tell(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def stats(self):
        self.tell("stats")
        return self.expect("stats")

    def run(self, *script):
        """Commands, and with `<` before them the events that are expected."""
        for word in script:
            if word.startswith("<"):
                self.expect(word[1:])
            else:
                self.tell(word)
        return self.last

    def commit(self):
        """From here to a visible object."""
        return self.run("<flushed", "commit", "<committed")

    def end(self):
        """Frees all that there is; sanitizers have their say. Nothing may have been told that was not expected."""
        self.tell("free")
        self.process.stdin.close()
        assert self.events.get(timeout=300) is None
        self.reader.join()
        text = self.process.stderr.read().decode()
        assert self.process.wait() == 0 and not text, text

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def assert_stored(self):
        assert self.bucket.get(KEY) == self.data
        assert self.bucket.uploads() == []

    def assert_nothing_there(self):
        assert self.bucket.list() == {}
        assert self.bucket.uploads() == []


@pytest.fixture
def new_probe(folder, bucket):
    made = []

    def make(size, bucket=bucket, **options):
        made.append(Probe(folder, bucket, size, **options))
        return made[-1]

    yield make
    for probe in made:
        probe.stop()


@pytest.fixture
def new_proxy(ceph):
    made = []

    def make(rule=lambda request: None):
        made.append(Proxy(ceph, rule))
        return made[-1]

    yield make
    for proxy in made:
        proxy.__exit__()


# Every byte arrives.


@pytest.mark.parametrize("size", [1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART - 1, 100 * MIB])
def test_bytes_arrive(new_probe, bucket, size):
    probe = new_probe(size)
    assert probe.expect("started")["part_size"] == PART
    assert probe.expect("written")["written"] == size
    probe.commit()
    assert probe.last["stored"] == size and probe.last["outcome"] == "visible" and probe.last["spooled"] == 0
    probe.end()
    probe.assert_stored()
    assert bucket.client.head_object(Bucket=bucket.name, Key=KEY)["Metadata"] == {"probe": "one two"}


@pytest.mark.parametrize("chunk", [PART, 65537, 32768])
@pytest.mark.parametrize("in_flight", [1, 5])
def test_chunks_of_any_size(new_probe, chunk, in_flight):
    probe = new_probe(4 * PART + 17, chunk=chunk, in_flight=in_flight)
    probe.run("<started", "<written")
    probe.commit()
    probe.end()
    probe.assert_stored()


def test_https(new_probe, bucket):
    probe = new_probe(3 * PART, endpoint=bucket.ceph.https, ca=bucket.ceph.ca("ca"))
    probe.run("<started", "<written")
    probe.commit()
    probe.end()
    probe.assert_stored()


@pytest.mark.installed
def test_memory_is_bounded(new_probe):
    probe = new_probe(200 * MIB, part_size=8 * MIB, in_flight=4)
    probe.run("<started", "<written")
    probe.commit()
    if b"__asan_init" not in PROBE.read_bytes():
        # Five buffers, and what the program needs anyway.
        assert probe.last["peak_kib"] < (5 * 8 + 16) * 1024
    probe.end()
    probe.assert_stored()


def test_parts_fail_and_are_sent_again(new_probe, new_proxy):
    proxy = new_proxy(lambda r: Answer(503, error("SlowDown")) if r.call == "part" and r.nth < 2 else None)
    probe = new_probe(3 * PART, endpoint=proxy.url)
    probe.run("<started", "<written")
    probe.commit()
    assert probe.last["retries"] == 6
    probe.end()
    probe.assert_stored()


def test_answers_to_parts_are_lost(new_probe, new_proxy):
    proxy = new_proxy(lambda r: LOSE if r.call == "part" and r.nth == 0 else None)
    probe = new_probe(3 * PART, endpoint=proxy.url)
    probe.run("<started", "<written")
    probe.commit()
    probe.end()
    probe.assert_stored()


def test_bytes_are_taken_before_the_store_answers(new_probe, new_proxy):
    """Three buffers can be filled while CreateMultipartUpload is unanswered; not a byte more."""
    proxy = new_proxy(lambda r: Hold() if r.call == "create" else None)
    probe = new_probe(4 * PART, endpoint=proxy.url, chunk=MIB)
    probe.expect("started")
    wait_for(lambda: probe.stats()["written"] == 3 * PART)
    assert probe.last["room"] == 0
    proxy.release()
    probe.expect("written")
    probe.commit()
    assert probe.last["blocked_ms"] > 0
    probe.end()
    probe.assert_stored()


# What cannot be.


def test_wrong_secret(new_probe, bucket):
    probe = new_probe(PART, secret_key="wrong", stop=100)
    probe.run("<started", "<stopped", "<failed")
    assert probe.last["kind"] == "auth"
    assert probe.last["text"].startswith("creating the upload: HTTP 403 SignatureDoesNotMatch")
    probe.run("abort", "<aborted")
    probe.end()
    assert bucket.uploads() == []


def test_missing_bucket(new_probe, bucket):
    bucket.name, name = "no-such-bucket", bucket.name
    probe = new_probe(PART, stop=100)
    bucket.name = name
    probe.run("<started", "<stopped", "<failed")
    assert probe.last["kind"] == "not-found"
    assert probe.last["text"].startswith("creating the upload: HTTP 404 NoSuchBucket")
    probe.run("abort", "<aborted")
    probe.end()


def test_not_started(new_probe):
    probe = new_probe(PART, part_size=5 * MIB - 1)
    assert probe.expect("not started")["kind"] == "config"
    assert probe.last["text"] == "a part size of 5242879 bytes: S3 takes parts of 5 MiB to 5 GiB"


def test_fewer_bytes_than_announced(new_probe):
    probe = new_probe(PART + 3, announce_more=1)
    probe.run("<started", "<written", "<refused")
    assert probe.last["kind"] == "integrity"
    assert probe.last["text"] == f"ended after {PART + 3} of the {PART + 4} bytes that were announced"
    probe.run("abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


@pytest.mark.parametrize("size, more", [(1, 0), (1, 3 * PART), (PART - 1, 1), (PART, PART), (2 * PART + 1, 7),
                                        (3 * PART, 100 * MIB)])
def test_fewer_bytes_than_at_most_so_many(new_probe, bucket, size, more):
    """The object has the size that it turns out to have, and the commit looks for that."""
    probe = new_probe(size, announce_more=more, at_most=1)
    probe.run("<started", "<written")
    probe.commit()
    assert probe.last["stored"] == size and probe.last["outcome"] == "visible"
    probe.end()
    probe.assert_stored()


def test_fewer_bytes_than_at_most_so_many_through_the_spool(new_probe, new_proxy, bucket, folder):
    proxy = held_parts(new_proxy)
    probe = new_probe(8 * PART + 3, endpoint=proxy.url, announce_more=20 * PART, at_most=1, spool_dir=folder)
    probe.run("<started", "<written")
    assert probe.last["in_spool"] > 0
    proxy.release()
    probe.commit()
    assert probe.last["spooled"] > 0
    probe.end()
    probe.assert_stored()


def test_a_lost_answer_to_complete_of_fewer_bytes(new_probe, new_proxy):
    """What settles it is the size that was counted, not the one that was announced."""
    proxy = new_proxy(lambda r: r.call == "complete" and (DROP if r.nth else LOSE))
    probe = new_probe(PART + 3, endpoint=proxy.url, announce_more=9 * PART, at_most=1)
    probe.run("<started", "<written", "<flushed", "commit", "<committed")
    probe.end()
    probe.assert_stored()


def test_no_bytes_of_at_most_so_many(new_probe):
    probe = new_probe(0, announce_more=PART, at_most=1)
    probe.run("<started", "<written", "<refused")
    assert probe.last["text"] == f"ended after 0 of the {PART} bytes that were announced"
    probe.run("abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


def test_more_bytes_than_announced(new_probe):
    probe = new_probe(PART + 3, announce_more=-1)
    probe.run("<started", "<refused")
    assert probe.last["kind"] == "integrity" and "more bytes than" in probe.last["text"]
    probe.run("abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


def test_a_part_fails_for_good(new_probe, new_proxy):
    refusal = Answer(503, error("SlowDown"))
    proxy = new_proxy(lambda r: (refusal if r.nth else Hold(refusal)) if r.number == 2 else None)
    probe = new_probe(4 * PART, endpoint=proxy.url, stop=4 * PART - 1)
    probe.run("<started", "<stopped")
    proxy.release()
    probe.run("<failed")
    assert probe.last["kind"] == "transient"
    assert probe.last["text"].startswith("uploading part 2: HTTP 503 SlowDown"), probe.last["text"]
    assert "(3 attempts" in probe.last["text"]
    probe.run("abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


HOUR_MS = 3600000


def test_an_outage_is_waited_for(new_probe, new_proxy):
    """A part, the commit and the look behind it go on beyond the attempts of other requests, and it is told."""
    proxy = new_proxy(lambda r: Answer(503, error("SlowDown")) if r.nth < 7 and (r.number == 2 or r.call in (
        "complete", "head")) else None)
    probe = new_probe(2 * PART, endpoint=proxy.url, outage_ms=HOUR_MS)
    probe.run("<started", "<written", "<retrying")
    assert probe.last["text"] == "HTTP 503 SlowDown: m"
    probe.commit()
    assert probe.last["retries"] == 21
    probe.end()
    probe.assert_stored()


def test_an_abort_waits_for_the_store_too(new_probe, new_proxy):
    proxy = new_proxy(lambda r: Answer(503, error("SlowDown")) if r.call == "abort" and r.nth < 7 else None)
    probe = new_probe(2 * PART, endpoint=proxy.url, outage_ms=HOUR_MS, stop=PART)
    probe.run("<started", "<stopped", "abort", "<retrying", "<aborted")
    probe.end()
    probe.assert_nothing_there()


def test_who_is_in_a_hurry_is_told_what_is_left(new_probe, new_proxy):
    proxy = new_proxy(lambda r: Answer(503, error("SlowDown")) if r.call == "abort" else None)
    probe = new_probe(2 * PART, endpoint=proxy.url, outage_ms=HOUR_MS, stop=PART)
    probe.run("<started", "<stopped", "abort", "<retrying", "hurry", "<not aborted")
    assert [probe.last["left"]] == probe.bucket.upload_ids()
    probe.end()


def test_a_part_without_etag(new_probe, new_proxy):
    proxy = new_proxy(lambda r: Answer(200) if r.number == 1 else None)
    probe = new_probe(PART, endpoint=proxy.url)
    probe.run("<started", "<written", "<failed")
    assert probe.last["kind"] == "protocol"
    assert probe.last["text"] == "uploading part 1: the store took the part but named no ETag"
    probe.run("abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


# The spool.


def test_spool_takes_what_a_stopped_store_does_not(new_probe, new_ceph, new_bucket, folder):
    """etcd's transaction must not wait: all bytes are taken while the store's disk is stopped, then all arrive."""
    ceph = new_ceph()
    bucket = new_bucket(ceph)
    probe = new_probe(60 * MIB, bucket=bucket, spool_dir=folder, patience_ms=0, stop=20 * MIB)
    probe.run("<started", "<stopped")
    ceph.signal("osd", signal.SIGSTOP)
    try:
        probe.run("go", "<written")
        assert probe.last["written"] == 60 * MIB
        # Four parts may have been stored before, two are in flight, two in buffers.
        assert probe.last["in_spool"] >= 4 * PART
        assert sorted(p.name for p in folder.iterdir()) == ["ceph0", "file"]  # it has no name
    finally:
        ceph.signal("osd", signal.SIGCONT)
    probe.commit()
    assert probe.last["in_spool"] == 0 and probe.last["spool_err"] == ""
    probe.end()
    probe.assert_stored()


def held_parts(new_proxy):
    """A store that answers no part until it is released."""
    return new_proxy(lambda r: Hold() if r.call == "part" else None)


@pytest.mark.parametrize("chunk", [MIB, MIB + 40, PART, 65537])
@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_a_full_spool_makes_the_owner_wait(new_probe, new_proxy, folder, chunk, in_flight):
    proxy = held_parts(new_proxy)
    limit = 2 * PART + 5
    probe = new_probe(11 * PART + 3, endpoint=proxy.url, spool_dir=folder, spool_limit=limit, chunk=chunk,
                      in_flight=in_flight)
    probe.expect("started")
    # What is in flight, what is in the spool, and two buffers but for less than a chunk.
    full = (in_flight + 4) * PART
    wait_for(lambda: full - chunk < probe.stats()["written"] <= full and probe.last["in_spool"] == 2 * PART
             and len(proxy.held) == in_flight)
    assert probe.last["room"] < chunk
    proxy.release()
    probe.expect("written")
    probe.commit()
    assert probe.last["spooled"] >= 2 * PART
    probe.end()
    probe.assert_stored()


def test_patience_comes_first(new_probe, new_proxy, folder):
    """The spool is touched only when the owner has waited long enough in all; and then at once, without any event."""
    proxy = held_parts(new_proxy)
    probe = new_probe(8 * PART, endpoint=proxy.url, spool_dir=folder, patience_ms=300)
    probe.expect("started")
    while True:
        probe.tell("stats")
        seen = probe.events.get(timeout=300)
        if seen["event"] == "written":
            break
        assert seen["event"] == "stats", seen
        if seen["blocked_ms"] < 300:
            assert seen["written"] <= 3 * PART and seen["in_spool"] == 0
        time.sleep(0.01)
    assert seen["blocked_ms"] >= 300 and seen["in_spool"] >= 4 * PART
    probe.expect("stats")  # the last question's answer
    proxy.release()
    probe.commit()
    probe.end()
    probe.assert_stored()


def test_endless_patience_needs_no_spool(new_probe, new_proxy, folder):
    proxy = held_parts(new_proxy)
    probe = new_probe(6 * PART, endpoint=proxy.url, spool_dir=folder, patience_ms=10**9, chunk=PART)
    probe.expect("started")
    wait_for(lambda: len(proxy.held) == 2 and probe.stats()["room"] == 0)
    proxy.release()
    probe.expect("written")
    probe.commit()
    assert probe.last["spooled"] == 0
    probe.end()
    probe.assert_stored()


def test_a_folder_that_cannot_be_used(new_probe, new_proxy, folder):
    proxy = held_parts(new_proxy)
    probe = new_probe(6 * PART, endpoint=proxy.url, spool_dir=folder / "none")
    probe.expect("started")
    wait_for(lambda: len(proxy.held) == 2 and probe.stats()["spool_err"])
    assert probe.last["spool_err"] == f"cannot make the spool in {folder}/none: No such file or directory"
    assert probe.last["in_spool"] == 0
    proxy.release()
    probe.expect("written")
    probe.commit()
    probe.end()
    probe.assert_stored()


def test_a_disk_that_becomes_full(new_probe, new_proxy, folder):
    """Room for some parts beyond the GiB that is left to others; then the owner waits, and everything arrives."""
    proxy = held_parts(new_proxy)
    disk = folder / "disk"
    disk.mkdir()
    small = [*servers.OWN_MOUNTS, "sh", "-c", f"mount -t tmpfs -o size={1024 + 17}m none {disk} && exec \"$@\"", "sh"]
    probe = new_probe(12 * PART, endpoint=proxy.url, wrapper=small, spool_dir=disk)
    probe.expect("started")
    wait_for(lambda: probe.stats()["spool_err"])
    assert "takes no more: the file system has 1.0" in probe.last["spool_err"]
    assert probe.last["in_spool"] == 3 * PART
    proxy.release()
    probe.expect("written")
    probe.commit()
    probe.end()
    probe.assert_stored()


@pytest.mark.parametrize("command", ["free", "abort"])
def test_the_spool_is_given_up_in_the_middle(new_probe, new_proxy, bucket, folder, command):
    """Freed or aborted while the thread pool still writes: nothing is touched that is gone."""
    proxy = held_parts(new_proxy)
    probe = new_probe(8 * PART, endpoint=proxy.url, spool_dir=folder, stop=6 * PART)
    probe.run("<started", "<stopped")
    if command == "abort":
        probe.run("abort", "<aborted")
    wait_for(lambda: proxy.calls("create"), what="the request for the upload")
    probe.end()
    wait_for(lambda: proxy.calls("create")[0].status, what="the store's answer to it")
    assert bucket.uploads() == ([KEY] if command == "free" else [])


# The commit.


def flushed(new_probe, proxy):
    probe = new_probe(PART + 1, endpoint=proxy.url)
    probe.run("<started", "<written", "<flushed")
    return probe


def test_a_lost_answer_to_complete(new_probe, new_proxy):
    """The second attempt asks to complete what is complete: Ceph answers 200 again."""
    probe = flushed(new_probe, new_proxy(lambda r: LOSE if r.call == "complete" and r.nth == 0 else None))
    probe.run("commit", "<committed")
    probe.end()
    probe.assert_stored()


@pytest.mark.parametrize("then", [Answer(404, error("NoSuchUpload")), Answer(500, error("InternalError")), DROP],
                         ids=["404", "500", "gone"])
def test_a_lost_answer_settled_by_head(new_probe, new_proxy, then):
    """Other stores answer otherwise to the second attempt: the object itself decides."""
    probe = flushed(new_probe, new_proxy(lambda r: r.call == "complete" and (then if r.nth else LOSE)))
    probe.run("commit", "<committed")
    assert probe.last["outcome"] == "visible"
    probe.end()
    probe.assert_stored()


def test_a_lost_answer_and_an_older_object(new_probe, new_proxy, bucket):
    """What stands there under the name, as long by chance, is not ours; the abort finds out and leaves it alone."""
    bucket.put(KEY, b"x" * (PART + 1))
    probe = flushed(new_probe, new_proxy(OlderObject()))
    probe.run("commit", "<not committed")
    assert probe.last["outcome"] == "unknown" and "completing the upload: " in probe.last["text"]
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "absent"
    probe.end()
    assert bucket.get(KEY) == b"x" * (PART + 1) and bucket.uploads() == []


class OlderObject:
    """No attempt to complete arrives, and HEAD says that the object is of 2020."""

    def __call__(self, request):
        if request.call == "complete":
            return DROP
        return After(self.age) if request.call == "head" else None

    @staticmethod
    def age(status, headers, body):
        return status, {**headers, "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}, body


def test_an_error_within_200(new_probe, new_proxy):
    probe = flushed(new_probe, new_proxy(
        lambda r: Answer(200, error("InternalError")) if r.call == "complete" and r.nth == 0 else None))
    probe.run("commit", "<committed")
    assert probe.last["retries"] == 1
    probe.end()
    probe.assert_stored()


@pytest.mark.parametrize("answer, kind, text", [
    (Answer(200, error("InternalError")), "transient", "InternalError"),
    (Answer(503, error("SlowDown")), "transient", "HTTP 503 SlowDown"),
    (Answer(400, error("InvalidPart")), "config", "HTTP 400 InvalidPart"),
    (Answer(200, b"what?"), "protocol", ""),
    (DROP, "transient", ""),
], ids=["200", "503", "400", "nonsense", "gone"])
def test_complete_fails(new_probe, new_proxy, answer, kind, text):
    probe = flushed(new_probe, new_proxy(lambda r: answer if r.call == "complete" else None))
    probe.run("commit", "<not committed")
    assert probe.last["kind"] == kind
    assert probe.last["text"].startswith("completing the upload: ") and text in probe.last["text"]
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "absent"
    probe.end()
    probe.assert_nothing_there()


def test_the_object_is_not_whole(new_probe, new_proxy):
    proxy = new_proxy(lambda r: After(lambda status, headers, body: (status, {**headers, "Content-Length": "7"}, body))
                      if r.call == "head" else None)
    probe = flushed(new_probe, proxy)
    probe.run("commit", "<not committed")
    assert probe.last["kind"] == "integrity"
    assert probe.last["text"] == f"the object in the store has 7 bytes instead of {PART + 1}"
    # Something is visible, and nobody can say what: so its key must stay.
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "unknown"
    probe.end()


def without_length(request):
    """A proxy in between that takes the length away."""
    def strip(status, headers, body):
        return status, {name: value for name, value in headers.items() if name.lower() != "content-length"}, body
    return After(strip) if request.call == "head" else None


def test_the_object_has_no_length(new_probe, new_proxy):
    """That says nothing of its bytes, nor that it would not be there."""
    probe = flushed(new_probe, new_proxy(without_length))
    probe.run("commit", "<not committed")
    assert probe.last["kind"] == "protocol"
    assert probe.last["text"] == "the store completed the upload, but does not say how large the object is"
    assert probe.last["outcome"] == "unknown"
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "unknown"
    probe.end()
    probe.assert_stored()


def test_a_lost_answer_and_an_object_without_length(new_probe, new_proxy):
    """It may be ours: the abort must not take it for another's."""
    probe = flushed(new_probe, new_proxy(
        lambda r: (DROP if r.nth else LOSE) if r.call == "complete" else without_length(r)))
    probe.run("commit", "<not committed")
    assert probe.last["outcome"] == "unknown" and "completing the upload: " in probe.last["text"]
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "unknown"
    probe.end()
    probe.assert_stored()


def test_the_object_is_not_there(new_probe, new_proxy):
    probe = flushed(new_probe, new_proxy(lambda r: Answer(404) if r.call == "head" else None))
    probe.run("commit", "<not committed")
    assert probe.last["kind"] == "integrity"
    assert probe.last["text"] == "the store completed the upload, but the object is not there"
    assert probe.last["outcome"] == "unknown"
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "absent"
    probe.end()


@pytest.mark.parametrize("loss, outcome", [(LOSE, "visible"), (DROP, "absent")])
def test_the_store_vanishes_during_the_commit(new_probe, new_proxy, bucket, loss, outcome):
    """Nobody knows whether the object is there. When the store is back the abort knows, and destroys nothing."""
    proxy = new_proxy(lambda r: {"complete": loss if r.nth == 0 else DROP, "head": DROP}.get(r.call))
    probe = flushed(new_probe, proxy)
    probe.run("commit", "<not committed")
    assert probe.last["outcome"] == "unknown"
    assert probe.last["text"].startswith("completing the upload: ")
    assert probe.last["text"].endswith("; whether the object is visible is unknown")
    proxy.rule = lambda r: None
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == outcome
    probe.end()
    assert list(bucket.list()) == ([KEY] if outcome == "visible" else []) and bucket.uploads() == []


def test_complete_takes_effect_late(new_probe, new_proxy, bucket):
    """The object appears between the abort's HEAD and its DELETE: so it looks once more."""
    def complete(request):
        if request.call == "abort":
            named = {"Bucket": bucket.name, "Key": KEY, "UploadId": request.query["uploadId"][0]}
            parts = [{k: p[k] for k in ("PartNumber", "ETag")} for p in bucket.client.list_parts(**named)["Parts"]]
            bucket.client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
        return DROP if request.call == "complete" else None

    probe = flushed(new_probe, new_proxy(complete))
    probe.run("commit", "<not committed")
    assert probe.last["outcome"] == "unknown"
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == "visible"
    probe.end()
    probe.assert_stored()


def test_the_store_stays_away(new_probe, new_proxy, bucket):
    """Aborting is impossible and the outcome unknown: both are said, and the object that is there stays."""
    proxy = new_proxy(lambda r: {"part": None, "create": None, "complete": LOSE if r.nth == 0 else DROP}.get(r.call, DROP))
    probe = flushed(new_probe, proxy)
    probe.run("commit", "<not committed", "abort", "<not aborted")
    assert probe.last["outcome"] == "unknown" and probe.last["text"].startswith("aborting the upload: ")
    probe.end()
    probe.assert_stored()


# The abort leaves nothing behind, whenever it comes.


def test_abort_before_anything(new_probe):
    probe = new_probe(PART, stop=0)
    probe.run("<started", "<stopped", "abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


@pytest.mark.parametrize("then", [None, LOSE], ids=["answered", "lost"])
def test_abort_while_creating(new_probe, new_proxy, then):
    """The answer brings the id; or it never comes, and the upload is found by its name."""
    proxy = new_proxy(lambda r: Hold(then) if r.call == "create" and r.nth == 0 else DROP if r.call == "create" else None)
    probe = new_probe(PART, endpoint=proxy.url, stop=7)
    probe.run("<started", "<stopped")
    wait_for(lambda: proxy.held)
    probe.tell("abort")
    probe.stats()
    proxy.release()
    probe.expect("aborted")
    assert len(proxy.calls("abort")) == 1
    probe.end()
    probe.assert_nothing_there()


def test_abort_while_creating_takes_for_ever(new_probe, new_proxy):
    """The abort waits some seconds for an id, and then looks for the upload by its name."""
    proxy = new_proxy(lambda r: Hold(DROP) if r.call == "create" else None)
    probe = new_probe(PART, endpoint=proxy.url, stop=7)
    probe.run("<started", "<stopped")
    wait_for(lambda: proxy.held)
    probe.run("abort", "<aborted")
    assert len(proxy.calls("create")) == 1 and len(proxy.calls("uploads")) == 1
    probe.end()
    probe.assert_nothing_there()


def test_the_answer_to_create_is_lost(new_probe, new_proxy, bucket):
    """Each attempt has made an upload, and all of them go; those of others stay."""
    proxy = new_proxy(lambda r: LOSE if r.call == "create" else None)
    other = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=KEY + ".other")["UploadId"]
    probe = new_probe(PART, endpoint=proxy.url, stop=7)
    probe.run("<started", "<stopped", "<failed")
    assert len(bucket.uploads()) == 4
    probe.run("abort", "<aborted")
    assert bucket.uploads() == [KEY + ".other"]
    bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=KEY + ".other", UploadId=other)
    probe.end()
    probe.assert_nothing_there()


def test_one_answer_to_create_is_lost(new_probe, new_proxy, bucket):
    """The second attempt brings an id; the abort removes what the first has made as well."""
    proxy = new_proxy(lambda r: LOSE if r.call == "create" and r.nth == 0 else None)
    probe = new_probe(PART, endpoint=proxy.url, stop=7)
    probe.run("<started", "<stopped")
    wait_for(lambda: len(bucket.uploads()) == 2)
    probe.run("abort", "<aborted")
    probe.end()
    probe.assert_nothing_there()


def test_abort_with_parts_in_flight(new_probe, new_proxy):
    """A part that was on its way may arrive after the abort: so it is aborted until there is no such upload."""
    proxy = held_parts(new_proxy)
    probe = new_probe(5 * PART, endpoint=proxy.url)
    probe.expect("started")
    wait_for(lambda: len(proxy.held) == 2)
    probe.run("abort", "<aborted")
    assert [r.status for r in proxy.calls("abort")] == [204, 404]
    proxy.release()
    wait_for(lambda: not proxy.held)
    probe.end()
    probe.assert_nothing_there()


@pytest.mark.parametrize("lost, then", [(99, "<failed"), (1, "<flushed")], ids=["failed", "stored"])
def test_abort_after_a_lost_answer(new_probe, new_proxy, lost, then):
    """So may a part whose answer was lost, though nothing of it is under way any more."""
    proxy = new_proxy(lambda r: LOSE if r.call == "part" and r.nth < lost else None)
    probe = new_probe(PART, endpoint=proxy.url)
    probe.run("<started", "<written", then, "abort", "<aborted")
    assert [r.status for r in proxy.calls("abort")] == [204, 404]
    probe.end()
    probe.assert_nothing_there()


def test_abort_that_has_to_be_repeated(new_probe, new_proxy):
    """A store that says 204 for ever is believed in the end."""
    proxy = new_proxy(lambda r: Hold() if r.call == "part" else Answer(204) if r.call == "abort" and r.nth < 99 else None)
    probe = new_probe(5 * PART, endpoint=proxy.url)
    probe.expect("started")
    wait_for(lambda: len(proxy.held) == 2)
    probe.run("abort", "<aborted")
    assert [r.status for r in proxy.calls("abort")] == [204] * 4
    probe.end()


def test_abort_of_a_flushed_upload(new_probe):
    probe = new_probe(2 * PART)
    probe.run("<started", "<written", "<flushed", "abort", "<aborted")
    assert probe.last["outcome"] == "absent"
    probe.end()
    probe.assert_nothing_there()


@pytest.mark.parametrize("call", ["complete", "head"])
def test_abort_while_committing(new_probe, new_proxy, bucket, call):
    """Stopped half-way: the outcome is what the store says, and an object that is there stays whole."""
    proxy = new_proxy(lambda r: Hold(DROP) if r.call == call and r.nth == 0 else None)
    probe = flushed(new_probe, proxy)
    probe.tell("commit")
    wait_for(lambda: proxy.held)
    probe.run("abort", "<aborted")
    assert probe.last["outcome"] == ("absent" if call == "complete" else "visible")
    probe.end()
    proxy.release()
    if call == "head":
        probe.assert_stored()
    else:
        probe.assert_nothing_there()


def test_abort_after_the_commit(new_probe):
    probe = new_probe(PART + 1)
    probe.run("<started", "<written", "<flushed", "commit", "<committed", "abort", "<aborted")
    assert probe.last["outcome"] == "visible"
    probe.end()
    probe.assert_stored()


def test_abort_is_tried_again(new_probe, new_proxy):
    proxy = new_proxy(lambda r: Answer(503, error("SlowDown")) if r.call == "abort" and r.nth < 2 else None)
    probe = new_probe(PART, endpoint=proxy.url, stop=7)
    probe.run("<started", "<stopped")
    wait_for(lambda: proxy.calls("create") and proxy.calls("create")[0].status)
    probe.run("abort", "<aborted")
    assert len(proxy.calls("abort")) == 3
    probe.end()
    probe.assert_nothing_there()


def test_abort_that_fails(new_probe, new_proxy):
    proxy = new_proxy(lambda r: Answer(403, error("AccessDenied")) if r.call == "abort" else None)
    probe = new_probe(PART, endpoint=proxy.url, stop=7)
    probe.run("<started", "<stopped", "abort", "<not aborted")
    assert probe.last["kind"] == "auth"
    assert probe.last["text"].startswith("aborting the upload: HTTP 403 AccessDenied")
    probe.end()


@pytest.mark.parametrize("hold", ["create", "part", "complete", "head"])
def test_free_at_any_time(new_probe, new_proxy, hold):
    """No callback, no leak, and the loop comes to its end."""
    proxy = new_proxy(lambda r: Hold() if r.call == hold else None)
    probe = new_probe(PART, endpoint=proxy.url)
    probe.run("<started", "<written")
    if hold in ("complete", "head"):
        probe.run("<flushed", "commit")
    wait_for(lambda: proxy.held)
    probe.end()
