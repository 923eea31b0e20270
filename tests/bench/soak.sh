#!/bin/sh
# sh tests/bench/soak.sh [--minutes N]     ten minutes by default
# A daemon that makes a backup every second while S3 and etcd fail now and then: what it takes stays flat. Not a test.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/bench/build.sh"
BUILD_DIR=$build exec /usr/bin/python3 "$top/tests/bench/soak.py" "$@"
