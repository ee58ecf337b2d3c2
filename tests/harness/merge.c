/* plens merge: the results of all shards of a score, joined into the bytes that one machine would
 * have written. Nothing is computed again but the summary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/commands.h"
#include "tests/harness/piece.h"
#include "tests/harness/score_files.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens merge DIR... --out DIR [--force]\n"
    "\n"
    "Joins the folders that plens score --shard 1/N ... N/N wrote, in any order, into the files\n"
    "that one run over all prompts would have written. Refuses a shard that is missing, doubled "
    "or\n"
    "of another run.\n"
    "\n"
    "  --out DIR  where prompts.tsv, layers.tsv, summary.tsv and run.json go\n"
    "  --force    replace results that DIR holds\n"
    "  --quiet    no note on standard error\n";

typedef struct merge {
    piece *pieces; /* [n_pieces] */
    size_t n_pieces, n_layers;
    size_t n_rows;          /* of prompts.tsv in all */
    const piece **piece_of; /* [n_rows] which holds the row, */
    size_t *line_of;        /* and in which line of its prompts.tsv */
    score_report report;    /* for the summary */
    questions questions;    /* one for each task */
    job_options options;
    jobs jobs;
    ratio_list ratios;
    scores scores;
} merge;

/* ---- do they belong together? ---- */

/* The folder that holds a shard, NULL if none does. */
static const piece *find_piece(const merge *m, size_t index) {
    for (size_t i = 0; i < m->n_pieces; i++) {
        if (m->pieces[i].shard.index == index)
            return &m->pieces[i];
    }
    return NULL;
}

static int check_complete(const merge *m) {
    size_t count = m->pieces[0].shard.count, missing = 1;
    for (size_t i = 0; i < m->n_pieces; i++) {
        const piece *p = &m->pieces[i], *other = find_piece(m, p->shard.index);
        if (other != p)
            return fail_input("%s: is shard %zu/%zu, and so is %s", p->folder, p->shard.index,
                              count, other->folder);
    }
    if (m->n_pieces == count)
        return EXIT_DONE;
    while (find_piece(m, missing) != NULL)
        missing++;
    if (count - m->n_pieces > 1)
        return fail_input("shard %zu/%zu is missing, and %zu more", missing, count,
                          count - m->n_pieces - 1);
    return fail_input("shard %zu/%zu is missing", missing, count);
}

/* Finds each row's place in the whole. */
static int place_rows(merge *m) {
    for (size_t i = 0; i < m->n_pieces; i++)
        m->n_rows += m->pieces[i].prompts.count - 1;
    m->piece_of = allocate(m->n_rows, sizeof *m->piece_of);
    m->line_of = allocate(m->n_rows, sizeof *m->line_of);
    for (size_t i = 0; i < m->n_pieces; i++) {
        const piece *p = &m->pieces[i];
        for (size_t row = 1; row < p->prompts.count; row++) {
            size_t line = p->first_prompt + row - 1;
            const char *text = piece_value(p, line, "prompt");
            uint64_t place;
            if (text == NULL || !parse_number(text, UINT64_MAX, &place) || place >= m->n_rows ||
                m->piece_of[place] != NULL)
                return fail_input("%s:%zu: expected the place of a row below %zu, each once",
                                  p->about.path, line + 1, m->n_rows);
            m->piece_of[place] = p;
            m->line_of[place] = row;
        }
    }
    return EXIT_DONE;
}

/* ---- the summary, from the rows ---- */

/* A TSV cell's bytes, in place. */
static char *unescape(char *cell) {
    char *to = cell;
    for (const char *from = cell; *from != '\0'; from++) {
        static const char letters[] = "tnr\\", bytes[] = "\t\n\r\\";
        const char *letter = *from == '\\' && from[1] != '\0' ? strchr(letters, from[1]) : NULL;
        unsigned byte;
        if (letter != NULL) {
            *to++ = bytes[letter - letters];
            from++;
        } else if (*from == '\\' && sscanf(from, "\\x%2X", &byte) == 1) {
            *to++ = (char)byte;
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return cell;
}

/* What all shards' shard.tsv say in front of the prompts. */
static int read_about(merge *m, const piece *p) {
    uint64_t n_layers = 0;
    const char *value;
    for (size_t i = 2; i < p->first_prompt; i++) {
        if ((value = piece_value(p, i, "layers")) != NULL) {
            parse_number(value, INT32_MAX, &n_layers);
        } else if ((value = piece_value(p, i, "condition")) != NULL) {
            for (int c = 0; c < N_CONDITIONS; c++)
                m->options.conditions[c] |= strcmp(value, condition_names[c]) == 0;
        } else if ((value = piece_value(p, i, "ratio")) != NULL) {
            m->ratios.items =
                reallocate(m->ratios.items, m->ratios.count + 1, sizeof *m->ratios.items);
            snprintf(m->ratios.items[m->ratios.count++].text, sizeof m->ratios.items->text, "%s",
                     value);
        } else if ((value = piece_value(p, i, "task")) != NULL) {
            size_t n = m->questions.n_tasks++;
            m->questions.tasks = reallocate(m->questions.tasks, n + 1, sizeof *m->questions.tasks);
            m->questions.tasks[n] = value;
        }
    }
    m->n_layers = (size_t)n_layers;
    if (m->n_layers == 0 || m->ratios.count == 0 || m->questions.n_tasks == 0)
        return fail_input("%s: expected the number of layers, ratios and tasks", p->about.path);
    return EXIT_DONE;
}

/* Cell `column` of a row of prompts.tsv, copied; "" if there is none. Free with free(). */
static char *cell_of(const char *row, size_t column) {
    for (; column > 0 && row != NULL; column--) {
        row = strchr(row, '\t');
        row = row == NULL ? NULL : row + 1;
    }
    char *cell = join(row == NULL ? "" : row, NULL);
    cell[strcspn(cell, "\t")] = '\0';
    return cell;
}

/* Makes row i a job with its scores. */
static int read_row(merge *m, size_t i) {
    enum { TASK = 1, CONDITION = 2, FIRST_S = 8 };
    const piece *p = m->piece_of[i];
    const char *row = p->prompts.items[m->line_of[i]];
    char *task = cell_of(row, TASK), *name = cell_of(row, CONDITION);
    size_t t = 0, good = 1;
    while (t < m->questions.n_tasks && strcmp(m->questions.tasks[t], task) != 0)
        t++;
    m->jobs.items[i].condition =
        strcmp(name, condition_names[CONDITION_WITH]) == 0 ? CONDITION_WITH : CONDITION_WITHOUT;
    if (t < m->questions.n_tasks)
        m->jobs.items[i].question = &m->questions.items[t];
    for (size_t k = 0; k < m->ratios.count; k++) {
        char *end, *cell = cell_of(row, FIRST_S + k);
        m->scores.s[i * m->ratios.count + k] = strtod(cell, &end); /* %.17g gives all bits back */
        good &= *cell != '\0' && *end == '\0';
        free(cell);
    }
    free(task);
    free(name);
    if (t < m->questions.n_tasks && good)
        return EXIT_DONE;
    return fail_input("%s:%zu: expected a row of plens score with a task of shard.tsv and %zu "
                      "scores",
                      p->prompts.path, m->line_of[i] + 1, m->ratios.count);
}

static int prepare_summary(merge *m) {
    int code = read_about(m, &m->pieces[0]);
    m->questions.items = allocate(m->questions.n_tasks, sizeof *m->questions.items);
    for (size_t t = 0; t < m->questions.n_tasks; t++)
        m->questions.items[t].task_index = t;
    m->jobs.items = allocate(m->n_rows, sizeof *m->jobs.items);
    m->jobs.count = m->n_rows;
    m->scores.jobs = &m->jobs;
    m->scores.ratios = &m->ratios;
    m->scores.s = allocate(m->n_rows * m->ratios.count, sizeof *m->scores.s);
    for (size_t i = 0; i < m->n_rows && code == EXIT_DONE; i++)
        code = read_row(m, i);
    for (size_t t = 0; t < m->questions.n_tasks; t++)
        unescape((char *)(uintptr_t)m->questions.tasks[t]); /* a line of p->about, which is ours */
    m->report.questions = &m->questions;
    m->report.options = &m->options;
    m->report.jobs = &m->jobs;
    m->report.ratios = &m->ratios;
    m->report.scores = &m->scores;
    return code;
}

/* ---- writing ---- */

static void write_line(output *out, const char *line) {
    output_bytes(out, line, strlen(line));
    output_bytes(out, "\n", 1);
}

static void merged_prompts(output *out, const void *user) {
    const merge *m = user;
    write_line(out, m->pieces[0].prompts.items[0]);
    for (size_t i = 0; i < m->n_rows; i++)
        write_line(out, m->piece_of[i]->prompts.items[m->line_of[i]]);
}

static void merged_layers(output *out, const void *user) {
    const merge *m = user;
    write_line(out, m->pieces[0].layers.items[0]);
    for (size_t i = 0; i < m->n_rows; i++) {
        size_t first = 1 + (m->line_of[i] - 1) * m->n_layers;
        for (size_t l = 0; l < m->n_layers; l++)
            write_line(out, m->piece_of[i]->layers.items[first + l]);
    }
}

static void merged_summary(output *out, const void *user) {
    write_summary(out, &((const merge *)user)->report);
}

/* The shards' machines in their order. */
static void merged_run_json(output *out, const void *user) {
    const merge *m = user;
    output_format(out, "%s\n  \"machine\": {\n    \"merged\": %zu, \"shards\": [\n",
                  m->pieces[0].run_json, m->n_pieces);
    for (size_t index = 1; index <= m->n_pieces; index++) {
        const char *machine = find_piece(m, index)->machine;
        output_bytes(out, machine, strlen(machine));
        output_format(out, index < m->n_pieces ? ",\n" : "]\n  }\n}\n");
    }
}

static int write_all(const merge *m, const char *out, int force) {
    static const result_file files[] = {{"prompts.tsv", merged_prompts},
                                        {"layers.tsv", merged_layers},
                                        {"summary.tsv", merged_summary},
                                        {"run.json", merged_run_json}};
    results_folder folder = {NULL, 0, 0, score_names};
    int code = folder_prepare(&folder, out, force);
    if (code != EXIT_DONE)
        return code;
    code = folder_write(&folder, files, sizeof files / sizeof files[0], m);
    if (code != EXIT_DONE)
        folder_undo(&folder);
    return code;
}

static int check_layers(const merge *m) {
    for (size_t i = 0; i < m->n_pieces; i++) {
        const piece *p = &m->pieces[i];
        size_t expected = (p->prompts.count - 1) * m->n_layers;
        if (p->layers.count - 1 != expected)
            return fail_input("%s: expected %zu rows, %zu for each prompt, found %zu",
                              p->layers.path, expected, m->n_layers, p->layers.count - 1);
    }
    return EXIT_DONE;
}

static int join_all(merge *m, const option_texts *folders) {
    int code = EXIT_DONE;
    for (; m->n_pieces < folders->count && code == EXIT_DONE; m->n_pieces++)
        code = piece_read(&m->pieces[m->n_pieces], folders->items[m->n_pieces]);
    for (size_t i = 1; i < m->n_pieces && code == EXIT_DONE; i++)
        code = piece_check_like(&m->pieces[i], &m->pieces[0]);
    if (code == EXIT_DONE)
        code = check_complete(m);
    if (code == EXIT_DONE)
        code = place_rows(m);
    if (code == EXIT_DONE)
        code = prepare_summary(m);
    return code == EXIT_DONE ? check_layers(m) : code;
}

static void merge_free(merge *m) {
    for (size_t i = 0; i < m->n_pieces; i++)
        piece_free(&m->pieces[i]);
    free(m->pieces);
    free(m->piece_of);
    free(m->line_of);
    free(m->questions.items);
    free(m->questions.tasks);
    free(m->jobs.items);
    free(m->ratios.items);
    free(m->scores.s);
}

int command_merge(int argc, char **argv) {
    option_texts folders = {NULL, 0};
    const char *out = NULL;
    int force = 0, quiet = 0;
    const option options[] = {
        {"", OPTION_TEXTS, &folders, NULL},
        {"--out", OPTION_TEXT, &out, NULL},
        {"--force", OPTION_FLAG, &force, NULL},
        {"--quiet", OPTION_FLAG, &quiet, NULL},
    };
    int code =
        options_read("merge", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code == OPTIONS_READ && folders.count == 0)
        code = fail_usage("merge", "no folder is given");
    if (code == OPTIONS_READ && (out == NULL || out[0] == '\0'))
        code = fail_usage("merge", "--out DIR is missing");
    for (size_t i = 0; i < folders.count && code == OPTIONS_READ; i++) {
        if (system_is_same(out, folders.items[i]))
            code = fail_usage("merge",
                              "--out %s is the shard %s, which would be lost: give another "
                              "folder",
                              out, folders.items[i]);
    }
    if (code == OPTIONS_READ) {
        merge m;
        memset(&m, 0, sizeof m);
        system_catch_signals();
        m.pieces = allocate(folders.count, sizeof *m.pieces);
        code = join_all(&m, &folders);
        if (code == EXIT_DONE)
            code = write_all(&m, out, force);
        if (code == EXIT_DONE && !quiet)
            say("%zu shards, %zu prompts", m.n_pieces, m.n_rows);
        merge_free(&m);
    }
    free(folders.items);
    return code;
}
