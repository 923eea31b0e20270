/* Dumps as the Go tool lays them out: no end mark, bases that begin with a clock. Its real output: test_vectors.c. */
#include "expect.h"

#include <sodium.h>

#include "objects.h"
#include "seal/seal.h"

static void what_the_go_tool_writes_can_be_read(void **state)
{
    static const size_t lens[] = {1, 544, SEAL_CHUNK - 1, SEAL_CHUNK, SEAL_CHUNK + 1, 3 * SEAL_CHUNK};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        _cleanup_object_ struct object o = object_go(lens[i]);

        object_expect_whole(&o, false);
    }
}

static void the_go_tool_s_order_is_checked_too(void **state)
{
    _cleanup_object_ struct object swapped = object_go(3 * SEAL_CHUNK), dropped = object_go(3 * SEAL_CHUNK),
                                   beheaded = object_go(3 * SEAL_CHUNK), repeated = object_go(2 * SEAL_CHUNK),
                                   mixed = {0}, marked = {0};

    (void)state;
    object_swap(&swapped, 1, 2);
    object_expect_fault(&swapped, 1, "out of order: its counter says 2");
    object_drop(&dropped, 1);
    object_expect_fault(&dropped, 1, "out of order: its counter says 2");
    object_drop(&beheaded, 0);
    object_expect_fault(&beheaded, 0, "out of order: its counter says 1");
    object_repeat(&repeated, 1);
    object_expect_fault(&repeated, 2, "out of order: its counter says 1");

    object_add_chunk(&mixed, object_base_go, 0, 0, SEAL_CHUNK);
    object_add_chunk(&mixed, object_base_ours, OBJECT_LAST | 1, SEAL_CHUNK, 10);
    object_expect_fault(&mixed, 1, "belongs to another backup (its nonce has another base)");

    /* Bit 63 is no mark there. */
    object_add_chunk(&marked, object_base_go, OBJECT_LAST | 0, 0, 10);
    object_expect_fault(&marked, 0, "out of order: its counter says 9223372036854775808");
}

/* The fault of that format which only etcd's SHA-256 can find. */
static void a_cut_at_a_border_is_not_visible_in_the_go_tool_s_chunks(void **state)
{
    _cleanup_object_ struct object o = object_go(3 * SEAL_CHUNK);

    (void)state;
    o.len = 2 * SEAL_SEALED_CHUNK;
    object_expect_whole(&o, false);
    o.len -= 1;
    object_expect_fault(&o, 1, OBJECT_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_the_go_tool_writes_can_be_read),
            cmocka_unit_test(the_go_tool_s_order_is_checked_too),
            cmocka_unit_test(a_cut_at_a_border_is_not_visible_in_the_go_tool_s_chunks),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, object_make_key, object_free_key);
}
