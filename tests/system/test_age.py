"""lib/age beside age itself: each opens what the other seals."""

import base64
import subprocess

import pytest
from nacl.signing import SigningKey

TIMESTAMP = "2024-12-06T21:22:25Z"
PLAIN = bytes(range(32)) + TIMESTAMP.encode()


@pytest.fixture
def people(tmp_path):
    """(file of an identity, its recipient), of five people."""
    made = []
    for i in range(5):
        path = tmp_path / f"identity-{i}"
        subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
        shown = subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True)
        made.append((path, shown.stdout.strip()))
    return made


@pytest.fixture
def probe(programs):
    def run(*args, stdin, may_fail=False):
        done = subprocess.run([programs.build / "tests/system/age_probe", *args], input=stdin, capture_output=True)
        assert done.returncode == 0 or may_fail and done.returncode == 1, done.stderr.decode()
        return done.stdout if done.returncode == 0 else None
    return run


def age_open(identity, sealed):
    return subprocess.run(["age", "-d", "-i", identity], input=sealed, capture_output=True)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_age_opens_ours(people, probe, n):
    sealed = probe("seal", TIMESTAMP, *[recipient for _, recipient in people[:n]], stdin=PLAIN)
    for identity, _ in people[:n]:
        opened = age_open(identity, sealed)
        assert (opened.returncode, opened.stdout) == (0, PLAIN), opened.stderr
    for identity, _ in people[n:]:
        assert age_open(identity, sealed).returncode != 0
    for recipient in [recipient for _, recipient in people[:n]]:
        assert recipient.encode() in sealed


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("plain", [b"", PLAIN, b"x" * 10000])
def test_ours_opens_those_of_age(people, probe, n, plain):
    options = [word for _, recipient in people[:n] for word in ("-r", recipient)]
    sealed = subprocess.run(["age", *options], input=plain, check=True, capture_output=True).stdout
    for identity, _ in people[:n]:
        assert probe("open", identity, stdin=sealed) == plain
    for identity, _ in people[n:]:
        assert probe("open", identity, stdin=sealed, may_fail=True) is None


def test_other_stanzas_are_left_alone(people, probe, tmp_path):
    """An SSH recipient among those of X25519."""
    ssh = tmp_path / "ssh.pub"
    words = (b"ssh-ed25519", bytes(SigningKey.generate().verify_key))
    blob = b"".join(len(word).to_bytes(4, "big") + word for word in words)
    ssh.write_text(f"ssh-ed25519 {base64.b64encode(blob).decode()}\n")
    sealed = subprocess.run(["age", "-R", ssh, "-r", people[0][1]], input=PLAIN, check=True,
                            capture_output=True).stdout
    assert b"ssh-ed25519" in sealed
    assert probe("open", people[0][0], stdin=sealed) == PLAIN
    assert probe("open", people[1][0], stdin=sealed, may_fail=True) is None
