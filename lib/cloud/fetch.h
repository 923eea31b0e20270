/*
 * fetch.h: credentials, fetched once from the one place that the configuration names.
 *
 *     INSTANCE      Amazon EC2's metadata service, version 2 alone ("IMDSv2", EC2 User Guide, "Retrieve security
 *                   credentials from instance metadata"): a token by PUT, the role's name, its credentials
 *     CONTAINER     the agent of ECS or EKS (SDK reference, "Container credential provider")
 *     WEB_IDENTITY  a token in a file, exchanged by STS (AssumeRoleWithWebIdentity): EKS's IRSA, any OpenID Connect
 *     PROCESS       a program that prints them (SDK reference, "Process credential provider")
 *     PROFILE       a file of the AWS CLI (profile.h)
 *     FILE          a file of the owner's, for which another role's are wanted
 *
 * With role_arn and any of these but WEB_IDENTITY, what was fetched is exchanged for that role's (AssumeRole). What one
 * place does not give is never looked for in another. Tokens in files are read anew by each fetch: they are replaced
 * under us. The metadata service and the container's agent are asked through no proxy.
 */
#pragma once

#include <uv.h>

#include "cloud/credentials.h"

enum cloud_kind { CLOUD_FILE, CLOUD_INSTANCE, CLOUD_CONTAINER, CLOUD_WEB_IDENTITY, CLOUD_PROCESS, CLOUD_PROFILE };

/* All of it is borrowed and outlives who was given it. What is left out is NULL. */
struct cloud_conf {
    enum cloud_kind kind;
    const char *region;
    const char *role_arn, *role_session_name, *external_id;
    const char *token_file;         /* of CONTAINER, WEB_IDENTITY */
    const char *sts_endpoint;       /* NULL: Amazon's of the region */
    const struct http_proxy *proxy; /* to STS, or NULL; what is on the machine or beside the pod is asked directly */
    const char *instance_endpoint;  /* never NULL */
    const char *ca_cert;            /* with sts_endpoint: of its issuer */
    const char *const *process;     /* argv, ends with NULL */
    const char *profile, *shared_credentials_file;
    /* The variables that the two kinds that may have some are given by: getenv, but for tests. */
    char *(*variable)(const char *name);
    /* Of FILE: fills *out, which is empty. Errors: its own. */
    void *file_ctx;
    int (*file)(void *ctx, struct cloud_credentials *out, struct err *e);
};

/* "instance", "web-identity", ... */
const char *cloud_kind_name(enum cloud_kind kind);

struct cloud_fetch;

/*
 * Starts. on_done comes once unless cancelled, never inside the start: either `got`, which it takes (and leaves zero)
 * or lets be, with `date`, the time by the clock of who issued it, if that said (0: ours counts); or err, whose text
 * begins with "credentials from KIND: ". The fetch is gone when it returns.
 *
 * ERR_TRANSIENT: another fetch may help; ERR_AUTH, ERR_CONFIG, ERR_NOT_FOUND, ERR_PROTOCOL: hardly; ERR_RESOURCE.
 */
struct cloud_fetch *cloud_fetch_start(uv_loop_t *loop, const struct cloud_conf *conf, void *ctx,
        void (*on_done)(void *ctx, struct cloud_credentials *got, int64_t date, const struct err *err), struct err *e);

/* Without a callback. Its memory goes in later turns of the loop. NULL is fine. */
void cloud_fetch_cancel(struct cloud_fetch *f);
