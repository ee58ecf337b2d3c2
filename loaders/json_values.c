/* JSON texts that are one string or one array of ids, for plens_json_to_text and plens_json_to_ids.
 */
#include <string.h>

#include "loaders/json.h"

static plens_status expected(const plens__json *value, const char *what, plens_error *error) {
    char shown[PLENS__JSON_SHOWN];
    return plens__fail(error, PLENS_ERROR_FORMAT, "JSON: byte %zu: expected %s, found %s",
                       value->offset, what, plens__json_show(value, shown));
}

/* *text gets new memory with a zero behind the bytes. */
static plens_status copy_text(const plens_allocator *allocator, const plens__json *string,
                              plens_text *text, plens_error *error) {
    char *copy = plens__alloc(allocator, string->length + 1);
    if (copy == NULL)
        return plens__fail_memory(error, string->length, "a text");
    memcpy(copy, string->text, string->length + 1);
    *text = (plens_text){copy, string->length};
    return PLENS_OK;
}

plens_status plens__json_to_text(const plens_allocator *allocator, const char *json, size_t n_bytes,
                                 plens_text *text, plens_error *error) {
    plens__arena arena = {allocator, NULL};
    const plens__json *root;
    plens_status status = plens__json_parse(&arena, "JSON", json, n_bytes, &root, error);
    if (status == PLENS_OK)
        status = root->type != PLENS__JSON_STRING ? expected(root, "a string", error)
                                                  : copy_text(allocator, root, text, error);
    plens__arena_free(&arena);
    return status;
}

static plens_status ids_of_array(const plens_allocator *allocator, const plens__json *array,
                                 plens_ids *ids, plens_error *error) {
    int32_t *data = plens__alloc_array(allocator, array->count, sizeof *data);
    if (data == NULL)
        return plens__fail_memory(error, array->count * sizeof *data, "ids");
    size_t n = 0;
    for (const plens__json *item = array->first; item != NULL; item = item->next) {
        int64_t id;
        if (!plens__json_i64(item, &id) || id < 0 || id > INT32_MAX) {
            plens__free(allocator, data);
            return expected(item, "a token id", error);
        }
        data[n++] = (int32_t)id;
    }
    *ids = (plens_ids){data, n};
    return PLENS_OK;
}

plens_status plens__json_to_ids(const plens_allocator *allocator, const char *json, size_t n_bytes,
                                plens_ids *ids, plens_error *error) {
    plens__arena arena = {allocator, NULL};
    const plens__json *root;
    plens_status status = plens__json_parse(&arena, "JSON", json, n_bytes, &root, error);
    if (status == PLENS_OK)
        status = root->type != PLENS__JSON_ARRAY ? expected(root, "an array of token ids", error)
                                                 : ids_of_array(allocator, root, ids, error);
    plens__arena_free(&arena);
    return status;
}
