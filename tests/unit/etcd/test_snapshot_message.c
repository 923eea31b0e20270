#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "etcd/snapshot_message.h"

#define BYTES(s) ((struct bytes){.data = (const uint8_t *)(s), .len = sizeof(s) - 1})

/* What came out of a message that came in pieces of `cut` bytes. */
struct outcome {
    char blob[64];
    size_t blob_len;
    struct etcd_messages_snapshot told;
};

static int read_in_pieces(struct bytes message, size_t cut, struct outcome *o, struct err *e)
{
    struct etcd_snapshot_message m;

    o->blob_len = 0;
    etcd_snapshot_message_begin(&m, message.len);
    while (message.len) {
        size_t n = message.len < cut ? message.len : cut;
        struct bytes piece = {.data = message.data, .len = n}, blob;
        int rc;

        while ((rc = etcd_snapshot_message_next(&m, &piece, &blob, e)) > 0) {
            assert_true(blob.len > 0 && blob.len <= sizeof(o->blob) - o->blob_len);
            memcpy(o->blob + o->blob_len, blob.data, blob.len);
            o->blob_len += blob.len;
        }
        if (rc < 0)
            return -1;
        message.data += n;
        message.len -= n;
    }
    assert_int_equal(m.blob_len, o->blob_len);
    return etcd_snapshot_message_end(&m, &o->told, e);
}

static void it_is_cut_anywhere(void **state)
{
    const struct {
        struct bytes message;
        const char *blob, *version;
        uint64_t remaining;
    } cases[] = {
            {BYTES(""), "", "", 0},
            {BYTES("\x10\x80\x02\x1a\x03xyz"), "xyz", "", 256},
            {BYTES("\x10\x80\x02\x1a\x03xyz\x22\x05"
                   "3.6.0"),
                    "xyz", "3.6.0", 256},
            /* Another order, a header, a length in more bytes than it needs, and what nobody knows yet. */
            {BYTES("\x22\x05"
                   "3.6.0\xfa\x01\x01x\x1a\x83\x80\x00xyz\x0a\x02\x08\x05\x79"
                   "12345678\x7d"
                   "1234\x10\x07"),
                    "xyz", "3.6.0", 7},
            {BYTES("\x1a\x00\x10\x07"), "", "", 7},
            {BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "", "", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t cut = 1; cut <= 40; cut++) {
            struct err e = ERR_INIT;
            struct outcome o;

            expect_success(read_in_pieces(cases[i].message, cut, &o, &e) == 0, &e);
            assert_int_equal(o.blob_len, strlen(cases[i].blob));
            assert_memory_equal(o.blob, cases[i].blob, o.blob_len);
            assert_int_equal(o.told.remaining, cases[i].remaining);
            assert_string_equal(o.told.storage_version, cases[i].version);
        }
}

static void what_is_none_is_refused(void **state)
{
    const struct bytes cases[] = {
            BYTES("\x1a"),        /* the end in a field */
            BYTES("\x1a\x03xy"),  /* in the blob */
            BYTES("\x10\x80"),    /* in a number */
            BYTES("\x1a\x04xyz"), /* a blob that is longer than all */
            BYTES("\x22\x05"
                  "3.6"),
            BYTES("\x1a\xff\xff\xff\xff\xff\x01xyz"),                  /* a length of six bytes */
            BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* a number of eleven */
            BYTES("\x9a\x80\x80\x80\x80\x00\x03xyz"),                  /* a tag of six */
            BYTES("\x1a\x01x\x1a\x01y"),                               /* two blobs */
            BYTES("\x13\x14"),                                         /* a group */
            BYTES("\x18\x01"),                                         /* a blob that is a number */
            BYTES("\x0a\x01\x08"),                                     /* a header that is cut */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t cut = 1; cut <= 12; cut++) {
            struct err e = ERR_INIT;
            struct outcome o;

            assert_int_equal(read_in_pieces(cases[i], cut, &o, &e), -1);
            expect_error(&e, ERR_PROTOCOL, "a message of the snapshot cannot be decoded");
        }
}

static void what_is_beside_the_blob_is_bounded(void **state)
{
    uint8_t message[ETCD_SNAPSHOT_REST_MAX + 1] = "\xfa\x01";
    struct outcome o;
    struct err e = ERR_INIT;

    (void)state;
    /* Tag and length take four bytes. */
    message[2] = (uint8_t)((ETCD_SNAPSHOT_REST_MAX - 4) & 0x7f) | 0x80;
    message[3] = (ETCD_SNAPSHOT_REST_MAX - 4) >> 7;
    expect_success(read_in_pieces((struct bytes){message, ETCD_SNAPSHOT_REST_MAX}, 100, &o, &e) == 0, &e);
    message[2]++;
    assert_int_equal(read_in_pieces((struct bytes){message, ETCD_SNAPSHOT_REST_MAX + 1}, 100, &o, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "a message of the snapshot cannot be decoded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(it_is_cut_anywhere),
            cmocka_unit_test(what_is_none_is_refused),
            cmocka_unit_test(what_is_beside_the_blob_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
