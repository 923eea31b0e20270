/*
 * message_json.h: a message of proto/control.proto as JSON (RFC 8259), made from its descriptor: for programs, and for
 * the commands that hooks run. A field that is added to the protocol is in it, at the place of its number.
 *
 * A field has its name and stands in the order of the numbers. sfixed64 is an instant: RFC 3339 in UTC, null for 0; the
 * other numbers are numbers. A message that is not there is null. What the types do not say stands in the table of
 * exceptions in message_json.c. Errors are the stream's (ferror).
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

/* `{...}`. */
void message_json_write(FILE *out, const ProtobufCMessage *m);

/* The fields alone, into an object that has begun, or, with *first, that begins with them. */
void message_json_fields(FILE *out, bool *first, const ProtobufCMessage *m);
