/*
 * alive.h: when to ask a silent server for a sign of life, and when to give it up. Pure: the clock is the caller's.
 *
 * Only while streams are open. After some time without a byte a PING is due; if then nothing at all arrives within the
 * patience given, the server is dead. Any byte is a sign of life, so that an acknowledgement that waits behind much
 * data does no harm. etcd tears down connections that send more than one PING in 5 s.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct h2_alive {
    uint64_t quiet_ms;    /* without a byte, then a PING */
    uint64_t patience_ms; /* after that */
    uint64_t quiet_since; /* ms */
    uint64_t pong_due;    /* ms; 0: no PING waits for its answer */
    bool watching;
};

/* Something arrived. */
static inline void h2_alive_heard(struct h2_alive *a, uint64_t now)
{
    a->quiet_since = now;
    a->pong_due = 0;
}

/* Streams are open, or not. To be called when that may have changed. */
void h2_alive_watch(struct h2_alive *a, uint64_t now, bool streams);

/* When h2_alive_act must be called next, 0 when not at all. */
uint64_t h2_alive_due(const struct h2_alive *a);

enum h2_alive_act { H2_ALIVE_WAIT, H2_ALIVE_PING, H2_ALIVE_DEAD };

/* What is to be done now; PING is said once, and then DEAD when it is not answered. */
enum h2_alive_act h2_alive_act(struct h2_alive *a, uint64_t now);
