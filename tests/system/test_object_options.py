"""What the store is asked to do with objects: encrypt, a class, tags. Each request that makes an object says it, and no other."""

import pytest

from s3_proxy import Answer, error


KMS = {"server_side_encryption": "kms", "kms_key_id": "etcd"}


def test_encryption_and_tags(new_ceph, new_bucket, new_site, etcd):
    """A real store encrypts dump and key, keeps the tags, and gives all of it back. (Of `s3`, Ceph 18 has Vault do it.)"""
    ceph = new_ceph(rgw="rgw_crypt_s3_kms_backend=testing rgw_crypt_require_ssl=false "
                        "rgw_crypt_s3_kms_encryption_keys=etcd=4YSmvJtBv0aZ7geVgAsdpRnLBEwWSWlMIGnRS8a9TSA=")
    bucket = new_bucket(ceph)
    site = new_site(etcd, bucket, changes={"s3_client": {**KMS, "tags": ["team=data base", "k=ä"]}})
    assert site.ctl("backup").status == 0
    assert site.ctl("verify").status == 0
    names = [name for name in bucket.list() if name.endswith((".dump", ".key"))]
    assert len(names) == 2
    for name in names:
        head = bucket.client.head_object(Bucket=bucket.name, Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "etcd"), name
    # Ceph 16 forgets the tags of what comes in parts.
    name = next(name for name in names if name.endswith(".key"))
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key=name)["TagSet"]
    assert {t["Key"]: t["Value"] for t in tags} == {"team": "data base", "k": "ä"}


@pytest.mark.parametrize("encryption, asked", [
    ({"server_side_encryption": "s3"}, {"x-amz-server-side-encryption": "AES256"}),
    (KMS, {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "etcd"}),
])
def test_how_encryption_is_asked_for(proxied, ceph, etcd, encryption, asked):
    seen = []

    def rule(request):
        if request.call != "put":
            return None
        seen.append({n.lower(): v for n, v in request.headers.items() if "encryption" in n.lower()})
        return Answer(400, error("InvalidArgument"))

    site, _ = proxied(ceph, etcd, rule, **encryption)
    assert site.ctl("backup").status == 1
    assert seen and all(one == asked for one in seen)


def test_what_is_asked(proxied, ceph, etcd):
    """The class is of the dump alone; parts, commits and reads carry nothing of it."""
    seen = []

    def rule(request):
        names = ("server-side-encryption", "storage-class", "tagging")
        asked = {n.lower(): v for n, v in request.headers.items() if any(name in n.lower() for name in names)}
        if asked:
            seen.append((request.call, asked))
        return Answer(400, error("InvalidArgument")) if request.call == "create" else None

    site, _ = proxied(ceph, etcd, rule, storage_class="STANDARD_IA", tags=["a=b"])
    done = site.ctl("backup")
    assert done.status == 1 and "InvalidArgument" in done.err, done
    assert ("create", {"x-amz-storage-class": "STANDARD_IA", "x-amz-tagging": "a=b"}) in seen
    assert ("put", {"x-amz-tagging": "a=b"}) in seen and {call for call, _ in seen} == {"create", "put"}


def test_warnings(site):
    site.configure({"s3_client": {"storage_class": "GLACIER_IR", "kms_key_id": "k"}, "prune": {"max_age": "15d"}})
    done = site.check_config()
    assert done.status == 0, done
    assert "s3_client.storage_class: is billed for 90 days at least, and prune.max_age is shorter" in done.err
    assert "s3_client.kms_key_id: is not used: s3_client.server_side_encryption is not kms" in done.err
