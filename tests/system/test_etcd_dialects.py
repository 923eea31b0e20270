"""lib/etcd against a scripted peer: both dialects of etcd's errors about authentication, and members to choose from that
real clusters are hard to talk into."""

import threading

import pytest

from etcd_peer import (AUTHENTICATE, DATABASE, MEMBER_LIST, STATUS, TRAILER, Etcd, attempt, member, message, pieces, stream,
                       unary)
from etcd_probe import fields, run
from h2peer import Peer

# 3.4 and 3.5, then 3.6.
DIALECTS = {
    "old": {"empty": (2, "auth: user name is empty"), "token": (2, "auth: invalid auth token"),
            "denied": (2, "auth: permission denied"), "revision": (2, "auth: revision in header is old")},
    "new": {"empty": (3, "etcdserver: user name is empty"), "token": (16, "etcdserver: invalid auth token"),
            "denied": (7, "etcdserver: permission denied"), "revision": (3, "etcdserver: revision of auth store is old")},
}


@pytest.fixture
def user(folder):
    """Options of a probe with a user name and password."""
    path = folder / "password"
    path.write_text("secret-password")
    path.chmod(0o600)
    return {"user": "root", "password_file": path}


def tokens():
    """An Authenticate that gives token-1, then token-2, ..."""
    given = []

    def handler(call):
        assert call.messages == [message(f1="root", f2="secret-password")]
        assert "token" not in call.fields
        given.append(f"token-{len(given) + 1}")
        unary(message(f2=given[-1]))(call)
    return handler


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", ["empty", "token", "revision"])
def test_a_token_is_renewed_once(folder, user, dialect, case):
    def handler(call):
        if call.fields.get("token") == "token-2":
            stream(*pieces())(call)
        else:
            call.trailers_only(*DIALECTS[dialect][case])

    with Etcd(handler, {AUTHENTICATE: tokens()}) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db", **user)
        assert status == 0, lines
        assert [call.fields["token"] for call in peer.snapshots] == ["token-1", "token-2"]
    assert (folder / "db").read_bytes() == DATABASE + TRAILER


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case, kind, text", [
    ("token", "auth", "the authentication token is not accepted"),
    ("revision", "transient", "users or roles have just been changed"),
    ("denied", "auth", "permission denied: the user needs the root role"),
])
def test_a_token_that_stays_wrong(folder, user, dialect, case, kind, text):
    with Etcd(lambda call: call.trailers_only(*DIALECTS[dialect][case]), {AUTHENTICATE: tokens()}) as peer:
        line = attempt(peer, folder, **user)
        assert line.startswith(f"snapshot failed {kind} {text} (grpc-status "), line
        assert len(peer.snapshots) == (1 if case == "denied" else 2)
    assert "secret-password" not in line and "token-" not in line


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_status_that_wants_a_token_gets_one(folder, user, dialect):
    def status(call):
        if "token" in call.fields:
            unary(member())(call)
        else:
            call.trailers_only(*DIALECTS[dialect]["empty"])

    with Etcd(stream(*pieces()), {STATUS: status, AUTHENTICATE: tokens()}) as peer:
        code, lines = run([peer.endpoint], "snapshot", folder / "db", **user)
        assert code == 0, lines
    with Etcd(stream(*pieces()), {STATUS: status}) as peer:
        code, lines = run([peer.endpoint], "status")
        assert code == 1
        assert lines[0].startswith(
            f"session failed auth {peer.endpoint}: etcd requires authentication, none is configured (grpc-status "), lines


@pytest.mark.parametrize("answer", [b"", message(f2="a b"), message(f2="a\r\nb: c"), message(f2="x" * 9000)])
def test_tokens_that_are_none(user, answer):
    with Etcd(handlers={AUTHENTICATE: unary(answer)}) as peer:
        assert run([peer.endpoint], "status", **user) == (1, [
            f"session failed protocol {peer.endpoint}: authenticating: the answer to Authenticate holds no usable token"])


def test_a_password_file_that_is_gone(folder):
    with Etcd() as peer:
        status, lines = run([peer.endpoint], "status", user="root", password_file=folder / "none")
        assert status == 1
        assert lines == [f"session failed not-found {peer.endpoint}: authenticating: {folder}/none: No such file or directory"]


# The choice of a member, where real clusters cannot be made to look so.


def test_who_is_corrupt_or_behind_or_a_learner_is_passed_over(folder):
    corrupt = "memberID:1 alarm:CORRUPT "
    told = threading.Event()

    def later(answer):
        """Behind the good one, so that all are known before the first that could do has waited for the others too long."""
        def handler(call):
            assert told.wait(60)
            unary(answer)(call)
        return handler

    def first(call):
        unary(member(me=4, leader=4, index=100000, errors=[corrupt]))(call)
        told.set()

    bad = [Etcd(handlers={STATUS: later(answer)}) for answer in (
        member(me=1, leader=4, errors=[corrupt]), member(me=2, leader=4, index=98999), member(me=3, leader=4, learner=1))]
    good = Etcd(stream(*pieces()), {STATUS: first})
    with bad[0], bad[1], bad[2], good:
        status, lines = run([*(peer.endpoint for peer in bad), good.endpoint], "snapshot", folder / "db")
        assert status == 0, lines
        assert (fields(lines[0])["endpoint"], fields(lines[0])["alarms"]) == (good.endpoint, "CORRUPT")


def test_a_member_list_that_fails_costs_the_name_alone():
    for handler in (lambda call: call.trailers_only(2, "auth: user name is empty"), unary(b"\xff")):
        with Etcd(handlers={MEMBER_LIST: handler}) as peer:
            status, lines = run([peer.endpoint], "status")
            assert status == 0, lines
            assert fields(lines[0])["name"] == ""


def test_what_is_no_etcd():
    with Peer() as peer:
        status, lines = run([peer.endpoint], "status")
        assert status == 1
        assert lines[0].startswith(f"session failed config {peer.endpoint}: grpc-status 12 UNIMPLEMENTED"), lines
