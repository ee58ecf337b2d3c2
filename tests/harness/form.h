/* The form of the paper's questions: "… -, answer:". */
#ifndef PLENS_HARNESS_FORM_H
#define PLENS_HARNESS_FORM_H

#include "tests/harness/words.h"

#define FORM_TAIL "-, answer:"

/* The prompt without the tail and the white space before it; all of it if it has no tail, and
 * *has_tail is then 0. has_tail may be NULL. */
span form_question(const char *prompt, int *has_tail);

#endif
