#include "tests/harness/view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/system.h"

static const size_t default_width = 100, widest_cell = 24;

static void add_cell(view *v, char *cell) {
    v->cells = reallocate(v->cells, v->n_cells + 1, sizeof *v->cells);
    v->cells[v->n_cells++] = cell;
}

void view_add(view *v, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add_cell(v, join(text, NULL));
}

/* As a TSV cell; spaces as `space`. */
static void add_escaped(view *v, const char *bytes, size_t n_bytes, const char *space) {
    size_t length = plens_tsv_escape(bytes, n_bytes, NULL, 0), n_space = strlen(space);
    char *text = allocate(length + 1, 1), *shown = allocate(n_space * length + 1, 1), *to = shown;
    plens_tsv_escape(bytes, n_bytes, text, length + 1);
    for (const char *from = text; *from != '\0'; from++) {
        size_t n = *from == ' ' ? n_space : 1;
        memcpy(to, *from == ' ' ? space : from, n);
        to += n;
    }
    free(text);
    add_cell(v, shown);
}

void view_add_text(view *v, const char *text) {
    add_escaped(v, text, strlen(text), " ");
}

void view_add_token(view *v, const plens_tokenizer *tokenizer, int32_t id) {
    size_t n_bytes = 0;
    const char *bytes = tokenizer == NULL ? NULL : plens_tokenizer_token(tokenizer, id, &n_bytes);
    if (bytes == NULL)
        view_add(v, "[%ld]", (long)id);
    else
        add_escaped(v, bytes, n_bytes, "\xC2\xB7"); /* U+00B7, middle dot */
}

/* The code point at *text, which is valid UTF-8; moves *text behind it. */
static unsigned long next_code_point(const char **text) {
    const unsigned char *at = (const unsigned char *)*text;
    unsigned n_more = at[0] < 0x80 ? 0 : at[0] < 0xE0 ? 1 : at[0] < 0xF0 ? 2 : 3;
    unsigned long code = n_more == 0 ? at[0] : at[0] & (0x3Fu >> n_more);
    for (unsigned i = 1; i <= n_more && at[i] != 0; i++)
        code = code << 6 | (at[i] & 0x3Fu);
    for (unsigned i = 0; i <= n_more && **text != '\0'; i++)
        ++*text;
    return code;
}

/* Columns that a terminal gives a code point: East Asian wide ones two, combining ones none. */
static size_t code_point_columns(unsigned long code) {
    static const struct {
        unsigned long first, last;
        size_t columns;
    } ranges[] = {
        {0x0300, 0x036F, 0}, {0x200B, 0x200F, 0},   {0x20D0, 0x20FF, 0},   {0x3099, 0x309A, 0},
        {0xFE00, 0xFE0F, 0}, {0x1100, 0x115F, 2},   {0x2E80, 0x303E, 2},   {0x3041, 0xA4CF, 2},
        {0xAC00, 0xD7A3, 2}, {0xF900, 0xFAFF, 2},   {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},
        {0xFFE0, 0xFFE6, 2}, {0x1F300, 0x1F64F, 2}, {0x1F900, 0x1F9FF, 2}, {0x20000, 0x3FFFD, 2},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return ranges[i].columns;
    }
    return 1;
}

static size_t text_columns(const char *text) {
    size_t columns = 0;
    while (*text != '\0')
        columns += code_point_columns(next_code_point(&text));
    return columns;
}

/* Cuts a cell that is wider than `most` columns and ends it with an ellipsis. */
static void clip(char **cell, size_t most) {
    if (text_columns(*cell) <= most)
        return;
    const char *end = *cell;
    for (size_t columns = 0;;) {
        const char *next = end;
        columns += code_point_columns(next_code_point(&next));
        if (columns > most - 1)
            break;
        end = next;
    }
    size_t length = (size_t)(end - *cell);
    (*cell)[length] = '\0';
    char *clipped = join(*cell, "\xE2\x80\xA6", NULL); /* U+2026 */
    free(*cell);
    *cell = clipped;
}

/* The first column shown after the fixed ones: the last groups that fit. */
static size_t first_shown(const view *v, const size_t *widths, size_t width, size_t n_fixed,
                          size_t n_group) {
    size_t used = 0, first = v->n_columns;
    for (size_t c = 0; c < n_fixed; c++)
        used += v->columns[c].gap + widths[c];
    while (first > n_fixed) {
        size_t group = 0;
        for (size_t c = first - n_group; c < first; c++)
            group += v->columns[c].gap + widths[c];
        if (used + group > width && first < v->n_columns)
            break;
        used += group;
        first -= n_group;
    }
    return first;
}

static void print_cell(output *out, const char *cell, const view_column *column, size_t width) {
    size_t padding = width - text_columns(cell);
    output_format(out, "%*s", (int)(column->gap + (column->right ? padding : 0)), "");
    output_bytes(out, cell, strlen(cell));
    if (!column->right)
        output_format(out, "%*s", (int)padding, "");
}

void view_print(view *v, output *out, size_t width, size_t n_fixed, size_t n_group) {
    size_t *widths = allocate(v->n_columns, sizeof *widths);
    for (size_t i = 0; i < v->n_cells; i++) {
        clip(&v->cells[i], widest_cell);
        size_t columns = text_columns(v->cells[i]), c = i % v->n_columns;
        widths[c] = columns > widths[c] ? columns : widths[c];
    }
    size_t first = first_shown(v, widths, width, n_fixed, n_group);
    for (size_t i = 0; i < v->n_cells; i++) {
        size_t c = i % v->n_columns;
        if (c < n_fixed || c >= first)
            print_cell(out, v->cells[i], &v->columns[c], widths[c]);
        if (c + 1 == v->n_columns)
            output_bytes(out, "\n", 1);
        free(v->cells[i]);
    }
    free(widths);
    free(v->cells);
    v->cells = NULL;
    v->n_cells = 0;
}

size_t view_width(void) {
    size_t columns = system_columns(stdout);
    return columns >= 20 ? columns : default_width;
}
