#!/bin/sh
# sh tests/system.sh BUILD [PYTEST OPTIONS]: the system tests with the programs of a build directory, as `meson test --suite system`
# runs them. Installs what is missing first.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/setup.sh"
BUILD_DIR=$(cd "$1" && pwd) || exit 1
export BUILD_DIR PYTHONDONTWRITEBYTECODE=1
shift
exec "$PYTHON" -m pytest "$top/tests/system" --rootdir="$top/tests/system" -q "$@"
