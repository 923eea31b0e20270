/*
 * edited_db.h: a small bbolt file from the bytes of a fuzz input: either they are one, or, where the first is 'M', the
 * second chooses a made-up one (tests/unit/bolt/made_up.h) and the others are edits of it, six bytes each: the page,
 * two of where in it, two of what is put there, and how.
 */
#pragma once

#include "base/bytes.h"

/* malloc'd, of exactly this size. */
struct bytes edited_db_make(const uint8_t *data, size_t len);

void edited_db_free(struct bytes db);
