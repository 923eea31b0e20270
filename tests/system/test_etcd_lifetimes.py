"""lib/etcd taken apart at every moment: within each callback, after each cancelled snapshot, at each allocation.

The probe closes its loop at the end and aborts if a handle is left in it; the sanitizers find the rest.
"""

import pytest

from etcd_peer import AUTHENTICATE, DATABASE, TRAILER, Etcd, message, piece, pieces, stream, unary
from etcd_probe import Probe, fields, run
from h2peer import CANCEL
from servers import MIB


def forsake(call):
    call.headers()
    call.message(piece(DATABASE[:1000], 5000))
    call.conn.close()


# A chunk is 32 KiB: most of these have more to come when all is closed.
@pytest.mark.parametrize("callback, snapshot", [
    ("ready", None), ("begin", stream(*pieces())), ("begin", stream(*pieces()[:1], end=lambda call: None)),
    ("readable", stream(*pieces())), ("readable", stream(*pieces()[:2], end=lambda call: None)),
    ("end", stream(*pieces())), ("status", stream(*pieces())), ("failed", forsake),
    ("failed", lambda call: call.trailers_only(14, "not now")),
])
def test_all_may_be_closed_within_a_callback(folder, callback, snapshot):
    with Etcd(snapshot) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db", quit_in=callback, chunk=32768)
        assert (status, lines[-1]) == (0, f"quit in {callback}"), lines
        peer.connection().wait_gone()


def test_all_may_be_closed_when_a_session_fails():
    with Etcd() as good, Etcd() as gone:
        gone.close()
        status, lines = run([gone.endpoint], "status", quit_in="session_failed")
        assert (status, lines) == (0, ["quit in session_failed"])
        assert run([gone.endpoint, good.endpoint], "status")[0] == 0


def test_a_session_that_is_lost_while_nothing_happens(folder):
    with Etcd(stream(*pieces())) as peer:
        with Probe([peer.endpoint], "snapshot", folder / "db", stop_at=0) as probe:
            probe.until("stopped")
            peer.connections[0].close()
            line = probe.until("session")
            probe.end()
            assert line.startswith("session failed transient ") and f":{peer.port}" in line, line
            assert probe.status == 1


def test_cancelled_snapshots_leave_the_window_as_it_was(folder):
    """What arrives after the cancellation has to be given back too, or the connection would close up."""
    database = DATABASE * 32  # 4 MiB: four windows, of which a quarter is read

    with Etcd(stream(*pieces(database))) as peer:
        status, lines = run([peer.endpoint], "snapshot", folder / "db", window=MIB, chunk=MIB // 4, cancel_at=MIB // 4,
                            again=12)
        assert status == 0, lines
        assert (folder / "db").read_bytes()[:-32] == database
        assert len(peer.connections) == 1
        codes = [call.reset_code for call in peer.snapshots]
        assert codes == [CANCEL] * 12 + [None]


def test_a_snapshot_that_failed_may_be_taken_again_elsewhere(folder):
    with Etcd(lambda call: call.trailers_only(14, "not now")) as bad, Etcd(stream(*pieces())) as good:
        status, lines = run([bad.endpoint, good.endpoint], "snapshot", folder / "db", attempts=2)
        assert status == 0, lines
    assert [fields(line)["endpoint"] for line in lines if line.startswith("ready ")] == [bad.endpoint, good.endpoint]
    assert (folder / "db").read_bytes() == DATABASE + TRAILER


def test_blame_outlasts_what_goes_well_elsewhere(folder):
    """Who broke off a moment ago is not the first to be asked while another does well."""
    def once(call):
        if len(recovering.snapshots) == 1:
            call.trailers_only(14, "not now")
        else:
            stream(*pieces())(call)

    with Etcd(once) as recovering, Etcd(stream(*pieces())) as good:
        endpoints = [recovering.endpoint, good.endpoint]
        status, lines = run(endpoints, "snapshot", folder / "db", attempts=2, sessions=2)
        assert status == 0, lines
    assert [fields(line)["endpoint"] for line in lines if line.startswith("ready ")] == [*endpoints, good.endpoint]


def test_each_allocation_may_fail(folder):
    """All goes well, or it is told in one line. nghttp2, which allocates with ours, calls some of its failures by the name
    of what it could not do."""
    path = folder / "password"
    path.write_text("secret-password")
    path.chmod(0o600)
    failed = 0
    with Etcd(stream(*pieces()), {AUTHENTICATE: unary(message(f2="token"))}) as peer:
        for number in range(1, 10000):
            status, lines = run([peer.endpoint], "snapshot", folder / "db", user="root", password_file=path, chunk=32768,
                                fail_allocation=number)
            if lines[-1] == "allocation none failed":
                break
            assert lines[-1] == "allocation failed"
            if status == 0:  # it was one that nothing hangs on
                assert (folder / "db").read_bytes() == DATABASE + TRAILER
            else:
                assert " failed resource " in lines[-2] or " failed transient " in lines[-2], lines
                failed += "out of memory" in lines[-2].lower()
        assert status == 0 and number > 30 and failed > 20
