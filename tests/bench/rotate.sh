#!/bin/sh
# sh tests/bench/rotate.sh [--keys N]       10,000 by default
# How long a rotation of the master key takes, on a real store over TLS. Not a test: it has no limits.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/bench/build.sh"
BUILD_DIR=$build exec /usr/bin/python3 "$top/tests/bench/rotate.py" "$@"
