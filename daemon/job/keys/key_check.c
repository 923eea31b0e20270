#include "job/keys/key_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lanes.h"
#include "catalog/name.h"
#include "core/known.h"
#include "job/keys/keyring.h"
#include "job/keys/rewrap_mark.h"
#include "s3/object.h"

enum { AT_A_TIME = 8 };

struct checked {
    char name[NAME_TEXT_MAX]; /* of the key's object */
    int64_t instant;          /* of the backup, seconds since the epoch */
    size_t index;             /* in the list */
    struct known_object dump; /* its strings are ours */
    uint64_t key_tag;
};

struct key_check {
    struct core *core;
    struct key_check_spec spec;
    struct keyring *ring;
    struct checked checked[KEY_CHECK_MAX]; /* the newest first */
    unsigned n;
    struct lanes lanes;
    size_t unopened; /* index of the newest that no key opens, if there is one */
    struct err why;  /* of that one */
    struct key_check_result result;
};

CLEANUP_FUNC(struct key_check *, key_check_free)

static void check_more(struct key_check *k);

/* A mark that outlives the bytes says nothing of what the key in use has wrapped, or vouches for, since: an older
 * version, which does not know such marks, leaves them when it rotates back. */
static bool was_rotated_away(
        const struct key_check *k, const struct s3_response *res, int64_t instant, bool is_of_current)
{
    const struct secret *current = keyring_current(k->ring);

    return current && (rewrap_mark_is_of(res, current, res->body) ||
                              (!is_of_current && rewrap_mark_is_away(res, current, instant)));
}

static void remember(struct key_check *k, size_t index, enum known_key key)
{
    known_saw_key(core_known(k->core), &k->checked[index].dump, k->checked[index].key_tag, key);
}

static void count_unopened(struct key_check *k, size_t index, const struct err *why)
{
    k->result.other +=
            why->domain == ERR_DOMAIN_KEY && (why->code == KEY_FAULT_DOES_NOT_OPEN || why->code == KEY_FAULT_UNVOUCHED);
    k->result.which[k->result.unopened] = k->checked[index].index;
    if (k->result.unopened++ == 0 || index < k->unopened) {
        k->unopened = index;
        k->why = *why;
    }
}

/* It could not be found out. What else is under way would tell so a second time. */
static void fail(struct key_check *k, const struct err *err)
{
    lanes_cancel(&k->lanes);
    k->spec.on_done(k->spec.ctx, NULL, err);
}

/* Errors: what says nothing about the key. */
static int look_at(struct key_check *k, size_t index, const struct s3_response *res, struct err *unknown)
{
    const struct checked *c = &k->checked[index];
    struct err e = ERR_INIT;
    size_t by = KEYRING_CURRENT;
    const bool is_ours = keyring_check(k->ring, res->body, c->instant, false, &by, &e) == 0;
    const bool is_of_current = is_ours && by == KEYRING_CURRENT;

    k->result.looked_at++;
    k->result.current += is_of_current;
    k->result.needs_previous = k->result.needs_previous || (is_ours && by != KEYRING_CURRENT);
    if (was_rotated_away(k, res, c->instant, is_of_current) && !k->result.is_rotated_away) {
        k->result.is_rotated_away = true;
        (void)snprintf(k->result.rotated_away, sizeof(k->result.rotated_away), "%s",
                keyring_fingerprint(k->ring, KEYRING_CURRENT));
        key_check_set_rotated_away(&k->result.trouble, k->result.rotated_away, c->name);
    }
    if (!is_ours && e.kind == ERR_RESOURCE && !k->result.is_rotated_away) {
        *unknown = e;
        return -1;
    }
    remember(k, index, is_ours ? KNOWN_KEY_OPENS : KNOWN_KEY_OPENS_NOT);
    if (!is_ours)
        count_unopened(k, index, &e);
    return 0;
}

/* What the store says of one object, and not of all, nor of itself. */
static bool is_of_one_object(const struct err *err)
{
    return err->kind == ERR_AUTH || (err->kind == ERR_CONFIG && err->domain == ERR_DOMAIN_HTTP);
}

static void count_missing(struct key_check *k, size_t index, const struct err *err)
{
    struct key_check_result *r = &k->result;

    if (err->kind == ERR_NOT_FOUND) {
        remember(k, index, KNOWN_KEY_MISSING);
        r->which_gone[r->gone++] = k->checked[index].index;
        return;
    }
    if (r->unreadable == 0) {
        r->why_unreadable = *err;
        err_prepend(&r->why_unreadable, "%s: ", k->checked[index].name);
    }
    r->which_unreadable[r->unreadable++] = k->checked[index].index;
}

static void on_got(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct lane *lane = ctx;
    struct key_check *k = lane->owner;
    struct err e = ERR_INIT;

    (void)lane_end(lane);
    if (err && err->kind != ERR_NOT_FOUND && !is_of_one_object(err)) {
        fail(k, err);
    } else if (!err && look_at(k, lane->index, res, &e) < 0) {
        fail(k, &e);
    } else {
        if (err)
            count_missing(k, lane->index, err);
        check_more(k);
    }
}

static int get(struct lane *lane, struct err *e)
{
    struct key_check *k = lane->owner;
    struct s3_get_spec spec = {
            .key = k->checked[lane->index].name, .limit = KEY_OBJECT_LIMIT, .ctx = lane, .on_done = on_got};
    struct s3_client *s3 = core_s3(k->core, e);

    lane->work = s3 ? s3_get(s3, &spec, e) : NULL;
    return lane->work ? 0 : -1;
}

static void describe(struct key_check *k)
{
    const char *name = k->checked[k->unopened].name;
    struct err *trouble = &k->result.trouble;

    if (k->result.is_rotated_away)
        return;
    if (k->result.looked_at == 0) { /* nor unreadable: the dumps cannot be read, if they are there */
        err_set(trouble, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0,
                "none of the %u keys that the bucket lists and that were looked for is there, such as %s",
                k->result.gone, k->checked[0].name);
        return;
    }
    if (k->result.unopened == 0)
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
    const int at_work = lanes_go_on(&k->lanes, &e);

    if (at_work < 0) {
        fail(k, &e);
    } else if (at_work == 0 && k->result.looked_at == 0 && k->result.unreadable) {
        e = k->result.why_unreadable;
        fail(k, &e);
    } else if (at_work == 0) {
        describe(k);
        k->spec.on_done(k->spec.ctx, &k->result, NULL);
    }
}

static int take(struct key_check *k, const struct catalog_list *list, size_t index, struct err *e)
{
    const struct catalog_backup *b = catalog_list_at(list, index);
    struct checked *c = &k->checked[k->n++];

    name_key_of_dump(c->name, b->name);
    c->instant = b->instant;
    c->index = index;
    c->key_tag = b->key_tag;
    c->dump = (struct known_object){.name = strdup(b->name), .etag = strdup(b->etag), .size = b->size};
    if (c->dump.name && c->dump.etag)
        return 0;
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* What cannot be a backup by its size, as a copy that broke leaves it, says nothing of the master key. */
static bool is_encrypted(const struct catalog_backup *b)
{
    return b->state == CATALOG_COMPLETE && b->has_key && b->doubt != CATALOG_WRONG_SIZE;
}

/* The newest, and of the others the oldest. */
static int choose_ends(struct key_check *k, const struct catalog_list *list, struct err *e)
{
    unsigned newest = k->spec.only_ends ? KEY_CHECK_END : KEY_CHECK_MAX - 1;
    unsigned oldest = k->spec.only_ends ? KEY_CHECK_END : 1;
    size_t n = catalog_list_count(list), i = 0, tail = n;

    for (; i < n && k->n < newest; i++)
        if (is_encrypted(catalog_list_at(list, i)) && take(k, list, i, e) < 0)
            return -1;
    while (tail > i && oldest)
        oldest -= is_encrypted(catalog_list_at(list, --tail));
    for (; i < tail; i++)
        k->result.not_looked_at += is_encrypted(catalog_list_at(list, i));
    for (; tail < n; tail++)
        if (is_encrypted(catalog_list_at(list, tail)) && take(k, list, tail, e) < 0)
            return -1;
    return 0;
}

static int choose_unseen(struct key_check *k, const struct catalog_list *list, struct err *e)
{
    for (size_t i = 0; i < catalog_list_count(list) && k->n < KEY_CHECK_MAX; i++) {
        const struct catalog_backup *b = catalog_list_at(list, i);

        if (k->spec.seen[i] || !catalog_backup_counts(b) || !b->has_key)
            continue;
        k->spec.seen[i] = true;
        if (take(k, list, i, e) < 0)
            return -1;
    }
    return 0;
}

void key_check_doubt(const struct key_check_result *r, struct catalog_list *list)
{
    for (unsigned i = 0; i < r->unopened; i++)
        catalog_list_doubt(list, r->which[i], CATALOG_UNOPENED);
    for (unsigned i = 0; i < r->gone; i++)
        catalog_list_doubt(list, r->which_gone[i], CATALOG_KEY_GONE);
    for (unsigned i = 0; i < r->unreadable; i++)
        catalog_list_doubt(list, r->which_unreadable[i], CATALOG_KEY_UNKNOWN);
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

    if (!conf_encrypts(core_conf(core)))
        return NULL;
    k = calloc(1, sizeof(*k));
    if (!k) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    k->core = core;
    k->spec = *spec;
    k->lanes = (struct lanes){.owner = k, .width = AT_A_TIME, .start = get, .cancel = s3_request_cancel_work};
    if ((spec->seen ? choose_unseen(k, spec->list, e) : choose_ends(k, spec->list, e)) < 0 || k->n == 0 ||
            !(k->ring = keyring_new(core_conf(core), e)))
        return NULL;
    lanes_begin(&k->lanes, k->n);
    if (lanes_go_on(&k->lanes, e) < 0)
        return NULL;
    return TAKE_PTR(k);
}

void key_check_free(struct key_check *k)
{
    if (!k)
        return;
    lanes_cancel(&k->lanes);
    for (unsigned i = 0; i < k->n; i++) {
        free((char *)(uintptr_t)k->checked[i].dump.name);
        free((char *)(uintptr_t)k->checked[i].dump.etag);
    }
    keyring_free(k->ring);
    free(k);
}
