#include "keyspace/crc32c.h"

#include <endian.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82F63B78) /* its bits reversed */

void crc32c_init(struct crc32c *c)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        c->table[0][i] = crc;
    }
    for (unsigned k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            c->table[k][i] = c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 0xFF];
}

static uint32_t eight(const struct crc32c *c, uint32_t crc, const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    v = le64toh(v) ^ crc;
    return c->table[7][v & 0xFF] ^ c->table[6][v >> 8 & 0xFF] ^ c->table[5][v >> 16 & 0xFF] ^
           c->table[4][v >> 24 & 0xFF] ^ c->table[3][v >> 32 & 0xFF] ^ c->table[2][v >> 40 & 0xFF] ^
           c->table[1][v >> 48 & 0xFF] ^ c->table[0][v >> 56];
}

uint32_t crc32c_update(const struct crc32c *c, uint32_t crc, struct bytes bytes)
{
    const uint8_t *p = bytes.data, *end = bytes.data + bytes.len;

    crc = ~crc;
    for (; end - p >= 8; p += 8)
        crc = eight(c, crc, p);
    for (; p < end; p++)
        crc = crc >> 8 ^ c->table[0][(crc ^ *p) & 0xFF];
    return ~crc;
}
