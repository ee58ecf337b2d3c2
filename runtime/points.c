#include "runtime/points.h"

#include <stdio.h>
#include <string.h>

#include "loaders/model.h"

/* ---- names and shapes ---- */

typedef enum heads { NO_HEADS, QUERY_HEADS, KEY_HEADS } heads;
typedef enum floats { D_MODEL, D_FF, HEAD_DIM, KEYS, VOCABULARY } floats;

typedef struct shape {
    const char *name;
    int in_block, of_every_row;
    heads heads;
    floats floats; /* of a head, where there are heads */
} shape;

static const shape shapes[] = {
    [PLENS_EMBED] = {"embed", 0, 1, NO_HEADS, D_MODEL},
    [PLENS_RESID_PRE] = {"resid_pre", 1, 1, NO_HEADS, D_MODEL},
    [PLENS_ATTN_NORM] = {"attn_norm", 1, 1, NO_HEADS, D_MODEL},
    [PLENS_Q] = {"q", 1, 0, QUERY_HEADS, HEAD_DIM},
    [PLENS_K] = {"k", 1, 1, KEY_HEADS, HEAD_DIM},
    [PLENS_V] = {"v", 1, 1, KEY_HEADS, HEAD_DIM},
    [PLENS_Q_ROT] = {"q_rot", 1, 0, QUERY_HEADS, HEAD_DIM},
    [PLENS_K_ROT] = {"k_rot", 1, 1, KEY_HEADS, HEAD_DIM},
    [PLENS_ATTN_SCORES] = {"attn_scores", 1, 0, QUERY_HEADS, KEYS},
    [PLENS_ATTN_PATTERN] = {"attn_pattern", 1, 0, QUERY_HEADS, KEYS},
    [PLENS_Z] = {"z", 1, 0, QUERY_HEADS, HEAD_DIM},
    [PLENS_HEAD_OUT] = {"head_out", 1, 0, QUERY_HEADS, D_MODEL},
    [PLENS_ATTN_OUT] = {"attn_out", 1, 0, NO_HEADS, D_MODEL},
    [PLENS_RESID_MID] = {"resid_mid", 1, 0, NO_HEADS, D_MODEL},
    [PLENS_MLP_NORM] = {"mlp_norm", 1, 0, NO_HEADS, D_MODEL},
    [PLENS_MLP_GATE] = {"mlp_gate", 1, 0, NO_HEADS, D_FF},
    [PLENS_MLP_UP] = {"mlp_up", 1, 0, NO_HEADS, D_FF},
    [PLENS_MLP_ACT] = {"mlp_act", 1, 0, NO_HEADS, D_FF},
    [PLENS_MLP_POST] = {"mlp_post", 1, 0, NO_HEADS, D_FF},
    [PLENS_MLP_OUT] = {"mlp_out", 1, 0, NO_HEADS, D_MODEL},
    [PLENS_RESID_POST] = {"resid_post", 1, 0, NO_HEADS, D_MODEL},
    [PLENS_FINAL_NORM] = {"final_norm", 0, 0, NO_HEADS, D_MODEL},
    [PLENS_LOGITS] = {"logits", 0, 0, NO_HEADS, VOCABULARY},
};

int plens__point_in_block(plens_point point) {
    return shapes[point].in_block;
}

int plens__point_of_every_row(plens_point point) {
    return shapes[point].of_every_row;
}

size_t plens__point_heads(const plens__config *config, plens_point point) {
    switch (shapes[point].heads) {
    case QUERY_HEADS:
        return config->n_heads;
    case KEY_HEADS:
        return config->n_kv_heads;
    default:
        return 0;
    }
}

/* Floats of a head, or of a row without heads. */
static size_t head_width(const plens__config *config, plens_point point, size_t n_keys) {
    switch (shapes[point].floats) {
    case D_FF:
        return config->d_ff;
    case HEAD_DIM:
        return config->head_dim;
    case KEYS:
        return n_keys;
    case VOCABULARY:
        return config->vocab_size;
    default:
        return config->d_model;
    }
}

size_t plens__point_width(const plens__config *config, plens_point point, size_t n_keys) {
    size_t n_heads = plens__point_heads(config, point);
    return (n_heads == 0 ? 1 : n_heads) * head_width(config, point, n_keys);
}

const char *plens_point_name(plens_point point) {
    return point >= PLENS_EMBED && point <= PLENS_LOGITS ? shapes[point].name : NULL;
}

plens_status plens_point_find(const char *name, plens_point *point, plens_error *error) {
    char names[512] = "";
    size_t used = 0;
    if (name == NULL || point == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "plens_point_find: an argument is NULL");
    for (int i = PLENS_EMBED; i <= PLENS_LOGITS; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            *point = (plens_point)i;
            return PLENS_OK;
        }
        int n = snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ",
                         shapes[i].name);
        used += n < 0 ? 0 : (size_t)n;
    }
    return plens__fail(error, PLENS_ERROR_ARGUMENT, "unknown point '%s', expected one of %s", name,
                       names);
}

plens_status plens_point_describe(const plens_model *model, plens_point point,
                                  plens_point_info *info, plens_error *error) {
    if (model == NULL || info == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "plens_point_describe: an argument is NULL");
    if (plens_point_name(point) == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "unknown point %d", (int)point);
    *info = (plens_point_info){shapes[point].name, shapes[point].in_block,
                               plens__point_heads(&model->config, point),
                               head_width(&model->config, point, 0)};
    return PLENS_OK;
}

/* ---- what hooks ask for ---- */

int plens__hook_wants(const plens_hook *hook, plens_point point, size_t layer) {
    if (hook->point != point)
        return 0;
    if (layer == 0 || (hook->first_layer == 0 && hook->last_layer == 0))
        return 1;
    return layer >= hook->first_layer && layer <= hook->last_layer;
}

static int any_hook(const plens_run_options *options, plens_point point, size_t layer, int writes) {
    for (size_t i = 0; i < options->n_hooks; i++) {
        const plens_hook *hook = &options->hooks[i];
        if ((hook->writes || !writes) && plens__hook_wants(hook, point, layer))
            return 1;
    }
    return 0;
}

/* The lens of a component looks at it as a hook does. */
static int lens_wants(const plens_lens *lens, plens_point point, size_t layer) {
    if (lens == NULL || lens->point != point)
        return 0;
    const plens_hook hook = {
        .point = point, .first_layer = lens->first_layer, .last_layer = lens->last_layer};
    return plens__hook_wants(&hook, point, layer);
}

int plens__pass_wants(const plens_run_options *options, plens_point point, size_t layer) {
    return any_hook(options, point, layer, 0) || lens_wants(options->lens, point, layer);
}

int plens__pass_writes(const plens_run_options *options, plens_point point, size_t layer) {
    return any_hook(options, point, layer, 1);
}

int plens__in_range(size_t i, size_t first, size_t n) {
    return i >= first && (n == 0 || i - first < n);
}

size_t plens__written_positions(const plens_run_options *options, size_t prompt, size_t n_ids) {
    size_t first = n_ids;
    for (size_t i = 0; i < options->n_hooks; i++) {
        const plens_hook *hook = &options->hooks[i];
        if (!hook->writes || !plens__in_range(prompt, hook->first_prompt, hook->n_prompts))
            continue;
        size_t from = hook->positions == PLENS_POSITIONS_LAST ? n_ids - 1 : hook->first_position;
        first = from < first ? from : first;
    }
    return n_ids - first;
}

/* ---- checks ---- */

plens_status plens__layers_check(size_t first, size_t last, size_t n_layers, const char *who,
                                 plens_error *error) {
    if ((first == 0 && last == 0) || (first >= 1 && first <= last && last <= n_layers))
        return PLENS_OK;
    return plens__fail(error, PLENS_ERROR_ARGUMENT,
                       "%s asks for layers %zu to %zu, expected them within 1 to %zu", who, first,
                       last, n_layers);
}

plens_status plens__positions_check(plens_positions positions, const char *who,
                                    plens_error *error) {
    if (positions == PLENS_POSITIONS_ALL || positions == PLENS_POSITIONS_LAST)
        return PLENS_OK;
    return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s has unknown positions (%d)", who,
                       (int)positions);
}

/* ARGUMENT unless [first, first + n), or [first, count) if n is 0, lies within count. */
static plens_status check_range(size_t first, size_t n, size_t count, const char *who,
                                const char *what, const char *whose, plens_error *error) {
    if (first < count && n <= count - first)
        return PLENS_OK;
    size_t last = n == 0 || n > SIZE_MAX - first ? first : first + n - 1;
    return plens__fail(error, PLENS_ERROR_ARGUMENT,
                       "%s asks for %s %zu to %zu, expected them within 0 to %zu (%s)", who, what,
                       first, last, count - 1, whose);
}

plens_status plens__heads_check(const plens__config *config, const plens_hook *hook,
                                const char *who, plens_error *error) {
    if (plens_point_name(hook->point) == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s has an unknown point (%d)", who,
                           (int)hook->point);
    size_t n_heads = plens__point_heads(config, hook->point);
    if (n_heads > 0)
        return check_range(hook->first_head, hook->n_heads, n_heads, who, "heads",
                           plens_point_name(hook->point), error);
    if (hook->first_head == 0 && hook->n_heads == 0)
        return PLENS_OK;
    return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s asks for heads, %s has none", who,
                       plens_point_name(hook->point));
}

static plens_status check_positions(const plens_hook *hook, const plens_prompt *prompts,
                                    size_t n_prompts, const char *who, plens_error *error) {
    size_t longest = 0;
    plens_status status = plens__positions_check(hook->positions, who, error);
    if (status != PLENS_OK)
        return status;
    if (hook->positions == PLENS_POSITIONS_LAST) {
        if (hook->first_position == 0 && hook->n_positions == 0)
            return PLENS_OK;
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "%s asks for last positions and for a range of positions", who);
    }
    for (size_t i = 0; i < n_prompts; i++) {
        if (plens__in_range(i, hook->first_prompt, hook->n_prompts) && prompts[i].n_ids > longest)
            longest = prompts[i].n_ids;
    }
    return check_range(hook->first_position, hook->n_positions, longest, who, "positions",
                       "the longest of its prompts", error);
}

static plens_status check_hook(const plens__config *config, const plens_hook *hook, const char *who,
                               const plens_prompt *prompts, size_t n_prompts, plens_error *error) {
    if (hook->fn == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s has no function", who);
    plens_status status = plens__heads_check(config, hook, who, error);
    if (status == PLENS_OK)
        status =
            plens__layers_check(hook->first_layer, hook->last_layer, config->n_layers, who, error);
    if (status == PLENS_OK)
        status = check_range(hook->first_prompt, hook->n_prompts, n_prompts, who, "prompts",
                             "those of this run", error);
    return status == PLENS_OK ? check_positions(hook, prompts, n_prompts, who, error) : status;
}

plens_status plens__hooks_check(const plens__config *config, const plens_prompt *prompts,
                                size_t n_prompts, const plens_run_options *options,
                                plens_error *error) {
    char who[40];
    if (options->hooks == NULL && options->n_hooks > 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "hooks is NULL");
    for (size_t i = 0; i < options->n_hooks; i++) {
        snprintf(who, sizeof who, "hook %zu", i);
        plens_status status =
            check_hook(config, &options->hooks[i], who, prompts, n_prompts, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}
