#include "s3/upload_create.h"

#include <string.h>

#include "s3/xml.h"

static char *take_id(const struct s3_response *res, struct err *e)
{
    char id[XML_UPLOAD_ID_MAX], *copy;

    if (xml_parse_upload_id(res->body, id, e) < 0)
        return NULL;
    copy = strdup(id);
    if (!copy)
        (void)err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload id");
    return copy;
}

static void on_answer(void *ctx, const struct s3_response *res, const struct err *err)
{
    struct upload_create *create = ctx;
    struct err e = err ? *err : ERR_INIT;
    char *id = res ? take_id(res, &e) : NULL;
    bool is_lost;

    /* An answer that says no made nothing; one that got lost on its way may have. */
    if (err)
        is_lost = err->kind == ERR_TRANSIENT || err->kind == ERR_PROTOCOL;
    else
        is_lost = !id || res->attempts > 1;
    if (!id)
        err_prepend(&e, "creating the upload: ");
    create->on_created(create->ctx, id, is_lost, id ? NULL : &e);
}

static void free_headers(struct s3_param *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)headers[i].name);
    free(headers);
}

/* x-amz-meta-NAME for each; NULL when out of memory. The values stay the owner's. */
static struct s3_param *make_headers(const struct s3_upload_spec *spec)
{
    struct s3_param *headers = calloc(spec->n_metadata + S3_PUT_HEADERS_MAX + S3_LOCK_HEADERS_MAX, sizeof(*headers));

    if (!headers)
        return NULL;
    for (size_t i = 0; i < spec->n_metadata; i++) {
        char *name = NULL;

        if (asprintf(&name, "x-amz-meta-%s", spec->metadata[i].name) < 0) {
            free_headers(headers, i);
            return NULL;
        }
        headers[i] = (struct s3_param){.name = name, .value = spec->metadata[i].value};
    }
    return headers;
}

int upload_create_start(
        struct upload_create *create, struct upload_store *store, const struct s3_upload_spec *spec, struct err *e)
{
    struct s3_param *headers = make_headers(spec);
    struct s3_request_spec request = {
            .method = S3_POST,
            .query = &(struct s3_param){"uploads", ""},
            .n_query = 1,
            .headers = headers,
            .n_headers = spec->n_metadata,
    };
    char until[TIMESTAMP_TEXT_MAX];
    int ret;

    if (!headers)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
    create->call = (struct upload_call){.store = store, .ctx = create, .on_done = on_answer};
    request.n_headers += s3_client_put_headers(store->client, true, headers + request.n_headers);
    request.n_headers += s3_lock_headers(&spec->lock, until, headers + request.n_headers);
    ret = upload_call_start_within(&create->call, request, 0, e); /* nothing is lost with it */
    free_headers(headers, spec->n_metadata);
    return ret == 0 ? 0 : err_prepend(e, "creating the upload: ");
}
