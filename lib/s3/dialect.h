/*
 * dialect.h: in what a store that speaks S3 differs from the others, as far as it was found out. Pure.
 *
 * What not every store has is a feature; which answers say that a store lacks it is the table in dialect.c, and nowhere
 * else. Who asks for a feature looks first whether it is known to be lacking, shows a refusal to s3_dialect_hears, and
 * does without. What is sure is remembered for all that follows, whoever asks: a dialect outlives the clients of its
 * bucket (s3_conf.dialect). The names of codes, and what they mean, are those of verdict.c.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "s3/request.h"

enum s3_feature {
    S3_LIST_OBJECTS_V2,  /* without: ListObjects, the first version of it */
    S3_DELETE_OBJECTS,   /* without: DeleteObject for each key */
    S3_LIST_UPLOADS,     /* without: nobody knows what is unfinished */
    S3_OBJECT_LOCK,      /* without: nothing is locked */
    S3_IF_NONE_MATCH,    /* of PutObject; without: a look before, which is not the same */
    S3_COMMIT_IF_NONE,   /* the same of CompleteMultipartUpload */
    S3_UNSIGNED_BODY,    /* a body over TLS whose hash is not signed; without: it is */
    S3_BODY_WITHOUT_MD5, /* without: Content-MD5 with each body that is put. It costs a third of what a backup does with
                            a byte, so it is made for those alone who ask */
    S3_FEATURES,
};

enum s3_found { S3_UNKNOWN, S3_HAS, S3_LACKS };

/* How "only over this ETag" is said with PutObject. */
enum s3_match {
    S3_MATCH_QUOTED, /* the ETag as it was received (RFC 9110, 13.1.1) */
    S3_MATCH_BARE,   /* without its quotes (Ceph 16) */
    S3_MATCH_NONE,   /* not at all (Ceph 16, if the bucket keeps versions) */
};

/* Zeroed: nothing is known yet. */
struct s3_dialect {
    enum s3_found found[S3_FEATURES];
    enum s3_match match;
};

/* A new client: what may have changed with the settings of its bucket is found out anew. */
void s3_dialect_begin(struct s3_dialect *d);

bool s3_dialect_lacks(const struct s3_dialect *d, enum s3_feature feature);

/* The store was seen to have it, or not. The first that is learnt of a feature stays. */
void s3_dialect_learn(struct s3_dialect *d, enum s3_feature feature, bool has);

/* An answer that is not the one wanted. */
struct s3_refusal {
    int status;                 /* HTTP */
    const char *code, *message; /* of the <Error>, "" where there was none; NULL: not known */
};

/* Whether that may say that the store lacks the feature. What is sure is learnt. */
bool s3_dialect_hears_refusal(struct s3_dialect *d, enum s3_feature feature, const struct s3_refusal *refusal);

/* The same for the error of a request. Not where the store says that it is a matter of credentials, of rights, or of
 * another attempt. */
bool s3_dialect_hears(struct s3_dialect *d, enum s3_feature feature, const struct err *err);

/* The same of an answer that is no refusal: whether a store that calls itself so answers, and leaves something out
 * without a word. */
bool s3_dialect_leaves_out(const char *server, enum s3_feature feature);

/* An If-Match of this form was refused, though the object was what it had to be. Of several at the same time the first
 * counts. */
void s3_dialect_refuses_match(struct s3_dialect *d, enum s3_match form);

/* The value of If-Match for this ETag, as it was received; NULL: none can be sent. */
const char *s3_dialect_if_match(const struct s3_dialect *d, const char *etag, char out[S3_ETAG_MAX]);

/* An ETag without what it may be wrapped in: a weak one's mark, and quotes. Points into `etag`. */
struct bytes s3_dialect_bare_etag(const char *etag);
