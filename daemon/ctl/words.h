/*
 * words.h: what stands on a command line, as values. Each prints one line and returns -1 (or NULL) when it is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The words that the Go tool takes for a bool (strconv.ParseBool), also after a "=" that getopt leaves; NULL is true.
 */
int word_bool(const char *text, bool *value);

/* Which backup is meant. */
struct word_backup {
    bool is_given;    /* else the latest is meant */
    int64_t instant;  /* seconds since the epoch */
    const char *name; /* the object's whole name, if that was given; points into the text. Else "" */
};

/* A time stamp (timestamp_read), or the whole name of an object, as list shows it; nothing at all is the latest, as for
 * the Go tool. */
int word_backup(const char *text, struct word_backup *backup);

/* A whole number without a sign, at least 1. */
int word_count(const char *option, const char *text, uint64_t *value);

/* The daemon has another working directory than the person: an absolute path. The caller frees. */
char *word_path(const char *path);

/* A program: a path becomes absolute; a name that our PATH knows becomes the path of what we would run, another stays
 * for the daemon to look for. The caller frees. */
char *word_program(const char *name);
