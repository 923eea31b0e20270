#include "base/cron.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field {
    const char *name;
    unsigned min, max;
    const char *names; /* three letters each, the first is `min` */
    const char *values;
} fields[FIELDS] = {
        {"minute", 0, 59, "", "0-59"},
        {"hour", 0, 23, "", "0-23"},
        {"day of month", 1, 31, "", "1-31"},
        {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", "1-12 or JAN-DEC"},
        {"day of week", 0, 7, "SUNMONTUEWEDTHUFRISAT", "0-7 or SUN-SAT"},
};

/* One item of a list: what is left of it, and all of it for the message. */
struct item {
    const struct field *field;
    const char *p, *start, *end;
};

enum { OUT_OF_RANGE = 1000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Too large ones become OUT_OF_RANGE. The item begins with a digit. */
static unsigned read_number(struct item *item)
{
    unsigned n = 0;

    for (; item->p < item->end && is_digit(*item->p); item->p++) {
        n = n * 10 + (unsigned)(*item->p - '0');
        if (n > OUT_OF_RANGE)
            n = OUT_OF_RANGE;
    }
    return n;
}

static bool read_value(struct item *item, unsigned *value)
{
    const struct field *f = item->field;

    if (item->p < item->end && is_digit(*item->p)) {
        *value = read_number(item);
        return *value >= f->min && *value <= f->max;
    }
    for (unsigned i = 0; f->names[i] && item->end - item->p >= 3; i += 3)
        if (strncasecmp(item->p, f->names + i, 3) == 0) {
            item->p += 3;
            *value = f->min + i / 3;
            return true;
        }
    return false;
}

static bool skip(struct item *item, char c)
{
    if (item->p == item->end || *item->p != c)
        return false;
    item->p++;
    return true;
}

static int refuse(const struct item *item, const char *why, const char *values, struct err *e)
{
    int len = item->end - item->start > 40 ? 40 : (int)(item->end - item->start);

    return err_set(
            e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: '%.*s' %s%s", item->field->name, len, item->start, why, values);
}

/* The 7 is another Sunday, where somebody writes it; nothing goes on to it by itself. */
static unsigned last_value(const struct field *f)
{
    return f == &fields[WEEKDAY] ? 6 : f->max;
}

static int read_range(struct item *item, unsigned *low, unsigned *high, bool *is_single, struct err *e)
{
    *is_single = false;
    if (skip(item, '*')) {
        *low = item->field->min;
        *high = last_value(item->field);
        return 0;
    }
    if (!read_value(item, low))
        return refuse(item, "is not one of ", item->field->values, e);
    *high = *low;
    *is_single = !skip(item, '-');
    if (*is_single)
        return 0;
    if (!read_value(item, high))
        return refuse(item, "does not end with one of ", item->field->values, e);
    /* FRI-SUN: the week ends with its Sunday. */
    if (item->field == &fields[WEEKDAY] && *high == 0 && *low > 0)
        *high = 7;
    return *high < *low ? refuse(item, "runs backwards", "", e) : 0;
}

static int read_item(struct item *item, uint64_t *bits, struct err *e)
{
    unsigned low, high, step = 1;
    bool is_single;

    if (read_range(item, &low, &high, &is_single, e) < 0)
        return -1;
    if (skip(item, '/')) {
        /* A larger step is a misunderstanding: 90 minutes cannot be said in the field of minutes. */
        step = item->p < item->end && is_digit(*item->p) ? read_number(item) : 0;
        if (step < 1 || step > item->field->max)
            return refuse(item, "has a step that is no number from 1 to the field's last", "", e);
        if (is_single)
            high = low > last_value(item->field) ? low : last_value(item->field);
    }
    if (item->p != item->end)
        return refuse(item, "is not one of ", item->field->values, e);
    for (unsigned value = low; value <= high; value += step)
        *bits |= UINT64_C(1) << value;
    return 0;
}

/* The list from `start` up to `end`. */
static int read_list(const struct field *f, const char *start, const char *end, uint64_t *bits, struct err *e)
{
    const char *comma;

    *bits = 0;
    do {
        struct item item = {.field = f, .p = start, .start = start};

        comma = memchr(start, ',', (size_t)(end - start));
        item.end = comma ? comma : end;
        if (read_item(&item, bits, e) < 0)
            return -1;
        start = item.end + 1;
    } while (comma);
    return 0;
}

/* Whether both days must fit, as in Vixie's cron, where a star in either of them means "whatever the other says". */
static bool needs_both_days(const struct cron *c)
{
    return c->any_day || c->any_weekday;
}

/* Some month has such a day in some year; of a 29 February there is one on each day of the week. */
static bool ever_comes(const struct cron *c)
{
    static const unsigned days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (!needs_both_days(c))
        return true;
    for (unsigned month = 1; month <= 12; month++)
        if ((c->months >> month & 1) && (c->days & ((UINT64_C(2) << days[month]) - 1)))
            return true;
    return false;
}

static int read_fields(const char *p, struct cron *out, struct err *e)
{
    uint64_t bits[FIELDS];
    const char *starts[FIELDS];
    struct cron c;

    for (unsigned i = 0; i < FIELDS; i++) {
        size_t len;

        p += strspn(p, " \t");
        len = strcspn(p, " \t");
        if (len == 0)
            return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "the %s is missing", fields[i].name);
        starts[i] = p;
        if (read_list(&fields[i], p, p + len, &bits[i], e) < 0)
            return -1;
        p += len;
    }
    if (p[strspn(p, " \t")])
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "more than five fields");
    c = (struct cron){.minutes = bits[MINUTE],
            .hours = (uint32_t)bits[HOUR],
            .days = (uint32_t)bits[DAY],
            .months = (uint32_t)bits[MONTH],
            .weekdays = (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
            .any_day = *starts[DAY] == '*',
            .any_weekday = *starts[WEEKDAY] == '*'};
    if (!ever_comes(&c))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "no such day of month ever comes in such a month");
    *out = c;
    return 0;
}

int cron_parse(const char *text, struct cron *out, struct err *e)
{
    static const struct {
        const char *name, *line;
    } words[] = {
            {"@hourly", "0 * * * *"},
            {"@daily", "0 0 * * *"},
            {"@midnight", "0 0 * * *"},
            {"@weekly", "0 0 * * 0"},
            {"@monthly", "0 0 1 * *"},
            {"@yearly", "0 0 1 1 *"},
            {"@annually", "0 0 1 1 *"},
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i].name) == 0)
            return read_fields(words[i].line, out, e);
    if (*text == '@')
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                "'%.60s' is not a cron line: of words there are @hourly, @daily, @weekly, @monthly and @yearly; for "
                "every "
                "so many hours use schedule.interval",
                text);
    if (read_fields(text, out, e) < 0)
        return err_prepend(e, "'%.60s' is not a cron line: ", text);
    return 0;
}

static bool is_day(const struct cron *c, const struct tm *tm)
{
    bool day = c->days >> tm->tm_mday & 1, weekday = c->weekdays >> tm->tm_wday & 1;

    return needs_both_days(c) ? day && weekday : day || weekday;
}

/* Each step leaves out as much as cannot fit: a month, a day, an hour, a minute. A 29 February on a given day of the
 * week is at most 40 years away (over 2100, which is no leap year), which is some 1,600 steps. */
int64_t cron_next(const struct cron *c, int64_t after)
{
    static const int64_t first = -62135596800, last = 253402300799; /* 0001-01-01T00:00:00Z, 9999-12-31T23:59:59Z */
    time_t t;
    struct tm tm;

    if (after < first)
        after = first - 1;
    if (after > last)
        after = last;
    t = after - (after % 60 + 60) % 60 + 60;
    while (t <= last) {
        gmtime_r(&t, &tm);
        if (!(c->months >> (tm.tm_mon + 1) & 1)) {
            struct tm next = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};

            t = timegm(&next);
        } else if (!is_day(c, &tm)) {
            t += 86400 - tm.tm_hour * 3600 - tm.tm_min * 60;
        } else if (!(c->hours >> tm.tm_hour & 1)) {
            t += 3600 - tm.tm_min * 60;
        } else if (!(c->minutes >> tm.tm_min & 1)) {
            t += 60;
        } else {
            return t;
        }
    }
    return INT64_MAX;
}
