/*
 * options.h: the command line of etcd-backupd.
 */
#pragma once

#include <stdbool.h>

struct options {
    const char *config;
    bool check_config; /* look at the configuration and leave */
    int control_fd;    /* serve one client on this descriptor and leave with it; -1: listen on the socket */
};

/* Fills *o. Returns -1 to go on, else the exit status to leave with (0 after --help and --version, 2 for a mistake). */
int options_parse(int argc, char **argv, struct options *o);
