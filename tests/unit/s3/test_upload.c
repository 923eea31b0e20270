/* What an upload does by itself, before any answer: room, waiting, and bytes too many or too few. The store is a socket
 * that nobody serves; tests/system/test_upload.py has a real one. */
#include "expect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "failing.h"
#include "s3/upload.h"
#include "s3/upload_buffers.h"

enum { MIB = 1 << 20, PART = 5 * MIB };

struct fixture {
    uv_loop_t loop;
    int listener;
    struct secret *secret;
    struct s3_client *client;
    struct s3_upload *upload;
    unsigned rooms; /* how often on_room came */
    bool may_fail, has_failed;
};

static int credentials(void *ctx, struct s3_credentials *out, struct err *e)
{
    struct fixture *f = ctx;

    (void)e;
    *out = (struct s3_credentials){.access_key = "key", .secret_key = f->secret};
    return 0;
}

static int set_up(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct fixture *f = calloc(1, sizeof(*f));
    char endpoint[64];
    struct err e;

    assert_int_not_equal(sodium_init(), -1);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(f->listener, 16), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", ntohs(address.sin_port));
    expect_success(f->secret = secret_copy("secret", 6, &e), &e);
    f->client = s3_client_new(&f->loop,
            &(struct s3_conf){.endpoint = endpoint,
                    .bucket = "bucket",
                    .region = "us-east-1",
                    .connect_timeout_ms = 600000,
                    .stall_timeout_ms = 600000,
                    .max_attempts = 1,
                    .max_connections = 4,
                    .credentials_ctx = f,
                    .credentials = credentials},
            &e);
    expect_success(f->client, &e);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    s3_upload_free(f->upload);
    s3_client_free(f->client);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    secret_free(f->secret);
    close(f->listener);
    free(f);
    return 0;
}

static void on_room(void *ctx)
{
    struct fixture *f = ctx;

    f->rooms++;
}

static void on_event(void *ctx)
{
    (void)ctx;
    fail();
}

static void on_err(void *ctx, const struct err *err)
{
    (void)ctx, (void)err;
    fail();
}

static void on_failed(void *ctx, const struct err *err)
{
    struct fixture *f = ctx;

    (void)err;
    assert_true(f->may_fail);
    f->has_failed = true;
}

static struct s3_upload *start(struct fixture *f, uint64_t size, unsigned in_flight, struct err *e)
{
    return s3_upload_start(f->client,
            &(struct s3_upload_spec){.key = "key",
                    .size = size,
                    .part_size = PART,
                    .parts_in_flight = in_flight,
                    .metadata = &(struct s3_param){"name", "value"},
                    .n_metadata = 1,
                    .spool_dir = "/nowhere",
                    .spool_limit = PART,
                    .patience_ms = 1000000,
                    .ctx = f,
                    .on_room = on_room,
                    .on_flushed = on_event,
                    .on_failed = on_failed,
                    .on_committed = on_err,
                    .on_aborted = on_err},
            e);
}

static void use(struct fixture *f, uint64_t size, unsigned in_flight)
{
    struct err e = ERR_INIT;

    f->upload = start(f, size, in_flight, &e);
    expect_success(f->upload, &e);
}

static void put(struct fixture *f, size_t len)
{
    struct err e = ERR_INIT;
    uint8_t *data = calloc(1, len);

    expect_success(s3_upload_write(f->upload, (struct bytes){data, len}, &e) == 0, &e);
    free(data);
}

static void room_is_what_the_buffers_hold(void **state)
{
    static const struct {
        size_t len;
        uint64_t room;
    } steps[] = {
            {0, 3 * PART},
            {1, 3 * PART - 1},
            {PART - 2, 2 * PART + 1},
            {1, 2 * PART},
            {1, 2 * PART - 1},
            {PART - 1, PART},
            {PART - 1, 1},
            {1, 0},
    };
    struct fixture *f = *state;
    struct s3_upload_stats stats;
    uint64_t written = 0;

    use(f, 10 * PART, 2);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        put(f, steps[i].len);
        written += steps[i].len;
        assert_int_equal(s3_upload_room(f->upload), steps[i].room);
        s3_upload_get_stats(f->upload, &stats);
        assert_int_equal(stats.written, written);
    }
    assert_int_equal(stats.stored, 0);
    assert_int_equal(stats.part_size, PART);
}

static void one_write_may_cross_all_parts(void **state)
{
    struct fixture *f = *state;

    use(f, 10 * PART, 3);
    put(f, 4 * PART);
    assert_int_equal(s3_upload_room(f->upload), 0);
}

static void the_next_bytes_can_be_made_where_they_go(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    uint8_t *place;

    use(f, 3 * PART - 7, 1);
    place = s3_upload_lend(f->upload, 100);
    assert_non_null(place);
    assert_ptr_equal(s3_upload_lend(f->upload, 50), place);
    assert_int_equal(s3_upload_room(f->upload), 2 * PART);
    memset(place, 'x', 50);
    assert_int_equal(s3_upload_write(f->upload, (struct bytes){place, 50}, &e), 0);
    assert_int_equal(s3_upload_room(f->upload), 2 * PART - 50);
    assert_ptr_equal(s3_upload_lend(f->upload, 1), place + 50);
    put(f, 10); /* from elsewhere */
    assert_ptr_equal(s3_upload_lend(f->upload, PART - 60), place + 60);
    assert_null(s3_upload_lend(f->upload, PART - 59)); /* the part ends before */
    put(f, PART - 50);
    assert_memory_equal(place, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0", 51);
    assert_non_null(s3_upload_lend(f->upload, PART - 10));
    assert_null(s3_upload_lend(f->upload, PART - 9));
    put(f, PART - 10);
    assert_int_equal(s3_upload_room(f->upload), 0);
}

static void no_more_is_lent_than_was_announced(void **state)
{
    struct fixture *f = *state;

    use(f, PART + 7, 1);
    put(f, PART);
    assert_null(s3_upload_lend(f->upload, 8));
    assert_non_null(s3_upload_lend(f->upload, 7));
    put(f, 7);
    assert_null(s3_upload_lend(f->upload, 1));
}

/* Somebody on another thread may be at work in it when the upload fails. */
static void what_is_lent_outlives_a_failure(void **state)
{
    struct parts *table;
    struct upload_buffers b;
    struct err e = ERR_INIT;
    uint8_t *place;

    (void)state;
    table = parts_new(2 * PART, PART, &e);
    assert_int_equal(upload_buffers_init(&b, 2, PART, &e), 0);
    place = upload_buffers_lend(&b, table, PART);
    assert_non_null(place);
    upload_buffers_release(&b);
    memset(place, 'x', PART);
    upload_buffers_take_back(&b);
    upload_buffers_release(&b);
    assert_null(b.list[0].data);
    upload_buffers_reset(&b);
    parts_free(table);
}

/* A compressed stream may have nothing to say to a chunk, and end before the next part. */
static void a_part_in_which_nothing_was_made_is_none(void **state)
{
    struct parts *table;
    struct upload_buffers b;
    struct err e = ERR_INIT;

    (void)state;
    table = parts_new(2 * PART, PART, &e);
    assert_int_equal(upload_buffers_init(&b, 2, PART, &e), 0);
    assert_non_null(upload_buffers_lend(&b, table, 1));
    upload_buffers_end(&b);
    assert_null(upload_buffers_first_full(&b));
    assert_int_equal(upload_buffers_count(&b, BUFFER_FREE), 2);
    upload_buffers_reset(&b);
    parts_free(table);
}

static void a_last_part_that_is_short_is_full_when_it_ends(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;

    use(f, PART + 2, 1);
    put(f, PART + 1);
    assert_int_equal(s3_upload_room(f->upload), 1);
    assert_int_equal(s3_upload_end(f->upload, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "ended after 5242881 of the 5242882 bytes that were announced");
    assert_int_equal(s3_upload_write(f->upload, (struct bytes){(const uint8_t *)"xy", 2}, &e), -1);
    expect_error(&e, ERR_INTEGRITY, "more bytes than the 5242882 that were announced");
    put(f, 1);
    assert_int_equal(s3_upload_room(f->upload), 0);
    assert_int_equal(s3_upload_end(f->upload, &e), 0);
}

static void turn(struct fixture *f)
{
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* The store refuses to begin it while somebody on another thread is at work in what was lent: bytes are taken before
 * that answer comes. */
static void what_is_lent_outlives_a_refusal(void **state)
{
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    uint8_t *place;
    int store;

    f->may_fail = true;
    use(f, 10 * PART, 1);
    place = s3_upload_lend(f->upload, PART);
    assert_non_null(place);
    assert_int_equal(fcntl(f->listener, F_SETFL, O_NONBLOCK), 0);
    while ((store = accept(f->listener, NULL, NULL)) < 0)
        turn(f);
    assert_int_equal(write(store, refusal, strlen(refusal)), strlen(refusal));
    while (!f->has_failed)
        turn(f);
    memset(place, 'x', PART);
    assert_int_equal(s3_upload_write(f->upload, (struct bytes){place, PART}, &e), -1);
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_null(s3_upload_lend(f->upload, 1));
    close(store);
}

static void room_is_told_once_for_each_time_it_was_asked_for(void **state)
{
    struct fixture *f = *state;

    use(f, 10 * PART, 1);
    turn(f);
    assert_int_equal(f->rooms, 0);
    s3_upload_want(f->upload, 1);
    assert_int_equal(f->rooms, 0);
    turn(f);
    assert_int_equal(f->rooms, 1);
    turn(f);
    assert_int_equal(f->rooms, 1);
    s3_upload_want(f->upload, PART);
    s3_upload_want(f->upload, 2);
    turn(f);
    assert_int_equal(f->rooms, 2);
}

static void no_more_than_a_part_can_be_asked_for(void **state)
{
    struct fixture *f = *state;

    use(f, 10 * PART, 1);
    put(f, PART);
    s3_upload_want(f->upload, 9 * PART);
    turn(f);
    assert_int_equal(f->rooms, 1);
    put(f, 1);
    s3_upload_want(f->upload, 9 * PART);
    turn(f);
    assert_int_equal(f->rooms, 1);
}

static void waiting_is_measured_while_there_is_too_little_room(void **state)
{
    struct fixture *f = *state;
    struct s3_upload_stats stats;

    use(f, 10 * PART, 1);
    put(f, 2 * PART - 1);
    s3_upload_get_stats(f->upload, &stats);
    assert_int_equal(stats.blocked_ms, 0);
    s3_upload_want(f->upload, 2);
    do {
        turn(f);
        s3_upload_get_stats(f->upload, &stats);
    } while (stats.blocked_ms < 3);
    assert_int_equal(f->rooms, 0);
    s3_upload_want(f->upload, 1);
    turn(f);
    assert_int_equal(f->rooms, 1);
    s3_upload_get_stats(f->upload, &stats);
    assert_true(stats.blocked_ms >= 3);
}

static void without_memory_nothing_is_started(void **state)
{
    struct fixture *f = *state;
    size_t n = 0;
    bool reached;

    do {
        struct err e = ERR_INIT;

        failing_arm(++n);
        f->upload = start(f, 10 * PART, 2, &e);
        reached = failing_disarm();
        assert_int_equal(!f->upload, reached);
        if (!f->upload)
            assert_int_equal(e.kind, ERR_RESOURCE);
    } while (reached);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(room_is_what_the_buffers_hold, set_up, tear_down),
            cmocka_unit_test_setup_teardown(one_write_may_cross_all_parts, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_next_bytes_can_be_made_where_they_go, set_up, tear_down),
            cmocka_unit_test_setup_teardown(no_more_is_lent_than_was_announced, set_up, tear_down),
            cmocka_unit_test(what_is_lent_outlives_a_failure),
            cmocka_unit_test(a_part_in_which_nothing_was_made_is_none),
            cmocka_unit_test_setup_teardown(a_last_part_that_is_short_is_full_when_it_ends, set_up, tear_down),
            cmocka_unit_test_setup_teardown(what_is_lent_outlives_a_refusal, set_up, tear_down),
            cmocka_unit_test_setup_teardown(room_is_told_once_for_each_time_it_was_asked_for, set_up, tear_down),
            cmocka_unit_test_setup_teardown(no_more_than_a_part_can_be_asked_for, set_up, tear_down),
            cmocka_unit_test_setup_teardown(waiting_is_measured_while_there_is_too_little_room, set_up, tear_down),
            cmocka_unit_test_setup_teardown(without_memory_nothing_is_started, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
