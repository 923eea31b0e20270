#include "ctl/get_command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "ctl/answer.h"
#include "ctl/key_text.h"
#include "ctl/look.h"
#include "ctl/show.h"

enum { OPT_OUTPUT = 256, OPT_HISTORY, OPT_BINARY, OPT_ESCAPED };

const struct option get_options[] = {
        LOOK_OPTIONS,
        {"output", required_argument, NULL, OPT_OUTPUT},
        {"history", no_argument, NULL, OPT_HISTORY},
        {"binary", no_argument, NULL, OPT_BINARY},
        {"escaped", no_argument, NULL, OPT_ESCAPED},
        {0},
};

const char get_usage[] =
        "      --output FILE            the value into a new file, not to standard output\n"
        "      --history                not the value: each change of the key that the backup has\n"
        "      --binary                 also to a terminal that cannot show it\n"
        "      --escaped                the key is as ls shows it: \\\\ for \\, \\x00 for a byte\n" LOOK_USAGE;

static struct {
    struct look look;
    const char *output;
    bool history, binary, escaped;
    struct bytes key; /* without escapes */
} get = {.look = {LOOK_INIT}};

int get_set(int letter, const char *value)
{
    switch (letter) {
    case OPT_OUTPUT:
        get.output = value;
        if (!*value)
            show_failure("--output is empty");
        return *value ? 0 : -1;
    case OPT_HISTORY:
        get.history = true;
        return 0;
    case OPT_BINARY:
        get.binary = true;
        return 0;
    case OPT_ESCAPED:
        get.escaped = true;
        return 0;
    default:
        return look_set(&get.look, letter, value);
    }
}

/* ---- history ---- */

static void put_change_json(const struct keyspace_change *c)
{
    bool first = true;

    json_signed(stdout, &first, "revision", (int64_t)c->revision.main);
    json_bool(stdout, &first, "deleted", c->revision.is_tombstone);
    if (!c->revision.is_tombstone) {
        json_signed(stdout, &first, "create_revision", c->kv.create_revision);
        json_signed(stdout, &first, "version", c->kv.version);
        json_signed(stdout, &first, "lease", c->kv.lease);
        key_text_json(stdout, &first, "value", c->kv.value);
    }
    (void)puts("}");
}

static void put_change(const struct keyspace_change *c)
{
    if (c->revision.is_tombstone)
        (void)printf("%12" PRIu64 "  %8s  %9s  deleted\n", c->revision.main, "-", "-");
    else
        (void)printf("%12" PRIu64 "  %8" PRId64 "  %9zu  %s\n", c->revision.main, c->kv.version, c->kv.value.len,
                c->kv.version == 1 ? "created" : "changed");
}

/* The next change of the key: 1, or 0 behind the last, or -1. */
static int next_change(struct database *d, struct keyspace_change *c, struct err *e)
{
    int more;

    while ((more = keyspace_changes_next(&d->changes, c, e)) > 0)
        if (c->revision.main <= (uint64_t)d->revision && bolt_key_compare(c->kv.key, get.key) == 0)
            return 1;
    return more;
}

/* Whether there is any, and all that there is can be read: half a history would look like one. */
static int look_through(struct database *d, struct err *e)
{
    struct keyspace_change c;
    bool has_any = false;
    int more;

    while ((more = next_change(d, &c, e)) > 0)
        has_any = true;
    if (more == 0 && !has_any)
        more = err_set(e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "there is nothing of this key up to revision %" PRId64,
                d->revision);
    return more < 0 ? err_prepend(e, "%s: ", d->name) : keyspace_changes_rewind(&d->changes, e);
}

static int put_history(const struct ctl *ctl, struct database *d)
{
    struct keyspace_change c;
    struct err e = ERR_INIT;
    int ret = look_through(d, &e);

    if (database_prove(d, &e) < 0 || ret < 0)
        return look_failed(ctl, &e);
    if (!ctl->json)
        (void)printf("%12s  %8s  %9s  CHANGE\n", "REVISION", "VERSION", "SIZE");
    while (next_change(d, &c, &e) > 0) {
        if (ctl->json)
            put_change_json(&c);
        else
            put_change(&c);
    }
    return answer_end(CTL_DONE, true);
}

/* ---- the value ---- */

static int not_found(const struct ctl *ctl, const struct database *d, const struct keyspace_found *found)
{
    struct err e = ERR_INIT;

    if (!found->deleted)
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "%s: there is no such key at revision %" PRId64, d->name,
                d->revision);
    else if (found->last_revision && found->deleted > d->changes.facts.compacted)
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0,
                "%s: the key was deleted at revision %" PRId64 "; --rev %" PRId64 " shows what it was before", d->name,
                found->deleted, found->deleted - 1);
    else
        err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0,
                "%s: the key was deleted at revision %" PRId64 ", and what it was before is compacted: an older backup "
                "may have it",
                d->name, found->deleted);
    return look_failed(ctl, &e);
}

static bool begins_with(struct bytes value, const char *text, size_t len)
{
    return value.len >= len && memcmp(value.data, text, len) == 0;
}

/* What Kubernetes has encrypted (k8s.io/apiserver, storage/value/encrypt): "k8s:enc:PROVIDER:...". */
static void tell_encrypted(struct bytes value)
{
    static const char mark[] = "k8s:enc:";

    if (begins_with(value, mark, sizeof(mark) - 1))
        show_note("Kubernetes has encrypted this value: only an API server with its EncryptionConfiguration opens it");
}

static int refuse_terminal(const struct ctl *ctl, struct bytes value)
{
    static const char protobuf[] = "k8s"; /* and a 0: what follows is an object of Kubernetes in protobuf */
    struct err e = ERR_INIT;

    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "the value is not text, and would go to a terminal: use a pipe%s, --output FILE, or --binary",
            begins_with(value, protobuf, sizeof(protobuf)) ? " (`| auger decode` for an object of Kubernetes)" : "");
    return look_failed(ctl, &e);
}

static int write_all(int fd, struct bytes value)
{
    while (value.len > 0) {
        ssize_t n = write(fd, value.data, value.len);

        if (n < 0 && errno != EINTR)
            return -1;
        value.data += n > 0 ? n : 0;
        value.len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* A new file, so that nothing is lost by a name that was mistyped. */
static int put_file(const struct ctl *ctl, struct bytes value)
{
    _cleanup_close_ int fd = open(get.output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct err e = ERR_INIT;

    if (fd >= 0 && write_all(fd, value) == 0 && fsync(fd) == 0)
        return CTL_DONE;
    err_errno(&e, errno, "--output %s", get.output);
    if (fd >= 0)
        (void)unlink(get.output);
    return look_failed(ctl, &e);
}

static int put_value(const struct ctl *ctl, struct database *d)
{
    struct keyspace_found found;
    struct err e = ERR_INIT;

    int ret = keyspace_find(&d->changes, get.key, d->revision, &found, &e);

    if (ret < 0)
        err_prepend(&e, "%s: ", d->name);
    if (database_prove(d, &e) < 0 || ret < 0)
        return look_failed(ctl, &e);
    if (!found.is_live)
        return not_found(ctl, d, &found);
    tell_encrypted(found.kv.value);
    if (get.output)
        return put_file(ctl, found.kv.value);
    if (ctl->json)
        look_put_json(&found.kv);
    else if (!get.binary && isatty(STDOUT_FILENO) == 1 && key_text_is_binary(found.kv.value))
        return refuse_terminal(ctl, found.kv.value);
    else if (found.kv.value.len)
        (void)fwrite(found.kv.value.data, 1, found.kv.value.len, stdout);
    return answer_end(CTL_DONE, true);
}

/* What is asked for; NULL with a line printed. The caller frees what it stands in. */
static char *read_key(const char *argument)
{
    char *room = strdup(argument);
    size_t len = strlen(argument);

    if (!room)
        show_failure("out of memory");
    else if (get.escaped && !key_text_read(argument, (uint8_t *)room, &len)) {
        show_failure("--escaped: behind a backslash stands another, or x and two hexadecimal digits");
        free(TAKE_PTR(room));
    }
    get.key = (struct bytes){.data = (const uint8_t *)room, .len = len};
    return room;
}

int get_run(const struct ctl *ctl)
{
    _cleanup_database_ struct database d = DATABASE_INIT;
    _cleanup_free_ char *key = NULL;
    int status;

    if (get.history && get.output) {
        show_failure("--history and --output: give one of them");
        return CTL_USAGE;
    }
    key = read_key(ctl->argument);
    if (!key)
        return CTL_USAGE;
    status = look_open(&get.look, ctl, &d);
    if (status != CTL_DONE)
        return status;
    return get.history ? put_history(ctl, &d) : put_value(ctl, &d);
}
