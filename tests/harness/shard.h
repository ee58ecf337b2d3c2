/* A share of a run for one machine of many: which one this is, and which prompts it takes. */
#ifndef PLENS_HARNESS_SHARD_H
#define PLENS_HARNESS_SHARD_H

#include "tests/harness/jobs.h"

/* Shard `index` of `count`, from 1. count 0: the run is not cut. */
typedef struct shard {
    size_t index, count;
} shard;

/* Reads "I/N": 1, or 0 if the text is anything else. */
int shard_read(shard *s, const char *text);

/* Reads "I/N", or "slurm" and "mpi", which stand for what the launcher's variables say. Returns
 * EXIT_DONE, or EXIT_USAGE and the mistake said. */
int shard_parse(shard *s, const char *text);

/* The path with each "{shard}" replaced by the shard's index. Free with free(). */
char *shard_path(const shard *s, const char *path);

/* Leaves the shard's jobs in list->items[0 .. count), in their order; the others stand behind them.
 * Depends on the jobs' tokens alone, so every machine cuts alike. */
void shard_cut(const shard *s, jobs *list);

#endif
