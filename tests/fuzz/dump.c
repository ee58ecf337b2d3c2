/* runtime/audit_dump.c: any bytes as another engine's dump of a fixture's states. What is accepted
 * has ids and states of the model's sizes. */
#include "tests/fuzz/fuzz.h"

#define MODEL "tests/fixtures/models/llama-biases" /* from the repository's root */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static plens_context *context;
    static plens_model *model;
    static plens_model_info info;
    plens_dump *dump = NULL;
    plens_error error;
    char path[2048];
    if (context == NULL) {
        if (plens_context_create(NULL, &context, &error) != PLENS_OK ||
            plens_model_open(context, MODEL, &model, &error) != PLENS_OK) {
            fprintf(stderr, "%s\n", error.message);
            abort();
        }
        plens_model_describe(model, &info);
    }
    fuzz_write("dump.safetensors", data, n);
    snprintf(path, sizeof path, "%s/dump.safetensors", fuzz_folder());
    if (!fuzz_ok(plens_dump_open(context, model, path, &dump, &error), &error))
        return 0;
    const plens_states *states = plens_dump_states(dump);
    float sum = 0;
    FUZZ_CHECK(states->n_ids >= 1);
    for (size_t l = 0; l <= info.n_layers; l++)
        for (size_t i = 0; i < states->n_ids * info.d_model; i++)
            sum += states->resid[l][i]; /* reads all of it */
    for (size_t i = 0; states->logits != NULL && i < states->n_ids * info.vocab_size; i++)
        sum += states->logits[i];
    FUZZ_CHECK(sum == sum || sum != sum);
    plens_dump_close(dump);
    return 0;
}
