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
    p->columns = p->terminal ? system_columns(stderr) : 0;
    p->n_tokens = n_tokens;
    p->started = p->shown = p->first_seconds = system_seconds();
}

void progress_goes_on(progress *p) {
    p->resumed = 1;
}

const char *clock_text(double seconds, char text[32]) {
    unsigned long whole = seconds < 0 ? 0 : seconds > 1e8 ? 100000000 : (unsigned long)seconds;
    if (whole >= 3600)
        snprintf(text, 32, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, 32, "%lu:%02lu", whole / 60, whole % 60);
    return text;
}

/* Puts a bar in front of the text if there is room for one, and cuts what is too long: a line that
 * wraps could not be drawn over. */
static void add_bar(const progress *p, double fraction, char text[PROGRESS_TEXT]) {
    char line[PROGRESS_TEXT], bar[] = "..............................";
    size_t columns = p->columns > 0 ? p->columns : 80, used = strlen(text) + 4;
    size_t width = columns > used ? columns - used : 0;
    if (width > sizeof bar - 1)
        width = sizeof bar - 1;
    if (width < 5) {
        if (strlen(text) >= columns)
            text[columns - 1] = '\0';
        return;
    }
    size_t full = (size_t)(fraction * (double)width);
    memset(bar, '#', full < width ? full : width);
    snprintf(line, sizeof line, "[%.*s] %.200s", (int)width, bar, text);
    strcpy(text, line);
}

void progress_text(const progress *p, const plens_progress *now, double seconds,
                   char text[PROGRESS_TEXT]) {
    char layer[64], part[64] = "", left[32];
    if (now->layer > now->n_layers)
        snprintf(layer, sizeof layer, "lens");
    else
        snprintf(layer, sizeof layer, "layer %zu/%zu", now->layer, now->n_layers);
    if (now->n_parts > 1)
        snprintf(part, sizeof part, "part %zu/%zu ", now->part, now->n_parts);
    double elapsed = seconds - p->first_seconds, done = now->fraction - p->first_fraction;
    double rate = elapsed > 0 ? (double)p->n_tokens * done / elapsed : 0;
    double rest = done > 0 ? elapsed * (1 - now->fraction) / done : 0;
    int decimals = rate < 10; /* of a model so large that tokens take seconds */
    clock_text(rest, left);
    snprintf(text, PROGRESS_TEXT,
             p->terminal ? "%3.0f %%  %s%s  %.*f tokens/s  %s left"
                         : "%3.0f %%  %s%s, %.*f tokens/s, %s left",
             100 * now->fraction, part, layer, decimals, rate, left);
    if (p->terminal)
        add_bar(p, now->fraction, text);
}

static void draw(progress *p, const plens_progress *now, double seconds) {
    char text[PROGRESS_TEXT];
    progress_text(p, now, seconds, text);
    if (!p->terminal) {
        say("%s", text);
        return;
    }
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    p->drawn = 1;
}

int progress_update(void *user, const plens_progress *now) {
    progress *p = user;
    double seconds = system_seconds();
    if (p->resumed && p->first_fraction <= 0) {
        p->first_fraction = now->fraction;
        p->first_seconds = seconds;
    } else if (!p->quiet && now->fraction < 1 &&
               seconds - p->shown >= (p->terminal ? bar_interval : line_interval)) {
        p->shown = seconds;
        draw(p, now, seconds);
    }
    return system_stop_signal() != 0;
}

double progress_end(progress *p, int completed) {
    double elapsed = system_seconds() - p->started;
    if (p->drawn)
        fputs("\r\033[K", stderr);
    double tokens = (double)p->n_tokens * (1 - p->first_fraction);
    if (completed && !p->quiet)
        say("%s%.0f tokens in %.2f s, %.0f tokens/s%s", p->resumed ? "about " : "", tokens, elapsed,
            elapsed > 0 ? tokens / elapsed : 0, p->resumed ? "; the others were done before" : "");
    return elapsed;
}
