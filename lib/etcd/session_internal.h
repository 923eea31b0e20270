/*
 * session_internal.h: what a snapshot needs of the session that it runs on.
 */
#pragma once

#include "etcd/member.h"

/* Valid until the session is closed, of which whoever attached is told first. Errors: ERR_TRANSIENT (not ready, or
 * lost), ERR_BUSY (somebody is attached). */
struct etcd_member *etcd_session_attach(
        struct etcd_session *s, void *ctx, void (*on_detached)(void *ctx), struct err *e);

/* What was attached is over. */
void etcd_session_detach(struct etcd_session *s);

/* Whose member it is, as its Status said. */
uint64_t etcd_session_cluster_id(const struct etcd_session *s);

/* Puts the endpoint before the error's text, unless it is there. */
void etcd_session_name_endpoint(const struct etcd_session *s, struct err *e);
