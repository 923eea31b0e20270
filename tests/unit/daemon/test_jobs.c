/* Which jobs run beside which, who ends what, and what is remembered. The jobs themselves are played. */
#include "expect.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/known.h"
#include "core/log.h"
#include "jobs.h"

/* A job that runs, of any kind: these are all the same here. */
struct played {
    struct job_sink sink;
    unsigned cancelled;
};

static struct played played[7];
static struct jobs *jobs;
static char told[4096]; /* what the log got */

void log_write(enum log_level level, const char *fmt, ...)
{
    size_t len = strlen(told);
    va_list ap;

    if (level == LOG_DEBUG)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(told + len, sizeof(told) - len - 1, fmt, ap);
    va_end(ap);
    (void)strcat(told, "\n");
}

struct known *core_known(const struct core *c)
{
    (void)c;
    return NULL;
}

void known_set_own_cluster(struct known *k, uint64_t cluster)
{
    (void)k;
    (void)cluster;
}

#define PLAY(job, request_type, i)                                                                                     \
    struct job *job##_start(                                                                                           \
            struct core *core, const request_type *request, const struct job_sink *sink, struct err *e)                \
    {                                                                                                                  \
        (void)core;                                                                                                    \
        (void)request;                                                                                                 \
        (void)e;                                                                                                       \
        played[i] = (struct played){.sink = *sink};                                                                    \
        return (struct job *)&played[i];                                                                               \
    }                                                                                                                  \
    void job##_cancel(struct job *j)                                                                                   \
    {                                                                                                                  \
        ((struct played *)j)->cancelled++;                                                                             \
    }

enum { BACKUP, RESTORE, VERIFY, PRUNE, ROTATE, LOOK, CHECK, N_KINDS };

PLAY(attempts, struct backup_request, BACKUP)
PLAY(restore, struct restore_request, RESTORE)
PLAY(verify, struct verify_request, VERIFY)
PLAY(prune, struct prune_request, PRUNE)
PLAY(rotate, struct rotate_request, ROTATE)
PLAY(look, struct look_request, LOOK)
PLAY(check, struct check_request, CHECK)

static const char *const names[] = {"backup", "restore", "verify", "prune", "rotate-key", "look", "check"};

/* Whoever watches: the i-th has this ctx. */
static char watchers[N_KINDS];
static struct err ended; /* of the last that was told its end */

static void on_done(void *ctx, const struct job_result *result, const struct err *err)
{
    (void)ctx;
    (void)result;
    ended = err ? *err : ERR_INIT;
}

static int start(int kind, struct err *e)
{
    struct job_sink watcher = {.ctx = &watchers[kind], .done = on_done};

    *e = ERR_INIT;
    switch (kind) {
    case BACKUP:
        return jobs_start_backup(jobs, &(struct backup_request){0}, &watcher, e);
    case RESTORE:
        return jobs_start_restore(jobs, &(struct restore_request){0}, &watcher, e);
    case VERIFY:
        return jobs_start_verify(jobs, &(struct verify_request){0}, &watcher, e);
    case PRUNE:
        return jobs_start_prune(jobs, &(struct prune_request){0}, &watcher, e);
    case LOOK:
        return jobs_start_look(jobs, &(struct look_request){0}, &watcher, e);
    case CHECK:
        return jobs_start_check(jobs, &(struct check_request){0}, &watcher, e);
    default:
        return jobs_start_rotate(jobs, &(struct rotate_request){0}, &watcher, e);
    }
}

static void end(int kind, const struct err *err)
{
    static struct backup_result backup = {.name = "b", .instant = 7};
    static struct restore_result restore;
    static struct verify_result verify;
    static struct prune_result prune;
    static struct rotate_result rotate;
    static struct look_result look;
    static struct check_result check;
    struct job_result results[] = {{.backup = &backup}, {.restore = &restore}, {.verify = &verify}, {.prune = &prune},
            {.rotate = &rotate}, {.look = &look}, {.check = &check}};

    played[kind].sink.done(played[kind].sink.ctx, err ? NULL : &results[kind], err);
}

static void end_badly(int kind, enum err_kind why)
{
    struct err e = ERR_INIT;

    (void)err_set(&e, why, ERR_DOMAIN_NONE, 0, "why");
    end(kind, &e);
}

static int setup(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    told[0] = '\0';
    jobs = jobs_new(NULL, false, &e);
    return jobs ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    jobs_free(jobs);
    return 0;
}

/* All pairs: what runs, and what wants to. A backup goes beside what only reads, and nothing else beside anything. */
static void test_beside(void **state)
{
    struct err e = ERR_INIT, ignored;

    (void)state;
    for (int first = 0; first < N_KINDS; first++)
        for (int second = 0; second < N_KINDS; second++) {
            bool goes = second == BACKUP && (first == RESTORE || first == VERIFY || first == LOOK || first == CHECK);

            assert_int_equal(start(first, &e), 0);
            assert_string_equal(jobs_running(jobs), names[first]);
            assert_int_equal(start(second, &e), goes ? 0 : -1);
            if (!goes) {
                assert_int_equal(e.kind, ERR_BUSY);
                assert_non_null(strstr(e.text, names[first]));
            } else {
                assert_string_equal(jobs_state(jobs)->changing.name, "backup");
                assert_string_equal(jobs_state(jobs)->reading.name, names[first]);
                assert_int_equal(start(VERIFY, &ignored), -1);
                end(BACKUP, NULL);
                assert_string_equal(jobs_running(jobs), names[first]);
            }
            end(first, NULL);
            assert_null(jobs_running(jobs));
        }
}

/* Of two that run each hears of itself alone, ends by itself, and is cancelled by whoever watches it. */
static void test_two(void **state)
{
    struct job_progress progress = {.phase = "reading", .done = 5};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(start(VERIFY, &e), 0);
    jobs_unwatch(jobs, &watchers[BACKUP]);
    assert_int_equal(jobs_start_backup(jobs, &(struct backup_request){0}, NULL, &e), 0);
    played[BACKUP].sink.progress(played[BACKUP].sink.ctx, &progress);
    played[BACKUP].sink.note(played[BACKUP].sink.ctx, "it waits");
    assert_int_equal(jobs_state(jobs)->changing.progress.done, 5);
    assert_string_equal(jobs_state(jobs)->changing.note, "it waits");
    assert_int_equal(jobs_state(jobs)->reading.progress.done, 0);
    assert_string_equal(jobs_state(jobs)->reading.note, "");
    assert_non_null(strstr(told, "backup: it waits"));
    jobs_cancel(jobs, &watchers[VERIFY]);
    assert_int_equal(played[VERIFY].cancelled, 1);
    assert_int_equal(played[BACKUP].cancelled, 0);
    jobs_stop(jobs);
    assert_int_equal(played[VERIFY].cancelled, 2);
    assert_int_equal(played[BACKUP].cancelled, 1);
    end_badly(VERIFY, ERR_CANCELLED);
    assert_string_equal(ended.text, "the daemon is stopping: why");
    assert_string_equal(jobs_running(jobs), "backup");
    end_badly(BACKUP, ERR_CANCELLED);
    assert_null(jobs_running(jobs));
    assert_false(jobs_state(jobs)->has_failure);
}

/* ---- who waits ---- */

/* Somebody who waits for his turn and then starts what he wanted, or leaves it. */
struct waiter {
    struct jobs_waiter waiter;
    int kind;
    bool leaves, had_turn;
};

static void on_turn(void *ctx)
{
    struct waiter *w = ctx;
    struct err e = ERR_INIT;

    w->had_turn = true;
    if (!w->leaves)
        assert_int_equal(start(w->kind, &e), 0);
}

static const char *wait_for(struct waiter *w, int kind)
{
    *w = (struct waiter){.waiter = {.ctx = w, .on_turn = on_turn}, .kind = kind};
    return jobs_wait(jobs, (enum jobs_kind)kind, &w->waiter);
}

static void start_nobodys(int kind)
{
    struct err e = ERR_INIT;

    assert_int_equal(kind == BACKUP ? jobs_start_backup(jobs, &(struct backup_request){0}, NULL, &e)
                                    : jobs_start_prune(jobs, &(struct prune_request){0}, NULL, &e),
            0);
}

/* Nobody's job is waited for, somebody's is not, also when he has left; nor is what would begin. */
static void test_whom_to_wait_for(void **state)
{
    struct waiter w;
    struct err e = ERR_INIT;

    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        assert_null(wait_for(&w, kind));
        start_nobodys(PRUNE);
        assert_string_equal(wait_for(&w, kind), "prune");
        assert_int_equal(jobs_state(jobs)->n_waiting, 1);
        assert_string_equal(jobs_state(jobs)->waiting[0], names[kind]);
        jobs_wait_no_more(jobs, &w.waiter);
        end(PRUNE, NULL);
        assert_false(w.had_turn);
        assert_int_equal(start(PRUNE, &e), 0);
        assert_null(wait_for(&w, kind));
        jobs_unwatch(jobs, &watchers[PRUNE]);
        assert_null(wait_for(&w, kind));
        end(PRUNE, NULL);
    }
    /* Beside somebody's verify a backup is nobody's: only another backup has nothing of somebody's in its way. */
    assert_int_equal(start(VERIFY, &e), 0);
    start_nobodys(BACKUP);
    assert_null(wait_for(&w, VERIFY));
    assert_int_equal(start(VERIFY, &e), -1);
    assert_non_null(strstr(e.text, "a verify is running"));
    assert_string_equal(wait_for(&w, BACKUP), "backup");
    end(BACKUP, NULL);
    assert_true(w.had_turn);
    assert_string_equal(jobs_state(jobs)->changing.name, "backup");
    end(BACKUP, NULL);
    end(VERIFY, NULL);
}

/* A verification of the daemon's own makes room at once; one of somebody's stays. */
static void test_makes_room(void **state)
{
    struct waiter w;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(jobs_start_verify(jobs, &(struct verify_request){0}, NULL, &e), 0);
    assert_null(wait_for(&w, BACKUP)); /* it begins beside it */
    assert_int_equal(played[VERIFY].cancelled, 0);
    assert_string_equal(wait_for(&w, RESTORE), "verify");
    assert_int_equal(played[VERIFY].cancelled, 1);
    assert_false(w.had_turn);
    end(VERIFY, &(struct err){.kind = ERR_CANCELLED});
    assert_true(w.had_turn);
    assert_string_equal(jobs_state(jobs)->reading.name, "restore");
    end(RESTORE, NULL);
    assert_null(strstr(told, "verify failed")); /* it was put off */
    /* Also where a backup that nobody asked for stands in the way first. */
    assert_int_equal(jobs_start_verify(jobs, &(struct verify_request){0}, NULL, &e), 0);
    start_nobodys(BACKUP);
    assert_non_null(wait_for(&w, RESTORE));
    assert_int_equal(played[VERIFY].cancelled, 1);
    end(VERIFY, &(struct err){.kind = ERR_CANCELLED});
    end(BACKUP, NULL);
    assert_true(w.had_turn);
    end(RESTORE, NULL);
    assert_int_equal(start(VERIFY, &e), 0);
    assert_null(wait_for(&w, RESTORE));
    assert_int_equal(played[VERIFY].cancelled, 0);
    end(VERIFY, NULL);
}

static unsigned verdicts_seen;

static void on_seen_verdict(void *ctx, const struct verdict *v)
{
    (void)ctx;
    verdicts_seen += v->err == NULL;
}

/* Whoever observes hears each verdict, whoever asked; and of the daemon's own the log gets no sum behind each. */
static void test_verdicts(void **state)
{
    static const struct contents_finding contents = {.verdict = CONTENTS_PROVEN};
    const struct verdict good = {.name = "a.dump", .contents = &contents};
    const struct verify_result result = {.good = 1};
    struct err e = ERR_INIT;

    (void)state;
    verdicts_seen = 0;
    jobs_observe(jobs, &(struct jobs_observer){.verdict = on_seen_verdict});
    assert_int_equal(jobs_start_verify(jobs, &(struct verify_request){0}, NULL, &e), 0);
    played[VERIFY].sink.verdict(played[VERIFY].sink.ctx, &good);
    assert_int_equal(verdicts_seen, 1);
    played[VERIFY].sink.done(played[VERIFY].sink.ctx, &(struct job_result){.verify = &result}, NULL);
    assert_non_null(strstr(told, "a.dump is good, proven to hold what its etcd had"));
    assert_null(strstr(told, "verify done"));
}

static bool timer_had_its_turn;

/* As the timer does: what is due begins as soon as it can. */
static void on_idle(void *ctx)
{
    struct err ignored = ERR_INIT;

    (void)ctx;
    timer_had_its_turn = jobs_start_backup(jobs, &(struct backup_request){0}, NULL, &ignored) == 0;
}

/* In the order of arrival, one after the other, or beside each other as far as they go; and before the timer, whose
 * jobs would keep a rotation, which nothing may run beside, waiting for ever. */
static void test_order(void **state)
{
    struct waiter rotate, verify, backup, left;

    (void)state;
    jobs_observe(jobs, &(struct jobs_observer){.idle = on_idle});
    start_nobodys(PRUNE);
    assert_non_null(wait_for(&rotate, ROTATE));
    assert_non_null(wait_for(&left, PRUNE));
    assert_non_null(wait_for(&verify, VERIFY));
    assert_non_null(wait_for(&backup, BACKUP));
    left.leaves = true;
    end(PRUNE, NULL);
    assert_string_equal(jobs_running(jobs), "rotate-key");
    assert_false(timer_had_its_turn);
    assert_int_equal(jobs_state(jobs)->n_waiting, 3);
    end(ROTATE, NULL);
    assert_true(left.had_turn);
    assert_string_equal(jobs_state(jobs)->reading.name, "verify");
    assert_string_equal(jobs_state(jobs)->changing.name, "backup");
    assert_int_equal(jobs_state(jobs)->n_waiting, 0);
    assert_false(timer_had_its_turn);
    end(BACKUP, NULL);
    assert_true(timer_had_its_turn);
    timer_had_its_turn = false;
    end(VERIFY, NULL);
    end_badly(BACKUP, ERR_CANCELLED);
    assert_true(timer_had_its_turn);
}

/* Bounded; and at the end of the daemon nobody is called. */
static void test_many_wait(void **state)
{
    struct waiter waiters[JOBS_WAITERS], more;
    struct err e = ERR_INIT;

    (void)state;
    start_nobodys(PRUNE);
    for (unsigned i = 0; i < JOBS_WAITERS; i++)
        assert_non_null(wait_for(&waiters[i], VERIFY));
    assert_null(wait_for(&more, VERIFY));
    assert_int_equal(start(VERIFY, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    jobs_stop(jobs);
    end_badly(PRUNE, ERR_CANCELLED);
    assert_null(jobs_running(jobs));
    assert_false(waiters[0].had_turn);
}

/* What `status` keeps is about the service: not that somebody mistyped, or left. */
static void test_last_failure(void **state)
{
    static const struct {
        int kind;
        enum err_kind why;
        bool is_kept;
    } cases[] = {
            {BACKUP, ERR_TRANSIENT, true},
            {BACKUP, ERR_CANCELLED, false},
            {PRUNE, ERR_AUTH, true},
            {VERIFY, ERR_INTEGRITY, true},
            {VERIFY, ERR_NOT_FOUND, false},
            {RESTORE, ERR_CONFIG, false},
            {RESTORE, ERR_INTEGRITY, false},
            {ROTATE, ERR_CONFIG, false},
            {CHECK, ERR_CONFIG, false},
    };
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jobs_forget(jobs);
        told[0] = '\0';
        assert_int_equal(start(cases[i].kind, &e), 0);
        end_badly(cases[i].kind, cases[i].why);
        assert_int_equal(jobs_state(jobs)->has_failure, cases[i].is_kept);
        assert_non_null(strstr(told, " failed: why")); /* the log has it in any case */
    }
}

/* Another bucket: what happened to the old one refuses no prune, and nothing is shown of it. */
static void test_forgets(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(start(BACKUP, &e), 0);
    end(BACKUP, NULL);
    assert_int_equal(start(PRUNE, &e), 0);
    end(PRUNE, NULL);
    assert_int_equal(start(BACKUP, &e), 0);
    end_badly(BACKUP, ERR_TRANSIENT);
    assert_true(jobs_state(jobs)->has_success && jobs_state(jobs)->has_prune && jobs_state(jobs)->has_failure);
    assert_int_equal(start(PRUNE, &e), -1);
    assert_int_equal(e.kind, ERR_CONFIG);
    jobs_forget(jobs);
    assert_false(jobs_state(jobs)->has_success || jobs_state(jobs)->has_prune || jobs_state(jobs)->has_failure);
    assert_int_equal(start(PRUNE, &e), 0);
    end(PRUNE, NULL);
}

/* 200 backups that stay, four times a day: nothing has happened. */
static void test_what_stays_is_no_news(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(jobs_start_prune(jobs, &(struct prune_request){0}, NULL, &e), 0);
    for (int i = 0; i < 200; i++)
        played[PRUNE].sink.planned(played[PRUNE].sink.ctx, &(struct planned){.name = "stays", .reason = "young"});
    played[PRUNE].sink.planned(
            played[PRUNE].sink.ctx, &(struct planned){.name = "gone", .goes = true, .reason = "old"});
    assert_string_equal(told, "prune: delete: gone: old\n");
    end(PRUNE, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_beside, setup, teardown),
            cmocka_unit_test_setup_teardown(test_two, setup, teardown),
            cmocka_unit_test_setup_teardown(test_whom_to_wait_for, setup, teardown),
            cmocka_unit_test_setup_teardown(test_makes_room, setup, teardown),
            cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
            cmocka_unit_test_setup_teardown(test_order, setup, teardown),
            cmocka_unit_test_setup_teardown(test_many_wait, setup, teardown),
            cmocka_unit_test_setup_teardown(test_last_failure, setup, teardown),
            cmocka_unit_test_setup_teardown(test_forgets, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_stays_is_no_news, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
