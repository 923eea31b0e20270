#include "job/keys/rewrap_mark.h"

#include <string.h>

#include "seal/key.h"

bool rewrap_mark_is_of(const struct s3_response *res, const struct secret *master, struct bytes wrapped)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, REWRAP_MARK) == 0)
            return key_has_mark(master, wrapped, res->metadata[i].value);
    return false;
}
