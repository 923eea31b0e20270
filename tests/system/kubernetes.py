"""What kube-apiserver leaves in etcd, made up from a seed: objects in its protobuf envelope, written again and again.

Pods, events, leases, config maps and secrets in about the numbers of a cluster that is in use, with what makes them large
(managed fields, annotations, environments) and what does not compress (identifiers, digests, tokens, certificates). The same
seed gives the same bytes. `writes(seed)` goes on for ever: most writes are of an object that was there before, with another
status, as leases and pods are. On real clusters snapshots become 4 to 14 times smaller; of this, about as much.
"""

import base64
import itertools
import json
import random

WORDS = ("api auth backend batch billing cache catalog checkout cluster config controller core cron customer data database "
         "delivery deploy dns edge event export frontend gateway graph health image import index ingest ingress inventory job "
         "kafka ledger limit log mail media metrics monitor node notify order partner payment policy pricing product proxy "
         "queue redis registry render report router scheduler search session shipping stock storage stream sync tenant trace "
         "user vault web worker").split()
ENVIRONMENT = "DATABASE_URL KAFKA_BROKERS LOG_LEVEL FEATURE_FLAGS REDIS_HOST TRACING_ENDPOINT TIMEOUT_MS POOL_SIZE".split()


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """Of protobuf: a string, bytes, a number, or several of these."""
    if isinstance(value, (list, tuple)):
        return b"".join(field(number, one) for one in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def pairs(number, mapping):
    return field(number, [field(1, key) + field(2, value) for key, value in mapping.items()])


def stored(version, kind, body):
    """runtime.Unknown behind the magic of protobuf, as kube-apiserver stores it."""
    return b"k8s\x00" + field(1, field(1, version) + field(2, kind)) + field(2, body) + field(3, "") + field(4, "")


class Cluster:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.clock, self.serial = 1733520000, itertools.count(1)
        self.namespaces = ["kube-system", "default"] + [f"{self.word()}-{self.word()}" for _ in range(30)]
        self.nodes = [f"worker-{zone}-{n:02}.example.internal" for zone in "abc" for n in range(15)]

    def word(self):
        return self.random.choice(WORDS)

    def hex(self, n):
        return self.random.randbytes(n).hex()

    def uid(self):
        text = self.hex(16)
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def time(self):
        self.clock += self.random.randrange(3)
        return field(1, self.clock)

    def managed(self, manager, subresource, fields):
        return (field(1, manager) + field(2, "Update") + field(3, "v1") + field(4, self.time()) + field(6, "FieldsV1") +
                field(7, field(1, json.dumps(fields, separators=(",", ":")))) + field(8, subresource))

    def meta(self, name, namespace, labels, annotations, managed, uid):
        return (field(1, name) + field(3, namespace) + field(5, uid) + field(8, self.time()) + pairs(11, labels) +
                pairs(12, annotations) + field(17, managed))

    def pod(self):
        app, namespace, uid = f"{self.word()}-{self.word()}", self.random.choice(self.namespaces), self.uid()
        name = f"{app}-{self.hex(5)}-{self.hex(3)[:5]}"
        labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/managed-by": "Helm", "pod-template-hash": self.hex(5),
                  "app.kubernetes.io/part-of": self.word(), "topology.kubernetes.io/zone": "zone-a"}
        annotations = {"cni.projectcalico.org/containerID": self.hex(32), "cni.projectcalico.org/podIP": self.address() + "/32",
                       "prometheus.io/scrape": "true", "prometheus.io/port": "9090", "checksum/config": self.hex(32)}
        image = f"registry.example.com/{namespace}/{app}"
        digest = self.hex(32)
        containers = [self.container(image, number) for number in range(self.random.choice([1, 1, 2, 3]))]
        tolerations = [field(1, f"node.kubernetes.io/{key}") + field(2, "Exists") + field(4, "NoExecute") + field(5, 300)
                       for key in ("not-ready", "unreachable")]
        volume = field(1, f"kube-api-access-{self.hex(3)[:5]}") + field(2, field(26, [
            field(1, field(4, field(2, 3607) + field(3, "token"))),
            field(1, field(3, field(1, field(1, "kube-root-ca.crt")) + field(2, field(1, "ca.crt") + field(2, "ca.crt")))),
            field(1, field(2, field(1, field(1, "namespace") + field(2, field(1, "v1") + field(2, "metadata.namespace")))))]))
        spec = (field(1, volume) + field(2, containers) + field(3, "Always") + field(4, 30) + field(6, "ClusterFirst") +
                field(8, "default") + field(10, self.random.choice(self.nodes)) + field(19, "default-scheduler") +
                field(22, tolerations) + field(24, "default") + field(25, 0))
        managed = self.managed("kube-controller-manager", "", {
            "f:metadata": {"f:annotations": {".": {}, **{f"f:{key}": {} for key in annotations}}, "f:generateName": {},
                           "f:labels": {".": {}, **{f"f:{key}": {} for key in labels}},
                           "f:ownerReferences": {".": {}, f"k:{{\"uid\":\"{self.uid()}\"}}": {}}},
            "f:spec": {"f:containers": {f"k:{{\"name\":\"{app}\"}}": {
                ".": {}, "f:env": {".": {}, **{f"k:{{\"name\":\"{key}\"}}": {".": {}, "f:name": {}, "f:value": {}}
                                               for key in ENVIRONMENT}},
                "f:image": {}, "f:imagePullPolicy": {}, "f:livenessProbe": {"f:httpGet": {"f:path": {}, "f:port": {}}},
                "f:resources": {"f:limits": {"f:cpu": {}, "f:memory": {}}}, "f:terminationMessagePath": {}}},
                "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}, "f:schedulerName": {},
                "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}}})
        status_managed = {"f:status": {"f:conditions": {f"k:{{\"type\":\"{kind}\"}}": {
            ".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}
            for kind in ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")},
            "f:containerStatuses": {}, "f:hostIP": {}, "f:phase": {}, "f:podIP": {}, "f:podIPs": {}, "f:startTime": {}}}

        def write():
            conditions = [field(1, kind) + field(2, "True") + field(3, b"") + field(4, self.time())
                          for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]
            state = (field(1, app) + field(4, 1) + field(5, self.random.randrange(5)) + field(6, image) +
                     field(7, f"{image}@sha256:{digest}") + field(8, f"containerd://{self.hex(32)}") + field(9, 1))
            status = (field(1, "Running") + field(2, conditions) + field(5, self.address()) + field(6, self.address()) +
                      field(7, self.time()) + field(8, state) + field(9, "Burstable"))
            meta = self.meta(name, namespace, labels, annotations,
                             [managed, self.managed("kubelet", "status", status_managed)], uid)
            return stored("v1", "Pod", field(1, meta) + field(2, spec) + field(3, status))
        return f"/registry/pods/{namespace}/{name}", write

    def address(self):
        return ".".join(["10"] + [str(self.random.randrange(256)) for _ in range(3)])

    def container(self, image, number):
        env = [field(1, key) + field(2, f"{self.word()}.{self.word()}.svc.cluster.local:{self.random.randrange(65536)}")
               for key in ENVIRONMENT]
        probe = field(1, field(2, field(1, "/healthz") + field(2, field(1, 0) + field(2, 8080)) + field(4, "HTTP")))
        return (field(1, f"c{number}") + field(2, f"{image}:v1.{self.random.randrange(90)}.{number}") + field(7, env) +
                field(8, pairs(1, {"cpu": "500m", "memory": "512Mi"}) + pairs(2, {"cpu": "100m", "memory": "128Mi"})) +
                field(10, probe) + field(11, probe) + field(13, "/dev/termination-log") + field(14, "IfNotPresent") +
                field(20, "File"))

    def lease(self):
        node, uid = self.random.choice(self.nodes) + f"-{next(self.serial)}", self.uid()

        def write():
            meta = self.meta(node, "kube-node-lease", {}, {}, self.managed("kubelet", "", {
                "f:metadata": {"f:ownerReferences": {}}, "f:spec": {"f:holderIdentity": {}, "f:leaseDurationSeconds": {},
                                                                    "f:renewTime": {}}}), uid)
            return stored("coordination.k8s.io/v1", "Lease",
                          field(1, meta) + field(2, field(1, node) + field(2, 40) + field(4, self.time() + field(2, 123456))))
        return f"/registry/leases/kube-node-lease/{node}", write

    def event(self):
        namespace, app = self.random.choice(self.namespaces), f"{self.word()}-{self.word()}"
        name, uid = f"{app}-{self.hex(5)}.{self.hex(8)}", self.uid()
        reason, text = self.random.choice([
            ("Pulled", f"Container image \"registry.example.com/{namespace}/{app}\" already present on machine"),
            ("Unhealthy", "Readiness probe failed: Get \"http://10.0.0.1:8080/healthz\": context deadline exceeded"),
            ("Scheduled", f"Successfully assigned {namespace}/{app} to {self.random.choice(self.nodes)}"),
            ("BackOff", f"Back-off restarting failed container {app} in pod {app}-{self.hex(5)}_{namespace}")])

        def write():
            body = (field(1, self.meta(name, namespace, {}, {}, [], uid)) +
                    field(2, field(1, "Pod") + field(2, namespace) + field(3, app) + field(4, self.uid()) + field(5, "v1")) +
                    field(3, reason) + field(4, text) + field(5, field(1, "kubelet") + field(2, self.random.choice(self.nodes))) +
                    field(6, self.time()) + field(7, self.time()) + field(8, self.random.randrange(1, 60)) + field(9, "Normal"))
            return stored("v1", "Event", body)
        return f"/registry/events/{namespace}/{name}", write

    def secret(self):
        namespace, name, uid = self.random.choice(self.namespaces), f"{self.word()}-tls-{self.hex(3)}", self.uid()
        pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(self.random.randbytes(1100)) + b"-----END CERTIFICATE-----\n"

        def write():
            meta = self.meta(name, namespace, {"owner": "helm", "name": name}, {}, [], uid)
            return stored("v1", "Secret", field(1, meta) + field(2, [
                field(1, "tls.crt") + field(2, pem), field(1, "token") + field(2, self.random.randbytes(48))]) +
                field(3, "kubernetes.io/tls"))
        return f"/registry/secrets/{namespace}/{name}", write

    def config_map(self):
        namespace, name, uid = self.random.choice(self.namespaces), f"{self.word()}-{self.word()}", self.uid()
        lines = "\n".join(f"{self.word()}.{self.word()}.{self.word()} = {self.random.choice(['true', 'false', '10s', '128'])}"
                          for _ in range(self.random.randrange(20, 200)))

        def write():
            meta = self.meta(name, namespace, {"app": name}, {}, [], uid)
            return stored("v1", "ConfigMap", field(1, meta) + pairs(2, {"application.properties": lines}))
        return f"/registry/configmaps/{namespace}/{name}", write

    def writes(self):
        """Key and value of one write after the other."""
        kinds = [self.pod] * 6 + [self.event] * 6 + [self.lease] + [self.secret] * 2 + [self.config_map]
        there = []
        while True:
            if not there or self.random.random() < 0.25:
                there.append(self.random.choice(kinds)())
                key, write = there[-1]
            else: # those that came last change most
                key, write = there[-1 - min(int(self.random.expovariate(1 / 300)), len(there) - 1)]
            yield key.encode(), write()


def writes(seed=1):
    return Cluster(seed).writes()
