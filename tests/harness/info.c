/* plens info: what a model folder holds and what would compute it, as "name: value" lines. */
#include "tests/harness/commands.h"

#include <string.h>

#include "tests/harness/output.h"
#include "tests/harness/session.h"

static const char usage[] = "usage: plens info --model DIR\n"
                            "\n"
                            "Describes the model, its tokenizer and the machine.\n"
                            "\n" COMMON_USAGE;

static const char *dtype_name(plens_dtype dtype) {
    switch (dtype) {
    case PLENS_F32:
        return "F32";
    case PLENS_F16:
        return "F16";
    case PLENS_BF16:
        return "BF16";
    }
    return "unknown";
}

static const char *yes_or_no(int value) {
    return value ? "yes" : "no";
}

static void print_model(output *out, const plens_model_info *m) {
    output_format(out, "folder: ");
    output_cell(out, m->folder, strlen(m->folder));
    output_format(out, "\narchitecture: %s\n", m->architecture);
    output_format(out, "layers: %zu\n", m->n_layers);
    output_format(out, "width: %zu (feed-forward %zu)\n", m->d_model, m->d_ff);
    output_format(out, "heads: %zu of width %zu (%zu for keys and values)\n", m->n_heads,
                  m->head_dim, m->n_kv_heads);
    output_format(out, "vocabulary: %zu\n", m->vocab_size);
    if (m->max_positions == 0)
        output_format(out, "positions: not said\n");
    else
        output_format(out, "positions: %zu\n", m->max_positions);
    if (m->sliding_window == 0)
        output_format(out, "sliding window: none\n");
    else
        output_format(out, "sliding window: %zu\n", m->sliding_window);
    output_format(out, "rope: base %.9g, scaling %s\n", m->rope_theta, m->rope_scaling);
    output_format(out, "norm epsilon: %.9g\n", m->rms_norm_eps);
    output_format(out, "tied embeddings: %s\n", yes_or_no(m->tied_embeddings));
    output_format(out, "biases: q/k/v %s, o %s, mlp %s\n", yes_or_no(m->qkv_bias),
                  yes_or_no(m->o_bias), yes_or_no(m->mlp_bias));
    output_format(out, "q/k norm: %s\n", yes_or_no(m->qk_norm));
    output_format(out, "parameters: %llu (%s, %llu bytes)\n", (unsigned long long)m->n_parameters,
                  dtype_name(m->dtype), (unsigned long long)m->n_bytes);
    output_format(out, "files: %zu with %zu tensors\n", m->n_shards, m->n_tensors);
}

static void print_machine(output *out, const session *s) {
    const plens_context_info *c = &s->machine;
    output_format(out, "precision: %s\n", session_precision(s));
    output_format(out, "kernels: %s for rows, %s for matrices\n", plens_isa_name(c->isa),
                  session_product(s));
    for (size_t i = 0; i < c->n_kernels; i++)
        output_format(out, "  %s\n", c->kernels[i]);
    output_format(out, "threads: %d of %d processors%s\n", c->threads, c->processors,
                  c->openmp ? "" : " (built without OpenMP)");
    if (c->memory == 0)
        output_format(out, "memory budget: none\n");
    else
        output_format(out, "memory budget: %llu bytes\n", (unsigned long long)c->memory);
}

int command_info(int argc, char **argv) {
    common_options common = {0};
    const option options[] = {COMMON_OPTIONS(common)};
    int code = options_read("info", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    session s;
    code = session_open(&s, "info", &common, SESSION_MODEL | SESSION_TOKENIZER_IF_ANY);
    if (code == EXIT_DONE) {
        output out;
        output_standard(&out);
        print_model(&out, &s.info);
        if (s.tokenizer == NULL)
            output_format(&out, "tokenizer: none\n");
        else
            output_format(&out, "tokenizer: %zu ids\n", plens_tokenizer_size(s.tokenizer));
        print_machine(&out, &s);
        code = output_finish(&out);
        output_discard(&out);
    }
    session_close(&s);
    return code;
}
