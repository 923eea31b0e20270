/*
 * structure.h: whether a file has the keys that the schema wants: none that it does not know, all that it must have,
 * and values, lists and sections where they belong. What the values say is value.h's matter.
 */
#pragma once

#include "base/err.h"
#include "conf/positions.h"
#include "conf/schema.h"

/* Errors: ERR_CONFIG with the place of the first that is wrong, in the order of the file; what is missing comes last.
 */
int conf_structure_check(const struct conf_positions *p, struct err *e);

/* Refuses the absence of `key`, at the innermost section that is there. Returns -1. */
int conf_structure_missing(const struct conf_positions *p, const struct conf_schema_key *key, struct err *e);
