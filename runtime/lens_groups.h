/* Groups of tokens whose probability the lens adds up. */
#ifndef PLENS_RUNTIME_LENS_GROUPS_H
#define PLENS_RUNTIME_LENS_GROUPS_H

#include "loaders/base.h"
#include "runtime/workspace.h"

typedef struct plens__member {
    int32_t id;
    size_t at; /* its place among all groups' tokens, in their order */
} plens__member;

typedef struct plens__groups {
    const plens_group *groups; /* [n_groups], the caller's */
    size_t n_groups, n_members, n_sites;
    plens__member *members; /* [n_members] by id */
    float *logits;          /* [sites, n_members] in the groups' order */
    float *probs;           /* [sites, n_groups]; 0 before they are known */
} plens__groups;

/* ARGUMENT, saying which, for an empty group, an id out of range, or one that is there twice. */
plens_status plens__groups_check(const plens_allocator *allocator, const plens_lens *lens,
                                 size_t vocab_size, plens_error *error);

void plens__groups_carve(plens__groups *groups, const plens_lens *lens, size_t n_sites,
                         plens__carver *carver);
void plens__groups_begin(plens__groups *groups);

/* Keeps what a site needs of the logits of ids [first_id, first_id + n_ids). */
void plens__groups_pick(const plens__groups *groups, size_t site, size_t first_id,
                        const float *logits, size_t n_ids);

/* probs of a site whose logits have this maximum, and this sum of e^(logit - max). */
void plens__groups_finish(const plens__groups *groups, size_t site, double max, double sum);

#endif
