#include "job/keys/rewrap_mark.h"

#include <string.h>

#include "seal/key.h"

const char *rewrap_mark_text(const struct s3_response *res, const char *name)
{
    for (size_t i = 0; i < res->n_metadata; i++)
        if (strcmp(res->metadata[i].name, name) == 0)
            return res->metadata[i].value;
    return "";
}

bool rewrap_mark_is_of(const struct s3_response *res, const struct secret *master, struct bytes wrapped)
{
    return key_has_mark(master, wrapped, rewrap_mark_text(res, REWRAP_MARK));
}
