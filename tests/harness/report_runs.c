/* Which folders a report is about, and what they are called. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/report.h"

static int is_nothing(const char *cell) {
    return cell[0] == '\0' || strcmp(cell, "NA") == 0;
}

/* A path without slashes at its end. */
static char *trimmed(const char *path) {
    char *copy = join(path, NULL);
    for (size_t end = strlen(copy); end > 1 && copy[end - 1] == '/'; end--)
        copy[end - 1] = '\0';
    return copy;
}

static const char *base_name(const char *trimmed_path) {
    const char *slash = strrchr(trimmed_path, '/');
    return slash == NULL || slash[1] == '\0' ? trimmed_path : slash + 1;
}

static report_run *add_run(report *r, char *folder) {
    r->runs = reallocate(r->runs, r->n_runs + 1, sizeof *r->runs);
    report_run *run = &r->runs[r->n_runs++];
    memset(run, 0, sizeof *run);
    run->folder = folder;
    run->label = join(base_name(folder), NULL);
    return run;
}

/* A folder that the file names: as it is if the path is absolute, else beside the file. */
static char *beside(const char *file, const char *folder) {
    const char *slash = strrchr(file, '/');
    char *name = trimmed(folder);
    if (folder[0] == '/' || slash == NULL)
        return name;
    char *path = join(file, "/", name, NULL);
    size_t n = (size_t)(slash - file) + 1;
    memmove(path + n, name, strlen(name) + 1);
    free(name);
    return path;
}

/* The run that a row is about: the one argument with this path, or else with this last name. NULL
 * if there is none, or more than one. */
static report_run *find_run(report *r, const char *name) {
    char *wanted = trimmed(name);
    report_run *found = NULL;
    size_t n = 0;
    for (int by_path = 1; by_path >= 0 && n == 0; by_path--) {
        for (size_t i = 0; i < r->n_runs; i++) {
            const char *folder = r->runs[i].folder;
            if (strcmp(by_path ? folder : base_name(folder), wanted) == 0) {
                found = &r->runs[i];
                n++;
            }
        }
    }
    free(wanted);
    return n == 1 ? found : NULL;
}

/* "0.4T", "2e12", "100000": a number above 0; K, M, B and T are powers of 1,000. */
static int parse_tokens(const char *text, double *tokens) {
    static const char units[] = "KMBT";
    size_t length = strspn(text, "0123456789.eE+-"); /* no nan, no 0x */
    const char *unit = text[length] == '\0' ? NULL : strchr(units, text[length]);
    char *end;
    *tokens = strtod(text, &end);
    if (length == 0 || end != text + length || end[unit != NULL] != '\0')
        return 0;
    for (const char *u = units; unit != NULL && u <= unit; u++)
        *tokens *= 1000;
    return isfinite(*tokens) && *tokens > 0;
}

/* Takes a row's cells over into its run. */
static int describe(report_run *run, const char *path, size_t line, const char *const *cells) {
    enum { LABEL, SERIES, TOKENS, PAPER };
    if (!is_nothing(cells[LABEL])) {
        free(run->label);
        run->label = join(cells[LABEL], NULL);
    }
    if (!is_nothing(cells[SERIES]))
        run->series = join(cells[SERIES], NULL);
    if (!is_nothing(cells[TOKENS]) && !parse_tokens(cells[TOKENS], &run->tokens))
        return fail_input("%s:%zu: tokens: expected a number above 0 such as 4e11 or 0.4T, found "
                          "'%s'",
                          path, line, cells[TOKENS]);
    if (run->series != NULL && run->tokens == 0)
        return fail_input("%s:%zu: expected how many tokens this checkpoint of the series '%s' has "
                          "seen, found nothing",
                          path, line, run->series);
    if (is_nothing(cells[PAPER]))
        return EXIT_DONE;
    run->paper = paper_find_model(cells[PAPER]);
    if (run->paper != NULL)
        return EXIT_DONE;
    char names[512] = "";
    for (size_t i = 0; i < N_PAPER_MODELS; i++) {
        strcat(names, i == 0 ? "" : ", ");
        strcat(names, paper_models[i].name);
    }
    return fail_input("%s:%zu: paper_model: expected one of %s, found '%s'", path, line, names,
                      cells[PAPER]);
}

/* Reads the file's rows. Without arguments they say which folders there are. */
static int read_rows(report *r, const plens_table *table, const char *path, int has_arguments) {
    static const char *const names[] = {"run", "label", "series", "tokens", "paper_model"};
    enum { N_COLUMNS = 5 };
    size_t columns[N_COLUMNS];
    int there[N_COLUMNS];
    plens_error error;
    for (size_t c = 0; c < N_COLUMNS; c++) {
        there[c] = plens_table_column(table, names[c], &columns[c], &error) == PLENS_OK;
        if (c == 0 && !there[c])
            return fail_error(&error);
    }
    char *taken = allocate(r->n_runs + plens_table_rows(table), 1);
    int code = EXIT_DONE;
    for (size_t row = 0; row < plens_table_rows(table) && code == EXIT_DONE; row++) {
        const char *cells[N_COLUMNS];
        size_t line = plens_table_line(table, row);
        for (size_t c = 0; c < N_COLUMNS; c++)
            cells[c] = there[c] ? plens_table_cell(table, row, columns[c], NULL) : "";
        report_run *run = NULL;
        if (is_nothing(cells[0]))
            code = fail_input("%s:%zu: the run is empty", path, line);
        else
            run = has_arguments ? find_run(r, cells[0]) : add_run(r, beside(path, cells[0]));
        if (code == EXIT_DONE && run == NULL)
            code = fail_input("%s:%zu: '%s' does not name one of the folders that are given", path,
                              line, cells[0]);
        if (code == EXIT_DONE && taken[run - r->runs]++)
            code = fail_input("%s:%zu: '%s' has a row already", path, line, cells[0]);
        if (code == EXIT_DONE)
            code = describe(run, path, line, cells + 1);
    }
    free(taken);
    return code;
}

/* Labels name the runs, and the number of tokens a series' checkpoints. */
static int check_names(const report *r) {
    for (size_t i = 0; i < r->n_runs; i++) {
        const report_run *a = &r->runs[i];
        for (size_t k = 0; k < i; k++) {
            const report_run *b = &r->runs[k];
            if (strcmp(a->label, b->label) == 0)
                return fail_input("%s: has the label '%s', and so has %s (--runs F.tsv gives them "
                                  "others)",
                                  a->folder, a->label, b->folder);
            if (a->series != NULL && b->series != NULL && strcmp(a->series, b->series) == 0 &&
                a->tokens == b->tokens)
                return fail_input("%s: is the checkpoint of the series '%s' at %g tokens, and so "
                                  "is %s",
                                  a->folder, a->series, a->tokens, b->folder);
        }
    }
    return EXIT_DONE;
}

int report_list_runs(report *r, plens_context *context, const option_texts *folders,
                     const char *runs_path) {
    plens_error error;
    plens_table *table = NULL;
    int code = EXIT_DONE;
    for (size_t i = 0; i < folders->count; i++)
        add_run(r, trimmed(folders->items[i]));
    if (runs_path != NULL) {
        if (plens_table_open(context, runs_path, &table, &error) != PLENS_OK)
            return fail_error(&error);
        code = read_rows(r, table, runs_path, folders->count > 0);
        plens_table_close(table);
    }
    if (code == EXIT_DONE && r->n_runs == 0)
        code = fail_input("%s: no runs: expected at least one row after the header", runs_path);
    return code == EXIT_DONE ? check_names(r) : code;
}
