/*
 * name.h: object names <-> instants. Pure.
 *
 *     <prefix>-<timestamp>.dump        <prefix>-<timestamp>.key        <prefix>-<timestamp>.bad-<tag>
 *     <prefix>-<timestamp>.claim       <prefix>-check-<16 hexadecimal digits>
 *
 * The third is a mark: that very dump, and no other that may come in its place, was read and is bad. Its name says it
 * all (the tag is name_object_tag of the dump), so that a listing shows it to everybody, without another request; the
 * object itself may hold words for people. Neither the Go tool nor earlier releases take it for a backup.
 *
 * The last is no backup's: a check tries on it what may be done in the bucket (job/check/check_bucket.h).
 *
 * Ours alone: the prefix matches to the byte and all that follows is a time stamp and a suffix, so `a` never claims
 * `a-b-2024-12-06T21:22:25Z.dump`, and foreign objects are left alone. We write UTC with Z and read numeric offsets; an
 * object is always addressed by the name that it was listed under, never by a rebuilt one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* S3 allows keys of 1,024 bytes (S3 API, "Object key names"). */
enum { NAME_MAX_LEN = 1024, NAME_TEXT_MAX = NAME_MAX_LEN + 1 };

enum name_kind {
    NAME_FOREIGN,    /* not of this prefix, or not of our shape at all */
    NAME_UNREADABLE, /* <prefix>-<something>.dump or .key where <something> begins like a date but is none */
    NAME_DUMP,
    NAME_KEY,
    NAME_BAD,
    NAME_CLAIM, /* the name is taken by a backup that is being made (job/bucket/claim.h) */
    NAME_CHECK, /* of a check: it is on its way, or could not take this away again */
};

/* What `object` (NUL-terminated) is under `prefix`; sets *instant, seconds since the epoch, for NAME_DUMP, NAME_KEY,
 * NAME_BAD and NAME_CLAIM alone. An object of a longer prefix is foreign even if that prefix goes on like a date. */
enum name_kind name_parse(const char *prefix, const char *object, int64_t *instant);

/* Writes the name of a new dump or key. Errors: ERR_CONFIG when it would be longer than S3 allows. */
int name_format(char out[NAME_TEXT_MAX], const char *prefix, int64_t instant, enum name_kind kind, struct err *e);

/* Writes the name on which a check tries what it may; `random` tells it from others. Errors: ERR_CONFIG when it would
 * be longer than S3 allows. */
int name_format_check(char out[NAME_TEXT_MAX], const char *prefix, uint64_t random, struct err *e);

/* Writes the name of the key that belongs to a dump as it was listed: the same spelling with another suffix. `dump` is
 * one that name_parse called NAME_DUMP. */
void name_key_of_dump(char out[NAME_TEXT_MAX], const char *dump);

/* The same for the claim. */
void name_claim_of_dump(char out[NAME_TEXT_MAX], const char *dump);

/* What stands for an object's content in 64 bits: equal for equal ETags (with their quotes or without) and sizes. */
uint64_t name_object_tag(const char *etag, uint64_t size);

/* Writes the name of the mark that says that a dump, as it was listed, is bad. Errors: ERR_CONFIG when it would be
 * longer than S3 allows. */
int name_bad_of_dump(char out[NAME_TEXT_MAX], const char *dump, uint64_t tag, struct err *e);

/* The tag that the name of a mark (NAME_BAD) ends with. */
uint64_t name_bad_tag(const char *mark);

/* What to list: "<prefix>-". Errors: ERR_CONFIG when too long. */
int name_list_prefix(char out[NAME_TEXT_MAX], const char *prefix, struct err *e);
