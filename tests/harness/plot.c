#include "tests/harness/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/markup.h"

static const double width = 320, height = 210, left = 46, right = 18, top = 10, bottom = 38;

double plot_highest(const plot_line *lines, size_t n_lines) {
    double most = 0;
    for (size_t k = 0; k < n_lines; k++) {
        for (size_t i = 0; i < lines[k].n; i++) {
            const plot_point *p = &lines[k].points[i];
            double high = isnan(p->high) ? p->y : p->high;
            most = high > most ? high : most; /* false for NaN */
        }
    }
    return most;
}

static double x_of(const plot *p, double x) {
    return left + (width - left - right) * x / p->x_max;
}

static double y_of(const plot *p, double y) {
    double share = p->y_log ? log10(y < 1 ? 1 : y) / log10(p->y_max) : y / p->y_max;
    return height - bottom - (height - top - bottom) * (share > 1 ? 1 : share);
}

/* ---- axes ---- */

/* A round step that divides a range into at most five: 1, 2 or 5 times a power of ten. */
static double round_step(double most) {
    static const double factors[] = {2, 2.5, 2}; /* 1, 2, 5, 10 */
    double step = 1e-9;
    for (int i = 0; step * 5 < most * (1 - 1e-9); i++)
        step *= factors[i % 3];
    return step;
}

double plot_round_up(double most) {
    double step = round_step(most);
    return step * ceil(most / step * (1 - 1e-9));
}

static void put_tick_text(output *out, double x, double y, const char *anchor, double value,
                          int is_percent) {
    output_format(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.6g%s</text>\n", x, y,
                  anchor, is_percent ? 100 * value : value, is_percent ? "\xE2\x80\xAF%" : "");
}

static void put_y_tick(output *out, const plot *p, double value) {
    double y = y_of(p, value);
    output_format(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", left, y, width - right);
    put_tick_text(out, left - 5, y + 3.5, "end", value, p->y_percent);
}

static void put_axes(output *out, const plot *p) {
    if (p->y_log) {
        for (double value = 1; value <= p->y_max * (1 + 1e-9); value *= 10)
            put_y_tick(out, p, value);
    } else {
        double step = round_step(p->y_max);
        for (int i = 0; i * step <= p->y_max * (1 + 1e-9); i++)
            put_y_tick(out, p, i * step);
    }
    for (int i = 0; i * p->x_step <= p->x_max * (1 + 1e-9); i++)
        put_tick_text(out, x_of(p, i * p->x_step), height - bottom + 14, "middle", i * p->x_step,
                      p->x_percent);
    output_format(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                  (left + width - right) / 2, height - 5, p->x_label);
    output_format(out,
                  "<text transform=\"translate(10 %.1f) rotate(-90)\" "
                  "text-anchor=\"middle\">%s</text>\n",
                  (top + height - bottom) / 2, p->y_label);
}

/* ---- lines ---- */

static void put_style(output *out, const plot_style *style) {
    if (style->is_ordered)
        output_format(out, " class=\"seq k%d\" style=\"--p:%.0f%%\"", style->kind,
                      100 * style->place);
    else
        output_format(out, " class=\"kind k%d\"", style->kind);
}

static void put_band(output *out, const plot *p, const plot_line *line) {
    size_t n = 0;
    for (size_t i = 0; i < line->n; i++)
        n += !isnan(line->points[i].y) && !isnan(line->points[i].low);
    if (n < 2)
        return;
    output_format(out, "<path class=\"band\" d=\"");
    for (size_t i = 0, k = 0; i < 2 * line->n; i++) {
        const plot_point *at = &line->points[i < line->n ? i : 2 * line->n - 1 - i];
        if (!isnan(at->y) && !isnan(at->low))
            output_format(out, "%s%.1f %.1f", k++ == 0 ? "M" : "L", x_of(p, at->x),
                          y_of(p, i < line->n ? at->high : at->low));
    }
    output_format(out, "z\"/>\n");
}

static void put_mark(output *out, int kind, double x, double y) {
    static const char *const shapes[PLOT_KINDS] = {"a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",
                                                   "m.3 -2.7h5.4v5.4h-5.4z", "m3 -3.4l3.2 6h-6.4z",
                                                   "m3 -3.6l3.6 3.6l-3.6 3.6l-3.6 -3.6z"};
    output_format(out, "<path class=\"mark\" d=\"M%.1f %.1f%s\">", x - 3, y, shapes[kind]);
}

static void put_points(output *out, const plot *p, const plot_line *line) {
    for (size_t i = 0; i < line->n; i++) {
        const plot_point *at = &line->points[i];
        if (isnan(at->y))
            continue;
        put_mark(out, line->style.kind, x_of(p, at->x), y_of(p, at->y));
        output_format(out, "<title>");
        markup_text(out, line->name, NULL);
        output_format(out, ": %.4g", p->y_percent ? 100 * at->y : at->y);
        output_format(out, p->y_percent ? " %% at %.4g" : " at %.4g",
                      p->x_percent ? 100 * at->x : at->x);
        output_format(out, p->x_percent ? " %%" : "%s", "");
        if (!isnan(at->low))
            output_format(out, " (95 %%: %.4g to %.4g)", at->low, at->high);
        output_format(out, "</title></path>\n");
    }
}

static void put_line(output *out, const plot *p, const plot_line *line) {
    output_format(out, "<g");
    put_style(out, &line->style);
    output_format(out, ">\n");
    put_band(out, p, line);
    output_format(out, "<path class=\"line\" d=\"");
    int is_broken = 1;
    for (size_t i = 0; i < line->n; i++) {
        const plot_point *at = &line->points[i];
        if (!isnan(at->y))
            output_format(out, "%s%.1f %.1f", is_broken ? "M" : "L", x_of(p, at->x),
                          y_of(p, at->y));
        is_broken = isnan(at->y);
    }
    output_format(out, "\"/>\n");
    if (p->has_marks)
        put_points(out, p, line);
    output_format(out, "</g>\n");
}

/* ---- the chart ---- */

static int is_empty(const plot *p) {
    for (size_t k = 0; k < p->n_lines; k++) {
        for (size_t i = 0; i < p->lines[k].n; i++) {
            if (!isnan(p->lines[k].points[i].y))
                return 0;
        }
    }
    return 1;
}

void plot_write(output *out, const plot *p) {
    output_format(out, "<figure>\n<figcaption>");
    markup_text(out, p->title, NULL);
    output_format(out,
                  "</figcaption>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f "
                  "%.0f\" role=\"img\"><title>",
                  width, height);
    markup_text(out, p->about, NULL);
    output_format(out, "</title>\n");
    if (is_empty(p)) {
        output_format(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">no prompts</text>\n",
                      width / 2, height / 2);
    } else {
        put_axes(out, p);
        for (size_t k = 0; k < p->n_lines; k++)
            put_line(out, p, &p->lines[k]);
    }
    output_format(out, "</svg>\n</figure>\n");
}

void plot_swatch(output *out, const plot_style *style) {
    output_format(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"swatch\" "
                       "viewBox=\"0 0 34 12\" aria-hidden=\"true\"><g");
    put_style(out, style);
    output_format(out, "><path class=\"line\" d=\"M1 6H33\"/>");
    put_mark(out, style->kind, 17, 6);
    output_format(out, "</path></g></svg>");
}
