#include "job/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "job/bucket/bad_mark.h"
#include "job/lifecycle.h"
#include "job/verify/inspection.h"
#include "s3/request.h"

/* So many failures in a row that are not the backup's own (no network, no rights, no room) are those of all that
 * follow. */
enum { ALIKE_MAX = 3 };

struct verify {
    struct lifecycle life;
    struct verify_request request;
    char *tool; /* of the request */
    struct inspection *inspection;
    const struct catalog_backup *only;   /* if just one was asked for */
    size_t next;                         /* index in the list */
    const struct catalog_backup *backup; /* that is being looked at */
    struct s3_request *mark;             /* that it is bad, being put or taken away */

    struct verify_result result;
    struct err failure; /* of the first bad one, or of the first whose bytes are bad */
    unsigned alike;     /* failures in a row that are not the backup's own */
};

static struct verify *of(struct lifecycle *life)
{
    return CONTAINER_OF(life, struct verify, life);
}

static const struct catalog_list *list_of(const struct verify *v)
{
    return reader_list(inspection_reader(v->inspection));
}

/* ---- the end ---- */

static void free_job(struct lifecycle *life)
{
    struct verify *v = of(life);

    inspection_free(v->inspection);
    free(v->tool);
    brought_keys_clear(&v->request.brought);
    free(v);
}

/* The only end. Nothing that was started is still at work. */
static void finish(struct verify *v, const struct err *err)
{
    if (v->mark)
        s3_request_cancel(TAKE_PTR(v->mark));
    v->result.elapsed_ms = lifecycle_elapsed_ms(&v->life);
    lifecycle_end(&v->life, err ? NULL : &(struct job_result){.verify = &v->result}, err);
}

/* Of those that come after the one that was looked at last. */
static unsigned count_left(const struct verify *v)
{
    unsigned n = 0;

    for (size_t i = v->next; !v->only && i < catalog_list_count(list_of(v)); i++)
        n += !catalog_backup_is_orphan(catalog_list_at(list_of(v), i));
    return n;
}

static void finish_all(struct verify *v)
{
    struct err e = v->failure;
    unsigned left = count_left(v);

    if (v->request.may_be_gone && v->result.bad == 0) {
        finish(v, NULL);
    } else if (v->result.good + v->result.bad + v->result.vouched == 0) {
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no backups in %s", core_bucket_url(v->life.core));
        finish(v, &e);
    } else if (v->result.bad == 0) {
        finish(v, NULL);
    } else {
        if (left)
            err_prepend(&e, "%u failures in a row, %u more not looked at; the first: ", v->alike, left);
        if (v->result.good + v->result.bad + v->result.vouched > 1)
            err_prepend(&e, "%u of %u backups are not good: ", v->result.bad,
                    v->result.good + v->result.bad + v->result.vouched);
        finish(v, &e);
    }
}

/* ---- what came of one backup ---- */

static void look_at_next(struct verify *v);

static void count(struct verify *v, const struct inspection_finding *f)
{
    v->alike = f->is_unknown && !f->is_vouched && f->err.domain != ERR_DOMAIN_S3 ? v->alike + 1 : 0;
    if (f->err.kind == ERR_NONE)
        v->result.good++;
    else if (f->is_vouched)
        v->result.vouched++;
    else if (v->result.bad++ == 0 || (v->failure.kind != ERR_INTEGRITY && f->err.kind == ERR_INTEGRITY))
        v->failure = f->err;
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
    struct bad_mark_spec spec = {
            .backup = v->backup,
            .is_bad = verdict == KNOWN_BAD,
            .by_drill = v->request.drill,
            .ctx = v,
            .on_done = on_marked,
    };
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

static void tell_mark_stays(struct verify *v, const char *why)
{
    char note[NAME_TEXT_MAX + ERR_TEXT_MAX + 128];

    (void)snprintf(note, sizeof(note), "%s stays marked as bad: %s", v->backup->name, why);
    lifecycle_note(&v->life, note);
}

/* What a drill has found a plain look does not see: it takes back only what was found by its like. */
static void on_mark_read(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct verify *v = ctx;
    const bool may_stay = err ? err->kind != ERR_NOT_FOUND : bad_mark_is_of_drill(res);

    v->mark = NULL;
    if (may_stay)
        tell_mark_stays(v, err ? err->text : "a drill has found that, and only verify --drill takes it back");
    else
        remember(v, KNOWN_GOOD);
    if (may_stay || !write_verdict(v, KNOWN_GOOD))
        lifecycle_next(&v->life, go_on);
}

/* Whether what was found before stands against the verdict. */
static bool doubts_mark(const struct verify *v, const struct inspection_finding *f)
{
    return !f->is_unknown && f->verdict == KNOWN_GOOD && !v->request.drill && v->backup->is_marked;
}

/* Then nothing is remembered or written before the mark was read; one that cannot be read stays. */
static void read_mark(struct verify *v)
{
    const struct bad_mark_spec spec = {.backup = v->backup, .ctx = v, .on_done = on_mark_read};
    struct err e = ERR_INIT;

    v->mark = bad_mark_get(v->life.core, &spec, &e);
    if (v->mark)
        return;
    tell_mark_stays(v, e.text);
    lifecycle_next(&v->life, go_on);
}

static void tell_verdict(struct verify *v, const struct inspection_finding *f)
{
    const struct catalog_backup *b = v->backup;
    struct verdict verdict = {
            .name = b->name,
            .instant = b->instant,
            .err = f->err.kind == ERR_NONE ? NULL : &f->err,
            .is_unknown = f->is_unknown,
            .is_vouched = f->is_vouched,
            .snapshot_size = f->snapshot_size,
            .elapsed_ms = f->elapsed_ms,
            .encrypted = b->has_key || b->state == CATALOG_KEY_MISSING,
            .drilled = f->is_drilled,
            .revision = f->status.revision,
            .counts_keys = f->status.counts_keys,
            .count = f->status.count,
            .contents = &f->contents,
    };

    v->life.sink.verdict(v->life.sink.ctx, &verdict);
}

static void tell_gone(struct verify *v)
{
    char note[NAME_TEXT_MAX + 32];

    (void)snprintf(note, sizeof(note), "%s was deleted meanwhile", v->backup->name);
    lifecycle_note(&v->life, note);
}

/* One that came to its end while it was cancelled has no verdict. */
static void on_inspected(void *ctx)
{
    struct verify *v = ctx;
    const struct inspection_finding *f = inspection_finding(v->inspection);
    const bool is_found = !lifecycle_is_cancelled(&v->life) && !f->is_gone;
    const bool is_doubted = is_found && doubts_mark(v, f);

    if (is_found) {
        count(v, f);
        if (!f->is_unknown && !is_doubted)
            remember(v, f->verdict);
        tell_verdict(v, f);
    } else if (f->is_gone) {
        tell_gone(v);
    }
    if (is_doubted)
        read_mark(v);
    else if (!is_found || f->is_unknown || !write_verdict(v, f->verdict))
        lifecycle_next(&v->life, go_on);
}

/* ---- one backup after the other ---- */

static void look_at(struct verify *v, const struct catalog_backup *b)
{
    v->backup = b;
    if (!inspection_start(v->inspection, b, !v->only || v->request.may_be_gone))
        on_inspected(v);
}

static void look_at_next(struct verify *v)
{
    while (v->next < catalog_list_count(list_of(v))) {
        const struct catalog_backup *b = catalog_list_at(list_of(v), v->next++);

        if (!catalog_backup_is_orphan(b)) {
            look_at(v, b);
            return;
        }
    }
    finish_all(v);
}

/* ---- the beginning ---- */

static void tell_left_out(struct verify *v, const struct err *why)
{
    char note[ERR_TEXT_MAX + 128];

    v->result.left_out = why->text;
    if (v->request.may_be_gone) /* one of many, whose caller tells it once */
        return;
    (void)snprintf(note, sizeof(note), "that etcd starts from it is not tried, since nothing can unpack it here: %s",
            why->text);
    lifecycle_note(&v->life, note);
}

/* Whether the one that was asked for is there no more, and need not be; another objection is added. */
static bool is_gone(struct verify *v)
{
    struct reader *reader = inspection_reader(v->inspection);
    struct err e = ERR_INIT;

    if (!list_of(v) || v->request.all || (v->only = reader_choose(reader, &v->request.choice, true, &e)))
        return false;
    if (v->request.may_be_gone && e.kind == ERR_NOT_FOUND)
        return true;
    objections_add(reader_objections(reader), &e);
    return false;
}

static void choose(struct lifecycle *life)
{
    struct verify *v = of(life);
    struct reader *reader = inspection_reader(v->inspection);
    const bool has_gone = is_gone(v);
    struct err e = ERR_INIT;

    if (objections_verdict(reader_objections(reader), &e) < 0) {
        finish(v, &e);
        return;
    }
    if (reader_etcdutl(reader))
        v->result.tool = etcdutl_version(reader_etcdutl(reader));
    else if (reader_lacks_etcdutl(reader))
        tell_left_out(v, reader_lacks_etcdutl(reader));
    if (has_gone)
        finish(v, NULL);
    else if (v->only)
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

    if (!reader_look(inspection_reader(v->inspection)))
        on_looked(v);
}

/* Whatever is at work is asked to end; its own end leads to ours. */
static void cancel(struct lifecycle *life)
{
    struct verify *v = of(life);
    struct err e = ERR_INIT;

    if (inspection_cancel(v->inspection))
        return;
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    finish(v, &e);
}

static struct verify *new_verify(const struct verify_request *request, struct err *e)
{
    struct verify *v = calloc(1, sizeof(*v));
    struct inspection_spec spec = {
            .drill = request->drill,
            .allow_renamed = request->allow_renamed,
            .allow_plain = request->allow_plain,
            .brought = &v->request.brought,
            .ctx = v,
            .on_looked = on_looked,
            .on_inspected = on_inspected,
    };

    if (!v || (request->tool && !(v->tool = strdup(request->tool)))) {
        free(v);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    spec.life = &v->life;
    spec.tool = v->tool;
    v->inspection = inspection_new(&spec, e);
    if (v->inspection)
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
    if (brought_keys_copy(&request->brought, &v->request.brought, e) < 0) {
        free_job(&v->life);
        return NULL;
    }
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
