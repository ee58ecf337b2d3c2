/* Where a run's time goes: the seconds between one lap and the next count for a part of the work.
 * Read on the thread that called plens_run, between its steps. */
#ifndef PLENS_RUNTIME_CLOCK_H
#define PLENS_RUNTIME_CLOCK_H

#include "plens.h"

typedef struct plens__clock {
    plens_profile *profile; /* NULL: nothing is measured */
    double since;
} plens__clock;

void plens__clock_start(plens__clock *clock, plens_profile *profile);
/* What passed since the last lap was spent on `part`. */
void plens__clock_lap(plens__clock *clock, plens_work part);

#endif
