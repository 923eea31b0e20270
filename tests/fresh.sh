#!/bin/sh
# sh tests/fresh.sh [bookworm|trixie] [COMMAND...]
# Makes a Debian that has nothing but itself, clones what is committed here into it, and runs in there, as root,
#
#   demo         sh tests/demo.sh
#   run          sh tests/run.sh
#   package      contrib/package.sh, twice, in different folders: the same to the byte; then, on a second Debian that is as small
#                as one can be, what debian/tests says, with the package and what it depends on
#   -OPTION...   the system tests with these options of pytest, and the sanitizers: -k upload
#   COMMAND...   any other command line, in the clone: bash
#
# Left out: demo and run; and no release: both, one after the other. Root alone can do this. All happens in a scratch folder (in
# $TMPDIR or /var/tmp, some GiB), with a clone of what git has here; what was fetched is kept in the tests' cache for the next time.
#
# It is a plain chroot, whose `/` is no mount point, with processes and mounts of its own: those end with it, whatever happens.

set -u
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/debian.sh"

note() { printf 'fresh: %s\n' "$*" >&2; }
fail() {
    note "$*"
    exit 1
}

# quietly COMMAND...: what it says is shown only when it fails.
quietly() {
    "$@" >"$scratch/log" 2>&1 </dev/null && return
    tail -n 100 "$scratch/log" >&2
    fail "failed: $*"
}

# ---- as process 1 in there ----

# waited COMMAND...: in the background, since a shell that waits takes signals at once; its input is ours.
waited() {
    "$@" <&3 &
    child=$!
    while :; do
        wait $child
        status=$?
        kill -0 $child 2>/dev/null || break # a signal of our own has ended the wait
    done
    child=
    return $status
}

# make NAME VARIANT: a Debian in $scratch/NAME, with a clone.
make() {
    note "making a Debian: $release"
    waited quietly debian_new "$scratch/$1" "$release" --variant="$2" || exit
    quietly git clone -q --no-hardlinks "$top" "$scratch/$1/root/etcd-backupd"
}

# clone NAME COMMAND...: in the clone of that Debian.
clone() {
    clone_root=$scratch/$1
    shift
    # shellcheck disable=SC2016 # the inner shell's words
    waited debian_in "$clone_root" sh -c 'cd /root/etcd-backupd && exec "$@"' - "$@"
}

system_tests() {
    # shellcheck disable=SC2016 # the inner shell's words
    clone whole sh -c 'top=$PWD && . tests/setup.sh && . tests/build.sh &&
        build sanitize gcc -Db_sanitize=address,undefined >/dev/null && exec sh tests/system.sh build/sanitize "$@"' - "$@"
}

package() {
    clone whole sh contrib/package.sh &&
        clone whole sh -c 'apt-get -q install -y --no-install-recommends lintian >/dev/null &&
            lintian --allow-root --fail-on error,warning build/*.deb &&
            cp -r . /srv/a-folder-of-another-name && cd /srv/a-folder-of-another-name && rm build/*.deb &&
            DEB_BUILD_OPTIONS=nocheck TMPDIR=/srv sh contrib/package.sh &&
            cmp build/*.deb /root/etcd-backupd/build/*.deb && echo "built twice: the same"' || return
    make small minbase
    mv "$scratch"/whole/root/etcd-backupd/build/*.deb "$scratch/small/root/" || return
    clone small sh -c 'apt-get -q update && apt-get -q install -y /root/*.deb' || return
    for test in $(sed -n 's/^Tests: //p' "$top/debian/tests/control"); do
        needs=$(awk -v test="$test" '$1 == "Tests:" { here = $2 == test } here && $1 == "Depends:"' "$top/debian/tests/control" |
            sed 's/^Depends: @//; s/,/ /g')
        note "debian/tests/$test"
        # shellcheck disable=SC2086 # a list of words
        [ -z "$needs" ] || clone small env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $needs || return
        clone small "debian/tests/$test" || return
    done
}

inside() {
    exec 3<&0
    child=
    trap '[ -z "$child" ] || kill -TERM $child' TERM
    trap : INT # it has come to the others, too
    make whole -
    case ${1:-} in
        '') clone whole sh tests/demo.sh && clone whole sh tests/run.sh ;;
        demo | run) clone whole sh "tests/$1.sh" ;;
        package) package ;;
        -*) system_tests "$@" ;;
        *) clone whole "$@" ;;
    esac
    status=$?
    for name in whole small; do
        [ ! -d "$scratch/$name" ] || debian_keep "$scratch/$name" "$release"
    done
    exit $status
}

# ---- outside ----

clean_up() {
    trap '' INT TERM
    if [ -n "$unshare" ]; then
        kill -TERM "$(cat "/proc/$unshare/task/$unshare/children")" 2>/dev/null # process 1 in there
        wait "$unshare"
    fi
    [ -z "$scratch" ] || rm -rf --one-file-system "$scratch"
}

fresh() {
    release=$1
    shift
    scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/ebd-fresh.XXXXXX") || exit 1
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh "$top/tests/fresh.sh" --inside "$release" "$scratch" "$@" <&3 &
    unshare=$!
    wait "$unshare"
    status=$?
    unshare=
    clean_up
    trap 'exit 130' INT
    trap 'exit 143' TERM
    note "$release: exit status $status"
    return $status
}

main() {
    case ${1:-} in
        --inside)
            release=$2 scratch=$3
            shift 3
            inside "$@"
            ;;
        -h | --help)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit
            ;;
    esac
    [ "$(id -u)" = 0 ] || fail 'only root can do this'
    command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -q install -y debootstrap debian-archive-keyring || exit
    exec 3<&0
    unshare= scratch=
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    case ${1:-} in
        bookworm | trixie)
            fresh "$@"
            ;;
        *)
            fresh bookworm "$@"
            bookworm=$?
            fresh trixie "$@" && return $bookworm
            ;;
    esac
}

main "$@"
exit
