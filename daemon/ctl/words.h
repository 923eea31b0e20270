/*
 * words.h: what stands on a command line, as values. Each prints one line and returns -1 (or NULL) when it is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The words that the Go tool takes for a bool (strconv.ParseBool), also after a "=" that getopt leaves; NULL is true.
 */
int word_bool(const char *text, bool *value);

/* RFC 3339; seconds since the epoch. */
int word_instant(const char *text, int64_t *instant);

/* A whole number without a sign, at least 1. */
int word_count(const char *option, const char *text, uint64_t *value);

/* The daemon has another working directory than the person: an absolute path. The caller frees. */
char *word_path(const char *path);

/* A program: a path becomes absolute; a name that our PATH knows becomes the path of what we would run, another stays
 * for the daemon to look for. The caller frees. */
char *word_program(const char *name);
