/* What every part of the library stands on: the allocator, errors, checked sizes, byte buffers.
 * Depends on plens.h alone. */
#ifndef PLENS_LOADERS_BASE_H
#define PLENS_LOADERS_BASE_H

#include "plens.h"

#if defined(__GNUC__) || defined(__clang__)
#define PLENS__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PLENS__PRINTF(text, first)
#endif

/* Memory from the hook, aligned to 64 bytes (a cache line, a zmm register); the size is kept in
 * front of the block. Not cleared. NULL when there is none, or if bytes overflows. */
void *plens__alloc(const plens_allocator *allocator, size_t bytes);
void plens__free(const plens_allocator *allocator, void *block);

/* count * size bytes, cleared; NULL also if the product overflows. */
void *plens__alloc_array(const plens_allocator *allocator, size_t count, size_t size);

/* Checked arithmetic: 0 and *out untouched if the result does not fit. */
int plens__add(size_t a, size_t b, size_t *out);
int plens__mul(size_t a, size_t b, size_t *out);
int plens__mul_u64(uint64_t a, uint64_t b, uint64_t *out);

/* FNV-1a, 64 bits [Fowler, Noll, Vo; RFC 9923]; begin with PLENS__HASH. Tells inputs apart that
 * nobody forges. */
#define PLENS__HASH 0xCBF29CE484222325u
uint64_t plens__hash(uint64_t hash, const void *bytes, size_t n);

/* Writes the story into *error (which may be NULL) and returns status. Control bytes and bytes
 * that are no UTF-8 among the formatted text come out as \xHH; too long a text ends in "...". */
plens_status plens__fail(plens_error *error, plens_status status, const char *format, ...)
    PLENS__PRINTF(3, 4);

/* ARGUMENT: a pointer that the public function needs is NULL. */
plens_status plens__fail_null(plens_error *error, const char *function);

/* The failure of an allocation of `bytes` for `what`. */
plens_status plens__fail_memory(plens_error *error, size_t bytes, const char *what);

/* A growing array of bytes. Starts as {allocator, NULL, 0, 0}. Append returns 0 if there is no
 * memory (the buffer is then as before); after it data[count] is always 0. */
typedef struct plens__buffer {
    const plens_allocator *allocator;
    char *data;
    size_t count, capacity;
} plens__buffer;

int plens__buffer_append(plens__buffer *buffer, const char *bytes, size_t n);
void plens__buffer_free(plens__buffer *buffer);

/* Many small blocks that are freed together (JSON nodes, names). Starts as {allocator, NULL}. */
typedef struct plens__arena_chunk plens__arena_chunk;
typedef struct plens__arena {
    const plens_allocator *allocator;
    plens__arena_chunk *chunks;
} plens__arena;

/* bytes, aligned to 16; NULL when there is no memory. */
void *plens__arena_alloc(plens__arena *arena, size_t bytes);
/* A zero-terminated copy. */
char *plens__arena_copy(plens__arena *arena, const char *bytes, size_t n);
void plens__arena_free(plens__arena *arena);

#endif
