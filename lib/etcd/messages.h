/*
 * messages.h: etcd's messages as bytes, and what we want to know from them. Pure.
 *
 * All that comes in is hostile: numbers may be absurd, texts may hold anything. Texts are cut to their arrays, and what
 * is not printable ASCII becomes '?', so that they can be shown. Memory that has held a password or a token is wiped.
 * All of it may fail with ERR_RESOURCE.
 */
#pragma once

#include "base/bytes.h"
#include "base/secret.h"
#include "etcd/client.h"

enum { ETCD_TOKEN_MAX = 8192, ETCD_PASSWORD_MAX = 4096 };

/* StatusResponse. Fills all of *out but `endpoint` and `name`, which stay. Errors: ERR_PROTOCOL. */
int etcd_messages_status(struct bytes message, struct etcd_status *out, struct err *e);

/* AuthenticateRequest, encoded. The caller frees. Errors: ERR_CONFIG (a password that holds a zero byte or is longer
 * than ETCD_PASSWORD_MAX bytes), ERR_RESOURCE. */
struct secret *etcd_messages_authenticate(const char *username, const struct secret *password, struct err *e);

/* AuthenticateResponse: the token. The caller frees. Errors: ERR_PROTOCOL (none, too long, or nothing that could stand
 * in a header), ERR_RESOURCE. */
struct secret *etcd_messages_token(struct bytes message, struct err *e);

/* What MemberList says of one member. */
struct etcd_messages_member {
    char name[ETCD_NAME_MAX];
    bool is_learner;
};

/* MemberListResponse: the member with `id` into *out; it stays as it is if there is none. Errors: ERR_PROTOCOL. */
int etcd_messages_member(struct bytes message, uint64_t id, struct etcd_messages_member *out, struct err *e);

/* SnapshotResponse, but for its blob (snapshot_message.h). */
struct etcd_messages_snapshot {
    uint64_t remaining;
    char storage_version[ETCD_VERSION_MAX]; /* "3.6.0"; "" from servers before 3.6 */
};

/* Errors: ERR_PROTOCOL. */
int etcd_messages_snapshot(struct bytes message, struct etcd_messages_snapshot *out, struct err *e);

/* HashKVRequest: 12 bytes are enough. Returns its length. */
enum { ETCD_MESSAGES_HASH_REQUEST_MAX = 12 };
size_t etcd_messages_hash_request(int64_t revision, uint8_t out[ETCD_MESSAGES_HASH_REQUEST_MAX]);

/* HashKVResponse. */
struct etcd_messages_hash {
    uint32_t hash;
    int64_t compact_revision; /* that it was computed with; -1: none */
    int64_t hash_revision;    /* up to which; 0: servers before 3.6 do not say it */
};

/* Errors: ERR_PROTOCOL. */
int etcd_messages_hash(struct bytes message, struct etcd_messages_hash *out, struct err *e);

/* RangeRequest for how many keys there are at a revision: 24 bytes are enough. Returns its length. */
enum { ETCD_MESSAGES_COUNT_REQUEST_MAX = 24 };
size_t etcd_messages_count_request(int64_t revision, uint8_t out[ETCD_MESSAGES_COUNT_REQUEST_MAX]);

/* RangeResponse to that. Errors: ERR_PROTOCOL. */
int etcd_messages_count(struct bytes message, uint64_t *keys, struct err *e);

/* RangeRequest: names from `first` on, and before `end`; serializable, without values. Appended to `out`. */
struct etcd_messages_range_request {
    struct bytes first, end;
    int64_t revision; /* 0: the latest */
    int64_t limit;    /* keys */
};
int etcd_messages_range_request(const struct etcd_messages_range_request *wanted, struct buf *out, struct err *e);

/* A key as RangeResponse has it. */
struct etcd_messages_key {
    struct bytes name; /* any bytes */
    int64_t create_revision, mod_revision;
};

/* RangeResponse. */
struct etcd_messages_range {
    void *ctx;
    /* Each -1 ends it, as that error. First what follows below is filled in, then its keys are told. */
    int (*on_head)(void *ctx, const struct etcd_messages_range *page, struct err *e);
    int (*on_key)(void *ctx, const struct etcd_messages_key *key, struct err *e);
    size_t n;     /* keys that it has */
    int64_t left; /* keys that there are from the first that was asked for on, these among them */
    uint64_t cluster_id;
    int64_t revision; /* of the member */
    bool has_more;
};

/* Takes 16 MiB of memory at most. Errors: ERR_PROTOCOL, ERR_RESOURCE, those of on_head and on_key. */
int etcd_messages_range(struct bytes message, struct etcd_messages_range *page, struct err *e);
