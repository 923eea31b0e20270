/*
 * place.h: where something stands in a file, and the one line that says what is wrong there:
 *
 *     FILE:LINE:COLUMN: s3_client.region: what is wrong
 *
 * Everything in conf that objects does so through here, so that all objections look alike. Lines and columns count from
 * 1; a column is a character (not a byte), as editors show it.
 */
#pragma once

#include "base/err.h"

struct conf_place {
    const char *file; /* as the user wrote it */
    unsigned line;
    unsigned column;
    const char *key; /* dotted, NULL or "" if it is about no key */
};

/* The place, then the text. ERR_CONFIG; returns -1. */
int conf_place_error(struct err *e, const struct conf_place *at, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Puts the place in front of an error that was set without one. What is missing or wrong on this machine is a matter of
 * the configuration here, so all but ERR_RESOURCE becomes ERR_CONFIG. Returns -1. */
int conf_place_prepend(struct err *e, const struct conf_place *at);
