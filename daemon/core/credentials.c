#include "core/credentials.h"

#include <string.h>
#include <sys/stat.h>

struct credentials {
    const char *path;
    enum conf_credentials_kind kind;
    bool loaded;
    struct stat seen; /* of the file when it was read last */
    struct conf_credentials current;
};

struct credentials *credentials_new(const char *path, enum conf_credentials_kind kind, struct err *e)
{
    struct credentials *c = calloc(1, sizeof(*c));

    if (!c) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    c->path = path;
    c->kind = kind;
    return c;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

const struct conf_credentials *credentials_get(struct credentials *c, struct err *e)
{
    struct conf_credentials fresh = {0};
    struct stat now = {0};
    struct err why = ERR_INIT;
    bool there = stat(c->path, &now) == 0;

    if (c->loaded && there && is_same_file(&c->seen, &now))
        return &c->current;
    if (conf_read_credentials(c->path, c->kind, &fresh, &why) < 0) {
        /* Whoever rotates it may be in the middle of writing: what was good a moment ago is the better guess. */
        if (c->loaded)
            return &c->current;
        *e = why;
        return NULL;
    }
    if (c->loaded)
        conf_credentials_clear(&c->current);
    c->current = fresh;
    c->seen = now;
    c->loaded = true;
    return &c->current;
}

void credentials_free(struct credentials *c)
{
    if (!c)
        return;
    if (c->loaded)
        conf_credentials_clear(&c->current);
    free(c);
}
