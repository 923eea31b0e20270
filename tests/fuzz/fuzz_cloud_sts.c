/* XML of STS. The first byte says with which status it comes. */
#include "fuzz_cloud.h"

#include <sodium.h>

#include "cloud/sts.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int statuses[] = {200, 400, 403, 429, 500};
    const int status = len ? statuses[data[0] % ARRAY_LEN(statuses)] : 200;
    struct cloud_credentials c = {0};
    struct err e = ERR_INIT;

    if (cloud_sts_parse((struct bytes){data + (len > 0), len - (len > 0)}, status, NULL, &c, &e) == 0) {
        FUZZ_CHECK(status == 200 && c.token && c.expires);
        fuzz_cloud_check(&c);
    } else {
        fuzz_cloud_check_none(&c, &e);
    }
    cloud_credentials_clear(&c);
    return 0;
}
