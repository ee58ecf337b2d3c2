/* Bits as in Intel's SDM, volume 2, CPUID, and volume 1, 14.3 (detection of AVX) and 15.2. */
#include "runtime/cpu.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <cpuid.h>
#include <stdint.h>

/* Register sets in XCR0 that the system saves: xmm and ymm; with opmask, zmm0-15, zmm16-31; tiles
 * and their configuration. */
#define XCR0_AVX    0x06u
#define XCR0_AVX512 0xE6u
#define XCR0_AMX    0x60000u

static uint32_t read_xcr0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

static int all_set(uint32_t word, uint32_t bits) {
    return (word & bits) == bits;
}

/* "AuthenticAMD", or "HygonGenuine" of its licensee. Measured: Zen 5 445 GFLOP/s with VDPBF16PS and
 * 240 with FMA, an Intel core with AMX 122 and 245. */
static int is_amd(void) {
    uint32_t a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && (b == 0x68747541 || b == 0x6F677948);
}

plens__cpu plens__cpu_detect(void) {
    const uint32_t leaf1 = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29; /* FMA OSXSAVE AVX F16C */
    const uint32_t avx2 = 1u << 5;
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F DQ BW VL */
    const uint32_t amx = 1u << 22 | 1u << 24;                          /* AMX-BF16, AMX-TILE */
    const uint32_t avx512bf16 = 1u << 5;                               /* of subleaf 1 */
    plens__cpu cpu = {0};
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all_set(c, leaf1))
        return cpu;
    uint32_t xcr0 = read_xcr0();
    if (!all_set(xcr0, XCR0_AVX) || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return cpu;
    int has_amx = all_set(d, amx) && all_set(xcr0, XCR0_AMX);
    cpu.avx2 = all_set(b, avx2);
    cpu.avx512 = cpu.avx2 && all_set(b, avx512) && all_set(xcr0, XCR0_AVX512);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) /* zero where there is no such leaf */
        cpu.avx512bf16 = cpu.avx512 && all_set(a, avx512bf16);
    cpu.amx = cpu.avx512bf16 && has_amx;
    cpu.fast_dpbf16 = is_amd();
    return cpu;
}

#else

plens__cpu plens__cpu_detect(void) {
    plens__cpu cpu = {0};
    return cpu;
}

#endif
