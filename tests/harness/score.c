/* plens score: persona consistency over questions in TSV files. */
#include <stdlib.h>
#include <string.h>

#include "tests/harness/commands.h"
#include "tests/harness/resume.h"
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
    "  --resume         go on with a run that was ended, from the last checkpoint in DIR; begins\n"
    "                   if there is none, and leaves a finished run as it is\n"
    "  --checkpoint S   seconds between checkpoints, at least (60; 0: after every block)\n"
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
    "  --no-share       compute common beginnings for each prompt anew: slower, the same bytes\n"
    "  --view           a table for people instead of TSV, as on a terminal\n"
    "\n" COMMON_USAGE;

typedef struct score_options {
    common_options common;
    job_options jobs;
    option_texts data;
    const char *out, *ratios, *shard_text, *checkpoint;
    uint64_t interval; /* seconds between checkpoints */
    shard shard;
    int condition, force, resume, for_people, plan, no_share;
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
        {"--resume", OPTION_FLAG, &o->resume, NULL},
        {"--checkpoint", OPTION_TEXT, &o->checkpoint, NULL},
        {"--plan", OPTION_FLAG, &o->plan, NULL},
        {"--no-share", OPTION_FLAG, &o->no_share, NULL},
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
    if (code == OPTIONS_READ && o->resume && o->out == NULL)
        return fail_usage("score", "--resume needs --out DIR, the folder of the run");
    if (code == OPTIONS_READ && o->force && o->out == NULL)
        return fail_usage("score", "--force needs --out DIR, the folder of the results");
    if (code == OPTIONS_READ && o->resume && o->force)
        return fail_usage("score", "--resume goes on, --force begins anew: give one of them");
    o->interval = 60;
    if (code == OPTIONS_READ && o->checkpoint != NULL &&
        !parse_number(o->checkpoint, 1000000000, &o->interval))
        return fail_usage("score", "--checkpoint takes a number of seconds, found '%s'",
                          o->checkpoint);
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

static int print_plan(session *s, const jobs *j, int no_sharing) {
    output out;
    output_standard(&out);
    int code = j->count == 0 ? EXIT_DONE : scores_plan(&out, s, j, no_sharing);
    int written = output_finish(&out);
    output_discard(&out);
    return code != EXIT_DONE ? code : written;
}

/* Runs prepared jobs and writes what comes of them into the folder, with checkpoints. */
static int run_into_folder(session *s, const score_options *o, score_report *r, scores *results,
                           const char *path) {
    results_folder folder = {path, 0, 0, score_names};
    checkpoint c;
    plens_saver saver;
    int state;
    int code = checkpoint_open(&c, r, path, o->resume, o->force, (double)o->interval, &state);
    if (code == EXIT_DONE && state == RUN_FINISHED) {
        if (!s->options.quiet)
            say("%s: the run is finished already", path);
        checkpoint_remove(&c);
        checkpoint_close(&c);
        return code;
    }
    if (code == EXIT_DONE)
        code = folder_prepare(&folder, path, o->force || o->resume);
    folder.replaces = o->force; /* what lay there when the run was gone on with was not complete */
    if (code == EXIT_DONE)
        code = checkpoint_begin(&c, results, o->resume, &saver);
    if (code == EXIT_DONE)
        code = scores_run(results, s, &saver);
    if (code == EXIT_DONE)
        code = folder_write_score(&folder, r);
    if (code == EXIT_DONE)
        checkpoint_remove(&c);
    else
        folder_undo(&folder);
    if (code == EXIT_DONE && o->for_people)
        code = print_result(r, 1);
    if (code > 128)
        checkpoint_tell(&c);
    checkpoint_close(&c);
    return code;
}

/* What tells the model from others of its shape, such as other steps of its training. */
static int fingerprint(const session *s, score_report *r) {
    plens_error error;
    plens_status status = plens_model_fingerprint(s->model, &r->fingerprint, &error);
    return status == PLENS_OK ? EXIT_DONE : fail_error(&error);
}

static int run_and_write(session *s, const score_options *o, score_report *r) {
    scores results;
    scores_make(&results, s, r->jobs, r->ratios);
    results.no_sharing = o->no_share;
    r->scores = &results;
    int code;
    if (o->out != NULL) {
        char *path = shard_path(&o->shard, o->out);
        code = fingerprint(s, r);
        if (code == EXIT_DONE)
            code = run_into_folder(s, o, r, &results, path);
        free(path);
    } else {
        code = scores_run(&results, s, NULL);
        if (code == EXIT_DONE)
            code = print_result(r, o->for_people);
    }
    scores_free(&results);
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
        score_report r = {&s, &q, &o->jobs, &j, ratios, &o->shard, NULL, 0, 0};
        shard_cut(&o->shard, &j);
        r.prepare_seconds = system_seconds() - started;
        code = o->plan ? print_plan(&s, &j, o->no_share) : run_and_write(&s, o, &r);
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
