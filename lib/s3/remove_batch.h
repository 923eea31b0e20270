/*
 * remove_batch.h: one DeleteObjects request and its answer. Pure, but for libcrypto's digest.
 *
 * Nothing of an answer counts unless all of it is well-formed, and nothing in it makes a key gone that was not asked
 * for. Where it contradicts itself the bad news is believed.
 */
#pragma once

#include "base/bytes.h"
#include "s3/body_digest.h"

/* S3 takes 1,000 keys a request; Ceph reads bodies of up to 1 MiB (its option rgw_max_put_param_size). */
enum { REMOVE_BATCH_MAX = 1000, REMOVE_BATCH_BODY_MAX = 512 << 10 };

enum remove_batch_answer {
    REMOVE_BATCH_SILENT, /* not mentioned */
    REMOVE_BATCH_GONE,
    REMOVE_BATCH_AGAIN,   /* failed, and may work by itself */
    REMOVE_BATCH_REFUSED, /* err says why */
};

struct remove_batch_key {
    const char *key; /* the caller's */
    size_t index;    /* the caller's number for it */
    enum remove_batch_answer answer;
    struct err *err; /* ours; with AGAIN and REFUSED */
};

struct remove_batch {
    struct remove_batch_key keys[REMOVE_BATCH_MAX]; /* ordered by key once it is closed */
    size_t n;
    struct buf body;
};

enum remove_batch_fit { REMOVE_BATCH_TAKEN, REMOVE_BATCH_FULL, REMOVE_BATCH_UNFIT };

/* Whether XML 1.0 carries this key, there and back, whatever parser reads it: some trim white space and make one line
 * end of another, and then a request would be for another object. */
bool remove_batch_carries(const char *key);

/* Empties it; the first use is of zeroed memory. */
void remove_batch_reset(struct remove_batch *b);

/* Adds a key, borrowed until the next reset. *fit says whether it was taken. Errors: ERR_RESOURCE. */
int remove_batch_add(struct remove_batch *b, const char *key, size_t index, enum remove_batch_fit *fit, struct err *e);

/* No more keys: completes the body. Errors: ERR_RESOURCE. */
int remove_batch_close(struct remove_batch *b, struct err *e);

/* The header that S3 demands with the body, its value in base64: Content-MD5 (RFC 1864), or where libcrypto has no MD5,
 * as under FIPS 140, x-amz-checksum-sha256. *name is static. Errors: ERR_RESOURCE. */
int remove_batch_digest(const struct remove_batch *b, const char **name, char value[BODY_DIGEST_MAX], struct err *e);

/* Reads a DeleteResult into the keys' answers. Errors: ERR_PROTOCOL, ERR_RESOURCE; then no answer means anything. */
int remove_batch_read(struct remove_batch *b, struct bytes doc, struct err *e);
