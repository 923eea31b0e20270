/* Values that are none, the lengths of names, and what a hostile file could cost. */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"
#include "scratch.h"

/* One value each, the last of its section, in a file that is good without it. */
static void wrong_values(void **state)
{
    static const struct {
        const char *section, *key, *value;
        const char *what;
    } cases[] = {
            {"etcd_client", "request_timeout", "15x",
                    "'15x' is not a duration (examples: 90s, 1m, 1h30m, 15d, 10w, 1y)"},
            {"etcd_client", "request_timeout", "60", "'60' is not a duration (examples: 90s, 1m, 1h30m, 15d, 10w, 1y)"},
            {"etcd_client", "request_timeout", "-1m", "'-1m' is less than nothing"},
            {"etcd_client", "request_timeout", "1M", "'1M' is not a duration (examples: 90s, 1m, 1h30m, 15d, 10w, 1y)"},
            {"etcd_client", "connection_timeout", "0", "'0' is not between 1ms and 7d"},
            {"etcd_client", "connection_timeout", "8d", "'8d' is not between 1ms and 7d"},
            {"etcd_client", "connection_timeout", "111111111111111111111111111111111s",
                    "'111111111111111111111111111111111s' is too long"},
            {"etcd_client", "retries", "-1", "'-1' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "010", "'010' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "0x10", "'0x10' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "1.0", "'1.0' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "1_000", "'1_000' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "15d", "'15d' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "\" 1\"", "' 1' is not a number (decimal digits alone)"},
            {"etcd_client", "retries", "1000001", "'1000001' is not between 0 and 1000000"},
            {"etcd_client", "retries", "18446744073709551616", "'18446744073709551616' is not between 0 and 1000000"},
            {"etcd_client", "retries", "99999999999999999999999",
                    "'99999999999999999999999' is not between 0 and 1000000"},
            {"s3_client", "parts_in_flight", "0", "'0' is not between 1 and 16"},
            {"s3_client", "parts_in_flight", "17", "'17' is not between 1 and 16"},
            {"s3_client", "parts_in_flight", "4294967299", "'4294967299' is not between 1 and 16"},
            {"s3_client", "part_size", "4MiB", "'4MiB' is not between 5.0 MiB and 5.00 GiB"},
            {"s3_client", "part_size", "5GiBs", "'5GiBs' is not a size (examples: 8MiB, 512KiB, 1GiB)"},
            {"s3_client", "part_size", "5368709121", "'5368709121' is not between 5.0 MiB and 5.00 GiB"},
            {"s3_client", "part_size", "auto", "'auto' is not a size (examples: 8MiB, 512KiB, 1GiB)"},
            {"s3_client", "spool_size", "9223372036854775808", "'9223372036854775808' is not between 1 B and 8.00 EiB"},
            {"s3_client", "addressing", "paths", "'paths' is none of auto, path, virtual"},
            {"s3_client", "region", "a/b", "'a/b' has a character that cannot be in such a name"},
            {"s3_client", "region", "\"a b\"", "'a b' has a character that cannot be in such a name"},
            {"control", "group", "a:b", "'a:b' has a character that cannot be in such a name"},
            {"control", "group", "\"a b\"", "'a b' has a character that cannot be in such a name"},
    };
    char text[512], line[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool etcd = strcmp(cases[i].section, "etcd_client") == 0, s3 = strcmp(cases[i].section, "s3_client") == 0;
        struct scratch_refused refused = {.text = text, .line = line};

        int used = snprintf(text, sizeof(text), "%s%s", etcd ? "" : ETCD, s3 ? "" : S3);
        int before = snprintf(text + used, sizeof(text) - (size_t)used, "%s: {%s%s: ", cases[i].section,
                etcd ? "endpoints: [a], "
                : s3 ? "endpoint: e, bucket: bbb, auth: {key_auth: k}, "
                     : "",
                cases[i].key);

        strcat(strcat(text, cases[i].value), "}\n");
        (void)snprintf(line, sizeof(line), "f.yml:%d:%d: %s.%s: %s", etcd || s3 ? 2 : 3, before + 1, cases[i].section,
                cases[i].key, cases[i].what);
        scratch_expect_refused(&refused, 1);
    }
}

static void wrong_words_at_the_top(void **state)
{
    static const struct scratch_refused cases[] = {
            {ETCD S3 "log_level: verbose\n", "f.yml:3:12: log_level: 'verbose' is none of error, warning, info, debug"},
            {ETCD S3 "log_level: 'in'\n", "f.yml:3:12: log_level: 'in' is none of error, warning, info, debug"},
            {ETCD "s3_client: {endpoint: e, bucket: a/b, auth: {key_auth: k}}\n",
                    "f.yml:2:34: s3_client.bucket: 'a/b' has a character that cannot be in such a name"},
            {ETCD "s3_client: {endpoint: e, bucket: .., auth: {key_auth: k}}\n",
                    "f.yml:2:34: s3_client.bucket: '..' cannot be the name of a bucket"},
            {ETCD "s3_client: {endpoint: e, bucket: ...., auth: {key_auth: k}}\n",
                    "f.yml:2:34: s3_client.bucket: '....' cannot be the name of a bucket"},
            {ETCD "s3_client: {endpoint: e, bucket: bb, auth: {key_auth: k}}\n",
                    "f.yml:2:34: s3_client.bucket: 'bb' cannot be the name of a bucket"},
            {ETCD "s3_client: {endpoint: e/x, bucket: aaa, auth: {key_auth: k}}\n",
                    "f.yml:2:23: s3_client.endpoint: 'e/x' is not an endpoint: there is something after host and port; "
                    "they stand alone"},
            {S3 "etcd_client:\n  endpoints:\n  - a:1\n  - a:b\n",
                    "f.yml:5:5: etcd_client.endpoints[1]: 'a:b' is not an endpoint: the port is not a number"},
            {S3 "etcd_client:\n  endpoints:\n  - https://me:secret@host\n",
                    "f.yml:4:5: etcd_client.endpoints[0]: is not an endpoint: a user name does not belong here"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

/* Loads the text with `n` times the letter where it has a `$`. */
static struct conf *load_long(const char *pattern, size_t n, char letter, struct err *e)
{
    size_t before = strcspn(pattern, "$"), size = strlen(pattern) - 1 + n;
    _cleanup_free_ char *text = malloc(size + 1);

    assert_non_null(text);
    memcpy(text, pattern, before);
    memset(text + before, letter, n);
    strcpy(text + before + n, pattern + before + 1);
    return conf_parse("f.yml", (struct bytes){(const uint8_t *)text, size}, e);
}

static void lengths(void **state)
{
    static const struct {
        const char *pattern;
        size_t max;
        const char *start, *end;
    } cases[] = {
            {ETCD "s3_client: {endpoint: e, objects_prefix: $, bucket: bbb, auth: {key_auth: k}}\n", 900,
                    "f.yml:2:42: s3_client.objects_prefix: 'aaaaaa", "aaa...' is longer than 900 bytes"},
            {ETCD "s3_client: {endpoint: e, bucket: $, auth: {key_auth: k}}\n", 255,
                    "f.yml:2:34: s3_client.bucket: 'aaaaaa", "aaa...' is longer than 255 bytes"},
            {ETCD S3 "snapshot_path: $\n", 4095, "f.yml:3:16: snapshot_path: 'aaa",
                    "aaa...' is longer than 4095 bytes"},
            {ETCD S3 "previous_key_paths: [$]\n", 4095, "f.yml:3:22: previous_key_paths[0]: 'aaa",
                    "aaa...' is longer than 4095 bytes"},
            {ETCD S3 "control:\n  socket: $\n", 107, "f.yml:4:11: control.socket: 'aaa",
                    "aaa...' is longer than 107 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = ERR_INIT;
        struct conf *c = load_long(cases[i].pattern, cases[i].max, 'a', &e);

        expect_success(c, &e);
        conf_free(c);
        assert_null(load_long(cases[i].pattern, cases[i].max + 1, 'a', &e));
        assert_memory_equal(e.text, cases[i].start, strlen(cases[i].start));
        assert_string_equal(e.text + strlen(e.text) - strlen(cases[i].end), cases[i].end);
    }
}

/* What a hostile file could cost. */
static void bounds(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_free_ char *text = NULL;
    size_t used;

    (void)state;
    scratch_expect_refused((const struct scratch_refused[]){{"{a: {a: {a: {a: {a: {a: {a: {a: {b",
                                   "f.yml:1:35: a.a.a.a.a.a.a.a.b: nested too deeply"}},
            1);
    scratch_expect_refused((const struct scratch_refused[]){{"[[[[[[[[[[[[[[[[[[[[[[[[[",
                                   "f.yml:1:10: [0][0][0][0][0][0][0][0][0]: nested too "
                                   "deeply"}},
            1);
    assert_null(load_long("etcd_client:\n  endpoints: $\n", 1 << 19, '[', &e));
    expect_error(&e, ERR_CONFIG, "f.yml:2:21: etcd_client.endpoints[0][0][0][0][0][0][0]: nested too deeply");
    assert_null(load_long("log_level: info\n? $\n: x\n", 1 << 19, 'a', &e));
    expect_error(&e, ERR_CONFIG, "f.yml:2:3: unknown key");

    /* The 65th endpoint, and far too many values. */
    text = calloc(1, 1 << 16);
    used = (size_t)sprintf(text, S3 "etcd_client:\n  endpoints:\n");
    for (unsigned i = 0; i < 2000; i++) {
        used += (size_t)sprintf(text + used, "  - h%u\n", i);
        if (i != 64 && i != 1999)
            continue;
        assert_null(conf_parse("f.yml", (struct bytes){(const uint8_t *)text, used}, &e));
        expect_error(&e, ERR_CONFIG,
                i == 64 ? "f.yml:68:5: etcd_client.endpoints[64]: more than 64 endpoints"
                        : "f.yml:996:5: etcd_client.endpoints: the file has too many keys and values");
    }
}

/* The line is one line and says what is wrong however long the rest of it is. */
static void long_names(void **state)
{
    char name[4096];
    struct err e = ERR_INIT;
    const char *text = ETCD S3 "log_level: loud\n";
    const char *tail = "/a.yml:3:12: log_level: 'loud' is none of error, warning, info, debug";

    (void)state;
    memset(name, 'd', sizeof(name));
    strcpy(name + sizeof(name) - 7, "/a.yml");
    assert_null(conf_parse(name, (struct bytes){(const uint8_t *)text, strlen(text)}, &e));
    assert_memory_equal(e.text, "...ddd", 6);
    assert_string_equal(e.text + strlen(e.text) - strlen(tail), tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(wrong_values),
            cmocka_unit_test(wrong_words_at_the_top),
            cmocka_unit_test(lengths),
            cmocka_unit_test(bounds),
            cmocka_unit_test(long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
