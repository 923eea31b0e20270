#include "job/keys/rewrap_mark.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"

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

enum { MARK_LEN = KEY_MARK_MAX - 1 };

/* No object of a key is as short as a time, so neither mark can pass for the other. */
static void make_away(const struct secret *master, int64_t instant, char out[KEY_MARK_MAX])
{
    char time[TIMESTAMP_TEXT_MAX];

    timestamp_format(instant, time);
    (void)key_mark(master, (struct bytes){(const uint8_t *)time, strlen(time)}, out);
}

/* The next of the list at *at, which is moved behind it; false: there is none. */
static bool next_of(const char **at, struct bytes *mark)
{
    const size_t len = strcspn(*at, ",");

    *mark = (struct bytes){(const uint8_t *)*at, len};
    *at += len + ((*at)[len] == ',');
    return len > 0;
}

static bool is_mark(struct bytes mark, const char *own)
{
    return mark.len == MARK_LEN && strlen(own) == MARK_LEN && sodium_memcmp(mark.data, own, MARK_LEN) == 0;
}

char *rewrap_mark_add_away(const char *before, const struct secret *away, const struct secret *stays, int64_t instant,
        char out[REWRAP_AWAY_MAX])
{
    char first[KEY_MARK_MAX] = "", back[KEY_MARK_MAX] = "";
    struct bytes mark;
    size_t len, n;

    if (away)
        make_away(away, instant, first);
    if (stays)
        make_away(stays, instant, back);
    len = (size_t)sprintf(out, "%s", first);
    n = away != NULL;
    while (n < REWRAP_AWAY_KEPT && next_of(&before, &mark)) {
        if (mark.len != MARK_LEN || is_mark(mark, first) || is_mark(mark, back))
            continue;
        len += (size_t)sprintf(out + len, "%s%.*s", n++ ? "," : "", MARK_LEN, (const char *)mark.data);
    }
    return out;
}

bool rewrap_mark_is_away(const struct s3_response *res, const struct secret *master, int64_t instant)
{
    const char *at = rewrap_mark_text(res, REWRAP_AWAY);
    char own[KEY_MARK_MAX];
    struct bytes mark;

    if (!at[0])
        return false;
    make_away(master, instant, own);
    while (next_of(&at, &mark))
        if (is_mark(mark, own))
            return true;
    return false;
}
