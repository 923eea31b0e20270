/*
 * etcd_probe_options.h: what etcd_probe can be asked for.
 *
 *     etcd_probe [OPTION...] ENDPOINT... status           the session's member
 *     etcd_probe [OPTION...] ENDPOINT... rotate           the same with each member blamed, until one comes again
 *     etcd_probe [OPTION...] ENDPOINT... snapshot FILE    the stream into FILE, and Status before and after
 *
 *     --ca --cert --key FILE, --user NAME, --password-file FILE, --window BYTES, --chunk BYTES
 *     --timeout MS           both of connecting and of progress
 *     --stop-at BYTES        when so many have been consumed: says so and consumes no more, until SIGURG; 0: before it
 *                            starts
 *     --cancel-at BYTES      when so many have been consumed: frees the snapshot and ends the session
 *     --again N              after a snapshot was cancelled: N more in the same session, the last to its end
 *     --attempts N           of a snapshot, each with a session of its own; failed members are blamed
 *     --sessions N           so many snapshots that go well, each with a session of its own
 *     --quit-in CALLBACK     closes everything within this callback: session_failed, ready, begin, readable, end,
 * failed, status
 *     --fail-allocation N    the N-th of ours
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "etcd/client.h"

struct probe_options {
    struct etcd_conf conf;
    const char *command, *file, *user, *password_file, *quit_in;
    size_t chunk;
    uint64_t stop_at, cancel_at; /* UINT64_MAX: never */
    unsigned long attempts, again, sessions;
    size_t fail_allocation; /* 0: none */
};

/* Texts point into argv. 0, or -1 for a wrong command line. */
int probe_options_read(struct probe_options *o, int argc, char **argv);
