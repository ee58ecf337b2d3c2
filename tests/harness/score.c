/* plens score: persona consistency over questions in TSV files. */
#include <stdlib.h>
#include <string.h>

#include "tests/harness/commands.h"
#include "tests/harness/score_files.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens score --model DIR --data Q.tsv [--data ...] [--out DIR]\n"
    "\n"
    "Scores persona consistency. Data: TSV with the columns id, task, persona, prompt, gold; an\n"
    "empty persona means that the question is only asked without one; gold may hold\n"
    "alternatives, joined by |.\n"
    "\n"
    "  --data FILE      questions; may be given several times\n"
    "  --out DIR        where prompts.tsv, layers.tsv, summary.tsv and run.json go; without it\n"
    "                   the summary is printed\n"
    "  --force          replace results that DIR holds\n"
    "  --condition C    with, without or both (the default) the persona\n"
    "  --ratios R,...   shares of the layers, counted from the last (0.2,0.4,0.6,0.8,1)\n"
    "  --template FILE  TSV with the columns condition and template and the rows with and\n"
    "                   without; {persona} and {prompt} stand for the question's cells\n"
    "                   (with: ({persona}) {prompt}, without: {prompt})\n"
    "  --gold-form F    how gold follows the prompt: after a space, none, or either of them;\n"
    "                   auto (the default): none after white space and before Han, kana and\n"
    "                   Thai, else a space\n"
    "  --shard I/N      of N shards of the prompts, only the I-th; also slurm and mpi, which take\n"
    "                   I and N from the launcher's variables. {shard} in --out stands for I.\n"
    "                   plens merge joins the folders\n"
    "  --plan           say what the run would take (memory, reading, time) and do not run\n"
    "  --view           a table for people instead of TSV, as on a terminal\n"
    "\n" COMMON_USAGE;

typedef struct score_options {
    common_options common;
    job_options jobs;
    option_texts data;
    const char *out, *ratios, *shard_text;
    shard shard;
    int condition, force, for_people, plan;
} score_options;

enum { RUN_WITH = 1, RUN_WITHOUT = 2 };

static const option_choice condition_choices[] = {
    {"with", RUN_WITH}, {"without", RUN_WITHOUT}, {"both", RUN_WITH | RUN_WITHOUT}, {NULL, 0}};

static const option_choice gold_form_choices[] = {{"auto", PLENS_GOLD_AUTO},
                                                  {"none", PLENS_GOLD_NONE},
                                                  {"space", PLENS_GOLD_SPACE},
                                                  {"either", PLENS_GOLD_EITHER},
                                                  {NULL, 0}};

static int read_options(score_options *o, int argc, char **argv) {
    const option options[] = {
        {"--data", OPTION_TEXTS, &o->data, NULL},
        {"--out", OPTION_TEXT, &o->out, NULL},
        {"--force", OPTION_FLAG, &o->force, NULL},
        {"--condition", OPTION_CHOICE, &o->condition, condition_choices},
        {"--ratios", OPTION_TEXT, &o->ratios, NULL},
        {"--template", OPTION_TEXT, &o->jobs.template_path, NULL},
        {"--gold-form", OPTION_CHOICE, &o->jobs.gold_form, gold_form_choices},
        {"--view", OPTION_FLAG, &o->for_people, NULL},
        {"--shard", OPTION_TEXT, &o->shard_text, NULL},
        {"--resume", OPTION_LATER, NULL, NULL},
        {"--plan", OPTION_FLAG, &o->plan, NULL},
        COMMON_OPTIONS(o->common),
    };
    o->condition = RUN_WITH | RUN_WITHOUT;
    o->ratios = "0.2,0.4,0.6,0.8,1";
    int code =
        options_read("score", usage, options, sizeof options / sizeof options[0], argc, argv);
    o->jobs.conditions[CONDITION_WITH] = (o->condition & RUN_WITH) != 0;
    o->jobs.conditions[CONDITION_WITHOUT] = (o->condition & RUN_WITHOUT) != 0;
    if (code == OPTIONS_READ && o->data.count == 0)
        return fail_usage("score", "--data FILE is missing");
    if (code == OPTIONS_READ && o->out != NULL && o->out[0] == '\0')
        return fail_usage("score", "--out takes a folder");
    if (code == OPTIONS_READ && o->shard_text != NULL && o->out == NULL)
        return fail_usage("score", "--shard needs --out DIR, a folder for each shard");
    if (code == OPTIONS_READ && o->shard_text != NULL) {
        int found = shard_parse(&o->shard, o->shard_text);
        return found == EXIT_DONE ? code : found;
    }
    return code;
}

static int print_result(const score_report *r, int for_people) {
    output out;
    output_standard(&out);
    if (for_people || system_is_terminal(stdout))
        print_summary(&out, r);
    else
        write_summary(&out, r);
    int code = output_finish(&out);
    output_discard(&out);
    return code;
}

static int print_plan(session *s, const jobs *j) {
    output out;
    output_standard(&out);
    int code = j->count == 0 ? EXIT_DONE : scores_plan(&out, s, j);
    int written = output_finish(&out);
    output_discard(&out);
    return code != EXIT_DONE ? code : written;
}

/* Runs prepared jobs and writes what comes of them. */
static int run_and_write(session *s, const score_options *o, score_report *r) {
    scores results;
    results_folder folder = {NULL, 0};
    char *path = o->out != NULL ? shard_path(&o->shard, o->out) : NULL;
    int code = path != NULL ? folder_prepare(&folder, path, o->force) : EXIT_DONE;
    if (code != EXIT_DONE) {
        free(path);
        return code;
    }
    r->scores = &results;
    code = scores_run(&results, s, r->jobs, r->ratios);
    if (code == EXIT_DONE && o->out != NULL)
        code = folder_write_score(&folder, r);
    if (code == EXIT_DONE && (o->out == NULL || o->for_people))
        code = print_result(r, o->for_people);
    if (code != EXIT_DONE && o->out != NULL)
        folder_undo(&folder);
    scores_free(&results);
    free(path);
    return code;
}

static int score(const score_options *o, const ratio_list *ratios) {
    double started = system_seconds();
    session s;
    questions q;
    jobs j;
    memset(&q, 0, sizeof q);
    memset(&j, 0, sizeof j);
    int code = session_open(&s, "score", &o->common, SESSION_MODEL | SESSION_TOKENIZER);
    if (code == EXIT_DONE)
        code = questions_read(&q, &s, &o->data);
    if (code == EXIT_DONE)
        code = jobs_make(&j, &s, &q, &o->jobs);
    if (code == EXIT_DONE) {
        score_report r = {&s, &q, &o->jobs, &j, ratios, &o->shard, NULL, 0};
        shard_cut(&o->shard, &j);
        r.prepare_seconds = system_seconds() - started;
        code = o->plan ? print_plan(&s, &j) : run_and_write(&s, o, &r);
    }
    jobs_free(&j, &s);
    questions_free(&q);
    session_close(&s);
    return code;
}

int command_score(int argc, char **argv) {
    score_options o;
    ratio_list ratios = {NULL, 0};
    memset(&o, 0, sizeof o);
    int code = read_options(&o, argc, argv);
    if (code == OPTIONS_READ) {
        code = ratios_parse(&ratios, o.ratios);
        system_catch_signals();
        if (code == EXIT_DONE)
            code = score(&o, &ratios);
    }
    ratios_free(&ratios);
    free(o.data.items);
    return code;
}
