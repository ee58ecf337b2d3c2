#include "loaders/pieces.h"

plens__pieces plens__pieces_none(const plens_allocator *allocator) {
    plens__pieces pieces = {{allocator, NULL, 0, 0}, {allocator, NULL, 0, 0}};
    return pieces;
}

void plens__pieces_clear(plens__pieces *pieces) {
    pieces->text.count = pieces->list.count = 0;
}

void plens__pieces_free(plens__pieces *pieces) {
    plens__buffer_free(&pieces->text);
    plens__buffer_free(&pieces->list);
}

size_t plens__pieces_count(const plens__pieces *pieces) {
    return pieces->list.count / sizeof(plens__piece);
}

const plens__piece *plens__pieces_get(const plens__pieces *pieces, size_t i) {
    return (const plens__piece *)(const void *)pieces->list.data + i;
}

const char *plens__pieces_text(const plens__pieces *pieces, const plens__piece *piece) {
    return piece->n == 0 ? "" : pieces->text.data + piece->start;
}

int plens__pieces_add(plens__pieces *pieces, const char *bytes, size_t n, int first) {
    size_t start = pieces->text.count;
    return plens__buffer_append(&pieces->text, bytes, n) &&
           plens__pieces_close(pieces, start, first);
}

int plens__pieces_close(plens__pieces *pieces, size_t start, int first) {
    plens__piece piece = {start, pieces->text.count - start, first};
    return plens__buffer_append(&pieces->list, (const char *)&piece, sizeof piece);
}
