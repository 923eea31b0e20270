/*
 * text.h: texts of strangers. The names of objects are made by whoever may write to the bucket, and what a server says
 * by the server: shown on a terminal as they are, they could move its cursor, or worse. Pure.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

/* Writes it as one clean line, without the line's end (utf8_clean). */
void text_put(FILE *out, const char *s);

/* Makes one clean line of each text of a message, and of those within it, that was unpacked from bytes. */
void text_clean_message(ProtobufCMessage *m);
