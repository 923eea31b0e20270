"""Backups that are compressed: made of a real etcd, read by everything that reads them, and spoilt."""

import json
import os
import re
import struct
import subprocess

import pytest
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_decrypt

import reader
from servers import MIB, Etcd, Raw

pytestmark = pytest.mark.installed

COMPRESSION = {"compression": "zstd"}


def zstd(data, *arguments):
    return subprocess.run(["zstd", "-q", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def as_the_go_tool_opens_it(site, name):
    """It takes nonces as they come, so that what comes out is the compressed stream."""
    dump, wrapped = site.bucket.get(name), site.bucket.get(name.replace(".dump", ".key"))
    data_key = reader.unwrap(site.master_key, wrapped, name[len("backup-"):-len(".dump")])
    size = MIB + 40
    return b"".join(aead_decrypt(dump[at + 24:at + size], None, dump[at:at + 24], data_key)
                    for at in range(0, len(dump), size))


def lines(done):
    assert done.status in (0, 5), done
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture(scope="module")
def words(scratch, ca):
    """An etcd whose values compress, of more than one chunk and one frame."""
    with Etcd(scratch / "words", ca, version="3.5") as etcd:
        etcd.fill_as_kubernetes(6 * MIB)
        yield etcd


@pytest.fixture(params=[True, False], ids=["encrypted", "plain"])
def site(request, words, bucket, new_site):
    return new_site(words, bucket, encrypted=request.param, changes=COMPRESSION)


def test_there_and_back(site, folder):
    site.start()
    made = site.ctl("backup", "--json").json
    name, stored = made["name"], site.bucket.list()[made["name"]]
    plain = site.plaintext(name)
    assert made["compressed"] is True and made["stored_size"] == stored and made["snapshot_size"] == len(plain)
    assert stored < len(plain) / 2
    # The sizes are such as an uncompressed dump may have: no reader of listings is misled.
    assert (stored - (40 * -(-stored // (MIB + 40)) if made["encrypted"] else 0)) % 4096 == 32
    stream = as_the_go_tool_opens_it(site, name) if made["encrypted"] else site.bucket.get(name)
    assert stream.startswith(bytes.fromhex("28b52ffd")) and zstd(stream, "-d") == plain
    told, expected = site.etcd.describe(write(folder / "read.db", plain)), site.etcd.describe(
        site.etcd.snapshot(folder / "saved.db"))
    assert told == expected
    [entry] = lines(site.ctl("list", "--json"))
    assert (entry["size"], entry["snapshot_size"], entry["state"]) == (stored, len(plain), "complete")
    [verdict] = [line for line in lines(site.ctl("verify", "--drill", "--json")) if "name" in line]
    assert verdict["good"] and verdict["snapshot_size"] == len(plain)
    done = site.ctl("restore", "--use-etcdutl=false", "--output", folder / "out.db", "--json")
    assert done.status == 0 and done.json["snapshot_size"] == len(plain)
    assert (folder / "out.db").read_bytes() == plain
    metadata = site.bucket.client.head_object(Bucket=site.bucket.name, Key=name)["Metadata"]
    assert metadata["compression"] == "zstd" and metadata["snapshot-size"] == str(len(plain))
    assert site.stop() == 0


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encrypted", [True, False])
def test_random_data_grows(new_etcd, bucket, new_site, encrypted):
    """What does not compress becomes a little larger than it is, and nothing counts on less."""
    etcd = new_etcd(version="3.5")
    etcd.fill(12 * MIB)
    site = new_site(etcd, bucket, encrypted=encrypted, changes=dict(COMPRESSION, s3_client={"part_size": Raw("5MiB")}))
    made = site.ctl("backup", "--json").json
    assert made["stored_size"] == bucket.list()[made["name"]] > 12 * MIB
    assert len(site.plaintext(made["name"])) == made["snapshot_size"]
    assert site.ctl("verify").status == 0


@pytest.mark.parametrize("level", [1, 9])
def test_levels(words, bucket, new_site, level):
    site = new_site(words, bucket, changes=dict(COMPRESSION, compression_level=level))
    made = site.ctl("backup", "--json").json
    assert len(site.plaintext(made["name"])) == made["snapshot_size"] and site.ctl("verify").status == 0


def test_one_bucket_with_both(words, bucket, new_site):
    """Compression is switched on and off: each backup is read as what it is, and its neighbours do not mind."""
    site = new_site(words, bucket, changes={"compression": "none"})
    made = [site.ctl("backup", "--json").json]
    site.configure(COMPRESSION)
    made.append(site.ctl("backup", "--json").json)
    site.configure({"compression": "none"})
    made.append(site.ctl("backup", "--json").json)
    assert [one["compressed"] for one in made] == [False, True, False]
    entries = lines(site.ctl("list", "--json"))
    assert {entry["state"] for entry in entries} == {"complete"}
    assert [entry["snapshot_size"] for entry in entries[::-1]] == [one["snapshot_size"] for one in made]
    assert all(verdict.get("good", True) for verdict in lines(site.ctl("verify", "--all", "--json")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("encrypted", [True, False])
def test_too_little_room(words, bucket, new_site, folder, encrypted):
    """What is looked for is room for what comes out, which the seek table says, and not for what lies in the bucket."""
    site = new_site(words, bucket, encrypted=encrypted, changes=COMPRESSION)
    made = site.ctl("backup", "--json").json
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={made['stored_size'] + MIB},mode=0755", "none", disk], check=True)
    try:
        done = site.ctl("restore", "--use-etcdutl=false", "--output", disk / "out.db")
        assert done.status == 1 and f"too little room: {made['snapshot_size'] / MIB:.1f} MiB needed" in done.err, done
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_without_metadata(site, folder):
    """Whoever copies a bucket may lose them: they are hints for a list, and nothing depends on them."""
    name = site.ctl("backup", "--json").json["name"]
    plain = site.plaintext(name)
    for key in site.bucket.list():
        site.bucket.put(key, site.bucket.get(key))
    assert site.ctl("verify", "--drill").status == 0
    done = site.ctl("restore", "--use-etcdutl=false", "--output", folder / "out.db")
    assert done.status == 0 and (folder / "out.db").read_bytes() == plain


# What somebody has made of a dump that is not encrypted. What is encrypted is vouched for (test_verify).


def table_of(stream, change=lambda entries: entries):
    """The stream with its seek table changed."""
    count, = struct.unpack("<I", stream[-9:-5])
    body = stream[:-17 - 8 * count]
    entries = change([list(struct.unpack_from("<II", stream, len(stream) - 9 - 8 * (count - n))) for n in range(count)])
    packed = b"".join(struct.pack("<II", *entry) for entry in entries)
    return (body + bytes.fromhex("5e2a4d18") + struct.pack("<I", len(packed) + 9) + packed + struct.pack("<I", len(entries)) +
            stream[-5:])


def bomb(stream):
    """A frame of a few bytes, of which 128 MiB come out, and a table that says so: within what can be."""
    frame = bytes.fromhex("28b52ffd0038") + b"\x02\x00\x10z" * 1023 + b"\x03\x00\x10z"
    fill = -(len(frame) + 8 + 2 * 8) % 4096 # the dump's size stays one of a snapshot's
    padding = bytes.fromhex("502a4d18") + struct.pack("<I", fill) + bytes(fill)
    return table_of(frame + padding + stream, lambda entries: [[len(frame), 1024 * 131072], [len(padding), 0]] + entries)


def lied(entries, number, by):
    entries[number][1] += by
    return entries


def moved(entries):
    entries[0][0] -= 3
    entries[1][0] += 3
    return entries


SPOILT = {
    "cut": (lambda s: s[:-4096], "ends without a seek table"),
    "cut in front": (lambda s: s[4096:], "SHA-256|seek table"),
    "a frame says less": (lambda s: table_of(s, lambda t: lied(t, 0, -1)),
                          "compressed frame 0 at byte 0: more comes out of it than the 1048575 bytes"),
    "a frame says more": (lambda s: table_of(s, lambda t: lied(t, 0, 1)),
                          "compressed frame 0 at byte 0: 1048576 bytes come out of it, and the seek table says 1048577"),
    "frames moved": (lambda s: table_of(s, moved), "compressed frame 0 at byte 0: does not end where"),
    "more than can be": (lambda s: table_of(s, lambda t: lied(t, -1, 1 << 31)), "the seek table claims that frame"),
    "a terabyte": (lambda s: bytes.fromhex("28b52ffde0000000000001000021000065746364") + s[20:],
                   "compressed frame 0 at byte 0: wants a window of more than 8 MiB"),
    "a flipped bit": (lambda s: s[:30000] + bytes([s[30000] ^ 1]) + s[30001:], "compressed frame 0 at byte 0: "),
    "swapped": (lambda s: s[:5000] + s[6000:7000] + s[5000:6000] + s[7000:], "compressed frame 0 at byte 0: "),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt(words, bucket, new_site, folder, name):
    """One line that names the cause, and nothing is left of what came out before."""
    site = new_site(words, bucket, encrypted=False, changes=COMPRESSION)
    dump = site.ctl("backup", "--json").json["name"]
    change, text = SPOILT[name]
    bucket.put(dump, change(bucket.get(dump)))
    done = site.ctl("verify", "--json")
    assert done.status == 5, done
    [verdict] = [line for line in lines(done) if "text" in line][:1]
    assert verdict["kind"] == "integrity" and re.search(text, verdict["text"]), verdict
    before = sorted(site.dir.iterdir())
    done = site.ctl("restore", "--use-etcdutl=false", "--output", folder / "out.db", "-t", dump)
    assert done.status == 5 and re.search(text, done.err) and not (folder / "out.db").exists(), done
    assert sorted(site.dir.iterdir()) == before


def test_a_bomb_is_nothing_but_bytes(words, bucket, new_site, folder, ceph):
    """So much was announced, so much comes, in the memory that any backup takes; and then the SHA-256 is wrong."""
    site = new_site(words, bucket, encrypted=False, changes=COMPRESSION).start()
    dump = site.ctl("backup", "--json").json["name"]
    stream = bomb(bucket.get(dump))
    bucket.put(dump, stream)
    done = site.ctl("verify", "-t", dump, "--json")
    assert done.status == 5 and "SHA-256" in done.out, done
    if not site.programs.sanitized:
        assert site.memory() < 64 * MIB
