/* The size of parts, their table, and the document that completes an upload. */
#include "expect.h"

#include <string.h>

#include "failing.h"
#include "s3/parts.h"

static const uint64_t KIB = 1 << 10, MIB = 1 << 20, GIB = 1 << 30;

static void the_size_is_chosen_so_that_the_object_fits(void **state)
{
    const struct {
        uint64_t size, wanted, chosen;
    } cases[] = {
            {1, 0, 8 * MIB},
            {8 * MIB + 1, 0, 8 * MIB},
            {10000 * 8 * MIB, 0, 8 * MIB},
            {10000 * 8 * MIB + 1, 0, 9 * MIB},
            {1, 5 * MIB, 5 * MIB},
            {10000 * 5 * MIB, 5 * MIB, 5 * MIB},
            {10000 * 5 * MIB + 1, 5 * MIB, 6 * MIB},
            {10000 * 5 * MIB + 10000 * KIB, 5 * MIB + KIB, 5 * MIB + KIB},
            {10000 * 5 * MIB + 10000 * KIB + 1, 5 * MIB + KIB, 6 * MIB},
            {10000 * 5 * GIB, 5 * GIB, 5 * GIB},
            {10000 * 5 * GIB, 0, 5 * GIB},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        uint64_t chosen = 0;

        expect_success(parts_choose_size(cases[i].size, cases[i].wanted, &chosen, &e) == 0, &e);
        assert_int_equal(chosen, cases[i].chosen);
        assert_true((cases[i].size + chosen - 1) / chosen <= PARTS_MAX);
    }
}

static void what_no_store_takes_is_refused(void **state)
{
    struct err e = ERR_INIT;
    uint64_t chosen = 7;

    (void)state;
    assert_int_equal(parts_choose_size(1, 5 * MIB - 1, &chosen, &e), -1);
    expect_error(&e, ERR_CONFIG, "a part size of 5242879 bytes: S3 takes parts of 5 MiB to 5 GiB");
    assert_int_equal(parts_choose_size(1, 5 * GIB + 1, &chosen, &e), -1);
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_int_equal(parts_choose_size(10000 * 5 * GIB + 1, 0, &chosen, &e), -1);
    expect_error(&e, ERR_CONFIG, "53687091200001 bytes are more than 10000 parts of 5 GiB can hold");
    assert_int_equal(parts_choose_size(UINT64_MAX, 0, &chosen, &e), -1);
    assert_int_equal(chosen, 7);
}

static struct parts *make(uint64_t size, uint64_t part_size)
{
    struct err e = ERR_INIT;
    struct parts *p = parts_new(size, part_size, &e);

    expect_success(p, &e);
    return p;
}

static void the_last_part_holds_the_rest(void **state)
{
    const struct {
        uint64_t size;
        uint32_t count;
        uint64_t last;
    } cases[] = {{1, 1, 1}, {99, 1, 99}, {100, 1, 100}, {101, 2, 1}, {199, 2, 99}, {200, 2, 100}, {201, 3, 1}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parts *p = make(cases[i].size, 100);

        assert_int_equal(parts_count(p), cases[i].count);
        for (uint32_t n = 1; n < cases[i].count; n++)
            assert_int_equal(parts_len(p, n), 100);
        assert_int_equal(parts_len(p, cases[i].count), cases[i].last);
        parts_free(p);
    }
}

static void an_object_turns_out_shorter(void **state)
{
    const struct {
        uint64_t size;
        uint32_t count;
        uint64_t last;
    } cases[] = {{300, 3, 100}, {299, 3, 99}, {201, 3, 1}, {200, 2, 100}, {101, 2, 1}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parts *p = make(300, 100);
        struct err e = ERR_INIT;

        assert_int_equal(parts_set_stored(p, 1, "\"1\"", &e), 0);
        parts_shorten(p, cases[i].size);
        assert_int_equal(parts_size(p), cases[i].size);
        assert_int_equal(parts_count(p), cases[i].count);
        assert_int_equal(parts_len(p, 1), 100);
        assert_int_equal(parts_len(p, cases[i].count), cases[i].last);
        for (uint32_t n = 2; n <= cases[i].count; n++) {
            assert_false(parts_complete(p));
            assert_int_equal(parts_set_stored(p, n, "\"2\"", &e), 0);
        }
        assert_true(parts_complete(p));
        assert_int_equal(parts_stored(p), cases[i].size);
        assert_true(parts_match_etag(p, cases[i].count == 3 ? "\"x-3\"" : "\"x-2\""));
        parts_free(p);
    }
}

static void parts_are_stored_once_each_in_any_order(void **state)
{
    struct parts *p = make(201, 100);
    char longest[PARTS_ETAG_MAX];
    struct err e = ERR_INIT;

    (void)state;
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    assert_int_equal(parts_set_stored(p, 3, longest, &e), 0);
    assert_int_equal(parts_stored(p), 1);
    assert_int_equal(parts_set_stored(p, 1, "\"1\"", &e), 0);
    assert_false(parts_complete(p));
    assert_int_equal(parts_set_stored(p, 1, "\"1\"", &e), -1);
    expect_error(&e, ERR_PROTOCOL, "stored twice");
    assert_int_equal(parts_set_stored(p, 2, "", &e), -1);
    expect_error(&e, ERR_PROTOCOL, "the store took the part but named no ETag");
    assert_int_equal(parts_stored(p), 101);
    assert_int_equal(parts_set_stored(p, 2, "\"2\"", &e), 0);
    assert_int_equal(parts_stored(p), 201);
    assert_true(parts_complete(p));
    parts_free(p);
}

static void too_long_an_etag_is_refused(void **state)
{
    struct parts *p = make(1, 100);
    char etag[PARTS_ETAG_MAX + 1];
    struct err e = ERR_INIT;

    (void)state;
    memset(etag, 'x', sizeof(etag));
    etag[PARTS_ETAG_MAX] = 0;
    assert_int_equal(parts_set_stored(p, 1, etag, &e), -1);
    expect_error(&e, ERR_PROTOCOL, "an ETag of 128 characters");
    assert_false(parts_complete(p));
    parts_free(p);
}

static void the_document_lists_the_parts_by_number_and_escapes_their_etags(void **state)
{
    const char *expected = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                           "<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>"
                           "<Part><PartNumber>2</PartNumber><ETag>&lt;/ETag&gt;&amp;b</ETag></Part>"
                           "</CompleteMultipartUpload>";
    _cleanup_buf_ struct buf out = BUF_INIT(strlen(expected));
    struct parts *p = make(200, 100);
    struct err e = ERR_INIT;

    (void)state;
    parts_set_stored(p, 2, "</ETag>&b", &e);
    parts_set_stored(p, 1, "\"a\"", &e);
    expect_success(parts_write_xml(p, &out, &e) == 0, &e);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    out.limit--;
    out.len = 0;
    assert_int_equal(parts_write_xml(p, &out, &e), -1);
    parts_free(p);
}

static void an_etag_of_as_many_parts_is_recognized(void **state)
{
    const struct {
        const char *etag;
        bool match;
    } cases[] = {
            {"\"0123456789abcdef0123456789abcdef-12\"", true},
            {"0123456789abcdef0123456789abcdef-12", true},
            {"\"0123456789abcdef0123456789abcdef-2\"", false},
            {"\"0123456789abcdef0123456789abcdef-112\"", false},
            {"\"0123456789abcdef0123456789abcdef\"", false},
            {"-12", false},
            {"\"", false},
            {"", false},
    };
    struct parts *p = make(1200, 100);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(parts_match_etag(p, cases[i].etag), cases[i].match);
    parts_free(p);
}

/* The MD5 of the MD5s, here of "a" and "b"; quotes or not. */
static void the_usual_etag_is_made_of_those_of_the_parts(void **state)
{
    static const struct {
        const char *etags[2];
        const char *usual; /* NULL: none */
    } cases[] = {
            {{"\"0cc175b9c0f1b6a831c399e269772661\"", "92EB5FFEE6AE2FEC3AD71C777531578F"},
                    "\"96e024ba2074fe77e8e965ba43a704be-2\""},
            {{"\"92eb5ffee6ae2fec3ad71c777531578f\"", "\"0cc175b9c0f1b6a831c399e269772661\""},
                    "\"f2cb06b385316e99d9d9fb3a0c017f22-2\""},
            {{"\"0cc175b9c0f1b6a831c399e269772661\"", "\"92eb5ffee6ae2fec3ad71c777531578\""}, NULL},
            {{"\"0cc175b9c0f1b6a831c399e26977266x\"", "\"92eb5ffee6ae2fec3ad71c777531578f\""}, NULL},
            {{"\"0cc175b9c0f1b6a831c399e269772661-1\"", "\"92eb5ffee6ae2fec3ad71c777531578f\""}, NULL},
            {{"x", "y"}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        struct parts *p = parts_new(200, 100, &e);
        char usual[PARTS_ETAG_MAX] = "";

        for (uint32_t n = 0; n < 2; n++)
            expect_success(parts_set_stored(p, n + 1, cases[i].etags[n], &e) == 0, &e);
        assert_int_equal(parts_usual_etag(p, usual), cases[i].usual != NULL);
        assert_string_equal(usual, cases[i].usual ? cases[i].usual : "");
        parts_free(p);
    }
}

static void without_memory_there_is_no_table(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct parts *p;

        failing_arm(++n);
        p = parts_new(201, 100, &e);
        reached = failing_disarm();
        assert_int_equal(!p, reached);
        if (!p)
            expect_error(&e, ERR_RESOURCE, "no memory for a table of 3 parts");
        parts_free(p);
    } while (reached);
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_size_is_chosen_so_that_the_object_fits),
            cmocka_unit_test(what_no_store_takes_is_refused),
            cmocka_unit_test(the_last_part_holds_the_rest),
            cmocka_unit_test(an_object_turns_out_shorter),
            cmocka_unit_test(parts_are_stored_once_each_in_any_order),
            cmocka_unit_test(too_long_an_etag_is_refused),
            cmocka_unit_test(the_document_lists_the_parts_by_number_and_escapes_their_etags),
            cmocka_unit_test(an_etag_of_as_many_parts_is_recognized),
            cmocka_unit_test(the_usual_etag_is_made_of_those_of_the_parts),
            cmocka_unit_test(without_memory_there_is_no_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
