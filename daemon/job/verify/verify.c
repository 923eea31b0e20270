#include "job/verify/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/bad_mark.h"
#include "job/bucket/listing.h"
#include "job/bucket/origin.h"
#include "job/objections.h"
#include "job/restore/disk_space.h"
#include "job/restore/download.h"
#include "job/restore/opened_backup.h"
#include "job/restore/unpack.h"
#include "s3/object.h"

enum state {
    LOOKING,   /* for the backups, for the tool */
    OPENING,   /* the dump of one of them, and its key */
    FETCHING,  /* it goes through the download */
    UNPACKING, /* the drill */
    FINISHED,
};

static const char *const phase_names[] = {"listing", "opening", "verifying", "unpacking", "finished"};

/* So many failures in a row that are not the backup's own (no network, no rights, no room) are those of all that
 * follow. */
enum { ALIKE_MAX = 3 };

struct verify {
    struct core *core;
    struct job_sink sink;
    enum state state;
    bool cancelled;
    uint64_t started_ms;
    uv_timer_t timer; /* brings the start, the next backup and a cancellation to the loop's next turn */
    struct verify_request request;
    char *program_name;

    struct listing *listing;
    struct catalog_list *list;
    struct etcdutl *tool;
    bool list_pending, program_pending;
    struct objections objections;

    /* The one that is being looked at. */
    const struct catalog_backup *only; /* if just one was asked for */
    size_t next;                       /* index in the list */
    const struct catalog_backup *backup;
    uint64_t began_ms;
    uint64_t snapshot_size;
    struct origin *origin; /* of the newest beside the only one, being looked at; then, or of the first of all: */
    struct origin_of other;
    char other_name[NAME_TEXT_MAX];
    bool has_told_cluster;
    struct choice_others others; /* to ask for instead of the only one */
    struct opened_backup *source;
    struct output_file *target;
    struct download *download;
    struct data_dir *place;
    struct unpack *unpack;
    struct s3_request *look; /* whether it is still there, after: */
    struct err missing;      /* the store has none of it */
    struct s3_request *mark; /* that the backup is bad, being put or taken away */

    struct verify_result result;
    struct err failure; /* of the first bad one, or of the first whose bytes are bad */
    unsigned alike;     /* failures in a row that are not the backup's own */
};

static void tell_progress(struct verify *v, uint64_t done)
{
    struct job_progress p = {
            .phase = phase_names[v->state],
            .done = done,
            .total = v->state == FETCHING ? opened_backup_size(v->source) : 0,
    };

    v->sink.progress(v->sink.ctx, &p);
}

static void set_state(struct verify *v, enum state state)
{
    v->state = state;
    tell_progress(v, 0);
}

static void on_note(void *ctx, const char *text)
{
    struct verify *v = ctx;

    v->sink.note(v->sink.ctx, text);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct verify *v = h->data;
    struct core *core = v->core;

    free(v->program_name);
    free(v);
    core_release(core);
}

/* Nothing of one backup stays when its verdict is told. */
static void drop_backup(struct verify *v)
{
    data_dir_free(TAKE_PTR(v->place));
    output_file_free(TAKE_PTR(v->target));
    opened_backup_free(TAKE_PTR(v->source));
}

/* The only end. Nothing that was started is still at work. */
static void finish(struct verify *v, const struct err *err)
{
    struct job_sink sink = v->sink;

    v->state = FINISHED;
    if (v->look)
        s3_request_cancel(TAKE_PTR(v->look));
    if (v->mark)
        s3_request_cancel(TAKE_PTR(v->mark));
    origin_free(TAKE_PTR(v->origin));
    drop_backup(v);
    listing_free(TAKE_PTR(v->listing));
    catalog_list_free(TAKE_PTR(v->list));
    v->result.elapsed_ms = uv_now(core_loop(v->core)) - v->started_ms;
    uv_close((uv_handle_t *)&v->timer, on_timer_closed);
    sink.done(sink.ctx, err ? NULL : &(struct job_result){.verify = &v->result}, err);
    etcdutl_free(TAKE_PTR(v->tool));
}

static void cancelled(struct verify *v)
{
    struct err e = ERR_INIT;

    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    finish(v, &e);
}

/* Of those that come after the one that was looked at last. */
static unsigned count_left(const struct verify *v)
{
    unsigned n = 0;

    for (size_t i = v->next; !v->only && i < catalog_list_count(v->list); i++)
        n += !catalog_backup_is_orphan(catalog_list_at(v->list, i));
    return n;
}

static void finish_all(struct verify *v)
{
    struct err e = v->failure;
    unsigned left = count_left(v);

    if (v->result.good + v->result.bad == 0) {
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no backups in %s", core_bucket_url(v->core));
        finish(v, &e);
    } else if (v->result.bad == 0) {
        finish(v, NULL);
    } else {
        if (left)
            err_prepend(&e, "%u failures in a row, %u more not looked at; the first: ", v->alike, left);
        if (v->result.good + v->result.bad > 1)
            err_prepend(&e, "%u of %u backups are not good: ", v->result.bad, v->result.good + v->result.bad);
        finish(v, &e);
    }
}

/* ---- one backup ---- */

static void schedule(struct verify *v, uv_timer_cb what)
{
    (void)uv_timer_start(&v->timer, what, 0, 0);
}

static void look_at_next(uv_timer_t *timer);

/* Also when etcdutl says no: it was asked whether it can do this before the first. What our own system says is never of
 * the backup: the master key's file, the directory of a drill or etcdutl may be gone since; what the store says of an
 * object comes as HTTP, and where it does not keep to that, it has said nothing of the object. */
static bool is_its_own(const struct verify *v, const struct err *err)
{
    if (err->domain == ERR_DOMAIN_ERRNO || err->domain == ERR_DOMAIN_UV)
        return false;
    return err->kind == ERR_INTEGRITY || err->kind == ERR_NOT_FOUND ||
           (err->kind == ERR_PROTOCOL && err->domain != ERR_DOMAIN_HTTP) ||
           (err->kind == ERR_CONFIG && v->state == UNPACKING);
}

static void count(struct verify *v, const struct err *err)
{
    v->alike = err && !is_its_own(v, err) && err->domain != ERR_DOMAIN_S3 ? v->alike + 1 : 0;
    if (!err)
        v->result.good++;
    else if (v->result.bad++ == 0 || (v->failure.kind != ERR_INTEGRITY && err->kind == ERR_INTEGRITY))
        v->failure = *err;
}

static void go_on(struct verify *v)
{
    if (v->only || v->alike == ALIKE_MAX)
        finish_all(v);
    else
        schedule(v, look_at_next);
}

static void on_marked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct verify *v = ctx;
    char note[ERR_TEXT_MAX + NAME_TEXT_MAX + 128];

    (void)res;
    v->mark = NULL;
    if (err) {
        (void)snprintf(note, sizeof(note),
                "%s: the verdict could not be written beside it, where the next process would "
                "find it: %s",
                v->backup->name, err->text);
        v->sink.note(v->sink.ctx, note);
    }
    if (!v->cancelled) /* else the timer brings it */
        go_on(v);
}

/* What came of the dump's own bytes, and of no key, is kept with it. Whether there is anything to write. */
static bool write_verdict(struct verify *v, enum known_verdict verdict)
{
    struct bad_mark_spec spec = {.backup = v->backup, .is_bad = verdict == KNOWN_BAD, .ctx = v, .on_done = on_marked};
    struct err e = ERR_INIT;

    if (verdict == KNOWN_REFUSED || v->backup->is_marked == spec.is_bad)
        return false;
    v->mark = bad_mark_set(v->core, &spec, &e);
    if (!v->mark)
        v->sink.note(v->sink.ctx, e.text);
    return v->mark != NULL;
}

static void remember(struct verify *v, enum known_verdict verdict)
{
    const struct known_object object = {.name = v->backup->name, .etag = v->backup->etag, .size = v->backup->size};

    known_verified(core_known(v->core), &object, timestamp_now(), verdict);
}

/* `failure` NULL: it is good. */
static void conclude(struct verify *v, const struct unpack_status *status, const struct err *failure)
{
    struct err advised = failure ? *failure : ERR_INIT;
    const struct err *err = failure ? &advised : NULL;
    const struct catalog_backup *b = v->backup;
    bool was_read = v->state == FETCHING || v->state == UNPACKING;
    enum known_verdict known = !err                                        ? KNOWN_GOOD
                               : was_read && err->domain != ERR_DOMAIN_KEY ? KNOWN_BAD
                                                                           : KNOWN_REFUSED;
    struct verdict verdict = {
            .name = b->name,
            .instant = b->instant,
            .err = err,
            .is_unknown = err && !is_its_own(v, err),
            .snapshot_size = v->snapshot_size,
            .elapsed_ms = uv_now(core_loop(v->core)) - v->began_ms,
            .encrypted = b->has_key || b->state == CATALOG_KEY_MISSING,
            .drilled = status != NULL,
            .revision = status ? status->revision : 0,
            .keys = status ? status->keys : 0,
    };

    if (v->only)
        choice_advise(&v->others, &advised);
    drop_backup(v);
    if (v->cancelled) { /* also when this one came to its end first */
        cancelled(v);
        return;
    }
    count(v, err);
    if (!verdict.is_unknown)
        remember(v, known);
    v->sink.verdict(v->sink.ctx, &verdict);
    if (v->cancelled) /* by a watcher that is full: the timer brings it */
        return;
    if (verdict.is_unknown || !write_verdict(v, known))
        go_on(v);
}

/* It was listed, and somebody has pruned since: neither good nor bad. */
static void pass_over(struct verify *v)
{
    char note[NAME_TEXT_MAX + 32];

    drop_backup(v);
    if (v->cancelled) {
        cancelled(v);
        return;
    }
    (void)snprintf(note, sizeof(note), "%s was deleted meanwhile", v->backup->name);
    v->sink.note(v->sink.ctx, note);
    if (!v->cancelled) /* else the timer brings it */
        schedule(v, look_at_next);
}

static void on_looked(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct verify *v = ctx;
    struct err missing = v->missing;

    (void)res;
    v->look = NULL;
    if (err && err->kind == ERR_NOT_FOUND)
        pass_over(v);
    else
        conclude(v, NULL, &missing);
}

/* Of all that were listed some may go while others are read, dump first: what the store has none of any more is asked
 * for once again. */
static bool may_be_gone(struct verify *v, const struct err *err)
{
    struct err ignored;
    struct s3_client *s3;

    if (v->only || v->cancelled || !err || err->kind != ERR_NOT_FOUND || err->domain != ERR_DOMAIN_HTTP)
        return false;
    s3 = core_s3(v->core, &ignored);
    v->look = s3 ? s3_head(s3, v->backup->name, v, on_looked, &ignored) : NULL;
    v->missing = *err;
    return v->look != NULL;
}

static void judge(struct verify *v, const struct unpack_status *status, const struct err *err)
{
    if (!may_be_gone(v, err))
        conclude(v, status, err);
}

static void on_line(void *ctx, const char *line)
{
    struct verify *v = ctx;

    v->sink.output(v->sink.ctx, line);
}

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    struct verify *v = ctx;
    struct err e;

    v->unpack = NULL;
    if (err) {
        e = *err;
        err_prepend(&e, "%s: unpacking it: ", v->backup->name);
    }
    judge(v, status, err ? &e : NULL);
}

static void start_unpacking(struct verify *v)
{
    static const struct unpack_options options = {.data_dir = NULL};
    struct unpack_spec spec = {
            .tool = v->tool,
            .snapshot = v->target,
            .options = &options,
            .data = v->place,
            .drill = true,
            .ctx = v,
            .on_line = on_line,
            .on_done = on_unpacked,
    };
    struct err e = ERR_INIT;

    set_state(v, UNPACKING);
    if (data_dir_open(v->place, &e) == 0)
        v->unpack = unpack_start(core_loop(v->core), &spec, &e);
    if (!v->unpack) {
        err_prepend(&e, "%s: unpacking it: ", v->backup->name);
        judge(v, NULL, &e);
    }
}

static void on_progress(void *ctx, uint64_t done)
{
    tell_progress(ctx, done);
}

static void on_downloaded(void *ctx, uint64_t written, const struct err *err)
{
    struct verify *v = ctx;

    v->download = NULL;
    v->snapshot_size = written;
    if (err || v->cancelled || !v->request.drill)
        judge(v, NULL, err);
    else
        start_unpacking(v);
}

/* A place beside the target that is not there: a drill never makes it, only a scratch directory beside it. */
static struct data_dir *plan_drill(const struct output_file *target, struct err *e)
{
    _cleanup_free_ char *dir = path_dir(output_file_path(target)), *path = NULL;

    if (!dir || asprintf(&path, "%s/.etcd-backupd-drill", dir) < 0) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    return data_dir_plan(path, e);
}

static int prepare_drill(struct verify *v, struct err *e)
{
    uint64_t size = opened_backup_snapshot_size(v->source);
    struct disk_space room = ROOM_INIT;

    if (size == UINT64_MAX)
        return 0; /* the download will say why */
    v->target = output_file_open_transient(core_conf(v->core)->snapshot_path, e);
    v->place = v->target ? plan_drill(v->target, e) : NULL;
    if (!v->place || disk_space_need_beside(&room, v->target, size, e) < 0 ||
            disk_space_need(&room, v->place, size + UNPACK_LOG_BYTES, e) < 0)
        return -1;
    return disk_space_verdict(&room, e);
}

static void start_fetching(struct verify *v)
{
    struct download_spec spec = {
            .source = v->source,
            .ctx = v,
            .on_progress = on_progress,
            .on_note = on_note,
            .on_done = on_downloaded,
    };
    struct err e = ERR_INIT;

    if (v->request.drill && prepare_drill(v, &e) < 0) {
        err_prepend(&e, "%s: ", v->backup->name);
        judge(v, NULL, &e);
        return;
    }
    spec.target = v->target;
    v->download = download_start(v->core, &spec, &e);
    if (v->download)
        set_state(v, FETCHING);
    else
        judge(v, NULL, &e);
}

static void set_other(struct verify *v, const char *name, uint64_t cluster)
{
    (void)snprintf(v->other_name, sizeof(v->other_name), "%s", name);
    v->other = (struct origin_of){.name = v->other_name, .cluster = cluster};
}

/* Of many that are of other clusters one is told. */
static void tell_of_cluster(struct verify *v)
{
    const struct origin_of read = {.name = v->backup->name, .cluster = opened_backup_cluster(v->source)};
    char note[ORIGIN_NOTE_MAX];

    if (!v->only && !v->other.cluster) /* the newest of all comes first */
        set_other(v, read.name, read.cluster);
    if (!v->has_told_cluster && origin_differs(v->core, &read, &v->other, note)) {
        v->has_told_cluster = true;
        v->sink.note(v->sink.ctx, note);
    }
}

static void on_source(void *ctx, const struct err *err)
{
    struct verify *v = ctx;

    if (err) {
        judge(v, NULL, err);
    } else {
        tell_of_cluster(v);
        start_fetching(v);
    }
}

static int check_state(const struct catalog_backup *b, struct err *e)
{
    if (b->state == CATALOG_KEY_MISSING && b->doubt != CATALOG_MAY_BE_PLAIN) /* which its metadata may say */
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s: %s: it cannot be read", b->name, choice_fault(b));
    if (b->state == CATALOG_UNREADABLE)
        return err_set(
                e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s: its name is no time stamp: it cannot be asked for", b->name);
    return 0;
}

static void look_at(struct verify *v, const struct catalog_backup *b)
{
    struct opened_backup_spec spec = {
            .backup = b,
            .allow_renamed = v->request.allow_renamed,
            .allow_plain = v->request.allow_plain,
            .ctx = v,
            .on_note = on_note,
            .on_done = on_source,
    };
    struct err e = ERR_INIT;

    v->backup = b;
    v->began_ms = uv_now(core_loop(v->core));
    v->snapshot_size = 0;
    set_state(v, OPENING);
    if (check_state(b, &e) == 0)
        v->source = opened_backup_open(v->core, &spec, &e);
    if (!v->source)
        judge(v, NULL, &e);
}

static void look_at_next(uv_timer_t *timer)
{
    struct verify *v = CONTAINER_OF(timer, struct verify, timer);

    while (v->next < catalog_list_count(v->list)) {
        const struct catalog_backup *b = catalog_list_at(v->list, v->next++);

        if (!catalog_backup_is_orphan(b)) {
            look_at(v, b);
            return;
        }
    }
    finish_all(v);
}

/* ---- looking around ---- */

static void on_origin(void *ctx, const char *name, uint64_t cluster)
{
    struct verify *v = ctx;

    set_other(v, name, cluster);
    origin_free(TAKE_PTR(v->origin));
    look_at(v, v->only);
}

static void look_at_only(struct verify *v)
{
    struct origin_spec spec = {.list = v->list, .but = v->only->name, .ctx = v, .on_done = on_origin};

    v->others = choice_others(v->list, v->only);
    v->origin = origin_start(v->core, &spec);
    if (!v->origin)
        look_at(v, v->only);
}

static void tell_of_lone_key(struct verify *v)
{
    const struct catalog_backup *lone = v->request.choice.latest ? choice_newer_lone_key(v->list, v->only) : NULL;
    char note[2 * NAME_TEXT_MAX + 240];

    if (!lone)
        return;
    choice_tell_lone_key(lone, v->only, note, sizeof(note));
    v->sink.note(v->sink.ctx, note);
}

static void tell_of_newer(struct verify *v, const struct catalog_backup *newer)
{
    char note[2 * NAME_TEXT_MAX + 160];

    (void)snprintf(note, sizeof(note), "%s is newer, but %s: this is about %s", newer->name, choice_fault(newer),
            v->only->name);
    v->sink.note(v->sink.ctx, note);
}

/* Who asks whether the latest is good does not mean the one before it, nor that there is one that can be read. */
static int choose(struct verify *v, struct err *e)
{
    const struct catalog_backup *newer;

    v->only = choice_find(&v->request.choice, v->list, core_bucket_url(v->core), e);
    newer = v->request.choice.latest ? choice_newer_unreadable(v->list, v->only) : NULL;
    if (newer && newer->doubt != CATALOG_FUTURE)
        v->only = newer;
    else if (newer && v->only)
        tell_of_newer(v, newer);
    if (v->only)
        tell_of_lone_key(v);
    return v->only ? 0 : -1;
}

static void start_if_ready(struct verify *v)
{
    struct err e = ERR_INIT;

    if (v->list_pending || v->program_pending)
        return;
    if (v->cancelled) {
        cancelled(v);
        return;
    }
    if (v->list && !v->request.all && choose(v, &e) < 0)
        objections_add(&v->objections, &e);
    if (objections_verdict(&v->objections, &e) < 0) {
        finish(v, &e);
        return;
    }
    v->result.tool = v->tool ? etcdutl_version(v->tool) : NULL;
    if (v->only)
        look_at_only(v);
    else
        look_at_next(&v->timer);
}

static void on_tool(void *ctx, const struct err *err)
{
    struct verify *v = ctx;

    v->program_pending = false;
    if (err)
        objections_add(&v->objections, err);
    start_if_ready(v);
}

static void on_listed(void *ctx, struct catalog_list *list, const struct err *err)
{
    struct verify *v = ctx;

    v->list_pending = false;
    v->list = list;
    if (err)
        objections_add(&v->objections, err);
    start_if_ready(v);
}

static void begin(uv_timer_t *timer)
{
    struct verify *v = CONTAINER_OF(timer, struct verify, timer);
    struct listing_spec listing = {.ctx = v, .on_note = on_note, .on_done = on_listed};
    struct etcdutl_spec tool = {.tool = v->program_name, .ctx = v, .on_done = on_tool};
    struct err e = ERR_INIT;

    set_state(v, LOOKING);
    if (v->request.drill && !(v->tool = etcdutl_find(core_loop(v->core), &tool, &e)))
        objections_add(&v->objections, &e);
    v->program_pending = v->tool != NULL;
    v->listing = listing_start(v->core, &listing, &e);
    v->list_pending = v->listing != NULL;
    if (!v->listing) {
        objections_add(&v->objections, &e);
        start_if_ready(v);
    }
}

struct verify *verify_start(
        struct core *core, const struct verify_request *request, const struct job_sink *sink, struct err *e)
{
    struct verify *v;

    if (request->drill && !core_conf(core)->snapshot_path) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--drill unpacks beside snapshot_path, which is not configured");
        return NULL;
    }
    v = calloc(1, sizeof(*v));
    if (!v || (request->tool && !(v->program_name = strdup(request->tool)))) {
        free(v);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    core_acquire(core);
    v->core = core;
    v->sink = *sink;
    v->request = *request;
    v->request.tool = NULL;
    v->request.choice.plain_too = request->allow_plain;
    v->started_ms = uv_now(core_loop(core));
    v->timer.data = v;
    (void)uv_timer_init(core_loop(core), &v->timer);
    schedule(v, begin);
    return v;
}

/* Whatever is at work is asked to end; its own end leads to ours. */
static void cancel_now(uv_timer_t *timer)
{
    struct verify *v = CONTAINER_OF(timer, struct verify, timer);

    if (v->download) {
        download_cancel(v->download);
    } else if (v->unpack) {
        unpack_cancel(v->unpack);
    } else if (v->program_pending) {
        listing_free(TAKE_PTR(v->listing));
        v->list_pending = false;
        etcdutl_stop(v->tool);
    } else {
        cancelled(v);
    }
}

void verify_cancel(struct verify *v)
{
    if (v->state == FINISHED || v->cancelled)
        return;
    v->cancelled = true;
    schedule(v, cancel_now);
}
