/* The tree that json.c has built: its members, numbers and how they are shown. */
#include "loaders/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Duplicate keys ------------------------------------------------------------------------ */

static int compare_keys(const plens__json *a, const plens__json *b) {
    size_t shorter = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->key, b->key, shorter);
    return order != 0 ? order : (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

/* By key, then by place, so that the message does not depend on the library's qsort. */
static int compare_members(const void *a, const void *b) {
    const plens__json *x = *(const plens__json *const *)a, *y = *(const plens__json *const *)b;
    int order = compare_keys(x, y);
    return order != 0 ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

static plens_status check_object(const plens_allocator *allocator, const char *file,
                                 const plens__json *object, plens_error *error) {
    const plens__json **sorted = plens__alloc_array(allocator, object->count, sizeof *sorted);
    if (sorted == NULL)
        return plens__fail_memory(error, object->count * sizeof *sorted, file);
    size_t n = 0;
    for (const plens__json *member = object->first; member != NULL; member = member->next)
        sorted[n++] = member;
    qsort(sorted, n, sizeof *sorted, compare_members);
    plens_status status = PLENS_OK;
    for (size_t i = 1; i < n && status == PLENS_OK; i++) {
        if (compare_keys(sorted[i - 1], sorted[i]) == 0)
            status = plens__fail(error, PLENS_ERROR_FORMAT,
                                 "%s: byte %zu: expected each key once, found \"%s\" again (first "
                                 "at byte %zu)",
                                 file, sorted[i]->offset, sorted[i]->key, sorted[i - 1]->offset);
    }
    plens__free(allocator, sorted);
    return status;
}

plens_status plens__json_no_duplicates(const plens_allocator *allocator, const char *file,
                                       const plens__json *root, plens_error *error) {
    plens_status status = PLENS_OK;
    if (root->type == PLENS__JSON_OBJECT && root->count > 1)
        status = check_object(allocator, file, root, error);
    for (const plens__json *member = root->first; member != NULL && status == PLENS_OK;
         member = member->next)
        status = plens__json_no_duplicates(allocator, file, member, error);
    return status;
}

/* ---- Reading the tree ---------------------------------------------------------------------- */

const plens__json *plens__json_get(const plens__json *object, const char *key) {
    if (object == NULL || object->type != PLENS__JSON_OBJECT)
        return NULL;
    size_t length = strlen(key);
    const plens__json *member = object->first;
    while (member != NULL &&
           (member->key_length != length || memcmp(member->key, key, length) != 0))
        member = member->next;
    return member;
}

int plens__json_is_string(const plens__json *value, const char *text) {
    return value != NULL && value->type == PLENS__JSON_STRING && value->length == strlen(text) &&
           memcmp(value->text, text, value->length) == 0;
}

int plens__json_u64(const plens__json *value, uint64_t *out) {
    if (value == NULL || value->type != PLENS__JSON_NUMBER)
        return 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < value->length; i++) {
        if (value->text[i] < '0' || value->text[i] > '9')
            return 0;
        uint64_t digit = (uint64_t)(value->text[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return 0;
        sum = sum * 10 + digit;
    }
    *out = sum;
    return 1;
}

int plens__json_i64(const plens__json *value, int64_t *out) {
    if (value == NULL || value->type != PLENS__JSON_NUMBER)
        return 0;
    int negative = value->text[0] == '-';
    plens__json magnitude = *value;
    magnitude.text += negative;
    magnitude.length -= (size_t)negative;
    uint64_t size;
    if (!plens__json_u64(&magnitude, &size) || size > (uint64_t)INT64_MAX + (uint64_t)negative)
        return 0;
    *out = !negative ? (int64_t)size : size > INT64_MAX ? INT64_MIN : -(int64_t)size;
    return 1;
}

int plens__json_double(const plens__json *value, double *out) {
    return value != NULL && value->type == PLENS__JSON_NUMBER &&
           plens__decimal_to_double(value->text, value->length, out);
}

const char *plens__json_show(const plens__json *value, char out[PLENS__JSON_SHOWN]) {
    static const char *const words[] = {"null", "false", "true"};
    enum { ROOM = PLENS__JSON_SHOWN - 8 }; /* besides the quotes, "..." and the zero */
    if (value == NULL)
        return memcpy(out, "nothing", sizeof "nothing");
    switch (value->type) {
    case PLENS__JSON_NULL:
    case PLENS__JSON_FALSE:
    case PLENS__JSON_TRUE:
        snprintf(out, PLENS__JSON_SHOWN, "%s", words[value->type]);
        break;
    case PLENS__JSON_ARRAY:
    case PLENS__JSON_OBJECT:
        snprintf(out, PLENS__JSON_SHOWN, "an %s of %zu",
                 value->type == PLENS__JSON_ARRAY ? "array" : "object", value->count);
        break;
    case PLENS__JSON_NUMBER:
    case PLENS__JSON_STRING: {
        const char *quote = value->type == PLENS__JSON_STRING ? "\"" : "";
        snprintf(out, PLENS__JSON_SHOWN, "%s%.*s%s%s", quote, (int)ROOM, value->text,
                 value->length > ROOM ? "..." : "", quote);
    }
    }
    return out;
}
