/* loaders/table.c: TSV in, by the format that plens.h states. */
#define _XOPEN_SOURCE 700
#include "loaders/table.h"

#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

static char folder[1024], path[2048];
static plens_error failure;

static plens_status open_bytes(const char *bytes, size_t n, plens_table **table) {
    folder_write(folder, "t.tsv", bytes, n);
    memset(&failure, 0, sizeof failure);
    *table = NULL;
    return plens__table_open(&heap, path, table, &failure);
}

static int is_cell(const plens_table *table, size_t row, size_t column, const char *bytes) {
    size_t n;
    const char *cell = plens_table_cell(table, row, column, &n);
    return n == strlen(bytes) && memcmp(cell, bytes, n + 1) == 0;
}

/* Guards cells, columns, escapes, empty cells and lines, whatever ends them. */
static void cells_are_read(void) {
    static const char *const texts[] = {
        "id\tprompt\tx\na\tb c\t\n\t\\t\\n\\r\\\\\xe3\x81\x82\\\\n\tz\n",       /* LF */
        "id\tprompt\tx\r\na\tb c\t\r\n\t\\t\\n\\r\\\\\xe3\x81\x82\\\\n\tz\r\n", /* CRLF */
        "id\tprompt\tx\na\tb c\t\n\t\\t\\n\\r\\\\\xe3\x81\x82\\\\n\tz", /* no LF at the end */
        "\xef\xbb\xbfid\tprompt\tx\r\na\tb c\t\n\t\\t\\n\\r\\\\\xe3\x81\x82\\\\n\tz\r", /* BOM */
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        plens_table *table;
        size_t column = 77;
        CHECK_OK(open_bytes(texts[i], strlen(texts[i]), &table), failure);
        CHECK_INT(plens_table_rows(table), 2);
        CHECK_OK(plens_table_column(table, "id", &column, &failure), failure);
        CHECK_INT(column, 0);
        CHECK_OK(plens_table_column(table, "x", &column, &failure), failure);
        CHECK_INT(column, 2);
        CHECK(is_cell(table, 0, 0, "a"));
        CHECK(is_cell(table, 0, 1, "b c"));
        CHECK(is_cell(table, 0, 2, ""));
        CHECK(is_cell(table, 1, 0, ""));
        CHECK(is_cell(table, 1, 1, "\t\n\r\\\xe3\x81\x82\\n"));
        CHECK(is_cell(table, 1, 2, "z"));
        CHECK_INT(plens_table_line(table, 0), 2);
        CHECK_INT(plens_table_line(table, 1), 3);
        CHECK_INT(plens_table_column(table, "gold", &column, &failure), PLENS_ERROR_FORMAT);
        CHECK_CONTAINS(failure.message,
                       "/t.tsv:1: expected a column \"gold\", found id, prompt, x");
        CHECK_INT(column, 2);
        plens_table_close(table);
    }
}

/* Guards the edges: a header alone, one column where an empty line is a row, a CR inside. */
static void small_tables_are_read(void) {
    plens_table *table;
    CHECK_OK(open_bytes("a\tb\n", 4, &table), failure);
    CHECK_INT(plens_table_rows(table), 0);
    plens_table_close(table);
    CHECK_OK(open_bytes("a", 1, &table), failure);
    CHECK_INT(plens_table_rows(table), 0);
    plens_table_close(table);
    CHECK_OK(open_bytes("a\n\nx\ry\n", 7, &table), failure);
    CHECK_INT(plens_table_rows(table), 2);
    CHECK(is_cell(table, 0, 0, ""));
    CHECK(is_cell(table, 1, 0, "x\ry"));
    plens_table_close(table);
    plens_table_close(NULL);
}

/* Guards the place in each message: lines are counted from 1, the header being line 1. */
static void broken_tables_are_refused_with_their_line(void) {
#define TEXT(text) text, sizeof text - 1
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {TEXT(""), "/t.tsv:1: expected a header with the columns' names, found an empty file"},
        {TEXT("\xef\xbb\xbf"),
         "/t.tsv:1: expected a header with the columns' names, found an empty file"},
        {TEXT("\na\n"), "/t.tsv:1: expected a header with the columns' names, found an empty line"},
        {TEXT("\r\n"), "/t.tsv:1: expected a header with the columns' names, found an empty line"},
        {TEXT("a\tb\ta\n"), "/t.tsv:1: expected each column once, found \"a\" in columns 1 and 3"},
        {TEXT("a\tb\n1\t2\n1\n"),
         "/t.tsv:3: expected 2 cells separated by tabs, as in the header, found 1"},
        {TEXT("a\tb\n1\t2\t3\n"),
         "/t.tsv:2: expected 2 cells separated by tabs, as in the header, found 3"},
        {TEXT("a\tb\n1\t2\n\n"),
         "/t.tsv:3: expected 2 cells separated by tabs, as in the header, found 1 (an empty line)"},
        {TEXT("a\tb\n1\t\\x41\n"), "/t.tsv:2: expected \\t, \\n, \\r or \\\\, found \\x"},
        {TEXT("a\tb\n1\\\t2\n"),
         "/t.tsv:2: expected \\t, \\n, \\r or \\\\, found \\ at the end of a cell"},
        {TEXT("a\tb\n1\t2\\"),
         "/t.tsv:2: expected \\t, \\n, \\r or \\\\, found \\ at the end of a cell"},
        {TEXT("a\tb\n1\t\\\xe3\x81\x82\n"), "found \\\xe3\x81\x82"},
        {TEXT("a\\q\tb\n"), "/t.tsv:1: expected \\t"},
        {TEXT("a\tb\n1\t2\n3\t\xff\n"),
         "/t.tsv:3: expected valid UTF-8, found byte 0xFF (byte 3 of the line)"},
        {TEXT("a\tb\n1\t\xe3\x81"),
         "/t.tsv:2: expected valid UTF-8, found byte 0xE3 (byte 3 of the line)"},
        {TEXT("a\tb\n\0\t2\n"),
         "/t.tsv:2: expected text without zero bytes, found byte 0x00 (byte 1 of the line)"},
    };
#undef TEXT
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plens_table *table;
        CHECK_THAT(open_bytes(cases[i].bytes, cases[i].n, &table) == PLENS_ERROR_FORMAT,
                   "case %zu was accepted", i);
        CHECK_CONTAINS(failure.message, cases[i].message);
        CHECK(table == NULL);
    }
    plens_table *table = NULL;
    folder_remove_file(folder, "t.tsv");
    CHECK_INT(plens__table_open(&heap, path, &table, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/t.tsv: cannot open: no such file or folder");
    CHECK_INT(plens__table_open(&heap, folder, &table, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "expected a file, found a folder");
}

/* Guards against quadratic time and rows x columns of memory for a file of many tabs. */
static void wide_files_are_refused(void) {
    static char text[3000000];
    memset(text, '\t', 1000000);
    memset(text + 1000000, '\n', 2000000);
    plens_table *table;
    CHECK_INT(open_bytes(text, sizeof text, &table), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message, "/t.tsv:1: expected at most 4096 columns, found more");
}

static plens_status open_and_close(const plens_allocator *allocator, void *data,
                                   plens_error *error) {
    plens_table *table;
    plens_status status = plens__table_open(allocator, data, &table, error);
    if (status == PLENS_OK)
        plens_table_close(table);
    return status;
}

/* Guards against leaks and crashes where memory runs out, also while a message is made. */
static void running_out_of_memory_is_an_error(void) {
    folder_write_text(folder, "t.tsv", "a\tb\n1\t2\n");
    const char *problem = faults_sweep(open_and_close, path);
    CHECK_THAT(problem == NULL, "%s", problem);
    faults state = {0, 0, 0, 0};
    plens_allocator allocator = {faults_reallocate, &state};
    plens_table *table;
    size_t column;
    CHECK_OK(plens__table_open(&allocator, path, &table, &failure), failure);
    state.fail_at = state.calls + 1;
    state.from_then_on = 1;
    CHECK_INT(plens_table_column(table, "c", &column, &failure), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message, "expected a column \"c\", found others");
    plens_table_close(table);
    CHECK_INT(state.outstanding, 0);
}

int main(void) {
    folder_make(folder);
    snprintf(path, sizeof path, "%s/t.tsv", folder);
    RUN(cells_are_read);
    RUN(small_tables_are_read);
    RUN(broken_tables_are_refused_with_their_line);
    RUN(wide_files_are_refused);
    RUN(running_out_of_memory_is_an_error);
    folder_remove(folder);
    return test_finish();
}
