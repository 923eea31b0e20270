/* HashKV of made-up databases, against the same computed the slow way from what etcd was told. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bolt/stream.h"
#include "expect.h"
#include "failing.h"
#include "keyspace/crc32c.h"
#include "keyspace/facts.h"
#include "keyspace/hash.h"
#include "keyspace/index.h"
#include "keyspace/key_value.h"
#include "made_up.h"

enum { DATABASES = 3000 };

static bool is_etcd(const struct made_up *m)
{
    return m->has_keys && m->has_meta;
}

static void open_file(struct bolt_file *f, const struct made_up *m)
{
    struct err e = ERR_INIT;

    expect_success(bolt_file_open(f, (struct bytes){m->bytes, m->n_pages * m->page_size}, &e) == 0, &e);
}

static int64_t last_revision(const struct history *h)
{
    int64_t last = 1;

    for (size_t i = 0; i < h->n; i++)
        if (!h->changes[i].is_gone)
            last = (int64_t)h->changes[i].main;
    return h->compacted > last ? h->compacted : last;
}

static void test_made_up(void **state)
{
    unsigned tried = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= DATABASES; seed++) {
        struct made_up m;
        struct bolt_file f;
        struct err e = ERR_INIT;
        struct keyspace_hasher *h;
        const struct keyspace_hash *r;
        int more;

        made_up_make(&m, seed);
        if (!is_etcd(&m)) {
            made_up_release(&m);
            continue;
        }
        open_file(&f, &m);
        expect_success((h = keyspace_hasher_new(&f, 0, 1 << 20, &e)), &e);
        while ((more = keyspace_hasher_step(h, 1 + seed % 5000, &e)) > 0)
            continue;
        expect_success(more == 0, &e);
        r = keyspace_hasher_result(h);
        if (r->hash != m.history.hash)
            fail_msg("seed %llu", (unsigned long long)seed);
        assert_int_equal(r->keys, m.history.n_live);
        assert_int_equal(r->compact_revision, m.history.compacted);
        assert_int_equal(r->revision, last_revision(&m.history));
        assert_int_equal(keyspace_hasher_step(h, 1, &e), 0); /* it stays done */
        keyspace_hasher_free(h);
        made_up_release(&m);
        tried++;
    }
    assert_true(tried > DATABASES / 10);
}

/* What went by and what lies there tell the same. */
static void test_facts(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= DATABASES; seed++) {
        struct made_up m;
        struct bolt_file f;
        struct err e = ERR_INIT;
        struct keyspace_facts of_file, of_report;
        _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = bolt_stream_new(&e);

        assert_non_null(s);
        made_up_make(&m, seed);
        open_file(&f, &m);
        expect_success(keyspace_facts_of_file(&of_file, &f, &e) == 0, &e);
        bolt_stream_update(s, f.bytes);
        keyspace_facts_of_report(&of_report, bolt_stream_finish(s));
        assert_int_equal(of_report.has_keys, m.has_keys);
        assert_int_equal(of_file.has_keys, m.has_keys);
        assert_int_equal(of_file.current, of_report.current);
        assert_int_equal(of_file.compacted, of_report.compacted);
        assert_string_equal(of_file.storage, of_report.storage);
        if (is_etcd(&m)) {
            assert_int_equal(of_report.current, last_revision(&m.history));
            assert_int_equal(of_report.compacted, m.history.compacted);
            assert_true(of_report.storage[0] == '3');
        }
        made_up_release(&m);
    }
}

static void make_etcd(struct made_up *m, bool compacted)
{
    for (uint64_t seed = 1;; seed++) {
        made_up_make(m, seed);
        if (is_etcd(m) && (m->history.compacted > 3) == compacted && m->history.n_live > 2)
            return;
        made_up_release(m);
    }
}

static void test_revisions_that_are_not_there(void **state)
{
    struct made_up m;
    struct bolt_file f;
    struct err e = ERR_INIT;

    (void)state;
    make_etcd(&m, true);
    open_file(&f, &m);
    assert_null(keyspace_hasher_new(&f, 1000000, 1 << 20, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "revision 1000000 is not there yet"));
    assert_null(keyspace_hasher_new(&f, m.history.compacted - 1, 1 << 20, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "is not there any more"));
    made_up_release(&m);
}

/* A value of another revision, and one that is none. */
static void test_damaged_values(void **state)
{
    struct made_up m;
    struct err e = ERR_INIT;
    uint8_t *at;

    (void)state;
    make_etcd(&m, false);
    for (uint64_t page = 2; page < m.n_pages; page++) {
        struct bolt_file f;
        struct keyspace_hasher *h;
        int more;

        at = memmem(m.bytes + page * m.page_size, m.page_size, "\x0A\x04key", 5);
        if (!m.used[page] || !at)
            continue;
        at[0] = 0x0B; /* no type of protobuf's that is in use */
        open_file(&f, &m);
        expect_success((h = keyspace_hasher_new(&f, 0, 1 << 20, &e)), &e);
        while ((more = keyspace_hasher_step(h, 1000, &e)) > 0)
            continue;
        assert_int_equal(more, -1);
        assert_int_equal(e.kind, ERR_INTEGRITY);
        assert_non_null(strstr(e.text, ": the value of a key is none that etcd writes"));
        keyspace_hasher_free(h);
        made_up_release(&m);
        return;
    }
    fail();
}

static void test_crc(void **state)
{
    struct crc32c c;
    uint32_t crc = 0;
    const uint8_t *digits = (const uint8_t *)"123456789";

    (void)state;
    crc32c_init(&c);
    assert_int_equal(crc32c_update(&c, 0, (struct bytes){digits, 9}), 0xE3069283); /* the check value of CRC-32C */
    for (size_t i = 0; i < 9; i++)
        crc = crc32c_update(&c, crc, (struct bytes){digits + i, 1});
    assert_int_equal(crc, 0xE3069283);
}

static void test_key_values(void **state)
{
    static const struct {
        const char *encoded;
        size_t len;
        bool is_one;
        int64_t mod;
    } rows[] = {
            {"", 0, true, 0},
            {"\x0A\x01k\x10\x02\x18\x03\x20\x01\x2A\x01v\x30\x05", 14, true, 3},
            {"\x18\x03\x18\x04", 4, true, 4},  /* the last one counts */
            {"\x3A\x01x\x18\x07", 5, true, 7}, /* a field of tomorrow */
            {"\x39\x01\x02\x03\x04\x05\x06\x07\x08\x18\x07", 11, true, 7},
            {"\x3D\x01\x02\x03\x04\x18\x07", 7, true, 7},
            {"\x18", 1, false, 0}, /* cut */
            {"\x0A\x05k", 3, false, 0},
            {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, false, 0},
            {"\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, false, 0}, /* a number of eleven bytes */
            {"\x08\x01", 2, false, 0},                                          /* a number where the key is */
            {"\x1A\x00", 2, false, 0},
            {"\x00\x01", 2, false, 0}, /* field 0 */
            {"\x0B\x0C", 2, false, 0}, /* a group */
            {"\x39\x01", 2, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct key_value kv;
        bool is_one = key_value_decode((struct bytes){(const uint8_t *)rows[i].encoded, rows[i].len}, &kv);

        if (is_one != rows[i].is_one)
            fail_msg("row %zu", i);
        if (is_one)
            assert_int_equal(kv.mod_revision, rows[i].mod);
    }
}

static void test_index_is_bounded(void **state)
{
    struct err e = ERR_INIT;
    _cleanup_(cleanup_key_index_free) struct key_index *x = key_index_new(200000, &e);
    uint64_t n = 0;

    (void)state;
    assert_non_null(x);
    while (key_index_put(x, (struct bytes){(const uint8_t *)&n, sizeof(n)}, &(struct revision){.main = n}, &e) == 0)
        n++;
    assert_int_equal(e.kind, ERR_RESOURCE);
    assert_int_equal(n, 3072);
    assert_int_equal(key_index_n_live(x), n);
    assert_true(key_index_memory(x) <= 200000);
    for (uint64_t i = 0; i < n; i++)
        assert_true(
                key_index_is_live(x, (struct bytes){(const uint8_t *)&i, sizeof(i)}, &(struct revision){.main = i}));
}

static void test_no_memory(void **state)
{
    struct made_up m;
    struct bolt_file f;
    bool reached;
    size_t n = 0;

    (void)state;
    make_etcd(&m, true);
    open_file(&f, &m);
    do {
        struct err e = ERR_INIT;
        struct keyspace_hasher *h;

        failing_arm(++n);
        h = keyspace_hasher_new(&f, 0, 1 << 20, &e);
        reached = failing_disarm();
        assert_int_equal(h == NULL, reached);
        if (reached)
            assert_int_equal(e.kind, ERR_RESOURCE);
        keyspace_hasher_free(h);
    } while (reached);
    assert_true(n > 3);
    made_up_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_made_up), cmocka_unit_test(test_facts),
            cmocka_unit_test(test_revisions_that_are_not_there), cmocka_unit_test(test_damaged_values),
            cmocka_unit_test(test_crc), cmocka_unit_test(test_key_values), cmocka_unit_test(test_index_is_bounded),
            cmocka_unit_test(test_no_memory)};

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
