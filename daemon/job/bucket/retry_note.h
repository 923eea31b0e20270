/*
 * retry_note.h: a request to S3 that failed and is tried again, in words for the person who waits.
 */
#pragma once

#include "s3/request.h"

enum { RETRY_NOTE_MAX = ERR_TEXT_MAX + 64 };

/* One line: why, when the next attempt follows, and how long that goes on. Returns out. */
const char *retry_note(const struct s3_retry *retry, char out[RETRY_NOTE_MAX]);
