#include "job/restore/choice.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "s3/request.h"
#include "seal/key.h"

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

struct choice_others choice_others(const struct catalog_list *list, const struct catalog_backup *than)
{
    struct choice_others o = {0};

    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b == than || !catalog_backup_counts(b))
            continue;
        if (!o.newest)
            o.newest = b->instant;
        if (!o.nearest || llabs(b->instant - than->instant) < llabs(o.nearest - than->instant))
            o.nearest = b->instant;
    }
    return o;
}

void choice_advise(const struct choice_others *o, struct err *e)
{
    bool is_archived = e->domain == ERR_DOMAIN_S3 && e->code == S3_FAULT_ARCHIVED;
    bool is_gone = e->kind == ERR_NOT_FOUND && e->domain == ERR_DOMAIN_HTTP;
    /* All others may be so, too. */
    bool is_ours = e->domain == ERR_DOMAIN_KEY && (e->code == KEY_FAULT_DOES_NOT_OPEN || e->code == KEY_FAULT_SEALED);
    int64_t instant = is_archived ? o->newest : o->nearest;
    char text[TIMESTAMP_TEXT_MAX];

    if (!instant || !(is_archived || is_gone || (e->kind == ERR_INTEGRITY && !is_ours)))
        return;
    err_set(e, e->kind, e->domain, e->code, "%.420s; -t %s asks for the %s other backup", e->text,
            timestamp_format(instant, text), is_archived ? "newest" : "nearest");
}

static bool has_claim(const struct catalog_list *list, int64_t instant)
{
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->state == CATALOG_CLAIM && b->instant == instant)
            return true;
    }
    return false;
}

const struct catalog_backup *choice_newer_lone_key(const struct catalog_list *list, const struct catalog_backup *than)
{
    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (than && b->instant <= than->instant)
            break;
        if (b->state == CATALOG_ORPHAN_KEY && !has_claim(list, b->instant))
            return b;
    }
    return NULL;
}

void choice_tell_lone_key(
        const struct catalog_backup *lone, const struct catalog_backup *chosen, char *note, size_t size)
{
    (void)snprintf(note, size,
            "%s is newer, and its dump is not there: it was deleted (in a bucket with versions a delete marker only "
            "hides it), or its backup failed; this is about %s",
            lone->name, chosen->name);
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
    struct choice_others others;
    char asked[TIMESTAMP_TEXT_MAX], text[TIMESTAMP_TEXT_MAX];

    if (b)
        return b;
    b = find_without_key(c, list);
    if (b) {
        others = choice_others(list, b);
        tell_fault(b, e);
        choice_advise(&others, e);
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
