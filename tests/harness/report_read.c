/* The folders of plens score, read and checked against each other. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/report.h"
#include "tests/harness/result_table.h"

const char *const reading_conditions[N_READINGS] = {"with", "without", "without", "with"};
const char *const reading_golds[N_READINGS] = {"data", "own", "data", "own"};
const char *const reading_titles[N_READINGS] = {"with persona", "without, own answer",
                                                "without, data's gold", "with persona, own answer"};

double report_score(const report *r, size_t run, reading from, size_t question, size_t ratio) {
    return r->runs[run].s[from][question * r->n_ratios + ratio];
}

size_t report_find_ratio(const report *r, const char *text) {
    size_t k = 0;
    while (k < r->n_ratios && strcmp(r->ratios[k].text, text) != 0)
        k++;
    return k;
}

static int find_columns(const result_table *t, const char *const *names, size_t *columns,
                        size_t n) {
    int code = EXIT_DONE;
    for (size_t c = 0; c < n && code == EXIT_DONE; c++)
        code = result_table_column(t, names[c], &columns[c]);
    return code;
}

/* Is an id one of those in "12|7"? */
static int id_in_list(const char *id, const char *list) {
    size_t length = strlen(id);
    for (;;) {
        size_t n = strcspn(list, "|");
        if (n == length && memcmp(list, id, n) == 0)
            return 1;
        if (list[n] == '\0')
            return 0;
        list += n + 1;
    }
}

/* ---- the questions, from the first run ---- */

static size_t task_index(report *r, const char *name) {
    size_t t = 0;
    while (t < r->n_tasks && strcmp(r->tasks[t].name, name) != 0)
        t++;
    if (t == r->n_tasks) {
        r->tasks = reallocate(r->tasks, r->n_tasks + 1, sizeof *r->tasks);
        r->tasks[r->n_tasks++] = (report_task){join(name, NULL), NULL, 0};
    }
    return t;
}

static void add_question(report *r, const char *id, const char *task_name) {
    size_t t = task_index(r, task_name);
    report_task *task = &r->tasks[t];
    task->questions = reallocate(task->questions, task->n + 1, sizeof *task->questions);
    task->questions[task->n++] = r->n_questions;
    r->questions = reallocate(r->questions, r->n_questions + 1, sizeof *r->questions);
    r->questions[r->n_questions++] = (report_question){join(id, NULL), t, {0, 0}};
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const report *r, const char *path) {
    const char **ids = allocate(r->n_questions, sizeof *ids);
    const char *twice = NULL;
    for (size_t i = 0; i < r->n_questions; i++)
        ids[i] = r->questions[i].id;
    qsort(ids, r->n_questions, sizeof *ids, compare_ids);
    for (size_t i = 1; i < r->n_questions && twice == NULL; i++)
        twice = strcmp(ids[i - 1], ids[i]) == 0 ? ids[i] : NULL;
    free(ids);
    return twice == NULL ? EXIT_DONE
                         : fail_input("%s: the id '%s' stands in two places", path, twice);
}

/* One row of prompts.tsv, as all runs have it. */
typedef struct prompt_row {
    size_t question;
    int condition;           /* 0 with, 1 without */
    char *gold_ids, *top_id; /* of this run */
} prompt_row;

enum { ID, TASK, CONDITION, GOLD_ID, TOP_ID, N_NAMED };

static int read_condition(const result_table *f, size_t row, size_t column, int *condition) {
    const char *cell = result_table_cell(f, row, column);
    *condition = strcmp(cell, "without") == 0;
    if (*condition || strcmp(cell, "with") == 0)
        return EXIT_DONE;
    return fail_input("%s:%zu: condition: expected with or without, found '%s'", f->path,
                      result_table_line(row), cell);
}

/* Lists the questions from the first run's rows. */
static int list_questions(report *r, const result_table *f, const size_t *columns) {
    for (size_t row = 0; row < f->n_rows; row++) {
        const char *id = result_table_cell(f, row, columns[ID]),
                   *task = result_table_cell(f, row, columns[TASK]);
        int condition, code = read_condition(f, row, columns[CONDITION], &condition);
        if (code != EXIT_DONE)
            return code;
        report_question *last = r->n_questions == 0 ? NULL : &r->questions[r->n_questions - 1];
        if (last == NULL || strcmp(last->id, id) != 0 || last->conditions[condition]) {
            add_question(r, id, task);
            last = &r->questions[r->n_questions - 1];
        }
        if (strcmp(r->tasks[last->task].name, task) != 0)
            return fail_input("%s:%zu: '%s' has two tasks", f->path, result_table_line(row), id);
        last->conditions[condition] = 1;
    }
    if (r->n_questions == 0)
        return fail_input("%s: no prompts: expected at least one row after the header", f->path);
    return check_unique(r, f->path);
}

/* Which question each row is about: the same for all runs. */
static int place_rows(const report *r, const result_table *f, const size_t *columns,
                      prompt_row *rows) {
    size_t row = 0;
    for (size_t q = 0; q < r->n_questions; q++) {
        const report_question *asked = &r->questions[q];
        for (int c = 0; c < 2; c++) {
            int found = 0;
            if (!asked->conditions[c])
                continue;
            int code =
                row < f->n_rows ? read_condition(f, row, columns[CONDITION], &found) : EXIT_DONE;
            if (code != EXIT_DONE)
                return code;
            if (row == f->n_rows || found != c ||
                strcmp(result_table_cell(f, row, columns[ID]), asked->id) != 0 ||
                strcmp(result_table_cell(f, row, columns[TASK]), r->tasks[asked->task].name) != 0)
                return fail_input("%s:%zu: expected '%s' %s, as in %s", f->path, row + 2, asked->id,
                                  c == 0 ? "with a persona" : "without a persona",
                                  r->runs[0].folder);
            rows[row].question = q;
            rows[row++].condition = c;
        }
    }
    if (row == f->n_rows)
        return EXIT_DONE;
    return fail_input("%s: expected %zu rows, as in %s, found %zu", f->path, row, r->runs[0].folder,
                      f->n_rows);
}

/* ---- prompts.tsv ---- */

static double *no_scores(const report *r) {
    size_t n = r->n_questions * r->n_ratios;
    double *s = allocate(n, sizeof *s);
    for (size_t i = 0; i < n; i++)
        s[i] = NAN;
    return s;
}

static int read_scores(const report *r, report_run *run, const result_table *f,
                       const prompt_row *rows, const char *prefix) {
    int is_ref = prefix[0] == 'r';
    for (size_t k = 0; k < r->n_ratios; k++) {
        char name[40];
        size_t column;
        snprintf(name, sizeof name, "%s%s", prefix, r->ratios[k].percent);
        if (result_table_column(f, name, &column) != EXIT_DONE)
            return EXIT_INPUT;
        for (size_t row = 0; row < f->n_rows; row++) {
            if (is_ref && rows[row].condition == 0)
                continue; /* with a persona gold is the data's already */
            reading to = is_ref ? WITHOUT_DATA : rows[row].condition == 0 ? WITH : WITHOUT;
            int code = result_table_number(f, row, column, is_ref, (double)run->n_layers,
                                           &run->s[to][rows[row].question * r->n_ratios + k]);
            if (code != EXIT_DONE)
                return code;
        }
    }
    return EXIT_DONE;
}

static int read_prompts(report *r, report_run *run, const result_table *f, prompt_row *rows) {
    static const char *const names[N_NAMED] = {"id", "task", "condition", "gold_id", "top_id"};
    size_t columns[N_NAMED];
    int code = find_columns(f, names, columns, N_NAMED);
    if (code == EXIT_DONE && run == &r->runs[0])
        code = list_questions(r, f, columns);
    if (code == EXIT_DONE)
        code = place_rows(r, f, columns, rows);
    for (int from = 0; from < N_SCORED && code == EXIT_DONE; from++)
        run->s[from] = no_scores(r);
    for (size_t row = 0; row < f->n_rows && code == EXIT_DONE; row++) {
        rows[row].gold_ids = join(result_table_cell(f, row, columns[GOLD_ID]), NULL);
        rows[row].top_id = join(result_table_cell(f, row, columns[TOP_ID]), NULL);
    }
    if (code == EXIT_DONE)
        code = read_scores(r, run, f, rows, "S");
    return code == EXIT_DONE ? read_scores(r, run, f, rows, "ref_S") : code;
}

/* ---- layers.tsv ---- */

enum { L_ID, L_CONDITION, L_LAYER, L_TOKEN, L_PROB, L_RANK, L_REF_PROB, L_REF_RANK, N_LAYER };

static const char *const layer_names[N_LAYER] = {"id",        "condition", "layer",    "token_id",
                                                 "gold_prob", "gold_rank", "ref_prob", "ref_rank"};

static int read_layer(const report *r, report_run *run, const result_table *f,
                      const size_t *columns, const prompt_row *prompt, size_t row, size_t layer) {
    const char *token = result_table_cell(f, row, columns[L_TOKEN]);
    const char *id = r->questions[prompt->question].id;
    const char *condition = prompt->condition == 0 ? "with" : "without";
    size_t at = prompt->question * run->n_layers + layer - 1;
    char number[24];
    snprintf(number, sizeof number, "%zu", layer);
    if (strcmp(result_table_cell(f, row, columns[L_ID]), id) != 0 ||
        strcmp(result_table_cell(f, row, columns[L_CONDITION]), condition) != 0 ||
        strcmp(result_table_cell(f, row, columns[L_LAYER]), number) != 0)
        return fail_input("%s:%zu: expected layer %zu of '%s' %s a persona, as prompts.tsv has it",
                          f->path, result_table_line(row), layer, id, condition);
    /* Probabilities are sums over gold's alternatives, rounded to nine digits. */
    static const double most[2] = {1.001, UINT32_MAX};
    double values[4];
    for (int i = 0; i < 4; i++) {
        int code =
            result_table_number(f, row, columns[L_PROB + i], i >= 2, most[i % 2], &values[i]);
        if (code != EXIT_DONE)
            return code;
    }
    reading to = prompt->condition == 0 ? WITH : WITHOUT;
    run->gold_prob[to][at] = (float)values[0];
    run->gold_rank[to][at] = (uint32_t)values[1];
    run->top[to][at] = (signed char)id_in_list(token, prompt->gold_ids);
    if (to == WITH) {
        run->top[WITH_OWN][at] = strcmp(token, prompt->top_id) == 0;
    } else if (!isnan(values[2]) && !isnan(values[3])) {
        run->gold_prob[WITHOUT_DATA][at] = (float)values[2];
        run->gold_rank[WITHOUT_DATA][at] = (uint32_t)values[3];
        run->top[WITHOUT_DATA][at] = values[3] == 0;
    }
    return EXIT_DONE;
}

static int read_layers(const report *r, report_run *run, const result_table *f,
                       const prompt_row *rows, size_t n_rows) {
    size_t columns[N_LAYER], n = r->n_questions * run->n_layers;
    int code = find_columns(f, layer_names, columns, N_LAYER);
    if (code != EXIT_DONE)
        return code;
    if (f->n_rows != n_rows * run->n_layers)
        return fail_input("%s: expected %zu rows, %zu for each prompt, found %zu", f->path,
                          n_rows * run->n_layers, run->n_layers, f->n_rows);
    for (int from = 0; from < N_READINGS; from++) {
        run->top[from] = allocate(n, 1);
        memset(run->top[from], -1, n);
    }
    for (int from = 0; from < N_SCORED; from++) {
        run->gold_prob[from] = allocate(n, sizeof *run->gold_prob[from]);
        run->gold_rank[from] = allocate(n, sizeof *run->gold_rank[from]);
    }
    for (size_t row = 0; row < f->n_rows && code == EXIT_DONE; row++)
        code = read_layer(r, run, f, columns, &rows[row / run->n_layers], row,
                          row % run->n_layers + 1);
    return code;
}

/* ---- all of it ---- */

static int read_tables(report *r, report_run *run) {
    result_table prompts, layers;
    prompt_row *rows = NULL;
    int code = result_table_open(&prompts, run->folder, "prompts.tsv");
    if (code == EXIT_DONE) {
        rows = allocate(prompts.n_rows, sizeof *rows);
        code = read_prompts(r, run, &prompts, rows);
    }
    if (code == EXIT_DONE) {
        code = result_table_open(&layers, run->folder, "layers.tsv");
        if (code == EXIT_DONE)
            code = read_layers(r, run, &layers, rows, prompts.n_rows);
        result_table_close(&layers);
    }
    for (size_t i = 0; rows != NULL && i < prompts.n_rows; i++) {
        free(rows[i].gold_ids);
        free(rows[i].top_id);
    }
    free(rows);
    result_table_close(&prompts);
    return code;
}

int report_read(report *r, plens_context *context) {
    int code = EXIT_DONE;
    for (size_t i = 0; i < r->n_runs && code == EXIT_DONE; i++) {
        code = report_read_about(r, i, context);
    }
    if (code == EXIT_DONE)
        code = report_read_ratios(r);
    for (size_t i = 0; i < r->n_runs && code == EXIT_DONE; i++)
        code = read_tables(r, &r->runs[i]);
    return code;
}

static void run_free(report_run *run) {
    free(run->folder);
    free(run->label);
    free(run->model);
    free(run->architecture);
    free(run->series);
    for (size_t t = 0; t < N_TERMS; t++)
        free(run->terms[t]);
    for (int from = 0; from < N_READINGS; from++) {
        free(run->top[from]);
        if (from < N_SCORED) {
            free(run->s[from]);
            free(run->gold_prob[from]);
            free(run->gold_rank[from]);
        }
    }
}

void report_free(report *r) {
    for (size_t i = 0; i < r->n_runs; i++)
        run_free(&r->runs[i]);
    for (size_t q = 0; q < r->n_questions; q++)
        free(r->questions[q].id);
    for (size_t t = 0; t < r->n_tasks; t++) {
        free(r->tasks[t].name);
        free(r->tasks[t].questions);
    }
    free(r->runs);
    free(r->questions);
    free(r->tasks);
    free(r->ratios);
}
