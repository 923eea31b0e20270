#include "etcd/snapshot_check.h"

#include <inttypes.h>

struct message {
    uint64_t blob_len, remaining;
};

static int protocol_error(const struct etcd_snapshot_check *c, struct message m, const char *what, struct err *e)
{
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, (int64_t)c->arrived,
            "snapshot stream: %s (at byte %" PRIu64 " of %" PRIu64 ": %" PRIu64 " more, then remaining_bytes %" PRIu64
            ")",
            what, c->arrived, c->total, m.blob_len, m.remaining);
}

static int begin(struct etcd_snapshot_check *c, struct message m, struct err *e)
{
    /* Far above anything real, and low enough that no sum of sizes can overflow anywhere. */
    const uint64_t size_max = UINT64_C(1) << 60;

    if (m.blob_len > size_max || m.remaining > size_max - m.blob_len)
        return protocol_error(c, m, "absurd size announced", e);
    if (m.blob_len + m.remaining == 0)
        return protocol_error(c, m, "a database of no bytes announced", e);
    c->total = m.blob_len + m.remaining + ETCD_SNAPSHOT_TRAILER;
    return 0;
}

static int database_bytes(struct etcd_snapshot_check *c, struct message m, struct err *e)
{
    uint64_t missing = c->total - ETCD_SNAPSHOT_TRAILER - c->arrived;

    if (m.blob_len > missing)
        return protocol_error(c, m, "more bytes than announced", e);
    if (m.remaining != missing - m.blob_len)
        return protocol_error(c, m, "remaining_bytes does not match the bytes that arrived", e);
    c->arrived += m.blob_len;
    return 0;
}

static int trailer(struct etcd_snapshot_check *c, struct message m, struct err *e)
{
    if (m.remaining != 0)
        return protocol_error(c, m, "remaining_bytes is not 0 at the end", e);
    if (m.blob_len != ETCD_SNAPSHOT_TRAILER)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)c->arrived,
                "snapshot ends with %" PRIu64 " bytes in place of etcd's SHA-256", m.blob_len);
    c->arrived += m.blob_len;
    return 0;
}

int etcd_snapshot_check_message(struct etcd_snapshot_check *c, uint64_t blob_len, uint64_t remaining, struct err *e)
{
    const struct message m = {.blob_len = blob_len, .remaining = remaining};

    if (c->total == 0 && begin(c, m, e) < 0)
        return -1;
    if (etcd_snapshot_check_is_whole(c))
        return protocol_error(c, m, "more messages after the end", e);
    if (c->arrived == c->total - ETCD_SNAPSHOT_TRAILER)
        return trailer(c, m, e);
    if (m.blob_len > 0)
        c->empty = 0;
    else if (++c->empty > ETCD_SNAPSHOT_EMPTY_MAX)
        return protocol_error(c, m,
                "empty messages without end, as etcd sends them when it cannot read its own database: look at its log "
                "and its disk",
                e);
    return database_bytes(c, m, e);
}

bool etcd_snapshot_check_is_whole(const struct etcd_snapshot_check *c)
{
    return c->total > 0 && c->arrived == c->total;
}

int etcd_snapshot_check_end(const struct etcd_snapshot_check *c, struct err *e)
{
    uint64_t database = c->total - ETCD_SNAPSHOT_TRAILER;

    if (etcd_snapshot_check_is_whole(c))
        return 0;
    if (c->total == 0)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, 0, "snapshot ended before its first byte");
    if (c->arrived == database)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)c->arrived,
                "snapshot ended without etcd's SHA-256 (all %" PRIu64 " bytes of the database arrived)", database);
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_FORMAT, (int64_t)c->arrived,
            "snapshot is cut off: it ended after %" PRIu64 " of %" PRIu64 " bytes", c->arrived, c->total);
}
