#include "core/libraries.h"

#include <curl/curl.h>
#include <mbedtls/version.h>
#include <nghttp2/nghttp2.h>
#include <sodium.h>
#include <uv.h>

/* As they are loaded, not as they were when this was compiled. */
void libraries_print(FILE *out)
{
    char mbedtls[32]; /* at least 9, says version.h */

    mbedtls_version_get_string(mbedtls);
    (void)fprintf(out, "libuv %s, %s, mbedTLS %s, nghttp2 %s, libsodium %s\n", uv_version_string(), curl_version(),
            mbedtls, nghttp2_version(0)->version_str, sodium_version_string());
}
