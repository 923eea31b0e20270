/*
 * client_internal.h: what the rest of lib/etcd sees of a client. What is returned is valid as long as the client.
 */
#pragma once

#include "base/endpoint.h"
#include "etcd/client.h"
#include "net/race.h"

enum { ETCD_CLIENT_ENDPOINTS_MAX = 64 };

/* As given, with the defaults filled in: `window` is what a connection really gets. */
const struct etcd_conf *etcd_client_conf(const struct etcd_client *c);

uv_loop_t *etcd_client_loop(const struct etcd_client *c);

/* Of endpoint i, i < conf->n_endpoints. */
const struct endpoint *etcd_client_endpoint(const struct etcd_client *c, size_t i);

/* Which of its addresses was good, for h2/conn.h. */
union race_address *etcd_client_good_address(struct etcd_client *c, size_t i);

/* Puts the text of endpoint i before the error's, and `doing` between them; but not where the connection has named its
 * address already. */
void etcd_client_name_endpoint(const struct etcd_client *c, size_t i, const char *doing, struct err *e);

/* What speaks against endpoint i. */
struct etcd_blame etcd_client_blame(const struct etcd_client *c, size_t i);

/* What endpoint i did; NULL: well. */
void etcd_client_remember(struct etcd_client *c, size_t i, const struct err *why);
