/*
 * check_machine.h: what can be seen without asking anybody: certificates, space, the schedule against what is kept,
 * what the configuration is warned of at each start, and whether the service is there for it. At once.
 */
#pragma once

#include "job/check/check_report.h"

void check_machine(struct core *core, struct check_report *report);
