#include "s3/body_digest.h"

#include <openssl/err.h>
#include <sodium.h>

bool body_digest(struct bytes body, const EVP_MD *md, char out[BODY_DIGEST_MAX])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int made;

    /* A refusal is no failure of whoever looks at OpenSSL's queue of errors next. */
    (void)ERR_set_mark();
    made = EVP_Digest(body.data, body.len, hash, &len, md, NULL);
    (void)ERR_pop_to_mark();
    if (made != 1)
        return false;
    (void)sodium_bin2base64(out, BODY_DIGEST_MAX, hash, len, sodium_base64_VARIANT_ORIGINAL);
    return true;
}
