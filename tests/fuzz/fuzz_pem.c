/* PEM: what passes has at least the armour of what it is taken for; the rest is refused with a line. */
#include "fuzz.h"

#include <string.h>

#include "conf/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bytes text = {data, len};
    struct err e = ERR_INIT;

    if (conf_pem_check_certificates("f", text, &e) == 0)
        FUZZ_CHECK(len > 0 && memmem(data, len, "-----BEGIN CERTIFICATE-----", 27));
    else
        FUZZ_CHECK(e.kind == ERR_CONFIG && strncmp(e.text, "f:", 2) == 0);
    e = ERR_INIT;
    if (conf_pem_check_private_key("f", text, &e) == 0)
        FUZZ_CHECK(len > 0 && memmem(data, len, "PRIVATE KEY-----", 16));
    else
        FUZZ_CHECK(e.kind == ERR_CONFIG && strncmp(e.text, "f:", 2) == 0);
    return 0;
}
