/* plens import: the answers to the requests of `plens questions` as a data set. */
#include "tests/harness/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/candidate.h"
#include "tests/harness/form.h"
#include "tests/harness/output.h"
#include "tests/harness/overlap.h"

static const char usage[] =
    "usage: plens import F.jsonl... [--overlap R] [--out F.tsv]\n"
    "\n"
    "Reads what the OpenAI Batch API answered to both stages of plens questions, output and error\n"
    "files in any order, and writes the questions with personas and gold as a TSV, by task and\n"
    "number. What cannot be used is dropped and said, a line each: failed and refused requests,\n"
    "texts that were cut off, questions without a blank, answers that the question or persona\n"
    "gives away, questions that are too much like one before them.\n"
    "\n"
    "  --overlap R  drop a question that shares the part R of its runs of three words with\n"
    "               another (0.7)\n"
    "  --out F      the file to write (standard output)\n";

typedef struct imported {
    const batch_answer *answer; /* of the first stage: its key is the id */
    char *prompt;
    candidate candidate;
} imported;

typedef struct import {
    batch_answers answers;
    imported *items; /* by task and number */
    size_t count;
    size_t n_questions; /* numbers that there is any answer to */
} import;

static int same_request(const batch_answer *one, const batch_answer *other) {
    return one->number == other->number && one->n_task == other->n_task &&
           memcmp(one->key, other->key, one->n_task) == 0;
}

/* Takes one question from its answers; either may be NULL. */
static void take(import *im, const batch_answer *first, const batch_answer *second) {
    char reason[REASON_BYTES] = "the first stage has no answer that it belongs to";
    imported item = {first, NULL, {NULL, NULL}};
    const batch_answer *guilty = first == NULL ? second : first;
    im->n_questions++;
    if (first != NULL && first->content == NULL) {
        snprintf(reason, sizeof reason, "%s", first->reason);
    } else if (first != NULL && (item.prompt = candidate_question(first, reason)) != NULL) {
        guilty = second == NULL ? first : second;
        if (second == NULL)
            snprintf(reason, sizeof reason, "the second stage has no answer to it");
        else if (second->content == NULL)
            snprintf(reason, sizeof reason, "%s", second->reason);
        else if (candidate_read(&item.candidate, second, item.prompt, reason))
            guilty = NULL;
    }
    if (guilty == NULL) {
        im->items[im->count++] = item;
        return;
    }
    batch_say_dropped(guilty, reason);
    free(item.prompt);
    candidate_free(&item.candidate);
}

/* Pairs the answers of both stages, which stand side by side. */
static void take_all(import *im) {
    const batch_answer *items = im->answers.items;
    im->items = allocate(im->answers.count, sizeof *im->items);
    for (size_t i = 0; i < im->answers.count; i++) {
        int pair = i + 1 < im->answers.count && same_request(&items[i], &items[i + 1]);
        if (pair)
            take(im, &items[i], &items[i + 1]);
        else
            take(im, items[i].stage == 1 ? &items[i] : NULL,
                 items[i].stage == 2 ? &items[i] : NULL);
        i += (size_t)pair;
    }
}

static void free_item(imported *item) {
    free(item->prompt);
    candidate_free(&item->candidate);
}

/* Drops each question that is too much like one before it that was kept. */
static void drop_duplicates(import *im, plens_ratio most) {
    overlap o;
    char **questions = allocate(im->count, sizeof *questions), reason[REASON_BYTES];
    size_t *kept = allocate(im->count, sizeof *kept), n_kept = 0;
    for (size_t i = 0; i < im->count; i++) {
        questions[i] = join(im->items[i].prompt, NULL);
        questions[i][form_question(questions[i], NULL).n_bytes] = '\0';
    }
    overlap_make(&o, (const char *const *)questions, im->count);
    for (size_t i = 0; i < im->count; i++) {
        size_t k = 0;
        while (k < n_kept && !overlap_reaches(&o, i, kept[k], most))
            k++;
        if (k == n_kept) {
            im->items[n_kept] = im->items[i];
            kept[n_kept++] = i;
            continue;
        }
        snprintf(reason, sizeof reason, "a duplicate of %.40s: '%.160s'", im->items[k].answer->key,
                 questions[i]);
        batch_say_dropped(im->items[i].answer, reason);
        free_item(&im->items[i]);
    }
    for (size_t i = 0; i < im->count; i++)
        free(questions[i]);
    im->count = n_kept;
    overlap_free(&o);
    free(questions);
    free(kept);
}

static int write_items(const import *im, const char *path) {
    output out;
    int code = EXIT_DONE;
    if (path == NULL)
        output_standard(&out);
    else
        code = output_open(&out, path);
    if (code != EXIT_DONE)
        return code;
    output_format(&out, "id\ttask\tpersona\tprompt\tgold\n");
    for (size_t i = 0; i < im->count; i++) {
        const imported *item = &im->items[i];
        const char *key = item->answer->key;
        const struct {
            const char *bytes;
            size_t n_bytes;
            char end;
        } cells[] = {{key, strlen(key), '\t'},
                     {key, item->answer->n_task, '\t'},
                     {item->candidate.persona, strlen(item->candidate.persona), '\t'},
                     {item->prompt, strlen(item->prompt), '\t'},
                     {item->candidate.gold, strlen(item->candidate.gold), '\n'}};
        for (size_t c = 0; c < sizeof cells / sizeof cells[0]; c++) {
            output_cell(&out, cells[c].bytes, cells[c].n_bytes);
            output_bytes(&out, &cells[c].end, 1);
        }
    }
    code = output_finish(&out);
    return code == EXIT_DONE ? output_publish(&out) : code;
}

static int run(const option_texts *paths, plens_ratio most, const char *path) {
    session s;
import im;
    memset(&im, 0, sizeof im);
    int code = session_open_texts(&s, "import");
    if (code == EXIT_DONE)
        code = batch_answers_read(&im.answers, &s, paths);
    if (code == EXIT_DONE) {
        take_all(&im);
        drop_duplicates(&im, most);
        say("kept %zu of %zu questions%s", im.count, im.n_questions,
            im.answers.n_unreadable > 0 ? "; some lines are no answers" : "");
        code = im.count > 0 ? write_items(&im, path)
                            : fail_input("no question can be used: nothing is written");
    }
    for (size_t i = 0; i < im.count; i++)
        free_item(&im.items[i]);
    free(im.items);
    batch_answers_free(&im.answers);
    session_close(&s);
    return code;
}

int command_import(int argc, char **argv) {
    option_texts paths = {NULL, 0};
    const char *overlap_text = "0.7", *path = NULL;
    plens_ratio most;
    plens_error error;
    const option options[] = {
        {"", OPTION_TEXTS, &paths, NULL},
        {"--overlap", OPTION_TEXT, &overlap_text, NULL},
        {"--out", OPTION_TEXT, &path, NULL},
    };
    int code =
        options_read("import", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code == OPTIONS_READ) {
        if (paths.count == 0)
            code = fail_usage("import", "no answers: F.jsonl is missing");
        else if (plens_ratio_parse(overlap_text, &most, &error) != PLENS_OK)
            code = fail_usage("import", "--overlap: %s", error.message);
        else
            code = run(&paths, most, path);
    }
    free(paths.items);
    return code;
}
