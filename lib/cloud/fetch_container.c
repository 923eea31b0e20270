/*
 * The agent of a container: one GET, with the token that lies in a file or in a variable. The variables of ECS and EKS
 * say where; by plain HTTP it is asked at their own addresses and on this machine alone, for what is sent there is a
 * secret (SDK reference, "Container credential provider").
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/endpoint.h"
#include "cloud/document.h"
#include "cloud/fetch_state.h"

enum { CONNECT_MS = 1000, TOTAL_MS = 5000, URL_MAX = 1024, SHOWN_MAX = 320 };

#define FULL_URI     "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define RELATIVE_URI "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define TOKEN_FILE   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define TOKEN        "AWS_CONTAINER_AUTHORIZATION_TOKEN"

static bool is_trusted(const struct endpoint *ep)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};

    if (ep->tls || endpoint_is_loopback(ep))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        if (strcmp(ep->host, hosts[i]) == 0)
            return true;
    return false;
}

/* The scheme and host of a URL as an endpoint. */
static int parse_host(const char *url, struct endpoint *ep, struct err *e)
{
    const char *scheme = strstr(url, "://");
    char text[ENDPOINT_AUTHORITY_MAX + 16];
    size_t len;

    if (!scheme)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, FULL_URI " is no URL");
    len = (size_t)(scheme - url) + 3;
    len += strcspn(url + len, "/?#");
    if (len >= sizeof(text))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, FULL_URI " is too long");
    (void)snprintf(text, sizeof(text), "%.*s", (int)len, url);
    return endpoint_parse(text, ENDPOINT_S3, ep, e) < 0 ? err_prepend(e, FULL_URI ": ") : 0;
}

static int find_url(const struct cloud_fetch *f, char url[URL_MAX], struct endpoint *ep, struct err *e)
{
    const char *relative = cloud_fetch_variable(f, RELATIVE_URI), *full = cloud_fetch_variable(f, FULL_URI);
    int len;

    if (!relative && !full)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "neither " FULL_URI " nor " RELATIVE_URI " is set: ECS sets one for a task with a role, EKS for a pod "
                "with a pod identity");
    if (relative && relative[0] != '/')
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, RELATIVE_URI " does not begin with a slash");
    len = snprintf(url, URL_MAX, "%s%s", relative ? "http://169.254.170.2" : "", relative ? relative : full);
    if (len < 0 || len >= URL_MAX)
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s is too long", relative ? RELATIVE_URI : FULL_URI);
    if (parse_host(url, ep, e) < 0)
        return -1;
    if (!is_trusted(ep))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                FULL_URI " is plain http:// to %s: that is asked on this machine and at the addresses of ECS and EKS "
                         "alone",
                ep->host);
    return 0;
}

/* With a 0, into f->token; none is fine. False: the fetch has ended. */
static bool find_token(struct cloud_fetch *f)
{
    const char *path = f->conf->token_file, *value = cloud_fetch_variable(f, TOKEN);
    _cleanup_secret_ struct secret *token = NULL;
    struct err e = ERR_INIT;

    if (!path)
        path = cloud_fetch_variable(f, TOKEN_FILE);
    if (!path && !value)
        return true;
    token = path ? cloud_fetch_read_token(f, path) : secret_copy(value, strlen(value), &e);
    if (!token) {
        if (e.kind)
            cloud_fetch_end(f, &e);
        return false;
    }
    secret_free(f->token);
    f->token = secret_new(secret_len(token) + 1, &e);
    if (!f->token) {
        cloud_fetch_end(f, &e);
        return false;
    }
    memcpy(secret_data(f->token), secret_const_data(token), secret_len(token));
    return true;
}

static void on_answer(struct cloud_fetch *f, const struct http_exchange_answer *answer)
{
    const int status = answer->status;
    struct err e = ERR_INIT;

    if (status == 200 && cloud_document_parse(answer->body, CLOUD_DOCUMENT_CONTAINER, &f->got, &e) == 0) {
        cloud_fetch_end(f, NULL);
        return;
    }
    if (status == 200)
        (void)err_prepend(&e, "the container's credentials agent: ");
    else
        (void)err_set(&e, status >= 500 || status == 429 ? ERR_TRANSIENT : ERR_AUTH, ERR_DOMAIN_HTTP, status,
                "the container's credentials agent says HTTP %d%s", status,
                status == 401 || status == 403
                        ? f->token ? ": it does not accept the token" : ": it wants a token (" TOKEN_FILE ")"
                        : "");
    cloud_fetch_end(f, &e);
}

void cloud_fetch_begin_container(struct cloud_fetch *f)
{
    struct http_exchange_spec spec = {.method = "GET", .connect_ms = CONNECT_MS, .total_ms = TOTAL_MS};
    struct http_header header = {"Authorization", NULL};
    char url[URL_MAX], name[SHOWN_MAX];
    struct endpoint ep;
    struct err e = ERR_INIT;

    if (find_url(f, url, &ep, &e) < 0) {
        cloud_fetch_end(f, &e);
        return;
    }
    if (!find_token(f))
        return;
    (void)snprintf(name, sizeof(name), "the container's credentials agent at %s", ep.authority);
    spec.url = url;
    spec.name = name;
    if (f->token) {
        header.value = (const char *)secret_const_data(f->token);
        spec.headers = &header;
        spec.n_headers = 1;
    }
    cloud_fetch_ask(f, &spec, on_answer, cloud_fetch_begin_container);
}
