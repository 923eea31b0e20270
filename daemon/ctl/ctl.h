/*
 * ctl.h: what the files of etcd-backupctl share: the options of a call and the exit statuses.
 *
 *     main.c      options and the table of commands    connect.h  a daemon to talk to, running or private
 *     command.h   one function a command               talk.h     a request and its replies
 *     show.h      results for people                   results.h  results for programs
 *     rows.h      the tables of list, verify and prune
 *     text.h      what strangers wrote, made fit to be shown
 *     answer.h    whether that has gone to stdout
 *
 * No loop, no S3, no etcd: it asks a daemon and shows what it says. Of crypto it knows master keys alone: it makes
 * them, reads them for a rotation, and shows fingerprints.
 */
#pragma once

#include <stdbool.h>

/* Documented in the README and etcd-backupctl(8). */
enum {
    CTL_DONE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2, /* the command line or the configuration is wrong; nothing was tried */
    CTL_NO_DAEMON = 3,
    CTL_BUSY = 4,
    CTL_INTEGRITY = 5, /* a backup, or a snapshot, is not what it should be */
};

struct ctl {
    const char *socket; /* of a running daemon */
    bool socket_given;  /* rather than the default */
    const char *config; /* or: start a private one with this configuration; NULL: no */
    bool json;
    bool quiet;           /* no progress */
    const char *argument; /* the word of a command that takes one */
};
