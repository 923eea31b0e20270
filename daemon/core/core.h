/*
 * core.h: what the jobs of one daemon share: loop, configuration, and the clients of etcd and S3.
 *
 * The clients are made for a job and dropped after it (core_release), so that certificates, keys and passwords are read
 * anew each time and an idle daemon is small and holds no connection. Credentials files are read again within a job
 * when they change on disk.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cloud/source.h"
#include "conf/conf.h"
#include "core/known.h"
#include "etcd/client.h"
#include "s3/client.h"

struct core;

/* Borrows loop and conf, which must outlive it, or its place in it (core_reload). `is_service`: it is there for long,
 * and credentials that expire are kept fresh while nobody needs them. The caller frees. Errors: ERR_RESOURCE. */
struct core *core_new(uv_loop_t *loop, struct conf *conf, bool is_service, struct err *e);

uv_loop_t *core_loop(const struct core *c);
const struct conf *core_conf(const struct core *c);

/* A job brackets its use of the clients with these. The last release closes connections, forgets credentials, and gives
 * memory back to the system. */
void core_acquire(struct core *c);
void core_release(struct core *c);

/*
 * Takes another configuration into use as soon as no job has the clients: at once, or in a core_release. Then
 * `on_taken` is told, with the one that is not used any more, which the caller frees. One that was still waiting is
 * handed back in the same way.
 */
void core_reload(struct core *c, struct conf *conf, void *ctx, void (*on_taken)(void *ctx, struct conf *unused));

/* Whether one waits. Who would use the clients again and again lets it be taken first. */
bool core_is_waiting(const struct core *c);

/* The clients, made on demand; valid until core_release. Errors: those of s3_client_new, etcd_client_new and of reading
 * the credentials. */
struct s3_client *core_s3(struct core *c, struct err *e);
struct etcd_client *core_etcd(struct core *c, struct err *e);

/* One of endpoint `i` alone; the caller frees, before core_release. Errors: as core_etcd. */
struct etcd_client *core_etcd_of(struct core *c, size_t i, struct err *e);

/* What is known of the backups in the bucket. Valid as long as the core. */
struct known *core_known(const struct core *c);

/* The bucket's credentials, where they are fetched from somewhere; false: they are a file's. */
bool core_credentials_state(const struct core *c, struct cloud_state *out);

/* Uploads in the bucket that are still to be aborted. Valid as long as the core. */
struct leftovers *core_leftovers(const struct core *c);

/* The instant of a new backup: now, or 0 if this daemon has begun one in this very second already, whose name it would
 * take. Seconds since the epoch. */
int64_t core_new_instant(struct core *c);

/* "https://host/bucket/prefix-": where backups go, for people. Valid until core_free. */
const char *core_bucket_url(const struct core *c);

/* The end is near: no job runs and none will, and nothing keeps the loop going. NULL is fine. */
void core_stop(struct core *c);

/* NULL is fine. */
void core_free(struct core *c);
CLEANUP_FUNC(struct core *, core_free)
