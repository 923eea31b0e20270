/*
 * objections.h: everything that is in the way, told at once: nobody should find out one thing a run.
 */
#pragma once

#include "base/err.h"

/* More than can be in the way of one job. */
enum { OBJECTIONS_MAX = 12 };

struct objections {
    unsigned count;
    struct err all[OBJECTIONS_MAX];
};

#define OBJECTIONS_INIT ((struct objections){.count = 0})

/* Copies it. One above OBJECTIONS_MAX is dropped. */
void objections_add(struct objections *o, const struct err *err);

/* 0 when there are none; else -1 and the one error, or all of them numbered in one line, with the kind of the gravest.
 * If they do not fit, the longest are shortened. */
int objections_verdict(const struct objections *o, struct err *e);

/* Whether objections_verdict has to shorten some: then their whole texts should be told beside it. */
bool objections_are_long(const struct objections *o);
