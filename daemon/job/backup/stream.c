#include "job/backup/stream.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "etcd/snapshot.h"
#include "job/backup/seal_worker.h"
#include "seal/seal.h"

struct stream {
    struct stream_spec spec;
    struct etcd_snapshot *snapshot;
    struct seal_worker *seal;
    struct s3_upload *upload;
    bool has_ended, has_failed, is_written, is_stopping;
    bool is_taken; /* the last chunk has gone in, and not all may have come out */
    uint64_t taken;
    uint64_t began_ms, read_ms;
};

static void fail(struct stream *s, const struct err *err, const char *doing, bool is_of_etcd)
{
    struct err e = *err;

    if (s->is_stopping || s->has_failed)
        return;
    s->has_failed = true;
    err_prepend(&e, "%s: ", doing);
    s->spec.on_failed(s->spec.ctx, &e, is_of_etcd);
}

static void advance(struct stream *s);

/* What came out of a run goes into the upload, and what went in is done with. */
static int write_out(struct stream *s, struct bytes out, struct err *e)
{
    struct bytes chunk;

    if (out.len && s3_upload_write(s->upload, out, e) < 0)
        return -1;
    if (!s->is_taken) {
        chunk = etcd_snapshot_peek(s->snapshot, &s->is_taken);
        s->taken += chunk.len;
        etcd_snapshot_consume(s->snapshot);
    }
    s->is_written = s->is_taken && !seal_worker_has_more(s->seal);
    return s->is_written ? s3_upload_end(s->upload, e) : 0;
}

static void on_sealed(void *ctx, struct bytes out, const struct err *err)
{
    struct stream *s = ctx;
    struct err e = ERR_INIT;

    if (s->is_stopping) {
        (void)stream_stop(s);
        s->spec.on_stopped(s->spec.ctx);
        return;
    }
    if (err) {
        fail(s, err, "sealing", false);
    } else if (write_out(s, out, &e) < 0) {
        fail(s, &e, "uploading", false);
    } else if (s->is_written) {
        s->spec.on_written(s->spec.ctx);
    } else {
        advance(s);
    }
}

static void advance(struct stream *s)
{
    struct bytes chunk = {0};
    uint64_t room;
    bool last = false;

    if (s->has_failed || s->is_stopping || s->is_written || seal_worker_is_busy(s->seal))
        return;
    if (!s->is_taken) {
        chunk = etcd_snapshot_peek(s->snapshot, &last);
        if (chunk.len == 0)
            return;
    }
    room = seal_worker_room(s->seal, chunk.len);
    if (s3_upload_room(s->upload) < room)
        s3_upload_want(s->upload, room);
    else
        seal_worker_run(s->seal, chunk, last, s3_upload_lend(s->upload, room), s, on_sealed);
}

static void on_begin(void *ctx, uint64_t total)
{
    struct stream *s = ctx;

    s->spec.on_begin(s->spec.ctx, total, seal_worker_output_size(s->seal, total));
}

static void on_readable(void *ctx)
{
    advance(ctx);
}

static void on_end(void *ctx)
{
    struct stream *s = ctx;

    s->read_ms = stream_read_ms(s);
    s->has_ended = true;
    s->spec.on_end(s->spec.ctx);
}

static void on_failed(void *ctx, const struct err *err)
{
    fail(ctx, err, "reading the snapshot", true);
}

struct stream *stream_new(const struct stream_spec *spec, struct err *e)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (!s) {
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        return NULL;
    }
    s->spec = *spec;
    s->seal = seal_worker_new(spec->loop,
            &(struct seal_worker_spec){.data_key = spec->data_key, .compression_level = spec->compression_level}, e);
    s->spec.data_key = NULL;
    if (s->seal)
        return s;
    free(s);
    return NULL;
}

int stream_start(struct stream *s, struct etcd_session *session, struct err *e)
{
    struct etcd_snapshot_spec spec = {
            .chunk = SEAL_CHUNK,
            .ctx = s,
            .on_begin = on_begin,
            .on_readable = on_readable,
            .on_end = on_end,
            .on_failed = on_failed,
    };

    s->began_ms = uv_now(s->spec.loop);
    s->snapshot = etcd_snapshot_start(session, &spec, e);
    return s->snapshot ? 0 : -1;
}

const char *stream_storage_version(const struct stream *s)
{
    return etcd_snapshot_storage_version(s->snapshot);
}

void stream_into(struct stream *s, struct s3_upload *upload)
{
    s->upload = upload;
}

void stream_go_on(struct stream *s)
{
    advance(s);
}

uint64_t stream_taken(const struct stream *s)
{
    return s->taken;
}

uint64_t stream_read_ms(const struct stream *s)
{
    return s->snapshot && !s->has_ended ? uv_now(s->spec.loop) - s->began_ms : s->read_ms;
}

int stream_verdict(struct stream *s, struct err *e)
{
    return seal_worker_verdict(s->seal, e);
}

struct keyspace_facts stream_facts(const struct stream *s)
{
    return seal_worker_facts(s->seal);
}

bool stream_stop(struct stream *s)
{
    s->is_stopping = true;
    if (seal_worker_is_busy(s->seal))
        return false;
    if (!s->has_ended) /* etcd has read for us all the same */
        s->read_ms = stream_read_ms(s);
    etcd_snapshot_free(TAKE_PTR(s->snapshot));
    return true;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    etcd_snapshot_free(s->snapshot);
    seal_worker_free(s->seal);
    free(s);
}
