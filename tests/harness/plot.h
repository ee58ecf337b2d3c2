/* A line chart as SVG inside a page. Its colours are the page's: classes, which report_style.c
 * names. */
#ifndef PLENS_HARNESS_PLOT_H
#define PLENS_HARNESS_PLOT_H

#include "tests/harness/output.h"

typedef struct plot_point {
    double x, y;      /* y NaN: no point, and the line is broken */
    double low, high; /* NaN: no interval */
} plot_point;

/* How a line looks: one of a few kinds, told apart by dashes and marks too; or a step of an ordered
 * sequence, as checkpoints are. */
enum { PLOT_KINDS = 4 };

typedef struct plot_style {
    int kind;       /* 0 .. PLOT_KINDS - 1; in a sequence only the mark */
    int is_ordered; /* 1: the colour is */
    double place;   /* in the sequence, from 0 to 1 */
} plot_style;

typedef struct plot_line {
    const char *name; /* for its points' titles */
    plot_style style;
    const plot_point *points; /* [n] by x */
    size_t n;
} plot_line;

typedef struct plot {
    const char *title; /* above it; of the world outside */
    const char *about; /* what it shows, for those who cannot see it */
    const char *x_label, *y_label;
    double x_max, y_max;      /* the axes begin at 0, and a logarithmic one at 1 */
    double x_step;            /* between the ticks */
    int x_percent, y_percent; /* ticks as percent */
    int y_log, has_marks;
    const plot_line *lines;
    size_t n_lines;
} plot;

/* A figure element with the chart. */
void plot_write(output *out, const plot *p);

/* A small piece of a line, for legends. */
void plot_swatch(output *out, const plot_style *style);

/* The largest y of the lines, their intervals included; 0 if there is no point. */
double plot_highest(const plot_line *lines, size_t n_lines);

/* An end for an axis up to there, on a tick. most > 0. */
double plot_round_up(double most);

#endif
