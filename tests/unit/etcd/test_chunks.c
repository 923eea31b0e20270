#include "expect.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "etcd/chunks.h"
#include "failing.h"

/* Byte i of every stream in this file. */
static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 31 + i / 256);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/*
 * A server that sends whatever the window allows, and a consumer that takes a chunk now and then: all bytes come out in
 * order, in chunks of one size, the credit adds up, and nothing ever stops or overflows.
 */
struct run {
    size_t chunk, message, window;
    uint64_t total;
    unsigned laziness; /* the consumer acts once in so many turns */
    uint32_t seed;
};

struct ends {
    struct etcd_chunks *c;
    uint64_t sent, taken, charged, credited;
    unsigned long turns;
    bool last_seen;
};

/* A message comes in two parts, and nothing of it is readable before both are there. */
static void append_in_two(struct etcd_chunks *c, struct bytes data, bool last)
{
    struct err e = ERR_INIT;
    struct bytes first = {.data = data.data, .len = data.len / 2},
                 second = {.data = data.data + data.len / 2, .len = data.len - data.len / 2};
    size_t before = etcd_chunks_peek(c, NULL).len;

    expect_success(etcd_chunks_append(c, first, &e) == 0 && etcd_chunks_append(c, second, &e) == 0, &e);
    assert_int_equal(etcd_chunks_peek(c, NULL).len, before);
    etcd_chunks_commit(c, last);
}

static void send_one(const struct run *r, struct ends *x)
{
    uint8_t data[4096];
    size_t len = r->message < r->total - x->sent ? r->message : (size_t)(r->total - x->sent);

    if (len == 0 || x->charged + len + 7 > x->credited + r->window)
        return;
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at(x->sent + i);
    etcd_chunks_charge(x->c, 7);
    append_in_two(x->c, (struct bytes){data, len}, x->sent + len == r->total);
    x->sent += len;
    x->charged += len + 7;
    x->credited += etcd_chunks_take_credit(x->c);
}

static void take_one(const struct run *r, struct ends *x)
{
    bool last = false;
    struct bytes b = etcd_chunks_peek(x->c, &last);

    if (b.len == 0)
        return;
    assert_int_equal(b.len, r->total - x->taken < r->chunk ? r->total - x->taken : r->chunk);
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] != byte_at(x->taken + i))
            fail_msg("byte %zu of the chunk at %" PRIu64 " is wrong", i, x->taken);
    x->taken += b.len;
    assert_int_equal(last, x->taken == r->total);
    x->last_seen = last;
    etcd_chunks_consume(x->c);
    x->credited += etcd_chunks_take_credit(x->c);
}

static void check_run(const struct run *r)
{
    struct err e = ERR_INIT;
    struct ends x = {.c = etcd_chunks_new(r->chunk, r->window / r->chunk + 2, &e)};
    uint32_t seed = r->seed;
    uint64_t before;

    expect_success(x.c, &e);
    while (x.taken < r->total) {
        before = x.sent + x.taken;
        for (unsigned i = 0; i < r->laziness; i++)
            for (uint32_t n = next_random(&seed) % 4; n > 0; n--)
                send_one(r, &x);
        take_one(r, &x);
        assert_int_equal(etcd_chunks_uncredited(x.c), x.charged - x.credited);
        /* In many turns without a byte it has stopped for good. */
        x.turns = x.sent + x.taken > before ? 0 : x.turns + 1;
        assert_true(x.turns < 1000);
    }
    assert_true(x.last_seen);
    assert_int_equal(x.credited, x.charged);
    assert_int_equal(etcd_chunks_peek(x.c, NULL).len, 0);
    etcd_chunks_free(x.c);
}

static void all_bytes_pass_whatever_the_sizes(void **state)
{
    static const size_t chunks[] = {1, 7, 32, 100, 1000, 4096, 10000}, messages[] = {1, 32, 100, 999, 4096},
                        windows[] = {5000, 8192, 20000};

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(chunks); c++)
        for (size_t m = 0; m < ARRAY_LEN(messages); m++)
            for (size_t w = 0; w < ARRAY_LEN(windows); w++)
                for (unsigned laziness = 1; laziness <= 9; laziness += 4)
                    check_run(&(struct run){chunks[c], messages[m], windows[w], 21000 + 10 * c + m, laziness,
                            (uint32_t)(c + 10 * m + 100 * w)});
}

static void chunks_wait_at_their_place(void **state)
{
    struct err e = ERR_INIT;
    struct etcd_chunks *c = etcd_chunks_new(4, 3, &e);
    struct bytes first;

    (void)state;
    append_in_two(c, (struct bytes){(const uint8_t *)"abcde", 5}, false);
    first = etcd_chunks_peek(c, NULL);
    assert_int_equal(first.len, 4);
    append_in_two(c, (struct bytes){(const uint8_t *)"fghi", 4}, false);
    assert_ptr_equal(etcd_chunks_peek(c, NULL).data, first.data);
    assert_memory_equal(first.data, "abcd", 4);
    etcd_chunks_consume(c);
    assert_memory_equal(etcd_chunks_peek(c, NULL).data, "efgh", 4);
    etcd_chunks_consume(c);
    assert_int_equal(etcd_chunks_peek(c, NULL).len, 0);
    etcd_chunks_consume(c); /* nothing there: nothing happens */
    append_in_two(c, (struct bytes){(const uint8_t *)"j", 1}, true);
    assert_memory_equal(etcd_chunks_peek(c, NULL).data, "ij", 2);
    etcd_chunks_free(c);
}

static void credit_is_held_back_for_what_waits_alone(void **state)
{
    struct err e = ERR_INIT;
    struct etcd_chunks *c = etcd_chunks_new(10, 4, &e);
    const uint8_t data[16] = {0};

    (void)state;
    etcd_chunks_charge(c, 3);
    append_in_two(c, (struct bytes){data, 6}, false);
    assert_int_equal(etcd_chunks_take_credit(c), 9); /* the consumer waits for more */
    etcd_chunks_charge(c, 3);
    append_in_two(c, (struct bytes){data, 6}, false);
    assert_int_equal(etcd_chunks_take_credit(c), 0); /* it has a chunk now */
    assert_int_equal(etcd_chunks_uncredited(c), 9);
    append_in_two(c, (struct bytes){data, 8}, false);
    assert_int_equal(etcd_chunks_take_credit(c), 0);
    etcd_chunks_consume(c);
    assert_int_equal(etcd_chunks_take_credit(c), 7); /* of the first chunk what was not credited before */
    etcd_chunks_consume(c);
    assert_int_equal(etcd_chunks_take_credit(c), 10);
    assert_int_equal(etcd_chunks_uncredited(c), 0);
    etcd_chunks_free(c);
}

static void more_than_the_window_is_refused(void **state)
{
    struct err e = ERR_INIT;
    struct etcd_chunks *c = etcd_chunks_new(10, 2, &e);
    const uint8_t data[21] = {0};

    (void)state;
    assert_int_equal(etcd_chunks_append(c, (struct bytes){data, 20}, &e), 0);
    assert_int_equal(etcd_chunks_append(c, (struct bytes){data, 1}, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "the server sends more than the window allows");
    etcd_chunks_free(c);
}

/* What is not known to be good keeps nobody busy, and holds the window all the same: nobody can take it yet. */
static void what_is_not_committed_is_not_read(void **state)
{
    struct err e = ERR_INIT;
    struct etcd_chunks *c = etcd_chunks_new(10, 4, &e);
    const uint8_t data[25] = {0};

    (void)state;
    assert_int_equal(etcd_chunks_append(c, (struct bytes){data, 5}, &e), 0);
    assert_int_equal(etcd_chunks_take_credit(c), 5);
    assert_int_equal(etcd_chunks_append(c, (struct bytes){data, 20}, &e), 0);
    etcd_chunks_consume(c);
    assert_int_equal(etcd_chunks_peek(c, NULL).len, 0);
    assert_int_equal(etcd_chunks_take_credit(c), 0);
    assert_int_equal(etcd_chunks_uncredited(c), 20);
    etcd_chunks_commit(c, true);
    for (size_t i = 0; i < 3; i++) {
        bool last;

        assert_int_equal(etcd_chunks_peek(c, &last).len, i < 2 ? 10 : 5);
        assert_int_equal(last, i == 2);
        etcd_chunks_consume(c);
    }
    assert_int_equal(etcd_chunks_take_credit(c), 20);
    assert_int_equal(etcd_chunks_append(c, (struct bytes){data, 1}, &e), -1);
    etcd_chunks_free(c);
}

static void each_allocation_may_fail(void **state)
{
    const uint8_t data[25] = {0};
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct etcd_chunks *c;
        int ret = -1;

        failing_arm(++n);
        c = etcd_chunks_new(10, 4, &e);
        if (c)
            ret = etcd_chunks_append(c, (struct bytes){data, sizeof(data)}, &e);
        reached = failing_disarm();
        assert_int_equal(ret, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        etcd_chunks_free(c);
    } while (reached);
    assert_int_equal(n, 5); /* the queue, three chunks, and then none failed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(all_bytes_pass_whatever_the_sizes),
            cmocka_unit_test(chunks_wait_at_their_place),
            cmocka_unit_test(credit_is_held_back_for_what_waits_alone),
            cmocka_unit_test(more_than_the_window_is_refused),
            cmocka_unit_test(what_is_not_committed_is_not_read),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
