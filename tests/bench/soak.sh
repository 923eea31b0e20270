#!/bin/sh
# sh tests/bench/soak.sh [--minutes N]     ten minutes by default
# A daemon that makes a backup every second while S3 and etcd fail now and then: what it takes stays flat. Not a test.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/setup.sh"
build=${BUILD_DIR:-$top/build/bench}
[ -e "$build/build.ninja" ] || CC=gcc meson setup --buildtype=release "$build" "$top" >/dev/null
ninja -C "$build" daemon/etcd-backupd daemon/ctl/etcd-backupctl >/dev/null
BUILD_DIR=$build exec /usr/bin/python3 "$top/tests/bench/soak.py" "$@"
