/*
 * inherited.h: what a program gets from whoever started it without having asked for it. Called first thing in main.
 *
 * - Descriptors 0, 1 and 2 that are closed would be taken by the next files, sockets and pipes that are opened, and a
 *   line for a person would go there. Each gets /dev/null; 1 only for reading, so that what is written fails as it
 *   would have: whoever was asked for an answer must not take it for given.
 * - The signal mask and SIGCHLD that is ignored outlive exec(2) (POSIX, exec): a blocked SIGTERM is never heard, and a
 *   child whose parent ignores SIGCHLD leaves no status. Nothing is blocked afterwards, and what is ignored has its
 *   default again, but for what nohup(1) and shells ignore on purpose: SIGHUP, SIGINT, SIGQUIT, and those of job
 *   control.
 * - A limit on the size of files (RLIMIT_FSIZE) would end the program in mid write, with half a file left behind.
 *   SIGXFSZ is ignored: the write fails with EFBIG, and is handled as on a full disk (POSIX, write).
 */
#pragma once

/* Returns -1 with errno if a descriptor that is missing could not be made; there may be nowhere to tell it. */
int inherited_clean(void);
