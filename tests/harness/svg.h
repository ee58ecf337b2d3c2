/* A heat map as a figure for a paper: one SVG file without script, style sheet or anything from
 * outside, in black on white. */
#ifndef PLENS_HARNESS_SVG_H
#define PLENS_HARNESS_SVG_H

#include "tests/harness/heatmap.h"
#include "tests/harness/output.h"
#include "tests/harness/palette.h"

void svg_write(output *out, const heatmap *map, palette colours);

#endif
