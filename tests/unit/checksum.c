/* The checksum of checkpoints against XXH64 as the reference's own library (xxhash 3 for Python)
 * gives it. */
#include "tests/harness/checksum.c"

#include "tests/test.h"

static unsigned char bytes[200];

/* Guards against another hash than the one it is named after, at each length of the rest. */
static void is_xxh64(void) {
    static const struct {
        size_t n;
        uint64_t hash;
    } expected[] = {
        {0, 0xEF46DB3751D8E999u},   {1, 0xA96C7F0CE858BBB7u},  {3, 0xBED43740EE6332BBu},
        {4, 0xFA212AE44B3BB23Du},   {7, 0x2744460DD675D2C0u},  {8, 0x994B676B71CE94DDu},
        {31, 0x6711D55E306B5D8Fu},  {32, 0x07F7B8E3BC5D6E25u}, {33, 0x09F85EEB4E1CBE9Fu},
        {63, 0xB7C9968C066CB6A5u},  {64, 0x50D4159A0411632Eu}, {100, 0x9DDADA11D3DC2D8Fu},
        {200, 0x3B8CC7EAA63F107Eu},
    };
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 131 + 7);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        checksum c;
        checksum_start(&c);
        checksum_add(&c, bytes, expected[i].n);
        CHECK_THAT(checksum_value(&c) == expected[i].hash, "%zu bytes", expected[i].n);
    }
}

/* Guards against a value that depends on how the stream came in pieces. */
static void pieces_do_not_matter(void) {
    for (size_t step = 1; step < 70; step++) {
        checksum c;
        checksum_start(&c);
        for (size_t at = 0; at < sizeof bytes; at += step)
            checksum_add(&c, bytes + at, at + step < sizeof bytes ? step : sizeof bytes - at);
        CHECK_THAT(checksum_value(&c) == 0x3B8CC7EAA63F107Eu, "pieces of %zu", step);
    }
}

int main(void) {
    RUN(is_xxh64);
    RUN(pieces_do_not_matter);
    return test_finish();
}
