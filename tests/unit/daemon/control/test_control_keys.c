/* Master keys that come over the control socket: to whom they go, from whom they are taken, and how they are cut. */
#include "control_fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control/wire.h"
#include "failing.h"

static uint8_t keys[2][33];

static int setup(void **state)
{
    for (unsigned i = 0; i < sizeof(keys[0]); i++) {
        keys[0][i] = (uint8_t)(0x80 + i);
        keys[1][i] = (uint8_t)(0xc0 + i);
    }
    return fixture_setup(state);
}

static ProtobufCBinaryData bytes(unsigned which, size_t len)
{
    return (ProtobufCBinaryData){.data = keys[which], .len = len};
}

static void ask(struct client *c, Control__RotateKey *rotate)
{
    Control__Request m = CONTROL__REQUEST__INIT;

    m.body_case = CONTROL__REQUEST__BODY_ROTATE_KEY;
    m.rotate_key = rotate;
    client_ask(c, &m);
}

static void ask_with(struct client *c, size_t previous_len, size_t next_len, bool dry_run)
{
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;

    rotate.previous_key = bytes(0, previous_len);
    rotate.new_key = bytes(1, next_len);
    rotate.dry_run = dry_run;
    ask(c, &rotate);
}

static void wait_for_job(void)
{
    fixture_await_job();
    assert_string_equal(job.state.changing.name, "rotate-key");
}

static void end(struct client *c)
{
    fixture_end_job(&(struct job_result){.rotate = &(struct rotate_result){.rotated = 1}}, NULL);
    assert_int_equal(client_expect_done(c)->result_case, CONTROL__DONE__RESULT_ROTATE);
    assert_null(client_next(c));
    client_leave(c);
}

/* ---- keys ---- */

static void test_keys_arrive(void **state)
{
    (void)state;
    fixture_start();
    for (unsigned with = 0; with < 8; with++) {
        struct client c = client_greeted(true);
        Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;

        memset(job.previous, 0, sizeof(job.previous));
        memset(job.next, 0, sizeof(job.next));
        rotate.previous_key = bytes(0, KEY_LEN);
        if (with & 1)
            rotate.new_key = bytes(1, KEY_LEN);
        rotate.dry_run = with & 2;
        rotate.purge_versions = with & 4;
        ask(&c, &rotate);
        wait_for_job();
        assert_memory_equal(job.previous, keys[0], KEY_LEN);
        assert_int_equal(!job.rotate.next, !(with & 1));
        if (with & 1)
            assert_memory_equal(job.next, keys[1], KEY_LEN);
        assert_int_equal(job.rotate.dry_run, !!(with & 2));
        assert_int_equal(job.rotate.purge_versions, !!(with & 4));
        end(&c);
    }
}

/* What is told on the way, and a result that comes with a failure. */
static void test_what_is_told(void **state)
{
    struct rotate_result result = {.previous = "0123",
            .next = "4567",
            .configured = "89ab",
            .rotated = 1,
            .already = 2,
            .failed = 3,
            .old_versions = 4,
            .lost_versions = 5,
            .purged = 6,
            .versions_unknown = true,
            .elapsed_ms = 7,
            .dry_run = true,
            .previous_recipients = {"ann", "ben"},
            .n_previous_recipients = 2,
            .previous_opened = {false, true}};
    const Control__RotateResult *r;
    struct err e = ERR_INIT;
    struct client c;

    (void)state;
    fixture_start();
    err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "why");
    c = client_greeted(true);
    ask_with(&c, KEY_LEN, 0, true);
    wait_for_job();
    job.watcher.progress(
            job.watcher.ctx, &(struct job_progress){.phase = "rotating", .done = 1, .total = 6, .unit = "keys"});
    assert_string_equal(client_expect(&c, CONTROL__REPLY__BODY_PROGRESS)->progress->unit, "keys");
    job.watcher.unrotated(job.watcher.ctx, &(struct unrotated){.name = "x.key", .err = &e});
    (void)client_expect(&c, CONTROL__REPLY__BODY_UNROTATED);
    assert_string_equal(c.reply->unrotated->name, "x.key");
    assert_string_equal(c.reply->unrotated->kind, "integrity");
    assert_string_equal(c.reply->unrotated->text, "why");
    fixture_end_job(&(struct job_result){.rotate = &result}, &e);
    assert_string_equal(client_expect_done(&c)->failure->text, "why");
    assert_int_equal(c.reply->done->result_case, CONTROL__DONE__RESULT_ROTATE);
    r = c.reply->done->rotate;
    assert_true(r->rotated == 1 && r->already == 2 && r->failed == 3 && r->old_versions == 4 && r->lost_versions == 5);
    assert_true(r->purged == 6 && r->versions_unknown && r->elapsed_ms == 7 && r->dry_run);
    assert_string_equal(r->previous_key, "0123");
    assert_string_equal(r->new_key, "4567");
    assert_string_equal(r->configured_key, "89ab");
    assert_int_equal(r->n_previous_recipients, 2);
    assert_int_equal(r->n_opened_recipients, 1);
    assert_string_equal(r->opened_recipients[0], "ben");
    assert_string_equal(r->bucket, "https://s3/bucket/backup-");
    assert_null(client_next(&c));
    client_leave(&c);
}

/* Half a rotation is nobody's wish: whoever leaves does not stop it. */
static void test_client_leaves(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    ask_with(&c, KEY_LEN, KEY_LEN, false);
    wait_for_job();
    client_leave(&c);
    while (job.watcher.ctx)
        fixture_turn();
    assert_int_equal(job.unwatched, 1);
    assert_int_equal(job.cancelled, 0);
}

static void test_busy(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    job.state.changing.name = "backup";
    c = client_greeted(false);
    ask_with(&c, KEY_LEN, KEY_LEN, false);
    client_expect_failure(&c, "busy", "a backup is running");
    client_leave(&c);
}

static void test_lengths(void **state)
{
    static const struct {
        size_t previous, next;
        const char *text;
    } rows[] = {
            {0, 0, "the previous key has 0 bytes instead of 32"},
            {0, KEY_LEN, "the previous key has 0 bytes instead of 32"},
            {31, 0, "the previous key has 31 bytes instead of 32"},
            {33, KEY_LEN, "the previous key has 33 bytes instead of 32"},
            {KEY_LEN, 1, "the new key has 1 bytes instead of 32"},
            {KEY_LEN, 31, "the new key has 31 bytes instead of 32"},
            {KEY_LEN, 33, "the new key has 33 bytes instead of 32"},
    };

    (void)state;
    fixture_start();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client c = client_greeted(false);

        ask_with(&c, rows[i].previous, rows[i].next, i % 2);
        client_expect_failure(&c, "config", rows[i].text);
        client_leave(&c);
        assert_null(job.state.changing.name);
    }
}

/* A member of the group may start a backup, but not try keys: a dry run, too, says whether one is the right one. */
static void test_trust(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    conf.control.group = (char *)(uintptr_t)("daemon");
    fixture_start();
    for (int i = 0; i < 4; i++) {
        bool is_trusted = i & 1, dry_run = i & 2;
        struct client c;

        other_end = (struct ucred){.pid = 4711, .uid = is_trusted ? 0 : 4711, .gid = 1};
        other_groups[0] = other_groups[1] = 1;
        c = client_greeted(false);
        ask_with(&c, KEY_LEN, 0, dry_run);
        if (is_trusted) {
            wait_for_job();
            end(&c);
        } else {
            client_expect_failure(&c, "auth", "only root and the daemon's own user may rotate the master key");
            client_leave(&c);
            assert_null(job.state.changing.name);
        }
    }
}

/* A master key that was rotated away makes no backup, whoever asks; a rotation it takes part in all the same. */
static void test_rotated_away(void **state)
{
    struct control_spec spec = fixture_spec();
    struct err e = ERR_INIT;
    struct client c;

    (void)state;
    spec.cycle = (struct cycle *)(void *)&cycle;
    control = control_listen(&spec, &e);
    expect_success(control, &e);
    is_rotated_away = true;
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
    client_expect_failure(&c, "config", "rotated away");
    client_leave(&c);
    c = client_greeted(false);
    ask_with(&c, KEY_LEN, 0, false);
    wait_for_job();
    end(&c);
    is_rotated_away = false;
    c = client_backing_up(false);
    assert_false(job.backup.key_is_checked || job.backup.tells_other_keys);
    fixture_end_job(&(struct job_result){.backup = &(struct backup_result){.name = "n"}}, NULL);
    (void)client_expect_done(&c);
    client_leave(&c);
}

/* ---- how they come ---- */

/* Hello and the request in one; the caller resets it. */
static struct buf both(void)
{
    Control__Hello hello = CONTROL__HELLO__INIT;
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;
    struct buf out = BUF_INIT(1 << 17);
    struct err e = ERR_INIT;

    hello.version = WIRE_VERSION;
    m.body_case = CONTROL__REQUEST__BODY_HELLO;
    m.hello = &hello;
    assert_int_equal(wire_append(&out, &m.base, &e), 0);
    rotate.previous_key = bytes(0, KEY_LEN);
    rotate.new_key = bytes(1, KEY_LEN);
    m.body_case = CONTROL__REQUEST__BODY_ROTATE_KEY;
    m.rotate_key = &rotate;
    assert_int_equal(wire_append(&out, &m.base, &e), 0);
    return out;
}

static void send_in_pieces(struct client *c, const struct buf *b, size_t piece)
{
    for (size_t at = 0; at < b->len; at += piece) {
        client_send(c, b->data + at, b->len - at < piece ? b->len - at : piece);
        fixture_turn();
        fixture_turn();
    }
}

static void test_cut_anywhere(void **state)
{
    _cleanup_buf_ struct buf b = both();

    (void)state;
    fixture_start();
    for (size_t piece = 1; piece <= b.len; piece++) {
        struct client c = client_new();

        memset(job.previous, 0, sizeof(job.previous));
        memset(job.next, 0, sizeof(job.next));
        send_in_pieces(&c, &b, piece);
        (void)client_expect(&c, CONTROL__REPLY__BODY_WELCOME);
        wait_for_job();
        assert_memory_equal(job.previous, keys[0], KEY_LEN);
        assert_memory_equal(job.next, keys[1], KEY_LEN);
        end(&c);
    }
}

/* A restore to a path of so many bytes, *path_len, that the message has `len`. */
static struct buf restore_of(size_t len, size_t *path_len)
{
    static char output[WIRE_FRAME_MAX];
    Control__Restore restore = CONTROL__RESTORE__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;
    struct buf out = BUF_INIT(1 << 17);
    struct err e = ERR_INIT;
    size_t path = len - 10;

    m.body_case = CONTROL__REQUEST__BODY_RESTORE;
    m.restore = &restore;
    restore.output = output;
    for (;; path++) { /* the lengths before it are of different lengths */
        memset(output, 'x', path);
        output[0] = '/';
        output[path] = '\0';
        if (control__request__get_packed_size(&m) >= len)
            break;
    }
    assert_int_equal(control__request__get_packed_size(&m), len);
    if (path_len)
        *path_len = path;
    assert_int_equal(wire_append(&out, &m.base, &e), 0);
    return out;
}

/* Around each size to which what was received may grow, and the largest there is. */
static void test_long_requests(void **state)
{
    static const size_t lens[] = {3995, 3996, 3997, 4000, 15995, 15996, 15997, 16000, 63995, 63996, 63997, 64000,
            WIRE_FRAME_MAX - 1, WIRE_FRAME_MAX};
    static const size_t pieces[] = {1, 1000, 4000, 4096, SIZE_MAX / 2};
    struct err e = ERR_INIT;

    (void)state;
    fixture_start();
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "x");
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        for (size_t j = lens[i] > 16000 && lens[i] < WIRE_FRAME_MAX; j < ARRAY_LEN(pieces); j++) {
            size_t path;
            _cleanup_buf_ struct buf b = restore_of(lens[i], &path);
            struct client c = client_greeted(false);

            send_in_pieces(&c, &b, pieces[j]);
            fixture_await_job();
            assert_string_equal(job.state.changing.name, "restore");
            assert_int_equal(job.output_len, path);
            fixture_end_job(NULL, &e);
            client_expect_failure(&c, "cancelled", "x");
            client_leave(&c);
        }
}

/* While a job runs whatever else is said is passed over, however much it is; but the wish to stop is heard. */
static void test_much_while_a_job_runs(void **state)
{
    _cleanup_buf_ struct buf b = restore_of(WIRE_FRAME_MAX, NULL);
    struct err e = ERR_INIT;
    struct client c;

    (void)state;
    fixture_start();
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "x");
    c = client_greeted(false);
    ask_with(&c, KEY_LEN, 0, false);
    wait_for_job();
    for (int i = 0; i < 10; i++) {
        send_in_pieces(&c, &b, 50000);
        client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS);
    }
    client_ask_for(&c, CONTROL__REQUEST__BODY_CANCEL);
    while (!job.cancelled)
        fixture_turn();
    assert_int_equal(job.cancelled, 1);
    fixture_end_job(NULL, &e);
    client_expect_failure(&c, "cancelled", "x");
    client_leave(&c);
}

/* As much as the socket takes; the daemon need not read it. */
static void send_what_goes(struct client *c, size_t len)
{
    static uint8_t much[1 << 16];

    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(c->fd, much, sizeof(much), MSG_NOSIGNAL);

        for (int i = 0; i < 3; i++)
            fixture_turn();
        if (n < 0 && errno != EAGAIN)
            return; /* closed */
        sent += n > 0 ? (size_t)n : 0;
    }
}

/* Bytes that nobody waits for, after a request that is answered at once: they are not kept without end. */
static void test_much_after_the_end(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS);
    send_what_goes(&c, 1 << 20);
    while (!c.is_over) {
        fixture_turn();
        (void)client_read(&c);
    }
    client_leave(&c);
    /* And instead of a Hello. */
    c = client_new();
    send_what_goes(&c, 1 << 20);
    while (!c.is_over) {
        fixture_turn();
        (void)client_read(&c);
    }
    client_leave(&c);
}

/* Nonsense while a job runs: whoever sent it is told, and loses sight of the job; the job goes on. */
static void test_nonsense_while_a_job_runs(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    ask_with(&c, KEY_LEN, 0, false);
    wait_for_job();
    client_send(&c, "\0\0\0\0", 4);
    client_expect_failure(&c, "protocol", "control message of 0 bytes");
    client_leave(&c);
    while (job.watcher.ctx)
        fixture_turn();
    assert_int_equal(job.unwatched, 1);
    assert_int_equal(job.cancelled, 0);
}

/* Each allocation fails after it was let in: the connection ends, with a word or without, or the job has the whole
 * keys. */
static void test_out_of_memory_anywhere(void **state)
{
    _cleanup_buf_ struct buf b = both(), long_one = restore_of(20000, NULL);
    bool reached;
    size_t n = 0, n_refused = 0;

    (void)state;
    fixture_start();
    for (int is_long = 0; is_long < 2; is_long++) {
        n = 0;
        do {
            struct client c = client_new();
            struct err e = ERR_INIT;

            err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "x");
            memset(job.previous, 0, sizeof(job.previous));
            for (int i = 0; i < 5; i++)
                fixture_turn(); /* it is let in */
            failing_arm(++n);
            if (is_long) {
                client_send(&c, b.data, 8);
                client_send(&c, long_one.data, long_one.len);
            } else {
                client_send(&c, b.data, b.len);
            }
            for (int i = 0; i < 30; i++)
                fixture_turn();
            reached = failing_disarm();
            if (job.watcher.ctx) {
                assert_true(is_long || memcmp(job.previous, keys[0], KEY_LEN) == 0);
                fixture_end_job(NULL, &e);
            } else {
                n_refused++;
                assert_true(reached);
            }
            while (!c.is_over) {
                fixture_turn();
                (void)client_read(&c);
            }
            client_leave(&c);
        } while (reached);
    }
    assert_true(n_refused >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_keys_arrive, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_what_is_told, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_client_leaves, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_busy, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_lengths, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_trust, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_rotated_away, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_long_requests, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_much_while_a_job_runs, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_much_after_the_end, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_nonsense_while_a_job_runs, setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_anywhere, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
