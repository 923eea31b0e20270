#include "s3/dialect.h"

#include <string.h>

/* A refusal that may mean it: all that a row names has to fit. */
static const struct row {
    enum s3_feature feature;
    int statuses[6];     /* any of them; none: whatever the status */
    const char *code;    /* or NULL: whatever the code */
    const char *message; /* these words are in it; or NULL */
    bool is_sure;        /* nothing else is said so: the feature need not be asked for again */
} rows[] = {
        /* The method or what it is asked for is not known (S3 API, "Error Responses": MethodNotAllowed,
         * NotImplemented). A 400 may also be of this request alone. */
        {S3_LIST_OBJECTS_V2, {405, 501}, NULL, NULL, true},
        {S3_LIST_OBJECTS_V2, {400}, NULL, NULL, false},
        {S3_DELETE_OBJECTS, {405, 501}, NULL, NULL, true},
        {S3_DELETE_OBJECTS, {400}, NULL, NULL, false},
        {S3_LIST_UPLOADS, {405, 501}, NULL, NULL, false},
        {S3_IF_NONE_MATCH, {501}, NULL, NULL, true},
        {S3_COMMIT_IF_NONE, {501}, NULL, NULL, true},
        {S3_COMMIT_IF_NONE, {400}, NULL, NULL, false},
        /* 404 ObjectLockConfigurationNotFoundError, 409 InvalidBucketState; the others are of stores that do not know
         * the question. A bucket may come to have locks: it is asked each time. */
        {S3_OBJECT_LOCK, {400, 404, 405, 409, 501}, NULL, NULL, false},
        /* A bucket whose objects come under retention by default takes no body without a digest in the head (S3 API,
         * PutObject and UploadPart: Content-MD5). S3 says why in words alone; the other code is MinIO's. */
        {S3_BODY_WITHOUT_MD5, {400}, "MissingContentMD5", NULL, true},
        {S3_BODY_WITHOUT_MD5, {400}, "InvalidRequest", "Content-MD5", true},
        /* A policy may deny it (S3 API, s3:x-amz-content-sha256), others find no hash or another signature. Whether it
         * was that, the same with a hash must show. */
        {S3_UNSIGNED_BODY, {0}, "AccessDenied", NULL, false},
        {S3_UNSIGNED_BODY, {0}, "SignatureDoesNotMatch", NULL, false},
        {S3_UNSIGNED_BODY, {0}, "XAmzContentSHA256Mismatch", NULL, false},
        {S3_UNSIGNED_BODY, {0}, "InvalidRequest", NULL, false},
        {S3_UNSIGNED_BODY, {0}, "InvalidArgument", NULL, false},
        {S3_UNSIGNED_BODY, {0}, "NotImplemented", NULL, false},
};

void s3_dialect_begin(struct s3_dialect *d)
{
    d->match = S3_MATCH_QUOTED;
}

bool s3_dialect_lacks(const struct s3_dialect *d, enum s3_feature feature)
{
    return d->found[feature] == S3_LACKS;
}

void s3_dialect_learn(struct s3_dialect *d, enum s3_feature feature, bool has)
{
    if (d->found[feature] == S3_UNKNOWN)
        d->found[feature] = has ? S3_HAS : S3_LACKS;
}

static bool has_status(const struct row *row, int status)
{
    for (size_t i = 0; i < ARRAY_LEN(row->statuses) && row->statuses[i]; i++)
        if (row->statuses[i] == status)
            return true;
    return row->statuses[0] == 0;
}

static bool fits(const struct row *row, const struct s3_refusal *r)
{
    return has_status(row, r->status) && (!row->code || (r->code && strcmp(row->code, r->code) == 0)) &&
           (!row->message || (r->message && strstr(r->message, row->message)));
}

bool s3_dialect_hears_refusal(struct s3_dialect *d, enum s3_feature feature, const struct s3_refusal *refusal)
{
    if (d->found[feature] == S3_HAS)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].feature == feature && fits(&rows[i], refusal)) {
            if (rows[i].is_sure)
                s3_dialect_learn(d, feature, false);
            return true;
        }
    return false;
}

bool s3_dialect_hears(struct s3_dialect *d, enum s3_feature feature, const struct err *err)
{
    if (err->domain != ERR_DOMAIN_HTTP || (err->kind != ERR_CONFIG && err->kind != ERR_NOT_FOUND))
        return false;
    return s3_dialect_hears_refusal(d, feature, &(struct s3_refusal){.status = (int)err->code});
}

/* MinIO lists of the unfinished uploads those of one whole key alone; of any other prefix none (its "Limitations": List
 * multipart uploads). */
bool s3_dialect_leaves_out(const char *server, enum s3_feature feature)
{
    return feature == S3_LIST_UPLOADS && strncmp(server, "MinIO", strlen("MinIO")) == 0;
}

void s3_dialect_refuses_match(struct s3_dialect *d, enum s3_match form)
{
    if (d->match == form && form < S3_MATCH_NONE)
        d->match = form + 1;
}

const char *s3_dialect_if_match(const struct s3_dialect *d, const char *etag, char out[S3_ETAG_MAX])
{
    const struct bytes bare = s3_dialect_bare_etag(etag);

    if (d->match == S3_MATCH_NONE || !etag[0])
        return NULL;
    if (d->match == S3_MATCH_QUOTED)
        (void)snprintf(out, S3_ETAG_MAX, "%s", etag);
    else
        (void)snprintf(out, S3_ETAG_MAX, "%.*s", (int)bare.len, (const char *)bare.data);
    return out;
}

struct bytes s3_dialect_bare_etag(const char *etag)
{
    size_t len;

    if (strncmp(etag, "W/", 2) == 0)
        etag += 2;
    if (*etag == '"')
        etag++;
    len = strlen(etag);
    if (len && etag[len - 1] == '"')
        len--;
    return (struct bytes){.data = (const uint8_t *)etag, .len = len};
}
