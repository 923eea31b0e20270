/* How a job begins, goes on, is cancelled and ends. */
#include "expect.h"

#include <string.h>

#include "job/lifecycle.h"

static uv_loop_t loop;
static struct lifecycle life;
static char seen[64]; /* what came, a letter each: f(irst), s(tep), c(ancel), x: freed, r(eleased) */
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

static void cancel_and_end(struct lifecycle *l)
{
    came('c');
    lifecycle_end(l);
}

static void cancel_and_wind_down(struct lifecycle *l)
{
    came('c');
    lifecycle_next(l, step);
}

static void freed(struct lifecycle *l)
{
    memset(l, 0xaa, sizeof(*l));
    came('x');
}

static void begin(lifecycle_step on_cancel)
{
    seen[0] = '\0';
    lifecycle_start(&life, core, &(struct lifecycle_spec){.first = first, .cancel = on_cancel, .free_job = freed});
    assert_string_equal(seen, ""); /* never inside the start */
    assert_int_equal(users, 1);
}

/* One turn, in which a step that comes at once would come. */
static void turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
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
    lifecycle_end(&life);
    assert_string_equal(seen, "fs"); /* and nothing inside the end */
    lifecycle_cancel(&life);
    lifecycle_next(&life, step);
    ends_as("fsxr");
}

static void test_before_the_first_step(void **state)
{
    (void)state;
    begin(cancel_and_end);
    lifecycle_cancel(&life);
    assert_string_equal(seen, "");
    ends_as("cxr");
}

/* In the turn in which a step was asked for, before and after that: it does not begin. */
static void test_in_place_of_a_step(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 2; order++) {
        begin(cancel_and_end);
        turn();
        while (strcmp(seen, "fs") != 0)
            turn();
        if (order == 0)
            lifecycle_next(&life, step);
        lifecycle_cancel(&life);
        assert_true(lifecycle_is_cancelled(&life));
        if (order == 1)
            lifecycle_next(&life, step);
        ends_as("fscxr");
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
    lifecycle_end(&life);
    ends_as("cxr");
}

/* What a job needs for that comes after all. */
static void test_winding_down(void **state)
{
    (void)state;
    begin(cancel_and_wind_down);
    lifecycle_cancel(&life);
    for (unsigned i = 0; i < 4; i++)
        turn();
    assert_string_equal(seen, "cs");
    lifecycle_end(&life);
    ends_as("csxr");
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
            cmocka_unit_test_setup_teardown(test_winding_down, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
