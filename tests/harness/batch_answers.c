#include "tests/harness/batch_answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/lines.h"
#include "tests/harness/message.h"

/* One line of a file while it is taken apart. */
typedef struct batch_line {
    const session *session;
    const line_reader *text;
} batch_line;

/* The value at a path; text may be NULL where only the kind counts. FORMAT errors come from the
 * first look at a line (read_line). */
static plens_json_kind find(const batch_line *line, const char *path, char **text) {
    plens_json_kind kind = PLENS_JSON_MISSING;
    plens_text found = {NULL, 0};
    if (text != NULL)
        *text = NULL;
    if (plens_json_find(line->session->context, line->text->bytes, line->text->count, path, &kind,
                        &found, NULL) == PLENS_OK &&
        text != NULL)
        *text = join(found.data, NULL);
    plens_text_free(line->session->context, &found);
    return kind;
}

/* Splits "stage1-cloze-0007". */
static int parse_id(const char *id, batch_answer *answer) {
    if (strncmp(id, "stage", 5) != 0 || (id[5] != '1' && id[5] != '2') || id[6] != '-')
        return 0;
    const char *key = id + 7, *dash = strrchr(key, '-');
    if (dash == NULL || dash == key || !parse_number(dash + 1, UINT32_MAX, &answer->number))
        return 0;
    answer->stage = id[5] - '0';
    answer->key = join(key, NULL);
    answer->n_task = (size_t)(dash - key);
    return 1;
}

/* The beginnings by which a model declines in words. */
static int is_refusal(const char *content) {
    static const char *const beginnings[] = {"i'm sorry", "i’m sorry",  "i am sorry",
                                             "sorry,",    "i cannot",   "i can't",
                                             "i can’t",   "i'm unable", "as an ai"};
    content += strspn(content, " \t\r\n");
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        const char *wanted = beginnings[i], *at = content;
        for (; *wanted != '\0'; wanted++, at++) {
            char c = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
            if (c != *wanted)
                break;
        }
        if (*wanted == '\0')
            return 1;
    }
    return 0;
}

/* Notes why a request failed: "WHAT: DETAIL". Frees detail. Returns 0. */
static int failed(batch_answer *answer, const char *what, char *detail) {
    int has_detail = detail != NULL && detail[0] != '\0';
    snprintf(answer->reason, sizeof answer->reason, "%s%s%.160s", what, has_detail ? ": " : "",
             has_detail ? detail : "");
    free(detail);
    return 0;
}

/* Whether the service did its part: no error, status 200. */
static int was_served(const batch_line *line, batch_answer *answer) {
    char *text;
    plens_json_kind kind = find(line, "error", NULL);
    if (kind != PLENS_JSON_NULL && kind != PLENS_JSON_MISSING) {
        if (find(line, "error/message", &text) != PLENS_JSON_STRING) {
            free(text);
            find(line, "error/code", &text);
        }
        return failed(answer, "the request failed", text);
    }
    kind = find(line, "response/status_code", &text);
    if (kind == PLENS_JSON_NUMBER && strcmp(text, "200") == 0) {
        free(text);
        return 1;
    }
    if (kind != PLENS_JSON_NUMBER)
        return failed(answer, "no response", text);
    char what[64], *message;
    snprintf(what, sizeof what, "status %.20s", text);
    free(text);
    find(line, "response/body/error/message", &message);
    return failed(answer, what, message);
}

/* Takes the model's text, or notes why there is none. */
static int take_content(const batch_line *line, batch_answer *answer) {
    char *text;
    if (find(line, "response/body/choices/0/message/refusal", &text) == PLENS_JSON_STRING)
        return failed(answer, "refused", text);
    free(text);
    if (find(line, "response/body/choices/0/finish_reason", &text) != PLENS_JSON_STRING)
        return failed(answer, "no finish_reason", text);
    if (strcmp(text, "stop") != 0)
        return failed(answer, "finish_reason is not stop", text);
    free(text);
    plens_json_kind kind = find(line, "response/body/choices/0/message/content", &text);
    if (kind != PLENS_JSON_STRING) {
        free(text);
        return failed(answer, kind == PLENS_JSON_NULL ? "content is null" : "no content", NULL);
    }
    if (is_refusal(text))
        return failed(answer, "refused", text);
    answer->content = text;
    return 1;
}

/* Takes a line apart. Returns 0 with the reason if it is no answer to a request of ours. */
static int read_answer(const batch_line *line, batch_answer *answer) {
    plens_json_kind kind;
    plens_text id = {NULL, 0};
    plens_error error;
    plens_context *context = line->session->context;
    if (plens_json_find(context, line->text->bytes, line->text->count, "custom_id", &kind, &id,
                        &error) != PLENS_OK)
        return failed(answer, "malformed", join(error.message, NULL));
    int known = kind == PLENS_JSON_STRING && parse_id(id.data, answer);
    char *shown = join(kind == PLENS_JSON_STRING ? id.data : "", NULL);
    plens_text_free(context, &id);
    if (!known)
        return failed(answer, kind == PLENS_JSON_STRING ? "unknown custom_id" : "no custom_id",
                      shown);
    free(shown);
    if (was_served(line, answer))
        take_content(line, answer);
    return 1;
}

static int read_file(batch_answers *a, const session *s, const char *path) {
    line_reader text = {NULL, 0, 0};
    const batch_line line = {s, &text};
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return fail_input("%s: cannot be opened: %s", path, strerror(errno));
    errno = 0;
    for (size_t number = 1; line_next(&text, file); number++) {
        batch_answer answer = {path, number, 0, NULL, 0, 0, NULL, ""};
        if (text.count == 0)
            continue;
        if (read_answer(&line, &answer)) {
            a->items = reallocate(a->items, a->count + 1, sizeof *a->items);
            a->items[a->count++] = answer;
        } else {
            say("%s:%zu: dropped: %s", path, number, answer.reason);
            a->n_unreadable++;
        }
    }
    int code = EXIT_DONE;
    if (ferror(file))
        code = fail_input("%s: cannot be read: %s", path, strerror(errno));
    fclose(file);
    line_free(&text);
    return code;
}

static int compare_requests(const batch_answer *one, const batch_answer *other) {
    size_t shorter = one->n_task < other->n_task ? one->n_task : other->n_task;
    int order = memcmp(one->key, other->key, shorter);
    if (order == 0)
        order = (one->n_task > other->n_task) - (one->n_task < other->n_task);
    if (order == 0)
        order = (one->number > other->number) - (one->number < other->number);
    return order != 0 ? order : one->stage - other->stage;
}

/* Orders answers by request, those to the same one: what was answered first, then as they stand. */
static int compare_answers(const void *a, const void *b) {
    const batch_answer *one = a, *other = b;
    int order = compare_requests(one, other);
    if (order == 0)
        order = (one->content == NULL) - (other->content == NULL);
    if (order == 0)
        order = strcmp(one->path, other->path);
    return order != 0 ? order : (one->line > other->line) - (one->line < other->line);
}

static void free_answer(batch_answer *answer) {
    free(answer->key);
    free(answer->content);
}

/* Leaves the first answer to each request. */
static void drop_doubles(batch_answers *a) {
    size_t kept = 0;
    char reason[REASON_BYTES];
    for (size_t i = 0; i < a->count; i++) {
        batch_answer *last = kept > 0 ? &a->items[kept - 1] : NULL, *answer = &a->items[i];
        if (last == NULL || compare_requests(last, answer) != 0) {
            a->items[kept++] = *answer;
            continue;
        }
        if (answer->content != NULL || last->content == NULL) {
            snprintf(reason, sizeof reason, "the same custom_id stands at %.160s:%zu too",
                     last->path, last->line);
            batch_say_dropped(answer, reason);
        }
        free_answer(answer);
    }
    a->count = kept;
}

int batch_answers_read(batch_answers *a, const session *s, const option_texts *paths) {
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < paths->count; i++) {
        int code = read_file(a, s, paths->items[i]);
        if (code != EXIT_DONE)
            return code;
    }
    if (a->count > 0)
        qsort(a->items, a->count, sizeof *a->items, compare_answers);
    drop_doubles(a);
    return EXIT_DONE;
}

void batch_answers_free(batch_answers *a) {
    for (size_t i = 0; i < a->count; i++)
        free_answer(&a->items[i]);
    free(a->items);
}

void batch_say_dropped(const batch_answer *answer, const char *reason) {
    say("%s:%zu: stage%d-%s: dropped: %s", answer->path, answer->line, answer->stage, answer->key,
        reason);
}
