/*
 * look.h: what the commands that look inside a backup have in common (ls, get, diff, export): which backup, which
 * revision, and how they fail.
 *
 * The daemon fetches the backup, decrypts and checks it, into a file without a name, and hands that over: only to root
 * and to its own user. All else is done here, by the person's own process: a listing that somebody reads with a pager
 * keeps nothing of the daemon, no damaged database is opened in it, and what is done with values is done by who may
 * have them. With --file there is no daemon at all.
 */
#pragma once

#include <getopt.h>

#include "ctl/brought.h"
#include "ctl/ctl.h"
#include "ctl/database.h"
#include "ctl/words.h"
#include "keyspace/live.h"

/* Bytes that an index of keys may take: some twelve million keys. */
#define LOOK_MEMORY_MAX (UINT64_C(1) << 30)

/* Which one. */
struct look {
    struct word_backup backup; /* else the latest */
    const char *file;          /* or this snapshot on disk; NULL: a backup */
    uint64_t revision;         /* 0: the current one */
    bool allow_renamed, allow_plain, skip_hash_check;
};

#define LOOK_INIT .backup = {.name = ""}

enum { LOOK_FILE = 512, LOOK_REVISION, LOOK_ALLOW_RENAMED, LOOK_ALLOW_PLAIN, LOOK_SKIP_HASH_CHECK };

/* Rows of a command's options and lines of its usage. */
#define LOOK_OPTIONS                                                                                                   \
    {"backup-timestamp", required_argument, NULL, 't'}, {"file", required_argument, NULL, LOOK_FILE},                  \
            {"rev", required_argument, NULL, LOOK_REVISION}, {"allow-renamed", no_argument, NULL, LOOK_ALLOW_RENAMED}, \
            {"allow-plain", no_argument, NULL, LOOK_ALLOW_PLAIN}, BROUGHT_OPTIONS,                                     \
    {                                                                                                                  \
        "skip-hash-check", no_argument, NULL, LOOK_SKIP_HASH_CHECK                                                     \
    }
#define LOOK_USAGE                                                                                                     \
    "  -t, --backup-timestamp TIME  the backup of this instant (RFC 3339), or its name; default: the latest\n"         \
    "      --file SNAPSHOT          no backup: a plain snapshot on disk\n"                                             \
    "      --rev N                  as it was at this revision; default: the last one\n"                               \
    "      --allow-renamed          accept a backup whose objects were renamed\n"                                      \
    "      --allow-plain            accept one that is not encrypted, though the master key is configured\n"           \
    "      --skip-hash-check        accept a snapshot without etcd's SHA-256 at its end\n" BROUGHT_USAGE

/* Takes one of these options: 0, or -1 with a line printed. */
int look_set(struct look *l, int letter, const char *value);

/* Opens it. CTL_DONE, or another exit status, with a line printed. The caller closes the database in any case, and
 * calls database_prove, or look_keys which does, before he tells what is in it. */
int look_open(const struct look *l, const struct ctl *ctl, struct database *d);

/* The keys below a prefix; NULL with a line printed and *status set. The caller frees, before the database. */
struct keyspace_live *look_keys(const struct ctl *ctl, struct database *d, struct bytes prefix, int *status);

/* The text of a command line as bytes; NULL is empty. */
struct bytes look_bytes(const char *text);

/* A key and all that belongs to it, as one object of JSON on a line. */
void look_put_json(const struct key_value *kv);

/* How many there were, on stderr: of a prefix that was mistyped none. */
void look_tell_count(const struct ctl *ctl, const struct database *d, const struct keyspace_live *live);

/* Tells why it failed, also as JSON, and returns the exit status. */
int look_failed(const struct ctl *ctl, const struct err *e);
