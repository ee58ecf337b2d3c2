/* A TSV file that the program has written itself, all of it in memory. Unlike data, which
 * plens_table reads, its cells may hold \xHH for bytes that are no UTF-8. */
#ifndef PLENS_HARNESS_RESULT_TABLE_H
#define PLENS_HARNESS_RESULT_TABLE_H

#include <stddef.h>

typedef struct result_table {
    char *path, *bytes;
    char **cells; /* [n_rows + 1, n_columns] the header first; escapes resolved */
    size_t n_rows, n_columns;
} result_table;

/* Reads FOLDER/NAME. All return EXIT_DONE, or EXIT_INPUT with file and line said. Close it in
 * either case. */
int result_table_open(result_table *t, const char *folder, const char *name);
void result_table_close(result_table *t);

int result_table_column(const result_table *t, const char *name, size_t *column);

const char *result_table_cell(const result_table *t, size_t row, size_t column);

/* The line of a row. */
size_t result_table_line(size_t row);

/* A number from 0 to `most`; "NA" gives NaN where that is allowed. */
int result_table_number(const result_table *t, size_t row, size_t column, int may_be_na,
                        double most, double *number);

#endif
