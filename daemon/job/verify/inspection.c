#include "job/verify/inspection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "job/verify/contents.h"
#include "s3/object.h"

struct inspection {
    struct inspection_spec spec;
    struct reader *reader;
    const struct catalog_backup *backup;
    bool may_be_gone;
    uint64_t began_ms;
    struct destination scratch; /* of a drill */
    int snapshot;               /* the scratch file, for reading; or -1 */
    struct contents *contents;  /* at work */
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
    f->is_vouched = err->domain == ERR_DOMAIN_KEY && err->code == KEY_FAULT_SEALED;
    f->is_unknown = f->is_vouched || !is_its_own(i, err);
    f->verdict = was_read && err->domain != ERR_DOMAIN_KEY ? KNOWN_BAD : KNOWN_REFUSED;
    f->err = *err;
    if (!f->is_vouched)
        reader_advise(i->reader, &f->err);
}

/* Nothing of one backup stays when its verdict is told. */
static void drop_backup(struct inspection *i)
{
    if (i->look)
        s3_request_cancel(TAKE_PTR(i->look));
    if (i->snapshot >= 0)
        close(TAKE_FD(i->snapshot));
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

/* What the member has said is the member's word at that revision, and with that compaction, alone. */
static void compare(struct contents_finding *f, const struct keyspace_hash *ours, const struct dump_hashkv *recorded)
{
    f->has_hash = true;
    f->hash = ours->hash;
    f->revision = ours->revision;
    f->keys = ours->keys;
    if (!recorded->is_known) {
        f->verdict = CONTENTS_UNRECORDED;
    } else if (recorded->revision != ours->revision || recorded->compact_revision != ours->compact_revision) {
        f->verdict = CONTENTS_NOT_COMPARED;
        (void)snprintf(f->why, sizeof(f->why),
                "the HashKV that was recorded is of revision %" PRId64 ", compacted at %" PRId64
                ", and the snapshot is of revision %" PRId64 ", compacted at %" PRId64,
                recorded->revision, recorded->compact_revision, ours->revision, ours->compact_revision);
    } else {
        f->verdict = recorded->hash == ours->hash ? CONTENTS_PROVEN : CONTENTS_DIFFERENT;
    }
}

/* What it holds could not be read for a reason that is ours: nothing is said against it. */
static bool is_our_limit(const struct err *err)
{
    return (err->kind == ERR_RESOURCE || err->kind == ERR_CONFIG) && err->domain != ERR_DOMAIN_ERRNO;
}

static void unpack_or_conclude(struct inspection *i)
{
    if (reader_etcdutl(i->reader))
        start_unpacking(i);
    else
        conclude(i, NULL, NULL);
}

static void on_contents(void *ctx, const struct keyspace_hash *hash, const struct err *err)
{
    struct inspection *i = ctx;
    struct contents_finding *f = &i->finding.contents;
    const struct dump_hashkv *recorded = opened_backup_hashkv(reader_opened(i->reader));
    struct err e = err ? *err : ERR_INIT;

    i->contents = NULL;
    if (hash)
        compare(f, hash, recorded);
    if (err && is_our_limit(err)) {
        f->verdict = CONTENTS_NOT_COMPARED;
        (void)snprintf(f->why, sizeof(f->why), "%s", err->text);
        unpack_or_conclude(i);
    } else if (err) {
        err_prepend(&e, "%s: reading what it holds: ", i->backup->name);
        conclude(i, NULL, &e);
    } else if (f->verdict == CONTENTS_DIFFERENT) {
        err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0,
                "%s: it does not hold what its etcd had: HashKV at revision %" PRId64 " is %" PRIu32
                ", and the member said %" PRIu32,
                i->backup->name, hash->revision, hash->hash, recorded->hash);
        conclude(i, NULL, &e);
    } else {
        unpack_or_conclude(i);
    }
}

static int start_contents(struct inspection *i, struct err *e)
{
    struct contents_spec spec = {.ctx = i, .on_read = on_contents};

    i->snapshot = output_file_read(i->scratch.file, e);
    if (i->snapshot < 0)
        return -1;
    spec.fd = i->snapshot;
    i->contents = contents_start(core_loop(i->spec.life->core), &spec, e);
    if (!i->contents)
        return -1;
    lifecycle_progress(i->spec.life, &(struct job_progress){.phase = "comparing"});
    return 0;
}

static void on_fetched(void *ctx, uint64_t written, const struct err *err)
{
    struct inspection *i = ctx;
    struct err e = ERR_INIT;

    i->finding.snapshot_size = written;
    if (err || lifecycle_is_cancelled(i->spec.life) || !i->spec.drill)
        conclude(i, NULL, err);
    else if (start_contents(i, &e) < 0)
        conclude(i, NULL, &e);
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
    const struct etcdutl *tool = reader_etcdutl(i->reader);

    if (tool && etcdutl_check_storage(tool, opened_backup_storage_version(opened), e) < 0)
        return -1;
    if (size == UINT64_MAX)
        return 0; /* the download will say why */
    i->scratch.file = output_file_open_transient(core_conf(i->spec.life->core)->snapshot_path, e);
    if (!i->scratch.file || (tool && !(i->scratch.data = plan_drill(i->scratch.file, e))))
        return -1;
    if (destination_measure(&i->scratch, size, &room, e) < 0)
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
    if (i->contents)
        contents_cancel(i->contents);
    if (reader_cancel(i->reader) || i->contents)
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
            .may_lack_etcdutl = true,
            .tool = spec->tool,
            .allow_renamed = spec->allow_renamed,
            .allow_plain = spec->allow_plain,
            .brought = spec->brought,
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
    i->snapshot = -1;
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
