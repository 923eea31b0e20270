# shellcheck shell=sh disable=SC2154 # `top` is set by whoever sources us
# Sourced by tests/setup.sh, tests/fresh.sh and tests/ports.sh: this machine's Debian mirror, Debians made from it by debootstrap, and
# how they are used without leaving anything behind.
#
# How this machine reaches its mirror and the Go modules is asked of it and copied: proxies, what its apt does not check, its
# resolver, certificate authorities of its own. What is fetched is checked against Debian's keys.

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
debian_cache=${XDG_CACHE_HOME:-/var/cache}/etcd-backupd-tests/debian

debian_source() {
    apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk -v source="$1" '$1 == source { print $2; exit }'
}

# debian_find_mirror: sets debian_mirror, and debian_security, which may be empty.
debian_find_mirror() {
    debian_mirror=$(debian_source Debian/Debian)
    [ -n "$debian_mirror" ] || { apt-get -q update && debian_mirror=$(debian_source Debian/Debian); } # there may be no lists yet
    [ -n "$debian_mirror" ] || { echo "no Debian mirror among this machine's package sources"; return 1; }
    debian_security=$(debian_source Debian/Debian-Security)
}

# debian_new ROOT RELEASE [OPTIONS of debootstrap]: its mounts are left to whoever has a mount namespace of its own. Packages that
# were fetched before are taken again when they are what the mirror has.
debian_new() {
    debian_root=$1
    debian_release=$2
    shift 2
    debian_find_mirror || return
    mkdir -p "$debian_root/var/cache/apt/archives/partial" "$debian_root/etc/apt/apt.conf.d" "$debian_root/etc/dpkg/dpkg.cfg.d"
    debian_copy "$debian_cache/$debian_release" "$debian_root/var/cache/apt/archives"
    debootstrap --force-check-gpg --keyring="$debian_keyring" "$@" "$debian_release" "$debian_root" "$debian_mirror" || return
    debian_as_outside
    mount -t proc proc "$debian_root/proc" && mount -t sysfs sysfs "$debian_root/sys" &&
        mount -t tmpfs tmpfs "$debian_root/dev/shm" && ln -sf pts/ptmx "$debian_root/dev/ptmx" &&
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$debian_root/dev/pts"
}

debian_as_outside() {
    {
        echo "deb $debian_mirror $debian_release main"
        echo "deb $debian_mirror $debian_release-updates main"
        [ -z "$debian_security" ] || echo "deb $debian_security $debian_release-security main"
    } >"$debian_root/etc/apt/sources.list"
    apt-config dump --format '%F "%v";%n' Acquire | grep -v -e '^Acquire::\(IndexTargets\|cdrom\|Languages\)' -e ' "";$' \
        >"$debian_root/etc/apt/apt.conf.d/90-as-outside"
    echo force-unsafe-io >"$debian_root/etc/dpkg/dpkg.cfg.d/quick" # a loss of power ends it anyway
    cp -L /etc/resolv.conf /etc/hosts "$debian_root/etc/"
    mkdir -p "$debian_root/usr/local/share/ca-certificates" # where the package ca-certificates looks when it comes
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$debian_root/usr/local/share/ca-certificates/" \; 2>/dev/null
}

# debian_copy FROM TO: its packages; as links, where that is one file system.
debian_copy() {
    cp -ln "$1"/*.deb "$2/" 2>/dev/null || cp -n "$1"/*.deb "$2/" 2>/dev/null
}

# debian_keep RELEASE ROOT...: their packages, for the next time. Those that none of them has any more are forgotten.
debian_keep() {
    debian_kept=$debian_cache/$1
    shift
    mkdir -p "$debian_kept.$$"
    for debian_root in "$@"; do
        chroot "$debian_root" apt-get -q autoclean >/dev/null 2>&1
        debian_copy "$debian_root/var/cache/apt/archives" "$debian_kept.$$"
    done
    rm -rf "$debian_kept"
    mv -T "$debian_kept.$$" "$debian_kept" 2>/dev/null || rm -rf "$debian_kept.$$" # somebody else was quicker
}

# debian_in ROOT COMMAND...: as somebody has it who has just logged in as root, but for how the net is reached. Its input is ours.
debian_in() (
    debian_root=$1
    shift
    set -- HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM="${TERM:-dumb}" LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$debian_root" "$@"
    for name in http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY; do
        eval "value=\${$name:-}"
        [ -z "$value" ] || set -- "$name=$value" "$@"
    done
    if command -v go >/dev/null; then
        for name in GOPROXY GONOPROXY GOSUMDB GONOSUMDB GOPRIVATE GOINSECURE; do
            value=$(cd / && go env $name)
            [ -z "$value" ] || set -- "$name=$value" "$@"
        done
    fi
    exec env -i "$@"
)

# ---- namespaces for them ----

debian_note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
debian_fail() {
    debian_note "$@"
    exit 1
}

# debian_quietly COMMAND...: what it says is shown only when it fails, which ends us.
debian_quietly() {
    "$@" >"$scratch/log" 2>&1 </dev/null && return
    tail -n 100 "$scratch/log" >&2
    debian_fail "failed: $*"
}

# debian_waited COMMAND...: as process 1 does it, in the background, since a shell that waits takes signals at once. TERM ends the
# command, and then us, whatever was to come.
debian_waited() {
    debian_ended=
    trap 'debian_ended=1; [ -z "$debian_child" ] || kill -TERM $debian_child' TERM
    trap : INT # it has come to the child, too
    "$@" <&3 &
    debian_child=$!
    while :; do
        wait $debian_child
        debian_status=$?
        kill -0 $debian_child 2>/dev/null || break # else a signal has ended the wait
    done
    debian_child=
    [ -z "$debian_ended" ] || exit 143
    return $debian_status
}

# debian_clone ROOT: of what is committed here, as /root/etcd-backupd.
debian_clone() { debian_quietly git clone -q --no-hardlinks "$top" "$1/root/etcd-backupd"; }

# debian_in_clone ROOT COMMAND...
debian_in_clone() {
    debian_in_root=$1
    shift
    # shellcheck disable=SC2016 # the inner shell's words
    debian_waited debian_in "$debian_in_root" sh -c 'cd /root/etcd-backupd && exec "$@"' - "$@"
}

debian_clean_up() {
    trap '' INT TERM
    if [ -n "$debian_apart" ]; then
        debian_first=$(cat "/proc/$debian_apart/task/$debian_apart/children" 2>/dev/null) # process 1 in there, once it has begun
        kill -TERM "${debian_first:-$debian_apart}" 2>/dev/null
        wait "$debian_apart"
    fi
    [ -z "$scratch" ] || rm -rf --one-file-system "$scratch"
    debian_apart= scratch=
}

# debian_apart ARGUMENTS...: `sh $0 --inside SCRATCH ARGUMENTS...` as process 1 with processes and mounts of its own, which end with
# it, whatever happens; so does the folder SCRATCH, in $TMPDIR or /var/tmp. Its standard input is 3.
debian_apart() {
    [ "$(id -u)" = 0 ] || debian_fail 'only root can do this'
    { command -v debootstrap && [ -x /usr/bin/python3 ]; } >/dev/null ||
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
            debootstrap debian-archive-keyring python3; } || exit
    debian_apart= scratch=
    trap debian_clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/ebd-debian.XXXXXX") || exit 1
    exec 3<&0
    setpriv --pdeathsig KILL /usr/bin/python3 "$top/tests/servers/own_mounts.py" unshare --pid --fork --kill-child --mount-proc \
        sh "$0" --inside "$scratch" "$@" <&3 &
    debian_apart=$!
    wait "$debian_apart"
    debian_status=$?
    debian_apart=
    debian_clean_up
    trap 'exit 130' INT
    trap 'exit 143' TERM
    return $debian_status
}
