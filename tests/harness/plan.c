#include "tests/harness/plan.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness/progress.h"
#include "tests/harness/system.h"

/* 3435973837 as "3.2 GiB". */
static const char *bytes_text(uint64_t bytes, char text[24]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    for (; value >= 1024 && unit < 3; unit++)
        value /= 1024;
    snprintf(text, 24, "%.1f %s", value, units[unit]);
    return text;
}

/* 2.5e14 as "250.0 TFLOP". */
static const char *work_text(double flops, char text[24]) {
    static const char *const units[] = {"MFLOP", "GFLOP", "TFLOP", "PFLOP"};
    size_t unit = 0;
    flops /= 1e6;
    for (; flops >= 1000 && unit < 3; unit++)
        flops /= 1000;
    snprintf(text, 24, "%.1f %s", flops, units[unit]);
    return text;
}

static uint64_t rows_bytes(const plens_plan *p) {
    return p->activation_bytes - p->kv_bytes - p->lens_bytes;
}

void plan_say(const plens_plan *p) {
    char memory[24], weights[24], rows[24], kv[24], lens[24], reads[24], work[24];
    say("plan: %zu %s, %llu rows for %llu tokens, %s of memory (weights %s, activations %s, K and "
        "V %s, lens %s), %s to read, %s%s",
        p->n_parts, p->n_parts == 1 ? "part" : "parts", (unsigned long long)p->n_rows,
        (unsigned long long)p->n_tokens, bytes_text(p->staging_bytes + p->activation_bytes, memory),
        bytes_text(p->staging_bytes, weights), bytes_text(rows_bytes(p), rows),
        bytes_text(p->kv_bytes, kv), bytes_text(p->lens_bytes, lens),
        bytes_text(p->weight_bytes_read, reads), work_text(p->flops, work),
        p->computes_twice ? "; the blocks are computed twice: no room for the states of all layers"
                          : "");
}

/* ---- how long ---- */

/* Progress of a sample: where it stood when its first rows were done, and where it stands. */
typedef struct sample {
    double seconds, fraction; /* at the first call; seconds 0: not yet called */
    double now, fraction_now; /* at the latest */
} sample;

static const double sample_seconds = 0.5;

/* A plens_progress_fn that stops the run when enough has been seen. */
static int watch(void *user, const plens_progress *at) {
    sample *s = user;
    s->now = system_seconds();
    s->fraction_now = at->fraction;
    if (s->seconds == 0) {
        s->seconds = s->now;
        s->fraction = at->fraction;
    }
    return s->now - s->seconds >= sample_seconds || system_stop_signal() != 0;
}

/* Flops a second of the first prompts in the first blocks; 0 if the model is too small to tell. */
static int measure(session *s, const plens_prompt *prompts, size_t n_prompts, double *rate) {
    enum { SAMPLE_TOKENS = 2048 };
    plens_run_options options;
    plens_plan plan;
    plens_error error;
    sample seen;
    size_t n = 0;
    memset(&options, 0, sizeof options);
    memset(&seen, 0, sizeof seen);
    for (size_t tokens = 0; n < n_prompts && tokens < SAMPLE_TOKENS; n++)
        tokens += prompts[n].n_ids;
    options.progress = watch;
    options.progress_user = &seen;
    options.memory = session_budget(s);
    plens_status status = plens_run_plan(s->context, s->model, prompts, n, &options, &plan, &error);
    if (status == PLENS_OK)
        status = plens_run(s->context, s->model, prompts, n, &options, &error);
    if (status != PLENS_OK && status != PLENS_CANCELLED)
        return fail_error(&error);
    double elapsed = seen.now - seen.seconds;
    *rate = elapsed > 0 ? (seen.fraction_now - seen.fraction) * plan.flops / elapsed : 0;
    return fail_stopped();
}

static void print_bytes(output *out, const char *name, uint64_t bytes, const char *note) {
    char text[24];
    output_format(out, "%s: %llu bytes (%s%s)\n", name, (unsigned long long)bytes,
                  bytes_text(bytes, text), note);
}

static void print_time(output *out, const plens_plan *p, double rate) {
    char speed[24], took[32], need[24];
    if (rate <= 0)
        return;
    double seconds = p->flops / rate;
    output_format(out, "time: about %s (%s/s, measured in a moment of the same work)\n",
                  clock_text(seconds, took), work_text(rate, speed));
    if (seconds >= 1)
        output_format(out, "disk: keeps up from %s/s on\n",
                      bytes_text((uint64_t)((double)p->weight_bytes_read / seconds), need));
}

int plan_print(output *out, session *s, const plens_prompt *prompts, size_t n_prompts,
               const plens_run_options *options) {
    plens_plan p;
    plens_error error;
    char text[24], note[96];
    double rate = 0;
    if (plens_run_plan(s->context, s->model, prompts, n_prompts, options, &p, &error) != PLENS_OK)
        return fail_error(&error);
    int code = measure(s, prompts, n_prompts, &rate);
    if (code != EXIT_DONE)
        return code;
    snprintf(note, sizeof note, ", %zu layers at a time: the blocks are computed twice",
             p.lens_layers);
    output_format(out, "prompts: %zu\n", n_prompts);
    output_format(out, "tokens: %llu\n", (unsigned long long)p.n_tokens);
    output_format(out, "rows: %llu (what prompts share at their beginnings is computed once)\n",
                  (unsigned long long)p.n_rows);
    output_format(out, "parts: %zu (%s the weights are read)\n", p.n_parts,
                  p.computes_twice ? "twice as often" : "as often");
    print_bytes(out, "budget", options->memory,
                s->options.memory > 0 ? ", --memory less what is held" : ", 7/8 of what is free");
    print_bytes(out, "memory", p.staging_bytes + p.activation_bytes, "");
    print_bytes(out, "  weights", p.staging_bytes - p.scratch_bytes - p.tile_bytes,
                p.reads_ahead ? ", two blocks: one is read while the other computes"
                              : ", one block: no room to read ahead");
    print_bytes(out, "  tiles", p.tile_bytes, ", of the unembedding");
    print_bytes(out, "  activations", rows_bytes(&p), "");
    print_bytes(out, "  K and V", p.kv_bytes, "");
    print_bytes(out, "  lens", p.lens_bytes, p.computes_twice ? note : "");
    print_bytes(out, "  scratch", p.scratch_bytes, "");
    print_bytes(out, "reads", p.weight_bytes_read, "");
    output_format(out, "work: %.6g flops (%s)\n", p.flops, work_text(p.flops, text));
    print_time(out, &p, rate);
    return EXIT_DONE;
}
