/*
 * preflight.h: whether this machine can take what is going to be restored: everything that is in the way, at once.
 *
 * The options, etcdutl's abilities, the target and the directories (absent or empty, not within each other), their
 * owner, and room for all of it on each disk. It touches nothing, and opens what it found to be right.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "job/objections.h"
#include "job/restore/destination.h"
#include "job/restore/etcdutl.h"
#include "job/restore/unpack.h"

struct preflight_spec {
    const char *output;    /* path of the snapshot's file; of one that is unpacked: where the disk is large */
    bool output_is_chosen; /* by whoever asks: it is an option of his that he can change */
    bool unpacks;          /* then: */
    const struct unpack_options *unpack;
    const struct etcdutl *etcdutl;      /* NULL: it is not there, which is objected to elsewhere */
    const char *name, *storage_version; /* of the backup; "": not known, as before etcd 3.6 */
    uint64_t snapshot_size;             /* bytes; UINT64_MAX: not known, and no room is asked for */
};

/* Adds to `found` what is in the way. What can be opened is in `to` then, also if something is in the way; the caller
 * clears it. The file comes last, so that a dry run leaves no trace. Blocks a little. */
void preflight_check(const struct preflight_spec *spec, struct destination *to, struct objections *found);
