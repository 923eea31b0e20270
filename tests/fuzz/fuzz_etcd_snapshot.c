/*
 * A stream of SnapshotResponse, from its bytes to the chunks that a consumer gets: whatever a server sends, what comes
 * out is what came in, what is called whole is what was announced, and the credit adds up.
 *
 * Input: messages, each after its length in two bytes, low one first. The top bit of the length: the consumer takes all
 * that there is.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "etcd/chunks.h"
#include "etcd/snapshot_check.h"
#include "etcd/snapshot_message.h"

enum { CHUNK = 64, WINDOW = 40000, PART = 50 };

struct stream {
    struct etcd_snapshot_check check;
    struct etcd_chunks *chunks;
    uint8_t *sent; /* all blobs, one after the other */
    size_t sent_len, taken;
    uint64_t charged, credited;
    bool last_taken;
    bool is_cut; /* a message was refused of which there was something already */
};

static void take_credit(struct stream *s)
{
    s->credited += etcd_chunks_take_credit(s->chunks);
    FUZZ_CHECK(s->is_cut || s->credited <= s->charged);
    FUZZ_CHECK(s->is_cut || etcd_chunks_uncredited(s->chunks) == s->charged - s->credited);
}

static void consume(struct stream *s)
{
    struct bytes chunk;
    bool last = false;

    while ((chunk = etcd_chunks_peek(s->chunks, &last)).len > 0) {
        FUZZ_CHECK(!s->last_taken && (chunk.len == CHUNK || last));
        FUZZ_CHECK(chunk.len <= s->sent_len - s->taken);
        FUZZ_CHECK(memcmp(chunk.data, s->sent + s->taken, chunk.len) == 0);
        s->taken += chunk.len;
        s->last_taken = last;
        etcd_chunks_consume(s->chunks);
        take_credit(s);
    }
    FUZZ_CHECK(s->is_cut || s->credited == s->charged); /* a consumer that waits holds nothing against the server */
}

static bool take_part(struct stream *s, struct etcd_snapshot_message *m, struct bytes part)
{
    struct err e = ERR_INIT;
    struct bytes blob;
    int rc;

    while ((rc = etcd_snapshot_message_next(m, &part, &blob, &e)) > 0) {
        if (etcd_snapshot_check_is_whole(&s->check))
            continue;
        FUZZ_CHECK(etcd_chunks_append(s->chunks, blob, &e) == 0);
        memcpy(s->sent + s->sent_len, blob.data, blob.len);
        s->sent_len += blob.len;
    }
    return rc == 0;
}

/* As etcd_snapshot does it. Returns whether the stream may go on. */
static bool take_message(struct stream *s, struct bytes message)
{
    struct etcd_messages_snapshot told;
    struct etcd_snapshot_message m;
    struct err e = ERR_INIT;
    int ret;

    if (s->charged - s->credited + message.len + 5 > WINDOW)
        consume(s); /* the window is closed: the server waits */
    etcd_snapshot_message_begin(&m, message.len);
    for (size_t at = 0; at < message.len; at += PART)
        if (!take_part(s, &m, (struct bytes){message.data + at, message.len - at < PART ? message.len - at : PART}))
            return false;
    if (etcd_snapshot_message_end(&m, &told, &e) < 0)
        return false;
    ret = etcd_snapshot_check_message(&s->check, m.blob_len, told.remaining, &e);
    FUZZ_CHECK(ret == 0 || ((e.kind == ERR_PROTOCOL || e.kind == ERR_INTEGRITY) && e.text[0]));
    if (ret < 0)
        return false;
    FUZZ_CHECK(s->check.arrived == s->sent_len && s->check.arrived <= s->check.total);
    etcd_chunks_charge(s->chunks, message.len + 5 - m.blob_len);
    etcd_chunks_commit(s->chunks, etcd_snapshot_check_is_whole(&s->check));
    s->charged += message.len + 5;
    take_credit(s);
    return true;
}

static void finish(struct stream *s)
{
    struct err e = ERR_INIT;
    bool whole = etcd_snapshot_check_is_whole(&s->check);

    FUZZ_CHECK((etcd_snapshot_check_end(&s->check, &e) == 0) == whole);
    FUZZ_CHECK(whole == (e.kind == ERR_NONE) && (whole || e.kind == ERR_INTEGRITY));
    consume(s);
    FUZZ_CHECK(s->last_taken == whole);
    FUZZ_CHECK(!whole || (s->taken == s->check.total && s->taken == s->sent_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    struct stream s = {.chunks = etcd_chunks_new(CHUNK, WINDOW / CHUNK + 2, &e), .sent = malloc(len + 1)};

    FUZZ_CHECK(s.chunks && s.sent);
    while (len >= 2) {
        size_t n = (size_t)(data[0] | (data[1] & 0x7f) << 8);
        bool hungry = data[1] & 0x80;

        data += 2;
        len -= 2;
        n = n < len ? n : len;
        s.is_cut = !take_message(&s, (struct bytes){.data = data, .len = n});
        if (s.is_cut)
            break;
        if (hungry)
            consume(&s);
        data += n;
        len -= n;
    }
    finish(&s);
    etcd_chunks_free(s.chunks);
    free(s.sent);
    return 0;
}
