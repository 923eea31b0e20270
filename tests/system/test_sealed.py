"""Backups that are sealed to people: made without their identities, opened with one of them, and vouched for by the master key."""

import base64
import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt, crypto_scalarmult, crypto_scalarmult_base

import reader


class Person:
    """With an identity in a file."""

    def __init__(self, folder, name):
        self.file = Path(folder) / f"{name}.identity"
        subprocess.run(["age-keygen", "-o", self.file], check=True, capture_output=True)
        self.recipient = subprocess.run(["age-keygen", "-y", self.file], check=True, capture_output=True,
                                        text=True).stdout.strip()
        self.short = self.recipient[:12]
        self.identities = reader.parse_identities(self.file.read_text())


@pytest.fixture
def people(tmp_path):
    return [Person(tmp_path, name) for name in ("ann", "ben", "eve")]


@pytest.fixture
def sealed_site(new_site, etcd, bucket, people):
    """Backups are sealed to the first two."""
    return new_site(etcd, bucket, changes={"encryption_recipients": [person.recipient for person in people[:2]]})


def backup(site):
    """Makes one; the stem of its objects."""
    done = site.ctl("backup", "--json")
    assert done.status == 0, done
    return json.loads(done.out)["name"][:-len(".dump")]


def time_of(stem):
    return stem[len("backup-"):]


def feed(site, text, *arguments):
    """etcd-backupctl with something on its standard input."""
    way = ["-s", site.socket] if site.process else ["-c", site.file]
    return subprocess.run([site.programs.ctl, *map(str, way), *map(str, arguments)], input=text, capture_output=True,
                          env=site.programs.environment, cwd=site.dir, check=False)


def restore(site, *arguments, output="out.db"):
    out = site.dir / output
    out.unlink(missing_ok=True)
    done = site.ctl("restore", "--use-etcdutl=false", "--output", out, *arguments)
    assert out.exists() == (done.status == 0), done
    return done


def plain(site, stem, person, master_key):
    out = io.BytesIO()
    dump = site.bucket.get(f"{stem}.dump")
    reader.read_backup(master_key, time_of(stem), io.BytesIO(dump), len(dump), site.bucket.get(f"{stem}.key"), out.write,
                       identities=person.identities)
    return out.getvalue()


def test_each_of_them_reads_it_and_the_host_does_not(sealed_site, people, etcd):
    ann, ben, eve = people
    stem = backup(sealed_site)
    out = sealed_site.dir / "out.db"
    for person in (ann, ben):
        done = restore(sealed_site, "--identity", person.file)
        assert done.status == 0, done
        assert out.read_bytes() == plain(sealed_site, stem, person, sealed_site.master_key)
    done = restore(sealed_site)
    assert done.status != 0 and f"sealed to {ann.short}, {ben.short}" in done.err and "--identity" in done.err, done
    done = restore(sealed_site, "--identity", eve.file)
    assert done.status != 0 and f"sealed to {ann.short}, {ben.short}, and no identity" in done.err, done


def test_age_opens_the_key_and_hands_it_over(sealed_site, people):
    stem = backup(sealed_site)
    key = sealed_site.bucket.get(f"{stem}.key")
    opened = subprocess.run(["age", "-d", "-i", people[1].file], input=key, check=True, capture_output=True).stdout
    assert opened == reader.unseal(people[0].identities, key, time_of(stem), sealed_site.master_key) + time_of(stem).encode()
    out = sealed_site.dir / "out.db"
    done = feed(sealed_site, opened, "restore", "--use-etcdutl=false", "--output", out, "--data-key", "-")
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == plain(sealed_site, stem, people[0], sealed_site.master_key)
    out.unlink()
    done = feed(sealed_site, opened[:-1] + b"Y", "restore", "--use-etcdutl=false", "--output", out, "--data-key", "-")
    assert done.returncode != 0 and b"bound to another instant" in done.stderr, done.stderr
    done = feed(sealed_site, opened[:32], "restore", "--use-etcdutl=false", "--output", out, "--data-key", "-")
    assert done.returncode != 0 and b"32 bytes instead of 52" in done.stderr, done.stderr
    done = feed(sealed_site, bytes(32) + opened[32:], "restore", "--use-etcdutl=false", "--output", out, "--data-key", "-")
    assert done.returncode != 0 and not out.exists(), done.stderr
    # Somebody else's data key, in a shape that age opens and that has no place for a vouch.
    theirs = bytes(32) + opened[32:]
    armored = subprocess.run(["age", "-a", "-r", people[0].recipient], input=theirs, check=True, capture_output=True).stdout
    sealed_site.bucket.put(f"{stem}.key", armored)
    for more in ([], ["--allow-unvouched"]):
        done = feed(sealed_site, theirs, "restore", "--use-etcdutl=false", "--output", out, "--data-key", "-", *more)
        assert done.returncode == 5 and b"chunk" not in done.stderr and not out.exists(), done.stderr


def test_identities_come_by_standard_input_and_by_the_socket(sealed_site, people):
    sealed_site.start()
    backup(sealed_site)
    both = people[2].file.read_bytes() + people[0].file.read_bytes()
    done = feed(sealed_site, both, "verify", "--identity", "-")
    assert done.returncode == 0 and b"1 verified, all good" in done.stderr, done.stderr
    done = feed(sealed_site, people[0].recipient.encode(), "verify", "--identity", "-")
    assert done.returncode == 2 and b"standard input: line 1 is a recipient" in done.stderr, done.stderr
    secret = [line for line in people[0].file.read_text().splitlines() if line.startswith("AGE-")][0]
    assert secret not in sealed_site.log.read_text()


def test_list_status_and_verify_say_what_it_is(sealed_site, people):
    ann, ben, _ = people
    stem = backup(sealed_site)
    entry = json.loads(sealed_site.ctl("list", "--json").out.splitlines()[0])
    assert entry["sealed"] and entry["sealed_to"] == f"{ann.short}, {ben.short}" and entry["state"] == "complete"
    shown = sealed_site.ctl("list").out
    assert "SEALED" in shown and ann.short in shown, shown
    done = sealed_site.ctl("verify")
    assert done.status == 0 and "1 vouched, not opened" in done.err and "good" not in done.err, done
    done = sealed_site.ctl("verify", "--all", "--json")
    verdict = [json.loads(line) for line in done.out.splitlines()][0]
    assert verdict["vouched"] and not verdict["good"] and verdict["unknown"], verdict
    done = sealed_site.ctl("verify", "--all", "--identity", ben.file)
    assert done.status == 0 and "1 verified, all good" in done.err, done
    sealed_site.start()
    status = sealed_site.ctl("status").out
    assert ann.recipient in status and ben.recipient in status and "vouched for by master key" in status, status
    # what can be seen without opening is seen
    dump = sealed_site.bucket.get(f"{stem}.dump")
    sealed_site.bucket.put(f"{stem}.dump", dump[:-10])
    done = sealed_site.ctl("verify")
    assert done.status != 0 and "cut off" in done.err, done
    assert json.loads(sealed_site.ctl("list", "--json").out.splitlines()[0])["state"] == "wrong-size"


def test_a_look_inside_takes_an_identity(sealed_site, people):
    backup(sealed_site)
    done = sealed_site.ctl("ls", "--identity", people[0].file)
    assert done.status == 0, done
    done = sealed_site.ctl("ls")
    assert done.status != 0 and "--identity" in done.err, done


def test_prune_counts_what_is_vouched_for(sealed_site, people):
    stems = []
    for n in range(4):
        stem = backup(sealed_site)
        stems.append(stem)
    sealed_site.configure({"prune": {"max_age": "1s", "min_count": 2}})
    done = sealed_site.ctl("prune", "--max-age", "1s", "--min-count", "2")
    assert done.status == 0, done
    left = sorted(sealed_site.bucket.dumps())
    assert left == [f"{stem}.dump" for stem in sorted(stems)[-2:]], (left, stems)
    # with another vouching key nothing counts, and nothing goes
    other = sealed_site.write("other.key", os.urandom(32).hex() + "\n")
    sealed_site.configure({"encryption_key_path": other})
    done = sealed_site.ctl("prune", "--max-age", "1s", "--min-count", "1")
    assert done.status != 0 and "vouches" in done.err, done
    assert left == sorted(sealed_site.bucket.dumps())


def test_without_a_vouching_key(new_site, etcd, bucket, people):
    site = new_site(etcd, bucket, encrypted=False, changes={"encryption_recipients": [people[0].recipient]})
    checked = site.check_config()
    assert checked.status == 0, checked
    assert "nobody vouches for them" in checked.err and "one recipient alone" in checked.err, checked
    stem = backup(site)
    done = restore(site, "--identity", people[0].file)
    assert done.status != 0 and "--allow-unvouched" in done.err, done
    done = restore(site, "--identity", people[0].file, "--allow-unvouched")
    assert done.status == 0, done
    assert (site.dir / "out.db").read_bytes() == plain(site, stem, people[0], None)
    done = site.ctl("verify")
    assert done.status != 0 and "--allow-unvouched" in done.err, done
    backup(site)
    done = site.ctl("prune", "--max-age", "1s", "--min-count", "1")
    assert done.status != 0 and len(site.bucket.dumps()) == 2, done


def test_a_secret_key_in_the_configuration_is_refused_and_not_shown(site, people):
    secret = [line for line in people[0].file.read_text().splitlines() if line.startswith("AGE-")][0]
    for wrong in ([secret], [f" {secret}"], [secret.lower()], [people[1].recipient, secret]):
        site.configure({"encryption_recipients": wrong})
        done = site.check_config()
        assert done.status != 0 and "encryption_recipients" in done.err, done
        assert secret[16:40].lower() not in (done.out + done.err).lower(), done
    site.configure({"encryption_recipients": [people[0].recipient[:-1] + "q"]})
    done = site.check_config()
    assert done.status != 0 and "mistyped" in done.err, done


# ---- forgeries ----

def b64(data):
    return base64.b64encode(data).rstrip(b"=")


def age_encrypt(recipients, payload):
    """By age itself: somebody who knows the recipients."""
    options = [word for recipient in recipients for word in ("-r", recipient)]
    return subprocess.run(["age", *options], input=payload, check=True, capture_output=True).stdout


def with_stanzas(sealed, change):
    """The same file with other stanzas, for whom the header's MAC is not in the way: change([stanza, ...]) -> the same."""
    stanzas, _, _, payload = reader.parse_age(sealed)
    rest = sealed[sealed.index(b"\n--- ") + 1:]
    assert rest.endswith(payload)
    return reader.AGE + b"".join(change([whole for _, _, whole in stanzas])) + rest


def test_forgeries_are_refused_in_one_line(sealed_site, people):
    ann, ben, _ = people
    first, second = backup(sealed_site), backup(sealed_site)
    bucket = sealed_site.bucket
    key, other = bucket.get(f"{first}.key"), bucket.get(f"{second}.key")
    own = age_encrypt([ann.recipient, ben.recipient], os.urandom(32) + time_of(first).encode())
    vouch = [whole for arguments, _, whole in reader.parse_age(key)[0] if arguments[0] == b"etcd-backupd-1"]
    low_order = b"-> X25519 " + b64(bytes(32)) + b"\n" + b64(os.urandom(32)) + b"\n"
    assert len(vouch) == 1
    forgeries = {
        "own seal to the right recipients": own,
        "own seal with the vouch of a true one": with_stanzas(own, lambda stanzas: stanzas + vouch),
        "stanzas of another": with_stanzas(key, lambda _: [whole for _, _, whole in reader.parse_age(other)[0]]),
        "one stanza of another": with_stanzas(key, lambda stanzas: [reader.parse_age(other)[0][0][2]] + stanzas[1:]),
        "stanzas swapped": with_stanzas(key, lambda stanzas: [stanzas[1], stanzas[0]] + stanzas[2:]),
        "renamed": other,
        "two vouches": with_stanzas(key, lambda stanzas: stanzas + vouch),
        "no vouch": with_stanzas(key, lambda stanzas: stanzas[:-1]),
        "payload of another": key[:-84] + other[-84:],
        "truncated": key[:-1],
        "cut in the header": key[:300],
        "a low-order point": with_stanzas(key, lambda stanzas: [low_order] + stanzas),
        "wrong Base64": key.replace(b"X25519 ", b"X25519 ="),
        "Base64 with padding": re.sub(rb"\n--- (.{43})\n", rb"\n--- \1=\n", key),
        "10,000 stanzas": with_stanzas(key, lambda stanzas: [b"-> x\n\n"] * 10000 + stanzas),
        "100 stanzas": with_stanzas(key, lambda stanzas: [b"-> x\n\n"] * 100 + stanzas),
        "nothing": b"age-encryption.org/v1\n",
        "zeros": bytes(400),
    }
    for what, forged in forgeries.items():
        bucket.put(f"{first}.key", forged)
        for command in (["verify", "-t", time_of(first)], ["verify", "-t", time_of(first), "--identity", ann.file]):
            done = sealed_site.ctl(*command)
            said = [line for line in done.err.splitlines() if line.startswith("BAD: ")]
            assert done.status != 0 and len(said) == 1 and len(done.err.splitlines()) == 2, (what, done)
            assert "Sanitizer" not in done.err
        done = restore(sealed_site, "-t", time_of(first), "--identity", ann.file)
        assert done.status != 0, (what, done)
    # who accepts that nobody vouches is still told of what was changed by somebody who cannot open it
    for what in ("stanzas of another", "stanzas swapped", "no vouch", "payload of another", "a low-order point"):
        bucket.put(f"{first}.key", forgeries[what])
        done = restore(sealed_site, "-t", time_of(first), "--identity", ann.file, "--allow-unvouched")
        assert done.status != 0, (what, done)
    bucket.put(f"{first}.key", key)
    assert restore(sealed_site, "-t", time_of(first), "--identity", ann.file).status == 0


def readable_memory(pid):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if "r" in line.split()[1] and "[v" not in line and end - begin < 1 << 30:  # the books of sanitizers are terabytes
                memory.seek(begin)
                yield memory.read(end - begin)


@pytest.mark.installed
def test_the_daemon_forgets_the_data_key(sealed_site, people):
    """Its memory is searched, all of it that can be read."""
    sealed_site.start()
    stem = backup(sealed_site)
    data_key = reader.unseal(people[0].identities, sealed_site.bucket.get(f"{stem}.key"), time_of(stem))
    pid = sealed_site.process.pid
    os.kill(pid, signal.SIGSTOP)  # so that what is mapped stays so
    try:
        content = b"".join(readable_memory(pid))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert len(content) > 1 << 20
    assert data_key not in content and data_key[:16] not in content and data_key[16:] not in content
