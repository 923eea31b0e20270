/*
 * program.h: another program, run on the loop: its output line by line, and how it ended.
 *
 * It gets no input unless it is given a file, our PATH and HOME, ETCDCTL_API=3 and nothing else of our environment (a
 * variable like ETCDCTL_ENDPOINTS in ours is for somebody else), and no descriptor that it is not given. It is a
 * session of its own, so that a ^C at our terminal is ours to react to; asked to end, its children are asked, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

struct program;

enum { TOOL_MORE = 2 };

struct program_spec {
    const char *const *args; /* args[0]: the path; ends with NULL. Copied by the kernel. */
    int inherit_fd;          /* becomes its descriptor 3; -1: none */
    int more_fds[TOOL_MORE]; /* become 4 and 5; -1: none. The first `n_more` of them count. */
    unsigned n_more;
    int input;         /* its standard input, if: */
    bool has_input;    /* else it gets none */
    uint64_t limit_ms; /* it is stopped after so long; 0: never; then: */
    uint64_t stall_ms; /* ... after it has done nothing for so long: no line, and no processor time of it and of what it
                        * has started (proc(5): all of its session); 0: never */
    void *ctx;
    void (*on_line)(void *ctx, const char *line); /* stdout and stderr; at most TOOL_LINE_MAX bytes of each line */
    /* Not NULL: stdout comes here as it is, and may be a secret: what passes here is wiped. on_line has stderr alone.
     */
    void (*on_output)(void *ctx, const uint8_t *data, size_t len);
    /* Once, never inside program_start, when the program has ended and said all; frees itself before. err NULL: it
     * ended with 0. Else ERR_CONFIG (an exit status other than 0: what it said last is in the text), ERR_TRANSIENT (a
     * signal, time), ERR_CANCELLED (program_stop). */
    void (*on_done)(void *ctx, const struct err *err);
};

enum { TOOL_LINE_MAX = 1000, TOOL_LINES_MAX = 10000 };

/* Starts it. Errors: ERR_NOT_FOUND, ERR_CONFIG (not to be executed), ERR_RESOURCE; naming the path. */
struct program *program_start(uv_loop_t *loop, const struct program_spec *spec, struct err *e);

/* Asks it to end (SIGTERM, after some seconds SIGKILL); on_done follows when it has. */
void program_stop(struct program *t);
