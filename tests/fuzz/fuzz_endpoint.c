/* Endpoints: whatever passes can be connected to, and S3's rules are the stricter ones. */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/endpoint.h"
#include "s3/url.h"

/* What is taken for an endpoint of S3 is one to those who build URLs of it. */
static void check_s3(const char *text, const struct endpoint *ep)
{
    const struct s3_conf conf = {.endpoint = text, .bucket = "bucket", .addressing = S3_ADDRESSING_PATH};
    struct s3_url_target target = {.host = NULL};
    struct err e = ERR_INIT;

    FUZZ_CHECK(s3_url_target(&target, &conf, &e) == 0);
    FUZZ_CHECK(target.tls == ep->tls);
    FUZZ_CHECK(strcmp(target.host, ep->authority) == 0);
    FUZZ_CHECK(strlen(target.base) == strlen(target.host) + (ep->tls ? 8 : 7) + ep->is_rooted);
    s3_url_target_reset(&target);
}

static void check_host(const struct endpoint *ep)
{
    char name[ENDPOINT_HOST_MAX + 1];
    size_t len = strlen(ep->host);

    FUZZ_CHECK(len > 0 && ep->host[len - 1] != '.' && ep->port > 0 && !*ep->path);
    FUZZ_CHECK(strlen(endpoint_to_resolve(ep, name)) == len + ep->is_rooted);
    FUZZ_CHECK(!ep->is_rooted || !ep->is_address);
    FUZZ_CHECK(strcspn(ep->authority, "/@%?# ") == strlen(ep->authority));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = strndup((const char *)data, len);
    struct endpoint etcd, s3;
    struct err e = ERR_INIT;
    bool plain;

    FUZZ_CHECK(text);
    plain = endpoint_parse(text, ENDPOINT_S3, &s3, &e) == 0;
    if (plain) {
        check_host(&s3);
        check_s3(text, &s3);
    }
    e = ERR_INIT;
    if (endpoint_parse(text, ENDPOINT_ETCD, &etcd, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_CONFIG && *e.text && !plain);
        return 0;
    }
    if (etcd.is_unix)
        FUZZ_CHECK(*etcd.path && !*etcd.host && endpoint_is_loopback(&etcd));
    else
        check_host(&etcd);
    FUZZ_CHECK(!plain || (etcd.tls == s3.tls && strcmp(etcd.host, s3.host) == 0));
    return 0;
}
