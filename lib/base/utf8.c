#include "base/utf8.h"

#include <stdbool.h>

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

size_t utf8_len(const char *text)
{
    static const struct {
        unsigned char first, last, second_min, second_max, len;
    } rows[] = {
            {0x01, 0x7f, 0, 0, 1},
            {0xc2, 0xdf, 0x80, 0xbf, 2},
            {0xe0, 0xe0, 0xa0, 0xbf, 3},
            {0xe1, 0xec, 0x80, 0xbf, 3},
            {0xed, 0xed, 0x80, 0x9f, 3}, /* no surrogates */
            {0xee, 0xef, 0x80, 0xbf, 3},
            {0xf0, 0xf0, 0x90, 0xbf, 4},
            {0xf1, 0xf3, 0x80, 0xbf, 4},
            {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *s = (const unsigned char *)text;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (*s < rows[i].first || *s > rows[i].last)
            continue;
        if (rows[i].len > 1 && (s[1] < rows[i].second_min || s[1] > rows[i].second_max))
            return 0;
        for (size_t j = 2; j < rows[i].len; j++)
            if (s[j] < 0x80 || s[j] > 0xbf)
                return 0;
        return rows[i].len;
    }
    return 0;
}

size_t utf8_cut(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len <= max)
        return len;
    for (len = max; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
        ;
    return len;
}

char *utf8_quote(const char *text, char out[UTF8_QUOTE_MAX])
{
    size_t len = utf8_cut(text, UTF8_QUOTE_MAX - 8);

    (void)snprintf(out, UTF8_QUOTE_MAX, "'%.*s%s'", (int)len, text, text[len] ? "..." : "");
    return out;
}

static bool is_control(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f)
        return true;
    return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9));
}

size_t utf8_shown_len(const char *s)
{
    size_t len = utf8_len(s);

    return len && is_control((const unsigned char *)s) ? 0 : len;
}

void utf8_clean(char *s)
{
    for (size_t len; *s; s += len ? len : 1)
        if ((len = utf8_shown_len(s)) == 0)
            *s = '?'; /* a sequence's other bytes stand alone then, and become '?' too */
}
