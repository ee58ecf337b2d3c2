/* Prints the token that every layer would put next: top_tokens DIR TEXT */
#include <stdio.h>
#include <string.h>
#include "plens.h"
static int print_layer(void *user, const plens_lens_result *r) {
    size_t n = 0;
    const char *token = plens_tokenizer_token((const plens_tokenizer *)user, r->top[0].id, &n);
    printf("layer %zu: \"%.*s\" %.3f\n", r->layer, (int)n, token ? token : "", r->top[0].prob);
    return 0; /* go on */
}
int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : ".", *text = argc > 2 ? argv[2] : "Hello";
    plens_context *context = NULL; plens_model *model = NULL; plens_tokenizer *tokenizer = NULL;
    plens_ids ids = {NULL, 0};
    plens_error error;
    int failed = plens_context_create(NULL, &context, &error) ||
                 plens_model_open(context, folder, &model, &error) ||
                 plens_tokenizer_open(context, folder, &tokenizer, &error) ||
                 plens_tokenizer_encode(context, tokenizer, text, strlen(text), 1, &ids, &error);
    static plens_lens lens; static plens_run_options options; /* all zero: the defaults */
    plens_prompt prompt = {ids.data, ids.count, NULL, 0};
    lens.fn = print_layer, lens.user = tokenizer, lens.positions = PLENS_POSITIONS_LAST;
    options.lens = &lens;
    if (failed || plens_run(context, model, &prompt, 1, &options, &error))
        failed = fprintf(stderr, "%s\n", error.message);
    plens_ids_free(context, &ids); plens_tokenizer_close(tokenizer);
    plens_model_close(model); plens_context_destroy(context);
    return failed != 0;
}
