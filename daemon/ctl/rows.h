/*
 * rows.h: the tables of list, verify, prune and check, a row each. A header goes before the first row, whose name says
 * how wide names are. They fit the terminal (table.h).
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "control.pb-c.h"

void rows_entry_header(const Control__Entry *first);
void rows_entry(const Control__Entry *e, int64_t now);
void rows_verdict_header(FILE *table, const Control__Verdict *first);
void rows_verdict(FILE *table, const Control__Verdict *v);
void rows_planned_header(const Control__Planned *first);
void rows_planned(const Control__Planned *p, int64_t now);
void rows_finding_header(void);
void rows_finding(const Control__Finding *f);
