#include "expect.h"

#include <string.h>

#include "base/cleanup.h"
#include "etcd/choose.h"

/* A cluster in words: one for each endpoint, in their order. */
enum {
    DEAD = 1 << 0,    /* does not answer */
    LEADER = 1 << 1,  /* it is the leader itself */
    LAG = 1 << 2,     /* has applied 1,001 entries less than the others know of */
    LAG_OK = 1 << 3,  /* 1,000 entries less */
    ALONE = 1 << 4,   /* knows no leader */
    SPACE = 1 << 5,   /* its own alarm NOSPACE */
    CORRUPT = 1 << 6, /* its own alarm CORRUPT */
    LEARNER = 1 << 7,
    ALARMED = 1 << 8,   /* tells of another member's alarms */
    BLAMED = 1 << 9,    /* failed a moment ago */
    BLAMED_2 = 1 << 10, /* and this one after that */
    LIAR = 1 << 11,     /* its snapshot was not what its SHA-256 says */
    OTHER = 1 << 12     /* of another cluster, with a much higher index */
};

struct row {
    int members[5];
    size_t n;
    int best;
    int good; /* bit i: whether the answer of endpoint i alone is good enough */
};

static const struct row rows[] = {
        {{0}, 0, ETCD_CHOOSE_NONE, 0}, {{LEADER}, 1, 0, 1}, {{DEAD}, 1, ETCD_CHOOSE_NONE, 0},
        {{LEARNER}, 1, ETCD_CHOOSE_NONE, 0}, {{ALONE}, 1, 0, 0}, {{LEADER | BLAMED}, 1, 0, 0},
        {{LEADER, 0, 0}, 3, 1, 7}, {{0, LEADER, 0}, 3, 0, 7},
        {{LEADER, LEADER, LEADER}, 3, 0, 7}, /* three names of one member */
        {{DEAD, LEADER, DEAD}, 3, 1, 2}, {{DEAD, LEARNER, DEAD}, 3, ETCD_CHOOSE_NONE, 0}, {{LEARNER, LEADER}, 2, 1, 2},
        {{LEARNER, ALONE}, 2, 1, 0}, {{LEADER, LAG, LAG_OK}, 3, 2, 5}, {{LEADER, LAG}, 2, 0, 1},
        {{LAG, ALONE}, 2, 0, 0}, {{LEADER, SPACE, SPACE}, 3, 0, 1}, {{LEADER, SPACE, ALARMED}, 3, 2, 5},
        {{LEADER | SPACE, SPACE}, 2, 0, 0}, {{LAG, SPACE, DEAD}, 3, 1, 0}, {{LAG | SPACE, LEARNER}, 2, 0, 0},
        {{ALONE, LAG, LEARNER}, 3, 1, 0}, {{CORRUPT, LEADER}, 2, 1, 2}, {{CORRUPT, ALONE}, 2, 1, 0},
        {{CORRUPT, LEADER | BLAMED}, 2, 1, 0}, {{CORRUPT, LEARNER}, 2, 0, 0}, {{LEADER, BLAMED, 0}, 3, 2, 5},
        {{LEADER, BLAMED, BLAMED_2}, 3, 0, 1}, {{LEADER | BLAMED, BLAMED_2, DEAD}, 3, 0, 0},
        {{LEADER | BLAMED_2, BLAMED, DEAD}, 3, 1, 0}, {{LEADER | BLAMED, SPACE, LEARNER}, 3, 1, 0},
        {{BLAMED, ALONE, DEAD}, 3, 0, 0}, /* who broke off may do better now; who is cut off has old data */
        {{BLAMED, LAG, DEAD}, 3, 0, 0}, {{LEADER | BLAMED, ALONE, CORRUPT}, 3, 0, 0},
        {{SPACE | BLAMED, ALONE, LAG}, 3, 0, 0}, {{LAG, ALONE | BLAMED, BLAMED_2}, 3, 2, 0},
        {{ALONE | BLAMED, LAG | BLAMED_2, CORRUPT}, 3, 1, 0},
        {{ALONE | BLAMED, ALONE, DEAD}, 3, 1, 0}, /* among those that may be old it still counts */
        {{CORRUPT | BLAMED, CORRUPT, DEAD}, 3, 1, 0}, {{ALONE | BLAMED}, 1, 0, 0}, /* old is better than none */
        {{CORRUPT | BLAMED_2}, 1, 0, 0}, {{LIAR | BLAMED, LEADER}, 2, 1, 2},
        {{LIAR | BLAMED, ALONE | CORRUPT}, 2, 1, 0}, /* what may be damaged is more than what is for sure */
        {{LIAR | BLAMED, LEARNER}, 2, 0, 0}, {{LIAR | BLAMED_2, LIAR | BLAMED}, 2, 1, 0}, {{OTHER, LEADER, 0}, 3, 2, 6},
        {{0, LEADER, OTHER | ALONE}, 3, 0, 3},
        {{OTHER | ALONE, OTHER | ALONE, LEADER}, 3, 2, 4}, /* what has no leader lives no more */
        {{OTHER | ALONE, OTHER | ALONE, DEAD}, 3, 0, 0},   /* but it may be all that there is */
        {{OTHER | LEADER, LEADER, DEAD}, 3, 0, 1}, {{OTHER | LEARNER, OTHER | LEARNER, ALONE}, 3, 2, 0},
        {{OTHER, LAG, BLAMED | LEADER}, 3, 2, 0}, /* not compared with the other's index */
};

static struct etcd_status status_of(int m, size_t i)
{
    struct etcd_status s = {
            .cluster_id = m & OTHER ? 0xbeef : 0xcafe,
            .member_id = 100 + i,
            .leader_id = m & LEADER ? 100 + i : 7,
            .raft_index = m & OTHER ? 900000 : 5000,
            .raft_applied_index = m & OTHER ? 900000 : 4999,
            .alarm_nospace = m & SPACE,
            .alarm_corrupt = m & CORRUPT,
            .is_learner = m & LEARNER,
    };

    if (m & ALONE)
        s.leader_id = 0;
    if (m & LAG)
        s.raft_applied_index = 5000 - ETCD_CHOOSE_LAG_MAX - 1;
    if (m & LAG_OK)
        s.raft_applied_index = 5000 - ETCD_CHOOSE_LAG_MAX;
    if (m & ALARMED)
        strcpy(s.alarms, "NOSPACE");
    return s;
}

static void check(const struct row *r, size_t number)
{
    struct etcd_status statuses[5];
    struct etcd_choose_candidate c[5];

    for (size_t i = 0; i < r->n; i++) {
        int m = r->members[i];

        statuses[i] = status_of(m, i);
        c[i] = (struct etcd_choose_candidate){.status = m & DEAD ? NULL : &statuses[i],
                .blame = {.rank = m & BLAMED_2 ? 9u
                                  : m & BLAMED ? 8u
                                               : 0u,
                        .is_liar = m & LIAR}};
    }
    if (etcd_choose_best(c, r->n) != r->best)
        fail_msg("row %zu: chose %d, not %d", number, etcd_choose_best(c, r->n), r->best);
    for (size_t i = 0; i < r->n; i++)
        if (etcd_choose_is_good(c, r->n, i) != (r->good >> i & 1))
            fail_msg("row %zu: member %zu is%s good", number, i, r->good >> i & 1 ? " not" : "");
}

static void the_table_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&rows[i], i);
}

/* Before 3.4 nothing is said about what has been applied; and a server may lie. */
static void an_applied_index_that_says_nothing_is_not_believed(void **state)
{
    struct etcd_status leader = {.member_id = 1, .leader_id = 1, .raft_index = 9000, .raft_applied_index = 9000};
    struct etcd_status follower = {.member_id = 2, .leader_id = 1, .raft_index = 8999, .raft_applied_index = 0};
    const struct etcd_choose_candidate c[] = {{.status = &leader}, {.status = &follower}};

    (void)state;
    assert_int_equal(etcd_choose_best(c, 2), 1);
    follower.raft_applied_index = UINT64_MAX;
    assert_int_equal(etcd_choose_best(c, 2), 1);
    follower.raft_index = 100;
    assert_int_equal(etcd_choose_best(c, 2), 0);
}

/* A learner is not read, but what it knows of the log counts. */
static void a_learner_shows_who_lags(void **state)
{
    struct etcd_status learner = {.member_id = 1, .leader_id = 9, .raft_index = 9000, .is_learner = true};
    struct etcd_status follower = {.member_id = 2, .leader_id = 9, .raft_index = 5000};
    const struct etcd_choose_candidate c[] = {{.status = &learner}, {.status = &follower}};

    (void)state;
    assert_int_equal(etcd_choose_best(c, 2), 1);
    assert_false(etcd_choose_is_good(c, 2, 1));
}

static void how_far_behind_is_counted(void **state)
{
    struct etcd_status ahead = {.raft_index = 9000, .raft_applied_index = 8000};
    struct etcd_status late = {.raft_index = 8500, .raft_applied_index = 7000};
    const struct etcd_choose_candidate c[] = {{.status = NULL}, {.status = &ahead}, {.status = &late}};

    (void)state;
    assert_int_equal(etcd_choose_behind(c, 3, 1), 1000);
    assert_int_equal(etcd_choose_behind(c, 3, 2), 2000);
    assert_int_equal(etcd_choose_behind(c + 2, 1, 0), 1500);
}

static void what_a_backup_may_be_is_said(void **state)
{
    static const struct {
        struct etcd_status status;
        const char *says; /* NULL: nothing */
    } told[] = {
            {{.leader_id = 1, .behind = ETCD_CHOOSE_LAG_MAX, .alarm_nospace = true, .alarms = "NOSPACE,CORRUPT"}, NULL},
            {{.endpoint = "a:1"},
                    "the backup may be old: it was taken from a:1, which knows no leader, nobody knows since when"},
            {{.endpoint = "a:1", .name = "n1", .leader_id = 1, .behind = ETCD_CHOOSE_LAG_MAX + 1},
                    "the backup may be old: it was taken from a:1 n1, which is 1001 entries of etcd's log behind"},
            {{.endpoint = "a:1", .leader_id = 1, .alarm_corrupt = true},
                    "the backup may be damaged: it was taken from a:1, for which etcd has raised the alarm CORRUPT"},
            {{.endpoint = "a:1", .leader_id = 1, .corrupt_unknown = true},
                    "the backup may be damaged: it was taken from a:1, and etcd has raised the alarm CORRUPT without "
                    "knowing for which member"},
            {{.endpoint = "a:1", .name = "n1", .alarm_corrupt = true, .behind = UINT64_MAX},
                    "the backup may be damaged and old: it was taken from a:1 n1, for which etcd has raised the alarm "
                    "CORRUPT, which knows no leader, nobody knows since when, which is 18446744073709551615 entries of "
                    "etcd's log behind"},
    };
    char text[ETCD_CHOOSE_DOUBT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        strcpy(text, "untouched");
        assert_int_equal(etcd_choose_doubt(&told[i].status, text), told[i].says != NULL);
        assert_string_equal(text, told[i].says ? told[i].says : "untouched");
    }
}

static void a_mixture_of_clusters_is_told(void **state)
{
    struct etcd_status s = {.endpoint = "a:1", .cluster_id = 0xcafe};
    char text[ETCD_CHOOSE_DOUBT_MAX];

    (void)state;
    assert_false(etcd_choose_mixture(&s, text));
    s.strangers = 2;
    s.stranger_cluster_id = 0xbeef;
    strcpy(s.stranger, "b:2");
    assert_true(etcd_choose_mixture(&s, text));
    assert_string_equal(text,
            "the endpoints are of different clusters: the backup is of cafe, that of a:1, and b:2 belongs to beef, and "
            "1 "
            "more does not belong to cafe; take those out of etcd_client.endpoints that it should not be of");
}

static void a_downgrade_is_told(void **state)
{
    struct etcd_status s = {.endpoint = "a:1"};
    char text[ETCD_CHOOSE_DOUBT_MAX];

    (void)state;
    assert_false(etcd_choose_downgrade(&s, text));
    strcpy(s.downgrade, "3.6.0");
    assert_true(etcd_choose_downgrade(&s, text));
    assert_string_equal(text,
            "etcd is being downgraded to 3.6.0: the backup may be of the storage of either release; make another one "
            "when that is done");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_mixture_of_clusters_is_told),
            cmocka_unit_test(a_downgrade_is_told),
            cmocka_unit_test(the_table_holds),
            cmocka_unit_test(an_applied_index_that_says_nothing_is_not_believed),
            cmocka_unit_test(a_learner_shows_who_lags),
            cmocka_unit_test(how_far_behind_is_counted),
            cmocka_unit_test(what_a_backup_may_be_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
