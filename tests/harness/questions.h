/* The questions of all --data files, in their order. */
#ifndef PLENS_HARNESS_QUESTIONS_H
#define PLENS_HARNESS_QUESTIONS_H

#include "tests/harness/options.h"
#include "tests/harness/session.h"

typedef struct question {
    const char *id, *task, *persona, *prompt, *gold; /* cells of the table: never NULL */
    const char *path;                                /* where it stands */
    size_t line;
    size_t task_index; /* into questions.tasks */
} question;

typedef struct data_file {
    const char *path;
    plens_table *table;
    size_t n_rows;
} data_file;

typedef struct questions {
    data_file *files;
    size_t n_files;
    question *items;
    size_t count;
    const char **tasks; /* by first appearance */
    size_t n_tasks;
} questions;

/* Reads and checks the files: columns, ids that occur once, prompts that are not empty. Returns
 * EXIT_DONE or the exit status, the mistake said with file and line. Free in either case. */
int questions_read(questions *q, const session *s, const option_texts *paths);
void questions_free(questions *q);

/* Identifies the questions by their content: FNV-1a, 64 bits, over all cells in order. */
uint64_t questions_fingerprint(const questions *q);

#endif
