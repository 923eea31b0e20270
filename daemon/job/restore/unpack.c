#include "job/restore/unpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/peer_urls.h"
#include "program/program.h"

enum { ARGS_MAX = 24, NUMBER_TEXT = 24 };
enum { STALL_MS = 30 * 60000 }; /* a disk that syncs for so long without a tick of the tool is none to restore to */

struct unpack {
    uv_loop_t *loop;
    struct unpack_spec spec;
    struct program *tool; /* while it runs */
    bool cancelled;
    struct unpack_status status;
    bool has_revision, has_count;
    uv_work_t work;
    struct err settling; /* how that ended */
};

/* ---- options ---- */

static char **strings_of(struct unpack_options *o, size_t i)
{
    char **all[] = {&o->data_dir, &o->wal_dir, &o->tool, &o->name, &o->initial_cluster, &o->initial_cluster_token,
            &o->initial_advertise_peer_urls, &o->owner};

    return i < ARRAY_LEN(all) ? all[i] : NULL;
}

int unpack_options_copy(struct unpack_options *to, const struct unpack_options *from, struct err *e)
{
    char **string;

    *to = *from;
    for (size_t i = 0; (string = strings_of(to, i)); i++)
        *string = NULL;
    for (size_t i = 0; (string = strings_of(to, i)); i++) {
        const char *text = *strings_of((struct unpack_options *)(uintptr_t)from, i);

        *string = text && *text ? strdup(text) : NULL;
        if (text && *text && !*string) {
            unpack_options_clear(to);
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        }
    }
    return 0;
}

void unpack_options_clear(struct unpack_options *o)
{
    char **string;

    for (size_t i = 0; (string = strings_of(o, i)); i++)
        free(TAKE_PTR(*string));
}

static void on_found(void *ctx, const struct err *e)
{
    objections_add(ctx, e);
}

static void check_bump(const struct unpack_options *o, struct objections *found)
{
    struct err e;

    if (o->mark_compacted == (o->bump_revision != 0))
        return;
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "--bump-revision and --mark-compacted only work together: who watches must see that the revisions in "
            "between are gone");
    objections_add(found, &e);
}

void unpack_options_check(const struct unpack_options *o, struct objections *found)
{
    size_t len = o->data_dir ? strlen(o->data_dir) : 0;
    struct err e;

    peer_urls_check(
            &(struct peer_urls){
                    .name = o->name, .cluster = o->initial_cluster, .advertised = o->initial_advertise_peer_urls},
            on_found, found);
    check_bump(o, found);
    while (len > 1 && o->data_dir[len - 1] == '/')
        len--;
    if (o->wal_dir && len && strncmp(o->wal_dir, o->data_dir, len) == 0 &&
            (o->wal_dir[len] == '/' || o->wal_dir[len] == '\0')) {
        err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "--wal-dir %s lies in the data directory: leave it out, or name another", o->wal_dir);
        objections_add(found, &e);
    }
}

/* ---- the end ---- */

static void end_with(struct unpack *u, const struct err *err)
{
    struct unpack_spec spec = u->spec;
    struct unpack_status status = u->status;
    struct err e = err ? *err : ERR_INIT;

    free(u);
    spec.on_done(spec.ctx, spec.drill && !e.kind ? &status : NULL, e.kind ? &e : NULL);
}

/* Not every tool that ends with 0 has done it: a script around it, say. */
static int check_made(const struct unpack *u, struct err *e)
{
    _cleanup_free_ char *member = NULL;
    struct stat st;

    if (asprintf(&member, "%s/member/snap/db", data_dir_inside(u->spec.data)) < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (stat(member, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s ended well, but has made no member/snap/db",
            etcdutl_path(u->spec.tool));
}

/* On a thread of the pool. The data directory comes last: what has no data directory has nothing. */
static void settle(uv_work_t *work)
{
    struct unpack *u = CONTAINER_OF(work, struct unpack, work);
    struct data_dir *data = u->spec.data, *wal = u->spec.wal;
    struct err *e = &u->settling;

    if (check_made(u, e) < 0 || (wal && data_dir_prepare(wal, e) < 0) || data_dir_prepare(data, e) < 0)
        return;
    if (wal && data_dir_settle(wal, e) < 0)
        return;
    if (data_dir_settle(data, e) < 0 && wal && !data_dir_is_in_place(data))
        (void)data_dir_take_back(wal); /* else who asked tells that it stays */
}

static void after_settling(uv_work_t *work, int status)
{
    struct unpack *u = CONTAINER_OF(work, struct unpack, work);

    (void)status; /* never cancelled */
    end_with(u, u->settling.kind ? &u->settling : NULL);
}

/* ---- what it holds ---- */

/* Lines of --write-out=fields: `"Revision" : 4`, `"Keys" : 3`, and from 3.6 on, which counts otherwise, `"Version" : `
 * (etcdutl/snapshot/v3_snapshot.go, Status). */
static void on_status_line(void *ctx, const char *line)
{
    struct unpack *u = ctx;

    if (sscanf(line, "\"Revision\" : %" SCNd64, &u->status.revision) == 1)
        u->has_revision = true;
    else if (sscanf(line, "\"Keys\" : %" SCNu64, &u->status.count) == 1)
        u->has_count = true;
    else if (strncmp(line, "\"Version\" :", strlen("\"Version\" :")) == 0)
        u->status.counts_keys = true;
}

static void on_status(void *ctx, const struct err *err)
{
    struct unpack *u = ctx;
    struct err e = ERR_INIT;

    u->tool = NULL;
    if (err) {
        e = *err;
        if (e.kind == ERR_CONFIG)
            e.kind = ERR_INTEGRITY; /* a database that its own tool cannot read */
        err_prepend(&e, "snapshot status: ");
    } else if (!u->has_revision || !u->has_count) {
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "%s snapshot status did not say revision and keys",
                etcdutl_path(u->spec.tool));
    }
    end_with(u, e.kind ? &e : NULL);
}

static int look_into_it(struct unpack *u, struct err *e)
{
    _cleanup_free_ char *database = NULL;
    const char *args[] = {etcdutl_path(u->spec.tool), "snapshot", "status", NULL, "--write-out=fields", NULL};
    struct program_spec spec = {
            .args = args, .stall_ms = STALL_MS, .ctx = u, .on_line = on_status_line, .on_done = on_status};
    const char *dir = data_dir_hand_over(u->spec.data, TARGET_CHILD_FD, &spec.inherit_fd);

    if (!dir || asprintf(&database, "%s/member/snap/db", dir) < 0)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    args[3] = database;
    u->tool = program_start(u->loop, &spec, e);
    return u->tool ? 0 : -1;
}

/* ---- etcdutl snapshot restore ---- */

static void on_restored(void *ctx, const struct err *err)
{
    struct unpack *u = ctx;
    struct err e = ERR_INIT;

    u->tool = NULL;
    if (err) {
        end_with(u, err);
    } else if (u->cancelled) {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
        end_with(u, &e);
    } else if (!u->spec.drill) {
        (void)uv_queue_work(u->loop, &u->work, settle, after_settling); /* fails for a NULL callback alone */
    } else if (look_into_it(u, &e) < 0) {
        end_with(u, &e);
    }
}

static void on_line(void *ctx, const char *line)
{
    struct unpack *u = ctx;

    u->spec.on_line(u->spec.ctx, line);
}

struct arguments {
    const char *list[ARGS_MAX + 1];
    unsigned n;
};

static void add(struct arguments *a, const char *option, const char *value)
{
    if (!value || !*value || a->n + 2 > ARGS_MAX)
        return;
    a->list[a->n++] = option;
    a->list[a->n++] = value;
}

static void compose(const struct unpack_spec *spec, const char *snapshot, const char *const dirs[2], const char *number,
        struct arguments *a)
{
    const struct unpack_options *o = spec->options;

    a->list[a->n++] = etcdutl_path(spec->tool);
    add(a, "snapshot", "restore");
    a->list[a->n++] = snapshot;
    add(a, "--data-dir", dirs[0]);
    add(a, "--wal-dir", dirs[1]);
    add(a, "--name", o->name);
    add(a, "--initial-cluster", o->initial_cluster);
    add(a, "--initial-cluster-token", o->initial_cluster_token);
    add(a, "--initial-advertise-peer-urls", o->initial_advertise_peer_urls);
    if (o->skip_hash_check)
        a->list[a->n++] = "--skip-hash-check";
    if (o->bump_revision) {
        add(a, "--bump-revision", number);
        a->list[a->n++] = "--mark-compacted";
    }
}

struct unpack *unpack_start(uv_loop_t *loop, const struct unpack_spec *spec, struct err *e)
{
    struct unpack *u = calloc(1, sizeof(*u));
    struct arguments a = {.n = 0};
    char number[NUMBER_TEXT];
    struct program_spec tool = {.args = a.list,
            .more_fds = {-1, -1},
            .n_more = TOOL_MORE,
            .stall_ms = STALL_MS,
            .ctx = u,
            .on_line = on_line,
            .on_done = on_restored};
    const char *dirs[TOOL_MORE] = {NULL, NULL};

    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    u->loop = loop;
    u->spec = *spec;
    (void)snprintf(number, sizeof(number), "%" PRIu64, spec->options->bump_revision);
    dirs[0] = data_dir_hand_over(spec->data, TARGET_CHILD_FD + 1, &tool.more_fds[0]);
    if (spec->wal)
        dirs[1] = data_dir_hand_over(spec->wal, TARGET_CHILD_FD + 2, &tool.more_fds[1]);
    compose(spec, output_file_hand_over(spec->snapshot, &tool.inherit_fd), dirs, number, &a);
    if (dirs[0] && (dirs[1] || !spec->wal))
        u->tool = program_start(loop, &tool, e);
    else
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    if (u->tool)
        return u;
    free(u);
    return NULL;
}

void unpack_cancel(struct unpack *u)
{
    u->cancelled = true;
    if (u->tool)
        program_stop(u->tool);
}
