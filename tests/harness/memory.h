/* How much memory the machine can spare. */
#ifndef PLENS_HARNESS_MEMORY_H
#define PLENS_HARNESS_MEMORY_H

#include <stdint.h>

/* Bytes that this process could take now without anything being swapped out or killed: the least of
 * what the system has free or can free at once, what its control groups (containers, batch systems)
 * still allow, and its limit on address space. 0 if nothing is known. */
uint64_t memory_available(void);

/* The same read below another root than "/", for tests; its control groups are what
 * root/proc/self/cgroup says. */
uint64_t memory_available_below(const char *root);

/* The resident memory of this process, file pages included; 0 if that is not known. */
uint64_t memory_resident(void);

#endif
