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

/* Decimal digits and nothing else, up to `max`. */
static bool read_number(const char *text, uint64_t max, uint64_t *number)
{
    size_t len = strlen(text);

    if (len == 0 || len > 19 || text[strspn(text, "0123456789")] != '\0')
        return false;
    *number = strtoull(text, NULL, 10);
    return *number <= max;
}

struct dump_hashkv dump_metadata_hashkv(const struct s3_response *res)
{
    const char *compact = dump_metadata_text(res, DUMP_HASHKV_COMPACT);
    const bool is_compacted = strcmp(compact, "-1") != 0;
    uint64_t hash, revision, compacted = 0;

    if (!read_number(dump_metadata_text(res, DUMP_HASHKV), UINT32_MAX, &hash) ||
            !read_number(dump_metadata_text(res, DUMP_HASHKV_REVISION), INT64_MAX, &revision) ||
            (is_compacted && !read_number(compact, INT64_MAX, &compacted)))
        return (struct dump_hashkv){.is_known = false};
    return (struct dump_hashkv){
            .is_known = true,
            .hash = (uint32_t)hash,
            .revision = (int64_t)revision,
            .compact_revision = is_compacted ? (int64_t)compacted : -1,
    };
}

bool dump_metadata_keys(const struct s3_response *res, uint64_t *keys)
{
    return read_number(dump_metadata_text(res, DUMP_KEYS), INT64_MAX, keys);
}
