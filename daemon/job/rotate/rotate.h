/*
 * rotate.h: every data key in the bucket, from what opened it so far (a master key, or a person's identities) to the
 * form that the configuration says: wrapped by the new master key, or sealed to people, and vouched for by it.
 *
 *     list => rewrap each key, several at a time (rewrap.h) => the same again, until all are found to be done
 *     => is a backup under way? => has a key come meanwhile? then the same again => old versions
 *
 * Dumps are not touched. A failure at one key does not stop the others. Interrupted anywhere, it is run again and goes
 * on where it was: what has the form is done. Only when all keys have it, it says so with success: what opened them so
 * far is needed no more, except a master key that goes on vouching, and identities of those to whom keys are sealed.
 *
 * The last pass changes nothing and looks at every key: another daemon may have made a backup meanwhile, still with the
 * previous key, or somebody may have written over what was done. A backup that ends during that pass is neither in what
 * the pass has listed nor, later, among the uploads: so the keys are listed once more behind the uploads, and one that
 * is new begins another pass. That a store does not list uploads at all is told; any other reason for which they cannot
 * be seen is a failure. Success also needs that the configuration names the new key, since what it names wraps the next
 * backup; and that a daemon which runs beside a private one, which this is then, has that configuration, too
 * (beside.h).
 */
#pragma once

#include "job/job.h"
#include "job/keys/brought_keys.h"
#include "job/rotate/beside.h"

struct rotate;

struct rotate_request {
    const struct secret *previous; /* master keys, KEY_LEN bytes; copied; NULL: identities alone were brought */
    const struct secret *next;     /* NULL: the one that encryption_key_path names */
    struct brought_keys brought;   /* copied */
    struct beside beside;          /* copied */
    bool dry_run;                  /* look, count, and change nothing */
    bool purge_versions;           /* remove what a versioned bucket keeps of the old wraps, after success */
};

/*
 * Starts one. Errors: ERR_RESOURCE; all else comes through `done`: ERR_CONFIG (keys that are the same, no new key,
 * nobody who vouches, a previous key that never was in use here, a new one that is not configured, a daemon beside this
 * one that has another configuration), ERR_NOT_FOUND (no
 * encrypted backups), ERR_TRANSIENT (a backup is under way), that of the first key that failed. Frees itself after
 * `done`.
 */
struct rotate *rotate_start(
        struct core *core, const struct rotate_request *request, const struct job_sink *sink, struct err *e);

/* Asks it to stop: what is rotated is rotated; `done` says ERR_CANCELLED. */
void rotate_cancel(struct rotate *r);
