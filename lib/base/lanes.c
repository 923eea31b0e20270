#include "base/lanes.h"

#include <assert.h>

#include "base/cleanup.h"

void lanes_begin(struct lanes *l, size_t n)
{
    assert(l->width >= 1 && l->width <= LANES_MAX);
    l->n = n;
    l->next = 0;
    for (unsigned i = 0; i < l->width; i++) {
        assert(!l->list[i].work);
        l->list[i].lanes = l;
        l->list[i].owner = l->owner;
    }
}

static bool may_start_next(const struct lanes *l)
{
    return l->next < l->n && (!l->may_start || l->may_start(l, l->next));
}

int lanes_go_on(struct lanes *l, struct err *e)
{
    bool is_at_work = false;

    for (unsigned i = 0; i < l->width; i++) {
        struct lane *lane = &l->list[i];

        while (!lane->work && may_start_next(l)) {
            lane->index = l->next++;
            if (l->start(lane, e) < 0)
                return -1;
        }
        is_at_work = is_at_work || lane->work;
    }
    return is_at_work;
}

void *lane_end(struct lane *lane)
{
    return TAKE_PTR(lane->work);
}

void lanes_leave_rest(struct lanes *l)
{
    l->n = l->next;
}

void lanes_cancel(struct lanes *l)
{
    lanes_leave_rest(l);
    for (unsigned i = 0; i < l->width; i++)
        if (l->list[i].work)
            l->cancel(lane_end(&l->list[i]));
}
