/*
 * upload.h: a stream of bytes, of known length or of at most that, becomes one object, or nothing.
 *
 * A multipart upload (S3 API, CreateMultipartUpload ... CompleteMultipartUpload). The owner writes while there is room;
 * full parts are sent several at a time, each retried by itself. Nothing is visible in the bucket before
 * s3_upload_commit, the only commit point. The owner drives it like this:
 *
 *     start -> write, write, ... -> end -> on_flushed -> commit -> on_committed
 *     at any time: on_failed, or abort -> on_aborted
 *
 * Memory: parts_in_flight + 1 buffers of one part, allocated as they are needed, and one more once the spool is in use,
 * so that bytes are taken while another part is on its way to the disk. When all are full, s3_upload_room is 0 and the
 * owner waits for on_room. A slow S3 must not hold etcd's read transaction open for long: once the owner has been kept
 * waiting for `patience_ms` in all, full parts go into the spool, an unlinked file in `spool_dir`, up to `spool_limit`
 * bytes, and come back from there in order. What is written must therefore be sealed already; whoever uploads plaintext
 * gives no spool_dir. A spool that cannot be used, or that would leave the file system short of space, only means that
 * the owner waits as long as S3 takes (s3_upload_stats.spool_err says why).
 *
 * The size of a part: `part_size`, or if 0 8 MiB; more where 10,000 parts (S3's limit) of that would not hold `size`.
 *
 * An existing object is overwritten, as S3 does it, unless the name `must_be_new`: then a HEAD looks before the commit,
 * and the commit carries If-None-Match: *. A store that keeps to that (S3, MinIO) overwrites nothing. One that does not
 * (Ceph 16 passes it over, others refuse it) overwrites what comes in the moment between the two; and where somebody
 * else's commit comes behind ours, the ETag of the HEAD behind it says so. All are ERR_TRANSIENT: another name will do.
 *
 * With a `rate` one part after the other is sent, and each at that rate: so it holds at each moment, and not only from
 * part to part. What comes faster waits as for a slow S3; whoever knows that has no patience to lose.
 *
 * A lost answer to the commit is settled by a HEAD: the object is there with the right size and the ETag of these parts
 * (or, where the store makes ETags otherwise, a Last-Modified not before the upload began), or it is an error. An
 * access key that may not look (s3:GetObject) is believed what the answer to the commit says.
 *
 * Where the look behind the commit does not show the `lock` that was asked for at the beginning, it is asked for once
 * more. What then fails does not fail the upload: s3_upload_stats.lock_err.
 */
#pragma once

#include "s3/request.h"

struct s3_upload_spec {
    const char *key;                 /* copied */
    uint64_t size;                   /* bytes that will be written in all, > 0 */
    bool at_most;                    /* or fewer, but some: s3_upload_end says how many */
    uint64_t part_size;              /* bytes, 0: chosen */
    unsigned parts_in_flight;        /* >= 1 */
    uint64_t rate;                   /* bytes a second at most, for which one part at a time is sent; 0: no limit */
    const struct s3_param *metadata; /* names without x-amz-meta-; copied */
    size_t n_metadata;
    bool must_be_new;      /* no object of this name may be there when it is committed */
    struct s3_lock lock;   /* or none */
    const char *spool_dir; /* or NULL: no spool, the owner waits as long as S3 takes */
    uint64_t spool_limit;  /* bytes */
    uint64_t patience_ms;  /* of waiting in all before the spool is used */
    uint64_t outage_ms;    /* so long a part, the commit and the abort are tried without success (patience_ms of
                              request.h); 0: max_attempts counts. Not of the first request: nothing is lost with it */

    void *ctx;
    /* A request failed more than UPLOAD_RETRIES_UNTOLD times and is tried again; at most once in UPLOAD_RETRY_TOLD_MS.
     * It may abort or free the upload. Or NULL. */
    void (*on_retry)(void *ctx, const struct s3_retry *retry);
    /* There is as much room as s3_upload_want asked for. Once for each time it was asked. */
    void (*on_room)(void *ctx);
    /* After s3_upload_end: every part is stored. */
    void (*on_flushed)(void *ctx);
    /* The upload cannot succeed any more; call s3_upload_abort. At most once, not after abort. */
    void (*on_failed)(void *ctx, const struct err *err);
    /* The object is visible, err NULL; or the upload has to be aborted, and s3_upload_outcome says whether the object
     * may be visible in spite of the error. */
    void (*on_committed)(void *ctx, const struct err *err);
    /* The upload is gone from the store (unless s3_upload_outcome says that the commit did succeed), err NULL; or it
     * stays behind there (s3_upload_left), and prune will find it. */
    void (*on_aborted)(void *ctx, const struct err *err);
};

enum { UPLOAD_RETRY_TOLD_MS = 30 * 1000, UPLOAD_RETRIES_UNTOLD = 2 };

struct s3_upload_stats {
    uint64_t written;    /* bytes taken from the owner */
    uint64_t stored;     /* bytes of parts that S3 has acknowledged */
    uint64_t in_spool;   /* bytes on disk now */
    uint64_t spooled;    /* bytes that went through the spool */
    uint64_t blocked_ms; /* time without room while the owner wanted some */
    uint64_t part_size;
    unsigned retries; /* attempts beyond the first, all requests of the upload added up */
    const char *etag; /* of the visible object, as a HEAD shows it; where that may not look, by the answer to the
                         commit, or as is usual; "" where that is not known; valid until s3_upload_free */
    const struct err *unseen_err; /* the store completed it, and does not let us look at it, or NULL; as is the next */
    const struct err *lock_err;   /* why the object may not be under its lock, or NULL */
    const struct err *spool_err;  /* why the spool takes no more, or NULL; valid until s3_upload_free */
};

/*
 * What is known about the object. UNKNOWN is what a commit leaves behind whose answer was lost and that no HEAD could
 * settle; s3_upload_abort settles it as far as the store lets it, and destroys nothing when the object is visible. The
 * owner may remove what belongs to the object (its wrapped key) only if the outcome is ABSENT.
 */
enum s3_outcome {
    S3_OUTCOME_ABSENT,  /* not visible, and this upload will not make it so */
    S3_OUTCOME_UNKNOWN, /* it may be visible, or become so */
    S3_OUTCOME_VISIBLE, /* visible and whole */
};

struct s3_upload;

/* Starts with CreateMultipartUpload; writing may begin at once. Errors: ERR_CONFIG (no part size can hold `size`),
 * ERR_RESOURCE. The owner frees. */
struct s3_upload *s3_upload_start(struct s3_client *c, const struct s3_upload_spec *spec, struct err *e);

/* Bytes that s3_upload_write takes now. */
uint64_t s3_upload_room(const struct s3_upload *u);

/* Asks for on_room once room is at least `bytes`, or a whole part if that is less (never called back from inside).
 * Counts as waiting. Asking again before on_room changes the number alone. */
void s3_upload_want(struct s3_upload *u, uint64_t bytes);

/* Where the next bytes will lie, if `len` of them fit into what is left of a part, or else NULL; len <= s3_upload_room.
 * Whoever makes bytes may make them there, on any thread, and s3_upload_write has nothing to copy. It is the owner's
 * until that write, or the next lend; where the upload fails meanwhile, until s3_upload_abort or _free, which wait for
 * nobody. */
uint8_t *s3_upload_lend(struct s3_upload *u, size_t len);

/* Copies them, unless they were made where s3_upload_lend said; bytes.len <= s3_upload_room. Errors: ERR_RESOURCE,
 * ERR_INTEGRITY when more than `size` in all, ERR_CANCELLED after on_failed. */
int s3_upload_write(struct s3_upload *u, struct bytes bytes, struct err *e);

/* No more bytes. Errors: ERR_INTEGRITY when fewer than `size` were written, or of `at_most` none. Leads to on_flushed.
 */
int s3_upload_end(struct s3_upload *u, struct err *e);

/* After on_flushed: CompleteMultipartUpload, then HEAD shows the size and the ETag. Leads to on_committed. */
void s3_upload_commit(struct s3_upload *u);

/* Cancels what is in flight and aborts, retried. Leads to on_aborted, also when there is nothing to abort. */
void s3_upload_abort(struct s3_upload *u);

/* Somebody waits for the end: from now on max_attempts counts and not outage_ms, also for what is under way. */
void s3_upload_hurry(struct s3_upload *u);

/* Inside on_aborted with an error: the id of the n-th upload of this key that was not aborted, or NULL; valid until
 * s3_upload_free. None is known where the answer that named it got lost. */
const char *s3_upload_left(const struct s3_upload *u, unsigned n);

/* Changes up to on_committed, and once more up to on_aborted. */
enum s3_outcome s3_upload_outcome(const struct s3_upload *u);

void s3_upload_get_stats(const struct s3_upload *u, struct s3_upload_stats *out);

/* Cancels everything without a callback; an upload that was neither committed nor aborted stays behind in the store.
 * NULL is fine. Memory that the thread pool still uses goes when it is done. */
void s3_upload_free(struct s3_upload *u);
