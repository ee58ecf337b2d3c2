/* plens dump: what a run computes of one prompt as a safetensors file: input_ids I32 [T], then in
 * float32 resid.0 (embedding) .. resid.L (raw output of block L) [T, d_model] and logits [T, V], or
 * the points asked for, as POINT.L. */
#include "tests/harness/commands.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dump_file.h"
#include "tests/harness/session.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens dump --model DIR (--text S | --ids 1,2,3) --out F.safetensors\n"
    "                  [--points P,... [--layers A-B]]\n"
    "\n"
    "Writes input_ids [T], resid.0 (embedding) to resid.L (raw output of block L) [T, d_model]\n"
    "and logits [T, V] in float32.\n"
    "\n"
    "  --text S      the prompt; the tokenizer's special tokens are added\n"
    "  --ids ...     the prompt's token ids, as they are\n"
    "  --out F       the file to write\n"
    "  --points ...  these points instead, as POINT.L, blocks from 1: [T, width],\n"
    "                [T, heads, width], or [heads, T, T] (query, key; 0 where masked):\n"
    "                resid_pre, attn_norm, q, k, v, q_rot, k_rot, attn_scores, attn_pattern, z,\n"
    "                head_out, attn_out, resid_mid, mlp_norm, mlp_gate, mlp_up, mlp_act,\n"
    "                mlp_post, mlp_out, resid_post; embed, final_norm, logits (without .L)\n"
    "  --layers A-B  of these blocks only, or of one, A (all); embed, final_norm and logits are\n"
    "                of none\n"
    "\n" COMMON_USAGE;

/* ---- what to write ---- */

typedef struct selection {
    int given;                    /* 0: resid and logits */
    int wanted[PLENS_LOGITS + 1]; /* by point */
    size_t first, last;           /* blocks; 0 and 0: all */
} selection;

static int in_block(plens_point point) {
    return point > PLENS_EMBED && point < PLENS_FINAL_NORM;
}

static int read_points(const char *list, selection *wanted) {
    plens_error error;
    plens_point point;
    for (;;) {
        size_t n = strcspn(list, ",");
        char name[32]; /* longer than any */
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), list);
        if (plens_point_find(name, &point, &error) != PLENS_OK)
            return fail_usage("dump", "--points: %s", error.message);
        if (wanted->wanted[point]++)
            return fail_usage("dump", "--points names %s twice", name);
        if (list[n] == '\0')
            return EXIT_DONE;
        list += n + 1;
    }
}

static int read_layers(const char *text, selection *wanted) {
    if (parse_range(text, INT_MAX, &wanted->first, &wanted->last) && wanted->first > 0)
        return EXIT_DONE;
    return fail_usage("dump", "--layers takes A-B or A, blocks from 1, found '%s'", text);
}

/* Reads --points and --layers; either may be NULL. */
static int read_selection(const char *points, const char *layers, selection *wanted) {
    memset(wanted, 0, sizeof *wanted);
    if (points == NULL)
        return layers == NULL ? EXIT_DONE : fail_usage("dump", "--layers needs --points");
    wanted->given = 1;
    int code = read_points(points, wanted);
    return code != EXIT_DONE || layers == NULL ? code : read_layers(layers, wanted);
}

/* Lists a point under its name, or `name`, with the layer behind it if there is one. */
static void list_point(const session *s, dump_file *d, plens_point point, const char *name,
                       int numbered, size_t layer) {
    plens_point_info info;
    char full[40];
    plens_point_describe(s->model, point, &info, NULL);
    snprintf(full, sizeof full, numbered ? "%s.%zu" : "%s", name == NULL ? info.name : name, layer);
    dump_list(d, full, &info, point, layer);
}

static void list_resid(const session *s, dump_file *d) {
    list_point(s, d, PLENS_EMBED, "resid", 1, 0);
    for (size_t layer = 1; layer <= s->info.n_layers; layer++)
        list_point(s, d, PLENS_RESID_POST, "resid", 1, layer);
    list_point(s, d, PLENS_LOGITS, NULL, 0, 0);
}

/* In the order in which a run computes them. */
static void list_points(const session *s, dump_file *d, const selection *wanted) {
    if (wanted->wanted[PLENS_EMBED])
        list_point(s, d, PLENS_EMBED, NULL, 0, 0);
    size_t last = wanted->last == 0 ? s->info.n_layers : wanted->last;
    for (size_t layer = wanted->first == 0 ? 1 : wanted->first; layer <= last; layer++) {
        for (int p = PLENS_EMBED; p <= PLENS_LOGITS; p++) {
            if (wanted->wanted[p] && in_block((plens_point)p))
                list_point(s, d, (plens_point)p, NULL, 1, layer);
        }
    }
    for (int p = PLENS_FINAL_NORM; p <= PLENS_LOGITS; p++) {
        if (wanted->wanted[p])
            list_point(s, d, (plens_point)p, NULL, 0, 0);
    }
}

/* ---- writing it ---- */

static plens_status run(session *s, dump_file *d, const selection *wanted, plens_error *error) {
    plens_hook hooks[PLENS_LOGITS];
    const plens_prompt prompt = {d->ids, d->n_ids, NULL, 0};
    plens_run_options options;
    memset(hooks, 0, sizeof hooks);
    memset(&options, 0, sizeof options);
    for (int p = PLENS_EMBED; p <= PLENS_LOGITS; p++) {
        int resid = p == PLENS_EMBED || p == PLENS_RESID_POST || p == PLENS_LOGITS;
        if (wanted->given ? !wanted->wanted[p] : !resid)
            continue;
        plens_hook *hook = &hooks[options.n_hooks++];
        hook->point = (plens_point)p;
        hook->fn = dump_rows;
        hook->user = d;
        if (in_block(hook->point)) {
            hook->first_layer = wanted->first;
            hook->last_layer = wanted->last;
        }
    }
    options.hooks = hooks;
    return session_run(s, &prompt, 1, &options, NULL, error);
}

static int write_dump(session *s, const char *path, dump_file *d, const selection *wanted) {
    plens_error error;
    int code = output_open(&d->out, path);
    if (code != EXIT_DONE)
        return code;
    dump_head(d);
    plens_status status = run(s, d, wanted, &error);
    if (d->out.reason == 0 && status != PLENS_OK) {
        output_discard(&d->out);
        return fail_error(&error);
    }
    code = output_finish(&d->out);
    if (code == EXIT_DONE && (code = fail_stopped()) != EXIT_DONE)
        output_discard(&d->out);
    return code != EXIT_DONE ? code : output_publish(&d->out);
}

/* Lists what is wanted of the prompt and writes it. */
static int dump_prompt(session *s, const char *path, const int32_t *ids, size_t n_ids,
                       const selection *wanted) {
    dump_file d;
    if (wanted->last > s->info.n_layers)
        return fail_input("--layers %zu-%zu: %s has blocks 1 to %zu", wanted->first, wanted->last,
                          s->info.folder, s->info.n_layers);
    memset(&d, 0, sizeof d);
    dump_list_ids(&d, ids, n_ids);
    if (wanted->given)
        list_points(s, &d, wanted);
    else
        list_resid(s, &d);
    int code = write_dump(s, path, &d, wanted);
    free(d.tensors);
    return code;
}

int command_dump(int argc, char **argv) {
    common_options common = {0};
    prompt_options prompt = {0};
    const char *path = NULL, *points = NULL, *layers = NULL;
    selection wanted;
    const option options[] = {
        PROMPT_OPTIONS(prompt),
        {"--out", OPTION_TEXT, &path, NULL},
        {"--points", OPTION_TEXT, &points, NULL},
        {"--layers", OPTION_TEXT, &layers, NULL},
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
    code = read_selection(points, layers, &wanted);
    if (code != EXIT_DONE)
        return code;
    session s;
    int32_t *ids = NULL;
    size_t n_ids;
    system_catch_signals();
    code = session_open(&s, "dump", &common, SESSION_MODEL | SESSION_TOKENIZER_IF_ANY);
    if (code == EXIT_DONE)
        code = prompt_make(&s, &prompt, &ids, &n_ids);
    if (code == EXIT_DONE)
        code = dump_prompt(&s, path, ids, n_ids, &wanted);
    free(ids);
    session_close(&s);
    return code;
}
