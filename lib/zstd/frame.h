/*
 * frame.h: how a frame begins (RFC 8878, sections 3.1.1 and 3.1.2). Private to lib/zstd.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    FRAME_MAGIC_LEN = 4,
    FRAME_SKIPPABLE_HEADER = 8, /* magic and length: no frame is shorter */
    /* A block is at least four bytes, and no more than 128 KiB come out of it. */
    FRAME_RATIO_MAX = (128 << 10) / 4,
};

#define FRAME_MAGIC            UINT32_C(0xFD2FB528)
#define FRAME_MAGIC_SKIPPABLE  UINT32_C(0x184D2A50) /* to ...5F */
#define FRAME_MAGIC_PADDING    FRAME_MAGIC_SKIPPABLE
#define FRAME_MAGIC_SEEK_TABLE UINT32_C(0x184D2A5E)

/* What an older or a newer zstd would be is none of it. */
static inline bool frame_is_known(uint32_t magic)
{
    return magic == FRAME_MAGIC || (magic & ~UINT32_C(0xF)) == FRAME_MAGIC_SKIPPABLE;
}
