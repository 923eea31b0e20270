/*
 * text.h: texts of strangers. The names of objects are made by whoever may write to the bucket, and what a server says
 * by the server: shown on a terminal as they are, they could move its cursor, or worse. Pure.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

/* Makes one clean line of it, in place: control characters, C1 too, and what is not UTF-8 become '?'. */
void text_clean(char *s);

/* The same for all texts of a message, and of those within it, that was unpacked from bytes. */
void text_clean_message(ProtobufCMessage *m);
