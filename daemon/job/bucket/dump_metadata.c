#include "job/bucket/dump_metadata.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *dump_metadata_text(const struct s3_response *res, const char *name)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, name) == 0)
            return res->metadata[i].value;
    return "";
}

enum dump_encryption dump_metadata_encryption(const struct s3_response *res)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, DUMP_ENCRYPTION) == 0)
            return strcmp(res->metadata[i].value, DUMP_ENCRYPTION_NONE) == 0 ? DUMP_PLAIN : DUMP_ENCRYPTED;
    return DUMP_UNKNOWN;
}

uint64_t dump_metadata_cluster(const struct s3_response *res)
{
    const char *value = dump_metadata_text(res, DUMP_CLUSTER);

    return strlen(value) <= 16 && value[strspn(value, "0123456789abcdef")] == '\0' ? strtoull(value, NULL, 16) : 0;
}

uint64_t dump_metadata_snapshot_size(const struct s3_response *res)
{
    for (size_t i = 0; i < res->n_metadata; i++) {
        const char *value = res->metadata[i].value;

        if (strcmp(res->metadata[i].name, DUMP_SNAPSHOT_SIZE) == 0)
            return strlen(value) < 20 && value[strspn(value, "0123456789")] == '\0' ? strtoull(value, NULL, 10) : 0;
    }
    return 0;
}
