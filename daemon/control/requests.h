/*
 * requests.h: what a client asks for, checked, as what a job takes. Pure.
 *
 * The daemon writes, deletes and starts programs with its own rights, which a member of control.group does not have: he
 * is not `trusted`, as root and the daemon's own user are. The results point into the message.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "control.pb-c.h"
#include "job/look/look.h"
#include "job/prune/prune.h"
#include "job/restore/restore.h"
#include "job/rotate/rotate.h"
#include "job/verify/verify.h"

/* Errors: ERR_AUTH (not for him), ERR_CONFIG (no absolute path). */
int requests_restore(const Control__Restore *m, const struct conf *conf, bool is_trusted, struct restore_request *out,
        struct err *e);
int requests_verify(
        const Control__Verify *m, const struct conf *conf, bool is_trusted, struct verify_request *out, struct err *e);
int requests_prune(
        const Control__Prune *m, const struct conf *conf, bool is_trusted, struct prune_request *out, struct err *e);

int requests_look(
        const Control__Look *m, const struct conf *conf, bool is_trusted, struct look_request *out, struct err *e);

/* *previous and *next are what `out` points to: the caller frees them, and clears out->brought. Also ERR_RESOURCE. */
int requests_rotate(const Control__RotateKey *m, bool is_trusted, struct rotate_request *out, struct secret **previous,
        struct secret **next, struct err *e);
