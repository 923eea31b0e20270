/*
 * log.h: one line an event, to stderr. Only the daemon logs; libraries return errors.
 *
 * Under systemd (JOURNAL_STREAM names our stderr, sd-daemon(3)) lines carry its priority prefix "<6>" and no time,
 * which the journal adds; else they begin with the time in UTC. Control characters are replaced, so that a line stays
 * one.
 *
 * Nobody waits for whoever reads them. A pipe, a socket or a terminal may be read by somebody who stands still, and
 * O_NONBLOCK is no way out: it belongs to the open file, which others share. So lines for those go through a queue of
 * bounded size to a thread of their own, which may block. Lines that do not fit are dropped and counted, and how many
 * they were stands in their place once it goes on. A regular file is written to at once.
 */
#pragma once

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Messages above `threshold` are dropped. Before the first call the threshold is LOG_INFO. */
void log_set_threshold(enum log_level threshold);

/* From here on no line is waited for. Without it, and where no thread can be had, lines are written by who logs them.
 * Once a process. */
void log_start(void);

/* Gives what is queued at most `ms` to be written. For the end: before exit and _exit. */
void log_flush(unsigned ms);

/* From any thread. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
