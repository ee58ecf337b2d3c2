/* XXH64 with seed 0. [github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md] */
#include "tests/harness/checksum.h"

#include <string.h>

#define PRIME_1 0x9E3779B185EBCA87u
#define PRIME_2 0xC2B2AE3D27D4EB4Fu
#define PRIME_3 0x165667B19E3779F9u
#define PRIME_4 0x85EBCA77C2B2AE63u
#define PRIME_5 0x27D4EB2F165667C5u

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

static uint64_t word(const unsigned char *at, size_t n_bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint64_t round_of(uint64_t lane, uint64_t input) {
    return rotate(lane + input * PRIME_2, 31) * PRIME_1;
}

void checksum_start(checksum *c) {
    memset(c, 0, sizeof *c);
    c->lanes[0] = PRIME_1 + PRIME_2;
    c->lanes[1] = PRIME_2;
    c->lanes[3] = 0 - PRIME_1;
}

static void add_block(checksum *c, const unsigned char *block) {
    for (size_t i = 0; i < 4; i++)
        c->lanes[i] = round_of(c->lanes[i], word(block + 8 * i, 8));
}

void checksum_add(checksum *c, const void *bytes, size_t n_bytes) {
    const unsigned char *at = bytes;
    size_t held = c->length % 32, room = 32 - held;
    c->length += n_bytes;
    if (held > 0) {
        size_t n = n_bytes < room ? n_bytes : room;
        memcpy(c->rest + held, at, n);
        if (n < room)
            return;
        add_block(c, c->rest);
        at += n;
        n_bytes -= n;
    }
    for (; n_bytes >= 32; n_bytes -= 32, at += 32)
        add_block(c, at);
    memcpy(c->rest, at, n_bytes);
}

uint64_t checksum_value(const checksum *c) {
    const unsigned char *at = c->rest, *end = at + c->length % 32;
    uint64_t hash = PRIME_5;
    if (c->length >= 32) {
        hash = rotate(c->lanes[0], 1) + rotate(c->lanes[1], 7) + rotate(c->lanes[2], 12) +
               rotate(c->lanes[3], 18);
        for (size_t i = 0; i < 4; i++)
            hash = (hash ^ round_of(0, c->lanes[i])) * PRIME_1 + PRIME_4;
    }
    hash += c->length;
    for (; end - at >= 8; at += 8)
        hash = rotate(hash ^ round_of(0, word(at, 8)), 27) * PRIME_1 + PRIME_4;
    if (end - at >= 4) {
        hash = rotate(hash ^ word(at, 4) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        at += 4;
    }
    for (; at < end; at++)
        hash = rotate(hash ^ *at * PRIME_5, 11) * PRIME_1;
    hash = (hash ^ hash >> 33) * PRIME_2;
    hash = (hash ^ hash >> 29) * PRIME_3;
    return hash ^ hash >> 32;
}
