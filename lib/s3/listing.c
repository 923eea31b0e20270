/* Listings: page after page, until one says that it is the last. */
#include <string.h>

#include "s3/dialect.h"
#include "s3/object.h"
#include "s3/xml_list.h"

/* Ten million uploads or versions: more cannot be ours. Objects need no such limit: their names have to ascend. */
enum { PAGES_MAX = 10000, EMPTY_PAGES_MAX = 1000 };

/* What one kind of listing asks for, and how its pages are read. */
struct listing_kind {
    struct s3_param query[2];
    size_t n_query;
    const char *marker; /* the parameter that xml_page.marker goes into */
    bool repeats;       /* a name may come several times, and it takes two markers to say where a page ends */
    int (*read)(struct bytes doc, const struct xml_items *items, struct xml_page *page, struct err *e);
};

static const struct listing_kind objects = {
        .query = {{"list-type", "2"}, {"encoding-type", "url"}}, /* list-type first: next_page leaves it out */
        .n_query = 2,
        .marker = "continuation-token",
        .read = xml_page_objects,
};
static const struct listing_kind uploads = {
        .query = {{"uploads", ""}},
        .n_query = 1,
        .marker = "upload-id-marker",
        .repeats = true,
        .read = xml_page_unfinished,
};
static const struct listing_kind versions = {
        .query = {{"versions", ""}},
        .n_query = 1,
        .marker = "version-id-marker",
        .repeats = true,
        .read = xml_page_versions,
};

struct s3_listing {
    struct s3_client *client;
    struct s3_request *request; /* the page under way */
    char *prefix;
    const struct listing_kind *kind;
    struct s3_listing_spec spec; /* without its prefix */

    struct xml_page page;
    char last_key[XML_KEY_MAX + 1];
    char last_version[XML_VERSION_ID_MAX];
    bool had_latest; /* among the versions of last_key */
    unsigned n_pages, n_empty;
    bool page_has_items;
    bool by_name;            /* the store knows the first version of the API alone, where a page begins behind a name */
    bool showing, cancelled; /* cancelled from inside a callback: freed when that has returned */
};

static void destroy(struct s3_listing *l)
{
    free(l->prefix);
    free(l);
}

static int protocol(struct err *e, const char *what)
{
    return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_NONE, 0, "a listing in which %s", what);
}

/* What the caller decides by this listing may be what to delete: names that it did not ask for, or that come out of
 * order (and so perhaps twice or never), are not to be trusted. S3 lists in the order of UTF-8 bytes (S3 API,
 * ListObjectsV2, ListMultipartUploads, ListObjectVersions). */
static int check_key(struct s3_listing *l, const char *key, struct err *e)
{
    const int order = strcmp(key, l->last_key);

    if (strncmp(key, l->prefix, strlen(l->prefix)) != 0)
        return protocol(e, "a name does not begin with the prefix asked for");
    if (order < 0)
        return protocol(e,
                "the names do not ascend; a bucket that lists without order, as directory buckets do, cannot be used");
    if (order == 0 && !l->kind->repeats)
        return protocol(e, "a name comes twice");
    (void)snprintf(l->last_key, sizeof(l->last_key), "%s", key);
    l->page_has_items = true;
    return 0;
}

static int cancelled(struct err *e)
{
    return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "cancelled");
}

static int on_object(void *ctx, const struct s3_object *o, struct err *e)
{
    struct s3_listing *l = ctx;

    if (check_key(l, o->key, e) < 0 || l->spec.on_object(l->spec.ctx, o, e) < 0)
        return -1;
    return l->cancelled ? cancelled(e) : 0;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    struct s3_listing *l = ctx;

    if (check_key(l, u->key, e) < 0 || l->spec.on_unfinished(l->spec.ctx, u, e) < 0)
        return -1;
    return l->cancelled ? cancelled(e) : 0;
}

/* Ceph 16 has been seen to say of the version below a delete marker that it is the latest, too. The newest comes first.
 */
static int on_version(void *ctx, const struct s3_version *v, struct err *e)
{
    struct s3_listing *l = ctx;
    struct s3_version shown = *v;
    const bool same_key = strcmp(v->key, l->last_key) == 0;

    if (same_key && strcmp(v->version_id, l->last_version) == 0)
        return protocol(e, "a version comes twice");
    if (check_key(l, v->key, e) < 0)
        return -1;
    (void)snprintf(l->last_version, sizeof(l->last_version), "%s", v->version_id);
    if (!same_key)
        l->had_latest = false;
    shown.is_latest = v->is_latest && !l->had_latest;
    l->had_latest = l->had_latest || v->is_latest;
    if (l->spec.on_version(l->spec.ctx, &shown, e) < 0)
        return -1;
    return l->cancelled ? cancelled(e) : 0;
}

static void finish(struct s3_listing *l, const struct err *err)
{
    void (*const on_done)(void *ctx, const struct err *err) = l->spec.on_done;
    void *ctx = l->spec.ctx;

    destroy(l);
    on_done(ctx, err);
}

static int next_page(struct s3_listing *l, struct err *e);

/* A page that ends where it began would be asked for without end. */
static int check_advance(struct s3_listing *l, const struct xml_page *before, struct err *e)
{
    const struct xml_page *now = &l->page;

    if (l->kind == &objects && !now->marker[0] && l->page_has_items)
        l->by_name = true;
    l->n_pages++;
    if (l->by_name)
        return l->page_has_items ? 0 : protocol(e, "more is to follow and it is not said from where");
    /* Without the key's marker the other one means nothing (S3 API, ListMultipartUploads, ListObjectVersions). */
    if (l->kind->repeats ? !now->key_marker[0] : !now->marker[0])
        return protocol(e, "more is to follow and it is not said from where");
    if (strcmp(now->marker, before->marker) == 0 && strcmp(now->key_marker, before->key_marker) == 0)
        return protocol(e, "the pages do not advance");
    l->n_empty = l->page_has_items ? 0 : l->n_empty + 1;
    if (l->n_empty > EMPTY_PAGES_MAX || (l->kind->repeats && l->n_pages > PAGES_MAX))
        return protocol(e, "the pages do not end");
    return 0;
}

static int read_page(struct s3_listing *l, struct bytes body, struct err *e)
{
    const struct xml_items items = {
            .ctx = l, .on_object = on_object, .on_unfinished = on_unfinished, .on_version = on_version};
    const struct xml_page before = l->page;
    int result;

    l->page_has_items = false;
    l->showing = true;
    result = l->kind->read(body, &items, &l->page, e);
    l->showing = false;
    if (result < 0 || !l->page.truncated || l->cancelled)
        return result;
    return check_advance(l, &before, e);
}

/* Whether it may be the second version of the API that is refused: then the first is tried. */
static bool is_too_new(const struct s3_listing *l, const struct err *err)
{
    return l->kind == &objects && !l->by_name && l->n_pages == 0 &&
           s3_dialect_hears(s3_client_dialect(l->client), S3_LIST_OBJECTS_V2, err);
}

static void on_page(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_listing *l = ctx;
    struct err e = ERR_INIT;
    int result;

    l->request = NULL;
    if (err && is_too_new(l, err)) {
        l->by_name = true;
        if (next_page(l, &e) == 0)
            return;
    }
    if (err) {
        finish(l, err);
        return;
    }
    result = read_page(l, res->body, &e);
    if (l->cancelled) {
        destroy(l);
        return;
    }
    if (result == 0 && !l->page.truncated && l->kind == &uploads && s3_dialect_leaves_out(res->server, S3_LIST_UPLOADS))
        result = err_set(&e, ERR_CONFIG, ERR_DOMAIN_S3, S3_FAULT_HIDES_UPLOADS,
                "this store (%s) lists unfinished uploads by their whole names alone, so whether there are any is not "
                "known; it removes them by itself after a day",
                res->server);
    if (result == 0 && !l->page.truncated) {
        finish(l, NULL);
        return;
    }
    if (result < 0 || next_page(l, &e) < 0)
        finish(l, &e);
}

/* Whoever is told may cancel the listing: nothing is touched then. */
static void on_retry(void *ctx, const struct s3_retry *retry)
{
    struct s3_listing *l = ctx;

    l->spec.on_retry(l->spec.ctx, retry);
}

static int next_page(struct s3_listing *l, struct err *e)
{
    struct s3_param query[5] = {{"prefix", l->prefix}};
    struct s3_request_spec request = {.method = S3_GET, .query = query, .ctx = l, .on_done = on_page};
    size_t n = 1;

    for (size_t i = l->by_name ? 1 : 0; i < l->kind->n_query; i++)
        query[n++] = l->kind->query[i];
    if (l->by_name && l->last_key[0])
        query[n++] = (struct s3_param){"marker", l->last_key};
    if (l->kind->repeats && l->page.key_marker[0])
        query[n++] = (struct s3_param){"key-marker", l->page.key_marker};
    if (l->page.marker[0] && !l->by_name)
        query[n++] = (struct s3_param){l->kind->marker, l->page.marker};
    request.n_query = n;
    request.patience_ms = l->spec.patience_ms;
    request.on_retry = l->spec.on_retry ? on_retry : NULL;
    l->request = s3_request_start(l->client, &request, e);
    return l->request ? 0 : -1;
}

static struct s3_listing *start(
        struct s3_client *c, const struct s3_listing_spec *spec, const struct listing_kind *kind, struct err *e)
{
    struct s3_listing *l = calloc(1, sizeof(*l));

    if (l)
        l->prefix = strdup(spec->prefix);
    if (!l || !l->prefix) {
        free(l);
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    l->client = c;
    l->kind = kind;
    l->spec = *spec;
    l->spec.prefix = NULL;
    l->by_name = kind == &objects && s3_dialect_lacks(s3_client_dialect(c), S3_LIST_OBJECTS_V2);
    if (next_page(l, e) < 0) {
        destroy(l);
        return NULL;
    }
    return l;
}

struct s3_listing *s3_list_objects(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    return start(c, spec, &objects, e);
}

struct s3_listing *s3_list_unfinished(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    return start(c, spec, &uploads, e);
}

struct s3_listing *s3_list_versions(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    return start(c, spec, &versions, e);
}

void s3_listing_cancel(struct s3_listing *l)
{
    if (l->showing) {
        l->cancelled = true;
        return;
    }
    if (l->request)
        s3_request_cancel(l->request);
    destroy(l);
}
