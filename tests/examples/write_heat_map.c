/* Draws the logit lens: layers by positions, the top token in each cell, blue for probability 0, red
 * for 1. (`plens lens --svg` draws more.) write_heat_map DIR TEXT FILE.svg */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plens.h"
enum { WIDTH = 64, HEIGHT = 20 };
typedef struct figure { FILE *file; const plens_tokenizer *tokenizer; size_t n_layers; } figure;
/* Any bytes as XML: control bytes and cut characters are \xHH already. */
static void put_text(FILE *file, const char *bytes, size_t n) {
    char text[256];
    plens_tsv_escape(bytes, n < 40 ? n : 40, text, sizeof text);
    for (const char *s = text; *s; s++)
        *s == '<' ? fputs("&lt;", file) : *s == '&' ? fputs("&amp;", file) : fputc(*s, file);
}
static int put_cell(void *user, const plens_lens_result *r) {
    const figure *f = (const figure *)user;
    size_t n = 0, x = r->position * WIDTH, y = (f->n_layers - r->layer) * HEIGHT;
    const char *token = plens_tokenizer_token(f->tokenizer, r->top[0].id, &n);
    int p = (int)(100 * r->top[0].prob + 0.5f); /* in per cent: white in the middle */
    fprintf(f->file, "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" "
            "fill=\"rgb(%d%%,%d%%,%d%%)\"><title>layer %zu, position %zu: %.4f</title></rect>\n",
            x, y, WIDTH, HEIGHT, p < 50 ? 30 + 7 * p / 5 : 100, 100 - abs(p - 50) * 7 / 5,
            p > 50 ? 170 - 7 * p / 5 : 100, r->layer, r->position, r->top[0].prob);
    fprintf(f->file, "<text x=\"%zu\" y=\"%zu\">", x + WIDTH / 2, y + HEIGHT - 6);
    put_text(f->file, token ? token : "?", token ? n : 1);
    fputs("</text>\n", f->file);
    return ferror(f->file);
}
int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: write_heat_map DIR TEXT FILE.svg\n"), 2;
    plens_context *context; plens_model *model; plens_tokenizer *tokenizer;
    plens_ids ids; plens_model_info info; plens_error error;
    if (plens_context_create(NULL, &context, &error) ||
        plens_model_open(context, argv[1], &model, &error) ||
        plens_tokenizer_open(context, argv[1], &tokenizer, &error) ||
        plens_tokenizer_encode(context, tokenizer, argv[2], strlen(argv[2]), 1, &ids, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    plens_model_describe(model, &info);
    figure f = {fopen(argv[3], "w"), tokenizer, info.n_layers};
    if (f.file == NULL)
        return perror(argv[3]), 1;
    fprintf(f.file, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %zu %zu\" "
            "font-family=\"sans-serif\" font-size=\"11\" text-anchor=\"middle\">\n",
            ids.count * WIDTH, info.n_layers * HEIGHT);
    plens_prompt prompt = {ids.data, ids.count, NULL, 0};
    static plens_lens lens; static plens_run_options options; /* all layers and positions */
    lens.fn = put_cell, lens.user = &f, options.lens = &lens;
    if (plens_run(context, model, &prompt, 1, &options, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    fputs("</svg>\n", f.file);
    if (fclose(f.file) != 0)
        return perror(argv[3]), 1;
    plens_ids_free(context, &ids), plens_tokenizer_close(tokenizer);
    plens_model_close(model), plens_context_destroy(context);
    return 0;
}
