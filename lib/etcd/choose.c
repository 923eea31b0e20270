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
    LIAR, /* its snapshot was not what its SHA-256 says */
    LEARNER,
};

static bool is_of(const struct etcd_choose_candidate *c, uint64_t cluster)
{
    return c->status && c->status->cluster_id == cluster;
}

static uint64_t highest_index(const struct etcd_choose_candidate *c, size_t n, uint64_t cluster)
{
    uint64_t highest = 0;

    for (size_t i = 0; i < n; i++)
        if (is_of(&c[i], cluster) && c[i].status->raft_index > highest)
            highest = c[i].status->raft_index;
    return highest;
}

/* How much speaks for a cluster; the first of equals wins. Nothing does for one of learners. */
static size_t weight_of(const struct etcd_choose_candidate *c, size_t n, uint64_t cluster)
{
    bool has_leader = false;
    size_t voters = 0;

    for (size_t i = 0; i < n; i++) {
        if (!is_of(&c[i], cluster) || c[i].status->is_learner)
            continue;
        voters++;
        has_leader = has_leader || c[i].status->leader_id != 0;
    }
    return voters + (has_leader ? n : 0);
}

/* 0 if nobody answers. */
static uint64_t cluster_of(const struct etcd_choose_candidate *c, size_t n)
{
    uint64_t best = 0;
    size_t most = 0;

    for (size_t i = 0; i < n; i++) {
        size_t weight = c[i].status ? weight_of(c, n, c[i].status->cluster_id) : 0;

        if (weight > most) {
            most = weight;
            best = c[i].status->cluster_id;
        }
    }
    return best;
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
    enum fitness f = c->blame.is_liar ? LIAR : fitness_of(c->status, highest);

    return (uint64_t)doubt_of(f) << 40 | (uint64_t)c->blame.rank << 8 | (uint64_t)f;
}

int etcd_choose_best(const struct etcd_choose_candidate *candidates, size_t n)
{
    uint64_t cluster = cluster_of(candidates, n), highest = highest_index(candidates, n, cluster), least = UINT64_MAX;
    int best = ETCD_CHOOSE_NONE;

    for (size_t i = 0; i < n; i++) {
        if (!is_of(&candidates[i], cluster) || candidates[i].status->is_learner)
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

    if (!s || candidates[i].blame.rank || candidates[i].blame.is_liar || s->alarm_nospace ||
            etcd_choose_is_stranger(candidates, n, i))
        return false;
    return fitness_of(s, highest_index(candidates, n, s->cluster_id)) <= LEADER;
}

bool etcd_choose_is_stranger(const struct etcd_choose_candidate *candidates, size_t n, size_t i)
{
    return candidates[i].status && !is_of(&candidates[i], cluster_of(candidates, n));
}

uint64_t etcd_choose_behind(const struct etcd_choose_candidate *candidates, size_t n, size_t i)
{
    const struct etcd_status *s = candidates[i].status;

    return entries_behind(s, highest_index(candidates, n, s->cluster_id));
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

bool etcd_choose_mixture(const struct etcd_status *s, char text[ETCD_CHOOSE_DOUBT_MAX])
{
    char more[64] = "";

    if (s->strangers == 0)
        return false;
    if (s->strangers > 1)
        (void)snprintf(more, sizeof(more), ", and %u more %s not belong to %" PRIx64, s->strangers - 1,
                s->strangers == 2 ? "does" : "do", s->cluster_id);
    (void)snprintf(text, ETCD_CHOOSE_DOUBT_MAX,
            "the endpoints are of different clusters: the backup is of %" PRIx64
            ", that of %s, and %s belongs to %" PRIx64
            "%s; take those out of etcd_client.endpoints that it should not be of",
            s->cluster_id, s->endpoint, s->stranger, s->stranger_cluster_id, more);
    return true;
}

bool etcd_choose_downgrade(const struct etcd_status *s, char text[ETCD_CHOOSE_DOUBT_MAX])
{
    if (!s->downgrade[0])
        return false;
    (void)snprintf(text, ETCD_CHOOSE_DOUBT_MAX,
            "etcd is being downgraded to %s: the backup may be of the storage of either release; make another one when "
            "that is done",
            s->downgrade);
    return true;
}
