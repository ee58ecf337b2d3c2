/* What plens lens prints in place of top tokens: one table as TSV. The columns position and layer
 * are as in the lens's own; where there are several prompts, prompt (from 1) comes first. */
#ifndef PLENS_HARNESS_LENS_REPORTS_H
#define PLENS_HARNESS_LENS_REPORTS_H

#include "tests/harness/groups.h"
#include "tests/harness/heatmap.h"
#include "tests/harness/output.h"

/* position, layer, token_id, token, rank (from 1), prob, logit: of the map's targets. */
void lens_targets_tsv(output *out, const heatmap *map);

/* position, part, layer, head (NA but for head_out), of the map's component, and of each of the
 * top tokens rank, token_id, token, share, norm; or of the map's targets token_id, token, rank,
 * share, norm. norm says how the share was made: "frozen". */
void lens_components_tsv(output *out, const heatmap *map);

/* position, layer, group, prob: of the map's groups, whose names these are. */
void lens_groups_tsv(output *out, const heatmap *map, const groups *names);

/* position, token_id, token, prob, first_layer, stable_layer: the last layer's top token, where it
 * is the top for the first time, and from where on it stays. The map has all layers. */
void lens_settled_tsv(output *out, const heatmap *map);

/* Runs the model once more for plens_attribute, the map's panels as prompts, tokens [n_tokens] 1 or
 * 2, and prints position, part, layer, head, share, norm: embed; attn_out, mlp_out of each layer;
 * with heads also head_out of each head and o_bias; sum (embed and all attn_out and mlp_out) and
 * logit, the model's own. layer and head are NA where there is none. */
int lens_attribution_tsv(output *out, const heatmap *map, const int32_t *tokens, size_t n_tokens,
                         int heads);

#endif
