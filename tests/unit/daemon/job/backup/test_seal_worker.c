/*
 * A snapshot through the stage, and back through the unstage into a file, on a loop with its thread pool. Sizes around
 * the borders of a chunk, sealed and plain, compressed and not; then all that can be wrong with what comes back.
 */
#include "expect.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>
#include <uv.h>

#include "failing.h"
#include "folder.h"
#include "job/backup/seal_worker.h"
#include "job/restore/output_file.h"
#include "job/restore/unseal_worker.h"
#include "made_up.h"
#include "seal/key.h"
#include "seal/seal.h"
#include "seal/unseal.h"
#include "zstd/compress.h"

enum { MIB = 1 << 20 };

static uv_loop_t loop;
static struct secret *key;
static int level;                   /* of compression, in the test that runs; 0: none */
static struct keyspace_facts facts; /* of what went through the stage last */

static int setup(void **state)
{
    struct err e = ERR_INIT;

    if (folder_setup(state) < 0 || uv_loop_init(&loop) < 0)
        return -1;
    key = key_new_data(&e);
    level = 0;
    return key ? 0 : -1;
}

static int teardown(void **state)
{
    secret_free(key);
    /* Nothing is left on the loop: neither a handle nor work. */
    return uv_run(&loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&loop) == 0 ? folder_teardown(state) : -1;
}

static int setup_compressed(void **state)
{
    int ret = setup(state);

    level = 3;
    return ret;
}

/* `len` bytes that do not repeat with any chunk, of `kinds` different ones, and their SHA-256 behind them unless
 * `wrong`. */
static struct buf make_snapshot_of(unsigned kinds, size_t len, bool wrong)
{
    struct buf b = BUF_INIT(SIZE_MAX / 2);
    struct err e = ERR_INIT;
    uint64_t x = len;

    assert_int_equal(buf_reserve(&b, len + 32, &e), 0);
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        b.data[i] = (uint8_t)((x >> 48) % kinds);
    }
    made_up_frame(b.data, len);
    SHA256(b.data, len, b.data + len);
    b.data[len + 31] ^= wrong;
    b.len = len + 32;
    return b;
}

static struct buf make_snapshot(size_t len, bool wrong)
{
    return make_snapshot_of(256, len, wrong);
}

struct answer {
    bool came;
    struct err err;
    struct buf *into; /* where a stage's output is collected */
    uint8_t *place;   /* where it is to be made; NULL: it does not matter */
};

static void on_chunk(void *ctx, struct bytes out, const struct err *err)
{
    struct answer *a = ctx;
    struct err e = ERR_INIT;

    assert_false(a->came);
    a->came = true;
    if (err)
        a->err = *err;
    assert_true(!a->place || out.data == a->place);
    if (out.len)
        assert_int_equal(buf_append(a->into, out.data, out.len, &e), 0);
}

static void on_piece(void *ctx, const struct err *err)
{
    struct answer *a = ctx;

    assert_false(a->came);
    a->came = true;
    if (err)
        a->err = *err;
}

static void wait_for(const struct answer *a)
{
    while (!a->came)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

/* What is stored for a snapshot; the last verdict into *verdict. */
static struct buf seal_worker_all(struct bytes plain, const struct secret *with, struct err *verdict)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct err e = ERR_INIT;
    struct seal_worker *s =
            seal_worker_new(&loop, &(struct seal_worker_spec){.data_key = with, .compression_level = level}, &e);
    _cleanup_free_ uint8_t *room = malloc((size_t)seal_worker_room(s, SEAL_CHUNK));
    uint64_t promised, before;
    unsigned runs = 0;
    uint8_t *into;

    expect_success(s, &e);
    promised = seal_worker_output_size(s, plain.len);
    while (plain.len || seal_worker_has_more(s)) {
        struct bytes chunk = {plain.data, plain.len < SEAL_CHUNK ? plain.len : SEAL_CHUNK};
        struct answer a = {.into = &out};

        assert_false(seal_worker_is_busy(s));
        assert_true(level || !seal_worker_has_more(s));
        before = out.len;
        into = runs++ % 2 ? room : NULL;
        a.place = with ? into : NULL;
        seal_worker_run(s, chunk, chunk.len == plain.len, into, &a, on_chunk);
        assert_true(seal_worker_is_busy(s));
        assert_false(a.came);
        wait_for(&a);
        assert_int_equal(a.err.kind, ERR_NONE);
        assert_true(out.len - before <= seal_worker_room(s, chunk.len));
        plain.data += chunk.len;
        plain.len -= chunk.len;
    }
    assert_true(level ? out.len <= promised : out.len == promised);
    *verdict = ERR_INIT;
    if (seal_worker_verdict(s, &e) < 0)
        *verdict = e;
    facts = seal_worker_facts(s);
    seal_worker_free(s);
    return out;
}

/* What the end of a dump says of its frames; of one that cannot be opened, nothing. */
static struct seek_table *table_of(struct bytes stored, const struct secret *with)
{
    struct err e = ERR_INIT;
    _cleanup_buf_ struct buf stream = BUF_INIT(SIZE_MAX / 2);
    _cleanup_(cleanup_unseal_free) struct unseal *u = with ? unseal_new(with, stored.len, &e) : NULL;
    struct bytes end = stored;
    size_t size, n;

    while (u && (n = unseal_next_len(u)) > 0) {
        if (buf_reserve(&stream, n, &e) < 0 ||
                unseal_chunk(u, (struct bytes){stored.data, n}, stream.data + stream.len, &e) < 0)
            return NULL;
        assert_int_equal(unseal_content(u), SEAL_COMPRESSED);
        stream.len += n - SEAL_OVERHEAD;
        stored.data += n;
    }
    if (with)
        end = buf_bytes(&stream);
    if (end.len < SEEK_TABLE_FOOTER ||
            seek_table_size_by_footer((struct bytes){end.data + end.len - 9, 9}, end.len, &size, &e) < 0)
        return NULL;
    return seek_table_parse((struct bytes){end.data + end.len - size, size}, end.len, &e);
}

static struct seek_table *table; /* of the dump before it was spoilt; or NULL */

/* The way back into "file". Where it ended is the error; kind ERR_NONE: it is written. */
static struct err unseal_worker_as(struct bytes stored, uint64_t size, const struct secret *with, bool skip_hash_check)
{
    struct err e = ERR_INIT;
    struct output_file *t = output_file_open("file", &e);
    struct unseal_worker_spec spec = {
            .data_key = with, .size = size, .frames = table, .target = t, .skip_hash_check = skip_hash_check};
    struct unseal_worker *u;
    struct answer a = {0};

    expect_success(t, &e);
    u = unseal_worker_new(&loop, &spec, &e);
    while (u && stored.len && a.err.kind == ERR_NONE) {
        size_t len = unseal_worker_piece(u);
        struct bytes piece = {stored.data, stored.len < len ? stored.len : len};

        a = (struct answer){0};
        unseal_worker_run(u, piece, &a, on_piece);
        assert_true(unseal_worker_is_busy(u));
        assert_false(a.came);
        wait_for(&a);
        stored.data += piece.len;
        stored.len -= piece.len;
    }
    if (u && a.err.kind == ERR_NONE) {
        a = (struct answer){0};
        unseal_worker_finish(u, &a, on_piece);
        wait_for(&a);
    }
    if (u)
        e = a.err;
    unseal_worker_free(u);
    output_file_free(t);
    return e;
}

static struct err unseal_worker_all(struct bytes stored, const struct secret *with)
{
    return unseal_worker_as(stored, stored.len, with, false);
}

static void expect_file(struct bytes plain)
{
    struct buf content = folder_read("file");

    assert_int_equal(content.len, plain.len);
    assert_memory_equal(content.data, plain.data, plain.len);
    buf_reset(&content);
    assert_int_equal(remove("file"), 0);
}

/* ---- there and back ---- */

/* etcd's snapshots are pages and a trailer; the trailer falls before, across and after the border of a chunk, and the
 * pieces that are fetched are one chunk and many. */
static const size_t sizes[] = {
        3 * 4096,
        32 * 1024,
        MIB - 4096,
        MIB,
        MIB + 4096,
        2 * MIB - 4096,
        2 * MIB,
        4 * MIB - 4096,
        4 * MIB,
        4 * MIB + 4096,
        9 * MIB - 4096,
};

static void test_compressed_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (unsigned way = 0; way < 4; way++) { /* sealed or not; what compresses well, and what becomes larger */
            struct buf plain = make_snapshot_of(way & 1 ? 256 : 3, sizes[i], false), stored;
            const struct secret *with = way & 2 ? key : NULL;
            struct err verdict, e;

            stored = seal_worker_all(buf_bytes(&plain), with, &verdict);
            expect_error(&verdict, ERR_NONE, "");
            if (way & 1)
                assert_true(stored.len > plain.len);
            else
                assert_true(stored.len < plain.len / 3 + 9000);
            assert_int_equal((with ? unseal_plain_size(stored.len) : stored.len) % COMPRESS_UNIT, COMPRESS_REST);
            table = table_of(buf_bytes(&stored), with);
            assert_non_null(table);
            assert_int_equal(seek_table_plain_size(table), plain.len);
            e = unseal_worker_all(buf_bytes(&stored), with);
            expect_error(&e, ERR_NONE, "");
            expect_file(buf_bytes(&plain));
            seek_table_free(TAKE_PTR(table));
            buf_reset(&plain);
            buf_reset(&stored);
        }
}

/* A table that does not fit into what is left of a run: behind it comes more. */
static void test_a_long_end_comes_in_pieces(void **state)
{
    struct err e = ERR_INIT;
    struct seal_worker *s =
            seal_worker_new(&loop, &(struct seal_worker_spec){.data_key = key, .compression_level = 1}, &e);
    _cleanup_free_ uint8_t *noise = malloc(SEAL_CHUNK);
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    unsigned runs = 0;

    (void)state;
    randombytes_buf_deterministic(noise, SEAL_CHUNK, (const unsigned char[32]){0});
    do { /* chunks of which each lets out exactly one, until the last is followed by less than what the end needs */
        struct answer a = {.into = &out};

        seal_worker_run(s, (struct bytes){noise, runs < 200 ? SEAL_CHUNK : 0}, runs == 199, NULL, &a, on_chunk);
        wait_for(&a);
        assert_int_equal(a.err.kind, ERR_NONE);
        runs++;
    } while (runs < 200 || seal_worker_has_more(s));
    level = 1;
    table = table_of(buf_bytes(&out), key);
    assert_non_null(table);
    assert_int_equal(seek_table_plain_size(table), 200u * SEAL_CHUNK);
    seek_table_free(TAKE_PTR(table));
    seal_worker_free(s);
    buf_reset(&out);
}

static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (int sealed = 0; sealed < 2; sealed++) {
            struct buf plain = make_snapshot(sizes[i], false), stored;
            const struct secret *with = sealed ? key : NULL;
            struct err verdict, e;

            stored = seal_worker_all(buf_bytes(&plain), with, &verdict);
            expect_error(&verdict, ERR_NONE, "");
            assert_int_equal(stored.len, sealed ? seal_sealed_size(plain.len) : plain.len);
            assert_int_equal(memcmp(stored.data, plain.data, plain.len) == 0, !sealed);
            e = unseal_worker_all(buf_bytes(&stored), with);
            expect_error(&e, ERR_NONE, "");
            expect_file(buf_bytes(&plain));
            buf_reset(&plain);
            buf_reset(&stored);
        }
}

static void expect_nothing(void)
{
    assert_int_equal(folder_count(), 0);
}

/* ---- the trailer ---- */

static void test_wrong_trailer(void **state)
{
    static const char text[] = "SHA-256";

    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct buf plain = make_snapshot(2 * MIB, true), stored;
        const struct secret *with = sealed ? key : NULL;
        struct err verdict, e;

        stored = seal_worker_all(buf_bytes(&plain), with, &verdict);
        assert_int_equal(verdict.kind, ERR_INTEGRITY);
        assert_non_null(strstr(verdict.text, text));
        e = unseal_worker_all(buf_bytes(&stored), with);
        assert_int_equal(e.kind, ERR_INTEGRITY);
        assert_non_null(strstr(e.text, text));
        expect_nothing();
        e = unseal_worker_as(buf_bytes(&stored), stored.len, with, true); /* who asks for it gets it */
        assert_int_equal(e.kind, ERR_NONE);
        expect_file(buf_bytes(&plain));
        buf_reset(&plain);
        buf_reset(&stored);
    }
}

/* ---- what comes back is not what was stored ---- */

struct tampering {
    const char *what;
    void (*change)(struct buf *stored);
    enum err_kind kind;
};

static void flip_first(struct buf *b)
{
    b->data[30] ^= 1;
}

static void flip_last(struct buf *b)
{
    b->data[b->len - 1] ^= 1;
}

static void flip_nonce(struct buf *b)
{
    b->data[SEAL_SEALED_CHUNK] ^= 1;
}

static void cut_chunk(struct buf *b)
{
    b->len = 5 * (size_t)SEAL_SEALED_CHUNK;
}

static void cut_byte(struct buf *b)
{
    b->len--;
}

static void swap_chunks(struct buf *b)
{
    for (size_t i = 0; i < SEAL_SEALED_CHUNK; i++) {
        uint8_t x = b->data[i];

        b->data[i] = b->data[SEAL_SEALED_CHUNK + i];
        b->data[SEAL_SEALED_CHUNK + i] = x;
    }
}

static void repeat_end(struct buf *b)
{
    struct err e = ERR_INIT;
    size_t at = 5 * (size_t)SEAL_SEALED_CHUNK, len = b->len - at;
    _cleanup_free_ uint8_t *copy = malloc(len);

    assert_non_null(copy);
    memcpy(copy, b->data + at, len);
    assert_int_equal(buf_append(b, copy, len, &e), 0);
}

static const struct tampering tamperings[] = {
        {"a flipped bit in the first chunk", flip_first, ERR_INTEGRITY},
        {"a flipped bit in the last tag", flip_last, ERR_INTEGRITY},
        {"a flipped bit in a nonce", flip_nonce, ERR_INTEGRITY},
        {"the last chunk is missing", cut_chunk, ERR_INTEGRITY},
        {"the last byte is missing", cut_byte, ERR_INTEGRITY},
        {"chunks changed places", swap_chunks, ERR_INTEGRITY},
        {"the end twice", repeat_end, ERR_INTEGRITY},
};

static void test_tampered(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tamperings); i++) {
        struct buf plain = make_snapshot(5 * MIB + 4096, false), stored;
        struct err verdict, e;

        stored = seal_worker_all(buf_bytes(&plain), key, &verdict);
        table = level ? table_of(buf_bytes(&stored), key) : NULL;
        tamperings[i].change(&stored);
        e = unseal_worker_all(buf_bytes(&stored), key);
        if (e.kind != tamperings[i].kind)
            fail_msg("%s: %s: %s", tamperings[i].what, err_kind_name(e.kind), e.text);
        expect_nothing();
        seek_table_free(TAKE_PTR(table));
        buf_reset(&plain);
        buf_reset(&stored);
    }
}

/* The first look says one thing, and what the tags vouch for another: nobody is given the one for the other. */
static void test_another_content(void **state)
{
    static const char text[] = "whether it is compressed is not what its first bytes said before: it changed meanwhile";
    struct buf plain = make_snapshot(2 * MIB, false), stored, compressed;
    struct err verdict, e;

    (void)state;
    compressed = seal_worker_all(buf_bytes(&plain), key, &verdict);
    level = 0;
    stored = seal_worker_all(buf_bytes(&plain), key, &verdict);
    e = unseal_worker_as(buf_bytes(&compressed), compressed.len, key, true);
    expect_error(&e, ERR_INTEGRITY, text);
    table = table_of(buf_bytes(&compressed), key);
    e = unseal_worker_as(buf_bytes(&stored), stored.len, key, true);
    expect_error(&e, ERR_INTEGRITY, text);
    expect_nothing();
    seek_table_free(TAKE_PTR(table));
    buf_reset(&plain);
    buf_reset(&stored);
    buf_reset(&compressed);
}

/* Of a plain dump nothing but zstd's checksums and etcd's SHA-256 tell: also that finds all. */
static void test_plain_compressed_and_tampered(void **state)
{
    struct buf plain = make_snapshot_of(5, 3 * MIB, false), stored;
    struct err verdict, e;

    (void)state;
    stored = seal_worker_all(buf_bytes(&plain), NULL, &verdict);
    table = table_of(buf_bytes(&stored), NULL);
    for (size_t at = 0; at < (size_t)seek_table_at(table, 3).start; at += stored.len / 40) {
        stored.data[at] ^= 4;
        e = unseal_worker_all(buf_bytes(&stored), NULL);
        assert_int_equal(e.kind, ERR_INTEGRITY);
        stored.data[at] ^= 4;
    }
    e = unseal_worker_all((struct bytes){stored.data, stored.len - 1}, NULL);
    assert_non_null(strstr(e.text, "the compressed stream was cut off in frame 5 at byte "));
    expect_nothing();
    seek_table_free(TAKE_PTR(table));
    buf_reset(&plain);
    buf_reset(&stored);
}

/* The size that was announced and the bytes that come differ. */
static void test_announced_size(void **state)
{
    struct buf plain = make_snapshot(5 * MIB, false), stored;
    struct err verdict, e;

    (void)state;
    stored = seal_worker_all(buf_bytes(&plain), key, &verdict);
    e = unseal_worker_as((struct bytes){stored.data, 4 * (size_t)SEAL_SEALED_CHUNK}, stored.len, key, true);
    expect_error(&e, ERR_INTEGRITY, "the dump is shorter than it was announced");
    expect_nothing();
    e = unseal_worker_as(buf_bytes(&stored), stored.len - SEAL_SEALED_CHUNK, key, true);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    expect_nothing();
    e = unseal_worker_as((struct bytes){stored.data, stored.len - 1}, stored.len, key, true);
    expect_error(&e, ERR_INTEGRITY, "the dump is longer than it was announced");
    e = unseal_worker_as((struct bytes){0}, 0, key, true);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    e = unseal_worker_as((struct bytes){0}, 40, key, true);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    expect_nothing();
    buf_reset(&plain);
    buf_reset(&stored);
}

static void test_another_key(void **state)
{
    struct buf plain = make_snapshot(3 * 4096, false), stored;
    struct err verdict, e = ERR_INIT;
    _cleanup_secret_ struct secret *other = key_new_data(&e);

    (void)state;
    stored = seal_worker_all(buf_bytes(&plain), key, &verdict);
    e = unseal_worker_all(buf_bytes(&stored), other);
    assert_int_equal(e.kind, ERR_INTEGRITY);
    e = unseal_worker_all(buf_bytes(&stored), NULL); /* sealed, taken for plain */
    assert_int_equal(e.kind, ERR_INTEGRITY);
    expect_nothing();
    buf_reset(&plain);
    buf_reset(&stored);
}

/* ---- a damaged database ---- */

/* etcd's SHA-256 is right, and what it is of is not. */
static void test_damaged(void **state)
{
    struct buf plain = make_snapshot(2 * MIB, false), stored;
    struct err verdict, e = ERR_INIT;

    (void)state;
    plain.data[2 * 4096 + 8] = 0x10; /* the root is no leaf any more */
    SHA256(plain.data, 2 * MIB, plain.data + 2 * MIB);
    stored = seal_worker_all(buf_bytes(&plain), key, &verdict);
    expect_error(&verdict, ERR_NONE, ""); /* it is what etcd sent */
    assert_int_equal(facts.structure, BOLT_DAMAGED);
    assert_string_equal(facts.why, "page 2: it is neither a branch nor a leaf");
    e = unseal_worker_all(buf_bytes(&stored), key);
    expect_error(&e, ERR_INTEGRITY, "the database in it is damaged: page 2: it is neither a branch nor a leaf");
    expect_nothing();
    e = unseal_worker_as(buf_bytes(&stored), stored.len, key, true); /* who asks for it gets it */
    expect_error(&e, ERR_NONE, "");
    expect_file(buf_bytes(&plain));
    buf_reset(&plain);
    buf_reset(&stored);
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
    struct unseal_worker_spec spec = {.data_key = key, .size = 1000};
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct seal_worker *s;

        failing_arm(++n);
        s = seal_worker_new(&loop, &(struct seal_worker_spec){.data_key = key, .compression_level = level}, &e);
        reached = failing_disarm();
        assert_true(s || reached);
        assert_true(s || e.kind == ERR_RESOURCE);
        if (s && reached) /* without memory for it there is no look, and a backup all the same */
            assert_string_equal(seal_worker_facts(s).why, "there was no memory to look at it");
        seal_worker_free(s);
    } while (reached);
    n = 0;
    do {
        struct err e = ERR_INIT;
        struct unseal_worker *u;

        failing_arm(++n);
        u = unseal_worker_new(&loop, &spec, &e);
        reached = failing_disarm();
        assert_true(u || reached);
        assert_true(u || e.kind == ERR_RESOURCE);
        unseal_worker_free(u);
    } while (reached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
            cmocka_unit_test_setup_teardown(test_compressed_there_and_back, setup_compressed, teardown),
            cmocka_unit_test_setup_teardown(test_a_long_end_comes_in_pieces, setup, teardown),
            cmocka_unit_test_setup_teardown(test_wrong_trailer, setup, teardown),
            cmocka_unit_test_setup_teardown(test_tampered, setup, teardown),
            cmocka_unit_test_setup_teardown(test_tampered, setup_compressed, teardown),
            cmocka_unit_test_setup_teardown(test_another_content, setup_compressed, teardown),
            cmocka_unit_test_setup_teardown(test_plain_compressed_and_tampered, setup_compressed, teardown),
            cmocka_unit_test_setup_teardown(test_announced_size, setup, teardown),
            cmocka_unit_test_setup_teardown(test_another_key, setup, teardown),
            cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
            cmocka_unit_test_setup_teardown(test_no_memory, setup_compressed, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
