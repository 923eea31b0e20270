#include "job/bucket/dump_metadata.h"

#include <string.h>

enum dump_encryption dump_metadata_encryption(const struct s3_response *res)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, DUMP_ENCRYPTION) == 0)
            return strcmp(res->metadata[i].value, DUMP_ENCRYPTION_NONE) == 0 ? DUMP_PLAIN : DUMP_ENCRYPTED;
    return DUMP_UNKNOWN;
}
