/* Random numbers that are the same everywhere: SplitMix64 [Steele, Lea, Flood 2014, "Fast
 * splittable pseudorandom number generators"], whose k-th number can be had without those before
 * it. */
#ifndef PLENS_HARNESS_RANDOM_H
#define PLENS_HARNESS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The k-th number of the sequence that belongs to a seed, k from 0. */
uint64_t random_number(uint64_t seed, uint64_t k);

/* The same as an index below n, 1 <= n < 2^32: the upper 32 bits times n, divided by 2^32. */
size_t random_index(uint64_t seed, uint64_t k, size_t n);

#endif
