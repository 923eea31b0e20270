#include "etcd/choose.h"

#include <inttypes.h>
#include <stdio.h>

enum fitness {
    FOLLOWER,
    LEADER,
    OUT_OF_SPACE,
    BEHIND,
    LEADERLESS,
    CORRUPT,
    LEARNER,
};

static uint64_t highest_index(const struct etcd_choose_candidate *c, size_t n)
{
    uint64_t highest = 0;

    for (size_t i = 0; i < n; i++)
        if (c[i].status && c[i].status->raft_index > highest)
            highest = c[i].status->raft_index;
    return highest;
}

/* The log that a member knows is committed is not yet in its database; what it has applied is. */
static uint64_t index_in_database(const struct etcd_status *s)
{
    if (s->raft_applied_index > 0 && s->raft_applied_index < s->raft_index)
        return s->raft_applied_index;
    return s->raft_index;
}

static uint64_t entries_behind(const struct etcd_status *s, uint64_t highest)
{
    return highest - index_in_database(s);
}

static enum fitness fitness_of(const struct etcd_status *s, uint64_t highest)
{
    if (s->is_learner)
        return LEARNER;
    if (s->alarm_corrupt)
        return CORRUPT;
    if (s->leader_id == 0)
        return LEADERLESS;
    if (entries_behind(s, highest) > ETCD_CHOOSE_LAG_MAX)
        return BEHIND;
    if (s->leader_id == s->member_id)
        return LEADER;
    return s->alarm_nospace ? OUT_OF_SPACE : FOLLOWER;
}

/* Whether what it has may be old or damaged; the higher, the worse. Nothing outweighs that: who broke off a moment ago
 * may do better at the next attempt, and old data stay old. */
static unsigned doubt_of(enum fitness f)
{
    return f < BEHIND ? 0 : f;
}

/* Smaller is better. */
static uint64_t badness(const struct etcd_choose_candidate *c, uint64_t highest)
{
    enum fitness f = fitness_of(c->status, highest);

    return (uint64_t)doubt_of(f) << 40 | (uint64_t)c->blamed << 8 | (uint64_t)f;
}

int etcd_choose_best(const struct etcd_choose_candidate *candidates, size_t n)
{
    uint64_t highest = highest_index(candidates, n), least = UINT64_MAX;
    int best = ETCD_CHOOSE_NONE;

    for (size_t i = 0; i < n; i++) {
        if (!candidates[i].status || candidates[i].status->is_learner)
            continue;
        if (badness(&candidates[i], highest) < least) {
            least = badness(&candidates[i], highest);
            best = (int)i;
        }
    }
    return best;
}

bool etcd_choose_is_good(const struct etcd_choose_candidate *candidates, size_t n, size_t i)
{
    const struct etcd_status *s = candidates[i].status;

    if (!s || candidates[i].blamed || s->alarm_nospace)
        return false;
    return fitness_of(s, highest_index(candidates, n)) <= LEADER;
}

uint64_t etcd_choose_behind(const struct etcd_choose_candidate *candidates, size_t n, size_t i)
{
    return entries_behind(candidates[i].status, highest_index(candidates, n));
}

bool etcd_choose_doubt(const struct etcd_status *s, char text[ETCD_CHOOSE_DOUBT_MAX])
{
    bool is_corrupt = s->alarm_corrupt || s->corrupt_unknown, is_old = !s->leader_id || s->behind > ETCD_CHOOSE_LAG_MAX;
    const char *what = is_corrupt && is_old ? "damaged and old" : is_corrupt ? "damaged" : "old";
    char behind[64] = "";

    if (!is_corrupt && !is_old)
        return false;
    if (s->behind > ETCD_CHOOSE_LAG_MAX)
        (void)snprintf(behind, sizeof(behind), ", which is %" PRIu64 " entries of etcd's log behind", s->behind);
    (void)snprintf(text, ETCD_CHOOSE_DOUBT_MAX, "the backup may be %s: it was taken from %s%s%s%s%s%s", what,
            s->endpoint, s->name[0] ? " " : "", s->name,
            s->alarm_corrupt     ? ", for which etcd has raised the alarm CORRUPT"
            : s->corrupt_unknown ? ", and etcd has raised the alarm CORRUPT without knowing for which member"
                                 : "",
            s->leader_id ? "" : ", which knows no leader, nobody knows since when", behind);
    return true;
}
