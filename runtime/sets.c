#include "runtime/sets.h"

#include "runtime/amx_permission.h"
#include "runtime/cpu.h"

size_t plens__sets(plens__set sets[PLENS__MOST_SETS]) {
    size_t n = 0;
#if defined(__x86_64__)
    plens__cpu cpu = plens__cpu_detect();
    plens__set bf16 = {PLENS_ISA_AVX512BF16, NULL, plens__product_avx512bf16, cpu.avx512bf16, NULL};
    sets[n++] =
        (plens__set){PLENS_ISA_AMX, NULL, plens__product_amx, cpu.amx, plens__amx_permission};
    if (cpu.fast_dpbf16)
        sets[n++] = bf16;
    sets[n++] = (plens__set){PLENS_ISA_AVX512, plens__kernels_avx512(), plens__product_avx512,
                             cpu.avx512, NULL};
    if (!cpu.fast_dpbf16)
        sets[n++] = bf16;
    sets[n++] =
        (plens__set){PLENS_ISA_AVX2, plens__kernels_avx2(), plens__product_avx2, cpu.avx2, NULL};
#elif defined(__aarch64__)
    sets[n++] = (plens__set){PLENS_ISA_NEON, plens__kernels_neon(), plens__product_neon, 1, NULL};
#endif
    sets[n++] =
        (plens__set){PLENS_ISA_SCALAR, &plens__kernels_scalar, plens__product_scalar, 1, NULL};
    return n;
}

int plens__set_offers(const plens__set *set, int role) {
    return role == 0 ? set->rows != NULL : set->product((plens_precision)role) != NULL;
}

const char *plens__set_unusable(const plens__set *set, plens_isa limit, plens_precision precision) {
    int built = 0;
    for (int role = 0; role < PLENS__N_ROLES; role++)
        built |= plens__set_offers(set, role);
    if (limit != PLENS_ISA_DEFAULT && set->isa > limit)
        return "above the limit";
    if (!built)
        return "not in this build";
    if (!set->supported)
        return "this processor has none";
    if (set->permission == NULL)
        return NULL;
    if (precision != PLENS_PRECISION_DEFAULT && set->product(precision) == NULL)
        return "not needed";
    return set->permission();
}
