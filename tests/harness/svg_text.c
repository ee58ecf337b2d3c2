#include "tests/harness/svg_text.h"

#include <string.h>

/* A stand-in reads from left to right in a line that does not, too. */
static const markup_tags tags = {
    "", "", "<tspan font-family=\"monospace\" direction=\"ltr\" unicode-bidi=\"embed\">",
    "</tspan>"};

/* Advance widths of Helvetica, in thousandths of the font's size, for U+0020 to U+007E. */
static const short advances[] = {
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};

static double sign_width(const sign *s) {
    const double allowance = 1.06; /* other fonts run wider */
    if (s->is_stand_in)
        return s->code == ' ' ? 0.28 : 0.6 * (double)s->columns;
    if (s->code >= 0x20 && s->code <= 0x7E)
        return allowance * advances[s->code - 0x20] / 1000.0;
    return s->columns == 2 ? 1.0 : 0.62 * (double)s->columns;
}

double svg_text_width(text_cell cell) {
    double width = 0;
    sign s;
    while (text_cell_next(&cell, &s))
        width += sign_width(&s);
    return width;
}

static void open_text(output *out, const svg_place *place, int is_leftward) {
    /* a line's start is its right end then: only centred ones are anchored as before */
    const char *anchor = !is_leftward || strcmp(place->anchor, "middle") == 0 ? place->anchor
                         : strcmp(place->anchor, "start") == 0                ? "end"
                                                                              : "start";
    output_format(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\"%s%s>",
                  place->x, place->y, place->size, anchor, is_leftward ? " direction=\"rtl\"" : "",
                  place->attributes);
}

static void close_text(output *out) {
    output_format(out, "</text>\n");
}

/* The signs up to `end`. */
static void put_signs(output *out, text_cell cell, const char *end) {
    sign s;
    while (cell.at < end && text_cell_next(&cell, &s))
        markup_sign(out, &s, &tags);
}

/* How far a line of at most `width` reaches. */
static const char *line_end(text_cell cell, double width) {
    double used = 0;
    const char *end = cell.at;
    sign s;
    while (text_cell_next(&cell, &s)) {
        used += sign_width(&s);
        if (used > width)
            break;
        end = cell.at;
    }
    return end;
}

static void put_line(output *out, const svg_place *place, text_cell cell, double width,
                     int is_leftward) {
    const double ellipsis = 1.0;
    int fits = svg_text_width(cell) * place->size <= width;
    open_text(out, place, is_leftward);
    put_signs(out, cell, fits ? cell.end : line_end(cell, width / place->size - ellipsis));
    if (!fits)
        output_format(out, "\xE2\x80\xA6"); /* U+2026 */
    close_text(out);
}

void svg_line(output *out, const svg_place *place, text_cell cell, double width) {
    put_line(out, place, cell, width, text_cell_is_leftward(cell));
}

/* May a line end between two signs: after a space; beside a wide sign, which words of Chinese and
 * Japanese are made of, but neither before what closes nor after what opens (JIS X 4051). */
static int may_break(const sign *before, const sign *after) {
    static const char closing[] = "、。，．・：；！？）」』】〉》〕］｝ー…",
                      opening[] = "（「『【〈《〔［｛";
    if (before->code == ' ')
        return 1;
    return (before->columns == 2 || after->columns == 2) && strstr(closing, after->text) == NULL &&
           strstr(opening, before->text) == NULL;
}

/* Where a line is broken: at the last place that fits, anywhere if there is none. */
static const char *break_of(text_cell cell, double width) {
    const char *full = line_end(cell, width), *end = NULL;
    sign last, s;
    if (full == cell.end)
        return full;
    int is_first = text_cell_next(&cell, &last);
    const char *first = cell.at;
    for (const char *at = first; at <= full && is_first && text_cell_next(&cell, &s);
         at = cell.at) {
        end = may_break(&last, &s) ? at : end;
        last = s;
    }
    return end != NULL ? end : full > first ? full : first;
}

size_t svg_paragraph(output *out, svg_place place, const char *text, double width, double leading,
                     size_t max_lines) {
    text_cell rest = text_cell_of(text, strlen(text), 0);
    int is_leftward = text_cell_is_leftward(rest);
    size_t n_lines = 0;
    while (rest.at < rest.end && n_lines < max_lines) {
        text_cell line = rest;
        n_lines++;
        rest.at = break_of(rest, width / place.size);
        rest.has_base = 0;
        if (n_lines < max_lines)
            line.end = rest.at;
        if (out != NULL)
            put_line(out, &place, line, width, is_leftward);
        place.y += leading;
    }
    return n_lines;
}
