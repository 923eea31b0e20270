#include "job/keys/key_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/keys/keyring.h"
#include "job/keys/rewrap_mark.h"
#include "s3/object.h"

enum { LANES = 8 };

struct checked {
    char name[NAME_TEXT_MAX]; /* of the key's object */
    int64_t instant;          /* of the backup, seconds since the epoch */
    size_t index;             /* in the list */
};

struct lane {
    struct key_check *owner;
    struct s3_request *request; /* NULL: free */
    unsigned index;
};

struct key_check {
    struct core *core;
    struct key_check_spec spec;
    struct keyring *ring;
    struct checked checked[KEY_CHECK_MAX]; /* the newest first */
    unsigned n, next;
    struct lane lanes[LANES];
    unsigned unopened; /* index of the newest that no key opens, if there is one */
    struct err why;    /* of that one */
    struct key_check_result result;
};

CLEANUP_FUNC(struct key_check *, key_check_free)

static void check_more(struct key_check *k);

static bool was_rotated_away(const struct key_check *k, const struct s3_response *res)
{
    const struct secret *current = keyring_current(k->ring);

    return current && rewrap_mark_is_of(res, current, res->body);
}

static void count_unopened(struct key_check *k, unsigned index, const struct err *why)
{
    k->result.other += why->domain == ERR_DOMAIN_KEY && why->code == KEY_FAULT_DOES_NOT_OPEN;
    k->result.which[k->result.unopened] = k->checked[index].index;
    if (k->result.unopened++ == 0 || index < k->unopened) {
        k->unopened = index;
        k->why = *why;
    }
}

static void cancel(struct key_check *k)
{
    for (unsigned i = 0; i < LANES; i++)
        if (k->lanes[i].request)
            s3_request_cancel(TAKE_PTR(k->lanes[i].request));
}

/* It could not be found out. What else is under way would tell so a second time. */
static void fail(struct key_check *k, const struct err *err)
{
    cancel(k);
    k->spec.on_done(k->spec.ctx, NULL, err);
}

/* Errors: what says nothing about the key. */
static int look_at(struct key_check *k, unsigned index, const struct s3_response *res, struct err *unknown)
{
    const struct checked *c = &k->checked[index];
    _cleanup_secret_ struct secret *data_key = NULL;
    struct err e = ERR_INIT;
    size_t by = KEYRING_CURRENT;

    data_key = keyring_unwrap(k->ring, res->body, c->instant, false, &by, &e);
    k->result.looked_at++;
    k->result.current += data_key && by == KEYRING_CURRENT;
    k->result.needs_previous = k->result.needs_previous || (data_key && by != KEYRING_CURRENT);
    if (was_rotated_away(k, res) && !k->result.is_rotated_away) {
        k->result.is_rotated_away = true;
        (void)snprintf(k->result.rotated_away, sizeof(k->result.rotated_away), "%s",
                keyring_fingerprint(k->ring, KEYRING_CURRENT));
        key_check_set_rotated_away(&k->result.trouble, k->result.rotated_away, c->name);
    }
    if (!data_key && e.kind == ERR_RESOURCE && !k->result.is_rotated_away) {
        *unknown = e;
        return -1;
    }
    if (!data_key)
        count_unopened(k, index, &e);
    return 0;
}

static void on_got(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct key_check *k = lane->owner;
    struct err e = ERR_INIT;

    lane->request = NULL;
    if (err && err->kind != ERR_NOT_FOUND) /* that was pruned meanwhile */
        fail(k, err);
    else if (!err && look_at(k, lane->index, res, &e) < 0)
        fail(k, &e);
    else
        check_more(k);
}

static int get(struct key_check *k, struct lane *lane, struct err *e)
{
    struct s3_get_spec spec = {
            .key = k->checked[k->next].name, .limit = KEY_OBJECT_LIMIT, .ctx = lane, .on_done = on_got};
    struct s3_client *s3 = core_s3(k->core, e);

    lane->owner = k;
    lane->index = k->next++;
    lane->request = s3 ? s3_get(s3, &spec, e) : NULL;
    return lane->request ? 0 : -1;
}

static int start_more(struct key_check *k, bool *is_at_work, struct err *e)
{
    *is_at_work = false;
    for (unsigned i = 0; i < LANES; i++) {
        if (!k->lanes[i].request && k->next < k->n && get(k, &k->lanes[i], e) < 0)
            return -1;
        *is_at_work = *is_at_work || k->lanes[i].request;
    }
    return 0;
}

static void describe(struct key_check *k)
{
    const char *name = k->checked[k->unopened].name;
    struct err *trouble = &k->result.trouble;

    if (k->result.is_rotated_away || k->result.unopened == 0)
        return;
    *trouble = k->why;
    if (k->unopened == 0 && k->why.domain == ERR_DOMAIN_KEY && k->why.code == KEY_FAULT_DOES_NOT_OPEN)
        err_prepend(trouble, "the master key is not that of the newest backup; %s: ", name);
    else
        err_prepend(trouble, "%u of %u backups looked at are opened by no configured key; %s: ", k->result.unopened,
                k->result.looked_at, name);
}

static void check_more(struct key_check *k)
{
    struct err e = ERR_INIT;
    bool is_at_work;

    if (start_more(k, &is_at_work, &e) < 0) {
        fail(k, &e);
    } else if (!is_at_work) {
        describe(k);
        k->spec.on_done(k->spec.ctx, &k->result, NULL);
    }
}

static void take(struct key_check *k, const struct catalog_list *list, size_t index)
{
    const struct catalog_backup *b = catalog_list_at(list, index);
    struct checked *c = &k->checked[k->n++];

    name_key_of_dump(c->name, b->name);
    c->instant = b->instant;
    c->index = index;
}

static bool is_encrypted(const struct catalog_backup *b)
{
    return b->state == CATALOG_COMPLETE && b->has_key;
}

/* The newest, and of the others the oldest. */
static void choose(struct key_check *k, const struct catalog_list *list)
{
    unsigned newest = k->spec.only_ends ? KEY_CHECK_END : KEY_CHECK_MAX - 1;
    unsigned oldest = k->spec.only_ends ? KEY_CHECK_END : 1;
    size_t n = catalog_list_count(list), i = 0, tail = n;

    for (; i < n && k->n < newest; i++)
        if (is_encrypted(catalog_list_at(list, i)))
            take(k, list, i);
    while (tail > i && oldest)
        oldest -= is_encrypted(catalog_list_at(list, --tail));
    for (; i < tail; i++)
        k->result.not_looked_at += is_encrypted(catalog_list_at(list, i));
    for (; tail < n; tail++)
        if (is_encrypted(catalog_list_at(list, tail)))
            take(k, list, tail);
}

void key_check_set_rotated_away(struct err *e, const char *fingerprint, const char *name)
{
    err_set(e, ERR_CONFIG, ERR_DOMAIN_KEY, KEY_FAULT_ROTATED_AWAY,
            "encryption_key_path still holds %s, which was rotated away%s%s%s: put the new key there; if backups were "
            "made with the old one since, run rotate-key -p with that before it is destroyed",
            fingerprint, name ? " (" : "", name ? name : "", name ? ")" : "");
}

bool key_check_is_rotated_away(const struct err *e)
{
    return e->domain == ERR_DOMAIN_KEY && e->code == KEY_FAULT_ROTATED_AWAY;
}

struct key_check *key_check_start(struct core *core, const struct key_check_spec *spec, struct err *e)
{
    _cleanup_(cleanup_key_check_free) struct key_check *k = NULL;
    bool is_at_work;

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
    if (k->n == 0 || !(k->ring = keyring_new(core_conf(core), e)) || start_more(k, &is_at_work, e) < 0)
        return NULL;
    return TAKE_PTR(k);
}

void key_check_free(struct key_check *k)
{
    if (!k)
        return;
    cancel(k);
    keyring_free(k->ring);
    free(k);
}
