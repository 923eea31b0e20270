/* What goes in which order when the store fails in the middle. */
#include "expect.h"

#include <string.h>

#include "job/prune/deletion.h"
#include "job/prune/locks.h"
#include "s3/remove.h"
#include "s3/request.h"

enum { BACKUPS = 3 };

/* The catalog owns names that are not const; nobody writes to these. */
#define NAME(text) ((char *)(uintptr_t)(text))

static const struct catalog_backup backups[BACKUPS] = {{.name = NAME("a.dump"), .has_key = true},
        {.name = NAME("b.dump"), .has_key = true}, {.name = NAME("c.dump"), .has_key = true}};
static const struct catalog_backup *const victims[BACKUPS] = {&backups[0], &backups[1], &backups[2]};

static uv_loop_t loop;
static char order[256]; /* what was asked for: "a.dump b.dump / a.key" */
static struct s3_remove_spec remove_spec;
static struct locks_spec locks_spec;
static struct s3_request_spec question;
static char place[3]; /* addresses for handles that nobody looks into */
static struct {
    unsigned done, gone;
    struct err err;
} seen;

/* ---- the world ---- */

uv_loop_t *core_loop(const struct core *c)
{
    (void)c;
    return &loop;
}

void core_acquire(struct core *c)
{
    (void)c;
}

void core_release(struct core *c)
{
    (void)c;
}

struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)e;
    return (struct s3_client *)(void *)c;
}

struct locks *locks_start(struct core *core, const struct locks_spec *spec, struct err *e)
{
    (void)core;
    (void)e;
    locks_spec = *spec;
    return (struct locks *)(void *)&place[0];
}

void locks_free(struct locks *l)
{
    (void)l;
}

struct s3_request *s3_request_start(struct s3_client *c, const struct s3_request_spec *spec, struct err *e)
{
    (void)c;
    (void)e;
    question = *spec;
    return (struct s3_request *)(void *)&place[1];
}

void s3_request_cancel(struct s3_request *r)
{
    (void)r;
}

struct s3_remove *s3_remove_start(struct s3_client *c, const struct s3_remove_spec *spec, struct err *e)
{
    (void)c;
    (void)e;
    remove_spec = *spec;
    if (order[0])
        (void)strcat(order, "/ ");
    for (size_t i = 0; i < spec->n; i++)
        (void)strcat(strcat(order, spec->keys[i]), " ");
    return (struct s3_remove *)(void *)&place[2];
}

void s3_remove_cancel(struct s3_remove *r)
{
    (void)r;
}

/* ---- */

static void on_phase(void *ctx, const char *phase)
{
    (void)ctx;
    (void)phase;
}

static void on_report(void *ctx, const struct deletion_report *report)
{
    (void)ctx;
    seen.gone += report->fate == DELETION_GONE;
}

static void on_done(void *ctx, enum deletion_versions versions, const struct err *err)
{
    (void)ctx;
    (void)versions;
    seen.done++;
    seen.err = err ? *err : ERR_INIT;
}

static void turn(void)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

static const struct err went_away = {.kind = ERR_TRANSIENT, .text = "the store went away"};

/* The store deletes so many, and then ends the request: with a failure, or all went well. */
static void removes(size_t n, const struct err *err)
{
    struct s3_remove_spec spec = remove_spec;

    for (size_t i = 0; i < n; i++)
        spec.on_each(spec.ctx, i, NULL);
    spec.on_done(spec.ctx, err);
    turn();
}

/* Up to the moment at which dumps are to go. */
static struct deletion *begin(void)
{
    struct deletion_spec spec = {
            .backups = victims, .n = BACKUPS, .on_phase = on_phase, .on_report = on_report, .on_done = on_done};
    static const struct err unknown = {.kind = ERR_AUTH, .text = "may not ask"};
    struct err e = ERR_INIT;
    struct deletion *d;

    order[0] = '\0';
    memset(&seen, 0, sizeof(seen));
    d = deletion_start((struct core *)(void *)&place[0], &spec, &e);
    assert_non_null(d);
    turn();
    question.on_done(question.ctx, NULL, &unknown);
    turn();
    for (unsigned i = 0; i < 2; i++) { /* of dumps, of keys */
        locks_spec.on_done(locks_spec.ctx, NULL);
        turn();
    }
    assert_string_equal(order, "a.dump b.dump c.dump ");
    return d;
}

static void end(struct deletion *d)
{
    assert_int_equal(seen.done, 1);
    deletion_free(d);
    turn();
}

static void all_goes(void **state)
{
    struct deletion *d = begin();

    (void)state;
    removes(3, NULL);
    assert_string_equal(order, "a.dump b.dump c.dump / a.key b.key c.key ");
    removes(3, NULL);
    assert_int_equal(seen.gone, 3);
    assert_int_equal(seen.err.kind, ERR_NONE);
    end(d);
}

/* The keys of the dumps that are gone go in the same run, and it is a failure all the same. */
static void fails_after_some(void **state)
{
    struct deletion *d = begin();

    (void)state;
    removes(2, &went_away);
    assert_int_equal(seen.done, 0);
    assert_string_equal(order, "a.dump b.dump c.dump / a.key b.key ");
    removes(2, NULL);
    assert_string_equal(seen.err.text, "the store went away");
    assert_int_equal(seen.err.kind, ERR_TRANSIENT);
    end(d);
}

static void fails_for_good(void **state)
{
    struct deletion *d = begin();

    (void)state;
    removes(2, &went_away);
    removes(1, &went_away);
    assert_string_equal(seen.err.text, "2 dumps are deleted, but not all of their keys, a.key among them, and the "
                                       "other dumps stay: the store went away");
    end(d);
}

/* Then there is nothing else to ask of a store that fails. */
static void fails_at_once(void **state)
{
    struct deletion *d = begin();

    (void)state;
    removes(0, &went_away);
    assert_string_equal(order, "a.dump b.dump c.dump ");
    assert_string_equal(seen.err.text, "the store went away");
    end(d);
}

static void fails_at_keys(void **state)
{
    struct deletion *d = begin();

    (void)state;
    removes(3, NULL);
    removes(0, &went_away);
    assert_string_equal(
            seen.err.text, "3 dumps are deleted, but not all of their keys, a.key among them: the store went away");
    end(d);
}

static int setup(void **state)
{
    (void)state;
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(all_goes, setup, teardown),
            cmocka_unit_test_setup_teardown(fails_after_some, setup, teardown),
            cmocka_unit_test_setup_teardown(fails_for_good, setup, teardown),
            cmocka_unit_test_setup_teardown(fails_at_once, setup, teardown),
            cmocka_unit_test_setup_teardown(fails_at_keys, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
