/* Memory for one message of a client: its bounds, and that the largest requests fit. */
#include "expect.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "control.pb-c.h"
#include "control/wire.h"
#include "core/arena.h"
#include "failing.h"

/* ---- libsodium wipes what it takes back (--wrap) ---- */

static const uint8_t *given_back;

void __real_sodium_free(void *p);
void __wrap_sodium_free(void *p);
void __wrap_sodium_free(void *p)
{
    given_back = p;
    __real_sodium_free(p);
}

/* ---- pieces ---- */

static struct arena *new_arena(size_t len)
{
    struct err e = ERR_INIT;
    struct arena *a = arena_new(len, &e);

    expect_success(a, &e);
    return a;
}

static void *take(struct arena *a, size_t size)
{
    ProtobufCAllocator *allocator = arena_allocator(a);

    return allocator->alloc(allocator->allocator_data, size);
}

/* How much can be had in pieces of this size. */
static size_t take_all(struct arena *a, size_t size)
{
    size_t n = 0;

    for (uint8_t *p; (p = take(a, size)); n += size)
        memset(p, 0xff, size);
    return n;
}

/* Pieces do not overlap, begin where any type may, and are zero. */
static void test_pieces(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 31, 100, 3, 16};
    _cleanup_(cleanup_arena_free) struct arena *a = new_arena(100);
    uint8_t *end = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t *p = take(a, sizes[i]);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(!end || p >= end);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(p[j], 0);
        memset(p, 0xff, sizes[i]);
        end = p + sizes[i];
    }
}

/* Whatever the message's length: the first piece is aligned, though libsodium puts memory at the end of pages. */
static void test_alignment_of_any_length(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        _cleanup_(cleanup_arena_free) struct arena *a = new_arena(len);

        assert_int_equal((uintptr_t)take(a, 1) % 16, 0);
    }
}

/* To the last byte and not beyond: behind it is a page that ends the process. */
static void test_bounds(void **state)
{
    static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX / 2, 1 << 20};
    size_t room;

    (void)state;
    for (size_t size = 1; size <= 4096; size = 3 * size + 1) {
        struct arena *a = new_arena(1000);

        (void)take_all(a, size);
        assert_null(take(a, size));
        arena_free(a);
    }
    for (size_t i = 0; i < ARRAY_LEN(huge); i++) {
        struct arena *a = new_arena(1000);

        assert_null(take(a, huge[i]));
        assert_non_null(take(a, 16));
        assert_null(take(a, huge[i]));
        room = take_all(a, 1);
        assert_true(room > 0);
        arena_free(a);
    }
}

/* All of it in one piece, or in two of which the first is not a whole number of sixteens. */
static void test_last_piece(void **state)
{
    struct arena *a = new_arena(1000);
    size_t room = take_all(a, 16);

    (void)state;
    arena_free(a);
    a = new_arena(1000);
    assert_null(take(a, room + 1));
    assert_non_null(take(a, room));
    assert_null(take(a, 1));
    arena_free(a);
    a = new_arena(1000);
    assert_non_null(take(a, room - 20)); /* with what fills it up: room - 16 */
    assert_null(take(a, 17));
    assert_non_null(take(a, 13));
    assert_null(take(a, 1));
    arena_free(a);
    arena_free(NULL);
}

/* No piece is ordinary memory: all go back at once to where they are wiped. */
static void test_wiped(void **state)
{
    struct arena *a = new_arena(1000);
    const uint8_t *first = take(a, 1), *last = take(a, 1000);
    ProtobufCAllocator *allocator = arena_allocator(a);

    (void)state;
    given_back = NULL;
    allocator->free(allocator->allocator_data, (void *)(uintptr_t)last);
    assert_null(given_back); /* one by one they stay */
    arena_free(a);
    assert_ptr_equal(given_back, first);
    assert_true(last > first && last < first + 10000);
}

/* ---- requests ---- */

/* Packs it and unpacks it as peer.c does. */
static const Control__Request *unpack(struct arena **a, const Control__Request *m)
{
    size_t len = control__request__get_packed_size(m);
    uint8_t *packed = malloc(len);
    const Control__Request *back;

    assert_non_null(packed);
    assert_true(len <= WIRE_FRAME_MAX);
    assert_int_equal(control__request__pack(m, packed), len);
    *a = new_arena(len);
    back = control__request__unpack(arena_allocator(*a), len, packed);
    free(packed);
    return back;
}

static void test_rotate(void **state)
{
    Control__RotateKey rotate = CONTROL__ROTATE_KEY__INIT;
    Control__Request m = CONTROL__REQUEST__INIT;
    _cleanup_(cleanup_arena_free) struct arena *a = NULL;
    const Control__Request *back;
    uint8_t previous[32], next[32];

    (void)state;
    memset(previous, 'p', sizeof(previous));
    memset(next, 'n', sizeof(next));
    m.body_case = CONTROL__REQUEST__BODY_ROTATE_KEY;
    m.rotate_key = &rotate;
    rotate.previous_key = (ProtobufCBinaryData){sizeof(previous), previous};
    rotate.new_key = (ProtobufCBinaryData){sizeof(next), next};
    rotate.dry_run = rotate.purge_versions = true;
    back = unpack(&a, &m);
    assert_non_null(back);
    assert_int_equal(back->body_case, CONTROL__REQUEST__BODY_ROTATE_KEY);
    assert_int_equal(back->rotate_key->previous_key.len, 32);
    assert_memory_equal(back->rotate_key->previous_key.data, previous, 32);
    assert_int_equal(back->rotate_key->new_key.len, 32);
    assert_memory_equal(back->rotate_key->new_key.data, next, 32);
    assert_true(back->rotate_key->dry_run && back->rotate_key->purge_versions);
}

/* Each text of a restore as long as `len` in turn, or all of them together, up to the limit of a frame. */
static void test_restore(void **state)
{
    static char text[WIRE_FRAME_MAX];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    for (unsigned which = 0; which < 256; which++) {
        Control__Unpack body = CONTROL__UNPACK__INIT;
        Control__Restore restore = CONTROL__RESTORE__INIT;
        Control__Request m = CONTROL__REQUEST__INIT;
        _cleanup_(cleanup_arena_free) struct arena *a = NULL;
        char **const texts[] = {&restore.output, &body.data_dir, &body.wal_dir, &body.tool, &body.name,
                &body.initial_cluster, &body.initial_cluster_token, &body.initial_advertise_peer_urls};
        const Control__Request *back;
        size_t n = 0, each;

        m.body_case = CONTROL__REQUEST__BODY_RESTORE;
        m.restore = &restore;
        restore.latest = restore.allow_renamed = restore.skip_hash_check = restore.allow_plain = restore.dry_run = true;
        restore.instant = -1;
        restore.unpack = &body;
        body.bump_revision = UINT64_MAX;
        body.mark_compacted = true;
        body.owner = text + sizeof(text) - 2;
        for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
            n += which >> i & 1;
        each = n ? (WIRE_FRAME_MAX - 100) / n : 0;
        for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
            if (which >> i & 1)
                *texts[i] = text + sizeof(text) - 1 - each;
        back = unpack(&a, &m);
        assert_non_null(back);
        assert_int_equal(strlen(back->restore->unpack->initial_advertise_peer_urls), which & 128 ? each : 0);
        assert_int_equal(strlen(back->restore->output), which & 1 ? each : 0);
        assert_string_equal(back->restore->unpack->owner, "x");
    }
}

/* Short ones, where what stands beside them is most of it. */
static void test_short_texts(void **state)
{
    (void)state;
    for (size_t len = 0; len < 64; len++) {
        Control__Unpack body = CONTROL__UNPACK__INIT;
        Control__Restore restore = CONTROL__RESTORE__INIT;
        Control__Request m = CONTROL__REQUEST__INIT;
        _cleanup_(cleanup_arena_free) struct arena *a = NULL;
        char text[64];

        memset(text, 'x', sizeof(text));
        text[len] = '\0';
        m.body_case = CONTROL__REQUEST__BODY_RESTORE;
        m.restore = &restore;
        restore.output = text;
        restore.unpack = &body;
        body.data_dir = body.wal_dir = body.tool = body.name = body.initial_cluster = body.owner = text;
        body.initial_cluster_token = body.initial_advertise_peer_urls = text;
        assert_non_null(unpack(&a, &m));
    }
}

/* ---- what does not fit ---- */

/* Field 111 without an end: protobuf-c keeps what it does not know, and each costs more than it was. */
static void test_too_many_fields(void **state)
{
    static uint8_t message[WIRE_FRAME_MAX];

    (void)state;
    for (size_t i = 0; i + 3 <= sizeof(message); i += 3)
        memcpy(message + i, "\xfa\x06\x00", 3);
    for (size_t len = 3; len <= sizeof(message) / 3 * 3; len *= 2) {
        struct arena *a = new_arena(len / 3 * 3);
        Control__Request *m = control__request__unpack(arena_allocator(a), len / 3 * 3, message);

        if (len == 3)
            assert_non_null(m); /* a few from a later version do no harm */
        if (len > 3000)
            assert_null(m);
        arena_free(a);
    }
}

/* A request that comes again and again in the same message: each is merged with the last, and none is given back. */
static void test_merged(void **state)
{
    static uint8_t message[WIRE_FRAME_MAX];
    size_t len = 0;
    struct arena *a;

    (void)state;
    for (; len + 5 <= sizeof(message); len += 5)
        memcpy(message + len, "\x2a\x03\x1a\x01/", 5); /* Restore with output "/" */
    a = new_arena(len);
    assert_null(control__request__unpack(arena_allocator(a), len, message));
    arena_free(a);
    a = new_arena(5);
    assert_non_null(control__request__unpack(arena_allocator(a), 5, message));
    arena_free(a);
}

/* Messages of any bytes are refused or understood, within the room. */
static void test_any_bytes(void **state)
{
    static const uint8_t seed[randombytes_SEEDBYTES];
    uint8_t message[512];

    (void)state;
    randombytes_buf_deterministic(message, sizeof(message), seed);
    for (size_t from = 0; from < sizeof(message); from++) {
        struct arena *a = new_arena(sizeof(message) - from);

        (void)control__request__unpack(arena_allocator(a), sizeof(message) - from, message + from);
        arena_free(a);
    }
}

static void test_out_of_memory_anywhere(void **state)
{
    bool reached;
    size_t n = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;
        struct arena *a;

        failing_arm(++n);
        a = arena_new(100, &e);
        reached = failing_disarm();
        assert_int_equal(reached, a == NULL);
        assert_int_equal(e.kind, reached ? ERR_RESOURCE : ERR_NONE);
        arena_free(a);
    } while (reached);
    assert_int_equal(n, 5); /* the arena, and three for its secret */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_pieces),
            cmocka_unit_test(test_alignment_of_any_length),
            cmocka_unit_test(test_bounds),
            cmocka_unit_test(test_last_piece),
            cmocka_unit_test(test_wiped),
            cmocka_unit_test(test_rotate),
            cmocka_unit_test(test_restore),
            cmocka_unit_test(test_short_texts),
            cmocka_unit_test(test_too_many_fields),
            cmocka_unit_test(test_merged),
            cmocka_unit_test(test_any_bytes),
            cmocka_unit_test(test_out_of_memory_anywhere),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
