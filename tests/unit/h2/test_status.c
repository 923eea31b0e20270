#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "h2/grpc.h"
#include "h2/status.h"

static void field(struct grpc_answer *a, bool last, const char *name, const char *value)
{
    grpc_status_field(a, last, (struct bytes){.data = (const uint8_t *)name, .len = strlen(name)},
            (struct bytes){.data = (const uint8_t *)value, .len = strlen(value)});
}

static struct grpc_answer head(const char *http_status, const char *content_type)
{
    struct grpc_answer a = GRPC_ANSWER_INIT;

    field(&a, false, ":status", http_status);
    if (content_type)
        field(&a, false, "content-type", content_type);
    return a;
}

static const struct {
    const char *value;
    enum err_kind kind;
    int code;
    const char *text;
} results[] = {
        {"0", ERR_NONE, 0, ""},
        {"1", ERR_TRANSIENT, 1, "grpc-status 1 CANCELLED: why"},
        {"2", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
        {"3", ERR_CONFIG, 3, "grpc-status 3 INVALID_ARGUMENT: why"},
        {"4", ERR_TRANSIENT, 4, "grpc-status 4 DEADLINE_EXCEEDED: why"},
        {"5", ERR_CONFIG, 5, "grpc-status 5 NOT_FOUND: why"},
        {"6", ERR_CONFIG, 6, "grpc-status 6 ALREADY_EXISTS: why"},
        {"7", ERR_AUTH, 7, "grpc-status 7 PERMISSION_DENIED: why"},
        {"8", ERR_TRANSIENT, 8, "grpc-status 8 RESOURCE_EXHAUSTED: why"},
        {"9", ERR_CONFIG, 9, "grpc-status 9 FAILED_PRECONDITION: why"},
        {"10", ERR_TRANSIENT, 10, "grpc-status 10 ABORTED: why"},
        {"11", ERR_CONFIG, 11, "grpc-status 11 OUT_OF_RANGE: why"},
        {"12", ERR_CONFIG, 12, "grpc-status 12 UNIMPLEMENTED: why"},
        {"13", ERR_TRANSIENT, 13, "grpc-status 13 INTERNAL: why"},
        {"14", ERR_TRANSIENT, 14, "grpc-status 14 UNAVAILABLE: why"},
        {"15", ERR_TRANSIENT, 15, "grpc-status 15 DATA_LOSS: why"},
        {"16", ERR_AUTH, 16, "grpc-status 16 UNAUTHENTICATED: why"},
        {"17", ERR_TRANSIENT, 17, "grpc-status 17 UNKNOWN: why"},
        {"00", ERR_NONE, 0, ""},
        {"", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
        {"-0", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
        {"0 ", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
        {"0x0", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
        {"0000000000", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
        {"4294967296", ERR_TRANSIENT, 2, "grpc-status 2 UNKNOWN: why"},
};

static void every_status_has_its_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        struct grpc_answer a = head("200", "application/grpc");
        struct err e = ERR_INIT;

        field(&a, true, "grpc-status", results[i].value);
        field(&a, true, "grpc-message", "why");
        assert_int_equal(grpc_status_result(&a, &e), results[i].kind == ERR_NONE ? 0 : -1);
        expect_error(&e, results[i].kind, results[i].text);
        assert_int_equal(e.code, results[i].code);
        assert_int_equal(e.domain, results[i].kind == ERR_NONE ? ERR_DOMAIN_NONE : ERR_DOMAIN_GRPC);
    }
}

static void a_status_counts_where_the_stream_ends(void **state)
{
    struct grpc_answer a = head("200", "application/grpc");
    struct err e = ERR_INIT;

    (void)state;
    field(&a, false, "grpc-status", "0");
    field(&a, false, "grpc-message", "early");
    assert_int_equal(grpc_status_result(&a, &e), -1);
    expect_error(&e, ERR_TRANSIENT, "the server ended the call without grpc-status");
    field(&a, true, "grpc-status", "13");
    assert_int_equal(grpc_status_result(&a, &e), -1);
    expect_error(&e, ERR_TRANSIENT, "grpc-status 13 INTERNAL: ");
}

static const struct {
    const char *http_status;
    enum err_kind kind;
    int code;
} https[] = {
        {"400", ERR_TRANSIENT, GRPC_INTERNAL},
        {"401", ERR_AUTH, GRPC_UNAUTHENTICATED},
        {"403", ERR_AUTH, GRPC_PERMISSION_DENIED},
        {"404", ERR_CONFIG, GRPC_UNIMPLEMENTED},
        {"429", ERR_TRANSIENT, GRPC_UNAVAILABLE},
        {"500", ERR_TRANSIENT, GRPC_UNKNOWN},
        {"502", ERR_TRANSIENT, GRPC_UNAVAILABLE},
        {"503", ERR_TRANSIENT, GRPC_UNAVAILABLE},
        {"504", ERR_TRANSIENT, GRPC_UNAVAILABLE},
        {"302", ERR_TRANSIENT, GRPC_UNKNOWN},
        {"201", ERR_TRANSIENT, GRPC_UNKNOWN},
};

static void without_a_status_http_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(https); i++) {
        struct grpc_answer a = head(https[i].http_status, "text/html");
        struct err e = ERR_INIT, again = ERR_INIT;
        char text[64];

        (void)snprintf(text, sizeof(text), "HTTP %s without grpc-status", https[i].http_status);
        assert_int_equal(grpc_status_result(&a, &e), -1);
        expect_error(&e, https[i].kind, text);
        assert_int_equal(e.code, https[i].code);
        assert_int_equal(grpc_status_check_head(&a, &again), -1);
        assert_string_equal(again.text, text);
    }
}

/* A status from gRPC itself is believed even with an odd HTTP status; but OK is not. */
static void ok_needs_a_whole_answer(void **state)
{
    struct grpc_answer a = head("503", "application/grpc");
    struct err e = ERR_INIT;

    (void)state;
    field(&a, true, "grpc-status", "7");
    assert_int_equal(grpc_status_result(&a, &e), -1);
    assert_int_equal(e.kind, ERR_AUTH);
    field(&a, true, "grpc-status", "0");
    assert_int_equal(grpc_status_result(&a, &e), -1);
    expect_error(&e, ERR_TRANSIENT, "HTTP 503 without grpc-status");
}

static void content_types(void **state)
{
    static const char *const good[] = {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"};
    static const char *const bad[] = {"application/grpcx", "application/grp", "text/html", "", "application/grpc-web"};
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct grpc_answer a = head("200", good[i]);

        assert_int_equal(grpc_status_check_head(&a, &e), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct grpc_answer a = head("200", bad[i]);
        char text[128];

        (void)snprintf(
                text, sizeof(text), "the answer is not gRPC but '%s': is this the client port of an etcd?", bad[i]);
        assert_int_equal(grpc_status_check_head(&a, &e), -1);
        expect_error(&e, ERR_PROTOCOL, text);
    }
}

static void messages_are_decoded(void **state)
{
    static const char *const pairs[][2] = {{"plain", "plain"}, {"a%20b", "a b"}, {"caf%C3%A9", "caf\xc3\xa9"},
            {"100%25", "100%"}, {"%", "%"}, {"%4", "%4"}, {"%4x", "%4x"}, {"%%41", "%A"}, {"%00", "?"}, {"", ""}};
    char out[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const struct bytes in = {.data = (const uint8_t *)pairs[i][0], .len = strlen(pairs[i][0])};

        grpc_status_decode_message(in, out, sizeof(out));
        assert_string_equal(out, pairs[i][1]);
    }
    grpc_status_decode_message((struct bytes){.data = (const uint8_t *)"0123456789", .len = 10}, out, 5);
    assert_string_equal(out, "0123");
    grpc_status_decode_message((struct bytes){.data = (const uint8_t *)"%41%42%43", .len = 9}, out, 3);
    assert_string_equal(out, "AB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_status_has_its_kind),
            cmocka_unit_test(a_status_counts_where_the_stream_ends),
            cmocka_unit_test(without_a_status_http_decides),
            cmocka_unit_test(ok_needs_a_whole_answer),
            cmocka_unit_test(content_types),
            cmocka_unit_test(messages_are_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
