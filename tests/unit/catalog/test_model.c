/*
 * A model of a bucket in which everything goes wrong, and of a prune that knows what a look at the keys, a verification
 * and the metadata show: however they come, it never leaves fewer backups that open than it promises.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "catalog/clusters.h"
#include "catalog/name.h"
#include "catalog/retain.h"
#include "seal/key.h"

enum { SEQUENCES = 1000, STEPS = 60, OBJECTS = 2 * STEPS, HOUR = 3600, OURS = 0xa, THEIRS = 0xb };
enum { SEALED = 4168, PLAIN = 4128, SKEW = 300 };

enum kind { GOOD, PLANTED, DAMAGED, KEY_LOST, KEY_404, KEY_ARCHIVED, UNOPENED, OTHER, KINDS };

static struct world {
    struct {
        char name[64];
        int64_t instant;
        enum kind kind;
        bool is_there;
    } dumps[OBJECTS];
    size_t n;
    int64_t now;
    uint32_t seed;
} w;

static uint32_t chance(uint32_t n)
{
    w.seed = w.seed * 1664525u + 1013904223u;
    return (w.seed >> 8) % n;
}

static void make_one(void)
{
    char text[TIMESTAMP_TEXT_MAX];
    int64_t instant = w.now + (chance(12) == 0 ? (int64_t)chance(4000) * HOUR - 2000 * HOUR : 0);

    for (size_t i = 0; i < w.n; i++)
        if (w.dumps[i].instant == instant)
            return;
    w.dumps[w.n].instant = instant;
    w.dumps[w.n].kind = chance(2) ? GOOD : (enum kind)chance(KINDS);
    w.dumps[w.n].is_there = true;
    (void)snprintf(w.dumps[w.n].name, sizeof(w.dumps[0].name), "a-%s.dump", timestamp_format(instant, text));
    w.n++;
}

static void add(struct catalog_list *l, const char *name, const char *etag, uint64_t size)
{
    struct err e = ERR_INIT;
    const struct catalog_object o = {.name = name, .etag = etag, .size = size, .last_modified = w.now};

    expect_success(catalog_list_add(l, &o, &e) == 0, &e);
}

static void list_one(struct catalog_list *l, size_t i)
{
    char other[NAME_TEXT_MAX];
    struct err e = ERR_INIT;
    enum kind kind = w.dumps[i].kind;

    add(l, w.dumps[i].name, "\"e\"", kind == PLANTED ? PLAIN : SEALED);
    name_key_of_dump(other, w.dumps[i].name);
    if (kind != PLANTED && kind != KEY_LOST)
        add(l, other, "\"k\"", KEY_WRAPPED_LEN);
    assert_int_equal(name_bad_of_dump(other, w.dumps[i].name, name_object_tag("e", SEALED), &e), 0);
    if (kind == DAMAGED)
        add(l, other, "\"m\"", 100);
}

static size_t find(const char *name)
{
    size_t i = 0;

    while (strcmp(w.dumps[i].name, name) != 0)
        i++;
    return i;
}

/* What listing.c and evidence.c do. */
static struct catalog_list *look(void)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new("a", &e);
    uint64_t ids[OBJECTS] = {0};

    expect_success(l, &e);
    catalog_list_expect_keys(l);
    for (size_t i = 0; i < w.n; i++)
        if (w.dumps[i].is_there)
            list_one(l, i);
    catalog_list_finish(l);
    catalog_list_doubt_future(l, w.now + SKEW);
    for (size_t i = 0; i < catalog_list_count(l); i++) {
        enum kind kind = w.dumps[find(catalog_list_at(l, i)->name)].kind;

        ids[i] = kind == OTHER ? THEIRS : chance(3) ? OURS : 0;
        if (kind == KEY_404)
            catalog_list_doubt(l, i, CATALOG_KEY_GONE);
        if (kind == KEY_ARCHIVED)
            catalog_list_doubt(l, i, CATALOG_KEY_UNKNOWN);
        if (kind == UNOPENED)
            catalog_list_doubt(l, i, CATALOG_UNOPENED);
    }
    assert_false(clusters_judge(l, ids, OURS).is_unclear);
    return l;
}

static uint64_t count_that_open(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < w.n; i++)
        n += w.dumps[i].is_there && w.dumps[i].kind == GOOD && w.dumps[i].instant <= w.now + SKEW;
    return n;
}

static void prune(const struct retain_policy *policy)
{
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = look();
    struct err e = ERR_INIT;
    _cleanup_(cleanup_retain_plan_free) struct retain_plan *plan = retain_plan_new(l, policy, w.now, &e);
    uint64_t before = count_that_open(), promised = before < policy->min_count ? before : policy->min_count;

    expect_success(plan, &e);
    for (size_t i = 0; i < retain_plan_count(plan); i++) {
        const struct retain_verdict *v = retain_plan_at(plan, i);
        size_t k = find(v->backup->name);

        if (!v->goes)
            continue;
        assert_true(w.dumps[k].kind != OTHER && w.dumps[k].kind != KEY_ARCHIVED);
        w.dumps[k].is_there = false;
    }
    if (count_that_open() < promised)
        fail_msg("%d of %d that open are left, %d are promised", (int)count_that_open(), (int)before, (int)promised);
}

static void never_fewer_than_promised(void **state)
{
    (void)state;
    for (uint32_t sequence = 0; sequence < SEQUENCES; sequence++) {
        struct retain_policy policy;

        w = (struct world){.now = 1800000000, .seed = sequence};
        policy = (struct retain_policy){.max_age = chance(400) * HOUR,
                .min_count = chance(6),
                .keep_daily = chance(4),
                .keep_weekly = chance(3),
                .keep_monthly = chance(3)};
        for (unsigned step = 0; step < STEPS; step++) {
            w.now += (int64_t)chance(48) * HOUR - (chance(10) == 0 ? 100 * HOUR : 0); /* a clock that is set back */
            make_one();
            if (w.n && chance(4) == 0) /* something happens to one that was good */
                w.dumps[chance((uint32_t)w.n)].kind = (enum kind)(1 + chance(KINDS - 2));
            prune(&policy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(never_fewer_than_promised)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
