#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/list.h"
#include "catalog/name.h"
#include "failing.h"

#define _cleanup_list_ _cleanup_(cleanup_catalog_list_free)

/* Sizes that say what a dump without a key is. */
enum { PLAIN = 2 * 4096 + 32, SEALED = 2 * 4096 + 32 + 40 };

struct object {
    const char *name;
    uint64_t size;
    int64_t last_modified;
};

static int64_t at(const char *text)
{
    struct err e = ERR_INIT;
    int64_t instant;

    expect_success(timestamp_parse(text, strlen(text), &instant, &e) == 0, &e);
    return instant;
}

static struct catalog_list *fill(struct catalog_list *l, const struct object *objects, size_t n)
{
    struct err e = ERR_INIT;

    for (size_t i = 0; i < n; i++)
        expect_success(catalog_list_add(l,
                               &(struct catalog_object){.name = objects[i].name,
                                       .size = objects[i].size,
                                       .last_modified = objects[i].last_modified},
                               &e) == 0,
                &e);
    catalog_list_finish(l);
    return l;
}

static struct catalog_list *list_of(const char *prefix, const struct object *objects, size_t n)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new(prefix, &e);

    expect_success(l, &e);
    return fill(l, objects, n);
}

/* Of a place where backups are encrypted, or are not. */
static struct catalog_list *list_where(bool encrypted, const struct object *objects, size_t n)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new("a", &e);

    expect_success(l, &e);
    if (encrypted)
        catalog_list_expect_keys(l);
    return fill(l, objects, n);
}

static const char *state_name(enum catalog_state state)
{
    static const char *const names[] = {
            "complete", "key missing", "unreadable", "orphan key", "orphan mark", "claim", "check"};

    return names[state];
}

/* One line a backup: what a person would want to compare. The caller frees. */
static char *describe(const struct catalog_list *l)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    for (size_t i = 0; i < catalog_list_count(l); i++) {
        const struct catalog_backup *b = catalog_list_at(l, i);

        fprintf(f, "%s %s%s %llu @%lld\n", b->name, state_name(b->state), b->has_key ? " +key" : "",
                (unsigned long long)b->size, (long long)b->last_modified);
    }
    assert_int_equal(fclose(f), 0);
    return text;
}

/* A bucket with everything in it. */
static const struct object bucket[] = {
        {"a-2024-12-06T21:22:25Z.dump", SEALED, 100}, /* complete, and in another spelling once more */
        {"a-2024-12-06T21:22:25Z.key", 72, 99},
        {"a-2024-12-06T16:22:25-05:00.dump", SEALED, 101},
        {"a-2024-12-06T16:22:25-05:00.key", 72, 98},
        {"a-2024-12-06T23:22:25+02:00.dump", SEALED,
                97},                                  /* the same instant, its key lost: the others' are not its own */
        {"a-2024-12-07T00:00:00Z.dump", PLAIN, 200},  /* plain */
        {"a-2024-12-05T00:00:00Z.dump", SEALED, 50},  /* key lost */
        {"a-2024-12-08T00:00:00Z.key", 72, 300},      /* dump lost */
        {"a-2024-12-31T25:00:00Z.dump", SEALED, 400}, /* no such hour */
        {"a-2024-12-30.dump", PLAIN, 401},            /* half a date; with a key */
        {"a-2024-12-30.key", 72, 402},
        {"a-2024-12-29.key", 72, 403},               /* half a date; a key alone is nothing */
        {"a-b-2024-12-09T00:00:00Z.dump", PLAIN, 1}, /* of another prefix */
        {"a-b-2024-12-09T00:00:00Z.key", 72, 2},
        {"a", 1, 1}, /* foreign */
        {"a-notes.txt", 1, 1},
        {"a-2024-12-10T00:00:00Z.dump.part", PLAIN, 1},
        {"b-2024-12-11T00:00:00Z.dump", PLAIN, 1},
        {"a/2024-12-11T00:00:00Z.dump", PLAIN, 1},
};

static const char bucket_of_a[] = "a-2024-12-08T00:00:00Z.key orphan key 72 @300\n"
                                  "a-2024-12-07T00:00:00Z.dump complete 8224 @200\n"
                                  "a-2024-12-06T16:22:25-05:00.dump complete +key 8264 @101\n"
                                  "a-2024-12-06T21:22:25Z.dump complete +key 8264 @100\n"
                                  "a-2024-12-06T23:22:25+02:00.dump key missing 8264 @97\n"
                                  "a-2024-12-05T00:00:00Z.dump key missing 8264 @50\n"
                                  "a-2024-12-30.dump unreadable +key 8224 @401\n"
                                  "a-2024-12-31T25:00:00Z.dump unreadable 8264 @400\n";

static void a_bucket_with_everything_in_it(void **state)
{
    _cleanup_list_ struct catalog_list *l = list_of("a", bucket, ARRAY_LEN(bucket));
    _cleanup_free_ char *text = describe(l);

    (void)state;
    assert_string_equal(text, bucket_of_a);
    assert_int_equal(catalog_list_at(l, 2)->instant, 1733520145);
    assert_int_equal(catalog_list_at(l, 6)->instant, 0);
}

static void another_prefix_sees_its_own_alone(void **state)
{
    _cleanup_list_ struct catalog_list *l = list_of("a-b", bucket, ARRAY_LEN(bucket)),
                                       *none = list_of("c", bucket, ARRAY_LEN(bucket));
    _cleanup_free_ char *text = describe(l);

    (void)state;
    assert_string_equal(text, "a-b-2024-12-09T00:00:00Z.dump complete +key 8224 @1\n");
    assert_int_equal(catalog_list_count(none), 0);
}

/* A small generator, so that a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void the_order_of_the_listing_changes_nothing(void **state)
{
    struct object shuffled[ARRAY_LEN(bucket)];
    uint32_t seed = 1;

    (void)state;
    memcpy(shuffled, bucket, sizeof(bucket));
    for (unsigned round = 0; round < 1000; round++) {
        _cleanup_list_ struct catalog_list *l = NULL;
        _cleanup_free_ char *text = NULL;

        for (size_t i = ARRAY_LEN(shuffled); i > 1; i--) {
            size_t j = next_random(&seed) % i;
            struct object o = shuffled[j];

            shuffled[j] = shuffled[i - 1];
            shuffled[i - 1] = o;
        }
        l = list_of("a", shuffled, ARRAY_LEN(shuffled));
        text = describe(l);
        assert_string_equal(text, bucket_of_a);
    }
}

/* Names of which one begins with the other sort by the whole name, not by what pairs them. */
static void equal_instants_are_in_the_order_of_names(void **state)
{
    static const struct object objects[] = {
            {"a-2024-12-30.dump", 1, 0}, {"a-2024-12-30-x.dump", 1, 0}, {"a-2024-12-30T.dump", 1, 0}};
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));

    (void)state;
    assert_string_equal(catalog_list_at(l, 0)->name, "a-2024-12-30-x.dump");
    assert_string_equal(catalog_list_at(l, 1)->name, "a-2024-12-30.dump");
    assert_string_equal(catalog_list_at(l, 2)->name, "a-2024-12-30T.dump");
}

/* Of a backup that is on its way, or left by a crash: it is of no backup, and hides none. */
static void a_claim_stands_for_itself(void **state)
{
    static const struct object objects[] = {
            {"a-2024-12-07T00:00:00Z.claim", 32, 3},
            {"a-2024-12-07T00:00:00Z.key", 72, 1},
            {"a-2024-12-07T00:00:00Z.dump", SEALED, 2},
            {"a-2024-12-08T00:00:00Z.claim", 32, 4},
            {"a-2024-12-08T00:00:00Z.key", 72, 5},
            {"a-2024-12-06T00:00:00Z.claim", 32, 6},
            {"a-2024-12-06.claim", 32, 7},
    };
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));
    _cleanup_free_ char *text = describe(l);

    (void)state;
    assert_string_equal(text, "a-2024-12-08T00:00:00Z.claim claim 32 @4\n"
                              "a-2024-12-08T00:00:00Z.key orphan key 72 @5\n"
                              "a-2024-12-07T00:00:00Z.claim claim 32 @3\n"
                              "a-2024-12-07T00:00:00Z.dump complete +key 8264 @2\n"
                              "a-2024-12-06T00:00:00Z.claim claim 32 @6\n");
}

/* It is nobody's backup, hides none and is none; whatever else has no time stands beside it. */
static void what_a_check_left_stands_for_itself(void **state)
{
    static const struct object objects[] = {
            {"a-check-0123456789abcdef", 73, 5},
            {"a-check-0123456789abcdef", 73, 5}, /* on two pages */
            {"a-check-0123456789abcdee", 0, 6},
            {"a-check-0123456789abcdef.dump", SEALED, 1}, /* foreign */
            {"a-check-0123456789abcdef.key", 72, 1},
            {"a-1970-01-01T00:00:00Z.dump", SEALED, 2}, /* at 0, as those without a time */
            {"a-1970-01-01T00:00:00Z.key", 72, 2},
            {"a-1970-01-01T00:00:00Z.claim", 32, 3},
            {"a-2024-12-30.dump", PLAIN, 4},
    };
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));
    _cleanup_free_ char *text = describe(l);

    (void)state;
    assert_string_equal(text, "a-1970-01-01T00:00:00Z.claim claim 32 @3\n"
                              "a-1970-01-01T00:00:00Z.dump complete +key 8264 @2\n"
                              "a-2024-12-30.dump unreadable 8224 @4\n"
                              "a-check-0123456789abcdee check 0 @6\n"
                              "a-check-0123456789abcdef check 73 @5\n");
    for (size_t i = 0; i < catalog_list_count(l); i++)
        if (catalog_list_at(l, i)->state == CATALOG_CHECK)
            assert_true(
                    catalog_backup_is_orphan(catalog_list_at(l, i)) && !catalog_backup_counts(catalog_list_at(l, i)));
    assert_string_equal(catalog_list_find(l, 0)->name, "a-1970-01-01T00:00:00Z.dump");
    assert_string_equal(catalog_list_latest(l)->name, "a-1970-01-01T00:00:00Z.dump");
}

/* A server may list an object on two pages when another was written meanwhile. */
static void an_object_listed_twice_is_one(void **state)
{
    static const struct object objects[] = {
            {"a-2024-12-07T00:00:00Z.dump", SEALED, 1},
            {"a-2024-12-07T00:00:00Z.key", 72, 1},
            {"a-2024-12-07T00:00:00Z.dump", SEALED - 1, 2}, /* the later state counts */
            {"a-2024-12-07T00:00:00Z.key", 72, 1},
            {"a-2024-12-08T00:00:00Z.key", 72, 1},
            {"a-2024-12-08T00:00:00Z.key", 72, 1},
    };
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));
    _cleanup_free_ char *text = describe(l);

    (void)state;
    assert_string_equal(text, "a-2024-12-08T00:00:00Z.key orphan key 72 @1\n"
                              "a-2024-12-07T00:00:00Z.dump complete +key 8263 @2\n");
}

static void a_dump_without_a_key_is_judged_by_its_size(void **state)
{
    static const struct {
        uint64_t size;
        enum catalog_state state;
    } cases[] = {
            {0, CATALOG_KEY_MISSING},
            {31, CATALOG_KEY_MISSING},
            {32, CATALOG_KEY_MISSING},  /* a SHA-256 of nothing */
            {544, CATALOG_KEY_MISSING}, /* less than a page */
            {4096, CATALOG_KEY_MISSING},
            {4127, CATALOG_KEY_MISSING},
            {4128, CATALOG_COMPLETE},
            {4129, CATALOG_KEY_MISSING},
            {4168, CATALOG_KEY_MISSING},
            {UINT64_C(64) * 1024 * 1024 + 32, CATALOG_COMPLETE},
            {UINT64_C(64) * (1024 * 1024 + 40) - 4096 + 32, CATALOG_KEY_MISSING}, /* 64 sealed chunks */
            {UINT64_C(512) * 1024 * 1024 * 1024 + 32, CATALOG_COMPLETE},
            {UINT64_MAX, CATALOG_KEY_MISSING},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct object objects[] = {{"a-2024-12-07T00:00:00Z.dump", cases[i].size, 1}};
        const struct object with_key[] = {objects[0], {"a-2024-12-07T00:00:00Z.key", 72, 1}};
        _cleanup_list_ struct catalog_list *l = list_of("a", objects, 1), *pair = list_of("a", with_key, 2);

        assert_int_equal(catalog_list_at(l, 0)->state, cases[i].state);
        assert_false(catalog_list_at(l, 0)->has_key);
        assert_int_equal(catalog_list_at(pair, 0)->state, CATALOG_COMPLETE);
        assert_true(catalog_list_at(pair, 0)->has_key);
        assert_int_equal(catalog_list_count(pair), 1);
    }
}

/* 512 sealed chunks: the 40 bytes that each has more are five pages, so that both a sealed and a plain dump have that
 * size. Of what is there nobody can tell but who knows what should be. */
static void a_size_of_both_is_judged_by_what_is_expected(void **state)
{
    static const uint64_t chunk = 1024 * 1024 + 40,
                          sizes[] = {512 * chunk - 4096 + 32, 511 * chunk + 40 + 32, 2 * 512 * chunk + 32 - 4096};
    static const uint64_t plain_alone[] = {4128, 511 * chunk - 511 * 40 + 32 - 4096, 513 * chunk - 513 * 40 + 32};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct object both = {"a-2024-12-07T00:00:00Z.dump", sizes[i], 1};
        struct object plain = {"a-2024-12-08T00:00:00Z.dump", plain_alone[i], 1};
        const struct object objects[] = {both, plain};

        assert_int_equal(sizes[i] % CATALOG_PAGE, 32);
        assert_int_equal(plain_alone[i] % CATALOG_PAGE, 32);
        for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
            _cleanup_list_ struct catalog_list *l = list_where(encrypted, objects, 2);
            const struct catalog_backup *b = catalog_list_at(l, 1);

            assert_int_equal(b->state, encrypted ? CATALOG_KEY_MISSING : CATALOG_COMPLETE);
            assert_int_equal(b->doubt, encrypted ? CATALOG_MAY_BE_PLAIN : CATALOG_SURE);
            assert_int_equal(catalog_backup_counts(b), !encrypted);
            assert_int_equal(catalog_backup_counts(catalog_list_at(l, 0)), !encrypted);
            assert_int_equal(catalog_list_at(l, 0)->doubt, encrypted ? CATALOG_PLAIN : CATALOG_SURE);
        }
    }
}

/* What a broken copy leaves, or another tool: names that pair, and nothing behind them. It is found, and does not
 * count. */
static void a_pair_of_a_size_that_cannot_be_does_not_count(void **state)
{
    static const struct {
        uint64_t dump, key;
        bool counts;
    } cases[] = {
            {0, 72, false},
            {40, 72, false},
            {41, 72, true}, /* the Go tool seals whatever etcd sends */
            {1024 * 1024 + 40, 72, true},
            {1024 * 1024 + 41, 72, false},
            {1024 * 1024 + 80, 72, false},
            {1024 * 1024 + 81, 72, true},
            {UINT64_MAX, 72, true},
            {584, 0, false},
            {584, 71, false},
            {584, 73, false},
            {584, UINT64_MAX, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct object objects[] = {{"a-2024-12-07T00:00:00Z.key", cases[i].key, 1},
                {"a-2024-12-07T00:00:00Z.dump", cases[i].dump, 1}, {"a-2024-12-01T00:00:00Z.dump", PLAIN, 1}};
        _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));
        const struct catalog_backup *b = catalog_list_at(l, 0);

        assert_int_equal(b->state, CATALOG_COMPLETE);
        assert_int_equal(b->doubt, cases[i].counts ? CATALOG_SURE : CATALOG_WRONG_SIZE);
        assert_int_equal(catalog_backup_counts(b), cases[i].counts);
        assert_ptr_equal(catalog_list_latest(l), b);
        assert_ptr_equal(catalog_list_find(l, b->instant), b);
        assert_ptr_equal(catalog_list_nearest(l, INT64_MAX), catalog_list_at(l, cases[i].counts ? 0 : 1));
    }
}

/* The state known last counts of the key, too. */
static void a_key_listed_twice_is_judged_by_its_later_size(void **state)
{
    static const struct object objects[] = {
            {"a-2024-12-07T00:00:00Z.key", 72, 1},
            {"a-2024-12-07T00:00:00Z.dump", SEALED, 1},
            {"a-2024-12-07T00:00:00Z.key", 0, 2},
    };
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));

    (void)state;
    assert_int_equal(catalog_list_at(l, 0)->doubt, CATALOG_WRONG_SIZE);
}

/* Somebody has tried its key. What is in doubt for another reason stays so. */
static void one_that_does_not_open_does_not_count(void **state)
{
    static const struct object objects[] = {
            {"a-2024-12-07T00:00:00Z.dump", SEALED, 1},
            {"a-2024-12-07T00:00:00Z.key", 72, 1},
            {"a-2024-12-06T00:00:00Z.dump", SEALED, 1},
            {"a-2024-12-06T00:00:00Z.key", 0, 1},
    };
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects));

    (void)state;
    assert_true(catalog_backup_counts(catalog_list_at(l, 0)));
    catalog_list_doubt(l, 0, CATALOG_UNOPENED);
    catalog_list_doubt(l, 1, CATALOG_UNOPENED);
    assert_int_equal(catalog_list_at(l, 0)->doubt, CATALOG_UNOPENED);
    assert_int_equal(catalog_list_at(l, 1)->doubt, CATALOG_WRONG_SIZE);
    assert_false(catalog_backup_counts(catalog_list_at(l, 0)));
}

static void the_latest_is_the_newest_complete_one(void **state)
{
    _cleanup_list_ struct catalog_list *l = list_of("a", bucket, ARRAY_LEN(bucket)), *none = list_of("a", NULL, 0),
                                       *lost = list_of("a", bucket + 6, 2);

    (void)state;
    assert_string_equal(catalog_list_latest(l)->name, "a-2024-12-07T00:00:00Z.dump");
    assert_null(catalog_list_latest(none));
    assert_int_equal(catalog_list_count(lost), 2);
    assert_null(catalog_list_latest(lost));
}

static void a_backup_is_found_by_its_instant(void **state)
{
    _cleanup_list_ struct catalog_list *l = list_of("a", bucket, ARRAY_LEN(bucket));

    (void)state;
    assert_string_equal(catalog_list_find(l, at("2024-12-06T21:22:25Z"))->name, "a-2024-12-06T21:22:25Z.dump");
    assert_string_equal(catalog_list_find(l, at("2024-12-06T22:22:25+01:00"))->name, "a-2024-12-06T21:22:25Z.dump");
    assert_string_equal(catalog_list_find(l, at("2024-12-07T00:00:00Z"))->name, "a-2024-12-07T00:00:00Z.dump");
    assert_null(catalog_list_find(l, at("2024-12-05T00:00:00Z"))); /* without its key */
    assert_null(catalog_list_find(l, at("2024-12-08T00:00:00Z"))); /* a key alone */
    assert_null(catalog_list_find(l, at("2024-12-06T21:22:24Z")));
    assert_null(catalog_list_find(l, 0)); /* what is unreadable has no instant */
    assert_null(catalog_list_find(l, INT64_MIN));
    assert_null(catalog_list_find(l, INT64_MAX));
}

static void without_a_utc_spelling_another_is_found(void **state)
{
    _cleanup_list_ struct catalog_list *l = list_of("a", bucket + 2, 3);

    (void)state;
    assert_string_equal(catalog_list_find(l, 1733520145)->name, "a-2024-12-06T16:22:25-05:00.dump");
}

static void the_nearest_in_time_is_offered(void **state)
{
    static const struct object objects[] = {
            {"a-2024-12-01T00:00:00Z.dump", PLAIN, 0},
            {"a-2024-12-03T00:00:00Z.dump", PLAIN, 0},
            {"a-2024-12-09T00:00:00Z.dump", SEALED, 0}, /* without its key: no offer */
            {"a-2024-12-09T00:00:01Z.key", 72, 0},
    };
    _cleanup_list_ struct catalog_list *l = list_of("a", objects, ARRAY_LEN(objects)), *none = list_of("a", NULL, 0);

    (void)state;
    assert_string_equal(catalog_list_nearest(l, at("2024-12-01T23:59:59Z"))->name, "a-2024-12-01T00:00:00Z.dump");
    assert_string_equal(catalog_list_nearest(l, at("2024-12-02T00:00:00Z"))->name, "a-2024-12-03T00:00:00Z.dump");
    assert_string_equal(catalog_list_nearest(l, at("2024-12-09T00:00:00Z"))->name, "a-2024-12-03T00:00:00Z.dump");
    assert_string_equal(catalog_list_nearest(l, INT64_MAX)->name, "a-2024-12-03T00:00:00Z.dump");
    assert_string_equal(catalog_list_nearest(l, INT64_MIN)->name, "a-2024-12-01T00:00:00Z.dump");
    assert_null(catalog_list_nearest(none, 0));
}

static void add_numbered(struct catalog_list *l, int64_t i, enum name_kind kind, struct err *e)
{
    char name[NAME_TEXT_MAX];

    expect_success(name_format(name, "cluster/backup", i * 61, kind, e) == 0, e);
    expect_success(
            catalog_list_add(l, &(struct catalog_object){.name = name, .size = SEALED, .last_modified = i}, e) == 0, e);
}

/* As S3 lists them, and the other way round, which is the worst for some ways of sorting. */
static void two_hundred_thousand_backups_are_paired(void **state)
{
    enum { N = 200000 };
    struct err e = ERR_INIT;

    (void)state;
    for (unsigned backwards = 0; backwards < 2; backwards++) {
        _cleanup_list_ struct catalog_list *l = catalog_list_new("cluster/backup", &e);

        expect_success(l, &e);
        for (int64_t i = 0; i < N; i++) {
            add_numbered(l, backwards ? N - 1 - i : i, NAME_DUMP, &e);
            add_numbered(l, backwards ? N - 1 - i : i, NAME_KEY, &e);
        }
        catalog_list_finish(l);
        assert_int_equal(catalog_list_count(l), N);
        for (size_t i = 0; i < N; i++) {
            const struct catalog_backup *b = catalog_list_at(l, i);

            assert_true(b->has_key && b->state == CATALOG_COMPLETE && b->instant == (int64_t)(N - 1 - i) * 61);
        }
    }
}

static void a_listing_has_an_end(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_list_ struct catalog_list *l = catalog_list_new("a", &e);

    (void)state;
    expect_success(l, &e);
    for (size_t i = 0; i < CATALOG_MAX; i++)
        if (catalog_list_add(l,
                    &(struct catalog_object){.name = "a-2024-12-06T21:22:25Z.dump", .size = PLAIN, .last_modified = 0},
                    &e) < 0)
            fail_msg("%s", e.text);
    assert_int_equal(
            catalog_list_add(l, &(struct catalog_object){.name = "foreign", .size = 0, .last_modified = 0}, &e), 0);
    assert_int_equal(
            catalog_list_add(l,
                    &(struct catalog_object){.name = "a-2024-12-06T21:22:25Z.key", .size = 72, .last_modified = 0}, &e),
            -1);
    expect_error(&e, ERR_RESOURCE, "more than 2000000 objects named 'a-...' in the bucket");
    catalog_list_finish(l);
    assert_int_equal(catalog_list_count(l), 1);
}

static void each_allocation_may_fail(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        _cleanup_list_ struct catalog_list *l = NULL;
        int result = -1;

        failing_arm(++n);
        l = catalog_list_new("cluster/backup", &e);
        if (l)
            result = 0;
        for (size_t i = 0; result == 0 && i < 100; i++) {
            char name[] = "cluster/backup-2024-12-06T21:22:00Z.dump";

            name[33] = (char)('0' + i / 10 % 6);
            name[34] = (char)('0' + i % 10);
            result = catalog_list_add(l, &(struct catalog_object){.name = name, .size = PLAIN, .last_modified = 0}, &e);
        }
        reached = failing_disarm();
        assert_int_equal(reached, result < 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        if (l)
            catalog_list_finish(l); /* what was taken so far is whole */
    } while (reached);
    assert_true(n > 100);
    catalog_list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_bucket_with_everything_in_it),
            cmocka_unit_test(another_prefix_sees_its_own_alone),
            cmocka_unit_test(the_order_of_the_listing_changes_nothing),
            cmocka_unit_test(equal_instants_are_in_the_order_of_names),
            cmocka_unit_test(a_claim_stands_for_itself),
            cmocka_unit_test(what_a_check_left_stands_for_itself),
            cmocka_unit_test(an_object_listed_twice_is_one),
            cmocka_unit_test(a_dump_without_a_key_is_judged_by_its_size),
            cmocka_unit_test(a_size_of_both_is_judged_by_what_is_expected),
            cmocka_unit_test(a_pair_of_a_size_that_cannot_be_does_not_count),
            cmocka_unit_test(a_key_listed_twice_is_judged_by_its_later_size),
            cmocka_unit_test(one_that_does_not_open_does_not_count),
            cmocka_unit_test(the_latest_is_the_newest_complete_one),
            cmocka_unit_test(a_backup_is_found_by_its_instant),
            cmocka_unit_test(without_a_utc_spelling_another_is_found),
            cmocka_unit_test(the_nearest_in_time_is_offered),
            cmocka_unit_test(two_hundred_thousand_backups_are_paired),
            cmocka_unit_test(a_listing_has_an_end),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
