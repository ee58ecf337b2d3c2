/* What the OpenAI Batch API gave back: its output and error files, a JSON object a line
 * [https://platform.openai.com/docs/guides/batch]. Lines stand in any order and are told apart by
 * their custom_id alone, which `plens questions` makes: "stage1-cloze-0007". */
#ifndef PLENS_HARNESS_BATCH_ANSWERS_H
#define PLENS_HARNESS_BATCH_ANSWERS_H

#include "tests/harness/options.h"
#include "tests/harness/session.h"

enum { REASON_BYTES = 256 };

typedef struct batch_answer {
    const char *path; /* where it stands */
    size_t line;
    int stage;       /* 1: a question, 2: its persona and gold */
    char *key;       /* the custom_id after its stage: "cloze-0007" */
    size_t n_task;   /* bytes of its task: "cloze" */
    uint64_t number; /* 7 */
    char *content;   /* what the model wrote; NULL if the request failed, and then */
    char reason[REASON_BYTES];
} batch_answer;

typedef struct batch_answers {
    batch_answer *items; /* by task, number and stage; each of these once */
    size_t count;
    size_t n_unreadable; /* lines that are not answers to `plens questions` */
} batch_answers;

/* Reads the files. Lines that are no answers, and second answers to the same request, are said and
 * left out (a failure gives way to an answer in silence). EXIT_DONE, or EXIT_INPUT if a file cannot
 * be read. Free in either case. */
int batch_answers_read(batch_answers *a, const session *s, const option_texts *paths);
void batch_answers_free(batch_answers *a);

/* Says that what the answer holds is dropped, and why. */
void batch_say_dropped(const batch_answer *answer, const char *reason);

#endif
