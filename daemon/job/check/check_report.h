/*
 * check_report.h: where the parts of a check say what they found. For this room alone.
 */
#pragma once

#include "job/job.h"
#include "job/lifecycle.h"

enum { CHECK_SOON = 14 * 86400 }; /* a certificate that ends within so many seconds is worth a warning */

struct check_report {
    struct lifecycle *life;
    struct check_result result; /* counts */
};

/* One finding. `affects` names the commands that it concerns, "backup, prune"; "": none. */
void check_report_add(struct check_report *r, enum finding_mark mark, const char *subject, const char *what,
        const char *affects, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
