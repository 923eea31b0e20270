/*
 * upload_parts.h: the step of an upload that makes stored parts of bytes.
 *
 * Bytes are taken from the start, and kept until the upload has an id; then full parts go out, several at a time, by
 * way of the spool once the owner has been kept waiting for too long. It knows nothing of what comes before and after:
 *
 *     new -> write, write, ... -> end -> on_stored
 *               begin ↗
 *     at any time: on_failed, or stop
 *
 * What the owner calls does nothing itself but asks for the loop's next turn, so that no callback fires inside a call.
 * After on_stored, on_failed, give_up and stop it takes nothing and calls nobody any more, and its memory is given back
 * but for what the spool still works on, and what is lent.
 */
#pragma once

#include "s3/upload_store.h"

struct upload_parts_spec {
    struct upload_store *store;        /* borrowed until upload_parts_free */
    const struct s3_upload_spec *spec; /* read at the start: size, at_most, parts_in_flight, spool, patience */
    uint64_t part_size;                /* as parts_choose_size says */
    void *ctx;
    void (*on_room)(void *ctx);                          /* there is as much as upload_parts_want asked for */
    void (*on_stored)(void *ctx);                        /* all parts, after upload_parts_end */
    void (*on_failed)(void *ctx, const struct err *err); /* err is valid during the call */
};

struct upload_parts;

/* Errors: ERR_RESOURCE. */
struct upload_parts *upload_parts_new(const struct upload_parts_spec *spec, struct err *e);

/* The upload has this id, borrowed until it takes nothing any more. */
void upload_parts_begin(struct upload_parts *p, const char *id);

/* As s3_upload_room, _want, _lend, _write, _end. */
uint64_t upload_parts_room(const struct upload_parts *p);
void upload_parts_want(struct upload_parts *p, uint64_t bytes);
uint8_t *upload_parts_lend(struct upload_parts *p, size_t len);
int upload_parts_write(struct upload_parts *p, struct bytes bytes, struct err *e);
int upload_parts_end(struct upload_parts *p, struct err *e);

/* Ends all work. Who was lent something may be making bytes in it still: that stays until upload_parts_stop. */
void upload_parts_give_up(struct upload_parts *p);

/* As that, when nobody makes bytes in what was lent any more. */
void upload_parts_stop(struct upload_parts *p);

/* From now on max_attempts counts for what is under way. */
void upload_parts_hurry(struct upload_parts *p);

/* Whether a part may reach the store yet: its request was cancelled, or an attempt got no answer. */
bool upload_parts_may_arrive(const struct upload_parts *p);

/* What is stored; until upload_parts_free. */
const struct parts *upload_parts_table(const struct upload_parts *p);

/* Fills in what it knows: all but retries and unseen_err. */
void upload_parts_get_stats(const struct upload_parts *p, struct s3_upload_stats *out);

/* Stops it. Its memory goes when the loop and the thread pool are done with it. NULL is fine. */
void upload_parts_free(struct upload_parts *p);
