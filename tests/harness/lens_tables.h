/* The lens of some prompts as text. */
#ifndef PLENS_HARNESS_LENS_TABLES_H
#define PLENS_HARNESS_LENS_TABLES_H

#include "tests/harness/heatmap.h"
#include "tests/harness/output.h"
#include "tests/harness/palette.h"
#include "tests/harness/terminal.h"

typedef struct lens_columns {
    int entropy, kl;
} lens_columns;

/* Columns: prompt (from 1, if there are several), position, layer, rank, token_id, token, prob, and
 * those asked for, which are a layer's and stand in all of its rows. */
void lens_tsv(output *out, const heatmap *map, lens_columns columns);

typedef struct lens_colours {
    palette palette;
    terminal_colours terminal;
} lens_colours;

/* A table for people for each prompt, as wide as the terminal, the last layer on top. */
void lens_view(output *out, const heatmap *map, lens_colours colours);

#endif
