#include "job/bucket/dump_metadata.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum dump_encryption dump_metadata_encryption(const struct s3_response *res)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, DUMP_ENCRYPTION) == 0)
            return strcmp(res->metadata[i].value, DUMP_ENCRYPTION_NONE) == 0 ? DUMP_PLAIN : DUMP_ENCRYPTED;
    return DUMP_UNKNOWN;
}

uint64_t dump_metadata_cluster(const struct s3_response *res)
{
    for (size_t i = 0; i < res->n_metadata; i++) {
        const char *value = res->metadata[i].value;

        if (strcmp(res->metadata[i].name, DUMP_CLUSTER) != 0)
            continue;
        return strlen(value) <= 16 && value[strspn(value, "0123456789abcdef")] == '\0' ? strtoull(value, NULL, 16) : 0;
    }
    return 0;
}
