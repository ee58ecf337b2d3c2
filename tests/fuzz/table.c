/* loaders/table.c and loaders/escape.c: any bytes as a TSV file. Cells are zero-terminated UTF-8,
 * and a cell that is written and read again is the same, control bytes (written as \xHH, which is
 * for eyes only) aside. */
#include "tests/fuzz/fuzz.h"

#include "loaders/table.h"

static int has_controls(const char *cell) {
    for (; *cell != 0; cell++) {
        if (((unsigned char)*cell < 32 && strchr("\t\n\r", *cell) == NULL) || *cell == 127)
            return 1;
    }
    return 0;
}

static void write_and_read(const char *cell, size_t n_cell) {
    static const char header[] = "x\ty\n";
    size_t n = plens_tsv_escape(cell, n_cell, NULL, 0), n_again, start = sizeof header - 1;
    char *file = malloc(start + n + 8), path[2048];
    plens_table *table = NULL;
    plens_error error;
    memcpy(file, header, start);
    FUZZ_CHECK(plens_tsv_escape(cell, n_cell, file + start, n + 1) == n);
    memcpy(file + start + n, "\t1\n", 3);
    fuzz_write("again.tsv", file, start + n + 3);
    snprintf(path, sizeof path, "%s/again.tsv", fuzz_folder());
    FUZZ_CHECK(plens__table_open(&heap, path, &table, &error) == PLENS_OK);
    FUZZ_CHECK(plens_table_rows(table) == 1);
    const char *again = plens_table_cell(table, 0, 0, &n_again);
    FUZZ_CHECK(n_again == n_cell && memcmp(again, cell, n_cell) == 0);
    plens_table_close(table);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    plens_table *table = NULL;
    plens_error error;
    char path[2048];
    size_t column;
    fuzz_write("t.tsv", data, n);
    snprintf(path, sizeof path, "%s/t.tsv", fuzz_folder());
    if (!fuzz_ok(plens__table_open(&heap, path, &table, &error), &error))
        return 0;
    if (fuzz_ok(plens_table_column(table, "x", &column, &error), &error)) {
        for (size_t row = 0; row < plens_table_rows(table); row++) {
            size_t n_cell;
            const char *cell = plens_table_cell(table, row, column, &n_cell);
            FUZZ_CHECK(strlen(cell) == n_cell && plens__utf8_check(cell, n_cell) == n_cell);
            FUZZ_CHECK(plens_table_line(table, row) >= 2);
            if (row < 4 && !has_controls(cell))
                write_and_read(cell, n_cell);
        }
    }
    plens_table_close(table);
    return 0;
}
