#include "world_inside.h"

struct world_session session;
struct world_snapshot snapshot;
struct world_stage stage;
struct world_comparison comparison;

/* ---- etcd ---- */

struct etcd_session *etcd_session_open(struct etcd_client *c, const struct etcd_session_spec *spec, struct err *e)
{
    (void)c;
    MUST(session.life == NONE);
    if (goes_wrong(e, "no session"))
        return NULL;
    session.life = ALIVE;
    session.state = OPENING;
    session.spec = *spec;
    return (struct etcd_session *)(void *)&session;
}

int etcd_session_status(struct etcd_session *s, void *ctx,
        void (*on_status)(void *ctx, const struct etcd_status *status, const struct err *err), struct err *e)
{
    MUST((void *)s == &session && session.life == ALIVE && !session.on_status);
    if (session.state != READY)
        return err_set(e, ERR_TRANSIENT, ERR_DOMAIN_NONE, 0, "there is no session with etcd");
    if (goes_wrong(e, "no Status"))
        return -1;
    session.status_ctx = ctx;
    session.on_status = on_status;
    return 0;
}

void etcd_session_blame(struct etcd_session *s, const struct err *why)
{
    MUST((void *)s == &session && session.life == ALIVE && why && why->text[0]);
}

void etcd_session_praise(struct etcd_session *s)
{
    MUST((void *)s == &session && session.life == ALIVE && stage.verdict_is_good && !stage.is_damaged);
}

void etcd_session_close(struct etcd_session *s)
{
    if (!s)
        return;
    MUST((void *)s == &session && session.life == ALIVE);
    session.life = FREED;
}

struct etcd_snapshot *etcd_snapshot_start(struct etcd_session *s, const struct etcd_snapshot_spec *spec, struct err *e)
{
    MUST((void *)s == &session && session.life == ALIVE && session.state == READY && snapshot.life == NONE);
    if (goes_wrong(e, "no snapshot"))
        return NULL;
    snapshot.life = ALIVE;
    snapshot.spec = *spec;
    snapshot.chunks = 1 + (unsigned)chance(CHUNKS_MAX);
    snapshot.last_len = 33 + chance(SEAL_CHUNK - 33);
    return (struct etcd_snapshot *)(void *)&snapshot;
}

static uint8_t chunk[1];

const char *etcd_snapshot_storage_version(const struct etcd_snapshot *s)
{
    (void)s;
    return "3.6.0";
}

struct bytes etcd_snapshot_peek(const struct etcd_snapshot *s, bool *last)
{
    unsigned i = snapshot.consumed;

    MUST((const void *)s == &snapshot && snapshot.life == ALIVE);
    if (last)
        *last = i + 1 == snapshot.chunks;
    if (i == snapshot.arrived)
        return (struct bytes){0};
    return (struct bytes){chunk, i + 1 == snapshot.chunks ? snapshot.last_len : SEAL_CHUNK};
}

void etcd_snapshot_consume(struct etcd_snapshot *s)
{
    MUST((void *)s == &snapshot && snapshot.life == ALIVE && snapshot.consumed < snapshot.arrived && !stage.works);
    snapshot.consumed++;
    snapshot.readable_told = snapshot.consumed < snapshot.arrived;
}

void etcd_snapshot_free(struct etcd_snapshot *s)
{
    if (!s)
        return;
    MUST((void *)s == &snapshot && snapshot.life == ALIVE && !stage.works);
    snapshot.life = FREED;
}

/* ---- the stage ---- */

struct seal_worker *seal_worker_new(uv_loop_t *on, const struct seal_worker_spec *spec, struct err *e)
{
    MUST(on == &loop && stage.life == NONE && !spec->data_key == !w.conf.encryption_key_path);
    MUST(spec->compression_level == (w.conf.compression ? 7 : 0));
    if (goes_wrong(e, "no stage"))
        return NULL;
    stage.life = ALIVE;
    stage.more = w.conf.compression ? (unsigned)chance(3) : 0;
    return (struct seal_worker *)(void *)&stage;
}

/* What is compressed may become larger, and what comes out in the end does not fill one run. */
uint64_t seal_worker_output_size(const struct seal_worker *s, uint64_t plain)
{
    MUST((const void *)s == &stage && stage.life == ALIVE);
    plain += w.conf.compression ? 6 * SEAL_CHUNK : 0;
    return w.conf.encryption_key_path ? seal_sealed_size(plain) : plain;
}

uint64_t seal_worker_room(const struct seal_worker *s, size_t plain)
{
    return w.conf.compression ? 2 * SEAL_SEALED_CHUNK : seal_worker_output_size(s, plain);
}

bool seal_worker_has_more(const struct seal_worker *s)
{
    MUST((const void *)s == &stage && stage.life == ALIVE && !stage.works);
    return stage.done == snapshot.chunks && stage.more > 0;
}

void seal_worker_run(struct seal_worker *s, struct bytes in, bool last, uint8_t *into, void *ctx,
        void (*ready)(void *ctx, struct bytes out, const struct err *err))
{
    MUST((void *)s == &stage && stage.life == ALIVE && !stage.works);
    MUST(stage.done == snapshot.consumed && (in.len > 0 || seal_worker_has_more(s)));
    MUST(in.len == 0 || last == (stage.done + 1 == snapshot.chunks));
    MUST(into == upload.lent);
    stage.works = true;
    stage.in = in;
    stage.into = into;
    stage.ctx = ctx;
    stage.ready = ready;
}

bool seal_worker_is_busy(const struct seal_worker *s)
{
    MUST((const void *)s == &stage && stage.life == ALIVE);
    return stage.works;
}

int seal_worker_verdict(struct seal_worker *s, struct err *e)
{
    MUST((void *)s == &stage && stage.life == ALIVE && !stage.works && stage.done == snapshot.chunks &&
            stage.more == 0);
    stage.verdict_is_good = !happens(w.odds.failure);
    stage.is_damaged = happens(w.odds.failure);
    return stage.verdict_is_good ? 0 : err_set(e, ERR_INTEGRITY, ERR_DOMAIN_NONE, 0, "SHA-256 does not match");
}

struct keyspace_facts seal_worker_facts(const struct seal_worker *s)
{
    MUST((const void *)s == &stage && stage.life == ALIVE && !stage.works && stage.done == snapshot.chunks);
    return (struct keyspace_facts){
            .structure = stage.is_damaged ? BOLT_DAMAGED : BOLT_SOUND, .why = "page 7: it is broken"};
}

void seal_worker_free(struct seal_worker *s)
{
    if (!s)
        return;
    MUST((void *)s == &stage && stage.life == ALIVE && !stage.works);
    stage.life = FREED;
}

/* ---- the comparison of the members ---- */

struct comparison *comparison_start(struct core *core, const struct comparison_spec *spec, char *why)
{
    (void)core;
    MUST(comparison.life == NONE && stage.verdict_is_good && !key.spec.dump); /* what comes of it goes with the key */
    if (happens(w.odds.failure)) {
        why[0] = 'x';
        return NULL;
    }
    comparison = (struct world_comparison){.life = ALIVE, .spec = *spec};
    return (struct comparison *)(void *)&comparison;
}

void comparison_free(struct comparison *c)
{
    MUST(!c || comparison.life == ALIVE);
    if (c)
        comparison.life = FREED;
}

/* ---- what can happen next ---- */

void world_on_session(void)
{
    struct err e = ERR_INIT;

    if (session.life != ALIVE || session.state != OPENING)
        return;
    session.state = READY;
    if (goes_wrong(&e, "no endpoint answers")) {
        session.state = LOST;
        session.spec.on_failed(session.spec.ctx, &e);
    } else
        session.spec.on_ready(session.spec.ctx, &(struct etcd_status){.endpoint = "a:1", .revision = 7});
}

void world_on_session_lost(void)
{
    struct err e = ERR_INIT;

    if (session.life != ALIVE || session.state != READY || !goes_wrong(&e, "the connection is lost"))
        return;
    session.state = LOST;
    session.on_status = NULL;
    session.spec.on_failed(session.spec.ctx, &e);
}

void world_on_status(void)
{
    void (*tell)(void *ctx, const struct etcd_status *status, const struct err *err) = session.on_status;
    struct err e = ERR_INIT;

    if (session.life != ALIVE || !tell)
        return;
    session.on_status = NULL;
    if (goes_wrong(&e, "no answer"))
        tell(session.status_ctx, NULL, &e);
    else
        tell(session.status_ctx, &(struct etcd_status){.revision = 9}, NULL);
}

void world_on_chunk(void)
{
    if (snapshot.life != ALIVE || snapshot.over || snapshot.arrived == snapshot.chunks || session.state == LOST)
        return;
    if (!snapshot.begun) {
        snapshot.begun = true;
        snapshot.spec.on_begin(snapshot.spec.ctx, (snapshot.chunks - 1) * (uint64_t)SEAL_CHUNK + snapshot.last_len);
        return;
    }
    snapshot.arrived++;
    if (snapshot.readable_told)
        return;
    snapshot.readable_told = true;
    snapshot.spec.on_readable(snapshot.spec.ctx);
}

void world_on_snapshot_end(void)
{
    struct err e = ERR_INIT;

    if (snapshot.life != ALIVE || snapshot.over)
        return;
    if (goes_wrong(&e, "the snapshot broke off")) {
        snapshot.over = true;
        snapshot.spec.on_failed(snapshot.spec.ctx, &e);
    } else if (snapshot.begun && snapshot.arrived == snapshot.chunks && session.state != LOST) {
        snapshot.over = snapshot.ended = true;
        snapshot.spec.on_end(snapshot.spec.ctx);
    }
}

void world_on_stage(void)
{
    struct bytes out = stage.in;
    struct err e = ERR_INIT;

    if (!stage.works)
        return;
    stage.works = false;
    if (stage.in.len)
        stage.done++;
    else
        stage.more--;
    if (w.conf.compression)
        out.len = chance(4) * SEAL_SEALED_CHUNK / 2; /* or nothing */
    else
        out.len = seal_worker_output_size((struct seal_worker *)(void *)&stage, out.len);
    if (stage.into && w.conf.encryption_key_path)
        out.data = stage.into;
    if (goes_wrong(&e, "no sealing"))
        stage.ready(stage.ctx, (struct bytes){0}, &e);
    else
        stage.ready(stage.ctx, out, NULL);
}

void world_on_comparison(void)
{
    struct etcd_compare_result result = {.verdict = (enum etcd_compare_verdict)chance(3)};

    if (comparison.life != ALIVE || comparison.has_told)
        return;
    comparison.has_told = true;
    result.has_hash = result.verdict != ETCD_COMPARE_NOT;
    comparison.spec.on_done(comparison.spec.ctx, &result);
}
