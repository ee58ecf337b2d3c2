#include "tests/harness/random.h"

uint64_t random_number(uint64_t seed, uint64_t k) {
    uint64_t z = seed + (k + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

size_t random_index(uint64_t seed, uint64_t k, size_t n) {
    return (size_t)((random_number(seed, k) >> 32) * n >> 32);
}
