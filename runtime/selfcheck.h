/* The start-up check of kernels against the definition. */
#ifndef PLENS_RUNTIME_SELFCHECK_H
#define PLENS_RUNTIME_SELFCHECK_H

#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

/* 1 if the set gives plens__kernels_scalar's bits on a small fixed problem: sizes that are no
 * multiple of anything, denormals, infinities, values that cancel. A fraction of a millisecond,
 * some 20 KiB of stack. A compiler or processor that breaks the contract is then passed over. */
int plens__selfcheck_rows(const plens__kernels *kernels);

/* The same of a product, against plens__product_scalar of its precision, with products and sums
 * around 2^-126, where roundings differ. Some 60 KiB of stack. */
int plens__selfcheck_product(const plens__product *product);

#endif
