#include "tests/harness/dump_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t tensor_bytes(const dump_tensor *tensor) {
    uint64_t n = 4;
    for (size_t i = 0; i < tensor->rank; i++)
        n *= tensor->shape[i];
    return n;
}

/* Appends a tensor to the list; its shape is yet to be filled in. */
static dump_tensor *next_tensor(dump_file *d, const char *name) {
    d->tensors = reallocate(d->tensors, d->n_tensors + 1, sizeof *d->tensors);
    dump_tensor *tensor = &d->tensors[d->n_tensors++];
    memset(tensor, 0, sizeof *tensor);
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->first = d->n_bytes;
    return tensor;
}

void dump_list_ids(dump_file *d, const int32_t *ids, size_t n_ids) {
    dump_tensor *tensor = next_tensor(d, "input_ids");
    d->ids = ids;
    d->n_ids = n_ids;
    tensor->rank = 1;
    tensor->shape[0] = n_ids;
    d->n_bytes += tensor_bytes(tensor);
}

void dump_list(dump_file *d, const char *name, const plens_point_info *info, plens_point point,
               size_t layer) {
    dump_tensor *tensor = next_tensor(d, name);
    tensor->point = point;
    tensor->layer = layer;
    if (info->head_width == 0)
        tensor->shape[tensor->rank++] = info->n_heads;
    tensor->shape[tensor->rank++] = d->n_ids;
    if (info->head_width > 0 && info->n_heads > 0)
        tensor->shape[tensor->rank++] = info->n_heads;
    tensor->shape[tensor->rank++] = info->head_width > 0 ? info->head_width : d->n_ids;
    d->n_bytes += tensor_bytes(tensor);
}

/* Appends an entry of the header's JSON. */
static size_t describe(char *json, const dump_tensor *tensor) {
    const size_t *shape = tensor->shape;
    char sizes[80];
    snprintf(sizes, sizeof sizes,
             tensor->rank == 1   ? "%zu"
             : tensor->rank == 2 ? "%zu,%zu"
                                 : "%zu,%zu,%zu",
             shape[0], shape[1], shape[2]);
    return (size_t)sprintf(
        json, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
        tensor->first == 0 ? '{' : ',', tensor->name, tensor->point == 0 ? "I32" : "F32", sizes,
        (unsigned long long)tensor->first,
        (unsigned long long)(tensor->first + tensor_bytes(tensor)));
}

/* The length of the header, 8 bytes, and the header, padded with spaces to a multiple of 8. */
void dump_head(dump_file *d) {
    const size_t most = 256; /* more than any entry takes: names and numbers are short */
    char *json = allocate(d->n_tensors + 1, most);
    size_t n = 0;
    for (size_t i = 0; i < d->n_tensors; i++)
        n += describe(json + n, &d->tensors[i]);
    json[n++] = '}';
    while (n % 8 != 0)
        json[n++] = ' ';
    unsigned char length[8];
    for (unsigned k = 0; k < 8; k++)
        length[k] = (unsigned char)((uint64_t)n >> (8 * k));
    output_bytes(&d->out, length, sizeof length);
    output_bytes(&d->out, json, n);
    free(json);
    d->data = d->out.offset;
    output_ids(&d->out, d->ids, d->n_ids);
}

static const dump_tensor *find_tensor(const dump_file *d, plens_point point, size_t layer) {
    const dump_tensor *tensor = d->tensors;
    while (tensor->point != point || tensor->layer != layer)
        tensor++;
    return tensor;
}

static void seek_value(dump_file *d, const dump_tensor *tensor, uint64_t index) {
    output_seek(&d->out, d->data + tensor->first + index * sizeof(float));
}

/* One row [n_heads, n_keys] of [n_heads, T, T]; the keys that it was not shown are masked. */
static void write_keys(dump_file *d, const dump_tensor *tensor, const plens_activations *a,
                       size_t row) {
    static const float zeros[256];
    size_t n_keys = a->width / a->n_heads, position = a->rows[row].position;
    for (size_t h = 0; h < a->n_heads; h++) {
        seek_value(d, tensor, ((uint64_t)h * d->n_ids + position) * d->n_ids);
        output_floats(&d->out, a->values + row * a->width + h * n_keys, n_keys);
        for (size_t left = d->n_ids - n_keys, n; left > 0; left -= n) {
            n = left < 256 ? left : 256;
            output_floats(&d->out, zeros, n);
        }
    }
}

int dump_rows(void *user, const plens_activations *a) {
    dump_file *d = user;
    const dump_tensor *tensor = find_tensor(d, a->point, a->layer);
    int keys = a->point == PLENS_ATTN_SCORES || a->point == PLENS_ATTN_PATTERN;
    for (size_t i = 0; i < a->n_rows; i++) {
        if (keys) {
            write_keys(d, tensor, a, i);
            continue;
        }
        seek_value(d, tensor, (uint64_t)a->rows[i].position * a->width);
        output_floats(&d->out, a->values + i * a->width, a->width);
    }
    return d->out.reason != 0;
}
