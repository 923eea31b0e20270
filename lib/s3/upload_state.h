/*
 * upload_state.h: what the files of the upload share. Nobody else includes it.
 *
 *     upload.c         the owner's side: start, write, end, free; the states
 *     upload_buffers.c memory for parts
 *     upload_parts.c   from buffers to stored parts, by way of the spool if need be
 *     upload_commit.c  CompleteMultipartUpload, and the HEAD that settles it
 *     upload_abort.c   leaving nothing behind in the store
 *
 * upload_enter is the only place that changes the state. upload_pump looks at everything and does what can be done; it
 * may be called at any time from the loop, and does nothing when there is nothing to do. What the owner calls never
 * pumps but kicks: a timer of 0 ms lets the pump run in the next turn, so that no callback fires inside a call.
 *
 *     CREATING -> SENDING -> FLUSHED -> (LOOKING ->) COMPLETING -> CHECKING -> COMMITTED
 *     any of them -> FAILED -> ABORTING -> ABORTED; any of them -> ABORTING; any of all -> CLOSED
 */
#pragma once

#include "s3/object.h"
#include "s3/parts.h"
#include "s3/spool.h"
#include "s3/upload.h"
#include "s3/xml.h"

enum upload_state {
    UPLOAD_CREATING,   /* CreateMultipartUpload is not answered yet; bytes are taken and kept */
    UPLOAD_SENDING,    /* parts go out */
    UPLOAD_FLUSHED,    /* all are stored: waits for the owner to commit */
    UPLOAD_LOOKING,    /* HEAD: whether the name is taken */
    UPLOAD_COMPLETING, /* CompleteMultipartUpload is under way */
    UPLOAD_CHECKING,   /* HEAD, after its answer or its loss */
    UPLOAD_COMMITTED,  /* the object is visible */
    UPLOAD_FAILED,     /* waits for the owner to abort */
    UPLOAD_ABORTING,
    UPLOAD_ABORTED,
    UPLOAD_CLOSED, /* freed by the owner: waits for libuv */
};

/* Where the part in a buffer is on its way. */
enum upload_place {
    BUFFER_FREE,
    BUFFER_FILLING,  /* the owner writes into it; at most one */
    BUFFER_FULL,     /* waits for a request or the spool */
    BUFFER_SENDING,  /* UploadPart is under way */
    BUFFER_SPOOLING, /* the spool writes it */
    BUFFER_LOADING,  /* the spool reads into it; holds a place among the requests already */
};

struct upload_buffer {
    struct s3_upload *upload;
    enum upload_place place;
    uint8_t *data; /* mapped; NULL until it is first used */
    uint32_t number;
    size_t len;
    struct s3_request *request; /* while SENDING */
};

/* Uploads that an abort looks after: ours, and those that a listing shows when an answer with an id was lost. */
enum { UPLOAD_IDS_MAX = 8 };

struct upload_abort {
    unsigned next;  /* index of the id to be aborted next */
    unsigned tries; /* how often it was */
    bool listed;    /* the unfinished uploads of our key have been looked at */
    unsigned looks; /* HEADs, before the first and after the last abort, while the outcome is unknown */
};

struct s3_upload {
    struct s3_client *client;
    uv_loop_t *loop;
    struct s3_upload_spec spec; /* its key is ours, metadata and spool_dir are gone */
    enum upload_state state;

    uint64_t part_size;
    struct parts *parts;
    struct upload_buffer *buffers; /* parts_in_flight + 2 of them; the last one is for the spool */
    struct spool *spool;           /* or NULL */
    bool spooling;                 /* patience is used up */

    uint64_t written; /* bytes from the owner */
    bool ended;       /* by the owner */
    uint64_t want;    /* bytes that the owner waits for; 0: it does not wait */
    uint64_t want_since;
    uint64_t blocked_ms; /* without the wait that goes on */

    int64_t started;           /* our clock, seconds */
    char *ids[UPLOAD_IDS_MAX]; /* the first is ours once CreateMultipartUpload was answered */
    unsigned n_ids;
    bool id_lost;         /* an upload may exist whose id we do not know */
    bool part_may_arrive; /* after the abort: its request was cancelled, or an attempt got no answer */

    struct s3_request *create;  /* CreateMultipartUpload: the abort waits for it */
    struct s3_request *request; /* any other but parts: one at a time */
    struct s3_listing *listing;
    struct buf body;         /* of CompleteMultipartUpload */
    bool completed;          /* it was answered with success */
    char etag[XML_ETAG_MAX]; /* of the object, by that answer; "" if it said none */
    struct err commit_err;   /* or how it failed */
    struct err unseen_err;   /* why the object could not be looked at, of one that the store has completed */
    enum s3_outcome outcome;
    struct upload_abort abort;
    unsigned retries;
    bool hurried;
    uint64_t answered_ms; /* when the store last did what it was asked for */
    uint64_t told_ms;     /* when the owner was last told of another attempt; 0: never */

    uv_timer_t kick;
    uv_timer_t timer; /* patience while sending; pauses while aborting */
    unsigned open_handles;
};

/* upload.c */
void upload_enter(struct s3_upload *u, enum upload_state next);
void upload_pump(struct s3_upload *u);
void upload_kick(struct s3_upload *u);
/* Frees what s3_upload_free has left, once libuv uses none of it. */
void upload_free_when_idle(struct s3_upload *u);
/* Time without room, in ms, with the wait that goes on. */
uint64_t upload_blocked_ms(const struct s3_upload *u);
/* Our id, or NULL while it is not known. */
const char *upload_id(const struct s3_upload *u);
/* How long a request that starts now may fail: outage_ms, of which an abort gets what is left since the store last did
 * something. */
uint64_t upload_patience(const struct s3_upload *u);
/* on_retry of requests whose ctx is the upload. Nothing may be touched after it. */
void upload_on_retry(void *ctx, const struct s3_retry *retry);
/* What a request that is done says of the store and of attempts before. */
void upload_answered(struct s3_upload *u, const struct s3_response *res);

/* upload_buffers.c */
size_t upload_buffer_size(const struct s3_upload *u); /* an object smaller than a part needs no more than itself */
unsigned upload_count(const struct s3_upload *u, enum upload_place place);
unsigned upload_in_flight(const struct s3_upload *u);            /* parts that have a place among the requests */
struct upload_buffer *upload_filling(const struct s3_upload *u); /* or NULL */
/* A free buffer with memory into *out, NULL when all are in use. Errors: ERR_RESOURCE. */
int upload_take_buffer(struct s3_upload *u, struct upload_buffer **out, struct err *e);
/* Gives all memory back; what the spool works on is left to its callback. */
void upload_release_buffers(struct s3_upload *u);

/* upload_parts.c */
/* Starts CreateMultipartUpload. Errors: ERR_RESOURCE. */
int upload_create(struct s3_upload *u, const struct s3_upload_spec *spec, struct err *e);
void upload_parts_step(struct s3_upload *u);
/* Ends all work on parts, without a callback. */
void upload_cancel_parts(struct s3_upload *u);

/* upload_commit.c */
/* HeadObject, with patience. Errors: ERR_RESOURCE. */
int upload_head(struct s3_upload *u, void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err),
        struct err *e);
void upload_commit_step(struct s3_upload *u);
/* Whether a HEAD shows the object that these parts make. */
bool upload_is_ours(const struct s3_upload *u, const struct s3_response *head);

/* Whether the store says that this happened after our start, by its clock. */
bool upload_since_start(const struct s3_upload *u, int64_t instant);

/* upload_abort.c */
void upload_abort_step(struct s3_upload *u);
/* Ends the requests other than parts, without a callback. */
void upload_cancel_requests(struct s3_upload *u);
