/*
 * libraries.h: which libraries this process runs with, for reports of faults.
 */
#pragma once

#include <stdio.h>

/* One line: "libuv 1.44.2, libcurl/7.88.1 OpenSSL/3.0.17 ..., mbedTLS 2.28.3, nghttp2 1.52.0, libsodium 1.0.18". */
void libraries_print(FILE *out);
