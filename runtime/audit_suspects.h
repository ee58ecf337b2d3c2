/* What could be wrong with a block: a list of mistakes that engines make, and a search for a wrong
 * number (an epsilon, a scale, a single weight) where none of the list fits. */
#ifndef PLENS_RUNTIME_AUDIT_SUSPECTS_H
#define PLENS_RUNTIME_AUDIT_SUSPECTS_H

#include <stddef.h>

#include "runtime/audit_case.h"

typedef struct plens__suspect {
    const char *part; /* "attention", "MLP", "attention and MLP" */
    char text[192];   /* what would be wrong */
    int mlp_only;     /* the attention is the model's */
    plens__variant variant;
} plens__suspect;

#define PLENS__PART_ATTENTION "attention"
#define PLENS__PART_MLP       "MLP"
#define PLENS__PART_BOTH      "attention and MLP"

/* A group hands out its suspects by number, from the model's variant. */
typedef enum plens__answer {
    PLENS__NO_MORE,
    PLENS__HERE,
    PLENS__NOT_HERE /* this model cannot make the i-th mistake */
} plens__answer;
typedef plens__answer plens__suspects_fn(const plens__case *c, size_t i, plens__suspect *s);
plens__suspects_fn plens__suspect_scales, plens__suspect_rotations, plens__suspect_positions,
    plens__suspect_masks, plens__suspect_caches,
    plens__suspect_heads; /* audit_suspects_attention.c */
plens__answer plens__suspect_put(plens__suspect *s, const char *part, const char *text);

/* The next suspect for a block; 0 when there are no more. The cursor starts as all zero. */
typedef struct plens__suspect_cursor {
    size_t group, index;
} plens__suspect_cursor;
int plens__suspect_next(const plens__case *c, plens__suspect_cursor *cursor,
                        plens__suspect *suspect);

/* What explains a departure. */
typedef struct plens__finding {
    int explained; /* down to rounding */
    plens__excess before, after;
    const char *part; /* of the best guess, or "" */
    size_t n_others;  /* that explain it as well and were named too */
    size_t n_fitted;  /* numbers that were fitted to explain it, where there may be many */
    char text[448];
} plens__finding;

/* Searches for what explains c->base_departure, the departure of block `layer` (1..L). IO or MEMORY
 * if there is nothing to search with. */
plens_status plens__investigate(const plens_model *model, size_t layer, plens__case *c,
                                plens__finding *finding, plens_error *error);

/* Tries a suspect: it becomes the finding if it explains more, and is named beside it if it
 * explains as much. */
void plens__consider(plens__case *c, const plens__suspect *suspect, plens__finding *finding);

/* Tries the weights of other blocks, the nearest first. */
plens_status plens__try_neighbours(const plens_model *model, size_t layer, plens__case *c,
                                   plens__finding *finding, plens_error *error);

/* Adds to a finding that explains nothing: whether a rougher arithmetic would, and what the first
 * position says. */
void plens__describe_rest(plens__case *c, plens__finding *finding);

/* The same without the entries of matrices: tells what is explained, never fails. */
void plens__accuse(plens__case *c, plens__finding *finding);

/* The same among single numbers: epsilons, scales, bases, factors. 1 if the suspect explains it. */
int plens__fit_numbers(plens__case *c, plens__suspect *best, plens__excess *excess);

/* Numbers that engines get wrong by little: the norms' epsilons and the attention scale. The i-th,
 * e^s times the model's, to `variant`: its value, 0 if the model has none; its name; its part. */
#define PLENS__N_SLIGHT 3
double plens__slight_number(const plens__case *c, size_t i, double s, plens__variant *variant);
const char *plens__slight_name(size_t i);
const char *plens__slight_part(size_t i);

/* How far the departure points along one of the numbers that engines get wrong by little: above 1
 * farther than imitated departures allow. A departure below the noise of each entry may be far
 * above it in the sum over all. */
double plens__significance(plens__case *c);

/* The same among few entries of one matrix or vector. */
plens_status plens__fit_entries(plens__case *c, plens__finding *finding, plens_error *error);

/* How far the departure points along the derivative of the output, from the variant given to begin
 * towards `moved`, a variant `step` away (with weights 1 / noise): cos^2 of the angle, and the step
 * that would bring the departure down most. */
typedef struct plens__slope {
    double alignment, step;
    double significance; /* the departure along the derivative, in standard deviations of noise */
    double square;       /* of the derivative's length */
} plens__slope;
void plens__slope_begin(plens__case *c, const plens__variant *variant, int mlp_only);
plens__slope plens__slope_towards(plens__case *c, const plens__variant *moved, double step,
                                  int mlp_only, const double *departure);
/* The same for the output `moved` [n, d_model] of such a variant. */
plens__slope plens__slope_of(plens__case *c, const double *moved, double step,
                             const double *departure);

/* A slot's name in the checkpoint: "o_proj.weight", "q_norm.weight" …; the part of the block. */
const char *plens__slot_name(plens__slot slot);
const char *plens__slot_part(plens__slot slot);
int plens__slot_is_mlp(plens__slot slot);

/* Adds to a text what printf would print. */
void plens__append(char *text, size_t capacity, const char *format, ...);
/* The finding's text becomes what printf would print, and explains the departure. */
void plens__explain(plens__finding *finding, const char *format, ...);

/* A number with up to 4 digits and no locale: "1e-06", "0.25", "500000". */
const char *plens__show_number(double x, char *text);
/* Two that should be told apart: as many digits more, up to 9, as that takes. */
void plens__show_both(double x, double other, char *text, char *other_text);
#define PLENS__NUMBER_TEXT 32

#endif
