/* The folder of a score's results. */
#include "tests/harness/score_files.h"

const char *const score_names[] = {"run.json",    "prompts.tsv", "layers.tsv",
                                   "summary.tsv", "shard.tsv",   NULL};

enum { N_NAMES = sizeof score_names / sizeof score_names[0] - 1 };

static void prompts_file(output *out, const void *report) {
    write_prompts(out, report);
}

static void layers_file(output *out, const void *report) {
    write_layers(out, report);
}

static void summary_file(output *out, const void *report) {
    write_summary(out, report);
}

static void shard_file(output *out, const void *report) {
    write_shard(out, report);
}

static void run_json_file(output *out, const void *report) {
    write_run_json(out, report);
}

int folder_write_score(const results_folder *folder, const score_report *r) {
    result_file files[N_NAMES] = {
        {"prompts.tsv", prompts_file}, {"layers.tsv", layers_file}, {"summary.tsv", summary_file}};
    size_t n = 3;
    if (r->shard->count > 0)
        files[n++] = (result_file){"shard.tsv", shard_file};
    files[n++] = (result_file){"run.json", run_json_file};
    return folder_write(folder, files, n, r);
}
