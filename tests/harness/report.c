/* plens report: the paper's tables and figures from the folders of several scores. */
#include <stdlib.h>
#include <string.h>

#include "tests/harness/commands.h"
#include "tests/harness/folder.h"
#include "tests/harness/message.h"
#include "tests/harness/report_files.h"
#include "tests/harness/session.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens report RUN... --out DIR [--runs F.tsv]\n"
    "       plens report --runs F.tsv --out DIR\n"
    "\n"
    "Reads folders that plens score --out (or merge) wrote and writes the paper's Table 1 and\n"
    "Figure 2 for them, paired tests of what the persona does, where in the layers the answer is\n"
    "formed, and whether the paper's claims hold. One run is enough; several must have answered\n"
    "the same data in the same precision, with the same ratios, conditions, template and gold "
    "form.\n"
    "\n"
    "  --out DIR      where report.html goes, the same as LaTeX (table1.tex, tests.tex, "
    "claims.tex)\n"
    "                 and as TSV (models, statistics, tests, depth, formation, claims)\n"
    "  --runs F.tsv   which run is which, with the columns\n"
    "                   run          a folder, beside F.tsv unless its path is absolute; or one "
    "of\n"
    "                                the RUNs, by its path or its last name\n"
    "                   label        its name in the report (the folder's); each once\n"
    "                   series       a name that checkpoints of one model share (none)\n"
    "                   tokens       what the checkpoint was trained on: 4e11, 0.4T (not known)\n"
    "                   paper_model  whose values in the paper stand beside it, such as\n"
    "                                'llm-jp-3-7.2b (0.4T)' (whose name the model's folder has)\n"
    "                 empty cells and NA mean what stands in parentheses\n"
    "  --force        replace a report that DIR holds\n"
    "  --resamples N  of the bootstrap (10000)\n"
    "  --flips N      of the sign-flip test (99999)\n"
    "  --seed N       of both (0)\n"
    "  --indices      write resamples.tsv too, which questions each resample takes, and\n"
    "                 questions.tsv, what their numbers mean\n"
    "  --quiet        no notes on standard error\n";

static const char *const report_names[] = {
    "report.html", "models.tsv", "statistics.tsv", "tests.tsv",  "depth.tsv",     "formation.tsv",
    "claims.tsv",  "table1.tex", "tests.tex",      "claims.tex", "questions.tsv", "resamples.tsv",
    NULL};

typedef struct report_options {
    option_texts folders;
    const char *out, *runs, *seed;
    int force, indices, quiet;
    report_settings settings;
} report_options;

static int write_all(const results *found, const results_folder *folder, int indices) {
    static const result_file files[] = {
        {"models.tsv", report_models_tsv},       {"statistics.tsv", report_statistics_tsv},
        {"tests.tsv", report_tests_tsv},         {"depth.tsv", report_layers_tsv},
        {"formation.tsv", report_formation_tsv}, {"claims.tsv", report_claims_tsv},
        {"table1.tex", report_table1_tex},       {"tests.tex", report_tests_tex},
        {"claims.tex", report_claims_tex},       {"questions.tsv", report_questions_tsv},
        {"resamples.tsv", report_resamples_tsv}};
    enum { N_FILES = sizeof files / sizeof files[0], N_INDICES = 2 };
    result_file wanted[N_FILES + 1];
    size_t n = indices ? N_FILES : N_FILES - N_INDICES;
    memcpy(wanted, files, n * sizeof *files);
    wanted[n++] = (result_file){"report.html", report_html};
    return folder_write(folder, wanted, n, found);
}

static int make_report(const report *r, const report_options *o) {
    results found = {0};
    results_folder folder = {NULL, 0, 0, report_names};
    int code = folder_prepare(&folder, o->out, o->force);
    if (code != EXIT_DONE)
        return code;
    code = results_make(&found, r, &o->settings);
    if (code == EXIT_DONE)
        code = write_all(&found, &folder, o->indices);
    if (code != EXIT_DONE)
        folder_undo(&folder);
    else if (!o->quiet)
        say("%s/report.html: %zu run%s, %zu questions, %zu task%s", o->out, r->n_runs,
            r->n_runs == 1 ? "" : "s", r->n_questions, r->n_tasks, r->n_tasks == 1 ? "" : "s");
    results_free(&found);
    return code;
}

static int run_report(const report_options *o) {
    session s;
    report r;
    memset(&r, 0, sizeof r);
    system_catch_signals();
    int code = session_open_texts(&s, "report");
    if (code == EXIT_DONE)
        code = report_list_runs(&r, s.context, &o->folders, o->runs);
    if (code == EXIT_DONE)
        code = report_read(&r, s.context);
    if (code == EXIT_DONE)
        code = make_report(&r, o);
    report_free(&r);
    session_close(&s);
    return code;
}

int command_report(int argc, char **argv) {
    report_options o = {.settings = {0, 10000, 99999}};
    const option options[] = {
        {"", OPTION_TEXTS, &o.folders, NULL},
        {"--out", OPTION_TEXT, &o.out, NULL},
        {"--runs", OPTION_TEXT, &o.runs, NULL},
        {"--force", OPTION_FLAG, &o.force, NULL},
        {"--resamples", OPTION_COUNT, &o.settings.n_resamples, NULL},
        {"--flips", OPTION_COUNT, &o.settings.n_flips, NULL},
        {"--seed", OPTION_TEXT, &o.seed, NULL},
        {"--indices", OPTION_FLAG, &o.indices, NULL},
        {"--quiet", OPTION_FLAG, &o.quiet, NULL},
    };
    int code =
        options_read("report", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code == OPTIONS_READ && o.folders.count == 0 && o.runs == NULL)
        code = fail_usage("report", "no run is given");
    if (code == OPTIONS_READ && (o.out == NULL || o.out[0] == '\0'))
        code = fail_usage("report", "--out DIR is missing");
    if (code == OPTIONS_READ && o.seed != NULL &&
        !parse_number(o.seed, UINT64_MAX, &o.settings.seed))
        code = fail_usage("report", "--seed takes a whole number, found '%s'", o.seed);
    if (code == OPTIONS_READ)
        code = run_report(&o);
    free(o.folders.items);
    return code;
}
