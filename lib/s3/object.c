#include "s3/object.h"

#include <stdio.h>
#include <string.h>

#include "s3/client_inside.h"
#include "s3/dialect.h"
#include "s3/xml_list.h"

enum { METADATA_MAX = 32, NAME_MAX_LEN = 64 };

/* x-amz-meta-NAME for each, beside the two conditions and a legal hold. */
struct put_headers {
    struct s3_param list[METADATA_MAX + 3 + S3_PUT_HEADERS_MAX + S3_LOCK_HEADERS_MAX];
    char names[METADATA_MAX][NAME_MAX_LEN];
    size_t n;
};

static int add_metadata(struct put_headers *h, const struct s3_put_spec *spec, struct err *e)
{
    if (spec->n_metadata > METADATA_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "more than %d metadata of an object", METADATA_MAX);
    for (size_t i = 0; i < spec->n_metadata; i++) {
        const int len = snprintf(h->names[i], sizeof(h->names[i]), "x-amz-meta-%s", spec->metadata[i].name);

        if (len < 0 || len >= NAME_MAX_LEN)
            return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the metadata name \"%.40s...\" is too long",
                    spec->metadata[i].name);
        h->list[h->n++] = (struct s3_param){.name = h->names[i], .value = spec->metadata[i].value};
    }
    return 0;
}

struct s3_request *s3_put(struct s3_client *c, const struct s3_put_spec *spec, struct err *e)
{
    struct put_headers h = {.n = 0};
    char etag[S3_ETAG_MAX], until[TIMESTAMP_TEXT_MAX];
    const char *if_match = spec->if_match ? s3_dialect_if_match(s3_client_dialect(c), spec->if_match, etag) : NULL;
    struct s3_request_spec request = {
            .method = S3_PUT,
            .key = spec->key,
            .headers = h.list,
            .body = spec->body,
            .with_md5 = spec->lock.mode != S3_LOCK_NONE || spec->legal_hold, /* S3 wants it with a lock */
            .patience_ms = spec->patience_ms,
            .ctx = spec->ctx,
            .on_retry = spec->on_retry,
            .on_done = spec->on_done,
    };

    if (add_metadata(&h, spec, e) < 0)
        return NULL;
    if (if_match)
        h.list[h.n++] = (struct s3_param){.name = "if-match", .value = if_match};
    if (spec->if_none_match)
        h.list[h.n++] = (struct s3_param){.name = "if-none-match", .value = "*"};
    h.n += s3_client_put_headers(c, false, h.list + h.n);
    h.n += s3_lock_headers(&spec->lock, until, h.list + h.n);
    if (spec->legal_hold)
        h.list[h.n++] = (struct s3_param){.name = "x-amz-object-lock-legal-hold", .value = "ON"};
    request.n_headers = h.n;
    return s3_request_start(c, &request, e);
}

/* An id that is there but empty asks for the current version, which is never what was meant. */
static int check_version(const char *version_id, struct err *e)
{
    return *version_id ? 0 : err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "an empty version id");
}

struct s3_request *s3_get(struct s3_client *c, const struct s3_get_spec *spec, struct err *e)
{
    const struct s3_param query = {.name = "versionId", .value = spec->version_id};
    const struct s3_request_spec request = {
            .method = S3_GET,
            .key = spec->key,
            .query = &query,
            .n_query = spec->version_id ? 1 : 0,
            .body_limit = spec->limit,
            .patience_ms = spec->patience_ms,
            .ctx = spec->ctx,
            .on_retry = spec->on_retry,
            .on_done = spec->on_done,
    };

    if (spec->version_id && check_version(spec->version_id, e) < 0)
        return NULL;
    return s3_request_start(c, &request, e);
}

struct s3_request *s3_head(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    const struct s3_request_spec request = {.method = S3_HEAD, .key = key, .ctx = ctx, .on_done = on_done};

    return s3_request_start(c, &request, e);
}

struct s3_request *s3_delete(struct s3_client *c, const char *key, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    const struct s3_request_spec request = {.method = S3_DELETE, .key = key, .ctx = ctx, .on_done = on_done};

    return s3_request_start(c, &request, e);
}

struct s3_request *s3_delete_version(struct s3_client *c, const char *key, const char *version_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    const struct s3_param query = {.name = "versionId", .value = version_id};
    const struct s3_request_spec request = {
            .method = S3_DELETE,
            .key = key,
            .query = &query,
            .n_query = 1,
            .fine_code = "NoSuchVersion NoSuchKey",
            .ctx = ctx,
            .on_done = on_done,
    };

    return check_version(version_id, e) < 0 ? NULL : s3_request_start(c, &request, e);
}

struct s3_request *s3_list_parts(struct s3_client *c, const char *key, const char *upload_id, unsigned after, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    char marker[16];
    const struct s3_param query[] = {{"uploadId", upload_id}, {"part-number-marker", marker}};
    const struct s3_request_spec request = {
            .method = S3_GET,
            .key = key,
            .query = query,
            .n_query = after ? 2 : 1,
            .fine_code = "NoSuchUpload",
            .ctx = ctx,
            .on_done = on_done,
    };

    (void)snprintf(marker, sizeof(marker), "%u", after);
    return s3_request_start(c, &request, e);
}

int s3_parts_read(const struct s3_response *res, struct s3_parts_page *out, struct err *e)
{
    *out = (struct s3_parts_page){.next = 0};
    return res->status == 404 ? 0 : xml_parse_parts(res->body, out, e);
}

struct s3_request *s3_abort(struct s3_client *c, const char *key, const char *upload_id, void *ctx,
        void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err), struct err *e)
{
    const struct s3_param query = {.name = "uploadId", .value = upload_id};
    const struct s3_request_spec request = {
            .method = S3_DELETE,
            .key = key,
            .query = &query,
            .n_query = 1,
            .fine_code = "NoSuchUpload",
            .ctx = ctx,
            .on_done = on_done,
    };

    return s3_request_start(c, &request, e);
}
