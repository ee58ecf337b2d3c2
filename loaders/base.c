#include "loaders/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loaders/utf8.h"

/* ---- sizes ---- */

int plens__add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b)
        return 0;
    *out = a + b;
    return 1;
}

int plens__mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b)
        return 0;
    *out = a * b;
    return 1;
}

int plens__mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (b != 0 && a > UINT64_MAX / b)
        return 0;
    *out = a * b;
    return 1;
}

uint64_t plens__hash(uint64_t hash, const void *bytes, size_t n) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * 0x100000001B3u;
    return hash;
}

/* ---- memory ---- */

/* Lies directly in front of the aligned block: what the hook must be given to free it. */
typedef struct block_head {
    void *raw;
    size_t raw_bytes;
} block_head;

#define ALIGNMENT 64

void *plens__alloc(const plens_allocator *allocator, size_t bytes) {
    size_t raw_bytes;
    if (!plens__add(bytes, ALIGNMENT + sizeof(block_head), &raw_bytes))
        return NULL;
    char *raw = allocator->reallocate(allocator->user, NULL, 0, raw_bytes);
    if (raw == NULL)
        return NULL;
    size_t past_head = (size_t)(uintptr_t)(raw + sizeof(block_head)) % ALIGNMENT;
    char *block = raw + sizeof(block_head) + (ALIGNMENT - past_head) % ALIGNMENT;
    block_head head = {raw, raw_bytes};
    memcpy(block - sizeof head, &head, sizeof head);
    return block;
}

void plens__free(const plens_allocator *allocator, void *block) {
    if (block == NULL)
        return;
    block_head head;
    memcpy(&head, (char *)block - sizeof head, sizeof head);
    allocator->reallocate(allocator->user, head.raw, head.raw_bytes, 0);
}

void *plens__alloc_array(const plens_allocator *allocator, size_t count, size_t size) {
    size_t bytes;
    if (!plens__mul(count, size, &bytes))
        return NULL;
    void *block = plens__alloc(allocator, bytes);
    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}

int plens__buffer_append(plens__buffer *buffer, const char *bytes, size_t n) {
    size_t needed;
    if (!plens__add(buffer->count, n, &needed) || !plens__add(needed, 1, &needed))
        return 0;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
        while (capacity < needed) {
            if (!plens__mul(capacity, 2, &capacity))
                return 0;
        }
        char *data = plens__alloc(buffer->allocator, capacity);
        if (data == NULL)
            return 0;
        if (buffer->count > 0)
            memcpy(data, buffer->data, buffer->count);
        plens__free(buffer->allocator, buffer->data);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (n > 0)
        memcpy(buffer->data + buffer->count, bytes, n);
    buffer->count += n;
    buffer->data[buffer->count] = 0;
    return 1;
}

void plens__buffer_free(plens__buffer *buffer) {
    plens__free(buffer->allocator, buffer->data);
    buffer->data = NULL;
    buffer->count = buffer->capacity = 0;
}

/* ---- arena ---- */

struct plens__arena_chunk {
    plens__arena_chunk *next;
    size_t used, capacity; /* of the bytes after this header */
};

#define ARENA_HEADER ((sizeof(plens__arena_chunk) + 15) / 16 * 16)
#define ARENA_CHUNK  ((size_t)64 * 1024)

void *plens__arena_alloc(plens__arena *arena, size_t bytes) {
    size_t size;
    if (!plens__add(bytes, 15, &size))
        return NULL;
    size = size / 16 * 16;
    plens__arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < size) {
        size_t capacity = size > ARENA_CHUNK ? size : ARENA_CHUNK;
        size_t total;
        if (!plens__add(capacity, ARENA_HEADER, &total))
            return NULL;
        plens__arena_chunk *fresh = plens__alloc(arena->allocator, total);
        if (fresh == NULL)
            return NULL;
        fresh->next = chunk;
        fresh->used = 0;
        fresh->capacity = capacity;
        arena->chunks = chunk = fresh;
    }
    char *block = (char *)chunk + ARENA_HEADER + chunk->used;
    chunk->used += size;
    return block;
}

char *plens__arena_copy(plens__arena *arena, const char *bytes, size_t n) {
    size_t size;
    if (!plens__add(n, 1, &size))
        return NULL;
    char *copy = plens__arena_alloc(arena, size);
    if (copy == NULL)
        return NULL;
    if (n > 0)
        memcpy(copy, bytes, n);
    copy[n] = 0;
    return copy;
}

void plens__arena_free(plens__arena *arena) {
    while (arena->chunks != NULL) {
        plens__arena_chunk *next = arena->chunks->next;
        plens__free(arena->allocator, arena->chunks);
        arena->chunks = next;
    }
}

/* ---- errors ---- */

/* Copies text into message as one line of valid UTF-8. */
static void write_message(plens_error *error, const char *text, size_t n, int cut) {
    static const char hex[] = "0123456789ABCDEF";
    size_t room = sizeof error->message - 4, at = 0, i = 0; /* 4: "..." and the zero */
    while (i < n) {
        uint32_t c;
        size_t length = plens__utf8_decode(text + i, n - i, &c);
        int plain = length > 1 || (length == 1 && c >= 0x20 && c != 0x7F);
        if (at + (plain ? length : 4) > room) {
            cut = 1;
            break;
        }
        if (plain) {
            memcpy(error->message + at, text + i, length);
            at += length;
            i += length;
        } else {
            unsigned char byte = (unsigned char)text[i++];
            char escaped[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
            memcpy(error->message + at, escaped, 4);
            at += 4;
        }
    }
    memcpy(error->message + at, cut ? "..." : "", cut ? 4 : 1);
}

plens_status plens__fail(plens_error *error, plens_status status, const char *format, ...) {
    if (error == NULL)
        return status;
    char text[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        text[0] = 0;
        length = 0;
    }
    int cut = (size_t)length >= sizeof text;
    write_message(error, text, cut ? sizeof text - 1 : (size_t)length, cut);
    error->status = status;
    return status;
}

plens_status plens__fail_null(plens_error *error, const char *function) {
    return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: an argument is NULL", function);
}

plens_status plens__fail_memory(plens_error *error, size_t bytes, const char *what) {
    return plens__fail(error, PLENS_ERROR_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}
