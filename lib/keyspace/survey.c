#include "keyspace/survey.h"

#include <stdio.h>
#include <stdlib.h>

struct survey {
    struct bolt_stream *stream;
    struct keyspace_facts facts;
    bool is_done;
};

struct survey *survey_new(void)
{
    struct survey *i = calloc(1, sizeof(*i));
    struct err ignored = ERR_INIT;

    if (i)
        i->facts.structure = BOLT_NOT_INSPECTED;
    if (i && (i->stream = bolt_stream_new(&ignored)))
        return i;
    free(i);
    return NULL;
}

void survey_update(struct survey *i, struct bytes piece)
{
    if (i && !i->is_done)
        bolt_stream_update(i->stream, piece);
}

void survey_finish(struct survey *i)
{
    if (!i || i->is_done)
        return;
    i->is_done = true;
    keyspace_facts_of_report(&i->facts, bolt_stream_finish(i->stream));
}

struct keyspace_facts survey_facts(const struct survey *i)
{
    struct keyspace_facts nothing = {.structure = BOLT_NOT_INSPECTED, .current = 1, .compacted = -1};

    if (i)
        return i->facts;
    (void)snprintf(nothing.why, sizeof(nothing.why), "there was no memory to look at it");
    return nothing;
}

void survey_free(struct survey *i)
{
    if (!i)
        return;
    bolt_stream_free(i->stream);
    free(i);
}
