/*
 * bad_mark.h: that a dump was read and is bad, written beside it, so that neither a restart nor a `-c` forgets it.
 *
 * An object of its own (catalog/name.h, NAME_BAD), since the metadata of a dump cannot be changed without copying it,
 * and since to read every dump afresh before each decision would take hours. Its name holds all that it says, so that
 * it costs no request beside the listing; it belongs to one object, by ETag and size, and says nothing of what is put
 * in that one's place. The body is for people.
 *
 * It is not authenticated by the master key. A false one does no harm that whoever can write to the bucket could not do
 * by writing over the dump itself: a backup so marked stays, keeps others from going, and is shown as damaged until it
 * is verified again; and a true one must not lose its force because a master key was rotated.
 */
#pragma once

#include "base/err.h"
#include "catalog/list.h"
#include "core/core.h"
#include "s3/request.h"

struct bad_mark_spec {
    const struct catalog_backup *backup; /* borrowed until the start returns */
    bool is_bad;                         /* put the mark; or take it away */
    bool by_drill;                       /* then: it was seen by unpacking it, which a plain look does not see */
    uint64_t patience_ms;                /* of putting it, as in s3_put_spec */
    void *ctx;
    void (*on_done)(void *ctx, const struct s3_response *res, const struct err *err); /* once, unless cancelled */
};

/* Starts; the core must be acquired. Errors: those of core_s3, s3_put, s3_delete and name_bad_of_dump. */
struct s3_request *bad_mark_set(struct core *core, const struct bad_mark_spec *spec, struct err *e);

/* Reads the mark of spec->backup, whose other members are of no matter. Errors: likewise. */
struct s3_request *bad_mark_get(struct core *core, const struct bad_mark_spec *spec, struct err *e);

/* Whether what was read says that a drill has set it: then only a drill takes it away. */
bool bad_mark_is_of_drill(const struct s3_response *res);
