/*
 * objections.h: everything that is in the way, told at once: nobody should find out one thing a run.
 */
#pragma once

#include "base/err.h"

struct objections {
    unsigned count;
    struct err all; /* the texts numbered one after the other; the kind is that of the gravest */
};

#define OBJECTIONS_INIT ((struct objections){.count = 0})

void objections_add(struct objections *o, const struct err *err);

/* 0 when there are none; else -1 and the one error, or all of them in one line. */
int objections_verdict(const struct objections *o, struct err *e);
