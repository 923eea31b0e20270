#include "job/restore/etcdutl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "program/program.h"

enum { ANSWER_MS = 20000, VERSION_MAX = 100 };

struct etcdutl {
    uv_loop_t *loop;
    struct etcdutl_spec spec;
    char *path;
    struct program *tool; /* the question that is under way */
    char version[VERSION_MAX];
    bool can_restore, can_bump, stopping;
};

CLEANUP_FUNC(struct etcdutl *, etcdutl_free)

/* ---- where it is ---- */

/* The file of that name in PATH, or NULL. The caller frees. */
static char *search_path(const char *name)
{
    const char *variable = getenv("PATH");
    _cleanup_free_ char *dirs = strdup(variable ? variable : "/usr/local/bin:/usr/bin:/bin");
    char *file = NULL, *rest = NULL;

    for (char *dir = dirs ? strtok_r(dirs, ":", &rest) : NULL; dir; dir = strtok_r(NULL, ":", &rest)) {
        if (asprintf(&file, "%s/%s", dir, name) < 0)
            return NULL;
        if (access(file, X_OK) == 0)
            return file;
        free(TAKE_PTR(file));
    }
    return NULL;
}

static char *find(const char *tool, struct err *e)
{
    char *path = NULL;

    if (tool && strchr(tool, '/')) {
        path = strdup(tool);
    } else if (tool && *tool) {
        path = search_path(tool);
        if (!path)
            err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no '%s' in PATH to unpack with", tool);
    } else {
        path = search_path("etcdutl");
        if (!path)
            path = search_path("etcdctl");
        if (!path)
            err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0,
                    "neither etcdutl nor etcdctl in PATH to unpack with; name one with --etcdutl-path, or leave the "
                    "snapshot in a file with --use-etcdutl=false");
    }
    return path;
}

/* ---- what it says of itself ---- */

static void on_version_line(void *ctx, const char *line)
{
    struct etcdutl *u = ctx;

    if (!u->version[0] && strstr(line, "version:"))
        (void)snprintf(u->version, sizeof(u->version), "%s", line);
}

static void on_help_line(void *ctx, const char *line)
{
    struct etcdutl *u = ctx;

    if (strstr(line, "--initial-advertise-peer-urls"))
        u->can_restore = true;
    if (strstr(line, "--bump-revision"))
        u->can_bump = true;
}

static void on_helped(void *ctx, const struct err *err)
{
    struct etcdutl *u = ctx;
    struct err e = ERR_INIT;

    u->tool = NULL;
    if (!err && !u->can_restore) {
        err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "%s (%s) has no 'snapshot restore': take the etcdutl of its release", u->path, u->version);
        err = &e;
    }
    u->spec.on_done(u->spec.ctx, err);
}

static int ask(struct etcdutl *u, const char *const *args, void (*on_line)(void *, const char *),
        void (*on_done)(void *, const struct err *), struct err *e)
{
    struct program_spec spec = {
            .args = args, .inherit_fd = -1, .limit_ms = ANSWER_MS, .ctx = u, .on_line = on_line, .on_done = on_done};

    u->tool = program_start(u->loop, &spec, e);
    return u->tool ? 0 : -1;
}

static void on_version(void *ctx, const struct err *err)
{
    struct etcdutl *u = ctx;
    const char *args[] = {u->path, "snapshot", "restore", "--help", NULL};
    struct err e = ERR_INIT;

    u->tool = NULL;
    if (!err && !u->version[0]) {
        err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s does not say its version: is it an etcdutl?", u->path);
        err = &e;
    }
    if (!err && u->stopping) {
        err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
        err = &e;
    }
    if (err)
        u->spec.on_done(u->spec.ctx, err);
    else if (ask(u, args, on_help_line, on_helped, &e) < 0)
        u->spec.on_done(u->spec.ctx, &e);
}

struct etcdutl *etcdutl_find(uv_loop_t *loop, const struct etcdutl_spec *spec, struct err *e)
{
    _cleanup_(cleanup_etcdutl_free) struct etcdutl *u = calloc(1, sizeof(*u));
    const char *args[] = {NULL, "version", NULL};

    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    u->loop = loop;
    u->spec = *spec;
    u->path = find(spec->tool, e);
    u->spec.tool = NULL;
    if (!u->path)
        return NULL;
    args[0] = u->path;
    return ask(u, args, on_version_line, on_version, e) < 0 ? NULL : TAKE_PTR(u);
}

void etcdutl_stop(struct etcdutl *u)
{
    u->stopping = true;
    if (u->tool)
        program_stop(u->tool);
}

const char *etcdutl_path(const struct etcdutl *u)
{
    return u->path;
}

const char *etcdutl_version(const struct etcdutl *u)
{
    return u->version;
}

bool etcdutl_is_older(const struct etcdutl *u, const char *version)
{
    const char *own = strstr(u->version, "version:");
    unsigned major[2], minor[2];

    if (!own || sscanf(own, "version: %4u.%4u", &major[0], &minor[0]) != 2 ||
            sscanf(version, "%4u.%4u", &major[1], &minor[1]) != 2)
        return false;
    return major[0] < major[1] || (major[0] == major[1] && minor[0] < minor[1]);
}

int etcdutl_check_storage(const struct etcdutl *u, const char *storage_version, struct err *e)
{
    unsigned major, minor;

    if (!etcdutl_is_older(u, storage_version) || sscanf(storage_version, "%4u.%4u", &major, &minor) != 2)
        return 0;
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "its storage is of etcd %u.%u, for which %s is too old (%s): it takes the etcdutl of %u.%u "
            "(--etcdutl-path)",
            major, minor, u->path, u->version, major, minor);
}

bool etcdutl_can_bump(const struct etcdutl *u)
{
    return u->can_bump;
}

void etcdutl_free(struct etcdutl *u)
{
    if (!u)
        return;
    free(u->path);
    free(u);
}
