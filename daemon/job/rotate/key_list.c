#include "job/rotate/key_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/name.h"

struct key_list {
    struct key_item *items;
    size_t n;
    bool is_sorted; /* by name */
};

static bool key_of(const struct catalog_backup *b, bool is_missing, char name[NAME_TEXT_MAX])
{
    if (is_missing) {
        if (b->state == CATALOG_KEY_MISSING)
            name_key_of_dump(name, b->name);
        return b->state == CATALOG_KEY_MISSING;
    }
    if (b->state == CATALOG_ORPHAN_KEY)
        (void)snprintf(name, NAME_TEXT_MAX, "%s", b->name);
    else if (b->has_key)
        name_key_of_dump(name, b->name);
    return b->has_key || b->state == CATALOG_ORPHAN_KEY;
}

static struct key_list *no_memory(struct err *e)
{
    err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    return NULL;
}

static struct key_list *list_of(const struct catalog_list *catalog, bool missing, struct err *e)
{
    _cleanup_(cleanup_key_list_free) struct key_list *l = calloc(1, sizeof(*l));
    size_t count = catalog_list_count(catalog);
    char name[NAME_TEXT_MAX];

    if (!l || !(l->items = calloc(count + 1, sizeof(*l->items))))
        return no_memory(e);
    for (size_t i = 0; i < count; i++) {
        const struct catalog_backup *b = catalog_list_at(catalog, i);
        struct key_item item = {.instant = b->instant, .is_unreadable = b->state == CATALOG_UNREADABLE};

        if (!key_of(b, missing, name))
            continue;
        item.name = strdup(name);
        if (!item.name)
            return no_memory(e);
        l->items[l->n++] = item;
    }
    return TAKE_PTR(l);
}

struct key_list *key_list_new(const struct catalog_list *catalog, struct err *e)
{
    return list_of(catalog, false, e);
}

struct key_list *key_list_new_missing(const struct catalog_list *catalog, struct err *e)
{
    return list_of(catalog, true, e);
}

size_t key_list_count(const struct key_list *l)
{
    return l->n;
}

struct key_item *key_list_at(struct key_list *l, size_t i)
{
    return &l->items[i];
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct key_item *)a)->name, ((const struct key_item *)b)->name);
}

struct key_item *key_list_find(struct key_list *l, const char *name)
{
    const struct key_item wanted = {.name = (char *)(uintptr_t)name};

    if (!l->is_sorted)
        qsort(l->items, l->n, sizeof(*l->items), by_name);
    l->is_sorted = true;
    return bsearch(&wanted, l->items, l->n, sizeof(*l->items), by_name);
}

void key_list_free(struct key_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].name);
    free(l->items);
    free(l);
}
