#!/bin/sh
# ceph.sh start|run DIR [--ca DIR] [--store memstore|bluestore] [--cert NAME] [--rgw 'OPTION=VALUE ...']
# ceph.sh restart|stop DIR
# ceph.sh admin DIR ARGUMENTS...      radosgw-admin of that store
# A real S3 store: Ceph's RADOS gateway with one monitor and one object store device, as plain processes on 127.0.0.1.
#
# It checks signatures and payload hashes, speaks http and https, addresses buckets by path and as BUCKET.localhost, and has
# the user testkey/testsecret and a second one, otherkey/othersecret, who may do nothing with the first one's buckets.
#   --ca       where ca.sh has made the certificates; left out: made in DIR/ca
#   --store    memstore keeps objects in memory; bluestore in a file in DIR
#   --cert     which certificate the gateway shows (server)
#   --rgw      settings of the gateway, such as rgw_max_concurrent_requests=1, which answers 503 SlowDown
# DIR/ready says S3_HTTP, S3_HTTPS (URLs), S3_PORT, S3_TLS_PORT, S3_CA.
# The processes are mon, osd and rgw: a stopped (SIGSTOP) osd makes a PUT hang, CONT lets it go on.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
[ $# -ge 2 ] || { verbs "$0" help -; exit 2; }
verb=$1
dir=$2
shift 2
unset CEPH_ARGS CEPH_CONF
PATH=$PATH:/usr/sbin:/sbin

case $verb in
    admin) exec radosgw-admin -c "$dir/ceph.conf" -n client.rgw "$@" ;;
    run) ;;
    *) verbs "$0" "$verb" "$dir" "$@"; exit ;;
esac

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
ca=$dir/ca store=memstore cert=server rgw=
while [ $# -gt 0 ]; do
    case $1 in
        --ca) ca=$2 ;;
        --store) store=$2 ;;
        --cert) cert=$2 ;;
        --rgw) rgw=$2 ;;
        *) echo "ceph.sh: $1 is no option" >&2; exit 2 ;;
    esac
    shift 2
done
[ -e "$ca/ca.crt" ] || sh "$here/ca.sh" "$ca"

# osd_class_dir: Debian 13's looks for its classes below the working directory.
# osd_heartbeat_grace: an OSD that was stopped for longer than some seconds is not given up, and answers when it goes on.
configure() {
    fsid=$(cat /proc/sys/kernel/random/uuid)
    # shellcheck disable=SC2046 # three words
    set -- $(free_ports 3)
    mon=127.0.0.1:$1 http=$2 https=$3
    classes=$(find /usr/lib -path '*/rados-classes/libcls_version.so' -printf '%h' -quit)
    cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon_host = [v2:$mon]
public_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
run_dir = $dir
admin_socket =
log_file = $dir/\$name.ceph.log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_heartbeat_grace = 3600
[mon.a]
mon_data = $dir/mon
[osd.0]
osd_data = $dir/osd
osd_uuid = $(cat /proc/sys/kernel/random/uuid)
osd_objectstore = $store
${classes:+osd_class_dir = $classes}
osd_memory_target = 1G
memstore_device_bytes = 12G
bluestore_block_size = 40G
bluestore_block_wal_create = false
bluestore_block_db_create = false
[client.rgw]
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$http ssl_endpoint=127.0.0.1:$https ssl_certificate=$ca/$cert.crt ssl_private_key=$ca/$cert.key
rgw_dns_name = localhost
rgw_gc_obj_min_wait = 2
rgw_gc_processor_period = 2
CONF
    for setting in $rgw; do
        echo "$setting" >>"$dir/ceph.conf"
    done
}

c="-c $dir/ceph.conf"
# shellcheck disable=SC2086 # $c is an option and its value
start_mon() { spawn mon ceph-mon $c -f -i a; }
# shellcheck disable=SC2086
start_osd() { spawn osd ceph-osd $c -f -i 0; }
# shellcheck disable=SC2086
start_rgw() { spawn rgw radosgw $c -f -n client.rgw; }

answers() { curl -q -s -o "$dir/answer" "http://127.0.0.1:$http/" && grep -q ListAllMyBuckets "$dir/answer"; }
answers_or_dead() { answers || ! { alive "$dir/mon.pid" && alive "$dir/osd.pid" && alive "$dir/rgw.pid"; }; }

ready() {
    wait_until 100 answers_or_dead
    answers || { tail -n 5 "$dir"/*.log >&2; return 1; }
    cat >"$dir/ready.new" <<READY
S3_HTTP=http://127.0.0.1:$http
S3_HTTPS=https://127.0.0.1:$https
S3_PORT=$http
S3_TLS_PORT=$https
S3_CA=$ca/ca.crt
READY
    mv "$dir/ready.new" "$dir/ready"
}

again() {
    for server in mon osd rgw; do
        alive "$dir/$server.pid" || "start_$server"
    done
    ready
}

# shellcheck disable=SC2086
bring_up() {
    rm -rf "$dir/mon" "$dir/osd" "$dir/rgw"
    mkdir -p "$dir/mon" "$dir/osd" "$dir/rgw"
    configure
    monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:$mon]" "$dir/monmap" &&
        ceph-mon $c --mkfs -i a --monmap "$dir/monmap" && start_mon &&
        ceph $c --connect-timeout 60 osd new "$(sed -n 's/^osd_uuid = //p' "$dir/ceph.conf")" &&
        ceph-osd $c --mkfs -i 0 && start_osd && start_rgw &&
        wait_until 100 answers_or_dead && answers &&
        user t testkey testsecret && user other otherkey othersecret
}
# shellcheck disable=SC2086
user() {
    radosgw-admin $c -n client.rgw user create --uid="$1" --display-name="$1" --access-key="$2" --secret-key="$3" \
        >/dev/null
}

on_signals
# Somebody may have taken a port since we looked: then once more, with others.
bring_up || { echo "once more, with other ports"; kill_all; bring_up; } || { tail -n 5 "$dir"/*.log; kill_all; exit 1; }
ready
hold again
