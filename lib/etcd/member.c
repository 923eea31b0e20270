#include "etcd/member.h"

#include <stdio.h>

#include "etcd/rpc.h"

/* MemberList only says what a person would like to know: it is not waited for as long as others are. */
enum { DESCRIBE_TIMEOUT_MS = 5000 };

struct etcd_member {
    struct etcd_client *client;
    size_t index;
    struct etcd_member_owner owner;
    struct h2_conn *conn;
    struct secret *token;

    struct {
        struct etcd_rpc *rpc; /* Status, or an Authenticate that it turned out to need */
        bool authenticated;   /* and will not do it again */
        void *ctx;
        void (*done)(void *ctx, const struct etcd_status *status, const struct err *err);
    } status;
    struct {
        struct etcd_rpc *rpc;
        void *ctx;
        void (*done)(void *ctx, const struct err *err);
    } auth;
    struct {
        struct etcd_rpc *rpc;
        void *ctx;
        void (*done)(void *ctx, const struct etcd_messages_member *info);
    } describe;
    struct {
        struct etcd_rpc *rpc;
        struct etcd_member_hash asked;
    } hash;
    struct {
        struct etcd_rpc *rpc;
        struct etcd_member_count asked;
    } count;
};

static void on_conn_closed(void *ctx, const struct err *err)
{
    struct etcd_member *m = ctx;

    m->owner.on_lost(m->owner.ctx, err);
}

struct etcd_member *etcd_member_open(
        struct etcd_client *c, size_t i, const struct etcd_member_owner *owner, struct err *e)
{
    const struct etcd_conf *conf = etcd_client_conf(c);
    struct etcd_member *m = calloc(1, sizeof(*m));
    struct h2_conn_spec spec = {
            .endpoint = etcd_client_endpoint(c, i),
            .good = etcd_client_good_address(c, i),
            .ca_cert = conf->ca_cert,
            .client_cert = conf->client_cert,
            .client_key = conf->client_key,
            .connect_timeout_ms = conf->connect_timeout_ms,
            .window = conf->window,
            .ctx = m,
            .on_closed = on_conn_closed,
    };

    if (!m) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a connection");
        return NULL;
    }
    m->client = c;
    m->index = i;
    m->owner = *owner;
    m->conn = h2_conn_open(etcd_client_loop(c), &spec, e);
    if (!m->conn) {
        free(m);
        return NULL;
    }
    return m;
}

void etcd_member_give(struct etcd_member *m, const struct etcd_member_owner *owner)
{
    m->owner = *owner;
}

static struct etcd_rpc_spec rpc_spec(struct etcd_member *m)
{
    return (struct etcd_rpc_spec){
            .conn = m->conn,
            .token = m->token,
            .timeout_ms = etcd_client_conf(m->client)->request_timeout_ms,
            .ctx = m,
    };
}

/* Starts Authenticate; whoever is told passes the answer to accept_token. */
static struct etcd_rpc *start_authenticate(struct etcd_member *m,
        void (*done)(void *, struct etcd_rpc_answer *, enum etcd_errors_next, const struct err *), struct err *e)
{
    const struct etcd_conf *conf = etcd_client_conf(m->client);
    struct etcd_rpc_spec spec = rpc_spec(m);
    const struct secret *password;
    const char *username;

    if (conf->password(conf->password_ctx, &username, &password, e) < 0)
        return NULL;
    spec.token = NULL;
    spec.done = done;
    return etcd_rpc_authenticate(&spec, username, password, e);
}

/* The answer's token is ours, or none is needed. NULL when that is settled, or the error. */
static const struct err *accept_token(
        struct etcd_member *m, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    if (err && next != ETCD_ERRORS_GO_WITHOUT)
        return err;
    secret_free(m->token);
    m->token = err ? NULL : TAKE_PTR(answer->token);
    return NULL;
}

static int start_status(struct etcd_member *m, struct err *e);

static void status_failed(struct etcd_member *m, const struct err *err)
{
    m->status.done(m->status.ctx, NULL, err);
}

static void on_status_token(
        void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    struct etcd_member *m = ctx;
    struct err e = ERR_INIT;

    m->status.rpc = NULL;
    err = accept_token(m, answer, next, err);
    if (!err && start_status(m, &e) < 0)
        err = &e;
    if (err)
        status_failed(m, err);
}

static void on_status(void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    struct etcd_member *m = ctx;
    struct etcd_status *status = &answer->status;
    struct err e = ERR_INIT;

    m->status.rpc = NULL;
    if (err && next == ETCD_ERRORS_AUTHENTICATE && etcd_member_has_password(m) && !m->status.authenticated) {
        m->status.authenticated = true;
        m->status.rpc = start_authenticate(m, on_status_token, &e);
        if (m->status.rpc)
            return;
        err = &e;
    }
    if (err) {
        status_failed(m, err);
        return;
    }
    (void)snprintf(status->endpoint, sizeof(status->endpoint), "%s", etcd_client_conf(m->client)->endpoints[m->index]);
    status->certificate_expires = h2_conn_expires(m->conn);
    m->status.done(m->status.ctx, status, NULL);
}

static int start_status(struct etcd_member *m, struct err *e)
{
    struct etcd_rpc_spec spec = rpc_spec(m);

    spec.done = on_status;
    m->status.rpc = etcd_rpc_status(&spec, e);
    return m->status.rpc ? 0 : -1;
}

int etcd_member_status(struct etcd_member *m, void *ctx,
        void (*done)(void *ctx, const struct etcd_status *status, const struct err *err), struct err *e)
{
    m->status.authenticated = false;
    m->status.ctx = ctx;
    m->status.done = done;
    return start_status(m, e);
}

static void on_token(void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    struct etcd_member *m = ctx;

    m->auth.rpc = NULL;
    m->auth.done(m->auth.ctx, accept_token(m, answer, next, err));
}

int etcd_member_authenticate(
        struct etcd_member *m, void *ctx, void (*done)(void *ctx, const struct err *err), struct err *e)
{
    m->auth.ctx = ctx;
    m->auth.done = done;
    m->auth.rpc = start_authenticate(m, on_token, e);
    return m->auth.rpc ? 0 : -1;
}

void etcd_member_authenticate_cancel(struct etcd_member *m)
{
    etcd_rpc_cancel(TAKE_PTR(m->auth.rpc));
}

static void on_described(void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    struct etcd_member *m = ctx;

    (void)next;
    m->describe.rpc = NULL;
    m->describe.done(m->describe.ctx, err ? NULL : &answer->member);
}

int etcd_member_describe(struct etcd_member *m, uint64_t id, void *ctx,
        void (*done)(void *ctx, const struct etcd_messages_member *info), struct err *e)
{
    struct etcd_rpc_spec spec = rpc_spec(m);

    if (spec.timeout_ms > DESCRIBE_TIMEOUT_MS)
        spec.timeout_ms = DESCRIBE_TIMEOUT_MS;
    spec.done = on_described;
    m->describe.ctx = ctx;
    m->describe.done = done;
    m->describe.rpc = etcd_rpc_member(&spec, id, e);
    return m->describe.rpc ? 0 : -1;
}

static void on_hash(void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    struct etcd_member *m = ctx;

    (void)next;
    m->hash.rpc = NULL;
    m->hash.asked.done(m->hash.asked.ctx, err ? NULL : &answer->hash, err);
}

int etcd_member_hash(struct etcd_member *m, const struct etcd_member_hash *asked, struct err *e)
{
    struct etcd_rpc_spec spec = rpc_spec(m);

    spec.timeout_ms = asked->timeout_ms;
    spec.done = on_hash;
    m->hash.asked = *asked;
    m->hash.rpc = etcd_rpc_hash(&spec, asked->revision, e);
    return m->hash.rpc ? 0 : -1;
}

static void on_count(void *ctx, struct etcd_rpc_answer *answer, enum etcd_errors_next next, const struct err *err)
{
    struct etcd_member *m = ctx;

    (void)next;
    m->count.rpc = NULL;
    m->count.asked.done(m->count.asked.ctx, err ? 0 : answer->keys, err);
}

int etcd_member_count(struct etcd_member *m, const struct etcd_member_count *asked, struct err *e)
{
    struct etcd_rpc_spec spec = rpc_spec(m);

    spec.timeout_ms = asked->timeout_ms;
    spec.done = on_count;
    m->count.asked = *asked;
    m->count.rpc = etcd_rpc_count(&spec, asked->revision, e);
    return m->count.rpc ? 0 : -1;
}

bool etcd_member_has_password(const struct etcd_member *m)
{
    return etcd_client_conf(m->client)->password != NULL;
}

const struct secret *etcd_member_token(const struct etcd_member *m)
{
    return m->token;
}

struct h2_conn *etcd_member_conn(const struct etcd_member *m)
{
    return m->conn;
}

const struct etcd_client *etcd_member_client(const struct etcd_member *m)
{
    return m->client;
}

void etcd_member_close(struct etcd_member *m)
{
    if (!m)
        return;
    etcd_rpc_cancel(m->status.rpc);
    etcd_rpc_cancel(m->auth.rpc);
    etcd_rpc_cancel(m->describe.rpc);
    etcd_rpc_cancel(m->hash.rpc);
    etcd_rpc_cancel(m->count.rpc);
    h2_conn_close(m->conn);
    secret_free(m->token);
    free(m);
}
