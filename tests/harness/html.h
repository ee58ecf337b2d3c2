/* A heat map as one HTML file that needs nothing else: it can be looked at without its script, with
 * it cells show all their tokens. It is well-formed XML too. */
#ifndef PLENS_HARNESS_HTML_H
#define PLENS_HARNESS_HTML_H

#include "tests/harness/heatmap.h"
#include "tests/harness/output.h"
#include "tests/harness/palette.h"

void html_write(output *out, const heatmap *map, palette colours);

/* The page's style sheet but for the palettes, and its script: strings, ended by NULL. */
extern const char *const html_style[], *const html_script[];

#endif
