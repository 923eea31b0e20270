#include "etcd/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etcd/member.h"

enum {
    STATUS_MS = 5000, /* who has not answered by then is down */
    BEHIND_MS = 500,  /* between two tries while it has not come to the revision */
    BEHIND_TRIES_MAX = 10,
    AGAIN_MS = 5000, /* until those that differ are asked a second time */
};

/* One endpoint, in the order in which they are asked. */
struct asked {
    size_t endpoint; /* its number */
    bool has_answered;
    uint64_t member_id;
    struct etcd_messages_hash hash; /* if answered */
    bool has_keys;                  /* the first one, if it has counted them; then: */
    uint64_t keys;
    char why[160]; /* if not; "": another endpoint of a member that was asked already */
};

struct etcd_compare {
    struct etcd_compare_spec spec; /* without `endpoint` */
    uv_timer_t timer;              /* brings the next step, or ends one that takes too long */
    void (*on_time)(struct etcd_compare *c);
    uint64_t until_ms;          /* when all is over, by uv_now */
    struct etcd_member *member; /* that is being asked */
    unsigned tries;             /* of its hash */
    bool is_second;             /* all are asked again, since they differed */
    size_t n, at;
    struct etcd_compare_result result; /* of the last round: a number that has changed is nobody's word */
    struct etcd_compare_result first;  /* of the round before it */
    unsigned answered_first;           /* how many did, then */
    struct asked asked[ETCD_CLIENT_ENDPOINTS_MAX];
};

static void ask_next(struct etcd_compare *c);

static const struct etcd_conf *conf_of(const struct etcd_compare *c)
{
    return etcd_client_conf(c->spec.client);
}

static uint64_t left_ms(const struct etcd_compare *c)
{
    const uint64_t now = uv_now(etcd_client_loop(c->spec.client));

    return now < c->until_ms ? c->until_ms - now : 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct etcd_compare *c = CONTAINER_OF(timer, struct etcd_compare, timer);

    c->on_time(c);
}

static void set_timer(struct etcd_compare *c, uint64_t ms, void (*on_time)(struct etcd_compare *c))
{
    c->on_time = on_time;
    (void)uv_timer_start(&c->timer, on_timer, ms < left_ms(c) ? ms : left_ms(c), 0);
}

/* ---- the verdict ---- */

static const char *name_of(const struct etcd_compare *c, const struct asked *a)
{
    return conf_of(c)->endpoints[a->endpoint];
}

/* Another member whose hash was computed with the same compaction, from `i` on; NULL: none. */
static const struct asked *partner(const struct etcd_compare *c, const struct asked *a, size_t i)
{
    for (; i < c->n; i++)
        if (&c->asked[i] != a && c->asked[i].has_answered &&
                c->asked[i].hash.compact_revision == a->hash.compact_revision)
            return &c->asked[i];
    return NULL;
}

/* Named, unless the reason names it. */
static void add(const struct etcd_compare *c, const struct asked *a, struct etcd_compare_result *r, const char *what)
{
    const bool is_named = strstr(what, etcd_client_endpoint(c->spec.client, a->endpoint)->authority) != NULL;
    const size_t len = strlen(r->why);

    (void)snprintf(r->why + len, sizeof(r->why) - len, "%s%s%s%s", len ? "; " : "", is_named ? "" : name_of(c, a),
            is_named ? "" : ": ", what);
}

static unsigned count_answers(const struct etcd_compare *c)
{
    unsigned n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += c->asked[i].has_answered;
    return n;
}

/* Why it is none of those that were compared; "": that needs no words. */
static const char *left_out(const struct etcd_compare *c, const struct asked *a, char text[160])
{
    if (!a->has_answered)
        return a->why;
    if (partner(c, a, 0) || count_answers(c) == 1)
        return "";
    (void)snprintf(text, 160, "no other member answers with its compact revision %" PRId64, a->hash.compact_revision);
    return text;
}

static void add_hash(const struct etcd_compare *c, const struct asked *a, struct etcd_compare_result *r)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "HashKV %" PRIu32 " (compact revision %" PRId64 ")", a->hash.hash,
            a->hash.compact_revision);
    add(c, a, r, text);
}

/* The first of each group that were computed with the same compaction stands for it. */
static void judge(const struct etcd_compare *c, struct etcd_compare_result *r)
{
    char text[160];

    r->verdict = ETCD_COMPARE_NOT;
    r->compared = 0;
    r->why[0] = '\0';
    for (size_t i = 0; i < c->n; i++) {
        const struct asked *a = &c->asked[i], *first = a->has_answered ? partner(c, a, 0) : NULL;

        if (!first)
            continue;
        r->compared++;
        if (r->verdict == ETCD_COMPARE_NOT)
            r->verdict = ETCD_COMPARE_EQUAL;
        if (first->hash.hash != a->hash.hash)
            r->verdict = ETCD_COMPARE_DIVERGE;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct asked *a = &c->asked[i];

        if (r->verdict == ETCD_COMPARE_DIVERGE && a->has_answered)
            add_hash(c, a, r);
        else if (left_out(c, a, text)[0])
            add(c, a, r, left_out(c, a, text));
    }
}

static bool all_answered_again(const struct etcd_compare *c)
{
    return count_answers(c) >= c->answered_first;
}

/* Releases before 3.4.34 and 3.5.16 may give another number while they carry out a compaction, which goes by. */
static void ask_again(struct etcd_compare *c)
{
    c->is_second = true;
    c->first = c->result;
    c->answered_first = count_answers(c);
    c->until_ms = uv_now(etcd_client_loop(c->spec.client)) + AGAIN_MS + c->spec.limit_ms;
    c->at = 0;
    for (size_t i = 0; i < c->n; i++)
        c->asked[i] = (struct asked){.endpoint = c->asked[i].endpoint};
    set_timer(c, AGAIN_MS, ask_next);
}

static void finish(struct etcd_compare *c)
{
    const struct asked *first = &c->asked[0];
    struct etcd_compare_result *r = &c->result;

    uv_timer_stop(&c->timer);
    judge(c, r);
    if (r->verdict == ETCD_COMPARE_NOT && !r->why[0])
        (void)snprintf(r->why, sizeof(r->why), "there is no other member to compare it with");
    r->has_hash = first->has_answered && first->member_id == c->spec.member_id &&
                  first->hash.compact_revision == c->spec.compact_revision;
    r->hash = first->hash.hash;
    r->has_keys = r->has_hash && first->has_keys;
    r->keys = first->keys;
    if (c->is_second && r->verdict != ETCD_COMPARE_DIVERGE && !all_answered_again(c)) {
        *r = c->first; /* who differed is not to be had: what was seen stays, and no number is anybody's word */
        r->has_hash = r->has_keys = false;
    }
    if (r->verdict == ETCD_COMPARE_DIVERGE && !c->is_second)
        ask_again(c);
    else
        c->spec.done(c->spec.ctx, r);
}

/* ---- one member after the other ---- */

static void end_one(struct etcd_compare *c)
{
    etcd_member_close(TAKE_PTR(c->member));
    c->at++;
    ask_next(c);
}

static void leave_out(struct etcd_compare *c, const char *why)
{
    (void)snprintf(c->asked[c->at].why, sizeof(c->asked[c->at].why), "%.159s", why);
    end_one(c);
}

static void on_late(struct etcd_compare *c)
{
    leave_out(c, "it has not answered in time");
}

static void ask_hash(struct etcd_compare *c);

static void on_count(void *ctx, uint64_t keys, const struct err *err)
{
    struct etcd_compare *c = ctx;

    c->asked[c->at].has_keys = !err;
    c->asked[c->at].keys = keys;
    end_one(c);
}

static int ask_count(struct etcd_compare *c)
{
    struct etcd_member_count asked = {
            .revision = c->spec.revision, .timeout_ms = left_ms(c) + 1, .ctx = c, .done = on_count};
    struct err ignored = ERR_INIT;

    set_timer(c, STATUS_MS, end_one);
    return etcd_member_count(c->member, &asked, &ignored);
}

/* It has applied less than the member that the snapshot is of, which goes by. */
static bool is_behind(const struct err *err)
{
    return err->domain == ERR_DOMAIN_GRPC && strstr(err->text, "required revision is a future revision");
}

static void on_hash(void *ctx, const struct etcd_messages_hash *hash, const struct err *err)
{
    struct etcd_compare *c = ctx;

    if (err && is_behind(err) && ++c->tries < BEHIND_TRIES_MAX && left_ms(c) > 0) {
        set_timer(c, BEHIND_MS, ask_hash);
    } else if (err) {
        leave_out(c, err->text);
    } else if (hash->hash_revision != 0 && hash->hash_revision != c->spec.revision) {
        leave_out(c, "it has answered for another revision");
    } else {
        c->asked[c->at].hash = *hash;
        c->asked[c->at].has_answered = true;
        if (c->at > 0 || ask_count(c) < 0)
            end_one(c);
    }
}

static void ask_hash(struct etcd_compare *c)
{
    struct etcd_member_hash asked = {
            .revision = c->spec.revision, .timeout_ms = left_ms(c) + 1, .ctx = c, .done = on_hash};
    struct err e = ERR_INIT;

    set_timer(c, UINT64_MAX, on_late);
    if (etcd_member_hash(c->member, &asked, &e) < 0)
        leave_out(c, e.text);
}

static void on_authenticated(void *ctx, const struct err *err)
{
    struct etcd_compare *c = ctx;

    if (err)
        leave_out(c, err->text);
    else
        ask_hash(c);
}

static bool was_asked(const struct etcd_compare *c, uint64_t member_id)
{
    for (size_t i = 0; i < c->at; i++)
        if (c->asked[i].member_id == member_id)
            return true;
    return false;
}

static void on_status(void *ctx, const struct etcd_status *status, const struct err *err)
{
    struct etcd_compare *c = ctx;
    struct err e = ERR_INIT;

    if (err) {
        leave_out(c, err->text);
    } else if (was_asked(c, status->member_id)) {
        leave_out(c, "");
    } else if (status->cluster_id != c->spec.cluster_id) {
        leave_out(c, "it is of another cluster");
    } else if (status->is_learner) {
        leave_out(c, "it is a learner");
    } else {
        c->asked[c->at].member_id = status->member_id;
        if (!etcd_member_has_password(c->member))
            ask_hash(c);
        else if (etcd_member_authenticate(c->member, c, on_authenticated, &e) < 0)
            leave_out(c, e.text);
    }
}

/* Each call has been told that it failed, and with the first the member was closed: here there is nothing under way. */
static void on_lost(void *ctx, const struct err *err)
{
    leave_out(ctx, err->text);
}

static int open_next(struct etcd_compare *c, struct err *e)
{
    const struct etcd_member_owner owner = {.ctx = c, .on_lost = on_lost};

    c->tries = 0;
    c->member = etcd_member_open(c->spec.client, c->asked[c->at].endpoint, &owner, e);
    if (!c->member)
        return -1;
    set_timer(c, STATUS_MS, on_late);
    return etcd_member_status(c->member, c, on_status, e);
}

static void ask_next(struct etcd_compare *c)
{
    struct err e;

    for (; c->at < c->n; c->at++) {
        err_set(&e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "it was not asked, since the others took too long");
        if (left_ms(c) > 0 && open_next(c, &e) == 0)
            return;
        etcd_member_close(TAKE_PTR(c->member));
        (void)snprintf(c->asked[c->at].why, sizeof(c->asked[c->at].why), "%.159s", e.text);
    }
    finish(c);
}

/* ---- the beginning and the end ---- */

/* The member of the snapshot first. */
static void order(struct etcd_compare *c, const char *first)
{
    for (size_t i = 0; i < conf_of(c)->n_endpoints; i++)
        if (c->n == 0 && strcmp(conf_of(c)->endpoints[i], first) == 0)
            c->asked[c->n++].endpoint = i;
    for (size_t i = 0; i < conf_of(c)->n_endpoints; i++)
        if (c->n == 0 || i != c->asked[0].endpoint)
            c->asked[c->n++].endpoint = i;
}

struct etcd_compare *etcd_compare_start(const struct etcd_compare_spec *spec, struct err *e)
{
    struct etcd_compare *c = calloc(1, sizeof(*c));

    if (!c || uv_timer_init(etcd_client_loop(spec->client), &c->timer) < 0) {
        free(c);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory to compare members");
        return NULL;
    }
    c->spec = *spec;
    c->spec.endpoint = NULL;
    c->until_ms = uv_now(etcd_client_loop(spec->client)) + spec->limit_ms;
    order(c, spec->endpoint);
    set_timer(c, 0, ask_next);
    return c;
}

const char *etcd_compare_verdict_name(enum etcd_compare_verdict verdict)
{
    return (const char *[]){"not compared", "equal", "diverge"}[verdict];
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(CONTAINER_OF(timer, struct etcd_compare, timer));
}

void etcd_compare_close(struct etcd_compare *c)
{
    if (!c)
        return;
    etcd_member_close(TAKE_PTR(c->member));
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
