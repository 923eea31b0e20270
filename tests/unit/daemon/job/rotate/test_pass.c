/* One pass over the keys: what is counted, what ends it, and what is never begun. */
#include "expect.h"

#include <string.h>

#include "job/rotate/pass.h"
#include "seal/key.h"

enum { KEYS_MAX = 80, FIRST = 1733520141 };

/* ---- in place of rewrap.c ---- */

static struct rewrap {
    struct rewrap_spec spec;
    bool runs;
} rewraps[KEYS_MAX];
static unsigned started, running, most;
static bool start_fails;

struct rewrap *rewrap_start(struct core *core, const struct rewrap_spec *spec, struct err *e)
{
    (void)core;
    assert_int_equal(spec->instant, FIRST);
    if (start_fails) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no way");
        return NULL;
    }
    assert_true(started < KEYS_MAX);
    rewraps[started] = (struct rewrap){.spec = *spec, .runs = true};
    running++;
    most = running > most ? running : most;
    return &rewraps[started++];
}

void rewrap_free(struct rewrap *r)
{
    assert_true(r->runs);
    r->runs = false;
    running--;
}

/* ---- in place of key_list.c ---- */

struct key_list {
    struct key_item items[KEYS_MAX];
    size_t n;
};
static struct key_list keys;

size_t key_list_count(const struct key_list *l)
{
    return l->n;
}

struct key_item *key_list_at(struct key_list *l, size_t i)
{
    assert_true(i < l->n);
    return &l->items[i];
}

/* ---- the rotation ---- */

static struct rotate_result result;
static unsigned n_failed, n_done;
static size_t progress;
static struct err last;
static struct pass *pass;

static void on_progress(void *ctx, size_t done)
{
    assert_ptr_equal(ctx, &result);
    assert_true(done > progress);
    progress = done;
}

static void on_failed(void *ctx, const struct unrotated *failed)
{
    assert_ptr_equal(ctx, &result);
    assert_string_equal(failed->name, "a.key");
    assert_false(failed->is_old_version);
    last = *failed->err;
    n_failed++;
}

/* What it may do here is to free it. */
static void on_done(void *ctx)
{
    assert_ptr_equal(ctx, &result);
    assert_int_equal(running, 0);
    n_done++;
}

static int begin(size_t n, bool is_first)
{
    static char name[] = "a.key";
    struct pass_spec spec = {
            .keys = &keys,
            .only_looks = true,
            .is_first = is_first,
            .result = &result,
            .ctx = &result,
            .on_progress = on_progress,
            .on_failed = on_failed,
            .on_done = on_done,
    };
    struct err e = ERR_INIT;

    keys.n = n;
    for (size_t i = 0; i < n; i++)
        keys.items[i] = (struct key_item){.name = name, .instant = FIRST};
    started = running = most = n_failed = n_done = 0;
    progress = 0;
    start_fails = false;
    result = (struct rotate_result){0};
    pass = pass_new(&spec, &e);
    return pass ? 0 : -1;
}

static int setup(void **state)
{
    (void)state;
    return begin(KEYS_MAX, true);
}

static int teardown(void **state)
{
    (void)state;
    pass_free(pass);
    return (int)running;
}

static void end(unsigned i, enum rewrap_outcome outcome, const struct err *err)
{
    rewraps[i].spec.on_done(rewraps[i].spec.ctx, outcome, false, err);
}

static void end_with(unsigned i, enum err_kind kind, enum err_domain domain, int code)
{
    struct err e = ERR_INIT;

    err_set(&e, kind, domain, code, "broken");
    end(i, REWRAP_FAILED, &e);
}

/* ---- the tests ---- */

/* Each once, some at a time; the last one's end is the pass'. */
static void test_all_keys(void **state)
{
    (void)state;
    assert_true(pass_start(pass));
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        assert_int_equal(n_done, 0);
        assert_true(rewraps[i].spec.only_look);
        end(i, REWRAP_ALREADY, NULL);
        assert_int_equal(progress, i + 1);
    }
    assert_int_equal(n_done, 1);
    assert_int_equal(most, 16);
    assert_int_equal(pass_state(pass)->ended, KEYS_MAX);
    assert_int_equal(pass_state(pass)->changed, 0);
    for (size_t i = 0; i < KEYS_MAX; i++)
        assert_true(keys.items[i].is_rotated);
}

static void test_none(void **state)
{
    (void)state;
    pass_free(pass);
    assert_int_equal(begin(0, true), 0);
    assert_false(pass_start(pass));
    assert_int_equal(n_done, 0);
}

/* What was changed needs another pass, and so does what has gone. */
static void test_outcomes(void **state)
{
    for (unsigned is_first = 0; is_first < 2; is_first++) {
        (void)state;
        pass_free(pass);
        assert_int_equal(begin(6, is_first), 0);
        assert_true(pass_start(pass));
        end(0, REWRAP_ROTATED, NULL);
        end(1, REWRAP_BOUND, NULL);
        end(2, REWRAP_GONE, NULL);
        assert_int_equal(pass_state(pass)->changed, 3);
        end(3, REWRAP_ALREADY, NULL);
        assert_false(pass_state(pass)->is_of_previous);
        rewraps[4].spec.on_done(rewraps[4].spec.ctx, REWRAP_ALREADY, true, NULL);
        end_with(5, ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN);
        assert_int_equal(n_done, 1);
        assert_true(pass_state(pass)->is_of_previous);
        assert_int_equal(pass_state(pass)->changed, 3);
        assert_int_equal(pass_state(pass)->not_opened, 1);
        assert_int_equal(result.rotated, 1);
        assert_int_equal(result.bound, 1);
        assert_int_equal(result.already, is_first ? 2 : 0); /* those that a pass before has done are counted there */
        assert_int_equal(result.failed, 1);
        assert_int_equal(n_failed, 1);
        for (size_t i = 0; i < 6; i++)
            assert_int_equal(keys.items[i].is_rotated, i != 2 && i != 5);
    }
}

/* Nothing is begun any more when all that fails is not the keys' own; what runs still ends. */
static void test_nothing_goes(void **state)
{
    (void)state;
    assert_true(pass_start(pass));
    for (unsigned i = 0; i < 31; i++)
        end_with(i, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0);
    end_with(31, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0); /* this one is: and they are counted anew */
    assert_int_equal(started, 48);
    for (unsigned i = 32; i < 64; i++)
        end_with(i, ERR_AUTH, ERR_DOMAIN_NONE, 0);
    assert_int_equal(started, 79); /* one for each that had ended before the last */
    for (unsigned i = 64; i < started; i++) {
        assert_int_equal(n_done, 0);
        end_with(i, ERR_AUTH, ERR_DOMAIN_NONE, 0);
    }
    assert_int_equal(n_done, 1);
    assert_int_equal(pass_state(pass)->ended, 79);
    assert_int_equal(pass_state(pass)->alike, 32 + 15);
}

/* What cannot be begun has failed like the others. */
static void test_what_is_not_begun(void **state)
{
    (void)state;
    pass_free(pass);
    assert_int_equal(begin(3, true), 0);
    keys.items[0].is_unreadable = true;
    assert_true(pass_start(pass));
    assert_int_equal(started, 2);
    expect_error(&last, ERR_INTEGRITY, "its name has no time stamp that can be read, to bind it to");
    pass_free(pass);
    assert_int_equal(running, 0); /* what ran is cancelled */
    assert_int_equal(begin(3, true), 0);
    start_fails = true;
    assert_false(pass_start(pass));
    assert_int_equal(result.failed, 3);
    expect_error(&last, ERR_RESOURCE, "no way");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_all_keys, setup, teardown),
            cmocka_unit_test_setup_teardown(test_none, setup, teardown),
            cmocka_unit_test_setup_teardown(test_outcomes, setup, teardown),
            cmocka_unit_test_setup_teardown(test_nothing_goes, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_is_not_begun, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
