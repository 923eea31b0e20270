#include "job/restore/choice.h"

#include "base/timestamp.h"

/* That of a database as it is, without etcd's SHA-256 on top. */
static bool has_unhashed_size(const struct catalog_backup *b)
{
    return b->size > 0 && b->size % CATALOG_PAGE == 0;
}

/* Complete, but known for what nobody means who asks for the latest. */
static bool is_passed_over(const struct catalog_backup *b)
{
    return b->state == CATALOG_COMPLETE && (b->doubt == CATALOG_BAD || b->doubt == CATALOG_FUTURE);
}

const char *choice_fault(const struct catalog_backup *b)
{
    if (b->doubt == CATALOG_BAD)
        return "it was verified, and is bad";
    if (b->doubt == CATALOG_FUTURE)
        return "its time has not come yet";
    if (b->doubt == CATALOG_MAY_BE_PLAIN)
        return "its key is missing, or it is not encrypted";
    if (has_unhashed_size(b))
        return "its key is missing, or it is a plain dump without etcd's SHA-256";
    return "its key is missing";
}

/* What it is, only who opens it finds out, and says so. */
static bool may_be_meant(const struct choice *c, const struct catalog_backup *b)
{
    if (b->state != CATALOG_KEY_MISSING)
        return b->state == CATALOG_COMPLETE && !(c->latest && is_passed_over(b));
    if (b->doubt == CATALOG_MAY_BE_PLAIN)
        return c->plain_too || !c->latest;
    return c->unhashed_too && has_unhashed_size(b);
}

/* The newest of those that may be meant; of an instant, what catalog_list_find prefers. */
static const struct catalog_backup *find_meant(const struct choice *c, const struct catalog_list *list)
{
    const struct catalog_backup *b = c->latest ? NULL : catalog_list_find(list, c->instant);

    for (size_t i = 0; !b && i < catalog_list_count(list); i++) {
        const struct catalog_backup *other = catalog_list_at(list, i);

        if (may_be_meant(c, other) && (c->latest || other->instant == c->instant))
            b = other;
    }
    return b;
}

static const struct catalog_backup *find_without_key(const struct choice *c, const struct catalog_list *list)
{
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->state == CATALOG_KEY_MISSING && (c->latest || b->instant == c->instant))
            return b;
        if (c->latest && is_passed_over(b))
            return b;
    }
    return NULL;
}

const struct catalog_backup *choice_newer_unreadable(const struct catalog_list *list, const struct catalog_backup *than)
{
    const struct catalog_backup *b = find_without_key(&(struct choice){.latest = true}, list);

    return b && (!than || b->instant > than->instant) ? b : NULL;
}

static void tell_fault(const struct catalog_backup *b, struct err *e)
{
    const char *option = "";

    if (is_passed_over(b))
        option = "; -t with its time asks for it";
    else if (b->doubt == CATALOG_MAY_BE_PLAIN)
        option = ", which --allow-plain accepts";
    else if (has_unhashed_size(b))
        option = ", which --skip-hash-check accepts";
    else
        option = ": it cannot be read";
    err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s is there, but %s%s", b->name, choice_fault(b), option);
}

const struct catalog_backup *choice_find(
        const struct choice *c, const struct catalog_list *list, const char *bucket, struct err *e)
{
    const struct catalog_backup *b = find_meant(c, list);
    char asked[TIMESTAMP_TEXT_MAX], text[TIMESTAMP_TEXT_MAX];

    if (b)
        return b;
    b = find_without_key(c, list);
    if (b) {
        tell_fault(b, e);
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
