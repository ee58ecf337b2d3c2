/* loaders/config.c. What a key means and what stands in for an absent one: Transformers 5.23,
 * models/{llama,mistral,qwen2,qwen3}/configuration_*.py and modeling_rope_utils.py. */
#define _XOPEN_SOURCE 700
#include "loaders/config.h"

#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

static char folder[1024];
static plens__config config;
static plens_error failure;

static plens_status load_text(const char *text) {
    folder_write_text(folder, "config.json", text);
    memset(&failure, 0, sizeof failure);
    memset(&config, 0, sizeof config);
    return plens__config_load(&heap, folder, &config, &failure);
}

#define SIZES                                                                                      \
    "\"hidden_size\":64,\"intermediate_size\":176,\"num_hidden_layers\":4,"                        \
    "\"num_attention_heads\":8,\"vocab_size\":257"

/* A config of the named class with the members in `more` (which may repeat none of SIZES). */
static plens_status load(const char *architecture, const char *more) {
    char text[4096];
    snprintf(text, sizeof text, "{\"architectures\":[\"%s\"]," SIZES "%s%s}", architecture,
             more[0] ? "," : "", more);
    return load_text(text);
}

/* Guards each class's own defaults: they differ in key-value heads, head_dim, biases and windows.
 */
static void absent_keys_take_the_classes_defaults(void) {
    static const struct {
        const char *architecture;
        size_t n_kv_heads, head_dim, window;
        int qkv_bias, qk_norm;
        const char *more;
    } cases[] = {
        {"LlamaForCausalLM", 8, 8, 0, 0, 0, ""},
        {"MistralForCausalLM", 8, 8, 4096, 0, 0, ""},
        {"Qwen2ForCausalLM", 8, 8, 0, 1, 0, "\"num_key_value_heads\":null"},
        {"Qwen3ForCausalLM", 8, 128, 0, 0, 1, "\"num_key_value_heads\":null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(load(cases[i].architecture, cases[i].more), failure);
        CHECK_STRING(plens__architecture_name(config.architecture), cases[i].architecture);
        CHECK_INT(config.n_kv_heads, cases[i].n_kv_heads);
        CHECK_INT(config.head_dim, cases[i].head_dim);
        CHECK_INT(config.windows[0], cases[i].window);
        CHECK_INT(config.windows[3], cases[i].window);
        CHECK_INT(config.qkv_bias, cases[i].qkv_bias);
        CHECK_INT(config.qk_norm, cases[i].qk_norm);
        CHECK_INT(config.max_positions, 0);
        CHECK(config.rms_norm_eps == 1e-6);
        CHECK(config.rope_theta == 10000);
        CHECK_STRING(plens__rope_type_name(config.rope_type), "default");
        CHECK(!config.o_bias && !config.mlp_bias && !config.tied_embeddings);
        plens__config_free(&heap, &config);
    }
    CHECK_INT(load("Qwen2ForCausalLM", ""), PLENS_ERROR_FORMAT); /* its default is 32 */
    CHECK_CONTAINS(failure.message, "expected a divisor of num_attention_heads (8), found 32");
}

/* Guards every value that is read. */
static void given_keys_are_read(void) {
    CHECK_OK(load("LlamaForCausalLM",
                  "\"num_key_value_heads\":2,\"head_dim\":6,\"rms_norm_eps\":1e-05,"
                  "\"rope_theta\":500000,\"attention_bias\":true,\"mlp_bias\":true,"
                  "\"tie_word_embeddings\":true,\"hidden_act\":\"silu\",\"model_type\":\"llama\","
                  "\"max_position_embeddings\":8192,"
                  "\"sliding_window\":7,\"eos_token_id\":[1,2],\"quantization_config\":null"),
             failure);
    CHECK_INT(config.n_layers, 4);
    CHECK_INT(config.d_model, 64);
    CHECK_INT(config.d_ff, 176);
    CHECK_INT(config.vocab_size, 257);
    CHECK_INT(config.n_heads, 8);
    CHECK_INT(config.n_kv_heads, 2);
    CHECK_INT(config.head_dim, 6);
    CHECK_INT(config.max_positions, 8192);
    CHECK(config.rms_norm_eps == 1e-5);
    CHECK(config.rope_theta == 500000);
    CHECK(config.qkv_bias && config.o_bias && config.mlp_bias && config.tied_embeddings);
    CHECK_INT(config.windows[0], 0); /* Llama's code reads no window */
    plens__config_free(&heap, &config);
    CHECK_OK(load("Qwen3ForCausalLM", "\"num_key_value_heads\":8,\"attention_bias\":true"),
             failure);
    CHECK(config.qkv_bias && config.o_bias && !config.mlp_bias);
    plens__config_free(&heap, &config);
    CHECK_OK(load("Qwen2ForCausalLM", "\"num_key_value_heads\":8,\"attention_bias\":true"),
             failure);
    CHECK(config.qkv_bias && !config.o_bias); /* Qwen2's code reads no attention_bias */
    plens__config_free(&heap, &config);
}

/* Guards the styles of 4.x (rope_scaling, `type`) and 5.x (rope_parameters). */
static void rope_is_read_in_every_style(void) {
#define LLAMA3 "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0"
    static const struct {
        const char *more, *type;
        double theta, factor, low, high, original;
    } cases[] = {
        {"\"rope_scaling\":null,\"rope_theta\":1000000.0", "default", 1e6, 0, 0, 0, 0},
        {"\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.5}", "linear", 1e4, 2.5, 0, 0, 0},
        {"\"rope_scaling\":{\"rope_type\":\"linear\",\"type\":\"linear\",\"factor\":4}", "linear",
         1e4, 4, 0, 0, 0},
        {"\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"original_max_"
         "position_embeddings\":8192," LLAMA3 "}",
         "llama3", 5e5, 8, 1, 4, 8192},
        {"\"max_position_embeddings\":2048,\"rope_scaling\":{\"rope_type\":\"llama3\"," LLAMA3 "}",
         "llama3", 1e4, 8, 1, 4, 2048},
        {"\"original_max_position_embeddings\":64,\"rope_scaling\":{\"rope_type\":"
         "\"llama3\"," LLAMA3 "}",
         "llama3", 1e4, 8, 1, 4, 64},
        {"\"rope_parameters\":{\"rope_theta\":250000.0,\"rope_type\":\"default\"}", "default",
         250000, 0, 0, 0, 0},
        {"\"rope_parameters\":{\"rope_theta\":250000.0,\"rope_type\":\"linear\",\"factor\":2}",
         "linear", 250000, 2, 0, 0, 0},
        {"\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0},\"rope_"
         "parameters\":{\"rope_theta\":1e4,\"rope_type\":\"linear\",\"factor\":2}",
         "linear", 1e4, 2, 0, 0, 0},
        {"\"partial_rotary_factor\":1.0,\"rope_scaling\":{}", "default", 1e4, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_THAT(load("LlamaForCausalLM", cases[i].more) == PLENS_OK, "%s: %s", cases[i].more,
                   failure.message);
        CHECK_STRING(plens__rope_type_name(config.rope_type), cases[i].type);
        CHECK(config.rope_theta == cases[i].theta);
        CHECK(config.rope_factor == cases[i].factor);
        CHECK(config.rope_low_freq_factor == cases[i].low);
        CHECK(config.rope_high_freq_factor == cases[i].high);
        CHECK(config.rope_original_positions == cases[i].original);
        plens__config_free(&heap, &config);
    }
}

/* Guards the window of each block: by class, by use_sliding_window and max_window_layers, by
 * layer_types. */
static void windows_follow_the_class(void) {
#define KV "\"num_key_value_heads\":8,"
#define F  "\"full_attention\""
#define S  "\"sliding_attention\""
    static const struct {
        const char *architecture, *more;
        size_t windows[4];
    } cases[] = {
        {"MistralForCausalLM", "\"sliding_window\":9", {9, 9, 9, 9}},
        {"MistralForCausalLM", "\"sliding_window\":null", {0, 0, 0, 0}},
        {"MistralForCausalLM",
         "\"sliding_window\":9,\"layer_types\":[" S "," S "," S "," S "]",
         {9, 9, 9, 9}},
        {"LlamaForCausalLM", "\"layer_types\":[" F "," F "," F ",\"attention\"]", {0, 0, 0, 0}},
        {"Qwen2ForCausalLM", KV "\"sliding_window\":9,\"max_window_layers\":2", {0, 0, 0, 0}},
        {"Qwen2ForCausalLM",
         KV "\"sliding_window\":9,\"max_window_layers\":2,\"use_sliding_window\":false",
         {0, 0, 0, 0}},
        {"Qwen2ForCausalLM",
         KV "\"sliding_window\":9,\"max_window_layers\":2,\"use_sliding_window\":true",
         {0, 0, 9, 9}},
        {"Qwen2ForCausalLM",
         KV "\"sliding_window\":null,\"max_window_layers\":2,\"use_sliding_window\":true",
         {0, 0, 0, 0}},
        {"Qwen2ForCausalLM",
         KV "\"sliding_window\":9,\"use_sliding_window\":true",
         {0, 0, 0, 0}}, /* from layer 28 */
        {"Qwen3ForCausalLM",
         KV "\"max_window_layers\":0,\"use_sliding_window\":true",
         {4096, 4096, 4096, 4096}},
        {"Qwen3ForCausalLM",
         KV "\"sliding_window\":9,\"max_window_layers\":0,\"use_sliding_window\":true,\"layer_"
            "types\":[" F "," S "," F "," S "]",
         {0, 9, 0, 9}},
        {"Qwen3ForCausalLM",
         KV "\"sliding_window\":9,\"use_sliding_window\":true,\"layer_types\":null",
         {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_THAT(load(cases[i].architecture, cases[i].more) == PLENS_OK, "%s: %s", cases[i].more,
                   failure.message);
        for (int l = 0; l < 4; l++)
            CHECK_THAT(config.windows[l] == cases[i].windows[l], "%s: block %d has %zu",
                       cases[i].more, l + 1, config.windows[l]);
        plens__config_free(&heap, &config);
    }
}

/* Guards against computing something else than the config asks for. */
static void what_plens_cannot_do_is_named(void) {
    static const struct {
        const char *architecture, *more;
        int status;
        const char *message;
    } cases[] = {
#define U PLENS_ERROR_UNSUPPORTED
#define X PLENS_ERROR_FORMAT
#define L "LlamaForCausalLM"
        {"GPT2LMHeadModel", "", U,
         "architectures: expected LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or "
         "Qwen3ForCausalLM, found \"GPT2LMHeadModel\""},
        {L, "\"model_type\":\"mistral\"", U, "model_type: expected llama, found \"mistral\""},
        {L, "\"hidden_act\":\"gelu\"", U, "hidden_act: expected \"silu\", found \"gelu\""},
        {L, "\"hidden_act\":null", U, "hidden_act: expected \"silu\", found null"},
        {L, "\"quantization_config\":{\"quant_method\":\"awq\"}", U,
         "quantization_config: expected none, found an object of 1"},
        {L, "\"per_layer_config\":{}", U, "per_layer_config: expected none"},
        {L, "\"attn_logit_softcapping\":50.0", U,
         "attn_logit_softcapping: expected none or false, found 50.0"},
        {L, "\"embedding_multiplier\":12.0", U,
         "embedding_multiplier: expected none or 1, found 12.0"},
        {"MistralForCausalLM", "\"attention_multiplier\":1", U,
         "attention_multiplier: expected none, found 1"},
        {"Qwen3ForCausalLM", KV "\"use_qk_norm\":true", U,
         "use_qk_norm: expected none or false, found true"},
        {L, "\"rope_scaling\":{\"rope_type\":\"default\",\"mscale\":0.7}", U,
         "rope_scaling: expected no key \"mscale\", found 0.7"},
        {L, "\"is_causal\":false", U, "is_causal: expected true, found false"},
        {L, "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}", U,
         "rope_type: expected \"default\", \"linear\" or \"llama3\", found \"yarn\""},
        {L, "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":4}", U, "found \"dynamic\""},
        {L, "\"rope_parameters\":{\"rope_type\":\"longrope\"}", U, "found \"longrope\""},
        {L, "\"rope_scaling\":{\"rope_type\":7}", U, "found 7"},
        {L, "\"rope_scaling\":{\"factor\":4}", X,
         "rope_type: expected a type where there is a factor, found nothing"},
        {L, "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1.0}}", U,
         "rope_parameters: expected no key \"full_attention\""},
        {L, "\"partial_rotary_factor\":0.5", U, "partial_rotary_factor: expected 1, found 0.5"},
        {L, "\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.25}", U,
         "partial_rotary_factor: expected 1, found 0.25"},
        {L, "\"rope_theta\":10000,\"rope_parameters\":{\"rope_theta\":500000.0}", X,
         "rope_theta: expected one value, found 500000.0 and 10000"},
        {L,
         "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2},\"rope_parameters\":{\"rope_type\":"
         "\"default\"}",
         X, "rope_type: expected one value, found \"linear\" and \"default\""},
        {L, "\"rope_scaling\":{\"type\":\"linear\",\"rope_type\":\"llama3\"}", X,
         "rope_type: expected one value"},
        /* Transformers takes rope_scaling and leaves rope_parameters unread: theta is 10000. */
        {L,
         "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2},\"rope_parameters\":{\"rope_theta\":"
         "1e6}",
         X, "rope_theta: expected it in rope_scaling or beside it, found it only in"},
        {L,
         "\"rope_scaling\":{\"type\":\"linear\"},\"rope_parameters\":{\"type\":\"linear\","
         "\"factor\":2}",
         X, "factor: expected it in rope_scaling, found it only in rope_parameters"},
        {L, "\"layer_types\":[" F "," F "," F "," S "]", U,
         "layer_types: expected \"full_attention\" where no sliding_window is in use, found "
         "\"sliding_attention\""},
        {"Qwen2ForCausalLM", KV "\"sliding_window\":9,\"layer_types\":[" S "," F "," F "," F "]", U,
         "where no sliding_window is in use"},
        {"MistralForCausalLM", "\"sliding_window\":9,\"layer_types\":[" S "," F "," S "," F "]", U,
         "layer_types: expected \"sliding_attention\" (MistralForCausalLM"},
        {"Qwen3ForCausalLM", KV "\"layer_types\":[" F "," F "," F ",\"linear_attention\"]", U,
         "found \"linear_attention\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_THAT((int)load(cases[i].architecture, cases[i].more) == cases[i].status, "%s: %s",
                   cases[i].more, failure.message);
        CHECK_CONTAINS(failure.message, cases[i].message);
        CHECK_CONTAINS(failure.message, "/config.json: ");
        CHECK(config.windows == NULL);
    }
}

/* Guards against refusing a config that names its class by model_type alone. */
static void the_model_type_stands_in_for_the_class(void) {
    CHECK_OK(load_text("{\"model_type\":\"qwen3\",\"num_key_value_heads\":2," SIZES "}"), failure);
    CHECK_STRING(plens__architecture_name(config.architecture), "Qwen3ForCausalLM");
    CHECK_INT(config.qk_norm, 1);
    plens__config_free(&heap, &config);
    CHECK_OK(load_text("{\"architectures\":null,\"model_type\":\"llama\"," SIZES "}"), failure);
    CHECK_STRING(plens__architecture_name(config.architecture), "LlamaForCausalLM");
    plens__config_free(&heap, &config);
    CHECK_INT(load_text("{\"model_type\":\"gemma\"," SIZES "}"), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message,
                   "model_type: expected llama, mistral, qwen2 or qwen3, found \"gemma\"");
}

/* Guards against refusing what folders of the Hub hold besides and changes nothing: Transformers
 * ignores pretraining_tp today (it once split the same products), auto_map without the caller's
 * consent, and the dtype where the caller names one. */
static void harmless_keys_are_no_error(void) {
    static const char *const cases[] = {
        "\"pretraining_tp\":4,\"use_cache\":false,\"initializer_range\":0.02",
        "\"eos_token_id\":[1,2,3,4,5,6,7,8,9],\"bos_token_id\":null,\"pad_token_id\":-1",
        "\"torch_dtype\":\"float16\"",
        "\"dtype\":\"bfloat16\",\"rope_scaling\":null,\"rope_parameters\":null",
        "\"_name_or_path\":\"\xE6\x97\xA5\",\"transformers_version\":\"4.31.0\"",
        "\"auto_map\":{\"AutoModel\":\"m.M\"},\"id2label\":{\"0\":\"a\"}",
        "\"quantization_config\":null,\"attention_dropout\":0.1,\"is_causal\":null",
        "\"attn_logit_softcapping\":null,\"logit_scale\":1.0,\"use_qk_norm\":false",
        "\"sliding_window\":4096,\"use_sliding_window\":true,\"max_window_layers\":0",
        "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"attention_factor\":null}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_THAT(load("LlamaForCausalLM", cases[i]) == PLENS_OK, "%s: %s", cases[i],
                   failure.message);
        CHECK_INT(config.windows[0], 0);
        plens__config_free(&heap, &config);
    }
}

/* Guards against values that would be made up, wrap around or divide by zero. */
static void wrong_values_are_named(void) {
    static const struct {
        const char *more, *message;
    } cases[] = {
        {"\"num_key_value_heads\":3",
         "num_key_value_heads: expected a divisor of num_attention_heads (8), found 3"},
        {"\"num_key_value_heads\":0",
         "num_key_value_heads: expected an integer from 1 to 2147483647, found 0"},
        {"\"num_key_value_heads\":16", "expected a divisor of num_attention_heads (8), found 16"},
        {"\"head_dim\":0", "head_dim: expected an integer from 1 to 2147483647, found 0"},
        {"\"head_dim\":7", "head_dim: expected an even number (rotary embedding), found 7"},
        {"\"head_dim\":16.0", "head_dim: expected an integer from 1 to 2147483647, found 16.0"},
        {"\"head_dim\":1073741824",
         "expected num_attention_heads x head_dim below 2^31, found 8 x 1073741824"},
        {"\"max_position_embeddings\":0", "max_position_embeddings: expected an integer from 1"},
        {"\"rms_norm_eps\":-1e-5", "rms_norm_eps: expected a number from 0 on, found -1e-5"},
        {"\"rms_norm_eps\":\"1e-5\"", "rms_norm_eps: expected a number from 0 on, found \"1e-5\""},
        {"\"rms_norm_eps\":null", "rms_norm_eps: expected a number from 0 on, found null"},
        {"\"rms_norm_eps\":1e400", "found 1e400"},
        {"\"rms_norm_eps\":NaN", "expected a JSON value, found 'N'"},
        {"\"rope_theta\":0", "rope_theta: expected a number above 0, found 0"},
        {"\"rope_theta\":-1.0", "rope_theta: expected a number above 0, found -1.0"},
        {"\"rope_theta\":\"10000\"", "rope_theta: expected a number above 0, found \"10000\""},
        {"\"rope_scaling\":7", "rope_scaling: expected an object or null, found 7"},
        {"\"rope_scaling\":{\"type\":\"linear\"}",
         "factor: expected a number above 0, found nothing"},
        {"\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}",
         "factor: expected a number above 0, found 0"},
        {"\"rope_scaling\":{\"rope_type\":\"llama3\",\"original_max_position_embeddings\":8,"
         "\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4.0}",
         "high_freq_factor: expected more than low_freq_factor, found 4.0"},
        {"\"rope_scaling\":{\"rope_type\":\"llama3\",\"original_max_position_embeddings\":8,"
         "\"factor\":8,\"low_freq_factor\":4}",
         "high_freq_factor: expected a number above 0, found nothing"},
        {"\"rope_scaling\":{\"rope_type\":\"llama3\"," LLAMA3 "}",
         "max_position_embeddings: expected a number above 0, found nothing"},
        {"\"rope_scaling\":{\"rope_type\":\"llama3\",\"original_max_position_embeddings\":0," LLAMA3
         "}",
         "original_max_position_embeddings: expected a number above 0, found 0"},
        {"\"attention_bias\":1", "attention_bias: expected true or false, found 1"},
        {"\"mlp_bias\":\"true\"", "mlp_bias: expected true or false, found \"true\""},
        {"\"tie_word_embeddings\":null", "tie_word_embeddings: expected true or false, found null"},
        {"\"layer_types\":[\"full_attention\"]",
         "layer_types: expected an array with one entry for each of num_hidden_layers, found an "
         "array of 1"},
        {"\"layer_types\":3", "layer_types: expected an array"},
        {"\"vocab_size\":3", "found \"vocab_size\" again"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_THAT(load("LlamaForCausalLM", cases[i].more) == PLENS_ERROR_FORMAT, "%s: %s",
                   cases[i].more, failure.message);
        CHECK_CONTAINS(failure.message, cases[i].message);
        CHECK(config.windows == NULL);
    }
    CHECK_INT(load("MistralForCausalLM", "\"sliding_window\":0"), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message,
                   "sliding_window: expected an integer from 1 to 2147483647, found 0");
}

/* Guards the five sizes that must be there, against each wrong value. */
static void wrong_sizes_are_named(void) {
    static const char *const keys[] = {"hidden_size", "intermediate_size", "num_hidden_layers",
                                       "num_attention_heads", "vocab_size"};
    static const char *const values[] = {
        "0",     "-8",   "8.5", "8.0",  "8e0", "2147483648", "99999999999999999999",
        "\"8\"", "null", "[8]", "true", NULL};
    for (size_t k = 0; k < 5; k++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            char text[1024], expected[128];
            size_t at =
                (size_t)snprintf(text, sizeof text, "{\"architectures\":[\"LlamaForCausalLM\"]");
            for (size_t i = 0; i < 5; i++) {
                const char *value = i == k ? values[v] : "8";
                if (value != NULL)
                    at +=
                        (size_t)snprintf(text + at, sizeof text - at, ",\"%s\":%s", keys[i], value);
            }
            snprintf(text + at, sizeof text - at, "}");
            CHECK_THAT(load_text(text) == PLENS_ERROR_FORMAT, "%s was accepted", text);
            snprintf(expected, sizeof expected,
                     "%s: expected an integer from 1 to 2147483647, found %s", keys[k],
                     values[v] == NULL     ? "nothing"
                     : values[v][0] == '[' ? "an array"
                                           : values[v]);
            CHECK_CONTAINS(failure.message, expected);
        }
    }
    CHECK_INT(load_text("{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,"
                        "\"intermediate_size\":8,\"num_attention_heads\":3,\"vocab_size\":8,"
                        "\"num_hidden_layers\":1}"),
              PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message, "hidden_size: expected a multiple of num_attention_heads (3) "
                                    "where there is no head_dim, found 8");
    CHECK_INT(load_text("{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,"
                        "\"intermediate_size\":8,\"num_attention_heads\":4,\"vocab_size\":8,"
                        "\"num_hidden_layers\":2147483647}"),
              PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message, "num_hidden_layers: expected at most 65536, found 2147483647");
}

/* Guards the messages for files that are no config at all. */
static void wrong_files_are_named(void) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "config.json: byte 0: expected a JSON value"},
        {"[]", "expected an object, found an array"},
        {"{}", "architectures: expected an array of one name, found nothing"},
        {"{\"architectures\":null,\"model_type\":null}", "an array of one name, found null"},
        {"{\"architectures\":[]}",
         "architectures: expected an array of one name, found an array of 0"},
        {"{\"architectures\":\"LlamaForCausalLM\"}", "found \"LlamaForCausalLM\""},
        {"{\"architectures\":[\"LlamaForCausalLM\",\"LlamaModel\"]}", "found an array of 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(load_text(cases[i].text), PLENS_ERROR_FORMAT);
        CHECK_CONTAINS(failure.message, cases[i].message);
    }
    folder_remove_file(folder, "config.json");
    CHECK_INT(plens__config_load(&heap, folder, &config, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/config.json: cannot open: no such file or folder");
    CHECK_INT(plens__config_load(&heap, "/dev/null", &config, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/dev/null: expected a folder, found a file");
}

static plens_status load_and_free(const plens_allocator *allocator, void *data,
                                  plens_error *error) {
    plens__config loaded;
    plens_status status = plens__config_load(allocator, data, &loaded, error);
    if (status == PLENS_OK)
        plens__config_free(allocator, &loaded);
    return status;
}

/* Guards against leaks and crashes where memory runs out. */
static void running_out_of_memory_is_an_error(void) {
    CHECK_OK(load("MistralForCausalLM", "\"sliding_window\":9"), failure);
    plens__config_free(&heap, &config);
    const char *problem = faults_sweep(load_and_free, folder);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* Guards against refusing what published models say. */
static void real_configs_load(void) {
    static const char *const models[] = {"llama31-like", "llmjp-like", "qwen25-like",
                                         "mistral-like", "qwen3-like", "qwen2-tied",
                                         "stories260k"};
    const char *shared = test_shared();
    if (shared == NULL)
        SKIP("no shared test data");
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/models/%s", shared, models[i]);
        CHECK_OK(plens__config_load(&heap, path, &config, &failure), failure);
        if (strcmp(models[i], "mistral-like") == 0)
            CHECK_INT(config.windows[2], 9);
        plens__config_free(&heap, &config);
    }
}

int main(void) {
    folder_make(folder);
    RUN(absent_keys_take_the_classes_defaults);
    RUN(given_keys_are_read);
    RUN(rope_is_read_in_every_style);
    RUN(windows_follow_the_class);
    RUN(what_plens_cannot_do_is_named);
    RUN(the_model_type_stands_in_for_the_class);
    RUN(harmless_keys_are_no_error);
    RUN(wrong_values_are_named);
    RUN(wrong_sizes_are_named);
    RUN(wrong_files_are_named);
    RUN(running_out_of_memory_is_an_error);
    RUN(real_configs_load);
    folder_remove(folder);
    return test_finish();
}
