#include "core/leftovers.h"

#include <stdlib.h>
#include <string.h>

struct leftover {
    char *key, *upload_id;
};

struct leftovers {
    size_t n;
    struct leftover all[LEFTOVERS_MAX];
};

struct leftovers *leftovers_new(void)
{
    return calloc(1, sizeof(struct leftovers));
}

bool leftovers_add(struct leftovers *l, const char *key, const char *upload_id)
{
    struct leftover one = {.key = strdup(key), .upload_id = strdup(upload_id)};

    if (l->n < LEFTOVERS_MAX && one.key && one.upload_id) {
        l->all[l->n++] = one;
        return true;
    }
    free(one.key);
    free(one.upload_id);
    return false;
}

bool leftovers_first(const struct leftovers *l, const char **key, const char **upload_id)
{
    if (l->n == 0)
        return false;
    *key = l->all[0].key;
    *upload_id = l->all[0].upload_id;
    return true;
}

void leftovers_drop_first(struct leftovers *l)
{
    free(l->all[0].key);
    free(l->all[0].upload_id);
    l->n--;
    memmove(l->all, l->all + 1, l->n * sizeof(l->all[0]));
}

void leftovers_forget(struct leftovers *l)
{
    while (l->n)
        leftovers_drop_first(l);
}

void leftovers_free(struct leftovers *l)
{
    if (!l)
        return;
    leftovers_forget(l);
    free(l);
}
