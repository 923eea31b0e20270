#include "h2/alive.h"

void h2_alive_watch(struct h2_alive *a, uint64_t now, bool streams)
{
    /* A connection that nobody used has been silent for long, and is asked nothing for that. */
    if (streams && !a->watching)
        h2_alive_heard(a, now);
    a->watching = streams;
}

uint64_t h2_alive_due(const struct h2_alive *a)
{
    if (!a->watching)
        return 0;
    return a->pong_due ? a->pong_due : a->quiet_since + a->quiet_ms;
}

enum h2_alive_act h2_alive_act(struct h2_alive *a, uint64_t now)
{
    if (!a->watching || now < h2_alive_due(a))
        return H2_ALIVE_WAIT;
    if (a->pong_due)
        return H2_ALIVE_DEAD;
    a->pong_due = now + a->patience_ms;
    return H2_ALIVE_PING;
}
