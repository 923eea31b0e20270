#include "core/libraries.h"

#include <curl/curl.h>
#include <cyaml/cyaml.h>
#include <expat.h>
#include <jansson.h>
#include <mbedtls/version.h>
#include <microhttpd.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <sodium.h>
#include <uv.h>
#include <yaml.h>
#include <zstd.h>

/* As they are loaded, not as they were when this was compiled. */
void libraries_print(FILE *out)
{
    char mbedtls[32]; /* at least 9, says version.h */

    mbedtls_version_get_string(mbedtls);
    (void)fprintf(out, "libuv %s, %s, libcrypto %s, mbedTLS %s, nghttp2 %s, libsodium %s, ", uv_version_string(),
            curl_version(), OpenSSL_version(OPENSSL_VERSION_STRING), mbedtls, nghttp2_version(0)->version_str,
            sodium_version_string());
    (void)fprintf(out, "protobuf-c %s, libcyaml %s, libyaml %s, %s, libmicrohttpd %s, jansson %s, libzstd %s\n",
            protobuf_c_version(), cyaml_version_str, yaml_get_version_string(), XML_ExpatVersion(), MHD_get_version(),
            jansson_version_str(), ZSTD_versionString());
}
