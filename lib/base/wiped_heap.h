/*
 * wiped_heap.h: the heap for libraries that copy secrets, which wipes what is given back.
 *
 * libcurl copies the lines of a request into buffers of its own, a session token among them, and frees these as they
 * are; so do parsers of what a token stands in. With this they hold nothing when they come to somebody else. Only what
 * libcurl keeps for its next request lies there as long as it does. The rest of malloc's family is libc's own.
 */
#pragma once

#include <stddef.h>

/* As free and realloc. NULL is fine. */
void wiped_heap_free(void *p);
void *wiped_heap_realloc(void *p, size_t size);
