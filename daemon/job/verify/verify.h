/*
 * verify.h: is it good? Reads backups as a restore would, and writes nothing; or, as a drill, compares what each
 * holds with what its etcd had, and, where there is an etcdutl, unpacks it into a scratch directory, asks what it
 * holds, and removes it again.
 *
 * One backup after the other; each gets its verdict (job_sink.verdict), and a bad one does not stop the others; of all,
 * one that was deleted after the listing is passed over with a note. The
 * job has failed when one of them is bad: ERR_INTEGRITY if the bytes of one are, else the kind of the first failure.
 */
#pragma once

#include "job/job.h"
#include "job/keys/brought_keys.h"
#include "job/restore/choice.h"

struct verify;

/* All is copied. */
struct verify_request {
    bool all; /* or the one that is chosen */
    struct choice choice;
    bool may_be_gone; /* it is one of many that are asked for one by one: that it is not there is no failure, then
                       * nothing is good and nothing bad; and what a drill leaves out is in the result alone */
    bool drill;
    const char *tool; /* for a drill, as in etcdutl.h */
    bool allow_renamed;
    bool allow_plain;
    struct brought_keys brought;
};

/* Starts one. Errors: ERR_CONFIG (a drill without snapshot_path), ERR_RESOURCE; all else comes through `done`. Frees
 * itself after `done`. */
struct verify *verify_start(
        struct core *core, const struct verify_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: `done` says ERR_CANCELLED. */
void verify_cancel(struct verify *v);
