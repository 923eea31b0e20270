/*
 * flat.h: a small file of `key: value` lines, read where it lies. Pure.
 *
 * Files with passwords are YAML, but a general YAML parser would leave copies of them all over the heap. What such
 * files look like is a small part of YAML, and this reads that part in the caller's locked memory, without a copy:
 *
 *     # comments, blank lines, `---` in front and `...` at the end
 *     username: backup                 plain, 'single' or "double" quoted keys and values, one pair a line
 *     {"username": "backup", ...}      the same in braces with the values in quotes, as JSON has it
 *
 * What it takes, YAML reads alike (the fuzz target holds it against libyaml); the rest of YAML is refused, never
 * misread. So is a comment behind a secret without quotes: one that has " #" in it would be cut there. No error
 * quotes any of the text: it may be the secret.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* A key that the file may have, and what was found. */
struct conf_flat_entry {
    const char *key;
    bool mandatory;
    bool secret;        /* nobody sees what was read of it */
    struct bytes value; /* points into the text; data is NULL if the key is not there */
    unsigned line;      /* of the value, from 1; 0: the key is not there */
    unsigned column;
    uint8_t quote; /* ' or ", 0 if there is none */
};

/*
 * Reads `len` bytes at `text` of the file `file` into entries[n], whose values must be empty. Quoted values are
 * unescaped in place, so the text is the file's no longer. Refused: unknown keys, keys twice, missing mandatory ones,
 * empty values of mandatory ones (others are as if they were not there), control characters. Errors: ERR_CONFIG with
 * the place.
 */
int conf_flat_parse(
        const char *file, struct conf_flat_entry *entries, size_t n, uint8_t *text, size_t len, struct err *e);
