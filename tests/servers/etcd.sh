#!/bin/sh
# etcd.sh start|run DIR [--version X.Y] [--members N] [--tls none|server|mutual] [--cert NAME] [--auth none|password|cn]
#                       [--ca DIR] [-- OPTIONS OF ETCD...]
# etcd.sh restart|stop DIR
# etcd.sh ctl DIR ARGUMENTS...        etcdctl of that cluster, with its root user's rights
# A real etcd cluster on 127.0.0.1.
#
#   --version   3.4, 3.5, 3.5-newest, 3.6, 3.7: found through ETCD_34_DIR and so on, which tests/setup.sh sets (3.4)
#   --members   1 or more (1)
#   --tls       server: https; mutual: clients need a certificate of the tests' authority as well (none)
#   --cert      which certificate of ca.sh the members show (server)
#   --auth      password: user root with password rootpw, and backup with backuppw, both with the root role, and nobody
#               with nobodypw, without any; cn: users by the common name of the client certificate, root and backup (none)
#   --ca        where ca.sh has made the certificates; left out: made in DIR/ca
# DIR/ready says ETCD_ENDPOINTS (URLs, with commas between), ETCD_VERSION, ETCD_BIN (a folder), ETCD_CA. The processes are n1, n2, …

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
[ $# -ge 2 ] || { verbs "$0" help -; exit 2; }
verb=$1
dir=$2
shift 2
unset ETCDCTL_ENDPOINTS ETCDCTL_USER ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY
export ETCDCTL_API=3

# ctl ARGUMENTS...: by what `run` has left in DIR/state.
ctl() {
    # shellcheck disable=SC1091 # written below
    . "$dir/state"
    # Its own five seconds are too few on a machine that is busy.
    set -- --endpoints="$endpoints" --dial-timeout=60s --command-timeout=120s "$@"
    [ "$tls" = none ] || set -- --cacert="$ca/ca.crt" "$@"
    [ "$tls" != mutual ] || set -- --cert="$ca/root.crt" --key="$ca/root.key" "$@"
    [ -z "$user" ] || set -- --user="$user" "$@"
    case $cert in server | server-rsa) ;; *) [ "$tls" = none ] || set -- --insecure-skip-tls-verify "$@" ;; esac
    "$bin/etcdctl" "$@"
}

case $verb in
    ctl) ctl "$@"; exit ;;
    run) ;;
    *) verbs "$0" "$verb" "$dir" "$@"; exit ;;
esac

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
version=3.4 members=1 tls=none cert=server auth=none ca=$dir/ca
while [ $# -gt 0 ]; do
    case $1 in
        --version) version=$2 ;;
        --members) members=$2 ;;
        --tls) tls=$2 ;;
        --cert) cert=$2 ;;
        --auth) auth=$2 ;;
        --ca) ca=$2 ;;
        --) shift; break ;;
        *) echo "etcd.sh: $1 is no option" >&2; exit 2 ;;
    esac
    shift 2
done
[ -n "${ETCD_35_DIR+set}" ] || . "$here/../setup.sh"
case $version in
    *[!0-9a-z.-]*) bin= ;;
    *) eval "bin=\${ETCD_$(echo "$version" | tr -d . | tr a-z- A-Z_)_DIR:-}" ;;
esac
extra=$*
[ -x "$bin/etcd" ] || { echo "etcd.sh: there is no etcd $version on this machine" >&2; exit 1; }
[ "$tls" = none ] || [ -e "$ca/ca.crt" ] || sh "$here/ca.sh" "$ca"

scheme=http
[ "$tls" = none ] || scheme=https

# The state that a restart and `ctl` go by: one client and one peer port for each member.
configure() {
    rm -rf "$dir"/n*.data
    endpoints='' peers='' ports=$(free_ports $((2 * members)))
    # shellcheck disable=SC2086 # a list of words
    set -- $ports
    n=1
    while [ $n -le "$members" ]; do
        endpoints=$endpoints${endpoints:+,}$scheme://127.0.0.1:$1
        peers=$peers${peers:+,}n$n=http://127.0.0.1:$2
        shift 2
        n=$((n + 1))
    done
    {
        for name in endpoints tls cert ca bin; do
            eval "echo $name=\\'\$$name\\'"
        done
        echo user=
    } >"$dir/state"
}

# nth LIST N: of a list with commas.
nth() { echo "$1" | cut -d, -f"$2"; }

start_member() {
    n=$1
    url=$(nth "$endpoints" "$n")
    peer=$(nth "$peers" "$n")
    peer=${peer#*=}
    # shellcheck disable=SC2086 # a list of options
    set -- --name="n$n" --data-dir="$dir/n$n.data" --listen-client-urls="$url" --advertise-client-urls="$url" \
        --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="$peers" \
        --initial-cluster-state=new --quota-backend-bytes=$((16 << 30)) --logger=zap $extra
    # Alone, it need not wait a second for votes that nobody else has.
    [ "$members" != 1 ] || set -- --heartbeat-interval=20 --election-timeout=200 "$@"
    [ "$tls" = none ] || set -- --cert-file="$ca/$cert.crt" --key-file="$ca/$cert.key" "$@"
    [ "$tls" != mutual ] || set -- --client-cert-auth --trusted-ca-file="$ca/ca.crt" "$@"
    spawn "n$n" "$bin/etcd" "$@"
}

# Each member must say so itself. -k: some certificates are wrong on purpose.
healthy() {
    set -- -q -s -k --max-time 5
    [ "$tls" != mutual ] || set -- "$@" --cert "$ca/root.crt" --key "$ca/root.key"
    for url in $(echo "$endpoints" | tr , ' '); do
        curl "$@" "$url/health" | grep -q '"health":"true"' || return 1
    done
}
healthy_or_dead() {
    healthy && return
    n=1
    while [ $n -le "$members" ]; do
        alive "$dir/n$n.pid" || return 0
        n=$((n + 1))
    done
    return 1
}

again() {
    n=1
    while [ $n -le "$members" ]; do
        alive "$dir/n$n.pid" || start_member "$n"
        n=$((n + 1))
    done
}

serve() {
    again
    wait_until 60 healthy_or_dead && healthy
}

ready() {
    cat >"$dir/ready.new" <<READY
ETCD_ENDPOINTS=$endpoints
ETCD_VERSION=$version
ETCD_BIN=$bin
ETCD_CA=$ca/ca.crt
READY
    mv "$dir/ready.new" "$dir/ready"
}

users() {
    case $auth in
        none) return ;;
        password) ctl user add root:rootpw && ctl user add backup:backuppw && ctl user add nobody:nobodypw ;;
        cn) ctl user add root --no-password && ctl user add backup --no-password ;;
    esac &&
        ctl role add root && ctl user grant-role root root && ctl user grant-role backup root && ctl auth enable
}

restart_members() { serve && ready; }

on_signals
# Somebody may have taken a port since we looked: then once more, with others.
configure
serve || { echo "once more, with other ports"; kill_all; configure; serve; } ||
    { tail -n 5 "$dir"/n*.log; kill_all; exit 1; }
users || { kill_all; exit 1; }
[ "$auth" != password ] || echo user=root:rootpw >>"$dir/state"
ready
hold restart_members
