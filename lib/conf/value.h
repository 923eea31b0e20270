/*
 * value.h: what a value says: from its text to the member of struct conf that its row of the schema names.
 *
 * Strict on purpose, where libcyaml is not (it takes `15d` for 15 and `010` for 8): all of the text must be what the
 * kind wants, within the limits of the row.
 */
#pragma once

#include "base/err.h"
#include "conf/conf.h"
#include "conf/schema.h"

/*
 * Sets the member of *c that `key` names, which was unset, from `text`; for a list, adds an item. Strings are copied.
 * Errors: ERR_CONFIG, a text without a place; ERR_RESOURCE.
 */
int conf_value_set(struct conf *c, const struct conf_schema_key *key, const char *text, struct err *e);

/* Releases what conf_value_set made for `key`. */
void conf_value_free(struct conf *c, const struct conf_schema_key *key);
