/* Values in a JSON text by their path, for plens_json_find. */
#include "loaders/json.h"

#include <string.h>

static const plens_json_kind kinds[] = {
    [PLENS__JSON_NULL] = PLENS_JSON_NULL,     [PLENS__JSON_FALSE] = PLENS_JSON_FALSE,
    [PLENS__JSON_TRUE] = PLENS_JSON_TRUE,     [PLENS__JSON_NUMBER] = PLENS_JSON_NUMBER,
    [PLENS__JSON_STRING] = PLENS_JSON_STRING, [PLENS__JSON_ARRAY] = PLENS_JSON_ARRAY,
    [PLENS__JSON_OBJECT] = PLENS_JSON_OBJECT,
};

/* Decimal digits without leading zeros as a number below `most`: `most` if it is none. */
static size_t parse_index(const char *name, size_t n, size_t most) {
    size_t index = 0;
    if (n == 0 || (n > 1 && name[0] == '0'))
        return most;
    for (size_t i = 0; i < n; i++) {
        if (name[i] < '0' || name[i] > '9' || index >= most)
            return most;
        index = index * 10 + (size_t)(name[i] - '0'); /* index < most <= bytes of the text */
    }
    return index < most ? index : most;
}

/* The member with this name or, in an array, number; NULL if there is none. */
static const plens__json *step(const plens__json *value, const char *name, size_t n) {
    if (value->type == PLENS__JSON_ARRAY) {
        size_t index = parse_index(name, n, value->count);
        const plens__json *item = index < value->count ? value->first : NULL;
        for (; item != NULL && index > 0; index--)
            item = item->next;
        return item;
    }
    if (value->type != PLENS__JSON_OBJECT)
        return NULL;
    const plens__json *item = value->first;
    while (item != NULL && (item->key_length != n || memcmp(item->key, name, n) != 0))
        item = item->next;
    return item;
}

const plens__json *plens__json_find(const plens__json *value, const char *path) {
    while (value != NULL && *path != 0) {
        size_t n = strcspn(path, "/");
        value = step(value, path, n);
        path += n + (path[n] == '/');
    }
    return value;
}

static plens_status copy_text(const plens_allocator *allocator, const plens__json *value,
                              plens_text *text, plens_error *error) {
    int has_text =
        value != NULL && (value->type == PLENS__JSON_STRING || value->type == PLENS__JSON_NUMBER);
    size_t n = has_text ? value->length : 0;
    char *copy = plens__alloc(allocator, n + 1);
    if (copy == NULL)
        return plens__fail_memory(error, n + 1, "a text");
    if (n > 0)
        memcpy(copy, value->text, n);
    copy[n] = 0;
    *text = (plens_text){copy, n};
    return PLENS_OK;
}

plens_status plens__json_find_text(const plens_allocator *allocator, const char *json,
                                   size_t n_bytes, const char *path, plens_json_kind *kind,
                                   plens_text *text, plens_error *error) {
    plens__arena arena = {allocator, NULL};
    const plens__json *root;
    plens_status status = plens__json_parse(&arena, "JSON", json, n_bytes, &root, error);
    if (status == PLENS_OK)
        status = plens__json_no_duplicates(allocator, "JSON", root, error);
    if (status == PLENS_OK) {
        const plens__json *value = plens__json_find(root, path);
        status = copy_text(allocator, value, text, error);
        if (status == PLENS_OK)
            *kind = value == NULL ? PLENS_JSON_MISSING : kinds[value->type];
    }
    plens__arena_free(&arena);
    return status;
}
