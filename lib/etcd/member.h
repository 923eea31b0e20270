/*
 * member.h: a connection to one member of the cluster, and who we are there.
 *
 * Tokens belong to a member, for they are known at once only where they were made. A token is got when it is asked for,
 * and by a Status that a server does not answer without one.
 */
#pragma once

#include "etcd/client_internal.h"
#include "etcd/messages.h"
#include "h2/conn.h"

struct etcd_member;

/* Who is told that the connection is lost; the calls on it have been told before. Once. */
struct etcd_member_owner {
    void *ctx;
    void (*on_lost)(void *ctx, const struct err *err);
};

/* Starts to connect to endpoint i of the client, which outlives the member. The caller closes. Errors: as h2_conn_open.
 */
struct etcd_member *etcd_member_open(
        struct etcd_client *c, size_t i, const struct etcd_member_owner *owner, struct err *e);

/* Somebody else is told from now on. */
void etcd_member_give(struct etcd_member *m, const struct etcd_member_owner *owner);

/* Each of these: one at a time of its kind; `done` comes once, unless closed; err is NULL for success. Errors of the
 * starts: ERR_RESOURCE, ERR_TRANSIENT (connection lost), and what the password's owner says. */

/* Status, with `endpoint` filled in and `name` empty. */
int etcd_member_status(struct etcd_member *m, void *ctx,
        void (*done)(void *ctx, const struct etcd_status *status, const struct err *err), struct err *e);

/* Gets a new token; success also where the cluster has authentication switched off. Only with a password. */
int etcd_member_authenticate(
        struct etcd_member *m, void *ctx, void (*done)(void *ctx, const struct err *err), struct err *e);
void etcd_member_authenticate_cancel(struct etcd_member *m);

/* What the member knows of member `id`, in `timeout_ms`; `info` is NULL if err is not. */
int etcd_member_describe(struct etcd_member *m, uint64_t id, void *ctx,
        void (*done)(void *ctx, const struct etcd_messages_member *info), struct err *e);

/* HashKV up to a revision, in `timeout_ms`. */
struct etcd_member_hash {
    int64_t revision;
    uint64_t timeout_ms;
    void *ctx;
    void (*done)(void *ctx, const struct etcd_messages_hash *hash, const struct err *err);
};
int etcd_member_hash(struct etcd_member *m, const struct etcd_member_hash *asked, struct err *e);

/* How many keys there are at a revision, in `timeout_ms`. */
struct etcd_member_count {
    int64_t revision;
    uint64_t timeout_ms;
    void *ctx;
    void (*done)(void *ctx, uint64_t keys, const struct err *err);
};
int etcd_member_count(struct etcd_member *m, const struct etcd_member_count *asked, struct err *e);

/* Whether there is a user name and a password to authenticate with. */
bool etcd_member_has_password(const struct etcd_member *m);

/* Valid as long as the member; NULL: none. A new token makes a pointer to the old one invalid. */
const struct secret *etcd_member_token(const struct etcd_member *m);
struct h2_conn *etcd_member_conn(const struct etcd_member *m);
const struct etcd_client *etcd_member_client(const struct etcd_member *m);

/* Ends it with all its calls. Never calls back. NULL is fine. */
void etcd_member_close(struct etcd_member *m);
