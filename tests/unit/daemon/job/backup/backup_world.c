#include "world_inside.h"

#include <string.h>

struct world w;
uv_loop_t loop;

/* ---- chance ---- */

uint64_t chance(uint64_t n)
{
    w.random = w.random * 6364136223846793005u + 1442695040888963407u;
    return (w.random >> 33) % n;
}

bool happens(unsigned of_a_thousand)
{
    return chance(1000) < of_a_thousand;
}

bool goes_wrong(struct err *e, const char *what)
{
    static const enum err_kind kinds[] = {ERR_TRANSIENT, ERR_AUTH, ERR_PROTOCOL, ERR_RESOURCE};

    if (!happens(w.odds.failure))
        return false;
    err_set(e, kinds[chance(ARRAY_LEN(kinds))], ERR_DOMAIN_NONE, 0, "%s", what);
    return true;
}

/* ---- core ---- */

uv_loop_t *core_loop(const struct core *c)
{
    (void)c;
    return &loop;
}

const struct conf *core_conf(const struct core *c)
{
    (void)c;
    return &w.conf;
}

void core_acquire(struct core *c)
{
    (void)c;
    w.core_users++;
}

void core_release(struct core *c)
{
    (void)c;
    MUST(w.core_users-- > 0);
}

struct s3_client *core_s3(struct core *c, struct err *e)
{
    (void)c;
    return goes_wrong(e, "no client for S3") ? NULL : (struct s3_client *)(void *)&w;
}

struct etcd_client *core_etcd(struct core *c, struct err *e)
{
    (void)c;
    return goes_wrong(e, "no client for etcd") ? NULL : (struct etcd_client *)(void *)&w;
}

/* ---- one backup ---- */

static void (*const events[])(void) = {world_on_session, world_on_session_lost, world_on_status, world_on_chunk,
        world_on_chunk, world_on_snapshot_end, world_on_stage, world_on_stage, world_on_room, world_on_upload,
        world_on_commit, world_on_abort, world_on_key, world_on_mark, world_on_claim, world_on_predecessor,
        world_on_comparison};

int world_open(void)
{
    return uv_loop_init(&loop);
}

int world_close(void)
{
    return uv_loop_close(&loop);
}

static void tell_progress(void *ctx, const struct job_progress *p)
{
    MUST(ctx == &w && !w.end->told && p->phase && p->phase[0]);
}

static void tell_note(void *ctx, const char *text)
{
    MUST(ctx == &w && !w.end->told && text[0]);
}

static void tell_done(void *ctx, const struct job_result *result, const struct err *err)
{
    MUST(ctx == &w && !w.end->told && result && result->backup);
    w.end->told = true;
    w.end->succeeded = err == NULL;
    if (err)
        w.end->err = *err;
    MUST(result->backup->is_stored_damaged == w.end->is_marked);
    if (!err)
        MUST(result->backup->name[0] && result->backup->stored_size == upload.size);
}

/* Timers of any length run at once: what matters here is the order. */
int __real_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    (void)timeout;
    return __real_uv_timer_start(t, cb, 0, repeat);
}

static void begin(uint64_t seed, bool encrypted, const struct world_odds *odds, struct world_end *end)
{
    memset(&session, 0, sizeof(session));
    memset(&snapshot, 0, sizeof(snapshot));
    memset(&stage, 0, sizeof(stage));
    memset(&claim, 0, sizeof(claim));
    memset(&predecessor, 0, sizeof(predecessor));
    memset(&comparison, 0, sizeof(comparison));
    memset(&upload, 0, sizeof(upload));
    memset(&key, 0, sizeof(key));
    memset(&mark, 0, sizeof(mark));
    memset(&w, 0, sizeof(w));
    memset(end, 0, sizeof(*end));
    w.seed = w.random = seed;
    w.odds = *odds;
    w.end = end;
    end->accepts_damaged = seed % 2;
    w.conf.s3.objects_prefix = (char *)(uintptr_t)("backup");
    w.conf.compression = chance(2) ? CONF_COMPRESSION_ZSTD : CONF_COMPRESSION_NONE;
    w.conf.compression_level = 7;
    w.conf.encryption_key_path = encrypted ? (char *)(uintptr_t)("master.key") : NULL;
}

/* Everything is freed, and nothing is left on the loop. */
static void check_end(void)
{
    struct world_end *end = w.end;

    MUST(uv_run(&loop, UV_RUN_DEFAULT) == 0 && !uv_loop_alive(&loop));
    MUST(session.life != ALIVE && snapshot.life != ALIVE && stage.life != ALIVE && upload.life != ALIVE &&
            key.life != ALIVE && claim.life != ALIVE && predecessor.life != ALIVE && comparison.life != ALIVE &&
            mark.life != ALIVE && w.core_users == 0);
    MUST(!claim.may_be_there); /* it is released, whatever came */
    end->visible = upload.taken;
    end->is_damaged = stage.is_damaged;
    end->key_is_there = key.is_stored;
}

void world_run(uint64_t seed, bool encrypted, const struct world_odds *odds, struct world_end *end)
{
    const struct job_sink sink = {.ctx = &w, .progress = tell_progress, .note = tell_note, .done = tell_done};
    struct err e = ERR_INIT;
    struct backup_spec spec = {.instant = 1733520145, .accepts_damaged = seed % 2};
    struct backup *b;

    begin(seed, encrypted, odds, end);
    b = backup_start((struct core *)(void *)&w.core_users, &spec, &sink, &e);
    MUST(b && !end->told);
    while (!end->told) {
        MUST(end->events++ < 100000);
        if (happens(odds->cancel)) {
            end->cancelled = true;
            backup_cancel(b);
            MUST(!end->told);
        }
        if (happens(300)) {
            (void)uv_run(&loop, UV_RUN_NOWAIT);
            w.cancel_has_come = end->cancelled;
            w.cancel_is_known = end->cancelled && !upload.commit;
            MUST(!end->cancelled || predecessor.life != ALIVE); /* nobody waits for the look at it */
        } else {
            events[chance(ARRAY_LEN(events))]();
        }
    }
    check_end();
}
