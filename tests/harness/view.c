#include "tests/harness/view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/code_points.h"
#include "tests/harness/system.h"
#include "tests/harness/text_cell.h"

static const size_t default_width = 100;

static void add_cell(view *v, char *text) {
    v->cells = reallocate(v->cells, v->n_cells + 1, sizeof *v->cells);
    v->cells[v->n_cells].text = text;
    v->cells[v->n_cells++].paint[0] = '\0';
}

void view_paint(view *v, const char *parameters) {
    view_cell *cell = &v->cells[v->n_cells - 1];
    snprintf(cell->paint, sizeof cell->paint, "%s", parameters);
}

void view_add(view *v, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add_cell(v, join(text, NULL));
}

/* Adds what is to be seen of some bytes. */
static void add_signs(view *v, text_cell cell) {
    size_t length = 0;
    char *text = allocate(1, 1);
    sign s;
    while (text_cell_next(&cell, &s)) {
        size_t n = strlen(s.text);
        text = reallocate(text, length + n + 1, 1);
        memcpy(text + length, s.text, n + 1);
        length += n;
    }
    text[length] = '\0';
    add_cell(v, text);
}

void view_add_text(view *v, const char *text) {
    add_signs(v, text_cell_of(text, strlen(text), 0));
}

void view_add_token(view *v, const plens_tokenizer *tokenizer, int32_t id) {
    char name[16];
    add_signs(v, text_cell_of_token(tokenizer, id, name));
}

/* Cuts a cell that is wider than `most` columns and ends it with an ellipsis. */
static void clip(char **text, size_t most) {
    if (text_columns(*text) <= most)
        return;
    size_t n = strlen(*text), length = 0, columns = 0;
    for (unsigned long code;;) {
        size_t step = code_point_read(*text + length, n - length, &code);
        columns += code_point_columns(code);
        if (columns > most - 1)
            break;
        length += step;
    }
    (*text)[length] = '\0';
    char *clipped = join(*text, "\xE2\x80\xA6", NULL); /* U+2026 */
    free(*text);
    *text = clipped;
}

/* The end of the columns from `first` on that fit beside the fixed ones, in whole groups, at least
 * one of them. */
static size_t band_end(const view *v, const size_t *widths, size_t width, size_t n_fixed,
                       size_t n_group, size_t first) {
    size_t used = 0, end = first;
    for (size_t c = 0; c < n_fixed; c++)
        used += v->columns[c].gap + widths[c];
    while (end < v->n_columns) {
        for (size_t c = end; c < end + n_group; c++)
            used += v->columns[c].gap + widths[c];
        if (used > width && end > first)
            break;
        end += n_group;
    }
    return end;
}

static void print_spaces(output *out, size_t count) {
    output_format(out, "%*s", (int)count, "");
}

static void print_cell(output *out, const view_cell *cell, const view_column *column,
                       size_t width) {
    size_t padding = width - text_columns(cell->text), gap = column->gap;
    if (cell->paint[0] != '\0') {
        size_t outside = gap > 1;
        print_spaces(out, outside);
        output_format(out, "\033[%sm", cell->paint);
        gap -= outside;
    }
    print_spaces(out, gap + (column->right ? padding : 0));
    output_bytes(out, cell->text, strlen(cell->text));
    print_spaces(out, column->right ? 0 : padding);
    if (cell->paint[0] != '\0')
        output_format(out, "\033[0m");
}

/* All rows, the fixed columns and those in [first, end). */
static void print_band(const view *v, output *out, const size_t *widths, size_t n_fixed,
                       size_t first, size_t end) {
    for (size_t i = 0; i < v->n_cells; i++) {
        size_t c = i % v->n_columns;
        if (c < n_fixed || (c >= first && c < end))
            print_cell(out, &v->cells[i], &v->columns[c], widths[c]);
        if (c + 1 == v->n_columns)
            output_bytes(out, "\n", 1);
    }
}

void view_print(view *v, output *out, size_t width, size_t n_fixed, size_t n_group) {
    const size_t widest = 24, most = width / 3 < widest ? width / 3 : widest;
    size_t *widths = allocate(v->n_columns, sizeof *widths), first = n_fixed;
    for (size_t i = 0; i < v->n_cells; i++) {
        size_t c = i % v->n_columns;
        clip(&v->cells[i].text, c < n_fixed ? widest : most);
        size_t columns = text_columns(v->cells[i].text);
        widths[c] = columns > widths[c] ? columns : widths[c];
    }
    do {
        size_t end = band_end(v, widths, width, n_fixed, n_group, first);
        if (first > n_fixed)
            output_bytes(out, "\n", 1);
        print_band(v, out, widths, n_fixed, first, end);
        first = end;
    } while (first < v->n_columns);
    for (size_t i = 0; i < v->n_cells; i++)
        free(v->cells[i].text);
    free(widths);
    free(v->cells);
    v->cells = NULL;
    v->n_cells = 0;
}

void view_note(output *out, size_t width, const char *words) {
    const size_t most = width < 79 ? width : 79;
    for (size_t used = 0, n; *words != '\0'; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        int fits = used > 0 && used + 1 + n <= most;
        if (used > 0)
            output_bytes(out, fits ? " " : "\n", 1);
        output_bytes(out, words, n);
        used = fits ? used + 1 + n : n;
    }
    output_bytes(out, "\n\n", 2);
}

size_t view_width(void) {
    size_t columns = system_columns(stdout);
    return columns >= 20 ? columns : default_width;
}
