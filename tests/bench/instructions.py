"""instructions.py COST [--write]: whether a megabyte costs more instructions than is written in instructions.json

COST is tests/bench/cost of a build with optimization and without sanitizers. callgrind counts, so the numbers are the same on
a machine that is busy; but they are those of a compiler, of the libraries' versions, and of the instructions that libraries
choose by the processor. So the file has numbers for each of these that somebody has counted for, and where there are none this
one says so and ends with 77 (skipped). A count that has grown by more than 5 % fails; one that has shrunk as much wants to be
written down (--write), so that it does not grow again unseen. The data are those of a Kubernetes cluster, made up from a seed.
"""

import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import kubernetes  # noqa: E402

NUMBERS = HERE / "instructions.json"
OPERATIONS = ("digest", "seal", "unseal", "compress", "decompress")
FEW, MANY = 2, 6  # MiB: the difference is without what starting costs
SLACK = 0.05


def identity(program):
    """What the numbers depend on."""
    compiler = re.search(rb"GCC: \([^)]*\) ([0-9.]+)|clang version ([0-9.]+)", Path(program).read_bytes())
    packages = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "libssl3", "libssl3t64", "libsodium23",
                               "libzstd1", "valgrind"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    processor = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    features = [flag for flag in ("ssse3", "avx", "avx2", "aes", "bmi2") if flag in processor]
    versions = [line for line in packages.stdout.decode().splitlines() if line.split()[-1] != line.split()[0]]
    return ", ".join([compiler.group().decode() if compiler else "compiler not known", *versions, *features])


def count(program, operation, mib, data):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, operation,
                               str(mib), data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    found = re.search(rb"Collected : (\d+)", done.stdout)
    if done.returncode or not found:
        raise SystemExit(f"{operation}: {done.stdout.decode(errors='replace')}")
    return int(found[1])


def measure(program):
    with tempfile.NamedTemporaryFile() as file:
        made = b"".join(key + value for key, value in itertools.islice(kubernetes.writes(1), 4000))
        file.write(made[:8 << 20])
        file.flush()
        return {operation: (count(program, operation, MANY, file.name) - count(program, operation, FEW, file.name)) //
                (MANY - FEW) for operation in OPERATIONS}


def main():
    program = sys.argv[1]
    if b"__asan_init" in Path(program).read_bytes():
        print("sanitizers count for themselves: not measured")
        return 77
    numbers = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    name, now = identity(program), measure(program)
    before, failed = numbers.get(name), False
    for operation, instructions in now.items():
        known = before[operation] if before else None
        change = f"{instructions / known - 1:+.1%}" if known else "not known here"
        failed |= bool(known) and instructions > known * (1 + SLACK)
        print(f"{operation:12}{instructions:>12} instructions a MiB  {change}")
    if "--write" in sys.argv:
        NUMBERS.write_text(json.dumps({**numbers, name: now}, indent=2) + "\n")
        return 0
    if not before:
        print(f"no numbers for: {name}; --write writes these down")
        return 77
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
