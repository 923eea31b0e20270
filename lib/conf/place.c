#include "conf/place.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* A line has ERR_TEXT_MAX bytes, and what is wrong must fit in beside the name of the file: of a longer one, the end.
 */
enum { FILE_SHOWN_MAX = 200, KEY_SHOWN_MAX = 100 };

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static const char *end_of_name(const char *file)
{
    size_t len = strlen(file);

    if (len <= FILE_SHOWN_MAX)
        return file;
    file += len - FILE_SHOWN_MAX;
    while (is_continuation(*file))
        file++;
    return file;
}

int conf_place_prepend(struct err *e, const struct conf_place *at)
{
    const char *file = end_of_name(at->file), *cut = file == at->file ? "" : "...";
    const char *key = at->key ? at->key : "";
    size_t key_len = utf8_cut(key, KEY_SHOWN_MAX);

    if (e->kind != ERR_RESOURCE)
        e->kind = ERR_CONFIG;
    if (key_len == 0)
        return err_prepend(e, "%s%s:%u:%u: ", cut, file, at->line, at->column);
    return err_prepend(
            e, "%s%s:%u:%u: %.*s%s: ", cut, file, at->line, at->column, (int)key_len, key, key[key_len] ? "..." : "");
}

int conf_place_error(struct err *e, const struct conf_place *at, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s", text);
    return conf_place_prepend(e, at);
}
