/* Text in an SVG figure. SVG neither breaks nor cuts lines, so their widths are estimated here,
 * from the advance widths of Helvetica. */
#ifndef PLENS_HARNESS_SVG_TEXT_H
#define PLENS_HARNESS_SVG_TEXT_H

#include "tests/harness/markup.h"

/* How wide the signs are, in units of the font's size. */
double svg_text_width(text_cell cell);

/* A place for text: what goes into the attributes of its element. */
typedef struct svg_place {
    double x, y, size;
    const char *anchor;     /* "start", "middle", "end" */
    const char *attributes; /* more of them, each with a space before it; may be "" */
} svg_place;

/* One line at a place; what is wider than `width` is cut and ends with an ellipsis. */
void svg_line(output *out, const svg_place *place, text_cell cell, double width);

/* A plain text, in as many lines of `width` as it takes but at most max_lines, each `leading`
 * below the other. Returns how many. With out NULL it only counts. */
size_t svg_paragraph(output *out, svg_place place, const char *text, double width, double leading,
                     size_t max_lines);

#endif
