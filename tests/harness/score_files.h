/* What a score writes: its tables, run.json, and the folder that holds them. */
#ifndef PLENS_HARNESS_SCORE_FILES_H
#define PLENS_HARNESS_SCORE_FILES_H

#include "tests/harness/folder.h"
#include "tests/harness/output.h"
#include "tests/harness/scores.h"
#include "tests/harness/shard.h"

/* All that a score knows when it writes. */
typedef struct score_report {
    const session *session;
    const questions *questions;
    const job_options *options;
    const jobs *jobs;
    const ratio_list *ratios;
    const shard *shard;
    const scores *scores;
    double prepare_seconds; /* from the start to the run */
    uint64_t fingerprint;   /* of the model's files */
} score_report;

void write_prompts(output *out, const score_report *r);
void write_layers(output *out, const score_report *r);
void write_summary(output *out, const score_report *r);
void write_run_json(output *out, const score_report *r);

/* The summary as a table for people. */
void print_summary(output *out, const score_report *r);

/* shard.tsv, what merge needs to know: the shard, layers, conditions and ratios, all tasks, and
 * each row's place in prompts.tsv of the whole run; rows of a key and a value. */
void write_shard(output *out, const score_report *r);

/* The files of a score's folder, for results_folder. */
extern const char *const score_names[];

/* Writes them all, as folder_write does. */
int folder_write_score(const results_folder *folder, const score_report *r);

#endif
