"""Whole backups into an S3 store that refuses, is slow, stops or breaks: nothing half appears, and one line says why."""

import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest

import servers
from faults import Command, backup_fails, check_clean, check_dumps, check_left_behind, check_lone_key, has_connections
from s3_proxy import DROP, LOSE, After, Answer, Hold, error
from servers import MIB, descriptors, state_of, wait_for


def address(url):
    """Of a store, as errors name it; for a regular expression."""
    return re.escape(url.partition("://")[2])


def log_in(site, access_key, secret_key):
    site.write("s3.yml", servers.yaml({"access_key": access_key, "secret_key": secret_key}))


@pytest.fixture(scope="module")
def fragile(scratch, ca):
    """A store whose processes a test may stop and kill, and lets go on at its end."""
    with servers.Ceph(scratch / "fragile", ca) as ceph:
        yield ceph


def at(part, action):
    """A rule that does something, once, when the first request for that part has come and before the store is told."""
    done = []

    def rule(request):
        if request.number == part and not done:
            done.append(True)
            action()
    return rule


# ---- what a bucket demands ----


@pytest.fixture
def retaining(proxied, ceph, large):
    """A site, the last in a proxy that refuses what S3 would refuse, before a bucket that keeps all for a day; and its proxy."""
    def rule(request):
        if request.method == "PUT" and "Content-MD5" not in request.headers:
            return Answer(400, error("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part "
                                     "requests with Object Lock parameters"))
        return None
    site, proxy = proxied(ceph, large, rule, part_size=servers.Raw("5MiB"), parts_in_flight=2)
    client, bucket = site.bucket.client, site.bucket.name
    site.bucket.remove()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
    yield site, proxy
    listed = client.list_object_versions(Bucket=bucket)
    for item in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
        client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"], BypassGovernanceRetention=True)


def test_retention_by_default(retaining):
    """S3 then wants Content-MD5 with all that is put: the first, which is the claim, is sent again, and no other ever."""
    site, proxy = retaining
    site.start()
    assert site.ctl("backup").status == 0
    refused = [r for r in proxy.requests if r.status == 400]
    assert len(refused) == 1 and refused[0].path.endswith(".claim")
    # Between two jobs the daemon keeps no connections, and forgets nothing.
    wait_for(lambda: not has_connections(site.process.pid), what="an idle daemon")
    assert site.ctl("backup").status == 0
    assert [r for r in proxy.requests if r.status == 400] == refused
    taken = [r for r in proxy.requests if r.method == "PUT" and r.status == 200]
    assert len(taken) >= 8 and all("Content-MD5" in r.headers for r in taken)
    assert site.ctl("verify", "--all").status == 0
    check_dumps(site)
    # And of what is retained nothing goes.
    wait_for(lambda: json.loads(site.ctl("prune", "-a", "1s", "-i", "1", "--json").out.splitlines()[-1])["locked"] == 1,
             what="the first to be a second old")
    assert len(site.bucket.dumps()) == 2


# ---- who is let in ----


def test_keys(site):
    """Wrong ones; and when the file is put right the daemon uses it at once."""
    site.start()
    log_in(site, "testkey", "a wrong secret")
    backup_fails(site, 1, "HTTP 403 SignatureDoesNotMatch: the signature is not the one that the store makes; the secret key may be")
    log_in(site, "nokey", "testsecret")
    backup_fails(site, 1, "HTTP 403 InvalidAccessKeyId: the store does not know this access key")
    log_in(site, "otherkey", "othersecret")
    backup_fails(site, 1, "HTTP 403 AccessDenied: this access key may not do that")
    site.write("s3.yml", "access_key: testkey\n")
    backup_fails(site, 1, r"s3\.yml:.*secret_key")
    check_clean(site, 0)
    log_in(site, "testkey", "testsecret")
    assert site.ctl("backup").status == 0
    check_clean(site, 1)
    for secret in ("a wrong secret", "othersecret", "testsecret"):
        assert secret not in site.log.read_text()


def test_buckets(site, bucket):
    site.configure({"s3_client": {"bucket": "no-such-bucket"}})
    site.start()
    backup_fails(site, 1, f'HTTP 404 NoSuchBucket: there is no bucket "no-such-bucket" at {address(bucket.ceph.https)}')
    done = site.ctl("list", "--json")
    assert done.status == 1 and "NoSuchBucket" in done.json["failure"]["text"], done


def test_a_user_who_is_suspended(fragile, medium, proxied):
    """In mid-upload, so that nothing can be taken back either: the person is told that something may stay. It is remembered."""
    site, _ = proxied(fragile, medium, at(1, lambda: fragile.admin("user", "suspend", "--uid=t")))
    try:
        backup_fails(site.start(), 1, "HTTP 403 UserSuspended: the user of this access key is suspended( |$)",
                     warnings=["an unfinished upload may stay in the bucket until the next prune: .*UserSuspended"])
    finally:
        fragile.admin("user", "enable", "--uid=t")
    assert site.ctl("backup").status == 0  # and takes back what stayed
    assert len(check_dumps(site)) == 1 and site.bucket.uploads() == []
    check_left_behind(site)


def test_a_quota_that_is_used_up(fragile, large, proxied):
    site, _ = proxied(fragile, large)
    fragile.admin("quota", "set", "--quota-scope=user", "--uid=t", "--max-size=8M")
    fragile.admin("quota", "enable", "--quota-scope=user", "--uid=t")
    try:
        backup_fails(site.start(), 1, "HTTP 403 QuotaExceeded: the quota of the bucket or its owner is used up")
    finally:
        fragile.admin("quota", "disable", "--quota-scope=user", "--uid=t")
    check_clean(site, 0)


# ---- certificates and addresses ----


@pytest.mark.parametrize("cert, words", [
    ("server-expired", "the certificate of {} is not accepted: it has expired"),
    ("server-dns", "the certificate of {} is not accepted: .*(127.0.0.1|another host)"),
])
def test_certificates_of_the_store(new_ceph, etcd, new_bucket, new_site, cert, words):
    ceph = new_ceph(cert=cert)
    site = new_site(etcd, new_bucket(ceph, "bucket")).start()
    backup_fails(site, 1, words.format(address(ceph.https)))
    check_clean(site, 0)


def test_addresses(etcd, bucket, new_site, ceph, ca):
    """What waits for another attempt is asked for all at once."""
    nobody = socket.socket()  # bound, so that nobody else listens there either
    nobody.bind(("127.0.0.1", 0))
    nowhere = f"127.0.0.1:{nobody.getsockname()[1]}"
    wrong = [
        ({"auth": {"ca_cert": ca("other-ca")}}, f"its issuer is not among {re.escape(ca('other-ca'))}"),
        ({"endpoint": ceph.http.replace("http:", "https:")}, f"no TLS with {address(ceph.http)}: .*wrong version number"),
        ({"endpoint": ceph.https.replace("https:", "http:"), "auth": {"ca_cert": None}}, address(ceph.https)),
        ({"endpoint": f"https://{nowhere}"}, f"cannot connect to {nowhere}: Connection refused"),
    ]
    sites = [new_site(etcd, bucket, changes={"s3_client": change, "etcd_client": {"retries": 0}}).start()
             for change, _ in wrong]
    commands = [Command(site, "backup", "--json", "-q") for site in sites]
    for site, command, (_, words) in zip(sites, commands, wrong):
        backup_fails(site, 1, words, done=command.end())  # nothing was begun that could stay there
    nobody.close()
    check_clean(sites[0], 0)


# ---- slow, stopped, killed ----

RELEASED = "etcd_disk_backend_snapshot_duration_seconds_count"


def test_an_osd_that_stops_and_goes_on(fragile, large, proxied):
    """The upload waits in the middle, etcd with it, and then all goes on."""
    site, proxy = proxied(fragile, large, at(2, lambda: fragile.signal("osd", signal.SIGSTOP)), parts_in_flight=1)
    before = large.metrics()[RELEASED]
    command = Command(site.start(), "backup", "--json", "-q")
    try:
        wait_for(lambda: proxy.requests and proxy.requests[-1].number == 2, what="the second part")
        wait_for(lambda: state_of(fragile.pid("osd")) == "T")
        running = site.ctl("status", "--json").json["running"]
        assert (running["job"], running["phase"]) == ("backup", "streaming")
        assert running["done"] <= 5 * MIB < 40 * MIB < running["total"]
        assert large.metrics()[RELEASED] == before
    finally:
        fragile.signal("osd", signal.SIGCONT)
    done = command.end()
    assert done.status == 0 and done.json["attempts"] == 1, done
    check_clean(site, 1)


def spool_of(site):
    """What the daemon has in its spool, a file without a name."""
    return next((link.read_bytes() for link, name in descriptors(site.process.pid).items()
                 if name.startswith(str(site.dir)) and name.endswith("(deleted)")), None)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_etcd_need_not_wait_for_s3(fragile, large, proxied, compression):
    """What S3 does not take waits on disk, sealed and in a file without a name; etcd's transaction has ended by then."""
    site, _ = proxied(fragile, large, at(2, lambda: fragile.signal("osd", signal.SIGSTOP)), spool_size=servers.Raw("1GiB"))
    site.configure({"compression": compression})
    before = large.metrics()[RELEASED]
    command = Command(site.start(), "backup", "--json", "-q")
    try:
        wait_for(lambda: large.metrics()[RELEASED] == before + 1, what="the end of etcd's transaction")
        spooled = spool_of(site)
        assert len(spooled) >= 5 * MIB
        assert b"fill/0000" not in spooled
        assert site.process.poll() is None and command.process.poll() is None
    finally:
        fragile.signal("osd", signal.SIGCONT)
    done = command.end()
    assert done.status == 0 and done.json["spooled"] >= 5 * MIB, done
    assert b"fill/0000" in site.plaintext(check_clean(site, 1)[0])
    assert spool_of(site) is None
    check_left_behind(site)


def test_a_gateway_that_is_killed(fragile, medium, proxied):
    """Connections break and are refused, until it is there again."""
    killed = []

    def rule(request):
        if killed:
            return Hold()
        if request.number == 2:
            killed.append(True)
            fragile.kill("rgw")
        return None

    site, proxy = proxied(fragile, medium, rule)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: [request for request in proxy.held if request.number == 2], what="the second part, once more")
    fragile.restart()
    proxy.release()
    done = command.end()
    assert done.status == 0 and done.json["attempts"] == 1, done
    check_clean(site, 1)


def test_a_store_that_takes_one_request_at_a_time(new_ceph, medium, proxied):
    """Ceph's own 503 SlowDown: more parts at once than it takes are only slower."""
    site, proxy = proxied(new_ceph(rgw="rgw_max_concurrent_requests=1"), medium,
                          lambda request: Hold() if request.call == "part" else None, parts_in_flight=4)
    command = Command(site.start(), "backup", "--json", "-q")
    wait_for(lambda: len(proxy.held) >= 3, what="three parts at once")
    proxy.release()
    done = command.end()
    assert done.status == 0 and done.json["attempts"] == 1, done
    assert [request for request in proxy.requests if request.status == 503]
    check_clean(site, 1)


# ---- single requests that fail ----


def is_key(request):
    return request.call == "put" and request.path.endswith(".key")


def once(condition, action):
    """A rule that does this to the first request for which the condition holds."""
    done = []

    def rule(request):
        if condition(request) and not done:
            done.append(True)
            return action
        return None
    return rule


# Which request, what becomes of it.
PASSING = {
    "no answer to a part": (lambda request: request.number == 1, DROP),
    "a lost answer to a part": (lambda request: request.number == 1, LOSE),
    "silence": (lambda request: request.number == 2, Hold()),
    "SlowDown": (lambda request: request.number == 3, Answer(503, error("SlowDown"))),
    "a lost answer to the key": (is_key, LOSE),
    "a lost answer to the commit": (lambda request: request.call == "complete", LOSE),
    "no answer to the commit": (lambda request: request.call == "complete", DROP),
    "a refused signature": (lambda request: request.number == 2, Answer(403, error("SignatureDoesNotMatch"))),
    "an error in a 200": (lambda request: request.call == "complete", Answer(200, error("InternalError"))),
}


@pytest.mark.parametrize("name", PASSING)
def test_faults_that_pass(ceph, medium, proxied, name):
    condition, action = PASSING[name]
    patience = {"request_timeout": "5s"} if isinstance(action, Hold) else {}
    site, proxy = proxied(ceph, medium, once(condition, action), **patience)
    done = site.start().ctl("backup", "--json", "-q")
    assert done.status == 0 and done.json["attempts"] == 1, done
    assert [request for request in proxy.requests if condition(request)]
    check_clean(site, 1)


def denied(condition):
    return lambda request: Answer(403, error("AccessDenied")) if condition(request) else None


@pytest.mark.parametrize("condition, doing", [
    (lambda request: request.call == "create", "creating the upload"),
    (lambda request: request.number == 2, "uploading part 2"),
    (is_key, "storing the data key"),
    (lambda request: request.call == "complete", "completing the upload"),
], ids=["create", "part", "key", "complete"])
def test_what_is_denied(ceph, medium, proxied, condition, doing):
    """At each step: all is taken back, and nothing is tried again."""
    site, proxy = proxied(ceph, medium, denied(condition))
    backup_fails(site.start(), 1, f"^{doing}: HTTP 403 AccessDenied: m( |$)")
    assert len([request for request in proxy.requests if condition(request)]) == 1
    if doing == "completing the upload":
        check_lone_key(site)
    else:
        check_clean(site, 0)


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
def test_a_backup_that_may_not_be_looked_at(ceph, medium, proxied, encrypted):
    """An access key without s3:GetObject stores backups, and says that it could not look: no reason for another one."""
    site, proxy = proxied(ceph, medium, denied(lambda request: request.call in ("head", "get") and request.path.endswith(
        (".dump", ".key", ".claim"))))
    site.configure({"encryption_key_path": site.key_file if encrypted else None, "etcd_client": {"retries": 3}})
    done = site.start().ctl("backup", "--json", "-q")
    assert done.status == 0 and done.json["attempts"] == 1 and len(proxy.calls("create")) == 1, done
    note, = done.err.splitlines()
    assert re.search(r"note: the backup is stored, but its dump could not be looked at: HTTP 403 .*s3:GetObject", note), note
    check_clean(site, 1)


def test_a_key_that_is_there_already(ceph, medium, proxied):
    """Another daemon with our prefix was faster in this very second: its key is not touched, and we take another name."""
    site, proxy = proxied(ceph, medium)
    taken = []

    def rule(request):
        if request.call == "create" and not taken:
            taken.append(request.path.partition(f"/{site.bucket.name}/")[2].replace("%3A", ":").replace(".dump", ".key"))
            site.bucket.put(taken[0], b"another's")

    proxy.rule = rule
    site.configure({"etcd_client": {"retries": 1}})
    done = site.start().ctl("backup", "--json", "-q")
    assert done.status == 0 and done.json["attempts"] == 2, done
    assert re.search("another backup began in the same second", done.err) and len(done.err.splitlines()) == 1, done
    assert done.json["name"].replace(".dump", ".key") != taken[0]
    assert site.bucket.get(taken[0]) == b"another's"
    site.bucket.delete(taken[0])
    check_clean(site, 1)


def plain(proxied, *arguments, retries=1, **settings):
    """A site whose backups are not encrypted: no key takes a name for them."""
    site, proxy = proxied(*arguments, **settings)
    site.configure({"encryption_key_path": None, "etcd_client": {"retries": retries}})
    return site, proxy


def name_of(site, request):
    return request.path.partition(f"/{site.bucket.name}/")[2].replace("%3A", ":")


def check_took_another_name(site, done, name, content, words):
    assert done.status == 0 and done.json["attempts"] == 2, done
    assert re.search(rf"attempt 1 failed: {re.escape(name)} {words}: another backup began in the same second", done.err), done
    assert len(done.err.splitlines()) == 1 and done.json["name"] != name, done
    assert site.bucket.get(name) == content
    site.bucket.delete(name)
    check_clean(site, 1)


def test_a_dump_that_is_there_already(ceph, medium, proxied):
    """Without a key it is the dump that another daemon must not have stored under our name."""
    site, proxy = plain(proxied, ceph, medium)
    taken = []

    def rule(request):
        if request.number == 3 and not taken:
            taken.append(name_of(site, request))
            site.bucket.put(taken[0], b"another's")

    proxy.rule = rule
    done = site.start().ctl("backup", "--json", "-q")
    check_took_another_name(site, done, *taken, b"another's", "exists already")


def test_a_dump_that_is_overwritten(ceph, medium, proxied):
    """By another daemon, between our commit and the look that proves it: its backup is whole, and ours gets another name."""
    site, proxy = plain(proxied, ceph, medium)
    client, content, taken = site.bucket.client, os.urandom(MIB), []

    def rule(request):
        if request.call == "head" and request.nth == 2 and not taken:
            taken.append(name_of(site, request))
            names = {"Bucket": site.bucket.name, "Key": taken[0]}
            names["UploadId"] = client.create_multipart_upload(**names)["UploadId"]
            etag = client.upload_part(**names, PartNumber=1, Body=content)["ETag"]
            client.complete_multipart_upload(**names, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    proxy.rule = rule
    done = site.start().ctl("backup", "--json", "-q")
    check_took_another_name(site, done, *taken, content, "was overwritten meanwhile")


@pytest.mark.parametrize("status", (412, 200))
def test_a_commit_that_finds_the_name_taken(ceph, medium, proxied, status):
    """By its first line, or by what follows a 200; then the upload goes, and we take another name."""
    site, proxy = plain(proxied, ceph, medium)
    taken = []

    def rule(request):
        if request.call == "complete" and not taken:
            taken.append(name_of(site, request))
            site.bucket.put(taken[0], b"another's")
            return Answer(status, error("PreconditionFailed"))
        return None

    proxy.rule = rule
    done = site.start().ctl("backup", "--json", "-q")
    assert proxy.calls("complete")[0].headers["If-None-Match"] == "*"
    check_took_another_name(site, done, *taken, b"another's", "exists already")


@pytest.mark.parametrize("status, code, commits", ((501, "NotImplemented", 3), (400, "InvalidRequest", 4)))
def test_stores_without_conditions_of_a_commit(ceph, etcd, proxied, status, code, commits):
    """It is done without, and what is sure is not asked for again."""
    site, proxy = plain(proxied, ceph, etcd, retries=0)
    proxy.rule = lambda request: Answer(status, error(code)) if request.call == "complete" and "If-None-Match" in request.headers else None
    site.start()
    for _ in range(2):
        done = site.ctl("backup", "-q")
        assert (done.status, done.err) == (0, ""), done
    assert len(proxy.calls("complete")) == commits
    check_clean(site, 2)


@pytest.mark.parametrize("same", [True, False])
def test_the_etag_that_the_answer_to_the_commit_names(ceph, medium, proxied, same):
    """Ceph 16 names none, Ceph 18 and others do: it is what the look behind must find, even if the size is right."""
    site, proxy = plain(proxied, ceph, medium)

    def name(status, headers, body):
        key = site.bucket.dumps()[0]
        own = site.bucket.client.head_object(Bucket=site.bucket.name, Key=key)["ETag"].strip('"')
        etag = own if same else f"{own[::-1].replace('-', '0')[-32:]}-{own.partition('-')[2]}"
        body, named = re.subn(b"<ETag>[^<]*</ETag>", b"<ETag>&quot;%b&quot;</ETag>" % etag.encode(), body)
        assert named == 1 and (etag == own) == same
        return status, headers, body

    proxy.rule = lambda request: After(name) if request.call == "complete" and len(proxy.calls("complete")) == 1 else None
    done = site.start().ctl("backup", "--json", "-q")
    assert (done.status, done.json["attempts"]) == (0, 1 if same else 2), done
    assert ("was overwritten meanwhile" in done.err) != same


@pytest.mark.parametrize("headers", [{}, {"ETag": '"0123456789abcdef0123456789abcdef"'}, {"ETag": "W/%s"}],
                         ids=["none", "another kind", "weak"])
def test_stores_with_etags_of_their_own(ceph, medium, proxied, headers):
    """No ETag that says nothing makes a good backup a bad one."""
    def change(status, sent, body):
        own = next((value for name, value in sent.items() if name.lower() == "etag"), "")
        kept = {name: value for name, value in sent.items() if name.lower() != "etag"}
        return status, kept | {name: value.replace("%s", own) for name, value in headers.items()}, body

    site, _ = plain(proxied, ceph, medium, lambda request: After(change) if request.call == "head" else None, retries=0)
    done = site.start().ctl("backup", "-q")
    assert (done.status, done.err) == (0, ""), done
    check_clean(site, 1)


def lasting(condition, action):
    return lambda request: action if condition(request) else None


def first_of(*rules):
    return lambda request: next((action for action in (rule(request) for rule in rules) if action is not None), None)


SLOW_DOWN, BROKEN = Answer(503, error("SlowDown")), Answer(500, error("InternalError"))
TRIED = r"\(\d+ attempts over \d+ s\)$"

def nothing_is_there(site):
    check_clean(site, 0)


def an_upload_is_there(site):
    assert check_dumps(site) == [] and len(site.bucket.uploads()) == 1


def a_dump_is_there(site):
    assert len(check_dumps(site)) == 1


# What the store does from then on; what is said of it; how many notes of what may stay; and what is in the bucket.
LASTING = [
    (lasting(lambda request: request.number == 2, SLOW_DOWN),
     f"^uploading part 2: HTTP 503 SlowDown: m {TRIED}", 0, nothing_is_there),
    (lasting(lambda request: request.number == 2, DROP),
     f"^uploading part 2: the connection was closed without an answer by .* {TRIED}", 0, nothing_is_there),
    (lasting(is_key, BROKEN), f"^storing the data key: HTTP 500 InternalError: m {TRIED}", 0, nothing_is_there),
    (lasting(lambda request: request.call == "complete", BROKEN),
     f"^completing the upload: HTTP 500 InternalError: m {TRIED}", 0, check_lone_key),
    (first_of(denied(lambda request: request.number == 2), lasting(lambda request: request.call == "abort", BROKEN)),
     "^uploading part 2: HTTP 403 AccessDenied", 1, an_upload_is_there),
    # Nobody knows whether there is a dump. There is one, and its key is not taken away.
    (first_of(lasting(lambda request: request.call == "complete", LOSE), lasting(lambda request: request.call == "head" and request.nth > 0, DROP)),
     "^completing the upload: ", 1, a_dump_is_there),
]


def test_faults_that_last(ceph, medium, proxied):
    """All of them at once, since each is tried for five minutes, of which hurry.c makes seconds."""
    sites = [proxied(ceph, medium, rule)[0] for rule, *_ in LASTING]
    for site in sites:
        site.programs = servers.Programs()
        site.programs.environment |= {"LD_PRELOAD": str(Path(site.programs.daemon).parents[1] / "tests/system/hurry.so"),
                                      "HURRY_TIMES": "60"}
        site.programs.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
    commands = [Command(site.start(), "backup", "--json", "-q") for site in sites]
    for site, command, (_, words, notes, check) in zip(sites, commands, LASTING):
        backup_fails(site, 1, words, done=command.end(), warnings=["an unfinished upload may stay in the bucket"] * notes)
        check(site)
