#!/bin/sh
# sh tests/fresh.sh [bookworm|trixie] [COMMAND...]
# Makes a Debian that has nothing but itself, clones what is committed here into it, and runs in there, as root,
#
#   demo         sh tests/demo.sh
#   run          sh tests/run.sh
#   package      contrib/package.sh, twice, in different folders: the same to the byte; then, on a second Debian that is as small
#                as one can be, what debian/tests says, with the package and what it depends on
#   -OPTION...   the system tests with these options of pytest, and the sanitizers: -k upload; the servers that this machine has
#                built from Go modules are taken along, where all else builds its own
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

# make NAME VARIANT: a Debian in $scratch/NAME, with a clone.
make() {
    debian_note "making a Debian: $release"
    debian_waited debian_quietly debian_new "$scratch/$1" "$release" --variant="$2" || exit
    debian_clone "$scratch/$1"
}

in_whole() { debian_in_clone "$scratch/whole" "$@"; }
in_small() { debian_in_clone "$scratch/small" "$@"; }

# The built servers are the same on each Debian, and take minutes. One that is not of this go.mod is built all the same.
system_tests() {
    cache=/var/cache/etcd-backupd-tests
    mkdir -p "$scratch/whole$cache"
    for server in "$top"/tests/servers/*/; do
        cp -r "${debian_cache%/*}/$(basename "$server")" "$scratch/whole$cache/" 2>/dev/null
    done
    # shellcheck disable=SC2016 # the inner shell's words
    in_whole sh -c 'top=$PWD && . tests/setup.sh && . tests/build.sh &&
        build sanitize gcc -Db_sanitize=address,undefined >/dev/null && exec sh tests/system.sh build/sanitize "$@"' - "$@"
}

# The second build is in another folder, and in a scratch folder elsewhere.
build_twice() {
    in_whole sh contrib/package.sh &&
        in_whole sh -ec 'apt-get -q install -y --no-install-recommends lintian >/dev/null
            lintian --allow-root --fail-on error,warning build/*.deb
            mkdir /srv/other && tar -c --exclude=./build . | tar -x -C /srv/other && cd /srv/other
            TMPDIR=/srv DEB_BUILD_OPTIONS=nocheck sh contrib/package.sh
            cmp build/*.deb /root/etcd-backupd/build/*.deb
            echo "built twice: the same to the byte"'
}

# What a test of debian/tests depends on, but for the package.
needs() {
    awk -v test="$1" '$1 == "Tests:" { here = $2 == test } here && $1 == "Depends:"' "$top/debian/tests/control" |
        sed 's/^Depends: @//; s/,/ /g'
}

package() {
    build_twice || return
    make small minbase
    mv "$scratch"/whole/root/etcd-backupd/build/*.deb "$scratch/small/root/" || return
    printf '#!/bin/sh\nexit 101\n' >"$scratch/small/usr/sbin/policy-rc.d" # the servers are started by the tests
    chmod 755 "$scratch/small/usr/sbin/policy-rc.d"
    in_small sh -ec 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y /root/*.deb' || return
    for test in $(sed -n 's/^Tests: //p' "$top/debian/tests/control"); do
        debian_note "debian/tests/$test"
        # shellcheck disable=SC2046 # a list of words
        in_small env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $(needs "$test") &&
            in_small "debian/tests/$test" || return
    done
}

inside() {
    make whole -
    case ${1:-} in
        '') in_whole sh tests/demo.sh && in_whole sh tests/run.sh ;;
        demo | run) in_whole sh "tests/$1.sh" ;;
        package) package ;;
        -*) system_tests "$@" ;;
        *) in_whole "$@" ;;
    esac
    status=$?
    if [ -d "$scratch/small" ]; then
        debian_keep "$release" "$scratch/whole" "$scratch/small"
    else
        debian_keep "$release" "$scratch/whole"
    fi
    exit $status
}

fresh() {
    debian_apart "$@"
    status=$?
    debian_note "$1: exit status $status"
    return $status
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
            ;;
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
