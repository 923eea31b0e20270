#include "job/verify/inspection.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "s3/object.h"

struct inspection {
    struct inspection_spec spec;
    struct reader *reader;
    const struct catalog_backup *backup;
    bool may_be_gone;
    uint64_t began_ms;
    struct destination scratch; /* of a drill */
    struct s3_request *look;    /* whether it is still there */
    struct inspection_finding finding;
};

/* ---- the end of one ---- */

/* Also when etcdutl says no: it was asked whether it can do this before the first. What our own system says is never of
 * the backup: the master key's file, the directory of a drill or etcdutl may be gone since; what the store says of an
 * object comes as HTTP, and where it does not keep to that, it has said nothing of the object. */
static bool is_its_own(const struct inspection *i, const struct err *err)
{
    if (err->domain == ERR_DOMAIN_ERRNO || err->domain == ERR_DOMAIN_UV)
        return false;
    return err->kind == ERR_INTEGRITY || err->kind == ERR_NOT_FOUND ||
           (err->kind == ERR_PROTOCOL && err->domain != ERR_DOMAIN_HTTP) ||
           (err->kind == ERR_CONFIG && reader_stage(i->reader) == READER_UNPACKING);
}

static void judge(struct inspection *i, const struct unpack_status *status, const struct err *err)
{
    const bool was_read = reader_stage(i->reader) >= READER_FETCHING;
    struct inspection_finding *f = &i->finding;

    f->elapsed_ms = uv_now(core_loop(i->spec.life->core)) - i->began_ms;
    f->is_drilled = status != NULL;
    if (status)
        f->status = *status;
    if (!err) {
        f->verdict = KNOWN_GOOD;
        return;
    }
    f->is_unknown = !is_its_own(i, err);
    f->verdict = was_read && err->domain != ERR_DOMAIN_KEY ? KNOWN_BAD : KNOWN_REFUSED;
    f->err = *err;
    reader_advise(i->reader, &f->err);
}

/* Nothing of one backup stays when its verdict is told. */
static void drop_backup(struct inspection *i)
{
    if (i->look)
        s3_request_cancel(TAKE_PTR(i->look));
    destination_clear(&i->scratch);
    reader_close(i->reader);
}

static void end(struct inspection *i)
{
    drop_backup(i);
    i->spec.on_inspected(i->spec.ctx);
}

static void on_looked_again(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct inspection *i = ctx;

    (void)res;
    i->look = NULL;
    i->finding.is_gone = err && err->kind == ERR_NOT_FOUND;
    end(i);
}

/* Of all that were listed some may go while others are read, dump first. */
static bool look_again(struct inspection *i, const struct err *err)
{
    struct err ignored;
    struct s3_client *s3;

    if (!i->may_be_gone || lifecycle_is_cancelled(i->spec.life) || !err || err->kind != ERR_NOT_FOUND ||
            err->domain != ERR_DOMAIN_HTTP)
        return false;
    s3 = core_s3(i->spec.life->core, &ignored);
    i->look = s3 ? s3_head(s3, i->backup->name, i, on_looked_again, &ignored) : NULL;
    return i->look != NULL;
}

static void conclude(struct inspection *i, const struct unpack_status *status, const struct err *err)
{
    judge(i, status, err);
    if (!look_again(i, err))
        end(i);
}

/* ---- the steps ---- */

static void on_unpacked(void *ctx, const struct unpack_status *status, const struct err *err)
{
    struct inspection *i = ctx;
    struct err e = err ? *err : ERR_INIT;

    if (err)
        err_prepend(&e, "%s: unpacking it: ", i->backup->name);
    conclude(i, status, err ? &e : NULL);
}

static void start_unpacking(struct inspection *i)
{
    static const struct unpack_options options = {.data_dir = NULL};
    struct err e = ERR_INIT;

    if (reader_unpack(i->reader, &i->scratch, &options, true, &e) < 0)
        on_unpacked(i, NULL, &e);
}

static void on_fetched(void *ctx, uint64_t written, const struct err *err)
{
    struct inspection *i = ctx;

    i->finding.snapshot_size = written;
    if (err || lifecycle_is_cancelled(i->spec.life) || !i->spec.drill)
        conclude(i, NULL, err);
    else
        start_unpacking(i);
}

/* A place beside the file that is not there: a drill never makes it, only a scratch directory beside it. */
static struct data_dir *plan_drill(const struct output_file *file, struct err *e)
{
    _cleanup_free_ char *dir = path_dir(output_file_path(file)), *path = NULL;

    if (!dir || asprintf(&path, "%s/.etcd-backupd-drill", dir) < 0) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    return data_dir_plan(path, e);
}

static int prepare_drill(struct inspection *i, struct err *e)
{
    const struct opened_backup *opened = reader_opened(i->reader);
    uint64_t size = opened_backup_snapshot_size(opened);
    struct disk_space room = ROOM_INIT;

    if (etcdutl_check_storage(reader_etcdutl(i->reader), opened_backup_storage_version(opened), e) < 0)
        return -1;
    if (size == UINT64_MAX)
        return 0; /* the download will say why */
    i->scratch.file = output_file_open_transient(core_conf(i->spec.life->core)->snapshot_path, e);
    i->scratch.data = i->scratch.file ? plan_drill(i->scratch.file, e) : NULL;
    if (!i->scratch.data || destination_measure(&i->scratch, size, &room, e) < 0)
        return -1;
    return disk_space_verdict(&room, e);
}

static void on_opened(void *ctx, const struct err *err)
{
    struct inspection *i = ctx;
    struct err e = ERR_INIT;

    if (err) {
        conclude(i, NULL, err);
        return;
    }
    reader_tell_of_cluster(i->reader);
    if (i->spec.drill && prepare_drill(i, &e) < 0) {
        err_prepend(&e, "%s: ", i->backup->name);
        conclude(i, NULL, &e);
    } else if (reader_fetch(i->reader, &i->scratch, &e) < 0) {
        conclude(i, NULL, &e);
    }
}

/* ---- the beginning ---- */

static int check_state(const struct catalog_backup *b, struct err *e)
{
    if (b->state == CATALOG_KEY_MISSING && b->doubt != CATALOG_MAY_BE_PLAIN) /* which its metadata may say */
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s: %s: it cannot be read", b->name, choice_fault(b));
    if (b->state == CATALOG_UNREADABLE)
        return err_set(
                e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "%s: its name is no time stamp: it cannot be asked for", b->name);
    return 0;
}

bool inspection_start(struct inspection *i, const struct catalog_backup *backup, bool may_be_gone)
{
    struct err e = ERR_INIT;

    i->backup = backup;
    i->may_be_gone = may_be_gone;
    i->began_ms = uv_now(core_loop(i->spec.life->core));
    i->finding = (struct inspection_finding){.is_gone = false};
    if (check_state(backup, &e) == 0 && reader_open(i->reader, backup, &e) == 0)
        return true;
    judge(i, NULL, &e);
    drop_backup(i);
    return false;
}

const struct inspection_finding *inspection_finding(const struct inspection *i)
{
    return &i->finding;
}

struct reader *inspection_reader(struct inspection *i)
{
    return i->reader;
}

bool inspection_cancel(struct inspection *i)
{
    if (reader_cancel(i->reader))
        return true;
    drop_backup(i);
    return false;
}

static void on_looked(void *ctx)
{
    struct inspection *i = ctx;

    i->spec.on_looked(i->spec.ctx);
}

struct inspection *inspection_new(const struct inspection_spec *spec, struct err *e)
{
    struct inspection *i = calloc(1, sizeof(*i));
    struct reader_spec reader = {
            .life = spec->life,
            .phases = {"listing", "opening", "verifying", "unpacking"},
            .needs_etcdutl = spec->drill,
            .tool = spec->tool,
            .allow_renamed = spec->allow_renamed,
            .allow_plain = spec->allow_plain,
            .ctx = i,
            .on_looked = on_looked,
            .on_opened = on_opened,
            .on_fetched = on_fetched,
            .on_unpacked = on_unpacked,
    };

    if (!i) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    i->spec = *spec;
    i->reader = reader_new(&reader, e);
    if (i->reader)
        return i;
    free(i);
    return NULL;
}

void inspection_free(struct inspection *i)
{
    if (!i)
        return;
    drop_backup(i);
    reader_free(i->reader);
    free(i);
}
