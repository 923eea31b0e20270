#include "job/restore/restore.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "job/lifecycle.h"
#include "job/restore/owner.h"
#include "job/restore/preflight.h"
#include "job/restore/reader.h"

struct restore {
    struct lifecycle life;
    struct restore_request request;
    char *output; /* of the request, or the configuration's */
    bool output_chosen;
    struct reader *reader;
    bool is_open; /* the backup, without an objection */
    struct destination to;
    struct restore_result result;
    char owner[OWNER_TEXT_MAX];
};

static struct restore *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct restore, life);
}

/* ---- the end ---- */

static void free_job(struct lifecycle *life)
{
    struct restore *r = of(life);

    destination_clear(&r->to);
    reader_free(r->reader);
    unpack_options_clear(&r->request.unpack);
    brought_keys_clear(&r->request.brought);
    free(r->output);
    free(r);
}

/* The only end. Nothing that was started is still at work. */
static void finish(struct restore *r, const struct err *err)
{
    destination_clean(&r->to); /* before anybody hears of the end */
    r->result.elapsed_ms = lifecycle_elapsed_ms(&r->life);
    lifecycle_end(&r->life, err ? NULL : &(struct job_result){.restore = &r->result}, err);
    destination_clear(&r->to);
    reader_close(r->reader);
}

/* ---- into a data directory ---- */

/* What was given to its owner is his: root does not go back into it. */
static void tell_what_stays(const struct restore *r, struct err *e)
{
    bool has_data = data_dir_is_in_place(r->to.data), has_wal = r->to.wal && data_dir_is_in_place(r->to.wal);
    char owner[OWNER_TEXT_MAX];

    err_set(e, e->kind, e->domain, e->code,
            "%.300s; what is in %s%s%s belongs to %s, may have been changed since, and stays: remove it before you try "
            "again",
            e->text, has_data ? data_dir_path(r->to.data) : "", has_data && has_wal ? " and " : "",
            has_wal ? data_dir_path(r->to.wal) : "", data_dir_owner(r->to.data, owner));
}

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = ERR_INIT;

    (void)status;
    if (err) {
        e = *err;
        err_prepend(&e, "unpacking %s into %s: ", r->result.name, data_dir_path(r->to.data));
        if (destination_is_in_place(&r->to))
            tell_what_stays(r, &e);
        else if (e.kind == ERR_CANCELLED)
            err_set(&e, e.kind, e.domain, e.code, "%s; nothing was changed on disk", e.text);
        else
            err_set(&e, e.kind, e.domain, e.code,
                    "%s (nothing was left behind; --use-etcdutl=false leaves the snapshot in a file, to unpack by "
                    "hand)",
                    e.text);
    }
    finish(r, err ? &e : NULL);
}

/* ---- into a file ---- */

/* A download that failed: what is there now, and how to go on. What is wrong with the backup itself says so. */
static void tell_how_to_go_on(const struct restore *r, const struct err *err, struct err *out)
{
    const char *how = "";

    *out = *err;
    if (err->kind == ERR_CANCELLED || output_file_is_in_place(r->to.file))
        return;
    if (err_is_transient(err))
        how = "; once S3 answers again, run it again";
    else if (err->domain == ERR_DOMAIN_ERRNO && (err->code == ENOSPC || err->code == EDQUOT))
        how = "; make room, or name a larger disk with --output, and run it again";
    err_set(out, err->kind, err->domain, err->code, "%.400s (nothing was left behind%s)", err->text, how);
}

static void on_fetched(void *ctx, uint64_t written, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = ERR_INIT;

    r->result.snapshot_size = written;
    if (!err && lifecycle_is_cancelled(&r->life) && r->request.unpacks) {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "%s: cancelled; nothing was changed on disk", r->result.name);
        err = &e;
    }
    if (err) {
        tell_how_to_go_on(r, err, &e);
        reader_advise(r->reader, &e);
        finish(r, &e);
    } else if (!r->request.unpacks) {
        finish(r, NULL);
    } else if (reader_unpack(r->reader, &r->to, &r->request.unpack, false, &e) < 0) {
        finish(r, &e);
    }
}

/* ---- before the first byte ---- */

/* snapshot_path is written again by each restore; who mistyped --output hears of it before it is too late. */
static void tell_what_is_replaced(struct restore *r)
{
    const struct output_file_old *old = output_file_replaces(r->to.file);
    char note[PATH_MAX + 160], size[SIZE_TEXT_MAX], changed[TIMESTAMP_TEXT_MAX];

    if (!old->exists || !r->output_chosen)
        return;
    (void)snprintf(note, sizeof(note), "%s is there already (%s, of %s) and is replaced when the new one is whole",
            output_file_path(r->to.file), size_format(old->size, size), timestamp_format(old->changed, changed));
    lifecycle_note(&r->life, note);
}

/* Before 3.6, where nothing says which storage it is of. It may well work; what an older release does not know of is
 * lost without a word of its own. */
static void tell_of_older_tool(struct restore *r)
{
    const char *version = opened_backup_etcd_version(reader_opened(r->reader));
    const struct etcdutl *tool = reader_etcdutl(r->reader);
    char note[NAME_TEXT_MAX + PATH_MAX + 200];

    if (opened_backup_storage_version(reader_opened(r->reader))[0] || !etcdutl_is_older(tool, version))
        return;
    (void)snprintf(note, sizeof(note),
            "%s is of etcd %s, and %s is older (%s): the etcdutl of its release unpacks it best", r->result.name,
            version, etcdutl_path(tool), etcdutl_version(tool));
    lifecycle_note(&r->life, note);
}

static void fill_result(struct restore *r)
{
    reader_tell_of_cluster(r->reader);
    r->result.snapshot_size = opened_backup_snapshot_size(reader_opened(r->reader));
    r->result.output = output_file_path(r->to.file); /* without links */
    if (!r->request.unpacks) {
        tell_what_is_replaced(r);
        return;
    }
    tell_of_older_tool(r);
    r->result.tool = etcdutl_version(reader_etcdutl(r->reader));
    r->result.output = NULL;
    r->result.data_dir = data_dir_path(r->to.data); /* without links */
    r->result.wal_dir = r->to.wal ? data_dir_path(r->to.wal) : NULL;
    r->result.owner = data_dir_owner(r->to.data, r->owner);
    r->result.member = r->request.unpack.name;
    r->result.initial_cluster = r->request.unpack.initial_cluster;
    r->result.initial_cluster_token = r->request.unpack.initial_cluster_token;
}

/* The one line of an error has not always room for all of them. */
static void tell_objections(struct restore *r, const struct objections *o)
{
    for (unsigned i = 0; objections_are_long(o) && i < o->count; i++)
        lifecycle_note(&r->life, o->all[i].text);
}

/* All has been asked: what came of it? */
static void judge(struct lifecycle *life)
{
    struct restore *r = of(life);
    struct objections *objections = reader_objections(r->reader);
    const struct preflight_spec preflight = {
            .output = r->output,
            .output_is_chosen = r->output_chosen,
            .unpacks = r->request.unpacks,
            .unpack = &r->request.unpack,
            .etcdutl = reader_etcdutl(r->reader),
            .name = r->result.name,
            .storage_version = r->is_open ? opened_backup_storage_version(reader_opened(r->reader)) : "",
            .snapshot_size = r->is_open ? opened_backup_snapshot_size(reader_opened(r->reader)) : UINT64_MAX,
    };
    struct err e = ERR_INIT;

    preflight_check(&preflight, &r->to, objections);
    if (objections_verdict(objections, &e) < 0) {
        tell_objections(r, objections);
        finish(r, &e);
        return;
    }
    fill_result(r);
    if (r->request.dry_run)
        finish(r, NULL);
    else if (reader_fetch(r->reader, &r->to, &e) < 0)
        finish(r, &e);
}

static void on_opened(void *ctx, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = err ? *err : ERR_INIT;

    r->is_open = !err;
    if (err) {
        reader_advise(r->reader, &e);
        objections_add(reader_objections(r->reader), &e);
    }
    lifecycle_next(&r->life, judge);
}

/* Which one is meant; -1 with an objection. */
static int open_backup(struct restore *r, struct err *e)
{
    const struct catalog_backup *b = reader_choose(r->reader, &r->request.choice, false, e);

    if (!b)
        return -1;
    (void)snprintf(r->result.name, sizeof(r->result.name), "%s", b->name);
    r->result.instant = b->instant;
    r->result.encrypted = b->has_key;
    return reader_open(r->reader, b, e);
}

static void open_or_judge(struct lifecycle *life)
{
    struct restore *r = of(life);
    struct err e = ERR_INIT;

    if (!reader_list(r->reader)) {
        judge(life);
        return;
    }
    if (open_backup(r, &e) < 0)
        on_opened(r, &e);
    reader_drop_list(r->reader);
}

/* ---- the beginning ---- */

static void on_looked(void *ctx)
{
    struct restore *r = ctx;

    lifecycle_next(&r->life, open_or_judge);
}

static void begin(struct lifecycle *life)
{
    struct restore *r = of(life);

    if (!reader_look(r->reader))
        on_looked(r);
}

/* Whatever is at work is asked to end; its own end leads to ours. */
static void cancel(struct lifecycle *life)
{
    struct restore *r = of(life);
    struct err e = ERR_INIT;

    if (reader_cancel(r->reader))
        return;
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; nothing was changed on disk");
    finish(r, &e);
}

static int take_request(struct restore *r, const struct restore_request *request, const char *output, struct err *e)
{
    struct reader_spec spec = {
            .life = &r->life,
            .phases = {"preparing", NULL, "fetching", "unpacking"},
            .needs_etcdutl = request->unpacks,
            .allow_renamed = request->allow_renamed,
            .allow_plain = request->allow_plain,
            .brought = &r->request.brought,
            .skip_hash_check = request->skip_hash_check,
            .ctx = r,
            .on_looked = on_looked,
            .on_opened = on_opened,
            .on_fetched = on_fetched,
            .on_unpacked = on_unpacked,
    };

    r->output = strdup(output);
    if (!r->output)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    r->output_chosen = request->output != NULL;
    for (size_t len = strlen(r->output); request->unpacks && !r->output_chosen && len > 1 && r->output[len - 1] == '/';
            len--)
        r->output[len - 1] = '\0'; /* a data directory's name may end so, a file's beside it not */
    r->request = *request;
    r->request.output = NULL;
    r->request.brought = (struct brought_keys){0};
    if (unpack_options_copy(&r->request.unpack, &request->unpack, e) < 0 ||
            brought_keys_copy(&request->brought, &r->request.brought, e) < 0)
        return -1;
    r->request.unpack.skip_hash_check = r->request.choice.unhashed_too = request->skip_hash_check;
    r->request.choice.plain_too = request->allow_plain;
    spec.tool = r->request.unpack.tool;
    r->reader = reader_new(&spec, e);
    return r->reader ? 0 : -1;
}

static struct restore *new_restore(const struct restore_request *request, const char *output, struct err *e)
{
    struct restore *r = calloc(1, sizeof(*r));

    if (!r)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    else if (take_request(r, request, output, e) == 0)
        return r;
    else
        free_job(&r->life);
    return NULL;
}

struct restore *restore_start(
        struct core *core, const struct restore_request *request, const struct job_sink *sink, struct err *e)
{
    const char *output = request->output ? request->output : core_conf(core)->snapshot_path;
    struct restore *r;

    if (!output && request->unpacks)
        output = request->unpack.data_dir; /* beside it is room at least for the data directory */
    if (!output) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no file to restore to: give --output or configure snapshot_path");
        return NULL;
    }
    r = new_restore(request, output, e);
    if (!r)
        return NULL;
    r->result.output = r->output;
    r->result.hash_checked = !request->skip_hash_check;
    r->result.dry_run = request->dry_run;
    lifecycle_start(
            &r->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return r;
}

void restore_cancel(struct restore *r)
{
    lifecycle_cancel(&r->life);
}
