/*
 * brought.h: --identity, --data-key and --allow-unvouched: what a person brings along to open backups that are sealed.
 * It is read here, with the person's rights, and goes to the daemon as master keys do, when that has shown whose it is.
 */
#pragma once

#include <stdbool.h>

#include "control.pb-c.h"
#include "ctl/ctl.h"

enum { OPT_IDENTITY = 1024, OPT_DATA_KEY, OPT_ALLOW_UNVOUCHED };

/* As rows of a command's options, and as lines of its usage. */
#define BROUGHT_OPTIONS                                                                                                \
    {"identity", required_argument, NULL, OPT_IDENTITY},                                                               \
    {                                                                                                                  \
        "allow-unvouched", no_argument, NULL, OPT_ALLOW_UNVOUCHED                                                      \
    }
#define BROUGHT_USAGE                                                                                                  \
    "      --identity FILE          age's secret keys, which open what is sealed to their recipients; -: standard "    \
    "input\n"                                                                                                          \
    "      --allow-unvouched        accept a sealed backup that no master key here vouches for\n"

/* Takes one of the options. Returns whether it is one. */
bool brought_set(int letter, const char *value);

/* Reads what was given. `*out` becomes `m`, which points into memory that is wiped when the process ends, or NULL:
 * nothing was. Returns CTL_DONE, or the exit status, with a line printed. */
int brought_read(const struct ctl *ctl, Control__Brought *m, Control__Brought **out);
