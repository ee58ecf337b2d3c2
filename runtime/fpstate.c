#include "runtime/fpstate.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#define KEEP_MXCSR  0x1F80 /* the processor's own default [Intel SDM, volume 1, 10.2.3] */
#define FLUSH_MXCSR 0x9FC0 /* the same with FTZ and DAZ */

static void load_mxcsr(uint32_t value) {
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

void plens__fpstate_enter(plens__fpstate *saved, int flush) {
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value) : : "memory");
    saved->control = value;
    saved->status = 0;
    load_mxcsr(flush ? FLUSH_MXCSR : KEEP_MXCSR);
}

void plens__fpstate_leave(const plens__fpstate *saved) {
    load_mxcsr((uint32_t)saved->control);
}

#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))

/* All zero is to nearest, no flushing, no traps, no flags [Arm ARM, FPCR and FPSR]. */
#define FPCR_FZ ((uint64_t)1 << 24)

static void load(uint64_t control, uint64_t status) {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(control), "r"(status) : "memory");
}

void plens__fpstate_enter(plens__fpstate *saved, int flush) {
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr"
                     : "=r"(saved->control), "=r"(saved->status)
                     :
                     : "memory");
    load(flush ? FPCR_FZ : 0, 0);
}

void plens__fpstate_leave(const plens__fpstate *saved) {
    load(saved->control, saved->status);
}

#else

void plens__fpstate_enter(plens__fpstate *saved, int flush) {
    (void)flush;
    saved->control = saved->status = 0;
}

void plens__fpstate_leave(const plens__fpstate *saved) {
    (void)saved;
}

#endif
