#include "conf/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/place.h"

static int check_file(int fd, const char *path, size_t max, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(e, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, ERR_DOMAIN_NONE, 0, "%s: %s", path,
                S_ISDIR(st.st_mode) ? "is a directory, not a file" : "is not a regular file");
    if ((uintmax_t)st.st_size > max)
        return conf_place_error(
                e, &(struct conf_place){.file = path, .line = 1, .column = 1}, "longer than %zu bytes", max);
    return 0;
}

/* Reads to the end or until `max` bytes are there; -1 with errno. */
static ssize_t read_all(int fd, char *out, size_t max)
{
    size_t len = 0;

    while (len < max) {
        ssize_t n = read(fd, out + len, max - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

char *conf_text_read(const char *path, size_t max, size_t *len, struct err *e)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    _cleanup_free_ char *text = NULL;
    ssize_t n;

    if (fd < 0) {
        err_errno(e, errno, "%s", path);
        return NULL;
    }
    if (check_file(fd, path, max, e) < 0)
        return NULL;
    text = malloc(max + 2); /* one more, to notice a file that has grown since; and the NUL */
    if (!text) {
        err_errno(e, ENOMEM, "%s", path);
        return NULL;
    }
    n = read_all(fd, text, max + 1);
    if (n < 0 || (size_t)n > max) {
        err_errno(e, n < 0 ? errno : EFBIG, "%s", path);
        return NULL;
    }
    text[n] = '\0';
    *len = (size_t)n;
    return TAKE_PTR(text);
}

/*
 * The character at p, whose bytes are counted into *n, or -1: RFC 3629, section 3, which has no overlong forms, no
 * surrogates and nothing past U+10FFFF.
 */
static int32_t decode(const uint8_t *p, const uint8_t *end, size_t *n)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int32_t c;

    *n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    if (*n == 0 || (size_t)(end - p) < *n)
        return -1;
    if (*n == 1)
        return *p;
    c = *p & (0x7f >> *n);
    for (size_t i = 1; i < *n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < least[*n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? -1 : c;
}

/* Letters and signs, but not what moves the cursor, breaks the line or is no character at all. */
static bool is_printable(int32_t c)
{
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe &&
           c != 0xffff;
}

static bool is_line_break(const uint8_t *p, const uint8_t *end)
{
    return *p == '\n' || (*p == '\r' && end - p > 1 && p[1] == '\n');
}

struct bytes conf_text_without_mark(struct bytes text)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

    if (text.len < sizeof(mark) || memcmp(text.data, mark, sizeof(mark)) != 0)
        return text;
    return (struct bytes){.data = text.data + sizeof(mark), .len = text.len - sizeof(mark)};
}

int conf_text_check(const char *file, struct bytes text, struct err *e)
{
    struct bytes rest = conf_text_without_mark(text);
    const uint8_t *p = rest.data, *end = p + rest.len;
    struct conf_place at = {.file = file, .line = 1, .column = 1};
    size_t n;

    for (; p < end; p += n, at.column++) {
        int32_t c = decode(p, end, &n);

        if (c < 0)
            return conf_place_error(e, &at, "is not text in UTF-8");
        if (c != '\t' && !is_line_break(p, end) && !is_printable(c))
            return conf_place_error(e, &at, "a control character (U+%04X)", (unsigned)c);
        if (c == '\n') {
            at.line++;
            at.column = 0;
        }
    }
    return 0;
}

bool conf_text_is_one_line(struct bytes text)
{
    size_t n;

    for (const uint8_t *p = text.data, *end = p + text.len; p < end; p += n)
        if (!is_printable(decode(p, end, &n)))
            return false;
    return true;
}
