#include "seal/digest.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

/* bbolt's files are made of pages, whose size is a power of two and at least that of a disk's sector. */
enum { BBOLT_UNIT = 512 };

struct digest {
    EVP_MD *sha256;
    EVP_MD_CTX *ctx;
    uint64_t total;           /* bytes seen, those held back included */
    uint8_t tail[DIGEST_LEN]; /* the last bytes seen: perhaps the trailer, so not hashed yet */
    size_t tail_len;
};

struct digest *digest_new(struct err *e)
{
    _cleanup_(cleanup_digest_free) struct digest *d = calloc(1, sizeof(*d));

    if (!d) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a digest");
        return NULL;
    }
    /* Fetched here, once: EVP_sha256() would be looked up again by every initialisation. */
    d->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    d->ctx = EVP_MD_CTX_new();
    if (!d->sha256 || !d->ctx || EVP_DigestInit_ex2(d->ctx, d->sha256, NULL) != 1) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto cannot provide SHA-256");
        return NULL;
    }
    return TAKE_PTR(d);
}

static int hash(struct digest *d, const uint8_t *data, size_t len, struct err *e)
{
    if (EVP_DigestUpdate(d->ctx, data, len) != 1)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto failed to compute a SHA-256");
    return 0;
}

int digest_update(struct digest *d, struct bytes bytes, struct err *e)
{
    size_t keep, out;

    if (bytes.len == 0)
        return 0;
    d->total += bytes.len;
    if (bytes.len >= DIGEST_LEN) {
        /* The usual case, a large piece: all that was held back turns out to be data, and nothing large is copied. */
        if (hash(d, d->tail, d->tail_len, e) < 0 || hash(d, bytes.data, bytes.len - DIGEST_LEN, e) < 0)
            return -1;
        memcpy(d->tail, bytes.data + bytes.len - DIGEST_LEN, DIGEST_LEN);
        d->tail_len = DIGEST_LEN;
        return 0;
    }
    keep = DIGEST_LEN - bytes.len;
    out = d->tail_len > keep ? d->tail_len - keep : 0;
    if (hash(d, d->tail, out, e) < 0)
        return -1;
    d->tail_len -= out;
    memmove(d->tail, d->tail + out, d->tail_len);
    memcpy(d->tail + d->tail_len, bytes.data, bytes.len);
    d->tail_len += bytes.len;
    return 0;
}

int digest_verdict(struct digest *d, struct err *e)
{
    uint8_t sha[EVP_MAX_MD_SIZE];

    if (d->total <= DIGEST_LEN)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "too short for a snapshot: %" PRIu64 " bytes", d->total);
    if (EVP_DigestFinal_ex(d->ctx, sha, NULL) != 1)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "libcrypto failed to compute a SHA-256");
    if (memcmp(sha, d->tail, DIGEST_LEN) == 0)
        return 0;
    /* It decides nothing, but a length that no snapshot has tells why it does not match. */
    if (d->total % BBOLT_UNIT != DIGEST_LEN)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
                "the snapshot of %" PRIu64 " bytes ends without etcd's SHA-256", d->total);
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
            "SHA-256 does not match: the snapshot of %" PRIu64 " bytes is not what etcd sent", d->total);
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    EVP_MD_free(d->sha256);
    free(d);
}
