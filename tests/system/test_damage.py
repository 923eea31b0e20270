"""Of a real snapshot each thing that can be wrong, one after the other: while it is made and in what is stored it is told with
its page and the reason; and what nothing refers to is no damage."""

import gzip
import hashlib
import json
import os
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

import servers
from etcd_peer import PAGE, Etcd, fnv, pieces, stream
from faults import Scripted
from test_reader import VECTORS
from test_verify import lines

HEADER = ELEMENT = 16
BEYOND = 9  # pages behind the last one


class Database:
    """A file of bbolt in pieces that a test can change; numbers of pages."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.pages = len(data) // PAGE
        self.root = self.get(0, 32, "<Q")
        self.keys = self.get(*self.bucket(b"key"), "<Q")  # the tree of the bucket that holds all changes
        self.leaves = [self.get(self.keys, self.element(n) + 8, "<Q") for n in range(self.count(self.keys))]
        self.leaf = self.leaves[1]
        self.large = next((leaf for leaf in self.leaves if self.get(leaf, 12, "<I")), None)  # of several pages

    def get(self, page, at, form):
        return struct.unpack_from(form, self.data, page * PAGE + at)[0]

    def put(self, page, at, form, value):
        struct.pack_into(form, self.data, page * PAGE + at, value)

    def add(self, page, at, form, value):
        self.put(page, at, form, self.get(page, at, form) + value)

    def noise(self, page, at=0):
        self.data[page * PAGE + at:(page + 1) * PAGE] = os.urandom(PAGE - at)

    @staticmethod
    def element(n):
        return HEADER + ELEMENT * n

    def count(self, page):
        return self.get(page, 10, "<H")

    def key(self, page, n):
        """Where a key begins, and how long it is."""
        at, branch = self.element(n), self.get(page, 8, "<H") == 1
        return at + self.get(page, at if branch else at + 4, "<I"), self.get(page, at + (4 if branch else 8), "<I")

    def copy_key(self, page, n, key):
        at, size = self.key(page, n)
        assert len(key) == size
        self.data[page * PAGE + at:page * PAGE + at + size] = key

    def key_bytes(self, page, n):
        at, size = self.key(page, n)
        return bytes(self.data[page * PAGE + at:page * PAGE + at + size])

    def swap_keys(self, page, a, b):
        one, other = self.key_bytes(page, a), self.key_bytes(page, b)
        self.copy_key(page, a, other)
        self.copy_key(page, b, one)

    def end(self, page):
        """Where its contents end."""
        last = self.count(page) - 1
        at, size = self.key(page, last)
        return at + size + (0 if self.get(page, 8, "<H") == 1 else self.get(page, self.element(last) + 12, "<I"))

    def buckets(self):
        return {self.key_bytes(self.root, n): n for n in range(self.count(self.root))}

    def bucket(self, name):
        """Its value: the page, and where in it."""
        at, size = self.key(self.root, self.buckets()[name])
        return self.root, at + size

    def put_id(self, page, ids, number):
        """In a list of free pages, in place of the one that keeps them in order."""
        at = max(n for n, one in enumerate(ids) if one < number) if ids[0] < number else 0
        self.put(page, HEADER + 8 * at, "<Q", number)

    def metas(self, at=None, form=None, value=None, only=(0, 1)):
        """A field of both metas, or of one, which are signed anew."""
        for page in only:
            if at:
                self.put(page, at, form, value)
            self.put(page, 72, "<Q", fnv(self.data[page * PAGE + 16:page * PAGE + 72]))

    def used(self):
        """Each page that the trees reach."""
        found, waiting = {0, 1}, [self.root]
        while waiting:
            page = waiting.pop()
            found.update(range(page, page + 1 + self.get(page, 12, "<I")))
            for n in range(self.count(page)):
                if self.get(page, 8, "<H") == 1:
                    waiting.append(self.get(page, self.element(n) + 8, "<Q"))
                elif self.get(page, self.element(n), "<I") == 1:
                    tree = self.get(page, sum(self.key(page, n)), "<Q")
                    waiting += [tree] if tree else []
        return found

    def free(self):
        """One that they do not, without anything in it."""
        page = min(set(range(self.pages)) - self.used())
        self.data[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
        return page


# ---- what is wrong ----

OTHER, TYPE, EMPTY = "its header names another page", "it is neither a branch nor a leaf", "it says that it is empty, where it cannot be"
FLAGS, LAYOUT = "an element has the wrong flags", "an element does not begin where the one before it ends"
KEY_SIZE, VALUE_SIZE = "a key has no possible length", "a value has no possible length"
SPAN, ORDER = "it does not take the pages that its contents need", "its keys are not in order"
CHILD, BUCKET, INLINE = "an element refers to a page that cannot be below it", "the value of a bucket is none", "a bucket within it is broken"
NO_META, CHECKSUM, TWIN = "it is no meta of a bbolt file", "its checksum is wrong", "it is not the copy of page 0 that a snapshot has"
ROOT, SIZE, CUT = "it refers to pages that the file does not have", "it tells another number of pages than the file has", "the file ends within it"
TOO_FAR, TWICE = "it is beyond the end of the file, and something refers to it", "it is reached twice"
PARENT, BETWEEN = "its keys are not those that the pages below it begin with", "its first key is not behind the last one of the page before it"
TOO_MANY, LOST = "it has more elements than room", "it is neither in use nor in the list of free pages"


def of_metas(d):
    """name: (page, reason, what is changed)."""
    free = d.free()
    return {
        "the first meta's number": (0, OTHER, lambda: d.put(0, 0, "<Q", 1)),
        "its type": (0, NO_META, lambda: d.put(0, 8, "<H", 2)),
        "its magic": (0, NO_META, lambda: d.metas(16, "<I", 0xED0CDAEC, only=[0])),
        "its checksum": (0, CHECKSUM, lambda: d.add(0, 72, "<Q", 1)),
        "a field of it": (0, CHECKSUM, lambda: d.put(0, 32, "<Q", d.keys)),
        "its sequence": (1, TWIN, lambda: d.metas(40, "<Q", 1, only=[0])),
        "its transaction": (1, TWIN, lambda: d.metas(64, "<Q", d.get(0, 64, "<Q") + 1, only=[0])),
        "the second meta's number": (1, OTHER, lambda: d.put(1, 0, "<Q", 0)),
        "its magic, of the second": (1, NO_META, lambda: d.metas(16, "<I", 0, only=[1])),
        "its checksum, of the second": (1, CHECKSUM, lambda: d.put(1, 72, "<Q", 0)),
        "another root in the second": (1, TWIN, lambda: d.metas(32, "<Q", d.keys, only=[1])),
        "a root beyond the end": (0, ROOT, lambda: d.metas(32, "<Q", d.pages + BEYOND)),
        "a root that is a meta": (0, ROOT, lambda: d.metas(32, "<Q", 1)),
        "a root that is free": (free, OTHER, lambda: d.metas(32, "<Q", free)),
        "a root that is a bucket": (d.leaves[0], FLAGS, lambda: d.metas(32, "<Q", d.keys)),
        "a freelist beyond the end": (0, ROOT, lambda: d.metas(48, "<Q", d.pages)),
        "a freelist that is empty": (free, OTHER, lambda: d.metas(48, "<Q", free)),
        "a freelist that is a leaf": (d.leaf, "it is no list of free pages", lambda: d.metas(48, "<Q", d.leaf)),
        "more pages than there are": (0, SIZE, lambda: d.metas(56, "<Q", d.pages + 1)),
        "fewer": (0, None, lambda: d.metas(56, "<Q", d.pages - 1)),
        "a page is missing": (0, SIZE, lambda: d.data.__delitem__(slice(-PAGE, None))),
        "one is too many": (0, SIZE, lambda: d.data.extend(bytes(PAGE))),
        "half a page is missing": (d.pages - 1, CUT, lambda: d.data.__delitem__(slice(-PAGE // 2, None))),
    }


def of_branches(d):
    b, last, free = d.keys, d.count(d.keys) - 1, d.free()
    at = d.element

    def swap_children():
        for n, child in ((0, d.leaves[1]), (1, d.leaves[0])):
            d.put(b, at(n) + 8, "<Q", child)

    return {
        "a branch's number": (b, OTHER, lambda: d.add(b, 0, "<Q", 1)),
        "its type: none": (b, TYPE, lambda: d.put(b, 8, "<H", 0x10)),
        "its type: two": (b, TYPE, lambda: d.put(b, 8, "<H", 0x03)),
        "its type: a leaf": (b, None, lambda: d.put(b, 8, "<H", 0x02)),
        "its count: none": (b, EMPTY, lambda: d.put(b, 10, "<H", 0)),
        "its count: one less": (b, LAYOUT, lambda: d.add(b, 10, "<H", -1)),
        "its count: all": (b, TOO_MANY, lambda: d.put(b, 10, "<H", 0xFFFF)),
        "its overflow": (b, SPAN, lambda: d.put(b, 12, "<I", 1)),
        "its overflow: all": (b, SPAN, lambda: d.put(b, 12, "<I", 0xFFFFFFFF)),
        "an element's place": (b, LAYOUT, lambda: d.add(b, at(1), "<I", 1)),
        "its key's length: none": (b, KEY_SIZE, lambda: d.put(b, at(1) + 4, "<I", 0)),
        "its key's length: one more": (b, LAYOUT, lambda: d.add(b, at(1) + 4, "<I", 1)),
        "its key's length: all": (b, KEY_SIZE, lambda: d.put(b, at(1) + 4, "<I", 0xFFFFFFFF)),
        "its key": (b, PARENT, lambda: d.add(b, d.key(b, 0)[0] + 8, "<B", -1)),
        "the order of its keys": (b, ORDER, lambda: d.swap_keys(b, 0, 1)),
        "a child that is a meta": (b, CHILD, lambda: d.put(b, at(1) + 8, "<Q", 1)),
        "a child that it is itself": (b, CHILD, lambda: d.put(b, at(1) + 8, "<Q", b)),
        "a child above it": (d.root, TWICE, lambda: d.put(b, at(1) + 8, "<Q", d.root)),
        "a child beyond the end": (d.pages + BEYOND, TOO_FAR, lambda: d.put(b, at(1) + 8, "<Q", d.pages + BEYOND)),
        "a child far beyond": (2**64 - 1, TOO_FAR, lambda: d.put(b, at(last) + 8, "<Q", 2**64 - 1)),
        "a child that another has": (d.leaves[0], TWICE, lambda: d.put(b, at(1) + 8, "<Q", d.leaves[0])),
        "a child that is free": (free, OTHER, lambda: d.put(b, at(1) + 8, "<Q", free)),
        "a child within a value": (d.large + 1, OTHER, lambda: d.put(b, at(1) + 8, "<Q", d.large + 1)),
        "two children in each other's place": (d.leaves[0], BETWEEN, swap_children),
    }


def of_leaves(d):
    leaf, last = d.leaf, d.count(d.leaf) - 1
    at = d.element
    return {
        "a leaf's number": (leaf, OTHER, lambda: d.put(leaf, 0, "<Q", d.leaves[0])),
        "its type, of a leaf": (leaf, TYPE, lambda: d.put(leaf, 8, "<H", 0)),
        "its type: a branch": (leaf, None, lambda: d.put(leaf, 8, "<H", 0x01)),
        "its count, of a leaf: none": (leaf, EMPTY, lambda: d.put(leaf, 10, "<H", 0)),
        "its count: one more": (leaf, LAYOUT, lambda: d.add(leaf, 10, "<H", 1)),
        "its count, of a leaf: all": (leaf, TOO_MANY, lambda: d.put(leaf, 10, "<H", 0xFFFF)),
        "its overflow, of a leaf": (leaf, SPAN, lambda: d.put(leaf, 12, "<I", 1)),
        "the overflow of a large one: none": (d.large, SPAN, lambda: d.put(d.large, 12, "<I", 0)),
        "the overflow of a large one: one less": (d.large, SPAN, lambda: d.add(d.large, 12, "<I", -1)),
        "flags that there are not": (leaf, FLAGS, lambda: d.put(leaf, at(1), "<I", 2)),
        "flags of a bucket": (leaf, BUCKET, lambda: d.put(leaf, at(1), "<I", 1)),
        "an element's place, of a leaf": (leaf, LAYOUT, lambda: d.add(leaf, at(1) + 4, "<I", ELEMENT)),
        "a key's length: none": (leaf, KEY_SIZE, lambda: d.put(leaf, at(1) + 8, "<I", 0)),
        "a key's length: one more": (leaf, LAYOUT, lambda: d.add(leaf, at(1) + 8, "<I", 1)),
        "a value's length: one less": (leaf, LAYOUT, lambda: d.add(leaf, at(1) + 12, "<I", -1)),
        "a value's length: all": (leaf, VALUE_SIZE, lambda: d.put(leaf, at(1) + 12, "<I", 0xFFFFFFFF)),
        "the last value's length: a page more": (leaf, SPAN, lambda: d.add(leaf, at(last) + 12, "<I", PAGE)),
        "the order of keys": (leaf, ORDER, lambda: d.swap_keys(leaf, 1, 2)),
        "a key twice": (leaf, ORDER, lambda: d.copy_key(leaf, 2, d.key_bytes(leaf, 1))),
        "the first key": (d.keys, PARENT, lambda: d.add(d.leaves[0], d.key(d.leaves[0], 0)[0] + 8, "<B", -1)),
        "the last key": (d.leaves[2], BETWEEN, lambda: d.copy_key(leaf, last, d.key_bytes(d.leaves[2], 1))),
        "a page of noise": (leaf, OTHER, lambda: d.noise(leaf)),
        "a page of zeros": (leaf, OTHER, lambda: d.data.__setitem__(slice(leaf * PAGE, (leaf + 1) * PAGE), bytes(PAGE))),
    }


def of_buckets(d):
    keys, meta, free, of_key = d.bucket(b"key"), d.bucket(b"meta"), d.free(), d.element(d.buckets()[b"key"])
    assert d.get(*meta, "<Q") == 0  # it lies within
    inside = meta[1] + 16
    return {
        "a bucket that is none": (d.root, FLAGS, lambda: d.put(d.root, of_key, "<I", 0)),
        "a bucket's root that is a meta": (d.root, BUCKET, lambda: d.put(*keys, "<Q", 1)),
        "a bucket's root that is within": (d.root, INLINE, lambda: d.put(*keys, "<Q", 0)),
        "a bucket's root beyond the end": (d.pages, TOO_FAR, lambda: d.put(*keys, "<Q", d.pages)),
        "a bucket's root that is free": (free, OTHER, lambda: d.put(*keys, "<Q", free)),
        "a bucket's root that is the root": (d.root, TWICE, lambda: d.put(*keys, "<Q", d.root)),
        "a bucket within that has a page": (d.root, BUCKET, lambda: d.put(*meta, "<Q", d.leaf)),
        "the type of a bucket within": (d.root, INLINE, lambda: d.put(d.root, inside + 8, "<H", 0x01)),
        "the count of a bucket within": (d.root, INLINE, lambda: d.add(d.root, inside + 10, "<H", 1)),
        "an element's place of a bucket within": (d.root, INLINE, lambda: d.add(d.root, inside + 16 + 4, "<I", 1)),
        "the name of a bucket": (d.root, ORDER, lambda: d.copy_key(d.root, d.buckets()[b"key"], b"AAA")),
    }


def of_freelists(d):
    """Where the list of free pages is stored, which etcd on Linux never does."""
    page, number = d.get(0, 48, "<Q"), "it is no list of free pages"
    first, count = d.get(page, HEADER, "<Q"), d.count(page)
    ids = [d.get(page, HEADER + 8 * n, "<Q") for n in range(count)]
    assert ids == sorted(set(range(d.pages)) - d.used() - {page, page + 1}) and count > PAGE // 8
    return {
        "a freelist's number": (page, OTHER, lambda: d.add(page, 0, "<Q", 1)),
        "a freelist's type": (page, number, lambda: d.put(page, 8, "<H", 0x02)),
        "a freelist's count: none": (first, LOST, lambda: d.put(page, 10, "<H", 0)),
        "a freelist's count: one less": (ids[-1], LOST, lambda: d.add(page, 10, "<H", -1)),
        "a freelist's count: one more": (page, number, lambda: d.add(page, 10, "<H", 1)),
        "a freelist's count: behind": (first, LOST, lambda: d.put(page, 10, "<H", 0xFFFF)),
        "a freelist's overflow: none": (page, number, lambda: d.put(page, 12, "<I", 0)),
        "a freelist's overflow: all": (page, number, lambda: d.put(page, 12, "<I", 0xFFFFFFFF)),
        "a free page that is a meta": (page, number, lambda: d.put(page, HEADER, "<Q", 1)),
        "a free page beyond the end": (page, number, lambda: d.put(page, HEADER + 8 * (count - 1), "<Q", d.pages)),
        "a free page twice": (page, number, lambda: d.put(page, HEADER + 8, "<Q", first)),
        "free pages out of order": (page, number, lambda: [d.put(page, HEADER + 8 * n, "<Q", ids[1 - n]) for n in (0, 1)]),
        "a free page that is in use": (d.root, "it is in use, and in the list of free pages", lambda: d.put_id(page, ids, d.root)),
        "a list of another place": (d.root, number, lambda: d.metas(48, "<Q", d.root)),
    }


def unreached(d):
    """Nothing refers to it."""
    free = d.free()

    def as_page(kind, count=0, overflow=0):
        d.noise(free)
        d.put(free, 0, "<Q", free)
        d.put(free, 8, "<H", kind)
        d.put(free, 10, "<H", count)
        d.put(free, 12, "<I", overflow)

    def old_leaf():
        d.data[free * PAGE:(free + 1) * PAGE] = d.data[d.leaf * PAGE:(d.leaf + 1) * PAGE]
        d.put(free, 0, "<Q", free)

    return {
        "noise in a free page": lambda: d.noise(free),
        "a free page that is a leaf of before": old_leaf,
        "a free page that says it is a branch": lambda: as_page(0x01, 0xFFFF),
        "a free page that says it takes all": lambda: as_page(0x02, 1, 0xFFFFFFFF),
        "noise behind a meta": lambda: d.noise(0, 80),
        "noise behind the other": lambda: d.noise(1, 80),
        "noise behind a leaf's contents": lambda: d.noise(d.leaf, d.end(d.leaf)),
        "noise behind a branch's": lambda: d.noise(d.keys, d.end(d.keys)),
    }


def unknown(d):
    """What nobody of us knows, and so is no damage. (reason, what is changed)"""
    return {
        "another version": ("page 0: its format is of another version", lambda: d.metas(20, "<I", 3)),
        "another page size": ("page 0: its page size is not between 4 and 64 KiB", lambda: d.metas(24, "<I", 2048)),
        "another byte order": ("page 0: it was written by a big-endian machine", lambda: d.metas(16, ">I", 0xED0CDAED)),
    }


class Snapshot:
    """A real one of some pages, and each way to change it."""

    def __init__(self, etcd, folder):
        etcd.fill(32 << 10, value_size=300)
        etcd.ctl("put", "large", input=b"v" * 20_000)
        etcd.fill(32 << 10, value_size=300, prefix="more")
        etcd.ctl("del", "more/", "--prefix")
        self.etcd, self.folder = etcd, folder
        self.data = etcd.snapshot(folder / "db").read_bytes()[:-32]
        self.told = self.tool(self.data)

    def tool(self, data):
        """What etcd's own program says of it after bbolt's own check."""
        path = self.folder / "asked"
        path.write_bytes(data + hashlib.sha256(data).digest())
        done = subprocess.run([self.etcd.binary("etcdutl"), "snapshot", "status", path, "-w", "json"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True)
        return json.loads(done.stdout)


def changed(data, kinds):
    """(name, what is expected, what came of it) of each kind."""
    for name in kinds(Database(data)):
        d = Database(data)
        change = kinds(d)[name]
        expected, change = (change[:-1], change[-1]) if isinstance(change, tuple) else ((), change)
        change()
        assert d.data != data, name
        yield name, expected, bytes(d.data)


def with_freelist(kind):
    """A real one whose list of free pages is stored (tests/vectors)."""
    return gzip.decompress((VECTORS / f"freelist-{kind}.db.gz").read_bytes())[:-32]


def damages_of(snapshot):
    for kinds in (of_metas, of_branches, of_leaves, of_buckets):
        yield from changed(snapshot.data, kinds)
    yield from changed(with_freelist("array"), of_freelists)


def sound_ones_of(snapshot):
    """Of which bbolt finds nothing either."""
    for name, _, data in changed(snapshot.data, unreached):
        yield name, data
    for kind in ("array", "map"):
        data = with_freelist(kind)
        yield f"a freelist by way of a {kind}", data
        d = Database(data)
        d.metas(48, "<Q", 2**64 - 1)
        yield f"and not stored any more, {kind}", bytes(d.data)


@pytest.fixture(scope="module")
def snapshot(scratch, ca):
    folder = scratch / "damage"
    folder.mkdir()
    with servers.Etcd(folder / "etcd", ca, version="3.5") as etcd:
        yield Snapshot(etcd, folder)


PARTS = 6  # daemons side by side: an attempt waits a second for the one before it


def one_after_the_other(site, peer, damages, others):
    """A daemon's backups. Two damages at a time: each attempt is of another one, and none is asked for a third time."""
    served = []

    def snapshot_of(call):
        stream(*pieces(served.pop(0)))(call)

    peer.handlers["/etcdserverpb.Maintenance/Snapshot"] = snapshot_of
    site.start()
    for pair in zip(damages[::2], damages[1::2] + damages[:1]):
        served[:] = [data for _, _, data in pair]
        done = site.ctl("backup", "--json", "-q")
        first, second = [(name, f"{peer.endpoint}: its database is damaged: page {page}: {why or ''}") for name, (page, why), _ in pair]
        failure = done.json["failure"]
        assert (done.status, failure["kind"], served) == (5, "integrity", []), (first, second, done)
        assert f"note: attempt 1 failed: {first[1]}" in done.err, (first, done)
        assert second[1] in failure["text"], (second, done)
        assert done.err.splitlines()[-1] == f"etcd-backupctl: {failure['text']}", done
    kept = site.bucket.dumps()
    assert len(kept) == 1  # the first pair's, as half a database
    for name, (structure, why), data in others:
        served[:] = [data]
        done = site.ctl("backup", "--json", "-q")
        assert (done.status, done.json["structure"], done.json["structure_why"]) == (0, structure, why), (name, done)
        assert site.plaintext(done.json["name"])[:-32] == data
        kept.append(done.json["name"])
    assert set(site.bucket.dumps()) == set(kept)
    return len(damages) + len(others)


def test_while_it_is_made(snapshot, new_bucket, new_site):
    """Each is refused, its page and the reason told, and nothing of it stays. What is no damage is stored by the same daemons."""
    damages = list(damages_of(snapshot))
    others = [(name, ("sound", ""), data) for name, data in sound_ones_of(snapshot)]
    others += [(name, ("not inspected", why), data) for name, (why,), data in changed(snapshot.data, unknown)]
    with ExitStack() as stack, ThreadPoolExecutor(PARTS) as threads:
        parts = []
        for n in range(PARTS):
            peer = stack.enter_context(Etcd())
            site = new_site(Scripted(peer), new_bucket(), encrypted=n % 2 == 0,
                            changes={"etcd_client": {"retries": 0, "compare_members": False}})
            parts.append(threads.submit(one_after_the_other, site, peer, damages[n::PARTS], others[n::PARTS]))
        assert sum(part.result() for part in parts) == len(damages) + len(others) >= 110


def test_what_is_stored(snapshot, bucket, new_site):
    """A look at all of them, without etcd's own programs, names the same; which say nothing of what is no damage either."""
    expected = {}

    def store(name, words, data):
        instant = f"2026-01-01T{len(expected) // 60:02}:{len(expected) % 60:02}:00Z"
        bucket.put(f"backup-{instant}.dump", data + hashlib.sha256(data).digest())
        expected[f"backup-{instant}.dump"] = name, words

    for name, (page, why), data in damages_of(snapshot):
        if len(data) % PAGE == 0:  # else by its size it is no snapshot, and so is not looked at as one
            store(name, f"the database in it is damaged: page {page}: {why or ''}", data)
    for name, data in sound_ones_of(snapshot):
        store(name, None, data)
        told = snapshot.tool(data)
        assert told == snapshot.told or "freelist" in name or "stored" in name, (name, told)
    for name, _, data in changed(snapshot.data, unknown):
        store(name, None, data)
    site = new_site(snapshot.etcd, bucket, encrypted=False).start()
    done = site.ctl("verify", "--all", "--json", "-q")
    *verdicts, _ = lines(done)
    assert done.status == 5 and {verdict["name"] for verdict in verdicts} == set(expected), done
    for verdict in verdicts:
        name, words = expected[verdict["name"]]
        assert verdict["good"] == (words is None) and not verdict["unknown"], (name, verdict)
        assert words is None or (verdict["kind"] == "integrity" and words in verdict["text"]), (name, words, verdict)
    entries = [json.loads(line) for line in site.ctl("list", "--json").out.splitlines()]
    assert {entry["name"] for entry in entries if entry["state"] == "damaged"} == {
        dump for dump, (_, words) in expected.items() if words}
