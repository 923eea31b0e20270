/*
 * peer_urls.h: who the members of a restored cluster will be, as etcd reads it: --initial-cluster
 * "NAME=URL,NAME=URL,...", in which a member with several URLs stands once for each, and this member's
 * --initial-advertise-peer-urls "URL,URL,...". Pure.
 *
 * The rules are etcd's (client/pkg/types/urls.go, server/config/config.go: VerifyBootstrap); all can be known before a
 * backup is read. One is stricter: etcd takes a blank after a comma for a part of the next member's name, which then
 * never finds itself in the list.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct peer_urls {
    const char *name, *cluster, *advertised; /* borrowed; NULL or "": not given, and not looked at */
};

/* Calls `found` for each thing that is wrong, with ERR_CONFIG; nothing of it is kept. */
void peer_urls_check(const struct peer_urls *given, void (*found)(void *ctx, const struct err *e), void *ctx);

/* Whether the members do not agree on http or https, which etcd accepts. */
bool peer_urls_are_mixed(const char *cluster);
