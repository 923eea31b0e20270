#include "base/timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Days since 1970-01-01 in the proleptic Gregorian calendar; libc's timegm would accept the 31st of February. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = y / 400; /* y >= 0 here: years begin at 1 */
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t days_in_month(int64_t y, int64_t m)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return m == 2 && leap ? 29 : days[m - 1];
}

/* Reads `len` digits at `p`; -1 if one is none. */
static int64_t digits(const char *p, size_t len)
{
    int64_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        n = n * 10 + (p[i] - '0');
    }
    return n;
}

/* The offset in seconds at `p`, `len` characters up to the end. */
static bool read_offset(const char *p, size_t len, int64_t *offset)
{
    int64_t h, m;

    if (len == 1 && p[0] == 'Z') {
        *offset = 0;
        return true;
    }
    if (len != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
        return false;
    h = digits(p + 1, 2);
    m = digits(p + 4, 2);
    *offset = (h * 3600 + m * 60) * (p[0] == '-' ? -1 : 1);
    return h >= 0 && h <= 23 && m >= 0 && m <= 59;
}

int timestamp_parse(const char *text, size_t len, int64_t *instant, struct err *e)
{
    int64_t y, mo, d, h, mi, s, offset;

    if (len >= TIMESTAMP_TEXT_LEN && text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' &&
            text[16] == ':' && read_offset(text + 19, len - 19, &offset)) {
        y = digits(text, 4);
        mo = digits(text + 5, 2);
        d = digits(text + 8, 2);
        h = digits(text + 11, 2);
        mi = digits(text + 14, 2);
        s = digits(text + 17, 2);
        if (y >= 1 && mo >= 1 && mo <= 12 && d >= 1 && d <= days_in_month(y, mo) && h >= 0 && h <= 23 && mi >= 0 &&
                mi <= 59 && s >= 0 && s <= 59) {
            *instant = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - offset;
            return 0;
        }
    }
    return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
            "'%.*s' is not a time stamp of RFC 3339 (example: 2024-12-06T21:22:25Z)", len > 40 ? 40 : (int)len, text);
}

int timestamp_read(const char *text, int64_t *instant, struct err *e)
{
    enum { SECONDS = 19, OFFSET = 6 }; /* "YYYY-MM-DDTHH:MM:SS", "+HH:MM" */
    char plain[SECONDS + OFFSET + 1];
    const char *rest = text + SECONDS;
    struct err ignored;

    if (strlen(text) <= SECONDS || (text[10] != 'T' && text[10] != 't' && text[10] != ' '))
        return timestamp_parse(text, strlen(text), instant, e);
    if (*rest == '.' && rest[1] >= '0' && rest[1] <= '9') {
        const char *zeros = rest + 1 + strspn(rest + 1, "0");

        rest = rest + 1 + strspn(rest + 1, "0123456789");
        if (zeros != rest)
            return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0,
                    "'%.40s' is between two seconds; backups are named to the second, as list shows them", text);
    }
    (void)memcpy(plain, text, SECONDS);
    plain[10] = 'T';
    if (strcmp(rest, "z") == 0)
        rest = "Z";
    if ((*rest == '+' || *rest == '-') && strlen(rest) == OFFSET - 1)
        (void)snprintf(plain + SECONDS, OFFSET + 1, "%.3s:%s", rest, rest + 3);
    else if (strlen(rest) <= OFFSET)
        (void)snprintf(plain + SECONDS, OFFSET + 1, "%s", rest);
    else
        return timestamp_parse(text, strlen(text), instant, e);
    if (timestamp_parse(plain, strlen(plain), instant, &ignored) == 0)
        return 0;
    return timestamp_parse(text, strlen(text), instant, e); /* with the words of what was written */
}

char *timestamp_format(int64_t instant, char out[TIMESTAMP_TEXT_MAX])
{
    static const int64_t first = -62135596800, last = 253402300799; /* 0001-01-01T00:00:00Z, 9999-12-31T23:59:59Z */
    time_t t = instant < first ? first : instant > last ? last : instant;
    struct tm tm;
    char text[64]; /* the compiler cannot know that the year has four digits */

    gmtime_r(&t, &tm);
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
            tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, TIMESTAMP_TEXT_LEN);
    out[TIMESTAMP_TEXT_LEN] = '\0';
    return out;
}

int64_t timestamp_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}
