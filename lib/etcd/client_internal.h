/*
 * client_internal.h: what the rest of lib/etcd sees of a client. What is returned is valid as long as the client.
 */
#pragma once

#include "base/endpoint.h"
#include "etcd/client.h"

enum { ETCD_CLIENT_ENDPOINTS_MAX = 64 };

/* As given, with the defaults filled in: `window` is what a connection really gets. */
const struct etcd_conf *etcd_client_conf(const struct etcd_client *c);

uv_loop_t *etcd_client_loop(const struct etcd_client *c);

/* Of endpoint i, i < conf->n_endpoints. */
const struct endpoint *etcd_client_endpoint(const struct etcd_client *c, size_t i);

/* Puts the text of endpoint i before the error's, and `doing` between them; but not where the connection has named its
 * address already. */
void etcd_client_name_endpoint(const struct etcd_client *c, size_t i, const char *doing, struct err *e);

/* 0 if endpoint i has not failed; else the higher, the more recently. */
unsigned etcd_client_blamed(const struct etcd_client *c, size_t i);
void etcd_client_blame(struct etcd_client *c, size_t i);

/* What failed before is forgotten: a snapshot has succeeded. */
void etcd_client_forgive(struct etcd_client *c);
