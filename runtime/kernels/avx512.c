#include "runtime/kernels/kernels.h"

const plens__kernels *plens__kernels_avx512(void) {
    return NULL;
}
