/* The options of plens lens, read and checked. */
#ifndef PLENS_HARNESS_LENS_OPTIONS_H
#define PLENS_HARNESS_LENS_OPTIONS_H

#include "tests/harness/heatmap.h"
#include "tests/harness/options.h"
#include "tests/harness/palette.h"
#include "tests/harness/session.h"

enum { COLOR_AUTO = 0, COLOR_ALWAYS = 1, COLOR_NEVER = 2 };

typedef struct lens_options {
    common_options common;
    option_texts texts, personas, ids, targets, target_texts;
    const char *positions, *layers, *title, *html, *svg;
    const char *target_ids, *groups, *attribution, *attribution_ids, *against;
    int entropy, kl, settled, heads;
    int point; /* a plens_point; 0: the residual stream's lens */
    size_t top_k;
    int view, color, palette;
    position_range range;           /* read from positions */
    size_t first_layer, last_layer; /* and from layers; 0: all */
} lens_options;

/* Returns OPTIONS_READ, what was not given filled in, or the exit status. Free in any case. */
int lens_options_read(lens_options *o, int argc, char **argv);
void lens_options_free(lens_options *o);

/* A picture, and the tables in place of the top tokens: at most one of these is asked for. */
int lens_wants_picture(const lens_options *o);
int lens_wants_report(const lens_options *o);
int lens_wants_targets(const lens_options *o);
int lens_wants_attribution(const lens_options *o);

#endif
