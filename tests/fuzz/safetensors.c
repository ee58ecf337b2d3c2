/* loaders/safetensors.c: any bytes as model.safetensors. What is accepted has every tensor inside
 * of the file, and its bytes can be read. */
#include "tests/fuzz/fuzz.h"

#include "loaders/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    plens__checkpoint checkpoint;
    plens_error error;
    uint64_t total = 0, hash = 0;
    fuzz_write("model.safetensors", data, n);
    if (!fuzz_ok(plens__checkpoint_open(&heap, fuzz_folder(), &checkpoint, &error), &error))
        return 0;
    for (size_t i = 0; i < checkpoint.n_tensors; i++) {
        const plens__tensor *tensor = &checkpoint.tensors[i];
        FUZZ_CHECK(plens__checkpoint_find(&checkpoint, tensor->name) == tensor);
        FUZZ_CHECK(tensor->offset >= 8 && tensor->offset <= n &&
                   tensor->n_bytes <= n - tensor->offset);
        char *bytes = malloc((size_t)tensor->n_bytes + 1);
        FUZZ_CHECK(plens__tensor_read(&checkpoint, tensor, 0, (size_t)tensor->n_bytes, bytes,
                                      &error) == PLENS_OK);
        FUZZ_CHECK(memcmp(bytes, data + tensor->offset, (size_t)tensor->n_bytes) == 0);
        free(bytes);
        total += tensor->n_bytes;
    }
    FUZZ_CHECK(total == checkpoint.n_bytes);
    FUZZ_CHECK(plens__checkpoint_fingerprint(&checkpoint, &hash, &error) == PLENS_OK);
    plens__checkpoint_close(&checkpoint);
    return 0;
}
