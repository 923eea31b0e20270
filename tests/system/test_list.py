"""Listing: what is shown of each backup, whose it is not, and how it is with ten thousand of them."""

import fcntl
import http.client
import json
import os
import re
import struct
import subprocess
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest

import servers
from faults import Command, has_connections
from s3_proxy import Answer, Hold, error
from servers import wait_for
from test_reader import wrap

PLAIN_SIZE = 4128  # a page of a snapshot and its SHA-256: the least that passes for a plain one


def listed(site):
    done = site.ctl("list", "--json")
    assert done.status == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def table(done):
    """The rows, by their columns' names. Two columns are parted by at least two spaces."""
    header, *rows = done.out.partition("\n\n")[0].splitlines()  # what follows is about the master key
    names = header.split()
    return [dict(zip(names, re.split(r" {2,}", row.strip()))) for row in rows]


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_is_shown(etcd, bucket, new_site, encrypted):
    site = new_site(etcd, bucket, encrypted=encrypted).start()
    older, newer = (site.ctl("backup", "--json").json for _ in range(2))
    entries = listed(site)
    assert [entry["name"] for entry in entries] == [newer["name"], older["name"]]
    for entry, made in zip(entries, (newer, older)):
        assert (entry["instant"], entry["size"]) == (made["instant"], made["stored_size"])
        assert (entry["encrypted"], entry["state"]) == (encrypted, "complete")
        assert (entry["etcd_version"], entry["revision_before"]) == (made["etcd_version"], made["revision_before"])
        # The dump's metadata is sent before it is known; the key's after.
        assert entry["revision_after"] == (made["revision_after"] if encrypted else 0)
        assert (entry["verified"], entry["verified_good"]) == (None, None)
    assert site.ctl("verify", "-t", older["instant"]).status == 0
    entries = listed(site)
    assert [entry["verified_good"] for entry in entries] == [None, True]
    rows = table(site.ctl("list"))
    assert [row["NAME"] for row in rows] == [newer["name"], older["name"]]
    for row, made in zip(rows, (newer, older)):
        assert row["INSTANT"] == made["instant"] and re.fullmatch(r"\d+s", row["AGE"])
        assert row["ENCRYPTED"] == ("yes" if encrypted else "no") and row["STATE"] == "complete"
        assert row["ETCD"] == made["etcd_version"] and row["REVISION"] == str(made["revision_before"])
    assert rows[0]["VERIFIED"] == "-" and re.fullmatch(r"\d+s ago", rows[1]["VERIFIED"])
    # It is this process that remembers.
    site.stop()
    assert [entry["verified"] for entry in listed(site.start())] == [None, None]


def put(bucket, name, size=PLAIN_SIZE, **metadata):
    bucket.client.put_object(Bucket=bucket.name, Key=name, Body=bytes(size),
                             Metadata={key.replace("_", "-"): value for key, value in metadata.items()})


def test_states_and_order(site):
    """By the instant that a name means, whatever its spelling; what cannot be read comes last."""
    expected = [
        ("backup-2031-01-02T00:00:00Z.dump", "future", True, "2031-01-02T00:00:00Z"),
        ("backup-2021-01-02T00:00:00Z.dump", "complete", True, "2021-01-02T00:00:00Z"),
        ("backup-2021-01-01T23:30:00+01:00.dump", "not-encrypted", False, "2021-01-01T22:30:00Z"),
        ("backup-2021-01-01T22:00:01Z.dump", "other-key", True, "2021-01-01T22:00:01Z"),
        ("backup-2021-01-01T22:00:00Z.dump", "key-missing", True, "2021-01-01T22:00:00Z"),
        ("backup-2021-01-01T21:00:01Z.dump", "wrong-size", True, "2021-01-01T21:00:01Z"),
        ("backup-2021-01-01T21:00:00Z.dump", "wrong-size", True, "2021-01-01T21:00:00Z"),
        ("backup-2021-99-01T00:00:00Z.dump", "unreadable-name", False, None),
    ]
    for name, state, encrypted, _ in expected:
        put(site.bucket, name, PLAIN_SIZE + (40 if encrypted else 0))
        if state in ("complete", "future", "other-key") and encrypted:
            key = site.master_key if state != "other-key" else bytes(32)
            site.bucket.put(name.replace(".dump", ".key"), wrap(name[len("backup-"):-len(".dump")], key))
    key = wrap("2021-01-01T21:00:01Z", site.master_key)
    put(site.bucket, "backup-2021-01-01T21:00:01Z.dump", 0)
    site.bucket.put("backup-2021-01-01T21:00:01Z.key", key)
    site.bucket.put("backup-2021-01-01T21:00:00Z.key", key[:-1])
    put(site.bucket, "backup-2020-01-01T00:00:00Z.key", 72)  # a lone key is no backup
    entries = listed(site)
    assert [(e["name"], e["state"], e["encrypted"], e["instant"]) for e in entries] == expected
    rows = table(site.ctl("list"))
    assert [row["STATE"] for row in rows] == [state for _, state, _, _ in expected]
    assert rows[0]["AGE"].startswith("in ") and (rows[-1]["AGE"], rows[-1]["INSTANT"]) == ("-", "-")


PREFIXES = ["a", "a-b", "a/b", "a/b-c", "a/", "A", "a-2031-01-01T00:00:00Z"]


def test_prefixes(etcd, bucket, new_site):
    """Each sees its own to the byte, and nobody touches what is foreign."""
    instants = {prefix: f"2031-01-0{n + 1}T00:00:00Z" for n, prefix in enumerate(PREFIXES)}
    foreign = ["a", "a-", "a-notes.txt", "a-2031-01-01.dump.bak", "a-2031-01-01T00:00:00Z.dump/x", "b-2031-01-01T00:00:00Z.dump",
               "a/b/2031-01-01T00:00:00Z.dump", "aa-2031-01-01T00:00:00Z.dump", "/a-2031-01-01T00:00:00Z.dump"]
    for prefix, instant in instants.items():
        put(bucket, f"{prefix}-{instant}.dump")
    for name in foreign:
        put(bucket, name, 5)
    before = bucket.list()
    for prefix, instant in instants.items():
        site = new_site(etcd, bucket, encrypted=False, changes={"s3_client": {"objects_prefix": prefix}})
        assert [entry["name"] for entry in listed(site)] == [f"{prefix}-{instant}.dump"], prefix
    assert bucket.list() == before


# What may stand in the metadata; what is shown of it: version, before, after.
ODD = [
    ({}, ("", 0, 0)),
    ({"etcd_version": "3.5.16", "etcd_revision": "7", "etcd_revision_after": "9"}, ("3.5.16", 7, 9)),
    ({"etcd_version": "3.5.16"}, ("3.5.16", 0, 0)),
    ({"etcd_revision": "-7", "etcd_revision_after": "0x9"}, ("", 0, 0)),
    ({"etcd_revision": "9223372036854775807", "etcd_revision_after": "92233720368547758080"}, ("", 0, 0)),
    ({"etcd_revision": "7 7", "etcd_revision_after": "12."}, ("", 0, 0)),
    ({"etcd_version": "9" * 300, "etcd_revision": "1" * 300}, ("9" * 31, 0, 0)),
    ({"etcd_version": "3.5-{\"}", "etcd_revision": "5"}, ("3.5-{\"}", 5, 0)),
]


def test_odd_metadata(etcd, bucket, new_site):
    """Written by somebody else, or by nobody: only unknown, never in the way."""
    for n, (metadata, _) in enumerate(ODD):
        put(bucket, f"backup-2031-01-{28 - n}T00:00:00Z.dump", **metadata)
    site = new_site(etcd, bucket, encrypted=False).start()
    shown = [(e["etcd_version"], e["revision_before"], e["revision_after"]) for e in listed(site)]
    # How large a number may be is ours to say: the largest may be unknown.
    assert [s for n, s in enumerate(shown) if n != 4] == [expected for n, (_, expected) in enumerate(ODD) if n != 4]
    assert shown[4][1] in (0, 9223372036854775807) and shown[4][2] == 0
    rows = table(site.ctl("list"))
    assert [row["REVISION"] for row in rows][:3] == ["-", "7-9", "-"]


def test_a_key_without_metadata(etcd, bucket, new_site):
    """As the Go tool's rotation leaves it: what is known stands at the dump, too."""
    site = new_site(etcd, bucket, https=False).start()
    made = site.ctl("backup", "--json").json
    key = made["name"].replace(".dump", ".key")
    bucket.put(key, bucket.get(key))
    entry, = listed(site)
    assert (entry["etcd_version"], entry["revision_before"]) == (made["etcd_version"], made["revision_before"])
    assert entry["revision_after"] == 0 and entry["key"] not in ("", "none"), entry


def test_a_store_that_tells_nothing(proxied, ceph, etcd):
    """Without the right to read objects the list is still whole; without the right to list there is none."""
    site, proxy = proxied(ceph, etcd)
    made = site.start().ctl("backup", "--json").json
    proxy.rule = lambda r: Answer(403, error("AccessDenied")) if r.path.endswith(".key") else None
    entry, = listed(site)
    assert (entry["name"], entry["etcd_version"], entry["revision_before"]) == (made["name"], "", 0)
    proxy.rule = lambda r: Answer(403, error("AccessDenied")) if "list-type" in r.query else None
    done = site.ctl("list")
    assert done.status == 1 and "listing the bucket: " in done.err and "AccessDenied" in done.err and done.out == "", done


@pytest.mark.parametrize("what", ["list-type", ".key"])
def test_cancelled(proxied, ceph, etcd, what):
    site, proxy = proxied(ceph, etcd)
    site.start().ctl("backup")
    # The daemon's own look at the bucket, after a backup that somebody asked for, is not what is meant.
    wait_for(lambda: [r for r in proxy.requests if r.call == "get" and r.path.endswith(".key") and r.status])
    wait_for(lambda: not has_connections(site.process.pid), what="the end of its looks")
    proxy.rule = lambda r: Hold() if what in r.query or r.path.endswith(what) else None
    command = Command(site, "list")
    wait_for(lambda: proxy.held)
    command.interrupt()
    done = command.end()
    assert done.status == 1 and "cancelled" in done.err and done.out == "", done
    assert site.ctl("status").status == 0


def test_a_backup_meanwhile(proxied, ceph, etcd):
    """Lists are for everybody at any time: they take no job's place."""
    site, proxy = proxied(ceph, etcd, lambda r: Hold() if r.number else None)
    command = Command(site.start(), "backup", "-q")
    wait_for(lambda: proxy.held)
    assert listed(site) == []
    proxy.release()
    assert command.end().status == 0 and len(listed(site)) == 1


COUNT = 10000


def fill(bucket, names):
    """Small objects, fast: nobody signs, since the bucket is open to all for so long."""
    bucket.client.put_bucket_acl(Bucket=bucket.name, ACL="public-read-write")
    url = urlsplit(bucket.ceph.http)

    def work(part):
        connection = http.client.HTTPConnection(url.hostname, url.port)
        for name in part:
            connection.request("PUT", f"/{bucket.name}/{quote(name)}", bytes(PLAIN_SIZE))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (name, answer.status)
        connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, [names[n::16] for n in range(16)]))
    bucket.client.put_bucket_acl(Bucket=bucket.name, ACL="private")


@pytest.mark.installed
def test_ten_thousand(etcd, ceph, new_site, request):
    """All of them, in order, in little memory. The bucket stays until its store goes: that is quicker than emptying it."""
    bucket = servers.Bucket(ceph, f"many-{time.time_ns()}")
    names = [f"backup-{2000 + n // 1000}-{n // 100 % 10 + 1:02}-{n // 10 % 10 + 10}T0{n % 10}:00:00Z.dump" for n in range(COUNT)]
    fill(bucket, names)
    site = new_site(etcd, bucket, encrypted=False).start()
    before = site.memory()
    began = time.monotonic()
    entries = listed(site)
    seconds = time.monotonic() - began
    assert [entry["name"] for entry in entries] == names[::-1]
    peak = site.memory()
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{COUNT} backups listed in {seconds:.2f} s; the daemon's memory: {peak >> 10} KiB at most, {before >> 10} before")
    if not site.programs.sanitized:
        assert peak < 32 * servers.MIB
    rows = table(site.ctl("list"))
    assert len(rows) == COUNT and rows[-1]["NAME"] == names[0]
    # What prune would do with each of them, all told at once.
    *plan, result = [json.loads(line) for line in site.ctl("prune", "--dry-run", "--json").out.splitlines()]
    assert {one["name"] for one in plan} == set(names) and len(plan) == COUNT
    assert result["deleted"] == COUNT - 20 and site.bucket.dumps()


def on_terminal(site, columns, *arguments):
    """The lines of a command of etcd-backupctl on a terminal of that width."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([site.programs.ctl, "-s", str(site.socket), *arguments], stdin=slave, stdout=slave,
                          stderr=subprocess.PIPE, env=site.programs.environment) as process:
        os.close(slave)
        out = b""
        try:
            while piece := os.read(master, 65536):
                out += piece
        except OSError:  # EIO: nobody has the other end any more
            pass
        assert process.wait() == 0, process.stderr.read()
    os.close(master)
    return out.decode().splitlines()


def test_tables_fit_the_terminal(site):
    """No line wraps, and what matters stays; where nobody looks at columns all are there."""
    site.start()
    name = site.ctl("backup", "--json").json["name"]
    wide = [*site.ctl("list").out.splitlines()[:2], *site.ctl("verify").out.splitlines(),
            *site.ctl("prune", "--dry-run").out.splitlines()[:2]]
    assert all(("NAME" in line) != (name in line) for line in wide), wide
    for columns in (200, 110, 80):
        lines = [line for command in (["list"], ["verify"], ["prune", "--dry-run"])
                 for line in on_terminal(site, columns, *command)]
        rows = [line for line in lines if "master key:" not in line]
        assert rows and all(len(line) <= columns for line in rows), rows
        assert sum(name in line for line in rows) == {200: 3, 110: 0, 80: 0}[columns]
        assert sum("INSTANT" in line for line in rows) == 3
