"""s3_client.proxy: what goes through it, who is asked for the password, and that the environment has no say."""

import copy
import re
from pathlib import Path

import pytest

import servers
from clouds import Credentials, Ec2
from connect_proxy import ConnectProxy
from faults import Command, log
from servers import wait_for

DEAD = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
PASSWORD = "not to be seen"


def with_environment(site, **variables):
    site.programs = copy.copy(site.programs)
    site.programs.environment = dict(servers.Programs().environment, **variables)
    return site


@pytest.fixture
def behind(new_site, etcd, bucket):
    """behind(proxy): a site that reaches its store, which has TLS, through it; etcd goes directly."""
    def make(proxy, password=PASSWORD):
        site = with_environment(new_site(etcd, bucket), **DEAD)
        site.configure({"s3_client": {"proxy": proxy.url}})
        if password:
            site.configure({"s3_client": {"proxy_auth": str(site.write("proxy.yml", f"username: me\npassword: {password}\n"))}})
        return site

    return make


def test_a_tunnel(behind, bucket):
    """Backup, list, prune and restore go through it, with its password, which nobody is told."""
    with ConnectProxy("me", PASSWORD) as proxy:
        site = behind(proxy).start()
        done = site.ctl("backup", "--json", "-q")
        assert (done.status, done.err) == (0, ""), done
        assert proxy.passed > bucket.list()[done.json["name"]]
        assert site.ctl("verify", "--all", "-q").status == 0
        assert site.ctl("check").status == 0
        store = bucket.ceph.https.removeprefix("https://")
        assert {where.rpartition(":")[2] for where, _ in proxy.asked} == {store.rpartition(":")[2]}
        assert PASSWORD not in str(log(site))


def in_ordinary_memory(pid, words):
    """Which of these bytes lie in what a process can write to and a core dump would have. Locked memory is left out of one (VmFlags: dd,
    proc(5)), also where a sanitizer keeps it from being locked."""
    found = set()
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line)
            if head:
                low, high, writable = int(head[1], 16), int(head[2], 16), head[3].startswith("rw")
            elif line.startswith("Rss:"):
                resident = int(line.split()[1])
            elif line.startswith("VmFlags:") and writable and resident and high - low < 1 << 32 and "dd" not in line.split():
                memory.seek(low)
                content = memory.read(high - low)
                found |= {word for word in words if word in content}
    return found


def test_the_password_in_memory(behind):
    """It does not lie where memory is written out or given to others; the line that was made of it does in one place, the buffer that
    libcurl sends from, until the backup ends. What is searched for is found, where it may be: the name of the bucket."""
    with ConnectProxy("me", PASSWORD, most=100000) as proxy:
        site = behind(proxy).start()
        command = Command(site, "backup", "-q")
        wait_for(lambda: proxy.passed > proxy.most, what="the upload")
        bucket, password = site.bucket.name.encode(), PASSWORD.encode()
        line = proxy.expected.removeprefix("Basic ").encode()
        assert in_ordinary_memory(site.process.pid, {password, bucket}) == {bucket}
        proxy.go_on.set()
        assert command.end().status == 0
        wait_for(lambda: in_ordinary_memory(site.process.pid, {password, line, bucket}) == {bucket}, what="the end of the line")


def test_a_password_that_is_wrong(behind, bucket):
    with ConnectProxy("me", "another") as proxy:
        done = behind(proxy).ctl("backup", "-q")
        assert done.status == 1 and f"407 Proxy Authentication Required from the proxy {proxy.url} (s3_client.proxy)" in done.err, done
        assert PASSWORD not in done.err + done.out and bucket.list() == {}


def test_the_environment_has_no_say(new_site, etcd, bucket):
    """Nor does what it excepts."""
    site = with_environment(new_site(etcd, bucket), **DEAD)
    assert site.ctl("backup", "-q").status == 0
    with ConnectProxy() as proxy:
        with_environment(site, NO_PROXY="*", no_proxy="*")
        site.configure({"s3_client": {"proxy": proxy.url}})
        assert site.ctl("backup", "-q").status == 0 and proxy.asked
    with_environment(site, HTTPS_PROXY="http://127.0.0.1:1")
    site.configure({"s3_client": {"proxy": None, "endpoint": "s3.example.com"}})
    assert "s3_client.proxy: is left out: HTTPS_PROXY of the environment does not count" in site.check_config().err
    site.configure({"s3_client": {"proxy": "none"}})
    assert "does not count" not in site.check_config().err


def test_what_is_on_the_machine_is_asked_directly(behind, ceph):
    give = lambda: Credentials(ceph.access_key, ceph.secret_key)  # pylint: disable=unnecessary-lambda-assignment
    with ConnectProxy("me", PASSWORD) as proxy, Ec2(give) as ec2:
        site = behind(proxy)
        site.configure({"s3_client": {"auth": {"source": "instance", "key_auth": None, "instance_endpoint": ec2.url}}})
        assert site.ctl("backup", "-q").status == 0 and ec2.asked
        assert not any(where.endswith(ec2.url.rpartition(":")[2]) for where, _ in proxy.asked)


def test_settings(site):
    proxy = site.write("proxy.yml", "username: me\npassword: p\n")
    for changes, words in (({"proxy": "http://u:hidden@p:3128"}, "s3_client.proxy: has a user in it"),
                           ({"proxy": "p:3128"}, "is neither none nor SCHEME://HOST:PORT"),
                           ({"proxy": "http://p"}, "is neither none nor SCHEME://HOST:PORT"),
                           ({"proxy": "ftp://p:21"}, "is neither none nor SCHEME://HOST:PORT"),
                           ({"proxy": "http://p:70000"}, "s3_client.proxy"),
                           ({"proxy": None, "proxy_auth": str(proxy)}, "s3_client.proxy_auth: needs proxy beside it"),
                           ({"proxy": "socks5://p:1080"}, "s3_client.proxy_auth: is for proxies of HTTP alone"),
                           ({"proxy": "http://p:3128"}, None)):
        site.configure({"s3_client": changes})
        done = site.check_config()
        assert done.status == (2 if words else 0) and (words or "") in done.err, done
        assert "hidden" not in done.err
    Path(proxy).chmod(0o644)
    done = site.check_config()
    assert "s3_client.proxy_auth" in done.err and "0644" in done.err, done
