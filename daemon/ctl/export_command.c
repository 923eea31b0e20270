#include "ctl/export_command.h"

#include <inttypes.h>
#include <stdio.h>

#include "ctl/answer.h"
#include "ctl/key_text.h"
#include "ctl/look.h"
#include "ctl/show.h"

enum { OPT_ETCDCTL = 256 };

/* What goes into one transaction: etcd takes 128 operations and 1.5 MiB (--max-txn-ops, --max-request-bytes). */
enum { BATCH_KEYS = 100, BATCH_BYTES = 512 * 1024 };

const struct option export_options[] = {
        LOOK_OPTIONS,
        {"etcdctl", no_argument, NULL, OPT_ETCDCTL},
        {0},
};

const char export_usage[] =
        "      --etcdctl                not JSON: a script for sh that puts them back with etcdctl\n" LOOK_USAGE;

static struct {
    struct look look;
    bool is_script;
} chosen = {.look = {LOOK_INIT}};

int export_set(int letter, const char *value)
{
    if (letter != OPT_ETCDCTL)
        return look_set(&chosen.look, letter, value);
    chosen.is_script = true;
    return 0;
}

/* ---- a script ---- */

/* etcdctl reads a transaction from its standard input: conditions, what is done if they hold, what if not, each ended
 * by an empty line; words in double quotes as Go has them, in which any byte has a place. */
static void begin_batch(void)
{
    (void)puts("etcdctl txn >/dev/null <<'END'\n");
}

static void end_batch(void)
{
    (void)puts("\n\nEND");
}

static void put_operation(const struct key_value *kv)
{
    (void)fputs("put -- ", stdout);
    key_text_quote(stdout, kv->key);
    (void)putchar(' ');
    key_text_quote(stdout, kv->value);
    (void)putchar('\n');
}

/* Returns how many of them had a lease. */
static uint64_t put_operations(const struct keyspace_live *live)
{
    size_t keys = 0, bytes = 0;
    uint64_t leases = 0;

    for (size_t i = 0; i < keyspace_live_count(live); i++) {
        struct key_value kv = keyspace_live_at(live, i);
        size_t len = kv.key.len + kv.value.len;

        if (keys > 0 && (keys == BATCH_KEYS || bytes + len > BATCH_BYTES)) {
            end_batch();
            keys = bytes = 0;
        }
        if (keys == 0)
            begin_batch();
        put_operation(&kv);
        keys++;
        bytes += len;
        leases += kv.lease != 0;
    }
    if (keys > 0)
        end_batch();
    return leases;
}

static void put_script(const struct ctl *ctl, const struct database *d, const struct keyspace_live *live)
{
    uint64_t leases;

    (void)printf("#!/bin/sh\n# %zu keys at revision %" PRId64 ". Where etcd is, and by which rights it is written to,\n"
                 "# etcdctl takes from its environment: ETCDCTL_ENDPOINTS, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY.\n"
                 "set -eu\nexport ETCDCTL_API=3\n",
            keyspace_live_count(live), d->revision);
    leases = put_operations(live);
    if (leases && !ctl->quiet)
        (void)fprintf(stderr, "note: %" PRIu64 " of %zu keys had a lease; they are put back without, and stay\n",
                leases, keyspace_live_count(live));
}

int export_run(const struct ctl *ctl)
{
    _cleanup_database_ struct database d = DATABASE_INIT;
    _cleanup_(cleanup_keyspace_live_free) struct keyspace_live *live = NULL;
    int status = look_open(&chosen.look, ctl, &d);

    if (status == CTL_DONE)
        live = look_keys(ctl, &d, look_bytes(ctl->argument), &status);
    if (!live)
        return status;
    if (chosen.is_script)
        put_script(ctl, &d, live);
    for (size_t i = 0; i < keyspace_live_count(live) && !chosen.is_script; i++) {
        struct key_value kv = keyspace_live_at(live, i);

        look_put_json(&kv);
    }
    status = answer_end(status, true);
    look_tell_count(ctl, &d, live);
    return status;
}
