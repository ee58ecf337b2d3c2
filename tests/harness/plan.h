/* What a run is going to take, said before it begins. */
#ifndef PLENS_HARNESS_PLAN_H
#define PLENS_HARNESS_PLAN_H

#include "tests/harness/output.h"
#include "tests/harness/session.h"

/* One line on standard error. */
void plan_say(const plens_plan *plan);

/* All of it, and how long it will take by a short sample of the same work. Options as for
 * plens_run. Returns EXIT_DONE or the exit status, the mistake said. */
int plan_print(output *out, session *s, const plens_prompt *prompts, size_t n_prompts,
               const plens_run_options *options);

#endif
