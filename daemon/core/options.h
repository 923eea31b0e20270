/*
 * options.h: the command line of etcd-backupd.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/purpose.h"

/* The words that etcd-backupctl has for them stand in core/purpose.h. */
struct options {
    const char *config;
    bool check_config;     /* look at the configuration and leave */
    int control_fd;        /* serve one client on this descriptor and leave with it; -1: listen on the socket */
    enum purpose purpose;  /* with control_fd: what that client is going to ask for */
    uint64_t idle_exit_ms; /* of one that was started by its socket and has no schedule */
};

/* Fills *o. Returns -1 to go on, else the exit status to leave with (0 after --help and --version, 1 if those
 * could not be written, 2 for a mistake). */
int options_parse(int argc, char **argv, struct options *o);
