/*
 * raw.h: the texts of all values, as libcyaml loads them.
 *
 * libcyaml's own numbers are not strict and it has no defaults, so each value is loaded as text, and a value that is
 * left out as NULL. Its schema is built from our table (schema.h), so there is no second list of keys to keep in step.
 * structure.h has checked the file before: what libcyaml refuses after that is a fault of ours, which it tells.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "conf/positions.h"

/* What stands at one key: a text, or a list of them. */
struct conf_raw_value {
    char *text; /* NULL: left out, or a list */
    char **items;
    uint32_t n_items;
};

struct conf_raw;

/* Loads `text`, whose keys are `positions`: those without a value are passed over. The caller frees. Errors:
 * ERR_RESOURCE, ERR_CONFIG naming `file`. */
struct conf_raw *conf_raw_load(
        const char *file, struct bytes text, const struct conf_positions *positions, struct err *e);

/* The value of row `i` of the schema. Valid until conf_raw_free. */
const struct conf_raw_value *conf_raw_value(const struct conf_raw *raw, size_t i);

/* NULL is fine. */
void conf_raw_free(struct conf_raw *raw);
CLEANUP_FUNC(struct conf_raw *, conf_raw_free)
