"""The releases of etcd that people run: the whole way with each of them, and what differs from one to the next.

What is alike in all is tested elsewhere, with one of them."""

import json
import re

import pytest

from faults import backup_fails, check_clean
from s3_proxy import Hold, Proxy
from servers import MIB, wait_for
from test_faults_etcd import STARTED, doubted, start_slowly, with_a_hook
from unpacking import Revived, data_of, hash_of, refused, three, tool_of, unpack

VERSIONS = ["3.4", "3.5", "3.5-newest", "3.6", "3.7"]


def storage_of(etcd):
    """What its storage says of itself. etcd writes it some seconds after its start; before 3.6 there is no such thing."""
    if etcd.version < "3.6":
        return ""
    return wait_for(lambda: (etcd.status()["storageVersion"].startswith(f"{etcd.version}.")
                             and etcd.status()["storageVersion"]), what="etcd to write its storage version")


def backed_up(new_site, etcd, bucket, **options):
    """A site whose daemon has made a backup; what was said of that."""
    site = new_site(etcd, bucket, **options).start()
    done = site.ctl("backup", "--json", "-q")
    assert done.status == 0, done
    return site, done.json


def listed(site):
    """By its only backup: the object, and the row of the table by its columns."""
    header, row = site.ctl("list").out.splitlines()[:2]
    return site.ctl("list", "--json").json, dict(zip(header.split(), re.split(r" {2,}", row.strip())))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_whole_way(shared_etcd, bucket, new_site, folder, version):
    """Backup, list, a drill, one node and three: etcd has again what it had."""
    etcd = shared_etcd(version=version, tls="mutual")
    storage = storage_of(etcd)
    site, made = backed_up(new_site, etcd, bucket)
    assert made["etcd_version"].startswith(f"{version[:3]}.") and made["storage_version"] == storage and made["doubt"] == ""

    entry, row = listed(site)
    assert (entry["etcd_version"], entry["storage_version"]) == (made["etcd_version"], storage)
    assert row["STORAGE"] == (storage or "-")

    keys = len(data_of(etcd)[1])
    done = site.ctl("verify", "--drill", "-e", tool_of(etcd), "--json", "-q")
    verdict, _ = map(json.loads, done.out.splitlines())
    assert done.status == 0 and verdict["good"] and verdict["revision"] == data_of(etcd)[0], done
    assert verdict["keys"] == keys and verdict["hashkv"] == hash_of(etcd), verdict
    if version < "3.6":
        assert verdict["entries"] > keys, verdict
    else:
        assert "entries" not in verdict, verdict
    row = site.ctl("verify", "--drill", "-e", tool_of(etcd)).out.splitlines()[1]
    assert f"  {keys} keys  " in row, row

    done = unpack(site, folder / "one", "-e", tool_of(etcd))
    assert done.status == 0 and "note:" not in done.err, done
    with Revived(etcd, folder / "one") as one:
        assert (data_of(one), hash_of(one)) == (data_of(etcd), hash_of(etcd))
    with three(site, folder) as members:
        revision, _ = data_of(etcd)
        assert [hash_of(member, revision) for member in members] == [hash_of(etcd, revision)] * 3


@pytest.mark.parametrize("version", ["3.5-newest", "3.6", "3.7"])
@pytest.mark.parametrize("auth", ["password", "cn"])
def test_users(shared_etcd, new_bucket, new_site, version, auth):
    """From 3.6.9 on already Status wants to know who asks, as from 3.5.28 and 3.4.42 on."""
    etcd = shared_etcd(version=version, tls="mutual" if auth == "cn" else "server", auth=auth)
    _, made = backed_up(new_site, etcd, new_bucket())
    assert made["member"] == "n1"  # which MemberList says, to those alone who are somebody
    if auth == "cn":
        other = {"client_cert": etcd.ca("server"), "client_key": etcd.ca.key("server")}
        site = new_site(etcd, new_bucket(), changes={"etcd_client": {"auth": other}})
        backup_fails(site.start(), 1, "the client certificate's common name is no user of etcd")
        return
    site = new_site(etcd, new_bucket(), changes={"etcd_client": {"auth": {"password_auth": None}}})
    backup_fails(site.start(), 1, "etcd requires authentication, none is configured")
    site = new_site(etcd, new_bucket(), user="nobody")
    backup_fails(site.start(), 1, "permission denied: the user needs the root role")
    assert "nobodypw" not in site.log.read_text()


@pytest.mark.parametrize("version", ["3.5", "3.6", "3.7"])
@pytest.mark.parametrize("least", ["TLS1.2", "TLS1.3"])
def test_tls(new_etcd, bucket, new_site, version, least):
    """The oldest that the server takes; with 1.2, also the newest."""
    most = ["--tls-max-version=TLS1.2"] if least == "TLS1.2" else []
    etcd = new_etcd(version=version, tls="mutual", extra=[f"--tls-min-version={least}", *most])
    site = new_site(etcd, bucket).start()
    done = site.ctl("backup", "-q")
    if least == "TLS1.2" or done.status == 0:
        assert done.status == 0, done
        check_clean(site, 1)
    else:  # mbedTLS 3 has TLS 1.3, and 2.28 has not
        assert "takes none of our TLS versions (alert protocol_version; the newest here is 1.2)" in done.err, done


# ---- the leader goes away while a follower sends ----


@pytest.fixture
def slow(ceph):
    """The store behind a proxy that holds all parts but the first until proxy.release()."""
    with Proxy(ceph, lambda request: Hold() if request.number > 1 else None) as proxy:
        yield proxy


@pytest.mark.parametrize("version", ["3.4", "3.7"])
def test_the_leader_goes_away(new_etcd, bucket, new_site, slow, version):
    """What a follower sends goes on, whoever leads. (3.5 and 3.6: test_another_member_takes_over)"""
    etcd = new_etcd(version=version, members=3, tls="mutual")
    etcd.fill(40 * MIB)
    site, command = start_slowly(new_site, etcd, bucket, slow)
    reading = next(m for m in range(3) if etcd.metrics(m).get(STARTED))
    leader = next(m for m in range(3) if etcd.metrics(m)["etcd_server_is_leader"])
    assert reading != leader
    seen = etcd.metrics(reading)["etcd_server_leader_changes_seen_total"]
    etcd.kill(etcd.members[leader])
    wait_for(lambda: etcd.metrics(reading)["etcd_server_leader_changes_seen_total"] > seen
             and etcd.metrics(reading)["etcd_server_has_leader"], what="another leader")
    slow.release()
    done = command.end()
    assert done.status == 0 and done.json["attempts"] == 1 and done.json["doubt"] == "", done
    assert done.json["endpoint"] == etcd.endpoints[reading]
    check_clean(site, 1)


# ---- the version of the storage ----


@pytest.mark.parametrize("version, tool", [("3.6", "3.5"), ("3.7", "3.6"), ("3.7", "3.5")])
def test_an_etcdutl_that_is_too_old(shared_etcd, bucket, new_site, folder, version, tool):
    """Is told before the download, with the one that it takes; and what it was not tried with is not called good."""
    etcd = shared_etcd(version=version, tls="mutual")
    storage_of(etcd)
    site, made = backed_up(new_site, etcd, bucket)
    older = shared_etcd(version=tool, tls="mutual").binary("etcdutl")
    words = (f"its storage is of etcd {version}, for which {older} is too old (etcdutl version: {tool}.",
             f": it takes the etcdutl of {version} (--etcdutl-path)")
    refused(site, folder, folder / "data", 1, made["name"], *words, "--use-etcdutl=false leaves the snapshot in a file",
            arguments=["-e", older])
    done = site.ctl("verify", "--drill", "-e", older, "--json", "-q")
    verdict = json.loads(done.out.splitlines()[0])
    assert done.status == 1 and verdict["unknown"] and not verdict["good"], done
    assert all(part in verdict["text"] for part in words), done
    assert site.ctl("list", "--json").json["verified"] is None
    # It is the tool, and not the backup.
    assert site.ctl("restore", "--use-etcdutl=false", "--output", folder / "file", "-q").status == 0
    assert site.ctl("verify", "-q").status == 0


def test_a_newer_etcdutl(shared_etcd, bucket, new_site, folder):
    """Leaves the storage as it is: the etcd that it is of starts on it."""
    etcd = shared_etcd(version="3.6", tls="mutual")
    storage_of(etcd)
    site, _ = backed_up(new_site, etcd, bucket)
    done = unpack(site, folder / "data", "-e", shared_etcd(version="3.7", tls="mutual").binary("etcdutl"))
    assert done.status == 0 and "note:" not in done.err, done
    with Revived(etcd, folder / "data") as one:
        assert data_of(one) == data_of(etcd)


def test_a_downgrade(new_etcd, shared_etcd, bucket, new_site, folder):
    """Is told as long as it is under way; what is in the backup is what its metadata say."""
    etcd = new_etcd(version="3.7", tls="mutual")
    etcd.ctl("put", "key", "value")
    storage_of(etcd)
    site = with_a_hook(new_site(etcd, bucket))
    etcd.ctl("downgrade", "enable", "3.6")
    wait_for(lambda: etcd.status()["storageVersion"].startswith("3.6."), what="etcd to change its storage")
    made = doubted(site, r"^etcd is being downgraded to 3\.6\.0: the backup may be of the storage of either release")
    assert (made["etcd_version"][:3], made["storage_version"]) == ("3.7", "3.6.0")
    older = shared_etcd(version="3.6", tls="mutual")
    done = unpack(site, folder / "data", "-e", older.binary("etcdutl"))
    assert done.status == 0 and "note:" not in done.err, done
    with Revived(older, folder / "data") as one:
        assert one.ctl("get", "key", "--print-value-only") == b"value\n"
    etcd.ctl("downgrade", "cancel")
    done = site.ctl("backup", "--json", "-q")
    assert done.json["doubt"] == "", done
