#include "edited_db.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/bolt/made_up.h"
#include "fuzz.h"

enum { EDIT = 6, ROOM_MAX = 1 << 20 };

static void edit(struct made_up *m, const uint8_t op[EDIT])
{
    uint8_t *page = m->bytes + op[0] % m->n_pages * m->page_size;
    size_t at = ((size_t)op[1] << 8 | op[2]) % (m->page_size - 8);

    switch (op[5] % 4) {
    case 0:
        page[at] ^= op[3];
        break;
    case 1: /* a small number at the front, where headers and elements are */
        page[at % 64] = op[3];
        page[at % 64 + 1] = op[4];
        break;
    case 2:
        memset(page + at % 128, op[3] & 1 ? 0xFF : 0, op[4] % 9);
        break;
    default: /* another page's bytes, with its own number */
        if (page != m->bytes + op[3] % m->n_pages * m->page_size)
            memcpy(page + 8, m->bytes + op[3] % m->n_pages * m->page_size + 8, m->page_size - 8);
    }
    if (op[0] % m->n_pages < 2 && op[5] & 0x80)
        made_up_sign_meta(page);
}

struct bytes edited_db_make(const uint8_t *data, size_t len)
{
    struct made_up m;
    uint8_t *copy;

    if (len < 2 || data[0] != 'M') {
        copy = malloc(len ? len : 1);
        FUZZ_CHECK(copy);
        if (len > 0)
            memcpy(copy, data, len);
        return (struct bytes){.data = copy, .len = len};
    }
    made_up_make(&m, data[1]);
    for (size_t i = 2; i + EDIT <= len; i += EDIT)
        edit(&m, data + i);
    free(m.used);
    return (struct bytes){.data = m.bytes, .len = m.n_pages * m.page_size};
}

void edited_db_free(struct bytes db)
{
    free((void *)(uintptr_t)db.data);
}
