#include "scripted_store.h"

#include "expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "seal/key.h"

enum { WAITING_MAX = 8 };

struct s3_request {
    bool is_waiting, is_put;
    unsigned number; /* of all requests, from 1 */
    char name[STORE_TEXT_MAX], if_match[STORE_TEXT_MAX];
    const uint8_t *body; /* borrowed, as the real one does */
    size_t body_len, limit;
    char metadata[STORE_METADATA_MAX][2][STORE_TEXT_MAX];
    size_t n_metadata;
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err);
};

struct store store;
static struct s3_request requests[WAITING_MAX];
static unsigned versions;

void store_reset(void)
{
    memset(&store, 0, sizeof(store));
    memset(requests, 0, sizeof(requests));
    versions = 0;
}

/* ---- objects ---- */

static struct store_object *find(const char *name)
{
    for (unsigned i = 0; i < STORE_OBJECTS; i++)
        if (strcmp(store.objects[i].name, name) == 0)
            return &store.objects[i];
    return NULL;
}

struct store_object *store_find(const char *name)
{
    struct store_object *o = find(name);

    assert_non_null(o);
    assert_true(o && o->is_there);
    return o;
}

struct store_object *store_fill(const char *name, const void *body, size_t len)
{
    struct store_object *o = find(name);

    if (!o && (o = find("")))
        (void)snprintf(o->name, sizeof(o->name), "%s", name);
    if (!o || len > sizeof(o->body)) {
        fail();
        abort();
    }
    (void)memmove(o->body, body, len);
    o->len = len;
    o->is_there = true;
    o->version = ++versions;
    return o;
}

void store_add_metadata(struct store_object *o, const char *name, const char *value)
{
    assert_true(o->n_metadata < STORE_METADATA_MAX);
    (void)snprintf(o->metadata[o->n_metadata][0], STORE_TEXT_MAX, "%s", name);
    (void)snprintf(o->metadata[o->n_metadata++][1], STORE_TEXT_MAX, "%s", value);
}

const char *store_metadata(const struct store_object *o, const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < o->n_metadata; i++)
        if (strcmp(o->metadata[i][0], name) == 0) {
            assert_null(found);
            found = o->metadata[i][1];
        }
    return found;
}

/* ---- in place of core.c and object.c ---- */

struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)c;
    if (!store.has_no_client)
        return (struct s3_client *)(void *)&store;
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no credentials");
    return NULL;
}

struct s3_dialect *s3_client_dialect(struct s3_client *c)
{
    assert_ptr_equal(c, &store);
    return &store.dialect;
}

static struct s3_request *start(struct s3_client *c, bool is_put, const char *name, struct err *e)
{
    assert_ptr_equal(c, &store);
    assert_true(++store.n <= STORE_SCRIPT);
    (void)strcat(strcat(store.log, store.n > 1 ? " " : ""), is_put ? "put" : "get");
    if (store.script[store.n].cannot_start) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of requests");
        return NULL;
    }
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (!requests[i].is_waiting) {
            requests[i] = (struct s3_request){.is_waiting = true, .is_put = is_put, .number = store.n};
            (void)snprintf(requests[i].name, sizeof(requests[i].name), "%s", name);
            return &requests[i];
        }
    fail();
    return NULL;
}

struct s3_request *s3_get(struct s3_client *c, const struct s3_get_spec *spec, struct err *e)
{
    struct s3_request *r = start(c, false, spec->key, e);

    assert_true(spec->limit >= 72 && spec->limit <= KEY_OBJECT_LIMIT && !spec->version_id);
    if (!r)
        return NULL;
    r->limit = spec->limit;
    r->ctx = spec->ctx;
    r->on_done = spec->on_done;
    return r;
}

struct s3_request *s3_put(struct s3_client *c, const struct s3_put_spec *spec, struct err *e)
{
    struct s3_request *r = start(c, true, spec->key, e);
    char etag[S3_ETAG_MAX];
    const char *if_match = spec->if_match ? s3_dialect_if_match(&store.dialect, spec->if_match, etag) : NULL;

    assert_false(spec->if_none_match);
    if (if_match)
        (void)snprintf(store.log + strlen(store.log), sizeof(store.log) - strlen(store.log), "(%s)", if_match);
    if (!r)
        return NULL;
    (void)snprintf(r->if_match, sizeof(r->if_match), "%s", if_match ? if_match : "");
    r->body = spec->body.data;
    r->body_len = spec->body.len;
    assert_true(spec->n_metadata <= STORE_METADATA_MAX);
    for (; r->n_metadata < spec->n_metadata; r->n_metadata++) {
        (void)snprintf(r->metadata[r->n_metadata][0], STORE_TEXT_MAX, "%s", spec->metadata[r->n_metadata].name);
        (void)snprintf(r->metadata[r->n_metadata][1], STORE_TEXT_MAX, "%s", spec->metadata[r->n_metadata].value);
    }
    r->ctx = spec->ctx;
    r->on_done = spec->on_done;
    return r;
}

void s3_request_cancel(struct s3_request *r)
{
    assert_true(r->is_waiting);
    r->is_waiting = false;
    store.cancelled++;
}

/* ---- answers ---- */

static struct s3_request *waiting(unsigned number)
{
    unsigned after = 0;

    for (;;) { /* in the order of their numbers */
        struct s3_request *next = NULL;

        for (unsigned i = 0; i < WAITING_MAX; i++)
            if (requests[i].is_waiting && requests[i].number > after && (!next || requests[i].number < next->number))
                next = &requests[i];
        if (!next || number-- == 0)
            return next;
        after = next->number;
    }
}

unsigned store_waiting(void)
{
    unsigned n = 0;

    while (waiting(n))
        n++;
    return n;
}

/* What the condition makes of a put: 0, or the status. */
static int check_condition(const struct s3_request *r, const struct store_object *o)
{
    char etag[32];

    if (!r->if_match[0])
        return 0;
    if (store.conditions == STORE_KNOWS_NONE)
        return 501;
    if (!o || !o->is_there)
        return 404; /* S3 API, "conditional writes": a delete that was faster */
    (void)snprintf(etag, sizeof(etag), store.conditions == STORE_KNOWS_BARE ? "%u" : "\"%u\"", o->version);
    return store.conditions == STORE_REFUSES_ALL || strcmp(etag, r->if_match) != 0 ? 412 : 0;
}

static void take(const struct s3_request *r)
{
    struct store_object *o = store_fill(r->name, r->body, r->body_len);

    o->n_metadata = 0;
    for (size_t i = 0; i < r->n_metadata; i++)
        store_add_metadata(o, r->metadata[i][0], r->metadata[i][1]);
}

static void tell_failure(const struct s3_request *r, int status)
{
    struct err e = ERR_INIT;
    enum err_kind kind = status == 404   ? ERR_NOT_FOUND
                         : status == 403 ? ERR_AUTH
                         : status == 503 ? ERR_TRANSIENT
                                         : ERR_CONFIG;

    err_set(&e, kind, ERR_DOMAIN_HTTP, status, "HTTP %d", status);
    r->on_done(r->ctx, NULL, &e);
    memset(&e, 0xee, sizeof(e));
}

static void tell(const struct s3_request *r, const struct store_object *o, unsigned version)
{
    static struct store_object copy;
    static struct s3_param metadata[STORE_METADATA_MAX];
    struct s3_response res = {.status = 200};

    if (!o) {
        fail();
        return;
    }
    copy = *o;
    if (!r->is_put) {
        res.body = (struct bytes){copy.body, copy.len};
        res.metadata = metadata;
        res.n_metadata = copy.n_metadata;
    }
    for (size_t i = 0; i < copy.n_metadata; i++)
        metadata[i] = (struct s3_param){copy.metadata[i][0], copy.metadata[i][1]};
    if (!store.has_no_etags)
        (void)snprintf(res.etag, sizeof(res.etag), "\"%u\"", version);
    r->on_done(r->ctx, &res, NULL);
    memset(&copy, 0xee, sizeof(copy));
    memset(metadata, 0xee, sizeof(metadata));
    memset(&res, 0xee, sizeof(res));
}

bool store_answer(unsigned number)
{
    struct s3_request *found = waiting(number), r;
    const struct store_step *step;
    struct store_object *o;
    unsigned version;
    int status;

    if (!found)
        return false;
    r = *found;
    found->is_waiting = false;
    step = &store.script[r.number];
    if (step->before)
        step->before(find(r.name));
    o = find(r.name);
    status = step->status;
    if (!status)
        status = r.is_put ? check_condition(&r, o) : o && o->is_there ? 0 : 404;
    if (r.is_put && (!status || step->has_effect))
        take(&r);
    o = find(r.name);
    version = o ? o->version : 0;
    if (step->after)
        step->after(o);
    if (status)
        tell_failure(&r, status);
    else
        tell(&r, o, version);
    return true;
}

void store_carry_out(void)
{
    const struct s3_request *r = waiting(0);

    if (r && r->is_put && check_condition(r, find(r->name)) == 0)
        take(r);
}

void store_answer_all(void)
{
    while (store_answer(0))
        ;
}
