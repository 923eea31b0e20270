/*
 * chachapoly.h: mbedTLS decrypts ChaCha20-Poly1305 records by libcrypto.
 *
 * mbedTLS' own ChaCha20 and Poly1305 are portable C and cost 3.3 ns a byte, more than half of all the processor time of
 * a backup; libcrypto's, vectorized, cost 0.3 (libsodium's, which do it where libcrypto may not, as under FIPS 140,
 * 0.7). mbedTLS lets a build replace this module (MBEDTLS_CHACHAPOLY_ALT), but not Debian's build of it. So
 * chachapoly.c defines mbedTLS' public function mbedtls_chachapoly_auth_decrypt itself: the program's definition comes
 * before the library's (ELF symbol interposition, ld.so(8)), with the contract of mbedtls/chachapoly.h to the letter.
 * Handshake, records, nonces and everything else stay mbedTLS'. Where the symbol does not reach (a static or -Bsymbolic
 * mbedTLS) the library's own is used, and all works, slower.
 *
 * The key is in mbedTLS' own heap as long as the connection; what libcrypto knows of it is cleared after each record.
 */
#pragma once

#include <stdint.h>

/* Records opened here so far: 0 after a TLS connection with such a cipher means that mbedTLS uses its own. Calling this
 * from tls.c also sees to it that the linker takes chachapoly.c out of the archive. */
uint64_t chachapoly_opened(void);
