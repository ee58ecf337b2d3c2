/* loaders/layout.c: every tensor has its part and its shape, and no tensor is without a part. */
#define _XOPEN_SOURCE 700
#include "loaders/layout.h"

#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

static char folder[1024];
static plens_error failure;

/* d_model 8, d_ff 12, 2 heads of 4, one of them for keys and values, 10 tokens. */
#define SIZES                                                                                      \
    "\"hidden_size\":8,\"intermediate_size\":12,\"num_attention_heads\":2,"                        \
    "\"num_key_value_heads\":1,\"vocab_size\":10,"

typedef struct entry {
    char name[96], dtype[16];
    size_t rows, columns; /* columns 0: [rows] */
} entry;

static entry entries[128];
static size_t n_entries;

static void add(const char *name, size_t rows, size_t columns) {
    entry *e = &entries[n_entries++];
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->dtype, sizeof e->dtype, "F32");
    e->rows = rows;
    e->columns = columns;
}

static void add_block(int block, const char *name, size_t rows, size_t columns) {
    char full[96];
    snprintf(full, sizeof full, "model.layers.%d.%s", block, name);
    add(full, rows, columns);
}

/* The tensors of a Llama of two blocks without biases, not tied. */
static void make_llama(void) {
    n_entries = 0;
    add("model.embed_tokens.weight", 10, 8);
    add("model.norm.weight", 8, 0);
    add("lm_head.weight", 10, 8);
    for (int i = 0; i < 2; i++) {
        add_block(i, "input_layernorm.weight", 8, 0);
        add_block(i, "post_attention_layernorm.weight", 8, 0);
        add_block(i, "self_attn.q_proj.weight", 8, 8);
        add_block(i, "self_attn.k_proj.weight", 4, 8);
        add_block(i, "self_attn.v_proj.weight", 4, 8);
        add_block(i, "self_attn.o_proj.weight", 8, 8);
        add_block(i, "mlp.gate_proj.weight", 12, 8);
        add_block(i, "mlp.up_proj.weight", 12, 8);
        add_block(i, "mlp.down_proj.weight", 8, 12);
    }
}

static entry *entry_named(const char *name) {
    for (size_t i = 0; i < n_entries; i++) {
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    }
    printf("no entry %s\n", name);
    exit(1);
}

static void remove_entry(const char *name) {
    entry *removed = entry_named(name);
    *removed = entries[--n_entries];
}

/* fill 0: every byte 0; 1: bytes count up, so that two tensors differ. */
static void write_checkpoint(int fill) {
    char header[16384];
    size_t at = 0, end = 0;
    for (size_t i = 0; i < n_entries; i++) {
        const entry *e = &entries[i];
        size_t size = strcmp(e->dtype, "F64") == 0 ? 8 : strcmp(e->dtype, "F32") == 0 ? 4 : 2;
        size_t n = e->rows * (e->columns > 0 ? e->columns : 1) * size;
        char shape[64];
        snprintf(shape, sizeof shape, e->columns > 0 ? "%zu,%zu" : "%zu", e->rows, e->columns);
        at += (size_t)snprintf(
            header + at, sizeof header - at,
            "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
            i == 0 ? '{' : ',', e->name, e->dtype, shape, end, end + n);
        end += n;
    }
    snprintf(header + at, sizeof header - at, "}");
    folder_write_safetensors(folder, "model.safetensors", header, end);
    if (fill == 0) { /* what a longer file leaves out and takes back in reads as zeros */
        char path[2048];
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        if (truncate(path, (off_t)(8 + strlen(header))) != 0 ||
            truncate(path, (off_t)(8 + strlen(header) + end)) != 0)
            exit(1);
    }
}

static void write_config(const char *architecture, const char *more) {
    char text[1024];
    snprintf(text, sizeof text,
             "{\"architectures\":[\"%s\"]," SIZES "%s\"num_hidden_layers\":2,\"head_dim\":4}",
             architecture, more);
    folder_write_text(folder, "config.json", text);
}

typedef struct model {
    plens__config config;
    plens__checkpoint checkpoint;
    plens__layout layout;
} model;

static plens_status open_model(const plens_allocator *allocator, model *m, plens_error *error) {
    plens_status status = plens__config_load(allocator, folder, &m->config, error);
    if (status != PLENS_OK)
        return status;
    status = plens__checkpoint_open(allocator, folder, &m->checkpoint, error);
    if (status == PLENS_OK) {
        status = plens__layout_resolve(allocator, &m->config, &m->checkpoint, &m->layout, error);
        if (status != PLENS_OK)
            plens__checkpoint_close(&m->checkpoint);
    }
    if (status != PLENS_OK)
        plens__config_free(allocator, &m->config);
    return status;
}

static void close_model(const plens_allocator *allocator, model *m) {
    plens__layout_free(allocator, &m->layout);
    plens__checkpoint_close(&m->checkpoint);
    plens__config_free(allocator, &m->config);
}

/* What opening the model as it is written says. */
static plens_status outcome(void) {
    model m;
    memset(&failure, 0, sizeof failure);
    plens_status status = open_model(&heap, &m, &failure);
    if (status == PLENS_OK)
        close_model(&heap, &m);
    return status;
}

/* Guards against parts mixed up: each place has the tensor of its name, the others are NULL. */
static void every_tensor_finds_its_part(void) {
    model m;
    make_llama();
    write_checkpoint(1);
    write_config("LlamaForCausalLM", "");
    CHECK_OK(open_model(&heap, &m, &failure), failure);
    const plens__block_tensors *b = &m.layout.blocks[1];
    const struct {
        const plens__tensor *tensor;
        const char *name;
    } parts[] = {
        {m.layout.embed, "model.embed_tokens.weight"},
        {m.layout.final_norm, "model.norm.weight"},
        {m.layout.unembed, "lm_head.weight"},
        {m.layout.blocks[0].q, "model.layers.0.self_attn.q_proj.weight"},
        {b->attn_norm, "model.layers.1.input_layernorm.weight"},
        {b->mlp_norm, "model.layers.1.post_attention_layernorm.weight"},
        {b->q, "model.layers.1.self_attn.q_proj.weight"},
        {b->k, "model.layers.1.self_attn.k_proj.weight"},
        {b->v, "model.layers.1.self_attn.v_proj.weight"},
        {b->o, "model.layers.1.self_attn.o_proj.weight"},
        {b->gate, "model.layers.1.mlp.gate_proj.weight"},
        {b->up, "model.layers.1.mlp.up_proj.weight"},
        {b->down, "model.layers.1.mlp.down_proj.weight"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        CHECK_STRING(parts[i].tensor->name, parts[i].name);
    CHECK(b->q_bias == NULL && b->k_bias == NULL && b->v_bias == NULL && b->o_bias == NULL);
    CHECK(b->q_norm == NULL && b->k_norm == NULL);
    CHECK(b->gate_bias == NULL && b->up_bias == NULL && b->down_bias == NULL);
    close_model(&heap, &m);
}

/* Guards biases and query/key norms: those that the config switches on, with their shapes. */
static void biases_and_norms_follow_the_config(void) {
    static const struct {
        const char *name;
        size_t rows;
    } biases[] = {{"self_attn.q_proj.bias", 8}, {"self_attn.k_proj.bias", 4},
                  {"self_attn.v_proj.bias", 4}, {"self_attn.o_proj.bias", 8},
                  {"mlp.gate_proj.bias", 12},   {"mlp.up_proj.bias", 12},
                  {"mlp.down_proj.bias", 8}};
    model m;
    make_llama();
    for (int block = 0; block < 2; block++) {
        for (int i = 0; i < 7; i++)
            add_block(block, biases[i].name, biases[i].rows, 0);
    }
    write_checkpoint(1);
    write_config("LlamaForCausalLM", "\"attention_bias\":true,\"mlp_bias\":true,");
    CHECK_OK(open_model(&heap, &m, &failure), failure);
    const plens__block_tensors *b = &m.layout.blocks[1];
    const plens__tensor *const places[] = {b->q_bias,    b->k_bias,  b->v_bias,   b->o_bias,
                                           b->gate_bias, b->up_bias, b->down_bias};
    for (int i = 0; i < 7; i++)
        CHECK_CONTAINS(places[i]->name, biases[i].name);
    close_model(&heap, &m);
    write_config("LlamaForCausalLM", "\"attention_bias\":true,");
    CHECK_INT(outcome(), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message, "\"model.layers.0.mlp.down_proj.bias\"");
    make_llama();
    for (int block = 0; block < 2; block++) {
        add_block(block, "self_attn.q_norm.weight", 4, 0);
        add_block(block, "self_attn.k_norm.weight", 4, 0);
    }
    write_checkpoint(1);
    write_config("Qwen3ForCausalLM", "");
    CHECK_OK(open_model(&heap, &m, &failure), failure);
    CHECK_STRING(m.layout.blocks[0].q_norm->name, "model.layers.0.self_attn.q_norm.weight");
    CHECK_STRING(m.layout.blocks[1].k_norm->name, "model.layers.1.self_attn.k_norm.weight");
    close_model(&heap, &m);
    write_config("Qwen2ForCausalLM", "");
    CHECK_INT(outcome(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(
        failure.message,
        "tensor \"model.layers.0.self_attn.q_proj.bias\": expected one of shape [8], found none");
}

/* Guards the message for each tensor that may be missing, and against needless ones. */
static void every_missing_tensor_is_named(void) {
    write_config("LlamaForCausalLM", "");
    make_llama();
    for (size_t i = 0, n = n_entries; i < n; i++) {
        char expected[256];
        make_llama();
        entry removed = entries[i];
        remove_entry(removed.name);
        write_checkpoint(1);
        CHECK_INT(outcome(), PLENS_ERROR_FORMAT);
        snprintf(expected, sizeof expected,
                 "model.safetensors: tensor \"%s\": expected one of shape [", removed.name);
        CHECK_CONTAINS(failure.message, expected);
    }
}

/* Guards shapes: a transposed matrix, a wrong rank, a dtype that is read but not computed with. */
static void wrong_shapes_and_types_are_named(void) {
    write_config("LlamaForCausalLM", "");
    make_llama();
    entry *up = entry_named("model.layers.1.mlp.up_proj.weight");
    up->rows = 8;
    up->columns = 12;
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(
        failure.message,
        "tensor \"model.layers.1.mlp.up_proj.weight\": expected shape [12, 8], found [8, 12]");
    make_llama();
    entry_named("model.norm.weight")->columns = 1;
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message,
                   "tensor \"model.norm.weight\": expected shape [8], found [8, 1]");
    make_llama();
    entry_named("model.embed_tokens.weight")->rows = 11;
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message, "expected shape [10, 8], found [11, 8]");
    make_llama();
    strcpy(entry_named("model.layers.0.self_attn.v_proj.weight")->dtype, "F64");
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message, "tensor \"model.layers.0.self_attn.v_proj.weight\": expected "
                                    "dtype F32, F16 or BF16, found F64");
    make_llama();
    strcpy(entry_named("model.layers.0.self_attn.v_proj.weight")->dtype, "BF16");
    strcpy(entry_named("model.layers.1.self_attn.v_proj.weight")->dtype, "F16");
    write_checkpoint(1);
    CHECK_OK(outcome(), failure);
}

/* Guards against a weight that the reference would use, or that shows another model. */
static void an_unused_tensor_is_named(void) {
    write_config("LlamaForCausalLM", "");
    make_llama();
    add("model.layers.2.input_layernorm.weight", 8, 0);
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message, "tensor \"model.layers.2.input_layernorm.weight\": expected "
                                    "only tensors that LlamaForCausalLM");
    CHECK_CONTAINS(failure.message, "F32 [8]");
    make_llama();
    add_block(0, "self_attn.q_proj.bias", 8, 0);
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message, "\"model.layers.0.self_attn.q_proj.bias\"");
    make_llama();
    add_block(0, "self_attn.rotary_emb.inv_freq", 2, 0);
    add_block(1, "self_attn.rotary_emb.inv_freq", 2, 0);
    write_checkpoint(1);
    CHECK_OK(outcome(), failure);
}

/* Guards tying: without lm_head.weight, with a copy of the embedding, with another matrix. */
static void a_tied_head_must_be_the_embedding(void) {
    model m;
    write_config("LlamaForCausalLM", "\"tie_word_embeddings\":true,");
    make_llama();
    remove_entry("lm_head.weight");
    write_checkpoint(1);
    CHECK_OK(open_model(&heap, &m, &failure), failure);
    CHECK(m.layout.unembed == m.layout.embed);
    close_model(&heap, &m);
    make_llama();
    write_checkpoint(0);
    CHECK_OK(open_model(&heap, &m, &failure), failure);
    CHECK(m.layout.unembed == m.layout.embed);
    close_model(&heap, &m);
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message, "tensor \"lm_head.weight\": expected none, or a copy of");
    strcpy(entry_named("lm_head.weight")->dtype, "BF16");
    write_checkpoint(0);
    CHECK_INT(outcome(), PLENS_ERROR_UNSUPPORTED);
    write_config("LlamaForCausalLM", "");
    make_llama();
    remove_entry("lm_head.weight");
    write_checkpoint(1);
    CHECK_INT(outcome(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message,
                   "tensor \"lm_head.weight\": expected one of shape [10, 8], found none");
}

static plens_status open_and_close(const plens_allocator *allocator, void *data,
                                   plens_error *error) {
    model m;
    (void)data;
    plens_status status = open_model(allocator, &m, error);
    if (status == PLENS_OK)
        close_model(allocator, &m);
    return status;
}

/* Guards against leaks and crashes where memory runs out. */
static void running_out_of_memory_is_an_error(void) {
    write_config("LlamaForCausalLM", "\"tie_word_embeddings\":true,");
    make_llama();
    write_checkpoint(0);
    const char *problem = faults_sweep(open_and_close, NULL);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* Guards against refusing what published models hold. */
static void real_models_resolve(void) {
    static const char *const models[] = {"llama31-like", "llmjp-like", "qwen25-like",
                                         "mistral-like", "qwen3-like", "qwen2-tied",
                                         "stories260k"};
    const char *shared = test_shared();
    char kept[1024];
    if (shared == NULL)
        SKIP("no shared test data");
    snprintf(kept, sizeof kept, "%s", folder);
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        snprintf(folder, sizeof folder, "%s/models/%s", shared, models[i]);
        plens_status status = outcome();
        snprintf(folder, sizeof folder, "%s", kept);
        CHECK_THAT(status == PLENS_OK, "%s: %s", models[i], failure.message);
    }
}

int main(void) {
    folder_make(folder);
    RUN(every_tensor_finds_its_part);
    RUN(biases_and_norms_follow_the_config);
    RUN(every_missing_tensor_is_named);
    RUN(wrong_shapes_and_types_are_named);
    RUN(an_unused_tensor_is_named);
    RUN(a_tied_head_must_be_the_embedding);
    RUN(running_out_of_memory_is_an_error);
    RUN(real_models_resolve);
    folder_remove(folder);
    return test_finish();
}
