#include "etcd/rpc.h"

#include <string.h>

/* Far above any answer of these: a thousand members, or a Status with all alarms. */
enum { ANSWER_MAX = 256 << 10 };

struct etcd_rpc {
    struct grpc_call *call; /* NULL once it has ended */
    struct etcd_rpc_spec spec;
    int (*decode)(struct etcd_rpc *r, struct bytes message, struct err *e);
    uint64_t member_id;
    struct etcd_rpc_answer answer;
    bool undecodable;
    struct err why;
};

static int decode_status(struct etcd_rpc *r, struct bytes message, struct err *e)
{
    return etcd_messages_status(message, &r->answer.status, e);
}

static int decode_token(struct etcd_rpc *r, struct bytes message, struct err *e)
{
    secret_free(r->answer.token);
    r->answer.token = etcd_messages_token(message, e);
    return r->answer.token ? 0 : -1;
}

static int decode_member(struct etcd_rpc *r, struct bytes message, struct err *e)
{
    return etcd_messages_member(message, r->member_id, &r->answer.member, e);
}

static int decode_hash(struct etcd_rpc *r, struct bytes message, struct err *e)
{
    return etcd_messages_hash(message, &r->answer.hash, e);
}

static int decode_count(struct etcd_rpc *r, struct bytes message, struct err *e)
{
    return etcd_messages_count(message, &r->answer.keys, e);
}

static void free_rpc(struct etcd_rpc *r)
{
    if (!r)
        return;
    secret_free(r->answer.token);
    free(r);
}
CLEANUP_FUNC(struct etcd_rpc *, free_rpc)

static void on_message(void *ctx, struct bytes message)
{
    struct etcd_rpc *r = ctx;

    if (r->decode(r, message, &r->why) < 0)
        r->undecodable = true;
}

static void on_done(void *ctx, const struct err *err)
{
    _cleanup_(cleanup_free_rpc) struct etcd_rpc *r = ctx; /* ours alone: nobody can cancel what is done */
    enum etcd_errors_next next = ETCD_ERRORS_FINAL;
    struct err refined;

    r->call = NULL;
    if (err) {
        refined = *err;
        next = etcd_errors_refine(&refined);
        err = &refined;
    } else if (r->undecodable) {
        err = &r->why;
    }
    r->spec.done(r->spec.ctx, &r->answer, next, err);
}

struct kind {
    const char *method;
    struct bytes request;
    int (*decode)(struct etcd_rpc *r, struct bytes message, struct err *e);
    uint64_t member_id;
};

static struct etcd_rpc *start(const struct etcd_rpc_spec *spec, const struct kind *kind, struct err *e)
{
    _cleanup_(cleanup_free_rpc) struct etcd_rpc *r = calloc(1, sizeof(*r));
    struct grpc_call_spec call = {
            .method = kind->method,
            .request = kind->request,
            .token = spec->token,
            .timeout_ms = spec->timeout_ms,
            .unary = true,
            .message_limit = ANSWER_MAX,
            .ctx = r,
            .on_message = on_message,
            .on_done = on_done,
    };

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a call");
        return NULL;
    }
    r->spec = *spec;
    r->spec.token = NULL; /* the caller's */
    r->decode = kind->decode;
    r->member_id = kind->member_id;
    r->call = grpc_call_start(spec->conn, &call, e);
    return r->call ? TAKE_PTR(r) : NULL;
}

struct etcd_rpc *etcd_rpc_status(const struct etcd_rpc_spec *spec, struct err *e)
{
    static const struct kind kind = {.method = "/etcdserverpb.Maintenance/Status", .decode = decode_status};

    return start(spec, &kind, e);
}

struct etcd_rpc *etcd_rpc_authenticate(
        const struct etcd_rpc_spec *spec, const char *username, const struct secret *password, struct err *e)
{
    _cleanup_secret_ struct secret *request = etcd_messages_authenticate(username, password, e);
    struct kind kind = {.method = "/etcdserverpb.Auth/Authenticate", .decode = decode_token};

    if (!request)
        return NULL;
    kind.request = (struct bytes){.data = secret_const_data(request), .len = secret_len(request)};
    return start(spec, &kind, e);
}

struct etcd_rpc *etcd_rpc_member(const struct etcd_rpc_spec *spec, uint64_t id, struct err *e)
{
    /* An empty request: linearizable is false, and as any false it is left out. */
    const struct kind kind = {.method = "/etcdserverpb.Cluster/MemberList", .decode = decode_member, .member_id = id};

    return start(spec, &kind, e);
}

struct etcd_rpc *etcd_rpc_hash(const struct etcd_rpc_spec *spec, int64_t revision, struct err *e)
{
    uint8_t request[ETCD_MESSAGES_HASH_REQUEST_MAX];
    const struct kind kind = {
            .method = "/etcdserverpb.Maintenance/HashKV",
            .request = {.data = request, .len = etcd_messages_hash_request(revision, request)},
            .decode = decode_hash,
    };

    return start(spec, &kind, e);
}

struct etcd_rpc *etcd_rpc_count(const struct etcd_rpc_spec *spec, int64_t revision, struct err *e)
{
    uint8_t request[ETCD_MESSAGES_COUNT_REQUEST_MAX];
    const struct kind kind = {
            .method = "/etcdserverpb.KV/Range",
            .request = {.data = request, .len = etcd_messages_count_request(revision, request)},
            .decode = decode_count,
    };

    return start(spec, &kind, e);
}

void etcd_rpc_cancel(struct etcd_rpc *r)
{
    if (!r)
        return;
    grpc_call_cancel(r->call);
    free_rpc(r);
}
