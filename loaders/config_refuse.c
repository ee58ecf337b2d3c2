/* What config.json may ask for and plens does not compute. */
#include "loaders/config_reader.h"

/* Keys of other models' mathematics. The four classes do not read them, but a file that sets one
 * was written for code that does. null, and what switches the thing off, are no harm. */
static const struct {
    const char *key;
    enum { NONE, OFF, ONE } neutral; /* no value; false and 0; 1 */
} foreign[] = {
    {"attn_logit_softcapping", OFF}, /* Gemma 2 */
    {"final_logit_softcapping", OFF},
    {"query_pre_attn_scalar", NONE},
    {"embedding_multiplier", ONE}, /* Granite */
    {"residual_multiplier", ONE},
    {"logits_scaling", ONE},
    {"attention_multiplier", NONE},
    {"logit_scale", ONE}, /* Cohere */
    {"scale_emb", ONE},   /* MiniCPM */
    {"scale_depth", NONE},
    {"clip_qkv", OFF},            /* OLMo */
    {"alibi", OFF},               /* Falcon */
    {"use_alibi", OFF},           /* Baichuan */
    {"use_qk_norm", OFF},         /* Llama 4 */
    {"no_rope_layers", NONE},     /* Llama 4, SmolLM3 */
    {"attention_chunk_size", OFF} /* Llama 4 */
};

static const char *neutral_value(size_t i) {
    static const char *const shown[] = {"none", "none or false", "none or 1"};
    return shown[foreign[i].neutral];
}

static int is_neutral(size_t i, const plens__json *value) {
    double number;
    if (!plens__config_is_given(value))
        return 1;
    if (foreign[i].neutral == OFF && value->type == PLENS__JSON_FALSE)
        return 1;
    return foreign[i].neutral != NONE && plens__json_double(value, &number) &&
           number == (foreign[i].neutral == ONE ? 1.0 : 0.0);
}

static plens_status refuse_foreign(const plens__config_reader *r) {
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        const plens__json *value = plens__json_get(r->root, foreign[i].key);
        if (!is_neutral(i, value))
            return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, foreign[i].key, neutral_value(i),
                                      value);
    }
    return PLENS_OK;
}

plens_status plens__config_refuse(const plens__config_reader *r) {
    static const char *const keys[] = {"quantization_config", "per_layer_config"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const plens__json *value = plens__json_get(r->root, keys[i]);
        if (plens__config_is_given(value))
            return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, keys[i], "none", value);
    }
    const plens__json *causal = plens__json_get(r->root, "is_causal");
    if (plens__config_is_given(causal) && causal->type != PLENS__JSON_TRUE)
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "is_causal", "true", causal);
    const plens__json *act = plens__json_get(r->root, "hidden_act"); /* "swish" is SiLU too */
    if (act != NULL && !plens__json_is_string(act, "silu") && !plens__json_is_string(act, "swish"))
        return plens__config_fail(r, PLENS_ERROR_UNSUPPORTED, "hidden_act", "\"silu\"", act);
    return refuse_foreign(r);
}
