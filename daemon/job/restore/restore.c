#include "job/restore/restore.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "base/timestamp.h"
#include "job/bucket/listing.h"
#include "job/bucket/origin.h"
#include "job/objections.h"
#include "job/restore/disk_space.h"
#include "job/restore/download.h"
#include "job/restore/opened_backup.h"
#include "job/restore/owner.h"

enum state {
    LOOKING,   /* for the backup and its key, for the tool; whatever is in the way is collected */
    FETCHING,  /* the dump through the download into the target */
    UNPACKING, /* the tool is at work, then the data directory is put into place */
    FINISHED,
};

static const char *const phase_names[] = {"preparing", "fetching", "unpacking", "finished"};

struct restore {
    struct core *core;
    struct job_sink sink;
    enum state state;
    bool cancelled;
    uint64_t started_ms;
    uv_timer_t timer; /* brings the start and a cancellation to the loop's next turn */
    struct restore_request request;
    char *output; /* of the request, or the configuration's */
    bool output_chosen;

    /* Looking around. */
    struct listing *listing;
    struct opened_backup *source;
    struct origin *origin; /* of the newest other one, being looked at; then: */
    struct origin_of other;
    char other_name[NAME_TEXT_MAX];
    struct choice_others others; /* to ask for instead */
    struct etcdutl *tool;
    bool opened_backup_pending, program_pending;
    bool opened_backup_open, program_found;
    struct objections objections;

    struct data_dir *data, *wal;
    struct output_file *target;
    struct download *download;
    struct unpack *unpack;
    struct restore_result result;
    char owner[OWNER_TEXT_MAX];
};

static void tell_progress(struct restore *r, uint64_t done)
{
    struct job_progress p = {
            .phase = phase_names[r->state],
            .done = done,
            .total = r->state == FETCHING ? opened_backup_size(r->source) : 0,
    };

    r->sink.progress(r->sink.ctx, &p);
}

static void set_state(struct restore *r, enum state state)
{
    r->state = state;
    tell_progress(r, 0);
}

static void on_note(void *ctx, const char *text)
{
    struct restore *r = ctx;

    r->sink.note(r->sink.ctx, text);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct restore *r = h->data;
    struct core *core = r->core;

    unpack_options_clear(&r->request.unpack);
    free(r->output);
    free(r);
    core_release(core);
}

/* The only end. Nothing that was started is still at work. */
static void finish(struct restore *r, const struct err *err)
{
    struct job_sink sink = r->sink;

    r->state = FINISHED;
    listing_free(TAKE_PTR(r->listing));
    origin_free(TAKE_PTR(r->origin));
    data_dir_clean(r->data); /* before anybody hears of the end */
    data_dir_clean(r->wal);
    output_file_clean(r->target);
    r->result.elapsed_ms = uv_now(core_loop(r->core)) - r->started_ms;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    sink.done(sink.ctx, err ? NULL : &(struct job_result){.restore = &r->result}, err);
    data_dir_free(TAKE_PTR(r->data));
    data_dir_free(TAKE_PTR(r->wal));
    output_file_free(TAKE_PTR(r->target));
    opened_backup_free(TAKE_PTR(r->source));
    etcdutl_free(TAKE_PTR(r->tool));
}

/* ---- into a data directory ---- */

static void on_line(void *ctx, const char *line)
{
    struct restore *r = ctx;

    r->sink.output(r->sink.ctx, line);
}

/* What was given to its owner is his: root does not go back into it. */
static void tell_what_stays(const struct restore *r, struct err *e)
{
    bool has_data = data_dir_is_in_place(r->data), has_wal = r->wal && data_dir_is_in_place(r->wal);
    char owner[OWNER_TEXT_MAX];

    err_set(e, e->kind, e->domain, e->code,
            "%.300s; what is in %s%s%s belongs to %s, may have been changed since, and stays: remove it before you try "
            "again",
            e->text, has_data ? data_dir_path(r->data) : "", has_data && has_wal ? " and " : "",
            has_wal ? data_dir_path(r->wal) : "", data_dir_owner(r->data, owner));
}

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = ERR_INIT;

    (void)status;
    r->unpack = NULL;
    if (err) {
        e = *err;
        err_prepend(&e, "unpacking %s into %s: ", r->result.name, data_dir_path(r->data));
        if (data_dir_is_in_place(r->data) || (r->wal && data_dir_is_in_place(r->wal)))
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

static void start_unpacking(struct restore *r)
{
    struct unpack_spec spec = {
            .tool = r->tool,
            .snapshot = r->target,
            .options = &r->request.unpack,
            .data = r->data,
            .wal = r->wal,
            .ctx = r,
            .on_line = on_line,
            .on_done = on_unpacked,
    };
    struct err e = ERR_INIT;

    set_state(r, UNPACKING);
    if (data_dir_open(r->data, &e) == 0 && (!r->wal || data_dir_open(r->wal, &e) == 0))
        r->unpack = unpack_start(core_loop(r->core), &spec, &e);
    if (!r->unpack)
        finish(r, &e);
}

/* ---- into a file ---- */

static void on_progress(void *ctx, uint64_t done)
{
    tell_progress(ctx, done);
}

/* A download that failed: what is there now, and how to go on. What is wrong with the backup itself says so. */
static void tell_how_to_go_on(const struct restore *r, const struct err *err, struct err *out)
{
    const char *how = "";

    *out = *err;
    if (err->kind == ERR_CANCELLED || output_file_is_in_place(r->target))
        return;
    if (err_is_transient(err))
        how = "; once S3 answers again, run it again";
    else if (err->domain == ERR_DOMAIN_ERRNO && (err->code == ENOSPC || err->code == EDQUOT))
        how = "; make room, or name a larger disk with --output, and run it again";
    err_set(out, err->kind, err->domain, err->code, "%.400s (nothing was left behind%s)", err->text, how);
}

static void on_downloaded(void *ctx, uint64_t written, const struct err *err)
{
    struct restore *r = ctx;
    struct err e = ERR_INIT;

    r->download = NULL;
    r->result.snapshot_size = written;
    if (!err && r->cancelled && r->request.unpacks) {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "%s: cancelled; nothing was changed on disk", r->result.name);
        err = &e;
    }
    if (err) {
        tell_how_to_go_on(r, err, &e);
        choice_advise(&r->others, &e);
        finish(r, &e);
    } else if (r->request.unpacks) {
        start_unpacking(r);
    } else {
        finish(r, NULL);
    }
}

static void start_fetching(struct restore *r)
{
    struct download_spec spec = {
            .source = r->source,
            .target = r->target,
            .skip_hash_check = r->request.skip_hash_check,
            .ctx = r,
            .on_progress = on_progress,
            .on_note = on_note,
            .on_done = on_downloaded,
    };
    struct err e = ERR_INIT;

    r->download = download_start(r->core, &spec, &e);
    if (r->download)
        set_state(r, FETCHING);
    else
        finish(r, &e);
}

/* ---- looking around ---- */

static void object(struct restore *r, const struct err *err)
{
    objections_add(&r->objections, err);
}

/* One place for what etcdutl makes, planned and owned; an objection says which option named it. */
static struct data_dir *plan(struct restore *r, const char *option, const char *path)
{
    _cleanup_(cleanup_data_dir_free) struct data_dir *p = NULL;
    struct err e = ERR_INIT;

    p = data_dir_plan(path, &e);
    if (!p)
        err_prepend(&e, "%s: ", option);
    else if (data_dir_set_owner(p, r->request.unpack.owner, &e) == 0)
        return TAKE_PTR(p);
    object(r, &e);
    return NULL;
}

static void look_at_tool(struct restore *r)
{
    struct err e = ERR_INIT;

    if (!r->program_found)
        return;
    r->result.tool = etcdutl_version(r->tool);
    if (!r->request.unpack.bump_revision || etcdutl_can_bump(r->tool))
        return;
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "--bump-revision: %s (%s) does not know it; etcdutl from 3.5.10 and etcdctl from 3.4.27 on do",
            etcdutl_path(r->tool), etcdutl_version(r->tool));
    object(r, &e);
}

static void look_at_room(struct restore *r)
{
    uint64_t size = r->opened_backup_open ? opened_backup_snapshot_size(r->source) : UINT64_MAX;
    struct disk_space room = ROOM_INIT;
    struct err e = ERR_INIT;

    if (size == UINT64_MAX)
        return;
    if ((r->target && disk_space_need_beside(&room, r->target, size, &e) < 0) ||
            (r->data && disk_space_need(&room, r->data, size, &e) < 0) ||
            (r->data && !r->request.unpack.wal_dir && disk_space_need(&room, r->data, UNPACK_LOG_BYTES, &e) < 0) ||
            (r->wal && disk_space_need(&room, r->wal, UNPACK_LOG_BYTES, &e) < 0)) {
        object(r, &e);
    } else if (disk_space_verdict(&room, &e) < 0) {
        /* The snapshot's disk was asked for first; it alone can be chosen freely. */
        if (r->target && room.disks[0].need > room.disks[0].available)
            err_set(&e, e.kind, e.domain, e.code, "%s; --output FILE takes another disk for the snapshot%s", e.text,
                    r->request.unpacks ? " until it is unpacked" : "");
        object(r, &e);
    }
}

/* Where a file of its own is for whoever unpacks; a directory must not make it lie above that. */
static struct output_file *open_target(const struct restore *r, struct err *e)
{
    struct stat st;

    if (!r->request.unpacks)
        return output_file_open(r->output, e);
    if (!r->output_chosen || stat(r->output, &st) < 0 || !S_ISDIR(st.st_mode))
        return output_file_open_transient(r->output, e);
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--output %s: is a directory, not the name of a file", r->output);
    return NULL;
}

/* Also where there is no place to give it to; and the two places must not lie in each other, whatever they are called.
 */
static void look_at_owner(struct restore *r)
{
    const char *owner = r->request.unpack.owner;
    struct err e = ERR_INIT;
    uid_t uid;
    gid_t gid = getegid();

    if (!r->data && owner && owner_parse(owner, &uid, &gid, &e) < 0)
        object(r, &e);
    if (r->data && r->wal && (data_dir_lies_in(r->data, r->wal) || data_dir_lies_in(r->wal, r->data))) {
        err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--wal-dir and --data-dir lie in each other: name another");
        object(r, &e);
    }
}

/* What is on this machine. The target is opened last, so that a dry run leaves no trace. */
static void look_around(struct restore *r)
{
    const struct unpack_options *unpack = &r->request.unpack;
    struct err e = ERR_INIT;

    if (r->request.unpacks) {
        unpack_options_check(unpack, &r->objections);
        look_at_tool(r);
        r->data = plan(r, "--data-dir", unpack->data_dir);
        r->wal = unpack->wal_dir ? plan(r, "--wal-dir", unpack->wal_dir) : NULL;
        look_at_owner(r);
    }
    r->target = open_target(r, &e);
    if (!r->target)
        object(r, &e);
    look_at_room(r);
}

/* snapshot_path is written again by each restore; who mistyped --output hears of it before it is too late. */
static void tell_what_is_replaced(struct restore *r)
{
    const struct output_file_old *old = output_file_replaces(r->target);
    char note[PATH_MAX + 160], size[SIZE_TEXT_MAX], changed[TIMESTAMP_TEXT_MAX];

    if (!old->exists || !r->output_chosen)
        return;
    (void)snprintf(note, sizeof(note), "%s is there already (%s, of %s) and is replaced when the new one is whole",
            output_file_path(r->target), size_format(old->size, size), timestamp_format(old->changed, changed));
    r->sink.note(r->sink.ctx, note);
}

/* It may well work; what an older release does not know of is lost without a word of its own. */
static void tell_of_older_tool(struct restore *r)
{
    const char *version = opened_backup_etcd_version(r->source);
    char note[NAME_TEXT_MAX + PATH_MAX + 200];

    if (!etcdutl_is_older(r->tool, version))
        return;
    (void)snprintf(note, sizeof(note),
            "%s is of etcd %s, and %s is older (%s): the etcdutl of its release unpacks it best", r->result.name,
            version, etcdutl_path(r->tool), etcdutl_version(r->tool));
    r->sink.note(r->sink.ctx, note);
}

static void tell_of_cluster(struct restore *r)
{
    const struct origin_of read = {.name = r->result.name, .cluster = opened_backup_cluster(r->source)};
    char note[ORIGIN_NOTE_MAX];

    r->other.name = r->other_name;
    if (origin_differs(r->core, &read, &r->other, note))
        r->sink.note(r->sink.ctx, note);
}

static void fill_result(struct restore *r)
{
    tell_of_cluster(r);
    r->result.snapshot_size = opened_backup_snapshot_size(r->source);
    r->result.output = output_file_path(r->target); /* without links */
    if (!r->request.unpacks) {
        tell_what_is_replaced(r);
        return;
    }
    tell_of_older_tool(r);
    r->result.output = NULL;
    r->result.data_dir = data_dir_path(r->data); /* without links */
    r->result.wal_dir = r->wal ? data_dir_path(r->wal) : NULL;
    r->result.owner = data_dir_owner(r->data, r->owner);
    r->result.member = r->request.unpack.name;
    r->result.initial_cluster = r->request.unpack.initial_cluster;
    r->result.initial_cluster_token = r->request.unpack.initial_cluster_token;
}

/* The one line of an error has not always room for all of them. */
static void tell_objections(struct restore *r)
{
    for (unsigned i = 0; objections_are_long(&r->objections) && i < r->objections.count; i++)
        r->sink.note(r->sink.ctx, r->objections.all[i].text);
}

/* All has been asked: what came of it? */
static void judge(struct restore *r)
{
    struct err e = ERR_INIT;

    if (r->opened_backup_pending || r->program_pending || r->origin)
        return;
    if (r->cancelled) {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled; nothing was changed on disk");
        finish(r, &e);
        return;
    }
    look_around(r);
    if (objections_verdict(&r->objections, &e) < 0) {
        tell_objections(r);
        finish(r, &e);
        return;
    }
    fill_result(r);
    if (r->request.dry_run)
        finish(r, NULL);
    else
        start_fetching(r);
}

static void on_tool(void *ctx, const struct err *err)
{
    struct restore *r = ctx;

    r->program_pending = false;
    r->program_found = !err;
    if (err)
        object(r, err);
    judge(r);
}

static void on_source(void *ctx, const struct err *err)
{
    struct restore *r = ctx;

    struct err e = err ? *err : ERR_INIT;

    r->opened_backup_pending = false;
    r->opened_backup_open = !err;
    if (err) {
        choice_advise(&r->others, &e);
        object(r, &e);
    }
    judge(r);
}

static void on_origin(void *ctx, const char *name, uint64_t cluster)
{
    struct restore *r = ctx;

    r->other = (struct origin_of){.cluster = cluster};
    (void)snprintf(r->other_name, sizeof(r->other_name), "%s", name);
    origin_free(TAKE_PTR(r->origin));
    judge(r);
}

/* The latest is the latest that can be read. */
static void tell_of_newer(struct restore *r, const struct catalog_list *list, const struct catalog_backup *chosen)
{
    const struct catalog_backup *newer = r->request.choice.latest ? choice_newer_unreadable(list, chosen) : NULL;
    const struct catalog_backup *lone = r->request.choice.latest ? choice_newer_lone_key(list, chosen) : NULL;
    char note[2 * NAME_TEXT_MAX + 240];

    if (newer) {
        (void)snprintf(note, sizeof(note), "%s is newer, but %s: this is about %s", newer->name, choice_fault(newer),
                chosen->name);
        r->sink.note(r->sink.ctx, note);
    }
    if (lone) {
        choice_tell_lone_key(lone, chosen, note, sizeof(note));
        r->sink.note(r->sink.ctx, note);
    }
}

/* Which one is meant; -1 with an objection. */
static int open_source(struct restore *r, const struct catalog_list *list, struct err *e)
{
    struct opened_backup_spec spec = {
            .backup = choice_find(&r->request.choice, list, core_bucket_url(r->core), e),
            .allow_renamed = r->request.allow_renamed,
            .allow_plain = r->request.allow_plain,
            .ctx = r,
            .on_note = on_note,
            .on_done = on_source,
    };

    struct origin_spec other = {.list = list, .ctx = r, .on_done = on_origin};

    if (!spec.backup)
        return -1;
    r->others = choice_others(list, spec.backup);
    tell_of_newer(r, list, spec.backup);
    (void)snprintf(r->result.name, sizeof(r->result.name), "%s", spec.backup->name);
    r->result.instant = spec.backup->instant;
    r->result.encrypted = spec.backup->has_key;
    other.but = spec.backup->name;
    r->origin = origin_start(r->core, &other);
    r->source = opened_backup_open(r->core, &spec, e);
    return r->source ? 0 : -1;
}

static void on_listed(void *ctx, struct catalog_list *listed, const struct err *err)
{
    struct restore *r = ctx;
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *list = listed;
    struct err e = ERR_INIT;

    if (err)
        on_source(r, err);
    else if (open_source(r, list, &e) < 0)
        on_source(r, &e);
}

/* ---- the beginning ---- */

static void begin(uv_timer_t *timer)
{
    struct restore *r = CONTAINER_OF(timer, struct restore, timer);
    struct listing_spec listing = {.ctx = r, .on_note = on_note, .on_done = on_listed};
    struct etcdutl_spec tool = {.tool = r->request.unpack.tool, .ctx = r, .on_done = on_tool};
    struct err e = ERR_INIT;

    set_state(r, LOOKING);
    if (r->request.unpacks && !(r->tool = etcdutl_find(core_loop(r->core), &tool, &e)))
        object(r, &e);
    r->program_pending = r->tool != NULL;
    r->listing = listing_start(r->core, &listing, &e);
    r->opened_backup_pending = r->listing != NULL;
    if (!r->listing) {
        object(r, &e);
        judge(r);
    }
}

static struct restore *new_restore(const struct restore_request *request, const char *output, struct err *e)
{
    struct restore *r = calloc(1, sizeof(*r));

    if (!r || !(r->output = strdup(output))) {
        free(r);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    r->output_chosen = request->output != NULL;
    for (size_t len = strlen(r->output); request->unpacks && !r->output_chosen && len > 1 && r->output[len - 1] == '/';
            len--)
        r->output[len - 1] = '\0'; /* a data directory's name may end so, a file's beside it not */
    r->request = *request;
    r->request.output = NULL;
    if (unpack_options_copy(&r->request.unpack, &request->unpack, e) < 0) {
        free(r->output);
        free(r);
        return NULL;
    }
    r->request.unpack.skip_hash_check = r->request.choice.unhashed_too = request->skip_hash_check;
    r->request.choice.plain_too = request->allow_plain;
    return r;
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
    core_acquire(core);
    r->core = core;
    r->sink = *sink;
    r->result.output = r->output;
    r->result.hash_checked = !request->skip_hash_check;
    r->result.dry_run = request->dry_run;
    r->started_ms = uv_now(core_loop(core));
    r->timer.data = r;
    (void)uv_timer_init(core_loop(core), &r->timer);
    (void)uv_timer_start(&r->timer, begin, 0, 0);
    return r;
}

/* Whatever is at work is asked to end; its own end leads to ours. */
static void cancel_now(uv_timer_t *timer)
{
    struct restore *r = CONTAINER_OF(timer, struct restore, timer);

    if (r->state == LOOKING) {
        listing_free(TAKE_PTR(r->listing));
        opened_backup_free(TAKE_PTR(r->source));
        origin_free(TAKE_PTR(r->origin));
        r->opened_backup_pending = r->opened_backup_open = false;
        if (r->program_pending)
            etcdutl_stop(r->tool);
        else
            judge(r);
    } else if (r->download) {
        download_cancel(r->download);
    } else if (r->unpack) {
        unpack_cancel(r->unpack);
    }
}

void restore_cancel(struct restore *r)
{
    if (r->state == FINISHED || r->cancelled)
        return;
    r->cancelled = true;
    (void)uv_timer_start(&r->timer, cancel_now, 0, 0);
}
