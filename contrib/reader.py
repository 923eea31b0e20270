#!/usr/bin/python3
"""reads the backups that etcd-backupd and the Go tool etcd-backup store in a bucket

A reader of its own: written from the description of the format and from libsodium's documentation, with none of
etcd-backupd's code; what is compressed it gives to zstd(1). It shows that a backup can be read without the program that
wrote it. It is strict: whatever does not follow the format is refused, with the name of the rule that it breaks.

usage: reader.py [--key MASTER_KEY_FILE] [--identity FILE] --timestamp TIMESTAMP DUMP [KEY] [-o FILE] [--no-trailer]
                 [--renamed] [--unvouched]
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import os
import re
import struct
import subprocess
import sys
import threading

from nacl.bindings import crypto_aead_chacha20poly1305_ietf_decrypt as age_decrypt
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_decrypt
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
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


AGE = b"age-encryption.org/v1\n"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_checksum(name, values):
    """The six values behind those (BIP 173)."""
    state = 1
    for value in [ord(c) >> 5 for c in name] + [0] + [ord(c) & 31 for c in name] + values + [0] * 6:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> bit & 1 else 0
    return [(state ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]


def bech32_decode(name, text):
    """The 32 bytes of age1... or AGE-SECRET-KEY-1..."""
    lower = text.lower()
    if not lower.startswith(name + "1") or len(text) != len(name) + 59 or text not in (lower, text.upper()):
        raise FormatError(f"not an {name}1... of age")
    values = [BECH32.find(c) for c in lower[len(name) + 1:]]
    bits = sum(value << 5 * (51 - i) for i, value in enumerate(values[:52]))
    if -1 in values or bech32_checksum(name, values[:-6]) != values[-6:] or bits & 15:
        raise FormatError(f"not an {name}1... of age: mistyped")
    return (bits >> 4).to_bytes(32, "big")


def parse_identities(text):
    """The secret keys in a file of age-keygen's."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [bech32_decode("age-secret-key-", line) for line in lines]


def hkdf(key, salt, info):
    """HKDF with SHA-256, one block."""
    return hmac.new(hmac.new(salt, key, "sha256").digest(), info + b"\x01", "sha256").digest()


def base64_decode(text):
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if base64.b64encode(data).rstrip(b"=") != text:
        raise FormatError("sealed key: Base64 that is not canonical")
    return data


def parse_age(sealed):
    """A file of age: [(its arguments, its body, as it stands)], the header as its MAC covers it, the MAC, the payload."""
    header = re.match(rb"age-encryption\.org/v1\n((?:-> [!-~]+(?: [!-~]+)*\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)+)"
                      rb"--- ([A-Za-z0-9+/]{43})\n", sealed)
    if not header:
        raise FormatError("sealed key: not a file of age")
    stanzas = []
    for whole in re.findall(rb"-> .*\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n", header[1]):
        first, _, body = whole[3:].partition(b"\n")
        stanzas.append((first.split(b" "), base64_decode(body.replace(b"\n", b"")), whole))
    return stanzas, sealed[:header.end(1)] + b"---", base64_decode(header[2]), sealed[header.end():]


def find_file_key(stanzas, identities):
    """The key that a stanza X25519 wraps for one of the identities."""
    for arguments, body, _ in stanzas:
        if arguments[0] != b"X25519":
            continue
        if len(arguments) != 2 or len(body) != 32:
            raise FormatError("sealed key: a stanza X25519 that cannot be one")
        share = base64_decode(arguments[1])
        for identity in identities:
            try:
                shared = crypto_scalarmult(identity, share)
            except Exception:
                raise FormatError("sealed key: a share of low order") from None
            key = hkdf(shared, share + crypto_scalarmult_base(identity), b"age-encryption.org/v1/X25519")
            try:
                return age_decrypt(body, None, bytes(12), key)
            except CryptoError:
                pass
    raise FormatError("sealed key: no identity opens it")


def is_vouched(master_key, stanzas, payload, timestamp):
    """Whether the holder of that master key has made it, for a backup of that time."""
    vouches = [(arguments, body) for arguments, body, _ in stanzas if arguments[0] == b"etcd-backupd-1"]
    others = b"".join(whole for arguments, _, whole in stanzas if arguments[0] != b"etcd-backupd-1")
    key = kdf_derive(master_key, 4, b"etcdbkey")
    right = hashlib.blake2b(timestamp.encode() + others + b"---" + payload, digest_size=32, key=key).digest()
    return vouches == [([b"etcd-backupd-1", timestamp.encode()], right)]


def unseal(identities, sealed, timestamp, master_key=None, renamed=False):
    """The data key in a .key object that is sealed. master_key: that has to vouch for it; None: nobody has to."""
    stanzas, header, mac, payload = parse_age(sealed)
    time = canonical_timestamp(timestamp)
    if master_key and not is_vouched(master_key, stanzas, payload, time):
        raise FormatError("sealed key: the master key does not vouch for it")
    file_key = find_file_key(stanzas, identities)
    if hmac.new(hkdf(file_key, b"", b"header"), header, "sha256").digest() != mac:
        raise FormatError("sealed key: its header was changed")
    try:
        plain = age_decrypt(payload[16:], None, bytes(11) + b"\x01", hkdf(file_key, payload[:16], b"payload"))
    except CryptoError:
        raise FormatError("sealed key: its payload does not authenticate") from None
    if len(plain) != KEY_SIZE + 20:
        raise FormatError(f"sealed key: holds {len(plain)} bytes")
    if not renamed and plain[KEY_SIZE:] != time.encode():
        raise FormatError(f"sealed key: belongs to a backup of another time than {timestamp}")
    return plain[:KEY_SIZE]


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


def read_backup(master_key, timestamp, dump, size, wrapped, write, trailer=True, renamed=False, identities=None):
    """Reads one backup from the stream `dump` of `size` bytes, and hands the plaintext to write() piece by piece.

    wrapped: the .key object, or None for a backup that is not encrypted. One that is sealed is opened by `identities`, and
    master_key, which may be None then, vouches. An exception tells that what was written so
    far is worth nothing. Returns whether the object proved its end by itself.
    """
    if wrapped is None:
        pieces = (read_exactly(dump, min(CHUNK, size - offset)) for offset in range(0, size, CHUNK))
    elif wrapped.startswith(AGE):
        pieces = Unsealed(unseal(identities or [], wrapped, timestamp, master_key, renamed), dump, size)
    elif not master_key:
        raise FormatError("key: wrapped by a master key, and none is given")
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
    parser.add_argument("--key", help="file with the master key; of a sealed backup, that vouches for it")
    parser.add_argument("--identity", help="file with identities of age, for a sealed backup")
    parser.add_argument("--unvouched", action="store_true", help="allow a sealed backup that nobody vouches for")
    parser.add_argument("--timestamp", required=True, help="of the backup's name")
    parser.add_argument("-o", "--output", default="/dev/stdout", help="where the snapshot goes (standard output)")
    parser.add_argument("--no-trailer", action="store_true", help="do not insist on etcd's SHA-256 at the end")
    parser.add_argument("--renamed", action="store_true", help="allow a backup under another name than its own")
    parser.add_argument("dump")
    parser.add_argument("wrapped", nargs="?", metavar="key", help="left out: the backup is not encrypted")
    arguments = parser.parse_args()
    try:
        master_key = identities = None
        if arguments.key and not arguments.unvouched:
            with open(arguments.key, "rb") as file:
                master_key = parse_master_key(file.read())
        if arguments.identity:
            with open(arguments.identity, encoding="utf-8") as file:
                identities = parse_identities(file.read())
        if not arguments.key and not arguments.unvouched:
            raise FormatError("--key is missing: of a sealed backup it vouches; --unvouched does without")
        wrapped = None
        if arguments.wrapped:
            with open(arguments.wrapped, "rb") as file:
                wrapped = file.read()
        with open(arguments.dump, "rb") as dump, open(arguments.output, "wb") as out:
            read_backup(master_key, arguments.timestamp, dump, os.fstat(dump.fileno()).st_size, wrapped, out.write,
                        trailer=not arguments.no_trailer, renamed=arguments.renamed, identities=identities)
    except (FormatError, OSError) as problem:
        if arguments.output != "/dev/stdout" and os.path.isfile(arguments.output):
            os.unlink(arguments.output)
        print(f"reader.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
