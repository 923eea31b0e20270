/*
 * A listing: the first line is the prefix, each other line an object. Whatever the names are, none of another prefix is
 * taken, what is taken is paired and sorted, and the order of the listing changes nothing.
 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "catalog/list.h"
#include "catalog/name.h"

enum { MAX_OBJECTS = 64 };

struct listing {
    const char *prefix;
    const char *objects[MAX_OBJECTS];
    size_t n;
};

static struct listing split(char *text)
{
    struct listing listing = {.prefix = strsep(&text, "\n")};

    while (text && listing.n < MAX_OBJECTS)
        listing.objects[listing.n++] = strsep(&text, "\n");
    return listing;
}

static void check_name(const char *prefix, const char *object)
{
    char key[NAME_TEXT_MAX];
    int64_t instant = 0, instant_of_key = 0;
    enum name_kind kind = name_parse(prefix, object, &instant);

    if (kind == NAME_FOREIGN)
        return;
    FUZZ_CHECK(strlen(object) <= NAME_MAX_LEN && strncmp(object, prefix, strlen(prefix)) == 0);
    FUZZ_CHECK(object[strlen(prefix)] == '-');
    if (kind != NAME_DUMP)
        return;
    name_key_of_dump(key, object);
    FUZZ_CHECK(name_parse(prefix, key, &instant_of_key) == NAME_KEY && instant_of_key == instant);
}

/* An object's size must not depend on its place in the listing. */
static uint64_t size_of(const char *object)
{
    size_t len = strlen(object);

    if (len > 4 && strcmp(object + len - 4, ".key") == 0)
        return len % 3 ? 72 : 71;
    return len % 2 ? 4128 : 4168;
}

static struct catalog_list *list_of(const struct listing *listing, bool backwards)
{
    struct err e = ERR_INIT;
    struct catalog_list *l = catalog_list_new(listing->prefix, &e);

    FUZZ_CHECK(l);
    for (size_t i = 0; i < listing->n; i++) {
        const char *object = listing->objects[backwards ? listing->n - 1 - i : i];

        FUZZ_CHECK(catalog_list_add(l,
                           &(struct catalog_object){.name = object, .size = size_of(object), .last_modified = 1},
                           &e) == 0);
    }
    catalog_list_finish(l);
    return l;
}

static void check_found(const struct catalog_list *l, const struct catalog_backup *b)
{
    const struct catalog_backup *found = catalog_list_find(l, b->instant);

    if (b->state != CATALOG_COMPLETE)
        return;
    FUZZ_CHECK(found && found->instant == b->instant && found->state == CATALOG_COMPLETE);
    FUZZ_CHECK(!catalog_backup_counts(b) || catalog_list_nearest(l, b->instant)->instant == b->instant);
    FUZZ_CHECK(catalog_list_latest(l)->instant >= b->instant);
}

static void check_list(const struct catalog_list *l, const struct catalog_list *other)
{
    FUZZ_CHECK(catalog_list_count(l) == catalog_list_count(other));
    for (size_t i = 0; i < catalog_list_count(l); i++) {
        const struct catalog_backup *b = catalog_list_at(l, i), *o = catalog_list_at(other, i);

        FUZZ_CHECK(strcmp(b->name, o->name) == 0 && b->state == o->state && b->has_key == o->has_key &&
                   b->doubt == o->doubt);
        FUZZ_CHECK(b->size == size_of(b->name) && b->size == o->size);
        check_found(l, b);
        if (i > 0) {
            const struct catalog_backup *newer = catalog_list_at(l, i - 1);

            FUZZ_CHECK(
                    newer->instant > b->instant || (newer->instant == b->instant && strcmp(newer->name, b->name) < 0));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = strndup((const char *)data, len);
    _cleanup_(cleanup_catalog_list_free) struct catalog_list *forwards = NULL, *backwards = NULL;
    struct listing listing;

    FUZZ_CHECK(text);
    listing = split(text);
    for (size_t i = 0; i < listing.n; i++)
        check_name(listing.prefix, listing.objects[i]);
    forwards = list_of(&listing, false);
    backwards = list_of(&listing, true);
    FUZZ_CHECK(catalog_list_count(forwards) <= listing.n);
    check_list(forwards, backwards);
    return 0;
}
