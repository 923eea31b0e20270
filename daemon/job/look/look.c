#include "job/look/look.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "job/lifecycle.h"
#include "job/restore/reader.h"

struct look {
    struct lifecycle life;
    struct look_request request;
    struct reader *reader;
    struct destination to; /* its file alone */
    bool is_open;          /* the backup, without an objection */
    struct look_result result;
};

static struct look *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct look, life);
}

/* ---- the end ---- */

static void free_job(struct lifecycle *life)
{
    struct look *l = of(life);

    destination_clear(&l->to);
    reader_free(l->reader);
    brought_keys_clear(&l->request.brought);
    free(l);
}

/* The only end. Nothing that was started is still at work. */
static void finish(struct look *l, const struct err *err)
{
    l->result.elapsed_ms = lifecycle_elapsed_ms(&l->life);
    lifecycle_end(&l->life, err ? NULL : &(struct job_result){.look = &l->result}, err);
    if (l->result.fd >= 0)
        close(l->result.fd);
    destination_clear(&l->to);
    reader_close(l->reader);
}

static void finish_cancelled(struct look *l)
{
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; nothing is left on disk");
    finish(l, &e);
}

static void on_fetched(void *ctx, uint64_t written, const struct err *err)
{
    struct look *l = ctx;
    struct err e = ERR_INIT;

    if (err) {
        e = *err;
        reader_advise(l->reader, &e);
        finish(l, &e);
        return;
    }
    if (lifecycle_is_cancelled(&l->life)) {
        finish_cancelled(l);
        return;
    }
    l->result.snapshot_size = written;
    l->result.hash_checked = !l->request.skip_hash_check;
    l->result.fd = output_file_read(l->to.file, &e);
    finish(l, l->result.fd < 0 ? &e : NULL);
}

/* ---- looking around ---- */

static void object(struct look *l, const struct err *err)
{
    objections_add(reader_objections(l->reader), err);
}

static void look_at_room(struct look *l)
{
    uint64_t size = l->is_open ? opened_backup_snapshot_size(reader_opened(l->reader)) : UINT64_MAX;
    struct disk_space room = ROOM_INIT;
    struct err e = ERR_INIT;

    l->to.file = output_file_open_transient(core_conf(l->life.core)->snapshot_path, &e);
    if (!l->to.file) {
        err_prepend(&e, "snapshot_path: ");
        object(l, &e);
    } else if (size != UINT64_MAX &&
               (destination_measure(&l->to, size, &room, &e) < 0 || disk_space_verdict(&room, &e) < 0)) {
        object(l, &e);
    }
}

/* All has been asked: what came of it? */
static void judge(struct lifecycle *life)
{
    struct look *l = of(life);
    struct err e = ERR_INIT;

    look_at_room(l);
    if (objections_verdict(reader_objections(l->reader), &e) < 0) {
        finish(l, &e);
        return;
    }
    reader_tell_of_cluster(l->reader);
    if (reader_fetch(l->reader, &l->to, &e) < 0)
        finish(l, &e);
}

static void on_opened(void *ctx, const struct err *err)
{
    struct look *l = ctx;
    struct err e = err ? *err : ERR_INIT;

    l->is_open = !err;
    if (err) {
        reader_advise(l->reader, &e);
        object(l, &e);
    }
    lifecycle_next(&l->life, judge);
}

/* Which one is meant; -1 with an objection. */
static int open_backup(struct look *l, struct err *e)
{
    const struct catalog_backup *b = reader_choose(l->reader, &l->request.choice, false, e);

    if (!b)
        return -1;
    (void)snprintf(l->result.name, sizeof(l->result.name), "%s", b->name);
    l->result.instant = b->instant;
    l->result.encrypted = b->has_key;
    return reader_open(l->reader, b, e);
}

static void open_or_judge(struct lifecycle *life)
{
    struct look *l = of(life);
    struct err e = ERR_INIT;

    if (!reader_list(l->reader)) {
        judge(life);
        return;
    }
    if (open_backup(l, &e) < 0)
        on_opened(l, &e);
    reader_drop_list(l->reader);
}

/* ---- the beginning ---- */

static void on_looked(void *ctx)
{
    struct look *l = ctx;

    lifecycle_next(&l->life, open_or_judge);
}

static void begin(struct lifecycle *life)
{
    struct look *l = of(life);

    if (!reader_look(l->reader))
        on_looked(l);
}

/* Whatever is at work is asked to end; its own end leads to ours. */
static void cancel(struct lifecycle *life)
{
    struct look *l = of(life);

    if (!reader_cancel(l->reader))
        finish_cancelled(l);
}

static struct look *new_look(const struct look_request *request, struct err *e)
{
    struct look *l = calloc(1, sizeof(*l));
    struct reader_spec spec = {
            .phases = {"preparing", NULL, "fetching", NULL},
            .allow_renamed = request->allow_renamed,
            .allow_plain = request->allow_plain,
            .brought = &l->request.brought,
            .skip_hash_check = request->skip_hash_check,
            .ctx = l,
            .on_looked = on_looked,
            .on_opened = on_opened,
            .on_fetched = on_fetched,
    };

    if (!l) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    spec.life = &l->life;
    l->result.fd = -1;
    l->reader = reader_new(&spec, e);
    if (l->reader)
        return l;
    free(l);
    return NULL;
}

struct look *look_start(
        struct core *core, const struct look_request *request, const struct job_sink *sink, struct err *e)
{
    struct look *l;

    if (!core_conf(core)->snapshot_path) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "a backup is looked into in a file beside snapshot_path, which is not configured");
        return NULL;
    }
    l = new_look(request, e);
    if (!l)
        return NULL;
    l->request = *request;
    if (brought_keys_copy(&request->brought, &l->request.brought, e) < 0) {
        reader_free(l->reader);
        free(l);
        return NULL;
    }
    l->request.choice.unhashed_too = request->skip_hash_check;
    l->request.choice.plain_too = request->allow_plain;
    lifecycle_start(
            &l->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return l;
}

void look_cancel(struct look *l)
{
    lifecycle_cancel(&l->life);
}
