#!/bin/sh
# ca.sh DIR        two certification authorities and the certificates that the tests need, as NAME.crt and NAME.key in DIR
#
# By ca.crt, which the tests trust:
#   server           localhost, *.localhost and bucket.localhost, 127.0.0.1 and ::1     the ordinary case
#   server-rsa       the same with an RSA key, as kubeadm makes them
#   server-dns       localhost alone: wrong for a client that connects to 127.0.0.1
#   server-ip        127.0.0.1 alone, the address in a SAN of its own kind
#   server-other     elsewhere.example alone
#   documents        s3.example.com, 10.0.0.11, 10.0.0.12 and 10.0.0.13: the hosts of README.md and docs/
#   server-expired   as server, but its time is over
#   root, backup     clients whose common name is the user's name
#   client-expired   a client whose time is over
# By other-ca.crt, which nobody trusts:
#   server-alien, client-alien

set -eu
[ $# = 1 ] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
umask 077

ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
rsa='-newkey rsa:2048 -nodes'

authority() {
    # shellcheck disable=SC2086 # options
    openssl req -x509 $ec -keyout "$1.key" -out "$1.crt" -days 30 -subj "/CN=etcd-backupd tests $1" \
        -addext keyUsage=critical,keyCertSign,cRLSign
}

# issue AUTHORITY NAME KEY-OPTIONS COMMON-NAME SAN [START END]
issue() {
    # shellcheck disable=SC2086 # options
    openssl req -new $3 -keyout "$2.key" -out "$2.csr" -subj "/CN=$4"
    # Both uses: etcd presents its server certificate as a client, to itself and to its peers.
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$5" >"$2.ext"
    openssl ca -batch -notext -config authority.conf -name "$1" -in "$2.csr" -out "$2.crt" -extfile "$2.ext" \
        -startdate "${6:-$(date -u -d '-1 hour' +%Y%m%d%H%M%SZ)}" -enddate "${7:-$(date -u -d '+30 days' +%Y%m%d%H%M%SZ)}"
    rm -f "$2.csr" "$2.ext"
}

{
    for ca in ca other-ca; do
        cat <<CONF
[$ca]
certificate = $ca.crt
private_key = $ca.key
new_certs_dir = issued
database = issued/db
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
CONF
    done
    printf '[any]\ncommonName = supplied\n'
} >authority.conf
mkdir -p issued
: >issued/db

all() {
    here='DNS:localhost,DNS:*.localhost,DNS:bucket.localhost,IP:127.0.0.1,IP:::1'
    authority ca
    authority other-ca
    issue ca server "$ec" localhost "$here"
    issue ca server-rsa "$rsa" localhost "$here"
    issue ca server-dns "$ec" localhost DNS:localhost
    issue ca server-ip "$ec" 127.0.0.1 IP:127.0.0.1
    issue ca server-other "$ec" elsewhere.example DNS:elsewhere.example
    issue ca documents "$ec" s3.example.com DNS:s3.example.com,IP:10.0.0.11,IP:10.0.0.12,IP:10.0.0.13,IP:127.0.0.1
    issue ca server-expired "$ec" localhost "$here" 20240101000000Z 20240201000000Z
    issue ca server-soon "$ec" localhost "$here" "$(date -u -d '-1 hour' +%Y%m%d%H%M%SZ)" "$(date -u -d '+10 days' +%Y%m%d%H%M%SZ)"
    issue ca root "$ec" root DNS:root
    issue ca backup "$ec" backup DNS:backup
    issue ca client-expired "$ec" backup DNS:backup 20240101000000Z 20240201000000Z
    issue other-ca server-alien "$ec" localhost "$here"
    issue other-ca client-alien "$ec" backup DNS:backup
}
all 2>openssl.log || { cat openssl.log >&2; exit 1; }
rm -rf issued authority.conf openssl.log
