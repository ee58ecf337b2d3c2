/* loaders/base.c and loaders/utf8.c: what everything else stands on. */
#include "loaders/base.h"
#include "loaders/utf8.h"

#include "tests/faults.h"
#include "tests/heap.h"
#include "tests/test.h"

/* Guards against sizes that wrap around; a failure must not touch the output. */
static void sizes_are_checked(void) {
    size_t size = 77;
    uint64_t wide = 77;
    CHECK(plens__add(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
    CHECK(!plens__add(SIZE_MAX, 1, &size) && size == SIZE_MAX);
    CHECK(plens__mul(SIZE_MAX / 2, 2, &size) && size == SIZE_MAX - 1);
    CHECK(!plens__mul(SIZE_MAX / 2 + 1, 2, &size) && size == SIZE_MAX - 1);
    CHECK(plens__mul(SIZE_MAX, 0, &size) && size == 0);
    CHECK(plens__mul_u64((uint64_t)1 << 32, ((uint64_t)1 << 32) - 1, &wide));
    CHECK(wide == (((uint64_t)1 << 32) - 1) << 32);
    CHECK(!plens__mul_u64((uint64_t)1 << 32, (uint64_t)1 << 32, &wide));
    CHECK(plens__alloc(&heap, SIZE_MAX) == NULL);
    CHECK(plens__alloc(&heap, SIZE_MAX - 8) == NULL);
    CHECK(plens__alloc_array(&heap, SIZE_MAX / 2, 3) == NULL);
}

/* Guards the alignment that kernels rely on, and the sizes that the hook is told. */
static void blocks_are_aligned_and_their_sizes_kept(void) {
    faults state = {0, 0, 0, 0};
    plens_allocator allocator = {faults_reallocate, &state};
    void *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = plens__alloc(&allocator, i * 37);
        CHECK(blocks[i] != NULL && (uintptr_t)blocks[i] % 64 == 0);
        memset(blocks[i], 0xAB, i * 37);
    }
    for (size_t i = 0; i < 64; i++)
        plens__free(&allocator, blocks[i]);
    plens__free(&allocator, NULL);
    CHECK_INT(state.outstanding, 0);
    unsigned char *cleared = plens__alloc_array(&heap, 100, 3);
    CHECK(cleared != NULL);
    for (int i = 0; i < 300; i++)
        CHECK_INT(cleared[i], 0);
    plens__free(&heap, cleared);
}

/* Guards buffers: growth keeps what is there, a failed append changes nothing, a zero follows. */
static void buffers_grow_or_stay(void) {
    faults state = {0, 0, 0, 0};
    plens_allocator allocator = {faults_reallocate, &state};
    plens__buffer buffer = {&allocator, NULL, 0, 0};
    for (int i = 0; i < 1000; i++) {
        char byte = (char)('a' + i % 26);
        CHECK(plens__buffer_append(&buffer, &byte, 1));
        CHECK_INT(buffer.data[buffer.count], 0);
    }
    for (int i = 0; i < 1000; i++)
        CHECK_INT(buffer.data[i], 'a' + i % 26);
    plens__buffer before = buffer;
    static const char more[5000];
    state.fail_at = state.calls + 1;
    CHECK(!plens__buffer_append(&buffer, more, sizeof more));
    CHECK(memcmp(&before, &buffer, sizeof buffer) == 0);
    CHECK(!plens__buffer_append(&buffer, more, SIZE_MAX));
    plens__buffer_free(&buffer);
    CHECK_INT(state.outstanding, 0);
}

/* Guards arenas: blocks do not overlap, small and large ones, and all come back. */
static void arenas_keep_their_blocks_apart(void) {
    enum { COUNT = 3000 };
    faults state = {0, 0, 0, 0};
    plens_allocator allocator = {faults_reallocate, &state};
    plens__arena arena = {&allocator, NULL};
    static unsigned char *blocks[COUNT];
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 70000, 65536};
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = plens__arena_alloc(&arena, sizes[i % 8] % (i < 100 ? 100000 : 1000));
        CHECK(blocks[i] != NULL && (uintptr_t)blocks[i] % 16 == 0);
        memset(blocks[i], (int)(i % 251), sizes[i % 8] % (i < 100 ? 100000 : 1000));
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = sizes[i % 8] % (i < 100 ? 100000 : 1000);
        for (size_t j = 0; j < n; j++)
            CHECK_INT(blocks[i][j], i % 251);
    }
    char *copy = plens__arena_copy(&arena, "a\0b", 3);
    CHECK(copy != NULL && memcmp(copy, "a\0b", 4) == 0);
    CHECK(plens__arena_alloc(&arena, SIZE_MAX) == NULL);
    plens__arena_free(&arena);
    CHECK_INT(state.outstanding, 0);
}

/* Guards messages: one line of UTF-8 whatever was read, cut at a character where it is long. */
static void messages_are_one_clean_line(void) {
    plens_error error;
    CHECK_INT(plens__fail(&error, PLENS_ERROR_IO, "%s: %d", "a\tb\nc\x7f\xff\xe3\x81\x82\xe3", 7),
              PLENS_ERROR_IO);
    CHECK_INT(error.status, PLENS_ERROR_IO);
    CHECK_STRING(error.message, "a\\x09b\\x0Ac\\x7F\\xFF\xe3\x81\x82\\xE3: 7");
    CHECK_INT(plens__fail(NULL, PLENS_ERROR_FORMAT, "%s", "x"), PLENS_ERROR_FORMAT);
    for (size_t length = 990; length < 1060; length++) {
        char text[1400];
        size_t at = 0;
        for (; at + 3 <= length; at += 3)
            memcpy(text + at, "\xe3\x81\x82", 3);
        memset(text + at, 'x', length - at);
        text[length] = 0;
        plens__fail(&error, PLENS_ERROR_IO, "%s", text);
        size_t n = strlen(error.message);
        CHECK(n < sizeof error.message && plens__utf8_check(error.message, n) == n);
        CHECK(strcmp(error.message, text) == 0 || strcmp(error.message + n - 3, "...") == 0);
    }
}

/* Guards UTF-8 by table 3-7 of Unicode 16: the first and last of each row, and their neighbours. */
static void utf8_is_what_unicode_says(void) {
    static const struct {
        const char *bytes;
        size_t n, length; /* length 0: not valid */
        uint32_t c;
    } cases[] = {
        {"", 0, 0, 0},
        {"\0", 1, 1, 0},
        {"\x7f", 1, 1, 0x7F},
        {"\x80", 1, 0, 0},
        {"\xc1\xbf", 2, 0, 0},
        {"\xc2\x80", 2, 2, 0x80},
        {"\xdf\xbf", 2, 2, 0x7FF},
        {"\xe0\x9f\xbf", 3, 0, 0},
        {"\xe0\xa0\x80", 3, 3, 0x800},
        {"\xed\x9f\xbf", 3, 3, 0xD7FF},
        {"\xed\xa0\x80", 3, 0, 0},
        {"\xee\x80\x80", 3, 3, 0xE000},
        {"\xef\xbf\xbf", 3, 3, 0xFFFF},
        {"\xf0\x8f\xbf\xbf", 4, 0, 0},
        {"\xf0\x90\x80\x80", 4, 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 4, 0x10FFFF},
        {"\xf4\x90\x80\x80", 4, 0, 0},
        {"\xf5\x80\x80\x80", 4, 0, 0},
        {"\xff", 1, 0, 0},
        {"\xe3\x81", 2, 0, 0},
        {"\xe3\x81z", 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t c = 77;
        CHECK_THAT(plens__utf8_decode(cases[i].bytes, cases[i].n, &c) == cases[i].length,
                   "case %zu", i);
        CHECK(c == (cases[i].length > 0 ? cases[i].c : 77));
        char encoded[4];
        if (cases[i].length > 0) {
            CHECK_INT(plens__utf8_encode(c, encoded), cases[i].length);
            CHECK(memcmp(encoded, cases[i].bytes, cases[i].length) == 0);
        }
    }
    CHECK_INT(plens__utf8_check("ab\xe3\x81\x82\xffz", 7), 5);
    CHECK_INT(plens__utf8_check("ab", 2), 2);
    CHECK_INT(plens__utf8_bad_length("\xf0\x9f\x98z", 4), 3);
    CHECK_INT(plens__utf8_bad_length("\xe3\x81", 2), 2);
    CHECK_INT(plens__utf8_bad_length("\xed\xa0\x80", 3), 1);
    CHECK_INT(plens__utf8_bad_length("\x80\x80", 2), 1);
}

int main(void) {
    RUN(sizes_are_checked);
    RUN(blocks_are_aligned_and_their_sizes_kept);
    RUN(buffers_grow_or_stay);
    RUN(arenas_keep_their_blocks_apart);
    RUN(messages_are_one_clean_line);
    RUN(utf8_is_what_unicode_says);
    return test_finish();
}
