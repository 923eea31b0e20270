/*
 * Cron lines: any text is either refused with one line, or comes again and again, each time at what its fields say.
 */
#include "fuzz.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/cron.h"

static void check_instant(const struct cron *c, int64_t instant)
{
    time_t t = instant;
    struct tm tm;

    FUZZ_CHECK(gmtime_r(&t, &tm) && tm.tm_sec == 0);
    FUZZ_CHECK(c->minutes >> tm.tm_min & 1);
    FUZZ_CHECK(c->hours >> tm.tm_hour & 1);
    FUZZ_CHECK(c->months >> (tm.tm_mon + 1) & 1);
    FUZZ_CHECK((c->days >> tm.tm_mday & 1) || (c->weekdays >> tm.tm_wday & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int64_t year_2300 = INT64_C(10413792000);
    _cleanup_free_ char *text = strndup((const char *)data, len);
    struct err e = ERR_INIT;
    struct cron c;
    int64_t instant = 0;

    FUZZ_CHECK(text);
    if (cron_parse(text, &c, &e) < 0) {
        FUZZ_CHECK(e.kind == ERR_CONFIG && e.text[0] != '\0' && strchr(e.text, '\n') == NULL);
        return 0;
    }
    FUZZ_CHECK(e.kind == ERR_NONE && c.weekdays < 0x80);
    FUZZ_CHECK(c.minutes < UINT64_C(1) << 60 && c.hours < 1u << 24 && c.months < 1u << 13 && !(c.months & 1));
    for (unsigned i = 0; i < 5; i++) {
        int64_t next = cron_next(&c, instant);

        FUZZ_CHECK(next > instant && next < year_2300);
        check_instant(&c, next);
        instant = next;
    }
    return 0;
}
