/* Which backup somebody means, what is in the way: small and pure. */
#include "expect.h"

#include <string.h>

#include "base/timestamp.h"
#include "failing.h"
#include "job/objections.h"
#include "job/restore/choice.h"
#include "s3/request.h"
#include "seal/key.h"

#define BUCKET "https://s3/bucket/backup-"

enum { PLAIN = 4128, SEALED = 4168 };

struct object {
    const char *name;
    uint64_t size;
};

static int64_t at(const char *text)
{
    struct err e = ERR_INIT;
    int64_t instant;

    expect_success(timestamp_parse(text, strlen(text), &instant, &e) == 0, &e);
    return instant;
}

/* ---- choice ---- */

static struct catalog_list *list_of(const struct object *objects, size_t n)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new("backup", &e);

    expect_success(l, &e);
    catalog_list_expect_keys(l);
    for (size_t i = 0; i < n; i++)
        expect_success(
                catalog_list_add(l,
                        &(struct catalog_object){.name = objects[i].name, .size = objects[i].size, .last_modified = 0},
                        &e) == 0,
                &e);
    catalog_list_finish(l);
    return l;
}

static const struct object objects[] = {
        {"backup-2024-12-01T00:00:00Z.dump", SEALED},
        {"backup-2024-12-01T00:00:00Z.key", 72},
        {"backup-2024-12-02T00:00:00Z.dump", PLAIN},
        {"backup-2024-12-02T00:00:00Z.key", 72},
        {"backup-2024-12-03T00:00:00Z.dump", SEALED}, /* its key is missing */
        {"backup-2024-12-04T00:00:00Z.key", 72},      /* its dump is missing */
        {"backup-2024-13-05T00:00:00Z.dump", SEALED},
};

static void test_found(void **state)
{
    static const struct {
        const char *asked, *name;
    } rows[] = {
            {NULL, "backup-2024-12-02T00:00:00Z.dump"}, /* the newest that can be read */
            {"2024-12-01T00:00:00Z", "backup-2024-12-01T00:00:00Z.dump"},
            {"2024-12-02T00:00:00Z", "backup-2024-12-02T00:00:00Z.dump"},
            {"2024-12-02T05:00:00+05:00", "backup-2024-12-02T00:00:00Z.dump"},
    };
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = list_of(objects, ARRAY_LEN(objects));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct choice c = {.latest = !rows[i].asked, .instant = rows[i].asked ? at(rows[i].asked) : 0};
        struct err e = ERR_INIT;
        const struct catalog_backup *b = choice_find(&c, l, BUCKET, &e);

        expect_success(b, &e);
        assert_string_equal(b->name, rows[i].name);
    }
}

static void test_not_found(void **state)
{
    static const struct {
        const char *asked;
        enum err_kind kind;
        const char *text;
    } rows[] = {
            {"2024-12-03T00:00:00Z", ERR_INTEGRITY,
                    "backup-2024-12-03T00:00:00Z.dump is there, but its key is missing: it cannot be read; "
                    "-t 2024-12-02T00:00:00Z asks for the nearest other backup"},
            {"2024-12-04T00:00:00Z", ERR_NOT_FOUND,
                    "no complete backup of 2024-12-04T00:00:00Z in " BUCKET "; the nearest is of 2024-12-02T00:00:00Z"},
            {"2000-01-01T00:00:00Z", ERR_NOT_FOUND,
                    "no complete backup of 2000-01-01T00:00:00Z in " BUCKET "; the nearest is of 2024-12-01T00:00:00Z"},
            /* 0 is what an unreadable name has: it is not meant. */
            {"1970-01-01T00:00:00Z", ERR_NOT_FOUND,
                    "no complete backup of 1970-01-01T00:00:00Z in " BUCKET "; the nearest is of 2024-12-01T00:00:00Z"},
    };
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = list_of(objects, ARRAY_LEN(objects));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct choice c = {.instant = at(rows[i].asked)};
        struct err e = ERR_INIT;

        assert_null(choice_find(&c, l, BUCKET, &e));
        expect_error(&e, rows[i].kind, rows[i].text);
    }
}

/* What else to ask for is said of a backup that is of no use, and of no other failure. */
static void test_advice(void **state)
{
    static const struct {
        enum err_kind kind;
        enum err_domain domain;
        int64_t code;
        const char *text;
    } rows[] = {
            {ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "why; -t 2024-12-01T00:00:00Z asks for the nearest other backup"},
            {ERR_NOT_FOUND, ERR_DOMAIN_HTTP, 404, "why; -t 2024-12-01T00:00:00Z asks for the nearest other backup"},
            {ERR_AUTH, ERR_DOMAIN_S3, S3_FAULT_ARCHIVED,
                    "why; -t 2024-12-02T00:00:00Z asks for the newest other backup"},
            {ERR_INTEGRITY, ERR_DOMAIN_KEY, KEY_FAULT_DOES_NOT_OPEN, "why"},
            {ERR_AUTH, ERR_DOMAIN_HTTP, 403, "why"},
            {ERR_TRANSIENT, ERR_DOMAIN_HTTP, 503, "why"},
            {ERR_NOT_FOUND, ERR_DOMAIN_ERRNO, 2, "why"},
    };
    static const struct object of[] = {
            {"backup-2024-11-30T00:00:00Z.dump", SEALED}, {"backup-2024-11-30T00:00:00Z.key", 72}};
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = NULL, *one = list_of(of, 2);
    struct object all[ARRAY_LEN(objects) + 2];
    struct choice_others others, none = choice_others(one, catalog_list_at(one, 0));

    (void)state;
    assert_true(none.nearest == 0 && none.newest == 0);
    memcpy(all, objects, sizeof(objects));
    memcpy(all + ARRAY_LEN(objects), of, sizeof(of));
    l = list_of(all, ARRAY_LEN(all));
    others = choice_others(l, catalog_list_find(l, at("2024-11-30T00:00:00Z")));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = ERR_INIT;

        err_set(&e, rows[i].kind, rows[i].domain, rows[i].code, "why");
        choice_advise(&others, &e);
        expect_error(&e, rows[i].kind, rows[i].text);
    }
}

/* A key whose dump is not there, unless a backup is on its way. */
static void test_lone_key(void **state)
{
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = list_of(objects, ARRAY_LEN(objects)), *claimed = NULL;
    struct object all[ARRAY_LEN(objects) + 1];
    const struct catalog_backup *chosen = catalog_list_find(l, at("2024-12-02T00:00:00Z"));

    (void)state;
    assert_string_equal(choice_newer_lone_key(l, chosen)->name, "backup-2024-12-04T00:00:00Z.key");
    assert_null(choice_newer_lone_key(l, choice_newer_lone_key(l, NULL)));
    memcpy(all, objects, sizeof(objects));
    all[ARRAY_LEN(objects)] = (struct object){"backup-2024-12-04T00:00:00Z.claim", 100};
    claimed = list_of(all, ARRAY_LEN(all));
    assert_null(choice_newer_lone_key(claimed, NULL));
}

/* Of nothing, or of what is no backup. */
static void test_none(void **state)
{
    (void)state;
    for (size_t first = 5; first <= ARRAY_LEN(objects); first++) {
        _cleanup_(cleanup_catalog_list_free) struct catalog_list *l =
                list_of(objects + first, ARRAY_LEN(objects) - first);
        struct choice choices[] = {{.latest = true}, {.instant = at("2024-12-01T00:00:00Z")}};

        for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
            struct err e = ERR_INIT;

            assert_null(choice_find(&choices[i], l, BUCKET, &e));
            expect_error(&e, ERR_NOT_FOUND, "no complete backup in " BUCKET);
        }
    }
}

/* 512 sealed chunks, a size that a plain one may have, too; and a database without etcd's SHA-256. */
enum { BOTH = 512 * (1024 * 1024 + 40) - 4096 + 32, UNHASHED = 8192 };

#define NAME(day) "backup-2024-12-0" #day "T00:00:00Z.dump"

/* Dumps without keys; of a day there is one. */
struct lonely {
    uint64_t sizes[4]; /* of the fourth of December, the third, and so on; 0: none that day */
    struct choice choice;
    const char *name;  /* that is meant, or NULL: */
    const char *fault; /* why none is */
};

static void expect_choice(const struct lonely *row)
{
    static const char *const names[] = {NAME(4), NAME(3), NAME(2), NAME(1)};
    struct object there[4];
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = NULL;
    struct err e = ERR_INIT;
    const struct catalog_backup *b;
    size_t n = 0;

    for (size_t i = 0; i < 4; i++)
        if (row->sizes[i])
            there[n++] = (struct object){names[i], row->sizes[i]};
    l = list_of(there, n);
    b = choice_find(&row->choice, l, BUCKET, &e);
    if (row->name) {
        expect_success(b, &e);
        assert_string_equal(b->name, row->name);
    } else {
        assert_null(b);
        expect_error(&e, ERR_INTEGRITY, row->fault);
    }
}

/* Who asks for the latest hears of the newest that is there, and gets no older one than he accepts. */
static void test_without_keys(void **state)
{
    static const struct choice latest = {.latest = true}, unhashed = {.latest = true, .unhashed_too = true},
                               plain = {.latest = true, .plain_too = true};
    const struct lonely rows[] = {
            {{SEALED}, latest, NULL, NAME(4) " is there, but its key is missing: it cannot be read"},
            {{0, SEALED, UNHASHED}, latest, NULL, NAME(3) " is there, but its key is missing: it cannot be read"},
            {{UNHASHED, SEALED}, latest, NULL,
                    NAME(4) " is there, but its key is missing, or it is a plain dump without etcd's SHA-256, which "
                            "--skip-hash-check accepts"},
            {{BOTH}, latest, NULL,
                    NAME(4) " is there, but its key is missing, or it is not encrypted, which --allow-plain accepts"},
            {{SEALED, UNHASHED, PLAIN}, latest, NAME(2), NULL},
            {{SEALED, UNHASHED, PLAIN}, unhashed, NAME(3), NULL},
            {{SEALED, PLAIN, UNHASHED}, unhashed, NAME(3), NULL},
            {{SEALED, BOTH, PLAIN}, latest, NAME(2), NULL},
            {{SEALED, BOTH, PLAIN}, plain, NAME(3), NULL},
            {{BOTH, UNHASHED, PLAIN}, unhashed, NAME(3), NULL},
            /* Whoever names one gets that one, or hears why not. */
            {{BOTH, PLAIN}, {.instant = at("2024-12-04T00:00:00Z")}, NAME(4), NULL},
            {{UNHASHED, PLAIN}, {.instant = at("2024-12-04T00:00:00Z"), .unhashed_too = true}, NAME(4), NULL},
            {{UNHASHED, PLAIN}, {.instant = at("2024-12-04T00:00:00Z")}, NULL,
                    NAME(4) " is there, but its key is missing, or it is a plain dump without etcd's SHA-256, which "
                            "--skip-hash-check accepts"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_choice(&rows[i]);
}

static void test_newer_unreadable(void **state)
{
    static const struct object lonely[] = {{NAME(4), UNHASHED}, {NAME(3), PLAIN}, {NAME(2), SEALED}};
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = list_of(lonely, 3), *none = list_of(lonely + 1, 1);

    (void)state;
    assert_string_equal(choice_newer_unreadable(l, catalog_list_latest(l))->name, NAME(4));
    assert_string_equal(choice_newer_unreadable(l, NULL)->name, NAME(4));
    assert_string_equal(choice_fault(choice_newer_unreadable(l, NULL)),
            "its key is missing, or it is a plain dump without etcd's SHA-256");
    assert_null(choice_newer_unreadable(l, catalog_list_at(l, 0)));
    assert_null(choice_newer_unreadable(none, NULL));
}

/* Whoever asks for the latest means neither one that was verified bad, nor one of the future; and hears of it. */
static void test_passed_over(void **state)
{
    static const enum catalog_doubt doubts[] = {CATALOG_BAD, CATALOG_FUTURE};
    static const struct object pairs[] = {{"backup-2024-12-04T00:00:00Z.dump", SEALED},
            {"backup-2024-12-04T00:00:00Z.key", 72}, {"backup-2024-12-03T00:00:00Z.dump", SEALED},
            {"backup-2024-12-03T00:00:00Z.key", 72}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(doubts); i++) {
        _cleanup_(cleanup_catalog_list_free) struct catalog_list *l = list_of(pairs, 4);
        struct choice latest = {.latest = true}, named = {.instant = at("2024-12-04T00:00:00Z")};
        struct err e = ERR_INIT;

        catalog_list_doubt(l, 0, doubts[i]);
        assert_ptr_equal(choice_find(&latest, l, BUCKET, &e), catalog_list_at(l, 1));
        assert_ptr_equal(choice_newer_unreadable(l, catalog_list_at(l, 1)), catalog_list_at(l, 0));
        assert_ptr_equal(choice_find(&named, l, BUCKET, &e), catalog_list_at(l, 0));
        catalog_list_doubt(l, 1, doubts[i]);
        assert_null(choice_find(&latest, l, BUCKET, &e));
        assert_non_null(strstr(e.text, "; -t with its time asks for it"));
    }
}

/* ---- objections ---- */

static void object(struct objections *o, enum err_kind kind, const char *text)
{
    struct err e;

    err_set(&e, kind, ERR_DOMAIN_NONE, 0, "%s", text);
    objections_add(o, &e);
}

static void test_objections(void **state)
{
    struct objections o = OBJECTIONS_INIT;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(objections_verdict(&o, &e), 0);
    assert_int_equal(e.kind, ERR_NONE);
    object(&o, ERR_RESOURCE, "no room");
    assert_int_equal(objections_verdict(&o, &e), -1);
    expect_error(&e, ERR_RESOURCE, "no room");
    object(&o, ERR_CONFIG, "not empty");
    assert_int_equal(objections_verdict(&o, &e), -1);
    expect_error(&e, ERR_CONFIG, "2 things are in the way: (1) no room; (2) not empty");
    object(&o, ERR_NOT_FOUND, "no tool");
    assert_int_equal(objections_verdict(&o, &e), -1);
    expect_error(&e, ERR_CONFIG, "3 things are in the way: (1) no room; (2) not empty; (3) no tool");
}

/* The kind decides the exit status: the gravest wins, whenever it came. */
static void test_gravest(void **state)
{
    static const enum err_kind order[] = {ERR_TRANSIENT, ERR_CONFIG, ERR_INTEGRITY, ERR_CANCELLED};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        for (size_t k = 0; k < ARRAY_LEN(order); k++) {
            struct objections o = OBJECTIONS_INIT;
            struct err e = ERR_INIT;

            object(&o, order[i], "a");
            object(&o, order[k], "b");
            assert_int_equal(objections_verdict(&o, &e), -1);
            assert_int_equal(e.kind, order[i > k ? i : k]);
        }
}

/* More than an error holds: it is cut, and the first stays. */
static void test_many_objections(void **state)
{
    struct objections o = OBJECTIONS_INIT;
    struct err e = ERR_INIT;
    char text[200];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 20; i++)
        object(&o, ERR_CONFIG, text);
    assert_int_equal(objections_verdict(&o, &e), -1);
    assert_true(strlen(e.text) < ERR_TEXT_MAX);
    assert_non_null(strstr(e.text, "(1) xxxx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_found),
            cmocka_unit_test(test_not_found),
            cmocka_unit_test(test_advice),
            cmocka_unit_test(test_lone_key),
            cmocka_unit_test(test_none),
            cmocka_unit_test(test_without_keys),
            cmocka_unit_test(test_newer_unreadable),
            cmocka_unit_test(test_passed_over),
            cmocka_unit_test(test_objections),
            cmocka_unit_test(test_gravest),
            cmocka_unit_test(test_many_objections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
