"""Fixtures: the servers that tests share, and a site (configuration, keys, programs) for each test that wants one."""

import inspect
import itertools
import os
import re
import shutil
import signal
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent.parent / "contrib")]

import s3_proxy  # noqa: E402
import servers  # noqa: E402

numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption("--shard", metavar="K/N", help="of N parts of the tests, about equal, run the Kth alone")


def looks_at_the_build(item):
    """Whether a test asks how the programs were built, and so shows less with some builds."""
    function = getattr(item, "function", None)
    return function and re.search(r"\bsanitized\b|__asan_init", inspect.getsource(function))


def part_of(number, item):
    """The numberth test's part, as a number that is any part's: what is `together` is in that of its file."""
    return zlib.crc32(item.path.name.encode()) if item.get_closest_marker("together") else number


def pytest_collection_modifyitems(config, items):
    for item in items:
        if looks_at_the_build(item) and not item.get_closest_marker("installed"):
            raise pytest.UsageError(f"{item.nodeid} looks at what sanitizers change, and is not marked `installed`")
    if config.getoption("--shard"):
        part, parts = map(int, config.getoption("--shard").split("/"))
        mine = {n for n, item in enumerate(items) if part_of(n, item) % parts == part - 1}
        config.hook.pytest_deselected(items=[item for n, item in enumerate(items) if n not in mine])
        items[:] = [item for n, item in enumerate(items) if n in mine]


def pytest_configure(config):
    # TERM ends the run as ^C does: fixtures are torn down.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit(f"terminated in {os.environ.get('PYTEST_CURRENT_TEST')}"))
    # A shell starts what runs in its background with INT ignored, and so would be every program started by a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def scratch():
    """A folder with a short name (sockets have names of at most 107 bytes), gone at the end."""
    path = Path(tempfile.mkdtemp(prefix="ebd-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder(scratch):
    """A folder of the test's own."""
    path = scratch / f"t{next(numbers)}"
    path.mkdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def ca(scratch):
    return servers.Ca(scratch / "ca")


@pytest.fixture(scope="session")
def ceph(scratch, ca):
    """An S3 store that all tests share: leave it as you found it. Who breaks one makes one with `new_ceph`."""
    with servers.Ceph(scratch / "ceph", ca) as server:
        yield server


@pytest.fixture
def new_ceph(folder, ca):
    """new_ceph(store=..., rgw=...): an S3 store for this test alone."""
    made = []

    def make(**options):
        made.append(servers.Ceph(folder / f"ceph{len(made)}", ca, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="session")
def shared_etcd(scratch, ca):
    """shared_etcd(version=..., tls=..., auth=...): a cluster for all tests that ask for the same. Read it only."""
    made = {}

    def get(**options):
        key = tuple(sorted(options.items()))
        if key not in made:
            made[key] = servers.Etcd(scratch / f"etcd{len(made)}", ca, **options)
            if made[key].auth != "cn":
                made[key].fill(2 * servers.MIB, value_size=4096)
        return made[key]

    yield get
    for server in made.values():
        server.stop()


@pytest.fixture
def new_etcd(folder, ca):
    """new_etcd(version=..., members=..., tls=..., auth=..., cert=..., extra=[...]): a cluster for this test alone."""
    made = []

    def make(**options):
        made.append(servers.Etcd(folder / f"etcd{len(made)}", ca, **options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def etcd(shared_etcd):
    """The ordinary etcd: client certificates, 2 MiB of data, shared."""
    return shared_etcd(version="3.5", tls="mutual")


@pytest.fixture(scope="session")
def medium(scratch, ca):
    """An etcd with 12 MiB, shared: a snapshot of three or four parts of 5 MiB."""
    with servers.Etcd(scratch / "medium", ca, version="3.5", tls="mutual") as server:
        server.fill(12 * servers.MIB)
        yield server


@pytest.fixture(scope="session")
def large(scratch, ca):
    """An etcd with 40 MiB, shared: more than a daemon without a spool takes while S3 stands still."""
    with servers.Etcd(scratch / "large", ca, version="3.5", tls="mutual") as server:
        server.fill(40 * servers.MIB)
        yield server


@pytest.fixture
def new_bucket(ceph):
    """new_bucket(): a bucket for this test alone, in the shared store or in another one."""
    made = []

    def make(store=None, name=None):
        made.append(servers.Bucket(store or ceph, name or f"test-{os.getpid()}-{next(numbers)}"))
        return made[-1]

    yield make
    for bucket in made:
        if bucket.ceph.process.poll() is None and bucket.ceph is ceph:
            bucket.remove()


@pytest.fixture
def bucket(new_bucket):
    return new_bucket()


@pytest.fixture(scope="session")
def programs():
    return servers.Programs()


@pytest.fixture
def new_site(folder, programs, new_bucket):  # pylint: disable=unused-argument # a daemon ends before its bucket goes
    """new_site(etcd, bucket, https=..., encrypted=..., changes={...}, user=...): see servers.Site."""
    made = []

    def make(etcd, bucket, **options):
        made.append(servers.Site(folder / f"site{len(made)}", programs, etcd, bucket, **options))
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture
def proxied(new_site, new_bucket):
    """proxied(ceph, etcd, rule, **settings of s3_client): a site that reaches its store through s3_proxy.Proxy(ceph, rule),
    with parts of 5 MiB, no spool and no second attempts; and the proxy."""
    proxies = []

    def make(ceph, etcd, rule=lambda request: None, **settings):
        proxies.append(s3_proxy.Proxy(ceph, rule))
        return new_site(etcd, new_bucket(ceph), https=False, changes={
            "s3_client": {"endpoint": proxies[-1].url, "part_size": servers.Raw("5MiB"), "spool_size": 0, **settings},
            "etcd_client": {"retries": 0}}), proxies[-1]

    yield make
    for proxy in proxies:
        proxy.__exit__()


@pytest.fixture
def site(new_site, etcd, bucket):
    """The ordinary case: etcd with client certificates, encrypted, S3 over https."""
    return new_site(etcd, bucket)


def pytest_runtest_protocol(item, nextitem):
    """A test that fails is run once more, and said to be: several parts of these tests share two cores, and a peer's
    deadline of a second can pass while nothing of ours runs. What fails twice has failed."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        print(f"\nfailed at first, is run again: {item.nodeid}", file=sys.__stdout__, flush=True)
        item._initrequest()  # pylint: disable=protected-access
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
