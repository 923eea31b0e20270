#!/bin/sh
# sh tests/demo.sh       a tour: a real etcd, a real S3 store, an encrypted backup, and the proof that it is one
#
# Installs what is missing, builds, and shows each step with the command that does it and what it says. All happens in a
# scratch folder and on 127.0.0.1; at the end, or when interrupted, nothing is left but the build. A second tour takes
# seconds, and several may run at once. To add to it: write a chapter, and name it at the end.

set -u
top=$(cd "$(dirname "$0")/.." && pwd)

if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi
number=0

heading() {
    number=$((number + 1))
    printf '\n%s%s. %s%s\n\n' "$bold" "$number" "$*" "$plain"
}
say() { printf '%s\n' "$*"; }
fail() {
    printf '\ndemo: %s\n' "$*" >&2
    exit 1
}

# run 'COMMAND LINE': shows it as one would type it, and does it; the tour ends where something fails.
run() {
    printf '%s$ %s%s\n' "$bold" "$1" "$plain"
    # A pipe, so that what the programs print does not depend on who looks at the tour.
    { eval "$1" 2>&1 || echo $? >"$scratch/.failed"; } | sed "s/^/  /"
    [ ! -e "$scratch/.failed" ] || fail "that ended with exit status $(cat "$scratch/.failed")"
}

# quietly LOG COMMAND...: shows what it printed only when it fails.
quietly() {
    quiet_log=$scratch/$1
    shift
    "$@" >"$quiet_log" 2>&1 </dev/null && return
    cat "$quiet_log" >&2
    fail "$* failed"
}

clean_up() {
    trap '' INT TERM
    cd /
    for process in ${daemon:-} ${new_etcd:-}; do
        kill -TERM "$process" 2>/dev/null
    done
    for server in "$scratch"/etcd "$scratch"/s3; do
        server_stop "$server"
    done
    wait
    rm -rf "$scratch"
}

chapter_build() {
    heading 'Install what is missing, and build'
    say "${bold}\$ sh tests/setup.sh$plain"
    setup_built=
    . "$top/tests/setup.sh"
    . "$top/tests/build.sh"
    . "$top/tests/servers/lib.sh"
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/ebd-demo.XXXXXX") || exit 1
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    say "${bold}\$ meson setup build/gcc && ninja -C build/gcc$plain"
    quietly build.log build gcc gcc
    cd "$scratch" || exit 1
    PATH=$build_root/gcc/daemon:$build_root/gcc/daemon/ctl:$PATH
    run 'etcd-backupd --version'
}

# $1: the version of etcd
chapter_servers() {
    heading "A real etcd $1 that asks for client certificates, and a real S3 store over TLS"
    quietly ca.log sh "$top/tests/servers/ca.sh" "$scratch/ca"
    quietly etcd.log server_start "$top/tests/servers/etcd.sh" "$scratch/etcd" --ca "$scratch/ca" --version "$1" --tls mutual
    quietly s3.log server_start "$top/tests/servers/ceph.sh" "$scratch/s3" --ca "$scratch/ca"
    . "$scratch/etcd/ready"
    . "$scratch/s3/ready"
    PATH=$ETCD_BIN:$PATH
    export ETCDCTL_API=3 ETCDCTL_ENDPOINTS="$ETCD_ENDPOINTS" ETCDCTL_CACERT="$scratch/ca/ca.crt" \
        ETCDCTL_CERT="$scratch/ca/root.crt" ETCDCTL_KEY="$scratch/ca/root.key"
    say "etcd is at $ETCD_ENDPOINTS, Ceph's RADOS gateway at $S3_HTTPS."
    say "With some data in it, one value of which we shall look for later:"
    run 'etcdctl put greeting "the quick brown fox"'
    run 'for n in $(seq 24); do head -c 750000 /dev/urandom | base64 | etcdctl put data/$n >/dev/null; done'
    run 'etcdctl endpoint status -w table'
    quietly bucket.log s3 create_bucket
}

# s3 create_bucket | s3 fetch NAME FILE: with boto3, which has nothing to do with us.
s3() {
    "$PYTHON" - "$S3_HTTP" "$@" <<'S3'
import sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="testkey",
                      aws_secret_access_key="testsecret")
if sys.argv[2] == "create_bucket":
    client.create_bucket(Bucket="backups")
else:
    client.download_file("backups", sys.argv[3], sys.argv[4])
S3
}

chapter_configure() {
    heading 'A master key, and the configuration'
    umask 077
    say 'The fingerprint tells nothing about the key; it is what people compare.'
    run 'etcd-backupctl generate-key master.key'
    printf 'access_key: testkey\nsecret_key: testsecret\n' >s3.yml
    cat >etcd-backupd.conf <<CONF
etcd_client:
  endpoints: ["${ETCD_ENDPOINTS#https://}"]
  auth:
    ca_cert: $scratch/ca/ca.crt
    client_cert: $scratch/ca/backup.crt
    client_key: $scratch/ca/backup.key
snapshot_path: $scratch/snapshot.db
encryption_key_path: $scratch/master.key
s3_client:
  objects_prefix: demo/backup
  endpoint: ${S3_HTTPS#https://}
  bucket: backups
  region: us-east-1
  auth:
    ca_cert: $scratch/ca/ca.crt
    key_auth: $scratch/s3.yml
control:
  socket: $scratch/control.sock
CONF
    run 'cat etcd-backupd.conf'
    run 'etcd-backupd -c etcd-backupd.conf --check-config && echo fine'
}

answers() { etcd-backupctl -s control.sock status >/dev/null 2>&1; }

chapter_backup() {
    heading 'The daemon, and a backup'
    say "${bold}\$ etcd-backupd -c etcd-backupd.conf &$plain"
    setpriv --pdeathsig TERM etcd-backupd -c etcd-backupd.conf >daemon.log 2>&1 </dev/null &
    daemon=$!
    wait_until 60 answers || { cat daemon.log; fail 'the daemon does not listen'; }
    run 'etcd-backupctl -s control.sock backup'
    run 'etcd-backupctl -s control.sock status'
    run 'etcd-backupctl -s control.sock list'
    say 'and what the daemon has to say of it:'
    run 'cat daemon.log'
}

chapter_restore() {
    heading 'Read it back'
    run 'etcd-backupctl -s control.sock restore --use-etcdutl=false --output restored.db'
    run 'etcdctl snapshot status restored.db -w table 2>/dev/null'
    say 'A snapshot that etcdctl takes by itself has the same content:'
    run 'etcdctl snapshot save by-etcdctl.db >/dev/null 2>&1; etcdctl snapshot status by-etcdctl.db -w table 2>/dev/null'
    ours=$(etcdctl snapshot status restored.db 2>/dev/null | cut -d, -f1-3)
    theirs=$(etcdctl snapshot status by-etcdctl.db 2>/dev/null | cut -d, -f1-3)
    [ -n "$ours" ] && [ "$ours" = "$theirs" ] || fail "hash, revision or keys differ: $ours and $theirs"
}

new_is_healthy() { ETCDCTL_ENDPOINTS=$new etcdctl endpoint health >/dev/null 2>&1; }

chapter_unpack() {
    heading 'A new etcd from it'
    say 'First only look: is anything in the way?'
    run 'etcd-backupctl -s control.sock restore --data-dir new-etcd --dry-run'
    run 'etcd-backupctl -s control.sock restore --data-dir new-etcd'
    # shellcheck disable=SC2046 # two words
    set -- $(free_ports 2)
    say "${bold}\$ etcd --data-dir new-etcd &$plain"
    new=https://127.0.0.1:$1
    setpriv --pdeathsig TERM etcd --data-dir new-etcd --listen-client-urls "$new" --advertise-client-urls "$new" \
        --cert-file ca/server.crt --key-file ca/server.key --client-cert-auth --trusted-ca-file ca/ca.crt \
        --listen-peer-urls "http://127.0.0.1:$2" >new-etcd.log 2>&1 </dev/null &
    new_etcd=$!
    wait_until 60 new_is_healthy || { tail new-etcd.log; fail 'the new etcd is not healthy'; }
    run "ETCDCTL_ENDPOINTS=$new etcdctl get greeting"
    say 'Old and new hold the same: HashKV, a hash by etcd over all keys, values and revisions.'
    run "ETCDCTL_ENDPOINTS=$ETCD_ENDPOINTS,$new etcdctl endpoint hashkv -w table"
    hashes=$(ETCDCTL_ENDPOINTS=$ETCD_ENDPOINTS,$new etcdctl endpoint hashkv 2>/dev/null | cut -d, -f2 | sort -u | wc -l)
    [ "$hashes" = 1 ] || fail 'they differ'
    kill -TERM "$new_etcd"
    { wait "$new_etcd" || :; } 2>/dev/null
    new_etcd=
}

chapter_look() {
    heading 'One deleted key back'
    say 'Nothing needs to be restored for that:'
    run 'etcdctl del greeting'
    run 'etcd-backupctl -s control.sock diff --live 2>&1 || [ $? = 1 ]'
    run 'etcd-backupctl -s control.sock get greeting | etcdctl put -- greeting'
    run 'etcdctl get greeting'
    [ "$(etcdctl get greeting --print-value-only)" = 'the quick brown fox' ] || fail 'it is not what it was'
    say 'What fills the database:'
    run 'etcd-backupctl -s control.sock ls --prefixes 1'
    say 'The same from a plain snapshot, without a daemon:'
    run 'etcd-backupctl ls --file restored.db data/2 -l'
}

chapter_verify() {
    heading 'Are the backups good?'
    say 'A drill reads them all back, proves that each holds what its etcd had, unpacks it, and leaves nothing behind:'
    run 'etcd-backupctl -s control.sock verify --all --drill 2>/dev/null'
    run 'etcd-backupctl -s control.sock list'
}

has_pruned() { grep -q 'prune done' daemon.log; }
has_verified() { grep -q 'verification done: 1 good' daemon.log; }

chapter_schedule() {
    heading 'By itself'
    # shellcheck disable=SC2046 # one word
    set -- $(free_ports 1)
    kill -TERM "$daemon"
    wait "$daemon" || fail "the daemon ended with exit status $?"
    say 'The same with a timer, a retention, metrics, and a proof of the newest backup:'
    cat >>etcd-backupd.conf <<CONF
schedule: {interval: 8s}
prune: {max_age: 1h, min_count: 2, keep_hourly: 2}
metrics: {listen: "127.0.0.1:$1"}
health: {max_age: 1m}
verify: {schedule: {interval: 8s}, drill: true}
CONF
    run 'tail -n 5 etcd-backupd.conf'
    say "${bold}\$ etcd-backupd -c etcd-backupd.conf &$plain"
    setpriv --pdeathsig TERM etcd-backupd -c etcd-backupd.conf >daemon.log 2>&1 </dev/null &
    daemon=$!
    wait_until 60 has_pruned || { cat daemon.log; fail 'it makes no backups'; }
    wait_until 60 has_verified || { cat daemon.log; fail 'it verifies no backups'; }
    run 'etcd-backupctl -s control.sock status'
    say 'What would go if a backup were old after a second, and why the others stay:'
    run 'etcd-backupctl -s control.sock prune --max-age 1s --min-count 1 --dry-run'
    run "curl -s http://127.0.0.1:$1/metrics | grep -E '^etcd_backupd_(backups_total|backup_last|bucket|next|verify)'"
    run "curl -s http://127.0.0.1:$1/healthz"
}

chapter_rotate() {
    heading 'Another master key'
    say 'A new key comes into use; the old one is kept until nothing needs it any more.'
    run 'etcd-backupctl generate-key next.key'
    run 'mv master.key previous.key && mv next.key master.key'
    run "echo 'previous_key_paths: [\"$scratch/previous.key\"]' >>etcd-backupd.conf && kill -HUP $daemon"
    wait_until 60 grep -q 'read anew' daemon.log || { cat daemon.log; fail 'it does not read its configuration anew'; }
    say 'Now both open backups. How much is there to do?'
    run 'etcd-backupctl -s control.sock rotate-key -p previous.key --dry-run'
    run 'etcd-backupctl -s control.sock rotate-key -p previous.key'
    say 'So it is destroyed, and the backup from before is restored with the new key alone:'
    run "rm previous.key && sed -i '/^previous_key_paths/d' etcd-backupd.conf"
    run 'etcd-backupctl -c etcd-backupd.conf restore --use-etcdutl=false --output rotated.db 2>/dev/null'
    run 'cmp restored.db rotated.db && echo the same, to the byte'
    run 'etcd-backupctl -c etcd-backupd.conf list'
}

chapter_proof() {
    heading 'Read it with another program, from the raw objects'
    name=$(etcd-backupctl -s control.sock list --json |
        "$PYTHON" -c 'import json, sys; print(json.loads(sys.stdin.readline())["name"][:-5])') || fail 'list --json failed'
    say "Two objects, fetched with boto3: $name.dump, and .key, its data key wrapped by the master key."
    s3 fetch "$name.dump" object.dump && s3 fetch "$name.key" object.key || fail 'the objects are not there'
    run 'ls -l object.dump object.key restored.db'
    say 'The value from the beginning is in the snapshot, and not to be seen in the object:'
    run 'grep -c -a "the quick brown fox" restored.db'
    run 'grep -c -a "the quick brown fox" object.dump || [ $? = 1 ]'
    say 'A reader in Python that shares no code with etcd-backupd:'
    cp "$top/contrib/reader.py" .
    time=${name#demo/backup-}
    run "$PYTHON reader.py --key master.key --timestamp $time object.dump object.key -o by-python.db"
    run 'cmp restored.db by-python.db && echo byte for byte the same'
    cut=$(($(wc -c <restored.db) - 32))
    say 'Its last 32 bytes are the SHA-256, by etcd, of all before:'
    run "head -c $cut restored.db | sha256sum | cut -c1-64"
    run 'tail -c 32 restored.db | od -An -v -tx1 | tr -d " \n"; echo'
    [ "$(head -c $cut restored.db | sha256sum | cut -c1-64)" = "$(tail -c 32 restored.db | od -An -v -tx1 | tr -d ' \n')" ] ||
        fail 'they differ'
}

chapter_seal() {
    heading 'Keys that this machine cannot open'
    say 'Two people make identities, elsewhere. Here comes only to whom backups are sealed; the master key vouches from now on.'
    for who in ann ben; do
        run "etcd-backupctl generate-key --identity $who.identity"
    done
    recipients=$(sed -n 's/^# public key: //p' ann.identity ben.identity | sed 's/.*/"&"/' | paste -sd,)
    count=$(grep -c 'read anew' daemon.log)
    run "echo 'encryption_recipients: [$recipients]' >>etcd-backupd.conf && kill -HUP $daemon"
    wait_until 60 sh -c "[ \"\$(grep -c 'read anew' daemon.log)\" -gt $count ]" || fail 'it does not read its configuration anew'
    say 'What the master key has wrapped so far is sealed, too; the dumps stay as they are:'
    run 'etcd-backupctl -s control.sock rotate-key -p master.key'
    run 'etcd-backupctl -s control.sock list'
    say 'Who has this machine and the bucket reads nothing of it. With one of the identities it is all there:'
    run 'etcd-backupctl -s control.sock verify'
    run 'etcd-backupctl -s control.sock verify --all --identity ben.identity'
    say 'And back to the master key:'
    run "sed -i '/^encryption_recipients/d' etcd-backupd.conf && kill -HUP $daemon"
    wait_until 60 sh -c "[ \"\$(grep -c 'read anew' daemon.log)\" -gt $((count + 1)) ]" || fail 'it does not read its configuration anew'
    run 'etcd-backupctl -s control.sock rotate-key --identity ann.identity'
}

chapter_end() {
    heading 'Stop'
    say "${bold}\$ kill %1$plain"
    kill -TERM "$daemon"
    wait "$daemon" || fail "the daemon ended with exit status $?"
    daemon=
    run 'tail -n 1 daemon.log'
    say
    say 'All of it worked.'
}

chapter_build
chapter_servers 3.5
chapter_configure
chapter_backup
chapter_restore
chapter_unpack
chapter_look
chapter_verify
chapter_rotate
chapter_seal
chapter_proof
chapter_schedule
chapter_end
