/*
 * rewrap_mark.h: the trace that a rotation leaves at a key's object, as metadata: key_mark of the master key that it
 * was wrapped by before. Who writes it is rewrap.c; who reads it knows that this master key was rotated away.
 */
#pragma once

#include <stdbool.h>

#include "base/secret.h"
#include "s3/request.h"

#define REWRAP_MARK "rotated-from"

/* And what a sealed one carries to be told from that which it has replaced (sealed_key_proof). */
#define REWRAP_PROOF "same-data-key"

/* What it says under that name; "" if nothing. Borrowed from the answer. */
const char *rewrap_mark_text(const struct s3_response *res, const char *name);

/* Whether the answer carries the mark that `master`, a master key, makes for the bytes `wrapped`. */
bool rewrap_mark_is_of(const struct s3_response *res, const struct secret *master, struct bytes wrapped);
