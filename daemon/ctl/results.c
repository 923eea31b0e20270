#include "ctl/results.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/json.h"
#include "control/message_json.h"

void results_failure(const char *kind, const char *text)
{
    bool first = true;

    json_name(stdout, &first, "failure");
    first = true;
    json_text(stdout, &first, "kind", kind);
    json_text(stdout, &first, "text", text);
    (void)puts("}}");
}

void results_key(const char *file, const char *kind, const char *name)
{
    bool first = true;

    json_text(stdout, &first, "file", file);
    json_text(stdout, &first, kind, name);
    (void)puts("}");
}

static void put(const ProtobufCMessage *m)
{
    message_json_write(stdout, m);
    (void)putchar('\n');
}

void results_entry(const Control__Entry *e)
{
    put(&e->base);
}

void results_verdict(const Control__Verdict *v)
{
    put(&v->base);
}

void results_planned(const Control__Planned *p)
{
    put(&p->base);
}

void results_unrotated(const Control__Unrotated *u)
{
    put(&u->base);
}

void results_finding(const Control__Finding *f)
{
    put(&f->base);
}

/* A list has said all it has to say, an entry a line. */
void results_done(const Control__Done *done)
{
    if (done->result_case != CONTROL__DONE__RESULT__NOT_SET && done->result_case != CONTROL__DONE__RESULT_LIST)
        put(&done->backup->base); /* whichever it is: they begin alike */
}
