/* Whether the master key of the configuration is still that of the backups: which are looked at, and what is said. */
#include "expect.h"

#include <sodium.h>
#include <string.h>

#include "catalog/name.h"
#include "failing.h"
#include "folder.h"
#include "job/keys/key_check.h"
#include "job/keys/rewrap_mark.h"
#include "scripted_store.h"
#include "seal/key.h"

enum { FIRST = 1733520141, MIDDLE, LAST };

static const char first[] = "backup-2024-12-06T21:22:21Z.key", middle[] = "backup-2024-12-06T21:22:22Z.key",
                  last[] = "backup-2024-12-06T21:22:23Z.key";
static struct secret *current, *previous, *third;
static char current_fingerprint[KEY_FINGERPRINT_MAX], text[ERR_TEXT_MAX];
static char *previous_paths[] = {(char *)(uintptr_t)("previous.key")};
static struct conf conf;
static struct catalog_list *list;
static bool only_ends;

/* In place of core.c. */
const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &conf;
}

static struct known *known; /* NULL: without memory for it */

struct known *core_known(const struct core *c)
{
    (void)c;
    return known;
}

/* ---- what there is ---- */

static void wrap(const char *name, const struct secret *master, int64_t instant)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *data_key = key_new_data(&e);
    uint8_t wrapped[KEY_WRAPPED_LEN];

    assert_int_equal(key_wrap(master, data_key, instant, wrapped, &e), 0);
    (void)store_fill(name, wrapped, sizeof(wrapped));
}

static void write_key(const char *name, const struct secret *key)
{
    char digits[2 * KEY_LEN + 1];

    (void)sodium_bin2hex(digits, sizeof(digits), secret_const_data(key), KEY_LEN);
    folder_write(name, digits, 2 * KEY_LEN, 0600);
}

static void new_list(void)
{
    struct err e = ERR_INIT;

    catalog_list_free(list);
    list = catalog_list_new("backup", &e);
    expect_success(list, &e);
}

static void add(const char *object, uint64_t size)
{
    struct err e = ERR_INIT;

    assert_int_equal(
            catalog_list_add(list, &(struct catalog_object){.name = object, .size = size, .last_modified = FIRST}, &e),
            0);
}

/* The dump of a key's name, encrypted. */
static void add_backup(const char *key)
{
    char dump[NAME_TEXT_MAX];

    (void)snprintf(dump, sizeof(dump), "%.*s.dump", (int)strlen(key) - 4, key);
    add(dump, 1000);
    add(key, KEY_WRAPPED_LEN);
}

static void setup_list(void)
{
    new_list();
    add_backup(middle);
    add_backup(last);
    add_backup(first);
    catalog_list_finish(list);
}

/* Three backups, all of the current key; a previous one is configured, too. */
static int setup(void **state)
{
    struct err e = ERR_INIT;

    if (folder_setup(state) < 0)
        return -1;
    store_reset();
    only_ends = false;
    current = key_new_master(&e);
    previous = key_new_master(&e);
    third = key_new_master(&e);
    if (!current || !previous || !third)
        return -1;
    (void)key_fingerprint(current, current_fingerprint);
    write_key("current.key", current);
    write_key("previous.key", previous);
    conf = (struct conf){
            .encryption_key_path = (char *)(uintptr_t)("current.key"),
            .previous_key_paths = previous_paths,
            .n_previous_key_paths = 1,
    };
    setup_list();
    wrap(first, current, FIRST);
    wrap(middle, current, MIDDLE);
    wrap(last, current, LAST);
    return 0;
}

static int teardown(void **state)
{
    catalog_list_free(TAKE_PTR(list));
    secret_free(TAKE_PTR(current));
    secret_free(TAKE_PTR(previous));
    secret_free(TAKE_PTR(third));
    return store_waiting() == 0 ? folder_teardown(state) : -1;
}

/* ---- one check ---- */

static struct {
    struct key_check *check;
    unsigned told;
    bool has_failed;
    struct key_check_result result;
    struct err err;
} run;

/* It goes in the callback, with all that is still under way: nothing of it may be touched afterwards. */
static void on_done(void *ctx, const struct key_check_result *result, const struct err *err)
{
    assert_ptr_equal(ctx, &run);
    run.told++;
    run.has_failed = err != NULL;
    assert_true(!err != !result);
    if (result)
        run.result = *result;
    if (err)
        run.err = *err;
    key_check_free(TAKE_PTR(run.check));
}

static void start(struct err *e)
{
    struct key_check_spec spec = {.list = list, .only_ends = only_ends, .ctx = &run, .on_done = on_done};

    memset(&run, 0, sizeof(run));
    run.check = key_check_start(NULL, &spec, e);
    assert_int_equal(run.told, 0);
    assert_int_equal(store_waiting() > 0, run.check != NULL);
}

static void run_to_end(void)
{
    struct err e = ERR_INIT;

    start(&e);
    expect_success(run.check, &e);
    catalog_list_free(TAKE_PTR(list)); /* which was lent for the start alone */
    store_answer_all();
    assert_int_equal(run.told, 1);
    assert_null(run.check);
}

static void expect_no_trouble(bool needs_previous)
{
    assert_false(run.has_failed);
    assert_string_equal(run.result.trouble.text, "");
    assert_int_equal(run.result.trouble.kind, ERR_NONE);
    assert_false(run.result.is_rotated_away);
    assert_int_equal(run.result.unopened + run.result.other, 0);
    assert_int_equal(run.result.needs_previous, needs_previous);
}

static void expect_trouble(enum err_kind kind, const char *expected)
{
    assert_false(run.has_failed);
    expect_error(&run.result.trouble, kind, expected);
}

/* ---- which are looked at ---- */

static void test_all_of_three(void **state)
{
    (void)state;
    run_to_end();
    expect_no_trouble(false);
    assert_string_equal(store.log, "get get get");
    assert_int_equal(run.result.looked_at, 3);
    assert_int_equal(run.result.current, 3);
}

static void name_of(int64_t instant, char name[NAME_TEXT_MAX])
{
    struct err e = ERR_INIT;

    assert_int_equal(name_format(name, "backup", instant, NAME_KEY, &e), 0);
}

/* The newest 99 of 102 and the oldest; eight at a time. Between them two are passed over. */
static void many(unsigned damaged)
{
    struct err e = ERR_INIT;
    char name[NAME_TEXT_MAX];

    store_reset();
    new_list();
    for (unsigned i = 0; i < 102; i++) {
        name_of(LAST + i, name);
        add_backup(name);
        wrap(name, i == damaged ? third : current, LAST + i);
    }
    catalog_list_finish(list);
    start(&e);
    expect_success(run.check, &e);
    assert_int_equal(store_waiting(), 8);
    for (unsigned i = 0; store_answer(i % 8) || store_answer(0); i++)
        assert_true(store_waiting() <= 8);
    assert_int_equal(run.told, 1);
    assert_int_equal(store.n, 100);
    assert_int_equal(run.result.looked_at, 100);
    assert_int_equal(run.result.not_looked_at, 2);
}

static void test_of_many(void **state)
{
    (void)state;
    many(1);
    expect_no_trouble(false);
    many(2);
    expect_no_trouble(false);
    many(0);
    assert_int_equal(run.result.unopened, 1);
    assert_int_equal(run.result.which[0], 101); /* the oldest is the last of the list */
    many(3);
    assert_int_equal(run.result.unopened, 1);
    assert_int_equal(run.result.which[0], 98);
    assert_true(strncmp(run.result.trouble.text, "1 of 100 backups looked at", 26) == 0);
    many(101);
    assert_true(strncmp(run.result.trouble.text, "the master key is not that of the newest backup", 47) == 0);
}

static void add_mark(const char *name, const struct secret *master)
{
    struct store_object *o = store_find(name);
    char mark[KEY_MARK_MAX];

    store_add_metadata(o, REWRAP_MARK, key_mark(master, (struct bytes){o->body, o->len}, mark));
}

/* `n` backups, one a second, of them that number `marked` rotated away from the current key. */
static void rotated_of(unsigned n, unsigned marked)
{
    char name[NAME_TEXT_MAX];

    store_reset();
    new_list();
    for (unsigned i = 0; i < n; i++) {
        name_of(LAST + i, name);
        add_backup(name);
        wrap(name, third, LAST + i);
        if (i == marked)
            add_mark(name, current);
    }
    catalog_list_finish(list);
    run_to_end();
}

/* Eight at each end, none twice: the oldest have the mark of a rotation, even behind many backups made since. */
static void test_the_ends_alone(void **state)
{
    (void)state;
    only_ends = true;
    for (unsigned n = 1; n <= 40; n++) {
        rotated_of(n, 0);
        assert_int_equal(store.n, n < 16 ? n : 16);
        assert_true(run.result.is_rotated_away);
        assert_int_equal(run.result.looked_at, store.n);
    }
    rotated_of(40, 7);
    assert_true(run.result.is_rotated_away);
    rotated_of(40, 8);
    assert_false(run.result.is_rotated_away);
    rotated_of(40, 31);
    assert_false(run.result.is_rotated_away);
    rotated_of(40, 32);
    assert_true(run.result.is_rotated_away);
    assert_true(strncmp(run.result.trouble.text, "encryption_key_path still holds ", 32) == 0);
}

static void expect_nothing_to_check(void)
{
    struct err e = ERR_INIT;

    catalog_list_finish(list);
    start(&e);
    assert_null(run.check);
    assert_int_equal(e.kind, ERR_NONE);
    assert_int_equal(store.n, 0);
}

static void test_nothing_to_check(void **state)
{
    (void)state;
    new_list();
    expect_nothing_to_check();
    new_list();
    add("backup-2024-12-06T21:22:21Z.dump", 4096 + 32); /* plain */
    add("backup-2024-12-06T21:22:22Z.dump", 1000);      /* its key is missing */
    add("backup-2024-12-06T21:22:23Z.key", 72);         /* without a dump */
    add("backup-2024-12-99T21:22:23Z.dump", 1000);      /* no date */
    add("backup-2024-12-99T21:22:23Z.key", 72);
    add("backup-2024-12-06T21:22:24Z.dump", 0); /* a copy of it broke */
    add("backup-2024-12-06T21:22:24Z.key", 72);
    add("backup-2024-12-06T21:22:25Z.dump", 1000);
    add("backup-2024-12-06T21:22:25Z.key", 0); /* a copy of this one broke */
    expect_nothing_to_check();
    new_list();
    add_backup(middle);
    conf.encryption_key_path = NULL; /* backups are not encrypted any more */
    expect_nothing_to_check();
}

/* The only one, among others that are not encrypted. */
static void test_the_only_one(void **state)
{
    (void)state;
    new_list();
    add("backup-2024-12-06T21:22:20Z.dump", 4096 + 32);
    add("backup-2024-12-06T21:22:24Z.dump", 4096 + 32);
    add_backup(middle);
    catalog_list_finish(list);
    wrap(middle, third, MIDDLE);
    run_to_end();
    assert_string_equal(store.log, "get");
    assert_non_null(strstr(run.result.trouble.text, middle));
}

/* ---- what is said ---- */

/* Rotation is not done: no trouble, but something to know. */
static void test_needs_previous(void **state)
{
    (void)state;
    wrap(middle, previous, MIDDLE);
    run_to_end();
    expect_no_trouble(true);
    assert_int_equal(run.result.current, 2);
}

#define NOT_OPENED                                                                                                     \
    "wrong master key, or the key object is damaged (not opened by %s of current.key, %s of previous.key); the right " \
    "one goes into previous_key_paths"

/* By their numbers in the list, which has the newest first, what does not open is what was told. */
static void expect_which(void)
{
    static const struct {
        const char *name;
        int64_t instant;
    } in_list[] = {{last, LAST}, {middle, MIDDLE}, {first, FIRST}};
    bool told[3] = {false};

    for (unsigned i = 0; i < run.result.unopened; i++)
        told[run.result.which[i]] = true;
    for (size_t i = 0; i < 3; i++) {
        const struct store_object *o = store_find(in_list[i].name);
        struct bytes wrapped = {o->body, o->len};
        struct err e = ERR_INIT;
        _cleanup_secret_ struct secret *by_current = key_unwrap(current, wrapped, in_list[i].instant, false, &e),
                                       *by_previous = key_unwrap(previous, wrapped, in_list[i].instant, false, &e);

        assert_int_equal(told[i], !by_current && !by_previous);
    }
}

static void expect_not_opened(unsigned n, const char *before, const char *name)
{
    char fingerprint[KEY_FINGERPRINT_MAX];

    (void)snprintf(text, sizeof(text), "%s; %s: " NOT_OPENED, before, name, current_fingerprint,
            key_fingerprint(previous, fingerprint));
    expect_trouble(ERR_INTEGRITY, text);
    assert_false(run.result.is_rotated_away || run.result.needs_previous);
    assert_int_equal(run.result.unopened, n);
    assert_int_equal(run.result.other, n);
    assert_int_equal(run.result.looked_at, 3);
    assert_int_equal(run.result.not_looked_at, 0);
    expect_which();
}

#define NEWEST "the master key is not that of the newest backup"

/* The file was swapped. */
static void test_newest_not_opened(void **state)
{
    (void)state;
    wrap(last, third, LAST);
    run_to_end();
    expect_not_opened(1, NEWEST, last);
}

static void test_another_not_opened(void **state)
{
    (void)state;
    wrap(first, third, FIRST);
    run_to_end();
    expect_not_opened(1, "1 of 3 backups looked at are opened by no configured key", first);
}

/* Of several the newest is told, in whatever order they come. */
static void test_several_not_opened(void **state)
{
    (void)state;
    wrap(first, third, FIRST);
    wrap(middle, third, MIDDLE);
    run_to_end();
    expect_not_opened(2, "2 of 3 backups looked at are opened by no configured key", middle);
}

static void test_in_another_order(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    wrap(first, third, FIRST);
    wrap(middle, third, MIDDLE);
    wrap(last, third, LAST);
    start(&e);
    expect_success(run.check, &e);
    assert_true(store_answer(1) && store_answer(1) && store_answer(0));
    assert_int_equal(run.told, 1);
    expect_not_opened(3, NEWEST, last);
}

/* That is not for want of a key, and the words do not say so. */
static void expect_other_fault(const char *name, const char *why)
{
    run_to_end();
    (void)snprintf(text, sizeof(text), "1 of 3 backups looked at are opened by no configured key; %s: %s", name, why);
    expect_trouble(ERR_INTEGRITY, text);
    assert_int_equal(run.result.unopened, 1);
    assert_int_equal(run.result.other, 0);
    expect_which();
}

static void test_bound_elsewhere(void **state)
{
    (void)state;
    wrap(first, current, FIRST + 1);
    expect_other_fault(first,
            "the key is bound to another instant than 2024-12-06T21:22:21Z: the backup was renamed, or its key "
            "exchanged");
}

static void test_cut(void **state)
{
    (void)state;
    store_find(last)->len = 71;
    expect_other_fault(last, "the key object has 71 bytes instead of 72");
}

/* ---- rotated away ---- */

static void expect_rotated_away(const char *name)
{
    (void)snprintf(text, sizeof(text),
            "encryption_key_path still holds %s, which was rotated away (%s): put the new key there; if backups were "
            "made with the old one since, run rotate-key -p with that before it is destroyed",
            current_fingerprint, name);
    expect_trouble(ERR_CONFIG, text);
    assert_true(key_check_is_rotated_away(&run.result.trouble));
    assert_true(run.result.is_rotated_away);
    assert_string_equal(run.result.rotated_away, current_fingerprint);
}

/* Whoever still holds the old key must not wrap another backup by it. */
static void test_rotated_away(void **state)
{
    (void)state;
    wrap(middle, third, MIDDLE);
    add_mark(middle, current);
    run_to_end();
    expect_rotated_away(middle);
    assert_int_equal(run.result.current, 2); /* which need it still */
}

/* Nor if he has written the two down the wrong way round. */
static void test_interchanged(void **state)
{
    (void)state;
    wrap(last, previous, LAST);
    add_mark(last, current);
    run_to_end();
    expect_rotated_away(last);
}

/* The worse of two, in whatever order. */
static void test_rotated_away_and_not_opened(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        wrap(last, third, LAST);
        wrap(first, third, FIRST);
        store_find(last)->n_metadata = store_find(first)->n_metadata = 0;
        add_mark(i ? last : first, current);
        if (i)
            setup_list();
        run_to_end();
        expect_rotated_away(i ? last : first);
    }
}

/* The mark that outlives the bytes: at what another one wraps now, and of this backup; and not at what the key in use
 * wraps itself, where an older version has taken it along on the way back. */
static void test_rotated_away_earlier(void **state)
{
    char one[REWRAP_AWAY_MAX], two[REWRAP_AWAY_MAX];
    const char *names[] = {first, middle, last};
    struct store_object *o = store_find(last);

    (void)state;
    (void)rewrap_mark_add_away("", current, NULL, LAST, one);
    (void)rewrap_mark_add_away(one, third, NULL, LAST, two);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        store_add_metadata(store_find(names[i]), REWRAP_AWAY, one);
    run_to_end();
    expect_no_trouble(false);
    wrap(first, previous, FIRST);
    setup_list();
    run_to_end();
    assert_false(run.result.is_rotated_away); /* that of another backup */
    wrap(last, third, LAST);
    o->n_metadata = 0;
    store_add_metadata(o, REWRAP_AWAY, two);
    setup_list();
    run_to_end();
    expect_rotated_away(last);
}

/* Whatever cannot be read: what was rotated away makes no backup. */
static void test_rotated_away_without_the_previous_key(void **state)
{
    (void)state;
    wrap(last, third, LAST);
    add_mark(last, current);
    failing_arm(1 + 6 + 1 + 6 + 1); /* check, three times name and ETag, ring, a file */
    run_to_end();
    assert_true(failing_disarm());
    expect_rotated_away(last);
}

/* A stranger who can write to the bucket cannot make a key look rotated away: the mark is of these bytes, and of a key
 * that he does not have. */
static void test_marks_that_mean_nothing(void **state)
{
    char mark[KEY_MARK_MAX];

    (void)state;
    store_add_metadata(store_find(first), REWRAP_MARK, current_fingerprint);
    add_mark(middle, third);
    store_add_metadata(store_find(last), REWRAP_MARK,
            key_mark(current, (struct bytes){store_find(first)->body, KEY_WRAPPED_LEN}, mark));
    run_to_end();
    expect_no_trouble(false);
}

/* ---- requests and files ---- */

static void test_pruned_meanwhile(void **state)
{
    (void)state;
    store_find(last)->is_there = false;
    wrap(first, third, FIRST);
    run_to_end();
    assert_int_equal(run.result.looked_at, 2);
    assert_int_equal(run.result.gone, 1);
    assert_int_equal(run.result.which_gone[0], 0); /* the newest: it does not count */
    assert_true(strncmp(run.result.trouble.text, "1 of 2 backups looked at", 24) == 0);
}

static void test_all_pruned_meanwhile(void **state)
{
    (void)state;
    store_find(last)->is_there = store_find(middle)->is_there = store_find(first)->is_there = false;
    run_to_end();
    assert_int_equal(run.result.looked_at, 0);
    assert_int_equal(run.result.gone, 3);
    expect_trouble(ERR_NOT_FOUND, "none of the 3 keys that the bucket lists and that were looked for is there, such as "
                                  "backup-2024-12-06T21:22:23Z.key");
}

/* Nobody knows: not that all is well. What is under way with it goes. */
static void test_requests_that_fail(void **state)
{
    (void)state;
    wrap(last, third, LAST);
    store.script[2].status = 503;
    run_to_end();
    assert_true(run.has_failed);
    expect_error(&run.err, ERR_TRANSIENT, "HTTP 503");
    assert_int_equal(store.cancelled, 1);
}

/* The previous key may be the one, but could not be read. */
static void test_out_of_memory_for_the_previous_key(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    wrap(last, previous, LAST);
    failing_arm(1 + 6 + 1 + 6 + 1); /* check, three times name and ETag, ring, a file */
    start(&e);
    assert_true(failing_disarm());
    expect_success(run.check, &e);
    store_answer_all();
    assert_true(run.has_failed);
    (void)snprintf(text, sizeof(text),
            "not opened by %s of current.key; not tried: out of memory for a secret of 65 bytes", current_fingerprint);
    expect_error(&run.err, ERR_RESOURCE, text);
}

static void test_cannot_start(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        store.n = store.cancelled = 0;
        memset(store.script, 0, sizeof(store.script));
        store.script[n].cannot_start = true;
        start(&e);
        assert_null(run.check);
        expect_error(&e, ERR_RESOURCE, "out of requests");
        assert_int_equal(store.cancelled, n - 1);
    }
    store.has_no_client = true;
    start(&e);
    assert_null(run.check);
    expect_error(&e, ERR_CONFIG, "no credentials");
    conf.encryption_key_path = (char *)(uintptr_t)("missing.key");
    start(&e);
    assert_null(run.check);
    expect_error(&e, ERR_NOT_FOUND, "missing.key: No such file or directory");
}

/* One after the first eight. */
static void test_later_one_cannot_start(void **state)
{
    struct err e = ERR_INIT;
    char name[NAME_TEXT_MAX];

    (void)state;
    new_list();
    for (unsigned i = 0; i < 12; i++) {
        name_of(LAST + i, name);
        add_backup(name);
        wrap(name, current, LAST + i);
    }
    catalog_list_finish(list);
    store.script[10].cannot_start = true;
    start(&e);
    expect_success(run.check, &e);
    store_answer_all();
    assert_int_equal(run.told, 1);
    assert_true(run.has_failed);
    expect_error(&run.err, ERR_RESOURCE, "out of requests");
    assert_int_equal(store.cancelled, 7);
}

static void test_freed_anywhere(void **state)
{
    (void)state;
    for (unsigned answers = 0; answers < 3; answers++) {
        struct err e = ERR_INIT;

        store.cancelled = 0;
        start(&e);
        for (unsigned i = 0; i < answers; i++)
            assert_true(store_answer(0));
        key_check_free(TAKE_PTR(run.check));
        assert_int_equal(store.cancelled, 3 - answers);
        assert_int_equal(store_waiting(), 0);
        assert_int_equal(run.told, 0);
    }
    key_check_free(NULL);
}

/* Each allocation fails: it is told, and never taken for a wrong key. */
static void test_out_of_memory_anywhere(void **state)
{
    struct err e;
    bool reached;
    size_t n = 0, n_failed = 0;

    (void)state;
    do {
        store.n = 0;
        store.log[0] = '\0';
        e = ERR_INIT;
        failing_arm(++n);
        start(&e);
        store_answer_all();
        reached = failing_disarm();
        assert_null(run.check);
        if (!run.told)
            assert_int_equal(e.kind, ERR_RESOURCE);
        else if (run.has_failed)
            assert_int_equal(run.err.kind, ERR_RESOURCE);
        else /* a previous key that is not needed may be unreadable */
            expect_no_trouble(false);
        n_failed += !run.told || run.has_failed;
    } while (reached);
    assert_int_equal(n, 1 + 6 + 1 + 2 * 6 + 3 * 3 + 1); /* check, names, ring, two files, three data keys */
    assert_int_equal(n_failed, n - 1 - 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_all_of_three, setup, teardown),
            cmocka_unit_test_setup_teardown(test_of_many, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_ends_alone, setup, teardown),
            cmocka_unit_test_setup_teardown(test_nothing_to_check, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_only_one, setup, teardown),
            cmocka_unit_test_setup_teardown(test_needs_previous, setup, teardown),
            cmocka_unit_test_setup_teardown(test_newest_not_opened, setup, teardown),
            cmocka_unit_test_setup_teardown(test_another_not_opened, setup, teardown),
            cmocka_unit_test_setup_teardown(test_several_not_opened, setup, teardown),
            cmocka_unit_test_setup_teardown(test_in_another_order, setup, teardown),
            cmocka_unit_test_setup_teardown(test_bound_elsewhere, setup, teardown),
            cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
            cmocka_unit_test_setup_teardown(test_rotated_away, setup, teardown),
            cmocka_unit_test_setup_teardown(test_interchanged, setup, teardown),
            cmocka_unit_test_setup_teardown(test_rotated_away_and_not_opened, setup, teardown),
            cmocka_unit_test_setup_teardown(test_rotated_away_earlier, setup, teardown),
            cmocka_unit_test_setup_teardown(test_rotated_away_without_the_previous_key, setup, teardown),
            cmocka_unit_test_setup_teardown(test_marks_that_mean_nothing, setup, teardown),
            cmocka_unit_test_setup_teardown(test_pruned_meanwhile, setup, teardown),
            cmocka_unit_test_setup_teardown(test_all_pruned_meanwhile, setup, teardown),
            cmocka_unit_test_setup_teardown(test_requests_that_fail, setup, teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_for_the_previous_key, setup, teardown),
            cmocka_unit_test_setup_teardown(test_cannot_start, setup, teardown),
            cmocka_unit_test_setup_teardown(test_later_one_cannot_start, setup, teardown),
            cmocka_unit_test_setup_teardown(test_freed_anywhere, setup, teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_anywhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
