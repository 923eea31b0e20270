/* Jobs over the control socket: who watches them, stops them, or leaves. */
#include "control_fixture.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/channel.h"
#include "folder.h"

/* ---- jobs ---- */

static void test_backup(void **state)
{
    struct backup_result result = {.name = "backup-x.dump", .snapshot_size = 5, .attempts = 2};
    struct client c, other;
    const Control__Reply *r;

    (void)state;
    (void)snprintf(result.member.endpoint, sizeof(result.member.endpoint), "a:1");
    fixture_start();
    c = client_backing_up(true);
    job.watcher.progress(job.watcher.ctx, &(struct job_progress){.phase = "streaming", .done = 1, .total = 5});
    r = client_expect(&c, CONTROL__REPLY__BODY_PROGRESS);
    assert_string_equal(r->progress->phase, "streaming");
    assert_int_equal(r->progress->total, 5);
    job.watcher.note(job.watcher.ctx, "again");
    r = client_expect(&c, CONTROL__REPLY__BODY_NOTE);
    assert_string_equal(r->note->text, "again");
    assert_false(r->note->passing);
    other = client_greeted(false);
    client_ask_for(&other, CONTROL__REQUEST__BODY_BACKUP);
    client_expect_failure(&other, "busy", "a backup is running");
    client_leave(&other);
    fixture_end_job(&(struct job_result){.backup = &result}, NULL);
    assert_int_equal(client_expect_done(&c)->result_case, CONTROL__DONE__RESULT_BACKUP);
    assert_string_equal(c.reply->done->backup->name, "backup-x.dump");
    assert_string_equal(c.reply->done->backup->endpoint, "a:1");
    assert_int_equal(c.reply->done->backup->attempts, 2);
    assert_null(client_next(&c));
    client_leave(&c);
    assert_int_equal(job.cancelled, 0);
}

/* Who does not want progress gets none; of much in a short time there is little. */
static void test_progress(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    fixture_start();
    err_set(&e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "x");
    for (int wanted = 0; wanted < 2; wanted++) {
        struct client c = client_backing_up(wanted);
        unsigned n;

        for (int i = 0; i < 1000; i++) {
            job.watcher.progress(job.watcher.ctx, &(struct job_progress){.phase = "streaming"});
            fixture_turn();
        }
        fixture_end_job(NULL, &e);
        n = client_count(&c, CONTROL__REPLY__BODY_PROGRESS);
        assert_string_equal(c.reply->done->failure->text, "x");
        assert_true(wanted ? n > 0 && n < 500 : n == 0);
        client_leave(&c);
    }
}

/* What was done begins anew with each attempt, and so does the time that it took. */
static void test_progress_of_another_attempt(void **state)
{
    struct job_progress progress = {.phase = "streaming", .attempt = 1, .done = 3, .total = 5};
    struct client c;

    (void)state;
    fixture_start();
    c = client_backing_up(true);
    job.watcher.progress(job.watcher.ctx, &progress);
    (void)client_expect(&c, CONTROL__REPLY__BODY_PROGRESS);
    for (uint64_t begin = uv_now(&loop); uv_now(&loop) - begin < 20;)
        fixture_turn();
    progress.phase = "waiting";
    job.watcher.progress(job.watcher.ctx, &progress);
    assert_true(client_expect(&c, CONTROL__REPLY__BODY_PROGRESS)->progress->elapsed_ms >= 20);
    progress.phase = "connecting";
    progress.attempt = 2;
    job.watcher.progress(job.watcher.ctx, &progress);
    assert_int_equal(client_expect(&c, CONTROL__REPLY__BODY_PROGRESS)->progress->elapsed_ms, 0);
    fixture_end_job(&(struct job_result){.backup = &(struct backup_result){.name = "n"}}, NULL);
    (void)client_expect_done(&c);
    client_leave(&c);
}

/* So many notes of 399 bytes, as long as the job is watched. */
static void tell_notes(int n)
{
    char text[400];

    memset(text, 'n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < n && job.watcher.ctx; i++)
        job.watcher.note(job.watcher.ctx, text);
}

/* A client that stops reading loses progress and not its job: what there is to say is said when it reads again. */
static void test_watcher_stops_reading(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_backing_up(true);
    time_divisor = 1000; /* a stall would be seen after 60 ms */
    tell_notes(20000);
    for (uint64_t begin = uv_now(&loop); uv_now(&loop) - begin < 200;)
        fixture_turn();
    assert_non_null(job.watcher.ctx);
    time_divisor = 0;
    fixture_end_job(&(struct job_result){.backup = &(struct backup_result){.name = "n"}}, NULL);
    assert_int_equal(client_count(&c, CONTROL__REPLY__BODY_NOTE), 20000);
    assert_int_equal(c.reply->done->result_case, CONTROL__DONE__RESULT_BACKUP);
    client_leave(&c);
    /* But not without end: then it is closed, and the backup goes on. */
    c = client_backing_up(true);
    tell_notes(200000);
    assert_null(job.watcher.ctx);
    assert_int_equal(job.unwatched, 1);
    assert_int_equal(job.cancelled, 0);
    client_leave(&c);
}

/* Who babbles while his job runs and reads nothing keeps his place until it ends, and no longer. */
static void test_babbler_stops_reading(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_backing_up(false);
    tell_notes(2000); /* more than the kernel takes */
    client_send(&c, "\0\0\0\0", 4);
    for (int i = 0; i < 20; i++)
        fixture_turn();
    assert_non_null(job.watcher.ctx);
    time_divisor = 1000;
    fixture_end_job(&(struct job_result){.backup = &(struct backup_result){.name = "n"}}, NULL);
    while (!logged[0])
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(logged, "control: closed a connection whose client does not read");
    client_leave(&c);
}

static void test_cancel(void **state)
{
    struct err e = ERR_INIT;
    struct client c;

    (void)state;
    fixture_start();
    c = client_greeted(false);
    client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
    client_ask_for(&c, CONTROL__REQUEST__BODY_STATUS); /* of no use here, and passed over */
    client_ask_for(&c, CONTROL__REQUEST__BODY_CANCEL);
    while (!job.cancelled)
        fixture_turn();
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
    fixture_end_job(NULL, &e);
    client_expect_failure(&c, "cancelled", "cancelled");
    assert_int_equal(job.cancelled, 1);
    client_leave(&c);
}

/* Nobody else's job. */
static void test_cancel_of_another(void **state)
{
    struct client c, other;

    (void)state;
    fixture_start();
    c = client_backing_up(false);
    other = client_greeted(false);
    client_ask_for(&other, CONTROL__REQUEST__BODY_LIST);
    client_ask_for(&other, CONTROL__REQUEST__BODY_CANCEL);
    client_expect_failure(&other, "cancelled", "cancelled");
    client_leave(&other);
    assert_int_equal(job.cancelled, 0);
    assert_non_null(job.watcher.ctx);
    fixture_end_job(&(struct job_result){.backup = &(struct backup_result){.name = "n"}}, NULL);
    (void)client_expect_done(&c);
    client_leave(&c);
}

/* A backup goes on without its client, a restore does not. */
static void test_client_leaves_its_job(void **state)
{
    (void)state;
    fixture_start();
    for (int restore = 0; restore < 2; restore++) {
        struct client c = client_greeted(true);

        if (restore)
            client_ask_restore(&c, "/tmp/file");
        else
            client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
        fixture_await_job();
        client_leave(&c);
        while (job.watcher.ctx)
            fixture_turn();
        assert_int_equal(job.unwatched, 1 + restore);
        assert_int_equal(job.cancelled, restore);
        job.state.changing.name = NULL;
    }
}

/* ---- the daemon stops ---- */

static struct job_result *good(void)
{
    static struct backup_result backup = {.name = "n"};
    static struct job_result result = {.backup = &backup};

    return &result;
}

/* Whoever waits for the end of the job hears of it; all others are gone, and nobody comes in any more. */
static void test_stop(void **state)
{
    struct client c, others[3];

    (void)state;
    fixture_start();
    c = client_backing_up(false);
    others[0] = client_new();
    others[1] = client_greeted(false);
    others[2] = client_greeted(false);
    client_ask_for(&others[2], CONTROL__REQUEST__BODY_LIST);
    while (!listing_runs)
        fixture_turn();
    control_stop(control);
    control_stop(control);
    assert_int_equal(folder_count(), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_null(client_next(&others[i]));
        client_leave(&others[i]);
    }
    assert_false(listing_runs);
    assert_non_null(job.watcher.ctx);
    assert_int_equal(job.cancelled, 0);
    job.watcher.note(job.watcher.ctx, "again");
    (void)client_expect(&c, CONTROL__REPLY__BODY_NOTE);
    fixture_end_job(good(), NULL);
    control_free(TAKE_PTR(control));
    assert_int_equal(client_expect_done(&c)->result_case, CONTROL__DONE__RESULT_BACKUP);
    assert_null(client_next(&c));
    client_leave(&c);
}

/* He reads late, but he reads. In the second round the job has ended before. */
static void test_stop_while_much_is_to_be_read(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct client c;

        fixture_start();
        c = client_backing_up(false);
        tell_notes(2000); /* more than the kernel takes */
        if (round == 1)
            fixture_end_job(good(), NULL);
        control_stop(control);
        if (round == 0)
            fixture_end_job(good(), NULL);
        control_free(TAKE_PTR(control));
        assert_int_equal(client_count(&c, CONTROL__REPLY__BODY_NOTE), 2000);
        assert_int_equal(c.reply->done->result_case, CONTROL__DONE__RESULT_BACKUP);
        assert_null(client_next(&c));
        client_leave(&c);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    }
    assert_string_equal(logged, "");
}

/* Nobody waits for him for long. */
static void test_stop_while_nobody_reads(void **state)
{
    struct client c;

    (void)state;
    fixture_start();
    c = client_backing_up(false);
    tell_notes(2000);
    fixture_turn();
    control_stop(control);
    time_divisor = 1000;
    fixture_end_job(good(), NULL);
    assert_true(timer_ms > CHANNEL_LAST_MS);
    control_free(TAKE_PTR(control));
    assert_int_equal(timer_ms, CHANNEL_LAST_MS);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_string_equal(logged, "control: closed a connection whose client does not read");
    client_leave(&c);
}

/* What he asked for ends with him also then: a restore does, a backup not. */
static void test_client_leaves_after_the_stop(void **state)
{
    (void)state;
    for (unsigned restore = 0; restore < 2; restore++) {
        struct client c;

        fixture_start();
        c = client_greeted(false);
        if (restore)
            client_ask_restore(&c, "/tmp/file");
        else
            client_ask_for(&c, CONTROL__REQUEST__BODY_BACKUP);
        fixture_await_job();
        control_stop(control);
        client_leave(&c);
        while (job.watcher.ctx)
            fixture_turn();
        assert_int_equal(job.cancelled, restore);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        control_free(TAKE_PTR(control));
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        job.state.changing.name = NULL;
    }
}

/* ---- what a restore is asked for ---- */

static void be(uid_t uid, gid_t gid, gid_t second)
{
    other_end = (struct ucred){.pid = 4711, .uid = uid, .gid = gid};
    other_groups[0] = gid;
    other_groups[1] = second;
}

/* The daemon writes with its own rights: a member of the group may not choose where. */
static void test_output(void **state)
{
    static const struct {
        const char *output;
        bool trusted, accepted;
        const char *text;
    } rows[] = {
            {"", true, true, NULL},
            {"", false, true, NULL},
            {"/etc/file", true, true, NULL},
            {"/var/snapshot.db", false, true, NULL},
            {"/etc/file", false, false,
                    "only root and the daemon's own user may choose the file; leave out --output to restore to "
                    "/var/snapshot.db"},
            {"/var/../etc/file", false, false,
                    "only root and the daemon's own user may choose the file; leave out --output to "
                    "restore to /var/snapshot.db"},
            {"file", true, false, "file: not an absolute path"},
    };
    struct err e = ERR_INIT;

    (void)state;
    if (geteuid() != 0)
        skip();
    conf.control.group = (char *)(uintptr_t)("daemon");
    fixture_start();
    err_set(&e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "x");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client c;

        be(rows[i].trusted ? 0 : 4711, 1, 1);
        c = client_greeted(false);
        client_ask_restore(&c, rows[i].output);
        if (rows[i].accepted) {
            fixture_await_job();
            assert_string_equal(job.output, rows[i].output);
            assert_true(job.restore.allow_plain && !job.restore.allow_renamed && !job.restore.skip_hash_check);
            fixture_end_job(NULL, &e);
            client_expect_failure(&c, "cancelled", "x");
        } else {
            client_expect_failure(&c, rows[i].trusted ? "config" : "auth", rows[i].text);
        }
        client_leave(&c);
    }
}

/* ---- what a prune is asked for ---- */

static void ask_prune(struct client *c, Control__Prune *prune)
{
    Control__Request m = CONTROL__REQUEST__INIT;

    m.body_case = CONTROL__REQUEST__BODY_PRUNE;
    m.prune = prune;
    client_ask(c, &m);
}

/* Each of its wishes by itself: what is not asked for is as the configuration says, and other keys are not allowed. */
static void test_prune(void **state)
{
    (void)state;
    conf.prune.min_count = 20;
    fixture_start();
    for (unsigned with = 0; with < 16; with++) {
        struct client c = client_greeted(false);
        Control__Prune prune = CONTROL__PRUNE__INIT;

        prune.dry_run = with & 1;
        prune.allow_other_keys = with & 2;
        prune.has_max_age = with & 4;
        prune.max_age_ms = 3600999;
        prune.has_min_count = with & 8;
        prune.min_count = 3;
        ask_prune(&c, &prune);
        fixture_await_job();
        assert_string_equal(job.state.changing.name, "prune");
        assert_int_equal(job.prune.dry_run, !!(with & 1));
        assert_int_equal(job.prune.allow_other_keys, !!(with & 2));
        assert_int_equal(job.prune.policy.max_age, with & 4 ? 3600 : PRUNE_MAX_AGE);
        assert_int_equal(job.prune.policy.min_count, with & 8 ? 3 : 20);
        fixture_end_job(&(struct job_result){.prune = &(struct prune_result){.remaining = 1}}, NULL);
        assert_int_equal(client_expect_done(&c)->result_case, CONTROL__DONE__RESULT_PRUNE);
        assert_null(client_next(&c));
        client_leave(&c);
    }
}

/* A member of the group may see what would go, and delete nothing, whatever else is asked for. */
static void test_prune_of_a_member(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    conf.control.group = (char *)(uintptr_t)("daemon");
    fixture_start();
    other_end = (struct ucred){.pid = 4711, .uid = 4711, .gid = 1};
    other_groups[0] = other_groups[1] = 1;
    for (int with = 0; with < 4; with++) {
        struct client c = client_greeted(false);
        Control__Prune prune = CONTROL__PRUNE__INIT;

        prune.dry_run = with & 1;
        prune.allow_other_keys = with & 2;
        ask_prune(&c, &prune);
        if (prune.dry_run) {
            fixture_await_job();
            assert_true(job.prune.dry_run);
            assert_int_equal(job.prune.allow_other_keys, !!(with & 2));
            fixture_end_job(&(struct job_result){.prune = &(struct prune_result){.dry_run = true}}, NULL);
            (void)client_expect_done(&c);
        } else {
            client_expect_failure(&c, "auth",
                    "only root and the daemon's own user may delete backups; --dry-run shows what would go");
            assert_null(job.state.changing.name);
        }
        client_leave(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_backup, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_progress, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_progress_of_another_attempt, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_watcher_stops_reading, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_babbler_stops_reading, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_cancel, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_stop, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_stop_while_much_is_to_be_read, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_stop_while_nobody_reads, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_client_leaves_after_the_stop, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_cancel_of_another, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_client_leaves_its_job, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_output, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_prune, fixture_setup, fixture_teardown),
            cmocka_unit_test_setup_teardown(test_prune_of_a_member, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
