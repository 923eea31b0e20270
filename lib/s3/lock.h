/*
 * lock.h: Object Lock (S3 API, "Object Lock"): until when nobody may delete a version of an object. Pure.
 *
 * The bucket must have it switched on. Governance may be lifted by who has s3:BypassGovernanceRetention, compliance by
 * nobody. It is said where an object is put, or begun in parts; and where a store has passed that over (Ceph 16, of
 * what comes in parts), afterwards, by PutObjectRetention. Both need s3:PutObjectRetention.
 */
#pragma once

#include <stddef.h>

#include "base/timestamp.h"

struct s3_param;

enum s3_lock_mode { S3_LOCK_NONE, S3_LOCK_GOVERNANCE, S3_LOCK_COMPLIANCE };

/* Zeroed: none. */
struct s3_lock {
    enum s3_lock_mode mode;
    int64_t until; /* seconds since the epoch, by the server's clock */
};

enum { S3_LOCK_HEADERS_MAX = 2, S3_LOCK_BODY_MAX = 256 };

/* Fills in the headers that say it, S3_LOCK_HEADERS_MAX or none without a mode; `until` is what one of them points to.
 * Returns how many. */
size_t s3_lock_headers(const struct s3_lock *lock, char until[TIMESTAMP_TEXT_MAX], struct s3_param *out);

/* The body of PutObjectRetention; its length. */
size_t s3_lock_body(const struct s3_lock *lock, char out[S3_LOCK_BODY_MAX]);
