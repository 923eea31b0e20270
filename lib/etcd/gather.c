#include "etcd/gather.h"

#include <stdio.h>
#include <string.h>

#include "etcd/choose.h"

enum { GRACE_MS = 500 };

struct candidate {
    struct etcd_gather *gather;
    struct etcd_member *member; /* NULL once it has failed */
    bool answered;
    struct etcd_status status; /* if answered */
    struct err why;            /* if failed */
};

struct etcd_gather {
    struct etcd_gather_spec spec;
    uv_timer_t grace;
    bool over;
    size_t n, waiting;
    struct candidate candidates[];
};

/* What is wrong with one that was not chosen, named. */
static struct err objection(const struct etcd_gather *g, size_t i)
{
    const struct candidate *c = &g->candidates[i];
    struct err e = c->why;

    if (c->answered)
        err_set(&e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "is a learner");
    etcd_client_name_endpoint(g->spec.client, i, "", &e);
    return e;
}

/* One line for all: the kind is theirs if they agree; each cause gets its share of the room. */
static void explain(const struct etcd_gather *g, struct err *e)
{
    size_t room = ERR_TEXT_MAX / g->n;
    struct err first = objection(g, 0);
    enum err_kind kind = first.kind;
    char text[ERR_TEXT_MAX] = "";

    if (g->n == 1) {
        *e = first;
        return;
    }
    for (size_t i = 0; i < g->n; i++) {
        struct err one = objection(g, i);
        size_t len = strlen(text), left = sizeof(text) - len < room ? sizeof(text) - len : room;

        if (one.kind != kind)
            kind = ERR_TRANSIENT; /* one of them may come back */
        if (snprintf(text + len, left, "%s%s", i ? "; " : "", one.text) >= (int)left && left > 4)
            memcpy(text + len + left - 4, "...", 4);
    }
    err_set(e, kind, ERR_DOMAIN_NONE, 0, "%s", text);
}

/* As choose.h wants them. */
static void list(const struct etcd_gather *g, struct etcd_choose_candidate all[ETCD_CLIENT_ENDPOINTS_MAX])
{
    for (size_t i = 0; i < g->n; i++)
        all[i] = (struct etcd_choose_candidate){
                .status = g->candidates[i].answered ? &g->candidates[i].status : NULL,
                .blame = etcd_client_blame(g->spec.client, i),
        };
}

/* Who answered and is of another cluster, for whoever asks what the chosen one is. */
static void tell_strangers(
        const struct etcd_gather *g, const struct etcd_choose_candidate *all, struct etcd_status *chosen)
{
    for (size_t i = 0; i < g->n; i++) {
        const struct etcd_status *s = all[i].status;

        if (!etcd_choose_is_stranger(all, g->n, i) || chosen->strangers++ > 0)
            continue;
        memcpy(chosen->stranger, s->endpoint, sizeof(chosen->stranger));
        chosen->stranger_cluster_id = s->cluster_id;
    }
}

static void decide(struct etcd_gather *g)
{
    struct etcd_choose_candidate all[ETCD_CLIENT_ENDPOINTS_MAX];
    struct err e = ERR_INIT;
    struct etcd_gather_best best;
    int i;

    list(g, all);
    i = etcd_choose_best(all, g->n);
    if (i == ETCD_CHOOSE_NONE && g->waiting > 0)
        return; /* the one that looked good has gone since */
    g->over = true;
    uv_timer_stop(&g->grace);
    if (i == ETCD_CHOOSE_NONE) {
        explain(g, &e);
        g->spec.done(g->spec.ctx, NULL, &e);
        return;
    }
    g->candidates[i].status.behind = etcd_choose_behind(all, g->n, (size_t)i);
    tell_strangers(g, all, &g->candidates[i].status);
    best = (struct etcd_gather_best){
            .member = TAKE_PTR(g->candidates[i].member), .i = (size_t)i, .status = &g->candidates[i].status};
    g->spec.done(g->spec.ctx, &best, NULL);
}

static void on_grace(uv_timer_t *timer)
{
    decide(CONTAINER_OF(timer, struct etcd_gather, grace));
}

static void on_status(void *ctx, const struct etcd_status *status, const struct err *err)
{
    struct candidate *c = ctx;
    struct etcd_gather *g = c->gather;
    struct etcd_choose_candidate all[ETCD_CLIENT_ENDPOINTS_MAX];

    g->waiting--;
    c->answered = status != NULL;
    if (status)
        c->status = *status;
    else
        c->why = *err;
    if (g->waiting == 0) {
        decide(g);
        return;
    }
    list(g, all);
    if (!uv_is_active((uv_handle_t *)&g->grace) && etcd_choose_is_good(all, g->n, (size_t)(c - g->candidates)))
        uv_timer_start(&g->grace, on_grace, GRACE_MS, 0);
}

/* After the Status: the connection is of no more use, whatever it has told. Before it: the Status has been told. */
static void on_lost(void *ctx, const struct err *err)
{
    struct candidate *c = ctx;

    if (!c->answered || c->gather->over)
        return;
    c->answered = false;
    c->why = *err;
}

static int start(struct etcd_gather *g, size_t i, struct err *e)
{
    struct candidate *c = &g->candidates[i];
    const struct etcd_member_owner owner = {.ctx = c, .on_lost = on_lost};

    c->gather = g;
    c->member = etcd_member_open(g->spec.client, i, &owner, e);
    if (!c->member)
        return -1;
    g->waiting++;
    return etcd_member_status(c->member, c, on_status, e);
}

struct etcd_gather *etcd_gather_open(const struct etcd_gather_spec *spec, struct err *e)
{
    size_t n = etcd_client_conf(spec->client)->n_endpoints;
    struct etcd_gather *g = calloc(1, sizeof(*g) + n * sizeof(g->candidates[0]));

    if (!g || uv_timer_init(etcd_client_loop(spec->client), &g->grace) < 0) {
        free(g);
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for connections");
        return NULL;
    }
    g->spec = *spec;
    g->n = n;
    for (size_t i = 0; i < n; i++) {
        if (start(g, i, e) < 0) {
            etcd_client_name_endpoint(g->spec.client, i, "", e);
            etcd_gather_close(g);
            return NULL;
        }
    }
    return g;
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(CONTAINER_OF(timer, struct etcd_gather, grace));
}

void etcd_gather_close(struct etcd_gather *g)
{
    if (!g)
        return;
    g->over = true;
    for (size_t i = 0; i < g->n; i++)
        etcd_member_close(TAKE_PTR(g->candidates[i].member));
    uv_close((uv_handle_t *)&g->grace, on_timer_closed);
}
