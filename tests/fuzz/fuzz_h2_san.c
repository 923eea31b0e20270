/*
 * The extensions of a certificate. An address is found only where its four bytes stand behind the tag and the length of
 * an iPAddress.
 */
#include "fuzz.h"

#include <string.h>

#include "h2/san.h"

static const uint8_t address[] = {127, 0, 0, 1};
static const uint8_t encoded[] = {0x87, 4, 127, 0, 0, 1};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes extensions = {.data = data, .len = len};
    char text[H2_SAN_TEXT_MAX];
    bool stands_there = false, long_form = false;

    for (size_t i = 0; i + sizeof(encoded) <= len; i++) {
        stands_there = stands_there || memcmp(data + i, encoded, sizeof(encoded)) == 0;
        /* 0x81 04, 0x82 00 04: not DER, but no harm. */
        long_form = long_form || (data[i] == 0x87 && data[i + 1] > 0x80);
    }
    if (h2_san_has_ip(extensions, address, sizeof(address)))
        FUZZ_CHECK(stands_there || long_form);
    h2_san_describe(extensions, text);
    FUZZ_CHECK(text[0] && memchr(text, '\0', sizeof(text)));
    return 0;
}
