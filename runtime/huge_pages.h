/* Buffers that begin with a cache line, and large ones in huge pages, where the system has them. A
 * tile of AMX takes three times as long to load if its rows lie across lines. Rows of weights lie
 * far apart, and the processor keeps the addresses of few small pages at hand: with rows of 8 KiB
 * one core read weights at 26 GB/s from huge pages and at 16 from small ones. */
#ifndef PLENS_RUNTIME_HUGE_PAGES_H
#define PLENS_RUNTIME_HUGE_PAGES_H

#include <stddef.h>

/* What to allocate for a buffer of `bytes`, and where in that block the buffer then begins. Asks
 * the system to back a large one with huge pages; that it does not is no error. */
size_t plens__huge_bytes(size_t bytes);
char *plens__huge_begin(char *block, size_t bytes);

#endif
