#!/bin/sh
# sh contrib/package.sh [FOLDER]
# Builds the Debian package for the Debian that it runs on, and leaves it in FOLDER, or in build/. As root it installs what
# building needs and is missing; everybody else is told. Unit tests run on the way; DEB_BUILD_OPTIONS=nocheck leaves them out.
#
# The version gets the release as its end (0.2.0~deb12), so that an upgrade of Debian brings the package that fits, and a
# package of Debian's own would be newer. Built from a copy of what git knows here: nothing else is written to.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$top/build}"
out=$(cd "${1:-$top/build}" && pwd)
export DEBIAN_FRONTEND=noninteractive

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ebd-package.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tree=$scratch/etcd-backupd

install_missing() {
    if command -v dpkg-checkbuilddeps >/dev/null && (cd "$tree" && dpkg-checkbuilddeps 2>"$scratch/missing"); then
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        cat "$scratch/missing" 2>/dev/null || echo "dpkg-dev is missing"
        echo "package.sh: install that, or run this as root"
        return 1
    fi >&2
    profiles=
    case " ${DEB_BUILD_OPTIONS:-} " in *' nocheck '*) profiles=nocheck ;; esac
    apt-get -q update
    apt-get -q install -y --no-install-recommends build-essential dpkg-dev
    (cd "$tree" && DEB_BUILD_PROFILES=$profiles apt-get -q build-dep -y --no-install-recommends ./)
}

# What is committed, changed or new here, as it is here, without what git ignores.
mkdir "$tree"
if [ -e "$top/.git" ] && command -v git >/dev/null; then
    (cd "$top" && git -c safe.directory="$top" ls-files -z --cached --others --exclude-standard) >"$scratch/files"
    (cd "$top" && xargs -0 -r sh -c 'for file; do [ ! -e "$file" ] || printf "%s\\0" "$file"; done' - <"$scratch/files") |
        (cd "$top" && tar -c --null -T -) | tar -x -C "$tree"
else
    (cd "$top" && tar -c --exclude='./build*' --exclude=./.git .) | tar -x -C "$tree"
fi
release=$(. /etc/os-release && echo "${VERSION_ID:-13}")
sed -i "1s/(\([^)]*\))/(\1~deb$release)/" "$tree/debian/changelog"

install_missing
(cd "$tree" && dpkg-buildpackage -us -uc -b)
cp "$scratch"/etcd-backupd_*.deb "$out/"
ls "$out"/etcd-backupd_*.deb
