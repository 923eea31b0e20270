/*
 * json.h: JSON that is written (RFC 8259), one object at a time.
 *
 *     bool first = true;
 *     json_text(out, &first, "name", name);      {"name":"..."
 *     json_number(out, &first, "size", size);    ,"size":12
 *     fputs("}\n", out);
 *
 * Errors are the stream's (ferror).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* `,"name":`, or `{"name":` for the first of an object; a value follows. */
void json_name(FILE *out, bool *first, const char *name);

/* A quoted string. What is not UTF-8, as a name in a bucket may be, becomes U+FFFD byte by byte. */
void json_string(FILE *out, const char *s);

void json_text(FILE *out, bool *first, const char *name, const char *value);
void json_number(FILE *out, bool *first, const char *name, uint64_t value);
void json_signed(FILE *out, bool *first, const char *name, int64_t value);
void json_bool(FILE *out, bool *first, const char *name, bool value);

/* RFC 3339 in UTC; null for 0, an instant that is not known. */
void json_instant(FILE *out, bool *first, const char *name, int64_t instant);
