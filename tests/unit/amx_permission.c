/* The permission that AMX needs of Linux, each case in a process of its own: once given it stays.
 * Only on a processor with AMX; tests/full/amx_in_bochs.sh has an emulated one. */
#define _GNU_SOURCE /* sigaltstack, syscall */
#include "sets.h"

#include "runtime/engine.h"
#include "runtime/selfcheck.h"

#if defined(__x86_64__) && defined(__linux__)

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARCH_GET_XCOMP_PERM 0x1022
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XTILEDATA           18

/* Runs the test in a child; its verdict becomes that of the test at hand. */
static void in_a_child(void (*test)(void)) {
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        test();
        fflush(stdout);
        _exit(test_bad ? 1 : test_skip ? 2 : 0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_THAT(WIFEXITED(status), "the child ended by signal %d", WTERMSIG(status));
    test_bad = WEXITSTATUS(status) == 1;
    test_skip = WEXITSTATUS(status) == 2;
}

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size != 0)
        return realloc(old, new_size);
    free(old);
    return NULL;
}

/* Which product an engine takes, and what it says of AMX. */
static void check_choice(plens_isa limit, int takes_amx, const char *says) {
    const plens_allocator allocator = {reallocate, NULL};
    plens_options options = {0};
    plens_error error;
    plens__engine engine;
    options.isa_limit = limit;
    CHECK_OK(plens__engine_open(&allocator, &options, &engine, &error), error);
    int is_amx = engine.products[PLENS_PRECISION_BF16]->isa == PLENS_ISA_AMX;
    plens__engine_close(&engine);
    CHECK_STRING(engine.choices[0], says);
    CHECK_INT(is_amx, takes_amx);
}

static int has_permission(void) {
    unsigned long features = 0;
    return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &features) == 0 &&
           (features >> XTILEDATA & 1) == 1;
}

/* An alternate signal stack that holds a frame with AVX-512, not one with AMX. */
static int set_small_stack(int flags) {
    static char memory[6144];
    stack_t stack = {0};
    stack.ss_sp = memory;
    stack.ss_size = sizeof memory;
    stack.ss_flags = flags;
    return sigaltstack(&stack, NULL);
}

static void small_stack(void) {
    if (set_small_stack(0) != 0)
        SKIP("no alternate stack of 6 KiB");
    check_choice(PLENS_ISA_DEFAULT, 0,
                 "amx: refused by Linux: an alternate signal stack is too small");
    CHECK(!has_permission());
    CHECK(set_small_stack(SS_DISABLE) == 0);
    check_choice(PLENS_ISA_DEFAULT, 1, "amx: chosen for bf16, bf16x3");
    CHECK(set_small_stack(0) == -1 && errno == ENOMEM); /* as runtime/amx_permission.h warns */
}

/* From here on the request fails with EPERM. */
static int forbid_the_request(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH_REQ_XCOMP_PERM, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static void forbidden(void) {
    if (!forbid_the_request())
        SKIP("no seccomp");
    check_choice(PLENS_ISA_DEFAULT, 0, "amx: refused by Linux");
}

static void unasked(void) {
    check_choice(PLENS_ISA_AVX512BF16, 0, "amx: above the limit");
    CHECK(!has_permission());
}

static int right;

static void run_selfcheck(void *arg, size_t item, int thread) {
    (void)arg, (void)item, (void)thread;
    right = plens__selfcheck_product(plens__product_amx(PLENS_PRECISION_BF16));
}

static void multiply(void) {
    CHECK(has_permission());
    plens__guarded(run_selfcheck, NULL);
    CHECK(right);
}

static void asked_once(void) {
    CHECK(plens__amx_permission() == NULL);
    CHECK(plens__amx_permission() == NULL);
    multiply();
    if (!test_bad)
        in_a_child(multiply);
}

static void only_with_amx(void (*test)(void)) {
    if (!plens__cpu_detect().amx || plens__product_amx(PLENS_PRECISION_BF16) == NULL)
        SKIP("no AMX");
    in_a_child(test);
}

/* A reason that is not Linux's, AMX taken all the same, another set's bits in its place. */
static void a_small_signal_stack_is_told(void) {
    only_with_amx(small_stack);
}

static void a_refusal_leaves_the_next_set(void) {
    only_with_amx(forbidden);
}

/* The library's one effect on the whole process, although the caller has declined it. */
static void below_the_limit_nothing_is_asked(void) {
    only_with_amx(unasked);
}

/* A second request that fails, a permission that ends with the process that asked. */
static void the_permission_stays(void) {
    only_with_amx(asked_once);
}

int main(void) {
    RUN(a_small_signal_stack_is_told);
    RUN(a_refusal_leaves_the_next_set);
    RUN(below_the_limit_nothing_is_asked);
    RUN(the_permission_stays);
    return test_finish();
}

#else

static void permission(void) {
    SKIP("AMX is of x86-64 on Linux");
}

int main(void) {
    RUN(permission);
    return test_finish();
}

#endif
