#include "choice.h"

#include "base/timestamp.h"

enum { PAGE = 512 /* a bbolt file is a multiple of it; etcd's SHA-256 comes on top */ };

static const struct catalog_backup *find_without_key(const struct catalog_list *list, int64_t instant)
{
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->instant == instant && b->state == CATALOG_KEY_MISSING)
            return b;
    }
    return NULL;
}

const struct catalog_backup *choice_newer_unreadable(const struct catalog_list *list, const struct catalog_backup *than)
{
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->state == CATALOG_KEY_MISSING && (!than || b->instant > than->instant))
            return b;
    }
    return NULL;
}

const struct catalog_backup *choice_find(
        const struct choice *c, const struct catalog_list *list, const char *bucket, struct err *e)
{
    const struct catalog_backup *b = c->latest ? catalog_list_latest(list) : catalog_list_find(list, c->instant);
    char asked[TIMESTAMP_TEXT_MAX], text[TIMESTAMP_TEXT_MAX];

    if (b)
        return b;
    b = c->latest ? NULL : find_without_key(list, c->instant);
    if (b && b->size % PAGE == 0) {
        if (c->unhashed_too)
            return b;
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "%s is there, but without a key: it is missing, or this is a plain dump without etcd's SHA-256, which "
                "--skip-hash-check accepts",
                b->name);
        return NULL;
    }
    if (b) {
        err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s is there, but its key is missing: it cannot be read",
                b->name);
        return NULL;
    }
    b = c->latest ? NULL : catalog_list_nearest(list, c->instant);
    if (b)
        err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no complete backup of %s in %s; the nearest is of %s",
                timestamp_format(c->instant, asked), bucket, timestamp_format(b->instant, text));
    else
        err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no complete backup in %s", bucket);
    return NULL;
}
