#include "age/bech32.h"

#include <string.h>

#include "base/secret.h"

enum { DATA = 52, CHECK = 6, LETTERS = 32 };

static const char letters[LETTERS + 1] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_upper(const char *name)
{
    return name[0] >= 'A' && name[0] <= 'Z';
}

static uint32_t mix(uint32_t sum, uint8_t value)
{
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    uint32_t top = sum >> 25;

    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++)
        sum ^= top >> i & 1 ? generator[i] : 0;
    return sum;
}

/* The checksum's state behind the name and the 52 values. */
static uint32_t mix_all(const char *name, const uint8_t values[DATA])
{
    uint32_t sum = 1;

    for (const char *p = name; *p; p++)
        sum = mix(sum, (uint8_t)lower(*p) >> 5);
    sum = mix(sum, 0);
    for (const char *p = name; *p; p++)
        sum = mix(sum, (uint8_t)lower(*p) & 31);
    for (size_t i = 0; i < DATA; i++)
        sum = mix(sum, values[i]);
    return sum;
}

static void compute_checksum(const char *name, const uint8_t values[DATA], uint8_t out[CHECK])
{
    uint32_t sum = mix_all(name, values);

    for (size_t i = 0; i < CHECK; i++)
        sum = mix(sum, 0);
    sum ^= 1;
    for (size_t i = 0; i < CHECK; i++)
        out[i] = sum >> 5 * (CHECK - 1 - i) & 31;
}

void bech32_encode(const char *name, const uint8_t bytes[BECH32_BYTES], char *out)
{
    const size_t name_len = strlen(name);
    uint8_t values[DATA + CHECK];

    for (size_t i = 0; i < DATA; i++) {
        size_t bit = 5 * i;
        unsigned two = (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < BECH32_BYTES ? bytes[bit / 8 + 1] : 0);

        values[i] = two >> (11 - bit % 8) & 31;
    }
    compute_checksum(name, values, values + DATA);
    memcpy(out, name, name_len);
    out[name_len] = '1';
    for (size_t i = 0; i < DATA + CHECK; i++) {
        char c = letters[values[i]];

        out[name_len + 1 + i] = is_upper(name) && c >= 'a' ? (char)(c - 'a' + 'A') : c;
    }
    secret_wipe(values, sizeof(values));
}

/* -1: no such letter in that case. */
static int value_of(char c, bool upper)
{
    if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
        return -1;
    for (int i = 0; i < LETTERS; i++)
        if (letters[i] == lower(c))
            return i;
    return -1;
}

static enum bech32_fault read_values(const char *name, const char *text, size_t len, uint8_t values[DATA + CHECK])
{
    const size_t name_len = strlen(name);

    if (len <= name_len || memcmp(text, name, name_len) != 0 || text[name_len] != '1')
        return BECH32_NAME;
    for (size_t i = name_len + 1; i < len; i++) {
        int value = value_of(text[i], is_upper(name));

        if (value < 0)
            return BECH32_LETTER;
        if (i - name_len - 1 < DATA + CHECK)
            values[i - name_len - 1] = (uint8_t)value;
    }
    return len == name_len + BECH32_TAIL ? BECH32_GOOD : BECH32_LENGTH;
}

static enum bech32_fault check_values(const char *name, const uint8_t values[DATA + CHECK])
{
    uint8_t right[CHECK];

    compute_checksum(name, values, right);
    if (memcmp(right, values + DATA, CHECK) != 0)
        return BECH32_CHECKSUM;
    return values[DATA - 1] & 15 ? BECH32_PADDING : BECH32_GOOD;
}

static void join_bits(const uint8_t values[DATA], uint8_t out[BECH32_BYTES])
{
    unsigned bits = 0, n = 0;
    size_t written = 0;

    for (size_t i = 0; i < DATA && written < BECH32_BYTES; i++) {
        bits = (bits << 5 | values[i]) & 0xfff;
        n += 5;
        if (n >= 8) {
            n -= 8;
            out[written++] = (uint8_t)(bits >> n);
        }
    }
}

enum bech32_fault bech32_decode(const char *name, const char *text, size_t len, uint8_t out[BECH32_BYTES])
{
    uint8_t values[DATA + CHECK] = {0};
    enum bech32_fault fault = read_values(name, text, len, values);

    if (fault == BECH32_GOOD)
        fault = check_values(name, values);
    if (fault == BECH32_GOOD)
        join_bits(values, out);
    else
        secret_wipe(out, BECH32_BYTES);
    secret_wipe(values, sizeof(values));
    return fault;
}

const char *bech32_fault_text(enum bech32_fault fault)
{
    switch (fault) {
    case BECH32_GOOD:
        return "is good";
    case BECH32_NAME:
        return "begins with something else";
    case BECH32_LENGTH:
        return "is too short or too long";
    case BECH32_LETTER:
        return "has a character that cannot be there";
    case BECH32_CHECKSUM:
        return "has a wrong checksum: it was mistyped";
    case BECH32_PADDING:
        break;
    }
    return "is not in the one form that its bytes have";
}
