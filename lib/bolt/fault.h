/*
 * fault.h: what can be wrong with a page, in words for people.
 *
 * A fault is of one page. Some are no verdict at all, but say that our reader cannot tell: they must never count as
 * damage.
 */
#pragma once

#include <stdbool.h>

enum bolt_fault {
    BOLT_FINE = 0,

    /* A page by itself. */
    BOLT_OTHER_PAGE,
    BOLT_WRONG_TYPE,
    BOLT_EMPTY,
    BOLT_TOO_MANY,
    BOLT_WRONG_FLAGS,
    BOLT_WRONG_LAYOUT,
    BOLT_WRONG_KEY_SIZE,
    BOLT_WRONG_VALUE_SIZE,
    BOLT_WRONG_SPAN,
    BOLT_KEY_ORDER,
    BOLT_WRONG_CHILD,
    BOLT_WRONG_BUCKET,
    BOLT_WRONG_INLINE,

    /* A meta. */
    BOLT_NO_MAGIC,
    BOLT_WRONG_CHECKSUM,
    BOLT_NOT_TWINS,
    BOLT_WRONG_ROOT,
    BOLT_WRONG_SIZE,
    BOLT_CUT,

    /* A page among the others. */
    BOLT_BEYOND_FILE,
    BOLT_TWICE,
    BOLT_PARENT_KEYS,
    BOLT_ORDER_BETWEEN,
    BOLT_TOO_DEEP,
    BOLT_UNEVEN,

    /* The freelist. */
    BOLT_WRONG_FREELIST,
    BOLT_FREE_AND_USED,
    BOLT_LOST,

    /* Ignorance. */
    BOLT_BIG_ENDIAN,
    BOLT_OTHER_VERSION,
    BOLT_OTHER_PAGE_SIZE,
    BOLT_UNUSUAL,
    BOLT_LONG_KEYS,
    BOLT_MANY_BUCKETS,
    BOLT_NOT_KEPT,
    BOLT_NO_MEMORY,

    BOLT_N_FAULTS,
};

/* "its header names another page", ...: what follows "page 17: "; a static string. */
const char *bolt_fault_text(enum bolt_fault fault);

/* Whether it says only that this reader does not know. */
static inline bool bolt_fault_is_ignorance(enum bolt_fault fault)
{
    return fault >= BOLT_BIG_ENDIAN;
}
