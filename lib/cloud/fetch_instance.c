/*
 * The metadata service of an instance: PUT /latest/api/token, GET .../iam/security-credentials/ for the name of the
 * role, GET .../iam/security-credentials/ROLE. It is a hop away and answers at once or never. What asks from inside of
 * a container is one hop further, where the answer to the PUT, whose TTL is 1 by default, never arrives.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endpoint.h"
#include "cloud/document.h"
#include "cloud/fetch_state.h"

enum { CONNECT_MS = 1000, TOTAL_MS = 2000, URL_MAX = 512, SHOWN_MAX = 320, TOKEN_MAX = 4096, ROLE_MAX = 128 };

#define ROLES "/latest/meta-data/iam/security-credentials/"

static void ask_token(struct cloud_fetch *f);
static void ask_role(struct cloud_fetch *f);
static void ask_credentials(struct cloud_fetch *f);

/* Fills a request for `path`, with the token if there is one already. The texts are the caller's. */
static int make(const struct cloud_fetch *f, const char *path, char url[URL_MAX], char name[SHOWN_MAX],
        struct http_exchange_spec *spec, struct err *e)
{
    struct endpoint ep;

    if (endpoint_parse(f->conf->instance_endpoint, ENDPOINT_S3, &ep, e) < 0)
        return err_prepend(e, "s3_client.auth.instance_endpoint: ");
    (void)snprintf(url, URL_MAX, "%s://%s%s", ep.tls ? "https" : "http", ep.authority, path);
    (void)snprintf(name, SHOWN_MAX, "the instance metadata service at %s", ep.authority);
    *spec = (struct http_exchange_spec){
            .method = "GET", .url = url, .name = name, .connect_ms = CONNECT_MS, .total_ms = TOTAL_MS};
    return 0;
}

static void fail(struct cloud_fetch *f, enum err_kind kind, int status, const char *why)
{
    struct err e = ERR_INIT;

    (void)err_set(&e, kind, ERR_DOMAIN_HTTP, status, "the instance metadata service says HTTP %d: %s", status, why);
    cloud_fetch_end(f, &e);
}

/* What is not 200, from any of the three. */
static void fail_by_status(struct cloud_fetch *f, int status)
{
    if (status == 401 && !f->has_new_token) {
        f->has_new_token = true;
        ask_token(f);
    } else if (status == 403) {
        fail(f, ERR_AUTH, status,
                "it is switched off for this instance (HttpEndpoint), or the request came by a proxy");
    } else if (status >= 500 || status == 429) {
        fail(f, ERR_TRANSIENT, status, "it asks to come back later");
    } else {
        fail(f, ERR_PROTOCOL, status, "version 2 of the service is not what answers there");
    }
}

static void on_credentials(struct cloud_fetch *f, const struct http_exchange_answer *answer)
{
    struct err e = ERR_INIT;

    if (answer->status != 200) {
        fail_by_status(f, answer->status);
        return;
    }
    if (cloud_document_parse(answer->body, CLOUD_DOCUMENT_INSTANCE, &f->got, &e) < 0) {
        (void)err_prepend(&e, "the instance metadata service, role %s: ", f->role);
        cloud_fetch_end(f, &e);
        return;
    }
    cloud_fetch_end(f, NULL);
}

/* The first line of the list is the role. IAM's names have these characters alone, and what is not one does not get
 * into a path. */
static char *read_role(struct bytes body)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    size_t len = 0;

    while (len < body.len && body.data[len] && strchr(letters, body.data[len]))
        len++;
    if (len == 0 || len > ROLE_MAX || (len < body.len && body.data[len] != '\n' && body.data[len] != '\r'))
        return NULL;
    return strndup((const char *)body.data, len);
}

static void on_role(struct cloud_fetch *f, const struct http_exchange_answer *answer)
{
    if (answer->status == 404) {
        fail(f, ERR_CONFIG, 404, "no role is attached to this instance (an instance profile gives it one)");
        return;
    }
    if (answer->status != 200) {
        fail_by_status(f, answer->status);
        return;
    }
    free(f->role);
    f->role = read_role(answer->body);
    if (f->role)
        ask_credentials(f);
    else
        fail(f, ERR_PROTOCOL, 200, "what should be the name of a role is none");
}

static void on_token(struct cloud_fetch *f, const struct http_exchange_answer *answer)
{
    struct err e = ERR_INIT;

    if (answer->status != 200) {
        f->has_new_token = true; /* a PUT that is not authorized has no second token to try */
        fail_by_status(f, answer->status);
        return;
    }
    if (answer->body.len == 0 || answer->body.len > TOKEN_MAX || memchr(answer->body.data, '\0', answer->body.len)) {
        fail(f, ERR_PROTOCOL, 200, "what should be a token is none");
        return;
    }
    secret_free(f->token);
    f->token = secret_new(answer->body.len + 1, &e);
    if (!f->token) {
        cloud_fetch_end(f, &e);
        return;
    }
    memcpy(secret_data(f->token), answer->body.data, answer->body.len);
    ask_role(f);
}

static void ask_with_token(
        struct cloud_fetch *f, const char *path, cloud_fetch_answer *on_answer, void (*again)(struct cloud_fetch *f))
{
    const struct http_header header = {"X-aws-ec2-metadata-token", (const char *)secret_const_data(f->token)};
    struct http_exchange_spec spec;
    char url[URL_MAX], name[SHOWN_MAX];
    struct err e = ERR_INIT;

    if (make(f, path, url, name, &spec, &e) < 0) {
        cloud_fetch_end(f, &e);
        return;
    }
    spec.headers = &header;
    spec.n_headers = 1;
    cloud_fetch_ask(f, &spec, on_answer, again);
}

static void ask_credentials(struct cloud_fetch *f)
{
    char path[sizeof(ROLES) + ROLE_MAX];

    (void)snprintf(path, sizeof(path), ROLES "%s", f->role);
    ask_with_token(f, path, on_credentials, ask_credentials);
}

static void ask_role(struct cloud_fetch *f)
{
    ask_with_token(f, ROLES, on_role, ask_role);
}

static void ask_token(struct cloud_fetch *f)
{
    static const struct http_header header = {"X-aws-ec2-metadata-token-ttl-seconds", "21600"};
    struct http_exchange_spec spec;
    char url[URL_MAX], name[SHOWN_MAX];
    struct err e = ERR_INIT;

    if (make(f, "/latest/api/token", url, name, &spec, &e) < 0) {
        cloud_fetch_end(f, &e);
        return;
    }
    spec.method = "PUT";
    spec.headers = &header;
    spec.n_headers = 1;
    spec.hint = "in a container the answer may not come through: HttpPutResponseHopLimit (\"hop limit\") has "
                "to be 2, or the container needs the host's network";
    cloud_fetch_ask(f, &spec, on_token, ask_token);
}

void cloud_fetch_begin_instance(struct cloud_fetch *f)
{
    ask_token(f);
}
