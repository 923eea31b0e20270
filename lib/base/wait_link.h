/*
 * wait_link.h: whoever waits for something that a room above or below has: embedded in it, linked by that room.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

struct wait_link {
    void (*on_ready)(struct wait_link *w); /* what was waited for is there, or the reason why not */
    bool waits;                            /* from here on the room's that it waits for */
    unsigned round;
    TAILQ_ENTRY(wait_link) link;
};
