#include "base/wiped_heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

void wiped_heap_free(void *p)
{
    if (!p)
        return;
    secret_wipe(p, malloc_usable_size(p));
    free(p);
}

/* Never by realloc, which leaves the old bytes behind where it moves. */
void *wiped_heap_realloc(void *p, size_t size)
{
    const size_t old = p ? malloc_usable_size(p) : 0;
    void *longer;

    if (p && size <= old && size >= old / 2)
        return p;
    longer = malloc(size);
    if (!longer)
        return NULL;
    if (p)
        memcpy(longer, p, old < size ? old : size);
    wiped_heap_free(p);
    return longer;
}
