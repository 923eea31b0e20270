#include "age/header.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "age/hkdf.h"

enum {
    COLUMNS = 64,
    COLUMN_BYTES = COLUMNS / 4 * 3,
    VARIANT = sodium_base64_VARIANT_ORIGINAL_NO_PADDING,
};

static const char version[] = "age-encryption.org/v1";

/* What is still to be read, and in which line that begins. */
struct rest {
    struct bytes bytes;
    size_t line;
};

static int refuse(struct err *e, size_t line, const char *why)
{
    return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_AGE, AGE_FAULT_SHAPE, "not a file of age v1: line %zu: %s", line, why);
}

static bool begins_with(struct bytes text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

/* The next line, without its end. */
static int take_line(struct rest *rest, struct bytes *line, struct err *e)
{
    const uint8_t *end = rest->bytes.len ? memchr(rest->bytes.data, '\n', rest->bytes.len) : NULL;

    if (!end)
        return refuse(e, rest->line, "the header ends in it");
    *line = (struct bytes){rest->bytes.data, (size_t)(end - rest->bytes.data)};
    rest->bytes = (struct bytes){end + 1, rest->bytes.len - line->len - 1};
    rest->line++;
    return 0;
}

bool age_base64_read(struct bytes text, uint8_t *out, size_t len)
{
    uint8_t read[COLUMN_BYTES + 1];
    size_t n = 0;
    bool is_good;

    assert(len <= COLUMN_BYTES);
    /* libsodium refuses what is not canonical: bits that no byte has. */
    is_good = text.len <= COLUMNS &&
              sodium_base642bin(read, sizeof(read), (const char *)text.data, text.len, NULL, &n, NULL, VARIANT) == 0 &&
              n == len;
    if (is_good && len)
        memcpy(out, read, len);
    return is_good;
}

static bool is_base64(struct bytes line)
{
    uint8_t ignored[COLUMN_BYTES];
    size_t n;

    return sodium_base642bin(ignored, sizeof(ignored), (const char *)line.data, line.len, NULL, &n, NULL, VARIANT) == 0;
}

/* One or more arguments of printable characters, each behind one blank. */
static bool are_arguments(struct bytes line)
{
    bool may_end = false;

    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] == ' ' ? !may_end : line.data[i] < 0x21 || line.data[i] > 0x7e)
            return false;
        may_end = line.data[i] != ' ';
    }
    return may_end;
}

static int take_body(struct rest *rest, struct age_stanza *s, struct err *e)
{
    const uint8_t *begin = rest->bytes.data;
    struct bytes line = {0};

    do {
        if (take_line(rest, &line, e) < 0)
            return -1;
        if (line.len > COLUMNS)
            return refuse(e, rest->line - 1, "longer than 64 characters");
        if (!is_base64(line))
            return refuse(e, rest->line - 1, "not the end of a stanza: no canonical Base64 without padding");
    } while (line.len == COLUMNS);
    s->body = (struct bytes){begin, (size_t)(rest->bytes.data - begin)};
    return 0;
}

/* `first` is its first line, taken already. */
static int take_stanza(struct rest *rest, struct bytes first, struct age_file *out, struct err *e)
{
    struct age_stanza *s = &out->stanzas[out->n_stanzas];

    if (!begins_with(first, "-> "))
        return refuse(e, rest->line - 1, "neither a stanza nor the header's end");
    if (out->n_stanzas == AGE_STANZAS_MAX)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_AGE, AGE_FAULT_SHAPE, "a file of age with more than %d stanzas",
                AGE_STANZAS_MAX);
    s->arguments = (struct bytes){first.data + 3, first.len - 3};
    if (!are_arguments(s->arguments))
        return refuse(e, rest->line - 1, "a stanza whose arguments are not printable, or are none");
    if (take_body(rest, s, e) < 0)
        return -1;
    s->whole = (struct bytes){first.data, (size_t)(rest->bytes.data - first.data)};
    out->n_stanzas++;
    return 0;
}

int age_file_parse(struct bytes file, struct age_file *out, struct err *e)
{
    struct rest rest = {.bytes = file, .line = 1};
    struct bytes line = {0};

    out->n_stanzas = 0;
    if (file.len > AGE_FILE_MAX)
        return err_set(e, ERR_INTEGRITY, ERR_DOMAIN_AGE, AGE_FAULT_SHAPE, "a file of age with more than %d bytes",
                AGE_FILE_MAX);
    if (take_line(&rest, &line, e) < 0)
        return -1;
    if (line.len != sizeof(version) - 1 || memcmp(line.data, version, line.len) != 0)
        return refuse(e, 1, "it does not begin with age-encryption.org/v1");
    for (;;) {
        if (take_line(&rest, &line, e) < 0)
            return -1;
        if (begins_with(line, "---"))
            break;
        if (take_stanza(&rest, line, out, e) < 0)
            return -1;
    }
    if (!out->n_stanzas)
        return refuse(e, 2, "a header without stanzas");
    if (!begins_with(line, "--- ") ||
            !age_base64_read((struct bytes){line.data + 4, line.len - 4}, out->mac, sizeof(out->mac)))
        return refuse(e, rest.line - 1, "not the 43 characters of the header's MAC");
    out->header = (struct bytes){file.data, (size_t)(line.data - file.data) + 3};
    out->payload = rest.bytes;
    return 0;
}

bool age_stanza_argument(const struct age_stanza *s, size_t i, struct bytes *out)
{
    struct bytes rest = s->arguments;

    for (;; i--) {
        const uint8_t *blank = memchr(rest.data, ' ', rest.len);
        const size_t len = blank ? (size_t)(blank - rest.data) : rest.len;

        if (i == 0) {
            *out = (struct bytes){rest.data, len};
            return true;
        }
        if (!blank)
            return false;
        rest = (struct bytes){blank + 1, rest.len - len - 1};
    }
}

bool age_stanza_is(const struct age_stanza *s, const char *type)
{
    struct bytes argument;

    return age_stanza_argument(s, 0, &argument) && argument.len == strlen(type) &&
           memcmp(argument.data, type, argument.len) == 0;
}

bool age_stanza_body(const struct age_stanza *s, uint8_t *out, size_t len)
{
    /* A full line is followed by another, if only an empty one. */
    const size_t ends = len == COLUMN_BYTES ? 2 : 1;

    return s->body.len >= ends && age_base64_read((struct bytes){s->body.data, s->body.len - ends}, out, len);
}

int age_write_version(struct buf *b, struct err *e)
{
    return buf_append(b, version, sizeof(version) - 1, e) < 0 ? -1 : buf_append(b, "\n", 1, e);
}

static int write_base64(struct buf *b, struct bytes data, struct err *e)
{
    char text[COLUMNS + 1];

    assert(data.len < COLUMN_BYTES);
    (void)sodium_bin2base64(text, sizeof(text), data.data, data.len, VARIANT);
    return buf_append(b, text, strlen(text), e) < 0 ? -1 : buf_append(b, "\n", 1, e);
}

int age_write_stanza(struct buf *b, const char *arguments, struct bytes body, struct err *e)
{
    if (buf_append(b, "-> ", 3, e) < 0 || buf_append(b, arguments, strlen(arguments), e) < 0 ||
            buf_append(b, "\n", 1, e) < 0)
        return -1;
    return write_base64(b, body, e);
}

int age_write_mac(struct buf *b, const uint8_t *key, struct err *e)
{
    uint8_t mac[AGE_MAC_LEN];

    if (buf_append(b, "---", 3, e) < 0)
        return -1;
    hkdf_mac(key, buf_bytes(b), mac);
    return buf_append(b, " ", 1, e) < 0 ? -1 : write_base64(b, (struct bytes){mac, sizeof(mac)}, e);
}
