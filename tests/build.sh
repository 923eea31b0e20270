# shellcheck shell=sh
# Sourced by tests/run.sh, tests/demo.sh and tests/bench: where the builds are, and how one is made.
#
# Build directories stay, in build/ or in $BUILD_ROOT, so that a second build takes seconds; who builds first makes the
# others wait. `top` is the root of the source tree.

build_root=${BUILD_ROOT:-$top/build}

# build NAME COMPILER [MESON OPTIONS]: into $build_root/NAME, with warnings as errors.
build() {
    build_dir=$build_root/$1
    build_compiler=$2
    shift 2
    mkdir -p "$build_root" || return
    (
        flock 9 || exit
        if [ ! -e "$build_dir/build.ninja" ]; then
            rm -rf "$build_dir"
            CC=$build_compiler setpriv --pdeathsig TERM meson setup "$build_dir" "$top" -Dwerror=true "$@" || exit
        fi 9>&-
        setpriv --pdeathsig TERM ninja -C "$build_dir" 9>&-
        # Not the last command: that would take the place of the shell, which holds the lock.
        exit $?
    ) 9>"$build_root/.lock-${build_dir##*/}"
}
