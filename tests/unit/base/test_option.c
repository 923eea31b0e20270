/* Values as pflag reads them, by getopt. */
#include "expect.h"

#include <getopt.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/option.h"

/* The value of the first -c or --config (or -u, which may have none) among these words. */
static const char *value_of(const char *first, const char *second)
{
    static const struct option table[] = {
            {"config", required_argument, NULL, 'c'},
            {"use", optional_argument, NULL, 'u'},
            {"quiet", no_argument, NULL, 'q'},
            {0},
    };
    char *argv[] = {(char[]){"program"}, (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    int letter;

    optind = 0;
    opterr = 0;
    while ((letter = getopt_long(second ? 3 : 2, argv, "c:qu::", table, NULL)) == 'q')
        assert_null(option_value(argv));
    return letter == 'c' || letter == 'u' ? option_value(argv) : "none";
}

static void test_values(void **state)
{
    static const struct {
        const char *first, *second, *value;
    } rows[] = {
            {"-c=F", NULL, "F"},
            {"-cF", NULL, "F"},
            {"-c", "F", "F"},
            {"-c", "=F", "=F"}, /* a word of its own is the value */
            {"-c==F", NULL, "=F"},
            {"-c=a=b", NULL, "a=b"},
            {"-c=", NULL, ""},
            {"-qc=F", NULL, "F"},
            {"-q", "-c=F", "F"},
            {"--config=F", NULL, "F"},
            {"--config==F", NULL, "=F"},
            {"--config", "=F", "=F"},
            {"--config=", NULL, ""},
            {"-c", "", ""},
            {"-u=false", NULL, "false"},
            {"-u", "false", NULL},
            {"-u", NULL, NULL},
            {"--use=false", NULL, "false"},
            {"--use", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *value = value_of(rows[i].first, rows[i].second);

        assert_true(!value == !rows[i].value);
        if (value)
            assert_string_equal(value, rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
