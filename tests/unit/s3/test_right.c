/* What a refused request is called, and what it needs. */
#include "expect.h"
#include "s3/right.h"

#include <string.h>

static void test_rights(void **state)
{
    static const struct {
        enum s3_method method;
        const char *object;
        const char *query[2];
        const char *text;
    } rows[] = {
            {S3_GET, "k", {NULL},
                    "m (GetObject of k, which needs s3:GetObject, or s3:ListBucket if there is no such object)"},
            {S3_GET, "k", {"versionId"}, "m (GetObject of k, which needs s3:GetObjectVersion)"},
            {S3_GET, "k", {"legal-hold"}, "m (GetObjectLegalHold of k, which needs s3:GetObjectLegalHold)"},
            {S3_HEAD, "k", {NULL},
                    "m (HeadObject of k, which needs s3:GetObject, or s3:ListBucket if there is no such object)"},
            {S3_PUT, "k", {"partNumber", "uploadId"}, "m (UploadPart of k, which needs s3:PutObject)"},
            {S3_POST, "k", {"uploadId"}, "m (CompleteMultipartUpload of k, which needs s3:PutObject)"},
            {S3_DELETE, "k", {"uploadId"}, "m (AbortMultipartUpload of k, which needs s3:AbortMultipartUpload)"},
            {S3_DELETE, "k", {"versionId"}, "m (DeleteObject of k, which needs s3:DeleteObjectVersion)"},
            {S3_PUT, "k", {"retention"}, "m (PutObjectRetention of k, which needs s3:PutObjectRetention)"},
            {S3_DELETE, "k", {NULL}, "m (DeleteObject of k, which needs s3:DeleteObject)"},
            {S3_GET, NULL, {"prefix", "list-type"}, "m (ListObjectsV2, which needs s3:ListBucket)"},
            {S3_GET, NULL, {"prefix", NULL}, "m (ListObjects, which needs s3:ListBucket)"},
            {S3_GET, NULL, {"prefix", "versions"}, "m (ListObjectVersions, which needs s3:ListBucketVersions)"},
            {S3_POST, NULL, {"delete"}, "m (DeleteObjects, which needs s3:DeleteObject)"},
            {S3_GET, NULL, {"unheard-of"}, "m"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct s3_param query[2] = {{.name = rows[i].query[0]}, {.name = rows[i].query[1]}};
        size_t n = !rows[i].query[0] ? 0 : rows[i].query[1] ? 2 : 1;
        struct s3_right right = s3_right_of(rows[i].method, !rows[i].object, query, n);
        struct err e = ERR_INIT;

        (void)err_set(&e, ERR_AUTH, ERR_DOMAIN_HTTP, 403, "m");
        s3_right_tell(&right, rows[i].object, &e);
        assert_string_equal(e.text, rows[i].text);
        assert_int_equal(e.kind, ERR_AUTH);
        assert_int_equal(e.code, 403);
    }
}

/* However much the store says, what it was about is told. */
static void test_a_long_message(void **state)
{
    struct s3_right right = s3_right_of(S3_HEAD, false, NULL, 0);
    struct err e = ERR_INIT;
    char words[ERR_TEXT_MAX];

    (void)state;
    (void)memset(words, 'x', sizeof(words));
    (void)err_set(&e, ERR_AUTH, ERR_DOMAIN_HTTP, 403, "%.*s", (int)sizeof(words) - 1, words);
    s3_right_tell(&right, "k", &e);
    assert_non_null(strstr(e.text, "x (HeadObject of k, which needs s3:GetObject"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rights), cmocka_unit_test(test_a_long_message)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
