#!/usr/bin/python3
"""reads the backups that etcd-backupd and the Go tool etcd-backup store in a bucket

A reader of its own: written from the description of the format and from libsodium's documentation, with none of
etcd-backupd's code; what is compressed it gives to zstd(1). It shows that a backup can be read without the program that
wrote it. It is strict: whatever does not follow the format is refused, with the name of the rule that it breaks.

usage: reader.py --key MASTER_KEY_FILE --timestamp TIMESTAMP DUMP [KEY] [-o FILE] [--no-trailer] [--renamed]
"""

import argparse
import datetime
import hashlib
import os
import re
import struct
import subprocess
import sys
import threading

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_decrypt
from nacl.exceptions import CryptoError

CHUNK = 1 << 20
NONCE, TAG = 24, 16
OVERHEAD = NONCE + TAG
KEY_SIZE = 32
WRAPPED_SIZE = NONCE + KEY_SIZE + TAG
SHA256_SIZE = 32
MARK = 0xEB  # no nonce of the Go tool begins with it: theirs begin with a clock
BASE_MAGIC = bytes([MARK]) + b"ETCDBK\x02"
COMPRESSED_MAGIC = bytes([MARK]) + b"ETCDBK\x03"
KEY_MAGIC = bytes([MARK]) + b"K2\x00"
LAST = 1 << 63
ZSTD_MAGIC = bytes.fromhex("28b52ffd")
SEEK_TABLE_MAGIC = bytes.fromhex("5e2a4d18")
SEEK_TABLE_END = bytes.fromhex("b1ea928f")
SEEK_TABLE_MAX = (1 << 20) * 12 + 17  # bytes of the longest one


class FormatError(Exception):
    """What is wrong, and where."""


def parse_master_key(text):
    """The 32 bytes of a master key file's content (bytes)."""
    digits = text.strip(b" \t\r\n\v\f")
    if not re.fullmatch(rb"[0-9A-Fa-f]{64}", digits):
        raise FormatError(f"master key: not 64 hexadecimal digits ({len(digits)} characters)")
    return bytes.fromhex(digits.decode())


def canonical_timestamp(text):
    """An RFC 3339 time to the second, in UTC or with a numeric offset, as YYYY-MM-DDTHH:MM:SSZ."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", text):
        raise FormatError(f"timestamp {text!r}: not RFC 3339 to the second")
    instant = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def kdf_derive(key, subkey_id, context, size=32):
    """libsodium's crypto_kdf_derive_from_key: BLAKE2b with the id as salt and the context as personalization."""
    return hashlib.blake2b(b"", digest_size=size, key=key, salt=subkey_id.to_bytes(8, "little") + bytes(8),
                           person=context + bytes(8)).digest()


def binding(master_key, random_part, timestamp):
    """m: what ties a wrapped key to the instant of its backup."""
    bind_key = kdf_derive(master_key, 1, b"etcdbkey")
    return hashlib.blake2b(random_part + timestamp.encode(), digest_size=16, key=bind_key).digest()[:12]


def unwrap(master_key, wrapped, timestamp, renamed=False):
    """The data key in a .key object. timestamp: of the backup's name. renamed: do not check that it belongs to it."""
    if len(wrapped) != WRAPPED_SIZE:
        raise FormatError(f"key: {len(wrapped)} bytes instead of {WRAPPED_SIZE}")
    nonce = wrapped[:NONCE]
    ours = nonce.startswith(KEY_MAGIC)
    if nonce[0] == MARK and not ours:
        raise FormatError("key: written by a newer version")
    try:
        data_key = aead_decrypt(wrapped[NONCE:], None, nonce, master_key)
    except CryptoError:
        raise FormatError("key: does not authenticate: another master key, or damaged") from None
    if ours and not renamed and binding(master_key, nonce[4:12], canonical_timestamp(timestamp)) != nonce[12:]:
        raise FormatError(f"key: belongs to a backup of another time than {timestamp}")
    return data_key


class Unsealed:
    """The chunks of a .dump object of known size, opened and checked one after the other.

    `has_end_mark` says, once the first chunk was read, whether the object proves its own end.
    """

    def __init__(self, data_key, stream, size):
        self.data_key, self.stream, self.size = data_key, stream, size
        self.base = None
        self.has_end_mark = False
        self.is_compressed = False  # as the first chunk says

    def __iter__(self):
        if self.size == 0:
            raise FormatError("dump: empty")
        offset = index = 0
        while offset < self.size:
            length = min(CHUNK + OVERHEAD, self.size - offset)
            sealed = read_exactly(self.stream, length)
            last = offset + length == self.size
            yield self._open(sealed, index, f"dump: chunk {index} at byte {offset}", last)
            offset += length
            index += 1
        if self.stream.read(1):
            raise FormatError("dump: longer than it was said to be")

    def _open(self, sealed, index, where, last):
        if len(sealed) <= OVERHEAD:
            raise FormatError(f"{where}: {len(sealed)} bytes are too few for a chunk")
        nonce = sealed[:NONCE]
        if index == 0:
            self.base = nonce[:16]
            self.is_compressed = self.base.startswith(COMPRESSED_MAGIC)
            self.has_end_mark = self.is_compressed or self.base.startswith(BASE_MAGIC)
            if self.base[0] == MARK and not self.has_end_mark:
                raise FormatError(f"{where}: written by a newer version")
        try:
            plain = aead_decrypt(sealed[NONCE:], None, nonce, self.data_key)
        except CryptoError:
            raise FormatError(f"{where}: does not authenticate") from None
        if nonce[:16] != self.base:
            raise FormatError(f"{where}: from another backup (its base differs)")
        counter = int.from_bytes(nonce[16:], "big")
        if not self.has_end_mark:
            if counter != index:
                raise FormatError(f"{where}: carries the number {counter}")
        elif counter & ~LAST != index:
            raise FormatError(f"{where}: carries the number {counter & ~LAST}")
        elif bool(counter & LAST) != last:
            raise FormatError(f"{where}: " + ("the end is missing" if last else "marked as the end, and yet more follows"))
        return plain


def read_exactly(stream, length):
    data = b""
    while len(data) < length:
        more = stream.read(length - len(data))
        if not more:
            raise FormatError(f"cut off: {len(data)} of {length} bytes")
        data += more
    return data


def parse_seek_table(end):
    """Bytes of all frames, and of what comes out of them, and of the table itself, of a stream that ends so."""
    if len(end) < 17 or end[-4:] != SEEK_TABLE_END:
        raise FormatError("compressed: no seek table at the end")
    count, descriptor = struct.unpack("<IB", end[-9:-4])
    if descriptor & 0x7C:
        raise FormatError("compressed: a seek table of a kind that is not known")
    entry = 12 if descriptor & 0x80 else 8
    size = 8 + count * entry + 9
    table = end[-size:]
    if len(table) < size or table[:8] != SEEK_TABLE_MAGIC + struct.pack("<I", size - 8):
        raise FormatError("compressed: the seek table does not begin where its end says")
    sizes = [struct.unpack_from("<II", table, 8 + n * entry) for n in range(count)]
    return sum(frame for frame, _ in sizes), sum(plain for _, plain in sizes), size


class Decompressor:
    """Takes a compressed stream in pieces and hands what zstd(1) makes of it to write(); finish() when that was all."""

    def __init__(self, write):
        self.write, self.end, self.size, self.came, self.problem = write, b"", 0, 0, None
        self.zstd = subprocess.Popen(["zstd", "-d", "-c", "-q", "--memory=8MiB"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        try:
            while piece := self.zstd.stdout.read(CHUNK):
                self.came += len(piece)
                self.write(piece)
        except Exception as problem:  # such as a full disk: told by finish()
            self.problem = problem
            self.zstd.kill()

    def update(self, piece):
        self.size += len(piece)
        self.end = (self.end + piece)[-SEEK_TABLE_MAX:]
        try:
            self.zstd.stdin.write(piece)
        except BrokenPipeError:
            pass  # finish() says why

    def stop(self):
        self.zstd.kill()
        self.zstd.wait()
        self.thread.join()

    def finish(self):
        try:
            self.zstd.stdin.close()
        except BrokenPipeError:
            pass
        self.thread.join()
        if self.problem:
            self.stop()
            raise self.problem
        said = self.zstd.stderr.read().decode(errors="replace").strip()
        if self.zstd.wait() != 0:
            raise FormatError(f"compressed: {said}")
        frames, plain, table = parse_seek_table(self.end)
        if frames + table != self.size:
            raise FormatError(f"compressed: the seek table's frames have {frames} bytes, and there are "
                              f"{self.size - table}")
        if plain != self.came:
            raise FormatError(f"compressed: the seek table says {plain} bytes, and {self.came} came")


class Trailer:
    """Takes a snapshot in pieces; check() says whether it ends in the SHA-256 of all before."""

    def __init__(self):
        self.sha, self.tail = hashlib.sha256(), b""

    def update(self, piece):
        held = self.tail + piece
        self.sha.update(held[:-SHA256_SIZE])
        self.tail = held[-SHA256_SIZE:]

    def check(self):
        if len(self.tail) < SHA256_SIZE or self.sha.digest() != self.tail:
            raise FormatError("snapshot: does not end in the SHA-256 of what precedes it")


def read_backup(master_key, timestamp, dump, size, wrapped, write, trailer=True, renamed=False):
    """Reads one backup from the stream `dump` of `size` bytes, and hands the plaintext to write() piece by piece.

    wrapped: the .key object, or None for a backup that is not encrypted. An exception tells that what was written so
    far is worth nothing. Returns whether the object proved its end by itself.
    """
    if wrapped is None:
        pieces = (read_exactly(dump, min(CHUNK, size - offset)) for offset in range(0, size, CHUNK))
    else:
        pieces = Unsealed(unwrap(master_key, wrapped, timestamp, renamed), dump, size)
    digest = Trailer()

    def take(piece):
        digest.update(piece)
        write(piece)

    decompressor = None
    try:
        for index, piece in enumerate(pieces):
            if index == 0 and (pieces.is_compressed if wrapped else piece.startswith(ZSTD_MAGIC)):
                decompressor = Decompressor(take)
            (decompressor.update if decompressor else take)(piece)
        if decompressor:
            decompressor.finish()
    except BaseException:
        if decompressor:
            decompressor.stop()
        raise
    if trailer:
        digest.check()
    return getattr(pieces, "has_end_mark", False)


def main():
    parser = argparse.ArgumentParser(prog="reader.py", description=__doc__.splitlines()[0])
    parser.add_argument("--key", required=True, help="file with the master key")
    parser.add_argument("--timestamp", required=True, help="of the backup's name")
    parser.add_argument("-o", "--output", default="/dev/stdout", help="where the snapshot goes (standard output)")
    parser.add_argument("--no-trailer", action="store_true", help="do not insist on etcd's SHA-256 at the end")
    parser.add_argument("--renamed", action="store_true", help="allow a backup under another name than its own")
    parser.add_argument("dump")
    parser.add_argument("wrapped", nargs="?", metavar="key", help="left out: the backup is not encrypted")
    arguments = parser.parse_args()
    try:
        with open(arguments.key, "rb") as file:
            master_key = parse_master_key(file.read())
        wrapped = None
        if arguments.wrapped:
            with open(arguments.wrapped, "rb") as file:
                wrapped = file.read()
        with open(arguments.dump, "rb") as dump, open(arguments.output, "wb") as out:
            read_backup(master_key, arguments.timestamp, dump, os.fstat(dump.fileno()).st_size, wrapped, out.write,
                        trailer=not arguments.no_trailer, renamed=arguments.renamed)
    except (FormatError, OSError) as problem:
        if arguments.output != "/dev/stdout" and os.path.isfile(arguments.output):
            os.unlink(arguments.output)
        print(f"reader.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
