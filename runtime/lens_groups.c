/* Groups of tokens: their logits are picked as the tiles go by; when a site's sums are known, the
 * members' probabilities are added up in double in the order in which the caller gave them. */
#include "runtime/fp.h"

#include "runtime/lens_groups.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/numeric.h"

static int compare_ids(const void *left, const void *right) {
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* ids [n_ids] is a copy that may be sorted. */
static plens_status check_group(size_t group, int32_t *ids, size_t n_ids, size_t vocab_size,
                                plens_error *error) {
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab_size)
            return plens__fail(error, PLENS_ERROR_ARGUMENT,
                               "group %zu, token %zu: token id %ld, expected 0 to %zu (the model's "
                               "vocabulary)",
                               group, i, (long)ids[i], vocab_size - 1);
    qsort(ids, n_ids, sizeof *ids, compare_ids);
    for (size_t i = 1; i < n_ids; i++)
        if (ids[i] == ids[i - 1])
            return plens__fail(error, PLENS_ERROR_ARGUMENT,
                               "group %zu: token id %ld is there twice, its probability would "
                               "count double",
                               group, (long)ids[i]);
    return PLENS_OK;
}

plens_status plens__groups_check(const plens_allocator *allocator, const plens_lens *lens,
                                 size_t vocab_size, plens_error *error) {
    if (lens->groups == NULL && lens->n_groups > 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "the lens's groups is NULL");
    for (size_t g = 0; g < lens->n_groups; g++) {
        const plens_group *group = &lens->groups[g];
        if (group->ids == NULL || group->n_ids == 0)
            return plens__fail(error, PLENS_ERROR_ARGUMENT, "group %zu has no tokens", g);
        int32_t *ids = plens__alloc_array(allocator, group->n_ids, sizeof *ids);
        if (ids == NULL)
            return plens__fail_memory(error, group->n_ids * sizeof *ids, "a group of tokens");
        memcpy(ids, group->ids, group->n_ids * sizeof *ids);
        plens_status status = check_group(g, ids, group->n_ids, vocab_size, error);
        plens__free(allocator, ids);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

void plens__groups_carve(plens__groups *groups, const plens_lens *lens, size_t n_sites,
                         plens__carver *carver) {
    memset(groups, 0, sizeof *groups);
    groups->groups = lens->groups;
    groups->n_groups = lens->n_groups;
    groups->n_sites = n_sites;
    for (size_t g = 0; g < lens->n_groups; g++)
        if (!plens__add(groups->n_members, lens->groups[g].n_ids, &groups->n_members))
            carver->overflow = 1;
    size_t row = 0;
    if (!plens__mul(groups->n_members, sizeof(float), &row) ||
        !plens__mul(lens->n_groups, sizeof(float), &row))
        carver->overflow = 1;
    groups->members = plens__carve(carver, groups->n_members, sizeof *groups->members);
    groups->logits = plens__carve(carver, n_sites, groups->n_members * sizeof(float));
    groups->probs = plens__carve(carver, n_sites, groups->n_groups * sizeof(float));
}

static int compare_members(const void *left, const void *right) {
    const plens__member *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

void plens__groups_begin(plens__groups *groups) {
    size_t n = 0;
    for (size_t g = 0; g < groups->n_groups; g++)
        for (size_t i = 0; i < groups->groups[g].n_ids; i++, n++)
            groups->members[n] = (plens__member){groups->groups[g].ids[i], n};
    if (n == 0)
        return;
    memset(groups->probs, 0, groups->n_sites * groups->n_groups * sizeof *groups->probs);
    qsort(groups->members, n, sizeof *groups->members, compare_members);
}

/* The first member whose id is at least `id`. */
static size_t member_from(const plens__groups *groups, size_t id) {
    size_t low = 0, high = groups->n_members;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((size_t)groups->members[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void plens__groups_pick(const plens__groups *groups, size_t site, size_t first_id,
                        const float *logits, size_t n_ids) {
    float *to = groups->logits + site * groups->n_members;
    for (size_t m = member_from(groups, first_id); m < groups->n_members; m++) {
        size_t at = (size_t)groups->members[m].id - first_id;
        if (at >= n_ids)
            return;
        to[groups->members[m].at] = logits[at];
    }
}

void plens__groups_finish(const plens__groups *groups, size_t site, double max, double sum) {
    const float *logit = groups->logits + site * groups->n_members;
    for (size_t g = 0; g < groups->n_groups; g++) {
        double weight = 0;
        for (size_t i = 0; i < groups->groups[g].n_ids; i++)
            weight += plens__exp((double)*logit++ - max);
        groups->probs[site * groups->n_groups + g] = (float)(weight / sum);
    }
}
