/*
 * json.h: results for programs, one object a line on stdout (RFC 8259). Field names are those of proto/control.proto;
 * instants are RFC 3339 in UTC, sizes bytes, spans of time milliseconds.
 */
#pragma once

#include "control.pb-c.h"

void json_failure(const char *kind, const char *text);
void json_entry(const Control__Entry *entry);
void json_verdict(const Control__Verdict *v);
void json_planned(const Control__Planned *p);
void json_done(const Control__Done *done);
