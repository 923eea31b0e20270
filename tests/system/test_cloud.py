"""Credentials that a cloud gives: each place that they come from, what goes wrong there, and that no request fails while they change.

The places are played on 127.0.0.1 (clouds.py); what they give are keys of the real store, and s3_proxy refuses those whose time is
over, as S3 does. STS is also Ceph's own."""

import calendar
import copy
import json
import os
import re
import signal
import socket
import time
import urllib.request

import pytest

import clouds
import servers
from clouds import Agent, Broker, Credentials, Ec2, Sts
from s3_proxy import Answer, error
from servers import Raw, wait_for


def own(ceph, seconds=3600, token=""):
    """give(): the store's own key."""
    return lambda: Credentials(ceph.access_key, ceph.secret_key, token, seconds)


def auth(source, **keys):
    return {"s3_client": {"auth": {"source": source, "key_auth": None, **keys}}}


def with_environment(site, **variables):
    site.programs = copy.copy(site.programs)
    site.programs.environment = dict(servers.Programs().environment, **variables)
    return site


def backup(site):
    done = site.ctl("backup")
    assert done.status == 0, done
    return done


def reload(site):
    def count():
        return site.log.read_text().count("the configuration was read anew: ")

    before = count()
    site.process.send_signal(signal.SIGHUP)
    wait_for(lambda: count() > before, what="a reload")


# ---- the places ----

def test_instance(site, ceph):
    """A token first, no proxy whatever the environment says, and the newest token's credentials make a backup."""
    with Ec2(own(ceph)) as ec2:
        with_environment(site, http_proxy="http://127.0.0.1:1", no_proxy="localhost")
        site.configure(auth("instance", instance_endpoint=ec2.url))
        backup(site)
        assert [(method, path) for method, path, *_ in ec2.asked] == [
            ("PUT", "/latest/api/token"), ("GET", Ec2.roles), ("GET", Ec2.roles + Ec2.role)]
    assert len(site.bucket.dumps()) == 1


def test_container(site, ceph):
    """The variables of EKS say where; the token is what the file holds when it is asked."""
    with Agent(own(ceph, seconds=1)) as agent:
        token = site.write("pod-token", "first\n")
        with_environment(site, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{agent.url}/v1/credentials",
                         AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token)
        site.configure(auth("container"))
        site.start()
        backup(site)
        agent.token = None  # while it is exchanged either is good: one is fetched all the time
        site.write("pod-token", "second")
        wait_for(lambda: agent.asked[-1][2]["Authorization"] == "second", what="the second token")
        agent.token = "second"
        backup(site)
        assert {headers["Authorization"] for *_, headers, _ in agent.asked} == {"first", "second"}


def test_web_identity(proxied, ceph, etcd):
    """The token goes to STS as it is in the file, unsigned, and nothing of it gets into a log or an error."""
    site, proxy = proxied(ceph, etcd)
    seen = set()
    with Sts(own(ceph, token="the-session-token")) as sts:
        sts.token = "eyJhbGciOi.GEHEIM.GEHEIM"
        token = site.write("web-token", f"{sts.token}\n")
        os.chmod(token, 0o644)
        with_environment(site, AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN="arn:aws:iam::1:role/r")
        site.configure(auth("web-identity", sts_endpoint=sts.url))
        proxy.rule = lambda request: seen.add(request.headers.get("x-amz-security-token")) or Answer(
            403, error("AccessDenied"))
        done = site.ctl("list")
        assert done.status == 1 and "AccessDenied" in done.err
        assert seen == {"the-session-token"} and b"RoleSessionName=etcd-backupd-" in sts.asked[0][3]
        site.write("web-token", "eyJhbGciOi.ANDERS.GEHEIM")
        done = site.ctl("list")
        assert done.status == 1 and "STS: HTTP 400 InvalidIdentityToken: Couldn't retrieve" in done.err, done
        sts.answer = lambda *_: (400, Sts.refusal("InvalidIdentityToken", "what is eyJhbGciOi.ANDERS.GEHEIM?"))
        done = site.ctl("list")
        assert "STS: HTTP 400 InvalidIdentityToken" in done.err and "GEHEIM" not in done.err, done


def test_process(site, ceph):
    """No shell, no environment but PATH and HOME; what it says last on stderr is why it failed."""
    program = site.dir / "give credentials"
    program.write_text('#!/bin/sh\n[ "$1 $#" = "--role etcd 1" ] || { echo "which role?" >&2; exit 3; }\n'
                       '[ -z "$SECRET_OF_OURS" ] || exit 4\n'
                       f'echo \'{own(ceph)().document(token="SessionToken", Version=1)}\'\n')
    program.chmod(0o755)
    with_environment(site, SECRET_OF_OURS="1")
    site.configure(auth("process", process=[str(program), "--role etcd"]))
    backup(site)
    site.configure(auth("process", process=[str(program), "--role", "etcd"]))
    done = site.ctl("list")
    assert done.status == 1 and f"credentials from process: {program} ended with status 3: which role?" in done.err, done


def test_profile(site, ceph):
    """Keys of a section; or its program, whose words are cut as a shell would."""
    program = site.dir / "give"
    program.write_text(f'#!/bin/sh\n[ "$1" = "a b" ] && echo \'{own(ceph)().document(token="SessionToken", Version=1)}\'\n')
    program.chmod(0o755)
    path = site.write("aws", f"[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n\n[profile backup]\n"
                             f"region = x\naws_access_key_id={ceph.access_key}\r\naws_secret_access_key = {ceph.secret_key}\n"
                             f"[p]\ncredential_process = {program} \"a b\"\n[sso]\nsso_session = s\n")
    site.configure(auth("profile", profile="backup", shared_credentials_file=path))
    backup(site)
    site.configure(auth("profile", profile="p"))
    assert site.ctl("list").status == 0
    for profile, why in (("none", "there is no profile [none]"), ("sso", "line 12: sso_session is not understood here")):
        site.configure(auth("profile", profile=profile))
        done = site.ctl("list")
        assert done.status == 1 and f"credentials from profile: {path}: {why}" in done.err, done


# ---- Ceph's own STS ----

def test_role_of_ceph(new_ceph, new_bucket, new_site, etcd):
    """AssumeRole at a real store: signed by the keys of a file, the session's token in each request after it."""
    ceph = new_ceph(rgw="rgw_sts_key=abcdefghijklmnop rgw_s3_auth_use_sts=true")
    bucket = new_bucket(ceph)
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/other"]}, "Action": ["sts:AssumeRole"]}]}
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}]}
    ceph.admin("role", "create", "--role-name=backup", "--path=/", f"--assume-role-policy-doc={json.dumps(trust)}")
    ceph.admin("role-policy", "put", "--role-name=backup", "--policy-name=p", f"--policy-doc={json.dumps(rights)}")
    site = new_site(etcd, bucket)
    keys = site.write("other.yml", "access_key: otherkey\nsecret_key: othersecret\n")
    site.configure({"s3_client": {"auth": {"key_auth": keys}}})
    assert "AccessDenied" in site.ctl("list").err  # other may do nothing itself
    site.configure({"s3_client": {"auth": {"role_arn": "arn:aws:iam:::role/backup", "sts_endpoint": ceph.https}}})
    site.start()
    backup(site)
    assert site.ctl("verify").status == 0
    status = site.ctl("--json", "status").json
    assert status["credentials"] == "file" and status["credentials_expire"] and not status["credentials_trouble"]
    site.configure({"s3_client": {"auth": {"role_arn": "arn:aws:iam:::role/another"}}})
    site.stop()
    done = site.ctl("list")
    assert done.status == 1 and "credentials from file: STS: HTTP 40" in done.err, done


# ---- MinIO's own STS ----

@pytest.fixture(scope="module")
def openid(scratch):
    with clouds.OpenId(scratch) as provider:
        yield provider


def expire(site):
    """When what is used now does, as `status` has it."""
    return calendar.timegm(time.strptime(site.ctl("--json", "status").json["credentials_expire"], "%Y-%m-%dT%H:%M:%SZ"))


def test_web_identity_at_a_real_store(scratch, ca, openid, new_bucket, new_site, etcd):
    """A token of the pod's for credentials of the store's, and again when they end: with what the file holds by then. What the store's
    provider has not signed, or not for us, is refused in one line."""
    with servers.Minio(scratch / "minio-sts", ca, settings=[
            f"MINIO_IDENTITY_OPENID_CONFIG_URL={openid.url}/.well-known/openid-configuration",
            f"MINIO_IDENTITY_OPENID_CLIENT_ID={openid.audience}", "MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite"]) as minio:
        site = new_site(etcd, new_bucket(minio), https=False)
        token = site.write("token", openid.token(15))  # the credentials end with it
        with_environment(site, AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=minio.role)
        site.configure(auth("web-identity", sts_endpoint=minio.http))
        site.start()
        backup(site)
        ends = expire(site)
        assert ends < time.time() + 20
        site.write("token", openid.token(3600))
        wait_for(lambda: expire(site) > ends + 3000, what="the second token's credentials")
        wait_for(lambda: time.time() > ends + 1, what="the end of the first one's")
        backup(site)
        assert site.ctl("verify").status == 0
        status = site.ctl("--json", "status").json
        assert status["credentials"] == "web-identity" and not status["credentials_trouble"]
        site.stop()
        (site.dir / "another").mkdir()
        with clouds.OpenId(site.dir / "another") as another:
            for wrong in (another.token(3600), another.token(3600, iss=openid.url), openid.token(3600, aud="another"), openid.token(-60)):
                site.write("token", wrong)
                done = site.ctl("list")
                assert done.status == 1 and done.err.count("\n") == 1, done
                assert "credentials from web-identity: STS: HTTP 40" in done.err, done
                assert not any(part in done.err for part in wrong.split(".")), done


# ---- an hour of credentials of a minute, faster ----

class Expiring:
    """Keys of the store's user, each given for some seconds; the rule refuses those whose time is over, as S3 does."""

    def __init__(self, ceph, seconds):
        self.seconds, self.given, self.refused, self.used, self.turn = seconds, {}, 0, set(), 0
        self.keys = [(f"hour{n}", f"hoursecret{n}") for n in range(12)]
        for access_key, secret_key in self.keys:
            ceph.admin("key", "create", "--uid=t", "--key-type=s3", f"--access-key={access_key}", f"--secret-key={secret_key}")

    def give(self):
        access_key, secret_key = self.keys[self.turn % len(self.keys)]
        self.turn += 1
        given = Credentials(access_key, secret_key, seconds=self.seconds)
        self.given[access_key] = given.expires
        return given

    def rule(self, request):
        access_key = re.search("Credential=([^/]+)/", request.headers["Authorization"])[1]
        self.used.add(access_key)
        if time.time() < self.given.get(access_key, 0):
            return None
        self.refused += 1
        return Answer(400, error("ExpiredToken"))


@pytest.fixture(scope="module")
def expiring(ceph):
    made = Expiring(ceph, seconds=4)
    yield made
    for access_key, _ in made.keys:
        ceph.admin("key", "rm", "--uid=t", "--key-type=s3", f"--access-key={access_key}")


@pytest.mark.parametrize("place", [Ec2, Agent, Broker], ids=["EC2", "ECS and EKS", "a program"])
def test_an_hour_of_short_credentials(proxied, ceph, medium, expiring, place):
    """Backups, verifications and prunes while the credentials change again and again: none that had expired was ever used, and
    nothing was asked for twice."""
    expiring.turn, expiring.used = 0, set()
    with place(expiring.give) as cloud:
        site, proxy = proxied(ceph, medium, expiring.rule)
        if place is Ec2:
            site.configure(auth("instance", instance_endpoint=cloud.url))
        elif place is Agent:
            with_environment(site, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{cloud.url}/v1/credentials")
            site.configure(auth("container"))
        else:
            site.configure(auth("process", process=cloud.command()))
        site.start()
        while expiring.turn < 8:
            backup(site)
            assert site.ctl("verify").status == 0
            assert site.ctl("prune", "--max-age", "1d", "--min-count", "1").status == 0
        assert expiring.refused == 0 and len(expiring.used) >= 6
        assert not [r for r in proxy.requests if r.status and r.status not in (200, 204, 206, 404)]


def test_expired_token(proxied, ceph, etcd, expiring):
    """What the store does not take any more is fetched anew once, and the request sent once more."""
    expiring.seconds, refused = 3600, []

    def rule(request):
        if len(refused) < 1 and request.call == "put":
            refused.append(request)
            return Answer(400, error("ExpiredToken"))
        return None

    with Ec2(expiring.give) as ec2:
        site, _ = proxied(ceph, etcd, rule)
        site.configure(auth("instance", instance_endpoint=ec2.url))
        site.start()
        assert site.ctl("list").status == 0
        before = len(ec2.asked)
        clouds.time.sleep(1.1)  # what was fetched a moment ago is not fetched again
        backup(site)
        assert refused and len(ec2.asked) == before + 3
    expiring.seconds = 4


# ---- what goes wrong ----

def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("answer, why", [
    (lambda m, p: clouds.HANG if m == "PUT" else None, 'HttpPutResponseHopLimit ("hop limit") has to be 2'),
    (lambda m, p: (404, "") if p == Ec2.roles else None, "no role is attached to this instance"),
    (lambda m, p: (403, "") if m == "PUT" else None, "it is switched off for this instance"),
    (lambda m, p: (404, "") if m == "PUT" else None, "version 2 of the service is not what answers there"),
    (lambda m, p: (200, "../../x") if p == Ec2.roles else None, "what should be the name of a role is none"),
    (lambda m, p: (200, "<html>") if p.endswith(Ec2.role) else None, "the credentials are not JSON, from byte"),
    (lambda m, p: (200, '{"Code": "AssumeRoleUnauthorizedAccess"}') if p.endswith(Ec2.role) else None,
     "it has no credentials: Code AssumeRoleUnauthorizedAccess"),
    (lambda m, p: (200, "x" * 100000) if p.endswith(Ec2.role) else None, "the answer is longer than 65536 bytes"),
    (lambda m, p: (200, b"a\r\nX-Evil: 1") if m == "PUT" else None, "cannot be sent"),
    (lambda m, p: (200, Credentials("AK/IA", "GEHEIM", "GEHEIM").document(Code="Success")) if p.endswith(Ec2.role) else None,
     "the access key has a character that none has"),
    (lambda m, p: (200, Credentials("AKIA", "GEHEIM", "GEH\nEIM").document(Code="Success")) if p.endswith(Ec2.role) else None,
     "the session token has a character that none has"),
    (lambda m, p: (200, Credentials("AKIA", "GEHEIM", "GEHEIM", -60).document(Code="Success")) if p.endswith(Ec2.role) else None,
     "what it gave has expired already"),
])
def test_instance_that_gives_nothing(site, ceph, answer, why):
    with Ec2(own(ceph)) as ec2:
        ec2.answer = answer
        site.configure(auth("instance", instance_endpoint=ec2.url))
        done = site.ctl("list")
        assert done.status == 1 and why in done.err and "credentials from instance: " in done.err, done
        assert "GEHEIM" not in done.err and all(line.startswith("note: ") for line in done.err.splitlines()[:-1]), done


def test_what_is_missing_is_named(site):
    for variables, changes, why in (
            ({}, auth("container"), "neither AWS_CONTAINER_CREDENTIALS_FULL_URI nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set"),
            ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.0.0.1/x"}, auth("container"),
             "is plain http:// to 10.0.0.1: that is asked on this machine and at the addresses of ECS and EKS alone"),
            ({"AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}, auth("web-identity"),
             "neither s3_client.auth.token_file nor AWS_WEB_IDENTITY_TOKEN_FILE is set"),
            ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent"}, auth("web-identity"),
             "neither s3_client.auth.role_arn nor AWS_ROLE_ARN is set"),
            ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
             auth("instance", instance_endpoint=f"http://127.0.0.1:{closed_port()}"), "the instance metadata service at 127.0.0.1:")):
        with_environment(site, **variables)
        site.configure({"s3_client": {"auth": None}})
        site.configure(changes)
        done = site.ctl("list")
        assert done.status == 1 and why in done.err, done


# ---- what is seen of it ----

def test_trouble_is_seen_before_a_backup_needs_it(site, ceph):
    """A place that gives nothing any more: the log, the status and the metric say so while those that are there still serve."""
    port = closed_port()
    with Ec2(own(ceph, seconds=8)) as ec2:
        site.configure(auth("instance", instance_endpoint=ec2.url) | {"metrics": {"listen": f"127.0.0.1:{port}"}})
        site.start()

        def status():
            return site.ctl("--json", "status").json

        def expiry():
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
            return int(re.search(r"^etcd_backupd_credentials_expiry_timestamp_seconds (\d+)$", page, re.M)[1])

        wait_for(lambda: status()["credentials_expire"], what="credentials")
        assert expiry() > time.time()
        ec2.answer = lambda *_: (500, "")
        wait_for(lambda: status()["credentials_trouble"], what="the trouble")
        assert "the instance metadata service says HTTP 500" in status()["credentials_trouble"]
        assert "those that are there serve until" in site.log.read_text()
        assert "could not be fetched: credentials from instance: " in site.ctl("status").out
        ec2.answer = None
        wait_for(lambda: not status()["credentials_trouble"], what="the end of it")
        backup(site)


def test_answers_that_have_expired(site, ceph):
    """They are no credentials: those that are there serve on, and the place is asked less and less often."""
    given = own(ceph, seconds=30)
    came = []
    with Ec2(lambda: given()) as ec2:
        ec2.answer = lambda method, path: came.append(clouds.time.monotonic()) if path.endswith(Ec2.role) else None
        site.configure(auth("instance", instance_endpoint=ec2.url))
        site.start()
        backup(site)
        given = own(ceph, seconds=-5)
        wait_for(lambda: "has expired already" in site.ctl("--json", "status").json["credentials_trouble"], 60, what="the trouble")
        assert site.ctl("list").status == 0
        n = len(came)
        wait_for(lambda: len(came) >= n + 3, 60, what="four questions")
        first, *_, last = (b - a for a, b in zip(came[n - 1:], came[n:]))
        assert first >= 0.45 and last >= 1.9, came  # a second, two, four: each at least half of it
        given = own(ceph, seconds=30)
        wait_for(lambda: not site.ctl("--json", "status").json["credentials_trouble"], 60, what="the end of it")
        backup(site)


def test_a_reload_while_the_place_gives_nothing(site, ceph):
    """What was fetched serves on: a reload in an outage makes nothing worse. Asked anew where another place is named."""
    with Ec2(own(ceph)) as ec2:
        site.configure(auth("instance", instance_endpoint=ec2.url))
        site.start()
        backup(site)
        ec2.answer = lambda *_: (500, "")
        n = len(ec2.asked)
        site.configure({"log_level": "debug"})
        reload(site)
        backup(site)
        assert len(ec2.asked) == n
        with Ec2(own(ceph)) as other:
            site.configure(auth("instance", instance_endpoint=other.url))
            reload(site)
            backup(site)
            assert other.asked


def test_another_source_with_a_signal(site, ceph):
    """SIGHUP: from a file to a cloud and back, whole."""
    file = {"s3_client": {"auth": site.settings["s3_client"]["auth"] | {"source": "file", "instance_endpoint": None}}}
    with Ec2(own(ceph)) as ec2:
        site.start()
        backup(site)
        for changes, there in ((auth("instance", instance_endpoint=ec2.url), "instance"), (file, "")):
            site.configure(changes)
            site.process.send_signal(signal.SIGHUP)
            wait_for(lambda: site.ctl("--json", "status").json["credentials"] == there, what=f"the source {there!r}")
            assert site.ctl("list").status == 0
        assert ec2.asked
