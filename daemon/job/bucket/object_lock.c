#include "job/bucket/object_lock.h"

#include "s3/client.h"

/* What ends sooner protects nothing, and may have ended when the store hears of it. */
enum { LEAST_S = 60, MS_PER_S = 1000 };

static enum s3_lock_mode stronger(enum s3_lock_mode a, enum s3_lock_mode b)
{
    return a > b ? a : b;
}

struct s3_lock object_lock_of(
        const struct conf_object_lock *conf, int64_t instant, const struct s3_response *replaces, int64_t now)
{
    static const enum s3_lock_mode modes[] = {[CONF_LOCK_NONE] = S3_LOCK_NONE,
            [CONF_LOCK_GOVERNANCE] = S3_LOCK_GOVERNANCE,
            [CONF_LOCK_COMPLIANCE] = S3_LOCK_COMPLIANCE};
    struct s3_lock lock = {.mode = modes[conf->mode], .until = instant + (int64_t)(conf->retain_ms / MS_PER_S)};

    if (lock.mode == S3_LOCK_NONE)
        return lock;
    /* INT64_MAX is a date that was not understood. */
    if (replaces && replaces->retain_until > now && replaces->retain_until < INT64_MAX) {
        lock.mode = stronger(lock.mode, replaces->is_compliance ? S3_LOCK_COMPLIANCE : S3_LOCK_GOVERNANCE);
        lock.until = replaces->retain_until > lock.until ? replaces->retain_until : lock.until;
    }
    return lock.until >= now + LEAST_S ? lock : (struct s3_lock){S3_LOCK_NONE, 0};
}

struct s3_lock object_lock_now(struct core *core, int64_t instant, const struct s3_response *replaces)
{
    const struct conf_object_lock *conf = &core_conf(core)->s3.object_lock;
    struct err e = ERR_INIT;
    struct s3_client *s3 = conf->mode == CONF_LOCK_NONE ? NULL : core_s3(core, &e);

    return object_lock_of(conf, instant, replaces, timestamp_now() + (s3 ? s3_client_clock_skew(s3) : 0));
}
