#include "job/bucket/bad_mark.h"

#include <string.h>

#include "catalog/name.h"
#include "s3/object.h"

static const char by_look[] =
        "The dump of this name was read and is bad: it does not count as a backup. A verification "
        "that finds it good removes this object.\n";
static const char by_drill[] = "The dump of this name was unpacked and is bad: it does not count as a backup. A drill "
                               "(verify --drill) that finds it good removes this object.\n";

enum { LOOK_LIMIT = 4096 };

static int name_of(struct core *core, const struct catalog_backup *b, char name[NAME_TEXT_MAX], struct s3_client **s3,
        struct err *e)
{
    *s3 = core_s3(core, e);
    return *s3 ? name_bad_of_dump(name, b->name, name_object_tag(b->etag, b->size), e) : -1;
}

struct s3_request *bad_mark_set(struct core *core, const struct bad_mark_spec *spec, struct err *e)
{
    const char *body = spec->by_drill ? by_drill : by_look;
    struct s3_client *s3;
    char name[NAME_TEXT_MAX];
    struct s3_put_spec put = {
            .key = name,
            .body = {(const uint8_t *)body, strlen(body)},
            .patience_ms = spec->patience_ms,
            .ctx = spec->ctx,
            .on_done = spec->on_done,
    };

    if (name_of(core, spec->backup, name, &s3, e) < 0)
        return NULL;
    return spec->is_bad ? s3_put(s3, &put, e) : s3_delete(s3, name, spec->ctx, spec->on_done, e);
}

struct s3_request *bad_mark_get(struct core *core, const struct bad_mark_spec *spec, struct err *e)
{
    struct s3_client *s3;
    char name[NAME_TEXT_MAX];
    struct s3_get_spec get = {.key = name, .limit = LOOK_LIMIT, .ctx = spec->ctx, .on_done = spec->on_done};

    return name_of(core, spec->backup, name, &s3, e) < 0 ? NULL : s3_get(s3, &get, e);
}

bool bad_mark_is_of_drill(const struct s3_response *res)
{
    return res->body.len == sizeof(by_drill) - 1 && memcmp(res->body.data, by_drill, res->body.len) == 0;
}
