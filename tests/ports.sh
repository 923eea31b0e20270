#!/bin/sh
# sh tests/ports.sh [ARCHITECTURE...]
# Other machines than this one: arm64, and s390x, whose bytes are in the other order. Both, or those that are named as Debian names
# them. What is committed here is cross-built in a Debian 12 of its own, with warnings as errors; then the unit tests run, and the fuzz
# targets over their corpus, by qemu's emulation of a user's programs. The kernel need not know of it.
#
# Root alone can do this. It takes a while, and is no part of tests/run.sh. See tests/debian.sh for what it needs and what it keeps.

set -u
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/debian.sh"
debian_cache=$debian_cache/ports # packages of other machines, beside those of fresh.sh

root() { debian_in_clone "$scratch/root" env DEBIAN_FRONTEND=noninteractive "$@"; }

# In there; $1 is the architecture.
port() {
    # shellcheck disable=SC2016 # the inner shell's words
    root sh -euc 'dpkg --add-architecture "$1"
        apt-get -q update
        apt-get -q install -y --no-install-recommends "crossbuild-essential-$1" qemu-user-static pkg-config
        apt-get -q build-dep -y --no-install-recommends --host-architecture "$1" ./' - "$1" >"$scratch/$1.log" 2>&1 ||
        { tail -n 40 "$scratch/$1.log" >&2; return 1; }
    # shellcheck disable=SC2016
    root sh -euc '
        meson env2mfile --cross --debarch "$1" -o "/root/$1.cross"
        cpu=$(dpkg-architecture -f -a "$1" -q DEB_HOST_GNU_CPU)
        printf "[binaries]\nexe_wrapper = \047qemu-%s-static\047\n" "$cpu" >"/root/$1.run"
        meson setup "build/$1" --cross-file "/root/$1.cross" --cross-file "/root/$1.run" -Dwerror=true
        ninja -C "build/$1"
        EMULATOR="qemu-$cpu-static" meson test -C "build/$1" --no-rebuild --suite unit --suite fuzz --print-errorlogs' - "$1"
}

inside() {
    debian_note "making a Debian: $release"
    debian_waited debian_quietly debian_new "$scratch/root" "$release" --variant=buildd || exit
    # Libraries of two architectures have to be of one version: without updates, which come to some sooner than to others.
    sed -i 2,\$d "$scratch/root/etc/apt/sources.list"
    debian_clone "$scratch/root"
    status=0
    for architecture in "$@"; do
        debian_note "$architecture"
        port "$architecture" || { debian_note "$architecture: failed"; status=1; }
    done
    debian_keep "$release" "$scratch/root"
    exit $status
}

main() {
    case ${1:-} in
        --inside)
            scratch=$2 release=$3
            shift 3
            inside "$@"
            ;;
        -h | --help)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit
            ;;
    esac
    [ $# -gt 0 ] || set -- arm64 s390x
    debian_apart bookworm "$@"
}

main "$@"
exit
