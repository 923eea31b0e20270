#include "expect.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

static void set_fills_all_and_returns_failure(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&e, ERR_AUTH, ERR_DOMAIN_GRPC, 16, "user %s: %d", "root", 7), -1);
    expect_error(&e, ERR_AUTH, "user root: 7");
    assert_int_equal(e.domain, ERR_DOMAIN_GRPC);
    assert_int_equal(e.code, 16);
}

static void prepend_keeps_the_rest(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_HTTP, 503, "HTTP 503");
    assert_int_equal(err_prepend(&e, "uploading part %u: ", 7u), -1);
    err_prepend(&e, "backup failed: ");
    expect_error(&e, ERR_TRANSIENT, "backup failed: uploading part 7: HTTP 503");
    assert_int_equal(e.domain, ERR_DOMAIN_HTTP);
    assert_int_equal(e.code, 503);
}

static void arguments_may_point_into_the_error(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "inner");
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "outer: %s, %s", e.text, e.text);
    expect_error(&e, ERR_CONFIG, "outer: inner, inner");
    err_prepend(&e, "%s / ", e.text);
    expect_error(&e, ERR_CONFIG, "outer: inner, inner / outer: inner, inner");
}

/* Quoted from a hostile server: stays one line of UTF-8 that drives no terminal. */
static void what_is_quoted_becomes_printable(void **state)
{
    static const struct {
        const char *quoted, *shown;
    } cases[] = {
            {"two\nlines\r", "two?lines?"},
            {"\x1b[31mred\x7f\t", "?[31mred??"},
            {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
            {"C1 \xc2\x9b"
             "31m",
                    "C1 ??31m"},
            {"\xc2\xa0", "\xc2\xa0"},                      /* the first after C1 */
            {"\xe2\x80\xa8 \xe2\x80\xa9", "??? ???"},      /* separators of lines and of paragraphs */
            {"\xe2\x80\xa7", "\xe2\x80\xa7"},              /* their neighbour */
            {"latin \xe4", "latin ?"},                     /* cut off or not UTF-8 */
            {"\xe2\x82", "??"},                            /* cut off */
            {"\xc3(", "?("},                               /* no continuation */
            {"\xc0\x8a \xc1\xbf", "?? ??"},                /* overlong: a newline in disguise */
            {"\xe0\x9f\xbf \xf0\x8f\xbf\xbf", "??? ????"}, /* overlong */
            {"\xed\xa0\x80", "???"},                       /* half of a surrogate pair */
            {"\xed\x9f\xbf", "\xed\x9f\xbf"},
            {"\xf4\x90\x80\x80 \xf5\x80\x80\x80", "???? ????"}, /* beyond U+10FFFF */
            {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
            {"\x80\xbf", "??"},
    };
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "%s", cases[i].quoted);
        expect_error(&e, ERR_PROTOCOL, cases[i].shown);
        err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, ".");
        err_prepend(&e, "%s", cases[i].quoted);
        assert_memory_equal(e.text, cases[i].shown, strlen(cases[i].shown));
        err_errno(&e, EIO, "%s", cases[i].quoted);
        assert_memory_equal(e.text, cases[i].shown, strlen(cases[i].shown));
    }
}

static void set_cuts_what_is_too_long(void **state)
{
    char quoted[2 * ERR_TEXT_MAX];
    struct err e = ERR_INIT;

    (void)state;
    memset(quoted, 'x', sizeof(quoted) - 1);
    quoted[sizeof(quoted) - 1] = '\0';
    err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "%s", quoted);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    /* The cut goes through a character: what is left of it is no UTF-8. */
    memcpy(quoted + ERR_TEXT_MAX - 2, "\xc3\xa4", 2);
    err_set(&e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "%s", quoted);
    assert_string_equal(e.text + ERR_TEXT_MAX - 3, "x?");
}

static void the_cause_outlives_a_long_context(void **state)
{
    char path[1024];
    struct err e = ERR_INIT;

    (void)state;
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';

    err_errno(&e, ENOSPC, "%s", path);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_string_equal(
            e.text + strlen(e.text) - strlen("p... : No space left on device"), "p... : No space left on device");
    assert_int_equal(e.kind, ERR_RESOURCE);

    err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "no such bucket");
    err_prepend(&e, "%s: ", path);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_string_equal(e.text + strlen(e.text) - strlen("p... no such bucket"), "p... no such bucket");

    /* Both too long: something of each is left. */
    err_set(&e, ERR_NOT_FOUND, ERR_DOMAIN_NONE, 0, "cause %s", path);
    err_prepend(&e, "%s: ", path);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_non_null(strstr(e.text, "p... cause pp"));
}

static void context_and_cause_that_just_fit_are_kept(void **state)
{
    char half[ERR_TEXT_MAX];
    struct err e = ERR_INIT;

    (void)state;
    memset(half, 'h', sizeof(half));
    half[255] = '\0';
    err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s!", half);
    err_prepend(&e, "%s", half);
    assert_int_equal(strlen(e.text), 511);
    assert_null(strstr(e.text, "..."));
    assert_int_equal(e.text[510], '!');
}

static void errno_decides_the_kind(void **state)
{
    static const struct {
        int number;
        enum err_kind kind;
        const char *text;
    } cases[] = {
            {ENOMEM, ERR_RESOURCE, "/x: Cannot allocate memory"},
            {ENOSPC, ERR_RESOURCE, "/x: No space left on device"},
            {EMFILE, ERR_RESOURCE, "/x: Too many open files"},
            {ENOENT, ERR_NOT_FOUND, "/x: No such file or directory"},
            {ENOTDIR, ERR_NOT_FOUND, "/x: Not a directory"},
            {EACCES, ERR_CONFIG, "/x: Permission denied"},
            {EISDIR, ERR_CONFIG, "/x: Is a directory"},
            {ECONNREFUSED, ERR_TRANSIENT, "/x: Connection refused"},
            {ETIMEDOUT, ERR_TRANSIENT, "/x: Connection timed out"},
            {ECANCELED, ERR_CANCELLED, "/x: Operation canceled"},
            {99999, ERR_TRANSIENT, "/x: Unknown error 99999"},
    };
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(err_errno(&e, cases[i].number, "/%c", 'x'), -1);
        expect_error(&e, cases[i].kind, cases[i].text);
        assert_int_equal(e.domain, ERR_DOMAIN_ERRNO);
        assert_int_equal(e.code, cases[i].number);
    }
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = ERR_NONE; i <= ERR_CANCELLED; i++) {
        assert_string_not_equal(err_kind_name((enum err_kind)i), "unknown");
        for (int j = ERR_NONE; j < i; j++)
            assert_string_not_equal(err_kind_name((enum err_kind)i), err_kind_name((enum err_kind)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(set_fills_all_and_returns_failure),
            cmocka_unit_test(prepend_keeps_the_rest),
            cmocka_unit_test(arguments_may_point_into_the_error),
            cmocka_unit_test(what_is_quoted_becomes_printable),
            cmocka_unit_test(set_cuts_what_is_too_long),
            cmocka_unit_test(the_cause_outlives_a_long_context),
            cmocka_unit_test(context_and_cause_that_just_fit_are_kept),
            cmocka_unit_test(errno_decides_the_kind),
            cmocka_unit_test(every_kind_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
