#define _POSIX_C_SOURCE 199309L /* clock_gettime */

#include "runtime/clock.h"

#include <string.h>
#include <time.h>

const char *plens_work_name(plens_work work) {
    static const char *const names[PLENS_N_WORKS] = {"read",
                                                     "pack",
                                                     "q_proj",
                                                     "k_proj",
                                                     "v_proj",
                                                     "o_proj",
                                                     "gate_proj",
                                                     "up_proj",
                                                     "down_proj",
                                                     "attention",
                                                     "rows",
                                                     "unembed",
                                                     "softmax and top-k",
                                                     "hooks",
                                                     "rest"};
    return (unsigned)work < PLENS_N_WORKS ? names[work] : NULL;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void plens__clock_start(plens__clock *clock, plens_profile *profile) {
    clock->profile = profile;
    if (profile == NULL)
        return;
    memset(profile, 0, sizeof *profile);
    clock->since = now();
}

void plens__clock_lap(plens__clock *clock, plens_work part) {
    if (clock->profile == NULL)
        return;
    double time = now();
    clock->profile->seconds[part] += time - clock->since;
    clock->since = time;
}
