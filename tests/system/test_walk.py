"""Every command of README.md and docs/ is run, as it stands there, on hosts as the documents have them.

What a reader has to put in himself (a time, an address of his own) is put in here; whatever else stands in a block is run as it
is. A block that no walk takes fails.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import servers
from servers import wait_for
from walk import TOP, Document, Host, Network

BUCKET = "etcd-backups"


@pytest.fixture(name="store", scope="module")
def make_store(scratch, ca):
    """One that goes by the name of the documents."""
    with servers.Ceph(scratch / "documents", ca, rgw="rgw_dns_name=s3.example.com") as server:
        yield server


@pytest.fixture(name="network")
def make_network(ca, store):
    if os.geteuid() != 0:
        pytest.skip("only root can make hosts")
    network = Network(ca, store)
    yield network
    network.stop()


@pytest.fixture(name="new_host")
def make_hosts(folder, network, ca, programs):
    """new_host(number): one with our programs; new_host(number, installed=False): one without."""
    made = []

    def make(number=1, installed=True):
        made.append(Host(folder / f"h{len(made)}", network, ca, number,
                         Path(programs.daemon).parent.parent if installed else None))
        return made[-1]

    yield make
    for host in made:
        host.stop()


@pytest.fixture(name="shop")
def bucket_of_the_documents(store):
    bucket = servers.Bucket(store, BUCKET)
    yield bucket
    bucket.remove()


def credentials(store):
    return f"access_key: {store.access_key}\nsecret_key: {store.secret_key}\n"


def test_readme(new_host, shop, store, folder):  # pylint: disable=unused-argument
    """From an empty host to a backup that is proven to open, and back on the worst day."""
    page = Document("README.md")
    host = new_host(installed=False)
    assert page.take("sh tests/demo.sh").splitlines()[1].startswith("sh tests/run.sh")  # that is what runs us
    host.configure_etcd()
    host.do("systemctl start etcd")
    host.etcdctl("put greeting hello")

    source = folder / "source"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", TOP, source], check=True)
    # There is no mirror in a host's network: what building needs is here already. Its unit tests have been run.
    host.do(page.take("sh contrib/package.sh"), cwd=source, DEB_BUILD_OPTIONS="nocheck", DEBIAN_FRONTEND="noninteractive")
    host.do(f"cp /usr/lib/systemd/system/etcd-backupd* {host.dir}/units/ && systemctl daemon-reload")
    assert "NEW" not in host.do(page.take("etcd-backupctl generate-key"))
    host.do("cp /etc/etcd/ca.crt ca.crt; cp /etc/etcd/backup.crt client.crt; cp /etc/etcd/backup.key client.key")
    host.do(page.take("install -m 0640"))
    assert page.take("access_key: ...") == "access_key: ...\nsecret_key: ..."
    host.write("/etc/etcd-backupd/s3-keys.yml", credentials(store), "0640", "etcd-backupd")
    host.write("/etc/etcd-backupd/s3-ca.crt", Path(host.ca("ca")).read_text())
    # The two other members are not there: a backup comes from the one that is.
    host.write("/etc/etcd-backupd.conf", page.take("etcd_client:") + "\n")
    done = host.do(page.take("setpriv --reuid"))
    assert "good" in done and "prod-" in done, done

    before = host.etcdctl("get greeting --print-value-only")
    page.take("etcd-backupctl [-s SOCKET")  # a synopsis
    host.etcdctl("del greeting")
    host.do(page.take("etcd-backupctl -c /etc/etcd-backupd.conf list"))
    assert host.etcdctl("get greeting --print-value-only") == before == "hello\n"
    page.is_done()


@pytest.fixture(name="configured")
def make_configured(new_host, shop, store):  # pylint: disable=unused-argument
    """configured(number): a host with our programs and README's configuration, whose etcd is n1, n2 or n3."""
    page = Document("README.md")
    # Without a schedule: a backup that is due would run beside the ones that the page asks for.
    configuration = re.sub(r"^schedule:.*\n", "", page.take("etcd_client:"), flags=re.M)
    key = page.take("etcd-backupctl generate-key")
    master = []

    def make(number=1, cluster=None):
        host = new_host(number)
        host.configure_etcd(f"n{number}", cluster)
        host.do("install -d -m 0750 -g etcd-backupd /etc/etcd-backupd")  # this build has its own below /usr/local/etc
        if master:
            host.write("/etc/etcd-backupd/master.key", master[0], "0640", "etcd-backupd")
        else:
            host.do(key)
            master.append(host.do("cat /etc/etcd-backupd/master.key"))
        for source, name in (("ca.crt", "ca.crt"), ("backup.crt", "client.crt"), ("backup.key", "client.key"), ("ca.crt", "s3-ca.crt")):
            host.do(f"install -m 0640 -g etcd-backupd /etc/etcd/{source} /etc/etcd-backupd/{name}")
        host.write("/etc/etcd-backupd/s3-keys.yml", credentials(store), "0640", "etcd-backupd")
        host.write("/etc/etcd-backupd.conf", configuration + "\n")
        host.do("ln -s /etc/etcd-backupd.conf /usr/local/etc/etcd-backupd.conf")
        return host

    return make


LATEST = "2026-11-22T20:43:35Z"  # what the page writes where a time has to be put in


def newest(host):
    line = host.do("etcd-backupctl -c /etc/etcd-backupd.conf --json list").splitlines()[0]
    return re.search(r'"instant":"([^"]+)"', line)[1]


def greets(host, words="get greeting --print-value-only"):
    return host.etcdctl(words) == "hello\n"


def on_all(hosts, script):
    """At the same time: an etcd that starts waits for the others."""
    running = [subprocess.Popen(["sh", host.script, "ctl", host.dir, "bash", "-e", "-c", script], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=host.environment) for host in hosts]
    for process in running:
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 0, out.decode()


def walk_a_single_node(page, host):
    host.do("systemctl start etcd")
    host.etcdctl("put greeting hello")
    host.do("etcd-backupctl -c /etc/etcd-backupd.conf backup")
    host.etcdctl("del greeting")
    assert "ETCD_NAME=%H" in host.do(page.take("systemctl cat etcd"))
    assert host.do(page.take("DIR=") + "\necho $DIR $NAME $PEER") == "/var/lib/etcd/default n1 https://10.0.0.11:2380\n"
    host.do(page.take("etcd-backupctl -c /etc/etcd-backupd.conf list"))
    host.do(page.take("systemctl stop etcd"))
    disk = page.take("mv /var/lib/etcd/default/member")
    restore = page.take("etcd-backupctl -c /etc/etcd-backupd.conf restore --data-dir")
    host.do(restore.replace("\nsystemctl start etcd", " --dry-run"))
    host.do(restore)
    assert host.do("stat -c '%U %a' /var/lib/etcd/default") == "etcd 700\n" and greets(host)
    afterwards = host.do("\n".join([page.take("export ETCDCTL_API=3"), page.take("etcdctl endpoint status"),
                                    page.take("etcdctl alarm list")]))
    assert '"revision":2' in afterwards and "greeting" in afterwards, afterwards
    host.do(page.take("etcd-backupctl -c /etc/etcd-backupd.conf backup"))

    # The data directory is a disk of its own.
    host.do("systemctl stop etcd; mv /var/lib/etcd/default /root/was; mkdir /var/lib/etcd/default; "
            "mount -t tmpfs tmpfs /var/lib/etcd/default; mkdir /var/lib/etcd/default/lost+found; "
            "mv /root/was/member /var/lib/etcd/default/")
    host.do(disk)
    host.do(restore)
    assert greets(host)
    host.do("systemctl stop etcd; umount /var/lib/etcd/default; rm -rf /var/lib/etcd/default*")

    host.do(page.take("etcd-backupctl -c /etc/etcd-backupd.conf restore --use-etcdutl=false"))
    host.do("systemctl start etcd-backupd")
    host.do(page.take("etcd-backupctl verify --all --drill"))


def walk_a_cluster(page, hosts):
    cluster = ",".join(f"n{host.number}=https://{host.address}:2380" for host in hosts)
    for host in hosts:
        host.configure_etcd(f"n{host.number}", cluster)
    on_all(hosts, "systemctl start etcd")
    hosts[1].etcdctl("put greeting hello")
    hosts[2].do("etcd-backupctl -c /etc/etcd-backupd.conf backup")
    hosts[0].etcdctl("del greeting")
    each = page.take("NAME=n1 IP=10.0.0.11")
    assert LATEST in each
    each = each.replace(LATEST, newest(hosts[0]))
    on_all(hosts, page.take("systemctl stop etcd"))
    for host in hosts:
        host.do(each.replace("NAME=n1 IP=10.0.0.11", f"NAME=n{host.number} IP={host.address}"))
    on_all(hosts, page.take("systemctl start etcd"))
    assert all(greets(host) for host in hosts)
    tls = "export ETCDCTL_API=3 ETCDCTL_CACERT=/etc/etcd/ca.crt ETCDCTL_CERT=/etc/etcd/client.crt ETCDCTL_KEY=/etc/etcd/client.key\n"
    same = hosts[0].do(tls + page.take("etcdctl --endpoints")).splitlines()
    assert len(same) == 3 and len({line.split(", ")[1] for line in same}) == 1, same
    on_all(hosts, "systemctl stop etcd; rm -rf /var/lib/etcd/default*")


def walk_kubeadm(page, host):
    """The kubelet and the tools of containers are played (kubeadm.sh); etcd, its manifest and its data are real."""
    configuration = page.take("etcd_client:")
    for name in ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key"):
        assert f"/etc/kubernetes/pki/etcd/{name}" in configuration
    shutil.copy(TOP / "tests/system/kubeadm.sh", host.dir)
    host.do(f"sh {host.dir}/kubeadm.sh install {os.environ['ETCD_35_DIR']}")
    kubeadm = "export ETCDCTL_API=3 ETCDCTL_CACERT=/etc/kubernetes/pki/etcd/ca.crt " \
        "ETCDCTL_CERT=/etc/kubernetes/pki/etcd/healthcheck-client.crt ETCDCTL_KEY=/etc/kubernetes/pki/etcd/healthcheck-client.key\n"
    whole = re.sub(r"(?s)^etcd_client:.*?(?=^\S)", "", host.do("cat /etc/etcd-backupd.conf"), count=1, flags=re.M)
    host.write("/etc/etcd-backupd.conf", configuration + "\n" + whole)
    wait_for(lambda: host.ask(kubeadm + "etcdctl put greeting hello").status == 0)
    host.do("etcd-backupctl -c /etc/etcd-backupd.conf backup")
    host.do(kubeadm + "etcdctl del greeting")

    put_in = {"TIME": newest(host)}
    host.do(page.take("mkdir -p /etc/kubernetes/stopped"))
    was = host.do(page.take("grep -E -- '--(name"))
    for word, flag in (("NAME", "name"), ("CLUSTER", "initial-cluster"), ("PEER", "initial-advertise-peer-urls")):
        put_in[word] = re.search(rf"--{flag}=(\S+)", was)[1]
    put_in["IMAGE"] = re.search(r"image: (\S+)", was)[1]
    put_in["TODAY"] = "2026-11-22"

    def filled(block):
        return re.sub(rf"\b({'|'.join(put_in)})\b", lambda match: put_in[match[1]], block)

    host.do(filled(page.take("ctr -n k8s.io images mount IMAGE")))
    host.do(filled(page.take("mv /var/lib/etcd /var/lib/etcd.old")))
    host.do(page.take("mv /etc/kubernetes/stopped/etcd.yaml"))
    host.do(page.take("systemctl restart kubelet"))
    wait_for(lambda: host.ask(kubeadm + "etcdctl get greeting --print-value-only").out == "hello\n")


ONE_KEY = ["etcd-backupctl get /config/", "etcd-backupctl list\netcd-backupctl get ", "etcd-backupctl diff -t ",
           "etcd-backupctl get /registry/"]


def test_one_deleted_key(configured):
    """docs/restore.md, its first chapter. auger and kubectl are played: what comes to the one is what the other creates."""
    page, host = Document("docs/restore.md"), configured()
    latest, older, folder, of_kubernetes = (page.take(beginning) for beginning in ONE_KEY)
    host.do("systemctl start etcd etcd-backupd")
    for key in ("/config/database", "/config/cache", "/registry/configmaps/shop/prices"):
        host.etcdctl(f"put {key} 'the value of {key}'")
    host.do("etcd-backupctl backup")
    instant = json.loads(host.do("etcd-backupctl list --json").splitlines()[0])["name"][-len("2024-12-06T21:22:25Z.dump"):-len(".dump")]
    reached = {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": f"https://{host.address}:2379", "ETCDCTL_CACERT": "/etc/etcd/ca.crt",
               "ETCDCTL_CERT": "/etc/etcd/backup.crt", "ETCDCTL_KEY": "/etc/etcd/backup.key"}

    def is_back(script, key):
        host.etcdctl("del --prefix /config/")
        told = host.do(script.replace("2024-12-06T21:22:25Z", instant), **reached)
        assert host.etcdctl(f"get --print-value-only {key}").rstrip("\n") == f"the value of {key}"
        return told

    is_back(latest, "/config/database")
    is_back(older, "/config/database")
    # Differences are told by exit status 1, as diff(1) does.
    told = is_back(folder.replace("--live /config/", "--live /config/ || test $? = 1"), "/config/cache")
    assert "/config/database" in told and "/config/cache" in told, told
    host.write("/usr/local/bin/auger", "#!/bin/sh\ncat\n", mode="0755")
    host.write("/usr/local/bin/kubectl", "#!/bin/sh\ncat \"$3\"\n", mode="0755")
    assert host.do(of_kubernetes) == "the value of /registry/configmaps/shop/prices"


def test_restore(configured):
    """docs/restore.md, from its second chapter to its last command."""
    page, hosts = Document("docs/restore.md"), [configured(number) for number in (1, 2, 3)]
    for beginning in ONE_KEY:
        page.take(beginning)
    for host in hosts:
        host.do("cp /etc/etcd/backup.crt /etc/etcd/client.crt; cp /etc/etcd/backup.key /etc/etcd/client.key")
    walk_a_single_node(page, hosts[0])
    walk_a_cluster(page, hosts)
    walk_kubeadm(page, hosts[0])
    page.is_done()


def fingerprint_in(text):
    return re.search(r"\b[0-9a-f]{4}(?:[-: ]?[0-9a-f]{4}){3,}\b", text)[0]


def test_key_ceremony(configured, store):  # pylint: disable=unused-argument
    """docs/key-ceremony.md on one host, box by box; the fingerprints are where the boxes say."""
    page, host = Document("docs/key-ceremony.md"), configured()
    host.do("systemctl start etcd etcd-backupd")
    host.do("etcd-backupctl backup")
    old = fingerprint_in(host.do("etcd-backupctl key-fingerprint /etc/etcd-backupd/master.key"))
    assert old in host.do(page.take("etcd-backupctl status"))
    assert old[:8] in host.do(page.take("etcd-backupctl list"))
    new = fingerprint_in(host.do(page.take("etcd-backupctl generate-key")))
    assert new in host.do(page.take("etcd-backupctl key-fingerprint"))
    host.do(page.take("cp -p /etc/etcd-backupd/master.key"))
    before = host.do("cat /etc/etcd-backupd.conf")
    host.write("/etc/etcd-backupd.conf", before + page.take("previous_key_paths:") + "\n")
    host.do(page.take("etcd-backupd --check-config"))
    host.do(page.take("cp -p /etc/etcd-backupd/next.key"))
    look = host.do(page.take("etcd-backupctl rotate-key"))
    assert old in look and new in look and re.search(r"failed\W+0", look), look
    assert "can be destroyed" in host.do(page.take("etcd-backupctl rotate-key"))
    host.do(page.take("etcd-backupctl rotate-key"))
    host.write("/etc/etcd-backupd.conf", before)
    host.do(page.take("systemctl reload etcd-backupd"))
    proof = host.do(page.take("etcd-backupctl verify --all"))
    assert new[:8] in proof and "none" not in proof, proof
    last = host.do(page.take("etcd-backupctl key-fingerprint"))
    assert old in last and new in last
    host.do(page.take("shred -u /etc/etcd-backupd/previous.key"))
    walk_to_people(page, host, new)
    host.do(page.take("systemctl daemon-reload"))
    page.is_done()


def walk_to_people(page, host, vouching):
    """A and B, and C in B's place; and back to the master key."""
    media = f"{host.dir}/media"
    host.do(f"mkdir -p {media}/a {media}/b {media}/c")

    def do(beginning, more=""):
        return host.do((page.take(beginning) + more).replace("/mnt", media))

    made = do("etcd-backupctl generate-key --identity", "\netcd-backupctl generate-key --identity /mnt/c/identity")
    a, b, c = re.findall(r"\bage1[a-z0-9]{58}\b", made)
    before = host.do("cat /etc/etcd-backupd.conf")
    named = re.findall(r"age1[a-z0-9]{58}", recipients := page.take("encryption_recipients:"))
    host.write("/etc/etcd-backupd.conf", f"{before}{recipients.replace(named[0], a).replace(named[1], b)}\n")
    do("etcd-backupd --check-config")
    host.rests()
    assert do("etcd-backupctl verify --identity").count("good") >= 2
    look = do("etcd-backupctl rotate-key")
    assert a in look and b in look and re.search(r"failed\W+0", look), look
    done = do("etcd-backupctl rotate-key")
    assert "and to nobody else" in done and f"{vouching} opens none of them any more, and vouches for them: keep it" in done, done
    do("etcd-backupctl verify --all --identity")
    do("etcd-backupctl rotate-key")
    listed = do("etcd-backupctl list")
    assert listed.count(a[:12]) == listed.count(b[:12]) == listed.count("Z.dump") > 1, listed
    host.write("/etc/etcd-backupd.conf", f"{before}{recipients.replace(named[0], a).replace(named[1], c)}\n")
    host.do("etcd-backupd --check-config && systemctl reload etcd-backupd")
    host.rests()
    done = do("etcd-backupctl rotate-key --identity")
    assert c in done and b not in done and "and to nobody else" in done and "still opens them: keep it" in done, done
    assert do("etcd-backupctl verify --all --identity").count("good ") >= 4  # of both, two or more
    host.write("/etc/etcd-backupd.conf", before)
    host.do("etcd-backupd --check-config && systemctl reload etcd-backupd")
    host.rests()
    assert f"wrapped by master key {vouching}" in do("etcd-backupctl rotate-key --identity")
    do("etcd-backupctl verify --all")


def test_operating(configured, store):  # pylint: disable=unused-argument
    """docs/operating.md: each configuration is a good one, each command does what is said."""
    page, host = Document("docs/operating.md"), configured()
    whole = host.do("cat /etc/etcd-backupd.conf")
    whole = re.sub(r"^(schedule|prune|metrics|health):.*\n", "", whole, flags=re.M)
    host.do("systemctl start etcd")
    recipes = [page.take("schedule:"), page.take("schedule:")]
    told = [page.take("metrics:"), page.take("hooks:"), page.take("compression:"),
            page.take("encryption_recipients:"), page.take("verify: {")]
    host.write("/etc/etcd-backupd/heartbeat.url", "http://127.0.0.1:9/ping\n", mode="0640", group="etcd-backupd")
    for more in [*recipes, *told]:
        host.write("/etc/etcd-backupd.conf", f"{whole}{more}\n")
        assert "good" in host.do("etcd-backupd --check-config")
    host.write("/etc/etcd-backupd.conf", f"{whole}{recipes[0]}\n{told[0]}\n")
    host.do("systemctl start etcd-backupd")
    wait_for(lambda: '"newest":null' not in host.do("etcd-backupctl --json status"))
    host.rests()
    host.do(page.take("etcd-backupctl prune --dry-run"))
    host.do(page.take("curl -fsS http://127.0.0.1:9379/healthz"))
    host.do(page.take("etcd-backupctl verify --all --drill"))
    page.is_done()


# `aws s3 cp s3://BUCKET/NAME .`, as far as the page uses it.
AWS = """\
#!/usr/bin/python3
import sys, boto3
assert sys.argv[1:3] == ["s3", "cp"] and sys.argv[4] == "."
bucket, _, name = sys.argv[3].removeprefix("s3://").partition("/")
boto3.client("s3", endpoint_url="https://s3.example.com", region_name="us-east-1", verify="/etc/etcd/ca.crt",
             aws_access_key_id="{}", aws_secret_access_key="{}").download_file(bucket, name, name.rpartition("/")[2])
"""


def test_migrating(configured, store):
    """docs/migrating.md: the file of the Go tool, the crontab's line, the way back, and the plain backups of before."""
    page, host = Document("docs/migrating.md"), configured()
    host.do("systemctl start etcd")
    host.etcdctl("put greeting hello")
    whole = re.sub(r"^(schedule|prune|metrics|health):.*\n", "", host.do("cat /etc/etcd-backupd.conf"), flags=re.M)
    assert "good" in host.do(page.take("etcd-backupd -c /etc/etcd-backupd.conf --check-config"))
    host.write("/etc/etcd-backupd.conf", f"{whole}{page.take('schedule:')}\n")
    host.do("etcd-backupd --check-config")
    host.write(f"{host.dir}/units/etcd-backup.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=test.target\n")
    host.write(f"{host.dir}/units/etcd-backup.service", "[Service]\nExecStart=true\n")
    host.do("systemctl daemon-reload; systemctl start etcd-backup.timer")
    host.do(page.take("systemctl disable --now etcd-backup.timer"))
    host.do("systemctl stop etcd-backupd")
    line = page.take("0 */6 * * *").split("root", 1)[1]
    assert host.do(line) == "", "cron mails what is printed"

    time = newest(host)
    put_in = {"2024-12-06T21:22:25Z": time, "DIR ...": "/var/lib/etcd/back"}

    def filled(beginning):
        block = page.take(beginning)
        for word, value in put_in.items():
            block = block.replace(word, value)
        return block

    host.do("cp /etc/etcd-backupd.conf config.yml")
    host.do(filled("etcd-backupctl -c config.yml restore"))
    host.do("cp snapshot.db by-ctl.db; rm -rf /var/lib/etcd/back")
    host.write("/usr/local/bin/aws", AWS.format(store.access_key, store.secret_key), "0755")
    host.do("cp /etc/etcd-backupd/master.key . && cp /usr/local/share/doc/etcd-backupd/reader.py . || "
            f"cp {TOP}/contrib/reader.py .")
    host.do(filled("aws s3 cp"))
    host.do("cmp snapshot.db by-ctl.db")
    host.do(page.take("tr -d"))
    assert host.do("wc -c <master.key").strip() == "64"
    assert page.take("access_key: ...")

    # From before there was a key.
    host.write("/etc/etcd-backupd.conf", re.sub(r"^encryption_key_path:.*\n", "", whole, flags=re.M))
    host.do("etcd-backupctl -c /etc/etcd-backupd.conf backup")
    put_in["2024-12-06T21:22:25Z"] = newest(host)
    host.write("/etc/etcd-backupd.conf", whole)
    host.do("mkdir /etc/systemd/system/etcd-backupd.service.d; printf '[Service]\\nUser=etcd\\nGroup=etcd\\nSupplementaryGroups="
            f"etcd-backupd\\nReadWritePaths=/var/lib/etcd\\n' >{host.dir}/units/restore.conf; "
            f"mv {host.dir}/units/restore.conf {host.dir}/units/etcd-backupd.service.d/; "
            "systemctl daemon-reload; systemctl start etcd-backupd")
    host.do(filled("etcd-backupctl restore -t"))
    page.is_done()
