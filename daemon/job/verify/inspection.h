/*
 * inspection.h: a backup is read to its last byte, as a restore would, and dropped; or, as a drill, into a transient
 * file. Then its contents are compared with what its etcd had (contents.h), and, if there is an etcdutl, it is unpacked
 * into a scratch directory, looked at, and removed again. One after the other, as often as is asked.
 *
 *     open => fetch => (contents => (unpack =>)) finding
 *
 * A finding tells what is the backup's own from what only kept us from reading it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/known.h"
#include "job/restore/reader.h"

struct inspection;

struct inspection_spec {
    struct lifecycle *life; /* of the job, which begins before the look; borrowed */
    bool drill;             /* snapshot_path is configured */
    const char *tool;       /* then: as in etcdutl.h; borrowed until on_looked */
    bool allow_renamed;
    bool allow_plain;
    const struct brought_keys *brought; /* as in reader.h */
    void *ctx;
    void (*on_looked)(void *ctx);    /* of reader_look */
    void (*on_inspected)(void *ctx); /* never inside inspection_start; in it the inspection may be freed */
};

/* What came of one. */
struct inspection_finding {
    bool is_gone;    /* it was listed, and somebody has deleted it since: neither good nor bad, and that is all */
    bool is_unknown; /* nobody knows: it could not be looked at, for a reason that is not its own */
    bool is_vouched; /* is_unknown since it is sealed, and nothing was brought that opens it; all that can be seen is
                        good */
    enum known_verdict verdict; /* else: of the dump's own bytes, or, if it is refused, of something else of it */
    struct err err;             /* why it is not good; of kind ERR_NONE: it is */
    uint64_t snapshot_size;     /* bytes; 0 when that did not come out */
    uint64_t elapsed_ms;
    struct contents_finding contents; /* of a drill */
    bool is_drilled;                  /* etcdutl has unpacked it and looked at it; then: */
    struct unpack_status status;
};

/* The caller frees. Errors: ERR_RESOURCE. */
struct inspection *inspection_new(const struct inspection_spec *spec, struct err *e);

/* To look and to choose; then it is the inspection's. */
struct reader *inspection_reader(struct inspection *i);

/* Begins with one of the reader's list; nothing of the one before it is left. `may_be_gone`: what the store has none of
 * is asked for once again. on_inspected follows. False: it has come to its end at once, and that does not follow. */
bool inspection_start(struct inspection *i, const struct catalog_backup *backup, bool may_be_gone);

/* After the end; valid until the next start. */
const struct inspection_finding *inspection_finding(const struct inspection *i);

/* As reader_cancel. */
bool inspection_cancel(struct inspection *i);

/* As reader_free, which it does, too. NULL is fine. */
void inspection_free(struct inspection *i);
