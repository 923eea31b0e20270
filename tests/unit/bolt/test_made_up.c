/* A hundred thousand made-up databases through both readers, whole and broken. */
#include <stdlib.h>
#include <string.h>

#include "bolt/file.h"
#include "bolt/stream.h"
#include "expect.h"
#include "made_up.h"

/* Sanitizers take ten times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { DATABASES = 2000 };
#else
enum { DATABASES = 100000 };
#endif

/* In pieces of any length. */
static struct bolt_stream *look(const struct made_up *m, uint64_t *random)
{
    struct err e = ERR_INIT;
    struct bolt_stream *s = bolt_stream_new(&e);
    size_t len = m->n_pages * m->page_size, piece = 1 + made_up_random(random, 3 * (uint64_t)m->page_size);

    assert_non_null(s);
    if (made_up_random(random, 2))
        piece = len;
    for (size_t at = 0; at < len; at += piece)
        bolt_stream_update(s, (struct bytes){m->bytes + at, len - at < piece ? len - at : piece});
    return s;
}

static int read_bucket(const struct bolt_bucket *b, uint64_t *n, uint64_t *digest, struct err *e)
{
    struct bolt_cursor c;
    struct bolt_entry entry;
    int more;

    *n = *digest = 0;
    if (bolt_cursor_start(&c, b, e) < 0)
        return -1;
    for (; (more = bolt_cursor_next(&c, &entry, e)) > 0; ++*n)
        *digest = made_up_join(*digest, entry.key, entry.value);
    return more;
}

/* All buckets of a file: how many there are, or -1. */
static int read_all(const struct made_up *m, uint64_t *n, uint64_t *digest, struct err *e)
{
    struct bolt_file f;
    struct bolt_bucket root, b;
    struct bolt_cursor c;
    struct bolt_entry entry;
    int found = 0, more;

    if (bolt_file_open(&f, (struct bytes){m->bytes, m->n_pages * m->page_size}, e) < 0)
        return -1;
    root = bolt_file_root(&f);
    if (bolt_cursor_start(&c, &root, e) < 0)
        return -1;
    for (; (more = bolt_cursor_next(&c, &entry, e)) > 0 && found < MADE_UP_BUCKETS_MAX; found++)
        if (!entry.is_bucket || bolt_entry_bucket(&c, &entry, &b, e) < 0 ||
                read_bucket(&b, &n[found], &digest[found], e) < 0)
            return -1;
    return more < 0 ? -1 : found;
}

static void expect_whole(const struct made_up *m, uint64_t seed, uint64_t *random)
{
    uint64_t n[MADE_UP_BUCKETS_MAX], digest[MADE_UP_BUCKETS_MAX];
    struct err e = ERR_INIT;
    _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = look(m, random);
    const struct bolt_report *r = bolt_stream_finish(s);
    int found = read_all(m, n, digest, &e);

    if (r->structure != BOLT_SOUND || found < 0)
        fail_msg("seed %llu: %s; %s", (unsigned long long)seed, r->why, e.text);
    assert_int_equal(r->n_buckets, m->n_buckets);
    assert_int_equal(found, m->n_buckets);
    assert_int_equal(r->n_used, m->n_used);
    for (size_t i = 0; i < m->n_buckets; i++) {
        assert_string_equal(r->buckets[i].name, m->buckets[i].name);
        assert_int_equal(r->buckets[i].n, m->buckets[i].n);
        assert_int_equal(n[i], m->buckets[i].n);
        assert_true(digest[i] == m->buckets[i].digest);
    }
}

/* Somewhere, mostly where headers and elements are. */
static void damage(struct made_up *m, uint64_t *random)
{
    uint64_t page = made_up_random(random, m->n_pages), at = made_up_random(random, m->page_size);
    uint8_t *to = m->bytes + page * m->page_size;

    if (made_up_random(random, 4))
        at = made_up_random(random, 128);
    switch (made_up_random(random, 4)) {
    case 0:
        to[at] ^= (uint8_t)(1U << made_up_random(random, 8));
        break;
    case 1:
        to[at] = (uint8_t)made_up_random(random, 256);
        break;
    case 2:
        memset(to + (at & ~(uint64_t)7), made_up_random(random, 2) ? 0 : 0xFF, 8);
        break;
    default:
        memcpy(to, m->bytes + made_up_random(random, m->n_pages) * m->page_size, m->page_size);
    }
    if (page < 2 && made_up_random(random, 2))
        made_up_sign_meta(to);
}

/* Where a look finds nothing, a reader finds nothing either, whatever happened. */
static bool expect_agreement(const struct made_up *m, uint64_t seed, uint64_t *random)
{
    uint64_t n[MADE_UP_BUCKETS_MAX], digest[MADE_UP_BUCKETS_MAX];
    struct err e = ERR_INIT;
    _cleanup_(cleanup_bolt_stream_free) struct bolt_stream *s = look(m, random);
    const struct bolt_report *r = bolt_stream_finish(s);

    if (r->structure == BOLT_SOUND && read_all(m, n, digest, &e) < 0)
        fail_msg("seed %llu: sound, but %s", (unsigned long long)seed, e.text);
    if (r->structure != BOLT_SOUND)
        (void)read_all(m, n, digest, &e);
    return r->structure == BOLT_SOUND;
}

static void test_made_up(void **state)
{
    unsigned still_sound = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= DATABASES; seed++) {
        struct made_up m;
        uint64_t random = seed;

        made_up_make(&m, seed);
        expect_whole(&m, seed, &random);
        for (uint64_t i = made_up_random(&random, 3); i < 3; i++)
            damage(&m, &random);
        still_sound += expect_agreement(&m, seed, &random);
        made_up_release(&m);
    }
    /* Both happened often. */
    assert_in_range(still_sound, DATABASES / 20, DATABASES * 3 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_made_up)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
