#include "core/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "core/log_queue.h"

enum { STACK_SIZE = 256 << 10 };

/* What log_start made; all of it below the mutex. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t filled, emptied;
    struct log_queue queue;
    bool has_thread;
    bool is_writing; /* a line was taken out and is on its way */
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

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

/* Makes one line of what is written so far. Returns its length with the '\n'. */
static size_t finish_line(char line[LOG_LINE_MAX])
{
    size_t len = strlen(line);

    utf8_clean(line);
    line[len++] = '\n';
    return len;
}

/* ---- the thread ---- */

/* One write where it can be, so that lines of several processes on one stream do not mix. There is nobody to tell of a
 * failure. */
static void write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);

        if (n > 0) {
            line += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) { /* somebody who shares the open file has made it so */
            struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

            (void)poll(&fd, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

static size_t gap_line(char line[LOG_LINE_MAX], uint64_t dropped)
{
    size_t used = write_prefix(line, LOG_LINE_MAX, LOG_WARNING);

    (void)snprintf(line + used, LOG_LINE_MAX - used - 1,
            "%" PRIu64 " lines of the log are missing here: whoever reads stderr did not keep up", dropped);
    return finish_line(line);
}

/* With the mutex. A gap is told where it is: before the next line, or when all before it are written. */
static size_t take_line(char line[LOG_LINE_MAX])
{
    size_t len = log_queue_take(&writer.queue, line);

    if (len == 0 && writer.queue.dropped > 0) {
        len = gap_line(line, writer.queue.dropped);
        writer.queue.dropped = 0;
    }
    return len;
}

static void *run_writer(void *unused)
{
    char line[LOG_LINE_MAX];
    size_t len;

    (void)unused;
    (void)pthread_mutex_lock(&writer.mutex);
    for (;;) {
        while ((len = take_line(line)) == 0) {
            (void)pthread_cond_broadcast(&writer.emptied);
            (void)pthread_cond_wait(&writer.filled, &writer.mutex);
        }
        writer.is_writing = true;
        (void)pthread_mutex_unlock(&writer.mutex);
        write_line(line, len);
        (void)pthread_mutex_lock(&writer.mutex);
        writer.is_writing = false;
    }
    return NULL;
}

/* With the mutex: is anything still to be written? */
static bool is_pending(void)
{
    return writer.is_writing || writer.queue.len > 0 || writer.queue.dropped > 0;
}

void log_start(void)
{
    pthread_condattr_t monotonic;
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    struct stat st;

    if (writer.has_thread || (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode)))
        return;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&writer.emptied, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    (void)sigfillset(&all); /* signals are for the loop's thread */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    writer.has_thread = pthread_create(&thread, &attributes, run_writer, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
}

void log_flush(unsigned ms)
{
    struct timespec until;

    if (!writer.has_thread)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&writer.mutex);
    while (is_pending() && pthread_cond_timedwait(&writer.emptied, &writer.mutex, &until) == 0)
        ;
    (void)pthread_mutex_unlock(&writer.mutex);
}

/* ---- who logs ---- */

static void queue_line(const char *line, size_t len)
{
    char gap[LOG_LINE_MAX];

    (void)pthread_mutex_lock(&writer.mutex);
    if (writer.queue.dropped > 0) {
        size_t gap_len = gap_line(gap, writer.queue.dropped);

        /* Both or neither: behind a gap that is not told there is no line. */
        if (log_queue_fits(&writer.queue, gap_len + len)) {
            log_queue_put(&writer.queue, gap, gap_len);
            writer.queue.dropped = 0;
        } else {
            writer.queue.dropped++;
            len = 0;
        }
    }
    if (len > 0)
        log_queue_put(&writer.queue, line, len);
    (void)pthread_cond_signal(&writer.filled);
    (void)pthread_mutex_unlock(&writer.mutex);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
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
    used = finish_line(line);
    if (writer.has_thread)
        queue_line(line, used);
    else
        write_line(line, used);
}
