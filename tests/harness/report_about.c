/* The run.json of a report's runs: what the runs are, and whether they belong together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/input.h"
#include "tests/harness/message.h"
#include "tests/harness/report.h"
#include "tests/harness/system.h"

/* What runs must have in common, in the words of run.json and in ours. */
static const char *const terms[N_TERMS][2] = {
    {"result/data/fingerprint", "the data"},
    {"result/precision", "the precision"},
    {"result/options/ratios", "the ratios"},
    {"result/options/gold_form", "the gold form"},
    {"result/options/template/with", "the template with a persona"},
    {"result/options/template/without", "the template without a persona"},
    {"result/options/condition", "the condition"},
};

typedef struct run_json {
    plens_context *context;
    char *path, *bytes;
    size_t count;
} run_json;

/* A string or number as text from malloc(); NULL if there is none, or if the file is no JSON, with
 * *code set and the mistake said. */
static char *json_text(const run_json *j, const char *path, int *code) {
    plens_error error;
    plens_json_kind kind;
    plens_text text = {NULL, 0};
    if (plens_json_find(j->context, j->bytes, j->count, path, &kind, &text, &error) != PLENS_OK) {
        *code = fail_input("%s: %s", j->path, error.message);
        return NULL;
    }
    char *copy = NULL;
    if (kind == PLENS_JSON_STRING || kind == PLENS_JSON_NUMBER)
        copy = join(text.data == NULL ? "" : text.data, NULL);
    plens_text_free(j->context, &text);
    return copy;
}

static char *expect_text(const run_json *j, const char *path, int *code) {
    char *text = *code == EXIT_DONE ? json_text(j, path, code) : NULL;
    if (text == NULL && *code == EXIT_DONE)
        *code =
            fail_input("%s: expected \"%s\" as plens score writes it, found none", j->path, path);
    return text;
}

/* The shares as one text, "0.2,0.4". */
static char *ratios_text(const run_json *j, int *code) {
    char *list = join("", NULL);
    for (size_t k = 0; *code == EXIT_DONE; k++) {
        char path[64];
        snprintf(path, sizeof path, "result/options/ratios/%zu", k);
        char *text = json_text(j, path, code);
        if (text == NULL)
            break;
        char *longer = join(list, k == 0 ? "" : ",", text, NULL);
        free(list);
        free(text);
        list = longer;
    }
    if (*code == EXIT_DONE && list[0] == '\0')
        *code = fail_input("%s: expected \"result/options/ratios\" as plens score writes it, "
                           "found none",
                           j->path);
    return list;
}

static int read_about(report_run *run, const run_json *j) {
    int code = EXIT_DONE;
    uint64_t n_layers = 0;
    for (size_t t = 0; t < N_TERMS && code == EXIT_DONE; t++)
        run->terms[t] = strcmp(terms[t][0], "result/options/ratios") == 0
                            ? ratios_text(j, &code)
                            : expect_text(j, terms[t][0], &code);
    run->model = expect_text(j, "result/model/folder", &code);
    run->architecture = expect_text(j, "result/model/architecture", &code);
    char *layers = expect_text(j, "result/model/n_layers", &code);
    if (code == EXIT_DONE && (!parse_number(layers, 100000, &n_layers) || n_layers == 0))
        code = fail_input("%s: expected a number of layers, found '%s'", j->path, layers);
    run->n_layers = (size_t)n_layers;
    free(layers);
    if (code == EXIT_DONE && run->paper == NULL)
        run->paper = paper_find_model(run->model);
    return code;
}

static int read_run_json(report_run *run, plens_context *context) {
    char *shard = join(run->folder, "/shard.tsv", NULL);
    int is_shard = system_exists(shard);
    free(shard);
    if (is_shard)
        return fail_input("%s: holds a shard, expected a whole run (plens merge makes one)",
                          run->folder);
    run_json j = {context, join(run->folder, "/run.json", NULL), NULL, 0};
    int code = input_read(j.path, " (expected a folder of plens score)", &j.bytes, &j.count);
    if (code == EXIT_DONE)
        code = read_about(run, &j);
    free(j.path);
    free(j.bytes);
    return code;
}

static int check_terms(const report *r, const report_run *run) {
    for (size_t t = 0; t < N_TERMS; t++) {
        const char *expected = r->runs[0].terms[t], *found = run->terms[t];
        if (strcmp(found, expected) != 0)
            return fail_input("%s: does not belong with %s: %s differs: expected \"%.60s\", found "
                              "\"%.60s\"",
                              run->folder, r->runs[0].folder, terms[t][1], expected, found);
    }
    return EXIT_DONE;
}

int report_read_about(report *r, size_t run, plens_context *context) {
    int code = read_run_json(&r->runs[run], context);
    return code == EXIT_DONE ? check_terms(r, &r->runs[run]) : code;
}

int report_read_ratios(report *r) {
    plens_error error;
    const char *list = r->runs[0].terms[2];
    for (size_t length; *list != '\0'; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        r->ratios = reallocate(r->ratios, r->n_ratios + 1, sizeof *r->ratios);
        report_ratio *next = &r->ratios[r->n_ratios];
        if (length >= sizeof next->text)
            return fail_input("%s/run.json: a ratio is too long", r->runs[0].folder);
        memcpy(next->text, list, length);
        next->text[length] = '\0';
        if (plens_ratio_parse(next->text, &next->share, &error) != PLENS_OK)
            return fail_input("%s/run.json: ratios: %s", r->runs[0].folder, error.message);
        double share = (double)next->share.numerator / (double)next->share.denominator;
        snprintf(next->percent, sizeof next->percent, "%g", 100 * share);
        const plens_ratio *most = &r->ratios[r->whole].share;
        if (share > (double)most->numerator / (double)most->denominator)
            r->whole = r->n_ratios;
        r->n_ratios++;
    }
    return EXIT_DONE;
}
