/*
 * jobs_log.h: what the log says of jobs: what they tell while they run, and one line for the end of each. For jobs.c.
 */
#pragma once

#include "base/err.h"
#include "job/job.h"

/* As the sink of job.h is told; `job` is its name in jobs.h. */
void jobs_log_note(const char *job, const char *text);
void jobs_log_output(const char *job, const char *line);
void jobs_log_verdict(const struct verdict *v);
void jobs_log_planned(const struct planned *planned);
void jobs_log_unrotated(const struct unrotated *u);

/* It has done what it was asked for. */
void jobs_log_result(const struct job_result *result);

/* It has failed, or was cancelled; the result, or NULL, says how far it came. */
void jobs_log_failure(const char *job, const struct job_result *result, const struct err *err);

/* What is fine is not worth a line. */
void jobs_log_finding(const struct finding *f);
