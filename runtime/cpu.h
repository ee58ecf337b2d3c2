/* Which instruction sets this processor has and its operating system saves. */
#ifndef PLENS_RUNTIME_CPU_H
#define PLENS_RUNTIME_CPU_H

typedef struct plens__cpu {
    int avx2;        /* AVX2, FMA, F16C */
    int avx512;      /* AVX-512 F, BW, DQ, VL, and what avx2 stands for */
    int avx512bf16;  /* AVX-512 BF16, and what avx512 stands for */
    int amx;         /* AMX BF16, and what avx512bf16 stands for */
    int fast_dpbf16; /* VDPBF16PS multiplies faster than float FMA (AMD; half as fast on Intel) */
} plens__cpu;

plens__cpu plens__cpu_detect(void);

#endif
