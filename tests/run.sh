#!/bin/sh
# sh tests/run.sh        builds in three ways and runs all tests; the last line is "N passed, N failed"
#
#   style        clang-format over all C in the repository
#   mbedtls      lib/h2 compiles with the headers of the mbedTLS that this Debian does not have, 2.28 or 3
#   gcc, clang   warnings as errors; the unit tests, and the fuzz targets over their corpus (with clang, also made-up inputs)
#   instructions of the gcc build: what a megabyte costs, counted by callgrind (tests/bench/instructions.py)
#   sanitize     gcc with the address and the undefined-behaviour sanitizer: the same
#   tour         tests/demo.sh, two of them side by side, and one that is interrupted
#   system       tests/system against real etcd and real S3: all of it with the sanitize build, and with the gcc build, which is
#                the one that people install, what looks at what sanitizers change (marked `installed`)
#
# Installs what is missing first (tests/setup.sh). What was built is kept in build/ for the next time; all else goes at the
# end, interrupted or not. Several may run at once. The exit status is 0 when something ran and nothing failed.

set -u
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/setup.sh"
. "$top/tests/build.sh"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ebd-run.XXXXXX") || exit 1
jobs=
results=$scratch/results
: >"$results"
# Tests keep their own folders in there too.
export TMPDIR="$scratch" PYTHONDONTWRITEBYTECODE=1

clean_up() {
    trap '' INT TERM
    for job in $jobs; do
        kill -TERM "$job" 2>/dev/null
    done
    wait
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'echo "interrupted"; exit 130' INT
trap 'echo "terminated"; exit 143' TERM

# start NAME COMMAND...: in the background, its output in $scratch/NAME.log. finish NAME: waits for it; its exit status.
# Everything runs this way, since a shell that waits takes signals at once. INT from a terminal does not reach what runs in
# the background: the TERM of clean_up does.
start() {
    name=$1
    shift
    "$@" >"$scratch/$name.log" 2>&1 </dev/null &
    echo $! >"$scratch/$name.pid"
    jobs="$jobs $!"
}
finish() {
    wait "$(cat "$scratch/$1.pid")"
}

# result NAME PASSED FAILED: for the sum at the end. With failures, what was printed is shown; of a build, from the first
# thing that went wrong.
result() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"
    if [ "$3" = 0 ]; then
        printf '%-28s %5s passed\n' "$1" "$2"
    else
        printf '%-28s %5s passed, %s FAILED:\n' "$1" "$2" "$3"
        awk '/^FAILED: / { found = 1 } found { print "    " $0 }
            { line[NR] = $0 } END { if (!found) for (i = 1; i <= NR; i++) print "    " line[i] }' "$scratch/$1.log"
        printf '\n'
    fi
}

# one NAME COMMAND...: something that works or does not.
one() {
    start "$@"
    if finish "$1"; then
        result "$1" 1 0
    else
        result "$1" 0 1
        return 1
    fi
}

style() (
    cd "$top" && git ls-files -z --cached --others --exclude-standard '*.c' '*.h' |
        xargs -0 -r clang-format --dry-run -Werror
)

# The project is built against mbedTLS 2.28, which this Debian has; nothing else includes mbedTLS 3.
mbedtls_other() (
    [ -n "$MBEDTLS_OTHER_DIR" ] || { echo "its headers could not be had"; exit 1; }
    # shellcheck disable=SC2046 # a list of files
    gcc -std=gnu17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -isystem "$MBEDTLS_OTHER_DIR" -I"$top/lib" -I"$top/daemon" \
        $(grep -rl '[<"]mbedtls/' "$top/lib" "$top/daemon" --include='*.c')
)

# unit BUILD: what meson knows as tests. They have no time limits of their own; all of them together have an hour.
unit() {
    start "unit-$1" setpriv --pdeathsig TERM timeout -k 60 3600 meson test -C "$build_root/$1" --no-rebuild \
        --print-errorlogs --logbase "unit-$$"
    finish "unit-$1"
    # shellcheck disable=SC2046 # two numbers
    result "unit-$1" $(meson_counts "$scratch/unit-$1.log" $?)
    rm -f "$build_root/$1/meson-logs/unit-$$".*
}

# meson_counts LOG STATUS: "PASSED FAILED" of a run of `meson test`.
meson_counts() {
    "$PYTHON" - "$@" <<'COUNT'
import re, sys
text, status = open(sys.argv[1], encoding="utf-8", errors="replace").read(), int(sys.argv[2])
n = {name: int(number) for name, number in re.findall(r"^([A-Z][A-Za-z ]+?): +(\d+) *$", text, re.M)}
passed = n.get("Ok", 0) + n.get("Expected Fail", 0)
failed = n.get("Fail", 0) + n.get("Unexpected Pass", 0) + n.get("Timeout", 0) + n.get("Skipped", 0)
# Something went wrong that no test stands for, or nothing ran at all.
if not failed and (status or not passed):
    failed = 1
print(passed, failed)
COUNT
}

# tours: the tour as two people at once take it, and one that ends with TERM when its servers have begun to run. Each has a
# TMPDIR of its own, where nothing may be left, nor any process that names it.
tour_start() {
    mkdir "$scratch/$1"
    start "$1" env TMPDIR="$scratch/$1" sh "$top/tests/demo.sh"
}
tour_finish() {
    finish "$1"
    status=$?
    left=$(ls -A "$scratch/$1" && pgrep -af "$scratch/$1")
    if [ "$status" = "$2" ] && [ -z "$left" ]; then
        result "$1" 1 0
    else
        printf 'exit status %s, expected %s; left behind: %s\n' "$status" "$2" "${left:-nothing}" >>"$scratch/$1.log"
        result "$1" 0 1
    fi
}
tours() {
    tour_start tour-1
    tour_start tour-2
    tour_finish tour-1 0
    tour_finish tour-2 0
    tour_start tour-3
    tour=$(cat "$scratch/tour-3.pid")
    until [ -e "$(echo "$scratch"/tour-3/ebd-demo.*/s3)" ] || ! kill -0 "$tour" 2>/dev/null; do
        sleep 0.1
    done
    kill -TERM "$tour"
    tour_finish tour-3 143
}

# system_start BUILD PARTS [PYTEST OPTIONS], system_finish BUILD: the tests of tests/system with the programs of that build, in
# several parts side by side, since most of the time of most of them is waiting. A part that takes an hour is ended.
system_start() {
    build_name=$1 parts=$2
    shift 2
    for part in $(seq "$parts"); do
        part_name=$build_name-$part
        mkdir "$scratch/$part_name"
        start "system-$part_name" env BUILD_DIR="$build_root/$build_name" TMPDIR="$scratch/$part_name" \
            setpriv --pdeathsig TERM timeout -k 60 3600 "$PYTHON" -m pytest "$top/tests/system" --shard="$part/$parts" \
            --rootdir="$top/tests/system" --junitxml="$scratch/$part_name.xml" -o junit_family=xunit2 -q --durations=50 "$@"
    done
}
system_finish() {
    for part in "$scratch/system-$1"-*.pid; do
        part=${part##*/} part=${part%.pid}
        finish "$part"
        # shellcheck disable=SC2046 # two numbers
        result "$part" $(junit_counts "$scratch/${part#system-}.xml" $?)
        sed -n "s|^failed at first, is run again: |    run twice, since it failed: |p" "$scratch/$part.log" | tee -a "$scratch/twice"
        grep '^[0-9.]*s \(call\|setup\|teardown\)' "$scratch/$part.log" >>"$scratch/slow"
    done
}

# junit_counts FILE STATUS: "PASSED FAILED" of a run that left that file and ended with that status.
junit_counts() {
    "$PYTHON" - "$@" <<'COUNT'
import sys, xml.etree.ElementTree as tree
status, passed, failed = int(sys.argv[2]), 0, 0
try:
    for suite in tree.parse(sys.argv[1]).getroot().iter("testsuite"):
        bad = sum(int(suite.get(k, 0)) for k in ("failures", "errors", "skipped"))
        passed, failed = passed + max(0, int(suite.get("tests")) - bad), failed + bad
except (OSError, tree.ParseError):
    pass
# Something went wrong that no test stands for, or nothing ran at all.
if not failed and (status or not passed):
    failed = 1
print(passed, failed)
COUNT
}

# One function, so that the shell has read it all before it begins: the file may change meanwhile.
main() {
    one style style
    one mbedtls mbedtls_other
    # What takes longest goes on beside all the rest.
    if one build-sanitize build sanitize gcc -Db_sanitize=address,undefined; then
        system_start sanitize 3
        unit sanitize
    fi
    if one build-gcc build gcc gcc; then
        unit gcc
        one instructions meson test -C "$build_root/gcc" --benchmark --print-errorlogs
        tours
        system_start gcc 1 -m installed
    fi
    if one build-clang build clang clang; then
        unit clang
    fi
    [ ! -e "$scratch/system-gcc-1.pid" ] || system_finish gcc
    [ ! -e "$scratch/system-sanitize-1.pid" ] || system_finish sanitize

    sums=$(awk -F '\t' '{ p += $2; f += $3 } END { print p + 0, f + 0 }' "$results")
    passed=${sums% *} failed=${sums#* }
    printf '\nThe slowest of the system tests:\n'
    sort -rn "$scratch/slow" 2>/dev/null | head -n 50
    printf '\n%s passed, %s failed\n' "$passed" "$failed"
    [ "$passed" -gt 0 ] && [ "$failed" = 0 ]
}

main
exit
