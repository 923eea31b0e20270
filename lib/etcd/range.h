/*
 * range.h: the names of keys and their revisions, as one member knows them, a page at a time. No values.
 *
 * etcd's rpc.proto, KV.Range: serializable, so the member answers alone and no quorum is asked; keys_only; in the order
 * of the names. All pages are of the revision of the first, so they fit together; should it be compacted meanwhile,
 * that is an error. Nothing is asked for before the owner wants it: etcd works as fast as he reads.
 *
 * Each page says how many keys there are from its first one on, so what is missing is noticed, and the end is known
 * from the beginning. What an honest member cannot say is an error: keys out of order, beside what was asked for, of
 * revisions that are not there yet; counts that do not fit; another cluster. So a walk ends, and with all keys or none.
 *
 * Where etcd's authentication is on, a token that it does not accept any more is replaced, once for each page.
 */
#pragma once

#include "base/bytes.h"
#include "etcd/client.h"
#include "etcd/messages.h"

struct etcd_range;

struct etcd_range_spec {
    struct etcd_session *session; /* ready; closing it ends the range without a call back */
    struct bytes prefix;          /* of the names; copied; empty: all */
    void *ctx;
    void (*on_key)(void *ctx, const struct etcd_messages_key *key); /* several for each page; valid during the call */
    /* A page is over, once for each etcd_range_next: err, or whether there are more, and the revision of it all. */
    void (*on_page)(void *ctx, bool has_more, int64_t revision, const struct err *err);
};

/* The caller frees, before the session. Errors: ERR_RESOURCE, those of etcd_session_attach. */
struct etcd_range *etcd_range_new(const struct etcd_range_spec *spec, struct err *e);

/* Asks for the next page; not while one is awaited, or behind the last. It has the client's request_timeout, as has a
 * new token. Errors: ERR_RESOURCE, ERR_TRANSIENT. */
int etcd_range_next(struct etcd_range *r, struct err *e);

/* NULL is fine. */
void etcd_range_free(struct etcd_range *r);
