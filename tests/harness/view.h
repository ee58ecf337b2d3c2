/* A table for people: cells of UTF-8 in aligned columns, as wide as the terminal at most. */
#ifndef PLENS_HARNESS_VIEW_H
#define PLENS_HARNESS_VIEW_H

#include "tests/harness/output.h"

typedef struct view_column {
    int right;  /* aligned to the right */
    size_t gap; /* spaces before it */
} view_column;

typedef struct view_cell {
    char *text;
    char paint[40]; /* parameters of the control sequence that colours it; "" for none */
} view_cell;

typedef struct view {
    const view_column *columns; /* [n_columns] */
    size_t n_columns;
    view_cell *cells; /* [n_cells], row after row */
    size_t n_cells;
} view;

/* Adds the next cell, row after row. */
void view_add(view *v, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a text of the data, escaped as in TSV. */
void view_add_text(view *v, const char *text);

/* Adds a token as people can see it, as text_cell.h says. */
void view_add_token(view *v, const plens_tokenizer *tokenizer, int32_t id);

/* Colours the cell that was added last, as terminal.h says, but for one column of its gap. */
void view_paint(view *v, const char *parameters);

/* Prints lines of at most `width` columns: the first n_fixed columns of the table and as many whole
 * groups of n_group columns as fit; then, below, those columns again and the next groups, until all
 * are there. Cells are cut to 24 columns, those in groups to a third of the width. Frees the cells.
 */
void view_print(view *v, output *out, size_t width, size_t n_fixed, size_t n_group);

/* Prints words, one space between them, in lines of at most 79 columns and of `width`, and an empty
 * line. */
void view_note(output *out, size_t width, const char *words);

/* How wide a table may be on standard output. */
size_t view_width(void);

#endif
