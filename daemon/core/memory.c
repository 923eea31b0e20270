#include "core/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void memory_tune(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)mallopt(M_ARENA_MAX, 2);
}

/* Segments that were never writable hold nothing but what their file holds: code and constants. */
static int drop_clean_segments(struct dl_phdr_info *object, size_t size, void *ctx)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)ctx;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin, end;

        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        /* Whole pages alone: the edges may be shared with a neighbour that is written to. */
        begin = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
        if (begin < end)
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void memory_give_back(void)
{
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(drop_clean_segments, NULL);
}
