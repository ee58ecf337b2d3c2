/* The list from which `plens questions` draws: parents, each with its children. */
#ifndef PLENS_HARNESS_CATEGORIES_H
#define PLENS_HARNESS_CATEGORIES_H

#include "tests/harness/session.h"

typedef struct category {
    const char *name;      /* cells of the table */
    const char **children; /* [n_children], at least 1 */
    size_t n_children;
} category;

typedef struct categories {
    plens_table *table;
    category *parents; /* by first appearance */
    size_t n_parents;  /* at least 1 */
} categories;

/* Reads a TSV with the columns parent and child. EXIT_DONE or the exit status, the mistake said
 * with file and line: no rows, an empty name, a child that its parent has already. Free in either
 * case. */
int categories_read(categories *c, const session *s, const char *path);
void categories_free(categories *c);

#endif
