/*
 * log.h: one line an event, to stderr. Only the daemon logs; libraries return errors.
 *
 * Under systemd (JOURNAL_STREAM names our stderr, sd-daemon(3)) lines carry its priority prefix "<6>" and no time,
 * which the journal adds; else they begin with the time in UTC. Control characters are replaced, so that a line stays
 * one.
 */
#pragma once

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Messages above `threshold` are dropped. Before the first call the threshold is LOG_INFO. */
void log_set_threshold(enum log_level threshold);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
