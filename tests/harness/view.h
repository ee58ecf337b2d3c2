/* A table for people: cells of UTF-8 in aligned columns, cut to the width of the terminal. */
#ifndef PLENS_HARNESS_VIEW_H
#define PLENS_HARNESS_VIEW_H

#include "tests/harness/output.h"

typedef struct view_column {
    int right;  /* aligned to the right */
    size_t gap; /* spaces before it */
} view_column;

typedef struct view {
    const view_column *columns; /* [n_columns] */
    size_t n_columns;
    char **cells; /* [n_cells], row after row */
    size_t n_cells;
} view;

/* Adds the next cell, row after row. */
void view_add(view *v, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a text of the data, escaped as in TSV. */
void view_add_text(view *v, const char *text);

/* Adds a token as people can see it: escaped, a space as a middle dot. */
void view_add_token(view *v, const plens_tokenizer *tokenizer, int32_t id);

/* Prints at most `width` columns: after the first n_fixed columns of the table come as many whole
 * groups of n_group columns as fit, the last ones. Frees the cells. */
void view_print(view *v, output *out, size_t width, size_t n_fixed, size_t n_group);

/* How wide a table may be on standard output. */
size_t view_width(void);

#endif
