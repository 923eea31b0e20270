"""The independent reader: on what the Go tool wrote, on what a small writer makes here, and on what was tampered with."""

import hashlib
import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as aead_encrypt

import reader
from reader import CHUNK, OVERHEAD, FormatError

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
TIME = "2024-12-06T21:22:25Z"
MASTER = bytes(range(32))
DATA_KEY = bytes(range(100, 132))
SEALED = CHUNK + OVERHEAD


def vectors():
    """Rows of the table in the README of the vectors: name, bytes of data, whether a trailer follows, SHA-256."""
    for line in (VECTORS / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("backup-"):
            yield cells[0], int(cells[1]), cells[2] == "yes", cells[5]


def read(dump, wrapped, timestamp=TIME, master_key=MASTER, **options):
    out = io.BytesIO()
    reader.read_backup(master_key, timestamp, io.BytesIO(dump), len(dump), wrapped, out.write, **options)
    return out.getvalue()


def snapshot(size):
    """Something that ends like a snapshot: `size` bytes in all."""
    data = hashlib.shake_256(b"snapshot").digest(size - 32)
    return data + hashlib.sha256(data).digest()


def seal(plain, base=reader.BASE_MAGIC + b"12345678", key=DATA_KEY, mark_end=True):
    """A .dump in our format; with another base and no mark, one in the Go tool's."""
    pieces = [plain[at:at + CHUNK] for at in range(0, len(plain), CHUNK)]
    out = b""
    for index, piece in enumerate(pieces):
        last = mark_end and index == len(pieces) - 1
        nonce = base + (index | (1 << 63 if last else 0)).to_bytes(8, "big")
        out += nonce + aead_encrypt(piece, None, nonce, key)
    return out


def wrap(timestamp=TIME, master_key=MASTER, random_part=b"abcdefgh", data_key=DATA_KEY):
    nonce = reader.KEY_MAGIC + random_part + reader.binding(master_key, random_part, timestamp)
    return nonce + aead_encrypt(data_key, None, nonce, master_key)


def go_wrap(nonce=bytes.fromhex("18ea743b56f1a170") + bytes(16)):
    return nonce + aead_encrypt(DATA_KEY, None, nonce, MASTER)


GO_BASE = bytes.fromhex("18ea743b56f1a170") + bytes(8)


@pytest.fixture(scope="module")
def sealed():
    """Three whole chunks and a piece."""
    return seal(snapshot(3 * CHUNK + 1000))


@pytest.mark.parametrize("name,data,trailer,digest", vectors(), ids=lambda v: str(v)[-21:])
def test_go_vectors(name, data, trailer, digest):
    master_key = reader.parse_master_key((VECTORS / "master.key").read_bytes())
    dump, wrapped = (VECTORS / f"{name}.dump").read_bytes(), (VECTORS / f"{name}.key").read_bytes()
    timestamp = name[len("backup-"):]
    plain = read(dump, wrapped, timestamp, master_key, trailer=trailer)
    assert hashlib.sha256(plain).hexdigest() == digest
    counted = b"".join(hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(-(-data // 32)))[:data]
    assert plain == counted + (hashlib.sha256(counted).digest() if trailer else b"")
    if not trailer:
        with pytest.raises(FormatError, match="does not end in the SHA-256"):
            read(dump, wrapped, timestamp, master_key)


def test_six_vectors():
    assert len(list(vectors())) == 6 == len(list(VECTORS.glob("*.dump")))


def test_go_truncated_at_border():
    """The Go tool's format has no mark at the end: only the trailer shows that a chunk is missing."""
    dump = seal(snapshot(3 * CHUNK), GO_BASE, mark_end=False)
    assert read(dump, go_wrap()) == snapshot(3 * CHUNK)
    assert len(read(dump[:2 * SEALED], go_wrap(), trailer=False)) == 2 * CHUNK
    with pytest.raises(FormatError, match="does not end in the SHA-256"):
        read(dump[:2 * SEALED], go_wrap())


@pytest.mark.parametrize("size", [33, 544, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 31, 2 * CHUNK, 3 * CHUNK + 1000])
def test_ours(size):
    plain = snapshot(size)
    assert read(seal(plain), wrap()) == plain


def test_plain():
    plain = snapshot(CHUNK + 5)
    assert read(plain, None) == plain
    with pytest.raises(FormatError, match="does not end in the SHA-256"):
        read(plain[:-1], None)
    with pytest.raises(FormatError, match="does not end in the SHA-256"):
        read(b"", None)


def test_kdf_known_answer():
    """crypto_kdf_derive_from_key of libsodium 1.0.18 itself, by its C interface."""
    import ctypes
    sodium = ctypes.CDLL("libsodium.so.23")
    out = ctypes.create_string_buffer(32)
    for number in (0, 1, 1 << 40):
        assert sodium.crypto_kdf_derive_from_key(out, ctypes.c_size_t(32), ctypes.c_uint64(number), b"etcdbkey", MASTER) == 0
        assert out.raw == reader.kdf_derive(MASTER, number, b"etcdbkey")
    bound = ctypes.create_string_buffer(16)
    message = b"abcdefgh" + TIME.encode()
    key = reader.kdf_derive(MASTER, 1, b"etcdbkey")
    assert sodium.crypto_generichash(bound, ctypes.c_size_t(16), message, ctypes.c_ulonglong(len(message)), key,
                                     ctypes.c_size_t(32)) == 0
    assert bound.raw[:12] == reader.binding(MASTER, b"abcdefgh", TIME)


def chunk(dump, number):
    return dump[number * SEALED:(number + 1) * SEALED]


TAMPERINGS = {
    "swapped": (lambda d: chunk(d, 1) + chunk(d, 0) + d[2 * SEALED:], r"chunk 0 at byte 0: carries the number 1"),
    "swapped later": (lambda d: chunk(d, 0) + chunk(d, 2) + chunk(d, 1) + chunk(d, 3),
                      rf"chunk 1 at byte {SEALED}: carries the number 2"),
    "repeated": (lambda d: chunk(d, 0) + d, rf"chunk 1 at byte {SEALED}: carries the number 0"),
    "dropped": (lambda d: d[:SEALED] + d[2 * SEALED:], rf"chunk 1 at byte {SEALED}: carries the number 2"),
    "first dropped": (lambda d: d[SEALED:], r"chunk 0 at byte 0: carries the number 1"),
    "cut at the border": (lambda d: d[:3 * SEALED], rf"chunk 2 at byte {2 * SEALED}: the end is missing"),
    "cut to one chunk": (lambda d: d[:SEALED], r"chunk 0 at byte 0: the end is missing"),
    "cut inside": (lambda d: d[:-1], rf"chunk 3 at byte {3 * SEALED}: does not authenticate"),
    "cut to a stump": (lambda d: d[:3 * SEALED + 40], r"chunk 3 .*40 bytes are too few"),
    "cut to nothing": (lambda d: b"", "empty"),
    "longer": (lambda d: d + b"x", rf"chunk 3 at byte {3 * SEALED}: does not authenticate"),
    "more after the end": (lambda d: seal(snapshot(CHUNK)) + chunk(d, 0), "chunk 0 .*marked as the end"),
    "another backup's": (lambda d: chunk(d, 0) + seal(snapshot(3 * CHUNK + 1000), reader.BASE_MAGIC + b"87654321")[SEALED:],
                         "chunk 1 .*from another backup"),
    "another key's": (lambda d: chunk(d, 0) + seal(snapshot(3 * CHUNK + 1000), key=MASTER)[SEALED:],
                      "chunk 1 .*does not authenticate"),
    "newer version": (lambda d: seal(snapshot(100), b"\xebETCDBK\x04" + b"12345678"), "newer version"),
    "Go's base": (lambda d: GO_BASE + d[16:], "chunk 0 .*does not authenticate"),
    "Go's base, our end": (lambda d: seal(snapshot(2 * CHUNK), GO_BASE), "chunk 1 .*carries the number 9223372036854775809"),
    "no end mark": (lambda d: seal(snapshot(2 * CHUNK), mark_end=False), "chunk 1 .*the end is missing"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampered(sealed, name):
    change, message = TAMPERINGS[name]
    with pytest.raises(FormatError, match=message):
        read(change(sealed), wrap())


@pytest.mark.parametrize("offset", [0, 7, 8, 15, 16, 23, 24, 1000, SEALED - 17, SEALED - 1, SEALED, 3 * SEALED + 16, -1])
@pytest.mark.parametrize("bit", [0, 7])
def test_flipped_bit(sealed, offset, bit):
    damaged = bytearray(sealed)
    damaged[offset] ^= 1 << bit
    with pytest.raises(FormatError):
        read(bytes(damaged), wrap())


def test_wrong_trailer():
    plain = snapshot(CHUNK + 50)
    dump = seal(plain[:-1] + bytes([plain[-1] ^ 1]))
    assert len(read(dump, wrap(), trailer=False)) == len(plain)
    with pytest.raises(FormatError, match="does not end in the SHA-256"):
        read(dump, wrap())
    with pytest.raises(FormatError, match="does not end in the SHA-256"):
        read(seal(b"short"), wrap())


# What is compressed.


def compress(plain, frame=CHUNK, options=(), checksums=False):
    """A stream in zstd's seekable format, made of frames of zstd(1)."""
    stream, entries = b"", b""
    for at in range(0, len(plain), frame):
        piece = plain[at:at + frame]
        made = zstd(piece, "-c", *options)
        stream += made
        entries += struct.pack("<II", len(made), len(piece)) + (b"1234" if checksums else b"")
    count = -(-len(plain) // frame)
    return (stream + bytes.fromhex("5e2a4d18") + struct.pack("<I", len(entries) + 9) + entries +
            struct.pack("<IB", count, 0x80 if checksums else 0) + bytes.fromhex("b1ea928f"))


def zstd(data, *arguments):
    return subprocess.run(["zstd", "-q", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


COMPRESSED_BASE = reader.COMPRESSED_MAGIC + b"12345678"


@pytest.mark.parametrize("size", [33, CHUNK, 3 * CHUNK + 1000])
@pytest.mark.parametrize("options", [{}, {"frame": 300000, "checksums": True}, {"options": ["-19", "--no-check"]}])
@pytest.mark.parametrize("encrypted", [True, False])
def test_compressed(size, options, encrypted):
    plain = snapshot(size // 2 + 32) * 2
    plain += hashlib.sha256(plain).digest()
    stream = compress(plain, **options)
    assert read(seal(stream, COMPRESSED_BASE) if encrypted else stream, wrap() if encrypted else None) == plain


STREAM_TAMPERINGS = {
    "no table": (lambda s: s[:-9], "compressed: .*premature end|no seek table"),
    "cut": (lambda s: s[:-1], "compressed: .*premature end|no seek table"),
    "a table of a newer kind": (lambda s: s[:-5] + b"\x04" + s[-4:], "kind that is not known"),
    "another number of frames": (lambda s: s[:-9] + b"\x02" + s[-8:], "does not begin where its end says"),
    "a frame longer": (lambda s: s[:-17] + bytes([s[-17] ^ 1]) + s[-16:], "the seek table's frames have"),
    "more comes out": (lambda s: s[:-13] + bytes([s[-13] ^ 1]) + s[-12:], "the seek table says .* bytes, and .* came"),
    "damaged": (lambda s: s[:5000] + bytes([s[5000] ^ 1]) + s[5001:], "compressed: "),
    "a wide window": (lambda s: zstd(bytes(20 << 20), "-c", "--ultra", "-22", "--long=27") + s, "compressed: "),
}


@pytest.mark.parametrize("name", STREAM_TAMPERINGS)
@pytest.mark.parametrize("encrypted", [True, False])
def test_compressed_and_tampered(name, encrypted):
    change, message = STREAM_TAMPERINGS[name]
    stream = change(compress(snapshot(CHUNK // 2)))
    with pytest.raises(FormatError, match=message):
        read(seal(stream, COMPRESSED_BASE) if encrypted else stream, wrap() if encrypted else None)


def test_compressed_under_the_other_magic():
    """The tag vouches for whether it is."""
    stream = compress(snapshot(CHUNK // 2))
    with pytest.raises(FormatError, match="SHA-256"):
        read(seal(stream), wrap())
    with pytest.raises(FormatError, match="does not authenticate"):
        read(reader.COMPRESSED_MAGIC + seal(stream)[8:], wrap())


def test_renamed(sealed):
    """An old backup under a new name is refused, unless the reader is told that it was renamed."""
    with pytest.raises(FormatError, match="another time than 2024-12-07T21:22:25Z"):
        read(sealed, wrap(), "2024-12-07T21:22:25Z")
    assert read(sealed, wrap(), "2024-12-07T21:22:25Z", renamed=True) == read(sealed, wrap())
    # The same instant, spelled with an offset, is the same name.
    assert read(sealed, wrap(), "2024-12-06T23:22:25+02:00") == read(sealed, wrap())
    # The Go tool's keys are bound to nothing.
    assert read(sealed, go_wrap(), "2024-12-07T21:22:25Z") == read(sealed, wrap())


@pytest.mark.parametrize("offset", range(72))
def test_flipped_bit_in_key(offset):
    damaged = bytearray(wrap())
    damaged[offset] ^= 1
    with pytest.raises(FormatError):
        reader.unwrap(MASTER, bytes(damaged), TIME)


def test_bad_keys():
    for size in (0, 71, 73):
        with pytest.raises(FormatError, match=f"{size} bytes instead of 72"):
            reader.unwrap(MASTER, wrap()[:size].ljust(size, b"x"), TIME)
    with pytest.raises(FormatError, match="another master key"):
        reader.unwrap(bytes(32), wrap(), TIME)
    with pytest.raises(FormatError, match="newer version"):
        reader.unwrap(MASTER, b"\xebK3" + wrap()[3:], TIME)


def test_master_key_files():
    digits = MASTER.hex().encode()
    for text in (digits, digits + b"\n", b" \t" + digits.upper() + b"\r\n"):
        assert reader.parse_master_key(text) == MASTER
    for text in (b"", digits[:-1], digits + b"0", digits[:32] + b" " + digits[32:], digits[:-1] + b"g", b"0x" + digits[2:]):
        with pytest.raises(FormatError, match="64 hexadecimal digits") as caught:
            reader.parse_master_key(text)
        assert digits[:8].decode() not in str(caught.value)


def test_timestamps():
    assert reader.canonical_timestamp("2024-12-06T19:22:25-05:00") == "2024-12-07T00:22:25Z"
    for text in ("2024-12-06", "2024-12-06T21:22:25", "2024-12-06 21:22:25Z", "2024-12-06T21:22:25.5Z", ""):
        with pytest.raises(FormatError, match=re.escape(repr(text))):
            reader.canonical_timestamp(text)


def test_command(folder, sealed):
    (folder / "d").write_bytes(sealed)
    (folder / "k").write_bytes(wrap())
    (folder / "m").write_text(MASTER.hex() + "\n")
    command = [sys.executable, reader.__file__, "--key", folder / "m", "--timestamp", TIME, folder / "d", folder / "k"]
    done = subprocess.run(command + ["-o", folder / "out"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (folder / "out").read_bytes() == snapshot(3 * CHUNK + 1000)
    assert subprocess.run(command, capture_output=True, check=True).stdout == snapshot(3 * CHUNK + 1000)
    (folder / "d").write_bytes(sealed[:3 * SEALED])
    done = subprocess.run(command + ["-o", folder / "out"], capture_output=True, check=False)
    assert done.returncode == 1 and b"the end is missing" in done.stderr
    assert not os.path.exists(folder / "out")
