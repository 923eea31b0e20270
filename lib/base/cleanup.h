/*
 * cleanup.h: ownership that the compiler keeps.
 *
 * A local that owns something is declared with the attribute that releases it, so that every return path, also the one
 * added next year, releases it once:
 *
 *     _cleanup_free_ char *name = strdup(s);
 *     _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
 *
 * and is handed over with TAKE_PTR or TAKE_FD, which leave nothing behind to release. Types of other modules define
 * their own with CLEANUP_FUNC beside their free function.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines cleanup_NAME(T **), which calls NAME on what the variable holds unless that is NULL. */
#define CLEANUP_FUNC(type, name)                                                                                       \
    static inline void cleanup_##name(type *p)                                                                         \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            name(*p);                                                                                                  \
    }

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define _cleanup_free_   _cleanup_(cleanup_free)
#define _cleanup_close_  _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* The value of the pointer, which the caller now owns; the variable becomes NULL. */
#define TAKE_PTR(p)                                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(p) taken_ = (p);                                                                                    \
        (p) = NULL;                                                                                                    \
        taken_;                                                                                                        \
    })

/* The same for a file descriptor; the variable becomes -1. */
#define TAKE_FD(fd)                                                                                                    \
    __extension__({                                                                                                    \
        int taken_ = (fd);                                                                                             \
        (fd) = -1;                                                                                                     \
        taken_;                                                                                                        \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that contains `member` at `ptr`: how a libuv handle finds its owner. (clang-formats disagree.) */
/* clang-format off */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */
