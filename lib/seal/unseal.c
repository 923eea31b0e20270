#include "seal/unseal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "seal/nonce.h"
#include "seal/xchacha.h"

struct unseal {
    struct xchacha *cipher;
    uint64_t left;                /* sealed bytes not read yet */
    uint64_t offset;              /* of the next chunk in the object */
    uint64_t next;                /* number of the next chunk, from 0 */
    uint8_t base[NONCE_BASE_LEN]; /* the first chunk's */
    bool is_begun;                /* the first chunk that is read has said these: */
    bool lacks_end_mark;          /* written by the Go tool */
    enum seal_content content;
};

struct unseal *unseal_new(const struct secret *data_key, uint64_t sealed_size, struct err *e)
{
    _cleanup_(cleanup_unseal_free) struct unseal *u = NULL;

    if (unseal_plain_size(sealed_size) == UINT64_MAX) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "no encrypted dump has %" PRIu64 " bytes: it was cut off",
                sealed_size);
        return NULL;
    }
    u = calloc(1, sizeof(*u));
    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for decrypting");
        return NULL;
    }
    u->cipher = xchacha_new(data_key, e);
    if (!u->cipher)
        return NULL;
    u->left = sealed_size;
    return TAKE_PTR(u);
}

struct unseal *unseal_new_from(const struct secret *data_key, uint64_t sealed_size, uint64_t first, struct err *e)
{
    struct unseal *u = unseal_new(data_key, sealed_size, e);

    if (!u)
        return NULL;
    assert(first <= (sealed_size - 1) / SEAL_SEALED_CHUNK);
    u->next = first;
    u->offset = first * SEAL_SEALED_CHUNK;
    u->left -= u->offset;
    return u;
}

size_t unseal_next_len(const struct unseal *u)
{
    return u->left < SEAL_SEALED_CHUNK ? (size_t)u->left : SEAL_SEALED_CHUNK;
}

__attribute__((format(printf, 3, 4))) static int fault(const struct unseal *u, struct err *e, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)u->offset, "%s", what);
    return err_prepend(e, "chunk %" PRIu64 " at byte %" PRIu64 ": ", u->next, u->offset);
}

/* The first chunk's nonce says who wrote the object, and what all others must begin with. */
static int learn_base(struct unseal *u, const uint8_t *nonce, struct err *e)
{
    uint8_t content = nonce[NONCE_MAGIC_LEN];
    bool ours = memcmp(nonce, NONCE_MAGIC, NONCE_MAGIC_LEN) == 0 &&
                (content == SEAL_SNAPSHOT || content == SEAL_COMPRESSED);

    /* Before it is authenticated, since a newer version may do that in another way. */
    if (nonce[0] == NONCE_FIRST_BYTE && !ours)
        return fault(u, e, "written by a newer version");
    memcpy(u->base, nonce, NONCE_BASE_LEN);
    u->lacks_end_mark = !ours;
    u->content = ours ? (enum seal_content)content : SEAL_SNAPSHOT;
    u->is_begun = true;
    return 0;
}

/*
 * Whether an authentic chunk stands where it belongs. Only after it was authenticated: a damaged nonce is then told
 * from a chunk that somebody moved.
 */
static int check_place(const struct unseal *u, const uint8_t *nonce, bool is_last, struct err *e)
{
    uint64_t counter = be64_load(nonce + NONCE_BASE_LEN);
    bool marked = false;

    if (memcmp(nonce, u->base, NONCE_BASE_LEN) != 0)
        return fault(u, e, "belongs to another backup (its nonce has another base)");
    if (!u->lacks_end_mark) {
        marked = counter & NONCE_LAST;
        counter &= ~NONCE_LAST;
    }
    if (counter != u->next)
        return fault(u, e, "out of order: its counter says %" PRIu64, counter);
    if (marked && !is_last)
        return fault(u, e, "end mark too early: %" PRIu64 " bytes follow", u->left - SEAL_SEALED_CHUNK);
    if (!marked && is_last && !u->lacks_end_mark)
        return fault(u, e, "end mark missing: the dump was cut off after this chunk");
    return 0;
}

int unseal_chunk(struct unseal *u, struct bytes sealed, uint8_t *out, struct err *e)
{
    const struct bytes body = {.data = sealed.data + NONCE_LEN, .len = sealed.len - NONCE_LEN};
    const uint8_t *nonce = sealed.data;
    bool is_authentic;

    assert(sealed.len > SEAL_OVERHEAD && sealed.len == unseal_next_len(u));
    if (!u->is_begun && learn_base(u, nonce, e) < 0)
        return -1;
    if (xchacha_open(u->cipher, nonce, body, out, &is_authentic, e) < 0)
        return -1;
    if (!is_authentic)
        return fault(u, e, "does not authenticate: damaged, cut off, or sealed with another key");
    if (check_place(u, nonce, sealed.len == u->left, e) < 0) {
        secret_wipe(out, sealed.len - SEAL_OVERHEAD);
        return -1;
    }
    u->left -= sealed.len;
    u->offset += sealed.len;
    u->next++;
    return 0;
}

enum seal_content unseal_content(const struct unseal *u)
{
    return u->content;
}

enum seal_content unseal_hint(const uint8_t first[UNSEAL_HINT])
{
    bool is_compressed = memcmp(first, NONCE_MAGIC, NONCE_MAGIC_LEN) == 0 && first[NONCE_MAGIC_LEN] == SEAL_COMPRESSED;

    return is_compressed ? SEAL_COMPRESSED : SEAL_SNAPSHOT;
}

bool unseal_lacks_end_mark(const struct unseal *u)
{
    return u->lacks_end_mark;
}

uint64_t unseal_plain_size(uint64_t sealed)
{
    uint64_t chunks = sealed / SEAL_SEALED_CHUNK, rest = sealed % SEAL_SEALED_CHUNK;

    if (sealed == 0 || (rest > 0 && rest <= SEAL_OVERHEAD))
        return UINT64_MAX;
    return sealed - (chunks + (rest > 0)) * SEAL_OVERHEAD;
}

void unseal_free(struct unseal *u)
{
    if (!u)
        return;
    xchacha_free(u->cipher);
    free(u);
}
