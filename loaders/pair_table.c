#include "loaders/pair_table.h"

#include <string.h>

static plens__pair_slot *new_slots(const plens_allocator *allocator, size_t n) {
    plens__pair_slot *slots = plens__alloc_array(allocator, n, sizeof *slots);
    for (size_t i = 0; slots != NULL && i < n; i++)
        slots[i].a = UINT32_MAX;
    return slots;
}

int plens__pair_table_create(const plens_allocator *allocator, size_t count,
                             plens__pair_table *table) {
    size_t n = 16;
    memset(table, 0, sizeof *table);
    table->allocator = allocator;
    while (n / 2 <= count) {
        if (!plens__mul(n, 2, &n))
            return 0;
    }
    table->slots = new_slots(allocator, n);
    table->mask = n - 1;
    return table->slots != NULL;
}

void plens__pair_table_free(plens__pair_table *table) {
    if (table->allocator != NULL)
        plens__free(table->allocator, table->slots);
    memset(table, 0, sizeof *table);
}

static plens__pair_slot *find(plens__pair_slot *slots, size_t mask, uint32_t a, uint32_t b) {
    size_t i = plens__pair_hash(a, b) & mask;
    while (slots[i].a != UINT32_MAX && (slots[i].a != a || slots[i].b != b))
        i = (i + 1) & mask;
    return &slots[i];
}

static int grow(plens__pair_table *table) {
    size_t old = table->mask + 1, n;
    plens__pair_slot *slots = plens__mul(old, 2, &n) ? new_slots(table->allocator, n) : NULL;
    if (slots == NULL)
        return 0;
    for (size_t i = 0; i < old; i++) {
        const plens__pair_slot *slot = &table->slots[i];
        if (slot->a != UINT32_MAX)
            *find(slots, n - 1, slot->a, slot->b) = *slot;
    }
    plens__free(table->allocator, table->slots);
    table->slots = slots;
    table->mask = n - 1;
    return 1;
}

int plens__pair_table_put(plens__pair_table *table, uint32_t a, uint32_t b, uint32_t x,
                          uint32_t y) {
    if (table->count >= (table->mask + 1) / 2 && !grow(table))
        return 0;
    plens__pair_slot *slot = find(table->slots, table->mask, a, b);
    table->count += slot->a == UINT32_MAX;
    slot->a = a;
    slot->b = b;
    slot->x = x;
    slot->y = y;
    return 1;
}
