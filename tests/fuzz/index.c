/* loaders/checkpoint.c: any bytes as model.safetensors.index.json beside the two shards that the
 * seeds name. */
#include "tests/fuzz/fuzz.h"

#include "loaders/checkpoint.h"

#define X "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static int written;
    plens__checkpoint checkpoint;
    plens_error error;
    if (!written) {
        folder_write_safetensors(fuzz_folder(), "A", "{\"a\":" X "}", 4);
        folder_write_safetensors(fuzz_folder(), "B", "{\"b\":" X "}", 4);
        written = 1;
    }
    fuzz_write("model.safetensors.index.json", data, n);
    if (!fuzz_ok(plens__checkpoint_open(&heap, fuzz_folder(), &checkpoint, &error), &error))
        return 0;
    FUZZ_CHECK(checkpoint.n_shards >= 1 && checkpoint.n_shards <= 2);
    FUZZ_CHECK(checkpoint.n_tensors == checkpoint.n_shards);
    plens__checkpoint_close(&checkpoint);
    return 0;
}
