#include "core/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum log_level threshold = LOG_INFO;

static const struct {
    const char *word;
    int priority; /* syslog(3) */
} levels[] = {
        [LOG_ERROR] = {"error", 3},
        [LOG_WARNING] = {"warning", 4},
        [LOG_INFO] = {"info", 6},
        [LOG_DEBUG] = {"debug", 7},
};

void log_set_threshold(enum log_level t)
{
    threshold = t;
}

/* JOURNAL_STREAM is "device:inode" of the stream that systemd connected (systemd.exec(5)); stderr may be another by
 * now. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t dev, ino;
    struct stat st;

    return stream && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == dev && st.st_ino == ino;
}

static size_t write_prefix(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm tm;
    char when[24];

    if (stderr_is_journal())
        return (size_t)snprintf(line, size, "<%d>", levels[level].priority);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(line, size, "%s.%03dZ %-7s ", when, (int)(now.tv_nsec / 1000000), levels[level].word);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[2048];
    size_t used;
    va_list ap;
    int n;

    if (level > threshold)
        return;
    used = write_prefix(line, sizeof(line), level);
    va_start(ap, fmt);
    n = vsnprintf(line + used, sizeof(line) - used - 1, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    used = strlen(line);
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[used++] = '\n';
    /* One write, so that lines of several processes on one stream do not mix. There is nobody to tell of a failure. */
    if (write(STDERR_FILENO, line, used) < 0)
        return;
}
