#include "objections.h"

/* What must not be drowned by a full disk: bytes that are not what was written, then what somebody has to put right. */
static int gravity(enum err_kind kind)
{
    switch (kind) {
    case ERR_INTEGRITY:
        return 3;
    case ERR_AUTH:
    case ERR_CONFIG:
        return 2;
    case ERR_CANCELLED:
        return 4;
    default:
        return 1;
    }
}

void objections_add(struct objections *o, const struct err *err)
{
    struct err more;

    if (o->count++ == 0) {
        o->all = *err;
        return;
    }
    if (o->count == 2)
        err_prepend(&o->all, "(1) ");
    more = gravity(err->kind) > gravity(o->all.kind) ? *err : o->all;
    err_set(&more, more.kind, more.domain, more.code, "%s; (%u) %s", o->all.text, o->count, err->text);
    o->all = more;
}

int objections_verdict(const struct objections *o, struct err *e)
{
    if (o->count == 0)
        return 0;
    *e = o->all;
    if (o->count > 1)
        err_prepend(e, "%u things are in the way: ", o->count);
    return -1;
}
