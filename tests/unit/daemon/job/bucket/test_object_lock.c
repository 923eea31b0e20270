#include "expect.h"

#include <string.h>

#include "job/bucket/object_lock.h"

enum { NOW = 1795435200, DAY = 86400 };

struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)c, (void)e;
    return NULL;
}

static struct conf conf;

const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &conf;
}

static void until_when(void **state)
{
    static const struct {
        enum conf_lock mode;
        int64_t retain; /* seconds, since an hour ago */
        int64_t old_until;
        bool old_is_compliance;
        struct s3_lock lock;
    } rows[] = {
            {CONF_LOCK_NONE, 0, 0, false, {S3_LOCK_NONE, 0}},
            {CONF_LOCK_NONE, 0, NOW + DAY, true, {S3_LOCK_NONE, 0}}, /* the bucket's own matter */
            {CONF_LOCK_GOVERNANCE, DAY, 0, false, {S3_LOCK_GOVERNANCE, NOW + DAY - 3600}},
            {CONF_LOCK_COMPLIANCE, DAY, 0, false, {S3_LOCK_COMPLIANCE, NOW + DAY - 3600}},
            {CONF_LOCK_GOVERNANCE, 3600 + 60, 0, false, {S3_LOCK_GOVERNANCE, NOW + 60}},
            {CONF_LOCK_GOVERNANCE, 3600 + 59, 0, false, {S3_LOCK_NONE, 0}},
            {CONF_LOCK_GOVERNANCE, 60, 0, false, {S3_LOCK_NONE, 0}},
            /* Never less than what it replaces. */
            {CONF_LOCK_GOVERNANCE, 60, NOW + DAY, false, {S3_LOCK_GOVERNANCE, NOW + DAY}},
            {CONF_LOCK_GOVERNANCE, 60, NOW + DAY, true, {S3_LOCK_COMPLIANCE, NOW + DAY}},
            {CONF_LOCK_COMPLIANCE, 60, NOW + DAY, false, {S3_LOCK_COMPLIANCE, NOW + DAY}},
            {CONF_LOCK_GOVERNANCE, 3 * DAY, NOW + DAY, false, {S3_LOCK_GOVERNANCE, NOW + 3 * DAY - 3600}},
            {CONF_LOCK_GOVERNANCE, DAY, NOW - 1, true, {S3_LOCK_GOVERNANCE, NOW + DAY - 3600}}, /* it is over */
            {CONF_LOCK_GOVERNANCE, DAY, INT64_MAX, false, {S3_LOCK_GOVERNANCE, NOW + DAY - 3600}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct conf_object_lock lock = {rows[i].mode, (uint64_t)rows[i].retain * 1000};
        const struct s3_response old = {.retain_until = rows[i].old_until, .is_compliance = rows[i].old_is_compliance};
        struct s3_lock got = object_lock_of(&lock, NOW - 3600, rows[i].old_until ? &old : NULL, NOW);

        assert_int_equal(got.mode, rows[i].lock.mode);
        if (got.mode != S3_LOCK_NONE)
            assert_int_equal(got.until, rows[i].lock.until);
    }
}

static void it_is_said_so(void **state)
{
    const struct s3_lock lock = {S3_LOCK_COMPLIANCE, NOW};
    char until[TIMESTAMP_TEXT_MAX], body[S3_LOCK_BODY_MAX];
    struct s3_param headers[S3_LOCK_HEADERS_MAX];
    size_t len;

    (void)state;
    assert_int_equal(s3_lock_headers(&(struct s3_lock){S3_LOCK_NONE, NOW}, until, headers), 0);
    assert_int_equal(s3_lock_headers(&lock, until, headers), S3_LOCK_HEADERS_MAX);
    assert_string_equal(headers[0].name, "x-amz-object-lock-mode");
    assert_string_equal(headers[0].value, "COMPLIANCE");
    assert_string_equal(headers[1].name, "x-amz-object-lock-retain-until-date");
    assert_string_equal(headers[1].value, "2026-11-23T12:00:00Z");
    len = s3_lock_body(&lock, body);
    assert_int_equal(len, strlen(body));
    assert_string_equal(body, "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode>"
                              "<RetainUntilDate>2026-11-23T12:00:00Z</RetainUntilDate></Retention>");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(until_when), cmocka_unit_test(it_is_said_so)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
