/* Prints the length of the residual stream after each block, position by position:
 * read_state DIR TEXT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plens.h"

/* Called for each block; a row is one position. */
static int print_lengths(void *user, const plens_activations *a) {
    (void)user;
    for (size_t r = 0; r < a->n_rows; r++) {
        const float *state = a->values + r * a->width;
        double sum = 0;
        for (size_t i = 0; i < a->width; i++)
            sum += (double)state[i] * state[i];
        printf("layer %zu position %zu: %.3f\n", a->layer, a->rows[r].position, sqrt(sum));
    }
    return 0; /* go on */
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : ".", *text = argc > 2 ? argv[2] : "Hello";
    plens_context *context = NULL;
    plens_model *model = NULL;
    plens_tokenizer *tokenizer = NULL;
    plens_ids ids = {NULL, 0};
    plens_error error;
    int failed = plens_context_create(NULL, &context, &error) ||
                 plens_model_open(context, folder, &model, &error) ||
                 plens_tokenizer_open(context, folder, &tokenizer, &error) ||
                 plens_tokenizer_encode(context, tokenizer, text, strlen(text), 1, &ids, &error);

    plens_prompt prompt = {ids.data, ids.count, NULL, 0};
    plens_hook hook;
    plens_run_options options;
    memset(&hook, 0, sizeof hook); /* all layers, all positions, to look only */
    memset(&options, 0, sizeof options);
    hook.point = PLENS_RESID_POST;
    hook.fn = print_lengths;
    options.hooks = &hook;
    options.n_hooks = 1;
    if (failed || plens_run(context, model, &prompt, 1, &options, &error))
        failed = fprintf(stderr, "%s\n", error.message);

    plens_ids_free(context, &ids);
    plens_tokenizer_close(tokenizer);
    plens_model_close(model);
    plens_context_destroy(context);
    return failed != 0;
}
