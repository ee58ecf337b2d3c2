/* The rotary embedding as config.json has it, in the styles of Transformers 4.x and 5.x. */
#include <string.h>

#include "loaders/config_reader.h"

static const char *const rope_types[] = {
    [PLENS__ROPE_DEFAULT] = "default",
    [PLENS__ROPE_LINEAR] = "linear",
    [PLENS__ROPE_LLAMA3] = "llama3",
};

#define N_ROPE_TYPES (sizeof rope_types / sizeof rope_types[0])

static int is_equal(const plens__json *a, const plens__json *b) {
    double x, y;
    if (plens__json_double(a, &x) && plens__json_double(b, &y))
        return x == y;
    return a->type == PLENS__JSON_STRING && plens__json_is_string(b, a->text);
}

/* A setting may stand in rope_scaling (4.x), in rope_parameters (5.x), and some beside them, under
 * up to two names. *found is NULL where none gives it; those that do must agree. Where there is a
 * rope_scaling with anything in it Transformers does not read rope_parameters, so that may only
 * repeat what stands elsewhere. */
static plens_status find_rope(const plens__config_reader *r, const char *key, const char *older_key,
                              int also_outside, const plens__json **found) {
    const plens__json *places[3] = {plens__json_get(r->root, "rope_scaling"),
                                    plens__json_get(r->root, "rope_parameters"),
                                    also_outside ? r->root : NULL};
    int only_in_parameters = 0;
    *found = NULL;
    for (int i = 0; i < 6; i++) {
        const char *name = i % 2 == 0 ? key : older_key;
        const plens__json *value = name != NULL ? plens__json_get(places[i / 2], name) : NULL;
        if (!plens__config_is_given(value))
            continue;
        if (*found != NULL && !is_equal(*found, value)) {
            char first[PLENS__JSON_SHOWN], second[PLENS__JSON_SHOWN];
            return plens__fail(r->error, PLENS_ERROR_FORMAT,
                               "%s: %s: expected one value, found %s and %s", r->path, key,
                               plens__json_show(*found, first), plens__json_show(value, second));
        }
        only_in_parameters = i / 2 == 1 && (*found == NULL || only_in_parameters);
        *found = value;
    }
    if (only_in_parameters && places[0] != NULL && places[0]->count > 0)
        return plens__fail(r->error, PLENS_ERROR_FORMAT,
                           "%s: %s: expected it in rope_scaling%s, found it only in "
                           "rope_parameters, which is not read where there is rope_scaling",
                           r->path, key, also_outside ? " or beside it" : "");
    return PLENS_OK;
}

/* fallback is used where the setting is absent; 0: it must be there. */
static plens_status read_rope_number(const plens__config_reader *r, const char *key,
                                     int also_outside, double fallback, double *number) {
    const plens__json *value;
    plens_status status = find_rope(r, key, NULL, also_outside, &value);
    if (status != PLENS_OK)
        return status;
    if (value == NULL && fallback > 0) {
        *number = fallback;
        return PLENS_OK;
    }
    return plens__config_positive(r, key, value, number);
}

static plens_status read_rope_type(const plens__config_reader *r) {
    const plens__json *type, *factor;
    plens_status status = find_rope(r, "rope_type", "type", 0, &type);
    if (status == PLENS_OK)
        status = find_rope(r, "factor", NULL, 0, &factor);
    if (status != PLENS_OK)
        return status;
    if (type == NULL && factor != NULL)
        return plens__config_fail(r, PLENS_ERROR_FORMAT, "rope_type",
                                  "a type where there is a factor", type);
    size_t i = 0;
    while (type != NULL && i < N_ROPE_TYPES && !plens__json_is_string(type, rope_types[i]))
        i++;
    if (i == N_ROPE_TYPES)
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "rope_type",
                                  "\"default\", \"linear\" or \"llama3\"", type);
    r->config->rope_type = (plens__rope_type)i;
    return PLENS_OK;
}

/* The objects that hold the settings: nothing in them may be unknown (settings for each type of
 * layer, say), unless it is null. */
static plens_status check_rope_keys(const plens__config_reader *r, const char *place) {
    static const char *const known[] = {"rope_type",       "type",
                                        "rope_theta",      "partial_rotary_factor",
                                        "factor",          "original_max_position_embeddings",
                                        "low_freq_factor", "high_freq_factor"};
    const plens__json *object = plens__json_get(r->root, place);
    if (plens__config_is_given(object) && object->type != PLENS__JSON_OBJECT)
        return plens__config_fail(r, PLENS_ERROR_FORMAT, place, "an object or null", object);
    for (const plens__json *member = object != NULL ? object->first : NULL; member != NULL;
         member = member->next) {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(member->key, known[i]) != 0)
            i++;
        if (!plens__config_is_given(member))
            continue;
        char shown[PLENS__JSON_SHOWN];
        if (i == sizeof known / sizeof known[0])
            return plens__fail(r->error, PLENS_ERROR_UNSUPPORTED,
                               "%s: %s: expected no key \"%s\", found %s", r->path, place,
                               member->key, plens__json_show(member, shown));
    }
    return PLENS_OK;
}

/* [Llama 3.1's scaling: modeling_rope_utils.py, _compute_llama3_parameters] */
static plens_status read_llama3(const plens__config_reader *r) {
    plens__config *c = r->config;
    plens_status status = read_rope_number(r, "low_freq_factor", 0, 0, &c->rope_low_freq_factor);
    if (status == PLENS_OK)
        status = read_rope_number(r, "high_freq_factor", 0, 0, &c->rope_high_freq_factor);
    if (status != PLENS_OK)
        return status;
    if (!(c->rope_low_freq_factor < c->rope_high_freq_factor)) {
        const plens__json *high;
        status = find_rope(r, "high_freq_factor", NULL, 0, &high);
        return status != PLENS_OK ? status
                                  : plens__config_fail(r, PLENS_ERROR_FORMAT, "high_freq_factor",
                                                       "more than low_freq_factor", high);
    }
    const char *key = "original_max_position_embeddings";
    const plens__json *original;
    status = find_rope(r, key, NULL, 1, &original);
    if (status != PLENS_OK)
        return status;
    if (original == NULL) {
        key = "max_position_embeddings";
        original = plens__json_get(r->root, key);
    }
    return plens__config_positive(r, key, original, &c->rope_original_positions);
}

plens_status plens__config_rope(const plens__config_reader *r) {
    plens__config *c = r->config;
    const plens__json *partial;
    double share;
    plens_status status = read_rope_type(r);
    if (status == PLENS_OK)
        status = check_rope_keys(r, "rope_scaling");
    if (status == PLENS_OK)
        status = check_rope_keys(r, "rope_parameters");
    if (status == PLENS_OK)
        status = find_rope(r, "partial_rotary_factor", NULL, 1, &partial);
    if (status != PLENS_OK)
        return status;
    if (partial != NULL && (!plens__json_double(partial, &share) || share != 1))
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "partial_rotary_factor", "1",
                                  partial);
    status = read_rope_number(r, "rope_theta", 1, 10000, &c->rope_theta);
    if (status == PLENS_OK && c->rope_type != PLENS__ROPE_DEFAULT)
        status = read_rope_number(r, "factor", 0, 0, &c->rope_factor);
    if (status == PLENS_OK && c->rope_type == PLENS__ROPE_LLAMA3)
        status = read_llama3(r);
    return status;
}

const char *plens__rope_type_name(plens__rope_type type) {
    return rope_types[type];
}
