# shellcheck shell=sh disable=SC2154 # $top comes from who sources this
# Sourced by the scripts here, with $top set: what a test run needs, and a release build in $build.
setup_built=
. "$top/tests/setup.sh"
build=${BUILD_DIR:-$top/build/bench}
[ -e "$build/build.ninja" ] || CC=gcc meson setup --buildtype=release "$build" "$top" >/dev/null
ninja -C "$build" daemon/etcd-backupd daemon/ctl/etcd-backupctl tests/system/bolt_probe >/dev/null
