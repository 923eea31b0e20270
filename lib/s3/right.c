#include "s3/right.h"

#include <string.h>

/* An object that is not there is refused, too, where ListBucket is missing (S3 API, GetObject, HeadObject). */
#define READ "s3:GetObject, or s3:ListBucket if there is no such object"

/* The first row that fits: without `parameter` it fits whatever is asked. */
static const struct row {
    enum s3_method method;
    bool is_bucket;
    const char *parameter; /* or NULL */
    struct s3_right right;
} rows[] = {
        {S3_GET, false, "versionId", {"GetObject", "s3:GetObjectVersion"}},
        {S3_GET, false, "retention", {"GetObjectRetention", "s3:GetObjectRetention"}},
        {S3_GET, false, "legal-hold", {"GetObjectLegalHold", "s3:GetObjectLegalHold"}},
        {S3_GET, false, "uploadId", {"ListParts", "s3:ListMultipartUploadParts"}},
        {S3_GET, false, NULL, {"GetObject", READ}},
        {S3_HEAD, false, "versionId", {"HeadObject", "s3:GetObjectVersion"}},
        {S3_HEAD, false, NULL, {"HeadObject", READ}},
        {S3_PUT, false, "partNumber", {"UploadPart", "s3:PutObject"}},
        {S3_PUT, false, "retention", {"PutObjectRetention", "s3:PutObjectRetention"}},
        {S3_PUT, false, NULL, {"PutObject", "s3:PutObject"}},
        {S3_POST, false, "uploads", {"CreateMultipartUpload", "s3:PutObject"}},
        {S3_POST, false, "uploadId", {"CompleteMultipartUpload", "s3:PutObject"}},
        {S3_DELETE, false, "uploadId", {"AbortMultipartUpload", "s3:AbortMultipartUpload"}},
        {S3_DELETE, false, "versionId", {"DeleteObject", "s3:DeleteObjectVersion"}},
        {S3_DELETE, false, NULL, {"DeleteObject", "s3:DeleteObject"}},
        {S3_GET, true, "list-type", {"ListObjectsV2", "s3:ListBucket"}},
        {S3_GET, true, "uploads", {"ListMultipartUploads", "s3:ListBucketMultipartUploads"}},
        {S3_GET, true, "versions", {"ListObjectVersions", "s3:ListBucketVersions"}},
        {S3_GET, true, "versioning", {"GetBucketVersioning", "s3:GetBucketVersioning"}},
        {S3_GET, true, "prefix", {"ListObjects", "s3:ListBucket"}},
        {S3_GET, true, "object-lock", {"GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"}},
        {S3_GET, true, "lifecycle", {"GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"}},
        {S3_POST, true, "delete", {"DeleteObjects", "s3:DeleteObject"}},
};

static bool has(const struct s3_param *query, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(query[i].name, name) == 0)
            return true;
    return false;
}

struct s3_right s3_right_of(enum s3_method method, bool is_bucket, const struct s3_param *query, size_t n_query)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].method == method && rows[i].is_bucket == is_bucket &&
                (!rows[i].parameter || has(query, n_query, rows[i].parameter)))
            return rows[i].right;
    return (struct s3_right){NULL, NULL};
}

void s3_right_tell(const struct s3_right *right, const char *object, struct err *e)
{
    if (right->operation)
        (void)err_set(e, e->kind, e->domain, e->code, "%.*s (%s%s%s, which needs %s)", ERR_TEXT_MAX / 2, e->text,
                right->operation, object ? " of " : "", object ? object : "", right->action);
}
