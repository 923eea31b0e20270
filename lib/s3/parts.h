/*
 * parts.h: how an object is cut into parts, and what S3 has said about each. Pure.
 *
 * All parts have the same size but the last, which may be shorter (some stores insist on that, and S3 on at least 5 MiB
 * for all but the last: S3 API, "Amazon S3 multipart upload limits"). There are at most 10,000. The size is chosen
 * once, from the size of the object; after that the number of a part says where it lies, and only ETags are kept.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum {
    PARTS_MAX = 10000,
    PARTS_SIZE_DEFAULT = 8 << 20,
    PARTS_SIZE_MIN = 5 << 20,
    PARTS_ETAG_MAX = 128,
};

/* S3 takes no part larger than 5 GiB. */
#define PARTS_SIZE_MAX ((uint64_t)5 << 30)

/*
 * The size of the parts of an object of `size` bytes, size > 0, into *part_size: `wanted`, or the default if that is 0;
 * more, in whole MiB, where 10,000 of those would not hold the object. Errors: ERR_CONFIG when `wanted` is no size that
 * S3 takes or the object is larger than S3 can hold.
 */
int parts_choose_size(uint64_t size, uint64_t wanted, uint64_t *part_size, struct err *e);

struct parts;

/* The table for an object of `size` bytes in parts of `part_size`, as chosen above. The caller frees. Errors:
 * ERR_RESOURCE. */
struct parts *parts_new(uint64_t size, uint64_t part_size, struct err *e);
void parts_free(struct parts *p);

/* Bytes of all parts, and of each but the last. */
uint64_t parts_size(const struct parts *p);
uint64_t parts_part_size(const struct parts *p);

/* The object has turned out to have `size` bytes, > 0 and not more than was said: there are so many parts fewer, and
 * the last is shorter. Of those that are not full none is stored yet. */
void parts_shorten(struct parts *p, uint64_t size);

/* How many parts there are; their numbers are 1 to this. */
uint32_t parts_count(const struct parts *p);

/* Bytes of part `number`. */
size_t parts_len(const struct parts *p, uint32_t number);

/* Notes that S3 has stored it under this ETag. Errors: ERR_PROTOCOL when the ETag is missing or too long, or when the
 * part was stored before. */
int parts_set_stored(struct parts *p, uint32_t number, const char *etag, struct err *e);

/* Bytes of all parts that are stored. */
uint64_t parts_stored(const struct parts *p);

/* Whether all are. */
bool parts_complete(const struct parts *p);

/* The body of CompleteMultipartUpload, in the order of the numbers, onto *out. All parts are stored. Errors:
 * ERR_RESOURCE; ERR_PROTOCOL when it exceeds the limit of *out. */
int parts_write_xml(const struct parts *p, struct buf *out, struct err *e);

/* Whether an object with this ETag may have been made from these parts: S3 ends the ETag of an object that was uploaded
 * in N parts with "-N". Stores and encryptions that make ETags otherwise are told by `false`. */
bool parts_match_etag(const struct parts *p, const char *etag);

/*
 * The ETag that AWS, Ceph and others give the object made of these parts, all stored: the MD5 of their MD5s, and "-N".
 * False where their ETags are no MD5s (some encryptions), or libcrypto has none (FIPS 140).
 */
bool parts_usual_etag(const struct parts *p, char out[PARTS_ETAG_MAX]);
