#include "world_inside.h"

#include <string.h>

struct world_claim claim;
struct world_predecessor predecessor;
struct world_upload upload;
struct world_key key;
struct world_mark mark;

/* ---- the claim ---- */

struct claim *claim_start(struct s3_client *s3, const struct claim_spec *spec, struct err *e)
{
    MUST(s3 && claim.life == NONE && session.state == READY && snapshot.life == NONE && spec->dump[0]);
    if (goes_wrong(e, "no claim"))
        return NULL;
    claim.life = ALIVE;
    claim.claiming = true;
    claim.spec = *spec;
    return (struct claim *)(void *)&claim;
}

bool claim_release(struct claim *c, void *ctx, void (*on_released)(void *ctx))
{
    MUST((void *)c == &claim && claim.life == ALIVE && !claim.on_released);
    MUST(snapshot.life != ALIVE || upload.taken); /* nothing is under way any more */
    claim.is_owned = false;
    if (!claim.claiming && !claim.may_be_there)
        return false;
    claim.release_ctx = ctx;
    claim.on_released = on_released;
    return true;
}

void claim_free(struct claim *c)
{
    if (!c)
        return;
    MUST((void *)c == &claim && claim.life == ALIVE);
    claim.life = FREED;
}

/* ---- the keys of the configuration: none opens what lies there in the place of ours ---- */

struct keyring *keyring_new(const struct conf *conf, struct err *e)
{
    (void)conf;
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no keys");
    return NULL;
}

struct secret *keyring_unwrap(
        const struct keyring *r, struct bytes wrapped, int64_t instant, bool allow_renamed, size_t *by, struct err *e)
{
    (void)r, (void)wrapped, (void)instant, (void)allow_renamed, (void)by, (void)e;
    return NULL;
}

void keyring_free(struct keyring *r)
{
    (void)r;
}

/* ---- the upload ---- */

struct s3_upload *dump_object_start(
        struct core *core, const struct backup_result *backup, const struct dump_object_events *events, struct err *e)
{
    (void)core;
    MUST(claim.life == ALIVE && claim.is_owned); /* before anything is stored */
    MUST(upload.life == NONE && backup->name[0] && backup->encrypted == !!w.conf.encryption_key_path);
    if (goes_wrong(e, "no upload"))
        return NULL;
    upload.life = ALIVE;
    upload.events = *events;
    upload.size = backup->stored_size;
    MUST(backup->compressed == (w.conf.compression == CONF_COMPRESSION_ZSTD));
    upload.room = chance(2) * 3 * SEAL_SEALED_CHUNK;
    return (struct s3_upload *)(void *)&upload;
}

uint64_t s3_upload_room(const struct s3_upload *u)
{
    MUST((const void *)u == &upload && upload.life == ALIVE && !upload.aborting);
    return upload.failed ? 0 : upload.room;
}

void s3_upload_want(struct s3_upload *u, uint64_t bytes)
{
    MUST((void *)u == &upload && upload.life == ALIVE && !upload.aborting && bytes > upload.room);
    upload.want = bytes;
}

uint8_t *s3_upload_lend(struct s3_upload *u, size_t len)
{
    MUST((void *)u == &upload && upload.life == ALIVE && !upload.aborting && !upload.ended && !stage.works);
    MUST(upload.failed || len <= upload.room);
    upload.lent = !upload.failed && chance(8) ? &upload.place : NULL;
    return upload.lent;
}

int s3_upload_write(struct s3_upload *u, struct bytes bytes, struct err *e)
{
    MUST((void *)u == &upload && upload.life == ALIVE && !upload.aborting && !upload.ended);
    if (upload.failed)
        return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the upload has failed before");
    MUST(bytes.len <= upload.room && bytes.len <= upload.size - upload.written);
    MUST(!upload.lent || !w.conf.encryption_key_path || bytes.data == upload.lent);
    if (goes_wrong(e, "no write"))
        return -1;
    upload.written += bytes.len;
    upload.room -= bytes.len;
    return 0;
}

int s3_upload_end(struct s3_upload *u, struct err *e)
{
    MUST((void *)u == &upload && upload.life == ALIVE && !upload.aborting && !upload.ended);
    if (upload.failed)
        return err_set(e, ERR_CANCELLED, ERR_DOMAIN_NONE, 0, "the upload has failed before");
    MUST(w.conf.compression ? upload.written <= upload.size : upload.written == upload.size);
    upload.size = upload.written;
    if (goes_wrong(e, "no end"))
        return -1;
    upload.ended = true;
    return 0;
}

/* What all this is for. */
void s3_upload_commit(struct s3_upload *u)
{
    MUST((void *)u == &upload && upload.life == ALIVE && !upload.aborting && !upload.failed && !upload.commit);
    MUST(!w.cancel_is_known);
    MUST(upload.flushed);                                                      /* S3 has every part */
    MUST(snapshot.life == ALIVE && snapshot.ended);                            /* etcd has sent all, and says so */
    MUST(stage.verdict_is_good);                                               /* and the SHA-256 is right */
    MUST(!w.conf.encryption_key_path || (key.life == ALIVE && key.is_stored)); /* and its key is there */
    upload.commit = w.end->committed = true;
}

void s3_upload_abort(struct s3_upload *u)
{
    MUST((void *)u == &upload && upload.life == ALIVE && !upload.aborting);
    MUST(snapshot.life != ALIVE && session.life != ALIVE); /* etcd's transaction has ended before */
    MUST(!stage.works);                                    /* in what was lent */
    upload.aborting = true;
}

void s3_upload_hurry(struct s3_upload *u)
{
    MUST((void *)u == &upload && upload.life == ALIVE);
}

enum s3_outcome s3_upload_outcome(const struct s3_upload *u)
{
    MUST((const void *)u == &upload && upload.life == ALIVE && upload.aborted);
    return upload.outcome;
}

const char *s3_upload_left(const struct s3_upload *u, unsigned n)
{
    MUST((const void *)u == &upload && upload.life == ALIVE && upload.aborted);
    return n == 0 ? "id" : NULL;
}

struct leftovers *core_leftovers(const struct core *c)
{
    (void)c;
    return NULL;
}

bool leftovers_add(struct leftovers *l, const char *name, const char *upload_id)
{
    MUST(!l && name[0] && upload_id[0]);
    return true;
}

void s3_upload_get_stats(const struct s3_upload *u, struct s3_upload_stats *out)
{
    MUST((const void *)u == &upload && upload.life == ALIVE);
    *out = (struct s3_upload_stats){
            .written = upload.written, .stored = upload.written / 2, .etag = upload.commit_over ? UPLOAD_ETAG : ""};
}

void s3_upload_free(struct s3_upload *u)
{
    if (!u)
        return;
    MUST((void *)u == &upload && upload.life == ALIVE);
    MUST(upload.aborted || (upload.commit_over && upload.taken)); /* else it would stay behind in the store */
    upload.life = FREED;
}

/* ---- the key ---- */

struct key_object *key_object_store(struct s3_client *s3, const struct key_object_spec *spec, struct err *e)
{
    if (!s3)
        return NULL;
    MUST(key.life == NONE && w.conf.encryption_key_path && stage.verdict_is_good && upload.life == ALIVE);
    if (goes_wrong(e, "no key"))
        return NULL;
    key.life = ALIVE;
    key.storing = true;
    key.spec = *spec;
    return (struct key_object *)(void *)&key;
}

int key_object_check(struct key_object *k, void *ctx,
        void (*on_checked)(void *ctx, struct bytes found, const struct err *err), struct err *e)
{
    MUST((void *)k == &key && key.life == ALIVE && key.is_stored && upload.taken && !key.on_checked);
    if (goes_wrong(e, "no look")) {
        w.end->is_no_pair = true;
        return -1;
    }
    w.end->was_looked_at = true;
    key.check_ctx = ctx;
    key.on_checked = on_checked;
    return 0;
}

void key_object_hurry(struct key_object *k)
{
    MUST((void *)k == &key && key.life == ALIVE && w.end->cancelled);
    key.is_hurried = true;
}

bool key_object_remove(struct key_object *k, void *ctx, void (*on_removed)(void *ctx))
{
    MUST((void *)k == &key && key.life == ALIVE && !key.on_removed);
    MUST(!upload.commit && upload.life != ALIVE); /* the dump is not there, and will not be */
    if (!key.storing && (!key.is_stored || happens(w.odds.failure)))
        return false;
    key.remove_ctx = ctx;
    key.on_removed = on_removed;
    return true;
}

void key_object_free(struct key_object *k)
{
    if (!k)
        return;
    MUST((void *)k == &key && key.life == ALIVE);
    key.life = FREED;
    if (key.storing) /* nobody knows whether it arrived */
        key.is_stored = key.is_stored || happens(500);
}

/* ---- what can happen next ---- */

static bool uploads(void)
{
    return upload.life == ALIVE && !upload.aborting && !upload.failed && !upload.commit_over;
}

void world_on_room(void)
{
    if (!uploads())
        return;
    upload.room = upload.room > UINT32_MAX ? upload.room : upload.room + SEAL_SEALED_CHUNK;
    if (!upload.want || upload.room < upload.want)
        return;
    upload.want = 0;
    upload.events.on_room(upload.events.ctx);
}

void world_on_upload(void)
{
    struct err e = ERR_INIT;

    if (!uploads() || upload.commit || upload.flushed)
        return;
    if (goes_wrong(&e, "HTTP 503")) {
        upload.failed = true;
        upload.events.on_failed(upload.events.ctx, &e);
    } else if (upload.ended) {
        upload.flushed = true;
        upload.events.on_flushed(upload.events.ctx);
    }
}

void world_on_commit(void)
{
    struct err e = ERR_INIT;

    if (!uploads() || !upload.commit)
        return;
    upload.commit_over = true;
    upload.taken = true;
    if (goes_wrong(&e, "no answer to the commit")) {
        upload.taken = happens(500);
        upload.events.on_committed(upload.events.ctx, &e);
    } else
        upload.events.on_committed(upload.events.ctx, NULL);
}

void world_on_abort(void)
{
    struct err e = ERR_INIT;
    bool wrong;

    if (upload.life != ALIVE || !upload.aborting || upload.aborted)
        return;
    upload.aborted = upload.commit_over = true;
    wrong = goes_wrong(&e, "no abort");
    if (!upload.commit)
        upload.outcome = S3_OUTCOME_ABSENT;
    else if (!upload.taken)
        upload.outcome = wrong ? S3_OUTCOME_UNKNOWN : S3_OUTCOME_ABSENT;
    else /* a store may be slow to show it */
        upload.outcome = (enum s3_outcome[]){S3_OUTCOME_ABSENT, S3_OUTCOME_UNKNOWN, S3_OUTCOME_VISIBLE}[chance(3)];
    w.end->known_visible = upload.outcome == S3_OUTCOME_VISIBLE;
    upload.events.on_aborted(upload.events.ctx, wrong ? &e : NULL);
}

static void check_key(void)
{
    void (*tell)(void *ctx, struct bytes found, const struct err *err) = TAKE_PTR(key.on_checked);
    struct err e = ERR_INIT;
    bool wrong = goes_wrong(&e, "no key was seen"), is_anothers = happens(w.odds.failure);

    MUST(key.is_hurried || !w.cancel_has_come);
    w.end->is_no_pair = wrong ? e.kind != ERR_AUTH : is_anothers;
    tell(key.check_ctx, wrong || !is_anothers ? (struct bytes){0} : (struct bytes){(const uint8_t *)"x", 1},
            wrong ? &e : NULL);
}

void world_on_key(void)
{
    struct err e = ERR_INIT;

    if (key.life != ALIVE)
        return;
    if (key.on_checked) {
        check_key();
        return;
    }
    if (key.storing) {
        bool wrong = goes_wrong(&e, "no key was stored");

        key.storing = false;
        key.is_stored = !wrong;
        if (!key.on_removed)
            key.spec.on_stored(key.spec.ctx, wrong ? &e : NULL);
    } else if (key.on_removed) {
        key.is_stored = false;
        w.end->key_removed = true;
        key.on_removed(key.remove_ctx);
    }
}

void world_on_claim(void)
{
    struct err e = ERR_INIT;
    bool wrong;

    if (claim.life != ALIVE || (!claim.claiming && !claim.on_released))
        return;
    if (claim.on_released) {
        claim.may_be_there = claim.claiming = false;
        claim.on_released(claim.release_ctx);
        return;
    }
    wrong = goes_wrong(&e, "it is somebody else's");
    claim.claiming = false;
    claim.is_owned = !wrong;
    claim.may_be_there = !wrong || happens(500);
    claim.spec.on_claimed(claim.spec.ctx, wrong ? &e : NULL);
}

/* ---- the predecessor ---- */

struct predecessor *predecessor_start(struct core *core, const struct predecessor_spec *spec)
{
    (void)core;
    MUST(predecessor.life != ALIVE && spec->name[0]);
    if (happens(w.odds.failure))
        return NULL;
    predecessor = (struct world_predecessor){.life = ALIVE, .spec = *spec};
    return (struct predecessor *)(void *)&predecessor;
}

void predecessor_free(struct predecessor *p)
{
    MUST(!p || predecessor.life == ALIVE);
    if (p)
        predecessor.life = FREED;
}

void world_on_predecessor(void)
{
    if (predecessor.life != ALIVE || predecessor.has_told)
        return;
    predecessor.has_told = true;
    predecessor.spec.on_done(predecessor.spec.ctx, happens(500) ? "of another cluster" : NULL);
}

/* ---- the mark of a damaged database ---- */

struct damage_mark *damage_mark_put(struct core *core, const struct damage_mark_spec *spec, struct err *e)
{
    (void)core;
    MUST(mark.life == NONE && spec->dump.name[0] && strcmp(spec->dump.etag, UPLOAD_ETAG) == 0 &&
            spec->dump.size == upload.size);
    MUST(stage.is_damaged && w.end->accepts_damaged && upload.taken);
    w.end->is_marked = true;
    if (goes_wrong(e, "no mark"))
        return NULL;
    mark.life = ALIVE;
    mark.ctx = spec->ctx;
    mark.on_done = spec->on_done;
    return (struct damage_mark *)(void *)&mark;
}

void damage_mark_hurry(struct damage_mark *m)
{
    MUST((void *)m == &mark && mark.life == ALIVE && w.end->cancelled);
    mark.is_hurried = true;
}

void damage_mark_free(struct damage_mark *m)
{
    if (!m)
        return;
    MUST((void *)m == &mark && mark.life == ALIVE);
    mark.life = FREED;
}

void world_on_mark(void)
{
    void (*tell)(void *ctx, const struct err *err) = TAKE_PTR(mark.on_done);
    struct err e = ERR_INIT;
    bool wrong;

    if (mark.life != ALIVE || !tell)
        return;
    MUST(mark.is_hurried || !w.cancel_has_come);
    wrong = goes_wrong(&e, "no mark");
    tell(mark.ctx, wrong ? &e : NULL);
}
