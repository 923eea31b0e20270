#include "job/bucket/bad_mark.h"

#include "catalog/name.h"
#include "s3/object.h"

static const char body[] =
        "The dump of this name was read and is bad: it does not count as a backup. A verification that "
        "finds it good removes this object.\n";

struct s3_request *bad_mark_set(struct core *core, const struct bad_mark_spec *spec, struct err *e)
{
    const struct catalog_backup *b = spec->backup;
    struct s3_client *s3 = core_s3(core, e);
    char name[NAME_TEXT_MAX];
    struct s3_put_spec put = {
            .key = name,
            .body = {(const uint8_t *)body, sizeof(body) - 1},
            .patience_ms = spec->patience_ms,
            .ctx = spec->ctx,
            .on_done = spec->on_done,
    };

    if (!s3 || name_bad_of_dump(name, b->name, name_object_tag(b->etag, b->size), e) < 0)
        return NULL;
    return spec->is_bad ? s3_put(s3, &put, e) : s3_delete(s3, name, spec->ctx, spec->on_done, e);
}
