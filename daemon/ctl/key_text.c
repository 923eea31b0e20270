#include "ctl/key_text.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

enum { CHARACTER_MAX = 4, STEP = 3 * 1024, STEP_TEXT = STEP / 3 * 4 + 1 /* a 0 */ };

/* Bytes of the character at the front that may be shown, or 0. */
static size_t shown_len(struct bytes at)
{
    char text[CHARACTER_MAX + 1] = "";

    memcpy(text, at.data, at.len < CHARACTER_MAX ? at.len : CHARACTER_MAX);
    return utf8_shown_len(text);
}

static void skip(struct bytes *at, size_t len)
{
    at->data += len;
    at->len -= len;
}

/* Bytes at the front that stand for themselves: nearly all of nearly all names. */
static size_t plain_len(struct bytes at)
{
    size_t len = 0;

    while (len < at.len && at.data[len] >= ' ' && at.data[len] < 0x7F && at.data[len] != '\\')
        len++;
    return len;
}

void key_text_put(FILE *out, struct bytes key)
{
    while (key.len > 0) {
        size_t plain = plain_len(key), len = plain ? plain : shown_len(key);

        if (*key.data == '\\')
            (void)fputs("\\\\", out);
        else if (len)
            (void)fwrite(key.data, 1, len, out);
        else
            (void)fprintf(out, "\\x%02x", *key.data);
        skip(&key, len ? len : 1);
    }
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

bool key_text_read(const char *text, uint8_t *out, size_t *len)
{
    for (*len = 0; *text; ++*len) {
        if (*text != '\\') {
            out[*len] = (uint8_t)*text++;
        } else if (text[1] == '\\') {
            out[*len] = '\\';
            text += 2;
        } else if (text[1] == 'x' && digit(text[2]) >= 0 && digit(text[3]) >= 0) {
            out[*len] = (uint8_t)(digit(text[2]) << 4 | digit(text[3]));
            text += 4;
        } else {
            return false;
        }
    }
    return true;
}

void key_text_quote(FILE *out, struct bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[STEP_TEXT];
    size_t len = 0;

    text[len++] = '"';
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];

        if (len + 5 > sizeof(text)) {
            (void)fwrite(text, 1, len, out);
            len = 0;
        }
        if (c >= ' ' && c < 0x7F && c != '"' && c != '\\') {
            text[len++] = (char)c;
        } else {
            text[len++] = '\\';
            text[len++] = 'x';
            text[len++] = digits[c >> 4];
            text[len++] = digits[c & 0xF];
        }
    }
    text[len++] = '"';
    (void)fwrite(text, 1, len, out);
}

/* By libcrypto: libsodium's takes as long for one byte as for another, for whom that would tell something, and seven
 * times as long for all of them. */
void key_text_base64(FILE *out, struct bytes bytes)
{
    uint8_t text[STEP_TEXT];

    while (bytes.len > 0) {
        size_t len = bytes.len < STEP ? bytes.len : STEP;

        (void)fwrite(text, 1, (size_t)EVP_EncodeBlock(text, bytes.data, (int)len), out);
        skip(&bytes, len);
    }
}

void key_text_json(FILE *out, bool *first, const char *name, struct bytes bytes)
{
    json_name(out, first, name);
    (void)fputc('"', out);
    key_text_base64(out, bytes);
    (void)fputc('"', out);
}

bool key_text_is_binary(struct bytes value)
{
    while (value.len > 0) {
        size_t len = shown_len(value);

        if (len == 0 && !strchr("\n\r\t", *value.data))
            return true;
        if (*value.data == '\0') /* which strchr finds, too */
            return true;
        skip(&value, len ? len : 1);
    }
    return false;
}
