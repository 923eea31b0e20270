#include "key_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "keyring.h"
#include "rewrap.h"
#include "s3/object.h"

enum { OBJECT_LIMIT = 4096, CHECKED_MAX = 2 };

struct checked {
    char name[NAME_TEXT_MAX]; /* of the key's object */
    int64_t instant;          /* of the backup, seconds since the epoch */
};

struct key_check {
    struct core *core;
    struct key_check_spec spec;
    struct keyring *ring;
    struct checked checked[CHECKED_MAX]; /* the newest first */
    unsigned n, next;
    struct s3_request *request;
    struct key_check_result result;
};

CLEANUP_FUNC(struct key_check *, key_check_free)

static void check_next(struct key_check *k);

static bool was_rotated_away(const struct key_check *k, const struct s3_response *res)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, REWRAP_FROM) == 0)
            return strcmp(res->metadata[i].value, keyring_fingerprint(k->ring, KEYRING_CURRENT)) == 0;
    return false;
}

/* Errors: what says nothing about the key. */
static int look_at(struct key_check *k, const struct checked *c, const struct s3_response *res, struct err *unknown)
{
    _cleanup_secret_ struct secret *data_key = NULL;
    struct err *trouble = &k->result.trouble;
    struct err e = ERR_INIT;
    size_t by = KEYRING_CURRENT;

    data_key = keyring_unwrap(k->ring, res->body, c->instant, false, &by, &e);
    k->result.needs_previous = k->result.needs_previous || (data_key && by != KEYRING_CURRENT);
    if (was_rotated_away(k, res) && !(data_key && by == KEYRING_CURRENT)) {
        k->result.is_rotated_away = true;
        err_set(trouble, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "encryption_key_path still holds %s, which was rotated away (%s): put the new key there",
                keyring_fingerprint(k->ring, KEYRING_CURRENT), c->name);
    } else if (!data_key && e.kind == ERR_RESOURCE) {
        *unknown = e;
        return -1;
    } else if (!data_key && trouble->kind == ERR_NONE) {
        bool is_other = e.domain == ERR_DOMAIN_KEY && e.code == KEY_FAULT_DOES_NOT_OPEN;

        *trouble = e;
        err_prepend(trouble, "%s the %s backup, %s: ", is_other ? "the master key is not that of" : "the key of",
                k->next == 1 ? "newest" : "oldest", c->name);
    }
    return 0;
}

static void on_got(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct key_check *k = ctx;
    struct err e = ERR_INIT;

    k->request = NULL;
    if (err && err->kind != ERR_NOT_FOUND) /* that was pruned meanwhile */
        k->spec.on_done(k->spec.ctx, NULL, err);
    else if (!err && look_at(k, &k->checked[k->next - 1], res, &e) < 0)
        k->spec.on_done(k->spec.ctx, NULL, &e);
    else
        check_next(k);
}

static int get_next(struct key_check *k, struct err *e)
{
    struct s3_get_spec spec = {.key = k->checked[k->next++].name, .limit = OBJECT_LIMIT, .ctx = k, .on_done = on_got};
    struct s3_client *s3 = core_s3(k->core, e);

    k->request = s3 ? s3_get(s3, &spec, e) : NULL;
    return k->request ? 0 : -1;
}

static void check_next(struct key_check *k)
{
    struct err e = ERR_INIT;

    if (k->next == k->n || k->result.is_rotated_away)
        k->spec.on_done(k->spec.ctx, &k->result, NULL);
    else if (get_next(k, &e) < 0)
        k->spec.on_done(k->spec.ctx, NULL, &e);
}

static void take(struct key_check *k, const struct catalog_backup *b)
{
    struct checked *c = &k->checked[k->n++];

    name_key_of_dump(c->name, b->name);
    c->instant = b->instant;
}

static void choose(struct key_check *k, const struct catalog_list *list)
{
    const struct catalog_backup *newest = NULL, *oldest = NULL;

    for (size_t i = 0; i < catalog_list_count(list); i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (b->state != CATALOG_COMPLETE || !b->has_key)
            continue;
        newest = newest ? newest : b;
        oldest = b;
    }
    if (newest)
        take(k, newest);
    if (oldest != newest)
        take(k, oldest);
}

struct key_check *key_check_start(struct core *core, const struct key_check_spec *spec, struct err *e)
{
    _cleanup_(cleanup_key_check_free) struct key_check *k = NULL;

    if (!core_conf(core)->encryption_key_path)
        return NULL;
    k = calloc(1, sizeof(*k));
    if (!k) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    k->core = core;
    k->spec = *spec;
    choose(k, spec->list);
    if (k->n == 0 || !(k->ring = keyring_new(core_conf(core), e)) || get_next(k, e) < 0)
        return NULL;
    return TAKE_PTR(k);
}

void key_check_free(struct key_check *k)
{
    if (!k)
        return;
    if (k->request)
        s3_request_cancel(k->request);
    keyring_free(k->ring);
    free(k);
}
