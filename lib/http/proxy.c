#include "http/proxy.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int no_memory(struct http_proxy *p, struct err *e)
{
    http_proxy_reset(p);
    return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
}

/* "Proxy-Authorization: Basic BASE64", with a 0 (RFC 7617). */
static struct secret *make_line(const char *user, const struct secret *password, struct err *e)
{
    static const char start[] = "Proxy-Authorization: Basic ";
    const size_t user_len = strlen(user), len = user_len + 1 + secret_len(password);
    const size_t encoded = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    _cleanup_secret_ struct secret *both = secret_new(len, e), *line = NULL;

    if (!both)
        return NULL;
    memcpy(secret_data(both), user, user_len);
    secret_data(both)[user_len] = ':';
    memcpy(secret_data(both) + user_len + 1, secret_const_data(password), secret_len(password));
    line = secret_new(sizeof(start) - 1 + encoded, e);
    if (!line)
        return NULL;
    memcpy(secret_data(line), start, sizeof(start) - 1);
    (void)sodium_bin2base64((char *)secret_data(line) + sizeof(start) - 1, encoded, secret_const_data(both), len,
            sodium_base64_VARIANT_ORIGINAL);
    return TAKE_PTR(line);
}

int http_proxy_set(
        struct http_proxy *out, const char *url, const char *user, const struct secret *password, struct err *e)
{
    if (!url)
        return 0;
    out->url = strdup(url);
    out->name = strdup(url);
    if (!out->url || !out->name)
        return no_memory(out, e);
    if (!user)
        return 0;
    if (strchr(user, ':')) {
        http_proxy_reset(out);
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "a user of a proxy has no colon in its name (RFC 7617)");
    }
    out->line = make_line(user, password, e);
    if (!out->line) {
        http_proxy_reset(out);
        return -1;
    }
    out->header = (struct curl_slist){.data = (char *)secret_data(out->line)}; /* curl_slist_append would copy it */
    return 0;
}

CURLcode http_proxy_use(const struct http_proxy *proxy, CURL *easy)
{
    const char *url = proxy && proxy->url ? proxy->url : "";
    CURLcode c = curl_easy_setopt(easy, CURLOPT_PROXY, url); /* "": none, whatever the environment says */

    if (c == CURLE_OK)
        c = curl_easy_setopt(easy, CURLOPT_NOPROXY, *url ? "" : "*");
    /* What is meant for the one is not shown to the other. */
    (void)curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    (void)curl_easy_setopt(
            easy, CURLOPT_PROXYHEADER, proxy && proxy->line ? (struct curl_slist *)(uintptr_t)&proxy->header : NULL);
    return c;
}

void http_proxy_reset(struct http_proxy *p)
{
    secret_free(p->line);
    free(p->url);
    free(p->name);
    *p = (struct http_proxy){0};
}
