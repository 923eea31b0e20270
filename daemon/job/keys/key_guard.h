/*
 * key_guard.h: no new backup by a master key that was rotated away.
 *
 * Whoever rotates a master key destroys the old one. Where its file was forgotten, a backup would be wrapped by a key
 * that is nowhere any more, and look as good as any. The cycle looks at the bucket before each of its backups; one that
 * somebody or a crontab asks for looks for itself, with this, before anything is asked of etcd.
 *
 * It only hinders what it knows to be wrong. What cannot be found out (no right to list or to read, no bucket, a store
 * that does not answer) is nothing against the backup, which will say itself what is the matter: an access key that may
 * only write is a good one for backups. All but a refusal by rights is told, though: what lies in the bucket could not
 * be seen, which may be the first sign of a wrong address.
 */
#pragma once

#include "base/err.h"
#include "core/core.h"

struct key_guard;

struct key_guard_spec {
    void *ctx;
    /* Once unless freed, never inside the start. `trouble` NULL: nothing is known against the key. Else what
     * key_check.h found: if key_check_is_rotated_away(trouble), no backup may use it; all else hinders none. `unknown`:
     * why nothing could be found out, to be told of a backup that comes off; or NULL. Both are valid until the guard is
     * freed. */
    void (*on_done)(void *ctx, const struct err *trouble, const struct err *unknown);
};

/* Starts; the core must be acquired until the end. The caller frees. NULL with *e of ERR_NONE: there is nothing to find
 * out (backups are not encrypted); else why there is no way to. */
struct key_guard *key_guard_start(struct core *core, const struct key_guard_spec *spec, struct err *e);

/* Cancels if it still runs. NULL is fine. */
void key_guard_free(struct key_guard *g);
