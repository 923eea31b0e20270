/* The keys that a listing shows: of dumps, without dumps, missing. */
#include "expect.h"

#include <string.h>

#include "catalog/name.h"
#include "failing.h"
#include "job/rotate/key_list.h"

enum { FIRST = 1733520141, DUMP_SIZE = 1000, PLAIN_SIZE = 4096 + 32 };

#define NAME(second) "backup-2024-12-06T21:22:" #second "Z"

static struct key_list *list;

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

static void take(bool is_missing, const char *const objects[])
{
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *catalog = catalog_of(objects);
    struct err e = ERR_INIT;

    key_list_free(list);
    list = (is_missing ? key_list_new_missing : key_list_new)(catalog, &e);
    expect_success(list, &e);
}

#define TAKE(is_missing, ...) take(is_missing, (const char *const[]){__VA_ARGS__, NULL})

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
    for (unsigned is_missing = 0; is_missing < 2; is_missing++) {
        TAKE(is_missing, "somebody-else.key", "backup-2024-12-06T21:22:31Z.dump");
        assert_int_equal(key_list_count(list), 0);
        assert_null(key_list_find(list, NAME(21) ".key"));
    }
    key_list_free(NULL);
}

/* Those of dumps and lone ones; not of plain dumps, nor of such as have lost theirs. */
static void test_what_is_there(void **state)
{
    (void)state;
    TAKE(false, NAME(21) ".dump", NAME(21) ".key", NAME(22) ".key", NAME(23) ".dump", NAME(31) ".dump");
    assert_int_equal(key_list_count(list), 2);
    expect_item(NAME(21) ".key", FIRST);
    expect_item(NAME(22) ".key", FIRST + 1);
}

/* A name is a name as it was listed: another spelling of the same instant is another key. */
static void test_spellings(void **state)
{
    (void)state;
    TAKE(false, NAME(21) ".key", "backup-2024-12-06T22:22:21+01:00.key");
    assert_int_equal(key_list_count(list), 2);
    expect_item(NAME(21) ".key", FIRST);
    expect_item("backup-2024-12-06T22:22:21+01:00.key", FIRST);
}

static void test_missing(void **state)
{
    (void)state;
    TAKE(true, NAME(21) ".dump", NAME(21) ".key", NAME(22) ".key", NAME(23) ".dump", NAME(31) ".dump");
    assert_int_equal(key_list_count(list), 1);
    expect_item(NAME(23) ".key", FIRST + 2);
}

/* No instant, no binding that could be looked at: for the owner of the list to tell. */
static void test_unreadable(void **state)
{
    static const char name[] = "backup-2024-12-99T21:22:23Z.key";
    const struct key_item *found;

    (void)state;
    TAKE(false, "backup-2024-12-99T21:22:23Z.dump", name, NAME(21) ".key");
    found = key_list_find(list, name);
    assert_non_null(found);
    assert_string_equal(found->name, name);
    assert_true(found->is_unreadable);
    expect_item(NAME(21) ".key", FIRST);
    assert_int_equal(key_list_count(list), 2);
    TAKE(true, "backup-2024-12-99T21:22:23Z.dump"); /* of which nobody knows what it looks like */
    assert_int_equal(key_list_count(list), 0);
}

/* Newest first, as they are listed; whatever is there is found, and what was noted at one stays with it, wherever it
 * then stands. */
static void test_find(void **state)
{
    (void)state;
    TAKE(false, NAME(29) ".key", NAME(20) ".key", NAME(25) ".key", NAME(22) ".key", NAME(28) ".key");
    assert_string_equal(key_list_at(list, 0)->name, NAME(29) ".key");
    assert_string_equal(key_list_at(list, 4)->name, NAME(20) ".key");
    key_list_at(list, 1)->is_rotated = true;
    assert_non_null(key_list_find(list, NAME(22) ".key")); /* now they stand elsewhere */
    for (size_t i = 0; i < key_list_count(list); i++) {
        const struct key_item *it = key_list_at(list, i);

        assert_ptr_equal(key_list_find(list, it->name), it);
    }
    assert_true(key_list_find(list, NAME(28) ".key")->is_rotated);
    assert_false(key_list_find(list, NAME(29) ".key")->is_rotated);
    assert_null(key_list_find(list, NAME(21) ".key"));
    assert_null(key_list_find(list, NAME(29) ".ke"));
    assert_null(key_list_find(list, NAME(29) ".key2"));
    assert_null(key_list_find(list, ""));
}

static void test_out_of_memory_anywhere(void **state)
{
    static const char *const objects[] = {NAME(24) ".key", NAME(22) ".key", NAME(21) ".dump", NAME(21) ".key", NULL};
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *catalog = catalog_of(objects);
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;

        key_list_free(TAKE_PTR(list));
        failing_arm(++n);
        list = key_list_new(catalog, &e);
        reached = failing_disarm();
        assert_int_equal(list == NULL, reached);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
    } while (reached);
    assert_int_equal(n, 1 + 1 + 3 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_empty, teardown),
            cmocka_unit_test_teardown(test_what_is_there, teardown),
            cmocka_unit_test_teardown(test_spellings, teardown),
            cmocka_unit_test_teardown(test_missing, teardown),
            cmocka_unit_test_teardown(test_unreadable, teardown),
            cmocka_unit_test_teardown(test_find, teardown),
            cmocka_unit_test_teardown(test_out_of_memory_anywhere, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
