/* What every command has in common: the common options, and a context with a model and its
 * tokenizer made from them. */
#ifndef PLENS_HARNESS_SESSION_H
#define PLENS_HARNESS_SESSION_H

#include "plens.h"
#include "tests/harness/options.h"

typedef struct common_options {
    const char *model;
    int precision, isa; /* plens_precision, plens_isa */
    size_t threads;     /* 0: as many as there are processors */
    uint64_t memory;    /* 0: most of what the machine has free */
    int quiet, profile;
} common_options;

extern const option_choice precision_choices[], isa_choices[];

/* Rows of a command's table of options. */
#define COMMON_OPTIONS(common)                                                                     \
    {"--model", OPTION_TEXT, &(common).model, NULL},                                               \
        {"--precision", OPTION_CHOICE, &(common).precision, precision_choices},                    \
        {"--isa", OPTION_CHOICE, &(common).isa, isa_choices},                                      \
        {"--threads", OPTION_COUNT, &(common).threads, NULL},                                      \
        {"--memory", OPTION_BYTES, &(common).memory, NULL},                                        \
        {"--profile", OPTION_FLAG, &(common).profile, NULL}, {                                     \
        "--quiet", OPTION_FLAG, &(common).quiet, NULL                                              \
    }

#define COMMON_USAGE                                                                               \
    "Common options:\n"                                                                            \
    "  --model DIR        a Hugging Face model folder\n"                                           \
    "  --precision NAME   how matrices are multiplied: f32, bf16, or bf16x3, which is as exact\n"  \
    "                     as f32 (bf16 if all of the model's matrices are BF16, else f32)\n"       \
    "  --threads N        (one per processor)\n"                                                   \
    "  --memory 8G        budget of a run in bytes; K, M, G, T are powers of 1,024 (7/8 of\n"      \
    "                     what the machine has free)\n"                                            \
    "  --isa NAME         the most to use: scalar, avx2, avx512, avx512bf16, amx; on ARM scalar\n" \
    "                     or neon (whatever there is)\n"                                           \
    "  --profile          on standard error, where the time of a run went\n"                       \
    "  --quiet            no progress and no notes on standard error\n"

typedef enum session_parts {
    SESSION_MODEL = 1,
    SESSION_TOKENIZER = 2,
    SESSION_TOKENIZER_IF_ANY = 4 /* none if the folder has no tokenizer.json */
} session_parts;

typedef struct session {
    common_options options;
    plens_context *context;
    plens_context_info machine;
    plens_model *model;
    plens_model_info info;
    plens_tokenizer *tokenizer;
    size_t held; /* bytes that the library has from the allocator */
} session;

/* Returns EXIT_DONE or the exit status, the mistake said. Close it in either case; it must stay
 * where it is. */
int session_open(session *s, const char *command, const common_options *options, unsigned parts);
void session_close(session *s);

/* The precision of runs of the session's model, and the instruction set of its matrix products. */
const char *session_precision(const session *s);
const char *session_product(const session *s);

/* The same with a context alone, for commands that only read texts. */
int session_open_texts(session *s, const char *command);

/* The "--text S | --ids 1,2,3" of lens and dump. */
typedef struct prompt_options {
    const char *text, *ids;
} prompt_options;

#define PROMPT_OPTIONS(prompt)                                                                     \
    {"--text", OPTION_TEXT, &(prompt).text, NULL}, {                                               \
        "--ids", OPTION_TEXT, &(prompt).ids, NULL                                                  \
    }

/* Usage mistakes that can be told before anything is opened. */
int prompt_check(const char *command, const prompt_options *options);

/* Token ids of the prompt, checked against the model's vocabulary; says them on standard error
 * unless quiet. Free *ids with free(). */
int prompt_make(session *s, const prompt_options *options, int32_t **ids, size_t *n_ids);

/* The bytes that a run may take: --memory less what the program holds already, but 8 megabytes of
 * it at least; or most of what the machine has free. 0 if that is not known. */
uint64_t session_budget(const session *s);

/* plens_run within the budget, with its plan and progress on standard error; a signal ends it as
 * PLENS_CANCELLED. Adds its progress function to the options. seconds may be NULL. */
plens_status session_run(session *s, const plens_prompt *prompts, size_t n_prompts,
                         plens_run_options *options, double *seconds, plens_error *error);

/* EXIT_INPUT naming `place` unless every id is a row of the model's embedding. */
int session_check_ids(const session *s, const char *place, const int32_t *ids, size_t n_ids);

#endif
