/* Templates: texts with blanks such as {prompt} to be filled. */
#ifndef PLENS_HARNESS_FILL_H
#define PLENS_HARNESS_FILL_H

#include <stddef.h>

typedef struct blank {
    const char *name, *value; /* "{prompt}" */
} blank;

/* The template with each blank's value for its name; what a value holds is not filled again. Free
 * with free(). */
char *fill_blanks(const char *template, const blank *blanks, size_t n_blanks);

#endif
