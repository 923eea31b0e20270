/*
 * What comes over the control socket: frames, the requests in them as the daemon reads them, and the replies as
 * etcd-backupctl reads and shows them. What was read can be sent on and read again.
 */
#include "fuzz.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "control.pb-c.h"
#include "control/wire.h"
#include "core/arena.h"
#include "ctl/text.h"

/* Packs a message that was unpacked, and takes it out of its frame again. Returns false if it is too long to be sent:
 * what is unknown in it is kept. */
static bool send_on(struct buf *out, const ProtobufCMessage *m, struct bytes *message)
{
    struct err e = ERR_INIT;
    size_t used, size = protobuf_c_message_get_packed_size(m);

    if (wire_append(out, m, &e) < 0) {
        FUZZ_CHECK(size > WIRE_FRAME_MAX && e.kind == ERR_PROTOCOL && out->len == 0);
        return false;
    }
    if (size == 0) { /* nothing is set: the other side would refuse it, and it is never sent */
        FUZZ_CHECK(wire_next(buf_bytes(out), message, &used, &e) == -1);
        return false;
    }
    FUZZ_CHECK(wire_next(buf_bytes(out), message, &used, &e) == 1 && used == out->len);
    return true;
}

/* protobuf-c keeps what it does not know, but cannot always read again what it wrote of that. */
static bool is_known(const Control__Request *m)
{
    return m->base.n_unknown_fields == 0 &&
           (m->body_case == CONTROL__REQUEST__BODY__NOT_SET || m->hello->base.n_unknown_fields == 0);
}

/* As peer.c unpacks it, in an arena: what fits there is what was sent, and all that we send ourselves does fit. */
static void check_arena(struct bytes message, const Control__Request *m)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_arena_free) struct arena *arena = arena_new(message.len, &e);
    const Control__Request *same;
    size_t len = m ? control__request__get_packed_size(m) : 0;
    _cleanup_free_ uint8_t *a = malloc(len + 1), *b = malloc(len + 1);

    FUZZ_CHECK(arena && a && b);
    same = control__request__unpack(arena_allocator(arena), message.len, message.data);
    if (!m)
        FUZZ_CHECK(!same);
    if (m && len == message.len && is_known(m)) /* nothing in it twice */
        FUZZ_CHECK(same);
    if (!m || !same)
        return;
    FUZZ_CHECK(control__request__get_packed_size(same) == len);
    FUZZ_CHECK(control__request__pack(m, a) == len && control__request__pack(same, b) == len);
    FUZZ_CHECK(memcmp(a, b, len) == 0);
}

static void check_request(struct bytes message)
{
    _cleanup_buf_ struct buf out = BUF_INIT(2 * WIRE_FRAME_MAX);
    Control__Request *m = control__request__unpack(NULL, message.len, message.data), *again;
    struct bytes sent;

    check_arena(message, m);
    if (!m)
        return;
    /* What peer.c takes for granted. */
    if (m->body_case == CONTROL__REQUEST__BODY_HELLO)
        FUZZ_CHECK(m->hello);
    if (m->body_case == CONTROL__REQUEST__BODY_RESTORE)
        FUZZ_CHECK(m->restore && m->restore->output && strlen(m->restore->output) <= message.len);
    if (m->body_case == CONTROL__REQUEST__BODY_ROTATE_KEY) {
        FUZZ_CHECK(m->rotate_key && m->rotate_key->previous_key.len + m->rotate_key->new_key.len <= message.len);
        FUZZ_CHECK(m->rotate_key->previous_key.len == 0 || m->rotate_key->previous_key.data);
        FUZZ_CHECK(m->rotate_key->new_key.len == 0 || m->rotate_key->new_key.data);
    }
    if (send_on(&out, &m->base, &sent) && is_known(m)) {
        again = control__request__unpack(NULL, sent.len, sent.data);
        FUZZ_CHECK(again && again->body_case == m->body_case);
        control__request__free_unpacked(again, NULL);
    }
    control__request__free_unpacked(m, NULL);
}

/* Nothing is left in a text that could move a cursor, and it is UTF-8. */
static void check_text(const char *s)
{
    for (size_t len; *s; s += len) {
        len = utf8_len(s);
        FUZZ_CHECK(len > 0 && (unsigned char)*s >= 0x20 && *s != 0x7f);
        FUZZ_CHECK(len != 2 || (unsigned char)s[0] != 0xc2 || (unsigned char)s[1] >= 0xa0);
    }
}

static void check_status(const Control__StatusResult *s)
{
    check_text(s->program);
    check_text(s->bucket);
    for (size_t i = 0; i < s->n_endpoints; i++)
        check_text(s->endpoints[i]);
    check_text(s->key);
    check_text(s->key_trouble);
    if (s->running && s->running->progress) {
        check_text(s->running->progress->phase);
        check_text(s->running->progress->unit);
    }
    if (s->last_success)
        check_text(s->last_success->member);
    if (s->last_failure)
        check_text(s->last_failure->text);
}

static void check_reply(struct bytes message)
{
    _cleanup_buf_ struct buf out = BUF_INIT(2 * WIRE_FRAME_MAX);
    Control__Reply *m = control__reply__unpack(NULL, message.len, message.data);
    struct bytes sent;

    if (!m)
        return;
    text_clean_message(&m->base);
    if (m->body_case == CONTROL__REPLY__BODY_NOTE)
        check_text(m->note->text);
    if (m->body_case == CONTROL__REPLY__BODY_ENTRY) {
        check_text(m->entry->name);
        check_text(m->entry->key);
    }
    if (m->body_case == CONTROL__REPLY__BODY_UNROTATED) {
        check_text(m->unrotated->name);
        check_text(m->unrotated->text);
    }
    if (m->body_case == CONTROL__REPLY__BODY_DONE) {
        if (m->done->failure)
            check_text(m->done->failure->text);
        if (m->done->result_case == CONTROL__DONE__RESULT_STATUS)
            check_status(m->done->status);
        if (m->done->result_case == CONTROL__DONE__RESULT_ROTATE) {
            check_text(m->done->rotate->previous_key);
            check_text(m->done->rotate->new_key);
            check_text(m->done->rotate->configured_key);
            check_text(m->done->rotate->bucket);
        }
        if (m->done->result_case == CONTROL__DONE__RESULT_LIST)
            check_text(m->done->list->key);
    }
    (void)send_on(&out, &m->base, &sent);
    control__reply__free_unpacked(m, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes left = {.data = data, .len = len}, message;
    struct err e = ERR_INIT;
    size_t used;
    int n;

    while ((n = wire_next(left, &message, &used, &e)) > 0) {
        FUZZ_CHECK(message.len > 0 && message.len <= WIRE_FRAME_MAX);
        FUZZ_CHECK(message.data == left.data + 4 && used == message.len + 4 && used <= left.len);
        check_request(message);
        check_reply(message);
        left.data += used;
        left.len -= used;
    }
    FUZZ_CHECK(n == 0 || e.kind == ERR_PROTOCOL);
    return 0;
}
