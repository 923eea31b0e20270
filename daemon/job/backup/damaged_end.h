/*
 * damaged_end.h: how a backup of a damaged database ends that was to be stored for want of a sound one: in words. Pure.
 *
 * It ends with the damage, whatever came of storing it: that is what somebody has to see to.
 */
#pragma once

#include "base/err.h"

struct damaged_end {
    const char *name;           /* of the dump */
    const struct err *damage;   /* that of the database */
    const struct err *failed;   /* what came in the way of storing it, or NULL: it is stored; then: */
    const struct err *unmarked; /* why that it is damaged could not be written beside it, or NULL: it is */
};

/* The error that is told; of the kind of the damage. */
struct err damaged_end_err(const struct damaged_end *end);
