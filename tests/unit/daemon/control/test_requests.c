/* What is asked for over the control socket, as the jobs take it. */
#include "expect.h"

#include <string.h>

#include "control/requests.h"

struct retain_policy prune_policy(const struct conf *c)
{
    (void)c;
    return (struct retain_policy){.max_age = 0};
}

/* The name of an object is one of this prefix, and of no longer or shorter one. */
static void test_names(void **state)
{
    static const struct {
        const char *object;
        bool is_ours;
    } rows[] = {
            {"", true},
            {"prod-2024-12-06T21:22:25Z.dump", true},
            {"prod-2024-12-06T21:22:25Z.key", true},
            {"prod-2024-12-06T21:22:25Z", true},
            {"prod-2024-12-06T22:22:25+01:00.dump", true},
            {"test-2024-12-06T21:22:25Z.dump", false},
            {"prod-eu-2024-12-06T21:22:25Z.dump", false},
            {"eu-prod-2024-12-06T21:22:25Z.dump", false},
            {"-2024-12-06T21:22:25Z.dump", false},
            {"prod", false},
    };
    struct conf conf = {.s3.objects_prefix = (char[]){"prod"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Control__Restore restore = CONTROL__RESTORE__INIT;
        Control__Verify verify = CONTROL__VERIFY__INIT;
        struct restore_request as_restore;
        struct verify_request as_verify;
        struct err e = ERR_INIT;

        restore.object = verify.object = (char *)(uintptr_t)rows[i].object;
        assert_int_equal(requests_restore(&restore, &conf, true, &as_restore, &e), rows[i].is_ours ? 0 : -1);
        assert_int_equal(e.kind, rows[i].is_ours ? ERR_NONE : ERR_CONFIG);
        assert_int_equal(requests_verify(&verify, &conf, true, &as_verify, &e), rows[i].is_ours ? 0 : -1);
        assert_true(rows[i].is_ours || strstr(e.text, " is no backup of this configuration: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
