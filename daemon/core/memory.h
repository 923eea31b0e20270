/*
 * memory.h: a daemon that rests takes little memory.
 */
#pragma once

/* Buffers of parts and chunks go back to the system when they are freed, instead of raising malloc's threshold; and the
 * threads of the pool share arenas. Once, at start. */
void memory_tune(void);

/*
 * After a job: free memory goes back to the system, and so do the pages of code that only jobs run. They are clean
 * copies of files: what is needed again is mapped again from the page cache.
 */
void memory_give_back(void);
