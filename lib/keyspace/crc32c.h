/*
 * crc32c.h: CRC-32 with Castagnoli's polynomial, in which etcd's hashes are (Go's crc32.Castagnoli).
 */
#pragma once

#include "base/bytes.h"

/* The tables for eight bytes at a time. */
struct crc32c {
    uint32_t table[8][256];
};

void crc32c_init(struct crc32c *c);

/* Goes on from the CRC of the bytes before; 0 at first. */
uint32_t crc32c_update(const struct crc32c *c, uint32_t crc, struct bytes bytes);
