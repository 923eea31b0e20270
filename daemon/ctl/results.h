/*
 * results.h: results for programs, one object a line on stdout (RFC 8259). Field names are those of
 * proto/control.proto; instants are RFC 3339 in UTC, sizes bytes, spans of time milliseconds.
 */
#pragma once

#include "control.pb-c.h"

void results_failure(const char *kind, const char *text);
void results_entry(const Control__Entry *entry);
void results_verdict(const Control__Verdict *v);
void results_planned(const Control__Planned *p);
void results_unrotated(const Control__Unrotated *u);
void results_finding(const Control__Finding *f);
void results_key(const char *file, const char *kind, const char *name); /* kind: "fingerprint", "recipient" */
void results_done(const Control__Done *done);
