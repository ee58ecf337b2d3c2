/* The lens of some prompts, layers x positions, to be printed or drawn: one panel for each prompt.
 * Of a component it can be printed only, and head_out has a cell for each head. */
#ifndef PLENS_HARNESS_HEATMAP_H
#define PLENS_HARNESS_HEATMAP_H

#include "tests/harness/session.h"

typedef struct heatmap_panel {
    const char *persona; /* "" without one; NULL where none was asked about */
    char *text;          /* what the model reads; NULL: only its ids are known */
    int32_t *ids;        /* [n_ids] */
    size_t n_ids;
    size_t first_position, n_positions; /* those of the map */
    plens_lens_token *tokens;           /* [n_positions, n_layers, n_heads, top_k], by falling
                                           probability, or share */
    int32_t *final_ids;                 /* [n_positions] the top token of the model's last layer */
    float *entropy, *kl;                /* [n_positions, n_layers]; kl 0 unless asked for */
    plens_lens_token *targets;          /* [n_positions, n_layers, n_heads, n_targets] */
    float *groups;                      /* [n_positions, n_layers, n_groups] */
} heatmap_panel;

typedef struct heatmap {
    session *s;
    char *title;           /* whose lens it is: the model's name */
    heatmap_panel *panels; /* [n_panels] */
    size_t n_panels;
    size_t first_layer, n_layers, top_k;       /* n_layers 0, or top_k more than there are: all */
    size_t bad_panel, bad_position, bad_layer; /* bad_layer 0: every number was finite */
    int wants_kl;
    plens_point point;      /* whose lens; 0: the residual stream's */
    size_t n_heads;         /* of head_out; else 1 (set by the run) */
    const int32_t *targets; /* [n_targets] tokens to be looked at everywhere */
    size_t n_targets;
    const plens_group *groups; /* [n_groups] whose probability is added up everywhere */
    size_t n_groups;
} heatmap;

/* Positions of a prompt as they can be asked for: "last", "last:8", "all", "3-9". */
typedef struct position_range {
    const char *name;   /* as it was written */
    size_t last_count;  /* so many last ones; 0: first..last */
    size_t first, last; /* last SIZE_MAX: to the end */
} position_range;

/* 1, or 0 if the text is none. */
int position_range_parse(const char *text, position_range *range);

/* Adds a panel, whose ids and text the map takes. Returns EXIT_DONE, or EXIT_INPUT with the mistake
 * said: the prompt has no such positions. */
int heatmap_add(heatmap *map, const char *persona, char *text, int32_t *ids, size_t n_ids,
                const position_range *positions);

/* Checks the layers, runs the model and fills all panels. Returns EXIT_DONE or the exit status, the
 * mistake said. */
int heatmap_run(heatmap *map);

/* [top_k] at one of the map's positions (from 0 in the prompt) and layers. */
const plens_lens_token *heatmap_tokens(const heatmap *map, const heatmap_panel *panel,
                                       size_t position, size_t layer);

/* Where a position and layer come in a panel's [n_positions, n_layers]. */
size_t heatmap_site(const heatmap *map, const heatmap_panel *panel, size_t position, size_t layer);

/* PLENS_POSITIONS_LAST if no panel shows more. */
plens_positions heatmap_positions(const heatmap *map);

size_t heatmap_last_layer(const heatmap *map);

/* The token that follows in the prompt, -1 after its end. */
int32_t heatmap_next_id(const heatmap_panel *panel, size_t position);

/* "f32", …: what the run computed in. */
const char *heatmap_precision(const heatmap *map);

/* A folder's own name, without those above it. Free with free(). */
char *heatmap_folder_name(const char *folder);

void heatmap_free(heatmap *map);

#endif
