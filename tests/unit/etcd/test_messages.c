#include "expect.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "etcd/messages.h"
#include "failing.h"

#define BYTES(literal) ((struct bytes){.data = (const uint8_t *)(literal), .len = sizeof(literal) - 1})

/* A Status as etcd sends it: header {cluster 1, member 300, revision 7, term 2}, "3.5.16", 8,192 bytes, leader 300,
 * index 11, term 2, applied 10, two alarms, 4,096 bytes in use. */
static const char status_message[] =
        "\x0a\x09\x08\x01\x10\xac\x02\x18\x07\x20\x02"
        "\x12\x06\x33.5.16\x18\x80\x40\x20\xac\x02\x28\x0b\x30\x02\x38\x0a"
        "\x42\x1cmemberID:300 alarm:NOSPACE  \x42\x1amemberID:3 alarm: CORRUPT \x48\x80\x20";

static void status_is_read(void **state)
{
    struct etcd_status s = {.endpoint = "here", .name = "n1", .alarms = "old", .alarm_corrupt = true};
    struct err e = ERR_INIT;

    (void)state;
    expect_success(etcd_messages_status(BYTES(status_message), &s, &e) == 0, &e);
    assert_string_equal(s.endpoint, "here");
    assert_string_equal(s.name, "n1");
    assert_string_equal(s.version, "3.5.16");
    assert_string_equal(s.alarms, "NOSPACE,CORRUPT");
    assert_true(s.alarm_nospace);
    assert_false(s.alarm_corrupt || s.corrupt_unknown); /* another member's */
    assert_int_equal(s.cluster_id, 1);
    assert_int_equal(s.member_id, 300);
    assert_int_equal(s.leader_id, 300);
    assert_int_equal(s.revision, 7);
    assert_int_equal(s.raft_index, 11);
    assert_int_equal(s.raft_applied_index, 10);
    assert_int_equal(s.db_size, 8192);
    assert_int_equal(s.db_size_in_use, 4096);
    assert_false(s.is_learner);
}

static void what_is_missing_is_zero(void **state)
{
    static const struct etcd_status zero;
    struct etcd_status s;
    struct err e = ERR_INIT;

    (void)state;
    memset(&s, 0xff, sizeof(s));
    s.endpoint[0] = s.name[0] = '\0';
    expect_success(etcd_messages_status(BYTES(""), &s, &e) == 0, &e);
    assert_string_equal(s.version, zero.version);
    assert_string_equal(s.alarms, "");
    assert_int_equal(s.member_id + s.leader_id + s.raft_index + s.raft_applied_index + s.db_size, 0);
    assert_int_equal(s.revision, 0);
    assert_false(s.is_learner || s.alarm_nospace || s.alarm_corrupt || s.corrupt_unknown || s.behind);
    assert_string_equal(s.downgrade, "");
}

/* etcd sends the message from 3.6 on, also when there is none. */
static void a_downgrade_is_read(void **state)
{
    const struct {
        struct bytes message;
        const char *downgrade;
    } rows[] = {
            {BYTES("\x6a\x09\x08\x01\x12\x05"
                   "3.6.0"),
                    "3.6.0"},
            {BYTES("\x6a\x07\x12\x05"
                   "3.6.0"),
                    ""}, /* it is over */
            {BYTES("\x6a\x00"), ""},
            {BYTES("\x6a\x02\x08\x01"), "?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct etcd_status s = {.downgrade = "old"};
        struct err e = ERR_INIT;

        expect_success(etcd_messages_status(rows[i].message, &s, &e) == 0, &e);
        assert_string_equal(s.downgrade, rows[i].downgrade);
    }
}

/* etcd raises CORRUPT for member 0, which its text leaves out, when no quorum tells who is right. */
static void an_alarm_may_be_nobodys(void **state)
{
    struct etcd_status s = {.endpoint = ""};
    struct err e = ERR_INIT;

    (void)state;
    expect_success(etcd_messages_status(BYTES("\x0a\x03\x10\xac\x02\x42\x0e"
                                              "alarm:CORRUPT "),
                           &s, &e) == 0,
            &e);
    assert_string_equal(s.alarms, "CORRUPT");
    assert_true(s.corrupt_unknown && !s.alarm_corrupt);
    expect_success(etcd_messages_status(BYTES("\x42\x0e"
                                              "alarm:NOSPACE "),
                           &s, &e) == 0,
            &e);
    assert_false(s.corrupt_unknown || s.alarm_nospace || s.alarm_corrupt);
}

static void what_a_hostile_server_says_can_be_shown(void **state)
{
    struct etcd_status s = {.endpoint = ""};
    struct err e = ERR_INIT;
    uint8_t message[3 + 200];

    (void)state;
    /* dbSize -1, dbSizeInUse -1, and a version that clears the screen. */
    expect_success(etcd_messages_status(BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                              "\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x08\x1b[2J\n\xc3\xa4"
                                              "3"),
                           &s, &e) == 0,
            &e);
    assert_string_equal(s.version, "?[2J???3");
    assert_int_equal(s.db_size, 0);
    assert_int_equal(s.db_size_in_use, 0);
    expect_success(etcd_messages_status(BYTES("\x60\x80\x80\x80\x80\x08"), &s, &e) == 0, &e);
    assert_true(s.db_quota == UINT64_C(2) << 30);

    memcpy(message, "\x12\xc8\x01", 3);
    memset(message + 3, 'v', 200);
    expect_success(etcd_messages_status((struct bytes){message, sizeof(message)}, &s, &e) == 0, &e);
    assert_int_equal(strlen(s.version), ETCD_VERSION_MAX - 1);
}

static void broken_messages_are_refused(void **state)
{
    struct etcd_status s;
    struct etcd_messages_member m;
    struct etcd_messages_snapshot snapshot;
    struct err e = ERR_INIT;
    const struct bytes broken = BYTES("\x12\x7f"
                                      "3");

    (void)state;
    assert_int_equal(etcd_messages_status(broken, &s, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "the answer to Status cannot be decoded");
    assert_int_equal(etcd_messages_member(broken, 1, &m, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "the answer to MemberList cannot be decoded");
    assert_null(etcd_messages_token(broken, &e));
    expect_error(&e, ERR_PROTOCOL, "the answer to Authenticate cannot be decoded");
    assert_int_equal(etcd_messages_snapshot(broken, &snapshot, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "a message of the snapshot cannot be decoded");
}

static void a_password_is_sent_as_it_is(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *password = secret_copy("p\xc3\xa4ss\n", 6, &e), *m = NULL;

    (void)state;
    m = etcd_messages_authenticate("root", password, &e);
    expect_success(m, &e);
    assert_int_equal(secret_len(m), 14);
    assert_memory_equal(secret_const_data(m), "\x0a\x04root\x12\x06p\xc3\xa4ss\n", 14);
}

static void an_impossible_password_is_refused_without_showing_it(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *zero = secret_copy("pass\0word", 9, &e),
                                   *too_long = secret_new(ETCD_PASSWORD_MAX + 1, &e);

    (void)state;
    memset(secret_data(too_long), 'x', secret_len(too_long));
    assert_null(etcd_messages_authenticate("root", zero, &e));
    expect_error(&e, ERR_CONFIG, "the password for etcd is too long or holds a zero byte");
    assert_null(etcd_messages_authenticate("root", too_long, &e));
    expect_error(&e, ERR_CONFIG, "the password for etcd is too long or holds a zero byte");
}

static void a_token_is_read(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *token = etcd_messages_token(BYTES("\x0a\x02\x08\x01\x12\x06"
                                                                      "abCD.9"),
            &e);

    (void)state;
    expect_success(token, &e);
    assert_int_equal(secret_len(token), 6);
    assert_memory_equal(secret_const_data(token), "abCD.9", 6);
}

static void what_is_no_token_is_refused(void **state)
{
    const struct bytes messages[] = {BYTES(""), BYTES("\x12\x00"),
            BYTES("\x12\x03"
                  "a b"),
            BYTES("\x12\x04"
                  "a\r\nb"),
            BYTES("\x12\x02\xc3\xa4")};
    uint8_t long_one[3 + ETCD_TOKEN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        struct err e = ERR_INIT;

        assert_null(etcd_messages_token(messages[i], &e));
        expect_error(&e, ERR_PROTOCOL, "the answer to Authenticate holds no usable token");
    }
    for (size_t len = ETCD_TOKEN_MAX; len <= ETCD_TOKEN_MAX + 1; len++) {
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *token = NULL;

        memcpy(long_one, "\x12\x80\x40", 3);
        long_one[1] = (uint8_t)(0x80 | (len & 0x7f));
        memset(long_one + 3, 't', len);
        token = etcd_messages_token((struct bytes){long_one, 3 + len}, &e);
        assert_int_equal(token != NULL, len == ETCD_TOKEN_MAX);
    }
}

static void a_member_is_found_by_its_number(void **state)
{
    const struct bytes list = BYTES("\x12\x06\x08\x05\x12\x02n5\x12\x08\x08\xac\x02\x12\x01m\x28\x01\x12\x02\x08\x06");
    struct etcd_messages_member m = {.name = "as before"};
    struct err e = ERR_INIT;

    (void)state;
    expect_success(etcd_messages_member(list, 7, &m, &e) == 0, &e);
    assert_string_equal(m.name, "as before");
    expect_success(etcd_messages_member(list, 5, &m, &e) == 0, &e);
    assert_string_equal(m.name, "n5");
    assert_false(m.is_learner);
    expect_success(etcd_messages_member(list, 300, &m, &e) == 0, &e);
    assert_string_equal(m.name, "m");
    assert_true(m.is_learner);
}

static void a_piece_of_a_snapshot_is_read(void **state)
{
    struct etcd_messages_snapshot s;
    struct err e = ERR_INIT;

    (void)state;
    /* With a version and a field that nobody knows yet. */
    expect_success(etcd_messages_snapshot(BYTES("\x10\x80\x02\x1a\x03\x00\x01\x02\x22\x05"
                                                "3.6.0\xfa\x01\x01x"),
                           &s, &e) == 0,
            &e);
    assert_int_equal(s.remaining, 256);
    assert_string_equal(s.storage_version, "3.6.0");
    expect_success(etcd_messages_snapshot(BYTES(""), &s, &e) == 0, &e);
    assert_int_equal(s.remaining, 0);
    assert_string_equal(s.storage_version, ""); /* before 3.6 */
}

static int gather_names(void *ctx, const struct etcd_messages_key *key, struct err *e)
{
    char *names = ctx;

    if (key->name.len > 3)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "too long");
    (void)snprintf(names + strlen(names), 64 - strlen(names), "%.*s:%d:%d ", (int)key->name.len,
            (const char *)key->name.data, (int)key->create_revision, (int)key->mod_revision);
    return 0;
}

static int look_at_head(void *ctx, const struct etcd_messages_range *page, struct err *e)
{
    assert_string_equal(ctx, ""); /* before the keys */
    return page->left < 9 ? 0 : err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "too many");
}

/* Written down from what etcd 3.5 answers. */
static void keys_are_read(void **state)
{
    char names[64] = "";
    struct etcd_messages_range page = {.ctx = names, .on_head = look_at_head, .on_key = gather_names};
    struct err e = ERR_INIT;

    (void)state;
    expect_success(etcd_messages_range(BYTES("\x0a\x04\x08\x07\x18\x09\x12\x07\x0a\x01"
                                             "a\x10\x02\x18\x05\x12\x05\x0a\x01"
                                             "b\x18\x07\x18\x01\x20\x08"),
                           &page, &e) == 0,
            &e);
    assert_string_equal(names, "a:2:5 b:0:7 ");
    assert_int_equal(page.n, 2);
    assert_int_equal(page.revision, 9);
    assert_int_equal(page.cluster_id, 7);
    assert_int_equal(page.left, 8);
    assert_true(page.has_more);
    names[0] = '\0';
    assert_int_equal(etcd_messages_range(BYTES("\x20\x09"), &page, &e), -1);
    assert_string_equal(e.text, "too many");
    assert_int_equal(etcd_messages_range(BYTES("\x12\x06\x0a\x04long"), &page, &e), -1);
    assert_string_equal(e.text, "too long");
    assert_int_equal(etcd_messages_range(BYTES("\x12\x06\x0a"), &page, &e), -1);
    assert_int_equal(e.kind, ERR_PROTOCOL);
}

/* A byte or two of it may not become a hundred each. */
static void more_than_a_page_is_not_read(void **state)
{
    static const char key[] = {0x12, 0x03, 0x0A, 0x01, 'a'};
    enum { KEYS = 200000 };
    char names[64] = "";
    struct etcd_messages_range page = {.ctx = names, .on_head = look_at_head, .on_key = gather_names};
    struct err e = ERR_INIT;
    uint8_t *message = malloc(KEYS * sizeof(key));

    (void)state;
    assert_non_null(message);
    for (size_t i = 0; i < KEYS; i++)
        memcpy(message + i * sizeof(key), key, sizeof(key));
    assert_int_equal(etcd_messages_range((struct bytes){message, KEYS * sizeof(key)}, &page, &e), -1);
    free(message);
    assert_int_equal(e.kind, ERR_PROTOCOL);
    assert_string_equal(e.text, "the answer to Range holds more than an honest one can");
    assert_string_equal(names, "");
}

static void keys_are_asked_for(void **state)
{
    static const char wanted[] = "\x0a\x01"
                                 "a\x12\x01\x00\x18\x07\x20\x05\x38\x01\x40\x01";
    _cleanup_buf_ struct buf out = BUF_INIT(64);
    struct err e = ERR_INIT;

    (void)state;
    expect_success(etcd_messages_range_request(
                           &(struct etcd_messages_range_request){
                                   .first = BYTES("a"), .end = BYTES("\0"), .revision = 5, .limit = 7},
                           &out, &e) == 0,
            &e);
    assert_int_equal(out.len, sizeof(wanted) - 1);
    assert_memory_equal(out.data, wanted, out.len);
}

/* Written down from what etcd 3.5 is asked by etcdctl, and answers. */
static void keys_are_counted(void **state)
{
    static const char wanted[] = "\x0a\x01\x00\x12\x01\x00\x20\x05\x38\x01\x48\x01";
    uint8_t request[ETCD_MESSAGES_COUNT_REQUEST_MAX];
    uint64_t keys = 7;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(etcd_messages_count_request(5, request), sizeof(wanted) - 1);
    assert_memory_equal(request, wanted, sizeof(wanted) - 1);
    assert_in_range(etcd_messages_count_request(INT64_MAX, request), 1, sizeof(request));
    assert_int_equal(etcd_messages_count(BYTES("\x0a\x02\x18\x09\x20\xac\x02"), &keys, &e), 0);
    assert_int_equal(keys, 300);
    assert_int_equal(etcd_messages_count(BYTES("\x0a\x02\x18\x09"), &keys, &e), 0);
    assert_int_equal(keys, 0);
    assert_int_equal(etcd_messages_count(BYTES("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &keys, &e), -1);
    assert_int_equal(etcd_messages_count(BYTES("\x20"), &keys, &e), -1);
    assert_int_equal(e.kind, ERR_PROTOCOL);
}

static int decode_all(const struct secret *password, struct err *e)
{
    struct etcd_status status;
    struct etcd_messages_member member;
    struct etcd_messages_snapshot snapshot;
    _cleanup_secret_ struct secret *request = NULL, *token = NULL;

    if (etcd_messages_status(BYTES(status_message), &status, e) < 0 ||
            etcd_messages_member(BYTES("\x12\x06\x08\x05\x12\x02n5"), 5, &member, e) < 0 ||
            !(token = etcd_messages_token(BYTES("\x12\x01t"), e)) ||
            !(request = etcd_messages_authenticate("root", password, e)) ||
            etcd_messages_snapshot(BYTES("\x1a\x01x"), &snapshot, e) < 0)
        return -1;
    return 0;
}

static void a_hash_is_read(void **state)
{
    struct etcd_messages_hash h = {.hash = 1};
    struct err e = ERR_INIT;

    (void)state;
    expect_success(etcd_messages_hash(BYTES("\x0a\x02\x18\x09\x10\xff\xff\xff\xff\x0f"
                                            "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x20\x07"),
                           &h, &e) == 0,
            &e);
    assert_true(h.hash == UINT32_MAX && h.compact_revision == -1 && h.hash_revision == 7);
    expect_success(etcd_messages_hash(BYTES(""), &h, &e) == 0, &e);
    assert_true(h.hash == 0 && h.compact_revision == 0 && h.hash_revision == 0);
    assert_int_equal(etcd_messages_hash(BYTES("\x10\xff"), &h, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "the answer to HashKV cannot be decoded");
}

static void a_hash_is_asked_for(void **state)
{
    uint8_t out[ETCD_MESSAGES_HASH_REQUEST_MAX];

    (void)state;
    assert_int_equal(etcd_messages_hash_request(300, out), 3);
    assert_memory_equal(out, "\x08\xac\x02", 3);
    assert_true(etcd_messages_hash_request(INT64_MIN, out) <= sizeof(out));
}

static void each_allocation_may_fail(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *password = secret_copy("x", 1, &e);
    size_t n = 0;
    bool reached;
    int ret;

    (void)state;
    do {
        e = ERR_INIT;
        failing_arm(++n);
        ret = decode_all(password, &e);
        reached = failing_disarm();
        assert_int_equal(ret, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_true(n > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(status_is_read),
            cmocka_unit_test(what_is_missing_is_zero),
            cmocka_unit_test(a_downgrade_is_read),
            cmocka_unit_test(an_alarm_may_be_nobodys),
            cmocka_unit_test(what_a_hostile_server_says_can_be_shown),
            cmocka_unit_test(broken_messages_are_refused),
            cmocka_unit_test(a_password_is_sent_as_it_is),
            cmocka_unit_test(an_impossible_password_is_refused_without_showing_it),
            cmocka_unit_test(a_token_is_read),
            cmocka_unit_test(what_is_no_token_is_refused),
            cmocka_unit_test(a_member_is_found_by_its_number),
            cmocka_unit_test(a_piece_of_a_snapshot_is_read),
            cmocka_unit_test(keys_are_read),
            cmocka_unit_test(a_hash_is_read),
            cmocka_unit_test(a_hash_is_asked_for),
            cmocka_unit_test(more_than_a_page_is_not_read),
            cmocka_unit_test(keys_are_asked_for),
            cmocka_unit_test(keys_are_counted),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
