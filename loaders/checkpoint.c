#include "loaders/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "loaders/json.h"

#define SINGLE "model.safetensors"
#define INDEX  "model.safetensors.index.json"

/* The mark of a PEFT adapter: where it is, Transformers opens another model and changes it. */
#define ADAPTER "adapter_config.json"

/* ---- The index ----------------------------------------------------------------------------- */

/* model.safetensors.index.json: {"metadata": {"total_size": N}, "weight_map": {tensor: file}}.
 * total_size is looked at but not held against the shards: published checkpoints exist where it is
 * wrong, and the shards' own sizes are checked to the byte. */
typedef struct weight_index {
    const char *path;
    const plens__json **entries; /* [n] of weight_map, sorted by tensor */
    size_t n;
    const char **files; /* [n_files] the shards' names, sorted */
    size_t n_files;
} weight_index;

static plens_status fail_index(plens_error *error, const char *path, const char *place,
                               const char *expected, const plens__json *found) {
    char shown[PLENS__JSON_SHOWN];
    return plens__fail(error, PLENS_ERROR_FORMAT, "%s: %s: expected %s, found %s", path, place,
                       expected, plens__json_show(found, shown));
}

/* A name in the folder itself: an index must not reach files elsewhere. */
static int is_plain_name(const plens__json *name) {
    return name->type == PLENS__JSON_STRING && name->length > 0 &&
           strlen(name->text) == name->length && strpbrk(name->text, "/\\") == NULL &&
           strcmp(name->text, ".") != 0 && strcmp(name->text, "..") != 0;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp((*(const plens__json *const *)a)->key, (*(const plens__json *const *)b)->key);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static plens_status check_metadata(const char *path, const plens__json *root, plens_error *error) {
    const plens__json *metadata = plens__json_get(root, "metadata");
    if (metadata == NULL)
        return PLENS_OK;
    if (metadata->type != PLENS__JSON_OBJECT)
        return fail_index(error, path, "metadata", "an object", metadata);
    const plens__json *size = plens__json_get(metadata, "total_size");
    if (size != NULL && size->type != PLENS__JSON_NUMBER)
        return fail_index(error, path, "metadata.total_size", "a number", size);
    return PLENS_OK;
}

/* Sorts the entries and collects the shards' names, each once. */
static plens_status sort_index(plens__arena *nodes, const plens__json *map, weight_index *index,
                               plens_error *error) {
    size_t bytes;
    if (plens__mul(map->count, sizeof(void *), &bytes)) {
        index->entries = plens__arena_alloc(nodes, bytes);
        index->files = plens__arena_alloc(nodes, bytes);
    }
    if (index->entries == NULL || index->files == NULL)
        return plens__fail_memory(error, map->count * sizeof(void *), index->path);
    for (const plens__json *entry = map->first; entry != NULL; entry = entry->next) {
        if (!is_plain_name(entry))
            return fail_index(error, index->path, entry->key,
                              "the name of a file in the same folder, without / or \\", entry);
        if (strlen(entry->key) != entry->key_length)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": expected no zero byte in its name, found one",
                               index->path, entry->key);
        index->files[index->n] = entry->text;
        index->entries[index->n++] = entry;
    }
    qsort(index->entries, index->n, sizeof *index->entries, compare_keys);
    qsort(index->files, index->n, sizeof *index->files, compare_names);
    for (size_t i = 0; i < index->n; i++) {
        if (i == 0 || strcmp(index->files[i], index->files[i - 1]) != 0)
            index->files[index->n_files++] = index->files[i];
    }
    return PLENS_OK;
}

/* Everything lives in nodes. */
static plens_status load_index(plens__arena *nodes, const char *path, weight_index *index,
                               plens_error *error) {
    const plens__json *root;
    plens_status status = plens__json_load(nodes, path, &root, error);
    if (status == PLENS_OK)
        status = plens__json_no_duplicates(nodes->allocator, path, root, error);
    if (status == PLENS_OK)
        status = check_metadata(path, root, error);
    if (status != PLENS_OK)
        return status;
    const plens__json *map = plens__json_get(root, "weight_map");
    if (map == NULL || map->type != PLENS__JSON_OBJECT || map->count == 0)
        return fail_index(error, path, "weight_map", "an object with tensors", map);
    memset(index, 0, sizeof *index);
    index->path = path;
    return sort_index(nodes, map, index, error);
}

/* ---- Shards -------------------------------------------------------------------------------- */

/* Opens, maps and parses one more file. */
static plens_status add_shard(const plens_allocator *allocator, const char *folder,
                              const char *name, plens__checkpoint *checkpoint, plens_error *error) {
    char *path = plens__path_join(allocator, folder, name);
    if (path == NULL)
        return plens__fail_memory(error, strlen(folder) + strlen(name), name);
    plens__file *file = &checkpoint->shards[checkpoint->n_shards];
    plens_status status = plens__file_open(allocator, path, file, error);
    plens__free(allocator, path);
    if (status != PLENS_OK)
        return status;
    checkpoint->n_shards++;
    status = plens__file_map(file, error);
    if (status != PLENS_OK)
        return status;
    return plens__safetensors_parse(&checkpoint->arena, file, (uint32_t)checkpoint->n_shards - 1,
                                    &checkpoint->tensors, &checkpoint->n_tensors, error);
}

/* Opens the files [n]; what was opened stays in checkpoint also on failure. */
static plens_status open_shards(const plens_allocator *allocator, const char *folder,
                                const char *const *files, size_t n, plens__checkpoint *checkpoint,
                                plens_error *error) {
    checkpoint->shards = plens__alloc_array(allocator, n, sizeof *checkpoint->shards);
    if (checkpoint->shards == NULL)
        return plens__fail_memory(error, n * sizeof *checkpoint->shards, folder);
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < n && status == PLENS_OK; i++)
        status = add_shard(allocator, folder, files[i], checkpoint, error);
    return status;
}

static const char *shard_path(const plens__checkpoint *checkpoint, const plens__tensor *tensor) {
    return checkpoint->shards[tensor->shard].path;
}

static int compare_tensors(const void *a, const void *b) {
    const plens__tensor *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->shard > y->shard) - (x->shard < y->shard);
}

/* Sorts all tensors by name; none may lie in two shards. */
static plens_status sort_tensors(plens__checkpoint *checkpoint, plens_error *error) {
    plens__tensor *tensors = checkpoint->tensors;
    qsort(tensors, checkpoint->n_tensors, sizeof *tensors, compare_tensors);
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        if (i > 0 && strcmp(tensors[i].name, tensors[i - 1].name) == 0)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": expected it in one shard, found it also in %s",
                               shard_path(checkpoint, &tensors[i]), tensors[i].name,
                               shard_path(checkpoint, &tensors[i - 1]));
        if (checkpoint->n_bytes > UINT64_MAX - tensors[i].n_bytes)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: expected tensors of less than 2^64 bytes in all, found more",
                               shard_path(checkpoint, &tensors[i]));
        checkpoint->n_bytes += tensors[i].n_bytes;
    }
    return PLENS_OK;
}

/* The index and the shards must name the same tensors, in the same files. */
static plens_status compare_with_index(const plens__checkpoint *checkpoint,
                                       const weight_index *index, plens_error *error) {
    size_t i = 0, j = 0;
    while (i < index->n || j < checkpoint->n_tensors) {
        const plens__json *entry = i < index->n ? index->entries[i] : NULL;
        const plens__tensor *tensor = j < checkpoint->n_tensors ? &checkpoint->tensors[j] : NULL;
        int order = entry == NULL ? 1 : tensor == NULL ? -1 : strcmp(entry->key, tensor->name);
        if (order < 0)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": expected it in %s, found no such tensor there",
                               index->path, entry->key, entry->text);
        if (order > 0)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": expected an entry in %s, found none",
                               shard_path(checkpoint, tensor), tensor->name, INDEX);
        if (strcmp(entry->text, index->files[tensor->shard]) != 0)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: tensor \"%s\": expected it in %s, found it in %s", index->path,
                               entry->key, entry->text, index->files[tensor->shard]);
        i++;
        j++;
    }
    return PLENS_OK;
}

/* ---- Open and close ------------------------------------------------------------------------ */

static void free_parts(const plens_allocator *allocator, plens__checkpoint *checkpoint) {
    for (size_t i = 0; i < checkpoint->n_shards; i++)
        plens__file_close(&checkpoint->shards[i]);
    plens__free(allocator, checkpoint->shards);
    plens__free(allocator, checkpoint->tensors);
    plens__arena_free(&checkpoint->arena);
}

static plens_status open_single(const plens_allocator *allocator, const char *folder,
                                plens__checkpoint *checkpoint, plens_error *error) {
    static const char *const file = SINGLE;
    plens_status status = open_shards(allocator, folder, &file, 1, checkpoint, error);
    return status == PLENS_OK ? sort_tensors(checkpoint, error) : status;
}

static plens_status open_indexed(const plens_allocator *allocator, const char *folder,
                                 const char *index_path, plens__checkpoint *checkpoint,
                                 plens_error *error) {
    plens__arena nodes = {allocator, NULL};
    weight_index index;
    plens_status status = load_index(&nodes, index_path, &index, error);
    if (status == PLENS_OK)
        status = open_shards(allocator, folder, index.files, index.n_files, checkpoint, error);
    if (status == PLENS_OK)
        status = sort_tensors(checkpoint, error);
    if (status == PLENS_OK)
        status = compare_with_index(checkpoint, &index, error);
    plens__arena_free(&nodes);
    return status;
}

/* Transformers takes the single file where there are both. */
static plens_status open_folder(const plens_allocator *allocator, const char *folder,
                                plens__checkpoint *checkpoint, plens_error *error) {
    plens_status status = plens__folder_check(folder, error);
    if (status != PLENS_OK)
        return status;
    char *single = plens__path_join(allocator, folder, SINGLE);
    char *index = plens__path_join(allocator, folder, INDEX);
    char *adapter = plens__path_join(allocator, folder, ADAPTER);
    if (single == NULL || index == NULL || adapter == NULL)
        status = plens__fail_memory(error, strlen(folder) + sizeof INDEX, folder);
    else if (plens__file_exists(adapter))
        status = plens__fail(error, PLENS_ERROR_UNSUPPORTED,
                             "%s: expected a model without adapters, found one", adapter);
    else if (plens__file_exists(single))
        status = open_single(allocator, folder, checkpoint, error);
    else if (plens__file_exists(index))
        status = open_indexed(allocator, folder, index, checkpoint, error);
    else
        status = plens__fail(error, PLENS_ERROR_IO, "%s: expected %s or %s, found neither", folder,
                             SINGLE, INDEX);
    plens__free(allocator, single);
    plens__free(allocator, index);
    plens__free(allocator, adapter);
    return status;
}

plens_status plens__checkpoint_open(const plens_allocator *allocator, const char *folder,
                                    plens__checkpoint *checkpoint, plens_error *error) {
    plens__checkpoint opened;
    memset(&opened, 0, sizeof opened);
    opened.arena.allocator = allocator;
    plens_status status = open_folder(allocator, folder, &opened, error);
    if (status != PLENS_OK) {
        free_parts(allocator, &opened);
        return status;
    }
    *checkpoint = opened;
    checkpoint->allocator = *allocator;
    checkpoint->arena.allocator = &checkpoint->allocator;
    for (size_t i = 0; i < checkpoint->n_shards; i++)
        checkpoint->shards[i].allocator = &checkpoint->allocator;
    return PLENS_OK;
}

void plens__checkpoint_close(plens__checkpoint *checkpoint) {
    free_parts(&checkpoint->allocator, checkpoint);
    memset(checkpoint, 0, sizeof *checkpoint);
}

/* ---- Use ----------------------------------------------------------------------------------- */

const plens__tensor *plens__checkpoint_find(const plens__checkpoint *checkpoint, const char *name) {
    size_t low = 0, high = checkpoint->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, checkpoint->tensors[middle].name);
        if (order == 0)
            return &checkpoint->tensors[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

plens_status plens__tensor_read(const plens__checkpoint *checkpoint, const plens__tensor *tensor,
                                uint64_t from, size_t n, void *to, plens_error *error) {
    plens_error cause;
    plens_status status =
        plens__file_read(&checkpoint->shards[tensor->shard], tensor->offset + from, n, to, &cause);
    if (status != PLENS_OK)
        return plens__fail(error, status, "%s (tensor \"%s\")", cause.message, tensor->name);
    return PLENS_OK;
}

void plens__tensor_forget(const plens__checkpoint *checkpoint, const plens__tensor *tensor,
                          uint64_t from, size_t n) {
    plens__file_forget(&checkpoint->shards[tensor->shard], tensor->offset + from, n);
}

/* Reads [from, from + n) of a file in pieces into the hash. */
static plens_status hash_bytes(const plens__file *file, uint64_t from, uint64_t n, uint64_t *hash,
                               plens_error *error) {
    char bytes[4096];
    while (n > 0) {
        size_t step = n < sizeof bytes ? (size_t)n : sizeof bytes;
        plens_status status = plens__file_read(file, from, step, bytes, error);
        if (status != PLENS_OK)
            return status;
        *hash = plens__hash(*hash, bytes, step);
        from += step;
        n -= step;
    }
    return PLENS_OK;
}

plens_status plens__checkpoint_fingerprint(const plens__checkpoint *checkpoint, uint64_t *hash,
                                           plens_error *error) {
    enum { SAMPLE = 256 }; /* bytes of a tensor: those of two trainings differ somewhere in these */
    uint64_t found = *hash;
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < checkpoint->n_shards && status == PLENS_OK; i++) {
        const plens__file *shard = &checkpoint->shards[i];
        uint64_t header = shard->n_bytes; /* ends where the first tensor begins */
        for (size_t t = 0; t < checkpoint->n_tensors; t++)
            if (checkpoint->tensors[t].shard == i && checkpoint->tensors[t].offset < header)
                header = checkpoint->tensors[t].offset;
        found = plens__hash(found, &shard->n_bytes, sizeof shard->n_bytes);
        status = hash_bytes(shard, 0, header, &found, error);
    }
    for (size_t t = 0; t < checkpoint->n_tensors && status == PLENS_OK; t++) {
        const plens__tensor *tensor = &checkpoint->tensors[t];
        uint64_t n = tensor->n_bytes < SAMPLE ? tensor->n_bytes : SAMPLE;
        status = hash_bytes(&checkpoint->shards[tensor->shard], tensor->offset, n, &found, error);
    }
    if (status == PLENS_OK)
        *hash = found;
    return status;
}
