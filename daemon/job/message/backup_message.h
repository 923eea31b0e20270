/*
 * backup_message.h: a finished backup as the message of the control protocol: for the socket, and for the event of a
 * hook, which is made of the same fields. Pure.
 */
#pragma once

#include "control.pb-c.h"
#include "job/job.h"

/* `m` is initialised, and points into the result afterwards. */
void backup_message_fill(Control__BackupResult *m, const struct backup_result *r);
