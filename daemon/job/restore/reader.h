/*
 * reader.h: how a job reads backups: all that comes before the first byte, and the bytes.
 *
 *     look    => the listing, and etcdutl beside it; what is in the way is collected
 *     choose  -> which backup is meant, and what is to be said of that
 *     open    => its facts and the key that opens it; whose the newest beside it is
 *     fetch   => decrypted and checked into a file, or to nowhere
 *     unpack  => etcdutl makes a data directory of that, or says what is in it
 *                                                     => asynchronous;  -> a plain function call
 *
 * In this order; from `open` on again and again, for as many backups as are to be read, with a close between them. A
 * job stops where it has what it wants: one that looks into the database itself fetches into a transient file
 * (output_file.h), and goes on from there.
 *
 * One thing is at work at a time, and reader_cancel asks that to end, whichever it is. Notes, what etcdutl says and
 * the progress, with the phases' names that the job gives, go to the job's sink; what becomes of it all, verdicts and
 * words for a failure, is the job's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "catalog/list.h"
#include "job/lifecycle.h"
#include "job/objections.h"
#include "job/restore/choice.h"
#include "job/restore/destination.h"
#include "job/restore/etcdutl.h"
#include "job/restore/opened_backup.h"
#include "job/restore/unpack.h"

struct reader;

/* What is, or was last, done with a backup. */
enum reader_stage { READER_LOOKING, READER_OPENING, READER_FETCHING, READER_UNPACKING, READER_STAGES };

struct reader_spec {
    struct lifecycle *life;            /* of the job, which begins before the look; borrowed */
    const char *phases[READER_STAGES]; /* what the progress calls them; static; NULL: not told */
    bool needs_etcdutl;
    bool may_lack_etcdutl;              /* then: that there is none is no objection, but for one that `tool` names */
    const char *tool;                   /* as in etcdutl.h; borrowed until on_looked */
    bool allow_renamed, allow_plain;    /* as in opened_backup.h */
    bool skip_hash_check;               /* as in download.h */
    const struct brought_keys *brought; /* as in opened_backup.h; borrowed */
    void *ctx;
    /* Each once for each call that starts it, never inside that. Errors name the backup, and are valid during the call,
     * in which the reader may be freed. */
    void (*on_looked)(void *ctx);
    void (*on_opened)(void *ctx, const struct err *err);                    /* errors of opened_backup.h */
    void (*on_fetched)(void *ctx, uint64_t written, const struct err *err); /* of download.h */
    void (*on_unpacked)(void *ctx, const struct unpack_status *status, const struct err *err); /* as in unpack.h */
};

/* The caller frees. Errors: ERR_RESOURCE. */
struct reader *reader_new(const struct reader_spec *spec, struct err *e);

/* Lists the bucket and looks for etcdutl. False: both failed at once, and on_looked does not come. What failed is among
 * the objections. */
bool reader_look(struct reader *r);

/* What is in the way; the job adds its own. Valid until the reader is freed. */
struct objections *reader_objections(struct reader *r);

/* After the look, or NULL: it failed; etcdutl is not there, or was not asked for. Valid until the reader is freed. */
const struct catalog_list *reader_list(const struct reader *r);
const struct etcdutl *reader_etcdutl(const struct reader *r);

/* Why there is none, if that is no objection; NULL: there is one, or it was not asked for. */
const struct err *reader_lacks_etcdutl(const struct reader *r);

/*
 * The one backup that is meant, valid as long as the list. For the latest it notes what is newer and cannot be read; or
 * returns just that, with `insists`: who asks whether the latest is good does not mean the one before it, unless the
 * time of that has not come yet. Errors of choice_find.
 */
const struct catalog_backup *reader_choose(struct reader *r, const struct choice *choice, bool insists, struct err *e);

/* The list, with all that is in it, is not needed any more: a restore may take hours. */
void reader_drop_list(struct reader *r);

/* Opens one of the list; of one that was chosen it also finds out whose the newest beside it is. After a close.
 * on_opened follows. Errors of opened_backup_open. */
int reader_open(struct reader *r, const struct catalog_backup *backup, struct err *e);

/* After on_opened without an error, until the close. */
const struct opened_backup *reader_opened(const struct reader *r);

/* Notes, once, if the opened one is of another etcd cluster than the backups that are made here; or, of one that was
 * chosen, than the newest beside it; of several, than the first that was opened. */
void reader_tell_of_cluster(struct reader *r);

/* Into the destination's file, or to nowhere if it has none; borrowed until on_fetched, which follows. Errors of
 * download_start. */
int reader_fetch(struct reader *r, const struct destination *to, struct err *e);

/* What was fetched into the destination's transient file. `options` and all in `to` are borrowed until on_unpacked,
 * which follows. `drill` as in unpack.h. Errors of data_dir_open and unpack_start. */
int reader_unpack(struct reader *r, const struct destination *to, const struct unpack_options *options, bool drill,
        struct err *e);

/* Which was begun last. */
enum reader_stage reader_stage(const struct reader *r);

/* Says at the end of an error that is of the one that was chosen which other to ask for (choice_advise). */
void reader_advise(const struct reader *r, struct err *e);

/* Done with the one that was opened, if one is: its key is wiped. Nothing is at work. */
void reader_close(struct reader *r);

/* Asks what is at work to end: its callback follows, as it comes to its end early, or too late for that. False: nothing
 * is at work (any more), and no callback comes. Again, it does nothing more. */
bool reader_cancel(struct reader *r);

/* Neither etcdutl, nor a fetch is at work, nor unpacking: what else is, is cancelled. NULL is fine. */
void reader_free(struct reader *r);
