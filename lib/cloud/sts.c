#include "cloud/sts.h"

#include <stdio.h>
#include <string.h>

#include "base/endpoint.h"
#include "s3/sign.h"
#include "s3/xml.h"

enum { QUOTED = 12 }; /* the first characters of a token are enough to know it by */

/* ---- what is asked ---- */

static int append(struct buf *out, const char *text, struct err *e)
{
    return buf_append(out, text, strlen(text), e);
}

static int append_field(struct buf *out, const char *name, const char *value, struct err *e)
{
    if (append(out, "&", e) < 0 || append(out, name, e) < 0 || append(out, "=", e) < 0)
        return -1;
    return sign_encode(out, value, false, e);
}

/* The token has no 0 behind it. */
static int append_token(struct buf *out, const struct secret *token, struct err *e)
{
    _cleanup_secret_ struct secret *text = secret_new(secret_len(token) + 1, e);

    if (!text)
        return -1;
    memcpy(secret_data(text), secret_const_data(token), secret_len(token));
    return append_field(out, "WebIdentityToken", (const char *)secret_const_data(text), e);
}

int cloud_sts_body(struct buf *out, const struct cloud_sts_request *r, struct err *e)
{
    const char *action = r->web_identity ? "Action=AssumeRoleWithWebIdentity" : "Action=AssumeRole";

    if (append(out, action, e) < 0 || append_field(out, "Version", "2011-06-15", e) < 0 ||
            append_field(out, "RoleArn", r->role_arn, e) < 0 ||
            append_field(out, "RoleSessionName", r->session_name, e) < 0)
        return -1;
    if (r->web_identity)
        return append_token(out, r->web_identity, e);
    return r->external_id ? append_field(out, "ExternalId", r->external_id, e) : 0;
}

char *cloud_sts_session_name(const char *host, char out[CLOUD_STS_SESSION_MAX])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";

    (void)snprintf(out, CLOUD_STS_SESSION_MAX, "etcd-backupd-%s", host);
    for (char *p = out; *p; p++)
        if (!strchr(letters, *p))
            *p = '-';
    return out;
}

int cloud_sts_place(const char *endpoint, const char *region, char url[CLOUD_STS_URL_MAX],
        char host[CLOUD_STS_HOST_MAX], struct err *e)
{
    const char *domain = strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
    struct endpoint ep;

    if (!endpoint)
        (void)snprintf(host, CLOUD_STS_HOST_MAX, "sts.%.200s.%s", region, domain);
    else if (endpoint_parse(endpoint, ENDPOINT_S3, &ep, e) < 0)
        return err_prepend(e, "s3_client.auth.sts_endpoint: ");
    else
        (void)snprintf(host, CLOUD_STS_HOST_MAX, "%s", ep.authority);
    (void)snprintf(url, CLOUD_STS_URL_MAX, "%s://%s/", !endpoint || ep.tls ? "https" : "http", host);
    return 0;
}

/* ---- what it answers ---- */

struct answer {
    struct cloud_credentials *credentials;
    struct secret *id, *secret, *token;
    char code[64], message[256];
};

static int keep(struct secret **out, const char *text, struct err *e)
{
    secret_free(*out);
    *out = secret_copy(text, strlen(text), e);
    return *out ? 0 : -1;
}

/* Behind the names of the two documents, which differ by the operation, the paths are the same. */
static bool ends_in(const char *path, const char *end)
{
    const size_t len = strlen(path), n = strlen(end);

    return len >= n && strcmp(path + len - n, end) == 0;
}

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
    struct answer *a = ctx;

    if (ends_in(path, "Result/Credentials/AccessKeyId"))
        return keep(&a->id, text, e);
    if (ends_in(path, "Result/Credentials/SecretAccessKey"))
        return keep(&a->secret, text, e);
    if (ends_in(path, "Result/Credentials/SessionToken"))
        return keep(&a->token, text, e);
    if (ends_in(path, "Result/Credentials/Expiration"))
        return cloud_credentials_instant(text, &a->credentials->expires, e);
    /* STS has <ErrorResponse><Error>; Ceph's gateway <Error> alone. */
    if (strcmp(path, "ErrorResponse/Error/Code") == 0 || strcmp(path, "Error/Code") == 0)
        (void)snprintf(a->code, sizeof(a->code), "%s", text);
    if (strcmp(path, "ErrorResponse/Error/Message") == 0 || strcmp(path, "Error/Message") == 0)
        (void)snprintf(a->message, sizeof(a->message), "%s", text);
    return 0;
}

static bool quotes(const char *text, const struct secret *secret)
{
    char start[QUOTED + 1];

    if (!secret || secret_len(secret) < QUOTED)
        return false;
    memcpy(start, secret_const_data(secret), QUOTED);
    start[QUOTED] = '\0';
    return strstr(text, start) != NULL;
}

static int refusal(const struct answer *a, int status, const struct secret *secret, struct err *e)
{
    const bool passes = status == 429 || status >= 500 || strcmp(a->code, "IDPCommunicationError") == 0 ||
                        strcmp(a->code, "Throttling") == 0 || strcmp(a->code, "ThrottlingException") == 0;
    const bool shown = a->message[0] && !quotes(a->message, secret) && !quotes(a->code, secret);

    if (!a->code[0] && !passes)
        return err_set(e, status >= 400 ? ERR_AUTH : ERR_PROTOCOL, ERR_DOMAIN_HTTP, status,
                "HTTP %d, and no answer of STS: another service may be there", status);
    return err_set(e, passes ? ERR_TRANSIENT : ERR_AUTH, ERR_DOMAIN_HTTP, status, "HTTP %d%s%s%s%s", status,
            a->code[0] ? " " : "", quotes(a->code, secret) ? "" : a->code, shown ? ": " : "", shown ? a->message : "");
}

static struct bytes view(const struct secret *s)
{
    return s ? (struct bytes){secret_const_data(s), secret_len(s)} : (struct bytes){NULL, 0};
}

static int take(struct answer *a, struct err *e)
{
    if (!a->credentials->expires)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "no expiration in the credentials");
    if (!a->token)
        return err_set(e, ERR_PROTOCOL, ERR_DOMAIN_FORMAT, 0, "no session token in the credentials");
    return cloud_credentials_set(a->credentials, view(a->id), view(a->secret), view(a->token), e);
}

int cloud_sts_parse(
        struct bytes answer, int status, const struct secret *secret, struct cloud_credentials *out, struct err *e)
{
    struct answer a = {.credentials = out};
    const struct xml_visitor visitor = {.ctx = &a, .on_text = on_text};
    struct err why = ERR_INIT;
    int result = xml_visit(answer, &visitor, &why);

    if (status != 200) {
        result = refusal(&a, status, secret, e);
    } else if (result < 0) {
        *e = why;
    } else {
        result = take(&a, e);
    }
    secret_free(a.id);
    secret_free(a.secret);
    secret_free(a.token);
    if (result < 0)
        cloud_credentials_clear(out);
    return result;
}
