"""Clusters whose members do not have the same data, as etcd itself finds it: each was restored from a snapshot of its own."""

import json
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from faults import Scripted, check_clean
from servers import ENVIRONMENT, free_ports, wait_for
from test_faults_etcd import doubted, with_a_hook
from unpacking import Revived

PUTS = 5


def checks(etcd):
    """The options by which it compares what its members had when they compacted."""
    if etcd.version < "3.6":
        return ["--experimental-compact-hash-check-enabled", "--experimental-compact-hash-check-time=1s"]
    return ["--feature-gates=CompactHashCheck=true", "--compact-hash-check-time=1s"]


@contextmanager
def grown_apart(new_etcd, folder, version, values):
    """A cluster of as many members as there are values, that agree on each revision but not on what was put there."""
    peers = [f"http://127.0.0.1:{port}" for port in free_ports(len(values))]
    cluster = ",".join(f"m{n}={peer}" for n, peer in enumerate(peers))
    sources = {value: new_etcd(version=version) for value in set(values)}
    for value, source in sources.items():
        for n in range(PUTS):
            source.ctl("put", f"key{n}", value)
        source.snapshot(folder / f"{value}.db")
    etcd = sources[values[0]]
    with ExitStack() as stack:
        members = []
        for n, value in enumerate(values):
            subprocess.run([etcd.binary("etcdutl"), "snapshot", "restore", folder / f"{value}.db", "--data-dir", folder / f"m{n}",
                            "--name", f"m{n}", "--initial-cluster", cluster, "--initial-advertise-peer-urls", peers[n]],
                           env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            members.append(stack.push(Revived(etcd, folder / f"m{n}", *checks(etcd), name=f"m{n}", peer=peers[n])))
        for member in members:
            member.wait()
        yield members


def of(*members):
    """These members as servers.Site wants an etcd."""
    etcd = Scripted(members[0])
    etcd.endpoints = [member.endpoint for member in members]
    return etcd


def header_of(member):
    """Its own number, and the leader's."""
    status = json.loads(member.ctl("endpoint", "status", "-w", "json"))[0]["Status"]
    return status["header"]["member_id"], status["leader"]


def lead(members, leader):
    """Lets that member lead."""
    numbers = [header_of(member)[0] for member in members]
    now = members[numbers.index(header_of(leader)[1])]
    if now is not leader:
        now.ctl("move-leader", f"{header_of(leader)[0]:x}")
    wait_for(lambda: all(header_of(member)[1] == header_of(leader)[0] for member in members), what="the new leader")


def alarms_of(member):
    """Whose data etcd says are corrupt: members' numbers, and 0 for that it does not know."""
    alarms = json.loads(member.ctl("alarm", "list", "-w", "json")).get("alarms", [])
    assert all(alarm["alarm"] == 2 for alarm in alarms), alarms
    return {alarm.get("memberID", 0) for alarm in alarms}


def is_alarmed(member, number):
    """Also says that it does not know when it looks before all have compacted: then it is to look again."""
    alarms = alarms_of(member)
    if number and 0 in alarms:
        member.ctl("alarm", "disarm")
    return alarms == {number}


def find_out(member, number):
    """Has them all compact, after which etcd compares what they had, and waits for the alarm."""
    member.ctl("compact", 1 + PUTS)
    wait_for(lambda: is_alarmed(member, number), what="the alarm")


def test_one_that_differs(new_etcd, new_bucket, new_site, folder):
    """Would be read, since it follows; with the alarm it is passed over for the leader, or is all there is and doubted."""
    with grown_apart(new_etcd, folder, "3.7", ["good", "good", "bad"]) as members:
        lead(members, members[0])
        leader, bad = members[0], members[2]
        site = new_site(of(bad, leader), new_bucket()).start()
        done = site.ctl("backup", "--json", "-q")
        assert (done.status, done.json["endpoint"]) == (0, bad.endpoint), done
        assert "do not have the same contents" in done.json["doubt"], done

        find_out(leader, header_of(bad)[0])
        done = site.ctl("backup", "--json", "-q")
        assert (done.status, done.json["endpoint"]) == (0, leader.endpoint), done
        check_clean(site, 2)

        told = doubted(with_a_hook(new_site(of(bad), new_bucket())),
                       "^the backup may be damaged: it was taken from .* m2, for which etcd has raised the alarm CORRUPT$")
        assert told["endpoint"] == bad.endpoint


@pytest.mark.parametrize("version, values", [("3.5", ["good", "good", "bad"]), ("3.5-newest", ["good", "good", "bad"]),
                                             ("3.7", ["one", "two", "three"])])
def test_nobody_knows_who(new_etcd, bucket, new_site, folder, version, values):
    """Since each differs; and 3.5 does not ask what most of them have."""
    with grown_apart(new_etcd, folder, version, values) as members:
        find_out(members[0], 0)
        site = new_site(of(*members), bucket, changes={"etcd_client": {"compare_members": False}})  # which sees it, too
        doubted(with_a_hook(site), "^the backup may be damaged: it was taken from .* m[012], "
                "and etcd has raised the alarm CORRUPT without knowing for which member$")
