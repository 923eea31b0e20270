#!/bin/sh
# kubeadm.sh install ETCD-DIR      on a host of the tests: a control plane node, as far as docs/restore.md looks at one
#
# What is real: etcd, its certificates and its manifest in /etc/kubernetes. What is played: the kubelet (a service that runs etcd
# while the manifest is there, as root, and makes the data directory), crictl, ctr and kubectl.

set -eu
bin=/usr/local/bin

tool() { cat >"$bin/$1" && chmod 0755 "$bin/$1"; }

install_all() {
    mkdir -p /etc/kubernetes/manifests /etc/kubernetes/pki/etcd
    cp /etc/etcd/ca.crt /etc/kubernetes/pki/etcd/ca.crt
    for end in crt key; do
        cp /etc/etcd/documents.$end /etc/kubernetes/pki/etcd/server.$end
        install -m 0600 /etc/etcd/backup.$end /etc/kubernetes/pki/etcd/healthcheck-client.$end
    done
    echo 'kind: Pod' >/etc/kubernetes/manifests/kube-apiserver.yaml
    cat >/etc/kubernetes/manifests/etcd.yaml <<'POD'
kind: Pod
spec:
  containers:
  - command:
    - etcd
    - --name=cp1
    - --data-dir=/var/lib/etcd
    - --initial-cluster=cp1=https://127.0.0.1:2380
    - --initial-advertise-peer-urls=https://127.0.0.1:2380
    - --listen-peer-urls=https://127.0.0.1:2380
    - --listen-client-urls=https://127.0.0.1:2379
    - --advertise-client-urls=https://127.0.0.1:2379
    - --client-cert-auth=true
    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    - --peer-cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --peer-key-file=/etc/kubernetes/pki/etcd/server.key
    image: images.example/etcd:3.5.16-0
POD
    rm -rf /var/lib/etcd

    tool kubelet <<KUBELET
#!/bin/sh
manifest=/etc/kubernetes/manifests/etcd.yaml
trap 'kill \$etcd 2>/dev/null; exit 0' TERM
etcd=
while :; do
    if [ -e \$manifest ] && ! kill -0 "\${etcd:-x}" 2>/dev/null; then
        mkdir -p -m 0700 /var/lib/etcd
        $1/\$(sed -n 's/^    - //p' \$manifest | tr '\n' ' ') &
        etcd=\$!
        echo \$etcd >/run/kubelet-etcd
    elif [ ! -e \$manifest ] && [ -n "\$etcd" ]; then
        kill \$etcd && wait \$etcd
        etcd=
        rm -f /run/kubelet-etcd
    fi
    sleep 0.1
done
KUBELET

    tool crictl <<'CRICTL'
#!/bin/sh
echo 'CONTAINER IMAGE CREATED STATE NAME ATTEMPT POD'
[ ! -e /run/kubelet-etcd ] || echo '1 2 now Running etcd 0 3'
[ ! -e /etc/kubernetes/manifests/kube-apiserver.yaml ] || echo '4 5 now Running kube-apiserver 0 6'
CRICTL

    tool ctr <<CTR
#!/bin/sh
case "\$*" in
    "-n k8s.io images mount images.example/etcd:3.5.16-0 /mnt")
        mount -t tmpfs tmpfs /mnt && install -D -m 0755 $1/etcdutl /mnt/usr/local/bin/etcdutl ;;
    "-n k8s.io images unmount /mnt") umount /mnt ;;
    *) exit 1 ;;
esac
CTR

    tool kubectl <<'KUBECTL'
#!/bin/sh
[ "$1 $2 $3 $4" = "-n kube-system delete pod" ]
KUBECTL

    # What Debian's package brought is not there on such a node.
    rm -f $bin/etcdutl
    printf '[Service]\nExecStart=/usr/local/bin/kubelet\n' >"${SYSTEMD_UNIT_PATH:-$(dirname "$0")/units}/kubelet.service"
    systemctl daemon-reload
    systemctl start kubelet
}

[ "${1:-}" = install ] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
install_all "$2"
