/* Who may use the control socket, and what becomes of clients that babble, dawdle, or leave. */
#include "control_fixture.h"

#include <string.h>
#include <unistd.h>

#include "control/wire.h"
#include "failing.h"

/* ---- status ---- */

static void test_status(void **state)
{
    struct client c;
    const Control__StatusResult *s;
    const Control__Done *done;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    job.state.changing.name = "backup";
    job.state.changing.progress = (struct job_progress){.phase = "streaming", .done = 5, .total = 7};
    job.state.has_failure = true;
    job.state.failed_job = "restore";
    (void)err_set(&job.state.last_failure, ERR_AUTH, ERR_DOMAIN_NONE, 0, "no");
    client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS);
    done = client_expect_done(&c);
    assert_null(done->failure);
    assert_int_equal(done->result_case, CONTROL__DONE__RESULT_STATUS);
    s = done->status;
    assert_int_equal(s->pid, getpid());
    assert_int_equal(s->started, 1733520145);
    assert_string_equal(s->config, "conf.yml");
    assert_string_equal(s->bucket, "https://s3/bucket/backup-");
    assert_int_equal(s->n_endpoints, 1);
    assert_string_equal(s->endpoints[0], "127.0.0.1:2379");
    assert_string_equal(s->running->job, "backup");
    assert_int_equal(s->running->progress->total, 7);
    assert_null(s->last_success);
    assert_string_equal(s->last_failure->kind, "auth");
    assert_null(client_next(&c));
    client_leave(&c);
}

/* Each allocation fails after it was welcomed: it is told so or cut off, and never left waiting. */
static void test_status_without_memory(void **state)
{
    size_t n = 0, n_failures = 0;
    bool reached;

    (void)state;
    fixture_start();
    do {
        struct client c = client_greeted(false);
        const Control__Reply *r;

        client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS);
        failing_arm(++n);
        for (int i = 0; i < 10; i++)
            fixture_turn();
        reached = failing_disarm();
        while ((r = client_next(&c)))
            n_failures += r->body_case == CONTROL__REPLY__BODY_DONE && r->done->failure;
        assert_true(c.is_over);
        client_leave(&c);
    } while (reached);
    assert_true(n > 2 && n_failures > 0);
}

/* ---- clients that say something else ---- */

static void test_nonsense(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } rows[] = {
            {"\0\0\0\0", 4, "control message of 0 bytes"}, {"\0\1\0\1", 4, "control message of 65537 bytes"},
            {"GET / HTTP/1.1\r\n\r\n", 18, "control message of 1195725856 bytes"},
            {"\0\0\0\3\xff\xff\xff", 7, "a message that is none of the control protocol"},
            {"\0\0\0\2\x0a\x00", 6,
                    "the client speaks another version of the control protocol than this daemon (5)"}, /* version 0 */
            {"\0\0\0\2\x22\x00", 6,
                    "the client speaks another version of the control protocol than this daemon (5)"}, /* no hello */
    };

    (void)state;
    fixture_start();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client c = client_new();

        client_send(&c, rows[i].bytes, rows[i].len);
        client_expect_failure(&c, "protocol", rows[i].text);
        client_leave(&c);
    }
}

static void test_unknown_requests(void **state)
{
    static const char unknown[] = "\0\0\0\3\xfa\x06\x00"; /* field 111 */

    (void)state;
    fixture_start();
    for (int i = 0; i < 2; i++) {
        struct client c = client_greeted(false);

        if (i)
            client_ask_for(&c, CONTROL__REQUEST__BODY_CANCEL);
        else
            client_send(&c, unknown, sizeof(unknown) - 1);
        client_expect_failure(&c, "protocol", "a request that this daemon does not know");
        client_leave(&c);
    }
}

/* All at once, and a byte at a time: the same. */
static void test_cut_anywhere(void **state)
{
    static const char both[] = "\0\0\0\4\x0a\x02\x08\x05\0\0\0\2\x22\x00"; /* hello, status */

    (void)state;
    fixture_start();
    for (int whole = 0; whole < 2; whole++) {
        struct client c = client_new();

        for (size_t i = 0; i < sizeof(both) - 1; i += whole ? sizeof(both) - 1 : 1) {
            client_send(&c, both + i, whole ? sizeof(both) - 1 : 1);
            fixture_turn();
            fixture_turn();
        }
        (void)client_expect(&c, CONTROL__REPLY__BODY_WELCOME);
        assert_int_equal(client_expect_done(&c)->result_case, CONTROL__DONE__RESULT_STATUS);
        assert_null(client_next(&c));
        client_leave(&c);
    }
}

/* Leaves at each moment. */
static void test_leaves(void **state)
{
    (void)state;
    fixture_start();
    for (int when = 0; when < 4; when++) {
        struct client c = client_new();

        if (when == 1)
            client_send(&c, "\0\0", 2);
        if (when >= 2)
            client_hello(&c, WIRE_VERSION, false);
        if (when >= 3)
            client_ask_for(&c, CONTROL__REQUEST__BODY_LIST);
        for (int i = 0; i < 5; i++)
            fixture_turn();
        assert_int_equal(listing_runs, when == 3);
        client_leave(&c);
        for (int i = 0; i < 5; i++)
            fixture_turn();
        assert_false(listing_runs);
        assert_int_equal(core_users, 0);
    }
}

/* 10 s, made 500 ms here. */
static void test_dawdles(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    time_divisor = 20;
    for (int when = 0; when < 3; when++) {
        c = client_new();
        if (when == 1)
            client_send(&c, "\0", 1);
        if (when == 2) {
            client_hello(&c, WIRE_VERSION, false);
            (void)client_expect(&c, CONTROL__REPLY__BODY_WELCOME);
        }
        client_expect_failure(&c, "protocol", "no request within 10 s");
        client_leave(&c);
    }
}

/* ---- places ---- */

static void test_places(void **state)
{
    struct client clients[CONTROL_PEERS + 4];

    (void)state;
    fixture_start();
    for (size_t i = 0; i < CONTROL_PEERS; i++)
        clients[i] = client_greeted(false);
    for (size_t i = CONTROL_PEERS; i < ARRAY_LEN(clients); i++) {
        clients[i] = client_new();
        client_hello(&clients[i], WIRE_VERSION, false);
    }
    for (int i = 0; i < 20; i++)
        fixture_turn();
    for (size_t i = CONTROL_PEERS; i < ARRAY_LEN(clients); i++)
        assert_false(client_read(&clients[i]) || clients[i].is_over); /* they wait */
    for (size_t i = CONTROL_PEERS; i < ARRAY_LEN(clients); i++) {
        client_leave(&clients[i - CONTROL_PEERS]);
        (void)client_expect(&clients[i], CONTROL__REPLY__BODY_WELCOME);
    }
    for (size_t i = 4; i < ARRAY_LEN(clients); i++)
        client_leave(&clients[i]);
}

/* Each allocation fails while two come and nobody else is here: who cannot be served is sent away, and the next is
 * served. */
static void test_out_of_memory(void **state)
{
    size_t n = 0, n_sent_away = 0;
    bool reached;

    (void)state;
    fixture_start();
    do {
        struct client clients[2], after;

        for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
            clients[i] = client_new();
            client_hello(&clients[i], WIRE_VERSION, false);
        }
        failing_arm(++n);
        for (int i = 0; i < 20; i++)
            fixture_turn();
        reached = failing_disarm();
        for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
            (void)client_next(&clients[i]);
            n_sent_away += clients[i].is_over;
            client_leave(&clients[i]);
        }
        for (int i = 0; i < 20; i++)
            fixture_turn();
        after = client_greeted(false);
        client_leave(&after);
    } while (reached);
    assert_true(n_sent_away >= 2);
    assert_non_null(strstr(logged, "control: a connection was turned away: out of memory"));
}

/* ---- who may do what ---- */

static void be(uid_t uid, gid_t gid, gid_t second)
{
    other_end = (struct ucred){.pid = 4711, .uid = uid, .gid = gid};
    other_groups[0] = gid;
    other_groups[1] = second;
}

static void test_admission(void **state)
{
    static const struct {
        uid_t uid;
        gid_t gid, second;
        bool is_let_in;
    } rows[] = {
            {0, 500, 500, true},
            {4711, 500, 500, false},
            {4711, 300, 500, true},
            {4711, 500, 300, true},
    };

    (void)state;
    fixture_start();
    for (int with_group = 0; with_group < 2; with_group++) {
        if (with_group) {
            conf.control.group = (char *)(uintptr_t)("daemon"); /* there is one everywhere */
            control_free(TAKE_PTR(control));
            if (geteuid() != 0)
                break; /* only root may give it away */
            fixture_start();
        }
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            gid_t group = 1; /* daemon's */
            struct client c;

            be(rows[i].uid, rows[i].gid == 300 ? group : rows[i].gid, rows[i].second == 300 ? group : rows[i].second);
            c = client_new();
            client_hello(&c, WIRE_VERSION, false);
            if (rows[i].is_let_in && (with_group || rows[i].uid == 0)) {
                (void)client_expect(&c, CONTROL__REPLY__BODY_WELCOME);
            } else {
                client_expect_failure(&c, "auth",
                        with_group
                                ? "not allowed: only root, the daemon's own user and members of control.group may do "
                                  "this"
                                : "not allowed: only root, the daemon's own user may do this");
                assert_string_equal(logged, "control: refused a connection of user 4711, process 4711");
            }
            client_leave(&c);
        }
    }
}

/* Members of the group who come in crowds and say nothing: root comes in at once, and so does another member as long as
 * there is room. */
static void test_flood(void **state)
{
    struct client of_one[CONTROL_OF_ONE], of_others[CONTROL_OTHERS - CONTROL_OF_ONE], extra, root[2];

    (void)state;
    if (geteuid() != 0)
        skip();
    conf.control.group = (char *)(uintptr_t)("daemon");
    fixture_start();
    be(4711, 1, 1);
    for (size_t i = 0; i < ARRAY_LEN(of_one); i++)
        of_one[i] = client_greeted(false);
    for (unsigned i = 0; i < 2 * CONTROL_PEERS; i++) {
        extra = client_new();
        client_expect_failure(&extra, "busy",
                "too many connections to the daemon: 4 of yours, 4 of control.group; try again when one has ended");
        client_leave(&extra);
    }
    assert_string_equal(
            logged, "control: user 4711, process 4711, and others have too many connections; more are turned away");
    for (size_t i = 0; i < ARRAY_LEN(of_others); i++) {
        be(5000 + (uid_t)i / 3, 1, 1);
        of_others[i] = client_greeted(false);
    }
    be(6000, 1, 1);
    extra = client_new();
    client_expect_failure(&extra, "busy",
            "too many connections to the daemon: 0 of yours, 12 of control.group; try again when one has ended");
    client_leave(&extra);
    be(0, 500, 500);
    for (size_t i = 0; i < ARRAY_LEN(root); i++) {
        root[i] = client_greeted(false);
        client_ask_for(&root[i], CONTROL__REQUEST__BODY_STATUS);
        assert_int_equal(client_expect_done(&root[i])->result_case, CONTROL__DONE__RESULT_STATUS);
        client_leave(&root[i]);
    }
    client_leave(&of_one[0]);
    fixture_turn();
    be(4711, 1, 1);
    extra = client_greeted(false); /* there is room again */
    client_leave(&extra);
    for (size_t i = 1; i < ARRAY_LEN(of_one); i++)
        client_leave(&of_one[i]);
    for (size_t i = 0; i < ARRAY_LEN(of_others); i++)
        client_leave(&of_others[i]);
}

static void test_no_such_group(void **state)
{
    struct control_spec spec = fixture_spec();
    struct err e = ERR_INIT;

    (void)state;
    conf.control.group = (char *)(uintptr_t)("no-such-group-here");
    assert_null(control_listen(&spec, &e));
    expect_error(&e, ERR_CONFIG, "control.group: no group 'no-such-group-here' on this machine");
}

/* ---- private daemons ---- */

static void on_private_gone(void *ctx)
{
    (void)ctx;
    private_gone++;
    control_free(TAKE_PTR(control));
}

static void start_private(struct client *c)
{
    struct control_spec spec = fixture_spec();
    struct err e = ERR_INIT;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    spec.on_private_gone = on_private_gone;
    control = control_serve_fd(&spec, pair[0], &e);
    expect_success(control, &e);
    *c = client_on(pair[1]);
}

static void test_private(void **state)
{
    struct client c;

    (void)state;
    start_private(&c);
    client_hello(&c, WIRE_VERSION, false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS);
    (void)client_expect(&c, CONTROL__REPLY__BODY_WELCOME);
    assert_int_equal(client_expect_done(&c)->result_case, CONTROL__DONE__RESULT_STATUS);
    assert_null(client_next(&c));
    while (!private_gone)
        fixture_turn();
    client_leave(&c);
    /* What its client asked for ends with it. */
    start_private(&c);
    client_hello(&c, WIRE_VERSION, false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
    fixture_await_job();
    client_leave(&c);
    while (private_gone < 2)
        fixture_turn();
    assert_int_equal(job.cancelled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_status, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_status_without_memory, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_nonsense, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_unknown_requests, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_cut_anywhere, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_leaves, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_dawdles, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_places, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_admission, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_flood, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_no_such_group, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_private, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
