/* Endpoints: what passes when the configuration is loaded is read alike where the connection is made. */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "conf/endpoint.h"
#include "h2/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = strndup((const char *)data, len);
    struct conf_endpoint checked, strict;
    struct h2_endpoint used;
    struct err e = ERR_INIT;
    bool plain;

    FUZZ_CHECK(text);
    plain = conf_endpoint_parse(text, false, &strict, &e) == 0;
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
