#include "tests/harness/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/fill.h"
#include "tests/harness/message.h"
#include "tests/harness/system.h"

static void add_gold_id(job *j, int32_t id) {
    for (size_t i = 0; i < j->n_gold; i++) {
        if (j->gold_ids[i] == id)
            return;
    }
    j->gold_ids = reallocate(j->gold_ids, j->n_gold + 1, sizeof *j->gold_ids);
    j->gold_ids[j->n_gold++] = id;
}

/* Adds one alternative [n_bytes] of the gold. */
static int add_alternative(job *j, session *s, const char *text, const char *gold, size_t n_bytes,
                           int form) {
    const question *q = j->question;
    plens_error error;
    plens_gold found;
    if (n_bytes == 0)
        return fail_input("%s:%zu: an alternative of the gold '%s' is empty", q->path, q->line,
                          q->gold);
    if (plens_gold_token(s->context, s->tokenizer, text, strlen(text), gold, n_bytes,
                         (plens_gold_form)form, &found, &error) != PLENS_OK)
        return fail_input("%s:%zu: gold: %s", q->path, q->line, error.message);
    for (size_t i = 0; i < found.n_ids; i++)
        add_gold_id(j, found.ids[i]);
    j->merged |= found.merged;
    j->bare_space |= found.bare_space;
    j->multi_token |= found.n_tokens > 1;
    return EXIT_DONE;
}

static int find_gold(job *j, session *s, const char *text, int form) {
    const question *q = j->question;
    if (q->gold[0] == '\0' && j->condition == CONDITION_WITH)
        return fail_input("%s:%zu: the gold is empty, but the row has a persona", q->path, q->line);
    for (const char *at = q->gold; *q->gold != '\0';) {
        size_t length = strcspn(at, "|");
        int code = add_alternative(j, s, text, at, length, form);
        if (code != EXIT_DONE)
            return code;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    return EXIT_DONE;
}

/* Fills in a job whose question and condition are set. */
static int prepare(job *j, session *s, const prompt_template *template, int form) {
    const question *q = j->question;
    plens_error error;
    char place[512];
    const blank blanks[] = {{"{persona}", q->persona}, {"{prompt}", q->prompt}};
    char *text = fill_blanks(template->texts[j->condition], blanks, 2);
    snprintf(place, sizeof place, "%s:%zu", q->path, q->line);
    int code = EXIT_DONE;
    if (plens_tokenizer_encode(s->context, s->tokenizer, text, strlen(text), 1, &j->ids, &error))
        code = fail_input("%s: %s", place, error.message);
    else if (j->ids.count == 0)
        code = fail_input("%s: the text has no tokens", place);
    if (code == EXIT_DONE)
        code = session_check_ids(s, place, j->ids.data, j->ids.count);
    if (code == EXIT_DONE)
        code = find_gold(j, s, text, form);
    if (code == EXIT_DONE)
        code = session_check_ids(s, place, j->gold_ids, j->n_gold);
    free(text);
    return code;
}

int jobs_make(jobs *j, session *s, const questions *q, const job_options *options) {
    memset(j, 0, sizeof *j);
    int code = template_read(&j->template, s, options->template_path);
    j->items = allocate(N_CONDITIONS * q->count, sizeof *j->items);
    for (size_t i = 0; i < q->count; i++) {
        for (int c = 0; c < N_CONDITIONS && code == EXIT_DONE; c++) {
            if (!options->conditions[c])
                continue;
            if (c == CONDITION_WITH && q->items[i].persona[0] == '\0')
                continue;
            job *next = &j->items[j->n_all];
            next->index = j->n_all++;
            next->question = &q->items[i];
            next->condition = (condition)c;
            code = prepare(next, s, &j->template, options->gold_form);
        }
        if (code == EXIT_DONE)
            code = fail_stopped();
    }
    j->count = j->n_all;
    if (code == EXIT_DONE && j->count == 0)
        code = fail_input("%s: no row has a persona, so there is nothing to run with one",
                          q->files[0].path);
    return code;
}

void jobs_free(jobs *j, const session *s) {
    for (size_t i = 0; i < j->n_all; i++) {
        plens_ids_free(s->context, &j->items[i].ids);
        free(j->items[i].gold_ids);
    }
    free(j->items);
    template_free(&j->template);
}
