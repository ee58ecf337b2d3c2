/* What two personas make of the same text: the token that each layer would put next, for one beside
 * the other: compare_personas DIR TEXT PERSONA OTHER ("" is no persona) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plens.h"
typedef struct layer { plens_lens_token top[2]; } layer;
static int keep(void *user, const plens_lens_result *r) { /* both prompts come in one run */
    ((layer *)user)[r->layer].top[r->prompt] = r->top[0];
    return 0;
}
static void print(const plens_tokenizer *tokenizer, const plens_lens_token *token) {
    size_t n = 0;
    const char *s = plens_tokenizer_token(tokenizer, token->id, &n);
    printf("\t\"%.*s\"\t%.3f", (int)n, s ? s : "", token->prob);
}
/* (PERSONA) TEXT, the form that `plens score` asks in. */
static plens_status ask(plens_context *context, const plens_tokenizer *tokenizer,
                        const char *persona, const char *text, plens_ids *ids, plens_error *error) {
    char *full = (char *)malloc(strlen(persona) + strlen(text) + 4);
    sprintf(full, persona[0] ? "(%s) %s" : "%s%s", persona, text);
    plens_status status =
        plens_tokenizer_encode(context, tokenizer, full, strlen(full), 1, ids, error);
    free(full);
    return status;
}
int main(int argc, char **argv) {
    if (argc != 5)
        return fprintf(stderr, "usage: compare_personas DIR TEXT PERSONA OTHER\n"), 2;
    const char *folder = argv[1], *text = argv[2];
    plens_context *context; plens_model *model; plens_tokenizer *tokenizer;
    plens_ids ids[2]; plens_model_info info; plens_error error;
    if (plens_context_create(NULL, &context, &error) ||
        plens_model_open(context, folder, &model, &error) ||
        plens_tokenizer_open(context, folder, &tokenizer, &error) ||
        ask(context, tokenizer, argv[3], text, &ids[0], &error) ||
        ask(context, tokenizer, argv[4], text, &ids[1], &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    plens_model_describe(model, &info);
    layer *layers = (layer *)calloc(info.n_layers + 1, sizeof *layers);
    plens_prompt prompts[2] = {{ids[0].data, ids[0].count, NULL, 0},
                               {ids[1].data, ids[1].count, NULL, 0}};
    static plens_lens lens; static plens_run_options options;
    lens.fn = keep, lens.user = layers, lens.positions = PLENS_POSITIONS_LAST;
    options.lens = &lens;
    if (plens_run(context, model, prompts, 2, &options, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    for (size_t l = info.n_layers; l > 0; l--) { /* as in the pictures: the output on top */
        const plens_lens_token *top = layers[l].top;
        printf("layer %zu", l), print(tokenizer, &top[0]), print(tokenizer, &top[1]);
        printf("%s\n", top[0].id == top[1].id ? "" : "\tapart");
    }
    free(layers), plens_ids_free(context, &ids[0]), plens_ids_free(context, &ids[1]);
    plens_tokenizer_close(tokenizer), plens_model_close(model), plens_context_destroy(context);
    return 0;
}
