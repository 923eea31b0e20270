#include "job/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/bad_mark.h"
#include "job/lifecycle.h"
#include "job/restore/reader.h"
#include "s3/object.h"

/* So many failures in a row that are not the backup's own (no network, no rights, no room) are those of all that
 * follow. */
enum { ALIKE_MAX = 3 };

struct verify {
    struct lifecycle life;
    struct verify_request request;
    char *tool; /* of the request */
    struct reader *reader;

    /* The one that is being looked at. */
    const struct catalog_backup *only; /* if just one was asked for */
    size_t next;                       /* index in the list */
    const struct catalog_backup *backup;
    uint64_t began_ms;
    uint64_t snapshot_size;
    struct destination scratch; /* of a drill */
    struct s3_request *look;    /* whether it is still there, after: */
    struct err missing;         /* the store has none of it */
    struct s3_request *mark;    /* that the backup is bad, being put or taken away */

    struct verify_result result;
    struct err failure; /* of the first bad one, or of the first whose bytes are bad */
    unsigned alike;     /* failures in a row that are not the backup's own */
};

static struct verify *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct verify, life);
}

/* ---- the end ---- */

static void free_job(struct lifecycle *life)
{
    struct verify *v = of(life);

    reader_free(v->reader);
    free(v->tool);
    free(v);
}

/* Nothing of one backup stays when its verdict is told. */
static void drop_backup(struct verify *v)
{
    destination_clear(&v->scratch);
    reader_close(v->reader);
}

/* The only end. Nothing that was started is still at work. */
static void finish(struct verify *v, const struct err *err)
{
    if (v->look)
        s3_request_cancel(TAKE_PTR(v->look));
    if (v->mark)
        s3_request_cancel(TAKE_PTR(v->mark));
    drop_backup(v);
    v->result.elapsed_ms = lifecycle_elapsed_ms(&v->life);
    lifecycle_end(&v->life, err ? NULL : &(struct job_result){.verify = &v->result}, err);
}

/* Of those that come after the one that was looked at last. */
static unsigned count_left(const struct verify *v)
{
    unsigned n = 0;

    for (size_t i = v->next; !v->only && i < catalog_list_count(reader_list(v->reader)); i++)
        n += !catalog_backup_is_orphan(catalog_list_at(reader_list(v->reader), i));
    return n;
}

static void finish_all(struct verify *v)
{
    struct err e = v->failure;
    unsigned left = count_left(v);

    if (v->result.good + v->result.bad == 0) {
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no backups in %s", core_bucket_url(v->life.core));
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

static void look_at_next(struct verify *v);

/* Also when etcdutl says no: it was asked whether it can do this before the first. What our own system says is never of
 * the backup: the master key's file, the directory of a drill or etcdutl may be gone since; what the store says of an
 * object comes as HTTP, and where it does not keep to that, it has said nothing of the object. */
static bool is_its_own(const struct verify *v, const struct err *err)
{
    if (err->domain == ERR_DOMAIN_ERRNO || err->domain == ERR_DOMAIN_UV)
        return false;
    return err->kind == ERR_INTEGRITY || err->kind == ERR_NOT_FOUND ||
           (err->kind == ERR_PROTOCOL && err->domain != ERR_DOMAIN_HTTP) ||
           (err->kind == ERR_CONFIG && reader_stage(v->reader) == READER_UNPACKING);
}

static void count(struct verify *v, const struct err *err, bool is_unknown)
{
    v->alike = is_unknown && err->domain != ERR_DOMAIN_S3 ? v->alike + 1 : 0;
    if (!err)
        v->result.good++;
    else if (v->result.bad++ == 0 || (v->failure.kind != ERR_INTEGRITY && err->kind == ERR_INTEGRITY))
        v->failure = *err;
}

static void go_on(struct lifecycle *life)
{
    struct verify *v = of(life);

    if (v->only || v->alike == ALIKE_MAX)
        finish_all(v);
    else
        look_at_next(v);
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
        lifecycle_note(&v->life, note);
    }
    lifecycle_next(&v->life, go_on);
}

/* What came of the dump's own bytes, and of no key, is kept with it. Whether there is anything to write. */
static bool write_verdict(struct verify *v, enum known_verdict verdict)
{
    struct bad_mark_spec spec = {.backup = v->backup, .is_bad = verdict == KNOWN_BAD, .ctx = v, .on_done = on_marked};
    struct err e = ERR_INIT;

    if (verdict == KNOWN_REFUSED || v->backup->is_marked == spec.is_bad)
        return false;
    v->mark = bad_mark_set(v->life.core, &spec, &e);
    if (!v->mark)
        lifecycle_note(&v->life, e.text);
    return v->mark != NULL;
}

static void remember(struct verify *v, enum known_verdict verdict)
{
    const struct known_object object = {.name = v->backup->name, .etag = v->backup->etag, .size = v->backup->size};

    known_verified(core_known(v->life.core), &object, timestamp_now(), verdict);
}

/* `failure` NULL: it is good. */
static void conclude(struct verify *v, const struct unpack_status *status, const struct err *failure)
{
    struct err advised = failure ? *failure : ERR_INIT;
    const struct err *err = failure ? &advised : NULL;
    const struct catalog_backup *b = v->backup;
    bool was_read = reader_stage(v->reader) >= READER_FETCHING;
    enum known_verdict known = !err                                        ? KNOWN_GOOD
                               : was_read && err->domain != ERR_DOMAIN_KEY ? KNOWN_BAD
                                                                           : KNOWN_REFUSED;
    struct verdict verdict = {
            .name = b->name,
            .instant = b->instant,
            .err = err,
            .is_unknown = err && !is_its_own(v, err),
            .snapshot_size = v->snapshot_size,
            .elapsed_ms = uv_now(core_loop(v->life.core)) - v->began_ms,
            .encrypted = b->has_key || b->state == CATALOG_KEY_MISSING,
            .drilled = status != NULL,
            .revision = status ? status->revision : 0,
            .keys = status ? status->keys : 0,
    };

    if (err)
        reader_advise(v->reader, &advised);
    drop_backup(v);
    if (lifecycle_is_cancelled(&v->life)) { /* also when this one came to its end first */
        lifecycle_next(&v->life, go_on);
        return;
    }
    count(v, err, verdict.is_unknown);
    if (!verdict.is_unknown)
        remember(v, known);
    v->life.sink.verdict(v->life.sink.ctx, &verdict);
    if (verdict.is_unknown || !write_verdict(v, known))
        lifecycle_next(&v->life, go_on);
}

/* It was listed, and somebody has pruned since: neither good nor bad. */
static void pass_over(struct verify *v)
{
    char note[NAME_TEXT_MAX + 32];

    drop_backup(v);
    (void)snprintf(note, sizeof(note), "%s was deleted meanwhile", v->backup->name);
    lifecycle_note(&v->life, note);
    lifecycle_next(&v->life, go_on);
}

static void on_looked_again(void *ctx, const struct s3_response *res, const struct err *err)
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

    if (v->only || lifecycle_is_cancelled(&v->life) || !err || err->kind != ERR_NOT_FOUND ||
            err->domain != ERR_DOMAIN_HTTP)
        return false;
    s3 = core_s3(v->life.core, &ignored);
    v->look = s3 ? s3_head(s3, v->backup->name, v, on_looked_again, &ignored) : NULL;
    v->missing = *err;
    return v->look != NULL;
}

static void judge(struct verify *v, const struct unpack_status *status, const struct err *err)
{
    if (!may_be_gone(v, err))
        conclude(v, status, err);
}

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    struct verify *v = ctx;
    struct err e;

    if (err) {
        e = *err;
        err_prepend(&e, "%s: unpacking it: ", v->backup->name);
    }
    judge(v, status, err ? &e : NULL);
}

static void start_unpacking(struct verify *v)
{
    static const struct unpack_options options = {.data_dir = NULL};
    struct err e = ERR_INIT;

    if (reader_unpack(v->reader, &v->scratch, &options, true, &e) == 0)
        return;
    err_prepend(&e, "%s: unpacking it: ", v->backup->name);
    judge(v, NULL, &e);
}

static void on_fetched(void *ctx, uint64_t written, const struct err *err)
{
    struct verify *v = ctx;

    v->snapshot_size = written;
    if (err || lifecycle_is_cancelled(&v->life) || !v->request.drill)
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
    uint64_t size = opened_backup_snapshot_size(reader_opened(v->reader));
    struct disk_space room = ROOM_INIT;

    if (size == UINT64_MAX)
        return 0; /* the download will say why */
    v->scratch.file = output_file_open_transient(core_conf(v->life.core)->snapshot_path, e);
    v->scratch.data = v->scratch.file ? plan_drill(v->scratch.file, e) : NULL;
    if (!v->scratch.data || destination_measure(&v->scratch, size, &room, e) < 0)
        return -1;
    return disk_space_verdict(&room, e);
}

static void start_fetching(struct verify *v)
{
    struct err e = ERR_INIT;

    if (v->request.drill && prepare_drill(v, &e) < 0) {
        err_prepend(&e, "%s: ", v->backup->name);
        judge(v, NULL, &e);
    } else if (reader_fetch(v->reader, &v->scratch, &e) < 0) {
        judge(v, NULL, &e);
    }
}

static void on_opened(void *ctx, const struct err *err)
{
    struct verify *v = ctx;

    if (err) {
        judge(v, NULL, err);
    } else {
        reader_tell_of_cluster(v->reader);
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
    struct err e = ERR_INIT;

    v->backup = b;
    v->began_ms = uv_now(core_loop(v->life.core));
    v->snapshot_size = 0;
    if (check_state(b, &e) < 0 || reader_open(v->reader, b, &e) < 0)
        judge(v, NULL, &e);
}

static void look_at_next(struct verify *v)
{
    while (v->next < catalog_list_count(reader_list(v->reader))) {
        const struct catalog_backup *b = catalog_list_at(reader_list(v->reader), v->next++);

        if (!catalog_backup_is_orphan(b)) {
            look_at(v, b);
            return;
        }
    }
    finish_all(v);
}

/* ---- the beginning ---- */

static void choose(struct lifecycle *life)
{
    struct verify *v = of(life);
    struct objections *objections = reader_objections(v->reader);
    struct err e = ERR_INIT;

    if (reader_list(v->reader) && !v->request.all &&
            !(v->only = reader_choose(v->reader, &v->request.choice, true, &e)))
        objections_add(objections, &e);
    if (objections_verdict(objections, &e) < 0) {
        finish(v, &e);
        return;
    }
    if (reader_etcdutl(v->reader))
        v->result.tool = etcdutl_version(reader_etcdutl(v->reader));
    if (v->only)
        look_at(v, v->only);
    else
        look_at_next(v);
}

static void on_looked(void *ctx)
{
    struct verify *v = ctx;

    lifecycle_next(&v->life, choose);
}

static void begin(struct lifecycle *life)
{
    struct verify *v = of(life);

    if (!reader_look(v->reader))
        on_looked(v);
}

/* Whatever is at work is asked to end; its own end leads to ours. */
static void cancel(struct lifecycle *life)
{
    struct verify *v = of(life);
    struct err e = ERR_INIT;

    if (reader_cancel(v->reader))
        return;
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    finish(v, &e);
}

static struct verify *new_verify(const struct verify_request *request, struct err *e)
{
    struct verify *v = calloc(1, sizeof(*v));
    struct reader_spec spec = {
            .phases = {"listing", "opening", "verifying", "unpacking"},
            .needs_etcdutl = request->drill,
            .allow_renamed = request->allow_renamed,
            .allow_plain = request->allow_plain,
            .ctx = v,
            .on_looked = on_looked,
            .on_opened = on_opened,
            .on_fetched = on_fetched,
            .on_unpacked = on_unpacked,
    };

    if (!v || (request->tool && !(v->tool = strdup(request->tool)))) {
        free(v);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    spec.life = &v->life;
    spec.tool = v->tool;
    v->reader = reader_new(&spec, e);
    if (v->reader)
        return v;
    free_job(&v->life);
    return NULL;
}

struct verify *verify_start(
        struct core *core, const struct verify_request *request, const struct job_sink *sink, struct err *e)
{
    struct verify *v;

    if (request->drill && !core_conf(core)->snapshot_path) {
        err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "--drill unpacks beside snapshot_path, which is not configured");
        return NULL;
    }
    v = new_verify(request, e);
    if (!v)
        return NULL;
    v->request = *request;
    v->request.tool = NULL;
    v->request.choice.plain_too = request->allow_plain;
    lifecycle_start(
            &v->life, &(struct lifecycle_spec){
                              .core = core, .sink = sink, .first = begin, .cancel = cancel, .free_job = free_job});
    return v;
}

void verify_cancel(struct verify *v)
{
    lifecycle_cancel(&v->life);
}
