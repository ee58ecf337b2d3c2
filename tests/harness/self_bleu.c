/* plens self-bleu: how much the questions of a data set repeat each other. */
#include "tests/harness/commands.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/bleu.h"
#include "tests/harness/form.h"
#include "tests/harness/output.h"
#include "tests/harness/session.h"

static const char usage[] =
    "usage: plens self-bleu F.tsv [--by COLUMN] [--sample N]\n"
    "\n"
    "Self-BLEU as Texygen computes it: each question against all the others, n-grams of 1 to 4\n"
    "words with equal weights, the closest length, the mean over the questions. 1: all alike.\n"
    "Words are runs of letters and digits, and single other characters; case counts.\n"
    "\n"
    "  F.tsv        data with a column 'prompt' and maybe 'persona'\n"
    "  --by COLUMN  one result for each value of the column, such as task (one for all)\n"
    "  --sample N   the first N questions of each (all; Texygen: 500)\n"
    "\n"
    "Prints group, text, n, self_bleu (no smoothing: NLTK's method0) and self_bleu_method1\n"
    "(Texygen's). text is 'question' (without persona and '-, answer:'), 'prompt' (without\n"
    "persona), or 'full' (with it, in parentheses, where the data has personas).\n";

typedef enum text_kind { TEXT_QUESTION, TEXT_PROMPT, TEXT_FULL, N_TEXTS } text_kind;

static const char *const text_names[N_TEXTS] = {"question", "prompt", "full"};

typedef struct data {
    plens_table *table;
    size_t n_rows, prompt, persona, group; /* columns */
    int has_personas, has_groups;
} data;

static const char *cell(const data *d, size_t row, size_t column) {
    return plens_table_cell(d->table, row, column, NULL);
}

static const char *group_name(const data *d, size_t row) {
    return d->has_groups ? cell(d, row, d->group) : "all";
}

/* The text of a row; *owned is what must be freed with it, NULL if nothing. */
static span make_text(const data *d, size_t row, text_kind kind, char **owned) {
    const char *prompt = cell(d, row, d->prompt);
    *owned = NULL;
    if (kind == TEXT_QUESTION)
        return form_question(prompt, NULL);
    if (kind == TEXT_FULL && cell(d, row, d->persona)[0] != '\0')
        prompt = *owned = join("(", cell(d, row, d->persona), ") ", prompt, NULL);
    return (span){prompt, strlen(prompt)};
}

static bleu measure(const data *d, const size_t *rows, size_t n, text_kind kind) {
    span *texts = allocate(n, sizeof *texts);
    char **owned = allocate(n, sizeof *owned);
    word_texts words;
    for (size_t i = 0; i < n; i++)
        texts[i] = make_text(d, rows[i], kind, &owned[i]);
    words_make(&words, texts, n);
    bleu result = self_bleu(&words);
    words_free(&words);
    for (size_t i = 0; i < n; i++)
        free(owned[i]);
    free(owned);
    free(texts);
    return result;
}

static void print_group(output *out, const data *d, const size_t *rows, size_t n) {
    const char *name = group_name(d, rows[0]);
    for (int kind = 0; kind < (d->has_personas ? N_TEXTS : TEXT_FULL); kind++) {
        output_cell(out, name, strlen(name));
        output_format(out, "\t%s\t%zu\t", text_names[kind], n);
        if (n < 2) { /* nothing to compare with */
            output_format(out, "NA\tNA\n");
            continue;
        }
        bleu b = measure(d, rows, n, (text_kind)kind);
        output_format(out, "%.17g\t%.17g\n", b.plain, b.method1);
    }
}

/* Prints the groups by their first appearance. */
static void print_groups(output *out, const data *d, size_t sample) {
    char *done = allocate(d->n_rows, 1);
    size_t *rows = allocate(d->n_rows, sizeof *rows);
    output_format(out, "group\ttext\tn\tself_bleu\tself_bleu_method1\n");
    for (size_t first = 0; first < d->n_rows; first++) {
        size_t n = 0;
        if (done[first])
            continue;
        for (size_t row = first; row < d->n_rows; row++) {
            if (done[row] || strcmp(group_name(d, row), group_name(d, first)) != 0)
                continue;
            done[row] = 1;
            if (sample == 0 || n < sample)
                rows[n++] = row;
        }
        print_group(out, d, rows, n);
    }
    free(rows);
    free(done);
}

static int open_data(data *d, const session *s, const char *path, const char *by) {
    plens_error error;
    memset(d, 0, sizeof *d);
    if (plens_table_open(s->context, path, &d->table, &error) != PLENS_OK ||
        plens_table_column(d->table, "prompt", &d->prompt, &error) != PLENS_OK ||
        (by != NULL && plens_table_column(d->table, by, &d->group, &error) != PLENS_OK))
        return fail_error(&error);
    d->has_groups = by != NULL;
    d->has_personas = plens_table_column(d->table, "persona", &d->persona, NULL) == PLENS_OK;
    d->n_rows = plens_table_rows(d->table);
    if (d->n_rows == 0)
        return fail_input("%s: no questions: expected at least one row after the header", path);
    return EXIT_DONE;
}

int command_self_bleu(int argc, char **argv) {
    const char *path = NULL, *by = NULL;
    size_t sample = 0;
    const option options[] = {
        {"", OPTION_TEXT, &path, NULL},
        {"--by", OPTION_TEXT, &by, NULL},
        {"--sample", OPTION_COUNT, &sample, NULL},
    };
    int code =
        options_read("self-bleu", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    if (path == NULL)
        return fail_usage("self-bleu", "no data: F.tsv is missing");
    session s;
    data d = {0};
    code = session_open_texts(&s, "self-bleu");
    if (code == EXIT_DONE)
        code = open_data(&d, &s, path, by);
    if (code == EXIT_DONE) {
        output out;
        output_standard(&out);
        print_groups(&out, &d, sample);
        code = output_finish(&out);
        output_discard(&out);
    }
    plens_table_close(d.table);
    session_close(&s);
    return code;
}
