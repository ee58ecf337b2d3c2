#include "tests/harness/result_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/input.h"
#include "tests/harness/message.h"

size_t result_table_line(size_t row) {
    return row + 2;
}

/* The value of a hexadecimal digit as it is written, or -1. */
static int digit(char c) {
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Resolves a cell's escapes in place: 1, or 0 if there is another than \t \n \r \\ \xHH. */
static int unescape(char *cell) {
    static const char letters[] = "tnr\\", bytes[] = "\t\n\r\\";
    char *to = cell;
    for (const char *from = cell; *from != '\0'; from++) {
        const char *letter = *from == '\\' && from[1] != '\0' ? strchr(letters, from[1]) : NULL;
        if (*from != '\\') {
            *to++ = *from;
        } else if (letter != NULL) {
            *to++ = bytes[letter - letters];
            from++;
        } else if (from[1] == 'x' && digit(from[2]) >= 0 && digit(from[3]) >= 0 &&
                   (from[2] != '0' || from[3] != '0')) {
            *to++ = (char)(16 * digit(from[2]) + digit(from[3]));
            from += 3;
        } else {
            return 0;
        }
    }
    *to = '\0';
    return 1;
}

static size_t count_bytes(const char *text, char byte) {
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == byte;
    return n;
}

/* Cuts a line at its tabs into n_columns cells. */
static int cut_line(const result_table *t, char *line, size_t number, char **cells) {
    size_t n = 1 + count_bytes(line, '\t');
    if (n != t->n_columns)
        return fail_input("%s:%zu: expected %zu cells, as in the header, found %zu", t->path,
                          number, t->n_columns, n);
    for (size_t c = 0; c < n; c++) {
        size_t length = strcspn(line, "\t");
        cells[c] = line;
        line[length] = '\0';
        line += length + 1;
        if (!unescape(cells[c]))
            return fail_input("%s:%zu: expected \\t, \\n, \\r, \\\\ or \\xHH in '%s'", t->path,
                              number, cells[c]);
    }
    return EXIT_DONE;
}

static int check_header(const result_table *t) {
    for (size_t c = 0; c < t->n_columns; c++) {
        for (size_t k = 0; k < c; k++) {
            if (strcmp(t->cells[k], t->cells[c]) == 0)
                return fail_input("%s:1: the column \"%s\" stands there twice", t->path,
                                  t->cells[c]);
        }
    }
    return EXIT_DONE;
}

int result_table_open(result_table *t, const char *folder, const char *name) {
    size_t count;
    memset(t, 0, sizeof *t);
    t->path = join(folder, "/", name, NULL);
    int code = input_read(t->path, "", &t->bytes, &count);
    if (code != EXIT_DONE)
        return code;
    if (strlen(t->bytes) != count)
        return fail_input("%s: expected text, found a zero byte at offset %zu", t->path,
                          strlen(t->bytes));
    if (count == 0 || t->bytes[count - 1] != '\n')
        return fail_input("%s: is not whole: expected a line feed at its end", t->path);
    size_t n_lines = count_bytes(t->bytes, '\n');
    t->n_rows = n_lines - 1;
    t->bytes[strcspn(t->bytes, "\n")] = '\0';
    t->n_columns = 1 + count_bytes(t->bytes, '\t');
    t->cells = allocate(n_lines * t->n_columns, sizeof *t->cells);
    char *line = t->bytes;
    for (size_t i = 0; i < n_lines && code == EXIT_DONE; i++) {
        char *end = line + strcspn(line, "\n"); /* the header's is cut already */
        *end = '\0';
        code = cut_line(t, line, i + 1, &t->cells[i * t->n_columns]);
        line = end + 1;
    }
    return code == EXIT_DONE ? check_header(t) : code;
}

void result_table_close(result_table *t) {
    free(t->path);
    free(t->bytes);
    free(t->cells);
}

int result_table_column(const result_table *t, const char *name, size_t *column) {
    for (*column = 0; *column < t->n_columns; ++*column) {
        if (strcmp(t->cells[*column], name) == 0)
            return EXIT_DONE;
    }
    return fail_input("%s: expected a column \"%s\", found none", t->path, name);
}

const char *result_table_cell(const result_table *t, size_t row, size_t column) {
    return t->cells[(row + 1) * t->n_columns + column];
}

int result_table_number(const result_table *t, size_t row, size_t column, int may_be_na,
                        double most, double *number) {
    const char *cell = result_table_cell(t, row, column);
    char *end;
    *number = NAN;
    if (may_be_na && strcmp(cell, "NA") == 0)
        return EXIT_DONE;
    double value = strtod(cell, &end);
    int is_decimal = cell[0] >= '0' && cell[0] <= '9' && *end == '\0' &&
                     cell[strspn(cell, "0123456789.eE+-")] == '\0'; /* no nan, no 0x */
    if (!is_decimal || !(value <= most))
        return fail_input("%s:%zu: %s: expected a number from 0 to %g%s, found '%s'", t->path,
                          result_table_line(row), t->cells[column], most, may_be_na ? " or NA" : "",
                          cell);
    *number = value;
    return EXIT_DONE;
}
