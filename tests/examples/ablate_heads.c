/* Which heads matter? Runs TEXT once for each head, its z set to zero, and lists the heads by the
 * probability that WORD then follows, the most needed first: ablate_heads DIR TEXT WORD */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plens.h"
typedef struct effect { size_t prompt; float prob; } effect;

static int keep_prob(void *user, const plens_lens_result *r) {
    effect one = {r->prompt, r->targets[0].prob};
    ((effect *)user)[r->prompt] = one;
    return 0;
}
static int by_prob(const void *a, const void *b) {
    float x = ((const effect *)a)->prob, y = ((const effect *)b)->prob;
    return x < y ? -1 : x > y;
}
int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: ablate_heads DIR TEXT WORD\n"), 2;
    const char *folder = argv[1], *text = argv[2], *word = argv[3];
    plens_context *context; plens_model *model; plens_tokenizer *tokenizer; plens_ids ids;
    plens_gold gold; plens_model_info info; plens_error error;
    if (plens_context_create(NULL, &context, &error) ||
        plens_model_open(context, folder, &model, &error) ||
        plens_tokenizer_open(context, folder, &tokenizer, &error) ||
        plens_tokenizer_encode(context, tokenizer, text, strlen(text), 1, &ids, &error) ||
        plens_gold_token(context, tokenizer, text, strlen(text), word, strlen(word),
                         PLENS_GOLD_AUTO, &gold, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    plens_model_describe(model, &info);
    size_t H = info.n_heads, L = info.n_layers, n = L * H; /* prompt 0 is left whole */
    plens_prompt *prompts = (plens_prompt *)calloc(n + 1, sizeof *prompts);
    plens_hook *hooks = (plens_hook *)calloc(n + 1, sizeof *hooks);
    plens_intervention *what = (plens_intervention *)calloc(n + 1, sizeof *what);
    effect *effects = (effect *)calloc(n + 1, sizeof *effects);
    static plens_lens lens; static plens_run_options options; int failed = 0;
    lens.fn = keep_prob, lens.user = effects, lens.first_layer = lens.last_layer = L;
    options.hooks = hooks + 1, options.n_hooks = n, options.lens = &lens;
    lens.positions = PLENS_POSITIONS_LAST;
    for (size_t i = 0; i <= n; i++) {
        prompts[i].ids = ids.data, prompts[i].n_ids = ids.count;
        prompts[i].targets = gold.ids, prompts[i].n_targets = 1;
        what[i].action = PLENS_ZERO, what[i].where.point = PLENS_Z;
        what[i].where.first_prompt = i, what[i].where.n_prompts = 1;
        what[i].where.first_layer = what[i].where.last_layer = (i + H - 1) / H;
        what[i].where.first_head = (i + H - 1) % H, what[i].where.n_heads = 1;
        failed |= plens_intervention_hook(model, &what[i], &hooks[i], &error) != PLENS_OK;
    }
    if (failed || plens_run(context, model, prompts, n + 1, &options, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    printf("all heads: %.4f\n", effects[0].prob);
    qsort(effects + 1, n, sizeof *effects, by_prob);
    for (effect *e = effects + 1; e <= effects + n; e++)
        printf("block %zu head %zu: %.4f\n", (e->prompt + H - 1) / H, (e->prompt - 1) % H, e->prob);
    free(prompts), free(hooks), free(what), free(effects), plens_ids_free(context, &ids);
    plens_tokenizer_close(tokenizer), plens_model_close(model), plens_context_destroy(context);
    return 0;
}
