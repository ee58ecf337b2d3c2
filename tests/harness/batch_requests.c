/* plens questions: requests that ask a language model for questions and then for their personas, as
 * the OpenAI Batch API takes them: a JSON object a line. The two stages, the settings and the
 * drawing of categories are the paper's. */
#include "tests/harness/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/candidate.h"
#include "tests/harness/categories.h"
#include "tests/harness/fill.h"
#include "tests/harness/output.h"
#include "tests/harness/random.h"

static const char usage[] =
    "usage: plens questions --categories F.tsv --task T --n N [--seed S] [--out F.jsonl]\n"
    "       plens questions --categories F.tsv --answers F.jsonl [--seed S] [--out F.jsonl]\n"
    "\n"
    "Writes requests for the OpenAI Batch API. First stage: N requests to write a question each,\n"
    "about a parent and child category drawn at random. Second stage, from the answers to the\n"
    "first: for each question a request to invent a persona and to give the answer. Then see\n"
    "plens import.\n"
    "\n"
    "  --categories F  TSV with the columns parent and child\n"
    "  --task T        a task that the prompts have: cloze, comparison, commonsense\n"
    "  --n N           number of requests\n"
    "  --answers F     output or error file of the first stage; may be given several times\n"
    "  --seed S        of the drawing, and of the model (0); the same for both stages\n"
    "  --prompts F     TSV with the columns stage, task and text; {parent}, {child} and, in\n"
    "                  stage 2, {question} are filled in (prompts.tsv beside the categories)\n"
    "  --model NAME    the language model (gpt-4-0613)\n"
    "  --out F         the file to write (standard output)\n";

typedef struct settings {
    const char *categories, *task, *seed_text, *prompts, *model, *out;
    option_texts answers;
    size_t n;
    uint64_t seed;
} settings;

typedef struct requests {
    const settings *settings;
    session session;
    categories categories;
    char *prompts_path;
    plens_table *prompts;
    size_t stage, task, text; /* columns of prompts */
    output out;
    size_t n_written;
} requests;

/* prompts.tsv in the folder of the file with the categories. */
static char *default_prompts(const char *beside) {
    const char *slash = strrchr(beside, '/');
    char *folder = join(beside, NULL);
    folder[slash == NULL ? 0 : slash - beside + 1] = '\0';
    char *path = join(folder, "prompts.tsv", NULL);
    free(folder);
    return path;
}

static int open_prompts(requests *r) {
    plens_error error;
    r->prompts_path = r->settings->prompts != NULL ? join(r->settings->prompts, NULL)
                                                   : default_prompts(r->settings->categories);
    if (plens_table_open(r->session.context, r->prompts_path, &r->prompts, &error) != PLENS_OK ||
        plens_table_column(r->prompts, "stage", &r->stage, &error) != PLENS_OK ||
        plens_table_column(r->prompts, "task", &r->task, &error) != PLENS_OK ||
        plens_table_column(r->prompts, "text", &r->text, &error) != PLENS_OK)
        return fail_error(&error);
    return EXIT_DONE;
}

/* Finds the prompt for a stage and a task [n_task]. */
static int find_prompt(const requests *r, int stage, const char *task, size_t n_task,
                       const char **prompt) {
    static const char *const needed[] = {"{child}", "{question}"};
    char number[2] = {(char)('0' + stage), '\0'};
    for (size_t row = 0, n; row < plens_table_rows(r->prompts); row++) {
        const char *name = plens_table_cell(r->prompts, row, r->task, &n);
        if (n != n_task || memcmp(name, task, n) != 0 ||
            strcmp(plens_table_cell(r->prompts, row, r->stage, NULL), number) != 0)
            continue;
        *prompt = plens_table_cell(r->prompts, row, r->text, NULL);
        if (strstr(*prompt, needed[stage - 1]) != NULL)
            return EXIT_DONE;
        return fail_input("%s:%zu: the prompt has no %s", r->prompts_path,
                          plens_table_line(r->prompts, row), needed[stage - 1]);
    }
    return fail_input("%s: no prompt for stage %d of the task '%.*s'", r->prompts_path, stage,
                      (int)n_task, task);
}

/* Writes the request of stage 1 or 2 whose task and number are in key ("cloze-0007"). The category
 * is the same in both stages: the draws 2i and 2i + 1 belong to number i + 1. */
static void write_request(requests *r, int stage, const char *key, uint64_t number,
                          const char *prompt, const char *question) {
    uint64_t draw = 2 * (number - 1), seed = r->settings->seed;
    const category *parent =
        &r->categories.parents[random_index(seed, draw, r->categories.n_parents)];
    const blank blanks[] = {
        {"{parent}", parent->name},
        {"{child}", parent->children[random_index(seed, draw + 1, parent->n_children)]},
        {"{question}", question},
    };
    char *text = fill_blanks(prompt, blanks, stage == 1 ? 2 : 3), name[16];
    snprintf(name, sizeof name, "stage%d-", stage);
    char *id = join(name, key, NULL);
    output_format(&r->out, "{\"custom_id\":");
    output_json(&r->out, id, strlen(id));
    output_format(&r->out, ",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":"
                           "{\"model\":");
    output_json(&r->out, r->settings->model, strlen(r->settings->model));
    output_format(&r->out, ",\"messages\":[{\"role\":\"user\",\"content\":");
    output_json(&r->out, text, strlen(text));
    output_format(&r->out,
                  "}],\"seed\":%llu,\"max_tokens\":200,\"top_p\":1.0,\"temperature\":1.0}}\n",
                  (unsigned long long)seed);
    r->n_written++;
    free(id);
    free(text);
}

static int write_stage_1(requests *r) {
    const settings *o = r->settings;
    const char *prompt;
    int code = find_prompt(r, 1, o->task, strlen(o->task), &prompt);
    if (code != EXIT_DONE)
        return code;
    for (size_t number = 1; number <= o->n; number++) {
        char digits[24];
        snprintf(digits, sizeof digits, "-%04zu", number);
        char *key = join(o->task, digits, NULL);
        write_request(r, 1, key, number, prompt, "");
        free(key);
    }
    return EXIT_DONE;
}

/* Writes the request that follows an answer, or says why there is none. */
static int write_follow_up(requests *r, const batch_answer *answer) {
    char reason[REASON_BYTES];
    if (answer->content == NULL) {
        batch_say_dropped(answer, answer->reason);
        return EXIT_DONE;
    }
    const char *prompt;
    int code = find_prompt(r, 2, answer->key, answer->n_task, &prompt);
    if (code != EXIT_DONE)
        return code;
    char *question = candidate_question(answer, reason);
    if (question == NULL)
        batch_say_dropped(answer, reason);
    else
        write_request(r, 2, answer->key, answer->number, prompt, question);
    free(question);
    return EXIT_DONE;
}

static int write_stage_2(requests *r) {
    batch_answers answers;
    int code = batch_answers_read(&answers, &r->session, &r->settings->answers);
    for (size_t i = 0; i < answers.count && code == EXIT_DONE; i++) {
        if (answers.items[i].stage == 1)
            code = write_follow_up(r, &answers.items[i]);
        else
            batch_say_dropped(&answers.items[i], "an answer of the second stage");
    }
    if (code == EXIT_DONE && r->n_written == 0)
        code = fail_input("no question of the first stage can be used");
    batch_answers_free(&answers);
    return code;
}

static int write_requests(requests *r) {
    const char *path = r->settings->out;
    int code = EXIT_DONE;
    if (path == NULL)
        output_standard(&r->out);
    else
        code = output_open(&r->out, path);
    if (code != EXIT_DONE)
        return code;
    code = r->settings->answers.count > 0 ? write_stage_2(r) : write_stage_1(r);
    if (code == EXIT_DONE)
        code = output_finish(&r->out);
    if (code == EXIT_DONE)
        return output_publish(&r->out);
    output_discard(&r->out);
    return code;
}

static int check_settings(settings *o) {
    if (o->categories == NULL)
        return fail_usage("questions", "--categories FILE is missing");
    if (o->answers.count > 0 && (o->task != NULL || o->n > 0))
        return fail_usage("questions", "--answers goes without --task and --n: both are known");
    if (o->answers.count == 0 && o->task == NULL)
        return fail_usage("questions", "--task is missing");
    if (o->answers.count == 0 && o->n == 0)
        return fail_usage("questions", "--n is missing");
    if (!parse_number(o->seed_text, INT64_MAX, &o->seed))
        return fail_usage("questions", "--seed takes a number from 0 on, found '%s'", o->seed_text);
    return EXIT_DONE;
}

static int run(const settings *o) {
    requests r;
    memset(&r, 0, sizeof r);
    r.settings = o;
    int code = session_open_texts(&r.session, "questions");
    if (code == EXIT_DONE)
        code = categories_read(&r.categories, &r.session, o->categories);
    if (code == EXIT_DONE)
        code = open_prompts(&r);
    if (code == EXIT_DONE)
        code = write_requests(&r);
    plens_table_close(r.prompts);
    free(r.prompts_path);
    categories_free(&r.categories);
    session_close(&r.session);
    return code;
}

int command_questions(int argc, char **argv) {
    settings o;
    memset(&o, 0, sizeof o);
    o.seed_text = "0";
    o.model = "gpt-4-0613";
    const option options[] = {
        {"--categories", OPTION_TEXT, &o.categories, NULL},
        {"--task", OPTION_TEXT, &o.task, NULL},
        {"--n", OPTION_COUNT, &o.n, NULL},
        {"--answers", OPTION_TEXTS, &o.answers, NULL},
        {"--seed", OPTION_TEXT, &o.seed_text, NULL},
        {"--prompts", OPTION_TEXT, &o.prompts, NULL},
        {"--model", OPTION_TEXT, &o.model, NULL},
        {"--out", OPTION_TEXT, &o.out, NULL},
    };
    int code =
        options_read("questions", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code == OPTIONS_READ) {
        code = check_settings(&o);
        if (code == EXIT_DONE)
            code = run(&o);
    }
    free(o.answers.items);
    return code;
}
