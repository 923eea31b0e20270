#include "s3/upload.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/timestamp.h"
#include "s3/upload_state.h"

/* The spool leaves this much of a file system to others, which may be etcd itself. */
#define SPOOL_KEEP_FREE ((uint64_t)1 << 30)
enum { SPOOL_KEEP_FREE_PERCENT = 5 };

#define TO(state_) (1u << (state_))

void upload_enter(struct s3_upload *u, enum upload_state next)
{
    enum { ANYWAY = TO(UPLOAD_ABORTING) | TO(UPLOAD_CLOSED) };
    static const unsigned allowed[] = {
            [UPLOAD_CREATING] = TO(UPLOAD_SENDING) | TO(UPLOAD_FAILED) | ANYWAY,
            [UPLOAD_SENDING] = TO(UPLOAD_FLUSHED) | TO(UPLOAD_FAILED) | ANYWAY,
            [UPLOAD_FLUSHED] = TO(UPLOAD_LOOKING) | TO(UPLOAD_COMPLETING) | ANYWAY,
            [UPLOAD_LOOKING] = TO(UPLOAD_COMPLETING) | TO(UPLOAD_FAILED) | ANYWAY,
            [UPLOAD_COMPLETING] = TO(UPLOAD_CHECKING) | TO(UPLOAD_FAILED) | ANYWAY,
            [UPLOAD_CHECKING] = TO(UPLOAD_COMMITTED) | TO(UPLOAD_FAILED) | ANYWAY,
            [UPLOAD_COMMITTED] = ANYWAY,
            [UPLOAD_FAILED] = ANYWAY,
            [UPLOAD_ABORTING] = TO(UPLOAD_ABORTED) | TO(UPLOAD_CLOSED),
            [UPLOAD_ABORTED] = TO(UPLOAD_CLOSED),
            [UPLOAD_CLOSED] = 0,
    };

    assert(allowed[u->state] & TO(next));
    u->state = next;
}

void upload_pump(struct s3_upload *u)
{
    switch (u->state) {
    case UPLOAD_CREATING:
    case UPLOAD_SENDING:
        upload_parts_step(u);
        break;
    case UPLOAD_LOOKING:
    case UPLOAD_COMPLETING:
    case UPLOAD_CHECKING:
        upload_commit_step(u);
        break;
    case UPLOAD_ABORTING:
        upload_abort_step(u);
        break;
    case UPLOAD_FLUSHED:
    case UPLOAD_COMMITTED:
    case UPLOAD_FAILED:
    case UPLOAD_ABORTED:
    case UPLOAD_CLOSED:
        break; /* it is the owner's turn */
    }
}

static void on_kick(uv_timer_t *timer)
{
    upload_pump(CONTAINER_OF(timer, struct s3_upload, kick));
}

void upload_kick(struct s3_upload *u)
{
    (void)uv_timer_start(&u->kick, on_kick, 0, 0); /* fails only on a closing handle */
}

const char *upload_id(const struct s3_upload *u)
{
    return u->n_ids ? u->ids[0] : NULL;
}

uint64_t upload_patience(const struct s3_upload *u)
{
    const uint64_t silent = uv_now(u->loop) - u->answered_ms;

    if (u->hurried)
        return 0;
    if (u->state != UPLOAD_ABORTING)
        return u->spec.outage_ms;
    return silent < u->spec.outage_ms ? u->spec.outage_ms - silent : 0;
}

void upload_on_retry(void *ctx, const struct s3_retry *retry)
{
    struct s3_upload *u = ctx;
    const uint64_t now = uv_now(u->loop);

    if (!u->spec.on_retry || retry->attempts <= UPLOAD_RETRIES_UNTOLD ||
            (u->told_ms && now - u->told_ms < UPLOAD_RETRY_TOLD_MS))
        return;
    u->told_ms = now;
    u->spec.on_retry(u->spec.ctx, retry);
}

void upload_answered(struct s3_upload *u, const struct s3_response *res)
{
    u->answered_ms = uv_now(u->loop);
    u->retries += res->attempts - 1;
}

static void destroy(struct s3_upload *u)
{
    if (u->buffers)
        upload_release_buffers(u);
    free(u->buffers);
    spool_free(u->spool);
    parts_free(u->parts);
    buf_reset(&u->body);
    for (unsigned i = 0; i < u->n_ids; i++)
        free(u->ids[i]);
    free((char *)(uintptr_t)u->spec.key);
    free(u);
}

static struct spool *make_spool(const struct s3_upload *u, const struct s3_upload_spec *spec, struct err *e)
{
    uint64_t fitting = spec->spool_limit / u->part_size + 1;
    uint32_t count = parts_count(u->parts);

    return spool_new(
            &(struct spool_spec){
                    .loop = u->loop,
                    .dir = spec->spool_dir,
                    .slot_size = upload_buffer_size(u),
                    .max_parts = fitting < count ? (uint32_t)fitting : count,
                    .limit = spec->spool_limit,
                    .keep_free = SPOOL_KEEP_FREE,
                    .keep_free_percent = SPOOL_KEEP_FREE_PERCENT,
            },
            e);
}

/* All that an upload owns; half of it when it fails. */
static int fill_in(struct s3_upload *u, const struct s3_upload_spec *spec, struct err *e)
{
    u->spec = *spec;
    u->spec.metadata = NULL;
    u->spec.spool_dir = NULL;
    u->spec.key = strdup(spec->key);
    u->body = BUF_INIT((size_t)4 << 20); /* 10,000 parts with ETags of the usual 34 characters are 1 MiB */
    u->started = timestamp_now();
    u->answered_ms = uv_now(u->loop);
    u->outcome = S3_OUTCOME_ABSENT;
    u->buffers = calloc((size_t)spec->parts_in_flight + 2, sizeof(*u->buffers));
    if (!u->spec.key || !u->buffers)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "no memory for an upload");
    for (unsigned i = 0; i < spec->parts_in_flight + 2; i++)
        u->buffers[i].upload = u;
    u->parts = parts_new(spec->size, u->part_size, e);
    if (!u->parts)
        return -1;
    if (spec->spool_dir) {
        u->spool = make_spool(u, spec, e);
        if (!u->spool)
            return -1;
    }
    return upload_create(u, spec, e);
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
    u->client = c;
    u->loop = s3_client_loop(c);
    u->part_size = part_size;
    if (fill_in(u, spec, e) < 0) {
        destroy(u);
        return NULL;
    }
    /* From here on it ends with the callbacks of these two. */
    (void)uv_timer_init(u->loop, &u->kick);
    (void)uv_timer_init(u->loop, &u->timer);
    u->open_handles = 2;
    return u;
}

static bool takes_bytes(const struct s3_upload *u)
{
    return u->state == UPLOAD_CREATING || u->state == UPLOAD_SENDING;
}

uint64_t s3_upload_room(const struct s3_upload *u)
{
    const struct upload_buffer *b = upload_filling(u);
    uint64_t rest = b ? parts_len(u->parts, b->number) - b->len : 0;

    return takes_bytes(u) ? rest + upload_count(u, BUFFER_FREE) * u->part_size : 0;
}

void s3_upload_want(struct s3_upload *u, uint64_t bytes)
{
    if (!u->want)
        u->want_since = uv_now(u->loop);
    u->want = bytes < u->part_size ? bytes : u->part_size;
    upload_kick(u);
}

uint64_t upload_blocked_ms(const struct s3_upload *u)
{
    return u->blocked_ms + (u->want ? uv_now(u->loop) - u->want_since : 0);
}

/* The buffer that the next byte goes into. */
static int buffer_to_fill(struct s3_upload *u, struct upload_buffer **out, struct err *e)
{
    *out = upload_filling(u);
    if (*out)
        return 0;
    if (upload_take_buffer(u, out, e) < 0)
        return -1;
    assert(*out); /* the owner writes no more than there is room */
    (*out)->place = BUFFER_FILLING;
    (*out)->number = (uint32_t)(u->written / u->part_size) + 1;
    (*out)->len = 0;
    return 0;
}

int s3_upload_write(struct s3_upload *u, struct bytes bytes, struct err *e)
{
    if (!takes_bytes(u))
        return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the upload has failed before");
    if (bytes.len > u->spec.size - u->written)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "more bytes than the %" PRIu64 " that were announced",
                u->spec.size);
    while (bytes.len) {
        struct upload_buffer *b;
        size_t n;

        if (buffer_to_fill(u, &b, e) < 0)
            return -1;
        n = parts_len(u->parts, b->number) - b->len;
        n = n < bytes.len ? n : bytes.len;
        memcpy(b->data + b->len, bytes.data, n);
        b->len += n;
        u->written += n;
        bytes.data += n;
        bytes.len -= n;
        if (b->len == parts_len(u->parts, b->number)) {
            b->place = BUFFER_FULL;
            upload_kick(u);
        }
    }
    return 0;
}

int s3_upload_end(struct s3_upload *u, struct err *e)
{
    if (!takes_bytes(u))
        return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the upload has failed before");
    if (u->written < u->spec.size)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0,
                "ended after %" PRIu64 " of the %" PRIu64 " bytes that were announced", u->written, u->spec.size);
    u->ended = true;
    upload_kick(u);
    return 0;
}

void s3_upload_commit(struct s3_upload *u)
{
    upload_enter(u, u->spec.must_be_new ? UPLOAD_LOOKING : UPLOAD_COMPLETING);
    upload_kick(u);
}

static void hurry(struct s3_request *r)
{
    if (r)
        s3_request_hurry(r);
}

void s3_upload_hurry(struct s3_upload *u)
{
    u->hurried = true;
    hurry(u->create);
    hurry(u->request);
    for (unsigned i = 0; i < u->spec.parts_in_flight + 2; i++)
        hurry(u->buffers[i].request);
}

const char *s3_upload_left(const struct s3_upload *u, unsigned n)
{
    return n < u->n_ids - u->abort.next ? u->ids[u->abort.next + n] : NULL;
}

enum s3_outcome s3_upload_outcome(const struct s3_upload *u)
{
    return u->outcome;
}

void s3_upload_get_stats(const struct s3_upload *u, struct s3_upload_stats *out)
{
    *out = (struct s3_upload_stats){
            .written = u->written,
            .stored = parts_stored(u->parts),
            .in_spool = u->spool ? spool_waiting(u->spool) : 0,
            .spooled = u->spool ? spool_total(u->spool) : 0,
            .blocked_ms = upload_blocked_ms(u),
            .part_size = u->part_size,
            .retries = u->retries,
            .unseen_err = u->unseen_err.kind ? &u->unseen_err : NULL,
            .spool_err = u->spool ? spool_why(u->spool) : NULL,
    };
}

void upload_free_when_idle(struct s3_upload *u)
{
    if (u->open_handles == 0 && !(u->spool && spool_is_busy(u->spool)))
        destroy(u);
}

static void on_closed(uv_handle_t *handle)
{
    struct s3_upload *u = handle->data;

    u->open_handles--;
    upload_free_when_idle(u);
}

void s3_upload_free(struct s3_upload *u)
{
    if (!u)
        return;
    upload_enter(u, UPLOAD_CLOSED);
    upload_cancel_parts(u);
    upload_cancel_requests(u);
    u->kick.data = u->timer.data = u;
    uv_close((uv_handle_t *)&u->kick, on_closed);
    uv_close((uv_handle_t *)&u->timer, on_closed);
}
