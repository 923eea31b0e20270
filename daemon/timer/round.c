#include "timer/round.h"

#include <stdlib.h>
#include <string.h>

/* Those that count, newest first. */
static size_t collect(const struct catalog_list *list, int64_t *instants)
{
    size_t n = 0;

    for (size_t i = 0; i < catalog_list_count(list); i++)
        if (catalog_backup_counts(catalog_list_at(list, i)))
            instants[n++] = catalog_list_at(list, i)->instant;
    return n;
}

/* Draws `wanted` of those behind the newest to its side; each has the same chance. */
static void draw(int64_t *instants, size_t n, size_t wanted, uint32_t (*random)(void))
{
    for (size_t i = 1; i <= wanted && i < n; i++) {
        size_t other = i + random() % (n - i);
        int64_t drawn = instants[other];

        instants[other] = instants[i];
        instants[i] = drawn;
    }
}

int round_plan(struct round *r, const struct catalog_list *list, enum conf_verify_what what, int64_t now,
        uint32_t (*random)(void), struct err *e)
{
    size_t n, wanted = what == CONF_VERIFY_NEWEST ? 1 : 1 + (size_t)ROUND_SAMPLE;
    int64_t *instants = calloc(catalog_list_count(list) + 1, sizeof(*instants));

    if (!instants)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory for a round of verifications");
    round_clear(r);
    n = collect(list, instants);
    if (what == CONF_VERIFY_SAMPLE)
        draw(instants, n, ROUND_SAMPLE, random);
    r->instants = instants;
    r->result.began = now;
    r->result.left = (unsigned)(what != CONF_VERIFY_ALL && n > wanted ? wanted : n);
    return 0;
}

static bool pauses(const struct round *r)
{
    return r->alike == ROUND_ALIKE || r->tried == r->result.left;
}

int64_t round_next(const struct round *r)
{
    return pauses(r) ? 0 : r->instants[0];
}

/* The first one goes, or becomes the last. */
static void rotate(struct round *r, bool stays)
{
    int64_t first = r->instants[0];

    memmove(r->instants, r->instants + 1, (r->result.left - 1) * sizeof(*r->instants));
    if (stays)
        r->instants[r->result.left - 1] = first;
    else
        r->result.left--;
}

void round_took(struct round *r, enum round_outcome outcome, const struct err *err)
{
    if (r->result.left == 0)
        return;
    rotate(r, outcome == ROUND_UNKNOWN);
    r->alike = outcome == ROUND_UNKNOWN ? r->alike + 1 : 0;
    r->tried += outcome == ROUND_UNKNOWN;
    r->result.good += outcome == ROUND_GOOD;
    r->result.vouched += outcome == ROUND_VOUCHED;
    if (outcome == ROUND_UNKNOWN)
        r->result.last_unknown = *err;
    if (outcome == ROUND_BAD && r->result.bad++ == 0)
        r->result.first_bad = *err;
    if (r->result.left == 0)
        r->result.last_unknown = ERR_INIT; /* they were looked at in the end */
}

void round_resume(struct round *r)
{
    r->alike = r->tried = 0;
}

void round_clear(struct round *r)
{
    free(r->instants);
    *r = (struct round){.instants = NULL};
}
