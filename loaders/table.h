/* TSV: the reader behind plens_table_* and the escaping of output. See plens.h for the format. */
#ifndef PLENS_LOADERS_TABLE_H
#define PLENS_LOADERS_TABLE_H

#include "loaders/base.h"

/* struct plens_table is defined in table.c; the public functions plens_table_rows, _column, _cell,
 * _line, _close and plens_tsv_escape are implemented there as plens.h declares them. */
plens_status plens__table_open(const plens_allocator *allocator, const char *path,
                               plens_table **table, plens_error *error);

#endif
