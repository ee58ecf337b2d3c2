/* The start-up check of a set of kernels against the definition. */
#ifndef PLENS_RUNTIME_SELFCHECK_H
#define PLENS_RUNTIME_SELFCHECK_H

#include "runtime/kernels/kernels.h"

/* 1 if the set gives plens__kernels_scalar's bits on a small fixed problem: sizes that are no
 * multiple of anything, denormals, infinities, values that cancel. A fraction of a millisecond,
 * some 20 KiB of stack. A compiler or processor that breaks the contract is then passed over. */
int plens__selfcheck(const plens__kernels *kernels);

#endif
