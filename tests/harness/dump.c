/* plens dump: the residual stream of one prompt and its logits as a safetensors file:
 *     input_ids I32 [T], resid.0 (embedding) .. resid.L (raw output of block L) F32 [T, d_model],
 *     logits F32 [T, V]
 * in this order in the file. Rows go to their places as the run hands them out. */
#include "tests/harness/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/output.h"
#include "tests/harness/session.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens dump --model DIR (--text S | --ids 1,2,3) --out F.safetensors\n"
    "\n"
    "Writes input_ids [T], resid.0 (embedding) to resid.L (raw output of block L) [T, d_model]\n"
    "and logits [T, V] in float32.\n"
    "\n"
    "  --text S   the prompt; the tokenizer's special tokens are added\n"
    "  --ids ...  the prompt's token ids, as they are\n"
    "  --out F    the file to write\n"
    "\n" COMMON_USAGE;

typedef struct dump {
    output file;
    size_t n_ids, n_layers, d_model, vocab_size;
    uint64_t data;          /* offset of the first tensor in the file */
    uint64_t resid, logits; /* offsets of resid.0 and logits from there */
} dump;

static uint64_t resid_bytes(const dump *d) {
    return (uint64_t)d->n_ids * d->d_model * sizeof(float);
}

/* Appends a tensor [rows, columns] to the header's JSON; columns 0: [rows]. */
static int add_tensor(char *json, const char *name, const char *dtype, size_t rows, size_t columns,
                      uint64_t first) {
    size_t n_values = rows * (columns == 0 ? 1 : columns);
    char shape[48];
    snprintf(shape, sizeof shape, columns == 0 ? "%zu" : "%zu,%zu", rows, columns);
    return sprintf(json, "\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
                   name, dtype, shape, (unsigned long long)first,
                   (unsigned long long)(first + 4 * (uint64_t)n_values));
}

/* Writes the length of the header, 8 bytes, and the header, padded with spaces to a multiple of 8
 * [format: https://github.com/huggingface/safetensors#format], then the first tensor. */
static void write_head(dump *d, const int32_t *ids) {
    const size_t tensor_bytes = 192; /* more than any entry takes: names and numbers are short */
    char *json = allocate((d->n_layers + 3) * tensor_bytes, 1), name[32];
    size_t n = (size_t)sprintf(json, "{");
    n += (size_t)add_tensor(json + n, "input_ids", "I32", d->n_ids, 0, 0);
    for (size_t layer = 0; layer <= d->n_layers; layer++) {
        snprintf(name, sizeof name, "resid.%zu", layer);
        json[n++] = ',';
        n += (size_t)add_tensor(json + n, name, "F32", d->n_ids, d->d_model,
                                d->resid + layer * resid_bytes(d));
    }
    json[n++] = ',';
    n += (size_t)add_tensor(json + n, "logits", "F32", d->n_ids, d->vocab_size, d->logits);
    json[n++] = '}';
    while (n % 8 != 0)
        json[n++] = ' ';
    unsigned char length[8];
    for (unsigned k = 0; k < 8; k++)
        length[k] = (unsigned char)((uint64_t)n >> (8 * k));
    output_bytes(&d->file, length, sizeof length);
    output_bytes(&d->file, json, n);
    free(json);
    d->data = d->file.offset;
    output_ids(&d->file, ids, d->n_ids);
}

/* A plens_hook_fn: writes rows [n_rows, width] to their positions. */
static int write_rows(void *user, const plens_activations *a) {
    dump *d = user;
    uint64_t tensor = a->point == PLENS_LOGITS ? d->logits : d->resid + a->layer * resid_bytes(d);
    for (size_t i = 0; i < a->n_rows; i++) {
        output_seek(&d->file,
                    d->data + tensor + (uint64_t)a->rows[i].position * a->width * sizeof(float));
        output_floats(&d->file, a->values + i * a->width, a->width);
    }
    return d->file.reason != 0;
}

static plens_status run(session *s, dump *d, const int32_t *ids, plens_error *error) {
    static const plens_point points[] = {PLENS_EMBED, PLENS_RESID_POST, PLENS_LOGITS};
    enum { N_POINTS = sizeof points / sizeof points[0] };
    plens_hook hooks[N_POINTS];
    const plens_prompt prompt = {ids, d->n_ids, NULL, 0};
    plens_run_options options;
    memset(hooks, 0, sizeof hooks);
    for (size_t i = 0; i < N_POINTS; i++) {
        hooks[i].point = points[i];
        hooks[i].positions = PLENS_POSITIONS_ALL;
        hooks[i].fn = write_rows;
        hooks[i].user = d;
    }
    memset(&options, 0, sizeof options);
    options.hooks = hooks;
    options.n_hooks = N_POINTS;
    return session_run(s, &prompt, 1, &options, NULL, error);
}

static int write_dump(session *s, const char *path, const int32_t *ids, size_t n_ids) {
    dump d;
    plens_error error;
    memset(&d, 0, sizeof d);
    d.n_ids = n_ids;
    d.n_layers = s->info.n_layers;
    d.d_model = s->info.d_model;
    d.vocab_size = s->info.vocab_size;
    d.resid = 4 * (uint64_t)n_ids;
    d.logits = d.resid + (d.n_layers + 1) * resid_bytes(&d);
    int code = output_open(&d.file, path);
    if (code != EXIT_DONE)
        return code;
    write_head(&d, ids);
    plens_status status = run(s, &d, ids, &error);
    if (d.file.reason == 0 && status != PLENS_OK) {
        output_discard(&d.file);
        return fail_error(&error);
    }
    code = output_finish(&d.file);
    if (code == EXIT_DONE && (code = fail_stopped()) != EXIT_DONE)
        output_discard(&d.file);
    return code != EXIT_DONE ? code : output_publish(&d.file);
}

int command_dump(int argc, char **argv) {
    common_options common = {0};
    prompt_options prompt = {0};
    const char *path = NULL;
    const option options[] = {
        PROMPT_OPTIONS(prompt),
        {"--out", OPTION_TEXT, &path, NULL},
        {"--points", OPTION_LATER, NULL, NULL},
        {"--layers", OPTION_LATER, NULL, NULL},
        COMMON_OPTIONS(common),
    };
    int code = options_read("dump", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    code = prompt_check("dump", &prompt);
    if (code != EXIT_DONE)
        return code;
    if (path == NULL)
        return fail_usage("dump", "--out FILE is missing");
    session s;
    int32_t *ids = NULL;
    size_t n_ids;
    system_catch_signals();
    code = session_open(&s, "dump", &common, SESSION_MODEL | SESSION_TOKENIZER_IF_ANY);
    if (code == EXIT_DONE)
        code = prompt_make(&s, &prompt, &ids, &n_ids);
    if (code == EXIT_DONE)
        code = write_dump(&s, path, ids, n_ids);
    free(ids);
    session_close(&s);
    return code;
}
