"""The last word of a rotation, "it can be destroyed": what comes in between keeps it back, and nothing is purged before it."""

import pytest

from s3_proxy import Answer, error
from test_rotate import Keys, check_opens, counts, put_keys, rotate, rotated

DENIED = Answer(403, error("AccessDenied"))
BUSY = Answer(503, error("SlowDown"))


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
    (DENIED, "auth", "(the access key needs s3:ListBucketMultipartUploads)"),
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
