#include "job/backup/comparison.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* A member reads 200 to 600 MiB in a second when it computes the hash; several may be asked, from a cold disk. */
enum { LIMIT_MS = 30 * 1000, LIMIT_MS_PER_MIB = 20 };

struct comparison {
    struct etcd_compare *compare;
    void *ctx;
    void (*on_done)(void *ctx, const struct etcd_compare_result *members);
};

CLEANUP_FUNC(struct comparison *, comparison_free)

static void on_compared(void *ctx, const struct etcd_compare_result *members)
{
    struct comparison *c = ctx;

    c->on_done(c->ctx, members);
}

/* Whether it is known what the members are to be asked for. */
static const char *objection(struct core *core, const struct backup_result *b)
{
    if (!core_conf(core)->etcd.compare_members)
        return "etcd_client.compare_members is false";
    if (b->facts.structure != BOLT_SOUND)
        return "the database was not inspected";
    return b->facts.has_keys ? NULL : "the database is not etcd's";
}

struct comparison *comparison_start(struct core *core, const struct comparison_spec *spec, char *why)
{
    const struct backup_result *b = spec->backup;
    const char *objects = objection(core, b);
    _cleanup_(cleanup_comparison_free) struct comparison *c = objects ? NULL : calloc(1, sizeof(*c));
    struct err e = ERR_INIT;
    struct etcd_compare_spec compare = {
            .endpoint = b->member.endpoint,
            .cluster_id = b->member.cluster_id,
            .member_id = b->member.member_id,
            .revision = b->facts.current,
            .compact_revision = b->facts.compacted,
            .limit_ms = LIMIT_MS + (b->snapshot_size >> 20) * LIMIT_MS_PER_MIB,
            .ctx = c,
            .done = on_compared,
    };

    err_set(&e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "%s", objects ? objects : "out of memory");
    compare.client = c ? core_etcd(core, &e) : NULL;
    if (compare.client) {
        c->ctx = spec->ctx;
        c->on_done = spec->on_done;
        c->compare = etcd_compare_start(&compare, &e);
    }
    if (c && c->compare)
        return TAKE_PTR(c);
    (void)snprintf(why, ETCD_COMPARE_WHY_MAX, "%s", e.text);
    return NULL;
}

void comparison_free(struct comparison *c)
{
    if (!c)
        return;
    etcd_compare_close(c->compare);
    free(c);
}
