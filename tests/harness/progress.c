#include "tests/harness/progress.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/system.h"

static const double bar_interval = 0.1, line_interval = 10.0;

void progress_start(progress *p, int quiet, size_t n_tokens) {
    memset(p, 0, sizeof *p);
    p->quiet = quiet;
    p->terminal = system_is_terminal(stderr);
    p->n_tokens = n_tokens;
    p->started = p->shown = system_seconds();
}

const char *clock_text(double seconds, char text[32]) {
    unsigned long whole = seconds < 0 ? 0 : seconds > 1e8 ? 100000000 : (unsigned long)seconds;
    if (whole >= 3600)
        snprintf(text, 32, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, 32, "%lu:%02lu", whole / 60, whole % 60);
    return text;
}

static void draw(progress *p, const plens_progress *now, double elapsed) {
    char layer[64], part[64] = "", left[32];
    if (now->layer > now->n_layers)
        snprintf(layer, sizeof layer, "lens");
    else
        snprintf(layer, sizeof layer, "layer %zu/%zu", now->layer, now->n_layers);
    if (now->n_parts > 1)
        snprintf(part, sizeof part, "part %zu/%zu ", now->part, now->n_parts);
    double rate = elapsed > 0 ? (double)p->n_tokens * now->fraction / elapsed : 0;
    double rest = now->fraction > 0 ? elapsed * (1 / now->fraction - 1) : 0;
    int decimals = rate < 10; /* of a model so large that tokens take seconds */
    clock_text(rest, left);
    if (!p->terminal) {
        say("%3.0f %%  %s%s, %.*f tokens/s, %s left", 100 * now->fraction, part, layer, decimals,
            rate, left);
        return;
    }
    char bar[31] = "..............................";
    size_t full = (size_t)(now->fraction * (double)(sizeof bar - 1));
    memset(bar, '#', full < sizeof bar - 1 ? full : sizeof bar - 1);
    fprintf(stderr, "\r\033[K[%s] %3.0f %%  %s%s  %.*f tokens/s  %s left", bar, 100 * now->fraction,
            part, layer, decimals, rate, left);
    fflush(stderr);
    p->drawn = 1;
}

int progress_update(void *user, const plens_progress *now) {
    progress *p = user;
    double seconds = system_seconds();
    if (!p->quiet && now->fraction < 1 &&
        seconds - p->shown >= (p->terminal ? bar_interval : line_interval)) {
        p->shown = seconds;
        draw(p, now, seconds - p->started);
    }
    return system_stop_signal() != 0;
}

double progress_end(progress *p, int completed) {
    double elapsed = system_seconds() - p->started;
    if (p->drawn)
        fputs("\r\033[K", stderr);
    if (completed && !p->quiet)
        say("%zu tokens in %.2f s, %.0f tokens/s", p->n_tokens, elapsed,
            elapsed > 0 ? (double)p->n_tokens / elapsed : 0);
    return elapsed;
}
