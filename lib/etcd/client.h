/*
 * client.h: etcd's members, and a session with the best of them.
 *
 * A client knows the endpoints, how to authenticate, and asks who failed of late. A session is what a backup works
 * with: it asks all endpoints for their Status at once, keeps the connection to the best, authenticates there, and can
 * then be asked for Status again and for a snapshot (snapshot.h). Which is best (choose.h): a healthy follower, else
 * the leader; never a learner; one that failed a moment ago comes after those whose data are as new.
 *
 * etcd's rpc.proto: Maintenance.Status, Maintenance.Snapshot, Auth.Authenticate, Cluster.MemberList.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"

/* What speaks against asking an endpoint first. */
struct etcd_blame {
    unsigned rank; /* 0: nothing; else the higher, the more recently it failed */
    bool is_liar;  /* a moment ago it sent a snapshot that is not what its SHA-256 says */
};

struct etcd_conf {
    const char *const *endpoints; /* as endpoint.h reads them */
    size_t n_endpoints;
    uint64_t connect_timeout_ms;
    uint64_t request_timeout_ms; /* without progress */
    const char *ca_cert;         /* PEM paths; NULL as in conn.h; read anew for each connection */
    const char *client_cert;
    const char *client_key;
    uint32_t window; /* bytes of flow control; 0: 4 MiB; less than 1 MiB is 1 MiB, which a message must fit into */

    /* Password authentication, or NULL for none. Asked before each authentication, so that a changed file is used at
     * once. What it returns stays valid until its next call. */
    void *password_ctx;
    int (*password)(void *ctx, const char **username, const struct secret **password, struct err *e);

    /* Who remembers for longer than this client lives what its endpoints did; without, each is as good as another.
     * `why` is NULL after a snapshot that was right. */
    void *memory_ctx;
    struct etcd_blame (*blame)(void *ctx, const char *endpoint);
    void (*remember)(void *ctx, const char *endpoint, const struct err *why);
};

enum { ETCD_VERSION_MAX = 32, ETCD_ENDPOINT_MAX = 320, ETCD_ALARMS_MAX = 128, ETCD_NAME_MAX = 128 };

/* What a member says of itself (rpc.proto, StatusResponse). */
struct etcd_status {
    char endpoint[ETCD_ENDPOINT_MAX];  /* as configured */
    char version[ETCD_VERSION_MAX];    /* "3.5.16" */
    char name[ETCD_NAME_MAX];          /* of the member, by MemberList; "" if that was not to be had */
    char alarms[ETCD_ALARMS_MAX];      /* of the whole cluster: "NOSPACE", "CORRUPT", both joined by a comma, or "" */
    bool alarm_nospace, alarm_corrupt; /* raised for this very member */
    bool corrupt_unknown;              /* CORRUPT is raised for no member: etcd does not know whose data it is */
    uint64_t cluster_id, member_id, leader_id;
    uint64_t raft_index, raft_applied_index;
    uint64_t behind; /* entries that other members know of and its database lacks; of a session's member, when chosen */
    int64_t revision;
    uint64_t db_size, db_size_in_use; /* bytes; in_use 0 where the server is too old to say */
    uint64_t db_quota;                /* of db_size, bytes; 0 where the server is too old to say, before 3.6 */
    int64_t certificate_expires;      /* of the server, seconds since the epoch; 0: there is none */
    bool is_learner;
    char downgrade[ETCD_VERSION_MAX]; /* what the cluster is being downgraded to, "3.6.0"; "": nobody has asked for it
                                       */
    unsigned
            strangers; /* other endpoints that answered and are of another cluster; of a session's member. The first: */
    char stranger[ETCD_ENDPOINT_MAX];
    uint64_t stranger_cluster_id;
};

struct etcd_client;

/* Copies the configuration. The caller frees after its sessions. Errors: ERR_CONFIG (an endpoint that cannot be read,
 * none, or more than 64), ERR_RESOURCE. */
struct etcd_client *etcd_client_new(uv_loop_t *loop, const struct etcd_conf *conf, struct err *e);

/* NULL is fine. */
void etcd_client_free(struct etcd_client *c);
CLEANUP_FUNC(struct etcd_client *, etcd_client_free)

struct etcd_session;

struct etcd_session_spec {
    void *ctx;
    /* Ready: `status` is the chosen member's, just now; valid during the call. Once, unless on_failed or closed. */
    void (*on_ready)(void *ctx, const struct etcd_status *status);
    /*
     * No session, or it is lost. Once. ERR_TRANSIENT: no endpoint answers; the text names each with its cause,
     * shortened. ERR_AUTH: user or password or certificate not accepted. The owner still calls etcd_session_close.
     */
    void (*on_failed)(void *ctx, const struct err *err);
};

/* Opens one. Errors: ERR_CONFIG, ERR_RESOURCE, ERR_NOT_FOUND (certificate files). */
struct etcd_session *etcd_session_open(struct etcd_client *c, const struct etcd_session_spec *spec, struct err *e);

/* Asks the session's member for its Status again. One at a time. on_status comes once, unless the session fails or is
 * closed; err or status is NULL. Failing leaves the session as it is. */
int etcd_session_status(struct etcd_session *s, void *ctx,
        void (*on_status)(void *ctx, const struct etcd_status *status, const struct err *err), struct err *e);

/* What the owner found out about the member of this session, for who remembers it (etcd_conf): the next sessions prefer
 * others. A session that fails by itself has done it already. */
void etcd_session_blame(struct etcd_session *s, const struct err *why);

/* Its snapshot was right, to the SHA-256. */
void etcd_session_praise(struct etcd_session *s);

/* Ends it, with what runs on it. Never calls back. NULL is fine. */
void etcd_session_close(struct etcd_session *s);
