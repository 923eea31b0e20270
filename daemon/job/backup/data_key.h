/*
 * data_key.h: the data key of one backup, from its making to the last look at it.
 *
 *     new -> store => check                 => asynchronous;  -> a plain function call
 *                  => remove
 *
 * Where encryption_recipients are configured it is sealed to them, and the master key, if there is one, vouches for
 * that (seal/sealed_key.h): from then on nothing here opens it.
 *
 * It is wrapped when it is made, so that what is wrong with the master key is known before anything is read from etcd;
 * and again when it is stored, at the backup's end: a master key that was rotated away meanwhile must not wrap this
 * one.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/core.h"
#include "job/job.h"
#include "s3/request.h"

struct data_key;

/* For the backup of an instant (seconds since the epoch), with the configured master key. The caller frees. Errors:
 * those of key_read_master, key_wrap; ERR_RESOURCE. */
struct data_key *data_key_new(struct core *core, int64_t instant, struct err *e);

const struct secret *data_key_secret(const struct data_key *k);

struct data_key_events {
    void *ctx;
    void (*on_retry)(void *ctx, const struct s3_retry *retry); /* the store is away, and is waited for */
    void (*on_stored)(void *ctx, const struct err *err);       /* once, never inside the start */
};

/* Stores it beside the dump of `backup`, with what is known of that as metadata (key_object.h). Once. Errors: those of
 * data_key_new, core_s3 and key_object_store. */
int data_key_store(
        struct data_key *k, const struct backup_result *backup, const struct data_key_events *events, struct err *e);

/* Whether it was begun to store it, and it is neither taken back, nor left where it is. */
bool data_key_is_there(const struct data_key *k);

/*
 * After it was stored and the dump is visible: is what lies there this key? Also when a rotation has wrapped it anew
 * meanwhile. `on_checked` comes once, never inside the start: NULL: it is. ERR_AUTH: it could not be looked at, since
 * that is not allowed. ERR_TRANSIENT: it is not there, or is another backup's, as when two have the same name; and what
 * else S3 says. Errors: those of key_object_check.
 */
int data_key_check(struct data_key *k, void *ctx, void (*on_checked)(void *ctx, const struct err *err), struct err *e);

/* As key_object_hurry. */
void data_key_hurry(struct data_key *k);

/* As key_object_remove. */
bool data_key_remove(struct data_key *k, void *ctx, void (*on_removed)(void *ctx));

/* It stays where it is: its dump is there, or may be. What runs is cancelled. */
void data_key_leave(struct data_key *k);

/* Wipes it; what runs is cancelled. NULL is fine. */
void data_key_free(struct data_key *k);
