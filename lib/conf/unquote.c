#include "conf/unquote.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What follows a backslash, at *p, which goes behind it. Returns -1 for an escape that is not known; those for control
 * characters are among them, for no name or password has any. */
static int32_t read_escape(const uint8_t **p, const uint8_t *end)
{
    uint8_t kind = *(*p)++;
    int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
    int32_t c = 0;

    if (kind == '"' || kind == '\\' || kind == '/')
        return kind;
    if (digits == 0 || end - *p < digits)
        return -1;
    for (; digits > 0; digits--) {
        int d = hex_digit(*(*p)++);

        if (d < 0)
            return -1;
        c = c << 4 | d;
    }
    return c >= 0xd800 && c < 0xe000 ? -1 : c;
}

/* A character in UTF-8, which is never longer than the escape that it is written over. */
static uint8_t *put_character(uint8_t *out, int32_t c)
{
    if (c < 0x80) {
        *out++ = (uint8_t)c;
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xc0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *out++ = (uint8_t)(0xe0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return out;
}

int conf_unquote(uint8_t *text, size_t *len, uint8_t quote)
{
    const uint8_t *p = text, *end = text + *len;
    uint8_t *out = text;

    while (quote && p < end) {
        uint8_t c = *p++;

        if (c == '\'' && quote == '\'') {
            p++; /* '' is one */
        } else if (c == '\\' && quote == '"') {
            int32_t escaped = read_escape(&p, end);

            if (escaped < 0)
                return -1;
            out = put_character(out, escaped);
            continue;
        }
        *out++ = c;
    }
    if (quote)
        *len = (size_t)(out - text);
    return 0;
}
