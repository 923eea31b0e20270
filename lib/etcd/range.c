#include "etcd/range.h"

#include <string.h>

#include "etcd/errors.h"
#include "etcd/session_internal.h"
#include "h2/grpc.h"

enum {
    PAGE_KEYS = 500,
    NAME_MAX_BYTES = 2 << 20, /* etcd takes no longer ones (--max-request-bytes) unless told to */
    PAGE_MAX = 8 << 20,       /* bytes of a page */
};

struct etcd_range {
    struct etcd_range_spec spec;
    struct etcd_member *member; /* NULL once the session is closed */
    struct grpc_call *call;     /* NULL while no page is awaited */
    struct buf next, end;       /* the first name that is wanted, and the first that is not */
    int64_t revision;           /* 0: that of the first page */
    bool has_more;
    struct err why; /* the page could not be used */
};

/* The first name behind all that begin with the prefix; "\0" is behind all names. */
static int set_bounds(struct etcd_range *r, struct err *e)
{
    struct bytes prefix = r->spec.prefix;
    size_t len = prefix.len;

    if (buf_append(&r->next, prefix.len ? prefix.data : (const uint8_t *)"", prefix.len ? prefix.len : 1, e) < 0)
        return -1;
    while (len > 0 && prefix.data[len - 1] == 0xFF)
        len--;
    if (len == 0)
        return buf_append(&r->end, "", 1, e);
    if (buf_append(&r->end, prefix.data, len, e) < 0)
        return -1;
    r->end.data[len - 1]++;
    return 0;
}

static void on_detached(void *ctx)
{
    struct etcd_range *r = ctx;

    grpc_call_cancel(TAKE_PTR(r->call));
    r->member = NULL;
}

/* Each name comes behind the one before: else nobody could rely on the order, nor would it ever end. */
static int check_order(const struct etcd_range *r, struct bytes name)
{
    size_t len = name.len < r->next.len ? name.len : r->next.len;
    int order = len ? memcmp(name.data, r->next.data, len) : 0;

    return order > 0 || (order == 0 && name.len >= r->next.len) ? 0 : -1;
}

static int on_key(void *ctx, const struct etcd_messages_key *key, struct err *e)
{
    struct etcd_range *r = ctx;

    if (key->name.len == 0 || check_order(r, key->name) < 0)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the answer to Range holds keys that are out of order");
    r->next.len = 0;
    if (buf_append(&r->next, key->name.data, key->name.len, e) < 0 || buf_append(&r->next, "", 1, e) < 0)
        return -1;
    r->spec.on_key(r->spec.ctx, key);
    return 0;
}

static void on_message(void *ctx, struct bytes message)
{
    struct etcd_range *r = ctx;
    struct etcd_messages_range page = {.ctx = r, .on_key = on_key};

    if (etcd_messages_range(message, &page, &r->why) < 0)
        return;
    r->has_more = page.has_more;
    if (r->revision == 0)
        r->revision = page.revision;
    if (page.has_more && page.n == 0)
        err_set(&r->why, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0,
                "the answer to Range holds no keys, and says there are more");
}

static void on_done(void *ctx, const struct err *err)
{
    struct etcd_range *r = ctx;
    struct err e = err ? *err : r->why;

    r->call = NULL;
    if (err)
        (void)etcd_errors_refine(&e);
    if (e.kind != ERR_NONE)
        etcd_session_name_endpoint(r->spec.session, &e);
    r->spec.on_page(r->spec.ctx, r->has_more, r->revision, e.kind == ERR_NONE ? NULL : &e);
}

int etcd_range_next(struct etcd_range *r, struct err *e)
{
    _cleanup_buf_ struct buf request = BUF_INIT(2 * NAME_MAX_BYTES + 64);
    const struct etcd_messages_range_request wanted = {
            .first = buf_bytes(&r->next), .end = buf_bytes(&r->end), .revision = r->revision, .limit = PAGE_KEYS};
    struct grpc_call_spec call = {
            .method = "/etcdserverpb.KV/Range",
            .unary = true,
            .message_limit = PAGE_MAX,
            .ctx = r,
            .on_message = on_message,
            .on_done = on_done,
    };

    if (!r->member)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "there is no session with etcd");
    if (etcd_messages_range_request(&wanted, &request, e) < 0)
        return -1;
    call.request = buf_bytes(&request);
    call.token = etcd_member_token(r->member);
    call.timeout_ms = etcd_client_conf(etcd_member_client(r->member))->request_timeout_ms;
    r->call = grpc_call_start(etcd_member_conn(r->member), &call, e);
    return r->call ? 0 : -1;
}

struct etcd_range *etcd_range_new(const struct etcd_range_spec *spec, struct err *e)
{
    struct etcd_range *r = calloc(1, sizeof(*r));

    if (!r) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a list of keys");
        return NULL;
    }
    r->spec = *spec;
    r->next = r->end = BUF_INIT(NAME_MAX_BYTES);
    if (set_bounds(r, e) == 0)
        r->member = etcd_session_attach(spec->session, r, on_detached, e);
    r->spec.prefix = (struct bytes){0};
    if (r->member)
        return r;
    etcd_range_free(r);
    return NULL;
}

void etcd_range_free(struct etcd_range *r)
{
    if (!r)
        return;
    grpc_call_cancel(r->call);
    if (r->member)
        etcd_session_detach(r->spec.session);
    buf_reset(&r->next);
    buf_reset(&r->end);
    free(r);
}
