/* The schema, the example file and what is loaded are in step. The example's path is the first argument. */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/parse.h"
#include "conf/schema.h"
#include "conf/text.h"
#include "conf/value.h"
#include "scratch.h"

enum { EXAMPLE_MAX = 65536, DEPTH_MAX = 4, INDENT = 4 };

static char *example;

struct list {
    struct {
        char key[128];
        char value[128];
    } rows[128];
    size_t n;
};

/* `    region: us-east-1` below `s3_client:` -> s3_client.region, us-east-1. Sections have no value and no row. */
static void read_line(struct list *list, char path[DEPTH_MAX][64], const char *line, size_t len)
{
    size_t indent = strspn(line, " "), depth = indent / INDENT, name = strcspn(line + indent, ":");
    const char *value = line + indent + name + 1;
    int value_len = (int)(line + len - value);

    assert_true(indent % INDENT == 0 && depth < DEPTH_MAX && name < sizeof(path[0]));
    memcpy(path[depth], line + indent, name);
    path[depth][name] = '\0';
    if (value_len <= 0)
        return;
    list->rows[list->n].key[0] = '\0';
    for (size_t i = 0; i <= depth; i++)
        strcat(strcat(list->rows[list->n].key, i ? "." : ""), path[i]);
    (void)snprintf(list->rows[list->n].value, sizeof(list->rows[0].value), "%.*s", value_len - 1, value + 1);
    list->n++;
}

/* The keys behind a single #, in their order. */
static void read_example(struct list *list)
{
    char path[DEPTH_MAX][64];

    list->n = 0;
    for (const char *line = example; *line; line += strcspn(line, "\n") + 1) {
        size_t len = strcspn(line, "\n");

        if (len == 0 || strncmp(line, "##", 2) == 0)
            continue;
        assert_int_equal(*line, '#'); /* nothing in the example is in force */
        read_line(list, path, line + 1, len - 1);
    }
}

static void add(void *ctx, const struct conf_schema_entry *entry)
{
    struct list *list = ctx;

    strcpy(list->rows[list->n].key, entry->key);
    strcpy(list->rows[list->n].value, entry->example);
    list->n++;
}

static void example_has_every_key_at_its_default(void **state)
{
    static struct list expected, found;

    (void)state;
    conf_schema_each(add, &expected);
    read_example(&found);
    for (size_t i = 0; i < expected.n && i < found.n; i++) {
        assert_string_equal(found.rows[i].key, expected.rows[i].key);
        assert_string_equal(found.rows[i].value, expected.rows[i].value);
    }
    assert_int_equal(found.n, expected.n);
}

static void example_loads_without_the_signs(void **state)
{
    static char text[EXAMPLE_MAX];
    struct conf *c;
    char *out = text;

    (void)state;
    for (const char *p = example; *p; p++)
        if (!(*p == '#' && (p == example || p[-1] == '\n')))
            *out++ = *p;
    *out = '\0';
    for (out = text; (out = strstr(out, " cron:")); out++) /* which go without interval */
        *out = '#';
    c = scratch_load(text);
    assert_string_equal(c->s3.bucket, "etcd-backups");
    assert_string_equal(c->control.group, "etcd-backup");
    assert_true(
            c->schedule.interval_ms == UINT64_C(6) * 3600 * 1000 && c->prune.max_age_ms && c->prune.min_count == 20);
    assert_string_equal(c->metrics.listen, "127.0.0.1:9379");
    conf_free(c);
}

/* A section of its own for each key, so that exactly this one is set. */
static void write_key(char *out, size_t size, const char *key, const char *value)
{
    size_t used = 0, indent = 0;

    for (const char *dot; (dot = strchr(key, '.')); key = dot + 1, indent += 2)
        used += (size_t)snprintf(out + used, size - used, "%*s%.*s:\n", (int)indent, "", (int)(dot - key), key);
    (void)snprintf(out + used, size - used, "%*s%s: %s\n", (int)indent, "", key, value);
}

/* Alone in a file, a key that is known leaves only others to be missing. */
static void every_key_is_loaded(void *ctx, const struct conf_schema_entry *entry)
{
    unsigned *n = ctx;
    char text[512];
    struct err e = ERR_INIT;

    write_key(text, sizeof(text), entry->key, entry->example);
    assert_null(conf_parse("k", (struct bytes){(const uint8_t *)text, strlen(text)}, &e));
    assert_non_null(strstr(e.text, " is missing: "));
    assert_null(strstr(e.text, entry->key));
    (*n)++;
}

static void schema_and_loader_agree(void **state)
{
    unsigned n = 0;

    (void)state;
    conf_schema_each(every_key_is_loaded, &n);
    assert_true(n >= 25);
}

/* What holds when a key is left out is what the schema says: written out, it makes no difference. */
static void defaults_are_what_is_said(void **state)
{
    struct conf *without = scratch_load(scratch_minimal);
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const char *a = (const char *)without + keys[i].offset;
        struct conf with = {.file = NULL};
        const char *b = (const char *)&with + keys[i].offset;
        struct err e = ERR_INIT;

        if (!keys[i].by_default)
            continue;
        expect_success(conf_value_set(&with, &keys[i], keys[i].by_default, &e) == 0, &e);
        if (keys[i].width == sizeof(char *) && keys[i].kind != CONF_KIND_DURATION && keys[i].kind != CONF_KIND_SIZE &&
                keys[i].kind != CONF_KIND_COUNT && *(char *const *)(const void *)b)
            assert_string_equal(*(char *const *)(const void *)a, *(char *const *)(const void *)b);
        else
            assert_memory_equal(a, b, keys[i].width);
        conf_value_free(&with, &keys[i]);
    }
    conf_free(without);
}

/* The words are in the manual; whoever has left out what he may not is told here what it is, in a line. */
static void every_mandatory_key_is_explained(void **state)
{
    size_t n;
    const struct conf_schema_key *keys = conf_schema_keys(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_false(keys[i].mandatory && keys[i].by_default);
        if (!keys[i].mandatory)
            continue;
        assert_non_null(keys[i].if_missing);
        assert_true(strlen(keys[i].if_missing) > 20 && !strpbrk(keys[i].if_missing, "\n\t"));
    }
}

static void check_entry(void *ctx, const struct conf_schema_entry *entry)
{
    (void)ctx;
    assert_non_null(entry->example);
    assert_true(strlen(entry->kind) >= 4);
}

static void every_key_has_an_example(void **state)
{
    (void)state;
    conf_schema_each(check_entry, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(example_has_every_key_at_its_default),
            cmocka_unit_test(example_loads_without_the_signs),
            cmocka_unit_test(schema_and_loader_agree),
            cmocka_unit_test(defaults_are_what_is_said),
            cmocka_unit_test(every_mandatory_key_is_explained),
            cmocka_unit_test(every_key_has_an_example),
    };
    struct err e = ERR_INIT;
    size_t len;
    int failed;

    example = argc > 1 ? conf_text_read(argv[1], EXAMPLE_MAX - 1, &len, &e) : NULL;
    if (!example) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(example);
    return failed;
}
