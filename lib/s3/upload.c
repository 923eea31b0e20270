/*
 * The owner of the steps (upload_store.h): enter() is the only place that changes the state, and only here is it
 * known what comes after what.
 *
 *     CREATING -> SENDING -> FLUSHED -> COMMITTING -> COMMITTED
 *     any of them -> FAILED -> ABORTING -> ABORTED; any of them -> ABORTING; any of all -> CLOSED
 */
#include "s3/upload.h"

#include <assert.h>

#include "s3/upload_abort.h"
#include "s3/upload_commit.h"
#include "s3/upload_create.h"
#include "s3/upload_parts.h"

enum { CREATE_PATIENCE_MS = 5000 }; /* of an abort, for the answer with our id */

enum state {
    CREATING,   /* CreateMultipartUpload is not answered yet; bytes are taken and kept */
    SENDING,    /* parts go out */
    FLUSHED,    /* all are stored: waits for the owner to commit */
    COMMITTING, /* the commit is under way, or what settles it */
    COMMITTED,  /* the object is visible */
    FAILED,     /* waits for the owner to abort */
    ABORTING,
    ABORTED,
    CLOSED, /* freed by the owner: waits for libuv */
};

struct s3_upload {
    struct s3_upload_spec spec; /* but for key, metadata and spool_dir, which are gone */
    struct upload_store store;
    enum state state;
    char *id;     /* once CreateMultipartUpload was answered, until the abort takes it */
    bool id_lost; /* an upload may exist whose id we do not know */
    enum s3_outcome outcome;
    struct upload_create create;
    struct upload_parts *parts;
    struct upload_commit commit;
    struct upload_abort *abort;
    uv_timer_t timer; /* brings the commit to the loop's next turn; of an abort: waits for our id */
};

#define TO(state_) (1u << (state_))

static void enter(struct s3_upload *u, enum state next)
{
    enum { ANYWAY = TO(ABORTING) | TO(CLOSED) };
    static const unsigned allowed[] = {
            [CREATING] = TO(SENDING) | TO(FAILED) | ANYWAY,
            [SENDING] = TO(FLUSHED) | TO(FAILED) | ANYWAY,
            [FLUSHED] = TO(COMMITTING) | ANYWAY,
            [COMMITTING] = TO(COMMITTED) | TO(FAILED) | ANYWAY,
            [COMMITTED] = ANYWAY,
            [FAILED] = ANYWAY,
            [ABORTING] = TO(ABORTED) | TO(CLOSED),
            [ABORTED] = TO(CLOSED),
            [CLOSED] = 0,
    };

    assert(allowed[u->state] & TO(next));
    u->state = next;
}

/* ---- the abort ---- */

static void on_aborted(void *ctx, enum s3_outcome outcome, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->outcome = outcome;
    if (outcome == S3_OUTCOME_VISIBLE && u->spec.lock.mode != S3_LOCK_NONE && !u->commit.lock_err.kind)
        (void)err_set(&u->commit.lock_err, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0,
                "nobody has looked, since the answer to the commit was lost");
    enter(u, ABORTED);
    u->spec.on_aborted(u->spec.ctx, err);
}

static void start_abort(struct s3_upload *u)
{
    (void)uv_timer_stop(&u->timer);
    upload_abort_start(u->abort, &(struct upload_abort_spec){
                                         .store = &u->store,
                                         .parts = upload_parts_table(u->parts),
                                         .id = TAKE_PTR(u->id),
                                         .is_id_lost = u->id_lost,
                                         .may_part_arrive = upload_parts_may_arrive(u->parts),
                                         .is_completed = u->commit.is_completed,
                                         .outcome = u->outcome,
                                         .ctx = u,
                                         .on_done = on_aborted,
                                 });
}

static void on_create_overdue(uv_timer_t *timer)
{
    struct s3_upload *u = CONTAINER_OF(timer, struct s3_upload, timer);

    upload_call_cancel(&u->create.call);
    u->id_lost = true;
    start_abort(u);
}

void s3_upload_abort(struct s3_upload *u)
{
    if (u->state == ABORTING || u->state == ABORTED)
        return;
    if (u->state == COMMITTING && u->commit.is_sent)
        u->outcome = S3_OUTCOME_UNKNOWN;
    u->store.leaving = true;
    upload_commit_cancel(&u->commit);
    upload_parts_stop(u->parts);
    enter(u, ABORTING);
    /* The answer may bring the id. */
    if (upload_call_is_under_way(&u->create.call))
        (void)uv_timer_start(&u->timer, on_create_overdue, CREATE_PATIENCE_MS, 0);
    else
        start_abort(u);
}

const char *s3_upload_left(const struct s3_upload *u, unsigned n)
{
    return upload_abort_left(u->abort, n);
}

/* ---- what the other steps report ---- */

static void on_created(void *ctx, char *id, bool is_lost, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->id = id;
    u->id_lost = is_lost;
    if (u->state == ABORTING) {
        start_abort(u);
    } else if (id) {
        enter(u, SENDING);
        upload_parts_begin(u->parts, id);
    } else {
        upload_parts_give_up(u->parts);
        enter(u, FAILED);
        u->spec.on_failed(u->spec.ctx, err);
    }
}

static void on_room(void *ctx)
{
    struct s3_upload *u = ctx;

    u->spec.on_room(u->spec.ctx);
}

static void on_stored(void *ctx)
{
    struct s3_upload *u = ctx;

    enter(u, FLUSHED);
    u->spec.on_flushed(u->spec.ctx);
}

static void on_parts_failed(void *ctx, const struct err *err)
{
    struct s3_upload *u = ctx;

    enter(u, FAILED);
    u->spec.on_failed(u->spec.ctx, err);
}

static void on_committed(void *ctx, enum s3_outcome outcome, const struct err *err)
{
    struct s3_upload *u = ctx;

    u->outcome = outcome;
    enter(u, err ? FAILED : COMMITTED);
    u->spec.on_committed(u->spec.ctx, err);
}

static void start_commit(uv_timer_t *timer)
{
    struct s3_upload *u = CONTAINER_OF(timer, struct s3_upload, timer);
    const struct upload_commit_spec spec = {
            .store = &u->store,
            .parts = upload_parts_table(u->parts),
            .id = u->id,
            .must_be_new = u->spec.must_be_new,
            .lock = u->spec.lock,
            .ctx = u,
            .on_done = on_committed,
    };
    struct err e;

    if (upload_commit_start(&u->commit, &spec, &e) < 0)
        on_committed(u, S3_OUTCOME_ABSENT, &e);
}

/* ---- what the owner asks ---- */

uint64_t s3_upload_room(const struct s3_upload *u)
{
    return upload_parts_room(u->parts);
}

void s3_upload_want(struct s3_upload *u, uint64_t bytes)
{
    upload_parts_want(u->parts, bytes);
}

uint8_t *s3_upload_lend(struct s3_upload *u, size_t len)
{
    return upload_parts_lend(u->parts, len);
}

int s3_upload_write(struct s3_upload *u, struct bytes bytes, struct err *e)
{
    return upload_parts_write(u->parts, bytes, e);
}

int s3_upload_end(struct s3_upload *u, struct err *e)
{
    return upload_parts_end(u->parts, e);
}

void s3_upload_commit(struct s3_upload *u)
{
    enter(u, COMMITTING);
    (void)uv_timer_start(&u->timer, start_commit, 0, 0); /* fails only on a closing handle */
}

void s3_upload_hurry(struct s3_upload *u)
{
    u->store.hurried = true;
    upload_call_hurry(&u->create.call);
    upload_call_hurry(&u->commit.call);
    upload_parts_hurry(u->parts);
    upload_abort_hurry(u->abort);
}

enum s3_outcome s3_upload_outcome(const struct s3_upload *u)
{
    return u->outcome;
}

void s3_upload_get_stats(const struct s3_upload *u, struct s3_upload_stats *out)
{
    *out = (struct s3_upload_stats){
            .retries = u->store.retries,
            .etag = u->store.etag,
            .unseen_err = u->commit.unseen_err.kind ? &u->commit.unseen_err : NULL,
            .lock_err = u->commit.lock_err.kind ? &u->commit.lock_err : NULL,
    };
    upload_parts_get_stats(u->parts, out);
}

/* ---- the beginning and the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct s3_upload *u = CONTAINER_OF(handle, struct s3_upload, timer);

    free(u->id);
    upload_store_reset(&u->store);
    free(u);
}

void s3_upload_free(struct s3_upload *u)
{
    if (!u)
        return;
    enter(u, CLOSED);
    upload_call_cancel(&u->create.call);
    upload_commit_cancel(&u->commit);
    upload_parts_free(u->parts);
    upload_abort_free(u->abort);
    uv_close((uv_handle_t *)&u->timer, on_closed);
}

/* All that an upload owns; half of it when it fails. */
static int fill_in(
        struct s3_upload *u, struct s3_client *c, const struct s3_upload_spec *spec, uint64_t part_size, struct err *e)
{
    if (upload_store_init(&u->store, c, spec, e) < 0)
        return -1;
    u->parts = upload_parts_new(
            &(struct upload_parts_spec){
                    .store = &u->store,
                    .spec = spec,
                    .part_size = part_size,
                    .ctx = u,
                    .on_room = on_room,
                    .on_stored = on_stored,
                    .on_failed = on_parts_failed,
            },
            e);
    u->abort = u->parts ? upload_abort_new(upload_store_loop(&u->store), e) : NULL;
    return u->abort ? upload_create_start(&u->create, &u->store, spec, e) : -1;
}

struct s3_upload *s3_upload_start(struct s3_client *c, const struct s3_upload_spec *spec, struct err *e)
{
    uint64_t part_size;
    struct s3_upload *u;

    assert(spec->size > 0 && spec->parts_in_flight > 0);
    if (parts_choose_size(spec->size, spec->part_size, &part_size, e) < 0)
        return NULL;
    u = calloc(1, sizeof(*u));
    if (!u) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
        return NULL;
    }
    u->spec = *spec;
    u->spec.key = u->spec.spool_dir = NULL;
    u->spec.metadata = NULL;
    u->outcome = S3_OUTCOME_ABSENT;
    u->create.ctx = u;
    u->create.on_created = on_created;
    (void)uv_timer_init(s3_client_loop(c), &u->timer);
    if (fill_in(u, c, spec, part_size, e) < 0) {
        s3_upload_free(u);
        return NULL;
    }
    return u;
}
