/* The keys at each revision of made-up databases, and what becomes of each key, against what etcd was told. */
#include "keyspace/live.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "failing.h"
#include "made_up.h"

enum { DATABASES = 1500, MEMORY_MAX = 1 << 20 };

static struct bytes name_of(const struct change *c)
{
    return (struct bytes){(const uint8_t *)c->user_key, strlen(c->user_key)};
}

static void open_changes(struct keyspace_changes *c, struct bolt_file *f, const struct made_up *m)
{
    struct err e = ERR_INIT;

    expect_success(bolt_file_open(f, (struct bytes){m->bytes, m->n_pages * m->page_size}, &e) == 0, &e);
    expect_success(keyspace_changes_open(c, f, &e) == 0, &e);
}

static bool make_etcd(struct made_up *m, uint64_t seed)
{
    made_up_make(m, seed);
    if (m->has_keys && m->has_meta)
        return true;
    made_up_release(m);
    return false;
}

/* The change that a key's value at a revision is of, or NULL. */
static const struct change *newest(const struct history *h, struct bytes key, int64_t at)
{
    const struct change *found = NULL;

    for (size_t i = 0; i < h->n && h->changes[i].main <= (uint64_t)at; i++)
        if (bolt_key_compare(name_of(&h->changes[i]), key) == 0)
            found = &h->changes[i];
    return found && !found->is_tombstone ? found : NULL;
}

static void expect_kv(const struct key_value *kv, const struct change *c, uint64_t seed)
{
    struct key_value told;

    assert_true(key_value_decode((struct bytes){c->value, c->value_len}, &told));
    if (bolt_key_compare(kv->key, told.key) != 0 || kv->value.len != told.value.len ||
            (told.value.len && memcmp(kv->value.data, told.value.data, told.value.len) != 0) ||
            kv->mod_revision != told.mod_revision || kv->create_revision != told.create_revision ||
            kv->version != told.version || kv->lease != told.lease)
        fail_msg("seed %llu", (unsigned long long)seed);
}

static void compare_at(
        const struct made_up *m, struct keyspace_changes *c, int64_t at, const char *prefix, uint64_t seed)
{
    static const char *const names[] = {"key0", "key1", "key2", "key3", "key4", "key5", "key6", "key7", "key8"};
    struct err e = ERR_INIT;
    struct keyspace_live_spec spec = {
            .revision = at, .prefix = {(const uint8_t *)prefix, strlen(prefix)}, .memory_max = MEMORY_MAX};
    _cleanup_(cleanup_keyspace_live_free) struct keyspace_live *l = keyspace_live_new(c, &spec, &e);
    size_t n = 0;

    expect_success(l != NULL, &e);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct bytes name = {(const uint8_t *)names[i], strlen(names[i])};
        const struct change *told = newest(&m->history, name, at);
        struct keyspace_found found;
        struct key_value kv;

        expect_success(keyspace_changes_rewind(c, &e) == 0 && keyspace_find(c, name, at, &found, &e) == 0, &e);
        assert_int_equal(found.is_live, told != NULL);
        if (told)
            expect_kv(&found.kv, told, seed);
        if (!told || strncmp(names[i], prefix, strlen(prefix)) != 0)
            continue;
        assert_true(n < keyspace_live_count(l));
        kv = keyspace_live_at(l, n++);
        expect_kv(&kv, told, seed);
    }
    assert_int_equal(n, keyspace_live_count(l));
    assert_true(keyspace_live_memory(l) <= MEMORY_MAX);
}

static void test_made_up(void **state)
{
    unsigned tried = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= DATABASES; seed++) {
        struct made_up m;
        struct bolt_file f;
        struct keyspace_changes c;
        struct err e = ERR_INIT;
        int64_t first, last;

        if (!make_etcd(&m, seed))
            continue;
        open_changes(&c, &f, &m);
        first = c.facts.compacted > 0 ? c.facts.compacted : 1;
        last = c.facts.current;
        compare_at(&m, &c, last, "", seed);
        compare_at(&m, &c, first, "", seed);
        compare_at(&m, &c, first + (int64_t)(seed % (uint64_t)(last - first + 1)), "key", seed);
        compare_at(&m, &c, last, "key3", seed);
        compare_at(&m, &c, last, "nothing", seed);
        assert_int_equal(keyspace_revision_choose(&c.facts, last + 1, &first, &e), -1);
        made_up_release(&m);
        tried++;
    }
    assert_true(tried > DATABASES / 10);
}

/* A deletion that is not forgotten says when it was, and where the last value is. */
static void test_deleted(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= DATABASES; seed++) {
        struct made_up m;
        struct bolt_file f;
        struct keyspace_changes c;
        struct err e = ERR_INIT;

        if (!make_etcd(&m, seed))
            continue;
        open_changes(&c, &f, &m);
        for (size_t i = 0; i < m.history.n; i++) {
            const struct change *told = &m.history.changes[i], *before;
            struct keyspace_found found;

            if (!told->is_tombstone || told->is_gone || m.history.compacted >= (int64_t)told->main - 1)
                continue;
            before = newest(&m.history, name_of(told), (int64_t)told->main - 1);
            expect_success(keyspace_changes_rewind(&c, &e) == 0 &&
                                   keyspace_find(&c, name_of(told), (int64_t)told->main, &found, &e) == 0,
                    &e);
            assert_false(found.is_live);
            assert_int_equal(found.deleted, told->main);
            assert_int_equal(found.last_revision, before->main);
            seen++;
        }
        made_up_release(&m);
    }
    assert_true(seen > 100);
}

static void make_with_keys(struct made_up *m)
{
    for (uint64_t seed = 1;; seed++) {
        if (!make_etcd(m, seed))
            continue;
        if (m->history.n_live > 3)
            return;
        made_up_release(m);
    }
}

static void test_memory(void **state)
{
    struct made_up m;
    struct bolt_file f;
    struct keyspace_changes c;
    struct err e = ERR_INIT;
    struct keyspace_live_spec spec = {.memory_max = 0};
    size_t n = 0;
    bool reached;

    (void)state;
    make_with_keys(&m);
    open_changes(&c, &f, &m);
    spec.revision = c.facts.current;
    spec.memory_max = 8000; /* the smallest table takes 8 KiB */
    assert_null(keyspace_live_new(&c, &spec, &e));
    assert_int_equal(e.kind, ERR_RESOURCE);
    assert_non_null(strstr(e.text, "ask for those below a longer prefix"));
    spec.memory_max = MEMORY_MAX;
    do {
        struct keyspace_live *l;

        failing_arm(++n);
        l = keyspace_live_new(&c, &spec, &e);
        reached = failing_disarm();
        assert_int_equal(l == NULL, reached);
        keyspace_live_free(l);
    } while (reached);
    assert_true(n == 3); /* the list, its table, and the end */
    made_up_release(&m);
}

/* A table of `places` is full with three quarters of them. */
static uint64_t places_for(uint64_t keys)
{
    uint64_t places = 256;

    while (keys > places / 4 * 3)
        places *= 2;
    return places;
}

/* All of them, in their order. */
static void expect_names(const struct keyspace_live *l, size_t n)
{
    char before[MADE_UP_NAME_LEN + 1] = "";

    assert_int_equal(keyspace_live_count(l), n);
    for (size_t i = 0; i < n; i++) {
        struct key_value kv = keyspace_live_at(l, i);
        char name[MADE_UP_NAME_LEN + 1];

        made_up_name((size_t)kv.create_revision - 2, name);
        assert_int_equal(kv.key.len, MADE_UP_NAME_LEN);
        assert_memory_equal(kv.key.data, name, MADE_UP_NAME_LEN);
        assert_true(strcmp(before, name) < 0);
        memcpy(before, name, sizeof(name));
    }
}

/* With so much memory, and with a byte less. */
static void expect_bound(struct keyspace_changes *c, size_t keys)
{
    const uint64_t table = places_for(keys) * 32, needed = keys > 192 ? table * 3 / 2 : table;
    struct keyspace_live_spec spec = {.revision = (int64_t)keys + 1, .memory_max = needed};
    struct err e = ERR_INIT;
    _cleanup_(cleanup_keyspace_live_free) struct keyspace_live *l = NULL;

    failing_arm(0);
    l = keyspace_live_new(c, &spec, &e);
    (void)failing_disarm();
    expect_success(l != NULL, &e);
    assert_int_equal(failing_largest(), table);
    assert_int_equal(keyspace_live_memory(l), needed);
    assert_true(keys < 192 || (table >= 42 * keys && table <= 86 * keys)); /* as is promised */
    expect_names(l, keys);
    spec.memory_max--;
    failing_arm(0);
    assert_null(keyspace_live_new(c, &spec, &e));
    (void)failing_disarm();
    assert_int_equal(e.kind, ERR_RESOURCE);
    assert_non_null(strstr(e.text, "an index of these keys does not fit into "));
    assert_true(failing_largest() <= table / 2 || keys <= 192); /* what does not fit was not asked for */
}

/* What is promised of memory holds for each number of keys, where a table is full and where it has just grown. */
static void test_bound(void **state)
{
    enum { KEYS = 40000 };
    struct bolt_file f;
    struct keyspace_changes c;
    struct err e = ERR_INIT;
    size_t len;
    uint8_t *bytes = made_up_keys(KEYS, &len);

    (void)state;
    expect_success(bolt_file_open(&f, (struct bytes){bytes, len}, &e) == 0, &e);
    expect_success(keyspace_changes_open(&c, &f, &e) == 0, &e);
    assert_int_equal(c.facts.current, KEYS + 1);
    for (size_t full = 192; full + full / 2 <= KEYS; full *= 2) {
        expect_bound(&c, full);
        expect_bound(&c, full + 1);
        expect_bound(&c, full + full / 2);
    }
    free(bytes);
}

/* Who asks for the keys below a prefix pays for those alone. */
static void test_prefix(void **state)
{
    struct bolt_file f;
    struct keyspace_changes c;
    struct err e = ERR_INIT;
    struct keyspace_live_spec spec = {.prefix = {(const uint8_t *)"key/012", 7}, .memory_max = (uint64_t)256 * 32};
    struct keyspace_live *l;
    size_t len, wanted = 0;
    uint8_t *bytes = made_up_keys(50000, &len);

    (void)state;
    expect_success(bolt_file_open(&f, (struct bytes){bytes, len}, &e) == 0, &e);
    expect_success(keyspace_changes_open(&c, &f, &e) == 0, &e);
    spec.revision = c.facts.current;
    l = keyspace_live_new(&c, &spec, &e);
    expect_success(l != NULL, &e);
    for (size_t i = 0; i < 50000; i++) {
        char name[MADE_UP_NAME_LEN + 1];

        made_up_name(i, name);
        wanted += strncmp(name, "key/012", 7) == 0;
    }
    assert_true(wanted > 10);
    assert_int_equal(keyspace_live_count(l), wanted);
    keyspace_live_free(l);
    free(bytes);
}

/* A value that is none ends in an error for all keys, and for one. */
static void test_damaged(void **state)
{
    struct made_up m;
    struct bolt_file f;
    struct keyspace_changes c;
    struct err e = ERR_INIT;
    struct keyspace_live_spec spec = {.memory_max = MEMORY_MAX};
    struct keyspace_found found;
    unsigned damaged = 0;

    (void)state;
    make_with_keys(&m);
    for (uint64_t page = 2; page < m.n_pages; page++) {
        uint8_t *at = memmem(m.bytes + page * m.page_size, m.page_size, "\x0A\x04key", 5);

        if (!m.used[page] || !at)
            continue;
        at[0] = 0x0B; /* no type of protobuf's that is in use */
        damaged++;
    }
    assert_true(damaged > 0);
    open_changes(&c, &f, &m);
    spec.revision = c.facts.current;
    assert_null(keyspace_live_new(&c, &spec, &e));
    assert_int_equal(e.kind, ERR_INTEGRITY);
    e = ERR_INIT;
    expect_success(keyspace_changes_rewind(&c, &e) == 0, &e);
    assert_int_equal(keyspace_find(&c, (struct bytes){(const uint8_t *)"key1", 4}, spec.revision, &found, &e), -1);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    made_up_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_made_up), cmocka_unit_test(test_deleted),
            cmocka_unit_test(test_memory), cmocka_unit_test(test_bound), cmocka_unit_test(test_prefix),
            cmocka_unit_test(test_damaged)};

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
