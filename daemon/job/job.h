/*
 * job.h: what all jobs have in common: where they report to, and what they report.
 *
 * A job is started with a sink, tells it of its progress while it runs, and ends with exactly one call of `done`, never
 * inside the start. Asking it to stop (backup_cancel, ...) only asks: it still ends with `done`, after it has put
 * things in order, with ERR_CANCELLED. Jobs are joined here and nowhere else from etcd, s3, seal and catalog.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "age/identity.h"
#include "base/err.h"
#include "catalog/name.h"
#include "core/core.h"
#include "etcd/choose.h"
#include "etcd/compare.h"
#include "keyspace/facts.h"
#include "seal/key.h"

struct job_progress {
    const char *phase; /* static: "connecting", "streaming", ... */
    uint64_t done;     /* of `unit` */
    uint64_t total;    /* of `unit`, 0 while unknown */
    const char *unit;  /* static, of what is counted: "keys"; NULL: bytes */
    unsigned attempt;  /* which one, of a job that may make several: then `done` begins anew; 0: of one that does not */
};

/* A finished backup. */
struct backup_result {
    char name[NAME_TEXT_MAX]; /* of the dump */
    int64_t instant;          /* seconds since the epoch */
    uint64_t snapshot_size;   /* bytes of plaintext, etcd's SHA-256 included */
    uint64_t stored_size;     /* bytes of the object; until all is in the upload, of what is compressed at most */
    uint64_t elapsed_ms;
    uint64_t spooled;    /* bytes that waited on disk, sealed */
    uint64_t blocked_ms; /* time that etcd had to wait for S3 */
    uint64_t read_ms;    /* that etcd's read transactions were open, of all attempts */
    bool encrypted, compressed;
    unsigned attempts;
    enum backup_left { /* an upload that could not be aborted */
        BACKUP_LEFT_NONE,
        BACKUP_LEFT_KNOWN,   /* it is in core/leftovers.h */
        BACKUP_LEFT_UNKNOWN, /* nobody knows its id: prune finds it */
    } left;
    char left_why[ERR_TEXT_MAX];
    bool member_failed;                     /* with a failure: it is the member's, and another may do better */
    struct etcd_status member;              /* that it was taken from, before the snapshot */
    char storage_version[ETCD_VERSION_MAX]; /* of its format, since 3.6; or "" */
    bool was_inspected;                     /* all of it went by; then: */
    struct keyspace_facts facts;            /* what the database that went by is, and holds */
    bool is_stored_damaged;   /* with a failure: it is damaged, as others are, and was stored all the same, marked so */
    enum err_kind not_stored; /* with a failure: it is damaged, was to be stored all the same, and this came in the way;
                                 or 0 */
    struct etcd_compare_result members; /* whether they have the same contents, and HashKV of the snapshot's */
    int64_t revision_after; /* the snapshot lies between member.revision and this; 0 if that could not be asked */
    char doubt[ETCD_CHOOSE_DOUBT_MAX]; /* what speaks against it, as was noted, or "" */
};

/* A finished restore, or one that could be. The pointers are owned by the job and valid during `done`. */
struct restore_result {
    char name[NAME_TEXT_MAX];
    int64_t instant;
    uint64_t snapshot_size; /* bytes */
    uint64_t elapsed_ms;
    const char *output;                                           /* path of the file; NULL when it was unpacked */
    const char *data_dir;                                         /* NULL when it was not unpacked */
    const char *wal_dir;                                          /* or NULL */
    const char *tool;                                             /* that unpacked, as it calls itself; or NULL */
    const char *owner;                                            /* "user:group" of data_dir, or NULL */
    const char *member, *initial_cluster, *initial_cluster_token; /* that etcdutl was told, or NULL */
    bool encrypted;
    bool hash_checked;
    bool dry_run; /* nothing was written */
};

/* A backup that lies open to be looked into. */
struct look_result {
    char name[NAME_TEXT_MAX];
    int64_t instant;
    uint64_t snapshot_size; /* bytes */
    uint64_t elapsed_ms;
    bool encrypted;
    bool hash_checked;
    int fd; /* of the snapshot, for reading; borrowed, and closed after `done` */
};

/* Whether a backup holds what its etcd had: the HashKV of what came out of it, beside the one that a member said. */
enum contents_verdict {
    CONTENTS_UNREAD, /* nobody has asked, or it did not come so far */
    CONTENTS_PROVEN,
    CONTENTS_DIFFERENT,
    CONTENTS_UNRECORDED,   /* no member's is known */
    CONTENTS_NOT_COMPARED, /* it could not be computed, or is of another revision */
};

struct contents_finding {
    enum contents_verdict verdict;
    bool has_hash;          /* it was computed; then: */
    uint32_t hash;          /* as etcdctl prints it */
    int64_t revision;       /* up to which */
    uint64_t keys;          /* that there are at that revision */
    char why[ERR_TEXT_MAX]; /* it was not compared; else "" */
};

/* One backup was looked at. The pointers are valid during the call. */
struct verdict {
    const char *name;
    int64_t instant;
    const struct err *err;  /* why it is not good; NULL: it is */
    bool is_unknown;        /* nobody knows: it could not be looked at, for a reason that is not its own */
    bool is_vouched;        /* then: which is that it is sealed; it is vouched for, and nothing of it is missing */
    uint64_t snapshot_size; /* bytes; 0 when that did not come out */
    uint64_t elapsed_ms;
    bool encrypted;
    bool drilled;     /* etcd's own tool has unpacked it and looked at it; then: */
    int64_t revision; /* of the last write in it */
    bool counts_keys; /* `count` is of keys; or of the entries of all buckets (unpack.h) */
    uint64_t count;
    const struct contents_finding *contents; /* not NULL */
};

/* All that was to be verified has been looked at. */
struct verify_result {
    unsigned good, bad;
    unsigned vouched; /* sealed, and not opened: all that can be seen of them is good */
    uint64_t elapsed_ms;
    const char *tool;     /* that unpacked, or NULL; valid during `done`, as is: */
    const char *left_out; /* why a drill has unpacked nothing, or NULL */
};

/* What prune decided on one object, or what came of it. The pointers are valid during the call. */
struct planned {
    const char *name;
    int64_t instant;
    uint64_t size; /* bytes */
    bool goes;
    bool dry_run; /* it only would */
    const char *reason;
    const struct err *err; /* why it could not be deleted, or NULL */
};

struct prune_result {
    unsigned kept, deleted; /* backups; of a dry run: that would be */
    unsigned lone_keys;     /* without a dump, deleted */
    unsigned uploads;       /* unfinished ones, aborted */
    unsigned locked;        /* that the store does not let go */
    bool keeps_versions;    /* the bucket does: what is deleted there frees nothing yet */
    bool versions_unknown;  /* whether it does could not be found out, if there was something to delete */
    uint64_t deleted_bytes;
    bool has_begun;     /* it is known of something what became of it; a failure without says nothing but that */
    uint64_t remaining; /* complete backups that are there now; with a failure: at most */
    uint64_t remaining_bytes;
    uint64_t elapsed_ms;
    bool dry_run;
};

/* A rotation that ended: every key was looked at, or the job failed and this is how far it came. */
struct rotate_result {
    char previous[KEY_FINGERPRINT_MAX], next[KEY_FINGERPRINT_MAX]; /* of the two master keys, or "" */
    char configured[KEY_FINGERPRINT_MAX];                          /* of encryption_key_path now; "" unknown */
    unsigned rotated;                                              /* keys; of a dry run: that would be */
    unsigned already;                                              /* that the new key opens since an earlier run */
    unsigned failed;
    unsigned old_versions;    /* of these keys, that the bucket keeps and that were not purged */
    unsigned lost_versions;   /* old versions of keys of backups that are deleted */
    unsigned purged;          /* old versions */
    unsigned bound;           /* keys that the new key opened, bound to their backups; of a dry run: that would be */
    unsigned other_versions;  /* old versions that open with neither key */
    unsigned locked_versions; /* old versions that were to be purged, and that the store keeps */
    int64_t locked_until;     /* then: until when, seconds since the epoch; INT64_MAX: until a legal hold is lifted */
    bool versions_unknown;    /* they could not be listed */
    uint64_t elapsed_ms;
    bool dry_run;
    /* Whom keys are sealed to now, and the recipients of the identities that were brought. None of the first: keys are
     * wrapped by the new master key, which else vouches. */
    char recipients[AGE_RECIPIENTS_MAX][AGE_RECIPIENT_MAX];
    char previous_recipients[AGE_IDENTITIES_MAX][AGE_RECIPIENT_MAX];
    size_t n_recipients, n_previous_recipients;
    bool previous_opened[AGE_IDENTITIES_MAX]; /* of the second: it was seen to open a key, or an old version */
};

/* What could not be done with one key. The pointers are valid during the call. */
struct unrotated {
    const char *name; /* of the key's object */
    const struct err *err;
    bool is_old_version; /* it is rotated, and an old version of it was not purged */
};

/* One thing that was looked at. The pointers are valid during the call. */
struct finding {
    enum finding_mark { FINDING_OK, FINDING_WARNING, FINDING_FAILS } mark;
    const char *subject; /* "bucket", an endpoint */
    const char *what;    /* "list" */
    const char *affects; /* the commands that it concerns: "restore, prune"; "" */
    const char *text;    /* what was seen, and what is missing */
};

struct check_result {
    unsigned ok, warnings, failures;
    uint64_t elapsed_ms;
    const char *policy; /* JSON, if that was asked for; or NULL; valid during `done` */
};

struct job_result {
    const struct backup_result *backup; /* exactly one is not NULL */
    const struct restore_result *restore;
    const struct verify_result *verify;
    const struct prune_result *prune;
    const struct rotate_result *rotate;
    const struct look_result *look;
    const struct check_result *check;
};

struct job_sink {
    void *ctx;
    void (*progress)(void *ctx, const struct job_progress *p);
    void (*note)(void *ctx, const char *text);               /* one line for a person: a retry, a warning */
    void (*output)(void *ctx, const char *line);             /* a line that etcdutl said; by jobs that unpack alone */
    void (*verdict)(void *ctx, const struct verdict *v);     /* by verify alone */
    void (*planned)(void *ctx, const struct planned *p);     /* by prune alone */
    void (*unrotated)(void *ctx, const struct unrotated *u); /* by rotate alone */
    void (*finding)(void *ctx, const struct finding *f);     /* by check alone */
    /* Without err there is a result. With err there may be one, of how far it came: of a rotation, a prune and a check,
     * and of a backup what it took (attempts, read_ms). */
    void (*done)(void *ctx, const struct job_result *result, const struct err *err);
};
