/*
 * check_members.h: each member of the cluster that the configuration names, one after the other: can it be reached, who
 * is it, and does it hand out a snapshot? That is begun and ended with its first bytes: it needs the role root where
 * etcd has users, and nothing but asking says so.
 */
#pragma once

#include "job/check/check_report.h"

struct check_members;

/* As check_bucket_start; there is at least one endpoint. Errors: ERR_RESOURCE. */
struct check_members *check_members_start(
        struct core *core, struct check_report *report, void *ctx, void (*on_done)(void *ctx), struct err *e);

/* NULL is fine. */
void check_members_free(struct check_members *m);
