#include "tests/harness/form.h"

#include <string.h>

span form_question(const char *prompt, int *has_tail) {
    const size_t n_tail = strlen(FORM_TAIL);
    size_t n = strlen(prompt);
    int found = n >= n_tail && strcmp(prompt + n - n_tail, FORM_TAIL) == 0;
    if (found) {
        n -= n_tail;
        while (n > 0 && prompt[n - 1] == ' ')
            n--;
    }
    if (has_tail != NULL)
        *has_tail = found;
    return (span){prompt, n};
}
