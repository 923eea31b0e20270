/*
 * live.h: which keys etcd has now, for somebody who compares them with a backup: names and revisions, page by page, as
 * fast as he takes them. It changes nothing, and needs no place among the jobs.
 */
#pragma once

#include "base/bytes.h"
#include "core/core.h"
#include "etcd/range.h"

struct live;

struct live_spec {
    struct bytes prefix; /* of the names; copied; empty: all */
    void *ctx;
    void (*on_key)(void *ctx, const struct etcd_messages_key *key); /* valid during the call */
    void (*on_page)(void *ctx); /* all of a page was told: live_next when there is room for another */
    /* The end, once, unless freed: err, or the revision that all is of. */
    void (*on_done)(void *ctx, int64_t revision, const struct err *err);
};

/* Starts with the first page. The core must be acquired. The caller frees. Errors: ERR_RESOURCE, those of core_etcd. */
struct live *live_start(struct core *core, const struct live_spec *spec, struct err *e);

/* After on_page. on_page or on_done follows, never inside this call. Errors of etcd_range_next. */
int live_next(struct live *l, struct err *e);

/* Never calls back. Not inside on_key. NULL is fine. */
void live_free(struct live *l);
