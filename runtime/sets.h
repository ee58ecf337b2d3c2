/* The instruction sets that this build knows, and which of them may be used here. */
#ifndef PLENS_RUNTIME_SETS_H
#define PLENS_RUNTIME_SETS_H

#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

typedef struct plens__set {
    plens_isa isa;
    const plens__kernels *rows; /* NULL: none of its own */
    const plens__product *(*product)(plens_precision precision);
    int supported;                   /* by the processor, and the system saves its registers */
    const char *(*permission)(void); /* NULL: none is needed; returns why there is none, or NULL */
} plens__set;

enum { PLENS__MOST_SETS = 8 };

/* All of this family of processors, the fastest first, as measured. Scalar, which defines the bits,
 * is always there. */
size_t plens__sets(plens__set sets[PLENS__MOST_SETS]);

/* What a set may be used for: rows (0) and the product of each precision. */
enum { PLENS__N_ROLES = PLENS_PRECISION_BF16X3 + 1 };

int plens__set_offers(const plens__set *set, int role);

/* Why a set can serve for nothing at all in a context of these options, or NULL. Permission is
 * asked for last, and not for a context whose precision the set does not have. */
const char *plens__set_unusable(const plens__set *set, plens_isa limit, plens_precision precision);

#endif
