#include "core/verified.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct verification {
    int64_t when;
    bool is_good;
    char name[];
};

/* tsearch(3) compares entries: one that is looked for needs only its name. */
struct verified {
    void *root;
    unsigned count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct verification *)a)->name, ((const struct verification *)b)->name);
}

struct verified *verified_new(void)
{
    return calloc(1, sizeof(struct verified));
}

static struct verification *new_entry(const char *name)
{
    struct verification *entry = calloc(1, sizeof(*entry) + strlen(name) + 1);

    if (entry)
        (void)strcpy(entry->name, name);
    return entry;
}

void verified_add(struct verified *v, const char *name, int64_t when, bool is_good)
{
    _cleanup_free_ struct verification *entry = new_entry(name);
    struct verification **found = entry ? tfind(entry, &v->root, compare) : NULL;

    if (!found && entry && v->count < VERIFIED_MAX) {
        found = tsearch(entry, &v->root, compare);
        if (found) {
            v->count++;
            entry = NULL; /* the tree owns it */
        }
    }
    if (found) {
        (*found)->when = when;
        (*found)->is_good = is_good;
    }
}

int64_t verified_find(const struct verified *v, const char *name, bool *is_good)
{
    _cleanup_free_ struct verification *wanted = v ? new_entry(name) : NULL;
    struct verification *const *found = wanted ? tfind(wanted, &v->root, compare) : NULL;

    *is_good = found && (*found)->is_good;
    return found ? (*found)->when : 0;
}

void verified_free(struct verified *v)
{
    if (!v)
        return;
    tdestroy(v->root, free);
    free(v);
}
