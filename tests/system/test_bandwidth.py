"""s3_client.max_bandwidth: the network is spared, and etcd is not held up by that."""

import time

import pytest

import servers
from faults import Command
from servers import MIB, wait_for
from test_faults_s3 import RELEASED, check_clean

RATE = 4 * MIB


@pytest.mark.parametrize("tls", (False, True), ids=("http", "tls"))
def test_the_rate_holds(ceph, large, proxied, new_site, new_bucket, tls):
    """From the first byte to the last, one part after the other; and etcd's transaction has ended long before."""
    parts = []

    def rule(request):
        if request.call == "part":
            parts.append((time.monotonic(), request.number))

    if tls:
        site = new_site(large, new_bucket(), changes={"s3_client": {"part_size": servers.Raw("5MiB"), "spool_size": servers.Raw("1GiB")}})
    else:
        site, _ = proxied(ceph, large, rule, spool_size=servers.Raw("1GiB"))
    site.configure({"s3_client": {"max_bandwidth": servers.Raw("4MiB")}})
    site.start()
    before, began = large.metrics()[RELEASED], time.monotonic()
    command = Command(site, "backup", "--json", "-q")
    wait_for(lambda: large.metrics()[RELEASED] == before + 1, what="the end of etcd's transaction")
    released = time.monotonic()
    done = command.end()
    ended = time.monotonic()
    assert done.status == 0, done
    size = site.bucket.list()[done.json["name"]]
    assert size / (ended - began) <= RATE * 1.05, done
    assert ended - released > (ended - began) / 4 and done.json["spooled"] > 0, done
    last = max((number for _, number in parts), default=0)  # it is shorter, and goes before those in the spool
    for (earlier, _), (later, number) in zip(parts, parts[1:]):
        assert number == last or 5 * MIB / (later - earlier) <= RATE * 1.25, parts
    check_clean(site, 1)


def test_settings(site):
    site.configure({"s3_client": {"max_bandwidth": servers.Raw("1KiB")}})
    done = site.check_config()
    assert done.status == 2 and "s3_client.max_bandwidth: '1KiB' is not between 64.0 KiB and" in done.err, done
    site.configure({"s3_client": {"max_bandwidth": servers.Raw("1MiB")}})
    assert "holds up etcd" not in site.check_config().err
    site.configure({"s3_client": {"spool_size": 0}})
    assert "s3_client.max_bandwidth: holds up etcd, too: there is no spool" in site.check_config().err
