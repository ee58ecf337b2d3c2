#include "tests/harness/lens_reports.h"

#include <string.h>

static void print_header(output *out, const heatmap *map, const char *columns) {
    output_format(out, "%s%s\n", map->n_panels > 1 ? "prompt\t" : "", columns);
}

static void print_place(output *out, const heatmap *map, size_t panel, size_t position) {
    if (map->n_panels > 1)
        output_format(out, "%zu\t", panel + 1);
    output_format(out, "%zu\t", position);
}

static void print_token(output *out, const heatmap *map, int32_t id) {
    output_format(out, "%ld\t", (long)id);
    output_token(out, map->s->tokenizer, id);
}

/* Calls print for every panel, position and layer, ascending. */
typedef void site_printer(output *out, const heatmap *map, size_t panel, size_t position,
                          size_t layer, size_t site, const void *data);

static void for_sites(output *out, const heatmap *map, site_printer *print, const void *data) {
    for (size_t i = 0; i < map->n_panels; i++)
        for (size_t k = 0; k < map->panels[i].n_positions * map->n_layers; k++)
            print(out, map, i, map->panels[i].first_position + k / map->n_layers,
                  map->first_layer + k % map->n_layers, k, data);
}

static void print_targets(output *out, const heatmap *map, size_t panel, size_t position,
                          size_t layer, size_t site, const void *data) {
    const plens_lens_token *tokens = map->panels[panel].targets + site * map->n_targets;
    (void)data;
    for (size_t i = 0; i < map->n_targets; i++) {
        print_place(out, map, panel, position);
        output_format(out, "%zu\t", layer);
        print_token(out, map, tokens[i].id);
        output_format(out, "\t%lu\t%.9g\t%.9g\n", (unsigned long)tokens[i].rank + 1,
                      (double)tokens[i].prob, (double)tokens[i].logit);
    }
}

void lens_targets_tsv(output *out, const heatmap *map) {
    print_header(out, map, "position\tlayer\ttoken_id\ttoken\trank\tprob\tlogit");
    for_sites(out, map, print_targets, NULL);
}

static void print_components(output *out, const heatmap *map, size_t panel, size_t position,
                             size_t layer, size_t site, const void *data) {
    size_t n = map->n_targets > 0 ? map->n_targets : map->top_k;
    const heatmap_panel *p = &map->panels[panel];
    (void)data;
    for (size_t i = 0; i < map->n_heads * n; i++) {
        size_t head = i / n, cell = site * map->n_heads * n + i;
        const plens_lens_token *token = map->n_targets > 0 ? &p->targets[cell] : &p->tokens[cell];
        print_place(out, map, panel, position);
        output_format(out, "%s\t%zu", plens_point_name(map->point), layer);
        output_place(out, map->point == PLENS_HEAD_OUT, head);
        output_format(out, "\t");
        if (map->n_targets == 0)
            output_format(out, "%zu\t", i % n + 1);
        print_token(out, map, token->id);
        if (map->n_targets > 0)
            output_format(out, "\t%lu", (unsigned long)token->rank + 1);
        output_format(out, "\t%.9g\tfrozen\n", (double)token->logit);
    }
}

void lens_components_tsv(output *out, const heatmap *map) {
    print_header(out, map,
                 map->n_targets > 0
                     ? "position\tpart\tlayer\thead\ttoken_id\ttoken\trank\tshare\tnorm"
                     : "position\tpart\tlayer\thead\trank\ttoken_id\ttoken\tshare\tnorm");
    for_sites(out, map, print_components, NULL);
}

static void print_groups(output *out, const heatmap *map, size_t panel, size_t position,
                         size_t layer, size_t site, const void *data) {
    const groups *g = data;
    const float *probs = map->panels[panel].groups + site * map->n_groups;
    for (size_t i = 0; i < map->n_groups; i++) {
        print_place(out, map, panel, position);
        output_format(out, "%zu\t", layer);
        output_cell(out, g->names[i], strlen(g->names[i]));
        output_format(out, "\t%.9g\n", (double)probs[i]);
    }
}

void lens_groups_tsv(output *out, const heatmap *map, const groups *names) {
    print_header(out, map, "position\tlayer\tgroup\tprob");
    for_sites(out, map, print_groups, names);
}

void lens_settled_tsv(output *out, const heatmap *map) {
    print_header(out, map, "position\ttoken_id\ttoken\tprob\tfirst_layer\tstable_layer");
    for (size_t i = 0; i < map->n_panels; i++) {
        const heatmap_panel *panel = &map->panels[i];
        for (size_t p = panel->first_position; p < panel->first_position + panel->n_positions;
             p++) {
            size_t last = heatmap_last_layer(map), first = last, stable = last;
            const plens_lens_token *answer = heatmap_tokens(map, panel, p, last);
            for (size_t layer = last; layer >= map->first_layer; layer--) {
                if (heatmap_tokens(map, panel, p, layer)->id != answer->id)
                    continue;
                first = layer;
                if (stable == layer + 1)
                    stable = layer;
            }
            print_place(out, map, i, p);
            print_token(out, map, answer->id);
            output_format(out, "\t%.9g\t%zu\t%zu\n", (double)answer->prob, first, stable);
        }
    }
}
