/* One wrapped key from one master key to the other, on stores of several kinds and with all that can come in between.
 */
#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "age/identity.h"
#include "failing.h"
#include "folder.h"
#include "job/bucket/object_lock.h"
#include "job/keys/rewrap_mark.h"
#include "job/rotate/rewrap.h"
#include "scripted_store.h"
#include "seal/key.h"
#include "seal/sealed_key.h"

enum { INSTANT = 1733520145 };

static const char name[] = "backup-2024-12-06T21:22:25Z.key", other_name[] = "backup-2024-12-06T21:22:26Z.key";
static struct secret *previous, *next, *third, *data_key;
static struct keyring *ring; /* of the configuration, or NULL */

struct s3_lock object_lock_now(struct core *core, int64_t instant, const struct s3_response *replaces)
{
    (void)core, (void)instant;
    assert_non_null(replaces);
    return (struct s3_lock){S3_LOCK_NONE, 0};
}

/* ---- keys that do not wrap as they should (--wrap) ---- */

static enum { WRAPS, FAILS, LIES } wrapping;

int __real_key_wrap(const struct secret *master, const struct secret *key, int64_t instant,
        uint8_t out[KEY_WRAPPED_LEN], struct err *e);
int __wrap_key_wrap(const struct secret *master, const struct secret *key, int64_t instant,
        uint8_t out[KEY_WRAPPED_LEN], struct err *e);
int __wrap_key_wrap(const struct secret *master, const struct secret *key, int64_t instant,
        uint8_t out[KEY_WRAPPED_LEN], struct err *e)
{
    if (wrapping == FAILS)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no wrapping");
    if (__real_key_wrap(master, key, instant, out, e) < 0)
        return -1;
    if (wrapping == LIES)
        out[KEY_WRAPPED_LEN - 1] ^= 1;
    return 0;
}

/* ---- traces ---- */

/* Whether the object says that it came from this master key, as it is. */
static bool has_mark_of(const struct secret *master, const struct store_object *o)
{
    const char *mark = store_metadata(o, REWRAP_MARK);

    return mark && key_has_mark(master, (struct bytes){o->body, o->len}, mark);
}

static void add_mark(struct store_object *o, const struct secret *master)
{
    char mark[KEY_MARK_MAX];

    store_add_metadata(o, REWRAP_MARK, key_mark(master, (struct bytes){o->body, o->len}, mark));
}

/* Of how many master keys it says that they were rotated away, of those three which: whatever bytes it has by now. */
static const char *away(const struct store_object *o)
{
    static char text[8];
    struct s3_param metadata = {REWRAP_AWAY, store_metadata(o, REWRAP_AWAY)};
    const struct s3_response res = {.metadata = &metadata, .n_metadata = metadata.value != NULL};
    const char *list = metadata.value ? metadata.value : "";
    unsigned n = list[0] != '\0';

    for (; *list; list++)
        n += *list == ',';
    (void)snprintf(text, sizeof(text), "%u%s%s%s", n, rewrap_mark_is_away(&res, previous, INSTANT) ? "p" : "",
            rewrap_mark_is_away(&res, next, INSTANT) ? "n" : "", rewrap_mark_is_away(&res, third, INSTANT) ? "t" : "");
    assert_false(rewrap_mark_is_away(&res, previous, INSTANT + 1));
    return text;
}

static void add_away(struct store_object *o, const struct secret *master)
{
    const char *before = store_metadata(o, REWRAP_AWAY);
    char list[REWRAP_AWAY_MAX];

    (void)rewrap_mark_add_away(before ? before : "", master, NULL, INSTANT, list);
    if (before)
        o->n_metadata--; /* it is the last */
    store_add_metadata(o, REWRAP_AWAY, list);
}

/* ---- one rewrap ---- */

struct run {
    struct rewrap *rewrap;
    unsigned told;
    enum rewrap_outcome outcome;
    bool is_of_previous;
    struct err err;
};

/* It goes in the callback: nothing of it may be touched afterwards. */
static void on_done(void *ctx, enum rewrap_outcome outcome, bool is_of_previous, const struct err *err)
{
    struct run *run = ctx;

    run->told++;
    run->outcome = outcome;
    run->is_of_previous = is_of_previous;
    assert_int_equal(outcome == REWRAP_FAILED, err != NULL);
    if (err)
        run->err = *err;
    rewrap_free(TAKE_PTR(run->rewrap));
}

static struct key_opener opener;
static struct key_form form;
static struct age_recipient recipient; /* to whom it is sealed, if */
static bool seals;

static struct rewrap_spec spec_of(struct run *run, const char *object)
{
    opener = (struct key_opener){.previous = previous, .next = next, .ring = ring};
    form = (struct key_form){.master = next, .recipients = {recipient}, .n = seals};
    return (struct rewrap_spec){
            .name = object,
            .instant = INSTANT + (object == other_name),
            .opener = &opener,
            .form = &form,
            .ctx = run,
            .on_done = on_done,
    };
}

static void begin(struct run *run, const char *object, bool only_look)
{
    struct rewrap_spec spec = spec_of(run, object);
    unsigned waited = store_waiting();
    struct err e = ERR_INIT;

    *run = (struct run){.told = 0};
    spec.only_look = only_look;
    run->rewrap = rewrap_start(NULL, &spec, &e);
    expect_success(run->rewrap, &e);
    assert_int_equal(store_waiting(), waited + 1);
    assert_int_equal(run->told, 0);
}

/* Whether this key opens the object, as what it was from the beginning. */
static bool opens(const struct secret *master, const char *object)
{
    const struct store_object *o = store_find(object);
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *found =
            key_unwrap(master, (struct bytes){o->body, o->len}, INSTANT + (object == other_name), false, &e);

    return found && secret_equal(found, data_key);
}

/* At each moment: one of the two opens it. */
static void expect_readable(const char *object)
{
    assert_true(opens(previous, object) || opens(next, object));
}

/* To the end; *run says how it was. */
static void finish(struct run *run)
{
    while (store_answer(0))
        expect_readable(name);
    assert_int_equal(run->told, 1);
    assert_null(run->rewrap);
    assert_int_equal(store.cancelled, 0);
}

static struct run run_to_end(void)
{
    struct run run;

    begin(&run, name, false);
    finish(&run);
    return run;
}

static void expect_rotated(const struct run *run)
{
    if (run->outcome == REWRAP_FAILED)
        fail_msg("%s", run->err.text);
    assert_int_equal(run->outcome, REWRAP_ROTATED);
    assert_true(opens(next, name));
    assert_false(opens(previous, name));
}

static void expect_failed(const struct run *run, enum err_kind kind, const char *text)
{
    assert_int_equal(run->outcome, REWRAP_FAILED);
    expect_error(&run->err, kind, text);
}

/* ---- what the store holds ---- */

static void fill_with(const char *object, const struct secret *master, const struct secret *key, int64_t instant)
{
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct err e = ERR_INIT;

    assert_int_equal(__real_key_wrap(master, key, instant, wrapped, &e), 0);
    (void)store_fill(object, wrapped, sizeof(wrapped));
}

static int setup(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    store_reset();
    store.dialect.match = S3_MATCH_QUOTED;
    wrapping = WRAPS;
    previous = key_new_master(&e);
    next = key_new_master(&e);
    third = key_new_master(&e);
    data_key = key_new_data(&e);
    if (!previous || !next || !third || !data_key)
        return -1;
    fill_with(name, previous, data_key, INSTANT);
    store_add_metadata(store_find(name), "etcd-version", "3.5.16");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    secret_free(TAKE_PTR(previous));
    secret_free(TAKE_PTR(next));
    secret_free(TAKE_PTR(third));
    secret_free(TAKE_PTR(data_key));
    keyring_free(TAKE_PTR(ring));
    seals = false;
    return store_waiting() == 0 ? 0 : -1;
}

/* ---- the way it goes ---- */

static void test_rotates(void **state)
{
    struct run run = run_to_end();

    (void)state;
    expect_rotated(&run);
    assert_string_equal(store.log, "get put(\"1\") get");
    assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
    assert_true(run.is_of_previous);
    assert_int_equal(store_find(name)->n_metadata, 3);
    assert_string_equal(store_metadata(store_find(name), "etcd-version"), "3.5.16");
    assert_true(has_mark_of(previous, store_find(name)));
    assert_true(key_is_bound_to(next, (struct bytes){store_find(name)->body, KEY_WRAPPED_LEN}, INSTANT));
    /* Again: it is done, and says from where it came. */
    run = run_to_end();
    assert_int_equal(run.outcome, REWRAP_ALREADY);
    assert_true(run.is_of_previous);
    assert_string_equal(store.log, "get put(\"1\") get get");
}

/* A key that the Go tool wrapped has no binding; it gets one. */
static void test_key_of_the_go_tool(void **state)
{
    uint8_t wrapped[KEY_WRAPPED_LEN] = {1, 2, 3};
    struct run run;

    (void)state;
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped + 24, NULL, secret_const_data(data_key),
                             KEY_LEN, NULL, 0, NULL, wrapped, secret_const_data(previous)),
            0);
    (void)store_fill(name, wrapped, sizeof(wrapped));
    run = run_to_end();
    expect_rotated(&run);
    assert_true(key_is_bound_to(next, (struct bytes){store_find(name)->body, KEY_WRAPPED_LEN}, INSTANT));
}

/* Who was rotated before carries the last mark, and one that outlives the bytes; nothing else is lost. */
static void test_metadata(void **state)
{
    struct store_object *o = store_find(name);
    struct run run;

    (void)state;
    o->n_metadata = 0;
    for (int i = 0; i < 15; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "m%d", i);
        store_add_metadata(o, i == 7 ? REWRAP_MARK : text, i == 7 ? "x" : text);
    }
    run = run_to_end();
    expect_rotated(&run);
    assert_int_equal(o->n_metadata, 16);
    assert_true(has_mark_of(previous, o));
    assert_string_equal(store_metadata(o, "m0"), "m0");
    assert_string_equal(store_metadata(o, "m14"), "m14");
    /* All of what is beside them, and the trace. */
    fill_with(name, previous, data_key, INSTANT);
    for (int i = 0; i < 9; i++)
        store_add_metadata(o, (char[]){'x', (char)('a' + i), 0}, "");
    run = run_to_end();
    expect_rotated(&run);
    assert_int_equal(o->n_metadata, 25);
    assert_true(has_mark_of(previous, o));
}

/* Whether it came from this previous key is believed to who held that key alone, and for these very bytes. */
static void test_already(void **state)
{
    char of_another_object[KEY_MARK_MAX], fingerprint[KEY_FINGERPRINT_MAX];
    struct run run;

    (void)state;
    (void)key_mark(previous, (struct bytes){store_find(name)->body, KEY_WRAPPED_LEN}, of_another_object);
    for (int with = 0; with < 6; with++) {
        struct store_object *o;

        fill_with(name, next, data_key, INSTANT);
        o = store_find(name);
        o->n_metadata = 0;
        if (with == 1)
            add_mark(o, third);
        else if (with == 2)
            store_add_metadata(o, REWRAP_MARK, key_fingerprint(previous, fingerprint));
        else if (with == 3)
            store_add_metadata(o, REWRAP_MARK, of_another_object);
        else if (with == 4)
            store_add_metadata(o, REWRAP_MARK, "");
        else if (with == 5)
            add_mark(o, previous);
        run = run_to_end();
        assert_int_equal(run.outcome, REWRAP_ALREADY);
        assert_int_equal(run.is_of_previous, with == 5);
    }
    assert_string_equal(store.log, "get get get get get get");
}

/* Sealed, and vouched for by a new master key, or by the one that has wrapped it: that is not rotated away. */
static void test_seals(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *identity = age_identity_new(&e);

    (void)state;
    age_identity_recipient(identity, 0, &recipient);
    seals = true;
    for (int same = 0; same < 2; same++) {
        _cleanup_secret_ struct secret *opened = NULL;
        struct store_object *o = store_find(name);
        struct run run;

        if (same) {
            secret_free(next);
            next = secret_copy(secret_const_data(previous), KEY_LEN, &e);
            fill_with(name, previous, data_key, INSTANT);
        }
        begin(&run, name, false);
        while (store_answer(0))
            ;
        assert_int_equal(run.told, 1);
        if (run.outcome == REWRAP_FAILED)
            fail_msg("%s", run.err.text);
        assert_int_equal(run.outcome, REWRAP_ROTATED);
        assert_true(run.is_of_previous);
        opened = sealed_key_open(identity, (struct bytes){o->body, o->len}, INSTANT, false, &e);
        assert_true(opened && secret_equal(opened, data_key));
        assert_int_equal(has_mark_of(previous, o), !same);
        assert_true(
                sealed_key_has_proof(next, data_key, (struct bytes){o->body, o->len}, store_metadata(o, REWRAP_PROOF)));
        begin(&run, name, false);
        while (store_answer(0))
            ;
        assert_int_equal(run.outcome, REWRAP_ALREADY);
        assert_true(run.is_of_previous);
    }
}

/* Earlier marks are taken along, but for that of who has come back; of many the newest, and nothing that is none. */
static void test_earlier_marks(void **state)
{
    static const char *const counts[REWRAP_AWAY_KEPT] = {"1t", "2t", "3t", "4t"};
    struct store_object *o = store_find(name);
    struct err e = ERR_INIT;
    struct run run;

    (void)state;
    add_away(o, third);
    run = run_to_end();
    expect_rotated(&run);
    assert_string_equal(away(o), "2pt");
    fill_with(name, previous, data_key, INSTANT);
    o->n_metadata = 0;
    add_away(o, next);
    add_away(o, previous);
    run = run_to_end();
    expect_rotated(&run);
    assert_string_equal(away(o), "1p");
    fill_with(name, previous, data_key, INSTANT);
    o->n_metadata = 0;
    store_add_metadata(o, REWRAP_AWAY, "0123-4567,,x");
    run = run_to_end();
    assert_string_equal(away(o), "1p");
    fill_with(name, previous, data_key, INSTANT);
    o->n_metadata = 0;
    add_away(o, third);
    for (int i = 0; i < REWRAP_AWAY_KEPT; i++) {
        _cleanup_secret_ struct secret *another = key_new_master(&e);

        assert_string_equal(away(o), counts[i]);
        add_away(o, another);
    }
    assert_string_equal(away(o), "4");
    run = run_to_end();
    assert_string_equal(away(o), "4p");
    /* Once it is done, it says so of who was there before, too. */
    fill_with(name, next, data_key, INSTANT);
    o->n_metadata = 0;
    add_away(o, previous);
    add_away(o, third);
    run = run_to_end();
    assert_int_equal(run.outcome, REWRAP_ALREADY);
    assert_true(run.is_of_previous);
}

/* The one that has wrapped goes on vouching, and people alone change: who was rotated away before it stays so. */
static void test_earlier_marks_where_people_change(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *identity = age_identity_new(&e);
    struct store_object *o = store_find(name);
    struct run run;

    (void)state;
    age_identity_recipient(identity, 0, &recipient);
    seals = true;
    for (int is_here = 0; is_here < 2;
            is_here++) { /* the earlier one was handed over, too: its own mark is made anew */
        fill_with(name, next, data_key, INSTANT);
        o->n_metadata = 0;
        add_mark(o, is_here ? previous : third);
        add_away(o, is_here ? previous : third);
        begin(&run, name, false);
        store_answer_all();
        assert_int_equal(run.outcome, REWRAP_ROTATED);
        assert_string_equal(away(o), is_here ? "1p" : "1t");
        assert_int_equal(has_mark_of(previous, o), is_here);
        assert_int_equal(store_metadata(o, REWRAP_MARK) != NULL, is_here);
    }
}

static void test_only_looks(void **state)
{
    struct run run;

    (void)state;
    begin(&run, name, true);
    finish(&run);
    assert_int_equal(run.outcome, REWRAP_ROTATED);
    assert_true(opens(previous, name));
    fill_with(name, next, data_key, INSTANT);
    begin(&run, name, true);
    finish(&run);
    assert_int_equal(run.outcome, REWRAP_ALREADY);
    assert_string_equal(store.log, "get get");
}

/* ---- what it cannot do ---- */

static void fail_with(const void *body, size_t len, const char *text)
{
    struct run run;

    (void)store_fill(name, body, len);
    begin(&run, name, false);
    store_answer_all();
    expect_failed(&run, ERR_INTEGRITY, text);
    assert_int_equal(run.err.domain, ERR_DOMAIN_KEY);
    assert_int_equal(store_find(name)->len, len);
    assert_memory_equal(store_find(name)->body, body, len);
}

static void test_damaged(void **state)
{
    uint8_t wrapped[KEY_WRAPPED_LEN + 1] = {0};
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(__real_key_wrap(third, data_key, INSTANT, wrapped, &e), 0);
    fail_with(wrapped, KEY_WRAPPED_LEN, "neither of the two keys opens it: it is damaged, or wrapped by a third");
    fail_with(wrapped, KEY_WRAPPED_LEN - 1, "the key object has 71 bytes instead of 72");
    fail_with(wrapped, KEY_WRAPPED_LEN + 1, "the key object has 73 bytes instead of 72");
    fail_with(wrapped, 0, "the key object has 0 bytes instead of 72");
    wrapped[2] = '9';
    fail_with(wrapped, KEY_WRAPPED_LEN, "the key object was written by a newer version");
    assert_string_equal(store.log, "get get get get get");
}

/* Somebody renamed a backup, or exchanged its key: wrapping that anew would make it look like a true one. */
static void test_bound_elsewhere(void **state)
{
    static const char text[] = "the key is bound to another instant than 2024-12-06T21:22:25Z: the backup was renamed, "
                               "or its key exchanged";
    uint8_t wrapped[KEY_WRAPPED_LEN];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(__real_key_wrap(previous, data_key, INSTANT + 1, wrapped, &e), 0);
    fail_with(wrapped, sizeof(wrapped), text);
    assert_int_equal(__real_key_wrap(next, data_key, INSTANT + 1, wrapped, &e), 0);
    fail_with(wrapped, sizeof(wrapped), text);
    assert_string_equal(store.log, "get get");
}

/* The person may have named the wrong file: the right one is told. */
static void test_another_key_of_the_configuration(void **state)
{
    char *paths[] = {(char *)(uintptr_t)("third.key")};
    const struct conf conf = {.previous_key_paths = paths, .n_previous_key_paths = 1};
    char digits[2 * KEY_LEN + 1], fingerprint[KEY_FINGERPRINT_MAX], text[ERR_TEXT_MAX];
    struct err e = ERR_INIT;
    struct run run;

    assert_int_equal(folder_setup(state), 0);
    (void)sodium_bin2hex(digits, sizeof(digits), secret_const_data(third), KEY_LEN);
    folder_write(paths[0], digits, 2 * KEY_LEN, 0600);
    ring = keyring_new(&conf, &e);
    expect_success(ring, &e);
    assert_int_equal(folder_teardown(state), 0);
    fill_with(name, third, data_key, INSTANT);
    begin(&run, name, false);
    store_answer_all();
    (void)snprintf(text, sizeof(text),
            "it is opened by %s, which the configuration names, and by neither of the two keys",
            key_fingerprint(third, fingerprint));
    expect_failed(&run, ERR_INTEGRITY, text);
    assert_int_equal(run.err.domain, ERR_DOMAIN_KEY);
    assert_int_equal(run.err.code, KEY_FAULT_DOES_NOT_OPEN);
    fill_with(name, previous, data_key, INSTANT); /* and this one is rotated as ever */
    run = run_to_end();
    expect_rotated(&run);
}

static void vanish(struct store_object *o)
{
    o->is_there = false;
}

static void run_into(const struct store_step steps[], unsigned n, enum rewrap_outcome outcome, const char *text)
{
    struct run run;

    store.n = 0;
    store.log[0] = '\0';
    memset(store.script, 0, sizeof(store.script));
    for (unsigned i = 0; i < n; i++)
        store.script[i + 1] = steps[i];
    begin(&run, name, false);
    store_answer_all();
    assert_int_equal(run.told, 1);
    if (run.outcome == REWRAP_FAILED)
        assert_string_equal(run.err.text, text ? text : "");
    assert_int_equal(run.outcome, outcome);
}

#define RUN_INTO(outcome, text, ...)                                                                                   \
    run_into((const struct store_step[]){__VA_ARGS__},                                                                 \
            sizeof((const struct store_step[]){__VA_ARGS__}) / sizeof(struct store_step), outcome, text)

/* Pruned meanwhile, at any moment before it was stored: that is no failure. */
static void test_gone(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_GONE, NULL, {.before = vanish});
    assert_string_equal(store.log, "get");
    for (int conditions = STORE_KNOWS_QUOTED; conditions <= STORE_REFUSES_ALL; conditions++) {
        store.conditions = (enum store_conditions)conditions;
        fill_with(name, previous, data_key, INSTANT);
        store.dialect.match = S3_MATCH_QUOTED;
        RUN_INTO(REWRAP_GONE, NULL, {.status = 0}, {.before = vanish});
        assert_non_null(strstr(store.log, ") get"));
        assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
    }
}

static void test_requests_that_fail(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_FAILED, "reading it: HTTP 403", {.status = 403});
    RUN_INTO(REWRAP_FAILED, "reading it: HTTP 503", {.status = 503});
    RUN_INTO(REWRAP_FAILED, "storing it: HTTP 403", {.status = 0}, {.status = 403});
    assert_true(opens(previous, name));
    RUN_INTO(REWRAP_FAILED, "storing it: out of requests", {.status = 0}, {.cannot_start = true});
    assert_true(opens(previous, name));
    RUN_INTO(REWRAP_FAILED, "out of requests", {.status = 0}, {.status = 412}, {.cannot_start = true});
    assert_true(opens(previous, name));
    RUN_INTO(REWRAP_FAILED, "it was stored, but could not be read back: HTTP 503", {.status = 0}, {.status = 0},
            {.status = 503});
    assert_true(opens(next, name));
    fill_with(name, previous, data_key, INSTANT);
    RUN_INTO(REWRAP_FAILED, "it was stored, but could not be read back: out of requests", {.status = 0}, {.status = 0},
            {.cannot_start = true});
    assert_true(opens(next, name));
}

static void test_cannot_start(void **state)
{
    struct run run = {.told = 0};
    struct rewrap_spec spec = spec_of(&run, name);
    struct err e = ERR_INIT;

    (void)state;
    store.script[1].cannot_start = true;
    assert_null(rewrap_start(NULL, &spec, &e));
    expect_error(&e, ERR_RESOURCE, "out of requests");
    store.has_no_client = true;
    assert_null(rewrap_start(NULL, &spec, &e));
    expect_error(&e, ERR_CONFIG, "no credentials");
    assert_int_equal(run.told, 0);
    assert_int_equal(store_waiting(), 0);
}

/* Credentials that go away in the middle. */
static void test_no_client_any_more(void **state)
{
    struct run run;

    (void)state;
    begin(&run, name, false);
    store.has_no_client = true;
    store_answer_all();
    expect_failed(&run, ERR_CONFIG, "storing it: no credentials");
}

static void test_wrapping_fails(void **state)
{
    struct run run;

    (void)state;
    wrapping = FAILS;
    run = run_to_end();
    expect_failed(&run, ERR_RESOURCE, "wrapping it: no wrapping");
    wrapping = LIES;
    run = run_to_end();
    expect_failed(&run, ERR_INTEGRITY, "wrapping it: wrong master key, or the key object is damaged");
    assert_string_equal(store.log, "get get");
}

/* ---- conditions ---- */

/* The form that this store knows is found out once. */
static void test_conditions(void **state)
{
    static const struct {
        int conditions;
        enum s3_match found;
        const char *log, *log_of_next;
    } rows[] = {
            {STORE_KNOWS_QUOTED, S3_MATCH_QUOTED, "get put(\"1\") get", "get put(\"2\") get"},
            {STORE_KNOWS_BARE, S3_MATCH_BARE, "get put(\"1\") get put(1) get", "get put(2) get"},
            {STORE_REFUSES_ALL, S3_MATCH_NONE, "get put(\"1\") get put(1) get put get", "get put get"},
            {STORE_KNOWS_NONE, S3_MATCH_NONE, "get put(\"1\") get put(1) get put get", "get put get"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run run;

        store_reset();
        fill_with(name, previous, data_key, INSTANT);
        fill_with(other_name, previous, data_key, INSTANT + 1);
        store.dialect.match = S3_MATCH_QUOTED;
        store.conditions = (enum store_conditions)rows[i].conditions;
        run = run_to_end();
        expect_rotated(&run);
        assert_string_equal(store.log, rows[i].log);
        assert_int_equal(store.dialect.match, rows[i].found);
        store.log[0] = '\0';
        store.n = 0;
        begin(&run, other_name, false);
        finish(&run);
        assert_int_equal(run.outcome, REWRAP_ROTATED);
        assert_true(opens(next, other_name));
        assert_string_equal(store.log, rows[i].log_of_next);
        assert_int_equal(store.dialect.match, rows[i].found);
    }
}

/* Two at once: both are refused, but that is one thing learnt and not two. */
static void test_two_learn_one_thing(void **state)
{
    struct run a, b;

    (void)state;
    fill_with(other_name, previous, data_key, INSTANT + 1);
    store.conditions = STORE_KNOWS_BARE;
    begin(&a, name, false);
    begin(&b, other_name, false);
    while (a.told + b.told < 2) {
        assert_true(store_answer(0));
        expect_readable(name);
        expect_readable(other_name);
    }
    expect_rotated(&a);
    assert_int_equal(b.outcome, REWRAP_ROTATED);
    assert_int_equal(store.dialect.match, S3_MATCH_BARE);
    assert_string_equal(store.log, "get get put(\"1\") put(\"2\") get get put(1) put(2) get get");
}

static void test_without_etags(void **state)
{
    struct run run;

    (void)state;
    store.has_no_etags = true;
    run = run_to_end();
    expect_rotated(&run);
    assert_string_equal(store.log, "get put get");
    assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
}

/* ---- somebody else ---- */

static void wrap_anew(struct store_object *o)
{
    fill_with(o->name, previous, data_key, INSTANT);
}

static void touch(struct store_object *o)
{
    (void)store_fill(o->name, o->body, o->len);
}

/* Other bytes under the same ETag: no store should, but it is another object. */
static void wrap_anew_unnoticed(struct store_object *o)
{
    unsigned version = o->version;

    wrap_anew(o);
    o->version = version;
}

static void take_over(struct store_object *o)
{
    fill_with(o->name, next, data_key, INSTANT);
    add_mark(o, previous);
}

static void exchange(struct store_object *o)
{
    fill_with(o->name, next, third, INSTANT); /* another data key */
}

static void take_away(struct store_object *o)
{
    fill_with(o->name, third, data_key, INSTANT);
}

/* Who came in between is looked at, and says nothing about the store. */
static void test_comes_in_between(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_ROTATED, NULL, {.status = 0}, {.before = wrap_anew});
    assert_string_equal(store.log, "get put(\"1\") get put(\"2\") get");
    assert_true(opens(next, name));
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_ROTATED, NULL, {.status = 0}, {.before = touch});
    assert_string_equal(store.log, "get put(\"4\") get put(\"5\") get");
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_ROTATED, NULL, {.status = 0}, {.before = wrap_anew_unnoticed, .status = 412});
    assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_ALREADY, NULL, {.status = 0}, {.before = take_over});
    assert_string_equal(store.log, "get put(\"10\") get");
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_ALREADY, NULL, {.status = 0}, {.before = exchange});
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_FAILED, "neither of the two keys opens it: it is damaged, or wrapped by a third", {.status = 0},
            {.before = take_away});
    assert_true(opens(third, name)); /* it stays theirs */
    assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
}

/* Somebody who never rests is left to the next run. */
static void test_comes_in_between_always(void **state)
{
    struct run run;

    (void)state;
    for (unsigned i = 1; i <= STORE_SCRIPT; i++)
        store.script[i].before = wrap_anew;
    run = run_to_end();
    expect_failed(&run, ERR_CONFIG, "storing it: HTTP 412");
    assert_int_equal(store.n, 12); /* six rounds */
    assert_true(opens(previous, name));
    assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
}

/* A store that refuses whatever is said ends, too. */
static void test_refused_always(void **state)
{
    struct run run;

    (void)state;
    for (unsigned i = 2; i <= STORE_SCRIPT; i += 2)
        store.script[i].status = 412;
    run = run_to_end();
    expect_failed(&run, ERR_CONFIG, "storing it: HTTP 412");
    assert_int_equal(store.n, 12);
    assert_int_equal(store.dialect.match, S3_MATCH_NONE);
    assert_true(opens(previous, name));
}

/* ---- answers that get lost ---- */

/* It was taken; the answer got lost, and the request that was sent again was refused because of the first one. */
static void test_refused_because_of_ourselves(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_ROTATED, NULL, {.status = 0}, {.status = 412, .has_effect = true});
    assert_string_equal(store.log, "get put(\"1\") get");
    assert_true(opens(next, name));
    assert_int_equal(store.dialect.match, S3_MATCH_QUOTED);
}

static void test_lost_answer(void **state)
{
    struct run run;

    (void)state;
    RUN_INTO(REWRAP_FAILED, "storing it: HTTP 503", {.status = 0}, {.status = 503, .has_effect = true});
    assert_true(opens(next, name));
    run = run_to_end();
    assert_int_equal(run.outcome, REWRAP_ALREADY);
    assert_true(run.is_of_previous);
}

/* ---- stores that give back something else ---- */

static struct store_object as_it_was;

static void remember(struct store_object *o)
{
    as_it_was = *o;
}

static void flip_a_bit(struct store_object *o)
{
    o->body[50] ^= 1;
}

static void cut(struct store_object *o)
{
    o->len--;
}

static void forget(struct store_object *o)
{
    (void)memcpy(o->body, as_it_was.body, as_it_was.len);
}

#define PUT_BACK "the store gave back another key than was stored; the one of before was put back"

static void test_put_back(void **state)
{
    static void (*const makes[])(struct store_object *) = {flip_a_bit, cut};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(makes); i++) {
        char log[100];
        unsigned version;

        wrap_anew(store_find(name));
        if (i == 0)
            add_away(store_find(name), third);
        version = store_find(name)->version;
        RUN_INTO(REWRAP_FAILED, PUT_BACK, {.before = remember}, {.after = makes[i]});
        assert_int_equal(store_find(name)->len, KEY_WRAPPED_LEN);
        assert_memory_equal(store_find(name)->body, as_it_was.body, KEY_WRAPPED_LEN);
        assert_true(opens(previous, name));
        assert_null(store_metadata(store_find(name), REWRAP_MARK)); /* it is not rotated */
        assert_string_equal(away(store_find(name)), "1t");          /* and what was before stays */
        assert_string_equal(store_metadata(store_find(name), "etcd-version"), "3.5.16");
        /* Over that alone which was read back. */
        (void)snprintf(log, sizeof(log), "get put(\"%u\") get put(\"%u\")", version, version + 1);
        assert_string_equal(store.log, log);
    }
}

/* The answer got lost, what was sent again was refused, and what was stored is damaged: its mark says whose it is. */
static void test_put_back_after_a_lost_answer(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_FAILED, PUT_BACK, {.before = remember}, {.status = 412, .has_effect = true, .after = flip_a_bit});
    assert_memory_equal(store_find(name)->body, as_it_was.body, KEY_WRAPPED_LEN);
    assert_string_equal(store.log, "get put(\"1\") get put(\"2\")");
    assert_true(opens(previous, name));
}

static void bind_elsewhere(struct store_object *o)
{
    fill_with(o->name, next, data_key, INSTANT + 1);
}

static void rotate_elsewhere(struct store_object *o)
{
    take_away(o);
    o->n_metadata = 0;
    add_mark(o, previous);
}

/* Who writes after us and knows one of the keys is somebody else, and not a store that errs: it stays as it is. */
static void test_comes_after_us(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_ALREADY, NULL, {.status = 0}, {.status = 0}, {.before = exchange});
    assert_string_equal(store.log, "get put(\"1\") get get");
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_FAILED,
            "the key is bound to another instant than 2024-12-06T21:22:25Z: the backup was renamed, or its key "
            "exchanged",
            {.status = 0}, {.status = 0}, {.before = bind_elsewhere});
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_FAILED, "it was rotated from the same previous key, but to another new one: by another ceremony",
            {.status = 0}, {.status = 0}, {.before = rotate_elsewhere});
    assert_true(opens(third, name));
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_ROTATED, NULL, {.status = 0}, {.status = 0}, {.before = wrap_anew});
    assert_string_equal(store.log + strlen("get put(\"10\") "), "get get put(\"12\") get");
    assert_true(opens(next, name));
}

static void test_comes_after_us_always(void **state)
{
    struct run run;

    (void)state;
    for (unsigned i = 3; i <= STORE_SCRIPT; i += 3)
        store.script[i].before = wrap_anew;
    run = run_to_end();
    expect_failed(&run, ERR_TRANSIENT, "somebody else writes to it again and again");
    assert_int_equal(store.n, 18); /* six rounds */
    assert_true(opens(previous, name));
}

static void test_put_back_fails(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_FAILED,
            "the store gave back another key than was stored, and the one of before could not be put back: HTTP 403",
            {.status = 0}, {.after = flip_a_bit}, {.status = 0}, {.status = 403});
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_FAILED,
            "the store gave back another key than was stored, and the one of before could not be put back: out of "
            "requests",
            {.status = 0}, {.after = flip_a_bit}, {.status = 0}, {.cannot_start = true});
    /* Somebody was faster: theirs stays. */
    wrap_anew(store_find(name));
    RUN_INTO(REWRAP_FAILED,
            "the store gave back another key than was stored, and the one of before could not be put back: HTTP 412",
            {.status = 0}, {.after = flip_a_bit}, {.status = 0}, {.before = take_over});
    assert_true(opens(next, name));
}

/* What was there before is shown: nothing is lost, and it may be seen later. */
static void test_still_the_old_one(void **state)
{
    (void)state;
    RUN_INTO(REWRAP_FAILED, "the new key was stored, but the store still shows the old one", {.before = remember},
            {.after = forget});
    assert_string_equal(store.log, "get put(\"1\") get");
    assert_true(opens(previous, name));
}

/* ---- the end at any moment ---- */

/* In each store, freed after so many answers; what was under way then arrives, or does not. */
static void test_freed_anywhere(void **state)
{
    unsigned runs = 0;

    (void)state;
    for (int conditions = STORE_KNOWS_QUOTED; conditions <= STORE_KNOWS_NONE; conditions++)
        for (int arrives = 0; arrives < 2; arrives++)
            for (unsigned answers = 0;; answers++) {
                struct run run;

                store_reset();
                fill_with(name, previous, data_key, INSTANT);
                store.dialect.match = S3_MATCH_QUOTED;
                store.conditions = (enum store_conditions)conditions;
                begin(&run, name, false);
                for (unsigned i = 0; i < answers && run.rewrap; i++)
                    assert_true(store_answer(0));
                runs++;
                if (!run.rewrap)
                    break;
                assert_int_equal(store_waiting(), 1);
                if (arrives)
                    store_carry_out();
                rewrap_free(TAKE_PTR(run.rewrap));
                assert_int_equal(store.cancelled, 1);
                assert_int_equal(store_waiting(), 0);
                assert_int_equal(run.told, 0);
                expect_readable(name);
                /* And the next run ends it. */
                store.dialect.match = S3_MATCH_QUOTED;
                store.cancelled = 0;
                run = run_to_end();
                assert_true(run.outcome == REWRAP_ROTATED || run.outcome == REWRAP_ALREADY);
                assert_true(opens(next, name));
            }
    assert_int_equal(runs, 2 * (4 + 6 + 8 + 8));
    rewrap_free(NULL);
}

/* Each allocation fails: it is told, and the key is one or the other. */
static void test_out_of_memory_anywhere(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct run run = {.told = 0};
        struct rewrap_spec spec = spec_of(&run, name);
        struct err e = ERR_INIT;

        store_reset();
        fill_with(name, previous, data_key, INSTANT);
        failing_arm(++n);
        run.rewrap = rewrap_start(NULL, &spec, &e);
        store_answer_all();
        reached = failing_disarm();
        if (run.told && run.outcome == REWRAP_FAILED)
            e = run.err;
        else
            assert_int_equal(run.told, e.kind == ERR_NONE);
        assert_int_equal(reached, e.kind == ERR_RESOURCE);
        assert_null(run.rewrap);
        expect_readable(name);
    } while (reached);
    assert_true(n >= 11); /* one to begin with, three for each of three secrets */
}

/* Want of memory never makes of somebody else's key one that the store has spoilt: nothing is put over it. */
static void test_out_of_memory_beside_somebody_else(void **state)
{
    bool reached;
    size_t n = 0, n_looking = 0;

    (void)state;
    do {
        struct run run = {.told = 0};

        store_reset();
        fill_with(name, previous, data_key, INSTANT);
        store.script[3].before = exchange;
        begin(&run, name, false);
        failing_arm(++n);
        store_answer_all();
        reached = failing_disarm();
        assert_int_equal(run.told, 1);
        assert_int_equal(run.outcome, reached ? REWRAP_FAILED : REWRAP_ALREADY);
        if (reached)
            assert_int_equal(run.err.kind, ERR_RESOURCE);
        n_looking += strncmp(run.err.text, "it was stored, but could not be looked at: ", 43) == 0;
        assert_true(store.n < 3 || strcmp(store.log, "get put(\"1\") get") == 0 ||
                    strcmp(store.log, "get put(\"1\") get get") == 0);
    } while (reached);
    assert_int_equal(n_looking, 4 * 3); /* two are compared, and two keys are tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_rotates, setup, teardown),
            cmocka_unit_test_setup_teardown(test_key_of_the_go_tool, setup, teardown),
            cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
            cmocka_unit_test_setup_teardown(test_already, setup, teardown),
            cmocka_unit_test_setup_teardown(test_seals, setup, teardown),
            cmocka_unit_test_setup_teardown(test_earlier_marks, setup, teardown),
            cmocka_unit_test_setup_teardown(test_earlier_marks_where_people_change, setup, teardown),
            cmocka_unit_test_setup_teardown(test_only_looks, setup, teardown),
            cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
            cmocka_unit_test_setup_teardown(test_bound_elsewhere, setup, teardown),
            cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
            cmocka_unit_test_setup_teardown(test_requests_that_fail, setup, teardown),
            cmocka_unit_test_setup_teardown(test_cannot_start, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_client_any_more, setup, teardown),
            cmocka_unit_test_setup_teardown(test_wrapping_fails, setup, teardown),
            cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
            cmocka_unit_test_setup_teardown(test_two_learn_one_thing, setup, teardown),
            cmocka_unit_test_setup_teardown(test_without_etags, setup, teardown),
            cmocka_unit_test_setup_teardown(test_comes_in_between, setup, teardown),
            cmocka_unit_test_setup_teardown(test_comes_in_between_always, setup, teardown),
            cmocka_unit_test_setup_teardown(test_refused_always, setup, teardown),
            cmocka_unit_test_setup_teardown(test_refused_because_of_ourselves, setup, teardown),
            cmocka_unit_test_setup_teardown(test_lost_answer, setup, teardown),
            cmocka_unit_test_setup_teardown(test_put_back, setup, teardown),
            cmocka_unit_test_setup_teardown(test_put_back_after_a_lost_answer, setup, teardown),
            cmocka_unit_test_setup_teardown(test_comes_after_us, setup, teardown),
            cmocka_unit_test_setup_teardown(test_comes_after_us_always, setup, teardown),
            cmocka_unit_test_setup_teardown(test_another_key_of_the_configuration, setup, teardown),
            cmocka_unit_test_setup_teardown(test_put_back_fails, setup, teardown),
            cmocka_unit_test_setup_teardown(test_still_the_old_one, setup, teardown),
            cmocka_unit_test_setup_teardown(test_freed_anywhere, setup, teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_anywhere, setup, teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_beside_somebody_else, setup, teardown),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
