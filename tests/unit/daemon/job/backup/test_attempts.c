/* One backup after the other until one succeeds, and what is told of them. */
#include "expect.h"

#include <uv.h>

#include "base/timestamp.h"
#include "core/known.h"
#include "core/leftovers.h"
#include "job/backup/attempts.h"
#include "job/backup/backup.h"
#include "job/backup/sweep.h"
#include "job/bucket/claim.h"
#include "job/keys/key_check.h"
#include "job/keys/key_guard.h"

enum { TOLD_MAX = 16 };

static uv_loop_t loop;
static struct conf conf;
static int core_users;
static int64_t instants; /* so many were given */

static struct told {
    struct job_progress progress[TOLD_MAX];
    unsigned n_progress, n_notes, n_done;
    struct backup_result result;
    struct err err;
    char note[ERR_TEXT_MAX];
    struct attempts *attempts; /* that a note cancels, if it does */
    bool cancels;
} told;

/* ---- in place of core.c ---- */

uv_loop_t *core_loop(const struct core *c)
{
    (void)c;
    return &loop;
}

const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &conf;
}

void core_acquire(struct core *c)
{
    (void)c;
    core_users++;
}

void core_release(struct core *c)
{
    (void)c;
    core_users--;
}

int64_t core_new_instant(struct core *c)
{
    (void)c;
    return ++instants % 2 ? 0 : instants; /* each time the one before has the second */
}

/* ---- in place of backup.c ---- */

struct backup {
    struct job_sink sink;
    unsigned started;
    bool cancelled, accepts_damaged;
};
static struct backup backup;

struct backup *backup_start(
        struct core *core, const struct backup_spec *spec, const struct job_sink *sink, struct err *e)
{
    (void)core, (void)e;
    assert_int_not_equal(spec->instant, 0);
    backup.accepts_damaged = spec->accepts_damaged;
    backup.sink = *sink;
    backup.started++;
    return &backup;
}

void backup_cancel(struct backup *b)
{
    b->cancelled = true;
}

/* ---- in place of key_guard.c ---- */

struct key_guard {
    struct key_guard_spec spec;
    bool is_there; /* there is something to find out */
    bool fails;    /* to start */
    unsigned started, freed;
};
static struct key_guard guard;

struct key_guard *key_guard_start(struct core *core, const struct key_guard_spec *spec, struct err *e)
{
    (void)core;
    if (guard.fails)
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no way to look");
    guard.spec = *spec;
    guard.started++;
    return guard.is_there ? &guard : NULL;
}

void key_guard_free(struct key_guard *g)
{
    if (g)
        g->freed++;
}

bool key_check_is_rotated_away(const struct err *e)
{
    return e->kind == ERR_CONFIG;
}

static uint64_t own_cluster;

struct known *core_known(const struct core *c)
{
    (void)c;
    return NULL;
}

static int64_t damaged_stored;

void known_set_damaged_stored(struct known *k, int64_t when)
{
    (void)k;
    damaged_stored = when;
}

int64_t known_damaged_stored(const struct known *k)
{
    (void)k;
    return damaged_stored;
}

uint64_t known_own_cluster(const struct known *k)
{
    (void)k;
    return own_cluster;
}

/* ---- in place of sweep.c ---- */

static struct leftovers *leftovers;

struct leftovers *core_leftovers(const struct core *c)
{
    (void)c;
    return leftovers;
}

struct sweep {
    void *ctx;
    void (*on_swept)(void *ctx);
    unsigned started, freed;
};
static struct sweep sweep;

struct sweep *sweep_start(struct core *core, void *ctx, void (*on_swept)(void *ctx))
{
    const char *key, *upload_id;

    (void)core;
    if (!leftovers_first(leftovers, &key, &upload_id))
        return NULL;
    sweep.ctx = ctx;
    sweep.on_swept = on_swept;
    sweep.started++;
    return &sweep;
}

void sweep_free(struct sweep *s)
{
    if (s)
        s->freed++;
}

/* ---- in place of claim.c ---- */

bool claim_is_taken(const struct err *err)
{
    return err->kind == ERR_TRANSIENT && err->code == 412;
}

/* Timers of any length run at once. */
int __real_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    (void)timeout;
    return __real_uv_timer_start(t, cb, 0, repeat);
}

/* ---- who asked ---- */

static void on_progress(void *ctx, const struct job_progress *p)
{
    (void)ctx;
    assert_true(told.n_progress < TOLD_MAX);
    told.progress[told.n_progress++] = *p;
}

static void on_note(void *ctx, const char *text)
{
    (void)ctx;
    assert_true(text[0]);
    told.n_notes++;
    (void)snprintf(told.note, sizeof(told.note), "%s", text);
    if (told.cancels)
        attempts_cancel(told.attempts);
}

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    (void)ctx;
    told.n_done++;
    told.result = *result->backup;
    if (err)
        told.err = *err;
}

static bool member_failed;
static enum backup_left left;

static int set_up(void **state)
{
    (void)state;
    told = (struct told){0};
    backup = (struct backup){0};
    guard = (struct key_guard){0};
    conf.etcd.retries = 2;
    conf.etcd.n_endpoints = 0;
    damaged_stored = 0;
    core_users = 0;
    member_failed = false;
    left = BACKUP_LEFT_NONE;
    own_cluster = 0;
    sweep = (struct sweep){0};
    leftovers = leftovers_new();
    return leftovers ? uv_loop_init(&loop) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    leftovers_free(leftovers);
    return uv_run(&loop, UV_RUN_DEFAULT) == 0 && core_users == 0 ? uv_loop_close(&loop) : -1;
}

static struct attempts *start_with(const struct backup_request *request)
{
    struct job_sink sink = {.progress = on_progress, .note = on_note, .done = on_done};
    struct err e = ERR_INIT;
    struct attempts *a = attempts_start((struct core *)(void *)&core_users, request, &sink, &e);

    expect_success(a, &e);
    return a;
}

static struct attempts *start(void)
{
    return start_with(&(struct backup_request){0});
}

static void await_backup(unsigned number)
{
    while (backup.started < number)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

/* One whose database is damaged: stored, if it may be, and if nothing of that kind comes in the way. */
static void end_damaged_unless_stored(enum err_kind not_stored)
{
    struct err e = ERR_INIT;
    struct backup_result result = {.name = "n", .was_inspected = true, .member_failed = true, .not_stored = not_stored};

    result.facts.structure = BOLT_DAMAGED;
    result.is_stored_damaged = backup.accepts_damaged && not_stored == ERR_NONE;
    err_set(&e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "damaged");
    backup.sink.done(backup.sink.ctx, &(struct job_result){.backup = &result}, &e);
}

static void end_damaged(void)
{
    end_damaged_unless_stored(ERR_NONE);
}

static void end_backup(enum err_kind kind)
{
    struct err e = ERR_INIT;

    err_set(&e, kind, ERR_DOMAIN_NONE, 0, "broken");
    backup.sink.done(backup.sink.ctx,
            &(struct job_result){.backup = &(struct backup_result){.name = "n",
                                         .read_ms = 10,
                                         .member = {.cluster_id = 9},
                                         .left = left,
                                         .left_why = "away",
                                         .member_failed = member_failed}},
            kind ? &e : NULL);
}

/* What is told of progress says of which attempt it is. */
static void attempts_are_numbered(void **state)
{
    (void)state;
    (void)start();
    for (unsigned n = 1; n <= 2; n++) {
        await_backup(n);
        backup.sink.progress(backup.sink.ctx, &(struct job_progress){.phase = "streaming", .done = 5});
        end_backup(n == 1 ? ERR_TRANSIENT : ERR_NONE);
    }
    assert_int_equal(told.n_done, 1);
    assert_int_equal(told.result.attempts, 2);
    assert_int_equal(told.result.read_ms, 20);
    assert_int_equal(told.n_notes, 1);
    assert_int_equal(told.n_progress, 3);
    assert_string_equal(told.progress[1].phase, "waiting");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(told.progress[i].attempt, i == 2 ? 2 : 1);
    assert_int_equal(told.progress[2].done, 5);
}

static void there_are_not_more_than_were_asked_for(void **state)
{
    (void)state;
    (void)start();
    for (unsigned n = 1; n <= 3; n++) {
        await_backup(n);
        end_backup(ERR_TRANSIENT);
    }
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_TRANSIENT, "attempt 3 of at most 3: broken");
    assert_int_equal(told.result.attempts, 3);
    assert_int_equal(told.result.read_ms, 30);
}

/* Each member is asked, whatever `retries` says, and only the last one's is taken; and it is no success. */
static void damaged_databases_are_taken_last(void **state)
{
    (void)state;
    conf.etcd.n_endpoints = 3;
    conf.etcd.retries = 0;
    damaged_stored = 0;
    (void)start();
    for (unsigned n = 1; n <= 3; n++) {
        await_backup(n);
        assert_int_equal(backup.accepts_damaged, n == 3);
        end_damaged();
    }
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_INTEGRITY, "damaged");
    assert_true(told.result.is_stored_damaged && damaged_stored > 0);
}

/* What a damaged member took is no attempt at the others, and the last error says both. */
static void damaged_databases_use_up_no_attempt(void **state)
{
    (void)state;
    conf.etcd.n_endpoints = 3;
    (void)start();
    for (unsigned n = 1; n <= 5; n++) {
        await_backup(n);
        if (n == 1 || n == 3)
            end_damaged();
        else
            end_backup(ERR_TRANSIENT);
    }
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_TRANSIENT, "attempt 3 of at most 3, and 2 more found a damaged database: broken");
    assert_int_equal(told.result.attempts, 5);
}

/* That it could not be stored goes by, or does not. */
static void a_damaged_database_is_stored_later(void **state)
{
    (void)state;
    conf.etcd.n_endpoints = 1;
    for (enum err_kind kind = ERR_TRANSIENT; kind <= ERR_AUTH; kind++) {
        backup.started = 0;
        (void)start();
        await_backup(1);
        end_damaged();
        await_backup(2);
        assert_true(backup.accepts_damaged);
        end_damaged_unless_stored(kind);
        if (kind == ERR_TRANSIENT) {
            await_backup(3);
            assert_true(backup.accepts_damaged);
            end_damaged();
        }
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(told.n_done, 1 + (kind != ERR_TRANSIENT));
        expect_error(&told.err, ERR_INTEGRITY, "damaged");
        assert_int_equal(told.result.attempts, kind == ERR_TRANSIENT ? 3 : 2);
        assert_true(told.result.is_stored_damaged == (kind == ERR_TRANSIENT) &&
                    (damaged_stored > 0) == (kind == ERR_TRANSIENT));
        damaged_stored = 0;
    }
}

/* A sound one ends it. */
static void a_sound_member_is_found(void **state)
{
    (void)state;
    conf.etcd.n_endpoints = 3;
    conf.etcd.retries = 0;
    damaged_stored = 0;
    (void)start();
    for (unsigned n = 1; n <= 3; n++) {
        await_backup(n);
        if (n == 3)
            end_backup(ERR_NONE);
        else
            end_damaged();
    }
    assert_int_equal(told.err.kind, ERR_NONE);
    assert_int_equal(damaged_stored, 0);
}

/* Behind one address there may be several; and what was stored a moment ago is not stored again. */
static void damaged_databases_are_not_piled_up(void **state)
{
    (void)state;
    conf.etcd.n_endpoints = 1;
    damaged_stored = timestamp_now() - 10;
    (void)start();
    for (unsigned n = 1; n <= 2; n++) {
        await_backup(n);
        assert_false(backup.accepts_damaged);
        end_damaged();
    }
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_INTEGRITY, "damaged");
    damaged_stored = 0;
}

static void what_another_cannot_mend_is_final(void **state)
{
    (void)state;
    (void)start();
    await_backup(1);
    end_backup(ERR_AUTH);
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_AUTH, "broken");
}

/* Wrong bytes of a member are a reason to ask another, once for each; wrong bytes of the store are not. */
static void wrong_bytes_are_asked_of_each_member_once(void **state)
{
    (void)state;
    conf.etcd.n_endpoints = 2;
    member_failed = true;
    (void)start();
    for (unsigned n = 1; n <= 2; n++) {
        await_backup(n);
        end_backup(ERR_INTEGRITY);
    }
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_INTEGRITY, "attempt 2 of at most 3: broken");
    for (unsigned n = 1; n <= 2; n++) {
        backup.started = 0;
        conf.etcd.n_endpoints = n;
        member_failed = n == 1;
        (void)start();
        await_backup(1);
        end_backup(ERR_INTEGRITY);
        assert_int_equal(told.n_done, 1 + n);
        expect_error(&told.err, ERR_INTEGRITY, "broken");
    }
}

/* However many attempts leave an upload behind. */
static void what_stays_in_the_bucket_is_told_once(void **state)
{
    (void)state;
    left = BACKUP_LEFT_UNKNOWN;
    (void)start();
    for (unsigned n = 1; n <= 3; n++) {
        await_backup(n);
        end_backup(ERR_TRANSIENT);
    }
    assert_int_equal(told.n_done, 1);
    assert_int_equal(told.n_notes, 2 + 1); /* that it is tried again, and this */
    assert_int_equal(sweep.started, 0);
}

static void another_cluster_than_before_is_told(void **state)
{
    (void)state;
    for (own_cluster = 8; own_cluster <= 9; own_cluster++) {
        backup.started = told.n_notes = 0;
        (void)start();
        await_backup(1);
        end_backup(ERR_NONE);
        assert_int_equal(told.n_notes, own_cluster == 8);
    }
}

/* And where it can be taken away behind a success, it is, and not told. */
static void what_was_left_is_swept(void **state)
{
    struct attempts *a;

    (void)state;
    for (unsigned refused = 0; refused < 3; refused++) {
        backup.started = told.n_notes = 0;
        assert_true(leftovers_add(leftovers, "n", "id"));
        left = BACKUP_LEFT_KNOWN;
        a = start();
        await_backup(1);
        end_backup(ERR_TRANSIENT);
        left = BACKUP_LEFT_NONE;
        await_backup(2);
        end_backup(ERR_NONE);
        assert_int_equal(told.n_done, refused);
        if (!refused)
            leftovers_drop_first(leftovers);
        if (refused == 2)
            attempts_cancel(a); /* it has succeeded all the same */
        else
            sweep.on_swept(sweep.ctx);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(told.n_done, refused + 1);
        assert_int_equal(told.err.kind, ERR_NONE);
        assert_int_equal(told.n_notes, refused ? 2 : 1);
        assert_int_equal(sweep.freed, refused + 1);
        leftovers_forget(leftovers);
    }
}

static void one_that_is_cancelled_is_the_last(void **state)
{
    (void)state;
    for (unsigned waiting = 0; waiting < 2; waiting++) {
        struct attempts *a = start();

        await_backup(waiting + 1);
        if (waiting)
            end_backup(ERR_TRANSIENT);
        attempts_cancel(a);
        attempts_cancel(a);
        while (!backup.cancelled) /* of the first round, then */
            (void)uv_run(&loop, UV_RUN_ONCE);
        if (!waiting)
            end_backup(ERR_CANCELLED);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(told.n_done, waiting + 1);
        assert_int_equal(told.err.kind, ERR_CANCELLED);
    }
}

/* That its end comes before the cancellation does makes no other, nor is one behind it waited for. */
static void one_that_ends_by_itself_is_the_last(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        const bool has_come = round % 2, succeeds = round / 2;
        struct attempts *a;

        backup = (struct backup){.started = 0};
        told.err = ERR_INIT;
        assert_true(leftovers_add(leftovers, "n", "id"));
        a = start();
        await_backup(1);
        attempts_cancel(a);
        while (has_come && !backup.cancelled)
            (void)uv_run(&loop, UV_RUN_ONCE);
        end_backup(succeeds ? ERR_NONE : ERR_TRANSIENT);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(told.n_done, round + 1);
        assert_int_equal(told.err.kind, succeeds ? ERR_NONE : ERR_TRANSIENT);
        assert_int_equal(backup.started, 1);
        assert_int_equal(sweep.started, 0);
    }
}

static void end_guard(enum err_kind kind)
{
    struct err e = ERR_INIT;

    err_set(&e, kind, ERR_DOMAIN_NONE, 0, "the key");
    guard.spec.on_done(guard.spec.ctx, kind ? &e : NULL, NULL);
}

/* The key is looked at before the first attempt, unless that has just been done. */
static void the_key_is_looked_at_once(void **state)
{
    (void)state;
    for (unsigned checked = 0; checked < 2; checked++) {
        backup.started = 0;
        guard = (struct key_guard){.is_there = true};
        (void)start_with(&(struct backup_request){.key_is_checked = checked, .tells_other_keys = true});
        if (!checked) {
            while (!guard.started)
                (void)uv_run(&loop, UV_RUN_ONCE);
            assert_int_equal(backup.started, 0);
            end_guard(ERR_NONE);
        }
        await_backup(1);
        end_backup(ERR_TRANSIENT);
        await_backup(2);
        end_backup(ERR_NONE);
        assert_int_equal(guard.started, !checked);
        assert_int_equal(guard.freed, !checked);
    }
    assert_int_equal(told.n_notes, 2); /* of the attempts that failed */
}

static void a_key_that_was_rotated_away_makes_none(void **state)
{
    (void)state;
    guard.is_there = true;
    (void)start();
    while (!guard.started)
        (void)uv_run(&loop, UV_RUN_ONCE);
    end_guard(ERR_CONFIG);
    assert_int_equal(backup.started, 0);
    assert_int_equal(told.n_done, 1);
    expect_error(&told.err, ERR_CONFIG, "the key");
    assert_int_equal(guard.freed, 1);
}

/* What else is wrong with the keys hinders nothing, and is told to who does not hear it otherwise. */
static void a_key_of_others_is_told(void **state)
{
    (void)state;
    for (unsigned tells = 0; tells < 2; tells++) {
        backup.started = 0;
        guard = (struct key_guard){.is_there = true};
        (void)start_with(&(struct backup_request){.tells_other_keys = tells});
        while (!guard.started)
            (void)uv_run(&loop, UV_RUN_ONCE);
        end_guard(ERR_INTEGRITY);
        await_backup(1);
        end_backup(ERR_NONE);
        assert_int_equal(told.n_notes, tells);
    }
}

/* A look at the bucket that failed, or could not be begun, hinders nothing, and is told of a backup that comes off: one
 * that fails tells itself what is wrong. Who cannot take the note may cancel inside it. */
static void a_look_that_failed_is_told(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "a web page");
    for (unsigned round = 0; round < 6; round++) {
        const bool begins = round < 3, fails = round % 3 == 1;

        told = (struct told){0};
        backup.started = 0;
        guard = (struct key_guard){.is_there = begins, .fails = !begins};
        told.cancels = round % 3 == 2;
        told.attempts = start();
        while (!guard.started)
            (void)uv_run(&loop, UV_RUN_ONCE);
        if (begins)
            guard.spec.on_done(guard.spec.ctx, NULL, &e);
        await_backup(1);
        assert_int_equal(told.n_notes, 0);
        end_backup(fails ? ERR_AUTH : ERR_NONE);
        assert_string_equal(told.note, fails ? "" : begins ? "a web page" : "no way to look");
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(told.n_done, 1);
        assert_int_equal(told.err.kind, fails ? ERR_AUTH : ERR_NONE);
        assert_int_equal(guard.freed, begins);
    }
}

static void the_look_at_the_key_can_be_cancelled(void **state)
{
    struct attempts *a;

    (void)state;
    guard.is_there = true;
    a = start();
    while (!guard.started)
        (void)uv_run(&loop, UV_RUN_ONCE);
    attempts_cancel(a);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(guard.freed, 1);
    assert_int_equal(told.n_done, 1);
    assert_int_equal(told.err.kind, ERR_CANCELLED);
    assert_int_equal(backup.started, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(attempts_are_numbered, set_up, tear_down),
            cmocka_unit_test_setup_teardown(there_are_not_more_than_were_asked_for, set_up, tear_down),
            cmocka_unit_test_setup_teardown(damaged_databases_are_taken_last, set_up, tear_down),
            cmocka_unit_test_setup_teardown(damaged_databases_use_up_no_attempt, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_damaged_database_is_stored_later, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_sound_member_is_found, set_up, tear_down),
            cmocka_unit_test_setup_teardown(damaged_databases_are_not_piled_up, set_up, tear_down),
            cmocka_unit_test_setup_teardown(what_another_cannot_mend_is_final, set_up, tear_down),
            cmocka_unit_test_setup_teardown(wrong_bytes_are_asked_of_each_member_once, set_up, tear_down),
            cmocka_unit_test_setup_teardown(what_stays_in_the_bucket_is_told_once, set_up, tear_down),
            cmocka_unit_test_setup_teardown(another_cluster_than_before_is_told, set_up, tear_down),
            cmocka_unit_test_setup_teardown(what_was_left_is_swept, set_up, tear_down),
            cmocka_unit_test_setup_teardown(one_that_is_cancelled_is_the_last, set_up, tear_down),
            cmocka_unit_test_setup_teardown(one_that_ends_by_itself_is_the_last, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_key_is_looked_at_once, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_key_that_was_rotated_away_makes_none, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_key_of_others_is_told, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_look_that_failed_is_told, set_up, tear_down),
            cmocka_unit_test_setup_teardown(the_look_at_the_key_can_be_cancelled, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
