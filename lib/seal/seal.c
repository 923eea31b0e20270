#include "seal/seal.h"

#include <sodium.h>
#include <string.h>

#include "seal/nonce.h"
#include "seal/xchacha.h"

struct seal {
    struct xchacha *cipher;
    uint8_t base[NONCE_BASE_LEN];
    uint64_t next; /* counter of the next chunk */
    bool finished;
};

struct seal *seal_new(const struct secret *data_key, enum seal_content content, struct err *e)
{
    _cleanup_(cleanup_seal_free) struct seal *s = calloc(1, sizeof(*s));

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for sealing");
        return NULL;
    }
    s->cipher = xchacha_new(data_key, e);
    if (!s->cipher)
        return NULL;
    memcpy(s->base, NONCE_MAGIC, NONCE_MAGIC_LEN);
    s->base[NONCE_MAGIC_LEN] = (uint8_t)content;
    randombytes_buf(s->base + NONCE_MAGIC_LEN + 1, NONCE_BASE_LEN - NONCE_MAGIC_LEN - 1);
    return TAKE_PTR(s);
}

/* What the reader could not make sense of must not be written: it knows each chunk's length from the object's size. */
static int check_order(const struct seal *s, size_t len, bool last, struct err *e)
{
    if (s->finished)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "a chunk to seal after the last one");
    if (len == 0 || len > SEAL_CHUNK || (len < SEAL_CHUNK && !last))
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "a chunk of %zu bytes to seal that is %sthe last", len,
                last ? "" : "not ");
    return 0;
}

int seal_chunk(struct seal *s, struct bytes plain, bool last, uint8_t *out, struct err *e)
{
    if (check_order(s, plain.len, last, e) < 0)
        return -1;
    memcpy(out, s->base, NONCE_BASE_LEN);
    be64_store(out + NONCE_BASE_LEN, s->next | (last ? NONCE_LAST : 0));
    if (xchacha_seal(s->cipher, out, plain, out + NONCE_LEN, e) < 0)
        return -1;
    s->next++;
    s->finished = last;
    return 0;
}

bool seal_is_finished(const struct seal *s)
{
    return s->finished;
}

uint64_t seal_sealed_size(uint64_t plain)
{
    uint64_t chunks = plain / SEAL_CHUNK + (plain % SEAL_CHUNK != 0), size;

    return __builtin_add_overflow(plain, chunks * SEAL_OVERHEAD, &size) ? UINT64_MAX : size;
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    xchacha_free(s->cipher);
    free(s);
}
