"""The last word of a rotation, "it can be destroyed": what comes in between keeps it back, and nothing is purged before it."""

import json
import os
import signal
from pathlib import Path

import pytest

from faults import Command, events
from s3_proxy import DROP, LOSE, Answer, Hold, error
from servers import wait_for
from test_control import needs_root
from test_rotate import (At, Keys, check_opens, counts, fingerprint, keeping_versions, key_name, opens, put_keys, rotate,
                         rotated, started, versions)


def is_of_versions(request):
    """The listing of old versions."""
    return "versions" in request.query


def is_of_a_purge(request):
    """What it does with one key: GET of the old version, GET of the current one, DELETE of the old one."""
    return request.path.endswith(".key") and request.call in ("get", "delete")


DENIED = Answer(403, error("AccessDenied"))
BUSY = Answer(503, error("SlowDown"))


@pytest.fixture
def store(ceph, etcd, proxied):
    """A site and its proxy, and a bucket that keeps versions."""
    site, proxy = proxied(ceph, etcd)
    with keeping_versions(site):
        yield site, proxy


# ---- what the last pass has not seen ----


def test_a_backup_that_ended_during_the_last_pass(ceph, etcd, proxied):
    """By a machine that still had the previous key: its key came when the keys had been listed, and its upload had ended when
    those were."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 2)
    keys = Keys(site)
    proxy.rule = lambda request: (
        made.update(put_keys(site, 1, keys.previous, first=5)) if request.call == "uploads" and request.nth == 0 else None)
    assert counts(rotated(site, keys)) == (3, 0, 0)
    check_opens(site, keys.next, made)
    # A dry run changes nothing that could come to an end.
    proxy.requests.clear()
    rotated(site, keys, "--dry-run")
    assert not proxy.calls("uploads") and len([r for r in proxy.requests if "list-type" in r.query]) == 1


def test_backups_that_end_again_and_again(ceph, etcd, proxied):
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 1)
    keys = Keys(site)
    proxy.rule = lambda request: (
        made.update(put_keys(site, 1, keys.previous, first=10 + request.nth)) if request.call == "uploads" else None)
    failure, _ = rotate(site, keys, status=1)
    assert "there are still keys that change, come or go" in failure["failure"]["text"]
    assert "do not destroy the previous key" in failure["failure"]["text"]
    proxy.rule = lambda request: None
    rotated(site, keys)
    check_opens(site, keys.next, made)


def test_keys_that_cannot_be_listed_once_more(ceph, etcd, proxied):
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 2)
    keys = Keys(site)
    proxy.rule = lambda request: DENIED if "list-type" in request.query and proxy.calls("uploads") else None
    failure, result = rotate(site, keys, status=1)
    assert counts(result) == (2, 0, 0) and failure["failure"]["kind"] == "auth"
    assert "whether that were all could not be seen: keep the previous key" in failure["failure"]["text"]


# ---- what cannot be seen ----


@pytest.mark.parametrize("answer, kind, words", [
    (DENIED, "auth", "(ListMultipartUploads, which needs s3:ListBucketMultipartUploads)"),
    (BUSY, "transient", "could not be seen: keep the previous key, and run this again: "),
    (Answer(200, b"<Nonsense/>"), "protocol", "could not be seen: keep the previous key, and run this again: "),
], ids=["denied", "busy", "nonsense"])
def test_uploads_that_cannot_be_listed(ceph, etcd, proxied, answer, kind, words):
    """Success means that no backup is under way: who could not see that does not say so."""
    site, proxy = proxied(ceph, etcd)
    made = put_keys(site, 2)
    keys = Keys(site)
    proxy.rule = lambda request: answer if request.call == "uploads" else None
    failure, result = rotate(site, keys, status=1)
    assert counts(result) == (2, 0, 0) and failure["failure"]["kind"] == kind
    text = failure["failure"]["text"]
    assert "whether a backup is under way could not be seen" in text and words in text and "keep the previous key" in text
    check_opens(site, keys.next, made)
    proxy.rule = lambda request: None
    assert counts(rotated(site, keys)) == (0, 2, 0)


@pytest.mark.parametrize("status, code", [(501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_a_store_that_lists_no_uploads(ceph, etcd, proxied, status, code):
    """There is nobody who could see it: said, and no more."""
    site, proxy = proxied(ceph, etcd, lambda request: Answer(status, error(code)) if request.call == "uploads" else None)
    put_keys(site, 1)
    keys = Keys(site)
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 0 and "note: whether a backup is under way could not be seen" in done.err, done
    assert "can be destroyed" in done.out and len(proxy.calls("uploads")) == 1


@pytest.mark.parametrize("options, answer, kind", [
    ([], DENIED, None),
    ([], Answer(501, error("NotImplemented")), None),
    ([], BUSY, "transient"),
    (["--dry-run"], BUSY, "transient"),
    (["--purge-versions"], DENIED, "auth"),
    (["--purge-versions"], Answer(501, error("NotImplemented")), "config"),
    (["--purge-versions"], BUSY, "transient"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else str(getattr(value, "status", value)))
def test_versions_that_cannot_be_listed(ceph, etcd, proxied, options, answer, kind):
    """Told, and a success all the same, unless somebody wants them purged or another try may show them."""
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 2)
    keys = Keys(site)
    proxy.rule = lambda request: answer if is_of_versions(request) else None
    *failed, result = rotate(site, keys, *options, status=1 if kind else 0)
    assert counts(result) == (2, 0, 0) and result["versions_unknown"]
    assert [one["failure"]["kind"] for one in failed] == ([kind] if kind else [])
    for one in failed:
        assert "old versions of them could not be looked for" in one["failure"]["text"]
        assert ("all keys are rotated" in one["failure"]["text"]) == ("--dry-run" not in options)
    if not failed:
        done = site.ctl("rotate-key", "-p", keys.previous_file)
        assert done.status == 0 and "old versions of the keys could not be found out" in done.out, done


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--purge-versions"]], ids=" ".join)
def test_a_key_that_may_hide_where_versions_are_not_listed(store, options):
    """Its dump is there, and an old version of the key may be behind a delete marker: the previous key may be its last hope,
    so that is no success."""
    site, proxy = store
    put_keys(site, 2)
    site.bucket.put(key_name(1).replace(".key", ".dump"), b"x" * 1001)  # by its size no plain dump
    site.bucket.delete(key_name(1))
    keys = Keys(site)
    proxy.rule = lambda request: DENIED if is_of_versions(request) else None
    failure, result = rotate(site, keys, *options, status=1)
    assert counts(result) == (1, 0, 0) and failure["failure"]["kind"] == "auth"
    text = failure["failure"]["text"]
    assert f"{key_name(1)} is not there and its dump is" in text and "which needs s3:ListBucketVersions" in text, text
    assert "can be destroyed" not in site.ctl("rotate-key", "-p", keys.previous_file).out


def test_versions_that_a_busy_store_denies_for_a_moment(store):
    """Ceph says 404 of a key of which it removes versions: asked again, and of one key one version at a time."""
    site, proxy = store
    made = put_keys(site, 2)
    for _ in range(20):
        for name in made:
            site.bucket.put(name, site.bucket.get(name))
    keys = Keys(site)
    rotated(site, keys)
    hidden = []

    def rule(request):
        is_current = request.call == "get" and request.path.endswith(".key") and "versionId" not in request.query
        if is_current and proxy.calls("versions") and len(hidden) < 3:
            hidden.append(request)
            return Answer(404, error("NoSuchKey"))
        return None
    proxy.calls = lambda call: [one for one in proxy.requests if call in (one.call, *one.query)]
    proxy.requests.clear()
    proxy.rule = rule
    result = rotated(site, keys, "--purge-versions")
    assert len(hidden) == 3 and (result["purged"], result["old_versions"]) == (42, 0), result
    check_opens(site, keys.next, made)


# ---- nothing is purged before success is sure ----


def test_nothing_is_purged_while_the_old_key_is_configured(store):
    """The next backup would need the previous key, and so may the person who goes back."""
    site, _ = store
    made = put_keys(site, 2)
    keys = Keys(site, swap=False)
    failure, result = rotate(site, keys, "--new-key", keys.next_file, "--purge-versions", status=1)
    assert "do NOT destroy" in failure["failure"]["text"] and "(no old version of a key was removed)" in (
        failure["failure"]["text"])
    assert counts(result) == (2, 0, 0) and (result["old_versions"], result["purged"]) == (2, 0)
    assert all(len(versions(site.bucket, name)) == 2 for name in made)
    keys.swap()
    result = rotated(site, keys, "--purge-versions")
    assert (result["old_versions"], result["purged"]) == (0, 2)
    check_opens(site, keys.next, made)


def test_nothing_is_purged_while_a_key_is_missing(store):
    """Of which the bucket keeps an old version: who brings it back may need the previous key."""
    site, _ = store
    made = put_keys(site, 3)
    dump = key_name(1).replace(".key", ".dump")
    site.bucket.put(dump, b"x" * 1001)  # by its size no plain dump
    site.bucket.delete(key_name(1))
    keys = Keys(site)
    failure, result = rotate(site, keys, "--purge-versions", status=5)
    assert f"{key_name(1)} was deleted and its dump was not" in failure["failure"]["text"]
    assert counts(result) == (2, 0, 0) and (result["old_versions"], result["purged"]) == (2, 0)
    assert [len(versions(site.bucket, name)) for name in made] == [2, 1, 2]
    site.bucket.delete(dump)
    result = rotated(site, keys, "--purge-versions")
    assert (result["old_versions"], result["purged"], result["lost_versions"]) == (0, 2, 1)


@pytest.mark.parametrize("text", ["previous", "nonsense"])
@pytest.mark.parametrize("moment, purged", [("uploads", 0), ("versions", 0), ("delete", 2)])
def test_a_key_file_that_is_put_back_meanwhile(store, text, moment, purged):
    """The file that success depends on is read when it is said, and before a purge, not when the rotation begins."""
    site, proxy = store
    put_keys(site, 2)
    keys = Keys(site)
    put_back = keys.previous.hex() if text == "previous" else "no key"
    proxy.rule = lambda request: (
        site.write("master.key", put_back) and None if moment in (request.call, *request.query) else None)
    failure, result = rotate(site, keys, "--purge-versions", status=1)
    assert f"do NOT destroy the previous key {fingerprint(keys.previous)} yet: encryption_key_path " in (
        failure["failure"]["text"])
    if text == "previous":
        assert "still holds " + fingerprint(keys.previous) in failure["failure"]["text"]
    else:
        assert "cannot be read: " in failure["failure"]["text"] and "hexadecimal" in failure["failure"]["text"]
    assert result["configured_key"] == (fingerprint(keys.previous) if text == "previous" else "")
    assert counts(result) == (2, 0, 0) and result["purged"] == purged
    proxy.rule = lambda request: None
    keys.swap()
    assert rotated(site, keys, "--purge-versions")["old_versions"] == 0


# ---- a purge that fails ----


@pytest.mark.parametrize("fails, words", [
    (lambda request: request.call == "delete", "deleting it: "),
    (lambda request: request.call == "get" and "versionId" in request.query, "reading it: "),
    (lambda request: request.call == "get" and "versionId" not in request.query, "reading the current version: "),
], ids=["delete", "old", "current"])
def test_a_version_that_cannot_be_purged(store, fails, words):
    """Each is named, none is taken for purged, and the next run goes on with it."""
    site, proxy = store
    made = put_keys(site, 3)
    keys = Keys(site)
    rotated(site, keys)
    listed = []

    def rule(request):
        listed.extend([request] if is_of_versions(request) else [])
        victim = request.path.endswith(key_name(1).replace(":", "%3A"))
        return DENIED if listed and victim and is_of_a_purge(request) and fails(request) else None
    proxy.rule = rule
    told, failure, result = rotate(site, keys, "--purge-versions", status=1)
    assert told["name"] == key_name(1) and f"an old version stays: {words}HTTP 403 AccessDenied" in told["text"], told
    assert "all keys are rotated, but 1 old versions stay: keep the previous key" in failure["failure"]["text"]
    assert (result["old_versions"], result["purged"]) == (1, 2)
    assert [len(versions(site.bucket, name)) for name in made] == [1, 2, 1]
    proxy.rule = lambda request: None
    result = rotated(site, keys, "--purge-versions")
    assert (result["old_versions"], result["purged"]) == (0, 1)
    check_opens(site, keys.next, made)


class AtPurge(At):
    """A rule that acts once, when so many requests of a purge of three keys, which are nine, have come."""

    listed = False

    def __call__(self, request):
        self.listed = self.listed or is_of_versions(request)
        return super().__call__(request) if self.listed and is_of_a_purge(request) else None


def check_purge_goes_on(site, keys, made):
    """Whatever was purged: the current versions open with the new key, and the next run leaves nothing but them."""
    check_opens(site, keys.next, made)
    result = rotated(site, keys, "--purge-versions")
    assert counts(result) == (0, 3, 0) and result["old_versions"] == 0
    assert all([is_latest for _, is_latest in versions(site.bucket, name)] == [True] for name in made)
    check_opens(site, keys.next, made)


@pytest.mark.parametrize("then", [None, DROP], ids=["told", "lost"])
@pytest.mark.parametrize("moment", [0, 3, 5, 8])
def test_killed_during_a_purge(store, moment, then):
    site, proxy = store
    made = put_keys(site, 3)
    keys = Keys(site)
    rotated(site, keys)
    proxy.requests.clear()
    started(site, proxy)
    rule = proxy.rule = AtPurge(moment, site.process.kill, then)
    done = Command(site, "rotate-key", "-p", keys.previous_file, "--purge-versions", "--json").end()
    # Behind a purge of which the last answer was still read the daemon looks at the bucket: that is no purge.
    assert rule.acted and done.status == 1 and "the daemon ended before it had answered" in done.err, done
    proxy.rule = lambda request: None
    site.kill()
    site.start()
    check_purge_goes_on(site, keys, made)


@pytest.mark.parametrize("loses", [LOSE, DROP], ids=["answers", "requests"])
@pytest.mark.parametrize("moment", [0, 3, 5, 8])
def test_cut_off_during_a_purge(store, moment, loses):
    """S3 is gone from that request on, before or after it has done what was asked."""
    site, proxy = store
    made = put_keys(site, 3)
    keys = Keys(site)
    rotated(site, keys)
    proxy.requests.clear()
    started(site, proxy)
    came = []

    def rule(request):
        came.extend([request] if is_of_versions(request) or came else [])
        return loses if len(came) > moment + 1 else None  # the first is the listing
    proxy.rule = rule
    command = Command(site, "rotate-key", "-p", keys.previous_file, "--purge-versions", "--json")
    wait_for(lambda: len(came) > moment + 2, what="another try")
    command.signal(signal.SIGINT)
    done = command.end()
    assert done.status == 1 and done.err.count("cancelled: at least 3 keys are rotated") == 1, done
    proxy.rule = lambda request: None
    check_purge_goes_on(site, keys, made)


# ---- what people read, and write down ----


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["real", "dry run"])
def test_a_failure_ends_in_a_verdict(site, options):
    """On stdout, behind the table: the record of a ceremony must not look like that of a success."""
    put_keys(site, 2)
    site.bucket.put(key_name(9), os.urandom(72))
    keys = Keys(site)
    verdict = f"This run FAILED: the previous key {fingerprint(keys.previous)} is STILL NEEDED."
    done = site.ctl("rotate-key", "-p", keys.previous_file, *options)
    assert done.status == 5 and "do not destroy the previous key" in done.err, done
    assert "failed             1" in done.out and done.out.splitlines()[-1] == verdict, done
    assert "destroyed" not in done.out and "dry run" not in done.out, done


def test_the_middle_of_a_ceremony_is_no_failure(site):
    """The configuration is changed last: until then the old key is needed, and nothing has failed."""
    put_keys(site, 2)
    keys = Keys(site, swap=False)
    words = ["rotate-key", "-p", keys.previous_file, "--new-key", keys.next_file]
    done = site.ctl(*words)
    assert done.status == 1 and done.out.splitlines()[-1] == \
        "Not done yet: the configuration does not name the new key, so the previous key " \
        f"{fingerprint(keys.previous)} is STILL NEEDED.", done
    assert "FAILED" not in done.out and "destroyed" not in done.out, done
    keys.swap()
    assert "can be destroyed" in site.ctl(*words).out


def test_a_failure_before_any_key_ends_in_a_verdict(ceph, etcd, proxied):
    site, proxy = proxied(ceph, etcd)
    put_keys(site, 1)
    keys = Keys(site)
    proxy.rule = lambda request: DENIED
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 1 and "AccessDenied" in done.err, done
    assert done.out == f"This run FAILED: the previous key {fingerprint(keys.previous)} is STILL NEEDED.\n", done


@pytest.mark.parametrize("by_daemon", [True, False], ids=["daemon", "private"])
def test_more_failures_than_are_told(site, by_daemon):
    """A daemon's log has them all; without one the person is told them all."""
    names = {key_name(n) for n in range(130)}
    for name in names:
        site.bucket.put(name, os.urandom(72))
    keys = Keys(site)
    if by_daemon:
        site.start()
    done = site.ctl("rotate-key", "-p", keys.previous_file, "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert done.status == 5 and counts(lines[-1]) == (0, 0, 130), done
    told = [line["name"] for line in lines if "name" in line]
    assert len(told) == (100 if by_daemon else 130) and set(told) <= names
    assert ("note: and 30 more failures, in the daemon's log" in done.err) == by_daemon, done.err
    if by_daemon:
        logged = [text.split(": ")[1] for text in events(site, "warning") if text.startswith("rotate-key: backup-")]
        assert len(logged) == 130 and set(logged) == names
    else:
        assert "more failures" not in done.err


@needs_root
@pytest.mark.installed
def test_no_memory_to_lock_for_a_key(site):
    """That is not the file's fault, and a program is told like a person."""
    keys = Keys(site)
    site.dir.chmod(0o711)
    ctl = site.dir / "ctl"
    ctl.write_bytes(Path(site.programs.ctl).read_bytes())
    ctl.chmod(0o755)
    Path(keys.previous_file).chmod(0o644)
    for words in ("rotate-key -p previous.key", "key-fingerprint previous.key"):
        done = site.run("sh", "-c", f"ulimit -l 0; exec ./ctl --json {words}", user=65534, group=65534, extra_groups=[])
        if not site.programs.sanitized:  # with which nothing is ever locked
            assert done.status == 1 and done.json["failure"]["kind"] == "resource", done
            assert "cannot lock memory for a secret" in done.json["failure"]["text"] and len(done.err.splitlines()) == 1, done


# ---- two at once ----


@pytest.mark.parametrize("keeps_versions", [False, True], ids=["conditions", "none"])
def test_two_ceremonies_that_meet(ceph, etcd, proxied, keeps_versions):
    """Two people rotate to two new keys, and one's PUT arrives when the other's run is through. Whether the store keeps the
    late one from writing (If-Match) or not (Ceph 16, a bucket with versions): each key opens with one of the two new keys,
    to its own data key, and nobody is told that all is well but who has them all."""
    site, proxy = proxied(ceph, etcd)
    if keeps_versions:
        with keeping_versions(site):
            check_two_ceremonies(site, proxy, held=2)
    else:
        check_two_ceremonies(site, proxy, held=1)


def check_two_ceremonies(site, proxy, held):
    """`held`: which of the puts is not refused, in the dialect of the store."""
    made = put_keys(site, 1)
    name, = made
    keys = Keys(site)
    other = os.urandom(32)
    other_file = site.write("other.key", other.hex())
    proxy.rule = lambda request: Hold() if request.call == "put" and request.nth == held else None
    late = Command(site, "rotate-key", "-p", keys.previous_file, "--new-key", keys.next_file, "--json")
    wait_for(lambda: proxy.held, what="the put that comes late")
    # The other has it all, and the configuration names the key of the first: no success.
    failure, result = rotate(site, keys, "--new-key", other_file, status=1)
    assert counts(result) == (1, 0, 0) and opens(other, name, site.bucket.get(name)) == made[name]
    assert "do NOT destroy the previous key" in failure["failure"]["text"]
    proxy.release()
    done = late.end()
    lines = [json.loads(line) for line in done.out.splitlines()]
    wrapped = site.bucket.get(name)
    assert opens(keys.previous, name, wrapped) is None
    if held == 1:  # refused: the work of the other stays, and that is told
        assert done.status == 5 and opens(other, name, wrapped) == made[name], done
        assert "it was rotated from the same previous key, but to another new one" in lines[0]["text"]
    else:  # written over: the first has them all, and its key is configured
        assert done.status == 0 and opens(keys.next, name, wrapped) == made[name], done
    # Who comes again is told, whatever it is.
    told, *_ = rotate(site, keys, "--new-key", other_file if held != 1 else keys.next_file, status=5)
    assert told["name"] == name and site.bucket.get(name) == wrapped
