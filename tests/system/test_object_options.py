"""What the store is asked to do with objects: encrypt, a class, tags. Each request that makes an object says it, and no other."""

from s3_proxy import Answer, error


def test_encryption_and_tags(new_ceph, new_bucket, new_site, etcd):
    """A real store encrypts dump and key, keeps the tags, and gives all of it back."""
    key = "4YSmvJtBv0aZ7geVgAsdpRnLBEwWSWlMIGnRS8a9TSA="
    ceph = new_ceph(rgw=f"rgw_crypt_default_encryption_key={key} rgw_crypt_require_ssl=false")
    bucket = new_bucket(ceph)
    site = new_site(etcd, bucket, changes={"s3_client": {"server_side_encryption": "s3", "tags": ["team=data base", "k=ä"]}})
    assert site.ctl("backup").status == 0
    assert site.ctl("verify").status == 0
    names = [name for name in bucket.list() if name.endswith((".dump", ".key"))]
    assert len(names) == 2
    # Ceph 16 forgets the tags of what comes in parts.
    name = next(name for name in names if name.endswith(".key"))
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key=name)["TagSet"]
    assert {t["Key"]: t["Value"] for t in tags} == {"team": "data base", "k": "ä"}


def test_what_is_asked(proxied, ceph, etcd):
    """The class is of the dump alone, the key of KMS is named; parts, commits and reads carry nothing of it."""
    seen, refused = [], "create"

    def rule(request):
        names = ("server-side-encryption", "storage-class", "tagging")
        asked = {n.lower(): v for n, v in request.headers.items() if any(name in n.lower() for name in names)}
        if asked:
            seen.append((request.call, asked))
        return Answer(400, error("InvalidArgument")) if request.call == refused else None

    site, _ = proxied(ceph, etcd, rule, storage_class="STANDARD_IA", tags=["a=b"])
    done = site.ctl("backup")
    assert done.status == 1 and "InvalidArgument" in done.err, done
    assert ("create", {"x-amz-storage-class": "STANDARD_IA", "x-amz-tagging": "a=b"}) in seen
    assert ("put", {"x-amz-tagging": "a=b"}) in seen and {call for call, _ in seen} == {"create", "put"}
    seen.clear()
    refused = "put"
    site.configure({"s3_client": {"server_side_encryption": "kms", "kms_key_id": "alias/etcd", "tags": None}})
    assert site.ctl("backup").status == 1
    assert {call for call, _ in seen} == {"put"}
    assert seen[0][1] == {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "alias/etcd"}


def test_warnings(site):
    site.configure({"s3_client": {"storage_class": "GLACIER_IR", "kms_key_id": "k"}, "prune": {"max_age": "15d"}})
    done = site.check_config()
    assert done.status == 0, done
    assert "s3_client.storage_class: is billed for 90 days at least, and prune.max_age is shorter" in done.err
    assert "s3_client.kms_key_id: is not used: s3_client.server_side_encryption is not kms" in done.err
