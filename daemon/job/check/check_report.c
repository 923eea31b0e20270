#include "job/check/check_report.h"

#include <stdarg.h>
#include <stdio.h>

void check_report_add(struct check_report *r, enum finding_mark mark, const char *subject, const char *what,
        const char *affects, const char *fmt, ...)
{
    struct finding f = {.mark = mark, .subject = subject, .what = what, .affects = affects};
    char text[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    f.text = text;
    r->result.ok += mark == FINDING_OK;
    r->result.warnings += mark == FINDING_WARNING;
    r->result.failures += mark == FINDING_FAILS;
    if (r->life->sink.finding)
        r->life->sink.finding(r->life->sink.ctx, &f);
}
