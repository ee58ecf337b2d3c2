/* plens_dump of plens.h. */
#ifndef PLENS_RUNTIME_AUDIT_DUMP_H
#define PLENS_RUNTIME_AUDIT_DUMP_H

#include "loaders/model.h"

plens_status plens__dump_open(const plens_allocator *allocator, const plens_model *model,
                              const char *path, plens_dump **dump, plens_error *error);
void plens__dump_close(plens_dump *dump);
const plens_states *plens__dump_states(const plens_dump *dump);

#endif
