/* Which layer knows? Runs TEXT once for each layer, the state after it at the last position put in
 * from OTHER, and prints the token that then follows: patch_activation DIR TEXT OTHER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plens.h"
static int print_token(void *user, const plens_lens_result *r) {
    size_t n = 0;
    const char *s = plens_tokenizer_token((const plens_tokenizer *)user, r->top[0].id, &n);
    printf("after block %zu: \"%.*s\" %.3f\n", r->prompt + 1, (int)n, s ? s : "", r->top[0].prob);
    return 0;
}
/* A hook on one prompt's last position, on the state after a block (0: all of them). */
static plens_status on_state(const plens_model *model, plens_intervention *what, size_t layer,
                             size_t prompt, plens_hook *hook, plens_error *error) {
    what->where.point = PLENS_RESID_POST;
    what->where.first_layer = what->where.last_layer = layer;
    what->where.positions = PLENS_POSITIONS_LAST;
    what->where.first_prompt = prompt, what->where.n_prompts = 1;
    return plens_intervention_hook(model, what, hook, error);
}
int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: patch_activation DIR TEXT OTHER\n"), 2;
    const char *folder = argv[1], *text = argv[2], *other = argv[3];
    plens_context *context; plens_model *model; plens_tokenizer *tokenizer; plens_model_info info;
    plens_ids ids, other_ids; plens_error error;
    if (plens_context_create(NULL, &context, &error) ||
        plens_model_open(context, folder, &model, &error) ||
        plens_tokenizer_open(context, folder, &tokenizer, &error) ||
        plens_tokenizer_encode(context, tokenizer, text, strlen(text), 1, &ids, &error) ||
        plens_tokenizer_encode(context, tokenizer, other, strlen(other), 1, &other_ids, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    plens_model_describe(model, &info);
    size_t L = info.n_layers, d = info.d_model;
    plens_prompt *prompts = (plens_prompt *)calloc(L, sizeof *prompts); /* l: patched after l + 1 */
    plens_hook *hooks = (plens_hook *)calloc(L, sizeof *hooks);
    plens_intervention *what = (plens_intervention *)calloc(L, sizeof *what);
    float *states = (float *)calloc(L * d, sizeof *states); /* [L, 1, 1, d] */
    static plens_lens lens; static plens_run_options options;
    lens.fn = print_token, lens.user = tokenizer, lens.first_layer = lens.last_layer = L;
    lens.positions = PLENS_POSITIONS_LAST, options.hooks = hooks, options.n_hooks = 1;
    prompts[0].ids = other_ids.data, prompts[0].n_ids = other_ids.count;
    what[0].action = PLENS_RECORD, what[0].values = states, what[0].n_values = L * d;
    int failed = on_state(model, &what[0], 0, 0, &hooks[0], &error) ||
                 plens_run(context, model, prompts, 1, &options, &error);
    for (size_t l = 0; l < L && !failed; l++) {
        prompts[l].ids = ids.data, prompts[l].n_ids = ids.count;
        what[l].action = PLENS_REPLACE, what[l].values = states + l * d, what[l].n_values = d;
        failed |= on_state(model, &what[l], l + 1, l, &hooks[l], &error) != PLENS_OK;
    }
    options.n_hooks = L, options.lens = &lens;
    if (failed || plens_run(context, model, prompts, L, &options, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    free(prompts), free(hooks), free(what), free(states);
    plens_ids_free(context, &ids), plens_ids_free(context, &other_ids);
    plens_tokenizer_close(tokenizer), plens_model_close(model), plens_context_destroy(context);
    return 0;
}
