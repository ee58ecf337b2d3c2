/* plens selftest: the kernels of this machine against the definition. */
#include "tests/harness/commands.h"

#include <stdio.h>

#include "tests/harness/output.h"
#include "tests/harness/session.h"

static const char usage[] =
    "usage: plens selftest [--isa NAME] [--quiet]\n"
    "\n"
    "Compares every kernel that this processor can run with the definition, bit by bit, on random\n"
    "shapes and values, and says for each instruction set and part: passed, FAILED with the first\n"
    "difference, or skipped and why. Exit status 1 if anything failed.\n"
    "\n"
    "  --isa NAME  the most to test: scalar, avx2, avx512, avx512bf16, amx, neon (whatever there\n"
    "              is; testing AMX asks Linux for its permission)\n"
    "  --quiet     no note on standard error (there are none)\n";

typedef struct tally {
    output out;
    int n_failed;
} tally;

static int print_result(void *user, const plens_selftest_result *result) {
    tally *t = user;
    const char *name = plens_isa_name(result->isa);
    switch (result->outcome) {
    case PLENS_SELFTEST_PASSED:
        output_format(&t->out, "%s, %s: passed\n", name, result->part);
        break;
    case PLENS_SELFTEST_FAILED:
        t->n_failed++;
        output_format(&t->out, "%s, %s: FAILED: %s\n", name, result->part, result->detail);
        break;
    case PLENS_SELFTEST_SKIPPED:
        output_format(&t->out, "%s: skipped: %s\n", name, result->detail);
        break;
    }
    return 0;
}

int command_selftest(int argc, char **argv) {
    int isa = PLENS_ISA_DEFAULT;
    int quiet = 0; /* as all commands have it; what is printed here is the answer */
    const option options[] = {{"--isa", OPTION_CHOICE, &isa, isa_choices},
                              {"--quiet", OPTION_FLAG, &quiet, NULL}};
    int code =
        options_read("selftest", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    plens_options limits = {.precision = PLENS_PRECISION_F32, .isa_limit = (plens_isa)isa};
    plens_context *context = NULL;
    plens_error error;
    tally t = {.n_failed = 0};
    plens_status status = plens_context_create(&limits, &context, &error);
    if (status == PLENS_ERROR_ARGUMENT)
        return fail_usage("selftest", "%s", error.message);
    output_standard(&t.out);
    setvbuf(t.out.file, NULL, _IOLBF, BUFSIZ); /* each line takes a while */
    if (status == PLENS_OK)
        status = plens_selftest(context, print_result, &t, &error);
    code = status == PLENS_OK ? output_finish(&t.out) : fail_error(&error);
    output_discard(&t.out);
    plens_context_destroy(context);
    return code == EXIT_DONE && t.n_failed > 0 ? EXIT_NO : code;
}
