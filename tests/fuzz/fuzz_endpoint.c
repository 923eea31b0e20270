/* Endpoints: what passes when the configuration is loaded is read alike where the connection is made. */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "conf/endpoint.h"
#include "h2/endpoint.h"
#include "s3/url.h"

/* What is taken for an endpoint of S3 is one to those who build URLs of it. */
static void check_s3(const char *text, const struct conf_endpoint *ep)
{
    const struct s3_conf conf = {.endpoint = text, .bucket = "bucket", .addressing = S3_ADDRESSING_PATH};
    struct s3_url_target target = {.host = NULL};
    struct err e = ERR_INIT;

    FUZZ_CHECK(s3_url_target(&target, &conf, &e) == 0);
    FUZZ_CHECK(target.tls == ep->tls);
    FUZZ_CHECK(strncmp(target.host + (target.host[0] == '['), ep->host, strlen(ep->host)) == 0);
    s3_url_target_reset(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = strndup((const char *)data, len);
    struct conf_endpoint checked, strict;
    struct h2_endpoint used;
    struct err e = ERR_INIT;
    bool plain;

    FUZZ_CHECK(text);
    plain = conf_endpoint_parse(text, false, &strict, &e) == 0;
    if (plain)
        check_s3(text, &strict);
    e = ERR_INIT;
    if (conf_endpoint_parse(text, true, &checked, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_CONFIG && *e.text && !plain);
        return 0;
    }
    FUZZ_CHECK(h2_endpoint_parse(text, &used, &e) == 0);
    FUZZ_CHECK(used.tls == checked.tls);
    FUZZ_CHECK((used.unix_path[0] != '\0') == checked.is_unix);
    FUZZ_CHECK(strcmp(used.host, checked.host) == 0);
    FUZZ_CHECK(checked.is_unix || used.port == (checked.port ? checked.port : 2379));
    FUZZ_CHECK(h2_endpoint_is_loopback(&used) == conf_endpoint_is_loopback(&checked));
    FUZZ_CHECK(!plain || (strict.port == checked.port && strcmp(strict.host, checked.host) == 0));
    return 0;
}
