/*
 * right.h: which operation of the S3 API a request is, and the right that it needs. Pure.
 *
 * Who is refused wants to know what to put into the policy of the access key: "HTTP 403 AccessDenied: m (GetObject of
 * backup-....key, which needs s3:GetObject)". It is said of every refusal, whatever asked; that the right is missing it
 * does not say, for a policy of the bucket may deny it, too. Source of the names: Service Authorization Reference,
 * "Actions, resources, and condition keys for Amazon S3", which the policies of Ceph and MinIO follow.
 */
#pragma once

#include "s3/request.h"

struct s3_right {
    const char *operation; /* static, as is `action`; NULL: none that we know */
    const char *action;    /* "s3:GetObject" */
};

/* Of a request with these parameters; `is_bucket`: it is about no object. */
struct s3_right s3_right_of(enum s3_method method, bool is_bucket, const struct s3_param *query, size_t n_query);

/* Puts it behind the error's text; `object`: the name of one, or NULL. Nothing for an operation that is not known. */
void s3_right_tell(const struct s3_right *right, const char *object, struct err *e);
