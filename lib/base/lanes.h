/*
 * lanes.h: a list is worked through, so many items at a time. What the work is, and the loop, are the owner's: this
 * only knows which item comes next, and what runs.
 *
 *     lanes_begin     items 0 to n - 1 are to be worked on
 *     lanes_go_on     starts what may be started now; it says when nothing runs any more
 *     lane_end        the first statement of what the work calls back with; then lanes_go_on again
 *
 * The work's callback gets its lane. Nothing here calls back but `start` and `cancel`, and those from inside the calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { LANES_MAX = 16 };

struct lane {
    struct lanes *lanes;
    void *owner;  /* lanes.owner */
    void *work;   /* what runs; NULL: nothing does */
    size_t index; /* of the item */
};

/* Embedded in its owner, which fills in what stands before n, and never moves it. */
struct lanes {
    void *owner;
    unsigned width; /* at a time, 1 to LANES_MAX */
    /* Starts lane->index and says by lane->work what runs; with NULL the item is done. Errors: the owner's; then
     * nothing runs for this item. It may call lanes_leave_rest. */
    int (*start)(struct lane *lane, struct err *e);
    void (*cancel)(void *work);
    /* Whether that item may be started beside what runs; true when nothing does. No later one is started before it. Or
     * NULL: all may. */
    bool (*may_start)(const struct lanes *l, size_t index);
    size_t n, next;
    struct lane list[LANES_MAX];
};

/* Nothing may run. */
void lanes_begin(struct lanes *l, size_t n);

/* Starts items in their order until the lanes are full or none is left. 1: something runs; 0: nothing does, and no item
 * is left; -1: as `start` said, the others still run. */
int lanes_go_on(struct lanes *l, struct err *e);

/* The work of this lane has ended: returns what lane->work was, for the owner to free if it is to be freed. The lane
 * may be given other work for the same item, by lane->work, before lanes_go_on. */
void *lane_end(struct lane *lane);

/* Items that were not started are left out; what runs goes on. */
void lanes_leave_rest(struct lanes *l);

/* Cancels what runs, and leaves the rest. */
void lanes_cancel(struct lanes *l);
