#include "job/backup/damaged_end.h"

struct err damaged_end_err(const struct damaged_end *end)
{
    const struct err *damage = end->damage;
    struct err e = *damage;

    if (end->failed)
        err_set(&e, e.kind, e.domain, e.code, "%s; no sound one was to be had, and storing it as %s failed: %s",
                damage->text, end->name, end->failed->text);
    else if (end->unmarked)
        err_set(&e, e.kind, e.domain, e.code,
                "no sound database was to be had; the damaged one is stored as %s, and that it is damaged could not be "
                "written beside it, so others may take it for a good one (verify it): %s; %s",
                end->name, end->unmarked->text, damage->text);
    else
        err_prepend(&e,
                "no sound database was to be had; the damaged one is stored as %s, and does not count: ", end->name);
    return e;
}
