#include "loaders/table.h"

#include <string.h>

#include "loaders/file.h"
#include "loaders/utf8.h"

#define MAX_COLUMNS 4096 /* their names are compared with each other */

typedef struct cell {
    const char *bytes; /* in plens_table.text, zero-terminated */
    size_t n_bytes;
} cell;

struct plens_table {
    plens_allocator allocator; /* a copy: the table outlives the context */
    char *path;
    char *text; /* the whole file; escapes are resolved in place (they only shrink) */
    size_t n_columns, n_rows;
    cell *cells; /* [1 + n_rows, n_columns]: the header, then the rows */
};

/* ---- Lines --------------------------------------------------------------------------------- */

/* What is being read: text [n] from `at` on, which is the beginning of line `line`. */
typedef struct cursor {
    const char *path;
    char *text;
    size_t n, at, line;
    plens_error *error;
} cursor;

/* Where the line at hand ends, without its CR; *next: where the next one begins. */
static size_t line_end(const cursor *c, size_t *next) {
    const char *newline = memchr(c->text + c->at, '\n', c->n - c->at);
    size_t end = newline != NULL ? (size_t)(newline - c->text) : c->n;
    *next = newline != NULL ? end + 1 : end;
    return end > c->at && c->text[end - 1] == '\r' ? end - 1 : end;
}

static plens_status fail_line(const cursor *c, const char *expected, const char *found) {
    return plens__fail(c->error, PLENS_ERROR_FORMAT, "%s:%zu: expected %s, found %s", c->path,
                       c->line, expected, found);
}

/* Bytes that are no UTF-8, or zero, before anything is split or changed. */
static plens_status check_bytes(const cursor *start) {
    cursor c = *start;
    size_t bad = plens__utf8_check(c.text, c.n);
    const char *zero = memchr(c.text, 0, bad);
    if (zero != NULL)
        bad = (size_t)(zero - c.text);
    if (bad == c.n)
        return PLENS_OK;
    size_t line_start = 0;
    for (size_t i = 0; i < bad; i++) {
        if (c.text[i] == '\n') {
            c.line++;
            line_start = i + 1;
        }
    }
    return plens__fail(c.error, PLENS_ERROR_FORMAT,
                       "%s:%zu: expected %s, found byte 0x%02X (byte %zu of the line)", c.path,
                       c.line, zero != NULL ? "text without zero bytes" : "valid UTF-8",
                       (unsigned)(unsigned char)c.text[bad], bad - line_start + 1);
}

/* ---- Cells --------------------------------------------------------------------------------- */

/* Resolves the escapes of bytes [*n] in place and puts a zero after them. */
static plens_status unescape(const cursor *c, char *bytes, size_t *n) {
    static const char letters[] = "tnr\\", values[] = "\t\n\r\\";
    size_t to = 0;
    for (size_t from = 0; from < *n; from++) {
        if (bytes[from] != '\\') {
            bytes[to++] = bytes[from];
            continue;
        }
        from++;
        const char *letter = from < *n ? strchr(letters, bytes[from]) : NULL;
        if (letter == NULL) {
            uint32_t character;
            size_t length = plens__utf8_decode(bytes + from, *n - from, &character);
            return plens__fail(c->error, PLENS_ERROR_FORMAT,
                               "%s:%zu: expected \\t, \\n, \\r or \\\\, found \\%.*s%s", c->path,
                               c->line, (int)length, bytes + from,
                               from < *n ? "" : " at the end of a cell");
        }
        bytes[to++] = values[letter - letters];
    }
    bytes[to] = 0; /* over a tab, CR, LF, a resolved escape or the zero after the text */
    *n = to;
    return PLENS_OK;
}

/* Splits bytes [at, end) into cells [n_columns], which it must have. */
static plens_status split_line(const cursor *c, size_t end, cell *cells, size_t n_columns) {
    size_t at = c->at;
    for (size_t i = 0; i < n_columns; i++) {
        size_t n = 0;
        while (at + n < end && c->text[at + n] != '\t')
            n++;
        size_t next = at + n + 1;
        cells[i].bytes = c->text + at;
        plens_status status = unescape(c, c->text + at, &n);
        if (status != PLENS_OK)
            return status;
        cells[i].n_bytes = n;
        at = next;
    }
    return PLENS_OK;
}

static size_t count_cells(const cursor *c, size_t end) {
    size_t n = 1;
    for (size_t i = c->at; i < end; i++)
        n += c->text[i] == '\t';
    return n;
}

/* ---- The table ----------------------------------------------------------------------------- */

/* Counts columns (of the header) and rows; each row must have as many cells. */
static plens_status measure(const cursor *start, plens_table *table) {
    cursor c = *start;
    size_t next, n_lines = 0;
    do {
        size_t end = line_end(&c, &next);
        size_t n = count_cells(&c, end);
        if (n_lines == 0 && end == c.at)
            return fail_line(&c, "a header with the columns' names",
                             next > c.at ? "an empty line" : "an empty file");
        if (n_lines == 0 && n > MAX_COLUMNS)
            return fail_line(&c, "at most 4096 columns", "more");
        if (n_lines == 0)
            table->n_columns = n;
        if (n != table->n_columns)
            return plens__fail(c.error, PLENS_ERROR_FORMAT,
                               "%s:%zu: expected %zu cells separated by tabs, as in the header, "
                               "found %zu%s",
                               c.path, c.line, table->n_columns, n,
                               end == c.at ? " (an empty line)" : "");
        n_lines++;
        c.line++;
        c.at = next;
    } while (c.at < c.n);
    table->n_rows = n_lines - 1;
    return PLENS_OK;
}

static plens_status check_header(const plens_table *table, const cursor *c) {
    for (size_t i = 0; i < table->n_columns; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(table->cells[i].bytes, table->cells[j].bytes) == 0)
                return plens__fail(c->error, PLENS_ERROR_FORMAT,
                                   "%s:%zu: expected each column once, found \"%s\" in columns %zu "
                                   "and %zu",
                                   c->path, c->line, table->cells[i].bytes, j + 1, i + 1);
        }
    }
    return PLENS_OK;
}

/* A byte order mark in front of the text is passed over. */
static void skip_mark(cursor *c) {
    if (c->n >= 3 && memcmp(c->text, "\xEF\xBB\xBF", 3) == 0)
        c->at = 3;
}

static plens_status read_table(plens_table *table, size_t n_bytes, plens_error *error) {
    cursor c = {table->path, table->text, n_bytes, 0, 1, error};
    plens_status status = check_bytes(&c);
    skip_mark(&c);
    if (status == PLENS_OK)
        status = measure(&c, table);
    if (status != PLENS_OK)
        return status;
    size_t n_cells; /* each has a byte of its own in the file, so the product is small */
    if (plens__mul(table->n_rows + 1, table->n_columns, &n_cells))
        table->cells = plens__alloc_array(&table->allocator, n_cells, sizeof *table->cells);
    if (table->cells == NULL)
        return plens__fail_memory(error, n_bytes, table->path);
    for (size_t row = 0; row <= table->n_rows && status == PLENS_OK; row++) {
        size_t next, end = line_end(&c, &next);
        status = split_line(&c, end, table->cells + row * table->n_columns, table->n_columns);
        if (status == PLENS_OK && row == 0)
            status = check_header(table, &c);
        c.line++;
        c.at = next;
    }
    return status;
}

plens_status plens__table_open(const plens_allocator *allocator, const char *path,
                               plens_table **table, plens_error *error) {
    plens_table *opened = plens__alloc_array(allocator, 1, sizeof *opened);
    if (opened == NULL)
        return plens__fail_memory(error, sizeof *opened, path);
    opened->allocator = *allocator;
    size_t path_bytes = strlen(path) + 1, n_bytes = 0;
    plens_status status = PLENS_OK;
    opened->path = plens__alloc(allocator, path_bytes);
    if (opened->path == NULL)
        status = plens__fail_memory(error, path_bytes, path);
    else
        memcpy(opened->path, path, path_bytes);
    if (status == PLENS_OK)
        status = plens__file_load(allocator, path, &opened->text, &n_bytes, error);
    if (status == PLENS_OK)
        status = read_table(opened, n_bytes, error);
    if (status == PLENS_OK)
        *table = opened;
    else
        plens_table_close(opened);
    return status;
}

void plens_table_close(plens_table *table) {
    if (table == NULL)
        return;
    plens_allocator allocator = table->allocator;
    plens__free(&allocator, table->cells);
    plens__free(&allocator, table->text);
    plens__free(&allocator, table->path);
    plens__free(&allocator, table);
}

/* ---- Use ----------------------------------------------------------------------------------- */

size_t plens_table_rows(const plens_table *table) {
    return table->n_rows;
}

/* Fails with the names of the columns that there are, as many as the message holds. */
static plens_status fail_column(const plens_table *table, const char *name, plens_error *error) {
    plens__buffer names = {&table->allocator, NULL, 0, 0};
    int complete = 1;
    for (size_t i = 0; i < table->n_columns && complete && names.count < 1024; i++)
        complete = plens__buffer_append(&names, ", ", i > 0 ? 2 : 0) &&
                   plens__buffer_append(&names, table->cells[i].bytes, table->cells[i].n_bytes);
    plens_status status =
        plens__fail(error, PLENS_ERROR_FORMAT, "%s:1: expected a column \"%s\", found %s",
                    table->path, name, names.count > 0 ? names.data : "others");
    plens__buffer_free(&names);
    return status;
}

plens_status plens_table_column(const plens_table *table, const char *name, size_t *column,
                                plens_error *error) {
    size_t i = 0;
    while (i < table->n_columns && strcmp(table->cells[i].bytes, name) != 0)
        i++;
    if (i == table->n_columns)
        return fail_column(table, name, error);
    *column = i;
    return PLENS_OK;
}

const char *plens_table_cell(const plens_table *table, size_t row, size_t column, size_t *n_bytes) {
    const cell *found = &table->cells[(row + 1) * table->n_columns + column];
    if (n_bytes != NULL)
        *n_bytes = found->n_bytes;
    return found->bytes;
}

/* A cell cannot hold a line break that is not escaped: every row is one line. */
size_t plens_table_line(const plens_table *table, size_t row) {
    (void)table;
    return row + 2;
}
