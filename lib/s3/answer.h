/*
 * answer.h: the head of one HTTP answer, gathered line by line. Pure.
 *
 * The lines come from the network: they are bounded together, a line that makes no sense is ignored unless it decides
 * something, and nothing of them is shown to a person without being checked.
 */
#pragma once

#include "base/bytes.h"
#include "s3/request.h"

enum { S3_ANSWER_HEAD_MAX = 64 << 10, S3_ANSWER_METADATA_MAX = 32 };

struct s3_answer {
    int status; /* 0 until the first status line */
    char etag[S3_ETAG_MAX];
    char region[64];         /* x-amz-bucket-region, "" unless it looks like one */
    uint64_t content_length; /* UINT64_MAX if not announced */
    int64_t last_modified;   /* 0 if not announced */
    int64_t date;            /* 0 if not announced */
    int64_t retain_until;    /* 0: no retention (S3 API, "Object Lock"); INT64_MAX: one whose end makes no sense */
    bool is_compliance, legal_hold;
    unsigned retry_after_s;
    char server[S3_SERVER_MAX]; /* what it calls itself; "" if it is longer */
    char content_type[64];      /* without parameters; "" unless it looks like one */
    char location[160];         /* without query and fragment, which may hold a signature; cut */
    bool has_range;             /* Content-Range: bytes first-last/... */
    uint64_t range_first, range_last;
    struct buf metadata; /* name 0 value 0 ... */
    size_t n_metadata;
    struct s3_param params[S3_ANSWER_METADATA_MAX];
    size_t head_len; /* bytes of all lines so far */
};

/* Before each attempt. Releases what the last one gathered. */
void s3_answer_reset(struct s3_answer *a);

/* One line with or without its end. A status line begins anew: those before were interim (1xx). Errors: ERR_PROTOCOL
 * (too long together), ERR_RESOURCE. */
int s3_answer_line(struct s3_answer *a, const char *line, size_t len, struct err *e);

/* Points a->params at the metadata; valid until the next line or reset. */
void s3_answer_finish(struct s3_answer *a);
