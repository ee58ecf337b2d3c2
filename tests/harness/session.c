#include "tests/harness/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/memory.h"
#include "tests/harness/message.h"
#include "tests/harness/plan.h"
#include "tests/harness/progress.h"
#include "tests/harness/system.h"

const option_choice precision_choices[] = {{"f32", PLENS_PRECISION_F32},
                                           {"bf16", PLENS_PRECISION_BF16},
                                           {"bf16x3", PLENS_PRECISION_BF16X3},
                                           {NULL, 0}};

const option_choice isa_choices[] = {{"scalar", PLENS_ISA_SCALAR},
                                     {"avx2", PLENS_ISA_AVX2},
                                     {"avx512", PLENS_ISA_AVX512},
                                     {"avx512bf16", PLENS_ISA_AVX512BF16},
                                     {"amx", PLENS_ISA_AMX},
                                     {"neon", PLENS_ISA_NEON},
                                     {NULL, 0}};

/* An allocator that counts; user is the session. */
static void *count_bytes(void *user, void *old, size_t old_size, size_t new_size) {
    session *s = user;
    void *block = NULL;
    if (new_size == 0)
        free(old);
    else if ((block = realloc(old, new_size)) == NULL)
        return NULL;
    s->held += new_size - old_size;
    return block;
}

uint64_t session_budget(const session *s) {
    const uint64_t mebibyte = (uint64_t)1 << 20;
    uint64_t budget = s->options.memory;
    if (budget == 0) {
        uint64_t available = memory_available();
        return available - available / 8;
    }
    /* The program, its tables and the tokenizer as they are; and what will come: results, code. The
     * program takes some megabytes: what is asked to run in fewer gets them for the run alone. */
    uint64_t resident = memory_resident(), held = resident > s->held ? resident : s->held;
    uint64_t own = held + (budget / 64 < 32 * mebibyte ? budget / 64 : 32 * mebibyte);
    uint64_t least = budget < 8 * mebibyte ? budget : 8 * mebibyte;
    return own < budget && budget - own > least ? budget - own : least;
}

static int open_context(session *s, const char *command) {
    plens_options options;
    plens_error error;
    memset(&options, 0, sizeof options);
    options.precision = (plens_precision)s->options.precision;
    options.isa_limit = (plens_isa)s->options.isa;
    options.threads = (int)s->options.threads;
    options.memory = s->options.memory;
    options.allocator = (plens_allocator){count_bytes, s};
    plens_status status = plens_context_create(&options, &s->context, &error);
    if (status == PLENS_ERROR_ARGUMENT)
        return fail_usage(command, "%s", error.message);
    if (status != PLENS_OK)
        return fail_error(&error);
    plens_context_describe(s->context, &s->machine);
    return EXIT_DONE;
}

static int has_tokenizer(const char *folder) {
    char *path = join(folder, "/tokenizer.json", NULL);
    int found = system_exists(path);
    free(path);
    return found;
}

const char *session_precision(const session *s) {
    return plens_precision_name(plens_run_precision(s->context, s->model));
}

const char *session_product(const session *s) {
    return plens_isa_name(s->machine.products[plens_run_precision(s->context, s->model)]);
}

int session_open(session *s, const char *command, const common_options *options, unsigned parts) {
    plens_error error;
    memset(s, 0, sizeof *s);
    s->options = *options;
    if (options->model == NULL)
        return fail_usage(command, "--model DIR is missing");
    if (options->model[0] == '\0')
        return fail_usage(command, "--model takes a folder, its name is empty");
    int code = open_context(s, command);
    if (code != EXIT_DONE)
        return code;
    if ((parts & SESSION_MODEL) != 0) {
        if (plens_model_open(s->context, options->model, &s->model, &error) != PLENS_OK)
            return fail_error(&error);
        plens_model_describe(s->model, &s->info);
    }
    if ((parts & SESSION_TOKENIZER_IF_ANY) != 0 && has_tokenizer(options->model))
        parts |= SESSION_TOKENIZER;
    if ((parts & SESSION_TOKENIZER) != 0 &&
        plens_tokenizer_open(s->context, options->model, &s->tokenizer, &error) != PLENS_OK)
        return fail_error(&error);
    return EXIT_DONE;
}

int session_open_texts(session *s, const char *command) {
    memset(s, 0, sizeof *s);
    s->options.threads = 1;
    return open_context(s, command);
}

void session_close(session *s) {
    plens_tokenizer_close(s->tokenizer);
    plens_model_close(s->model);
    plens_context_destroy(s->context);
}

static int is_id(const session *s, int32_t id) {
    return id >= 0 && (size_t)id < s->info.vocab_size;
}

/* id [n]: as it was given, since it may be too large for any number here. */
static int fail_range(const session *s, const char *place, const char *id, size_t n) {
    return fail_input("%s: token id %.*s is out of range: the model has the ids 0 to %zu", place,
                      (int)n, id, s->info.vocab_size - 1);
}

int session_check_ids(const session *s, const char *place, const int32_t *ids, size_t n_ids) {
    for (size_t i = 0; i < n_ids; i++) {
        char id[24];
        if (!is_id(s, ids[i]))
            return fail_range(s, place, id, (size_t)snprintf(id, sizeof id, "%ld", (long)ids[i]));
    }
    return EXIT_DONE;
}

static int longer_first(const void *left, const void *right) {
    const double *a = *(const double *const *)left, *b = *(const double *const *)right;
    return *a > *b ? -1 : *a < *b;
}

static int is_product(size_t work) {
    return (work >= PLENS_WORK_Q && work <= PLENS_WORK_DOWN) || work == PLENS_WORK_UNEMBED;
}

/* What took longest comes first; then all matrix products together. */
static void say_profile(const plens_profile *profile) {
    const double *order[PLENS_N_WORKS];
    double all = 0, products = 0;
    for (size_t i = 0; i < PLENS_N_WORKS; i++) {
        order[i] = &profile->seconds[i];
        all += profile->seconds[i];
        products += is_product(i) ? profile->seconds[i] : 0;
    }
    qsort(order, PLENS_N_WORKS, sizeof *order, longer_first);
    for (size_t i = 0; i<PLENS_N_WORKS && * order[i]> 0; i++)
        say("%9.3f s %5.1f %%  %s", *order[i], 100 * *order[i] / all,
            plens_work_name((plens_work)(order[i] - profile->seconds)));
    if (all > 0)
        say("%9.3f s %5.1f %%  the matrix products of %.3f s in all", products,
            100 * products / all, all);
}

/* Positions that a model never saw in training give nonsense, and nothing else would tell. */
static void say_too_long(const session *s, const plens_prompt *prompts, size_t n_prompts) {
    size_t most = s->info.max_positions, longest = 0, count = 0;
    for (size_t i = 0; i < n_prompts; i++) {
        count += most > 0 && prompts[i].n_ids > most;
        longest = prompts[i].n_ids > longest ? prompts[i].n_ids : longest;
    }
    if (count > 0)
        say("note: %zu of %zu prompts are longer than the %zu positions that the model was made "
            "for "
            "(max_position_embeddings), the longest has %zu tokens",
            count, n_prompts, most, longest);
}

plens_status session_run(session *s, const plens_prompt *prompts, size_t n_prompts,
                         plens_run_options *options, double *seconds, plens_error *error) {
    progress p;
    plens_plan plan;
    plens_profile profile;
    size_t n_tokens = 0;
    for (size_t i = 0; i < n_prompts; i++)
        n_tokens += prompts[i].n_ids;
    if (!s->options.quiet)
        say_too_long(s, prompts, n_prompts);
    options->progress = progress_update;
    options->progress_user = &p;
    options->memory = session_budget(s);
    options->profile = s->options.profile ? &profile : NULL;
    plens_status planned =
        plens_run_plan(s->context, s->model, prompts, n_prompts, options, &plan, error);
    if (planned != PLENS_OK)
        return planned;
    if (!s->options.quiet)
        plan_say(&plan);
    progress_start(&p, s->options.quiet, n_tokens);
    if (options->saver != NULL && options->saver->read != NULL)
        progress_goes_on(&p);
    plens_status status = plens_run(s->context, s->model, prompts, n_prompts, options, error);
    double elapsed = progress_end(&p, status == PLENS_OK);
    if (options->profile != NULL)
        say_profile(&profile);
    options->profile = NULL;
    if (seconds != NULL)
        *seconds = elapsed;
    return status;
}

/* "1,2,3" to ids; a number too large for any vocabulary becomes INT32_MAX, which none has.
 * Returns how many, 0 if the list is malformed. ids may be NULL. */
static size_t parse_ids(const char *list, int32_t *ids) {
    size_t count = 0;
    for (const char *at = list;; at++) {
        int negative = *at == '-';
        at += negative;
        if (*at < '0' || *at > '9')
            return 0;
        int32_t id = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            id = id > (INT32_MAX - 9) / 10 ? INT32_MAX : id * 10 + (*at - '0');
        if (ids != NULL)
            ids[count] = negative ? -id : id;
        count++;
        if (*at == '\0')
            return count;
        if (*at != ',')
            return 0;
    }
}

int prompt_check(const char *command, const prompt_options *options) {
    if ((options->text == NULL) == (options->ids == NULL))
        return fail_usage(command, "needs either --text S or --ids 1,2,3");
    if (options->ids != NULL && parse_ids(options->ids, NULL) == 0)
        return fail_usage(command, "--ids takes numbers joined by commas, found '%s'",
                          options->ids);
    return EXIT_DONE;
}

static int encode_text(session *s, const char *text, int32_t **ids, size_t *n_ids) {
    plens_error error;
    plens_ids encoded = {NULL, 0};
    if (*text == '\0')
        return fail_input("--text: the text is empty");
    if (s->tokenizer == NULL)
        return fail_input("%s/tokenizer.json: not found, so --text cannot be used",
                          s->options.model);
    if (plens_tokenizer_encode(s->context, s->tokenizer, text, strlen(text), 1, &encoded, &error))
        return fail_input("--text: %s", error.message);
    *n_ids = encoded.count;
    *ids = allocate(encoded.count, sizeof **ids);
    if (encoded.count > 0)
        memcpy(*ids, encoded.data, encoded.count * sizeof **ids);
    plens_ids_free(s->context, &encoded);
    if (*n_ids == 0)
        return fail_input("--text: the text has no tokens");
    return EXIT_DONE;
}

static void say_ids(const int32_t *ids, size_t n_ids) {
    fputs("plens: token ids ", stderr);
    for (size_t i = 0; i < n_ids; i++)
        fprintf(stderr, "%s%ld", i == 0 ? "" : ",", (long)ids[i]);
    fputc('\n', stderr);
}

/* The ids of a list that prompt_check let pass. */
static int read_ids(const session *s, const char *list, int32_t **ids, size_t *n_ids) {
    *n_ids = parse_ids(list, NULL);
    *ids = allocate(*n_ids, sizeof **ids);
    parse_ids(list, *ids);
    for (size_t i = 0; i < *n_ids; i++) {
        size_t length = strcspn(list, ",");
        if (!is_id(s, (*ids)[i]))
            return fail_range(s, "--ids", list, length);
        list += length + 1;
    }
    return EXIT_DONE;
}

int prompt_make(session *s, const prompt_options *options, int32_t **ids, size_t *n_ids) {
    int code = EXIT_DONE;
    if (options->text != NULL) {
        code = encode_text(s, options->text, ids, n_ids);
        if (code == EXIT_DONE)
            code = session_check_ids(s, "--text", *ids, *n_ids);
    } else {
        code = read_ids(s, options->ids, ids, n_ids);
    }
    if (code == EXIT_DONE && !s->options.quiet)
        say_ids(*ids, *n_ids);
    return code;
}
