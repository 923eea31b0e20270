/*
 * table.h: rows of cells that fit a terminal.
 *
 * Where stdout is a terminal, columns that do not fit are left out, those first that are missed least: a line that
 * wraps cannot be read down. Elsewhere (a pipe, a file) all are there, whatever the width.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct table_column {
    const char *title;
    int width;     /* characters; of the last column no more than what is there is printed */
    bool is_right; /* numbers */
    int rank;      /* the highest goes first; 0: it stays, however narrow the terminal is */
};

enum { TABLE_COLUMNS_MAX = 16 };

/* The width of the terminal that stdout is, 0 if it is none, or does not know. */
unsigned table_width(void);

/* Writes `cells`, one for each of `n` columns, or, if it is NULL, their titles. Returns whether all columns were there.
 */
bool table_row(FILE *out, const struct table_column *columns, unsigned n, const char *const *cells, unsigned width);
