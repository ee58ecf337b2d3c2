/* What a language model wrote, held against the form that a question must have. */
#ifndef PLENS_HARNESS_CANDIDATE_H
#define PLENS_HARNESS_CANDIDATE_H

#include "tests/harness/batch_answers.h"

/* The question of a stage-1 answer without spaces and quotes around it, or NULL with the reason
 * (REASON_BYTES) why it is none. Free with free(). */
char *candidate_question(const batch_answer *answer, char *reason);

typedef struct candidate {
    char *persona, *gold;
} candidate;

/* Persona and gold of a stage-2 answer to this question: 1, or 0 with the reason. Free in either
 * case. */
int candidate_read(candidate *c, const batch_answer *answer, const char *question, char *reason);
void candidate_free(candidate *c);

#endif
