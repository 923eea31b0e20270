#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "catalog/name.h"

/* The instant that all names here are of. */
static const int64_t instant = 1733520145; /* 2024-12-06T21:22:25Z */

#define T "2024-12-06T21:22:25Z"

static void names_of_ours_are_read(void **state)
{
    static const struct {
        const char *prefix, *object;
        enum name_kind kind;
    } cases[] = {
            {"backup", "backup-" T ".dump", NAME_DUMP},
            {"backup", "backup-" T ".key", NAME_KEY},
            {"backup", "backup-2024-12-06T16:22:25-05:00.dump", NAME_DUMP},
            {"backup", "backup-2024-12-06T23:22:25+02:00.key", NAME_KEY},
            {"backup", "backup-" T ".claim", NAME_CLAIM},
            {"a/b", "a/b-" T ".dump", NAME_DUMP},
            {"a/", "a/-" T ".dump", NAME_DUMP},
            {"/", "/-" T ".dump", NAME_DUMP},
            {"100%", "100%-" T ".key", NAME_KEY},
            {"%s%n", "%s%n-" T ".dump", NAME_DUMP},
            {"a b+c", "a b+c-" T ".dump", NAME_DUMP},
            {"\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac-" T ".dump", NAME_DUMP},
            {"a-b", "a-b-" T ".dump", NAME_DUMP},
            {"a-", "a--" T ".dump", NAME_DUMP},
            {"", "-" T ".dump", NAME_DUMP},
            {"a-" T, ("a-" T "-" T ".dump"), NAME_DUMP},
            {"x.dump", "x.dump-" T ".key", NAME_KEY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t at = -1;

        assert_int_equal(name_parse(cases[i].prefix, cases[i].object, &at), cases[i].kind);
        assert_int_equal(at, instant);
    }
}

static void foreign_objects_are_left_alone(void **state)
{
    static const struct {
        const char *prefix, *object;
    } cases[] = {
            {"a", ""},
            {"a", "a"},
            {"a", "a-"},
            {"a", "a-.dump"},
            {"a", ".dump"},
            {"a", "a" T ".dump"},
            {"a", "a_" T ".dump"},
            {"a", "b-" T ".dump"},
            {"a", "A-" T ".dump"},
            {"a", "aa-" T ".dump"},
            {"a", "x/a-" T ".dump"},
            {"a", " a-" T ".dump"},
            {"a", "a/-" T ".dump"},
            {"a", "a-b-" T ".dump"},
            {"a-b", "a-" T ".dump"},
            {"a/b", "a-" T ".dump"},
            {"a", "a--" T ".dump"},
            {"a", "a-" T},
            {"a", "a-" T "."},
            {"a", "a-" T ".dum"},
            {"a", "a-" T ".dumpx"},
            {"a", "a-" T ".DUMP"},
            {"a", "a-" T ".dump.bak"},
            {"a", "a-" T ".key~"},
            {"a", "a-" T "dump"},
            {"a", "a-" T ".txt"},
            {"a", "a-notes.key"},
            {"a", "a-2024-12-06.claim"},
            {"a", "a-" T ".claims"},
            /* Not what a check names. */
            {"a", "a-check-"},
            {"a", "a-check-0123456789abcde"},
            {"a", "a-check-0123456789abcdef0"},
            {"a", "a-check-0123456789abcdeF"},
            {"a", "a-check-0123456789abcde-"},
            {"a", "a-check-0123456789abcdef.dump"},
            {"a", "a-check-0123456789abcdef/x"},
            {"a", "a-Check-0123456789abcdef"},
            {"a", "a_check-0123456789abcdef"},
            {"a", "acheck-0123456789abcdef"},
            {"a", "check-0123456789abcdef"},
            {"a", "a-b-check-0123456789abcdef"},
            {"a-check", "a-check-0123456789abcdef"},
            {"a", "a-2024.dump"},
            {"a", "a-2024-12.dump"},
            {"a", "a-2024-12-6T21:22:25Z.dump"},
            {"a", "a-24-12-06T21:22:25Z.dump"},
            {"\xc3\xa4", "\xc3-" T ".dump"},
            /* Those of a longer prefix, though that looks like a date itself. */
            {"a", "a-2024-12-06-" T ".dump"},
            {"a", "a-2024-99-99-" T ".key"},
            {"a", "a-" T "-" T ".dump"},
            {"a", "a-2024-12-06-2024-12-06T23:22:25+02:00.key"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t at = -1;

        assert_int_equal(name_parse(cases[i].prefix, cases[i].object, &at), NAME_FOREIGN);
        assert_int_equal(at, -1);
    }
}

static void near_misses_are_unreadable(void **state)
{
    static const char *const times[] = {
            "2024-12-06", "2024-12-06T21:22:25", "2024-12-06T21:22:25z", "2024-12-06T21:22:25ZZ",
            "2024-12-06T21:22:25Z ", "2024-12-06T21:22:25.5Z", "2024-12-06T21:22Z", "2024-12-06T24:00:00Z",
            "2024-12-06T21:22:60Z", "2024-13-06T21:22:25Z", "2023-02-29T21:22:25Z", "0000-01-01T00:00:00Z",
            "9999-99-99", "2024-12-06T21:22:25+0500", "2024-12-06T21:22:25+24:00", "2024-12-06 21:22:25Z",
            "2024-12-06T21-22-25Z", "2024-12-06T21:22:25Z.dump", "2024-12-06T21:22:25Z.key", "2024-12-06T21:22:25Z/x",
            "2024-12-062024-12-06T21:22:25Z", /* no '-' between: not of a longer prefix */
    };
    char object[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t at = -1;

        (void)snprintf(object, sizeof(object), "a-%s.dump", times[i]);
        assert_int_equal(name_parse("a", object, &at), NAME_UNREADABLE);
        assert_int_equal(at, -1);
        (void)snprintf(object, sizeof(object), "a-%s.key", times[i]);
        assert_int_equal(name_parse("a", object, &at), NAME_UNREADABLE);
        (void)snprintf(object, sizeof(object), "a-%s", times[i]);
        assert_int_not_equal(name_parse("a", object, &at), NAME_UNREADABLE);
    }
}

static void what_is_written_is_read_back(void **state)
{
    static const char *const prefixes[] = {"backup", "a/b/c", "", "100%d", "\xe2\x82\xac", ("a-" T)};
    static const int64_t instants[] = {0, -1, 1733520145, INT64_C(253402300799), -INT64_C(62135596800)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        for (size_t j = 0; j < ARRAY_LEN(instants); j++) {
            char dump[NAME_TEXT_MAX], key[NAME_TEXT_MAX], key_of_dump[NAME_TEXT_MAX], list[NAME_TEXT_MAX];
            struct err e = ERR_INIT;
            int64_t at = 42;

            assert_int_equal(name_format(dump, prefixes[i], instants[j], NAME_DUMP, &e), 0);
            assert_int_equal(name_format(key, prefixes[i], instants[j], NAME_KEY, &e), 0);
            assert_int_equal(name_parse(prefixes[i], dump, &at), NAME_DUMP);
            assert_int_equal(at, instants[j]);
            assert_int_equal(name_parse(prefixes[i], key, &at), NAME_KEY);
            assert_int_equal(at, instants[j]);
            name_key_of_dump(key_of_dump, dump);
            assert_string_equal(key_of_dump, key);
            assert_int_equal(name_list_prefix(list, prefixes[i], &e), 0);
            assert_memory_equal(dump, list, strlen(list));
            assert_int_equal(strlen(list), strlen(prefixes[i]) + 1);
        }
}

static void a_key_is_named_by_its_dump_s_own_spelling(void **state)
{
    char key[NAME_TEXT_MAX];

    (void)state;
    name_key_of_dump(key, "x.dump/backup-2024-12-06T16:22:25-05:00.dump");
    assert_string_equal(key, "x.dump/backup-2024-12-06T16:22:25-05:00.key");
}

static void what_we_write_is_spelled_so(void **state)
{
    char name[NAME_TEXT_MAX];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(name_format(name, "prod/backup", instant, NAME_DUMP, &e), 0);
    assert_string_equal(name, "prod/backup-2024-12-06T21:22:25Z.dump");
    assert_int_equal(name_format(name, "prod/backup", instant, NAME_KEY, &e), 0);
    assert_string_equal(name, "prod/backup-2024-12-06T21:22:25Z.key");
    assert_int_equal(name_list_prefix(name, "prod/backup", &e), 0);
    assert_string_equal(name, "prod/backup-");
}

static void a_check_names_what_it_tries(void **state)
{
    static const char *const prefixes[] = {"backup", "a/b", "", "100%d", "a-check", "x.dump"};
    char name[NAME_TEXT_MAX], prefix[NAME_TEXT_MAX];
    struct err e = ERR_INIT;
    int64_t at = -1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        assert_int_equal(name_format_check(name, prefixes[i], 0x0123456789abcdef, &e), 0);
        assert_int_equal(name_parse(prefixes[i], name, &at), NAME_CHECK);
        assert_int_equal(name_format_check(name, prefixes[i], 0, &e), 0);
        assert_int_equal(name_parse(prefixes[i], name, &at), NAME_CHECK);
    }
    assert_int_equal(at, -1);
    assert_int_equal(name_format_check(name, "prod/backup", 0xabc, &e), 0);
    assert_string_equal(name, "prod/backup-check-0000000000000abc");
    memset(prefix, 'p', sizeof(prefix));
    prefix[1024 - 23] = '\0';
    assert_int_equal(name_format_check(name, prefix, 1, &e), 0);
    assert_int_equal(name_parse(prefix, name, &at), NAME_CHECK);
    prefix[1024 - 23] = 'p';
    prefix[1024 - 22] = '\0';
    assert_int_equal(name_format_check(name, prefix, 1, &e), -1);
    expect_error(&e, ERR_CONFIG,
            "the prefix of 1002 bytes makes names of objects longer than the 1024 bytes that S3 allows");
}

static void names_end_where_s3_ends(void **state)
{
    char prefix[NAME_TEXT_MAX + 10], name[NAME_TEXT_MAX], key[NAME_TEXT_MAX];
    struct err e = ERR_INIT;
    int64_t at;

    (void)state;
    memset(prefix, 'p', sizeof(prefix));
    prefix[1024 - 27] = '\0';
    assert_int_equal(name_format(name, prefix, instant, NAME_DUMP, &e), 0);
    assert_int_equal(strlen(name), 1023); /* its claim has one more */
    assert_int_equal(name_parse(prefix, name, &at), NAME_DUMP);
    name_key_of_dump(key, name);
    assert_int_equal(name_parse(prefix, key, &at), NAME_KEY);

    prefix[1024 - 27] = 'p';
    prefix[1024 - 26] = '\0';
    assert_int_equal(name_format(name, prefix, instant, NAME_DUMP, &e), -1);
    expect_error(
            &e, ERR_CONFIG, "the prefix of 998 bytes makes names of objects longer than the 1024 bytes that S3 allows");
    /* The key alone would fit, but no dump could follow it. */
    assert_int_equal(name_format(name, prefix, instant, NAME_KEY, &e), -1);

    prefix[1024 - 26] = 'p';
    prefix[1023] = '\0';
    assert_int_equal(name_list_prefix(name, prefix, &e), 0);
    prefix[1023] = 'p';
    prefix[1024] = '\0';
    assert_int_equal(name_list_prefix(name, prefix, &e), -1);
    expect_error(&e, ERR_CONFIG,
            "the prefix of 1024 bytes makes names of objects longer than the 1024 bytes that S3 allows");
}

static void longer_names_than_s3_has_are_foreign(void **state)
{
    char prefix[NAME_TEXT_MAX], object[2 * NAME_TEXT_MAX];
    int64_t at;

    (void)state;
    memset(prefix, 'p', sizeof(prefix));
    prefix[1024 - 25] = '\0';
    (void)snprintf(object, sizeof(object), "%s-" T ".dump", prefix);
    assert_int_equal(strlen(object), 1025);
    assert_int_equal(name_parse(prefix, object, &at), NAME_FOREIGN);
    (void)snprintf(object, sizeof(object), "%s-" T ".key", prefix);
    assert_int_equal(strlen(object), 1024);
    assert_int_equal(name_parse(prefix, object, &at), NAME_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_of_ours_are_read),
            cmocka_unit_test(foreign_objects_are_left_alone),
            cmocka_unit_test(near_misses_are_unreadable),
            cmocka_unit_test(what_is_written_is_read_back),
            cmocka_unit_test(a_key_is_named_by_its_dump_s_own_spelling),
            cmocka_unit_test(what_we_write_is_spelled_so),
            cmocka_unit_test(a_check_names_what_it_tries),
            cmocka_unit_test(names_end_where_s3_ends),
            cmocka_unit_test(longer_names_than_s3_has_are_foreign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
