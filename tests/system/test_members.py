"""Whether etcd's members have the same contents: each is asked for HashKV at the snapshot's revision, behind each backup."""

import json
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from etcd_peer import STATUS, Etcd, member, message, pieces, stream, unary
from faults import Scripted, check_clean, log
from servers import wait_for
from test_corrupt import grown_apart, of
from test_faults_etcd import doubted, with_a_hook
from test_service import Page
from unpacking import tool_of

HASHKV = "/etcdserverpb.Maintenance/HashKV"
RANGE = "/etcdserverpb.KV/Range"
NEVER = 2**64 - 1  # compact revision -1


def hash_by_etcd(etcd, revision):
    """What each member says, by etcdctl."""
    told = json.loads(etcd.ctl("endpoint", "hashkv", "--rev", revision, "-w", "json"))
    return {one["HashKV"]["hash"] for one in told}


def a_backup(site):
    done = site.ctl("backup", "--json", "-q")
    assert done.status == 0, done
    return done.json


@pytest.mark.parametrize("version, auth", [("3.4", "none"), ("3.5", "password"), ("3.6", "none"), ("3.7", "password")])
def test_equal(new_etcd, bucket, new_site, version, auth):
    """All members, before and after a compaction; the number is etcd's own, lies beside the backup, and a drill proves it."""
    etcd = new_etcd(version=version, members=3, tls="server" if auth == "password" else "none", auth=auth)
    site = new_site(etcd, bucket)
    page = Page(site)
    site.start()
    for n in range(20):
        etcd.ctl("put", f"key{n % 7}", f"value{n}")
    made = [a_backup(site)]
    etcd.ctl("compact", 12)
    etcd.ctl("del", "key3")
    made.append(a_backup(site))
    for one in made:
        assert (one["members"], one["members_compared"], one["members_why"], one["doubt"]) == ("equal", 3, "", ""), one
    assert [one["compact_revision"] for one in made] == [-1, 12]
    assert hash_by_etcd(etcd, made[1]["revision"]) == {made[1]["hashkv"]}
    kept = bucket.metadata(made[1]["name"].replace(".dump", ".key"))
    assert (kept["hashkv"], kept["hashkv-revision"], kept["hashkv-compact-revision"]) == (
        str(made[1]["hashkv"]), str(made[1]["revision"]), "12"), kept
    listed = {one["name"]: one for one in map(json.loads, site.ctl("list", "--json").out.splitlines())}
    for one in made:
        assert {key: listed[one["name"]][key] for key in ("hashkv", "revision", "compact_revision", "revisions")} == {
            key: one[key] for key in ("hashkv", "revision", "compact_revision", "revisions")}
    assert site.ctl("status", "--json").json["last_success"]["hashkv"] == made[1]["hashkv"]
    assert [one["keys"] for one in made] == [7, 6] == [listed[one["name"]]["keys"] for one in made] and kept["etcd-keys"] == "6", made
    assert page.values()["members_diverge"] == 0
    drilled = [json.loads(line) for line in site.ctl("verify", "--all", "--drill", "-e", tool_of(etcd), "--json").out.splitlines()]
    assert [(one["contents"], one["keys"]) for one in drilled[:-1]] == [("proven", 6), ("proven", 7)], drilled
    check_clean(site, 2)


def test_one_member_has_other_contents(new_etcd, bucket, new_site, folder):
    """It is told everywhere, and is no refusal."""
    with grown_apart(new_etcd, folder, "3.5", ["good", "good", "bad"]) as members:
        site = new_site(of(*members), bucket)
        page = Page(site)
        told = doubted(with_a_hook(site), r"^etcd's members do not have the same contents at revision 6: "
                       r"(.*HashKV \d+ \(compact revision -1\)(; )?){3}; one of them is corrupt$",
                       *(re.escape(one.endpoint) for one in members))
        assert (told["members"], told["members_compared"]) == ("diverge", 3), told
        assert page.values()["members_diverge"] == 1
        site.stop()
        # Where the other one cannot be asked, that is said, and is no alarm; what was seen before stays.
        site.configure({"etcd_client": {"endpoints": [members[0].endpoint]}})
        site.start()
        told = a_backup(site)
        assert (told["members"], told["members_why"], told["doubt"]) == (
            "not compared", "there is no other member to compare it with", ""), told
        assert "members_diverge" not in page.values()


@pytest.fixture(scope="module")
def database(shared_etcd, scratch):
    """A real one, without its SHA-256, and its revision."""
    etcd = shared_etcd(version="3.5")
    path = etcd.snapshot(scratch / "members.db")
    return path.read_bytes()[:-32], etcd.describe(path)[1]


def answer(number, compact=NEVER, revision=0):
    return unary(message(f1=message(f1=9), f2=number, f3=compact, f4=revision))


def refusal(code, text):
    return lambda call: call.trailers_only(code, text)


def changing(*handlers):
    """The first of them once, then the next, the last one for ever."""
    left = list(handlers)
    return lambda call: (left.pop(0) if len(left) > 1 else left[0])(call)


COUNT = unary(message(f1=message(f1=9), f4=300))  # of keys


FUTURE = refusal(11, "etcdserver: mvcc: required revision is a future revision")


OTHER = {  # how another member answers: (what is replaced, what the backup says, and why)
    "equal": ({HASHKV: answer(7)}, "equal", ""),
    "late": ({HASHKV: changing(FUTURE, FUTURE, answer(7))}, "equal", ""),
    "diverge": ({HASHKV: answer(8)}, "diverge", "OWN: HashKV 7 .*; OTHER: HashKV 8 "),
    "different once": ({HASHKV: changing(answer(8), answer(7))}, "equal", ""),
    "compacted since": ({HASHKV: answer(8, compact=5)}, "not compared",
                        "OWN: no other member answers with its compact revision -1; OTHER: no other .* revision 5"),
    "compacted": ({HASHKV: refusal(11, "etcdserver: mvcc: required revision has been compacted")}, "not compared",
                  "OTHER: etcd was compacted meanwhile: .*required revision has been compacted"),
    "denied": ({HASHKV: refusal(7, "etcdserver: permission denied")}, "not compared", "OTHER: permission denied: the user needs"),
    "unknown": ({HASHKV: refusal(12, "unknown service")}, "not compared", "OTHER: .*unknown service"),
    "another revision": ({HASHKV: answer(8, revision=1)}, "not compared", "OTHER: it has answered for another revision"),
    "nonsense": ({HASHKV: unary(b"\xff\xff\xff")}, "not compared", "OTHER: .*HashKV cannot be decoded"),
    "learner": ({HASHKV: answer(8), STATUS: unary(member(me=3, learner=1))}, "not compared", "OTHER: it is a learner"),
    "stranger": ({HASHKV: answer(8), STATUS: unary(member(me=3, cluster=8))}, "not compared", "OTHER: it is of another cluster"),
    "the same": ({HASHKV: answer(8), STATUS: unary(member(me=2, leader=1))}, "not compared",
                 "there is no other member to compare it with"),
}


@pytest.mark.parametrize("case", OTHER)
def test_what_another_member_says(new_site, bucket, database, case):
    """What cannot be compared is no alarm, and the hash of the snapshot's own member is recorded all the same."""
    snapshot, revision = database
    replaced, verdict, why = OTHER[case]
    own_answers = {STATUS: unary(member(me=2, leader=1)), HASHKV: answer(7, revision=revision)}
    with Etcd(stream(*pieces(snapshot)), own_answers) as own, Etcd(None, replaced) as other:
        if case == "the same":  # whichever is read from
            other.handlers["/etcdserverpb.Maintenance/Snapshot"] = stream(*pieces(snapshot))
            other.handlers[HASHKV] = answer(7)
        site = new_site(Scripted(own), bucket)
        site.configure({"etcd_client": {"endpoints": [own.endpoint, other.endpoint]}})
        told = a_backup(site.start())
        assert (told["members"], told["members_compared"], told["hashkv"], told["attempts"]) == (
            verdict, 2 if verdict != "not compared" else 0, 7, 1), told
        expected = why.replace("OWN", re.escape(own.endpoint)).replace("OTHER", re.escape(other.endpoint))
        assert re.match(expected or "$", told["members_why"]), told
        warned = [text for level, text in log(site) if level == "warning" and "same contents" in text]
        assert len(warned) == (verdict == "diverge"), warned
        check_clean(site, 1)


def test_what_was_compacted_is_not_recorded(new_site, bucket, database):
    """All have compacted behind the snapshot: they can be compared, but what they say is not the snapshot's."""
    replaced = {HASHKV: answer(7, compact=5), RANGE: COUNT}
    with Etcd(stream(*pieces(database[0])), {STATUS: unary(member(me=2, leader=1)), **replaced}) as own, Etcd(None, replaced) as other:
        site = new_site(Scripted(own), bucket)
        site.configure({"etcd_client": {"endpoints": [own.endpoint, other.endpoint]}})
        told = a_backup(site.start())
        assert (told["members"], told["members_compared"], told["hashkv"], told["keys"]) == ("equal", 2, None, None), told
        assert not {"hashkv", "etcd-keys"} & set(bucket.metadata(told["name"].replace(".dump", ".key")))


def test_another_member_answers(new_site, bucket, database):
    """An address behind which now one stands and now the other: what the second says is not of the snapshot's member."""
    with Etcd(stream(*pieces(database[0])), {HASHKV: answer(7), RANGE: COUNT}) as own, Etcd(None, {HASHKV: answer(7)}) as other:
        own.handlers[STATUS] = lambda call: unary(member(me=5 if own.snapshots else 2))(call)
        site = new_site(Scripted(own), bucket)
        site.configure({"etcd_client": {"endpoints": [own.endpoint, other.endpoint]}})
        told = a_backup(site.start())
        assert (told["members"], told["members_compared"], told["hashkv"], told["keys"]) == ("equal", 2, None, None), told


@pytest.mark.parametrize("count, keys", [("told", 300), ("refused", None), ("nonsense", None)])
def test_the_number_of_keys(new_site, bucket, database, count, keys):
    """The snapshot's member counts them; whether it does is nothing to the comparison."""
    counted = {"told": COUNT, "refused": refusal(12, "unknown service"), "nonsense": unary(b"\xff\xff\xff")}[count]
    with Etcd(stream(*pieces(database[0])), {STATUS: unary(member(me=2, leader=1)), HASHKV: answer(7), RANGE: counted}) as own, \
            Etcd(None, {HASHKV: answer(7), RANGE: unary(message(f4=5))}) as other:
        site = new_site(Scripted(own), bucket)
        site.configure({"etcd_client": {"endpoints": [own.endpoint, other.endpoint]}})
        told = a_backup(site.start())
        assert (told["members"], told["hashkv"], told["keys"]) == ("equal", 7, keys), told
        assert bucket.metadata(told["name"].replace(".dump", ".key")).get("etcd-keys") == (keys and str(keys))
        assert not [call for call in other.calls if call.method == RANGE]


def test_a_member_is_down(new_etcd, bucket, new_site):
    """The others are compared, and it is said who was not asked."""
    etcd = new_etcd(version="3.5", members=3)
    etcd.ctl("put", "a", "b")
    site = new_site(etcd, bucket).start()
    etcd.kill("n3")
    told = a_backup(site)
    assert (told["members"], told["members_compared"], told["doubt"]) == ("equal", 2, ""), told
    assert re.fullmatch(rf"{re.escape(etcd.endpoints[2].removeprefix('http://'))}.*", told["members_why"].removeprefix("http://")), told


@pytest.mark.parametrize("version", ["3.5", "3.7"])
def test_heavy_writes_are_no_divergence(new_etcd, bucket, new_site, version):
    """Nor are deletions and compactions, at whatever moment."""
    etcd = new_etcd(version=version, members=3)
    site = new_site(etcd, bucket).start()
    over, rounds = threading.Event(), []

    def write():
        while not over.is_set():
            for n in range(10):
                etcd.ctl("put", f"fill{len(rounds) % 3}-{n}", f"{len(rounds)}" * 4096)
            etcd.ctl("del", "--prefix", f"fill{(len(rounds) + 1) % 3}")
            etcd.ctl("compact", etcd.status()["header"]["revision"])
            rounds.append(etcd.status()["header"]["revision"])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            made = [a_backup(site) for _ in range(8)]
        finally:
            over.set()
        writing.result()
    assert rounds and {one["members"] for one in made} <= {"equal", "not compared"}, made
    assert [(one["doubt"], one["structure"]) for one in made] == [("", "sound")] * 8, made
    check_clean(site, 8)


def test_it_is_not_wanted(new_site, bucket, database):
    with Etcd(stream(*pieces(database[0])), {HASHKV: answer(7)}) as peer:
        site = new_site(Scripted(peer), bucket)
        site.configure({"etcd_client": {"compare_members": False}})
        told = a_backup(site.start())
        assert (told["members"], told["members_why"], told["hashkv"]) == (
            "not compared", "etcd_client.compare_members is false", None), told
        assert told["keys"] is None
        assert not [call for call in peer.calls if call.method == HASHKV]
        assert "hashkv" not in bucket.metadata(told["name"].replace(".dump", ".key"))


def test_a_cancellation_does_not_wait(new_site, bucket, database):
    """For a member that computes for ever."""
    with Etcd(stream(*pieces(database[0])), {HASHKV: lambda call: call.headers()}) as peer:
        site = new_site(Scripted(peer), bucket).start()
        with subprocess.Popen([site.programs.ctl, "-s", site.socket, "backup"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, env=site.programs.environment) as command:
            wait_for(lambda: [call for call in peer.calls if call.method == HASHKV], what="the question")
            command.send_signal(signal.SIGINT)
            assert b"cancelled" in command.communicate()[1]
        assert not site.bucket.dumps()


@pytest.mark.parametrize("case", ["ours has changed", "the other is gone"])
def test_the_second_round(new_site, bucket, database, case):
    """A number that was another a moment ago is not recorded; and who differed, and then is not to be had, has differed."""
    snapshot, revision = database
    own_answers = {STATUS: unary(member(me=2, leader=1)), HASHKV: answer(7, revision=revision)}
    replaced = {HASHKV: answer(7)}
    if case == "ours has changed":
        own_answers[HASHKV] = changing(answer(8, revision=revision), answer(7, revision=revision))
    else:
        replaced[HASHKV] = changing(answer(8), refusal(14, "etcdserver: no leader"))
    with Etcd(stream(*pieces(snapshot)), own_answers) as own, Etcd(None, replaced) as other:
        site = new_site(Scripted(own), bucket)
        site.configure({"etcd_client": {"endpoints": [own.endpoint, other.endpoint]}})
        told = a_backup(site.start())
        wanted = ("equal", 7) if case == "ours has changed" else ("diverge", None)
        assert (told["members"], told["hashkv"]) == wanted, told
