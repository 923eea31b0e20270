#include "expect.h"

#include "base/cleanup.h"
#include "etcd/snapshot_check.h"

enum { K32 = 32 << 10 };

struct message {
    uint64_t blob_len, remaining;
};

/* A stream as it may come, what it is found to be at which message (0: all are accepted), and at its end. */
static const struct row {
    const char *what;
    struct message messages[6];
    unsigned n;
    uint64_t total;
    unsigned refused; /* the n-th message, from 1 */
    enum err_kind kind;
    const char *text;
} rows[] = {
        {"one message", {{4096, 0}, {32, 0}}, 2, 4128, 0, ERR_NONE, ""},
        {"a border that falls on a blob", {{K32, K32}, {K32, 0}, {32, 0}}, 3, 2 * K32 + 32, 0, ERR_NONE, ""},
        {"a last piece that looks like the trailer", {{100, 32}, {32, 0}, {32, 0}}, 3, 164, 0, ERR_NONE, ""},
        {"all pieces look like the trailer", {{32, 32}, {32, 0}, {32, 0}}, 3, 96, 0, ERR_NONE, ""},
        {"bytes one by one", {{1, 2}, {1, 1}, {1, 0}, {32, 0}}, 4, 35, 0, ERR_NONE, ""},
        {"empty messages now and then", {{0, 512}, {0, 512}, {512, 0}, {32, 0}}, 4, 544, 0, ERR_NONE, ""},

        {"nothing", {{0}}, 0, 0, 0, ERR_INTEGRITY, "snapshot ended before its first byte"},
        {"no bytes announced", {{0, 0}}, 1, 0, 1, ERR_PROTOCOL,
                "snapshot stream: a database of no bytes announced (at byte 0 of 0: 0 more, then remaining_bytes 0)"},
        {"cut off", {{K32, 1000}}, 1, K32 + 1032, 0, ERR_INTEGRITY,
                "snapshot is cut off: it ended after 32768 of 33800 bytes"},
        {"cut off by one byte", {{K32, 1000}, {999, 1}}, 2, K32 + 1032, 0, ERR_INTEGRITY,
                "snapshot is cut off: it ended after 33767 of 33800 bytes"},
        {"no trailer", {{512, 0}}, 1, 544, 0, ERR_INTEGRITY,
                "snapshot ended without etcd's SHA-256 (all 512 bytes of the database arrived)"},
        {"a trailer of 31 bytes", {{512, 0}, {31, 0}}, 2, 544, 2, ERR_INTEGRITY,
                "snapshot ends with 31 bytes in place of etcd's SHA-256"},
        {"a trailer of 33 bytes", {{512, 0}, {33, 0}}, 2, 544, 2, ERR_INTEGRITY,
                "snapshot ends with 33 bytes in place of etcd's SHA-256"},
        {"an empty trailer", {{512, 0}, {0, 0}}, 2, 544, 2, ERR_INTEGRITY,
                "snapshot ends with 0 bytes in place of etcd's SHA-256"},
        {"the trailer with the last piece", {{480, 32}, {64, 0}}, 2, 544, 2, ERR_PROTOCOL,
                "snapshot stream: more bytes than announced (at byte 480 of 544: 64 more, then remaining_bytes 0)"},
        {"a trailer that is not the end", {{512, 0}, {32, 5}}, 2, 544, 2, ERR_PROTOCOL,
                "snapshot stream: remaining_bytes is not 0 at the end (at byte 512 of 544: 32 more, then "
                "remaining_bytes "
                "5)"},
        {"something after the trailer", {{512, 0}, {32, 0}, {32, 0}}, 3, 544, 3, ERR_PROTOCOL,
                "snapshot stream: more messages after the end (at byte 544 of 544: 32 more, then remaining_bytes 0)"},
        {"nothing after the trailer", {{512, 0}, {32, 0}, {0, 0}}, 3, 544, 3, ERR_PROTOCOL,
                "snapshot stream: more messages after the end (at byte 544 of 544: 0 more, then remaining_bytes 0)"},
        {"too much at the end", {{512, 100}, {101, 0}}, 2, 644, 2, ERR_PROTOCOL,
                "snapshot stream: more bytes than announced (at byte 512 of 644: 101 more, then remaining_bytes 0)"},
        {"remaining_bytes that does not fall", {{512, 1000}, {512, 1000}}, 2, 1544, 2, ERR_PROTOCOL,
                "snapshot stream: remaining_bytes does not match the bytes that arrived (at byte 512 of 1544: 512 "
                "more, "
                "then remaining_bytes 1000)"},
        {"remaining_bytes that falls too fast", {{512, 1000}, {512, 487}}, 2, 1544, 2, ERR_PROTOCOL,
                "snapshot stream: remaining_bytes does not match the bytes that arrived (at byte 512 of 1544: 512 "
                "more, "
                "then remaining_bytes 487)"},
        {"remaining_bytes that rises", {{512, 1000}, {0, 1001}}, 2, 1544, 2, ERR_PROTOCOL,
                "snapshot stream: remaining_bytes does not match the bytes that arrived (at byte 512 of 1544: 0 more, "
                "then "
                "remaining_bytes 1001)"},
        {"a sum that overflows", {{K32, UINT64_MAX - 100}}, 1, 0, 1, ERR_PROTOCOL,
                "snapshot stream: absurd size announced (at byte 0 of 0: 32768 more, then remaining_bytes "
                "18446744073709551515)"},
        {"more than there is", {{1, UINT64_C(1) << 60}}, 1, 0, 1, ERR_PROTOCOL,
                "snapshot stream: absurd size announced (at byte 0 of 0: 1 more, then remaining_bytes "
                "1152921504606846976)"},
};

static void check(const struct row *r)
{
    struct etcd_snapshot_check c = {.total = 0};
    struct err e = ERR_INIT;

    for (unsigned i = 1; i <= r->n; i++) {
        int ret = etcd_snapshot_check_message(&c, r->messages[i - 1].blob_len, r->messages[i - 1].remaining, &e);

        if ((ret < 0) != (i == r->refused))
            fail_msg("%s: message %u: %s", r->what, i, e.text);
        assert_false(ret < 0 && i < r->n);
    }
    assert_int_equal(c.total, r->total);
    if (r->refused == 0)
        assert_int_equal(etcd_snapshot_check_end(&c, &e), r->kind == ERR_NONE ? 0 : -1);
    if (r->refused == 0)
        assert_int_equal(etcd_snapshot_check_is_whole(&c), r->kind == ERR_NONE);
    expect_error(&e, r->kind, r->text);
}

static void the_table_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&rows[i]);
}

/* etcd #22125. */
static void empty_messages_come_to_an_end(void **state)
{
    struct etcd_snapshot_check c = {.total = 0};
    struct err e = ERR_INIT;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(etcd_snapshot_check_message(&c, 100, 900 - round * 100, &e), 0);
        for (unsigned i = 0; i < ETCD_SNAPSHOT_EMPTY_MAX; i++)
            assert_int_equal(etcd_snapshot_check_message(&c, 0, 900 - round * 100, &e), 0);
    }
    assert_int_equal(etcd_snapshot_check_message(&c, 0, 800, &e), -1);
    expect_error(&e, ERR_PROTOCOL,
            "snapshot stream: empty messages without end, as etcd sends them when it cannot read its own database: "
            "look at its log and its disk (at byte 200 of 1032: 0 more, "
            "then "
            "remaining_bytes 800)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_table_holds),
            cmocka_unit_test(empty_messages_come_to_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
