/*
 * metrics_page.h: the page that Prometheus reads (exposition format 0.0.4). Pure.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "core/certificates.h"
#include "jobs.h"
#include "timer/cycle.h"

enum { METRICS_KINDS = ERR_CANCELLED + 1 };

/* What is counted while the process lives. */
struct metrics_counts {
    uint64_t successes;
    uint64_t failures[METRICS_KINDS]; /* of backups, by err_kind */
    uint64_t bytes;                   /* of snapshots that were backed up */
    uint64_t attempts;
    uint64_t read_ms; /* that etcd's read transactions were open */
    uint64_t pruned, prune_failures;
    uint64_t last_size;        /* bytes; 0: none yet */
    uint64_t last_stored_size; /* bytes of its object */
    uint64_t last_duration_ms; /* of a success */
    bool members_compared;     /* by a backup that succeeded; and the last that did so: */
    bool members_diverge;
};

struct metrics_facts {
    struct metrics_counts counts;
    struct cycle_state cycle;
    const struct jobs_state *jobs;
    const struct certificate_file *certificates;
    size_t n_certificates;
    bool expires;               /* the bucket's credentials do, or there are none */
    int64_t credentials_expire; /* seconds since the epoch; 0: there are none */
    uint64_t max_age;           /* health.max_age, seconds; 0: any */
};

void metrics_page_write(FILE *out, const struct metrics_facts *facts);

/* "ok" and 200, or one line that says what is wrong and 503. `max_age` in seconds, 0: any; `out` has room for
 * ERR_TEXT_MAX bytes. Returns the HTTP status. */
int metrics_page_health(const struct cycle_state *cycle, uint64_t max_age, int64_t now, char *out);
