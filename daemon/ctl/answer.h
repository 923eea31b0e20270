/*
 * answer.h: the last word of a command: whether what it wrote has gone to stdout.
 */
#pragma once

#include <stdbool.h>

/*
 * Returns the exit status: `status`, or CTL_FAILED in the place of CTL_DONE, which is told. A full disk must not look
 * like success, also if only what was written earlier met it. Where nobody can listen, since stdout was closed
 * (base/inherited.h) or is not open for writing, it depends: what was done is done, and only what is no more than an
 * answer (`is_answer`) has failed.
 */
int answer_end(int status, bool is_answer);
