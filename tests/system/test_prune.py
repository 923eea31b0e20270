"""Pruning on a real store: what goes, what stays and why; and that nothing goes when anything is not as it should be."""

import datetime
import grp
import json
import os
import re
import signal
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest

from etcd_peer import message
from faults import Command, check_dumps, events, news
from s3_proxy import DROP, After, Answer, Cut, Hold, error
from servers import wait_for
from test_control import DONE, HELLO, Client, as_other, needs_root
from test_reader import VECTORS, vectors, wrap

# proto/control.proto, as numbers.
PRUNE, PRUNE_DRY = message(f8=b""), message(f8=message(f1=1))

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def name(days, prefix="backup", **more):
    """The stem of a backup that is so old."""
    return f"{prefix}-{(NOW - days * DAY - datetime.timedelta(**more)).strftime('%Y-%m-%dT%H:%M:%SZ')}"


def put(site, *stems, key=True):
    """Backups as far as a listing and a look at their keys show: nobody decrypts the dumps here."""
    for stem in stems:
        if key:
            instant = stem[-len("2024-12-06T21:22:25Z"):]
            site.bucket.put(f"{stem}.key", wrap(instant, site.master_key, os.urandom(8), os.urandom(32)))
        site.bucket.put(f"{stem}.dump", b"x" * 1000)


def prune(site, *arguments, status=0):
    """What was told: {name: (goes, reason)}, and the result or the failure."""
    done = site.ctl("prune", *arguments, "--json")
    assert done.status == status, done
    *plan, result = [json.loads(line) for line in done.out.splitlines()]
    return {one["name"]: (one["goes"], one["reason"]) for one in plan}, result


def stems(site):
    return [found[:-len(".dump")] for found in site.bucket.dumps()]


def paired(site):
    """That every dump has its key and every key its dump; returns the stems."""
    names = site.bucket.list()
    assert {one.removesuffix(".key") for one in names if one.endswith(".key")} == set(stems(site)), names
    return stems(site)


def every_dump_has_its_key(site):
    names = site.bucket.list()
    assert all(one.removesuffix("dump") + "key" in names for one in names if one.endswith(".dump")), names


@pytest.fixture
def plain(new_site, etcd, bucket):
    """A site over http, its daemon running."""
    return new_site(etcd, bucket, https=False).start()


# ---- what goes ----


def test_age_and_count(plain):
    """-a and -i; the dry run tells what would come of it and does nothing; afterwards there is nothing left to do."""
    ages = [0, 1, 2, 3, 20, 30]
    put(plain, *map(name, ages))
    before = plain.bucket.list()
    dry, result = prune(plain, "-a", "36h", "-i", "4", "--dry-run")
    assert plain.bucket.list() == before
    assert {n: goes for n, (goes, _) in dry.items()} == {f"{name(age)}.dump": age > 3 for age in ages}
    assert dry[f"{name(1)}.dump"][1].startswith("younger than ")
    assert dry[f"{name(3)}.dump"][1] == "one of the 4 newest"
    assert re.fullmatch(r"30d\S* old", dry[f"{name(30)}.dump"][1]), dry
    assert (result["kept"], result["deleted"], result["deleted_bytes"], result["remaining"]) == (4, 2, 2000, 4)
    assert result["dry_run"]
    told, done = prune(plain, "-a", "36h", "-i", "4")
    assert told == dry and not done["dry_run"]
    assert {k: v for k, v in done.items() if k not in ("elapsed_ms", "dry_run", "uploads")} == {
        k: v for k, v in result.items() if k not in ("elapsed_ms", "dry_run", "uploads")}
    assert paired(plain) == sorted(map(name, ages[:4]))
    assert plain.ctl("status", "--json").json["last_prune"]["deleted"] == 2
    told, done = prune(plain, "-a", "36h", "-i", "4")
    assert done["deleted"] == 0 and not any(goes for goes, _ in told.values())
    logged = events(plain, "info")
    assert [text for text in logged if text.startswith("prune: would delete: ")] and [
        text for text in logged if text.startswith(f"prune: delete: {name(30)}.dump: 30d")], logged
    assert logged[-1].startswith("prune done: 4 kept, 0 deleted") and news(plain) == []


def test_what_is_printed(plain):
    """A table with a reason for each, and two lines of sums."""
    put(plain, name(0), name(40))
    done = plain.ctl("prune", "-i", "1", "--dry-run")
    assert done.status == 0 and done.err == "", done
    header, *rows, sums, remain = done.out.splitlines()
    assert header.split() == ["INSTANT", "AGE", "SIZE", "REASON", "NAME"]
    assert sorted((row.split()[0], row.split()[-1]) for row in rows) == [
        ("delete", f"{name(40)}.dump"), ("keep", f"{name(0)}.dump")]
    assert sums.startswith("would be deleted: 1 backups (1000 B), 0 lone keys") and remain.startswith("would remain: 1 ")
    done = plain.ctl("prune", "-i", "1")
    assert done.status == 0 and "deleted: 1 backups" in done.out, done
    assert stems(plain) == [name(0)]
    put(plain, name(40))
    done = plain.ctl("prune", "-i", "1", "-q")  # from a crontab: nothing to mail
    assert (done.status, done.out, done.err) == (0, "", "")
    assert stems(plain) == [name(0)]


def test_defaults(plain):
    """15 days and 20 backups, as the Go tool meant them, where nothing is configured."""
    put(plain, *(name(age) for age in range(10, 34)))
    told, result = prune(plain, "--dry-run")
    assert result["deleted"] == 4 and {n for n, (goes, _) in told.items() if goes} == {
        f"{name(age)}.dump" for age in range(30, 34)}
    told, result = prune(plain, "--dry-run", "-i", "1")
    assert result["kept"] == 5 and "younger than 15d" in told[f"{name(11)}.dump"][1], told


def test_keep_rules(etcd, bucket, new_site):
    """By the configuration: the newest of each of the last days, weeks, months and years."""
    site = new_site(etcd, bucket, https=False, changes={"prune": {
        "max_age": "1h", "min_count": 1, "keep_daily": 3, "keep_weekly": 2, "keep_monthly": 2, "keep_yearly": 2}}).start()
    when = [("2023-12-31T23:00:00Z", "newest of 2023"), ("2024-11-30T10:00:00Z", "newest of 2024-11"),
            ("2024-12-01T10:00:00Z", "newest of 2024-W48"), ("2024-12-03T10:00:00Z", None),
            ("2024-12-04T10:00:00Z", "newest of 2024-12-04"), ("2024-12-05T09:00:00Z", None),
            ("2024-12-05T10:00:00Z", "newest of 2024-12-05"), ("2024-12-06T10:00:00Z", "newest of 2024")]
    put(site, *(f"backup-{at}" for at, _ in when))
    told, result = prune(site)
    reasons = {n[7:-5]: None if goes else reason for n, (goes, reason) in told.items()}
    assert reasons == dict(when) and result["deleted"] == 2
    assert paired(site) == [f"backup-{at}" for at, reason in when if reason]


def test_go_vectors(etcd, bucket, new_site):
    """What the Go tool wrote is pruned like our own; what stays can be decrypted."""
    site = new_site(etcd, bucket)
    site.write("master.key", (VECTORS / "master.key").read_text())
    for stem, *_ in vectors():
        for kind in ("dump", "key"):
            bucket.put(f"{stem}.{kind}", (VECTORS / f"{stem}.{kind}").read_bytes())
    all_of_them = paired(site.start())
    assert prune(site, "-i", "2")[1]["deleted"] == len(all_of_them) - 2
    assert paired(site) == all_of_them[-2:]
    # The last has nothing that proves it whole, and this one is no database.
    done = site.ctl("restore", "-t", all_of_them[-2][7:], "--use-etcdutl=false", "--skip-hash-check")
    assert done.status == 0, done


def test_what_is_not_ours(plain):
    """Other prefixes, also such that begin like ours; other suffixes, folders; names that are no instant."""
    foreign = ["backup2-2001-01-01T00:00:00Z.dump", "backup-x-2001-01-01T00:00:00Z.dump", "2001-01-01T00:00:00Z.dump",
               "Backup-2001-01-01T00:00:00Z.dump", "backup-2001-01-01T00:00:00Z.dump.bak", "backup-2001-01-01T00:00:00Z",
               "backup/2001-01-01T00:00:00Z.dump", "backup-/2001-01-01T00:00:00Z.dump", "a/backup-2001-01-01T00:00:00Z.dump",
               "backup-2001-13-01T00:00:00Z.dump", "backup-2001-02-29T00:00:00Z.dump", "backup-2001-01-01T00:00:00+00:00.key",
               "backup-20010101T000000Z.dump", "backup-.dump", "backup-.key"]
    for one in foreign:
        plain.bucket.put(one, b"precious")
    put(plain, name(0), name(100))
    told, result = prune(plain, "-a", "1s", "-i", "1")
    assert result["deleted"] == 1 and result["lone_keys"] == 0
    assert not any(goes for n, (goes, _) in told.items() if n in foreign), told
    assert set(plain.bucket.list()) == {*foreign, f"{name(0)}.dump", f"{name(0)}.key"}


def test_only_complete_ones_count(plain):
    """A dump without its key is nothing to rely on: it goes by its age, and does not fill the count."""
    put(plain, name(20), name(30), name(40))
    put(plain, name(1), name(25), key=False)
    told, result = prune(plain, "-i", "2")
    assert {n[:-5] for n, (goes, _) in told.items() if goes} == {name(25), name(40)}, told
    assert (result["deleted"], result["remaining"]) == (2, 2)
    assert sorted(stems(plain)) == sorted([name(30), name(20), name(1)])


def test_broken_ones_do_not_count(plain):
    """Pairs of names with nothing behind them, as a broken copy leaves them: they fill no count, and go by their age."""
    put(plain, name(30), name(40), name(50))
    put(plain, *(name(age) for age in range(1, 11)), name(31))
    for age in (*range(1, 6), 31):
        plain.bucket.put(f"{name(age)}.dump", b"")
    for age in range(6, 11):
        plain.bucket.put(f"{name(age)}.key", b"")
    told, result = prune(plain, "-i", "2", "--dry-run")
    assert result["remaining"] == 2, result
    told, result = prune(plain, "-i", "2")
    assert {n[:-5] for n, (goes, _) in told.items() if goes} == {name(31), name(50)}, told
    assert told[f"{name(1)}.dump"][1] == told[f"{name(10)}.dump"][1] == "wrong size, younger than 15d"
    assert told[f"{name(31)}.dump"][1].startswith("wrong size, 31d")
    assert (result["deleted"], result["remaining"], result["remaining_bytes"]) == (2, 2, 2000)
    assert {name(30), name(40)} <= set(paired(plain))
    told, result = prune(plain, "-a", "1h", "-i", "3")
    assert result["deleted"] == 0 and told[f"{name(1)}.dump"][1] == "wrong size, but only 2 are complete", told


def renamed(site, frm, *to):
    """A backup's objects under other names: what its key is bound to tells."""
    for stem in to:
        for kind in ("key", "dump"):
            site.bucket.put(f"{stem}.{kind}", site.bucket.get(f"{frm}.{kind}"))


def test_renamed_ones_do_not_count(plain):
    """Their keys do not open, which is said. They stay while nothing newer counts instead, and keep no older one from it."""
    put(plain, name(20), name(30), name(40))
    renamed(plain, name(40), name(1), name(16), name(31))
    done = plain.ctl("prune", "-i", "2", "--json")
    assert done.status == 0, done
    *plan, result = [json.loads(line) for line in done.out.splitlines()]
    line, = done.err.splitlines()
    assert re.fullmatch(f"note: 3 of 6 backups looked at are opened by no configured key; {name(1)}.key: the key is bound to "
                        r"another instant .*; such backups do not count", line), line
    assert {one["name"][:-5] for one in plan if one["goes"]} == {name(31), name(40)}, plan
    reasons = {one["name"][:-5]: one["reason"] for one in plan}
    assert reasons[name(16)] == "not opened, one of the 2 newest" and reasons[name(1)] == "not opened, younger than 15d"
    assert (result["deleted"], result["remaining"]) == (2, 2)
    assert paired(plain) == sorted([name(1), name(16), name(20), name(30)])


def test_more_renamed_ones_than_are_looked_at(plain):
    """Those behind them count, and are looked at, too: what does not open takes no good one's place."""
    put(plain, name(30), name(31))
    put(plain, *(name(16, hours=n) for n in range(110)))
    one = plain.bucket.get(f"{name(31)}.key")
    for n in range(110):
        plain.bucket.put(f"{name(16, hours=n)}.key", one)
    assert prune(plain, "-i", "2")[1]["deleted"] == 0
    assert len(paired(plain)) == 112
    foretold, sums = prune(plain, "-i", "1", "--allow-other-keys", "--dry-run")
    assert sums["deleted"] and prune(plain, "-i", "1", "--allow-other-keys")[0] == foretold


# 512 chunks: those of a plain dump are 40 bytes shorter each, which makes five of bbolt's pages.
BOTH = 511 * ((1 << 20) + 40) + 72


def sized(stem, size=BOTH):
    """What a store says of a dump so large, which nobody fetches."""
    def change(request, answer):
        status, headers, body = answer
        if "list-type" in request.query:
            body = re.sub(rb"(<Key>%b\.dump</Key>.*?<Size>)\d+(</Size>)" % re.escape(quote(stem).encode()), rb"\g<1>%d\2" % size, body,
                          flags=re.S)
        elif request.method == "HEAD":
            headers = {key: str(size) if key.lower() == "content-length" else value for key, value in headers.items()}
        return status, headers, body

    def rule(request):
        is_ours = "list-type" in request.query or request.path.endswith(f"{quote(stem)}.dump")
        return After(lambda *answer: change(request, answer)) if is_ours else None

    return rule


def put_dump(site, stem, **metadata):
    site.bucket.client.put_object(Bucket=site.bucket.name, Key=f"{stem}.dump", Body=b"x" * 1000, Metadata=metadata)


@pytest.mark.parametrize("encryption, shown, said", [
    ("xchacha20poly1305-stream2", "key-missing", "its key is missing: it is encrypted, as its metadata say"),
    ("none", "complete", "is not encrypted, though encryption_key_path is configured"),
    (None, "key-missing", "its key is missing, or it is not encrypted"),
], ids=["encrypted", "plain", "unknown"])
def test_a_size_of_both(ceph, etcd, proxied, encryption, shown, said):
    """No key, and a size that a plain dump may have, too: it does not count, it does not go, and its metadata give the words."""
    both = name(17)
    site, _ = proxied(ceph, etcd, sized(both))
    put(site.start(), name(20), name(30), name(40))
    put_dump(site, both, **({"encryption": encryption} if encryption else {}))
    entries = {e["name"]: e for e in map(json.loads, site.ctl("list", "--json").out.splitlines())}
    entry = entries[f"{both}.dump"]
    assert (entry["size"], entry["state"], entry["encrypted"]) == (BOTH, shown, shown != "complete"), entry
    told, result = prune(site, "-i", "2")
    assert {n[:-5] for n, (goes, _) in told.items() if goes} == {name(40)}, told
    assert told[f"{both}.dump"][1] == "key missing or plain, one of the 2 newest" and result["remaining"] == 2
    instant = both[len("backup-"):]
    for way in (["-t", instant], []):
        done = site.ctl("verify", *way)
        assert done.status == 5 and f"{both}.dump: {said}" in done.err, done
    done = site.ctl("restore", "-t", instant, "--use-etcdutl=false")
    assert done.status == 5 and f"{both}.dump: {said}" in done.err, done
    # Of the latest this one is not meant, which is said; who also takes plain ones gets it, or hears what it is.
    done = site.ctl("restore", "--use-etcdutl=false")
    assert f"note: {both}.dump is newer, but its key is missing, or it is not encrypted: this is about {name(20)}.dump" in done.err
    done = site.ctl("restore", "--use-etcdutl=false", "--dry-run", "--allow-plain")
    if encryption and encryption != "none":
        assert done.status == 5 and f"{both}.dump: {said}" in done.err, done
    else:
        assert f"{both}.dump" in done.out + done.err and "its key" not in done.err, done


def test_a_size_of_both_where_nothing_is_encrypted(ceph, etcd, proxied):
    """Then it is what it should be."""
    both = name(17)
    site, _ = proxied(ceph, etcd, sized(both))
    site.configure({"encryption_key_path": None})
    put_dump(site.start(), both, encryption="none")
    entry, = map(json.loads, site.ctl("list", "--json").out.splitlines())
    assert (entry["state"], entry["encrypted"]) == ("complete", False)
    told, result = prune(site, "-i", "1")
    assert told == {f"{both}.dump": (False, "the newest")} and result["remaining"] == 1


def test_a_young_lone_key_stays(plain):
    """It may belong to a backup that is on its way."""
    put(plain, name(0))
    plain.bucket.put(f"{name(50)}.key", b"key")
    told, result = prune(plain, "-i", "1")
    assert result["lone_keys"] == 0 and f"{name(50)}.key" in plain.bucket.list()
    goes, reason = told[f"{name(50)}.key"]
    assert not goes and "lone key" in reason, told


def test_an_old_lone_key_goes(ceph, etcd, proxied):
    """Its age is that of the store's clock."""
    def age(status, headers, body):
        return status, headers, re.sub(
            rb"<LastModified>[^<]*<", b"<LastModified>2001-01-01T00:00:00.000Z<", body)

    site, _ = proxied(ceph, etcd, lambda request: After(age) if request.call == "get" else None)
    site.start()
    put(site, name(0))
    site.bucket.put(f"{name(50)}.key", b"key")
    told, result = prune(site, "-i", "1", "--dry-run")
    assert result["lone_keys"] == 1 and told[f"{name(50)}.key"][0] and f"{name(50)}.key" in site.bucket.list()
    told, result = prune(site, "-i", "1")
    assert result["lone_keys"] == 1 and re.match("lone key, .* old", told[f"{name(50)}.key"][1]), told
    assert paired(site) == [name(0)]


def test_what_checks_left(ceph, etcd, proxied):
    """An object and an upload of a check that was killed go when they are a day old by the store's clock; nothing else that
    is named like them does, and nobody takes them for backups."""
    trial = "backup-check-0123456789abcdef"
    others = [trial[:-1], trial + "0", trial.replace("backup", "other"), "backup-check-x", trial + ".dump", trial.upper()]
    aged = []

    def age(status, headers, body):
        body = re.sub(rb"<LastModified>[^<]*<", b"<LastModified>2001-01-01T00:00:00.000Z<", body)
        return status, headers, re.sub(rb"<Initiated>[^<]*<", b"<Initiated>2001-01-01T00:00:00.000Z<", body)

    site, _ = proxied(ceph, etcd, lambda request: After(age) if aged and request.call in ("get", "uploads") else None)
    site.start()
    put(site, name(0))
    for key in [trial, *others]:
        site.bucket.put(key, b"what a check writes")
        site.bucket.client.create_multipart_upload(Bucket=site.bucket.name, Key=key)
    told, result = prune(site, "-i", "1")
    assert told[trial] == (False, "left by a check, younger than 1d") and result["uploads"] == 0, told
    assert trial in site.bucket.list() and trial in site.bucket.uploads()
    entry, = map(json.loads, site.ctl("list", "--json").out.splitlines())
    assert entry["name"] == f"{name(0)}.dump"
    aged.append(True)
    told, result = prune(site, "-i", "1", "--dry-run")
    assert told[trial][0] and trial in site.bucket.list()
    told, result = prune(site, "-i", "1")
    assert told[trial][0] and re.match("left by a check, .* old", told[trial][1]), told
    assert (result["uploads"], result["deleted"], result["lone_keys"], result["remaining"]) == (1, 0, 0, 1), result
    assert sorted(site.bucket.list()) == sorted([f"{name(0)}.dump", f"{name(0)}.key", *others])
    assert sorted(site.bucket.uploads()) == sorted(others)


def test_unfinished_uploads(ceph, etcd, proxied):
    """Those of our names that are older than a day by the store's clock; neither young ones nor foreign ones."""
    young = []

    def age(status, headers, body):
        parts = re.split(rb"(?=<Upload>)", body)
        return status, headers, b"".join(part if any(y in part for y in young) else re.sub(
            rb"<Initiated>[^<]*<", b"<Initiated>2001-01-01T00:00:00.000Z<", part) for part in parts)

    site, _ = proxied(ceph, etcd, lambda request: After(age) if request.call == "uploads" else None)
    site.start()
    put(site, name(0))
    keys = [f"{name(2)}.dump", f"{name(1)}.dump", "backup-x.dump", "other-2001-01-01T00:00:00Z.dump", f"{name(3)}.key"]
    for key in keys:
        site.bucket.client.create_multipart_upload(Bucket=site.bucket.name, Key=key)
    young.append(keys[1].encode())
    assert prune(site, "--dry-run")[1]["uploads"] == 0 and len(site.bucket.uploads()) == 5
    _, result = prune(site)
    assert result["uploads"] == 1 and sorted(site.bucket.uploads()) == sorted(keys[1:])


def test_a_slow_upload_is_no_abandoned_one(ceph, etcd, proxied):
    """It began before yesterday and had a part since, on whichever page that is told of: it stays, also where its parts cannot be
    looked at. One that has had none since goes."""
    old = rb"<\1>2001-01-01T00:00:00.000Z<"
    rules = {"uploads": After(lambda status, headers, body: (status, headers, re.sub(rb"<(Initiated)>[^<]*<", old, body)))}

    def first_of_two(status, headers, body):
        """A page of one part, as of long ago, when it is the first that is asked for."""
        if b"<PartNumber>1<" not in body:
            return status, headers, body
        part = re.sub(rb"<(LastModified)>[^<]*<", old, re.search(rb"<Part>.*?</Part>", body, re.S)[0])
        body = re.sub(rb"<Part>.*</Part>", part, body, flags=re.S)
        body = re.sub(rb"<NextPartNumberMarker>.*?</NextPartNumberMarker>|<IsTruncated>.*?</IsTruncated>", b"", body)
        return status, headers, body.replace(b"<Part>", b"<IsTruncated>true</IsTruncated>"
                                             b"<NextPartNumberMarker>1</NextPartNumberMarker><Part>")

    def rule(request):
        return rules.get("parts" if request.method == "GET" and "uploadId" in request.query else request.call)

    site, _ = proxied(ceph, etcd, rule)
    site.start()
    key, client, bucket = f"{name(2)}.dump", site.bucket.client, site.bucket.name
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    for number in (1, 2):
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=b"x" * (5 << 20))

    assert prune(site)[1]["uploads"] == 0
    rules["parts"] = Answer(403, error("AccessDenied"))
    done = site.ctl("prune")
    assert done.status == 0 and re.search("note: unfinished uploads stay: .*s3:ListMultipartUploadParts", done.err), done
    rules["parts"] = After(first_of_two)
    assert prune(site)[1]["uploads"] == 0
    assert site.bucket.uploads() == [key]
    rules["parts"] = After(lambda status, headers, body: (status, headers, re.sub(rb"<(LastModified)>[^<]*<", old, body)))
    assert prune(site)[1]["uploads"] == 1 and not site.bucket.uploads()


def test_uploads_cannot_be_listed(ceph, etcd, proxied):
    """Not every store can. It is said, and nothing else depends on it."""
    site, _ = proxied(ceph, etcd, lambda request: Answer(501, error("NotImplemented")) if request.call == "uploads" else None)
    site.start()
    put(site, name(0), name(20))
    done = site.ctl("prune", "-i", "1", "--json")
    assert done.status == 0 and done.json["deleted"] == 1, done
    line, = done.err.splitlines()
    assert line.startswith("note: unfinished uploads stay: ") and news(site) == [f"prune: {line[6:]}"]


def test_dumps_before_keys(ceph, etcd, proxied):
    """No key is asked to go before the store has said that its dump is gone."""
    order = []

    def watch(request):
        if request.call == "remove":
            order.append((sorted(site.bucket.list()), request))
        return None

    site, proxy = proxied(ceph, etcd, watch)
    site.start()
    old = [name(age) for age in range(20, 25)]
    put(site, name(0), *old)
    assert prune(site, "-i", "1")[1]["deleted"] == 5
    (first, _), (second, _) = order
    assert len(first) == 12
    assert second == sorted([f"{name(0)}.dump", f"{name(0)}.key", *(f"{stem}.key" for stem in old)])
    assert paired(site) == [name(0)] and len(proxy.calls("remove")) == 2


def test_a_store_without_the_batch_call(ceph, etcd, proxied):
    site, proxy = proxied(
        ceph, etcd, lambda request: Answer(501, error("NotImplemented")) if request.call == "remove" else None)
    site.start()
    put(site, name(0), *(name(age) for age in range(20, 25)))
    assert prune(site, "-i", "1")[1]["deleted"] == 5
    assert paired(site) == [name(0)]
    suffixes = [request.path[-4:] for request in proxy.calls("delete")]
    assert suffixes == ["dump"] * 5 + [".key"] * 5


# ---- when nothing goes ----


def refuses(site, *words, kind="config", arguments=("-i", "1")):
    before = site.bucket.list()
    done = site.ctl("prune", *arguments, "--json")
    assert done.status != 0 and done.json["failure"]["kind"] == kind, done
    text = done.json["failure"]["text"]
    assert text.startswith("nothing is deleted: ") and all(re.search(word, text) for word in words), text
    assert site.bucket.list() == before
    assert done.err.splitlines()[-1] == f"etcd-backupctl: {text}"


def test_the_newest_lies_in_the_future(plain):
    """It takes no good one's place, stays, and blocks nothing; and how to be rid of it is said."""
    put(plain, name(20), name(30), name(-1))
    done = plain.ctl("prune", "-i", "1")
    assert done.status == 0 and f"{name(-1)}.dump is of a time that has not come yet" in done.err, done
    assert "delete it and its key with any S3 client" in done.err, done
    assert paired(plain) == sorted([name(-1), name(20)])


@pytest.mark.parametrize("seconds, words", [(-400, "ahead of"), (400, "behind"), (-200, None), (200, None)])
def test_clocks_that_differ(ceph, etcd, proxied, seconds, words):
    """More than five minutes, either way."""
    def shift(status, headers, body):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return status, {k: v for k, v in headers.items() if k.lower() != "date"} | {
            "Date": formatdate(now.timestamp(), usegmt=True)}, body

    site, _ = proxied(ceph, etcd, lambda request: After(shift))
    site.start()
    put(site, name(20), name(30))
    if words:
        refuses(site, rf"this clock is (39\d|40\d) s {words} that of the store")
    else:
        assert prune(site, "-i", "1")[1]["deleted"] == 1


@pytest.mark.parametrize("action", [DROP, Cut(300), Answer(200, b"<ListBucketResult><IsTruncated>true</IsTruncated>"),
                                    Answer(403, error("AccessDenied"))], ids=["dropped", "cut", "malformed", "denied"])
def test_a_listing_that_breaks_off(ceph, etcd, proxied, action):
    site, proxy = proxied(ceph, etcd, request_timeout="1s")
    put(site, name(20), name(30))
    site.start()
    wait_for(lambda: site.ctl("status", "--json").json["newest"])
    proxy.rule = lambda request: action if request.call == "get" else None
    before = site.bucket.list()
    done = site.ctl("prune", "-i", "1", "--json")
    assert done.status == 1 and done.json["failure"]["text"].startswith("nothing is deleted: "), done
    assert site.bucket.list() == before and not proxy.calls("remove")


def test_a_second_page_that_fails(ceph, etcd, proxied):
    """What the first page showed is not acted on: it may be the old half."""
    site, proxy = proxied(ceph, etcd)
    put(site, *(name(age) for age in range(20, 24)))
    site.start()
    wait_for(lambda: site.ctl("status", "--json").json["newest"])

    def truncate(status, headers, body):
        return status, headers, body.replace(b"<IsTruncated>false<", b"<NextContinuationToken>t</NextContinuationToken>"
                                             b"<IsTruncated>true<")

    proxy.rule = lambda request: (Answer(403, error("AccessDenied")) if "continuation-token" in request.query else
                                  After(truncate)) if request.call == "get" else None
    refuses(site, "AccessDenied|denied", kind="auth")
    assert not proxy.calls("remove")


def test_after_a_failed_backup(new_etcd, bucket, new_site):
    """Old ones may be all there is. A backup that works makes it good."""
    etcd = new_etcd(version="3.5")
    site = new_site(etcd, bucket, https=False, changes={"etcd_client": {"retries": 0}}).start()
    put(site, name(20), name(30))
    etcd.kill("n1")
    assert site.ctl("backup").status == 1
    refuses(site, "the last backup failed")
    prune(site, "-i", "1", "--dry-run")  # looking is always possible
    etcd.restart()
    assert site.ctl("backup").status == 0
    assert prune(site, "-i", "1")[1]["deleted"] == 2


# ---- what the store says to it ----


def test_slow_down(ceph, etcd, proxied):
    """Once for the whole request, and once for single objects in it: tried again, and all go."""
    def some(status, headers, body):
        return status, headers, re.sub(
            rb"<Deleted><Key>([^<]*)</Key>.*?</Deleted>", rb"<Error><Key>\1</Key><Code>SlowDown</Code><Message>m</Message>"
            rb"</Error>", body, count=1, flags=re.S)

    def rule(request):
        if request.call != "remove":
            return None
        return {0: Answer(503, error("SlowDown")), 1: After(some)}.get(request.nth)

    site, proxy = proxied(ceph, etcd, rule)
    site.start()
    put(site, name(0), *(name(age) for age in range(20, 25)))
    assert prune(site, "-i", "1")[1]["deleted"] == 5
    assert paired(site) == [name(0)] and len(proxy.calls("remove")) == 3 and len(proxy.calls("delete")) == 1


def test_the_store_goes_away(ceph, etcd, proxied):
    """Between dumps and keys: what is visible has its key; keys that stay alone are a later prune's."""
    def rule(request):
        return DROP if request.call == "remove" and len({r for r in proxy.calls("remove") if r.status == 200}) else None

    site, proxy = proxied(ceph, etcd, rule, request_timeout="1s")
    site.start()
    put(site, name(0), *(name(age) for age in range(20, 25)))
    done = site.ctl("prune", "-i", "1", "--json")
    failure, sums = map(json.loads, done.out.splitlines()[-2:])
    assert done.status == 1 and failure["failure"]["kind"] == "transient" and sums["deleted"] == 5, done
    assert stems(site) == [name(0)]
    every_dump_has_its_key(site)
    assert len(site.bucket.list()) == 7
    proxy.rule = lambda request: None
    assert prune(site, "-i", "1")[1]["deleted"] == 0


def test_a_versioned_bucket(plain):
    """A delete marker covers it: gone for whoever lists, and still there for whoever knows."""
    client, bucket = plain.bucket.client, plain.bucket.name
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put(plain, name(0), name(20))
    for dry in (["--dry-run"], []):
        done = plain.ctl("prune", "-i", "1", *dry)
        assert done.status == 0 and "That frees nothing yet: the bucket keeps versions" in done.out, done
    assert paired(plain) == [name(0)]
    assert (result := prune(plain, "-i", "1")[1])["keeps_versions"] is False and result["versions_unknown"] is False
    listed = client.list_object_versions(Bucket=bucket)
    assert sorted(v["Key"] for v in listed["DeleteMarkers"]) == [f"{name(20)}.dump", f"{name(20)}.key"]
    assert len(listed["Versions"]) == 4
    assert prune(plain, "-i", "1")[1]["deleted"] == 0
    for item in listed["Versions"] + listed["DeleteMarkers"]:
        client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


@pytest.fixture
def locking(etcd, bucket, new_site):
    """A site with the Go tool's backups in a bucket with object lock, which Ceph and S3 have for versioned buckets alone."""
    bucket.remove()
    bucket.client.create_bucket(Bucket=bucket.name, ObjectLockEnabledForBucket=True)
    site = new_site(etcd, bucket, https=False)
    site.write("master.key", (VECTORS / "master.key").read_text())
    for stem, *_ in vectors():
        for kind in ("dump", "key"):
            bucket.put(f"{stem}.{kind}", (VECTORS / f"{stem}.{kind}").read_bytes())
    yield site
    for item in versions(bucket, "Versions") + versions(bucket, "DeleteMarkers"):
        if "Size" in item:
            bucket.client.put_object_legal_hold(Bucket=bucket.name, Key=item["Key"], VersionId=item["VersionId"],
                                                LegalHold={"Status": "OFF"})
        bucket.client.delete_object(Bucket=bucket.name, Key=item["Key"], VersionId=item["VersionId"],
                                    BypassGovernanceRetention=True)


def versions(bucket, kind):
    return bucket.client.list_object_versions(Bucket=bucket.name).get(kind, [])


def test_object_lock(locking):
    """Under retention or a legal hold: skipped and said. The store would say yes, and only cover it with a marker."""
    client, bucket = locking.bucket.client, locking.bucket.name
    held, retained, past, *_ = names = paired(locking.start())
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    for kind in ("dump", "key"):
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
        for stem, end in ((past, soon), (retained, until)):
            client.put_object_retention(Bucket=bucket, Key=f"{stem}.{kind}",
                                        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": end})
        client.put_object_legal_hold(Bucket=bucket, Key=f"{held}.{kind}", LegalHold={"Status": "ON"})
    wait_for(lambda: datetime.datetime.now(datetime.timezone.utc) > soon + datetime.timedelta(seconds=1))
    *foretold, sums = map(json.loads, locking.ctl("prune", "-i", "1", "--dry-run", "--json").out.splitlines())
    done = locking.ctl("prune", "-i", "1", "--json")
    assert done.status == 0, done
    *plan, result = [json.loads(line) for line in done.out.splitlines()]
    locked = {one["name"]: one["text"] for one in plan if one["text"]}
    assert locked == {f"{held}.dump": "the store keeps it under a legal hold",
                      f"{retained}.dump": f"the store keeps it until {until:%Y-%m-%dT%H:%M:%SZ}"}
    assert (result["deleted"], result["locked"], result["remaining"]) == (len(names) - 3, 2, 3), result
    assert paired(locking) == [held, retained, names[-1]]
    assert sorted(foretold, key=str) == sorted(plan, key=str)  # a dry run says the same
    assert [sums[k] for k in ("deleted", "locked", "remaining")] == [result[k] for k in ("deleted", "locked", "remaining")]
    assert sorted(text for text in news(locking)) == sorted(f"prune: {name} stays: {text}" for name, text in locked.items())
    client.put_object_legal_hold(Bucket=bucket, Key=f"{held}.dump", LegalHold={"Status": "OFF"})
    told = [one["text"] for one in map(json.loads, locking.ctl("prune", "-i", "1", "--json").out.splitlines())
            if one.get("name") == f"{held}.dump"]
    assert told == ["its key: the store keeps it under a legal hold"]  # half a backup is of no use
    assert paired(locking) == [held, retained, names[-1]]
    for stem in (held, retained):  # it opens; that it is no database is another matter
        done = locking.ctl("restore", "-t", stem[len("backup-"):], "--use-etcdutl=false", "--skip-hash-check")
        assert done.status == 0, done


def locking_rule(head=lambda request: None):
    """A bucket that has object lock, as far as it is asked; and what becomes of a HEAD."""
    def rule(request):
        if "object-lock" in request.query:
            return Answer(200, b"<ObjectLockConfiguration/>")
        return head(request) if request.method == "HEAD" else None
    return rule


def test_locks_that_cannot_be_asked_for(ceph, etcd, proxied):
    """Whether there are any: nothing is deleted then, and a dry run says the same."""
    site, proxy = proxied(ceph, etcd)
    put(site.start(), name(0), name(20), name(30))
    for answer in (Answer(500, error("InternalError")), Answer(400, error("ExpiredToken"))):
        proxy.rule = lambda request: answer if "object-lock" in request.query else None
        for dry in (["--dry-run"], []):
            plan, failure = prune(site, "-i", "1", *dry, status=1)
            assert not any(goes for goes, _ in plan.values()) and failure["failure"]["text"].startswith(
                f"nothing is deleted: whether backups are under object lock is not known: HTTP {answer.status} "), failure
    assert len(paired(site)) == 3


@pytest.mark.parametrize("refused, operation", [
    ({"retention"}, "GetObjectRetention"), ({"legal-hold"}, "GetObjectLegalHold"),
    ({"object-lock", "retention"}, "GetObjectRetention")], ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else "")
def test_locks_that_a_head_leaves_out(ceph, etcd, proxied, refused, operation):
    """Who may not ask for retention and legal hold sees none in a HEAD: where versions are kept, nothing is hidden behind
    delete markers that may be locked. Where none are kept, nothing can be hidden."""
    site, proxy = proxied(ceph, etcd)
    put(site.start(), name(0), name(20), name(30))

    def rule(request, versions=b"<Status>Enabled</Status>"):
        if "versioning" in request.query:
            return Answer(200, b"<VersioningConfiguration>%b</VersioningConfiguration>" % versions)
        if refused & set(request.query):
            return Answer(403, error("AccessDenied"))
        if "object-lock" in request.query:
            return Answer(200, b"<ObjectLockConfiguration/>")
        return Answer(404, error("NoSuchObjectLockConfiguration")) if "retention" in request.query else None
    proxy.rule = rule
    for dry in (["--dry-run"], []):
        _, failure = prune(site, "-i", "1", *dry, status=1)
        text = failure["failure"]["text"]
        assert text.startswith("nothing is deleted: whether backups are under object lock is not known: HTTP 403"), text
        assert f"({operation} of backup-" in text and f"which needs s3:{operation})" in text, text
    assert len(paired(site)) == 3 and not proxy.calls("remove")
    proxy.rule = lambda request: rule(request, b"")
    assert prune(site, "-i", "1")[1]["deleted"] == 2
    assert paired(site) == [name(0)]


def test_a_lock_that_cannot_be_asked_for(ceph, etcd, proxied):
    """That of one object: it stays, which is a failure, and the others go."""
    site, proxy = proxied(ceph, etcd)
    put(site.start(), name(0), name(20), name(30))
    asked = []  # first for the cluster that it is of, which is remembered; then for the lock

    def refuse(request):
        if name(20).replace(":", "%3A") in request.path:
            asked.append(request)
            return Answer(403) if len(asked) > 1 else None

    proxy.rule = locking_rule(refuse)
    for dry in (["--dry-run"], []):
        done = site.ctl("prune", "-i", "1", *dry, "--json")
        *plan, failure, sums = map(json.loads, done.out.splitlines())
        assert (sums["deleted"], sums["remaining"]) == (1, 2), sums
        told = {one["name"][:-5]: one["text"] for one in plan}
        assert told[name(20)].startswith("whether it is locked is not known: ") and not told[name(30)], done
        assert done.status == 1 and "1 of 2 could not be deleted: " in failure["failure"]["text"], done
        assert f"(HeadObject of {name(20)}.dump, which needs s3:GetObject" in failure["failure"]["text"], done
    assert paired(site) == sorted([name(0), name(20)])


def test_cancelled_in_the_turn_in_which_a_step_ends(ceph, etcd, proxied):
    """The last answer on locks and the wish to stop arrive together: nothing is deleted."""
    site, proxy = proxied(ceph, etcd, locking_rule(lambda request: Hold()))
    put(site.start(), name(0), name(20))
    client = Client(site).send(HELLO, message(f8=message(f4=1)))
    wait_for(lambda: proxy.held)
    site.process.send_signal(signal.SIGSTOP)
    client.send(message(f6=b""))
    proxy.release()
    port = f":{int(proxy.url.rpartition(':')[2]):04X}"

    def has_arrived():
        rows = [line.split() for line in Path(f"/proc/{site.process.pid}/net/tcp").read_text().splitlines()[1:]]
        return any(row[2].endswith(port) and not row[4].endswith(":00000000") for row in rows)
    wait_for(has_arrived, what="the store's answer")
    site.process.send_signal(signal.SIGCONT)
    assert client.failure()[0] == "cancelled"
    assert len(paired(site)) == 2 and not proxy.calls("remove")


@pytest.fixture
def denying(plain):
    """Denies an action on what is given, by a policy of the bucket, in whose resources a colon is the end."""
    def deny(action, resource):
        plain.bucket.client.put_bucket_policy(Bucket=plain.bucket.name, Policy=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Deny", "Principal": "*", "Action": action,
                "Resource": f"arn:aws:s3:::{plain.bucket.name}/{resource}"}]}))
    yield deny
    plain.bucket.client.delete_bucket_policy(Bucket=plain.bucket.name)


def test_who_may_not_delete(plain, denying):
    """One refused object is named with the right that is missing, its key stays, and the others go. No lock was seen, so
    this is a failure; and so it is when all are refused."""
    refused = "backup-2011-01-01T00:00:00Z"
    denying("s3:DeleteObject", "backup-2011-*.dump")
    put(plain, name(0), name(20), refused, name(40))
    done = plain.ctl("prune", "-i", "1", "--json")
    *plan, failure, sums = map(json.loads, done.out.splitlines())
    assert done.status == 1 and (sums["deleted"], sums["kept"], sums["remaining"]) == (2, 1, 2), done
    assert sum(one["goes"] and not one["text"] for one in plan) == 2, plan
    assert failure["failure"]["kind"] == "auth" and failure["failure"]["text"].startswith(
        f"1 of 3 could not be deleted: {refused}.dump: AccessDenied"), failure
    told, = [one for one in plan if one["text"]]
    assert told["name"] == f"{refused}.dump" and told["kind"] == "auth", told
    assert f"(DeleteObject of {refused}.dump, which needs s3:DeleteObject)" in told["text"], told
    assert paired(plain) == sorted([name(0), refused])
    assert f"prune: {refused}.dump stays: " in "\n".join(news(plain))
    denying("s3:DeleteObject", "*")
    shown = plain.ctl("prune", "-i", "1")
    assert shown.status == 1 and re.search(rf"^STAYS .*{refused}\.dump$", shown.out, re.M), shown
    assert "1 of 1 could not be deleted: " in shown.err and "s3:DeleteObject" in shown.err, shown
    assert shown.out.splitlines()[-2].startswith("deleted: 0 backups") and "remain: at most 2 complete" in shown.out, shown


def test_who_may_not_delete_keys(plain, denying):
    """The dump is told as deleted, its key under its own name, and the failure names both."""
    refused = "backup-2011-01-01T00:00:00Z"
    denying("s3:DeleteObject", "backup-2011-*.key")
    put(plain, name(0), refused)
    *plan, failure, sums = map(json.loads, plain.ctl("prune", "-i", "1", "--json").out.splitlines())
    assert (sums["deleted"], sums["remaining"]) == (1, 1), sums
    told = {one["name"]: one["text"] for one in plan}
    assert told[f"{refused}.dump"] == "", plan
    assert told[f"{refused}.key"].startswith(f"its dump {refused}.dump is deleted, and it is not: AccessDenied"), told
    assert f"{refused}.key: its dump {refused}.dump is deleted, and it is not: " in failure["failure"]["text"], failure


def test_keys_that_cannot_be_deleted_at_all(ceph, etcd, proxied):
    """The whole request is refused when the dumps have gone."""
    site, proxy = proxied(ceph, etcd)
    put(site.start(), name(0), name(20))
    proxy.rule = lambda request: (
        Answer(403, error("AccessDenied")) if request.call == "remove" and len(proxy.calls("remove")) == 2 else None)
    text = site.ctl("prune", "-i", "1").err
    assert f"1 dumps are deleted, but not all of their keys, {name(20)}.key among them: HTTP 403 AccessDenied" in text, text


def page(request, pages):
    """One of many of a listing, of a thousand young dumps each."""
    number = int(request.query.get("continuation-token", ["0"])[0])
    stamps = ((NOW - datetime.timedelta(seconds=pages * 1000 - number * 1000 - n)).strftime("%Y-%m-%dT%H:%M:%SZ")
              for n in range(1000))
    more = number + 1 < pages
    return Answer(200, ("<ListBucketResult>%s<IsTruncated>%s</IsTruncated>%s</ListBucketResult>" % (
        "".join(f"<Contents><Key>backup-{stamp}.dump</Key><Size>4128</Size><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
                "</Contents>" for stamp in stamps),
        str(more).lower(), f"<NextContinuationToken>{number + 1}</NextContinuationToken>" if more else "")).encode())


def test_more_lines_than_are_read(ceph, etcd, proxied):
    """A plan of 150,000 lines for somebody who does not read yet: lines are left out, which is said, and no one is cut off."""
    site, proxy = proxied(ceph, etcd)
    site.start()
    proxy.rule = lambda request: page(request, 150) if "list-type" in request.query else None
    client = Client(site).send(HELLO, PRUNE_DRY)
    wait_for(lambda: [text for text in events(site, "info") if "prune would do" in text], what="the end of it")
    replies = client.replies()
    assert replies[-1][0] == DONE and any(b"lines are left out" in content for _, content in replies[-3:]), replies[-3:]
    assert len(replies) > 50000


# ---- life ----


@pytest.mark.parametrize("moment", [0, 1], ids=["dumps", "keys"])
@pytest.mark.parametrize("told", [True, False], ids=["told", "lost"])
def test_killed(ceph, etcd, proxied, moment, told):
    """SIGKILL before or after the store deletes dumps or keys: whatever is visible has its key."""
    site, proxy = proxied(ceph, etcd, lambda request: Hold(None if told else DROP)
                          if request.call == "remove" and len(proxy.calls("remove")) == moment + 1 else None)
    site.start()
    put(site, name(0), *(name(age) for age in range(20, 25)))
    command = Command(site, "prune", "-i", "1")
    wait_for(lambda: proxy.held)
    site.kill()
    assert command.end().status != 0
    proxy.release()
    held = proxy.calls("remove")[-1]
    if told:
        wait_for(lambda: held.status or len(site.bucket.list()) < 12 - 5 * moment)
    every_dump_has_its_key(site)
    assert name(0) in stems(site)
    proxy.rule = lambda request: None
    assert prune(site.start(), "-i", "1")[1]["remaining"] == 1
    every_dump_has_its_key(site)


def test_the_end_during_a_prune(ceph, etcd, proxied):
    """SIGTERM: it stops where it is."""
    site, proxy = proxied(ceph, etcd, lambda request: Hold() if request.call == "remove" else None)
    site.start()
    put(site, name(0), *(name(age) for age in range(20, 25)))
    command = Command(site, "prune", "-i", "1", "--json")
    wait_for(lambda: proxy.held)
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(60) == 0
    assert command.end().status != 0
    assert [text for text in events(site, "warning") if text.startswith("prune failed: the daemon is stopping: cancelled")]
    proxy.release()
    wait_for(lambda: proxy.calls("remove")[0].status)
    every_dump_has_its_key(site)


def test_what_is_logged(plain):
    """A reason for each that goes. That the others stay is no news: with what else nobody needs, at log_level debug."""
    put(plain, *(name(0, minutes=n) for n in range(102)), *map(name, (20, 30)))
    assert prune(plain, "-a", "10d", "-i", "1")[1]["deleted"] == 2
    lines = [line for line in events(plain, "info") if line.startswith("prune")]
    assert all(re.match(r"prune: delete: backup-\S+\.dump: \S", line) for line in lines[:2]) and len(lines) == 3, lines
    assert lines[-1].startswith("prune done: 102 kept, 2 deleted ")
    assert not [line for line in events(plain, "warning") if line.startswith("prune")]


@pytest.mark.parametrize("schedule", [None, {"interval": "1h"}], ids=["by hand", "due"])
def test_after_each_backup(etcd, bucket, new_site, schedule):
    """By the configuration, whether it was due or somebody asked for it."""
    site = new_site(etcd, bucket, changes={"prune": {"max_age": "1d", "min_count": 1}, "schedule": schedule})
    put(site, name(20), name(30))
    site.start()
    assert schedule or site.ctl("backup").status == 0
    told = wait_for(lambda: site.ctl("status", "--json").json["last_prune"])
    done, = [text for text in events(site, "info") if text.startswith("prune done: ")]
    assert ", 2 deleted " in done and told["remaining"] == 1, (done, told)
    assert len(stems(site)) == 1 and "last prune " in site.ctl("status").out
    assert site.stop() == 0
    check_dumps(site)


def test_not_after_a_failed_cycle(new_etcd, bucket, new_site):
    etcd = new_etcd(version="3.5")
    etcd.kill("n1")
    site = new_site(etcd, bucket, https=False, changes={
        "etcd_client": {"retries": 0}, "prune": {"max_age": "1d", "min_count": 1},
        "schedule": {"interval": "1h", "retry": {"initial": "100ms", "max": "100ms"}}})
    put(site, name(20), name(30))
    site.start()
    wait_for(lambda: site.ctl("status", "--json").json["failures_in_a_row"] >= 2)
    assert sorted(stems(site)) == sorted([name(20), name(30)])
    assert not [text for text in events(site, "info") if text.startswith("prune")]


@needs_root
def test_members_of_the_group_may_look(etcd, bucket, new_site, folder):
    """And not delete."""
    group = next(g for g in grp.getgrall() if g.gr_gid not in (0, 65534))
    site = new_site(etcd, bucket, changes={"control": {"group": group.gr_name}}).start()
    put(site, name(0), name(20))
    site.dir.chmod(0o711)
    said = as_other(site, PRUNE, gid=group.gr_gid)
    assert said[0] == "auth" and re.search("root|dry", said[1]), said
    assert as_other(site, PRUNE_DRY, gid=group.gr_gid) is None
    assert len(stems(site)) == 2
