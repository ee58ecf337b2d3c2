/* Steers TEXT: adds SCALE times the direction from FROM to TO (their states after the middle block,
 * at the last position) everywhere, and prints what follows: steer DIR TEXT TO FROM SCALE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plens.h"
static int print_tokens(void *user, const plens_lens_result *r) {
    for (size_t i = 0; i < r->n_top; i++) {
        size_t n = 0;
        const char *token = plens_tokenizer_token((const plens_tokenizer *)user, r->top[i].id, &n);
        printf("\"%.*s\" %.3f\n", (int)n, token ? token : "", r->top[i].prob);
    }
    return 0;
}
int main(int argc, char **argv) {
    if (argc != 6)
        return fprintf(stderr, "usage: steer DIR TEXT TO FROM SCALE\n"), 2;
    plens_context *context; plens_model *model; plens_tokenizer *tokenizer;
    plens_ids ids[3]; plens_model_info info; plens_error error;
    int failed = plens_context_create(NULL, &context, &error) ||
                 plens_model_open(context, argv[1], &model, &error) ||
                 plens_tokenizer_open(context, argv[1], &tokenizer, &error);
    static plens_prompt prompts[3];
    for (int i = 0; i < 3 && !failed; i++) {
        failed |= plens_tokenizer_encode(context, tokenizer, argv[i + 2], strlen(argv[i + 2]), 1,
                                         &ids[i], &error) != PLENS_OK;
        prompts[i].ids = ids[i].data, prompts[i].n_ids = ids[i].count;
    }
    if (failed)
        return fprintf(stderr, "%s\n", error.message), 1;
    plens_model_describe(model, &info);
    size_t d = info.d_model, middle = (info.n_layers + 1) / 2;
    float *states = (float *)calloc(2 * d, sizeof *states); /* [1, 2, 1, d]: TO, FROM */
    static plens_intervention what; plens_hook hook;
    what.action = PLENS_RECORD, what.values = states, what.n_values = 2 * d;
    what.where.point = PLENS_RESID_POST;
    what.where.first_layer = what.where.last_layer = middle;
    what.where.positions = PLENS_POSITIONS_LAST, what.where.n_prompts = 2;
    static plens_lens lens; static plens_run_options options;
    lens.fn = print_tokens, lens.user = tokenizer, lens.top_k = 5;
    lens.positions = PLENS_POSITIONS_LAST, lens.first_layer = lens.last_layer = info.n_layers;
    options.hooks = &hook, options.n_hooks = 1;
    failed = plens_intervention_hook(model, &what, &hook, &error) ||
             plens_run(context, model, prompts + 1, 2, &options, &error);
    for (size_t i = 0; i < d; i++)
        states[i] -= states[d + i];
    what.action = PLENS_ADD, what.n_values = d; /* one row, for all positions */
    what.scale = (float)atof(argv[5]);
    what.where.positions = PLENS_POSITIONS_ALL, what.where.n_prompts = 0;
    options.lens = &lens;
    if (failed || plens_intervention_hook(model, &what, &hook, &error) ||
        plens_run(context, model, prompts, 1, &options, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    free(states);
    for (int i = 0; i < 3; i++)
        plens_ids_free(context, &ids[i]);
    plens_tokenizer_close(tokenizer), plens_model_close(model), plens_context_destroy(context);
    return 0;
}
