/* An object in pieces, with requests that are answered in any order, or not at all. */
#include "expect.h"

#include <string.h>

#include "failing.h"
#include "job/bucket/retry_note.h"
#include "job/restore/fetch.h"

/* In place of lib/s3: requests are remembered until the test answers them. */
enum { REQUESTS = 16 };
struct s3_request {
    struct s3_request_spec spec;
    bool pending;
    char if_match[S3_ETAG_MAX];
};
static struct s3_request requests[REQUESTS];
static unsigned n_requests, n_cancelled, refuse_from;

struct s3_request *s3_request_start(struct s3_client *c, const struct s3_request_spec *spec, struct err *e)
{
    struct s3_request *r = &requests[n_requests];

    assert_ptr_equal(c, &requests);
    if (refuse_from && n_requests + 1 >= refuse_from) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no more requests");
        return NULL;
    }
    assert_in_range(n_requests, 0, REQUESTS - 1);
    n_requests++;
    r->spec = *spec;
    r->pending = true;
    assert_int_equal(spec->method, S3_GET);
    assert_string_equal(spec->key, "some/object");
    (void)snprintf(r->if_match, sizeof(r->if_match), "%s", spec->if_match ? spec->if_match : "-");
    return r;
}

void s3_request_cancel(struct s3_request *r)
{
    assert_true(r->pending);
    r->pending = false;
    n_cancelled++;
}

uv_loop_t *s3_client_loop(struct s3_client *c)
{
    assert_ptr_equal(c, &requests);
    return NULL;
}

static uint64_t clock_ms;
uint64_t __wrap_uv_now(const uv_loop_t *loop);

uint64_t __wrap_uv_now(const uv_loop_t *loop)
{
    assert_null(loop);
    return clock_ms;
}

/* The byte at `at` of the object. */
static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 31 + at / 256);
}

static void answer(unsigned i)
{
    const struct s3_request_spec *spec = &requests[i].spec;
    struct s3_response res = {.status = 206};

    assert_true(requests[i].pending);
    requests[i].pending = false;
    for (size_t j = 0; j < spec->into_len; j++)
        spec->into[j] = byte_at(spec->range_start + j);
    spec->on_done(spec->ctx, &res, NULL);
}

static void refuse(unsigned i, const char *text)
{
    struct err e = ERR_INIT;

    requests[i].pending = false;
    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s", text);
    requests[i].spec.on_done(requests[i].spec.ctx, NULL, &e);
}

static void retry(unsigned i, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s", text);
    requests[i].spec.on_retry(requests[i].spec.ctx, &(struct s3_retry){.why = &e});
}

/* ---- the consumer ---- */

static struct {
    struct fetch *fetch;
    unsigned readable, failed, retried;
    bool free_when_told;
    struct err err;
} consumer;

static int setup(void **state)
{
    (void)state;
    memset(&consumer, 0, sizeof(consumer));
    memset(requests, 0, sizeof(requests));
    n_requests = n_cancelled = refuse_from = 0;
    clock_ms = 12345;
    return 0;
}

static void on_readable(void *ctx)
{
    assert_ptr_equal(ctx, &consumer);
    consumer.readable++;
    if (consumer.free_when_told)
        fetch_free(TAKE_PTR(consumer.fetch));
}

static void on_retry(void *ctx, const struct s3_retry *retry)
{
    assert_ptr_equal(ctx, &consumer);
    consumer.retried++;
    consumer.err = *retry->why;
    if (consumer.free_when_told)
        fetch_free(TAKE_PTR(consumer.fetch));
}

static void on_failed(void *ctx, const struct err *err)
{
    assert_ptr_equal(ctx, &consumer);
    consumer.failed++;
    consumer.err = *err;
    if (consumer.free_when_told)
        fetch_free(TAKE_PTR(consumer.fetch));
}

static struct fetch_spec spec_of(uint64_t size, size_t piece, unsigned in_flight)
{
    return (struct fetch_spec){
            .key = "some/object",
            .etag = "\"etag\"",
            .size = size,
            .piece = piece,
            .in_flight = in_flight,
            .ctx = &consumer,
            .on_readable = on_readable,
            .on_retry = on_retry,
            .on_failed = on_failed,
    };
}

static void start(uint64_t size, size_t piece, unsigned in_flight)
{
    struct fetch_spec spec = spec_of(size, piece, in_flight);
    struct err e = ERR_INIT;

    consumer.fetch = fetch_start((struct s3_client *)(void *)&requests, &spec, &e);
    expect_success(consumer.fetch, &e);
}

static void expect_piece(uint64_t begin, size_t len)
{
    struct bytes piece = fetch_peek(consumer.fetch);

    assert_int_equal(piece.len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(piece.data[i], byte_at(begin + i));
}

static void consume(void)
{
    struct err e = ERR_INIT;

    expect_success(fetch_consume(consumer.fetch, &e) == 0, &e);
}

/* ---- order ---- */

static void test_in_order(void **state)
{
    (void)state;
    start(1000, 300, 2);
    assert_int_equal(n_requests, 2);
    assert_string_equal(requests[0].if_match, "\"etag\"");
    assert_int_equal(fetch_peek(consumer.fetch).len, 0);
    answer(0);
    assert_int_equal(consumer.readable, 1);
    expect_piece(0, 300);
    expect_piece(0, 300); /* it stays */
    consume();
    assert_int_equal(n_requests, 3);
    assert_int_equal(requests[2].spec.range_start, 600);
    answer(1);
    answer(2);
    assert_int_equal(consumer.readable, 2); /* the third is not the oldest yet */
    expect_piece(300, 300);
    consume();
    assert_int_equal(requests[3].spec.range_start, 900);
    assert_int_equal(requests[3].spec.into_len, 100);
    expect_piece(600, 300);
    consume();
    assert_int_equal(n_requests, 4); /* nothing is left to ask for */
    assert_false(fetch_is_done(consumer.fetch));
    assert_int_equal(fetch_peek(consumer.fetch).len, 0);
    answer(3);
    expect_piece(900, 100);
    assert_false(fetch_is_done(consumer.fetch));
    consume();
    assert_true(fetch_is_done(consumer.fetch));
    fetch_free(consumer.fetch);
    assert_int_equal(n_cancelled, 0);
}

/* Answers that come the other way round are kept until it is their turn. */
static void test_backwards(void **state)
{
    (void)state;
    start(400, 100, 4);
    for (unsigned i = 3; i > 0; i--) {
        answer(i);
        assert_int_equal(consumer.readable, 0);
        assert_int_equal(fetch_peek(consumer.fetch).len, 0);
    }
    answer(0);
    assert_int_equal(consumer.readable, 1);
    for (unsigned i = 0; i < 4; i++) {
        expect_piece(i * 100, 100);
        assert_false(fetch_is_done(consumer.fetch));
        consume();
    }
    assert_true(fetch_is_done(consumer.fetch));
    fetch_free(consumer.fetch);
}

/* All sizes around all numbers of pieces: every byte once, in order. */
static void test_sizes(void **state)
{
    (void)state;
    for (unsigned in_flight = 1; in_flight <= 5; in_flight++)
        for (uint64_t size = 1; size <= 45; size++) {
            uint64_t at = 0;

            (void)setup(state);
            start(size, 4, in_flight);
            for (unsigned i = 0; !fetch_is_done(consumer.fetch); i++) {
                size_t len = size - at < 4 ? (size_t)(size - at) : 4;

                assert_true(at < size);
                answer(i);
                expect_piece(at, len);
                at += len;
                consume();
            }
            assert_int_equal(at, size);
            fetch_free(consumer.fetch);
            assert_int_equal(n_cancelled, 0);
        }
}

static void test_without_etag(void **state)
{
    struct fetch_spec spec = spec_of(1, 4, 1);
    struct err e = ERR_INIT;

    (void)state;
    spec.etag = "";
    consumer.fetch = fetch_start((struct s3_client *)(void *)&requests, &spec, &e);
    assert_string_equal(requests[0].if_match, "-"); /* an empty one matches nothing */
    fetch_free(consumer.fetch);
}

/* ---- ends ---- */

static void test_failure_is_told_once(void **state)
{
    (void)state;
    start(1000, 100, 4);
    refuse(2, "the second");
    expect_error(&consumer.err, ERR_TRANSIENT, "the second");
    refuse(0, "the first");
    answer(1);
    assert_int_equal(consumer.failed, 1);
    assert_int_equal(consumer.readable, 0);
    fetch_free(consumer.fetch);
    assert_int_equal(n_cancelled, 1);
}

/* Whoever is told may free it then and there; what is still under way is cancelled. */
static void test_freed_by_a_callback(void **state)
{
    (void)state;
    consumer.free_when_told = true;
    start(1000, 100, 4);
    answer(0);
    assert_null(consumer.fetch);
    assert_int_equal(n_cancelled, 3);
    (void)setup(state);
    consumer.free_when_told = true;
    start(1000, 100, 4);
    refuse(3, "no");
    assert_null(consumer.fetch);
    assert_int_equal(n_cancelled, 3);
    fetch_free(NULL);
}

/* Each piece is waited for by time; of several in the same trouble one tells, and once in a while again. */
static void test_retries(void **state)
{
    (void)state;
    start(1000, 100, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(requests[i].spec.patience_ms, 300000);
        retry(i, i ? "another" : "the first");
    }
    assert_int_equal(consumer.retried, 1);
    assert_string_equal(consumer.err.text, "the first");
    clock_ms += 29999;
    retry(2, "too soon");
    assert_int_equal(consumer.retried, 1);
    clock_ms++;
    retry(2, "again");
    retry(3, "and again");
    assert_int_equal(consumer.retried, 2);
    assert_string_equal(consumer.err.text, "again");
    answer(0);
    refuse(1, "over");
    clock_ms += 60000;
    retry(2, "after the end");
    assert_int_equal(consumer.retried, 2);
    fetch_free(consumer.fetch);
    (void)setup(state);
    consumer.free_when_told = true;
    start(1000, 100, 4);
    retry(1, "no");
    assert_null(consumer.fetch);
    assert_int_equal(n_cancelled, 4);
}

static void test_retry_notes(void **state)
{
    char note[RETRY_NOTE_MAX];
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "no way");
    assert_string_equal(
            retry_note(&(struct s3_retry){.why = &e, .attempts = 1, .max_attempts = 5, .wait_ms = 449}, note),
            "no way; trying again in 0.4 s (attempt 2 of 5)");
    assert_string_equal(retry_note(&(struct s3_retry){.why = &e, .left_ms = 299999, .wait_ms = 12000}, note),
            "no way; trying again in 12.0 s, and for 4m59s if nothing comes");
    memset(e.text, 'x', sizeof(e.text) - 1);
    e.text[sizeof(e.text) - 1] = '\0';
    assert_non_null(strstr(retry_note(&(struct s3_retry){.why = &e, .left_ms = 1000, .wait_ms = 1}, note),
            "x; trying again in 0.0 s, and for 1.0s if nothing comes"));
}

static void test_no_request(void **state)
{
    struct fetch_spec spec = spec_of(1000, 100, 4);
    struct err e = ERR_INIT;

    (void)state;
    refuse_from = 3;
    assert_null(fetch_start((struct s3_client *)(void *)&requests, &spec, &e));
    expect_error(&e, ERR_RESOURCE, "no more requests");
    assert_int_equal(n_cancelled, 2);
    (void)setup(state);
    refuse_from = 5;
    start(1000, 100, 4);
    answer(0);
    assert_int_equal(fetch_consume(consumer.fetch, &e), -1);
    assert_false(fetch_is_done(consumer.fetch));
    fetch_free(consumer.fetch);
    assert_int_equal(n_cancelled, 3);
}

static void test_no_memory(void **state)
{
    struct fetch_spec spec = spec_of(1000, 100, 4);
    bool reached;
    size_t n = 0;

    do {
        struct err e = ERR_INIT;

        (void)setup(state);
        failing_arm(++n);
        consumer.fetch = fetch_start((struct s3_client *)(void *)&requests, &spec, &e);
        reached = failing_disarm();
        assert_true(!consumer.fetch == reached);
        assert_true(!reached || e.kind == ERR_RESOURCE);
        fetch_free(consumer.fetch);
        assert_int_equal(n_cancelled, n_requests);
    } while (reached);
    assert_true(n > 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_in_order, setup),
            cmocka_unit_test_setup(test_backwards, setup),
            cmocka_unit_test_setup(test_sizes, setup),
            cmocka_unit_test_setup(test_without_etag, setup),
            cmocka_unit_test_setup(test_failure_is_told_once, setup),
            cmocka_unit_test_setup(test_freed_by_a_callback, setup),
            cmocka_unit_test_setup(test_retries, setup),
            cmocka_unit_test(test_retry_notes),
            cmocka_unit_test_setup(test_no_request, setup),
            cmocka_unit_test_setup(test_no_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
