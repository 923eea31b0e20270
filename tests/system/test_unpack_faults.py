"""Restores into a data directory that go wrong: the target is absent or whole, nothing is left, and one line says why.

The moments of a kill are system calls of the daemon (strace sends the signal), or what a stand-in for etcdutl does.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import reader
from faults import Command, phase, running
from s3_proxy import DROP, Answer, Cut, Hold, error
from servers import MIB, Programs, gone, wait_for
from test_control import needs_root
from test_kill import children
from test_unpack import backed_up, mounted, tool_of  # pylint: disable=unused-import # fixtures
from unpacking import contents, end_of, held, hidden, marked, plaintext, refused, tool, unpack

CHUNK = reader.CHUNK + reader.OVERHEAD


def fails(done, status, *words):
    """That a restore ended so, its last line being the reason."""
    assert done.status == status, done
    line = done.err.splitlines()[-1]
    for word in words:
        assert word in line, f"{word!r} is not in: {line}"
    return line


def nothing_left(site, folder, *kept):
    """Neither files nor plaintext, also not in files without a name."""
    if site.process:
        wait_for(lambda: running(site) is None)
        assert held(site) == []
    assert hidden(folder) == [] and not site.snapshot.exists()
    assert [path for path in plaintext(folder) if not path.startswith(tuple(map(str, kept)) or "/no")] == []


def works(site, target, *arguments):
    """That a restore succeeds, and etcd's own tool can read what came out."""
    done = unpack(site, target, *arguments)
    assert done.status == 0, done
    whole(site, target)


def whole(site, target):
    database = Path(target) / "member" / "snap" / "db"
    told = subprocess.run([site.tool, "snapshot", "status", database], check=True, stdout=subprocess.PIPE,
                          env={"ETCDCTL_API": "3"}, stderr=subprocess.DEVNULL).stdout
    assert int(told.split(b",")[1]) > 0
    assert list((Path(target) / "member" / "wal").glob("*.wal"))


# ---- what is in the bucket ----


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def test_key_objects(backed_up, folder):
    """Missing, short, long, one bit off, and that of another backup."""
    site, target = backed_up(), folder / "data"
    other = site.name
    assert site.ctl("backup", "-q").status == 0
    name = max(site.bucket.dumps())
    key_name, instant = name.replace(".dump", ".key"), name[len("backup-"):-len(".dump")]
    key, key_of_other = site.bucket.get(key_name), site.bucket.get(other.replace(".dump", ".key"))
    for wrong, words in [
            (b"", "key object"), (key[:-1], "key object"), (key[:40], "key object"), (key + b"\0", "key object"),
            (bytes(1 << 20), "key"),
            (flip(key, 0), "wrong master key, or the key object is damaged"),
            (flip(key, len(key) // 2), "wrong master key, or the key object is damaged"),
            (flip(key, len(key) - 1), "wrong master key, or the key object is damaged"),
            (key_of_other, "")]:
        site.bucket.put(key_name, wrong)
        line = refused(site, folder, target, 5, f"{name}: ", words, arguments=["-e", site.tool])
        if wrong == key_of_other:
            assert "the key is bound to another instant" in line, line
    # Without its key it is no complete backup: the one before is the latest.
    site.bucket.delete(key_name)
    refused(site, folder, target, 5, f"{name} is there, but its key is missing", arguments=["-t", instant, "-e", site.tool])
    done = unpack(site, target, "--dry-run", "-e", site.tool)
    assert done.status == 0 and done.json["name"] == other, done
    # The dumps of two backups, swapped.
    site.bucket.put(key_name, key)
    site.bucket.put(name, site.bucket.get(other))
    refused(site, folder, target, 5, f"{name}: chunk 0", "byte 0", arguments=["-e", site.tool])


def test_tampered(backed_up, folder):
    """Nonce, text and tag of a chunk, its order and its end: named by chunk and byte."""
    site, target = backed_up(), folder / "data"
    good = site.bucket.get(site.name)
    start, end = 2 * CHUNK, 3 * CHUNK
    for wrong, words in [
            (flip(good, start), f"chunk 2 at byte {start}:"), (flip(good, start + 3000), f"chunk 2 at byte {start}:"),
            (flip(good, end - 1), f"chunk 2 at byte {start}:"), (flip(good, 0), "chunk 0 at byte 0:"),
            (flip(good, len(good) - 1), f"chunk {len(good) // CHUNK} at byte {len(good) // CHUNK * CHUNK}:"),
            (good[:start], "chunk 1"), (good[:start + 1000], "chunk 2"),
            (good[:start + 20], f"chunk 2 at byte {start}: cut off"), (good + good[:CHUNK], "chunk"),
            (good[:CHUNK] + good[start:end] + good[CHUNK:start] + good[end:], f"chunk 1 at byte {CHUNK}:"),
            (good[:CHUNK] + good, f"chunk 1 at byte {CHUNK}:"), (good[CHUNK:], "chunk 0 at byte 0:"), (b"", "is empty")]:
        site.bucket.put(site.name, wrong)
        refused(site, folder, target, 5, site.name, words, arguments=["-e", site.tool])
    site.bucket.put(site.name, good)
    works(site, target, "-e", site.tool)


def test_without_its_sha256(backed_up, folder):
    """A plain dump that lacks it is not unpacked unless told, and is etcd's data all the same; a wrong one neither."""
    site, target = backed_up(encrypted=False), folder / "data"
    good = site.bucket.get(site.name)
    for wrong in (flip(good, 5000), flip(good, len(good) - 1), good[:-4096]):
        site.bucket.put(site.name, wrong)
        refused(site, folder, target, 5, f"{site.name}: ", "SHA-256", arguments=["-e", site.tool])
    site.bucket.put(site.name, good[:-32])
    before = contents(folder)
    instant = site.name[len("backup-"):-len(".dump")]
    done = unpack(site, target, "-e", site.tool, "-t", instant)
    fails(done, 5, site.name, "SHA-256", "--skip-hash-check")
    assert contents(folder) == before
    works(site, target, "-e", site.tool, "-t", instant, "--skip-hash-check")
    # Of the latest it is the same, and an older one that has it is no answer to who does without.
    refused(site, folder, folder / "other", 5, site.name, "SHA-256", "--skip-hash-check", arguments=["-e", site.tool])
    site.bucket.put("backup-2001-01-01T00:00:00Z.dump", good)
    done = unpack(site, folder / "other", "--dry-run", "-e", site.tool)
    assert done.status == 0 and done.json["name"] == "backup-2001-01-01T00:00:00Z.dump", done
    assert f"note: {site.name} is newer, but its key is missing, or it is a plain dump without etcd's SHA-256" in done.err, done
    done = unpack(site, folder / "other", "--dry-run", "-e", site.tool, "--skip-hash-check")
    assert done.status == 0 and done.json["name"] == site.name, done


def test_nothing_there(new_site, etcd, bucket, folder):
    site, target = new_site(etcd, bucket).start(), folder / "data"
    arguments = ["-e", tool_of(etcd)]
    refused(site, folder, target, 1, "no complete backup in", bucket.name, arguments=arguments)
    assert site.ctl("backup", "-q").status == 0
    name, = bucket.dumps()
    refused(site, folder, target, 1, "no complete backup of 2001-02-03T04:05:06Z",
            f"the nearest is of {name[len('backup-'):-len('.dump')]}", arguments=[*arguments, "-t", "2001-02-03T04:05:06Z"])
    bucket.put("backup-2100-01-01T00:00:00Z.dump", b"no key")
    done = unpack(site, target, "-t", "2100-01-01T00:00:00Z", *arguments)
    fails(done, 5, "backup-2100-01-01T00:00:00Z.dump is there, but its key is missing")
    assert site.stop() == 0
    site.configure({"s3_client": {"bucket": "no-such-bucket"}})
    refused(site, folder, target, 1, 'there is no bucket "no-such-bucket"', arguments=arguments)


# ---- on the way ----


def is_dump(request):
    return request.call == "get" and request.path.endswith(".dump") and not request.is_look


def test_a_connection_that_breaks(ceph, medium, proxied, folder):
    """In the middle of each piece: it goes on at the byte where it broke, and nothing is asked for twice."""
    site, proxy = proxied(ceph, medium)
    site.tool = tool_of(medium)
    assert site.start().ctl("backup", "-q").status == 0
    size = site.bucket.list()[site.bucket.dumps()[0]]
    broken = {}

    def rule(request):
        if not is_dump(request) or request.start in broken or len(broken) >= 3 or request.start % (4 * CHUNK):
            return None
        broken[request.start] = 100001
        return Cut(100001)

    proxy.rule = rule
    works(site, folder / "data", "-e", site.tool)
    starts = sorted(request.start for request in proxy.calls("get") if is_dump(request))
    assert starts == sorted([*range(0, size, 4 * CHUNK), *(start + length for start, length in broken.items())])
    assert len(broken) == 3
    nothing_left(site, folder, folder / "data")


@pytest.mark.parametrize("way, words", [
    (Answer(403, error("AccessDenied")), "AccessDenied"),
    (Answer(404, error("NoSuchKey")), "NoSuchKey"),
    (Answer(416, error("InvalidRange")), "InvalidRange"),
    (Answer(412, error("PreconditionFailed")), "PreconditionFailed"),
], ids=lambda value: str(value.status) if isinstance(value, Answer) else "")
def test_refused_in_mid_download(ceph, medium, proxied, folder, way, words):
    site, proxy = proxied(ceph, medium)
    site.tool = tool_of(medium)
    assert site.start().ctl("backup", "-q").status == 0
    proxy.rule = lambda request: way if is_dump(request) and request.start >= 4 * CHUNK else None
    refused(site, folder, folder / "data", 5 if way.status in (412, 416) else 1, site.bucket.dumps()[0], words,
            "(nothing was left behind)", arguments=["-e", site.tool])
    nothing_left(site, folder)


@pytest.mark.parametrize("way", ["socket", "private"])
def test_store_that_dies_in_mid_download(ceph, medium, proxied, folder, way):
    """It stays away for longer than the few attempts that other requests get: the person is told, and when it comes back
    nothing that was fetched is fetched again."""
    site, proxy = proxied(ceph, medium)
    site.tool = tool_of(medium)
    if way == "socket":
        site.start()
    assert site.ctl("backup", "-q").status == 0
    starts, dropped = [], []

    def rule(request):
        if not is_dump(request):
            return None
        starts.append(request.start)
        if request.start < 4 * CHUNK:
            return None
        if max(map(dropped.count, dropped), default=0) >= 6:
            return None
        dropped.append(request.start)
        return DROP

    proxy.rule = rule
    done = unpack(site, folder / "data", "-e", site.tool)
    assert done.status == 0, done
    whole(site, folder / "data")
    assert starts.count(0) == 1
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    assert notes and "; trying again in " in notes[0] and "if nothing comes" in notes[0], done
    nothing_left(site, folder, folder / "data")


def test_store_that_does_not_come_back(ceph, medium, proxied, folder):
    """It is waited for, but not for ever, and the person is told how to go on. hurry.c brings the end here."""
    site, proxy = proxied(ceph, medium, request_timeout="1h")
    site.tool = tool_of(medium)
    assert site.ctl("backup", "-q").status == 0
    site.programs = Programs()
    site.programs.environment |= {"LD_PRELOAD": str(Path(site.programs.daemon).parents[1] / "tests/system/hurry.so"),
                                  "HURRY_TIMES": "30"}
    site.programs.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
    proxy.rule = lambda request: DROP if is_dump(request) and request.start else None
    before = contents(folder)
    done = unpack(site, folder / "data", "-e", site.tool)
    line = fails(done, 1, f"{site.bucket.dumps()[0]}: ", "nothing was left behind; once S3 answers again, run it again")
    assert int(re.search(r"\((\d+) attempts over (\d+) s\)", line)[2]) >= 300
    assert re.search(r"^note: .*; trying again in [0-9.]+ s, and for [0-9ms.]+ if nothing comes$", done.err, re.M), done
    assert contents(folder) == before
    nothing_left(site, folder)


def test_told_while_it_looks(ceph, medium, proxied, folder):
    """What restore, verify and list ask before the first byte moves is tried a few times: why is told each time."""
    site, proxy = proxied(ceph, medium)
    site.tool = tool_of(medium)
    assert site.ctl("backup", "-q").status == 0

    def told(*arguments, status=0):
        done = site.ctl(*arguments, "-q")
        assert done.status == status, done
        return [line for line in done.err.splitlines() if line.startswith("note: ") and "; trying again in " in line]

    def rule(request):
        if request.nth > seen.setdefault((request.call, request.path, request.is_look), request.nth):
            return None
        return Answer(503, error("SlowDown", "gently, please"))

    proxy.rule = rule
    for arguments in [("restore", "-d", folder / "data", "-e", site.tool, "--dry-run"), ("verify",)]:
        seen = {}
        notes = told(*arguments)
        # One for the listing, one for the dump's size, one for its key, one for its first bytes; and of verify one for the dump.
        assert len(notes) == (4 if arguments[0] == "restore" else 5), notes
        # The HEAD's 503 has no body with words.
        assert sum("HTTP 503 SlowDown: gently, please; trying again in " in note for note in notes) == len(notes) - 1, notes
        assert sum("(attempt 2 of 5)" in note for note in notes) == 3, notes
    seen = {}
    note, = told("list")
    assert "gently, please" in note and "(attempt 2 of 5)" in note
    proxy.rule = lambda request: DROP
    assert len(told("list", status=1)) == 4


def test_interrupted_while_the_store_is_away(ceph, medium, proxied, folder):
    """A restore that waits for the store ends at once, and the next one works."""
    site, proxy = proxied(ceph, medium)
    site.tool = tool_of(medium)
    assert site.start().ctl("backup", "-q").status == 0

    def later():
        return [request for request in proxy.calls("get") if is_dump(request) and request.start > 4 * CHUNK]

    def rule(request):
        if is_dump(request) and request.start == 4 * CHUNK:
            return Cut(50000)
        if request not in later():
            return None
        return DROP if len(later()) <= 4 else Hold()

    proxy.rule = rule
    before = contents(folder)
    command = Command(site, "restore", "-d", folder / "data", "-e", site.tool, "-q")
    wait_for(lambda: len(later()) >= 4 and proxy.held, what="the fifth request")
    command.signal(signal.SIGINT)
    fails(command.end(), 1, "cancelled; nothing was changed on disk")
    assert contents(folder) == before
    nothing_left(site, folder)
    proxy.rule = lambda request: None
    works(site, folder / "data", "-e", site.tool)


# ---- the disk ----


def fill_up(disk, leave=0):
    """Takes all of its room but so many bytes, while others may be writing too."""
    def free():
        room = os.statvfs(disk)
        return room.f_bavail * room.f_frsize

    with open(disk / "filler", "ab") as file:
        while free() > leave:
            try:
                file.write(bytes(min(MIB, free() - leave)))
                file.flush()
            except OSError:
                break


@needs_root
@pytest.mark.parametrize("way", ["socket", "private"])
def test_disk_full_while_fetching(ceph, medium, proxied, folder, mounted, way):
    """Somebody else takes the room while the dump is coming."""
    site, proxy = proxied(ceph, medium)
    disk = mounted(folder / "disk")
    site.tool = tool_of(medium)
    site.configure({"snapshot_path": disk / "snapshot.db"})
    if way == "socket":
        site.start()
    assert site.ctl("backup", "-q").status == 0
    proxy.rule = lambda request: Hold() if is_dump(request) and request.start else None
    command = Command(site, "restore", "-d", disk / "data", "-e", site.tool, "-q")
    wait_for(lambda: proxy.held)
    fill_up(disk, MIB)
    proxy.release()
    fails(command.end(), 1, f"writing the snapshot in {disk}, where it has no name: No space left on device",
          "(nothing was left behind; make room, or name a larger disk with --output, and run it again)")
    assert os.listdir(disk) == ["filler"]
    nothing_left(site, folder)
    (disk / "filler").unlink()
    assert os.statvfs(disk).f_bfree == os.statvfs(disk).f_blocks
    works(site, disk / "data", "-e", site.tool)


@needs_root
@pytest.mark.parametrize("leave", [0, MIB, 40 * MIB], ids=lambda leave: str(leave // MIB))
def test_disk_full_while_unpacking(backed_up, folder, mounted, leave):
    """The real etcdutl finds no room for the database, or for its log."""
    site = backed_up()
    disk = mounted(folder / "disk", "300m")
    slow = tool(folder, site.etcd, f"""mark; while [ ! -e '{folder}/go' ]; do sleep 0.02; done; exec "$real" "$@" """)
    command = Command(site, "restore", "-d", disk / "data", "-e", slow)
    marked(folder)
    fill_up(disk, leave)
    (folder / "go").touch()
    fails(command.end(), 1, "unpacking", f"into {disk}/data", "no space left on device", "nothing was left behind",
          "--use-etcdutl=false")
    assert os.listdir(disk) == ["filler"]
    nothing_left(site, folder)
    (disk / "filler").unlink()
    works(site, disk / "data", "-e", site.tool)


# ---- the tool ----


def test_tools_that_are_none(backed_up, folder):
    site, target = backed_up(), folder / "data"

    def script(name, text, mode=0o755):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
        return folder / name

    for path, words in [
            (folder / "missing", "No such file or directory"), (folder, "Permission denied"),
            (script("not-executable", "#!/bin/sh\n", 0o644), "Permission denied"),
            (script("no-program", "exit 3"), "ended with status 3"),
            (script("no-interpreter", "#!/no/such/shell\n"), "No such file or directory"),
            ("no-such-tool-in-path", "no 'no-such-tool-in-path' in PATH"), ("/bin/true", "does not say its version"),
            (script("fails", "#!/bin/sh\necho out of order >&2; exit 7\n"), "ended with status 7: out of order"),
            (script("dies", "#!/bin/sh\nkill -SEGV $$\n"), "was ended by signal 11 (Segmentation fault)"),
            (script("cannot", "#!/bin/sh\necho 'etcdctl version: 3.6.0'\n"), "has no 'snapshot restore'"),
            (site.etcd.binary("etcd"), "etcd")]:
        refused(site, folder, target, 1, words, arguments=["-e", path])
    noise = script("noise", "#!/bin/sh\nyes 'etcdutl version: 3.5.0' | head -c 30000000\nexec yes\n")
    command = Command(site, "restore", "-d", target, "-e", noise)
    phase(site, "preparing")
    command.signal(signal.SIGINT)
    fails(command.end(), 1, "cancelled; nothing was changed on disk")
    nothing_left(site, folder)


@pytest.mark.parametrize("body, words", [
    ("echo half-done; mkdir -p \"$5/member\"; echo 'panic: no way' >&2; exit 3", "ended with status 3: panic: no way"),
    ("mkdir -p \"$5/member\"; kill -KILL $$", "was ended by signal 9 (Killed)"),
    ("\"$real\" \"$@\"; exit 1", "ended with status 1"),
    ("exit 0", "member"),
    ("mkdir \"$5\"; exit 0", "member"),
    ("printf 'a\\033[2Jb\\n'; printf '\\377\\n'; head -c 100000 /dev/zero | tr '\\0' x; exit 9", "ended with status 9: xxx"),
], ids=["fails", "killed", "fails at last", "does nothing", "makes nothing", "strange words"])
def test_tools_that_fail(backed_up, folder, body, words):
    """Nothing of what it made stays, and the person is told how to go on."""
    site, target = backed_up(), folder / "data"
    bad = tool(folder, site.etcd, body)
    before = contents(folder)
    done = unpack(site, target, "-e", bad)
    line = fails(done, 1, f"unpacking {site.name} into {target}: ", words, "nothing was left behind", "--use-etcdutl=false")
    assert line.isprintable() and len(line) < 1000
    assert contents(folder) == before
    nothing_left(site, folder)
    assert "\033" not in site.ctl("restore", "-d", target, "-e", bad).err
    works(site, target, "-e", site.tool)


@pytest.mark.installed
def test_a_tool_that_does_not_stop_talking(backed_up, folder):
    """Its words are cut off, it is not: memory stays small, and ^C still ends it."""
    site, target = backed_up(), folder / "data"
    before = site.memory()
    talking = tool(folder, site.etcd, "mark; exec yes and on and on")
    command = Command(site, "restore", "-d", target, "-e", talking, "-q")
    pid = marked(folder)
    wait_for(lambda: sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/io").read_text().splitlines()
                         if line.startswith("wchar")) > 30 * MIB)
    assert site.memory() < before + (300 if site.programs.sanitized else 40) * MIB
    command.signal(signal.SIGINT)
    done = command.end()
    fails(done, 1, "cancelled")
    assert done.err.count("and on and on\n") <= 10001
    assert gone(pid)
    nothing_left(site, folder)
    assert not target.exists()


# ---- interrupted ----


SLEEPING = {
    "before": 'mark; exec sleep 1000',
    "half": 'mkdir -p "$5/member/snap" && cat "$3" >"$5/member/snap/db"; mark; exec sleep 1000',
    "done": '"$real" "$@"; mark; exec sleep 1000',
}


@pytest.mark.parametrize("way", ["socket", "private"])
@pytest.mark.parametrize("moment", SLEEPING)
def test_interrupted_while_unpacking(backed_up, folder, moment, way):
    site, target = backed_up(start=way == "socket"), folder / "data"
    slow = tool(folder, site.etcd, SLEEPING[moment])
    before = contents(folder)
    command = Command(site, "restore", "-d", target, "-e", slow, "-q")
    pid = marked(folder)
    command.interrupt()
    fails(command.end(), 1, "cancelled")
    wait_for(lambda: gone(pid), what="the end of the tool")
    assert contents(folder) == before
    nothing_left(site, folder)
    works(site, target, "-e", site.tool)


def test_a_tool_that_will_not_end(backed_up, folder):
    """It is asked, and after some seconds no more asked."""
    site, target = backed_up(), folder / "data"
    deaf = tool(folder, site.etcd, "trap '' TERM INT; mark; while :; do sleep 0.1; done")
    command = Command(site, "restore", "-d", target, "-e", deaf, "-q")
    pid = marked(folder)
    command.interrupt()
    fails(command.end(), 1, "cancelled")
    assert gone(pid)
    nothing_left(site, folder)


def test_interrupted_while_looking(backed_up, folder):
    """When the tool does not even say its version."""
    site, target = backed_up(), folder / "data"
    mute = folder / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 1000\n")
    mute.chmod(0o755)
    command = Command(site, "restore", "-d", target, "-e", mute, "-q")
    pid, = wait_for(lambda: children(site.process.pid))
    command.interrupt()
    fails(command.end(), 1, "cancelled; nothing was changed on disk")
    assert gone(pid)
    nothing_left(site, folder)


@pytest.mark.parametrize("way", ["socket", "private"])
def test_interrupted_while_fetching(ceph, medium, proxied, folder, way):
    site, proxy = proxied(ceph, medium)
    site.tool = tool_of(medium)
    if way == "socket":
        site.start()
    assert site.ctl("backup", "-q").status == 0
    before = contents(folder)
    proxy.rule = lambda request: Hold() if is_dump(request) and request.start else None
    command = Command(site, "restore", "-d", folder / "data", "-e", site.tool, "-q")
    wait_for(lambda: proxy.held)
    command.interrupt()
    fails(command.end(), 1, "cancelled; nothing was changed on disk")
    assert contents(folder) == before
    nothing_left(site, folder)
    proxy.release()
    works(site, folder / "data", "-e", site.tool)


# ---- killed ----


@pytest.mark.parametrize("who", ["daemon", "ctl", "tool", "private"])
@pytest.mark.parametrize("moment", ["half", "done"])
def test_killed_while_unpacking(backed_up, folder, moment, who):
    """-9 of whoever: there is no data directory, and the next restore sweeps what is left and works."""
    site, target = backed_up(start=who != "private"), folder / "data"
    slow = tool(folder, site.etcd, SLEEPING[moment])
    command = Command(site, "restore", "-d", target, "-e", slow, "-q")
    pid = marked(folder)
    daemon = site.process.pid if site.process else children(command.process.pid)[0]
    os.kill({"daemon": daemon, "private": daemon, "ctl": command.process.pid, "tool": pid}[who], signal.SIGKILL)
    done = command.end()
    if who == "ctl":
        assert done.status == -signal.SIGKILL
    elif who == "private":
        fails(done, 1, "the private etcd-backupd was ended by signal 9 (Killed)")
    elif who == "tool":
        fails(done, 1, "was ended by signal 9 (Killed)", "nothing was left behind")
    else:
        fails(done, 1, "the daemon ended before it had answered")
    if who in ("daemon", "private"):
        end_of(pid)
    wait_for(lambda: gone(pid), what="the end of the tool")
    assert not target.exists()
    if who == "daemon":
        site.kill()
        site.start()
    if who in ("ctl", "tool"):
        nothing_left(site, folder)
    works(site, target, "-e", site.tool)
    nothing_left(site, folder, target)


@needs_root
@pytest.mark.parametrize("calls", [
    "mkdir,mkdirat", "fchmod", "fsync", "rename,renameat,renameat2", "rmdir,unlinkat"], ids=lambda calls: calls.split(",")[0])
@pytest.mark.parametrize("where", ["beside", "mount"])
def test_killed_while_putting_into_place(backed_up, folder, mounted, calls, where):
    """At a system call of the daemon: making the scratch directory, syncing it, moving it, removing what is left of it."""
    site, target = backed_up(), folder / "data"
    if where == "mount":
        target = mounted(target)
    threads = [word for thread in os.listdir(f"/proc/{site.process.pid}/task") for word in ("-p", thread)]
    strace = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "strace", "-qq", *threads, "-o", str(folder / "strace"),
         "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: all("TracerPid:\t0" not in Path(status).read_text()
                             for status in Path(f"/proc/{site.process.pid}/task").glob("*/status")), what="strace")
        done = Command(site, "restore", "-d", target, "-e", site.tool, "-q").end()
        fails(done, 1, "the daemon ended before it had answered")
    finally:
        site.kill()  # with it strace ends
        strace.wait()
    assert "KILL" in (folder / "strace").read_text()
    entries = sorted(path.name for path in target.iterdir()) if target.exists() else []
    if "member" in entries:
        whole(site, target)
        assert "rename" in calls or "rmdir" in calls
    else:
        assert all(name.startswith(".etcd-backupd-unpack.") for name in entries), entries
        assert "rmdir" not in calls
    assert not site.snapshot.exists()
    site.start()
    if "member" in entries:
        refused(site, folder, target, 1, "is not empty", arguments=["-e", site.tool])
        for path in hidden(target):
            assert plaintext(Path(path)) == []
    else:
        works(site, target, "-e", site.tool)
        nothing_left(site, folder, target)


def test_others_at_work_are_left_alone(backed_up, folder):
    """What somebody holds is not swept, what nobody holds is, and what is not ours neither."""
    site, target = backed_up(start=False), folder / "data"
    slow = tool(folder, site.etcd, 'mark; while [ ! -e "$0.go" ]; do sleep 0.02; done; exec "$real" "$@"')
    command = Command(site, "restore", "-d", target, "-e", slow, "-q")
    marked(folder)
    left = folder / ".etcd-backupd-unpack.00c0ffee"
    left.mkdir(mode=0o700)
    (left / "data" / "member").mkdir(parents=True)
    (left / "data" / "member" / "file").write_text("left behind")
    (left / "etcd-backupd.scratch").touch()
    others = folder / ".etcd-backupd-other"
    others.mkdir()
    link = folder / ".etcd-backupd-unpack.link"
    link.symlink_to(others)
    # What others could have made, or can change, root does not follow into.
    open_one, strange = folder / ".etcd-backupd-unpack.0000open", folder / ".etcd-backupd-unpack.nobodys"
    unmarked = folder / ".etcd-backupd-unpack.unmarked"
    (unmarked / "data").mkdir(parents=True)
    unmarked.chmod(0o700)
    open_one.mkdir(mode=0o755)
    strange.mkdir(mode=0o700)
    os.chown(strange, 65534, 65534)
    kept = (others, link, open_one, strange, unmarked)
    mine, = [path for path in hidden(folder) if path not in map(str, (left, *kept))]
    works(site, folder / "second", "-e", site.tool)
    assert not left.exists() and all(path.exists() for path in kept) and Path(mine).exists()
    (folder / "tool.go").touch()
    assert command.end().status == 0
    whole(site, target)


# While something is in the way of the data directory, a link is where root may take the log back.
SWAPPING = """
import os, sys
theirs, outside = sys.argv[1:]
path = f"{theirs}/wal"
acts = [lambda: os.rename(path, path + "x"), lambda: os.rmdir(path), lambda: os.symlink(outside, path)]
back = [lambda: os.unlink(path), lambda: os.rename(path + "x", path), lambda: os.mkdir(path, 0o777)]
print("ready", flush=True)
while True:
    for act in (*acts, *back) if os.path.exists(f"{theirs}/data") else back:
        try:
            act()
        except OSError:
            pass
"""


@needs_root
def test_the_owner_above_swaps_all_for_links(backed_up, folder):
    """As fast as he can, while root's restore into his directory fails at its end, with the log in place already: nothing of
    root's is changed, given away or removed."""
    site, theirs, outside = backed_up(), folder / "theirs", folder / "outside"
    folder.chmod(0o711)
    theirs.mkdir()
    outside.mkdir(mode=0o700)
    for path in (theirs, theirs / "wal"):
        path.mkdir(exist_ok=True)
        os.chown(path, 65534, 65534)
        path.chmod(0o777)
    for name in ("data", "wal", "member", "member/snap"):
        (outside / name).mkdir(mode=0o700)
        (outside / name / "secret").touch(mode=0o600)
    in_the_way = tool(folder, site.etcd, f'"$real" "$@" && mkdir -p {theirs}/data/member')
    before = (outside.stat().st_mode, outside.stat().st_uid, contents(outside))
    attacker = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig", "KILL",
                                 sys.executable, "-c", SWAPPING, str(theirs), str(outside)], stdout=subprocess.PIPE)
    try:
        assert attacker.stdout.readline() == b"ready\n"
        for _ in range(6):
            shutil.rmtree(theirs / "data", ignore_errors=True)
            done = site.ctl("restore", "-d", theirs / "data", "--wal-dir", theirs / "wal", "-e", in_the_way, "-q")
            assert done.status == 1, done
            assert (outside.stat().st_mode, outside.stat().st_uid, contents(outside)) == before, done
    finally:
        attacker.kill()
        attacker.wait()


@needs_root
def test_a_log_that_was_given_away_stays(backed_up, folder):
    """When the data directory cannot follow, root does not go back into what is another's; it says where it is."""
    site, theirs = backed_up(), folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    in_the_way = tool(folder, site.etcd, f'"$real" "$@" && mkdir -p {theirs}/data/member')
    done = site.ctl("restore", "-d", theirs / "data", "--wal-dir", theirs / "wal", "-e", in_the_way, "-q")
    fails(done, 1, "Directory not empty", f"what is in {theirs}/wal belongs to nobody:nogroup, ", "and stays: remove it")
    assert os.listdir(theirs / "data" / "member") == [] and list((theirs / "wal").glob("*.wal"))
    assert hidden(folder) == []


def test_two_into_one(backed_up, folder):
    """By two daemons at once: the second to come finds it filled, and does not touch it."""
    site, target = backed_up(start=False), folder / "data"
    slow = tool(folder, site.etcd, 'mark; while [ ! -e "$0.go" ]; do sleep 0.02; done; exec "$real" "$@"')
    command = Command(site, "restore", "-d", target, "-e", slow, "-q")
    marked(folder)
    works(site, target, "-e", site.tool)
    before = contents(target)
    (folder / "tool.go").touch()
    fails(command.end(), 1, f"{target}: ", "not empty")
    assert contents(target) == before
    nothing_left(site, folder, target)
