/*
 * survey.h: an etcd's database is looked at as it goes by: what is true of it, at the end.
 *
 * For whoever has the bytes under his hands for another reason: it never fails. What could not be looked at, for want
 * of memory say, is "not inspected".
 */
#pragma once

#include "keyspace/facts.h"

struct survey;

/* The caller frees. NULL when out of memory: fine for all that follow. */
struct survey *survey_new(void);

/* The next bytes, in pieces of any size, with etcd's SHA-256 at the end or without. */
void survey_update(struct survey *i, struct bytes piece);

/* After the last one, once: walks the trees, which takes some milliseconds a GiB. */
void survey_finish(struct survey *i);

/* After that. */
struct keyspace_facts survey_facts(const struct survey *i);

/* NULL is fine. */
void survey_free(struct survey *i);
