#include "ctl/ls_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "ctl/answer.h"
#include "ctl/key_text.h"
#include "ctl/look.h"
#include "ctl/show.h"

enum { OPT_PREFIXES = 256 };

const struct option ls_options[] = {
        LOOK_OPTIONS,
        {"long", no_argument, NULL, 'l'},
        {"prefixes", required_argument, NULL, OPT_PREFIXES},
        {0},
};

const char ls_usage[] =
        "  -l, --long                   revisions, version, size of the value and lease of each key, too\n"
        "      --prefixes N             not each key: how many, and their bytes, by what they begin\n"
        "                               with, up to the Nth slash\n" LOOK_USAGE;

static struct {
    struct look look;
    bool is_long;
    uint64_t prefixes; /* 0: each key */
} ls = {.look = {LOOK_INIT}};

int ls_set(int letter, const char *value)
{
    switch (letter) {
    case 'l':
        ls.is_long = true;
        return 0;
    case OPT_PREFIXES:
        return word_count("--prefixes", value, &ls.prefixes);
    default:
        return look_set(&ls.look, letter, value);
    }
}

/* ---- each key ---- */

static void put_json(const struct key_value *kv)
{
    bool first = true;

    key_text_json(stdout, &first, "key", kv->key);
    json_signed(stdout, &first, "create_revision", kv->create_revision);
    json_signed(stdout, &first, "mod_revision", kv->mod_revision);
    json_signed(stdout, &first, "version", kv->version);
    json_signed(stdout, &first, "lease", kv->lease);
    json_number(stdout, &first, "size", kv->value.len);
    (void)puts("}");
}

static void put_long_header(void)
{
    (void)printf("%12s  %12s  %8s  %9s  %16s  %s\n", "CREATED", "MODIFIED", "VERSION", "SIZE", "LEASE", "KEY");
}

static void put_long(const struct key_value *kv)
{
    char lease[20] = "-";

    if (kv->lease)
        (void)snprintf(lease, sizeof(lease), "%016" PRIx64, (uint64_t)kv->lease); /* as etcdctl shows it */
    (void)printf("%12" PRId64 "  %12" PRId64 "  %8" PRId64 "  %9zu  %16s  ", kv->create_revision, kv->mod_revision,
            kv->version, kv->value.len, lease);
}

static void put_key(const struct ctl *ctl, const struct key_value *kv)
{
    if (ctl->json) {
        put_json(kv);
        return;
    }
    if (ls.is_long)
        put_long(kv);
    key_text_put(stdout, kv->key);
    (void)putchar('\n');
}

static void put_keys(const struct ctl *ctl, const struct keyspace_live *live)
{
    if (ls.is_long && !ctl->json && keyspace_live_count(live) > 0)
        put_long_header();
    for (size_t i = 0; i < keyspace_live_count(live); i++) {
        struct key_value kv = keyspace_live_at(live, i);

        put_key(ctl, &kv);
    }
}

/* ---- what fills the database ---- */

struct sum {
    struct bytes prefix;
    uint64_t keys, bytes;
};

/* Up to and with the Nth slash behind the first byte: a key that begins with one has its first component behind it. */
static struct bytes prefix_of(struct bytes key)
{
    uint64_t slashes = 0;

    for (size_t i = 1; i < key.len; i++)
        if (key.data[i] == '/' && ++slashes == ls.prefixes)
            return (struct bytes){key.data, i + 1};
    return key;
}

static void put_sum(const struct ctl *ctl, const struct sum *s)
{
    bool first = true;

    if (s->keys == 0)
        return;
    if (ctl->json) {
        key_text_json(stdout, &first, "prefix", s->prefix);
        json_number(stdout, &first, "keys", s->keys);
        json_number(stdout, &first, "bytes", s->bytes);
        (void)puts("}");
        return;
    }
    (void)printf("%10" PRIu64 "  %14" PRIu64 "  ", s->keys, s->bytes);
    key_text_put(stdout, s->prefix);
    (void)putchar('\n');
}

/* Those that begin alike follow each other. */
static void put_prefixes(const struct ctl *ctl, const struct keyspace_live *live)
{
    struct sum sum = {.keys = 0};

    if (!ctl->json && keyspace_live_count(live) > 0)
        (void)printf("%10s  %14s  %s\n", "KEYS", "BYTES", "PREFIX");
    for (size_t i = 0; i < keyspace_live_count(live); i++) {
        struct key_value kv = keyspace_live_at(live, i);
        struct bytes prefix = prefix_of(kv.key);

        if (sum.keys > 0 && bolt_key_compare(prefix, sum.prefix) != 0) {
            put_sum(ctl, &sum);
            sum = (struct sum){.keys = 0};
        }
        sum.prefix = prefix;
        sum.keys++;
        sum.bytes += kv.key.len + kv.value.len;
    }
    put_sum(ctl, &sum);
}

int ls_run(const struct ctl *ctl)
{
    _cleanup_database_ struct database d = DATABASE_INIT;
    _cleanup_(cleanup_keyspace_live_free) struct keyspace_live *live = NULL;
    int status = look_open(&ls.look, ctl, &d);

    if (status == CTL_DONE)
        live = look_keys(ctl, &d, look_bytes(ctl->argument), &status);
    if (!live)
        return status;
    if (ls.prefixes)
        put_prefixes(ctl, live);
    else
        put_keys(ctl, live);
    status = answer_end(status, true);
    look_tell_count(ctl, &d, live);
    return status;
}
