/* Listings: page after page, until one says that it is the last. */
#include <string.h>

#include "s3/object.h"
#include "s3/xml_list.h"

/* Ten million uploads: more cannot be ours. Objects need no such limit, since their names have to ascend. */
enum { UPLOAD_PAGES_MAX = 10000, EMPTY_PAGES_MAX = 1000 };

struct s3_listing {
    struct s3_client *client;
    struct s3_request *request; /* the page under way */
    char *prefix;
    bool of_uploads;
    void *ctx;
    int (*on_object)(void *ctx, const struct s3_object *o, struct err *e);
    int (*on_unfinished)(void *ctx, const struct s3_unfinished *u, struct err *e);
    void (*on_done)(void *ctx, const struct err *err);

    struct xml_page page;
    char last_key[XML_KEY_MAX + 1];
    unsigned n_pages, n_empty;
    bool page_has_items;
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
 * ListObjectsV2, ListMultipartUploads). */
static int check_key(struct s3_listing *l, const char *key, struct err *e)
{
    const int order = strcmp(key, l->last_key);

    if (strncmp(key, l->prefix, strlen(l->prefix)) != 0)
        return protocol(e, "a name does not begin with the prefix asked for");
    if (order < 0 || (order == 0 && !l->of_uploads))
        return protocol(e, "the names do not ascend");
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

    if (check_key(l, o->key, e) < 0 || l->on_object(l->ctx, o, e) < 0)
        return -1;
    return l->cancelled ? cancelled(e) : 0;
}

static int on_unfinished(void *ctx, const struct s3_unfinished *u, struct err *e)
{
    struct s3_listing *l = ctx;

    if (check_key(l, u->key, e) < 0 || l->on_unfinished(l->ctx, u, e) < 0)
        return -1;
    return l->cancelled ? cancelled(e) : 0;
}

static void finish(struct s3_listing *l, const struct err *err)
{
    void (*const on_done)(void *ctx, const struct err *err) = l->on_done;
    void *ctx = l->ctx;

    destroy(l);
    on_done(ctx, err);
}

static int next_page(struct s3_listing *l, struct err *e);

/* A page that ends where it began would be asked for without end. */
static int check_advance(struct s3_listing *l, const struct xml_page *before, struct err *e)
{
    const struct xml_page *now = &l->page;

    if (!now->marker[0] && !now->key_marker[0])
        return protocol(e, "more is to follow and it is not said from where");
    if (strcmp(now->marker, before->marker) == 0 && strcmp(now->key_marker, before->key_marker) == 0)
        return protocol(e, "the pages do not advance");
    l->n_empty = l->page_has_items ? 0 : l->n_empty + 1;
    l->n_pages++;
    if (l->n_empty > EMPTY_PAGES_MAX || (l->of_uploads && l->n_pages > UPLOAD_PAGES_MAX))
        return protocol(e, "the pages do not end");
    return 0;
}

static int read_page(struct s3_listing *l, struct bytes body, struct err *e)
{
    const struct xml_items items = {.ctx = l, .on_object = on_object, .on_unfinished = on_unfinished};
    const struct xml_page before = l->page;
    int result;

    l->page_has_items = false;
    l->showing = true;
    result = l->of_uploads ? xml_page_unfinished(body, &items, &l->page, e)
                           : xml_page_objects(body, &items, &l->page, e);
    l->showing = false;
    if (result < 0 || !l->page.truncated || l->cancelled)
        return result;
    return check_advance(l, &before, e);
}

static void on_page(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct s3_listing *l = ctx;
    struct err e = ERR_INIT;
    int result;

    l->request = NULL;
    if (err) {
        finish(l, err);
        return;
    }
    result = read_page(l, res->body, &e);
    if (l->cancelled) {
        destroy(l);
        return;
    }
    if (result == 0 && !l->page.truncated) {
        finish(l, NULL);
        return;
    }
    if (result < 0 || next_page(l, &e) < 0)
        finish(l, &e);
}

static int next_page(struct s3_listing *l, struct err *e)
{
    struct s3_param query[5] = {{"prefix", l->prefix}};
    struct s3_request_spec request = {.method = S3_GET, .query = query, .ctx = l, .on_done = on_page};
    size_t n = 1;

    if (l->of_uploads) {
        query[n++] = (struct s3_param){"uploads", ""};
        if (l->page.key_marker[0])
            query[n++] = (struct s3_param){"key-marker", l->page.key_marker};
    } else {
        query[n++] = (struct s3_param){"list-type", "2"};
        query[n++] = (struct s3_param){"encoding-type", "url"};
    }
    if (l->page.marker[0])
        query[n++] = (struct s3_param){l->of_uploads ? "upload-id-marker" : "continuation-token", l->page.marker};
    request.n_query = n;
    l->request = s3_request_start(l->client, &request, e);
    return l->request ? 0 : -1;
}

static struct s3_listing *start(struct s3_client *c, const struct s3_listing_spec *spec, bool of_uploads, struct err *e)
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
    l->of_uploads = of_uploads;
    l->ctx = spec->ctx;
    l->on_object = spec->on_object;
    l->on_unfinished = spec->on_unfinished;
    l->on_done = spec->on_done;
    if (next_page(l, e) < 0) {
        destroy(l);
        return NULL;
    }
    return l;
}

struct s3_listing *s3_list_objects(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    return start(c, spec, false, e);
}

struct s3_listing *s3_list_unfinished(struct s3_client *c, const struct s3_listing_spec *spec, struct err *e)
{
    return start(c, spec, true, e);
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
