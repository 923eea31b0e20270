/* Lists over the control socket: long ones, empty ones, clients that do not read them, and the end of it all. */
#include "control_fixture.h"

#include <string.h>
#include <unistd.h>

#include "control/wire.h"

/* ---- lists ---- */

static struct catalog_list *make_list(unsigned dumps, unsigned lone_keys)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new("backup", &e);

    expect_success(l, &e);
    for (unsigned i = 0; i < dumps + lone_keys; i++) {
        char name[64];

        /* The lone keys are the older ones, and so come last. */
        (void)snprintf(name, sizeof(name), "backup-%04u-01-01T00:%02u:%02uZ.%s", i < dumps ? 2000u : 1000u, i / 60 % 60,
                i % 60, i < dumps ? "dump" : "key");
        expect_success(
                catalog_list_add(l, &(struct catalog_object){.name = name, .size = 4128, .last_modified = 0}, &e) == 0,
                &e);
    }
    catalog_list_finish(l);
    return l;
}

/* How many entries come before Done. */
static unsigned count_entries(struct client *c)
{
    unsigned n = client_count(c, CONTROL__REPLY__BODY_ENTRY);

    assert_null(c->reply->done->failure);
    assert_null(client_next(c));
    return n;
}

static void give_list(struct catalog_list *l)
{
    while (!listing_runs)
        fixture_turn();
    the_listing.spec.on_done(the_listing.spec.ctx, l, NULL);
    assert_int_equal(core_users, 0);
}

/* Lone keys are not shown, however many stand in a row. */
static void test_lists(void **state)
{
    static const unsigned rows[][2] = {
            {0, 0},
            {1, 0},
            {0, 1},
            {255, 0},
            {256, 0},
            {257, 0},
            {3000, 0},
            {0, 255},
            {0, 256},
            {0, 257},
            {0, 1000},
            {10, 1000},
            {256, 256},
            {600, 600},
    };

    (void)state;
    fixture_start();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client c = client_greeted(false);

        client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
        give_list(make_list(rows[i][0], rows[i][1]));
        assert_int_equal(count_entries(&c), rows[i][0]);
        client_leave(&c);
    }
}

static void test_list_fails(void **state)
{
    struct client c;
    struct err e = ERR_INIT;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
    while (!listing_runs)
        fixture_turn();
    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "HTTP 503");
    the_listing.spec.on_done(the_listing.spec.ctx, NULL, &e);
    client_expect_failure(&c, "transient", "HTTP 503");
    client_leave(&c);
    listing_is_refused = true;
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
    client_expect_failure(&c, "config", "no credentials");
    assert_int_equal(core_users, 0);
    client_leave(&c);
}

static void test_cancelled_list(void **state)
{
    (void)state;
    fixture_start();
    for (int written = 0; written < 2; written++) {
        struct client c = client_greeted(false);

        client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
        while (!listing_runs)
            fixture_turn();
        if (written)
            give_list(make_list(3000, 0));
        client_ask_for(&c, CONTROL__REQUEST__BODY_CANCEL);
        (void)client_count(&c, CONTROL__REPLY__BODY_ENTRY);
        assert_string_equal(c.reply->done->failure->kind, "cancelled");
        assert_null(client_next(&c));
        assert_false(listing_runs);
        assert_int_equal(job.cancelled, 0);
        client_leave(&c);
    }
}

/* A minute, made 60 ms here, in which not a byte was taken. */
static void test_does_not_read(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
    time_divisor = 1000;
    give_list(make_list(3500, 0));
    while (!logged[0])
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(logged, "control: closed a connection whose client does not read");
    while (client_read(&c))
        ;
    assert_true(c.is_over);
    client_leave(&c);
}

/* Slow, but it reads. */
static void test_reads_slowly(void **state)
{
    struct client c;
    unsigned entries = 0, turns = 0;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
    give_list(make_list(3500, 0));
    while (!c.is_over) {
        struct bytes message;
        struct err e = ERR_INIT;
        size_t used;

        fixture_turn();
        if (turns++ % 7 == 0)
            (void)client_read(&c);
        while (wire_next(buf_bytes(&c.in), &message, &used, &e) == 1) {
            buf_drop_front(&c.in, used);
            entries++;
        }
    }
    assert_int_equal(entries, 3500 + 1);
    client_leave(&c);
}

/* ---- the end ---- */

/* In whatever state the connections are. */
static void test_stopped(void **state)
{
    struct client clients[5];

    (void)state;
    fixture_start();
    clients[0] = client_new();
    clients[1] = client_greeted(false);
    clients[2] = client_greeted(false);
    client_ask_for(&clients[2], CONTROL__REQUEST__BODY_LIST);
    give_list(make_list(3500, 0));
    clients[3] = client_greeted(true);
    client_ask_for(&clients[3], CONTROL__REQUEST__BODY_BACKUP);
    clients[4] = client_greeted(false);
    client_ask_for(&clients[4], CONTROL__REQUEST__BODY_LIST);
    while (!listing_runs || !job.watcher.ctx)
        fixture_turn();
    control_free(TAKE_PTR(control));
    assert_int_equal(access("sock", F_OK), -1);
    assert_null(job.watcher.ctx);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        while (client_read(&clients[i]))
            ;
        assert_true(clients[i].is_over);
        client_leave(&clients[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_lists, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_list_fails, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_cancelled_list, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_does_not_read, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_reads_slowly, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_stopped, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
