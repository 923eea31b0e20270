#include "etcd/session_internal.h"

#include <string.h>

#include "etcd/gather.h"

enum state {
    GATHERING,      /* all endpoints are asked for their Status */
    AUTHENTICATING, /* with the best of them */
    DESCRIBING,     /* it is asked for its name */
    READY,
    FAILED,
};

struct etcd_session {
    struct etcd_client *client;
    struct etcd_session_spec spec;
    enum state state;
    struct etcd_gather *gather; /* while GATHERING */
    struct etcd_member *member; /* afterwards */
    size_t index;               /* of its endpoint */
    struct etcd_status status;  /* as it was when it was chosen */

    struct {
        bool pending;
        void *ctx;
        void (*done)(void *ctx, const struct etcd_status *status, const struct err *err);
    } asked; /* etcd_session_status */
    struct {
        void *ctx;
        void (*on_detached)(void *ctx); /* NULL: nobody is attached */
    } user;
};

/* The last thing that a callback does. */
static void fail(struct etcd_session *s, const struct err *err, const char *doing)
{
    struct err e = *err;

    s->state = FAILED;
    if (s->member) {
        etcd_client_name_endpoint(s->client, s->index, doing, &e);
        etcd_client_remember(s->client, s->index, &e);
    }
    s->spec.on_failed(s->spec.ctx, &e);
}

static void on_lost(void *ctx, const struct err *err)
{
    struct etcd_session *s = ctx;

    if (s->state != FAILED)
        fail(s, err, "");
}

static void become_ready(struct etcd_session *s)
{
    s->state = READY;
    s->spec.on_ready(s->spec.ctx, &s->status);
}

static void on_described(void *ctx, const struct etcd_messages_member *info)
{
    struct etcd_session *s = ctx;

    if (info) {
        memcpy(s->status.name, info->name, sizeof(s->status.name));
        s->status.is_learner = s->status.is_learner || info->is_learner;
    }
    become_ready(s);
}

static void describe(struct etcd_session *s)
{
    struct err e = ERR_INIT;

    s->state = DESCRIBING;
    if (etcd_member_describe(s->member, s->status.member_id, s, on_described, &e) < 0)
        fail(s, &e, "asking for its name: ");
}

static void on_authenticated(void *ctx, const struct err *err)
{
    struct etcd_session *s = ctx;

    if (err)
        fail(s, err, "authenticating: ");
    else
        describe(s);
}

static void on_gathered(void *ctx, const struct etcd_gather_best *best, const struct err *err)
{
    struct etcd_session *s = ctx;
    const struct etcd_member_owner owner = {.ctx = s, .on_lost = on_lost};
    struct err e = ERR_INIT;

    if (best) {
        s->member = best->member;
        s->index = best->i;
        s->status = *best->status;
        etcd_member_give(s->member, &owner);
    }
    etcd_gather_close(TAKE_PTR(s->gather)); /* with the others' connections */
    if (err) {
        fail(s, err, "");
    } else if (!etcd_member_has_password(s->member)) {
        describe(s);
    } else {
        s->state = AUTHENTICATING;
        if (etcd_member_authenticate(s->member, s, on_authenticated, &e) < 0)
            fail(s, &e, "authenticating: ");
    }
}

struct etcd_session *etcd_session_open(struct etcd_client *c, const struct etcd_session_spec *spec, struct err *e)
{
    struct etcd_session *s = calloc(1, sizeof(*s));
    struct etcd_gather_spec gather = {.client = c, .ctx = s, .done = on_gathered};

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a session");
        return NULL;
    }
    s->client = c;
    s->spec = *spec;
    s->gather = etcd_gather_open(&gather, e);
    if (!s->gather) {
        free(s);
        return NULL;
    }
    return s;
}

static void on_status(void *ctx, const struct etcd_status *status, const struct err *err)
{
    struct etcd_session *s = ctx;
    struct etcd_status named;
    struct err e;

    s->asked.pending = false;
    if (status) {
        named = *status;
        memcpy(named.name, s->status.name, sizeof(named.name));
        s->asked.done(s->asked.ctx, &named, NULL);
    } else {
        e = *err;
        etcd_client_name_endpoint(s->client, s->index, "", &e);
        s->asked.done(s->asked.ctx, NULL, &e);
    }
}

int etcd_session_status(struct etcd_session *s, void *ctx,
        void (*done)(void *ctx, const struct etcd_status *status, const struct err *err), struct err *e)
{
    if (s->state != READY)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "there is no session with etcd");
    if (s->asked.pending)
        return err_set(e, ERR_BUSY, ERR_DOMAIN_NONE, 0, "Status has already been asked for");
    s->asked.ctx = ctx;
    s->asked.done = done;
    if (etcd_member_status(s->member, s, on_status, e) < 0) {
        etcd_client_name_endpoint(s->client, s->index, "", e);
        return -1;
    }
    s->asked.pending = true;
    return 0;
}

void etcd_session_blame(struct etcd_session *s, const struct err *why)
{
    if (s->member)
        etcd_client_remember(s->client, s->index, why);
}

void etcd_session_name_endpoint(const struct etcd_session *s, struct err *e)
{
    etcd_client_name_endpoint(s->client, s->index, "", e);
}

uint64_t etcd_session_cluster_id(const struct etcd_session *s)
{
    return s->status.cluster_id;
}

void etcd_session_praise(struct etcd_session *s)
{
    if (s->member)
        etcd_client_remember(s->client, s->index, NULL);
}

struct etcd_member *etcd_session_attach(
        struct etcd_session *s, void *ctx, void (*on_detached)(void *ctx), struct err *e)
{
    if (s->state != READY || s->user.on_detached) {
        err_set(e, s->user.on_detached ? ERR_BUSY : ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "%s",
                s->user.on_detached ? "a snapshot is being taken already" : "there is no session with etcd");
        return NULL;
    }
    s->user.ctx = ctx;
    s->user.on_detached = on_detached;
    return s->member;
}

void etcd_session_detach(struct etcd_session *s)
{
    s->user.on_detached = NULL;
}

void etcd_session_close(struct etcd_session *s)
{
    if (!s)
        return;
    if (s->user.on_detached)
        s->user.on_detached(s->user.ctx);
    etcd_gather_close(s->gather);
    etcd_member_close(s->member);
    free(s);
}
