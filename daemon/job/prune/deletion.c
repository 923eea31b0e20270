#include "job/prune/deletion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"
#include "job/prune/locks.h"
#include "s3/remove.h"

enum state {
    STARTING,
    LOCKS, /* are looked for at what is to go */
    DUMPS, /* go, and lone keys with them */
    KEYS,  /* of the dumps that are gone */
};

static const char *const phase_names[] = {"starting", "looking for locks", "deleting", "deleting keys"};

struct deletion {
    struct core *core;
    struct deletion_spec spec;
    uv_timer_t timer; /* brings the next step to the loop's next turn */
    enum state state;
    struct locks *locks;
    struct s3_remove *remove;
    bool *is_gone, *stays; /* by the index of the backup; stays: it is locked, or that is not known */
    char **keys;           /* what is being removed; of DUMPS borrowed names, of KEYS our own */
    size_t *backup_of;     /* index of the backup that such a key belongs to */
    size_t n_keys;
    unsigned failed;
    struct err failure; /* the first */
};

/* ---- the end ---- */

static void drop_keys(struct deletion *d)
{
    for (size_t i = 0; d->state == KEYS && i < d->n_keys; i++)
        free(d->keys[i]);
    free(TAKE_PTR(d->keys));
    free(TAKE_PTR(d->backup_of));
    d->n_keys = 0;
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
    drop_keys(d);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

static void finish(struct deletion *d, const struct err *err)
{
    d->spec.on_done(d->spec.ctx, err);
}

static void finish_all(struct deletion *d)
{
    if (d->failed)
        err_prepend(&d->failure, "%u of %zu could not be deleted: ", d->failed, d->spec.n);
    finish(d, d->failed ? &d->failure : NULL);
}

/* ---- what becomes of each ---- */

static void tell(struct deletion *d, size_t index, enum deletion_fate fate, const struct err *err)
{
    d->spec.on_fate(d->spec.ctx, index, fate, err);
}

static void count_failure(struct deletion *d, const char *name, const struct err *err)
{
    if (d->failed++)
        return;
    d->failure = *err;
    err_prepend(&d->failure, "%s: ", name);
}

/* The store's no to one object is its lock, its retention or its policy; that is not ours to break. */
static void on_each(void *ctx, size_t index, const struct err *err)
{
    struct deletion *d = ctx;
    size_t backup = d->backup_of[index];

    if (!err && d->state == DUMPS) {
        d->is_gone[backup] = true;
        tell(d, backup, DELETION_GONE, NULL);
    } else if (err && err->kind == ERR_AUTH) {
        tell(d, backup, DELETION_LOCKED, err);
    } else if (err) {
        count_failure(d, d->keys[index], err);
        tell(d, backup, DELETION_FAILED, err);
    }
}

static void next_step(uv_timer_t *timer);

static void schedule(struct deletion *d)
{
    (void)uv_timer_start(&d->timer, next_step, 0, 0);
}

static void on_removed(void *ctx, const struct err *err)
{
    struct deletion *d = ctx;

    d->remove = NULL;
    if (err)
        finish(d, err);
    else
        schedule(d);
}

static int start_removing(struct deletion *d, struct err *e)
{
    struct s3_remove_spec spec = {
            .keys = (const char *const *)d->keys,
            .n = d->n_keys,
            .ctx = d,
            .on_each = on_each,
            .on_done = on_removed,
    };
    struct s3_client *s3 = core_s3(d->core, e);

    d->remove = s3 ? s3_remove_start(s3, &spec, e) : NULL;
    return d->remove ? 0 : -1;
}

static int make_room_for_keys(struct deletion *d, struct err *e)
{
    d->keys = calloc(d->spec.n + 1, sizeof(*d->keys));
    d->backup_of = calloc(d->spec.n + 1, sizeof(*d->backup_of));
    d->n_keys = 0;
    return d->keys && d->backup_of ? 0 : err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* Dumps, and keys that have none. */
static int collect_dumps(struct deletion *d, struct err *e)
{
    if (make_room_for_keys(d, e) < 0)
        return -1;
    for (size_t i = 0; i < d->spec.n; i++) {
        if (d->stays[i])
            continue;
        d->keys[d->n_keys] = d->spec.backups[i]->name;
        d->backup_of[d->n_keys++] = i;
    }
    return 0;
}

static int collect_keys(struct deletion *d, struct err *e)
{
    char name[NAME_TEXT_MAX];

    if (make_room_for_keys(d, e) < 0)
        return -1;
    for (size_t i = 0; i < d->spec.n; i++) {
        if (!d->is_gone[i] || !d->spec.backups[i]->has_key)
            continue;
        name_key_of_dump(name, d->spec.backups[i]->name);
        if (!(d->keys[d->n_keys] = strdup(name)))
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        d->backup_of[d->n_keys++] = i;
    }
    return 0;
}

/* ---- locks ---- */

static const char *name_of(void *ctx, size_t index)
{
    const struct deletion *d = ctx;

    return d->spec.backups[index]->name;
}

static void on_locked(void *ctx, size_t index, const struct err *err)
{
    struct deletion *d = ctx;

    d->stays[index] = true;
    tell(d, index, DELETION_LOCKED, err);
}

/* What may be locked would only be hidden: it stays, and that is a failure. */
static void on_unknown(void *ctx, size_t index, const struct err *err)
{
    struct deletion *d = ctx;
    struct err e = *err;

    err_prepend(&e, "whether it is locked is not known: ");
    d->stays[index] = true;
    if (!d->spec.dry_run)
        count_failure(d, d->spec.backups[index]->name, &e);
    tell(d, index, DELETION_FAILED, &e);
}

static void on_locks(void *ctx, const struct err *err)
{
    struct deletion *d = ctx;
    struct err e = err ? *err : ERR_INIT;
    char note[ERR_TEXT_MAX + 128];

    locks_free(TAKE_PTR(d->locks));
    if (err && err->domain == ERR_DOMAIN_HTTP && err->code == 403) { /* who has no locks need not give us that right */
        (void)snprintf(note, sizeof(note),
                "whether the bucket has object lock may not be asked, so it counts as none: %s", err->text);
        d->spec.on_note(d->spec.ctx, note);
    } else if (err && d->spec.dry_run) {
        (void)snprintf(note, sizeof(note),
                "nothing would be deleted: whether the bucket has object lock is not known: %s", err->text);
        d->spec.on_note(d->spec.ctx, note);
    } else if (err) {
        err_prepend(&e, "nothing is deleted: whether the bucket has object lock is not known: ");
        finish(d, &e);
        return;
    }
    schedule(d);
}

static int look_for_locks(struct deletion *d, struct err *e)
{
    struct locks_spec spec = {
            .n = d->spec.n,
            .ctx = d,
            .name = name_of,
            .on_locked = on_locked,
            .on_unknown = on_unknown,
            .on_done = on_locks,
    };

    d->locks = locks_start(d->core, &spec, e);
    return d->locks ? 0 : -1;
}

/* ---- one after the other ---- */

/* Starts what comes now. *is_waiting: it calls back. */
static int start_step(struct deletion *d, bool *is_waiting, struct err *e)
{
    *is_waiting = false;
    if (d->state == LOCKS) {
        *is_waiting = d->spec.n > 0;
        return d->spec.n > 0 ? look_for_locks(d, e) : 0;
    }
    if ((d->state == DUMPS ? collect_dumps(d, e) : collect_keys(d, e)) < 0)
        return -1;
    *is_waiting = d->n_keys > 0;
    return d->n_keys > 0 ? start_removing(d, e) : 0;
}

/* From locks to dumps to keys to the end, past what has nothing to do. */
static void next_step(uv_timer_t *timer)
{
    struct deletion *d = CONTAINER_OF(timer, struct deletion, timer);
    struct err e = ERR_INIT;
    bool is_waiting;

    drop_keys(d);
    if (d->state == KEYS || (d->state == LOCKS && d->spec.dry_run)) {
        finish_all(d);
        return;
    }
    d->state++;
    d->spec.on_phase(d->spec.ctx, phase_names[d->state]);
    if (start_step(d, &is_waiting, &e) < 0)
        finish(d, &e);
    else if (!is_waiting)
        schedule(d);
}

struct deletion *deletion_start(struct core *core, const struct deletion_spec *spec, struct err *e)
{
    struct deletion *d = calloc(1, sizeof(*d));

    if (d) {
        d->is_gone = calloc(spec->n + 1, sizeof(*d->is_gone));
        d->stays = calloc(spec->n + 1, sizeof(*d->stays));
    }
    if (!d || !d->is_gone || !d->stays) {
        if (d) {
            free(d->is_gone);
            free(d->stays);
        }
        free(d);
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
