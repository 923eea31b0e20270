#!/bin/sh
# minio.sh start|run DIR [--tls none|server] [--ca DIR] [--cert NAME] [--set NAME=VALUE]...
# minio.sh restart|stop DIR
# A second real S3 store: MinIO with one drive, as a plain process on 127.0.0.1.
#
# MINIO_DIR, which tests/setup.sh sets, is where it is. It has the user testkey/testsecret, and addresses buckets by path.
#   --tls      server: https; it has one port, for one of the two (none)
#   --ca       where ca.sh has made the certificates; left out: made in DIR/ca
#   --cert     which certificate it shows (server)
#   --set      a variable of its environment, MINIO_IDENTITY_OPENID_CONFIG_URL=http://... say; without white space
# DIR/ready says S3_URL, S3_CA and, where it knows an OpenID provider, the role that this one's tokens get, as S3_ROLE. The
# process is minio.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
[ $# -ge 2 ] || { verbs "$0" help -; exit 2; }
verb=$1
dir=$2
shift 2

case $verb in
    run) ;;
    *) verbs "$0" "$verb" "$dir" "$@"; exit ;;
esac

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
ca=$dir/ca cert=server scheme=http settings=
while [ $# -gt 0 ]; do
    case $1 in
        --tls) [ "$2" = none ] || scheme=https ;;
        --ca) ca=$2 ;;
        --cert) cert=$2 ;;
        --set) settings="$settings $2" ;;
        *) echo "minio.sh: $1 is no option" >&2; exit 2 ;;
    esac
    shift 2
done
quiet=--quiet
[ -z "$settings" ] || quiet= # it says what the role is
[ -n "${MINIO_DIR+set}" ] || . "$here/../setup.sh"
[ -x "$MINIO_DIR/minio" ] || { echo "minio.sh: there is no MinIO on this machine" >&2; exit 1; }
[ -e "$ca/ca.crt" ] || sh "$here/ca.sh" "$ca"

start_minio() {
    # HOME: it keeps its own things there, and is not to find those of whoever runs the tests.
    # shellcheck disable=SC2086 # a list of words
    spawn minio env -i PATH="$PATH" HOME="$dir" MINIO_ROOT_USER=testkey MINIO_ROOT_PASSWORD=testsecret MINIO_BROWSER=off \
        MINIO_UPDATE=off $settings "$MINIO_DIR/minio" server $quiet --address "127.0.0.1:$port" --certs-dir "$dir/certs" "$dir/data"
}

answers() { curl -q -s -k --max-time 5 -o /dev/null -f "$scheme://127.0.0.1:$port/minio/health/live"; }
answers_or_dead() { answers || not_alive "$dir/minio.pid"; }

serve() {
    alive "$dir/minio.pid" || start_minio
    wait_until 60 answers_or_dead && answers && wait_until 60 says_its_role
}

# It answers before that. Without a provider there is none.
says_its_role() { [ "${settings#*_OPENID_}" = "$settings" ] || [ -n "$(role)" ]; }

role() { sed -n 's/.*\(arn:minio:iam:::role\/[^ ]*\).*/\1/p' "$dir/minio.log" | tail -n 1; }

ready() {
    cat >"$dir/ready.new" <<READY
S3_URL=$scheme://127.0.0.1:$port
S3_CA=$ca/ca.crt
S3_ROLE=$(role)
READY
    mv "$dir/ready.new" "$dir/ready"
}

again() { serve && ready; }

on_signals
rm -rf "$dir/data"
mkdir -p "$dir/data" "$dir/certs"
[ $scheme = http ] || { cp "$ca/$cert.crt" "$dir/certs/public.crt" && cp "$ca/$cert.key" "$dir/certs/private.key"; }
port=$(free_ports 1)
# Somebody may have taken the port since we looked: then once more, with another.
serve || { echo "once more, with another port"; kill_all; port=$(free_ports 1); serve; } ||
    { tail -n 5 "$dir"/minio.log; kill_all; exit 1; }
ready
hold again
