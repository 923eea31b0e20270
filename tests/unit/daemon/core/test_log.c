/*
 * The log, with a pipe for stderr whose other end is ours. log_start is for once a process, so each case is a child
 * that logs, and this process is who reads.
 */
#include "expect.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "core/log_queue.h"

enum { FILLED = 1 << 20, LINES = 5000 };

struct child {
    pid_t pid;
    int stderr_end; /* what it logs into */
    int our_end;
    int news; /* a byte when it has come so far */
};

static struct child start(void (*run)(int news), int ends[2])
{
    struct child c = {.stderr_end = ends[1], .our_end = ends[0]};
    int news[2];

    assert_int_equal(pipe(news), 0);
    (void)fflush(NULL);
    c.pid = fork();
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        close(news[0]);
        close(ends[0]);
        if (dup2(ends[1], STDERR_FILENO) < 0)
            _exit(99);
        close(ends[1]);
        run(news[1]);
        _exit(0);
    }
    close(news[1]);
    c.news = news[0];
    return c;
}

static struct child start_with_pipe(void (*run)(int news))
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    return start(run, ends);
}

/* All that comes until the end. The caller frees. */
static char *read_all(struct child *c)
{
    char *text = calloc(1, FILLED);
    size_t len = 0;
    ssize_t n;

    assert_non_null(text);
    close(c->stderr_end);
    while ((n = read(c->our_end, text + len, FILLED - 1 - len)) > 0)
        len += (size_t)n;
    close(c->our_end);
    return text;
}

static void wait_for_news(const struct child *c)
{
    char byte;

    assert_int_equal(read(c->news, &byte, 1), 1);
}

static void end(struct child *c)
{
    int status;

    close(c->news);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void tell(int news)
{
    if (write(news, "", 1) != 1)
        _exit(98);
}

/* Every line is whole: it is the one that is expected next, or says how many are missing. Returns how many those are.
 */
static unsigned check_lines(char *text, unsigned n_lines)
{
    unsigned next = 0, missing, all_missing = 0, number;

    for (char *line = text, *stop; *line; line = stop + 1) {
        const char *body;

        stop = strchr(line, '\n');
        assert_non_null(stop);
        *stop = '\0';
        assert_true(strlen(line) > 33);
        body = line + 33; /* "2026-01-01T00:00:00.000Z info    " */
        if (sscanf(body, "line %u", &number) == 1) {
            assert_int_equal(number, next);
            next++;
            continue;
        }
        assert_int_equal(sscanf(body, "%u lines of the log are missing here: ", &missing), 1);
        assert_non_null(strstr(line, " warning "));
        next += missing;
        all_missing += missing;
    }
    assert_int_equal(next, n_lines);
    return all_missing;
}

static void log_lines(int news)
{
    log_start();
    for (unsigned i = 0; i < LINES; i++)
        log_info("line %u %064d", i, 0);
    tell(news); /* nobody has read anything yet */
    log_flush(60000);
}

static void test_a_reader_that_stands_still(void **state)
{
    struct child c = start_with_pipe(log_lines);
    char *text;

    (void)state;
    wait_for_news(&c);
    text = read_all(&c);
    end(&c);
    assert_true(check_lines(text, LINES) > 0);
    free(text);
}

/* As the journal's: a socket. */
static void test_a_socket(void **state)
{
    struct child c;
    int ends[2];
    char *text;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    c = start(log_lines, ends);
    wait_for_news(&c);
    text = read_all(&c);
    end(&c);
    (void)check_lines(text, LINES);
    free(text);
}

static void log_again(int news)
{
    log_lines(news);
    log_info("line %u", LINES);
    log_flush(60000);
}

static void test_it_goes_on(void **state)
{
    struct child c = start_with_pipe(log_again);
    char *text;

    (void)state;
    wait_for_news(&c);
    text = read_all(&c);
    end(&c);
    assert_true(check_lines(text, LINES + 1) > 0);
    free(text);
}

/* Somebody who shares the open file has made it non-blocking. */
static void test_nonblocking(void **state)
{
    struct child c;
    int ends[2];
    char *text;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    c = start(log_lines, ends);
    wait_for_news(&c);
    text = read_all(&c);
    end(&c);
    (void)check_lines(text, LINES);
    free(text);
}

static void log_and_leave(int news)
{
    log_start();
    for (unsigned i = 0; i < LINES; i++)
        log_info("line %u %064d", i, 0);
    log_flush(1);
    tell(news);
}

/* The end does not wait for ever. */
static void test_nobody_reads(void **state)
{
    struct child c = start_with_pipe(log_and_leave);

    (void)state;
    wait_for_news(&c);
    end(&c);
    close(c.stderr_end);
    close(c.our_end);
}

static void log_to_file(int news)
{
    char line[128] = "";
    int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);

    if (file < 0 || dup2(file, STDERR_FILENO) < 0)
        _exit(97);
    log_start();
    log_warning("one\nline");
    /* There when log_write returns. */
    if (pread(file, line, sizeof(line) - 1, 0) < 0 || !strstr(line, " warning one?line\n"))
        _exit(96);
    tell(news);
}

static void test_a_file(void **state)
{
    struct child c = start_with_pipe(log_to_file);

    (void)state;
    wait_for_news(&c);
    end(&c);
    close(c.stderr_end);
    close(c.our_end);
}

/* ---- the queue alone ---- */

static void test_queue(void **state)
{
    struct log_queue *q = calloc(1, sizeof(*q));
    char line[LOG_LINE_MAX], out[LOG_LINE_MAX];
    unsigned in = 0, taken = 0;

    (void)state;
    assert_non_null(q);
    assert_int_equal(log_queue_take(q, out), 0);
    for (unsigned round = 0; round < 3; round++) { /* so that lines lie over the ring's end, too */
        for (;;) {
            int len = snprintf(line, sizeof(line), "%u%0*u\n", in, (int)(in * 7 % 1900), 0);

            if (!log_queue_fits(q, (size_t)len))
                break;
            log_queue_put(q, line, (size_t)len);
            in++;
        }
        log_queue_put(q, line, LOG_LINE_MAX);
        assert_int_equal(q->dropped, round + 1);
        for (unsigned n = 0; n < 40; n++, taken++) {
            size_t len = log_queue_take(q, out);

            assert_int_equal(len, snprintf(line, sizeof(line), "%u%0*u\n", taken, (int)(taken * 7 % 1900), 0));
            assert_memory_equal(out, line, len);
        }
    }
    while (log_queue_take(q, out) > 0)
        taken++;
    assert_int_equal(taken, in);
    assert_int_equal(q->len, 0);
    free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_reader_that_stands_still),
            cmocka_unit_test(test_a_socket),
            cmocka_unit_test(test_it_goes_on),
            cmocka_unit_test(test_nonblocking),
            cmocka_unit_test(test_nobody_reads),
            cmocka_unit_test(test_a_file),
            cmocka_unit_test(test_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
