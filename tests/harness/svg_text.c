#include "tests/harness/svg_text.h"

#include <string.h>

static const markup_tags tags = {"<tspan fill-opacity=\"0.6\">", "</tspan>",
                                 "<tspan font-family=\"monospace\">", "</tspan>"};

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

static void open_text(output *out, const svg_place *place) {
    output_format(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\"%s>",
                  place->x, place->y, place->size, place->anchor, place->attributes);
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

void svg_line(output *out, const svg_place *place, text_cell cell, double width) {
    const double ellipsis = 1.0;
    int fits = svg_text_width(cell) * place->size <= width;
    open_text(out, place);
    put_signs(out, cell, fits ? cell.end : line_end(cell, width / place->size - ellipsis));
    if (!fits)
        output_format(out, "\xE2\x80\xA6"); /* U+2026 */
    close_text(out);
}

/* Where a line is broken: after the last space that fits, unless there is none. */
static const char *break_of(text_cell cell, double width) {
    const char *end = line_end(cell, width), *at = end;
    if (end == cell.end)
        return end;
    while (at > cell.at && at[-1] != ' ')
        at--;
    if (at > cell.at)
        return at;
    if (end > cell.at)
        return end;
    sign s;
    text_cell_next(&cell, &s); /* not even one fits: go on all the same */
    return cell.at;
}

size_t svg_paragraph(output *out, svg_place place, const char *text, double width, double leading,
                     size_t max_lines) {
    text_cell rest = text_cell_of(text, strlen(text), 0);
    size_t n_lines = 0;
    while (rest.at < rest.end && n_lines < max_lines) {
        n_lines++;
        const char *end = break_of(rest, width / place.size);
        if (out != NULL && n_lines == max_lines) {
            svg_line(out, &place, rest, width);
        } else if (out != NULL) {
            open_text(out, &place);
            put_signs(out, rest, end);
            close_text(out);
        }
        place.y += leading;
        rest.at = end;
        rest.has_base = 0;
    }
    return n_lines;
}
