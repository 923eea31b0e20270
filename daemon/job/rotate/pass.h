/*
 * pass.h: one pass of a rotation over all keys, several at a time: each is rewrapped, or, in a dry run and where that
 * is done already, only looked at.
 *
 * A pass changes nothing that it did not read (rewrap.h), so another may follow until one finds nothing to do. Failures
 * that are not the key's own (no network, no rights) end it, if there are too many in a row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "job/job.h"
#include "job/keys/key_form.h"
#include "job/keys/key_opener.h"
#include "job/rotate/key_list.h"
#include "job/rotate/rewrap.h"

struct pass;

struct pass_spec {
    struct core *core;               /* acquired; borrowed, as all that follows, until the end */
    struct key_list *keys;           /* is_rotated is set */
    const struct key_opener *opener; /* as in rewrap.h */
    const struct key_form *form;
    bool only_looks;
    bool is_first;                /* of those that follow, keys that were done before are none that were found so */
    struct rotate_result *result; /* rotated, already, bound and failed are added to */
    void *ctx;
    void (*on_progress)(void *ctx, size_t done);                  /* keys */
    void (*on_failed)(void *ctx, const struct unrotated *failed); /* one of them */
    void (*on_done)(void *ctx);                                   /* once unless freed */
};

/* How it went, so far. */
struct pass_state {
    size_t ended;        /* keys that were looked at */
    size_t changed;      /* that were not what they should be */
    unsigned alike;      /* failures in a row that are not the key's own, at the end */
    unsigned not_opened; /* because nothing that was handed over opens it */
    bool is_of_previous; /* a key was wrapped by the previous one, or vouched for, or says that it was */
};

/* The caller frees. Errors: ERR_RESOURCE. */
struct pass *pass_new(const struct pass_spec *spec, struct err *e);

/* Once. on_done follows. False: it is over at once, and that does not follow. */
bool pass_start(struct pass *p);

const struct pass_state *pass_state(const struct pass *p);

/* Cancels what runs. NULL is fine. */
void pass_free(struct pass *p);
