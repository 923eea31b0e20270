/* How a job begins, goes on, is cancelled and ends. */
#include "expect.h"

#include <string.h>

#include "job/lifecycle.h"

static uv_loop_t loop;
static struct lifecycle life;
static char seen[64]; /* what came, a letter each: f(irst), s(tep), t(ick), c(ancel), n(ote), p(rogress), d(one), x:
                         freed, r(eleased) */
static struct prune_result result;
static unsigned users;
static struct core *const core = (struct core *)(void *)&users;

static void came(char what)
{
    size_t n = strlen(seen);

    assert_true(n + 1 < sizeof(seen));
    seen[n] = what;
    seen[n + 1] = '\0';
}

uv_loop_t *core_loop(const struct core *c)
{
    (void)c;
    return &loop;
}

void core_acquire(struct core *c)
{
    (void)c;
    users++;
}

void core_release(struct core *c)
{
    (void)c;
    users--;
    came('r');
}

static void step(struct lifecycle *l)
{
    (void)l;
    came('s');
}

static void first(struct lifecycle *l)
{
    came('f');
    lifecycle_next(l, step);
}

static void cancel(struct lifecycle *l)
{
    (void)l;
    came('c');
}

static void end(struct lifecycle *l)
{
    struct err e = ERR_INIT;

    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "so it is");
    lifecycle_end(l, &(struct job_result){.prune = &result}, &e);
}

static void cancel_and_end(struct lifecycle *l)
{
    came('c');
    end(l);
}

/* The second time nothing is at work any more. */
static void cancel_in_two(struct lifecycle *l)
{
    if (strchr(seen, 'c'))
        cancel_and_end(l);
    else
        came('c');
}

static void freed(struct lifecycle *l)
{
    memset(l, 0xaa, sizeof(*l));
    came('x');
}

/* ---- who is told ---- */

static void on_progress(void *ctx, const struct job_progress *p)
{
    assert_ptr_equal(ctx, seen);
    assert_string_equal(p->phase, "waiting");
    came('p');
}

static void on_note(void *ctx, const char *text)
{
    assert_ptr_equal(ctx, seen);
    assert_string_equal(text, "a note");
    came('n');
}

/* What it calls does nothing any more. */
static void on_done(void *ctx, const struct job_result *told, const struct err *err)
{
    assert_ptr_equal(ctx, seen);
    assert_ptr_equal(told->prune, &result);
    expect_error(err, ERR_TRANSIENT, "so it is");
    came('d');
    lifecycle_cancel(&life);
    lifecycle_next(&life, step);
    lifecycle_every(&life, 1, step);
}

static const struct job_sink sink = {.ctx = seen, .progress = on_progress, .note = on_note, .done = on_done};

static void begin(lifecycle_step on_cancel)
{
    seen[0] = '\0';
    lifecycle_start(
            &life, &(struct lifecycle_spec){
                           .core = core, .sink = &sink, .first = first, .cancel = on_cancel, .free_job = freed});
    assert_string_equal(seen, ""); /* never inside the start */
    assert_int_equal(users, 1);
}

/* One turn, in which a step that comes at once would come. */
static void turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

/* Until no step is awaited. */
static void await(const char *expected)
{
    while (strcmp(seen, expected) != 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

static void ends_as(const char *expected)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(seen, expected);
    assert_int_equal(users, 0);
}

static void test_to_the_end(void **state)
{
    (void)state;
    begin(cancel);
    for (unsigned i = 0; i < 4; i++)
        turn();
    assert_string_equal(seen, "fs"); /* nothing comes that was not asked for */
    assert_false(lifecycle_is_cancelled(&life));
    lifecycle_note(&life, "a note");
    lifecycle_progress(&life, &(struct job_progress){.phase = "waiting"});
    assert_string_equal(seen, "fsnp");
    end(&life);
    assert_string_equal(seen, "fsnpd"); /* and no step inside the end, nor behind it */
    ends_as("fsnpdxr");
}

static void test_before_the_first_step(void **state)
{
    (void)state;
    begin(cancel_and_end);
    lifecycle_cancel(&life);
    assert_string_equal(seen, "");
    ends_as("cdxr");
}

/* In the turn in which a step was asked for, before and after that: it does not begin. Nor one that is far away. */
static void test_in_place_of_a_step(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 4; order++) {
        const uint64_t wait = order < 2 ? 0 : UINT64_C(1) << 40;

        begin(cancel_and_end);
        await("fs");
        if (order % 2 == 0)
            lifecycle_after(&life, wait, step);
        lifecycle_cancel(&life);
        assert_true(lifecycle_is_cancelled(&life));
        if (order % 2 == 1)
            lifecycle_after(&life, wait, step);
        ends_as("fscdxr");
    }
}

static void test_twice(void **state)
{
    (void)state;
    begin(cancel);
    lifecycle_cancel(&life);
    lifecycle_cancel(&life);
    turn();
    lifecycle_cancel(&life);
    for (unsigned i = 0; i < 3; i++)
        turn();
    assert_string_equal(seen, "c");
    end(&life);
    ends_as("cdxr");
}

/* What was at work has ended and would go on: it comes again, and ends the job. */
static void test_in_place_of_each_step(void **state)
{
    (void)state;
    begin(cancel_in_two);
    lifecycle_cancel(&life);
    for (unsigned i = 0; i < 4; i++)
        turn();
    assert_string_equal(seen, "c");
    lifecycle_after(&life, UINT64_C(1) << 40, step);
    ends_as("ccdxr");
}

/* After a wait, and not before; one that is asked for anew does not come for the first, too. */
static void test_after_a_wait(void **state)
{
    uint64_t began;

    (void)state;
    begin(cancel);
    await("fs");
    began = lifecycle_elapsed_ms(&life);
    lifecycle_after(&life, 30, step);
    lifecycle_after(&life, 20, step);
    await("fss");
    assert_true(lifecycle_elapsed_ms(&life) >= began + 20);
    for (unsigned i = 0; i < 4; i++)
        turn();
    end(&life);
    ends_as("fssdxr");
}

static void tick(struct lifecycle *l)
{
    came('t');
    if (strcmp(seen, "fstt") == 0)
        lifecycle_cancel(l);
    else if (strcmp(seen, "fsttctt") == 0)
        end(l);
}

/* Beside the steps, again and again, also of one that is cancelled, until the end. */
static void test_ticks(void **state)
{
    (void)state;
    begin(cancel);
    await("fs");
    lifecycle_every(&life, 5, tick);
    ends_as("fsttcttdxr");
}

static int setup(void **state)
{
    (void)state;
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    return uv_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_to_the_end, setup, teardown),
            cmocka_unit_test_setup_teardown(test_before_the_first_step, setup, teardown),
            cmocka_unit_test_setup_teardown(test_in_place_of_a_step, setup, teardown),
            cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
            cmocka_unit_test_setup_teardown(test_in_place_of_each_step, setup, teardown),
            cmocka_unit_test_setup_teardown(test_after_a_wait, setup, teardown),
            cmocka_unit_test_setup_teardown(test_ticks, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
