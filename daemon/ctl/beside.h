/*
 * beside.h: what the running daemon says that its next backup's key would be, for a rotation by a private one: a daemon
 * that was not reloaded would go on making keys for those of before (job/rotate/beside.h).
 */
#pragma once

#include <stdbool.h>

#include "control.pb-c.h"

/*
 * Asks the daemon on `socket`, if one listens there. Returns whether one does; then `out` is what it said, or why it
 * could not be asked. Prints nothing. In either case the caller has it forgotten.
 */
bool beside_ask(const char *socket, Control__Beside *out);

/* Frees its texts. What is zero is fine. */
void beside_forget(Control__Beside *b);
