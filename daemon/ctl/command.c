#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "json.h"
#include "show.h"
#include "talk.h"

/* ---- what all commands do with replies ---- */

struct view {
    const struct ctl *ctl;
    struct show_progress progress;
    unsigned entries;
    bool is_out_of_sight; /* what a daemon wrote is not there for us */
};

static void on_progress(void *ctx, const Control__Progress *p)
{
    struct view *v = ctx;

    show_progress(&v->progress, p);
}

static void on_note(void *ctx, const char *text)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    show_note(text);
}

static void on_entry(void *ctx, const Control__Entry *entry)
{
    struct view *v = ctx;

    if (v->ctl->json) {
        json_entry(entry);
        return;
    }
    if (v->entries++ == 0)
        show_entry_header();
    show_entry(entry, timestamp_now());
}

static void on_done(void *ctx, const Control__Done *done)
{
    struct view *v = ctx;

    show_progress_clear(&v->progress);
    if (v->ctl->json) {
        json_done(done);
        return;
    }
    switch (done->result_case) {
    case CONTROL__DONE__RESULT_BACKUP:
        show_backup(done->backup);
        break;
    case CONTROL__DONE__RESULT_RESTORE:
        show_restore(done->restore);
        v->is_out_of_sight = !v->ctl->config && access(done->restore->output, F_OK) < 0 && errno == ENOENT;
        break;
    case CONTROL__DONE__RESULT_STATUS:
        show_status(done->status, timestamp_now());
        break;
    default:
        break;
    }
}

static int ask(const struct ctl *ctl, Control__Request *request, bool with_progress)
{
    struct view view = {.ctl = ctl};
    struct talk t = {
            .ctx = &view,
            .on_progress = with_progress && !ctl->quiet && !ctl->json ? on_progress : NULL,
            .on_note = on_note,
            .on_entry = on_entry,
            .on_done = on_done,
    };
    int status;

    show_progress_init(&view.progress);
    status = talk(ctl, request, &t);
    if (request->body_case == CONTROL__REQUEST__BODY_LIST && status == CTL_DONE && !ctl->json && view.entries == 0)
        (void)fputs("no backups with the configured prefix; etcd-backupctl status shows where they are looked for\n",
                stderr);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    /* A full disk must not look like success, also if only what was written earlier met it. */
    show_failure("what was asked for could not be written to stdout");
    return status == CTL_DONE ? CTL_FAILED : status;
}

/* ---- backup, list, status ---- */

static const struct option no_options[] = {{0}};

static int run_backup(const struct ctl *ctl)
{
    Control__Backup body = CONTROL__BACKUP__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_BACKUP;
    request.backup = &body;
    return ask(ctl, &request, true);
}

static int run_list(const struct ctl *ctl)
{
    Control__List body = CONTROL__LIST__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_LIST;
    request.list = &body;
    return ask(ctl, &request, false);
}

static int run_status(const struct ctl *ctl)
{
    Control__Status body = CONTROL__STATUS__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    request.body_case = CONTROL__REQUEST__BODY_STATUS;
    request.status = &body;
    return ask(ctl, &request, false);
}

/* ---- restore ---- */

enum { OPT_OUTPUT = 256, OPT_ALLOW_RENAMED, OPT_SKIP_HASH_CHECK, OPT_ALLOW_PLAIN };

static const struct option restore_options[] = {
        {"backup-timestamp", required_argument, NULL, 't'},
        {"use-etcdutl", optional_argument, NULL, 'u'},
        {"output", required_argument, NULL, OPT_OUTPUT},
        {"allow-renamed", no_argument, NULL, OPT_ALLOW_RENAMED},
        {"skip-hash-check", no_argument, NULL, OPT_SKIP_HASH_CHECK},
        {"allow-plain", no_argument, NULL, OPT_ALLOW_PLAIN},
        {0},
};

static struct {
    bool has_instant;
    int64_t instant;
    bool use_etcdutl;
    const char *output;
    bool allow_renamed, skip_hash_check, allow_plain;
} restore = {.use_etcdutl = true};

/* The words that the Go tool takes for a bool (strconv.ParseBool); no value is true. */
static int parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    *value = true;
    if (!text)
        return 0;
    if (*text == '=') /* -u=false */
        text++;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0)
            return 0;
        *value = strcmp(text, no[i]) != 0;
        if (!*value)
            return 0;
    }
    (void)fprintf(stderr, "etcd-backupctl: '%s' is neither true nor false\n", text);
    return -1;
}

static int set_restore(int letter, const char *value)
{
    struct err e = ERR_INIT;

    switch (letter) {
    case 't':
        restore.has_instant = true;
        if (timestamp_parse(value, strlen(value), &restore.instant, &e) < 0) {
            show_failure(e.text);
            return -1;
        }
        return 0;
    case 'u':
        return parse_bool(value, &restore.use_etcdutl);
    case OPT_OUTPUT:
        restore.output = value;
        return 0;
    case OPT_ALLOW_RENAMED:
        restore.allow_renamed = true;
        return 0;
    case OPT_SKIP_HASH_CHECK:
        restore.skip_hash_check = true;
        return 0;
    case OPT_ALLOW_PLAIN:
        restore.allow_plain = true;
        return 0;
    default:
        return -1;
    }
}

/* The daemon has another working directory than the person. NULL when that cannot be told. */
static char *absolute_path(const char *path)
{
    _cleanup_free_ char *here = NULL;
    char *whole;

    if (path[0] == '/')
        return strdup(path);
    here = getcwd(NULL, 0);
    return here && asprintf(&whole, "%s/%s", here, path) >= 0 ? whole : NULL;
}

static int run_restore(const struct ctl *ctl)
{
    _cleanup_free_ char *output = NULL;
    Control__Restore body = CONTROL__RESTORE__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;

    if (restore.use_etcdutl) {
        show_failure(
                "give --use-etcdutl=false: restore writes a snapshot file, and etcdutl snapshot restore (etcd 3.4: "
                "etcdctl) makes a data directory of it");
        return CTL_USAGE;
    }
    if (restore.output) {
        output = absolute_path(restore.output);
        if (!output) {
            show_failure("cannot tell the working directory");
            return CTL_FAILED;
        }
        body.output = output;
    }
    body.latest = !restore.has_instant;
    body.instant = restore.instant;
    body.allow_renamed = restore.allow_renamed;
    body.skip_hash_check = restore.skip_hash_check;
    body.allow_plain = restore.allow_plain;
    request.body_case = CONTROL__REQUEST__BODY_RESTORE;
    request.restore = &body;
    return ask(ctl, &request, true);
}

const struct command command_table[] = {
        {
                .name = "backup",
                .help = "take a snapshot of etcd and store it in the bucket",
                .options = no_options,
                .letters = "",
                .usage = "",
                .run = run_backup,
        },
        {
                .name = "list",
                .help = "show the backups in the bucket, newest first",
                .options = no_options,
                .letters = "",
                .usage = "",
                .run = run_list,
        },
        {
                .name = "status",
                .help = "show what the daemon is doing and how it went",
                .options = no_options,
                .letters = "",
                .usage = "",
                .run = run_status,
        },
        {
                .name = "restore",
                .help = "read a backup back into a snapshot file, decrypted and checked",
                .options = restore_options,
                .letters = "t:u::",
                .usage = "  -t, --backup-timestamp TIME  the backup of this instant (RFC 3339); default: the latest\n"
                         "  -u, --use-etcdutl=false      leave the snapshot in a file, do not unpack it\n"
                         "      --output FILE            the file; default: snapshot_path of the configuration\n"
                         "      --allow-renamed          accept a backup whose objects were renamed\n"
                         "      --skip-hash-check        accept a snapshot without etcd's SHA-256 at its end\n"
                         "      --allow-plain            accept one that is not encrypted, though the master key is "
                         "configured\n",
                .set = set_restore,
                .run = run_restore,
        },
};

const unsigned command_count = ARRAY_LEN(command_table);
