#include "expect.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/name.h"
#include "catalog/retain.h"
#include "failing.h"
#include "seal/key.h"

#define _cleanup_list_ _cleanup_(cleanup_catalog_list_free)
#define _cleanup_plan_ _cleanup_(cleanup_retain_plan_free)

enum { PLAIN = 4128, SEALED = 4168, UNOPENED = 4169, DAY = 86400, HOUR = 3600 };

/* 512 sealed chunks, a size that a plain one may have, too. */
enum { BOTH = 512 * (1024 * 1024 + 40) - 4096 + 32 };

static const char now_text[] = "2026-11-23T12:00:00Z";

static int64_t at(const char *text)
{
    struct err e = ERR_INIT;
    int64_t instant;

    expect_success(timestamp_parse(text, strlen(text), &instant, &e) == 0, &e);
    return instant;
}

struct object {
    char name[48];
    uint64_t size;
    int64_t last_modified;
};

static void add(struct catalog_list *l, const char *name, uint64_t size, int64_t last_modified)
{
    const struct catalog_object object = {.name = name, .size = size, .last_modified = last_modified};
    struct err e = ERR_INIT;

    expect_success(catalog_list_add(l, &object, &e) == 0, &e);
}

/* Where backups are encrypted: one of the size PLAIN has its key, as good ones do. */
static struct catalog_list *list_of(const struct object *objects, size_t n)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new("a", &e);
    char key[NAME_TEXT_MAX];

    expect_success(l, &e);
    catalog_list_expect_keys(l);
    for (size_t i = 0; i < n; i++) {
        add(l, objects[i].name, objects[i].size, objects[i].last_modified);
        if (objects[i].size != PLAIN || !strstr(objects[i].name, "Z.dump"))
            continue;
        name_key_of_dump(key, objects[i].name);
        add(l, key, KEY_WRAPPED_LEN, objects[i].last_modified);
    }
    catalog_list_finish(l);
    /* So that any deletion, and any order, has the same in doubt. */
    for (size_t i = 0; i < catalog_list_count(l); i++)
        if (catalog_list_at(l, i)->size == UNOPENED)
            catalog_list_doubt(l, i, CATALOG_UNOPENED);
    return l;
}

static struct retain_plan *plan_of(const struct catalog_list *l, const struct retain_policy *policy, int64_t now)
{
    struct err e = ERR_INIT;
    struct retain_plan *plan = retain_plan_new(l, policy, now, &e);

    expect_success(plan, &e);
    assert_int_equal(retain_plan_count(plan), catalog_list_count(l));
    return plan;
}

/* A line a verdict, as a person would read it. The caller frees. */
static char *describe(const struct retain_plan *plan)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    for (size_t i = 0; i < retain_plan_count(plan); i++) {
        const struct retain_verdict *v = retain_plan_at(plan, i);

        fprintf(f, "%s %s: %s\n", v->backup->name + 2, v->goes ? "delete" : "keep", v->reason);
    }
    assert_int_equal(fclose(f), 0);
    return text;
}

static const struct object bucket[] = {
        {"a-2026-11-24T00:00:00Z.dump", PLAIN, 0}, /* the future */
        {"a-2026-11-23T00:00:00Z.dump", PLAIN, 0},
        {"a-2026-11-08T12:00:00Z.dump", PLAIN, 0}, /* 15 days to the second */
        {"a-2026-11-08T11:59:59Z.dump", PLAIN, 0},
        {"a-2026-11-08T10:00:00Z.dump", SEALED, 0}, /* its key is missing */
        {"a-2026-11-07T12:00:00Z.dump", PLAIN, 0},
        {"a-2026-11-07T11:00:00Z.dump", SEALED, 0},
        {"a-2026-11-07T11:00:00Z.key", 72, 0},
        {"a-2026-11-22T10:00:00Z.dump", SEALED, 0}, /* its key is missing, young */
        {"a-2025-12-31T00:00:00Z.dump", PLAIN, 0},
        {"a-2025-12-29T00:00:00Z.dump", PLAIN, 0}, /* of the first week of 2026 */
        {"a-2025-12-28T00:00:00Z.dump", PLAIN, 0},
        {"a-2024-12-30.dump", PLAIN, 0},
        {"a-2024-01-01T00:00:00Z.key", 72, 1795435200 - DAY},     /* lone: a day to the second */
        {"a-2024-01-02T00:00:00Z.key", 72, 1795435200 - DAY - 1}, /* and past it */
        {"a-2024-01-03T00:00:00Z.key", 72, 1795435200 + 60},
        {"a-check-0123456789abcde0", 73, 1795435200 - DAY}, /* the same of what checks left */
        {"a-check-0123456789abcde1", 73, 1795435200 - DAY - 1},
        {"a-check-0123456789abcde2", 73, 1795435200 + 60},
};

static void what_goes_and_why(void **state)
{
    static const struct {
        struct retain_policy policy;
        const char *text;
    } cases[] = {
            {{.max_age = 15 * DAY}, "2026-11-24T00:00:00Z.dump keep: younger than 15d\n"
                                    "2026-11-23T00:00:00Z.dump keep: younger than 15d\n"
                                    "2026-11-22T10:00:00Z.dump keep: key missing, younger than 15d\n"
                                    "2026-11-08T12:00:00Z.dump keep: younger than 15d\n"
                                    "2026-11-08T11:59:59Z.dump delete: 15d old\n"
                                    "2026-11-08T10:00:00Z.dump delete: key missing, 15d2h old\n"
                                    "2026-11-07T12:00:00Z.dump delete: 16d old\n"
                                    "2026-11-07T11:00:00Z.dump delete: 16d1h old\n"
                                    "2025-12-31T00:00:00Z.dump delete: 327d12h old\n"
                                    "2025-12-29T00:00:00Z.dump delete: 329d12h old\n"
                                    "2025-12-28T00:00:00Z.dump delete: 330d12h old\n"
                                    "2024-01-03T00:00:00Z.key keep: lone key, younger than 1d\n"
                                    "2024-01-02T00:00:00Z.key delete: lone key, 1d old\n"
                                    "2024-01-01T00:00:00Z.key keep: lone key, younger than 1d\n"
                                    "2024-12-30.dump keep: its name cannot be read\n"
                                    "check-0123456789abcde0 keep: left by a check, younger than 1d\n"
                                    "check-0123456789abcde1 delete: left by a check, 1d old\n"
                                    "check-0123456789abcde2 keep: left by a check, younger than 1d\n"},
            {{.max_age = 15 * DAY, .min_count = 5, .keep_yearly = 2, .keep_weekly = 3},
                    "2026-11-24T00:00:00Z.dump keep: younger than 15d\n"
                    "2026-11-23T00:00:00Z.dump keep: younger than 15d\n"
                    "2026-11-22T10:00:00Z.dump keep: key missing, younger than 15d\n"
                    "2026-11-08T12:00:00Z.dump keep: younger than 15d\n"
                    "2026-11-08T11:59:59Z.dump keep: one of the 5 newest\n"
                    "2026-11-08T10:00:00Z.dump delete: key missing, 15d2h old\n"
                    "2026-11-07T12:00:00Z.dump keep: one of the 5 newest\n"
                    "2026-11-07T11:00:00Z.dump delete: 16d1h old\n"
                    "2025-12-31T00:00:00Z.dump keep: newest of 2025\n"
                    "2025-12-29T00:00:00Z.dump delete: 329d12h old\n"
                    "2025-12-28T00:00:00Z.dump delete: 330d12h old\n"
                    "2024-01-03T00:00:00Z.key keep: lone key, younger than 1d\n"
                    "2024-01-02T00:00:00Z.key delete: lone key, 1d old\n"
                    "2024-01-01T00:00:00Z.key keep: lone key, younger than 1d\n"
                    "2024-12-30.dump keep: its name cannot be read\n"
                    "check-0123456789abcde0 keep: left by a check, younger than 1d\n"
                    "check-0123456789abcde1 delete: left by a check, 1d old\n"
                    "check-0123456789abcde2 keep: left by a check, younger than 1d\n"},
            {{.max_age = 0, .min_count = 20, .keep_weekly = 4, .keep_daily = 4, .keep_hourly = 5},
                    "2026-11-24T00:00:00Z.dump keep: younger than 0ms\n"
                    "2026-11-23T00:00:00Z.dump keep: newest of 2026-11-23\n"
                    "2026-11-22T10:00:00Z.dump keep: key missing, but only 9 are complete\n"
                    "2026-11-08T12:00:00Z.dump keep: newest of 2026-W45\n"
                    "2026-11-08T11:59:59Z.dump keep: newest of 2026-11-08T11\n"
                    "2026-11-08T10:00:00Z.dump keep: key missing, but only 9 are complete\n"
                    "2026-11-07T12:00:00Z.dump keep: newest of 2026-11-07\n"
                    "2026-11-07T11:00:00Z.dump keep: one of the 20 newest\n"
                    "2025-12-31T00:00:00Z.dump keep: newest of 2026-W01\n"
                    "2025-12-29T00:00:00Z.dump keep: one of the 20 newest\n"
                    "2025-12-28T00:00:00Z.dump keep: newest of 2025-W52\n"
                    "2024-01-03T00:00:00Z.key keep: lone key, younger than 1d\n"
                    "2024-01-02T00:00:00Z.key delete: lone key, 1d old\n"
                    "2024-01-01T00:00:00Z.key keep: lone key, younger than 1d\n"
                    "2024-12-30.dump keep: its name cannot be read\n"
                    "check-0123456789abcde0 keep: left by a check, younger than 1d\n"
                    "check-0123456789abcde1 delete: left by a check, 1d old\n"
                    "check-0123456789abcde2 keep: left by a check, younger than 1d\n"},
    };
    _cleanup_list_ struct catalog_list *l = list_of(bucket, ARRAY_LEN(bucket));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_plan_ struct retain_plan *plan = plan_of(l, &cases[i].policy, at(now_text));
        _cleanup_free_ char *text = describe(plan);

        assert_string_equal(text, cases[i].text);
    }
}

static void what_does_not_count(void **state)
{
    static const struct object doubtful[] = {
            {"a-2026-11-08T09:00:00Z.dump", 0, 0}, /* of a size that cannot be */
            {"a-2026-11-08T09:00:00Z.key", 72, 0},
            {"a-2026-11-08T08:00:00Z.dump", SEALED, 0},
            {"a-2026-11-08T08:00:00Z.key", 0, 0},
            {"a-2026-11-08T07:00:00Z.dump", BOTH, 0}, /* plain, or without its key */
            {"a-2026-11-08T06:00:00Z.dump", UNOPENED, 0},
            {"a-2026-11-08T06:00:00Z.key", 72, 0},
            {"a-2026-11-07T12:00:00Z.dump", PLAIN, 0},
            {"a-2026-11-07T11:00:00Z.dump", UNOPENED, 0},
            {"a-2026-11-07T11:00:00Z.key", 72, 0},
            {"a-2026-11-06T12:00:00Z.dump", PLAIN, 0},
            {"a-2026-11-05T12:00:00Z.dump", BOTH, 0},
            {"a-2026-11-04T12:00:00Z.dump", PLAIN, 0},
    };
    static const struct {
        struct retain_policy policy;
        const char *text;
    } cases[] = {
            {{.max_age = 15 * DAY, .min_count = 2},
                    "2026-11-08T09:00:00Z.dump delete: wrong size, 15d3h old\n"
                    "2026-11-08T08:00:00Z.dump delete: wrong size, 15d4h old\n"
                    "2026-11-08T07:00:00Z.dump keep: key missing or plain, one of the 2 newest\n"
                    "2026-11-08T06:00:00Z.dump keep: not opened, one of the 2 newest\n"
                    "2026-11-07T12:00:00Z.dump keep: one of the 2 newest\n"
                    "2026-11-07T11:00:00Z.dump keep: not opened, one of the 2 newest\n"
                    "2026-11-06T12:00:00Z.dump keep: one of the 2 newest\n"
                    "2026-11-05T12:00:00Z.dump delete: key missing or plain, 18d old\n"
                    "2026-11-04T12:00:00Z.dump delete: 19d old\n"},
            {{.max_age = 15 * DAY, .min_count = 4, .keep_daily = 1},
                    "2026-11-08T09:00:00Z.dump keep: wrong size, but only 3 are complete\n"
                    "2026-11-08T08:00:00Z.dump keep: wrong size, but only 3 are complete\n"
                    "2026-11-08T07:00:00Z.dump keep: key missing or plain, newest of 2026-11-08\n"
                    "2026-11-08T06:00:00Z.dump keep: not opened, newest of 2026-11-08\n"
                    "2026-11-07T12:00:00Z.dump keep: newest of 2026-11-07\n"
                    "2026-11-07T11:00:00Z.dump keep: not opened, one of the 4 newest\n"
                    "2026-11-06T12:00:00Z.dump keep: one of the 4 newest\n"
                    "2026-11-05T12:00:00Z.dump keep: key missing or plain, one of the 4 newest\n"
                    "2026-11-04T12:00:00Z.dump keep: one of the 4 newest\n"},
    };
    _cleanup_list_ struct catalog_list *l = list_of(doubtful, ARRAY_LEN(doubtful));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_plan_ struct retain_plan *plan = plan_of(l, &cases[i].policy, at(now_text));
        _cleanup_free_ char *text = describe(plan);

        assert_string_equal(text, cases[i].text);
    }
}

static void words_for_the_ends(void **state)
{
    static const struct object old[] = {
            {"a-0001-01-01T00:00:00Z.dump", PLAIN, 0},
            {"a-2020-01-01T00:00:00Z.dump", PLAIN, 0},
            {"a-9999-12-31T23:59:59Z.dump", PLAIN, 0},
    };
    static const struct {
        struct retain_policy policy;
        int64_t now;
        const char *text;
    } cases[] = {
            {{.min_count = 1}, 253402300800,
                    "9999-12-31T23:59:59Z.dump keep: the newest\n"
                    "2020-01-01T00:00:00Z.dump delete: 7985y110d old\n"
                    "0001-01-01T00:00:00Z.dump delete: 10005y234d old\n"},
            {{.max_age = UINT64_MAX}, 253402300800,
                    "9999-12-31T23:59:59Z.dump keep: younger than 584942417y129d\n"
                    "2020-01-01T00:00:00Z.dump keep: younger than 584942417y129d\n"
                    "0001-01-01T00:00:00Z.dump keep: younger than 584942417y129d\n"},
            {{.min_count = UINT64_MAX}, INT64_MAX,
                    "9999-12-31T23:59:59Z.dump keep: one of the 18446744073709551615 newest\n"
                    "2020-01-01T00:00:00Z.dump keep: one of the 18446744073709551615 newest\n"
                    "0001-01-01T00:00:00Z.dump keep: one of the 18446744073709551615 newest\n"},
            {{.max_age = 0}, INT64_MIN,
                    "9999-12-31T23:59:59Z.dump keep: younger than 0ms\n"
                    "2020-01-01T00:00:00Z.dump keep: younger than 0ms\n"
                    "0001-01-01T00:00:00Z.dump keep: younger than 0ms\n"},
    };
    _cleanup_list_ struct catalog_list *l = list_of(old, ARRAY_LEN(old)), *none = list_of(NULL, 0);
    _cleanup_plan_ struct retain_plan *empty = plan_of(none, &cases[0].policy, 0);

    (void)state;
    assert_int_equal(retain_plan_count(empty), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_plan_ struct retain_plan *plan = plan_of(l, &cases[i].policy, cases[i].now);
        _cleanup_free_ char *text = describe(plan);

        assert_string_equal(text, cases[i].text);
    }
}

/* A small generator, so that a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void add_object(struct object *objects, size_t *n, int64_t instant, const char *suffix, uint64_t size)
{
    char text[TIMESTAMP_TEXT_MAX];

    (void)snprintf(objects[*n].name, sizeof(objects[*n].name), "a-%s.%s", timestamp_format(instant, text), suffix);
    objects[*n].size = size;
    objects[*n].last_modified = instant;
    ++*n;
}

/* Fills objects[2 * backups] with a bucket as years of use, crashes and other people may leave it. */
static size_t random_bucket(uint32_t *seed, int64_t now, size_t backups, struct object *objects)
{
    static const int64_t spreads[] = {HOUR, DAY, 40 * DAY, 400 * DAY, 3000 * INT64_C(86400)};
    int64_t spread = spreads[next_random(seed) % ARRAY_LEN(spreads)];
    size_t n = 0;

    for (size_t i = 0; i < backups; i++) {
        int64_t instant = now + DAY / 50 - (int64_t)(((uint64_t)next_random(seed) << 8) % (uint64_t)spread);
        uint32_t kind = next_random(seed) % 16;

        if (next_random(seed) % 4 == 0)
            instant -= instant % HOUR; /* borders, and the same instant more than once */
        if (kind == 0) {
            (void)snprintf(objects[n].name, sizeof(objects[n].name), "a-2024-13-%02zu.dump", i % 100);
            objects[n].size = PLAIN;
            objects[n++].last_modified = instant;
        } else if (kind == 1) {
            add_object(objects, &n, instant, "key", 72);
        } else if (kind == 2) {
            add_object(objects, &n, instant, "dump", SEALED);
        } else if (kind < 7) {
            add_object(objects, &n, instant, "dump", kind == 3 ? BOTH : PLAIN);
        } else {
            add_object(objects, &n, instant, "dump", kind == 7 ? 0 : kind == 8 ? UNOPENED : SEALED);
            add_object(objects, &n, instant, "key", kind == 9 ? 71 : 72);
        }
    }
    return n;
}

static struct retain_policy random_policy(uint32_t *seed)
{
    static const uint64_t ages[] = {0, 60, HOUR, DAY, 15 * DAY, 100 * DAY, 1000 * DAY};
    static const uint64_t counts[] = {0, 0, 0, 1, 2, 3, 7, 20, 1000};

#define ONE_OF(a) a[next_random(seed) % ARRAY_LEN(a)]
    return (struct retain_policy){.max_age = ONE_OF(ages),
            .min_count = ONE_OF(counts),
            .keep_hourly = ONE_OF(counts),
            .keep_daily = ONE_OF(counts),
            .keep_weekly = ONE_OF(counts),
            .keep_monthly = ONE_OF(counts),
            .keep_yearly = ONE_OF(counts)};
}

enum { PERIOD_TEXT_MAX = 24 };

/* The beginning of "2026-11-23T12:00:00Z" names the period, but for the weeks. */
enum period { WEEK = 0, YEAR = 4, MONTH = 7, WHOLE_DAY = 10, WHOLE_HOUR = 13 };

static void name_period(int64_t instant, enum period period, char out[PERIOD_TEXT_MAX])
{
    time_t t = instant;
    struct tm tm;

    gmtime_r(&t, &tm);
    if (period == WEEK) {
        assert_true(strftime(out, PERIOD_TEXT_MAX, "%G-W%V", &tm) > 0);
        return;
    }
    timestamp_format(instant, out);
    out[period] = '\0';
}

/*
 * The obvious reference: a rule holds a backup if nothing newer has the same text for its period, and if fewer than
 * `keep` other texts are newer.
 */
static bool rule_holds(const struct catalog_list *l, size_t i, uint64_t keep, enum period period)
{
    char texts[64][PERIOD_TEXT_MAX], own[PERIOD_TEXT_MAX], text[PERIOD_TEXT_MAX];
    size_t n = 0;

    name_period(catalog_list_at(l, i)->instant, period, own);
    for (size_t k = 0; k < i; k++) {
        bool is_known = false;

        if (!catalog_backup_counts(catalog_list_at(l, k)))
            continue;
        name_period(catalog_list_at(l, k)->instant, period, text);
        if (strcmp(text, own) == 0)
            return false;
        for (size_t j = 0; j < n; j++)
            is_known = is_known || strcmp(texts[j], text) == 0;
        if (!is_known)
            memcpy(texts[n++], text, sizeof(text));
    }
    return n < keep;
}

static bool is_held(const struct catalog_list *l, size_t i, const struct retain_policy *policy)
{
    return rule_holds(l, i, policy->keep_hourly, WHOLE_HOUR) || rule_holds(l, i, policy->keep_daily, WHOLE_DAY) ||
           rule_holds(l, i, policy->keep_weekly, WEEK) || rule_holds(l, i, policy->keep_monthly, MONTH) ||
           rule_holds(l, i, policy->keep_yearly, YEAR);
}

static uint64_t complete_before(const struct catalog_list *l, size_t end)
{
    uint64_t n = 0;

    for (size_t i = 0; i < end; i++)
        n += catalog_backup_counts(catalog_list_at(l, i));
    return n;
}

static bool should_go(const struct catalog_list *l, size_t i, const struct retain_policy *policy, int64_t now)
{
    const struct catalog_backup *b = catalog_list_at(l, i);
    bool is_old = now - b->instant > (int64_t)policy->max_age;

    if (b->state == CATALOG_UNREADABLE)
        return false;
    if (b->state == CATALOG_ORPHAN_KEY)
        return now - b->last_modified > DAY;
    if (b->doubt == CATALOG_WRONG_SIZE || (b->state == CATALOG_KEY_MISSING && b->doubt != CATALOG_MAY_BE_PLAIN))
        return is_old && complete_before(l, catalog_list_count(l)) >= policy->min_count;
    return is_old && complete_before(l, i) >= policy->min_count && !is_held(l, i, policy);
}

static void check_rules(const struct catalog_list *l, const struct retain_policy *policy, int64_t now)
{
    _cleanup_plan_ struct retain_plan *plan = plan_of(l, policy, now);
    uint64_t remain = 0, complete = complete_before(l, catalog_list_count(l));

    for (size_t i = 0; i < retain_plan_count(plan); i++) {
        const struct retain_verdict *v = retain_plan_at(plan, i);

        assert_ptr_equal(v->backup, catalog_list_at(l, i));
        if (v->goes != should_go(l, i, policy, now))
            fail_msg("%s: %s (%s)", v->backup->name, v->goes ? "goes" : "stays", v->reason);
        assert_true(strlen(v->reason) > 3 && strlen(v->reason) < sizeof(v->reason) - 1);
        if (v->goes && v->backup->state != CATALOG_ORPHAN_KEY)
            assert_true(now - v->backup->instant > (int64_t)policy->max_age);
        remain += !v->goes && catalog_backup_counts(v->backup);
    }
    assert_true(remain >= (complete < policy->min_count ? complete : policy->min_count));
}

/* Whether an object belongs to a backup that went, which happened to some of them only if `seed` is given. */
static bool is_gone(const struct retain_plan *plan, const char *object, uint32_t *seed)
{
    size_t stem = (size_t)(strrchr(object, '.') - object);

    for (size_t i = 0; i < retain_plan_count(plan); i++) {
        const struct retain_verdict *v = retain_plan_at(plan, i);

        if (strncmp(v->backup->name, object, stem + 1) == 0)
            return v->goes && !(seed && (*seed >> (i % 24) & 1));
    }
    return false;
}

/*
 * Deletes what the plan says, all of it or (interrupted) some, and plans again: of all that is left each stays, or
 * goes, as before. Everything deleted: nothing goes.
 */
static void check_what_is_left(const struct object *objects, size_t n, const struct catalog_list *l,
        const struct retain_policy *policy, int64_t now, uint32_t *some)
{
    _cleanup_plan_ struct retain_plan *plan = plan_of(l, policy, now), *again = NULL;
    _cleanup_free_ struct object *left = calloc(n + 1, sizeof(*left));
    _cleanup_list_ struct catalog_list *list_left = NULL;
    size_t n_left = 0, k = 0;

    assert_non_null(left);
    for (size_t i = 0; i < n; i++)
        if (!is_gone(plan, objects[i].name, some))
            left[n_left++] = objects[i];
    list_left = list_of(left, n_left);
    again = plan_of(list_left, policy, now);
    for (size_t i = 0; i < retain_plan_count(again); i++) {
        const struct retain_verdict *v = retain_plan_at(again, i);

        while (strcmp(retain_plan_at(plan, k)->backup->name, v->backup->name) != 0)
            k++;
        if (v->goes != retain_plan_at(plan, k)->goes || (v->goes && !some))
            fail_msg("%s: %s (%s)", v->backup->name, v->goes ? "goes now" : "stays now", v->reason);
    }
}

static void check_permuted(
        struct object *objects, size_t n, const struct retain_policy *policy, int64_t now, uint32_t *seed)
{
    _cleanup_list_ struct catalog_list *l = list_of(objects, n), *shuffled = NULL;
    _cleanup_plan_ struct retain_plan *plan = plan_of(l, policy, now), *other = NULL;
    _cleanup_free_ char *text = describe(plan), *other_text = NULL;

    for (size_t i = n; i > 1; i--) {
        size_t k = next_random(seed) % i;
        struct object swapped = objects[k];

        objects[k] = objects[i - 1];
        objects[i - 1] = swapped;
    }
    shuffled = list_of(objects, n);
    other = plan_of(shuffled, policy, now);
    other_text = describe(other);
    assert_string_equal(text, other_text);
}

static void random_buckets(void **state)
{
    enum { ROUNDS = 3000, BACKUPS = 60 };
    static const char *const nows[] = {"2026-11-23T12:00:00Z", "2025-01-01T00:00:00Z", "2021-01-03T23:59:59Z",
            "2024-02-29T23:00:00Z", "1975-01-01T00:00:01Z"};
    static struct object objects[2 * BACKUPS];
    uint32_t seed = 3;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t now = at(nows[round % ARRAY_LEN(nows)]);
        struct retain_policy policy = random_policy(&seed);
        size_t n = random_bucket(&seed, now, next_random(&seed) % BACKUPS, objects);
        _cleanup_list_ struct catalog_list *l = list_of(objects, n);
        uint32_t some = next_random(&seed);

        check_rules(l, &policy, now);
        check_what_is_left(objects, n, l, &policy, now, NULL);
        check_what_is_left(objects, n, l, &policy, now, &some);
        check_permuted(objects, n, &policy, now, &seed);
    }
}

/* A million in about a second or less; a plan that compared each with each would not come to its end. */
static void a_million_backups(void **state)
{
    enum { N = 1000000 };
    static const struct retain_policy policy = {.max_age = 15 * DAY,
            .min_count = 20,
            .keep_hourly = UINT64_MAX,
            .keep_daily = 7,
            .keep_monthly = 12,
            .keep_yearly = UINT64_MAX};
    struct err e = ERR_INIT;
    _cleanup_list_ struct catalog_list *l = catalog_list_new("a", &e);
    _cleanup_plan_ struct retain_plan *plan = NULL;
    int64_t now = at(now_text);
    size_t goes = 0;

    (void)state;
    expect_success(l, &e);
    for (int64_t i = 0; i < N; i++) {
        char name[NAME_TEXT_MAX];

        expect_success(name_format(name, "a", now - i * 360, NAME_DUMP, &e) == 0, &e);
        expect_success(
                catalog_list_add(l,
                        &(struct catalog_object){.name = name, .size = PLAIN, .last_modified = now - i * 360}, &e) == 0,
                &e);
    }
    catalog_list_finish(l);
    plan = plan_of(l, &policy, now);
    for (size_t i = 0; i < N; i++)
        goes += retain_plan_at(plan, i)->goes;
    /* All of 15 days (ten an hour, both ends), and one of each hour before. */
    assert_int_equal(N - goes, 15 * 240 + 1 + (N - 15 * 240 - 1) / 10 + 1);
}

static void each_allocation_may_fail(void **state)
{
    static const struct retain_policy policy = {.max_age = 15 * DAY, .min_count = 2};
    _cleanup_list_ struct catalog_list *l = list_of(bucket, ARRAY_LEN(bucket));
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        _cleanup_plan_ struct retain_plan *plan = NULL;

        failing_arm(++n);
        plan = retain_plan_new(l, &policy, at(now_text), &e);
        reached = failing_disarm();
        assert_int_equal(reached, plan == NULL);
        if (reached)
            expect_error(&e, ERR_RESOURCE, "out of memory for a plan of 18 backups");
        else
            assert_int_equal(e.kind, ERR_NONE);
    } while (reached);
    assert_true(n > 1);
    retain_plan_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_goes_and_why),
            cmocka_unit_test(what_does_not_count),
            cmocka_unit_test(words_for_the_ends),
            cmocka_unit_test(random_buckets),
            cmocka_unit_test(a_million_backups),
            cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
