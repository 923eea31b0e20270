#!/bin/sh
# Installs what building and testing need and is missing, on Debian 12 or 13 and as root. Quick, and changes nothing, when all is
# there. Nothing that it installs is started, now or at the next boot. Run it, or source it; it then leaves behind:
#   PYTHON          the interpreter that has Debian's pytest, boto3 and PyNaCl
#   ETCD_34_DIR, ETCD_35_DIR, ETCD_35_NEWEST_DIR, ETCD_36_DIR, ETCD_37_DIR
#                   where the programs of these etcds are; empty when they could not be had: the tests that need them then fail
#                   (3.4 and 3.5 are as old as in Debian; the newest 3.5 wants to know who asks for its status)
#   MINIO_DIR       where MinIO is; likewise
#   MBEDTLS_OTHER_DIR   where the headers of the mbedTLS that this Debian does not have are, 2.28 or 3; likewise

setup_packages='
    gcc clang meson ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libssl-dev libsodium-dev libcyaml-dev libyaml-dev
    libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libmbedtls-dev libexpat1-dev libcmocka-dev libjansson-dev
    libmicrohttpd-dev libclang-rt-dev clang-format build-essential debhelper lintian
    ceph-mon ceph-osd radosgw ceph-common etcd-server etcd-client openssl python3-pytest python3-boto3 python3-nacl
    python3-protobuf valgrind strace uuid-runtime curl ca-certificates procps python3-hpack systemd prometheus mandoc
    bash-completion zsh fish git iproute2 man-db libzstd-dev zstd age'

# What this Debian has itself, and what comes from the other one: its release, etcd and mbedTLS.
case $(. /etc/os-release && echo "${VERSION_ID:-}") in
    12) setup_etcd=3.4 setup_other=trixie setup_other_etcd=3.5 setup_other_mbedtls=3 ;;
    *) setup_etcd=3.5 setup_other=bookworm setup_other_etcd=3.4 setup_other_mbedtls=2 ;;
esac
setup_cache=${XDG_CACHE_HOME:-/var/cache}/etcd-backupd-tests
: "${setup_built=etcd-3.5-newest etcd-3.6 etcd-3.7 minio}" # folders of tests/servers, with a go.mod; who needs none says so before
setup_go=1.26                       # the oldest Go that builds those

# Whoever sources us is in tests/ or in a folder of it, or else in the root of the tree.
for setup_top in "$(dirname -- "$0")/.." "$(dirname -- "$0")/../.." .; do
    [ ! -e "$setup_top/tests/setup.sh" ] || break
done
. "$setup_top/tests/debian.sh"

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

# setup_unpack RELEASE PACKAGES...: of a Debian that is not this one, into $scratch/tree. Taken from the mirror that this machine
# already uses, checked against Debian's own keys, and only unpacked.
setup_unpack() {
    debian_find_mirror || return
    mkdir -p "$scratch/lists/partial" "$scratch/archives/partial" "$scratch/debs" "$scratch/tree" || return
    chmod -R a+rX "$scratch" # apt downloads as a user of its own
    chown _apt "$scratch/debs" "$scratch/lists/partial" "$scratch/archives/partial"
    printf 'deb [signed-by=%s] %s %s main\n' "$debian_keyring" "$debian_mirror" "$1" >"$scratch/sources.list"
    shift
    cat >"$scratch/apt.conf" <<CONF
Dir::Etc::sourcelist "$scratch/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Default-Release "";
Dir::State::Lists "$scratch/lists";
Dir::State::status "/dev/null";
Dir::Cache "$scratch";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
APT::Get::AllowUnauthenticated "false";
CONF
    setup_apt -c "$scratch/apt.conf" update && (cd "$scratch/debs" && setup_apt -c "$scratch/apt.conf" download "$@") || return
    for deb in "$scratch"/debs/*.deb; do
        dpkg -x "$deb" "$scratch/tree" || return
    done
}

# The etcd of the other Debian, whose programs run here as they are, and the headers of its mbedTLS.
setup_fetch_other() {
    setup_unpack $setup_other etcd-server etcd-client libmbedtls-dev || return
    "$scratch/tree/usr/bin/etcd" --version && "$scratch/tree/usr/bin/etcdctl" version || return
    rm -rf "$setup_cache/etcd-$setup_other_etcd" "$setup_cache/mbedtls-$setup_other_mbedtls"
    mv "$scratch/tree/usr/include" "$setup_cache/mbedtls-$setup_other_mbedtls" &&
        mv "$scratch/tree/usr/bin" "$setup_cache/etcd-$setup_other_etcd"
}

setup_has_other() {
    [ -x "$setup_cache/etcd-$setup_other_etcd/etcd" ] && [ -e "$setup_cache/mbedtls-$setup_other_mbedtls/mbedtls/ssl.h" ]
}

# What Debian does not have is built from published Go modules, in the versions that tests/servers/NAME/go.mod pins, with this
# machine's Go if that is new enough, else with Debian's. By its go.mod it is known to be there.
setup_unbuilt() {
    for name in $setup_built; do
        cmp -s "$setup_top/tests/servers/$name/go.mod" "$setup_cache/$name/go.mod" || printf '%s ' "$name"
    done
}

setup_is_go() {
    have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) &&
        printf 'go%s\n%s\n' "$setup_go" "$have" | sort -C -V
}

setup_find_go() {
    for go in go /usr/lib/go-*/bin/go "$scratch/tree/usr/lib/go-$setup_go/bin/go"; do
        ! setup_is_go "$go" || return 0
    done
    return 1
}

# What it downloads and compiles on the way is not kept: it is a hundred times as much.
setup_build() {
    setup_find_go || { setup_unpack trixie-backports golang-$setup_go-go golang-$setup_go-src && setup_find_go; } ||
        return
    export GOTOOLCHAIN=local GOFLAGS='-mod=readonly -modcacherw -trimpath -buildvcs=false' GOWORK=off CGO_ENABLED=0 \
        GOPATH="$scratch/go" GOMODCACHE= GOCACHE="$scratch/go-build" GOBIN=
    for name in $(setup_unbuilt); do
        rm -rf "$scratch/$name"
        mkdir "$scratch/$name" || return
        (cd "$setup_top/tests/servers/$name" && nice "$go" build -ldflags=-s -o "$scratch/$name/" tool) || return
        [ ! -e "$scratch/$name/server" ] || mv "$scratch/$name/server" "$scratch/$name/etcd" # it is named after its folder
        cp "$setup_top/tests/servers/$name/go.mod" "$scratch/$name/" || return
        rm -rf "${setup_cache:?}/$name"
        mv "$scratch/$name" "$setup_cache/$name" || return
    done
}

# setup_get WHAT FUNCTION: which works in a folder that goes afterwards.
setup_get() {
    echo "setup: fetching $1" >&2
    scratch=$(mktemp -d "$setup_cache/fetch.XXXXXX") || return
    "$2" >"$setup_cache/$2.log" 2>&1 9>&- || {
        cat "$setup_cache/$2.log" >&2
        echo "setup: $1 could not be had: the tests that need them will fail" >&2
    }
    rm -rf "$scratch"
}

setup_main() (
    missing=$(setup_missing)
    [ -n "$missing" ] || ! setup_has_other || [ -n "$(setup_unbuilt)" ] || exit 0
    if [ "$(id -u)" != 0 ]; then
        [ -z "$missing" ] || echo "setup: these packages are missing, install them or run this as root: $missing" >&2
        [ -n "$missing" ] || echo "setup: of etcd's other releases, MinIO and mbedTLS $setup_other_mbedtls something is missing in $setup_cache, run this as root once" >&2
        [ -z "$missing" ]
        exit
    fi
    mkdir -p "$setup_cache" || exit
    # One at a time: whoever waited finds the work done.
    exec 9>"$setup_cache/lock"
    flock 9 || exit
    rm -rf "$setup_cache"/fetch.* # of a run that was killed: nobody else is at it now
    missing=$(setup_missing)
    if [ -n "$missing" ]; then
        echo "setup: installing $missing" >&2
        (setup_install "$missing") >"$setup_cache/apt.log" 2>&1 9>&- || {
            cat "$setup_cache/apt.log" >&2
            echo "setup: installing failed" >&2
            exit 1
        }
    fi
    setup_has_other || setup_get "etcd $setup_other_etcd and the headers of mbedTLS $setup_other_mbedtls" setup_fetch_other
    missing=$(setup_unbuilt)
    [ -z "$missing" ] || setup_get "${missing% }" setup_build
)

setup_main || { echo "setup: failed" >&2; exit 1; }
export PYTHON=/usr/bin/python3
# setup_etcd_dir VERSION
setup_etcd_dir() {
    if [ "$1" = $setup_etcd ]; then
        echo /usr/bin
    elif [ -x "$setup_cache/etcd-$1/etcd" ]; then
        echo "$setup_cache/etcd-$1"
    fi
}
ETCD_34_DIR=$(setup_etcd_dir 3.4) ETCD_35_DIR=$(setup_etcd_dir 3.5) ETCD_35_NEWEST_DIR=$(setup_etcd_dir 3.5-newest)
ETCD_36_DIR=$(setup_etcd_dir 3.6) ETCD_37_DIR=$(setup_etcd_dir 3.7)
export ETCD_34_DIR ETCD_35_DIR ETCD_35_NEWEST_DIR ETCD_36_DIR ETCD_37_DIR
export MINIO_DIR=
[ ! -x "$setup_cache/minio/minio" ] || MINIO_DIR=$setup_cache/minio
export MBEDTLS_OTHER_DIR=
[ ! -e "$setup_cache/mbedtls-$setup_other_mbedtls/mbedtls/ssl.h" ] || MBEDTLS_OTHER_DIR=$setup_cache/mbedtls-$setup_other_mbedtls
