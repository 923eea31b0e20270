/*
 * command.h: the commands of etcd-backupctl, one row each. A row is the whole truth: --help, parsing and the manual
 * page are checked against it.
 */
#pragma once

#include <getopt.h>

#include "ctl/ctl.h"

struct command {
    const char *name;
    const char *help;             /* one line */
    const struct option *options; /* beside the common ones; ends with a zero row */
    const char *letters;          /* getopt's, of those options */
    const char *usage;            /* lines that explain the options, or "" */
    const char *argument;         /* what the one word is that it takes, "[...]" if it may be left out; NULL: none */
    bool asks_nobody;             /* no daemon, neither a running nor a private one */
    /* Takes one option; `letter` is its val. Returns -1 if the value is wrong, with a line printed. */
    int (*set)(int letter, const char *value);
    /* Does it; returns the exit status. */
    int (*run)(const struct ctl *ctl);
};

extern const struct command command_table[];
extern const unsigned command_count;
