/*
 * Whatever a person may plausibly write at a key: it loads, or fails in one line that begins with its place and its
 * key. Each key of the schema with each of these values, as they stand, in quotes, as the one item of a list, and as a
 * section.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"
#include "scratch.h"

static const char *const values[] = {
        "",
        "''",
        "\"\"",
        "~",
        "null",
        "NULL",
        "true",
        "yes",
        "off",
        "0",
        "-0",
        "1",
        "-1",
        "+1",
        "007",
        "0x10",
        "1e3",
        "1.5",
        "1_000",
        "18446744073709551616",
        "60",
        "60s",
        "1m",
        "1M",
        "1 m",
        "1h30m",
        "1.5h",
        "-5m",
        "+5m",
        "500us",
        "15d",
        "forever",
        "5MiB",
        "5mb",
        "8 GiB",
        "1Ti",
        "info",
        "WARN",
        "trace",
        "auto",
        "Virtual",
        "localhost",
        "localhost:2379",
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:99999",
        "10.0.0.300:1",
        "[::1]:2379",
        "::1",
        "http://a",
        "HTTPS://a",
        "https://a/",
        "https://a/b",
        "https://u:p@a",
        "ftp://a",
        "unix:///run/s",
        "a.example.com.",
        "a..b",
        "-a",
        "a b",
        "a,b",
        "s3://bucket/prefix",
        "bucket/",
        "Bucket_1",
        "..",
        "backup-",
        "a/b/c",
        "/",
        "/etc",
        "/etc/passwd",
        "~/key",
        "$HOME/key",
        "./key",
        "file:///key",
        "C:\\key",
        "eu-central-1",
        "EU (Frankfurt)",
        "\"* * * * *\"",
        "\"0 */6 * * *\"",
        "\"0 0 31 2 *\"",
        "'@daily'",
        "'@reboot'",
        "'@every 6h'",
        "0 */6 * * *",
        "* * * * *",
        "@daily",
        "%x",
        "`x`",
        "!x",
        "&x",
        "*x",
        "|",
        ">",
        "- a",
        "? a",
        "a: b",
        "a:b",
        "a #b",
        "#a",
        "{{ x }}",
        "${X}",
        "<none>",
        "\"a\\nb\"",
        "\"a\\tb\"",
        "'a''b'",
        "\"a",
        "'a",
        "\xc3\xa4",
        "\xe2\x80\x8b",
        "root",
        "DOMAIN\\group",
        "curl -d @- http://x",
        "127.0.0.1:9379",
        ":9379",
        "*:9379",
        "0.0.0.0:9379",
        "9379",
};

/* Writes the key with its sections above it. */
static void write_key(char *out, size_t size, const char *key, const char *value)
{
    unsigned depth = 0;
    size_t used = 0;

    for (const char *p = key; *p; depth++) {
        size_t len = strcspn(p, ".");

        used += (size_t)snprintf(
                out + used, size - used, "%*s%.*s:%s", (int)depth * 2, "", (int)len, p, p[len] ? "\n" : " ");
        p += len + (p[len] == '.');
    }
    (void)snprintf(out + used, size - used, "%s\n", value);
}

/* One line, which begins with its place. */
static void check_line(const char *text, const struct err *e)
{
    unsigned line, column;
    int used = 0;

    if (e->kind != ERR_CONFIG || sscanf(e->text, "f.yml:%u:%u: %n", &line, &column, &used) != 2 || used == 0 ||
            strchr(e->text, '\n') || strlen(e->text + used) < 5)
        fail_msg("'%s' says: %s", text, e->text);
}

static void check(const char *key, const char *value)
{
    char text[1000];
    size_t used;
    struct err e = ERR_INIT;
    struct conf *c;

    write_key(text, sizeof(text), key, value);
    used = strlen(text);
    /* What is mandatory, unless the key is of that section: then that it is missing must not hide the value. */
    if (strncmp(key, "s3_client.", 10) != 0)
        (void)snprintf(text + used, sizeof(text) - used, "%s", S3);
    c = conf_parse("f.yml", (struct bytes){(const uint8_t *)text, strlen(text)}, &e);
    if (!c)
        check_line(text, &e);
    conf_free(c);
}

static void check_key(void *ctx, const struct conf_schema_entry *entry)
{
    unsigned *n = ctx;

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char text[200];

        check(entry->key, values[i]);
        (void)snprintf(text, sizeof(text), "[%s]", values[i]);
        check(entry->key, text);
        (void)snprintf(text, sizeof(text), "[\"a\", '%s']", strchr(values[i], '\'') ? "x" : values[i]);
        check(entry->key, text);
        (void)snprintf(text, sizeof(text), "{x: %s}", values[i]);
        check(entry->key, text);
        (void)snprintf(text, sizeof(text), "'%s'", strchr(values[i], '\'') ? "x" : values[i]);
        check(entry->key, text);
    }
    ++*n;
}

static void each_value_at_each_key(void **state)
{
    unsigned n = 0;

    (void)state;
    conf_schema_each(check_key, &n);
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_value_at_each_key),
    };

    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
