#include "ctl/restore_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/peer_urls.h"
#include "ctl/ask.h"
#include "ctl/brought.h"
#include "ctl/show.h"
#include "ctl/words.h"

enum {
    OPT_OUTPUT = 256,
    OPT_ALLOW_RENAMED,
    OPT_SKIP_HASH_CHECK,
    OPT_ALLOW_PLAIN,
    OPT_BUMP_REVISION,
    OPT_MARK_COMPACTED,
    OPT_WAL_DIR,
    OPT_OWNER,
    OPT_DRY_RUN,
};

const struct option restore_options[] = {
        {"backup-timestamp", required_argument, NULL, 't'},
        {"data-dir", required_argument, NULL, 'd'},
        {"etcdutl-path", required_argument, NULL, 'e'},
        {"initial-cluster-token", required_argument, NULL, 'o'},
        {"initial-cluster", required_argument, NULL, 'l'},
        {"initial-advertise-peer-urls", required_argument, NULL, 'a'},
        {"name", required_argument, NULL, 'n'},
        {"use-etcdutl", optional_argument, NULL, 'u'},
        {"output", required_argument, NULL, OPT_OUTPUT},
        {"wal-dir", required_argument, NULL, OPT_WAL_DIR},
        {"owner", required_argument, NULL, OPT_OWNER},
        {"bump-revision", required_argument, NULL, OPT_BUMP_REVISION},
        {"mark-compacted", no_argument, NULL, OPT_MARK_COMPACTED},
        {"dry-run", no_argument, NULL, OPT_DRY_RUN},
        {"allow-renamed", no_argument, NULL, OPT_ALLOW_RENAMED},
        {"skip-hash-check", no_argument, NULL, OPT_SKIP_HASH_CHECK},
        {"allow-plain", no_argument, NULL, OPT_ALLOW_PLAIN},
        {"data-key", required_argument, NULL, OPT_DATA_KEY},
        BROUGHT_OPTIONS,
        {0},
};

const char restore_usage[] =
        "  -t, --backup-timestamp TIME  the backup of this instant (RFC 3339), or its name; default: the latest\n"
        "  -d, --data-dir DIR           the data directory to make; must be absent or empty\n"
        "  -e, --etcdutl-path FILE      etcdutl, or etcdctl of 3.4; default: etcdutl in the daemon's PATH, else "
        "etcdctl\n"
        "  -n, --name NAME              of the member (default: default)\n"
        "  -l, --initial-cluster LIST   NAME=URL of all members (default: default=http://localhost:2380)\n"
        "  -a, --initial-advertise-peer-urls LIST\n"
        "                               of this member (default: http://localhost:2380)\n"
        "  -o, --initial-cluster-token TOKEN\n"
        "                               the same on all members (default: etcd-cluster)\n"
        "      --wal-dir DIR            etcd's log in a directory of its own\n"
        "      --bump-revision N        raise the revision by N, so that who watches notices (1000000000 is usual);\n"
        "                               together with --mark-compacted\n"
        "      --mark-compacted         mark the revisions before as compacted\n"
        "      --owner USER[:GROUP]     whose the directory will be; default: whose the directory above is\n"
        "      --dry-run                look whether all of this could be done, and do nothing\n"
        "  -u, --use-etcdutl=false      leave the snapshot in a file, do not unpack it\n"
        "      --output FILE            the file, which replaces one of that name when it is whole; default:\n"
        "                               snapshot_path of the configuration. With --data-dir it has no name and goes\n"
        "                               when it is unpacked: this says on which disk there is room for it\n"
        "      --allow-renamed          accept a backup whose objects were renamed\n"
        "      --skip-hash-check        accept a snapshot without etcd's SHA-256 at its end\n"
        "      --allow-plain            accept one that is not encrypted, though the master key is configured\n"
        "      --data-key FILE          what age -d makes of a sealed backup's key, for identities that age's plugins\n"
        "                               have; -: standard input\n" BROUGHT_USAGE;

/* What etcdutl is told when an option is left out: the Go tool's defaults, which are also etcd's own. */
static struct {
    bool has_cluster, use_etcdutl, allow_renamed, skip_hash_check, allow_plain, mark_compacted, dry_run;
    struct word_backup backup;
    uint64_t bump_revision;
    const char *output, *data_dir, *wal_dir, *tool, *token, *cluster, *peer_urls, *name, *owner;
} restore = {
        .use_etcdutl = true,
        .token = "etcd-cluster",
        .cluster = "default=http://localhost:2380",
        .peer_urls = "http://localhost:2380",
        .name = "default",
        .owner = "",
        .backup = {.name = ""},
};

static const char **text_of(int letter)
{
    switch (letter) {
    case 'd':
        return &restore.data_dir;
    case 'e':
        return &restore.tool;
    case 'o':
        return &restore.token;
    case 'l':
        return &restore.cluster;
    case 'a':
        return &restore.peer_urls;
    case 'n':
        return &restore.name;
    case OPT_OUTPUT:
        return &restore.output;
    case OPT_WAL_DIR:
        return &restore.wal_dir;
    case OPT_OWNER:
        return &restore.owner;
    default:
        return NULL;
    }
}

static bool *flag_of(int letter)
{
    switch (letter) {
    case OPT_ALLOW_RENAMED:
        return &restore.allow_renamed;
    case OPT_SKIP_HASH_CHECK:
        return &restore.skip_hash_check;
    case OPT_ALLOW_PLAIN:
        return &restore.allow_plain;
    case OPT_MARK_COMPACTED:
        return &restore.mark_compacted;
    case OPT_DRY_RUN:
        return &restore.dry_run;
    default:
        return NULL;
    }
}

static const char *long_name(int letter)
{
    const struct option *o = restore_options;

    while (o->name && o->val != letter)
        o++;
    return o->name;
}

/* An empty path is most often a variable of a script that was not set. */
static int set_text(int letter, const char **text, const char *value)
{
    if (!*value) {
        (void)fprintf(stderr, "etcd-backupctl: --%s is empty\n", long_name(letter));
        return -1;
    }
    *text = value;
    return 0;
}

int restore_set(int letter, const char *value)
{
    const char **text = text_of(letter);
    bool *flag = flag_of(letter);

    if (brought_set(letter, value))
        return 0;
    restore.has_cluster = restore.has_cluster || letter == 'l';
    if (text)
        return set_text(letter, text, value);
    if (flag)
        *flag = true;
    if (letter == 'u')
        return word_bool(value, &restore.use_etcdutl);
    if (letter == OPT_BUMP_REVISION)
        return word_count("--bump-revision", value, &restore.bump_revision);
    return letter == 't' ? word_backup(value, &restore.backup) : 0;
}

static int check_usage(void)
{
    if (restore.use_etcdutl && !restore.data_dir) {
        show_failure("which data directory? give --data-dir; or --use-etcdutl=false for a snapshot file");
        return -1;
    }
    if (!restore.use_etcdutl &&
            (restore.wal_dir || restore.bump_revision || restore.mark_compacted || *restore.owner)) {
        show_failure("--wal-dir, --owner, --bump-revision and --mark-compacted are for a data directory: not with "
                     "--use-etcdutl=false");
        return -1;
    }
    return 0;
}

static void on_wrong(void *ctx, const struct err *e)
{
    *(bool *)ctx = true;
    show_failure(e->text);
}

/* What is wrong with the words themselves needs no daemon to know. */
static int check_members(const struct ctl *ctl)
{
    const struct peer_urls given = {.name = restore.name, .cluster = restore.cluster, .advertised = restore.peer_urls};
    bool is_wrong = false;

    peer_urls_check(&given, on_wrong, &is_wrong);
    if (!is_wrong && !ctl->quiet && peer_urls_are_mixed(restore.cluster))
        (void)fputs("warning: --initial-cluster has members with http and with https\n", stderr);
    return is_wrong ? -1 : 0;
}

/* Names that mean something else to people, and would become files. */
static int check_output(void)
{
    const char *name = restore.output;

    if (name && strcmp(name, "-") == 0) {
        show_failure(
                "--output -: the daemon writes it, and not to our standard output: name a file (./- for one of that "
                "name)");
        return -1;
    }
    if (name && strstr(name, "://")) {
        show_failure("--output: the name of a file is wanted, not a URL");
        return -1;
    }
    return 0;
}

/* The strings are borrowed; the paths are owned by the caller. */
static void fill_unpack(Control__Unpack *m, char *data_dir, char *wal_dir, char *tool)
{
    m->data_dir = data_dir;
    m->wal_dir = wal_dir ? wal_dir : m->wal_dir;
    m->tool = tool ? tool : m->tool;           /* else the daemon looks in its own PATH, which is not ours to decide */
    m->name = (char *)(uintptr_t)restore.name; /* protobuf-c's strings are not const */
    m->initial_cluster = (char *)(uintptr_t)restore.cluster;
    m->initial_cluster_token = (char *)(uintptr_t)restore.token;
    m->initial_advertise_peer_urls = (char *)(uintptr_t)restore.peer_urls;
    m->owner = (char *)(uintptr_t)restore.owner;
    m->bump_revision = restore.bump_revision;
    m->mark_compacted = restore.mark_compacted;
}

int restore_run(const struct ctl *ctl)
{
    _cleanup_free_ char *output = restore.output ? word_path(restore.output) : NULL;
    _cleanup_free_ char *data_dir = restore.data_dir ? word_path(restore.data_dir) : NULL;
    _cleanup_free_ char *wal_dir = restore.wal_dir ? word_path(restore.wal_dir) : NULL;
    _cleanup_free_ char *tool = restore.tool ? word_program(restore.tool) : NULL;
    Control__Unpack unpack = CONTROL__UNPACK__INIT;
    Control__Restore body = CONTROL__RESTORE__INIT;
    Control__Brought brought = CONTROL__BROUGHT__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    int status;

    if (check_usage() < 0 || check_output() < 0 || (restore.use_etcdutl && check_members(ctl) < 0))
        return CTL_USAGE;
    if ((restore.output && !output) || (restore.data_dir && !data_dir) || (restore.wal_dir && !wal_dir) ||
            (restore.tool && !tool))
        return CTL_FAILED;
    if (restore.use_etcdutl && !restore.has_cluster && !ctl->quiet)
        (void)fputs("warning: no --initial-cluster is given: this makes a new cluster of one member\n", stderr);
    if (restore.use_etcdutl && restore.output && !ctl->quiet)
        (void)fputs("note: the file is there for as long as it is unpacked; --use-etcdutl=false leaves one\n", stderr);
    if (restore.use_etcdutl) {
        fill_unpack(&unpack, data_dir, wal_dir, tool);
        body.unpack = &unpack;
    }
    if (output)
        body.output = output;
    status = brought_read(ctl, &brought, &body.brought);
    if (status != CTL_DONE)
        return status;
    body.latest = !restore.backup.is_given;
    body.instant = restore.backup.instant;
    body.object = (char *)(uintptr_t)restore.backup.name;
    body.allow_renamed = restore.allow_renamed;
    body.skip_hash_check = restore.skip_hash_check;
    body.allow_plain = restore.allow_plain;
    body.dry_run = restore.dry_run;
    request.body_case = CONTROL__REQUEST__BODY_RESTORE;
    request.restore = &body;
    return ask(ctl, &request, true);
}
