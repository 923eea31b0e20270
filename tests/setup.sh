#!/bin/sh
# Installs what building and testing need and is missing, on Debian 12 or 13 and as root. Quick, and changes nothing, when all is
# there. Nothing that it installs is started, now or at the next boot. Run it, or source it; it then leaves behind:
#   PYTHON          the interpreter that has Debian's pytest, boto3 and PyNaCl
#   ETCD_34_DIR     where the etcd 3.4 programs are
#   ETCD_35_DIR     where the etcd 3.5 programs are; empty when they could not be had: the tests that need them then fail
#   MBEDTLS_3_DIR   where the headers of mbedTLS 3 are; likewise

setup_packages='
    gcc clang meson ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libssl-dev libsodium-dev libcyaml-dev libyaml-dev
    libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libmbedtls-dev libexpat1-dev libcmocka-dev
    libmicrohttpd-dev libclang-rt-dev clang-format build-essential debhelper lintian
    ceph-mon ceph-osd radosgw ceph-common etcd-server etcd-client openssl python3-pytest python3-boto3 python3-nacl
    python3-protobuf valgrind strace uuid-runtime curl ca-certificates procps python3-hpack systemd prometheus mandoc
    bash-completion zsh fish git iproute2 man-db'

setup_next_release=trixie
setup_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
setup_cache=${XDG_CACHE_HOME:-/var/cache}/etcd-backupd-tests

# What of $setup_packages is not installed.
setup_missing() {
    # shellcheck disable=SC2086 # a list of words
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' $setup_packages 2>/dev/null |
        awk -v want="$setup_packages" '
            $2 == "installed" { have[$1] = 1 }
            END { n = split(want, w); for (i = 1; i <= n; i++) if (!(w[i] in have)) printf "%s ", w[i] }'
}

setup_apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"
}

# Debian starts a server as soon as it is installed, unless policy-rc.d says no. Ours says no while it is needed and then goes;
# one that is there already belongs to somebody else and is left alone.
setup_install() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
    fi
    # shellcheck disable=SC2086 # a list of words
    setup_apt update && setup_apt install -y --no-install-recommends debian-archive-keyring $1 || return
    case " $1 " in
        *' etcd-server '*) update-rc.d etcd disable ;;
    esac
    case " $1 " in
        *' prometheus '*) update-rc.d prometheus disable ;; # its promtool is what we came for
    esac
}

# The etcd of the next Debian, and the headers of its mbedTLS, taken from the mirror that this machine already uses and checked
# against Debian's own keys, then only unpacked: its programs run here as they are.
setup_mirror() {
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

setup_fetch_next() {
    mirror=$(setup_mirror)
    [ -n "$mirror" ] || { setup_apt update && mirror=$(setup_mirror); } # the lists may never have been loaded
    [ -n "$mirror" ] || { echo "no Debian mirror among this machine's package sources"; return 1; }
    scratch=$(mktemp -d "$setup_cache/fetch.XXXXXX") || return
    setup_unpack_next
    ok=$?
    rm -rf "$scratch"
    return $ok
}

setup_unpack_next() {
    mkdir -p "$scratch/lists/partial" "$scratch/archives/partial" "$scratch/debs" "$scratch/tree" || return
    chmod -R a+rX "$scratch" # apt downloads as a user of its own
    chown _apt "$scratch/debs" "$scratch/lists/partial" "$scratch/archives/partial"
    printf 'deb [signed-by=%s] %s %s main\n' "$setup_keyring" "$mirror" "$setup_next_release" >"$scratch/sources.list"
    set -- -o Dir::Etc::sourcelist="$scratch/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o APT::Default-Release= \
        -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none -o APT::Get::AllowUnauthenticated=false
    setup_apt "$@" update && (cd "$scratch/debs" && setup_apt "$@" download etcd-server etcd-client libmbedtls-dev) || return
    for deb in "$scratch"/debs/*.deb; do
        dpkg -x "$deb" "$scratch/tree" || return
    done
    "$scratch/tree/usr/bin/etcd" --version && "$scratch/tree/usr/bin/etcdutl" version || return
    rm -rf "$setup_cache/etcd-3.5" "$setup_cache/mbedtls-3"
    mv "$scratch/tree/usr/include" "$setup_cache/mbedtls-3" && mv "$scratch/tree/usr/bin" "$setup_cache/etcd-3.5"
}

setup_has_next() {
    [ -x "$setup_cache/etcd-3.5/etcd" ] && [ -e "$setup_cache/mbedtls-3/mbedtls/ssl.h" ]
}

setup_main() (
    missing=$(setup_missing)
    [ -n "$missing" ] || ! setup_has_next || exit 0
    if [ "$(id -u)" != 0 ]; then
        [ -z "$missing" ] || echo "setup: these packages are missing, install them or run this as root: $missing" >&2
        [ -n "$missing" ] || echo "setup: etcd 3.5 or mbedTLS 3 is missing in $setup_cache, run this as root once" >&2
        [ -z "$missing" ]
        exit
    fi
    mkdir -p "$setup_cache" || exit
    # One at a time: whoever waited finds the work done.
    exec 9>"$setup_cache/lock"
    flock 9 || exit
    missing=$(setup_missing)
    if [ -n "$missing" ]; then
        echo "setup: installing $missing" >&2
        (setup_install "$missing") >"$setup_cache/apt.log" 2>&1 9>&- || {
            cat "$setup_cache/apt.log" >&2
            echo "setup: installing failed" >&2
            exit 1
        }
    fi
    if ! setup_has_next; then
        echo "setup: fetching etcd 3.5 and the headers of mbedTLS 3" >&2
        setup_fetch_next >"$setup_cache/next.log" 2>&1 9>&- || {
            cat "$setup_cache/next.log" >&2
            echo "setup: etcd 3.5 and mbedTLS 3 could not be had: the tests that need them will fail" >&2
        }
    fi
)

setup_main || { echo "setup: failed" >&2; exit 1; }
export PYTHON=/usr/bin/python3
export ETCD_34_DIR=/usr/bin
export ETCD_35_DIR=
[ ! -x "$setup_cache/etcd-3.5/etcd" ] || ETCD_35_DIR=$setup_cache/etcd-3.5
export MBEDTLS_3_DIR=
[ ! -e "$setup_cache/mbedtls-3/mbedtls/ssl.h" ] || MBEDTLS_3_DIR=$setup_cache/mbedtls-3
