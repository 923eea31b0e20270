/*
 * secret.h: bytes that must not leak: keys, passwords, tokens.
 *
 * They live in libsodium's guarded memory: locked (never swapped), left out of core dumps, between guard pages, and
 * overwritten when freed. A secret never appears in an error, a log line or an argument; what compares secrets uses
 * secret_equal. sodium_init must have been called (main does, tests do).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

struct secret;

/* `len` zero bytes, len >= 0. The caller frees. Errors: ERR_RESOURCE (no memory, or RLIMIT_MEMLOCK forbids locking). */
struct secret *secret_new(size_t len, struct err *e);

/* A copy of `data`. The caller wipes its own. */
struct secret *secret_copy(const void *data, size_t len, struct err *e);

/* *to becomes a copy of `from`, which the caller frees, or NULL where that is NULL. Errors: ERR_RESOURCE. */
int secret_clone(const struct secret *from, struct secret **to, struct err *e);

/*
 * Reads a whole file, at most `max` bytes. Refused with ERR_CONFIG, naming the path and never the content: not a
 * regular file (a directory, a FIFO), longer than max, and, with `private_only`, readable or writable by others than
 * the owner and its group (mode & 0007). Missing files are ERR_NOT_FOUND. A file that systemd's LoadCredential= made
 * passes.
 */
struct secret *secret_read_file(const char *path, size_t max, bool private_only, struct err *e);

/* From here on files that are open to all users are read all the same, with private_only, too: for a process that reads
 * for the person who has started it, and tells them. */
void secret_allow_open_files(void);

/* Valid until secret_free; writable for whoever fills it. */
uint8_t *secret_data(struct secret *s);
const uint8_t *secret_const_data(const struct secret *s);
size_t secret_len(const struct secret *s);

/* Shortens to `len` bytes, len <= secret_len; the tail is wiped. */
void secret_truncate(struct secret *s, size_t len);

/* In time that depends on the lengths alone. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* Wipes and releases; NULL is fine. */
void secret_free(struct secret *s);

CLEANUP_FUNC(struct secret *, secret_free)
#define _cleanup_secret_ _cleanup_(cleanup_secret_free)

/* Overwrites memory that is not a struct secret in a way that the compiler keeps. */
void secret_wipe(void *p, size_t len);
