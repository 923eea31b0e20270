#include "base/json.h"

#include <inttypes.h>

#include "base/timestamp.h"
#include "base/utf8.h"

void json_string(FILE *out, const char *s)
{
    (void)fputc('"', out);
    while (*s) {
        size_t len = utf8_len(s);

        if (len == 0)
            (void)fputs("\\ufffd", out);
        else if (*s == '"' || *s == '\\')
            (void)fprintf(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            (void)fprintf(out, "\\u%04x", (unsigned)*s);
        else if (utf8_shown_len(s) == 0 && len == 2) /* C1, which drives terminals as ESC does */
            (void)fprintf(out, "\\u00%02x", (unsigned)(unsigned char)s[1]);
        else
            (void)fwrite(s, 1, len, out);
        s += len ? len : 1;
    }
    (void)fputc('"', out);
}

void json_name(FILE *out, bool *first, const char *name)
{
    (void)fprintf(out, "%c\"%s\":", *first ? '{' : ',', name);
    *first = false;
}

void json_text(FILE *out, bool *first, const char *name, const char *value)
{
    json_name(out, first, name);
    json_string(out, value);
}

void json_number(FILE *out, bool *first, const char *name, uint64_t value)
{
    json_name(out, first, name);
    (void)fprintf(out, "%" PRIu64, value);
}

void json_signed(FILE *out, bool *first, const char *name, int64_t value)
{
    json_name(out, first, name);
    (void)fprintf(out, "%" PRId64, value);
}

void json_bool(FILE *out, bool *first, const char *name, bool value)
{
    json_name(out, first, name);
    (void)fputs(value ? "true" : "false", out);
}

void json_instant(FILE *out, bool *first, const char *name, int64_t instant)
{
    char text[TIMESTAMP_TEXT_MAX];

    json_name(out, first, name);
    if (instant)
        json_string(out, timestamp_format(instant, text));
    else
        (void)fputs("null", out);
}
