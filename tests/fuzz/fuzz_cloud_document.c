/* JSON of a metadata service, of an agent, of a program: credentials that can be sent, or an error. */
#include "fuzz_cloud.h"

#include <sodium.h>

#include "cloud/document.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    for (int kind = CLOUD_DOCUMENT_INSTANCE; kind <= CLOUD_DOCUMENT_PROCESS; kind++) {
        struct cloud_credentials c = {0};
        struct err e = ERR_INIT;

        if (cloud_document_parse((struct bytes){data, len}, (enum cloud_document)kind, &c, &e) == 0)
            fuzz_cloud_check(&c);
        else
            fuzz_cloud_check_none(&c, &e);
        cloud_credentials_clear(&c);
    }
    return 0;
}
