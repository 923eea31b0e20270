/*
 * ask.h: one request put to the daemon, and all that it answers shown to the person, or to a program with --json.
 */
#pragma once

#include <stdbool.h>

#include "control.pb-c.h"
#include "ctl/ctl.h"

/* Returns the exit status. With `with_progress` a terminal sees a bar. */
int ask(const struct ctl *ctl, Control__Request *request, bool with_progress);
