/* How far a run is: a bar on a terminal, now and then a line elsewhere, nothing if quiet. It is
 * also where a run learns that a signal asked it to stop. */
#ifndef PLENS_HARNESS_PROGRESS_H
#define PLENS_HARNESS_PROGRESS_H

#include "plens.h"

typedef struct progress {
    int quiet, terminal;
    size_t columns;        /* of the terminal; 0: not known */
    size_t n_tokens;       /* of the whole run */
    double started, shown; /* seconds; of the last time something was shown */
    int resumed;           /* 1: it goes on from a fraction that the first call tells */
    double first_fraction; /* what was done already, and when that was known: rate and time left */
    double first_seconds;  /* are from there on */
    int drawn;             /* a bar stands in the line now */
} progress;

/* 75 seconds as "1:15", 3700 as "1:01:40". */
const char *clock_text(double seconds, char text[32]);

void progress_start(progress *p, int quiet, size_t n_tokens);

/* The run goes on from where another one ended: after progress_start. */
void progress_goes_on(progress *p);

/* Where the run is at `seconds`: "40 %  part 1/2 layer 3/12, 812 tokens/s, 0:10 left"; with a bar
 * in front, as wide as the columns allow, for a terminal. */
enum { PROGRESS_TEXT = 256 };
void progress_text(const progress *p, const plens_progress *now, double seconds,
                   char text[PROGRESS_TEXT]);

/* A plens_progress_fn; user is a progress. */
int progress_update(void *user, const plens_progress *now);

/* Clears the bar and, if the run was completed, says how long it took. Returns the seconds. */
double progress_end(progress *p, int completed);

#endif
