#include "runtime/amx_permission.h"

#include <stddef.h>

#if defined(__x86_64__) && defined(__linux__) && (defined(__GNUC__) || defined(__clang__))

#include <errno.h>

#define SYS_ARCH_PRCTL      158L
#define ARCH_REQ_XCOMP_PERM 0x1023L
#define XFEATURE_XTILEDATA  18L

/* The C library has no function for it, and this way errno stays the caller's. */
static long arch_prctl(long code, long argument) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_ARCH_PRCTL), "D"(code), "S"(argument)
                     : "rcx", "r11", "memory");
    return result;
}

const char *plens__amx_permission(void) {
    switch (-arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)) {
    case 0:
        return NULL;
    case ENOSPC:
        return "refused by Linux: an alternate signal stack is too small";
    case EINVAL: /* no such request */
    case EOPNOTSUPP:
        return "this Linux does not support it";
    default:
        return "refused by Linux";
    }
}

#else

const char *plens__amx_permission(void) {
    return "only on Linux";
}

#endif
