/* Dumps of another engine's states: a safetensors file read whole into float arrays. */
#include "runtime/audit_dump.h"

#include <stdio.h>
#include <string.h>

#include "runtime/audit_suspects.h"
#include "runtime/widen.h"

struct plens_dump {
    plens_allocator allocator;
    plens_states states;
    char *path;
    int32_t *ids;
    float *values;       /* all states, then the logits */
    const float **resid; /* [n_layers + 1] into values */
};

typedef struct reading {
    const plens_model *model;
    plens__arena arena;
    plens__file file;
    plens__tensor *tensors;
    size_t n_tensors;
    char *staging;
} reading;

static const plens__tensor *find(const reading *r, const char *name) {
    for (size_t i = 0; i < r->n_tensors; i++) {
        if (strcmp(r->tensors[i].name, name) == 0)
            return &r->tensors[i];
    }
    return NULL;
}

static const plens__tensor *find_state(const reading *r, int normed, size_t l, char name[48]) {
    snprintf(name, 48, "%s.%zu", normed ? "hidden_states" : "resid", l);
    return find(r, name);
}

static plens_status missing(const reading *r, const char *name, plens_error *error) {
    return plens__fail(error, PLENS_ERROR_FORMAT, "%s: expected a tensor \"%s\", found none",
                       r->file.path, name);
}

/* [rows, columns], [1, rows, columns], or without columns if that is 0. */
static plens_status check_shape(const reading *r, const plens__tensor *tensor, size_t rows,
                                size_t columns, plens_error *error) {
    size_t rank = columns == 0 ? 1 : 2, lead = tensor->rank - rank;
    int fits = (tensor->rank == rank || (tensor->rank == rank + 1 && tensor->shape[0] == 1)) &&
               tensor->shape[lead] == rows && (columns == 0 || tensor->shape[lead + 1] == columns);
    if (fits)
        return PLENS_OK;
    char found[128] = "";
    for (size_t i = 0; i < tensor->rank && i < 5; i++) {
        plens__append(found, sizeof found, "%s%llu", i == 0 ? "" : ", ",
                      (unsigned long long)tensor->shape[i]);
    }
    return columns == 0
               ? plens__fail(error, PLENS_ERROR_FORMAT,
                             "%s: tensor \"%s\": expected shape [%zu], found [%s]", r->file.path,
                             tensor->name, rows, found)
               : plens__fail(error, PLENS_ERROR_FORMAT,
                             "%s: tensor \"%s\": expected shape [%zu, %zu] (positions and the "
                             "model's width), found [%s]",
                             r->file.path, tensor->name, rows, columns, found);
}

static plens_status read_floats(const reading *r, const plens__tensor *tensor, size_t rows,
                                size_t columns, float *to, plens_error *error) {
    plens_status status = check_shape(r, tensor, rows, columns, error);
    if (status == PLENS_OK && tensor->dtype == 0)
        status = plens__fail(error, PLENS_ERROR_FORMAT,
                             "%s: tensor \"%s\": expected F32, F16 or BF16, found %s", r->file.path,
                             tensor->name, tensor->dtype_name);
    if (status == PLENS_OK)
        status =
            plens__file_read(&r->file, tensor->offset, (size_t)tensor->n_bytes, r->staging, error);
    if (status == PLENS_OK)
        plens__widen(tensor->dtype, r->staging, rows * columns, to);
    return status;
}

/* ---- ids ---- */

/* An integer of I32 or I64; one that no vocabulary has becomes -1. */
static int32_t id_at(const plens__tensor *tensor, const char *bytes, size_t i) {
    int32_t small;
    int64_t large;
    if (strcmp(tensor->dtype_name, "I32") == 0) {
        memcpy(&small, bytes + 4 * i, sizeof small);
        return small;
    }
    memcpy(&large, bytes + 8 * i, sizeof large);
    return large < 0 || large > INT32_MAX ? -1 : (int32_t)large;
}

/* How many ids there are: the dump's number of positions. */
static plens_status count_ids(const reading *r, const plens__tensor *ids, size_t *n,
                              plens_error *error) {
    if (strcmp(ids->dtype_name, "I32") != 0 && strcmp(ids->dtype_name, "I64") != 0)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: tensor \"input_ids\": expected I32 or I64, found %s", r->file.path,
                           ids->dtype_name);
    *n = ids->rank == 0 ? 0 : (size_t)ids->shape[ids->rank - 1];
    if (*n == 0)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: tensor \"input_ids\": expected at least one id, found none",
                           r->file.path);
    return check_shape(r, ids, *n, 0, error);
}

static plens_status read_ids(const reading *r, const plens__tensor *tensor, size_t n, int32_t *ids,
                             plens_error *error) {
    plens_status status =
        plens__file_read(&r->file, tensor->offset, (size_t)tensor->n_bytes, r->staging, error);
    for (size_t i = 0; i < n && status == PLENS_OK; i++)
        ids[i] = id_at(tensor, r->staging, i);
    return status;
}

/* ---- the file ---- */

/* Which names the states have; all of 0..L must be there and none beyond. */
static plens_status check_states(const reading *r, int *normed, plens_error *error) {
    char name[48];
    size_t n_layers = r->model->config.n_layers;
    *normed = find_state(r, 1, 0, name) != NULL;
    if (!*normed && find_state(r, 0, 0, name) == NULL)
        return missing(r, "hidden_states.0\" or \"resid.0", error);
    for (size_t l = 0; l <= n_layers; l++) {
        if (find_state(r, *normed, l, name) == NULL)
            return missing(r, name, error);
    }
    if (find_state(r, *normed, n_layers + 1, name) != NULL)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "%s: expected states 0 to %zu (the model has %zu blocks), found \"%s\" "
                           "too",
                           r->file.path, n_layers, n_layers, name);
    return PLENS_OK;
}

/* Memory for everything. */
static plens_status allocate(reading *r, plens_dump *dump, int with_logits, plens_error *error) {
    const plens__config *config = &r->model->config;
    const plens_allocator *allocator = &dump->allocator;
    size_t n = dump->states.n_ids, values = 0, logits = 0, bytes = 0, longest = 0;
    int fits = plens__mul(n, config->d_model, &values) &&
               plens__mul(values, config->n_layers + 1, &values) &&
               plens__mul(n, with_logits ? config->vocab_size : 0, &logits) &&
               plens__add(values, logits, &values) && plens__mul(values, sizeof(float), &bytes);
    for (size_t i = 0; i < r->n_tensors; i++)
        longest = r->tensors[i].n_bytes > longest ? (size_t)r->tensors[i].n_bytes : longest;
    if (fits && bytes / sizeof(float) <= r->file.n_bytes) { /* two bytes a value, at least */
        dump->values = plens__alloc(allocator, bytes);
        dump->ids = plens__alloc_array(allocator, n, sizeof *dump->ids);
        dump->resid = plens__alloc_array(allocator, config->n_layers + 1, sizeof *dump->resid);
        r->staging = plens__alloc(allocator, longest);
    }
    if (dump->values == NULL || dump->ids == NULL || dump->resid == NULL || r->staging == NULL)
        return fits && bytes / sizeof(float) > r->file.n_bytes
                   ? plens__fail(error, PLENS_ERROR_FORMAT,
                                 "%s: expected states of %zu positions, found a file too short "
                                 "for them",
                                 r->file.path, n)
                   : plens__fail_memory(error, bytes, r->file.path);
    return PLENS_OK;
}

static plens_status read_states(reading *r, plens_dump *dump, int normed,
                                const plens__tensor *logits, plens_error *error) {
    const plens__config *config = &r->model->config;
    size_t n = dump->states.n_ids, size = n * config->d_model;
    plens_status status = PLENS_OK;
    char name[48];
    for (size_t l = 0; l <= config->n_layers && status == PLENS_OK; l++) {
        dump->resid[l] = dump->values + l * size;
        status = read_floats(r, find_state(r, normed, l, name), n, config->d_model,
                             dump->values + l * size, error);
    }
    float *at = dump->values + (config->n_layers + 1) * size;
    if (status == PLENS_OK && logits != NULL)
        status = read_floats(r, logits, n, config->vocab_size, at, error);
    dump->states.resid = dump->resid;
    dump->states.logits = logits != NULL ? at : NULL;
    dump->states.last_is_normed = normed;
    dump->states.ids = dump->ids;
    dump->states.source = dump->path;
    return status;
}

static plens_status read_dump(reading *r, plens_dump *dump, plens_error *error) {
    int normed;
    plens_status status =
        plens__safetensors_parse(&r->arena, &r->file, 0, &r->tensors, &r->n_tensors, error);
    if (status == PLENS_OK)
        status = check_states(r, &normed, error);
    if (status != PLENS_OK)
        return status;
    const plens__tensor *ids = find(r, "input_ids"), *logits = find(r, "logits");
    if (ids == NULL)
        return missing(r, "input_ids", error);
    status = count_ids(r, ids, &dump->states.n_ids, error);
    if (status == PLENS_OK)
        status = allocate(r, dump, logits != NULL, error);
    if (status == PLENS_OK)
        status = read_ids(r, ids, dump->states.n_ids, dump->ids, error);
    return status == PLENS_OK ? read_states(r, dump, normed, logits, error) : status;
}

void plens__dump_close(plens_dump *dump) {
    if (dump == NULL)
        return;
    plens_allocator allocator = dump->allocator;
    plens__free(&allocator, dump->path);
    plens__free(&allocator, dump->ids);
    plens__free(&allocator, dump->values);
    plens__free(&allocator, (void *)dump->resid);
    plens__free(&allocator, dump);
}

const plens_states *plens__dump_states(const plens_dump *dump) {
    return &dump->states;
}

plens_status plens__dump_open(const plens_allocator *allocator, const plens_model *model,
                              const char *path, plens_dump **dump, plens_error *error) {
    plens_dump *made = plens__alloc_array(allocator, 1, sizeof *made);
    size_t length = strlen(path) + 1;
    if (made == NULL)
        return plens__fail_memory(error, sizeof *made, "a dump");
    reading r = {.model = model, .arena = {allocator, NULL}};
    made->allocator = *allocator;
    made->path = plens__alloc(allocator, length);
    plens_status status = made->path == NULL ? plens__fail_memory(error, length, "a dump")
                                             : plens__file_open(allocator, path, &r.file, error);
    if (status == PLENS_OK) {
        memcpy(made->path, path, length);
        status = read_dump(&r, made, error);
        plens__file_close(&r.file);
    }
    plens__free(allocator, r.tensors);
    plens__free(allocator, r.staging);
    plens__arena_free(&r.arena);
    if (status == PLENS_OK)
        *dump = made;
    else
        plens__dump_close(made);
    return status;
}
