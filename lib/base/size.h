/*
 * size.h: numbers of bytes as people write them.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * "8MiB", "512KiB", "5GiB", "1TiB", "16MB" (powers of ten), "1048576", also "1048576B". Bytes into *bytes. Digits only,
 * no fraction, no spaces. Errors: ERR_CONFIG, quoting `text`, also when it does not fit.
 */
int size_parse(const char *text, uint64_t *bytes, struct err *e);

enum { SIZE_TEXT_MAX = 24 };

/* For a person: "0 B", "999 B", "1.0 MiB", "1.14 GiB". Returns out. */
char *size_format(uint64_t bytes, char out[SIZE_TEXT_MAX]);
