/* What a score writes: its tables, run.json, and the folder that holds them. */
#ifndef PLENS_HARNESS_SCORE_FILES_H
#define PLENS_HARNESS_SCORE_FILES_H

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

/* The results' folder. made: how many bytes of the path name the first folder that had to be made,
 * 0 if all of it was there. */
typedef struct results_folder {
    const char *path;
    size_t made;
} results_folder;

/* Makes the folder with its parents and checks that it may be written to, so that a mistake is
 * told before the run. Without force it must hold no results. EXIT_DONE or EXIT_INPUT. */
int folder_prepare(results_folder *folder, const char *path, int force);

/* Removes the folders that were made and are still empty. */
void folder_undo(const results_folder *folder);

typedef struct result_file {
    const char *name;
    void (*write)(output *out, const void *user);
} result_file;

/* Writes n files; they appear together, the last one, run.json, after the others. Another run's
 * shard.tsv disappears. EXIT_DONE or the exit status. */
int folder_write(const results_folder *folder, const result_file *files, size_t n,
                 const void *user);

/* The same for a score. */
int folder_write_score(const results_folder *folder, const score_report *r);

#endif
