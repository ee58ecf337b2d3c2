#include "tests/harness/heatmap.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"

/* ---- What is asked for ---- */

int position_range_parse(const char *text, position_range *range) {
    uint64_t count;
    const position_range all = {text, 0, 0, SIZE_MAX};
    *range = all;
    if (strcmp(text, "all") == 0)
        return 1;
    if (strcmp(text, "last") == 0) {
        range->last_count = 1;
        return 1;
    }
    if (strncmp(text, "last:", 5) == 0) {
        if (!parse_number(text + 5, SIZE_MAX, &count) || count == 0)
            return 0;
        range->last_count = (size_t)count;
        return 1;
    }
    return parse_range(text, SIZE_MAX - 1, &range->first, &range->last);
}

int heatmap_add(heatmap *map, const char *persona, char *text, int32_t *ids, size_t n_ids,
                const position_range *positions) {
    map->panels = reallocate(map->panels, map->n_panels + 1, sizeof *map->panels);
    heatmap_panel *panel = &map->panels[map->n_panels++];
    memset(panel, 0, sizeof *panel);
    panel->persona = persona;
    panel->text = text;
    panel->ids = ids;
    panel->n_ids = n_ids;
    size_t first = positions->first, last = positions->last;
    if (positions->last_count > 0) {
        first = positions->last_count < n_ids ? n_ids - positions->last_count : 0;
        last = n_ids - 1;
    } else if (last == SIZE_MAX) {
        last = n_ids - 1;
    } else if (last >= n_ids) {
        return fail_input("--positions %s: the prompt has the positions 0 to %zu", positions->name,
                          n_ids - 1);
    }
    panel->first_position = first;
    panel->n_positions = last - first + 1;
    return EXIT_DONE;
}

/* ---- The run ---- */

size_t heatmap_site(const heatmap *map, const heatmap_panel *panel, size_t position, size_t layer) {
    return (position - panel->first_position) * map->n_layers + layer - map->first_layer;
}

static void copy(void *to, size_t site, const void *from, size_t count, size_t size) {
    if (count > 0)
        memcpy((char *)to + site * count * size, from, count * size);
}

/* A plens_lens_fn. */
static int keep(void *user, const plens_lens_result *found) {
    heatmap *map = user;
    heatmap_panel *panel = &map->panels[found->prompt];
    size_t position = found->position;
    if (position < panel->first_position || position >= panel->first_position + panel->n_positions)
        return 0;
    if (!found->finite) {
        map->bad_panel = found->prompt;
        map->bad_position = position;
        map->bad_layer = found->layer;
        return 1;
    }
    size_t site = heatmap_site(map, panel, position, found->layer);
    size_t cell = site * map->n_heads + found->head;
    copy(panel->tokens, cell, found->top, map->top_k, sizeof *found->top);
    copy(panel->targets, cell, found->targets, map->n_targets, sizeof *found->targets);
    copy(panel->groups, site, found->groups, map->n_groups, sizeof *found->groups);
    panel->entropy[site] = found->entropy;
    panel->kl[site] = found->kl;
    panel->final_ids[position - panel->first_position] = found->final_top.id;
    return 0;
}

static int check_layers(heatmap *map) {
    size_t n_layers = map->s->info.n_layers;
    if (map->n_layers == 0) {
        map->first_layer = 1;
        map->n_layers = n_layers;
    }
    if (map->first_layer == 0 || heatmap_last_layer(map) > n_layers)
        return fail_input("--layers %zu-%zu: the model has the layers 1 to %zu", map->first_layer,
                          heatmap_last_layer(map), n_layers);
    map->n_heads = map->point == PLENS_HEAD_OUT ? map->s->info.n_heads : 1;
    if (map->top_k > map->s->info.vocab_size)
        map->top_k = map->s->info.vocab_size;
    return EXIT_DONE;
}

plens_positions heatmap_positions(const heatmap *map) {
    for (size_t i = 0; i < map->n_panels; i++)
        if (map->panels[i].first_position + 1 != map->panels[i].n_ids)
            return PLENS_POSITIONS_ALL;
    return PLENS_POSITIONS_LAST;
}

static plens_prompt *make_prompts(heatmap *map) {
    plens_prompt *prompts = allocate(map->n_panels, sizeof *prompts);
    for (size_t i = 0; i < map->n_panels; i++) {
        heatmap_panel *panel = &map->panels[i];
        prompts[i].ids = panel->ids;
        prompts[i].n_ids = panel->n_ids;
        prompts[i].targets = map->targets;
        prompts[i].n_targets = map->n_targets;
        size_t n_sites = panel->n_positions * map->n_layers, n_cells = n_sites * map->n_heads;
        panel->tokens = allocate(n_cells * map->top_k, sizeof *panel->tokens);
        panel->targets = allocate(n_cells * map->n_targets, sizeof *panel->targets);
        panel->groups = allocate(n_sites * map->n_groups, sizeof *panel->groups);
        panel->entropy = allocate(n_sites, sizeof *panel->entropy);
        panel->kl = allocate(n_sites, sizeof *panel->kl);
        panel->final_ids = allocate(panel->n_positions, sizeof *panel->final_ids);
    }
    return prompts;
}

int heatmap_run(heatmap *map) {
    plens_error error;
    plens_lens lens;
    plens_run_options options;
    int code = check_layers(map);
    if (code != EXIT_DONE)
        return code;
    memset(&lens, 0, sizeof lens);
    memset(&options, 0, sizeof options);
    lens.fn = keep;
    lens.user = map;
    lens.top_k = map->top_k;
    lens.point = map->point;
    lens.first_layer = map->first_layer;
    lens.last_layer = heatmap_last_layer(map);
    lens.positions = heatmap_positions(map);
    lens.kl = map->wants_kl;
    lens.groups = map->groups;
    lens.n_groups = map->n_groups;
    options.lens = &lens;
    plens_prompt *prompts = make_prompts(map);
    plens_status status = session_run(map->s, prompts, map->n_panels, &options, NULL, &error);
    free(prompts);
    if (map->bad_layer != 0)
        return fail_input("prompt %zu, position %zu, layer %zu: the logits are infinite or not "
                          "numbers",
                          map->bad_panel + 1, map->bad_position, map->bad_layer);
    return status != PLENS_OK ? fail_error(&error) : EXIT_DONE;
}

/* ---- What was found ---- */

const plens_lens_token *heatmap_tokens(const heatmap *map, const heatmap_panel *panel,
                                       size_t position, size_t layer) {
    return panel->tokens + heatmap_site(map, panel, position, layer) * map->top_k;
}

size_t heatmap_last_layer(const heatmap *map) {
    return map->first_layer + map->n_layers - 1;
}

int32_t heatmap_next_id(const heatmap_panel *panel, size_t position) {
    return position + 1 < panel->n_ids ? panel->ids[position + 1] : -1;
}

const char *heatmap_precision(const heatmap *map) {
    return plens_precision_name(plens_run_precision(map->s->context, map->s->model));
}

char *heatmap_folder_name(const char *folder) {
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/')
        begin--;
    char *name = allocate(end - begin + 1, 1);
    memcpy(name, folder + begin, end - begin);
    return name;
}

void heatmap_free(heatmap *map) {
    for (size_t i = 0; i < map->n_panels; i++) {
        free(map->panels[i].text);
        free(map->panels[i].ids);
        free(map->panels[i].tokens);
        free(map->panels[i].final_ids);
        free(map->panels[i].targets);
        free(map->panels[i].groups);
        free(map->panels[i].entropy);
        free(map->panels[i].kl);
    }
    free(map->panels);
    free(map->title);
}
