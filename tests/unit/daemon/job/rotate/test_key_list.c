/* The keys of a bucket, each once: of dumps, without dumps, missing; however often the bucket is listed. */
#include "expect.h"

#include <string.h>

#include "catalog/name.h"
#include "failing.h"
#include "job/rotate/key_list.h"

enum { FIRST = 1733520141, DUMP_SIZE = 1000, PLAIN_SIZE = 4096 + 32 };

#define NAME(second) "backup-2024-12-06T21:22:" #second "Z"

static struct key_list *list;

static int setup(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    list = key_list_new(&e);
    return list ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    key_list_free(TAKE_PTR(list));
    return 0;
}

/* As a listing with these objects, NULL at the end. */
static struct catalog_list *catalog_of(const char *const objects[])
{
    struct err e = ERR_INIT;
    struct catalog_list *catalog = catalog_list_new("backup", &e);

    expect_success(catalog, &e);
    for (size_t i = 0; objects[i]; i++) {
        bool is_plain = strstr(objects[i], "31Z.dump") != NULL, is_dump = strstr(objects[i], ".dump") != NULL;
        uint64_t size = is_plain ? PLAIN_SIZE : is_dump ? DUMP_SIZE : 72;

        assert_int_equal(
                catalog_list_add(catalog,
                        &(struct catalog_object){.name = objects[i], .size = size, .last_modified = FIRST}, &e),
                0);
    }
    catalog_list_finish(catalog);
    return catalog;
}

static void add(bool is_missing, const char *const objects[])
{
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *catalog = catalog_of(objects);
    struct err e = ERR_INIT;
    int r = (is_missing ? key_list_add_missing : key_list_add)(list, catalog, &e);

    expect_success(r == 0, &e);
}

#define ADD(is_missing, ...) add(is_missing, (const char *const[]){__VA_ARGS__, NULL})

/* The item of that name by its number, or NULL; fails the test if it is there twice. */
static struct key_item *item(const char *name)
{
    struct key_item *found = NULL;

    for (size_t i = 0; i < key_list_count(list); i++)
        if (strcmp(key_list_at(list, i)->name, name) == 0) {
            assert_null(found);
            found = key_list_at(list, i);
        }
    return found;
}

static void expect_item(const char *name, int64_t instant)
{
    const struct key_item *it = item(name);

    assert_non_null(it);
    assert_int_equal(it->instant, instant);
    assert_false(it->is_unreadable);
    assert_false(it->is_rotated);
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(key_list_count(list), 0);
    assert_null(key_list_find(list, NAME(21) ".key"));
    ADD(false, "somebody-else.key", "backup-2024-12-06T21:22:31Z.dump");
    ADD(true, "somebody-else.key", "backup-2024-12-06T21:22:31Z.dump");
    assert_int_equal(key_list_count(list), 0);
    key_list_free(NULL);
}

/* Those of dumps and lone ones; not of plain dumps, nor of such as have lost theirs. */
static void test_what_is_there(void **state)
{
    (void)state;
    ADD(false, NAME(21) ".dump", NAME(21) ".key", NAME(22) ".key", NAME(23) ".dump", NAME(31) ".dump");
    assert_int_equal(key_list_count(list), 2);
    expect_item(NAME(21) ".key", FIRST);
    expect_item(NAME(22) ".key", FIRST + 1);
}

/* A name is a name as it was listed: another spelling of the same instant is another key. */
static void test_spellings(void **state)
{
    (void)state;
    ADD(false, NAME(21) ".key", "backup-2024-12-06T22:22:21+01:00.key");
    assert_int_equal(key_list_count(list), 2);
    expect_item(NAME(21) ".key", FIRST);
    expect_item("backup-2024-12-06T22:22:21+01:00.key", FIRST);
}

static void test_missing(void **state)
{
    (void)state;
    ADD(true, NAME(21) ".dump", NAME(21) ".key", NAME(22) ".key", NAME(23) ".dump", NAME(31) ".dump");
    assert_int_equal(key_list_count(list), 1);
    expect_item(NAME(23) ".key", FIRST + 2);
    /* It comes later, or was known before: it stays one. */
    ADD(false, NAME(23) ".dump", NAME(23) ".key");
    ADD(true, NAME(23) ".dump");
    assert_int_equal(key_list_count(list), 1);
}

/* No instant, no binding that could be looked at: for the owner of the list to tell. */
static void test_unreadable(void **state)
{
    static const char name[] = "backup-2024-12-99T21:22:23Z.key";
    const struct key_item *found;

    (void)state;
    ADD(false, "backup-2024-12-99T21:22:23Z.dump", name, NAME(21) ".key");
    found = key_list_find(list, name);
    assert_non_null(found);
    assert_string_equal(found->name, name);
    assert_true(found->is_unreadable);
    expect_item(NAME(21) ".key", FIRST);
    assert_int_equal(key_list_count(list), 2);
    /* Its dump alone, or its key: nothing more becomes known of it. */
    ADD(false, name);
    ADD(true, "backup-2024-12-99T21:22:23Z.dump");
    assert_int_equal(key_list_count(list), 2);
}

/* Each once, and what was noted at one stays with it, wherever it then stands. */
static void test_again(void **state)
{
    (void)state;
    ADD(false, NAME(25) ".key", NAME(23) ".key");
    key_list_find(list, NAME(25) ".key")->is_rotated = true;
    for (int i = 0; i < 3; i++) {
        ADD(false, NAME(23) ".key", NAME(25) ".dump", NAME(25) ".key", NAME(22) ".key", NAME(27) ".key");
        assert_int_equal(key_list_count(list), 4);
        assert_true(item(NAME(25) ".key")->is_rotated);
    }
    expect_item(NAME(22) ".key", FIRST + 1);
    expect_item(NAME(23) ".key", FIRST + 2);
    expect_item(NAME(27) ".key", FIRST + 6);
    /* What is not listed any more is not forgotten. */
    ADD(false, NAME(28) ".key");
    assert_int_equal(key_list_count(list), 5);
    /* New ones stand behind the others. */
    assert_string_equal(key_list_at(list, 4)->name, NAME(28) ".key");
}

/* Whatever was added is found, also right after it, and nothing else. */
static void test_find_after_add(void **state)
{
    static const char *const more[] = {
            NAME(29) ".key", NAME(20) ".key", NAME(25) ".key", NAME(22) ".key", NAME(28) ".key"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        ADD(false, more[i]);
        assert_int_equal(key_list_count(list), i + 1);
        for (size_t j = 0; j < ARRAY_LEN(more); j++) {
            const struct key_item *found = key_list_find(list, more[j]);

            assert_int_equal(found != NULL, j <= i);
            if (found)
                assert_string_equal(found->name, more[j]);
        }
        assert_null(key_list_find(list, NAME(29) ".ke"));
        assert_null(key_list_find(list, NAME(29) ".key2"));
        assert_null(key_list_find(list, ""));
    }
}

/* A failure leaves what was there, each once; and the next attempt ends it. */
static void test_out_of_memory_anywhere(void **state)
{
    static const char *const objects[] = {NAME(24) ".key", NAME(22) ".key", NAME(21) ".dump", NAME(21) ".key", NULL};
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *catalog = catalog_of(objects);
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        int r = -1;

        key_list_free(TAKE_PTR(list));
        failing_arm(++n);
        list = key_list_new(&e);
        if (list)
            r = key_list_add(list, catalog, &e);
        reached = failing_disarm();
        assert_int_equal(r, reached ? -1 : 0);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        if (!list)
            continue;
        e = ERR_INIT;
        assert_int_equal(key_list_add(list, catalog, &e), 0);
        assert_int_equal(key_list_count(list), 3);
        expect_item(NAME(21) ".key", FIRST);
        expect_item(NAME(22) ".key", FIRST + 1);
        expect_item(NAME(24) ".key", FIRST + 3);
    } while (reached);
    assert_int_equal(n, 1 + 1 + 3 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_is_there, setup, teardown),
            cmocka_unit_test_setup_teardown(test_spellings, setup, teardown),
            cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
            cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
            cmocka_unit_test_setup_teardown(test_again, setup, teardown),
            cmocka_unit_test_setup_teardown(test_find_after_add, setup, teardown),
            cmocka_unit_test_setup_teardown(test_out_of_memory_anywhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
