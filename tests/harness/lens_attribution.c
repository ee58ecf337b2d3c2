/* Direct logit attribution for plens lens. */
#include "tests/harness/lens_reports.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/progress.h"

/* Of one position: a share for each part, in the order in which they are printed. */
typedef struct attribution {
    const heatmap *map;
    size_t n_layers, n_heads;
    size_t n_shares; /* of a position: embed, then of each layer attn_out, heads, o_bias, mlp_out,
                        then sum and logit */
    double **shares; /* [panels] of [n_positions, n_shares] */
    int bad;         /* 1: not all numbers are finite, here: */
    size_t bad_panel, bad_position;
} attribution;

static size_t layer_shares(const attribution *a) {
    return 2 + (a->n_heads > 0 ? a->n_heads + 1 : 0);
}

/* A plens_attribution_fn. */
static int keep(void *user, const plens_attribution_result *found) {
    attribution *a = user;
    const heatmap_panel *panel = &a->map->panels[found->prompt];
    size_t at = found->position - panel->first_position; /* wraps below the first */
    if (at >= panel->n_positions)
        return 0;
    if (!(fabs(found->sum) < INFINITY && fabs(found->logit) < INFINITY)) {
        a->bad = 1;
        a->bad_panel = found->prompt;
        a->bad_position = found->position;
        return 1;
    }
    double *to = a->shares[found->prompt] + at * a->n_shares;
    *to++ = found->embed;
    for (size_t l = 0; l < a->n_layers; l++) {
        *to++ = found->attn[l];
        for (size_t h = 0; h < a->n_heads; h++)
            *to++ = found->heads[l * a->n_heads + h];
        if (a->n_heads > 0)
            *to++ = found->o_bias[l];
        *to++ = found->mlp[l];
    }
    *to++ = found->sum;
    *to = found->logit;
    return 0;
}

/* One row; layer 0 and head SIZE_MAX: none. */
static void print_share(output *out, const attribution *a, size_t panel, size_t position,
                        const char *part, size_t layer, size_t head, double share) {
    if (a->map->n_panels > 1)
        output_format(out, "%zu\t", panel + 1);
    output_format(out, "%zu\t%s", position, part);
    output_place(out, layer > 0, layer);
    output_place(out, head != SIZE_MAX, head);
    output_format(out, "\t%.9g\tfrozen\n", share);
}

static void print_position(output *out, const attribution *a, size_t panel, size_t position) {
    size_t at = position - a->map->panels[panel].first_position;
    const double *share = a->shares[panel] + at * a->n_shares;
    print_share(out, a, panel, position, "embed", 0, SIZE_MAX, *share++);
    for (size_t l = 1; l <= a->n_layers; l++) {
        print_share(out, a, panel, position, "attn_out", l, SIZE_MAX, *share++);
        for (size_t h = 0; h < a->n_heads; h++)
            print_share(out, a, panel, position, "head_out", l, h, *share++);
        if (a->n_heads > 0)
            print_share(out, a, panel, position, "o_bias", l, SIZE_MAX, *share++);
        print_share(out, a, panel, position, "mlp_out", l, SIZE_MAX, *share++);
    }
    print_share(out, a, panel, position, "sum", 0, SIZE_MAX, *share++);
    print_share(out, a, panel, position, "logit", 0, SIZE_MAX, *share);
}

static int run(attribution *a, const int32_t *tokens, size_t n_tokens) {
    const heatmap *map = a->map;
    plens_error error;
    plens_attribution how;
    progress p;
    memset(&how, 0, sizeof how);
    how.fn = keep;
    how.user = a;
    how.heads = a->n_heads > 0;
    how.progress = progress_update;
    how.progress_user = &p;
    how.memory = session_budget(map->s);
    how.positions = heatmap_positions(map);
    plens_prompt *prompts = allocate(map->n_panels, sizeof *prompts);
    for (size_t i = 0; i < map->n_panels; i++)
        prompts[i] = (plens_prompt){map->panels[i].ids, map->panels[i].n_ids, tokens, n_tokens};
    size_t n_tokens_read = 0;
    for (size_t i = 0; i < map->n_panels; i++)
        n_tokens_read += prompts[i].n_ids;
    progress_start(&p, map->s->options.quiet, n_tokens_read);
    plens_status status =
        plens_attribute(map->s->context, map->s->model, prompts, map->n_panels, &how, &error);
    progress_end(&p, status == PLENS_OK);
    free(prompts);
    if (a->bad)
        return fail_input("prompt %zu, position %zu: the logits are infinite or not numbers",
                          a->bad_panel + 1, a->bad_position);
    return status == PLENS_OK ? EXIT_DONE : fail_error(&error);
}

int lens_attribution_tsv(output *out, const heatmap *map, const int32_t *tokens, size_t n_tokens,
                         int heads) {
    attribution a = {.map = map, .n_layers = map->s->info.n_layers};
    a.n_heads = heads ? map->s->info.n_heads : 0;
    a.n_shares = 3 + a.n_layers * layer_shares(&a);
    a.shares = allocate(map->n_panels, sizeof *a.shares);
    for (size_t i = 0; i < map->n_panels; i++)
        a.shares[i] = allocate(map->panels[i].n_positions * a.n_shares, sizeof **a.shares);
    int code = run(&a, tokens, n_tokens);
    if (code == EXIT_DONE)
        output_format(out, "%sposition\tpart\tlayer\thead\tshare\tnorm\n",
                      map->n_panels > 1 ? "prompt\t" : "");
    for (size_t i = 0; i < map->n_panels; i++) {
        const heatmap_panel *panel = &map->panels[i];
        for (size_t p = 0; p < panel->n_positions && code == EXIT_DONE; p++)
            print_position(out, &a, i, panel->first_position + p);
        free(a.shares[i]);
    }
    free(a.shares);
    return code;
}
