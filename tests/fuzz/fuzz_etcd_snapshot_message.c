/*
 * A SnapshotResponse whose blob is handed on as it comes: whatever it is and however it is cut, it says what protobuf-c
 * reads in it, or is refused. Refused beyond what protobuf-c refuses are two blobs, and more beside the blob than it
 * can have. Input: a byte that says how it is cut, and the message.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "etcd.pb-c.h"
#include "etcd/snapshot_message.h"

struct outcome {
    bool good;
    struct etcd_messages_snapshot told;
    uint8_t *blob;
    size_t blob_len;
};

/* A piece is a block of its own: nothing is read past it, or later. */
static int feed(struct etcd_snapshot_message *m, const uint8_t *data, size_t len, struct outcome *o)
{
    uint8_t *copy = malloc(len);
    struct bytes piece = {.data = copy, .len = len}, blob;
    struct err e = ERR_INIT;
    int rc;

    FUZZ_CHECK(copy);
    memcpy(copy, data, len);
    while ((rc = etcd_snapshot_message_next(m, &piece, &blob, &e)) > 0) {
        memcpy(o->blob + o->blob_len, blob.data, blob.len);
        o->blob_len += blob.len;
    }
    FUZZ_CHECK(rc < 0 ? e.kind == ERR_PROTOCOL : piece.len == 0);
    free(copy);
    return rc;
}

static struct outcome stream(const uint8_t *data, size_t len, size_t cut)
{
    struct outcome o = {.blob = malloc(len + 1)};
    struct etcd_snapshot_message m;
    struct err e = ERR_INIT;
    int rc = 0;

    FUZZ_CHECK(o.blob);
    etcd_snapshot_message_begin(&m, len);
    for (size_t at = 0; rc == 0 && at < len; at += cut)
        rc = feed(&m, data + at, len - at < cut ? len - at : cut, &o);
    o.good = rc == 0 && etcd_snapshot_message_end(&m, &o.told, &e) == 0;
    FUZZ_CHECK(!o.good || m.blob_len == o.blob_len);
    return o;
}

/* Whether a message that protobuf-c reads may be refused: it has two blobs, or much beside them. */
static bool may_be_refused(const uint8_t *data, size_t len, const Etcdserverpb__SnapshotResponse *m)
{
    const uint8_t *first = memchr(data, 0x1a, len);

    return len - m->blob.len > ETCD_SNAPSHOT_REST_MAX ||
           (first && memchr(first + 1, 0x1a, len - (size_t)(first - data) - 1)) || memchr(data, 0x9a, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    Etcdserverpb__SnapshotResponse *m;
    struct outcome o;

    if (len < 1)
        return 0;
    o = stream(data + 1, len - 1, data[0] ? data[0] : len);
    m = etcdserverpb__snapshot_response__unpack(NULL, len - 1, data + 1);
    if (o.good) {
        FUZZ_CHECK(m && m->remaining_bytes == o.told.remaining && m->blob.len == o.blob_len);
        FUZZ_CHECK(o.blob_len == 0 || memcmp(m->blob.data, o.blob, o.blob_len) == 0);
        FUZZ_CHECK(strlen(o.told.storage_version) <= strlen(m->version));
    } else if (m) {
        FUZZ_CHECK(may_be_refused(data + 1, len - 1, m));
    }
    if (m)
        etcdserverpb__snapshot_response__free_unpacked(m, NULL);
    free(o.blob);
    return 0;
}
