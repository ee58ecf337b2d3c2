/* run.json: "result" is the same for the same input whatever the machine and the shard, and what
 * merge compares; "machine" is the rest. */
#include <string.h>

#include "tests/harness/score_files.h"

/* The last name of a path, without slashes at its end. */
static void write_base_name(output *out, const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t first = end;
    while (first > 0 && path[first - 1] != '/')
        first--;
    output_json(out, path + first, end - first);
}

static void write_string(output *out, const char *text) {
    output_json(out, text, strlen(text));
}

static void write_model(output *out, const plens_model_info *m, uint64_t fingerprint) {
    output_format(out, "    \"model\": {\"folder\": ");
    write_base_name(out, m->folder);
    output_format(out, ", \"architecture\": ");
    write_string(out, m->architecture);
    output_format(out, ",\n      \"n_layers\": %zu, \"d_model\": %zu, \"d_ff\": %zu, ", m->n_layers,
                  m->d_model, m->d_ff);
    output_format(out, "\"n_heads\": %zu, \"n_kv_heads\": %zu, \"head_dim\": %zu,\n", m->n_heads,
                  m->n_kv_heads, m->head_dim);
    output_format(out,
                  "      \"vocab_size\": %zu, \"n_tensors\": %zu, \"n_parameters\": %llu, "
                  "\"n_bytes\": %llu,\n      \"fingerprint\": \"fnv1a64:%016llx\"},\n",
                  m->vocab_size, m->n_tensors, (unsigned long long)m->n_parameters,
                  (unsigned long long)m->n_bytes, (unsigned long long)fingerprint);
}

static void write_data(output *out, const questions *q) {
    output_format(out, "    \"data\": {\"files\": [");
    for (size_t i = 0; i < q->n_files; i++) {
        output_format(out, i == 0 ? "{\"name\": " : ", {\"name\": ");
        write_base_name(out, q->files[i].path);
        output_format(out, ", \"rows\": %zu}", q->files[i].n_rows);
    }
    output_format(out, "],\n      \"questions\": %zu, \"fingerprint\": \"fnv1a64:%016llx\"},\n",
                  q->count, (unsigned long long)questions_fingerprint(q));
}

static void write_options(output *out, const score_report *r) {
    static const char *const forms[] = {"auto", "none", "space", "either"};
    const int *conditions = r->options->conditions;
    output_format(out, "    \"options\": {\"condition\": \"%s\", \"ratios\": [",
                  conditions[CONDITION_WITH] && conditions[CONDITION_WITHOUT] ? "both"
                  : conditions[CONDITION_WITH]                                ? "with"
                                                                              : "without");
    for (size_t i = 0; i < r->ratios->count; i++)
        output_format(out, i == 0 ? "%s" : ", %s", r->ratios->items[i].text);
    output_format(out, "], \"gold_form\": \"%s\",\n      \"template\": {\"with\": ",
                  forms[r->options->gold_form]);
    write_string(out, r->jobs->template.texts[CONDITION_WITH]);
    output_format(out, ", \"without\": ");
    write_string(out, r->jobs->template.texts[CONDITION_WITHOUT]);
    output_format(out, "}},\n");
}

static void write_counts(output *out, const jobs *list) {
    size_t conditions[N_CONDITIONS] = {0};
    size_t n_tokens = 0, multi_token = 0, merged = 0, bare_space = 0;
    for (size_t i = 0; i < list->n_all; i++) {
        const job *j = &list->items[i];
        n_tokens += j->ids.count;
        conditions[j->condition]++;
        multi_token += j->multi_token != 0;
        merged += j->merged != 0;
        bare_space += j->bare_space != 0;
    }
    output_format(out,
                  "    \"counts\": {\"prompts\": %zu, \"with\": %zu, \"without\": %zu, "
                  "\"tokens\": %zu,\n      \"multi_token_gold\": %zu, \"merged\": %zu, "
                  "\"bare_space\": %zu}\n",
                  list->n_all, conditions[CONDITION_WITH], conditions[CONDITION_WITHOUT], n_tokens,
                  multi_token, merged, bare_space);
}

static void write_machine(output *out, const score_report *r) {
    const plens_context_info *c = &r->session->machine;
    output_format(out,
                  "  \"machine\": {\n    \"isa\": \"%s\", \"matrices\": \"%s\", \"kernels\": [",
                  plens_isa_name(c->isa), session_product(r->session));
    for (size_t i = 0; i < c->n_kernels; i++) {
        output_format(out, i == 0 ? "" : ", ");
        write_string(out, c->kernels[i]);
    }
    output_format(out, "],\n    \"threads\": %d, \"processors\": %d, \"openmp\": %s,\n", c->threads,
                  c->processors, c->openmp ? "true" : "false");
    output_format(out, "    \"memory\": %llu,\n", (unsigned long long)c->memory);
    if (r->shard->count > 0)
        output_format(out, "    \"shard\": \"%zu/%zu\", \"shard_prompts\": %zu,\n", r->shard->index,
                      r->shard->count, r->jobs->count);
    output_format(out, "    \"prepare_seconds\": %.3f, \"run_seconds\": %.3f\n  }\n",
                  r->prepare_seconds, r->scores->seconds);
}

void write_run_json(output *out, const score_report *r) {
    output_format(out, "{\n  \"result\": {\n    \"version\": \"" PLENS_VERSION "\",\n");
    write_model(out, &r->session->info, r->fingerprint);
    write_data(out, r->questions);
    output_format(out, "    \"precision\": \"%s\",\n", session_precision(r->session));
    write_options(out, r);
    write_counts(out, r->jobs);
    output_format(out, "  },\n");
    write_machine(out, r);
    output_format(out, "}\n");
}
