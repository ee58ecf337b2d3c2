/* A unit test of another engine: are its states the model's?
 * audit_in_a_unit_test DIR TOLERANCE [BLOCK]: with a mistake in the output of BLOCK */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plens.h"

enum { N_IDS = 4 };
static const int32_t ids[N_IDS] = {1, 5, 9, 2};
static float *states[200]; /* the embedding, blocks 1..L's outputs: [N_IDS, d_model] */

static int keep(void *user, const plens_activations *a) {
    (void)user;
    for (size_t r = 0; r < a->n_rows; r++)
        memcpy(states[a->layer] + a->rows[r].position * a->width, a->values + r * a->width,
               a->width * sizeof(float));
    return 0;
}

/* The engine under test fills states; here plens itself stands in for it. */
static int my_engine(plens_context *context, plens_model *model, plens_error *error) {
    plens_prompt prompt = {ids, N_IDS, NULL, 0};
    plens_hook hooks[2];
    plens_run_options options;
    memset(hooks, 0, sizeof hooks), memset(&options, 0, sizeof options);
    hooks[0].point = PLENS_EMBED;
    hooks[1].point = PLENS_RESID_POST;
    hooks[0].fn = hooks[1].fn = keep;
    options.hooks = hooks, options.n_hooks = 2;
    return (int)plens_run(context, model, &prompt, 1, &options, error);
}

int main(int argc, char **argv) {
    plens_context *context = NULL;
    plens_model *model = NULL;
    plens_model_info info;
    plens_error error;
    plens_states theirs = {ids, N_IDS, (const float *const *)states, 0, NULL, "my engine"};
    plens_audit_options options;
    plens_audit_result result;
    memset(&options, 0, sizeof options); /* tolerance 0: told from rounding */
    options.tolerance = argc > 2 ? strtod(argv[2], NULL) : 0;
    int failed = plens_context_create(NULL, &context, &error) ||
                 plens_model_open(context, argc > 1 ? argv[1] : ".", &model, &error);
    if (!failed)
        plens_model_describe(model, &info);
    for (size_t l = 0; !failed && l <= info.n_layers; l++)
        states[l] = (float *)calloc(N_IDS * info.d_model, sizeof(float));
    failed = failed || my_engine(context, model, &error);
    if (!failed && argc > 3)
        states[atoi(argv[3])][0] += 1;
    failed = failed || plens_audit(context, model, &theirs, &options, &result, &error);
    puts(failed ? error.message : result.text); /* "ok: ...", "departs at block 3: ..." */
    for (size_t l = 0; l < 200; l++)
        free(states[l]);
    plens_model_close(model), plens_context_destroy(context);
    return failed ? 2 : result.verdict == PLENS_DEPARTS;
}
