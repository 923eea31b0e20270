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
    int64_t left;               /* keys that are still to come; before the first page nobody knows */
    bool has_more;
    bool authenticating; /* for a new token */
    bool authenticated;  /* and once is enough for a page */
    struct err why;      /* the page could not be used */
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
    if (r->authenticating)
        etcd_member_authenticate_cancel(r->member);
    r->authenticating = false;
    r->member = NULL;
}

static int refuse(struct err *e, const char *what)
{
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "the answer to Range %s", what);
}

/* Serializable reads are answered alike by all of a cluster, at one revision: nothing comes or goes between two pages.
 */
static int on_head(void *ctx, const struct etcd_messages_range *page, struct err *e)
{
    struct etcd_range *r = ctx;
    bool is_first = r->revision == 0;

    if (page->cluster_id != etcd_session_cluster_id(r->spec.session))
        return refuse(e, "is of another cluster");
    if (page->revision <= 0 || page->revision < r->revision)
        return refuse(e, "is of a revision that is older than what was asked for");
    if (page->n > PAGE_KEYS)
        return refuse(e, "holds more keys than were asked for");
    if (page->has_more && page->n == 0)
        return refuse(e, "holds no keys, and says there are more");
    if (page->left < 0 || (uint64_t)page->left < page->n || page->has_more != ((uint64_t)page->left > page->n) ||
            (!is_first && page->left != r->left))
        return refuse(e, "holds another number of keys than it says, or than the one before said");
    if (is_first)
        r->revision = page->revision;
    r->left = page->left - (int64_t)page->n;
    r->has_more = page->has_more;
    return 0;
}

/* Each name comes behind the one before: else nobody could rely on the order, nor would it ever end. */
static int check_order(const struct etcd_range *r, struct bytes name)
{
    size_t len = name.len < r->next.len ? name.len : r->next.len;
    int order = len ? memcmp(name.data, r->next.data, len) : 0;

    return order > 0 || (order == 0 && name.len >= r->next.len) ? 0 : -1;
}

static bool is_behind_the_end(const struct etcd_range *r, struct bytes name)
{
    struct bytes end = buf_bytes(&r->end);
    size_t len = name.len < end.len ? name.len : end.len;
    int order;

    if (end.len == 1 && end.data[0] == 0) /* no end */
        return false;
    order = memcmp(name.data, end.data, len);
    return order > 0 || (order == 0 && name.len >= end.len);
}

static int on_key(void *ctx, const struct etcd_messages_key *key, struct err *e)
{
    struct etcd_range *r = ctx;

    if (key->name.len == 0 || check_order(r, key->name) < 0)
        return refuse(e, "holds keys that are out of order");
    if (is_behind_the_end(r, key->name))
        return refuse(e, "holds keys that were not asked for");
    if (key->create_revision <= 0 || key->create_revision > key->mod_revision || key->mod_revision > r->revision)
        return refuse(e, "holds keys of revisions that cannot be");
    r->next.len = 0;
    if (buf_append(&r->next, key->name.data, key->name.len, e) < 0 || buf_append(&r->next, "", 1, e) < 0)
        return -1;
    r->spec.on_key(r->spec.ctx, key);
    return 0;
}

static void on_message(void *ctx, struct bytes message)
{
    struct etcd_range *r = ctx;
    struct etcd_messages_range page = {.ctx = r, .on_head = on_head, .on_key = on_key};

    (void)etcd_messages_range(message, &page, &r->why);
}

/* The last thing that a callback does. */
static void tell(struct etcd_range *r, struct err *e)
{
    if (e->kind != ERR_NONE)
        etcd_session_name_endpoint(r->spec.session, e);
    r->spec.on_page(r->spec.ctx, r->has_more, r->revision, e->kind == ERR_NONE ? NULL : e);
}

static int start_call(struct etcd_range *r, struct err *e);

static void on_authenticated(void *ctx, const struct err *err)
{
    struct etcd_range *r = ctx;
    struct err e = ERR_INIT;

    r->authenticating = false;
    if (!err && start_call(r, &e) == 0)
        return;
    if (err)
        e = *err;
    err_prepend(&e, "authenticating: ");
    tell(r, &e);
}

/* Whether the page is asked for again, with a new token: etcd's live for minutes, a reader who pages through keys too.
 */
static bool try_new_token(struct etcd_range *r, struct err *e)
{
    if (r->authenticated || !etcd_member_has_password(r->member))
        return false;
    r->authenticated = true;
    r->authenticating = etcd_member_authenticate(r->member, r, on_authenticated, e) == 0;
    return r->authenticating;
}

static void on_done(void *ctx, const struct err *err)
{
    struct etcd_range *r = ctx;
    struct err e = err ? *err : r->why;

    r->call = NULL;
    if (err && etcd_errors_refine(&e) == ETCD_ERRORS_AUTHENTICATE && try_new_token(r, &e))
        return;
    tell(r, &e);
}

static int start_call(struct etcd_range *r, struct err *e)
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

    if (etcd_messages_range_request(&wanted, &request, e) < 0)
        return -1;
    call.request = buf_bytes(&request);
    call.token = etcd_member_token(r->member);
    call.timeout_ms = etcd_client_conf(etcd_member_client(r->member))->request_timeout_ms;
    r->call = grpc_call_start(etcd_member_conn(r->member), &call, e);
    return r->call ? 0 : -1;
}

int etcd_range_next(struct etcd_range *r, struct err *e)
{
    if (!r->member)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "there is no session with etcd");
    r->authenticated = false;
    return start_call(r, e);
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
    if (r->member)
        etcd_session_detach(r->spec.session);
    on_detached(r);
    buf_reset(&r->next);
    buf_reset(&r->end);
    free(r);
}
