#include "job/prune/deletion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/prune/locks.h"
#include "s3/remove.h"
#include "s3/request.h"
#include "s3/xml.h"

enum state {
    STARTING,
    VERSIONS,      /* does the bucket keep them? */
    LOCKS,         /* are looked for at what is to go, */
    LOCKS_OF_KEYS, /* and at the keys that are to go with it */
    DUMPS,         /* go, and lone keys with them */
    KEYS,          /* of the dumps that are gone, and the marks that they are bad */
};

static const char *const phase_names[] = {
        "starting", "asking for versions", "looking for locks", "looking for locks", "deleting", "deleting keys"};

struct deletion {
    struct core *core;
    struct deletion_spec spec;
    uv_timer_t timer; /* brings the next step to the loop's next turn */
    enum state state;
    struct locks *locks;
    struct s3_remove *remove;
    struct s3_request *question; /* whether there are versions */
    enum deletion_versions versions;
    bool *is_gone, *stays; /* by the index of the backup; stays: it is locked, or that is not known */
    char **objects;        /* what is being looked at, or removed */
    size_t *backup_of;     /* index of the backup that such an object belongs to */
    size_t n_objects;
    struct err failure; /* of the dumps that were to go after those that are gone; kind ERR_NONE: none */
};

/* ---- the end ---- */

static void drop_objects(struct deletion *d)
{
    for (size_t i = 0; i < d->n_objects; i++)
        free(d->objects[i]);
    free(TAKE_PTR(d->objects));
    free(TAKE_PTR(d->backup_of));
    d->n_objects = 0;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct deletion *d = h->data;
    struct core *core = d->core;

    free(d->is_gone);
    free(d->stays);
    free(d);
    core_release(core);
}

void deletion_free(struct deletion *d)
{
    if (!d)
        return;
    if (d->remove)
        s3_remove_cancel(TAKE_PTR(d->remove));
    locks_free(TAKE_PTR(d->locks));
    if (d->question)
        s3_request_cancel(TAKE_PTR(d->question));
    drop_objects(d);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

static void finish(struct deletion *d, const struct err *err)
{
    d->spec.on_done(d->spec.ctx, d->versions, err);
}

/* Nothing has gone yet, and nothing will. */
static void refuse(struct deletion *d, const struct err *err, const char *why)
{
    struct err e = *err;

    err_prepend(&e, "nothing is deleted: %s: ", why);
    finish(d, &e);
}

/* ---- what becomes of each ---- */

static void tell(struct deletion *d, size_t object, enum deletion_fate fate, const struct err *err)
{
    struct deletion_report report = {
            .index = d->backup_of[object],
            .fate = fate,
            .object = d->objects[object],
            .is_after_dump = d->state == KEYS,
            .err = err,
    };

    d->spec.on_report(d->spec.ctx, &report);
}

static void on_each(void *ctx, size_t index, const struct err *err)
{
    struct deletion *d = ctx;

    if (err) {
        tell(d, index, DELETION_FAILED, err);
    } else if (d->state == DUMPS) {
        d->is_gone[d->backup_of[index]] = true;
        tell(d, index, DELETION_GONE, NULL);
    }
}

static void next_step(uv_timer_t *timer);

static void schedule(struct deletion *d)
{
    (void)uv_timer_start(&d->timer, next_step, 0, 0);
}

/* Of the dumps. */
static size_t count_gone(const struct deletion *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->spec.n; i++)
        n += d->is_gone[i] && !catalog_backup_is_orphan(d->spec.backups[i]);
    return n;
}

/* Why it ends before its end. Keys that stay are alone now: a later prune takes them. */
static struct err why_incomplete(const struct deletion *d, const struct err *err)
{
    bool dumps_stay = d->failure.kind != ERR_NONE;
    struct err e = dumps_stay ? d->failure : *err;

    if (d->state == KEYS)
        err_prepend(&e, "%zu dumps are deleted, but not all of their keys, %s among them%s: ", count_gone(d),
                d->objects[0], dumps_stay ? ", and the other dumps stay" : "");
    return e;
}

static void on_removed(void *ctx, const struct err *err)
{
    struct deletion *d = ctx;
    struct err e;

    d->remove = NULL;
    if (err && (d->state == KEYS || count_gone(d) == 0)) {
        e = why_incomplete(d, err);
        finish(d, &e);
        return;
    }
    if (err) /* the keys of the dumps that are gone go all the same */
        d->failure = *err;
    schedule(d);
}

static int start_removing(struct deletion *d, struct err *e)
{
    struct s3_remove_spec spec = {
            .keys = (const char *const *)d->objects,
            .n = d->n_objects,
            .ctx = d,
            .on_each = on_each,
            .on_done = on_removed,
    };
    struct s3_client *s3 = core_s3(d->core, e);

    d->remove = s3 ? s3_remove_start(s3, &spec, e) : NULL;
    return d->remove ? 0 : -1;
}

/* ---- locks ---- */

static const char *name_of(void *ctx, size_t index)
{
    const struct deletion *d = ctx;

    return d->objects[index];
}

/* Half a backup is of no use: with the dump the key stays, and the reverse. */
static void spare(struct deletion *d, size_t object, enum deletion_fate fate, const struct err *err)
{
    bool is_new = !d->stays[d->backup_of[object]];

    d->stays[d->backup_of[object]] = true;
    if (is_new)
        tell(d, object, fate, err);
}

static void on_locked(void *ctx, size_t index, const struct err *err)
{
    spare(ctx, index, DELETION_LOCKED, err);
}

/* What may be locked would only be hidden: it stays, and that is a failure. */
static void on_unknown(void *ctx, size_t index, const struct err *err)
{
    struct err e = *err;

    err_prepend(&e, "whether it is locked is not known: ");
    spare(ctx, index, DELETION_FAILED, &e);
}

static void on_locks(void *ctx, const struct err *err)
{
    struct deletion *d = ctx;
    bool may_not_ask = err && err->domain == ERR_DOMAIN_HTTP && err->code == 403;

    locks_free(TAKE_PTR(d->locks));
    if (!err || (may_not_ask && d->versions == DELETION_VERSIONS_NONE))
        schedule(d);
    else
        refuse(d, err, "whether backups are under object lock is not known");
}

static int look_for_locks(struct deletion *d, struct err *e)
{
    struct locks_spec spec = {
            .n = d->n_objects,
            .ctx = d,
            .name = name_of,
            .on_locked = on_locked,
            .on_unknown = on_unknown,
            .on_done = on_locks,
    };

    d->locks = locks_start(d->core, &spec, e);
    return d->locks ? 0 : -1;
}

/* ---- versions ---- */

/* What was stored before a bucket's versioning was suspended is kept, and what came later is not. */
static void on_versioning(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct deletion *d = ctx;
    struct err ignored = ERR_INIT;
    char status[XML_VERSIONING_MAX];

    d->question = NULL;
    d->versions = DELETION_VERSIONS_UNKNOWN;
    if (!err && xml_parse_versioning(res->body, status, &ignored) == 0)
        d->versions = !status[0]                       ? DELETION_VERSIONS_NONE
                      : strcmp(status, "Enabled") == 0 ? DELETION_VERSIONS_KEPT
                                                       : DELETION_VERSIONS_UNKNOWN;
    schedule(d);
}

static int ask_for_versions(struct deletion *d, struct err *e)
{
    const struct s3_param query = {.name = "versioning", .value = ""};
    const struct s3_request_spec request = {
            .method = S3_GET, .query = &query, .n_query = 1, .ctx = d, .on_done = on_versioning};
    struct s3_client *s3 = core_s3(d->core, e);

    d->question = s3 ? s3_request_start(s3, &request, e) : NULL;
    return d->question ? 0 : -1;
}

/* ---- one after the other ---- */

static bool has_part(const struct deletion *d, size_t i)
{
    bool has_key = d->spec.backups[i]->has_key;

    switch (d->state) {
    case LOCKS_OF_KEYS:
        return has_key && !d->stays[i];
    case DUMPS:
        return !d->stays[i];
    case KEYS:
        return has_key && d->is_gone[i];
    default:
        return true;
    }
}

static int add_object(struct deletion *d, size_t i, const char *name, struct err *e)
{
    d->objects[d->n_objects] = strdup(name);
    if (!d->objects[d->n_objects])
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    d->backup_of[d->n_objects++] = i;
    return 0;
}

/* The marks of dumps that are gone, after the keys: without its dump one says nothing. */
static int collect_marks(struct deletion *d, struct err *e)
{
    char name[NAME_TEXT_MAX];

    for (size_t i = 0; i < d->spec.n; i++) {
        const struct catalog_backup *b = d->spec.backups[i];

        if (d->is_gone[i] && b->is_marked &&
                (name_bad_of_dump(name, b->name, name_object_tag(b->etag, b->size), e) < 0 ||
                        add_object(d, i, name, e) < 0))
            return -1;
    }
    return 0;
}

/* The objects that the state is about. */
static int collect(struct deletion *d, struct err *e)
{
    char name[NAME_TEXT_MAX];

    d->objects = calloc(2 * d->spec.n + 1, sizeof(*d->objects));
    d->backup_of = calloc(2 * d->spec.n + 1, sizeof(*d->backup_of));
    if (!d->objects || !d->backup_of)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    for (size_t i = 0; i < d->spec.n; i++) {
        if (!has_part(d, i))
            continue;
        if (d->state == LOCKS_OF_KEYS || d->state == KEYS)
            name_key_of_dump(name, d->spec.backups[i]->name);
        else
            (void)snprintf(name, sizeof(name), "%s", d->spec.backups[i]->name);
        if (add_object(d, i, name, e) < 0)
            return -1;
    }
    return d->state == KEYS ? collect_marks(d, e) : 0;
}

/* Starts what comes now, if there is anything to it. */
static int start_step(struct deletion *d, struct err *e)
{
    if (collect(d, e) < 0)
        return -1;
    if (d->n_objects == 0) {
        schedule(d);
        return 0;
    }
    if (d->state == VERSIONS)
        return ask_for_versions(d, e);
    return d->state < DUMPS ? look_for_locks(d, e) : start_removing(d, e);
}

static void next_step(uv_timer_t *timer)
{
    struct deletion *d = CONTAINER_OF(timer, struct deletion, timer);
    struct err e = ERR_INIT;

    drop_objects(d);
    if (d->state == KEYS || (d->state == LOCKS_OF_KEYS && d->spec.dry_run)) {
        e = d->failure;
        finish(d, e.kind != ERR_NONE ? &e : NULL);
        return;
    }
    d->state++;
    d->spec.on_phase(d->spec.ctx, phase_names[d->state]);
    if (start_step(d, &e) < 0) {
        if (d->failure.kind != ERR_NONE)
            e = d->failure;
        finish(d, &e);
    }
}

static void free_unstarted(struct deletion *d)
{
    if (!d)
        return;
    free(d->is_gone);
    free(d->stays);
    free(d);
}

struct deletion *deletion_start(struct core *core, const struct deletion_spec *spec, struct err *e)
{
    struct deletion *d = calloc(1, sizeof(*d));

    if (d) {
        d->is_gone = calloc(spec->n + 1, sizeof(*d->is_gone));
        d->stays = calloc(spec->n + 1, sizeof(*d->stays));
    }
    if (!d || !d->is_gone || !d->stays) {
        free_unstarted(d);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    core_acquire(core);
    d->core = core;
    d->spec = *spec;
    d->timer.data = d;
    (void)uv_timer_init(core_loop(core), &d->timer);
    schedule(d);
    return d;
}
