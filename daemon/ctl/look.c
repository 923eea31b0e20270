#include "ctl/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "ctl/key_text.h"
#include "ctl/results.h"
#include "ctl/show.h"
#include "ctl/talk.h"

int look_set(struct look *l, int letter, const char *value)
{
    if (brought_set(letter, value))
        return 0;
    switch (letter) {
    case 't':
        return word_backup(value, &l->backup);
    case LOOK_REVISION:
        return word_count("--rev", value, &l->revision);
    case LOOK_FILE:
        l->file = value;
        if (!*value) /* a variable of a script that was not set */
            show_failure("--file is empty");
        return *value ? 0 : -1;
    case LOOK_ALLOW_RENAMED:
        l->allow_renamed = true;
        return 0;
    case LOOK_ALLOW_PLAIN:
        l->allow_plain = true;
        return 0;
    case LOOK_SKIP_HASH_CHECK:
        l->skip_hash_check = true;
        return 0;
    default:
        return -1;
    }
}

int look_failed(const struct ctl *ctl, const struct err *e)
{
    if (ctl->json)
        results_failure(err_kind_name(e->kind), e->text);
    show_failure(e->text);
    return e->kind == ERR_INTEGRITY ? CTL_INTEGRITY : CTL_FAILED;
}

/* ---- a backup ---- */

struct opened {
    const struct ctl *ctl;
    struct show_progress progress;
    int fd;
    char *name;
};

static void on_progress(void *ctx, const Control__Progress *p)
{
    struct opened *o = ctx;

    show_progress(&o->progress, p);
}

static void on_note(void *ctx, const Control__Note *note)
{
    struct opened *o = ctx;

    if (note->passing && o->ctl->quiet)
        return;
    show_progress_clear(&o->progress);
    show_note(note->text);
}

static void on_descriptor(void *ctx, int fd)
{
    struct opened *o = ctx;

    if (o->fd >= 0)
        close(o->fd);
    o->fd = fd;
}

static void on_done(void *ctx, const Control__Done *done)
{
    struct opened *o = ctx;

    if (done->result_case == CONTROL__DONE__RESULT_LOOK && !o->name)
        o->name = strdup(done->look->name);
}

static int map_opened(const struct look *l, const struct ctl *ctl, const struct opened *o, struct database *d)
{
    struct err e = ERR_INIT;

    if (o->fd < 0 || !o->name)
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "the daemon has not handed over what it opened");
    else if (database_map(d, o->fd, o->name, (int64_t)l->revision, &e) == 0)
        return CTL_DONE;
    return look_failed(ctl, &e);
}

static int open_backup(const struct look *l, const struct ctl *ctl, struct database *d)
{
    struct opened o = {.ctl = ctl, .fd = -1};
    struct talk t = {
            .ctx = &o,
            .on_progress = ctl->quiet || ctl->json ? NULL : on_progress,
            .on_note = on_note,
            .on_descriptor = on_descriptor,
            .on_done = on_done,
    };
    Control__Look body = CONTROL__LOOK__INIT;
    Control__Brought brought = CONTROL__BROUGHT__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    int status;

    status = brought_read(ctl, &brought, &body.brought);
    if (status != CTL_DONE)
        return status;
    body.latest = !l->backup.is_given;
    body.instant = l->backup.instant;
    body.object = (char *)(uintptr_t)l->backup.name; /* protobuf-c's strings are not const */
    body.allow_renamed = l->allow_renamed;
    body.allow_plain = l->allow_plain;
    body.skip_hash_check = l->skip_hash_check;
    request.body_case = CONTROL__REQUEST__BODY_LOOK;
    request.look = &body;
    show_progress_init(&o.progress);
    status = talk(ctl, &request, &t);
    show_progress_clear(&o.progress);
    talk_release_signals();
    if (status == CTL_DONE)
        status = map_opened(l, ctl, &o, d);
    if (o.fd >= 0)
        close(o.fd);
    free(o.name);
    return status;
}

int look_open(const struct look *l, const struct ctl *ctl, struct database *d)
{
    struct err e = ERR_INIT;

    if (!l->file)
        return open_backup(l, ctl, d);
    if (l->backup.is_given || l->allow_renamed || l->allow_plain) {
        show_failure("--file is no backup: not with --backup-timestamp, --allow-renamed, --allow-plain");
        return CTL_USAGE;
    }
    if (database_open(d, l->file, l->skip_hash_check, (int64_t)l->revision, &e) < 0)
        return look_failed(ctl, &e);
    return CTL_DONE;
}

struct keyspace_live *look_keys(const struct ctl *ctl, struct database *d, struct bytes prefix, int *status)
{
    struct keyspace_live_spec spec = {.revision = d->revision, .prefix = prefix, .memory_max = LOOK_MEMORY_MAX};
    struct err e = ERR_INIT;
    struct keyspace_live *live = keyspace_live_new(&d->changes, &spec, &e);

    if (!live)
        err_prepend(&e, "%s: ", d->name);
    if (database_prove(d, &e) < 0) {
        keyspace_live_free(live);
        live = NULL;
    }
    *status = live ? CTL_DONE : look_failed(ctl, &e);
    return live;
}

struct bytes look_bytes(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .len = text ? strlen(text) : 0};
}

void look_put_json(const struct key_value *kv)
{
    bool first = true;

    key_text_json(stdout, &first, "key", kv->key);
    key_text_json(stdout, &first, "value", kv->value);
    json_signed(stdout, &first, "create_revision", kv->create_revision);
    json_signed(stdout, &first, "mod_revision", kv->mod_revision);
    json_signed(stdout, &first, "version", kv->version);
    json_signed(stdout, &first, "lease", kv->lease);
    (void)puts("}");
}

void look_tell_count(const struct ctl *ctl, const struct database *d, const struct keyspace_live *live)
{
    size_t n = keyspace_live_count(live);

    if (!ctl->quiet && !ctl->json)
        (void)fprintf(
                stderr, "%zu %s at revision %" PRId64 " of %s\n", n, n == 1 ? "key" : "keys", d->revision, d->name);
}
