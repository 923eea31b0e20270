/*
 * log_queue.h: lines that wait for whoever reads stderr, in order; a ring of bytes and nothing else. Not for several
 * threads by itself: log.c has a mutex around it.
 *
 * What does not fit is dropped and counted. Nothing is put in behind a gap before the gap was told: who puts a line in,
 * or finds the queue empty, asks log_queue_dropped first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_LINE_MAX = 2048, LOG_QUEUE_SIZE = 128 << 10 };

struct log_queue {
    char bytes[LOG_QUEUE_SIZE];
    size_t begin, len;
    uint64_t dropped; /* since it was last told */
};

/* Whether `len` more bytes fit. */
bool log_queue_fits(const struct log_queue *q, size_t len);

/* Puts in a line of 1 to LOG_LINE_MAX bytes, with its '\n' at the end and no other, or counts it as dropped. */
void log_queue_put(struct log_queue *q, const char *line, size_t len);

/* Takes the oldest line out. Returns its length, 0 if there is none. */
size_t log_queue_take(struct log_queue *q, char line[LOG_LINE_MAX]);
