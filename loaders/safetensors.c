/* The header of one safetensors file. The rules, and their order, are those of the reference
 * implementation (safetensors 0.5, tensor.rs: SafeTensors::read_metadata, Metadata::validate), and
 * the specification's on duplicate names. */
#include "loaders/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loaders/json.h"

#define MAX_HEADER 100000000 /* bytes, as in the reference */

/* ---- Types --------------------------------------------------------------------------------- */

typedef struct dtype_entry {
    const char *name;
    unsigned bits;
    plens_dtype dtype; /* 0: plens does not compute with it */
} dtype_entry;

static const dtype_entry dtypes[] = {
    {"F32", 32, PLENS_F32}, {"F16", 16, PLENS_F16}, {"BF16", 16, PLENS_BF16}, {"F64", 64, 0},
    {"I64", 64, 0},         {"U64", 64, 0},         {"C64", 64, 0},           {"I32", 32, 0},
    {"U32", 32, 0},         {"I16", 16, 0},         {"U16", 16, 0},           {"I8", 8, 0},
    {"U8", 8, 0},           {"BOOL", 8, 0},         {"F8_E4M3", 8, 0},        {"F8_E5M2", 8, 0},
    {"F8_E8M0", 8, 0},      {"F8_E4M3FNUZ", 8, 0},  {"F8_E5M2FNUZ", 8, 0},    {"F6_E2M3", 6, 0},
    {"F6_E3M2", 6, 0},      {"F4", 4, 0},
};

static const dtype_entry *find_dtype(const plens__json *name) {
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (plens__json_is_string(name, dtypes[i].name))
            return &dtypes[i];
    }
    return NULL;
}

/* ---- One tensor ---------------------------------------------------------------------------- */

/* Fails for an entry of the header: FILE: tensor "NAME": KEY: expected …, found …. */
static plens_status fail_entry(plens_error *error, const char *path, const plens__json *entry,
                               const char *key, const char *expected, const plens__json *found) {
    char shown[PLENS__JSON_SHOWN];
    return plens__fail(error, PLENS_ERROR_FORMAT, "%s: tensor \"%s\": %s: expected %s, found %s",
                       path, entry->key, key, expected, plens__json_show(found, shown));
}

static plens_status read_shape(plens__arena *arena, const char *path, const plens__json *entry,
                               plens__tensor *tensor, plens_error *error) {
    const plens__json *shape = plens__json_get(entry, "shape");
    if (shape == NULL || shape->type != PLENS__JSON_ARRAY)
        return fail_entry(error, path, entry, "shape", "an array", shape);
    size_t bytes;
    uint64_t *sizes =
        plens__mul(shape->count, sizeof *sizes, &bytes) ? plens__arena_alloc(arena, bytes) : NULL;
    if (sizes == NULL)
        return plens__fail_memory(error, shape->count, path);
    for (const plens__json *size = shape->first; size != NULL; size = size->next) {
        if (!plens__json_u64(size, &sizes[tensor->rank++]))
            return fail_entry(error, path, entry, "shape", "integers from 0 to 2^64-1", size);
    }
    tensor->shape = sizes;
    return PLENS_OK;
}

/* data_offsets: [begin, end), counted from the end of the header. */
static plens_status read_span(const char *path, const plens__json *entry, plens__tensor *tensor,
                              plens_error *error) {
    const plens__json *span = plens__json_get(entry, "data_offsets");
    if (span == NULL || span->type != PLENS__JSON_ARRAY || span->count != 2)
        return fail_entry(error, path, entry, "data_offsets", "an array of two integers", span);
    uint64_t ends[2];
    const plens__json *number = span->first;
    for (int i = 0; i < 2; i++, number = number->next) {
        if (!plens__json_u64(number, &ends[i]))
            return fail_entry(error, path, entry, "data_offsets", "integers from 0 to 2^64-1",
                              number);
    }
    if (ends[1] < ends[0])
        return fail_entry(error, path, entry, "data_offsets", "an end not before the begin",
                          span->first->next);
    tensor->offset = ends[0];
    tensor->n_bytes = ends[1] - ends[0];
    return PLENS_OK;
}

/* shape times bits must be whole bytes, and as many as the span has. */
static plens_status check_size(const char *path, const plens__tensor *tensor, unsigned bits,
                               plens_error *error) {
    uint64_t size = bits;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!plens__mul_u64(size, tensor->shape[i], &size))
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": shape: expected a size below 2^64 bits, found a "
                               "larger one",
                               path, tensor->name);
    }
    if (size % 8 != 0)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: tensor \"%s\": shape: expected whole bytes of %s, found %" PRIu64
                           " bits",
                           path, tensor->name, tensor->dtype_name, size);
    if (size / 8 != tensor->n_bytes)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: tensor \"%s\": data_offsets: expected %" PRIu64
                           " bytes (shape and dtype), found %" PRIu64,
                           path, tensor->name, size / 8, tensor->n_bytes);
    return PLENS_OK;
}

static plens_status read_entry(plens__arena *arena, const char *path, const plens__json *entry,
                               plens__tensor *tensor, plens_error *error) {
    if (entry->type != PLENS__JSON_OBJECT)
        return fail_entry(error, path, entry, "its entry", "an object", entry);
    if (strlen(entry->key) != entry->key_length)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: tensor \"%s\": expected no zero byte in its name, found one", path,
                           entry->key);
    const plens__json *dtype_name = plens__json_get(entry, "dtype");
    const dtype_entry *dtype = find_dtype(dtype_name);
    if (dtype == NULL)
        return fail_entry(error, path, entry, "dtype",
                          "a type of the format (\"F32\", \"BF16\", …)", dtype_name);
    memset(tensor, 0, sizeof *tensor);
    tensor->dtype_name = dtype->name;
    tensor->dtype = dtype->dtype;
    tensor->name = plens__arena_copy(arena, entry->key, entry->key_length);
    if (tensor->name == NULL)
        return plens__fail_memory(error, entry->key_length, path);
    plens_status status = read_shape(arena, path, entry, tensor, error);
    if (status == PLENS_OK)
        status = read_span(path, entry, tensor, error);
    return status == PLENS_OK ? check_size(path, tensor, dtype->bits, error) : status;
}

/* ---- All of them --------------------------------------------------------------------------- */

static plens_status check_metadata(const char *path, const plens__json *metadata,
                                   plens_error *error) {
    char shown[PLENS__JSON_SHOWN];
    if (metadata->type != PLENS__JSON_OBJECT)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: __metadata__: expected an object, found %s", path,
                           plens__json_show(metadata, shown));
    for (const plens__json *member = metadata->first; member != NULL; member = member->next) {
        if (member->type != PLENS__JSON_STRING)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: __metadata__: \"%s\": expected a string, found %s", path,
                               member->key, plens__json_show(member, shown));
    }
    return PLENS_OK;
}

static int compare_spans(const void *a, const void *b) {
    const plens__tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Sorts the tensors by offset: they must follow each other without holes or overlaps from 0 to the
 * end of the file, whose data begin at data_start. Makes their offsets count from its start. */
static plens_status check_spans(const plens__file *file, uint64_t data_start,
                                plens__tensor *tensors, size_t n, plens_error *error) {
    qsort(tensors, n, sizeof *tensors, compare_spans);
    uint64_t end = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].offset != end)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": data_offsets: expected a begin of %" PRIu64
                               " (no holes, no overlaps), found %" PRIu64,
                               file->path, tensors[i].name, end, tensors[i].offset);
        end += tensors[i].n_bytes;
        tensors[i].offset += data_start;
    }
    if (end != file->n_bytes - data_start)
        return plens__fail(
            error, PLENS_ERROR_FORMAT,
            "%s: expected %" PRIu64 " bytes of data after the header, found %" PRIu64 " (%s)",
            file->path, end, file->n_bytes - data_start,
            end > file->n_bytes - data_start ? "the file is cut short" : "trailing bytes");
    return PLENS_OK;
}

/* Fills tensors [at most header->count], *n of them. */
static plens_status read_entries(plens__arena *arena, const plens__file *file, uint32_t shard,
                                 const plens__json *header, plens__tensor *tensors, size_t *n,
                                 plens_error *error) {
    plens_status status = PLENS_OK;
    *n = 0;
    for (const plens__json *entry = header->first; entry != NULL && status == PLENS_OK;
         entry = entry->next) {
        if (strcmp(entry->key, "__metadata__") == 0) {
            status = check_metadata(file->path, entry, error);
            continue;
        }
        plens__tensor *tensor = &tensors[(*n)++];
        status = read_entry(arena, file->path, entry, tensor, error);
        tensor->shard = shard;
    }
    return status;
}

/* The header's text [*n], by plain reads: a file cut short meanwhile is an error, not a signal. */
static plens_status read_header(const plens_allocator *allocator, const plens__file *file,
                                char **text, size_t *n, plens_error *error) {
    unsigned char prefix[8];
    if (file->n_bytes < sizeof prefix)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: expected the 8 bytes of a header's length, found %" PRIu64 " bytes",
                           file->path, file->n_bytes);
    plens_status status = plens__file_read(file, 0, sizeof prefix, prefix, error);
    if (status != PLENS_OK)
        return status;
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | prefix[i];
    if (length > MAX_HEADER || length > file->n_bytes - sizeof prefix)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: expected a header of at most %d bytes inside the file's %" PRIu64
                           ", found a length of %" PRIu64,
                           file->path, MAX_HEADER, file->n_bytes, length);
    char *header = plens__alloc(allocator, (size_t)length);
    if (header == NULL)
        return plens__fail_memory(error, (size_t)length, file->path);
    status = plens__file_read(file, sizeof prefix, (size_t)length, header, error);
    if (status == PLENS_OK && (length == 0 || header[0] != '{'))
        status = plens__fail(error, PLENS_ERROR_FORMAT,
                             "%s: byte 8: expected a header that begins with '{', found none",
                             file->path);
    if (status != PLENS_OK) {
        plens__free(allocator, header);
        return status;
    }
    *text = header;
    *n = (size_t)length;
    return PLENS_OK;
}

/* "PATH: header", since a parser counts the header's bytes and not the file's. */
static const char *name_header(plens__arena *nodes, const plens__file *file) {
    static const char suffix[] = ": header";
    size_t n = strlen(file->path);
    char *name = plens__arena_alloc(nodes, n + sizeof suffix);
    if (name == NULL)
        return NULL;
    memcpy(name, file->path, n);
    memcpy(name + n, suffix, sizeof suffix);
    return name;
}

/* The header as JSON, its nodes in `nodes`. */
static plens_status parse_header(plens__arena *nodes, const plens__file *file,
                                 const plens__json **header, size_t *length, plens_error *error) {
    char *text = NULL;
    const char *name = name_header(nodes, file);
    if (name == NULL)
        return plens__fail_memory(error, strlen(file->path), file->path);
    plens_status status = read_header(nodes->allocator, file, &text, length, error);
    if (status != PLENS_OK)
        return status;
    status = plens__json_parse(nodes, name, text, *length, header, error);
    plens__free(nodes->allocator, text);
    if (status != PLENS_OK)
        return status;
    return plens__json_no_duplicates(nodes->allocator, name, *header, error);
}

plens_status plens__safetensors_parse(plens__arena *arena, plens__file *file, uint32_t shard,
                                      plens__tensor **tensors, size_t *n_tensors,
                                      plens_error *error) {
    plens__arena nodes = {arena->allocator, NULL};
    const plens__json *header;
    size_t length = 0, n = 0;
    plens__tensor *all = NULL;
    plens_status status = parse_header(&nodes, file, &header, &length, error);
    if (status == PLENS_OK) {
        all = plens__alloc_array(arena->allocator, *n_tensors + header->count, sizeof *all);
        if (all == NULL)
            status = plens__fail_memory(error, header->count * sizeof *all, file->path);
    }
    if (status == PLENS_OK)
        status = read_entries(arena, file, shard, header, all + *n_tensors, &n, error);
    if (status == PLENS_OK)
        status = check_spans(file, 8 + (uint64_t)length, all + *n_tensors, n, error);
    plens__arena_free(&nodes);
    if (status != PLENS_OK) {
        plens__free(arena->allocator, all);
        return status;
    }
    if (*n_tensors > 0)
        memcpy(all, *tensors, *n_tensors * sizeof *all);
    plens__free(arena->allocator, *tensors);
    *tensors = all;
    *n_tensors += n;
    return PLENS_OK;
}
