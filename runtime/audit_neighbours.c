/* Weights of another block: layers in the wrong order, a layer's number off by one, a tensor bound
 * to the wrong name. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <stdio.h>
#include <string.h>

/* Multiply-adds that blocks farther away than one are worth. */
#define EFFORT 1e11

typedef struct group {
    const char *text, *part;
    unsigned slots; /* a bit for each */
} group;

#define BIT(slot)  (1u << PLENS__SLOT_##slot)
#define ATTENTION  (BIT(Q) | BIT(K) | BIT(V) | BIT(O) | BIT(Q_NORM) | BIT(K_NORM))
#define MLP        (BIT(GATE) | BIT(UP) | BIT(DOWN))
#define BOTH_NORMS (BIT(ATTN_NORM) | BIT(MLP_NORM))

static const group groups[] = {
    {"the block has the weights of block %zu", PLENS__PART_BOTH, ATTENTION | MLP | BOTH_NORMS},
    {"the block has the weights of block %zu, but for its norms", PLENS__PART_BOTH,
     ATTENTION | MLP},
    {"attention and its norm have the weights of block %zu", PLENS__PART_ATTENTION,
     ATTENTION | BIT(ATTN_NORM)},
    {"the MLP and its norm have the weights of block %zu", PLENS__PART_MLP, MLP | BIT(MLP_NORM)},
    {"attention has the weights of block %zu", PLENS__PART_ATTENTION, ATTENTION},
    {"the MLP has the weights of block %zu", PLENS__PART_MLP, MLP},
    {"both norms' weights are those of block %zu", PLENS__PART_BOTH, BOTH_NORMS},
    {"the norms of queries and keys have the weights of block %zu", PLENS__PART_ATTENTION,
     BIT(Q_NORM) | BIT(K_NORM)},
};
#define N_GROUPS (sizeof groups / sizeof groups[0])

static void put_group(const group *g, size_t layer, plens__suspect *s) {
    char text[96];
    snprintf(text, sizeof text, g->text, layer);
    plens__suspect_put(s, g->part, text);
}

static int has_slot(const plens__block *block, plens__slot slot) {
    const plens__linear *all[] = {&block->q,    &block->k,  &block->v,   &block->o,
                                  &block->gate, &block->up, &block->down};
    if (slot >= PLENS__SLOT_Q_NORM)
        return block->q_norm != NULL;
    return slot < PLENS__SLOT_BIAS || slot >= PLENS__SLOT_ATTN_NORM ||
           all[slot - PLENS__SLOT_BIAS]->bias != NULL;
}

/* The biases that belong to the matrices of a set. */
static unsigned with_biases(unsigned slots) {
    return slots | (slots & ((1u << PLENS__N_LINEAR) - 1)) << PLENS__SLOT_BIAS;
}

/* The i-th way of taking weights from another block: a group of slots; a slot; a matrix with its
 * bias. */
static plens__answer taken(const plens__case *c, const plens__block *other, size_t layer, size_t i,
                           plens__suspect *s) {
    unsigned slots;
    char text[96];
    if (i < N_GROUPS) {
        slots = with_biases(groups[i].slots);
        put_group(&groups[i], layer, s);
        if (i == N_GROUPS - 1 && !has_slot(other, PLENS__SLOT_Q_NORM))
            return PLENS__NOT_HERE;
    } else if (i - N_GROUPS < PLENS__N_SLOTS + PLENS__N_LINEAR) {
        int both = i - N_GROUPS >= PLENS__N_SLOTS;
        plens__slot slot = (plens__slot)(i - N_GROUPS - (both ? PLENS__N_SLOTS : 0));
        if (!has_slot(other, both ? (plens__slot)(slot + PLENS__SLOT_BIAS) : slot))
            return PLENS__NOT_HERE;
        slots = both ? with_biases(1u << slot) : 1u << slot;
        snprintf(text, sizeof text, "%s is that of block %zu%s", plens__slot_name(slot), layer,
                 both ? ", and its bias" : "");
        plens__suspect_put(s, plens__slot_part(slot), text);
    } else {
        return PLENS__NO_MORE;
    }
    s->variant = c->model;
    for (size_t slot = 0; slot < PLENS__N_SLOTS; slot++)
        s->variant.from[slot] = slots >> slot & 1 ? other : NULL;
    return PLENS__HERE;
}

static void try_block(plens__case *c, const plens__block *other, size_t layer, int nearest,
                      plens__finding *finding) {
    plens__suspect suspect;
    plens__answer answer;
    for (size_t i = 0; (answer = taken(c, other, layer, i, &suspect)) != PLENS__NO_MORE; i++) {
        if (!nearest && i > 0)
            break;
        if (answer == PLENS__HERE)
            plens__consider(c, &suspect, finding);
    }
}

/* 1 if blocks that far away are worth trying. */
static int worth(const plens__case *c, size_t distance) {
    return distance == 1 || 2 * (double)distance * plens__case_effort(c) < EFFORT;
}

plens_status plens__try_neighbours(const plens_model *model, size_t layer, plens__case *c,
                                   plens__finding *finding, plens_error *error) {
    const plens_allocator *allocator = &c->reference.engine->allocator;
    size_t n_layers = model->config.n_layers;
    plens__weights weights;
    plens__block other;
    plens__carver carver = {NULL, 0, 0};
    memset(&weights, 0, sizeof weights);
    plens__weights_carve(&weights, model, &carver);
    char *base = carver.overflow ? NULL : plens__alloc(allocator, carver.used);
    if (base == NULL)
        return plens__fail_memory(error, carver.used, "another block's weights");
    carver = (plens__carver){base, 0, 0};
    plens__weights_carve(&weights, model, &carver);
    plens_status status = PLENS_OK;
    for (size_t k = 0; k < 2 * n_layers && status == PLENS_OK && !finding->explained; k++) {
        size_t distance = k / 2 + 1;
        size_t at = k % 2 == 0 ? layer - distance : layer + distance; /* below 1: it wraps */
        if (!worth(c, distance))
            break;
        if (at < 1 || at > n_layers)
            continue;
        status = plens__weights_block(&weights, at - 1, &other, error);
        if (status == PLENS_OK)
            try_block(c, &other, at, distance == 1, finding);
    }
    plens__free(allocator, base);
    return status;
}
