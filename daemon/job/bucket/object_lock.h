/*
 * object_lock.h: until when the store is asked to keep what is put (s3_client.object_lock).
 *
 * The dump and the key of a backup are under lock until `retain` after its instant: both until the same moment, and a
 * key that is put again by a rotation, until that moment, too, or until that of the key it replaces, if that is later.
 * With object_lock.mode none nothing is asked for: what the bucket locks by itself is its own matter.
 * A moment that has passed already, or is about to, is none: stores refuse it. Whatever else we put goes again soon,
 * and is never locked.
 */
#pragma once

#include "core/core.h"
#include "s3/lock.h"
#include "s3/request.h"

/* Of the backup of `instant`. `replaces`: the answer to a GET of the object whose place is taken, or NULL. `now`: by
 * the store's clock. All in seconds since the epoch. */
struct s3_lock object_lock_of(
        const struct conf_object_lock *conf, int64_t instant, const struct s3_response *replaces, int64_t now);

/* The same now. The core must be acquired. */
struct s3_lock object_lock_now(struct core *core, int64_t instant, const struct s3_response *replaces);
