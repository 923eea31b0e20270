"""From a master key to people, from people to others, and back: every backup can be read at every moment, and is told by whom."""

import json
import os
import re
import select
import signal
import socket

import pytest

import reader
from etcd_peer import message
from faults import Command, has_connections
from s3_proxy import DROP, LOSE
from servers import wait_for
from test_control import VERSION, frame
from test_reader import wrap
from test_rotate import At, Keys, counts, fingerprint, keeping_versions, key_name, opens, put_keys, stamp, state, versions
from test_rounds import rounds, verifying
from test_schedule import TAKEN, reload
from test_sealed import age_encrypt, backup, feed, people, plain, readable_memory, restore, time_of  # noqa: F401 (fixture)


SIZE = 4096 + 32 + 40  # a page, its SHA-256, and what sealing adds


def seals_to(site, *somebody):
    site.configure({"encryption_recipients": [person.recipient for person in somebody] or None})


def put_backups(site, count, **more):
    """As put_keys, with dumps of a snapshot's size, which a look at the bucket takes for backups."""
    made = put_keys(site, count, **more)
    for name in made:
        site.bucket.put(name.replace(".key", ".dump"), b"x" * SIZE)
    return made


def unsealed(person, name, sealed, vouching):
    """The data key, by the independent reader, which checks the vouch, too; or None."""
    try:
        return reader.unseal(person.identities, sealed, re.search(r"(\d{4}-.*)\.key$", name)[1], vouching)
    except reader.FormatError:
        return None


def check_sealed(site, made, *somebody, nobody=(), vouching=None):
    """Each of them opens all, to the data keys that they had; no master key does, nor the others."""
    for name, data_key in made.items():
        sealed = site.bucket.get(name)
        for person in somebody:
            assert unsealed(person, name, sealed, vouching or site.master_key) == data_key, name
        for person in nobody:
            assert unsealed(person, name, sealed, vouching or site.master_key) is None
        assert opens(site.master_key, name, sealed) is None


def told(site, *arguments, status=0):
    done = site.ctl("rotate-key", *arguments, "--json")
    assert done.status == status, done
    return [json.loads(line) for line in done.out.splitlines()]


def metadata(site, name):
    return site.bucket.client.head_object(Bucket=site.bucket.name, Key=name)["Metadata"]


def own_key(site):
    """The file of the master key that is configured, as somebody brings it along."""
    return site.write("own.key", site.master_key.hex() + "\n")


def sealed_keys(site, count, *somebody, first=0):
    """So many that a migration has sealed; {name: data key}."""
    made = put_backups(site, count, first=first)
    seals_to(site, *somebody)
    result = told(site, "-p", own_key(site))[-1]
    assert result["failed"] == 0, result
    return made


# ---- as it should be ----


@pytest.mark.parametrize("by_daemon", [True, False])
def test_a_master_key_that_goes_on_vouching(site, people, by_daemon):
    """The migration. Nothing of it keeps that master key from vouching for the next backup."""
    ann, ben, eve = people
    stem = backup(site)
    before = plain(site, stem, ann, site.master_key)
    wrapped = site.bucket.get(f"{stem}.key")
    made = {f"{stem}.key": reader.unwrap(site.master_key, wrapped, time_of(stem)), **put_backups(site, 2)}
    dump, beside = site.bucket.get(f"{stem}.dump"), metadata(site, f"{stem}.key")
    seals_to(site, ann, ben)
    if by_daemon:
        site.start()
    mine = fingerprint(site.master_key)
    done = site.ctl("rotate-key", "-p", own_key(site), "--dry-run")
    assert done.status == 0 and re.search(r"would rotate +3\n", done.out) and "still needed" in done.out, done
    assert site.bucket.get(f"{stem}.key") == wrapped
    done = site.ctl("rotate-key", "-p", own_key(site))
    assert done.status == 0 and re.search(r"rotated +3\nalready +0\nfailed +0\n", done.out), done
    assert f"vouching key  {mine}  (encryption_key_path)" in done.out and "can be destroyed" not in done.out, done
    assert f"sealed to {ann.recipient} and the others above, and to nobody else." in done.out, done
    assert f"Master key {mine} opens none of them any more, and vouches for them: keep it." in done.out, done
    check_sealed(site, made, ann, ben, nobody=[eve])
    assert site.bucket.get(f"{stem}.dump") == dump
    after = metadata(site, f"{stem}.key")
    assert "rotated-from" not in after and after.pop("same-data-key") and after == beside
    # Again: nothing is left to do, and nothing is written.
    as_it_is = state(site.bucket)
    result, = told(site, "-p", own_key(site))
    assert counts(result) == (0, 3, 0) and result["recipients"] == [ann.recipient, ben.recipient], result
    assert state(site.bucket) == as_it_is
    # Read by each of them, and the next one is made.
    for person in (ann, ben):
        assert restore(site, "-t", time_of(stem), "--identity", person.file).status == 0
        assert (site.dir / "out.db").read_bytes() == before
    backup(site)
    if by_daemon:
        wait_for(lambda: not has_connections(site.process.pid), what="an idle daemon")
        status = json.loads(site.ctl("status", "--json").out)
        assert status["key"] == mine and not status["key_trouble"], status
        assert "rotated away" not in site.log.read_text()


def test_a_new_vouching_key(site, people):
    """The old one is needed no more, and is not taken again."""
    ann, ben, _ = people
    made = put_backups(site, 2)
    keys = Keys(site)
    seals_to(site, ann, ben)
    done = site.ctl("rotate-key", "-p", keys.previous_file)
    assert done.status == 0 and f"needs the previous key {fingerprint(keys.previous)} any more: it can be destroyed." in done.out
    check_sealed(site, made, ann, ben)
    assert all(metadata(site, name)["rotated-from"].startswith(fingerprint(keys.previous)) for name in made)
    assert counts(told(site, "-p", keys.previous_file)[-1]) == (0, 2, 0)
    # A file that never was in use proves nothing.
    other = site.write("other.key", os.urandom(32).hex())
    failure, _ = told(site, "-p", other, status=1)
    assert "nothing to rotate: all 2 keys are sealed to" in failure["failure"]["text"], failure
    site.write("master.key", keys.previous.hex())
    done = site.ctl("backup")
    assert done.status != 0 and "was rotated away" in done.err, done


def test_a_previous_key_that_opened_nothing(site, people):
    """Another cluster's, by mistake. All is done without it, and that says nothing of what else it opens."""
    ann, ben, _ = people
    made = put_backups(site, 2)
    seals_to(site, ann, ben)
    other = site.write("other.key", os.urandom(32).hex())
    with keeping_versions(site):
        for arguments in (["--dry-run"], [], [], ["--purge-versions"], ["--identity", ann.file]):
            done = site.ctl("rotate-key", "-p", other, *arguments)
            assert done.status == 1 and "can be destroyed" not in done.out and "estroy" in done.err, done
        check_sealed(site, made, ann, ben)
        seals_to(site, ann)
        done = site.ctl("rotate-key", "-p", other, "--identity", ben.file)
        assert done.status == 1 and "all keys are rotated, but none of them was wrapped by" in done.err, done
        assert "can be destroyed" not in done.out, done
        check_sealed(site, made, ann, nobody=[ben])


def test_from_people_to_others(site, people):
    ann, ben, eve = people
    made = sealed_keys(site, 3, ann, ben)
    seals_to(site, ann, eve)
    done = site.ctl("rotate-key", "--identity", ben.file, "--dry-run")
    assert done.status == 0 and re.search(r"would rotate +3\n", done.out), done
    check_sealed(site, made, ann, ben, nobody=[eve])
    done = feed(site, ben.file.read_bytes(), "rotate-key", "--identity", "-")
    out = done.stdout.decode()
    assert done.returncode == 0 and re.search(r"rotated +3\nalready +0\nfailed +0\n", out), done
    assert f"The identity of {ben.recipient} opens none of them any more: it can be destroyed, unless something else is sealed to it." in out, out
    check_sealed(site, made, ann, eve, nobody=[ben])
    assert not any("rotated-from" in metadata(site, name) for name in made)
    # Again, with the same words, and with hers, which is still one of them.
    as_it_is = state(site.bucket)
    done = site.ctl("rotate-key", "--identity", ben.file)
    assert done.status == 0 and "opens none of them." in done.out and "destroyed" not in done.out, done
    done = site.ctl("rotate-key", "--identity", ann.file)
    assert done.status == 0 and f"The identity of {ann.recipient} still opens them: keep it." in done.out, done
    assert state(site.bucket) == as_it_is
    # In another order they are the same.
    seals_to(site, eve, ann)
    assert counts(told(site, "--identity", ann.file)[-1]) == (0, 3, 0)


def test_another_key_vouches(site, people):
    """That takes an identity, since the header's MAC is over the vouch; and the old key, or its place in the configuration."""
    ann, ben, _ = people
    made = sealed_keys(site, 2, ann, ben)
    keys = Keys(site)
    *failed, failure, _ = told(site, "--identity", ann.file, status=5)
    assert len(failed) == 2 and all("vouches for it" in one["text"] and "--allow-unvouched" in one["text"] for one in failed)
    assert f"2 of 2 keys were not rotated: do not destroy the identity of {ann.short}" in failure["failure"]["text"] or \
        f"the identity of {ann.short} opens none of the 2 keys" in failure["failure"]["text"], failure
    done = site.ctl("rotate-key", "-p", keys.previous_file, "--identity", ann.file)
    assert done.status == 0 and f"previous key {fingerprint(keys.previous)} any more: it can be destroyed" in done.out, done
    check_sealed(site, made, ann, ben)
    assert all(metadata(site, name)["rotated-from"].startswith(fingerprint(keys.previous)) for name in made)
    again = Keys(site)
    site.configure({"previous_key_paths": [again.previous_file]})
    assert counts(told(site, "--identity", ann.file)[-1]) == (2, 0, 0)
    check_sealed(site, made, ann, ben)


@pytest.mark.parametrize("with_new_key", [False, True])
def test_back_to_a_master_key(site, people, with_new_key):
    ann, ben, _ = people
    made = sealed_keys(site, 2, ann, ben)
    seals_to(site)
    vouching, master = site.master_key, site.master_key
    if with_new_key:
        keys = Keys(site, swap=False)
        failure, _ = told(site, "--identity", ann.file, "--new-key", keys.next_file, status=1)
        assert "do NOT destroy the identity of" in failure["failure"]["text"], failure
        master = keys.next
        done = site.ctl("rotate-key", "--identity", ann.file, "--new-key", keys.next_file)
        assert done.status == 1 and "Not done yet: the configuration does not name the new key" in done.out, done
        keys.swap()
    done = site.ctl("rotate-key", "--identity", ann.file)
    assert done.status == 0 and f"wrapped by master key {fingerprint(master)}." in done.out, done
    assert f"The identity of {ann.recipient} opens none of them" in done.out, done
    for name, data_key in made.items():
        assert opens(master, name, site.bucket.get(name)) == data_key
        assert ("rotated-from" in metadata(site, name)) == with_new_key and "same-data-key" not in metadata(site, name)
    assert with_new_key == (vouching != master)
    backup(site)


# ---- the word that somebody may be forgotten ----


def test_an_identity_that_opened_nothing(site, people):
    """Of each that was brought it is said whether that one opened something: not whether anything was rotated."""
    ann, ben, eve = people
    gone = "{} opens none of them any more: it can be destroyed"
    made = put_backups(site, 2)
    seals_to(site, ben)
    done = site.ctl("rotate-key", "-p", own_key(site), "--identity", eve.file)
    assert done.status == 0 and re.search(r"rotated +2\n", done.out), done
    assert f"The identity of {eve.recipient} opens none of them.\n" in done.out and "destroyed" not in done.out, done
    # Some by the master key, some by one of the two.
    made |= put_backups(site, 1, first=2)
    seals_to(site, ann)
    both = site.write("both", eve.file.read_text() + ben.file.read_text())
    done = site.ctl("rotate-key", "-p", own_key(site), "--identity", both)
    assert done.status == 0 and re.search(r"rotated +3\n", done.out), done
    assert gone.format(ben.recipient) in done.out and gone.format(eve.recipient) not in done.out, done
    assert f"The identity of {eve.recipient} opens none of them.\n" in done.out, done
    check_sealed(site, made, ann, nobody=[ben, eve])
    # Each of two by itself, though one of them would do.
    seals_to(site, ben, eve)
    assert told(site, "--identity", ann.file)[-1]["opened_recipients"] == [ann.recipient]
    seals_to(site, ann)
    result, = told(site, "--identity", both)
    assert counts(result) == (3, 0, 0) and result["opened_recipients"] == [eve.recipient, ben.recipient], result
    check_sealed(site, made, ann, nobody=[ben, eve])


def beside(site, *arguments):
    """A rotation by a private daemon, whichever runs."""
    return site.run(site.programs.ctl, "-c", site.file, "rotate-key", *arguments)


def not_reloaded(site, whom):
    return f"all keys are rotated, but do NOT destroy {whom} yet: the daemon on {site.socket} goes on with another " \
        "configuration: reload it, and run this again (its next key would be "


def test_people_of_a_daemon_that_was_not_reloaded(site, people):
    """Its next backup is sealed to those of before. Not before it has the new configuration is the last word said."""
    ann, ben, eve = people
    with keeping_versions(site):
        made = sealed_keys(site, 2, ann, ben)
        site.start()
        seals_to(site, ann, eve)
        done = beside(site, "--identity", ben.file, "--purge-versions")
        assert done.status == 1 and not_reloaded(site, f"the identity of {ben.short}") in done.err, done
        assert done.err.count("\n") == 1 and len(set(re.findall(r"sealed to 2 people \([0-9a-f-]{24}\), vouched for by "
                                                               f"master key {fingerprint(site.master_key)}", done.err))) == 2, done
        assert "STILL NEEDED" in done.out and "destroyed" not in done.out and "were removed" not in done.out, done
        check_sealed(site, made, ann, eve, nobody=[ben])
        name = f"{backup(site)}.key"  # that was no idle word
        assert unsealed(ben, name, site.bucket.get(name), site.master_key)
        reload(site, TAKEN)
        done = beside(site, "--identity", ben.file, "--purge-versions")
        assert done.status == 0 and re.search(r"rotated +1\nalready +2\n", done.out) and "it can be destroyed" in done.out, done
        assert "old versions of the keys were removed" in done.out, done
        # In another order they are the same; and what it does elsewhere is of no matter.
        seals_to(site, eve, ann)
        assert beside(site, "--identity", ann.file).status == 0
        site.configure({"s3_client": {"objects_prefix": "other"}})
        site.bucket.put(key_name(0, "other"), wrap(stamp(0), site.master_key, os.urandom(8), os.urandom(32)))
        site.bucket.put(key_name(0, "other").replace(".key", ".dump"), b"x" * SIZE)
        seals_to(site, ben)
        done = beside(site, "-p", own_key(site))
        assert done.status == 0 and "and to nobody else" in done.out, done


def test_a_master_key_of_a_daemon_that_was_not_reloaded(site, people):
    """Whether it wraps or vouches: by another path it is not that of the file, which alone was looked at."""
    ann, ben, _ = people
    made = put_backups(site, 1)
    site.start()
    for seals in (False, True):
        keys = Keys(site, swap=False)
        path = site.write(f"next-{seals}.key", keys.next.hex())
        if seals:
            seals_to(site, ann, ben)
            reload(site, TAKEN)
            assert site.ctl("rotate-key", "-p", keys.previous_file).status == 0
        site.configure({"encryption_key_path": path})
        words = ["-p", keys.previous_file, *(["--identity", ann.file] if seals else [])]
        done = beside(site, *words)
        assert done.status == 1 and not_reloaded(site, f"the previous key {fingerprint(keys.previous)}"
                                                 + (" and the identities" if seals else "")) in done.err, done
        assert f"by master key {fingerprint(keys.previous)}, and not " in done.err and "destroyed" not in done.out, done
        reload(site, TAKEN)
        done = beside(site, *words)
        assert done.status == 0 and f"previous key {fingerprint(keys.previous)} any more: it can be destroyed" in done.out, done
        site.master_key = keys.next
    check_sealed(site, made, ann, ben)


def test_a_daemon_that_does_not_answer(site, people):
    """Somebody listens: what he makes is not known. A socket's file that is left is nobody."""
    ann, ben, _ = people
    put_backups(site, 1)
    seals_to(site, ann, ben)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(site.socket))
        assert beside(site, "-p", own_key(site), "--dry-run").status == 0
        listener.listen()
        command = Command(site, "rotate-key", "-p", own_key(site))
        wait_for(lambda: select.select([listener], [], [], 0)[0] or command.process.poll() is not None, what="a question")
        if command.process.poll() is None:
            listener.accept()[0].close()
        done = command.end()
        assert done.status == 1 and f"the daemon on {site.socket} could not be asked what its next key would be" in done.err, done
    done = beside(site, "-p", own_key(site))
    assert done.status == 0 and "and to nobody else" in done.out, done


@pytest.mark.parametrize("how", ["is silent", "takes nobody", "says too much"])
def test_a_daemon_that_is_none(site, people, how):
    """What listens there may be anybody. It keeps the last word back, and nobody from rotating."""
    ann, ben, _ = people
    made = put_backups(site, 1)
    seals_to(site, ann, ben)
    long = "x" * 32000
    status = message(f5=message(f4=message(f5=long, f38=long)))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(site.socket))
        listener.listen(0)
        if how == "takes nobody":
            first.connect(str(site.socket))
            done = beside(site, "-p", own_key(site))
        else:
            command = Command(site, "rotate-key", "-p", own_key(site))
            wait_for(lambda: select.select([listener], [], [], 0)[0] or command.process.poll() is not None, what="a question")
            with listener.accept()[0] as other:
                if how == "says too much":
                    other.sendall(frame(message(f1=message(f1=VERSION))) + frame(status))
                done = command.end()
    why = {"is silent": "the daemon has not answered for 5 seconds", "says too much": "its answer is not what was asked for",
           "takes nobody": f"{site.socket} takes no connection for 5 seconds"}[how]
    assert done.status == 1 and re.search(r"rotated +1\n", done.out), done
    assert re.search(f"the daemon on {site.socket} could not be asked what its next key would be: [^:]*: {why}$", done.err, re.M), done
    check_sealed(site, made, ann, ben)


def test_a_daemon_that_needs_neither_key(site, people):
    """Where the configuration names no master key, one can be handed over for what is there; new backups have none."""
    ann, *_ = people
    made = put_backups(site, 1)
    keys = Keys(site, swap=False)
    words = ["-p", keys.previous_file, "--new-key", keys.next_file]
    site.start()
    site.configure({"encryption_key_path": None})
    done = beside(site, *words)
    assert done.status == 1 and not_reloaded(site, f"the previous key {fingerprint(keys.previous)}") in done.err, done
    assert f"be wrapped by master key {fingerprint(keys.previous)}, and not none)" in done.err, done
    reload(site, TAKEN)
    done = beside(site, *words)
    assert done.status == 0 and f"{fingerprint(keys.previous)} any more: it can be destroyed" in done.out, done
    seals_to(site, ann)
    words = ["-p", keys.next_file, "--new-key", keys.previous_file]
    assert "vouched for by nobody)" in beside(site, *words).err
    reload(site, TAKEN)
    done = beside(site, *words)
    assert done.status == 0 and f"{fingerprint(keys.next)} any more: it can be destroyed" in done.out, done
    check_sealed(site, made, ann)


def refuses(site, master):
    """Whether no backup is made with that master key, on a machine that has the configuration of before."""
    current = site.master_key
    site.write("master.key", master.hex())
    done = site.ctl("backup")
    site.write("master.key", current.hex())
    assert ("was rotated away" in done.err) == (done.status != 0), done
    return done.status != 0


@pytest.mark.parametrize("first", ["wrapped", "sealed"])
def test_who_was_rotated_away_stays_so(site, people, first):
    """However often people change, or other master keys come, since: the machine that was forgotten makes no backup."""
    ann, ben, eve = people
    made = put_backups(site, 2)
    keys = Keys(site)
    one, two = keys.previous, keys.next
    if first == "sealed":
        seals_to(site, ann, ben)
    assert counts(told(site, "-p", keys.previous_file)[-1]) == (2, 0, 0)
    if first == "wrapped":
        seals_to(site, ann, ben)
        assert counts(told(site, "-p", own_key(site))[-1]) == (2, 0, 0)
    assert refuses(site, one)
    seals_to(site, ann, eve)
    assert counts(told(site, "--identity", ben.file)[-1]) == (2, 0, 0)
    assert refuses(site, one)
    # One after that: both are gone.
    keys = Keys(site)
    assert counts(told(site, "-p", keys.previous_file, "--identity", ann.file)[-1]) == (2, 0, 0)
    seals_to(site, ann)
    assert counts(told(site, "--identity", ann.file)[-1]) == (2, 0, 0)
    assert refuses(site, one) and refuses(site, two)
    # The first comes back, by a rotation: it is one like any other, and the others are gone.
    three, site.master_key = keys.next, one
    site.write("master.key", one.hex())
    assert counts(told(site, "-p", keys.next_file, "--identity", ann.file)[-1]) == (2, 0, 0)
    assert not refuses(site, one) and refuses(site, two) and refuses(site, three)
    check_sealed(site, made, ann)


def test_words(site, people):
    """What cannot be meant is refused before anything is asked of the bucket."""
    ann, *_ = people
    put_backups(site, 1)
    done = site.ctl("rotate-key")
    assert done.status == 2 and "-p FILE, or --identity FILE" in done.err, done
    done = site.ctl("rotate-key", "--allow-unvouched")
    assert done.status == 2 and "-p FILE, or --identity FILE" in done.err, done
    done = site.ctl("rotate-key", "-p", own_key(site))
    assert done.status == 1 and "are the same" in done.err, done
    done = site.ctl("rotate-key", "-p", own_key(site), "--identity", site.dir / "none")
    assert done.status == 2 and "none" in done.err, done
    own = own_key(site)
    site.configure({"encryption_key_path": None, "encryption_recipients": [ann.recipient]})
    before = state(site.bucket)
    done = site.ctl("rotate-key", "-p", own)
    assert done.status == 1 and "nobody would vouch for what is sealed; --allow-unvouched accepts that" in done.err, done
    assert state(site.bucket) == before
    done = site.ctl("rotate-key", "-p", own, "--allow-unvouched")
    assert done.status == 0 and f"{fingerprint(site.master_key)} any more: it can be destroyed" in done.out, done
    assert "nobody vouches for that" in done.out and "nobody else" not in done.out, done
    assert counts(told(site, "-p", own, "--allow-unvouched")[-1]) == (0, 1, 0)


# ---- what is not alike ----


def test_a_bucket_with_all_kinds(site, people):
    """What opens becomes what it should be, all else stays as it is, byte by byte, and is told in a line of its own."""
    ann, ben, eve = people
    theirs = sealed_keys(site, 1, eve, first=2)
    put_backups(site, 1, master=os.urandom(32), first=5)
    made = put_backups(site, 1)
    unvouched = os.urandom(32)
    site.bucket.put(key_name(3), age_encrypt([ann.recipient, ben.recipient], unvouched + stamp(3).encode()))
    site.bucket.put(key_name(3).replace(".key", ".dump"), b"x" * SIZE)
    site.bucket.put(key_name(4), b"age-encryption.org/v1\nnonsense")
    site.bucket.put(key_name(4).replace(".key", ".dump"), b"x" * SIZE)
    seals_to(site, ann, ben)
    before = {n: site.bucket.get(key_name(n)) for n in (2, 3, 4, 5)}
    *failed, failure, result = told(site, "-p", own_key(site), status=5)
    assert counts(result) == (1, 0, 4) and "4 of 5 keys were not rotated: do not destroy the previous key" in \
        failure["failure"]["text"], failure
    texts = {one["name"]: one["text"] for one in failed}
    assert f"sealed to {eve.short}: --identity FILE" in texts[key_name(2)], texts
    assert "nobody vouches for it" in texts[key_name(3)] and "--allow-unvouched" in texts[key_name(3)], texts
    assert "file of age" in texts[key_name(4)] and "neither of the two keys opens it" in texts[key_name(5)], texts
    assert before == {n: site.bucket.get(key_name(n)) for n in (2, 3, 4, 5)}
    # Both at once, from two people.
    both = site.write("both", eve.file.read_text() + ann.file.read_text())
    *failed, failure, result = told(site, "-p", own_key(site), "--identity", both, status=5)
    assert counts(result) == (1, 1, 3) and before[3] == site.bucket.get(key_name(3)), failed
    check_sealed(site, {**made, **theirs}, ann, ben, nobody=[eve])
    # What nobody vouched for is vouched for when a person says that he accepts it, and not before.
    *failed, failure, result = told(site, "--identity", both, "--allow-unvouched", status=5)
    assert counts(result) == (1, 2, 2), failed
    check_sealed(site, {key_name(3): unvouched}, ann, ben)
    texts = {one["name"]: one["text"] for one in failed}
    assert "it is not sealed: a master key has wrapped it, which -p hands over" in texts[key_name(5)], texts
    for n in (4, 5):
        assert before[n] == site.bucket.get(key_name(n))
        site.bucket.delete(key_name(n), key_name(n).replace(".key", ".dump"))
    assert counts(told(site, "-p", own_key(site), "--identity", both)[-1]) == (0, 3, 0)


def test_what_a_stranger_has_sealed_is_not_vouched_for(site, people):
    """Sealed to the right people, at a place where a backup of ours was: the very thing that a vouch is against."""
    ann, ben, eve = people
    sealed_keys(site, 2, ann, ben)
    forged = age_encrypt([ann.recipient, ben.recipient], os.urandom(32) + stamp(1).encode())
    renamed = site.bucket.get(key_name(0))
    seals_to(site, ann, eve)
    for content in (forged, renamed, forged[:-1]):
        site.bucket.put(key_name(1), content)
        *failed, failure, _ = told(site, "--identity", ann.file, status=5)
        assert [one["name"] for one in failed] == [key_name(1)] and "do not destroy" in failure["failure"]["text"], failed
        assert site.bucket.get(key_name(1)) == content


# ---- old versions ----


def test_old_versions(site, people):
    """They open with the old key. They go in the same run or in another one, without anybody who could open the new ones; and
    stay where nothing says that both are the same."""
    ann, ben, eve = people
    with keeping_versions(site):
        made = put_backups(site, 3)
        seals_to(site, ann, ben)
        result, = told(site, "-p", own_key(site))
        assert (result["old_versions"], result["purged"]) == (3, 0)
        # One whose proof is gone, and one that somebody has exchanged.
        client, bucket = site.bucket.client, site.bucket.name
        client.put_object(Bucket=bucket, Key=key_name(0), Body=site.bucket.get(key_name(0)))
        proof = metadata(site, key_name(1))["same-data-key"]
        client.put_object(Bucket=bucket, Key=key_name(2), Body=site.bucket.get(key_name(2)), Metadata={"same-data-key": proof})
        *stays, failure, result = told(site, "-p", own_key(site), "--purge-versions", status=5)
        assert sorted(one["name"] for one in stays) == [key_name(0), key_name(2)], stays
        assert all("whether the current version holds the same data key cannot be seen: sealed to" in one["text"] and
                   "--identity" in one["text"] for one in stays), stays
        assert result["purged"] == 1 and "2 old versions stay" in failure["failure"]["text"], failure
        assert len(versions(site.bucket, key_name(1))) == 1
        result, = told(site, "-p", own_key(site), "--identity", ben.file, "--purge-versions")
        assert (result["purged"], result["old_versions"]) == (2, 0), result
        check_sealed(site, made, ann, ben)
        # The other way: what was sealed to somebody who is to read nothing any more.
        seals_to(site, ann, eve)
        result, = told(site, "--identity", ben.file, "--purge-versions")
        assert counts(result) == (3, 0, 0) and result["purged"] >= 3 and result["old_versions"] == 0, result
        assert all(len(versions(site.bucket, name)) == 1 for name in made)
        check_sealed(site, made, ann, eve, nobody=[ben])
        assert "can be destroyed" not in site.ctl("rotate-key", "--identity", ben.file).out


# ---- interrupted ----

# So many requests have come before. One key: a listing, two or three requests and what the store's dialect adds, a listing
# and a look, the uploads, a last listing, the versions. What comes then is the daemon's own look, behind the end.
MOMENTS = range(11)


def check_readable(site, made, master, *somebody):
    """With the master key, or with an identity of one of these."""
    for name, data_key in made.items():
        content = site.bucket.get(name)
        found = [opens(master, name, content), *(unsealed(person, name, content, master) for person in somebody)]
        assert data_key in found and set(found) <= {data_key, None}, name


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_every_request(ceph, etcd, proxied, people, moment):
    """-9 to the daemon, whose request arrives or, at odd moments, does not. Each key opens with the old or the new; the next
    run ends right, with no mark left that is none. First the migration, then the way to others."""
    ann, ben, eve = people
    site, proxy = proxied(ceph, etcd)
    made = put_backups(site, 1)
    seals_to(site, ann, ben)
    for way in (["-p", own_key(site)], ["--identity", ben.file]):
        if way[0] == "--identity":
            seals_to(site, ann, eve)
        started_for(site, proxy, made)
        proxy.rule = At(moment, site.process.kill, DROP if moment % 2 else None)
        done = Command(site, "rotate-key", *way, "--json").end()
        with proxy.condition:  # between two requests
            acted, proxy.rule = proxy.rule.acted, lambda request: None
        assert acted and (done.status == 0 or "the daemon ended before it had answered" in done.err), done
        site.kill()
        check_readable(site, made, site.master_key, ann, ben, eve)
        result, = told(site, *way)
        assert result["failed"] == 0 and result["rotated"] + result["already"] == 1, result
        check_sealed(site, made, *(people[:2] if way[0] == "-p" else (ann, eve)))
        assert "rotated-from" not in metadata(site, key_name(0))


def started_for(site, proxy, made):
    """The daemon, when it has looked at the bucket: a listing, and the keys."""
    proxy.requests.clear()
    site.start()
    wait_for(lambda: len([r for r in proxy.requests if r.status]) == 1 + len(made), what="the look at the start")
    proxy.requests.clear()


@pytest.mark.parametrize("loses", [LOSE, DROP], ids=["answers", "requests"])
@pytest.mark.parametrize("moment", [1, 2, 3, 5])
def test_cut_off(ceph, etcd, proxied, people, moment, loses):
    """S3 is gone from that request on, before or after it has done what was asked."""
    ann, ben, _ = people
    site, proxy = proxied(ceph, etcd)
    made = put_backups(site, 1)
    seals_to(site, ann, ben)
    came = []

    def rule(request):
        came.append(request)
        return loses if len(came) > moment else None
    started_for(site, proxy, made)
    proxy.rule = rule
    command = Command(site, "rotate-key", "-p", own_key(site), "--json")
    wait_for(lambda: len(came) > moment + 1 or command.process.poll() is not None, what="another try")
    if command.process.poll() is None:
        command.signal(signal.SIGINT)
    assert command.end().status == 1
    proxy.rule = lambda request: None
    check_readable(site, made, site.master_key, ann, ben)
    result, = told(site, "-p", own_key(site))
    assert result["failed"] == 0 and result["rotated"] + result["already"] == 1, result
    check_sealed(site, made, ann, ben)


# ---- secrets, and what the daemon does by itself ----


def test_nothing_stays_in_memory(site, people):
    """Neither the identity nor what it opens, once the rotation has ended."""
    ann, ben, eve = people
    made = sealed_keys(site, 3, ann, ben)
    seals_to(site, ann, eve)
    site.start()
    assert counts(told(site, "--identity", ben.file)[-1]) == (3, 0, 0)
    wait_for(lambda: not has_connections(site.process.pid), what="an idle daemon")
    pid = site.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        content = b"".join(readable_memory(pid))
    finally:
        os.kill(pid, signal.SIGCONT)
    secret = [line for line in ben.file.read_text().splitlines() if line.startswith("AGE-")][0]
    assert len(content) > 1 << 20
    for held in (*made.values(), *ben.identities, secret.encode()):
        held = held if isinstance(held, bytes) else held[0]
        assert held not in content
    assert secret not in site.log.read_text()


@pytest.mark.parametrize("drill", [False, True])
def test_the_daemons_own_verifications(site, people, drill):
    """Of what nobody here can open they say that it is vouched for: no proof, and no trouble either."""
    seals_to(site, *people[:2])
    first, last = backup(site), backup(site)
    verifying(site, {"interval": "1h"}, what="all", drill=drill).start()
    status = rounds(site)
    log = site.log.read_text()
    assert (status["verify_good"], status["verify_bad"], status["verify_left"]) == (0, 0, 0), status
    assert "verification done: 0 good, 2 vouched, not opened" in log and "is good" not in log, log
    assert status["verify_vouched"] == 2 and "0 good, 2 vouched, not opened, 0 bad" in site.ctl("status").out
    for entry in (json.loads(line) for line in site.ctl("list", "--json").out.splitlines()):
        assert not entry["verified_good"] and entry["state"] == "complete", entry
    assert site.stop() == 0
    site.log.unlink()
    site.bucket.put(f"{first}.key", site.bucket.get(f"{last}.key"))
    site.start()
    status = rounds(site)
    # That one counts no more, as the look at the start has found and tells.
    assert (status["verify_good"], status["verify_bad"], status["verify_vouched"]) == (0, 0, 1), status
    assert f"{first}.key" in status["key_trouble"] and "renamed" in status["key_trouble"], status
