#!/bin/sh
# sh tests/bench/run.sh [--size MIB] [--runs N] [--etcd 3.4|3.5|3.6|3.7] [--data random|kubernetes|both] [--plain-http] [--only proofs|bytes]
# What a backup costs in time, processor (by the byte, and what etcd and S3 use meanwhile), memory and disk, beside
# `etcdctl snapshot save` and a script that encrypts and uploads with openssl and Debian's aws, where that is installed; a
# restore beside curl of the same object; a look inside; what `verify` costs; on real servers with TLS on both sides. Not a test: it has no limits.
# Let the machine do nothing else meanwhile. It takes five to eight minutes; --size 1024 --runs 5 takes three times as long.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/bench/build.sh"
BUILD_DIR=$build exec /usr/bin/python3 "$top/tests/bench/bench.py" "$@"
