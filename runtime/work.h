/* How much there is to compute and to read. Multiply-adds are counted, in matrix products and
 * attention; what a step reports to plens__pass_progress is what part_work counts for it. */
#ifndef PLENS_RUNTIME_WORK_H
#define PLENS_RUNTIME_WORK_H

#include "runtime/pass.h"

/* The window of the blocks that have one; 0 if none has. */
size_t plens__window(const plens__config *config);

/* Of one row in the first sweep of a block (K and V), and in its second (attention aside). */
double plens__kv_work(const plens__config *config);
double plens__rest_work(const plens__config *config);

/* Of attention to so many (query, key) pairs: q.k and the sum of values. */
double plens__pairs_work(const plens__config *config, size_t n_pairs);

/* Of a part. */
double plens__part_work(const plens__pass *pass, const plens__batch_size *size);

/* What a part reads of the checkpoint, in bytes. */
uint64_t plens__part_reads(const plens__pass *pass, const plens__batch_size *size);

#endif
