#include "job/keys/brought_keys.h"

static int copy(const struct secret *from, struct secret **to, struct err *e)
{
    if (from)
        *to = secret_copy(secret_const_data(from), secret_len(from), e);
    return from && !*to ? -1 : 0;
}

int brought_keys_copy(const struct brought_keys *b, struct brought_keys *out, struct err *e)
{
    *out = (struct brought_keys){.allow_unvouched = b->allow_unvouched};
    if (copy(b->identities, &out->identities, e) == 0 && copy(b->data_key, &out->data_key, e) == 0)
        return 0;
    brought_keys_clear(out);
    return -1;
}

void brought_keys_clear(struct brought_keys *b)
{
    secret_free(TAKE_PTR(b->identities));
    secret_free(TAKE_PTR(b->data_key));
}
