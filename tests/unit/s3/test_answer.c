/* The heads of answers, line by line as curl gives them. */
#include "expect.h"
#include "failing.h"
#include "s3/answer.h"

#include <stdio.h>
#include <string.h>

static void read_lines(struct s3_answer *a, const char *const *lines)
{
    struct err e = ERR_INIT;

    s3_answer_reset(a);
    for (; *lines; lines++)
        expect_success(s3_answer_line(a, *lines, strlen(*lines), &e) == 0, &e);
    s3_answer_finish(a);
}

static void test_object(void **state)
{
    static const char *const lines[] = {"HTTP/1.1 206 Partial Content\r\n", "ETag: \"abc-7\"\r\n",
            "content-length:   1048576  \r\n", "Content-Range: bytes 5-1048580/2000000\r\n",
            "Last-Modified: Fri, 24 May 2013 00:00:00 GMT\r\n", "Date: Fri, 06 Dec 2024 21:22:25 GMT\r\n",
            "X-Amz-Meta-Plaintext-Length: 42\r\n", "x-amz-meta-empty:\r\n", "x-amz-bucket-region: eu-west-3\r\n",
            "Server: x\r\n", "\r\n", NULL};
    struct s3_answer a = {0};

    (void)state;
    read_lines(&a, lines);
    assert_int_equal(a.status, 206);
    assert_string_equal(a.etag, "\"abc-7\"");
    assert_int_equal(a.content_length, 1048576);
    assert_true(a.has_range);
    assert_int_equal(a.range_first, 5);
    assert_int_equal(a.range_last, 1048580);
    assert_int_equal(a.last_modified, 1369353600);
    assert_int_equal(a.date, 1733520145);
    assert_string_equal(a.region, "eu-west-3");
    assert_int_equal(a.n_metadata, 2);
    assert_string_equal(a.params[0].name, "plaintext-length");
    assert_string_equal(a.params[0].value, "42");
    assert_string_equal(a.params[1].name, "empty");
    assert_string_equal(a.params[1].value, "");
    s3_answer_reset(&a);
}

/* What makes no sense is as if it were not there. */
static void test_nonsense(void **state)
{
    static const char *const rows[][3] = {
            {"HTTP/1.1 2x0 OK\r\n", NULL},
            {"HTTP/1.1\r\n", NULL},
            {"HTTP/1.1 20", NULL},
            {"Content-Length: -1\r\n", NULL},
            {"Content-Length: 12x\r\n", NULL},
            {"Content-Length: 18446744073709551616\r\n", NULL},
            {"Content-Range: bytes 5-4/10\r\n", NULL},
            {"Content-Range: bytes 5/10\r\n", NULL},
            {"Content-Range: bytes */10\r\n", NULL},
            {"Content-Range: lines 1-2/10\r\n", NULL},
            {"Content-Range: bytes 1-2\r\n", NULL},
            {"Date: yesterday\r\n", "Last-Modified: 99 99 9999\r\n", NULL},
            {"x-amz-bucket-region: eu west; rm -rf\r\n", NULL},
            {"Retry-After: Fri, 06 Dec 2024 21:22:25 GMT\r\n", NULL},
            {"no colon\r\n", ": no name\r\n", NULL},
    };
    struct s3_answer a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        read_lines(&a, rows[i]);
        assert_int_equal(a.status, 0);
        assert_true(a.content_length == UINT64_MAX);
        assert_false(a.has_range);
        assert_int_equal(a.date, 0);
        assert_int_equal(a.last_modified, 0);
        assert_int_equal(a.retry_after_s, 0);
        assert_string_equal(a.region, "");
        assert_int_equal(a.n_metadata, 0);
    }
    s3_answer_reset(&a);
}

static void test_zero_bytes(void **state)
{
    static const char line[] = "ETag: \"a\0b\"\r\n";
    struct s3_answer a = {0};
    struct err e = ERR_INIT;

    (void)state;
    s3_answer_reset(&a);
    expect_success(s3_answer_line(&a, line, sizeof(line) - 1, &e) == 0, &e);
    assert_string_equal(a.etag, "");
    s3_answer_reset(&a);
}

static void test_retry_after(void **state)
{
    static const char *const soon[] = {"Retry-After: 7\r\n", NULL}, *const late[] = {"Retry-After: 86400\r\n", NULL};
    struct s3_answer a = {0};

    (void)state;
    read_lines(&a, soon);
    assert_int_equal(a.retry_after_s, 7);
    read_lines(&a, late);
    assert_int_equal(a.retry_after_s, 60);
    s3_answer_reset(&a);
}

/* What keeps an object: a date that makes no sense keeps it for ever, rather than not at all. */
static void test_object_lock(void **state)
{
    static const struct {
        const char *line;
        int64_t retain_until;
        bool legal_hold, is_compliance;
    } rows[] = {
            {"x-amz-object-lock-retain-until-date: 2024-12-06T21:22:25Z\r\n", 1733520145, false, false},
            {"X-Amz-Object-Lock-Retain-Until-Date: 2024-12-06T21:22:25.999Z\r\n", 1733520145, false, false},
            {"x-amz-object-lock-retain-until-date: 2024-12-06T21:22:25\r\n", INT64_MAX, false, false},
            {"x-amz-object-lock-retain-until-date: 2024-13-06T21:22:25Z\r\n", INT64_MAX, false, false},
            {"x-amz-object-lock-retain-until-date:\r\n", INT64_MAX, false, false},
            {"x-amz-object-lock-legal-hold: ON\r\n", 0, true, false},
            {"x-amz-object-lock-legal-hold: on\r\n", 0, true, false},
            {"x-amz-object-lock-legal-hold: OFF\r\n", 0, false, false},
            {"x-amz-object-lock-mode: GOVERNANCE\r\n", 0, false, false},
            {"X-Amz-Object-Lock-Mode: Compliance\r\n", 0, false, true},
    };
    struct s3_answer a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const lines[] = {rows[i].line, NULL};

        read_lines(&a, lines);
        assert_true(a.retain_until == rows[i].retain_until);
        assert_int_equal(a.legal_hold, rows[i].legal_hold);
        assert_int_equal(a.is_compliance, rows[i].is_compliance);
    }
    s3_answer_reset(&a);
}

/* "100 Continue" and its headers are not the answer's. */
static void test_interim(void **state)
{
    static const char *const lines[] = {"HTTP/1.1 100 Continue\r\n", "ETag: \"wrong\"\r\n", "X-Amz-Meta-A: wrong\r\n",
            "\r\n", "HTTP/1.1 200 OK\r\n", "\r\n", NULL};
    struct s3_answer a = {0};

    (void)state;
    read_lines(&a, lines);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.etag, "");
    assert_int_equal(a.n_metadata, 0);
    s3_answer_reset(&a);
}

/* An ETag that does not fit cannot be sent back, and half of one is another's. */
static void test_long_values(void **state)
{
    char line[8192];
    struct s3_answer a = {0};
    struct err e = ERR_INIT;

    (void)state;
    s3_answer_reset(&a);
    (void)snprintf(line, sizeof(line), "ETag: %0*d\r\n", S3_ETAG_MAX, 7);
    expect_success(s3_answer_line(&a, line, strlen(line), &e) == 0, &e);
    assert_string_equal(a.etag, "");
    (void)snprintf(line, sizeof(line), "ETag: %0*d\r\n", S3_ETAG_MAX - 1, 7);
    expect_success(s3_answer_line(&a, line, strlen(line), &e) == 0, &e);
    assert_int_equal(strlen(a.etag), S3_ETAG_MAX - 1);
    (void)snprintf(line, sizeof(line), "X-Amz-Meta-%0100d: v\r\n", 7);
    expect_success(s3_answer_line(&a, line, strlen(line), &e) == 0, &e);
    (void)snprintf(line, sizeof(line), "X-Amz-Meta-A: %06000d\r\n", 7);
    expect_success(s3_answer_line(&a, line, strlen(line), &e) == 0, &e);
    assert_int_equal(a.n_metadata, 0);
    s3_answer_reset(&a);
}

static void test_much_metadata(void **state)
{
    char line[128];
    struct s3_answer a = {0};
    struct err e = ERR_INIT;

    (void)state;
    s3_answer_reset(&a);
    for (int i = 0; i < S3_ANSWER_METADATA_MAX + 5; i++) {
        (void)snprintf(line, sizeof(line), "x-amz-meta-n%d: v%d\r\n", i, i);
        expect_success(s3_answer_line(&a, line, strlen(line), &e) == 0, &e);
    }
    s3_answer_finish(&a);
    assert_int_equal(a.n_metadata, S3_ANSWER_METADATA_MAX);
    assert_string_equal(a.params[31].name, "n31");
    assert_string_equal(a.params[31].value, "v31");
    s3_answer_reset(&a);
}

/* All lines of an attempt together, interim answers included. */
static void test_endless(void **state)
{
    struct s3_answer a = {0};
    struct err e = ERR_INIT;
    size_t len = 0;

    (void)state;
    s3_answer_reset(&a);
    while (s3_answer_line(&a, "HTTP/1.1 100 Continue\r\n", 23, &e) == 0)
        len += 23;
    expect_error(&e, ERR_PROTOCOL, "an answer with more than 64 KiB of headers");
    assert_true(len > (60 << 10));
    s3_answer_reset(&a);
}

static void test_no_memory(void **state)
{
    struct s3_answer a = {0};
    struct err e = ERR_INIT;

    (void)state;
    s3_answer_reset(&a);
    failing_arm(1);
    assert_int_equal(s3_answer_line(&a, "x-amz-meta-a: b\r\n", 17, &e), -1);
    assert_true(failing_disarm());
    assert_int_equal(e.kind, ERR_RESOURCE);
    s3_answer_reset(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_object),
            cmocka_unit_test(test_nonsense),
            cmocka_unit_test(test_zero_bytes),
            cmocka_unit_test(test_retry_after),
            cmocka_unit_test(test_object_lock),
            cmocka_unit_test(test_interim),
            cmocka_unit_test(test_long_values),
            cmocka_unit_test(test_much_metadata),
            cmocka_unit_test(test_endless),
            cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
