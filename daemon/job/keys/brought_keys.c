#include "job/keys/brought_keys.h"

#include "seal/key.h"
#include "seal/sealed_key.h"

int brought_keys_copy(const struct brought_keys *b, struct brought_keys *out, struct err *e)
{
    *out = (struct brought_keys){.allow_unvouched = b->allow_unvouched};
    if (secret_clone(b->identities, &out->identities, e) == 0 && secret_clone(b->data_key, &out->data_key, e) == 0)
        return 0;
    brought_keys_clear(out);
    return -1;
}

struct secret *brought_keys_open(
        const struct brought_keys *b, struct bytes object, int64_t instant, bool allow_renamed, struct err *e)
{
    char whom[SEALED_KEY_WHOM_MAX];

    if (b && b->data_key)
        return sealed_key_take(b->data_key, instant, allow_renamed, e);
    if (b && b->identities)
        return sealed_key_open(b->identities, object, instant, allow_renamed, e);
    err_set(e, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_SEALED,
            "sealed to %s: --identity FILE with an identity of theirs opens it", sealed_key_whom(object, whom));
    return NULL;
}

int brought_keys_forgive(const struct brought_keys *b, const struct err *why, struct err *e)
{
    if (why->domain != ERR_DOMAIN_KEY || (why->code != KEY_FAULT_UNVOUCHED && why->code != KEY_FAULT_DOES_NOT_OPEN)) {
        *e = *why;
        return -1;
    }
    if (b && b->allow_unvouched)
        return 0;
    return err_set(e, why->kind, why->domain, why->code, "%.400s; --allow-unvouched accepts it", why->text);
}

void brought_keys_clear(struct brought_keys *b)
{
    secret_free(TAKE_PTR(b->identities));
    secret_free(TAKE_PTR(b->data_key));
}
