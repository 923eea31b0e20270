#include "job/rotate/key_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/name.h"

struct key_list {
    struct key_item *items;
    size_t n;
    size_t n_sorted; /* the first of them, by name */
};

struct key_list *key_list_new(struct err *e)
{
    struct key_list *l = calloc(1, sizeof(*l));

    if (!l)
        err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    return l;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct key_item *)a)->name, ((const struct key_item *)b)->name);
}

static void sort(struct key_list *l)
{
    if (l->n_sorted < l->n)
        qsort(l->items, l->n, sizeof(*l->items), by_name);
    l->n_sorted = l->n;
}

static struct key_item *find_sorted(const struct key_list *l, const char *name)
{
    const struct key_item wanted = {.name = (char *)(uintptr_t)name};

    return l->n_sorted ? bsearch(&wanted, l->items, l->n_sorted, sizeof(*l->items), by_name) : NULL;
}

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

static int add(struct key_list *l, const struct catalog_list *catalog, bool missing, struct err *e)
{
    size_t count = catalog_list_count(catalog);
    struct key_item *grown = reallocarray(l->items, l->n + count + 1, sizeof(*grown));
    char name[NAME_TEXT_MAX];

    if (!grown)
        return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
    l->items = grown;
    sort(l);
    for (size_t i = 0; i < count; i++) {
        const struct catalog_backup *b = catalog_list_at(catalog, i);
        struct key_item item = {.instant = b->instant, .is_unreadable = b->state == CATALOG_UNREADABLE};

        if (!key_of(b, missing, name) || find_sorted(l, name))
            continue;
        item.name = strdup(name);
        if (!item.name)
            return err_set(e, ERR_RESOURCE, ERR_DOMAIN_NONE, 0, "out of memory");
        l->items[l->n++] = item;
    }
    return 0;
}

int key_list_add(struct key_list *l, const struct catalog_list *catalog, struct err *e)
{
    return add(l, catalog, false, e);
}

int key_list_add_missing(struct key_list *l, const struct catalog_list *catalog, struct err *e)
{
    return add(l, catalog, true, e);
}

size_t key_list_count(const struct key_list *l)
{
    return l->n;
}

struct key_item *key_list_at(struct key_list *l, size_t i)
{
    return &l->items[i];
}

struct key_item *key_list_find(struct key_list *l, const char *name)
{
    sort(l);
    return find_sorted(l, name);
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
