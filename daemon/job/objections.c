#include "job/objections.h"

#include <stdio.h>
#include <string.h>

enum {
    HEAD_LEN = sizeof("12 things are in the way: ") - 1,
    NUMBER_LEN = sizeof("; (12) ") - 1,
};

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
    if (o->count < OBJECTIONS_MAX)
        o->all[o->count++] = *err;
}

/* Bytes of the texts, none longer than `limit`. */
static size_t length_of(const struct objections *o, size_t limit)
{
    size_t sum = 0;

    for (unsigned i = 0; i < o->count; i++) {
        size_t len = strlen(o->all[i].text);

        sum += len < limit ? len : limit;
    }
    return sum;
}

/* How long each may be, so that all fit between the head and the numbers. */
static size_t limit_of(const struct objections *o)
{
    size_t room = ERR_TEXT_MAX - 1 - HEAD_LEN - o->count * NUMBER_LEN, limit = ERR_TEXT_MAX;

    while (length_of(o, limit) > room)
        limit--;
    return limit;
}

bool objections_are_long(const struct objections *o)
{
    return o->count > 1 && limit_of(o) < ERR_TEXT_MAX;
}

static void join(const struct objections *o, char out[ERR_TEXT_MAX])
{
    int at = snprintf(out, ERR_TEXT_MAX, "%u things are in the way: ", o->count), limit = (int)limit_of(o);

    for (unsigned i = 0; i < o->count && at < ERR_TEXT_MAX; i++) {
        const char *text = o->all[i].text, *sep = i ? "; " : "";
        size_t room = ERR_TEXT_MAX - (size_t)at;

        if (strlen(text) <= (size_t)limit)
            at += snprintf(out + at, room, "%s(%u) %s", sep, i + 1, text);
        else
            at += snprintf(out + at, room, "%s(%u) %.*s...", sep, i + 1, limit - 3, text);
    }
}

int objections_verdict(const struct objections *o, struct err *e)
{
    const struct err *gravest = &o->all[0];
    char text[ERR_TEXT_MAX];

    if (o->count == 0)
        return 0;
    for (unsigned i = 1; i < o->count; i++)
        if (gravity(o->all[i].kind) > gravity(gravest->kind))
            gravest = &o->all[i];
    if (o->count == 1) {
        *e = *gravest;
        return -1;
    }
    join(o, text);
    return err_set(e, gravest->kind, gravest->domain, gravest->code, "%s", text);
}
