#include "job/check/check_policy.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Of the bucket, for our prefix. */
static const char *const of_bucket[] = {
        "s3:ListBucket",
        "s3:ListBucketVersions",
};

/* Of the bucket, without a prefix: the list of uploads is judged without one, so that a condition on it is never met
 * (Service Authorization Reference, "Condition keys for Amazon S3"). */
static const char *const of_settings[] = {
        "s3:ListBucketMultipartUploads",
        "s3:GetBucketVersioning",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetLifecycleConfiguration",
};

static const char *const of_objects[] = {
        "s3:PutObject",
        "s3:GetObject",
        "s3:AbortMultipartUpload",
        "s3:GetObjectVersion",
};

static const char *const of_prune[] = {
        "s3:DeleteObject",
        "s3:GetObjectRetention",
        "s3:GetObjectLegalHold",
        "s3:ListMultipartUploadParts",
};

static void write_actions(FILE *out, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)fputs(i ? ", " : "", out);
        json_string(out, names[i]);
    }
}

static void write_resource(FILE *out, const struct conf *conf, bool objects)
{
    const bool is_china = strncmp(conf->s3.region, "cn-", 3) == 0;

    (void)fprintf(out, "\"Resource\": \"arn:%s:s3:::%s%s%s%s\"", is_china ? "aws-cn" : "aws", conf->s3.bucket,
            objects ? "/" : "", objects ? conf->s3.objects_prefix : "", objects ? "-*" : "");
}

/* Only an ARN names a key in a policy. */
static void write_kms(FILE *out, const char *key)
{
    (void)fputs(
            ", {\"Effect\": \"Allow\", \"Action\": [\"kms:GenerateDataKey\", \"kms:Decrypt\"], \"Resource\": ", out);
    json_string(out, key && strncmp(key, "arn:", 4) == 0 ? key : "*");
    (void)fputs("}", out);
}

static void write_all(FILE *out, const struct conf *conf)
{
    (void)fputs("{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": [", out);
    write_actions(out, of_bucket, ARRAY_LEN(of_bucket));
    (void)fputs("], ", out);
    write_resource(out, conf, false);
    (void)fputs(", \"Condition\": {\"StringLike\": {\"s3:prefix\": \"", out);
    (void)fprintf(out, "%s-*\"}}}, {\"Effect\": \"Allow\", \"Action\": [", conf->s3.objects_prefix);
    write_actions(out, of_settings, ARRAY_LEN(of_settings));
    (void)fputs("], ", out);
    write_resource(out, conf, false);
    (void)fputs("}, {\"Effect\": \"Allow\", \"Action\": [", out);
    write_actions(out, of_objects, ARRAY_LEN(of_objects));
    if (conf->s3.n_tags)
        (void)fputs(", \"s3:PutObjectTagging\"", out);
    if (conf->s3.object_lock.mode != CONF_LOCK_NONE)
        (void)fputs(", \"s3:PutObjectRetention\"", out);
    if (conf->prune.max_age_ms) {
        (void)fputs(", ", out);
        write_actions(out, of_prune, ARRAY_LEN(of_prune));
    }
    (void)fputs("], ", out);
    write_resource(out, conf, true);
    (void)fputs("}", out);
    if (conf->s3.server_side_encryption == CONF_ENCRYPTION_KMS)
        write_kms(out, conf->s3.kms_key_id);
    (void)fputs("]}", out);
}

char *check_policy(const struct conf *conf)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    write_all(out, conf);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
