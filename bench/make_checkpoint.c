/* Writes a synthetic Hugging Face folder of any Llama or Qwen2 shape, at the disk's speed: real
 * random bf16 values (normal, deviation 0.02; norms near 1), so that it computes as a trained one
 * does. For measurements; what it says means nothing.
 *
 *     make_checkpoint OUT --like qwen2.5-14b [--layers N] [--vocab N] … [--tokenizer FILE]
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct shape {
    const char *name;
    int qwen2; /* Qwen2ForCausalLM, with q/k/v biases; else LlamaForCausalLM */
    unsigned long hidden, ffn, layers, heads, kv_heads, head_dim, vocab;
    double rope_theta;
    int tied;
} shape;

/* The paper's models and a small one. [their config.json on huggingface.co] */
static const shape shapes[] = {
    {"llama-3.1-8b", 0, 4096, 14336, 32, 32, 8, 128, 128256, 5e5, 0},
    {"qwen2.5-14b", 1, 5120, 13824, 48, 40, 8, 128, 152064, 1e6, 0},
    {"llm-jp-3-13b", 0, 5120, 13824, 40, 40, 40, 128, 99584, 1e4, 0},
    {"llm-jp-3-7.2b", 0, 4096, 11008, 32, 32, 32, 128, 99584, 1e4, 0},
    {"smollm2-135m", 0, 576, 1536, 30, 9, 3, 64, 49152, 1e5, 1},
};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0], N_VALUES = 1 << 16, BUFFER = 1 << 22 };

static const uint64_t shard_bytes = (uint64_t)4 << 30; /* that a file begins another tensor below */

static void fail(const char *what, const char *which) {
    fprintf(stderr, "make_checkpoint: %s: %s\n", which, what);
    exit(3);
}

/* ---- values ---- */

static uint64_t state = 88172645463325252u; /* xorshift64 [Marsaglia 2003] */

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint16_t to_bf16(float value) { /* to nearest even */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* Normal values of this mean and deviation, to draw from: sums of twelve uniform ones. */
static void fill_values(uint16_t *values, double mean, double deviation) {
    for (size_t i = 0; i < N_VALUES; i++) {
        double sum = -6;
        for (int k = 0; k < 12; k++)
            sum += (double)(next_random() >> 11) * 0x1p-53;
        values[i] = to_bf16((float)(mean + deviation * sum));
    }
}

static uint16_t weights[N_VALUES], norms[N_VALUES];

static void write_values(FILE *file, const uint16_t *values, uint64_t count, const char *path) {
    static uint16_t buffer[BUFFER];
    while (count > 0) {
        size_t n = count < BUFFER ? (size_t)count : BUFFER;
        for (size_t i = 0; i < n; i += 4) {
            uint64_t random = next_random();
            for (size_t k = 0; k < 4 && i + k < n; k++)
                buffer[i + k] = values[random >> 16 * k & 0xFFFF];
        }
        if (fwrite(buffer, sizeof *buffer, n, file) != n)
            fail(strerror(errno), path);
        count -= n;
    }
}

/* ---- tensors ---- */

typedef struct tensor {
    char name[96];
    unsigned long rows, columns; /* columns 0: a vector */
    int norm;
    unsigned shard; /* from 1 */
} tensor;

typedef struct model {
    tensor *tensors;
    size_t count;
    uint64_t in_shard; /* bytes of the last shard */
    unsigned n_shards;
} model;

static uint64_t n_elements(const tensor *t) {
    return (uint64_t)t->rows * (t->columns == 0 ? 1 : t->columns);
}

static void add(model *m, const char *name, unsigned long rows, unsigned long columns, int norm) {
    m->tensors = realloc(m->tensors, (m->count + 1) * sizeof *m->tensors);
    if (m->tensors == NULL)
        fail("no memory", name);
    tensor *t = &m->tensors[m->count++];
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rows = rows;
    t->columns = columns;
    t->norm = norm;
    if (m->n_shards == 0 || m->in_shard >= shard_bytes) {
        m->n_shards++;
        m->in_shard = 0;
    }
    t->shard = m->n_shards;
    m->in_shard += 2 * n_elements(t);
}

static void add_block(model *m, const shape *s, unsigned long layer) {
    unsigned long q = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim;
    const struct {
        const char *name;
        unsigned long rows, columns;
        int norm, qwen2_only;
    } parts[] = {
        {"input_layernorm.weight", s->hidden, 0, 1, 0},
        {"mlp.down_proj.weight", s->hidden, s->ffn, 0, 0},
        {"mlp.gate_proj.weight", s->ffn, s->hidden, 0, 0},
        {"mlp.up_proj.weight", s->ffn, s->hidden, 0, 0},
        {"post_attention_layernorm.weight", s->hidden, 0, 1, 0},
        {"self_attn.k_proj.bias", kv, 0, 0, 1},
        {"self_attn.k_proj.weight", kv, s->hidden, 0, 0},
        {"self_attn.o_proj.weight", s->hidden, q, 0, 0},
        {"self_attn.q_proj.bias", q, 0, 0, 1},
        {"self_attn.q_proj.weight", q, s->hidden, 0, 0},
        {"self_attn.v_proj.bias", kv, 0, 0, 1},
        {"self_attn.v_proj.weight", kv, s->hidden, 0, 0},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.%lu.%s", layer, parts[i].name);
        if (s->qwen2 || !parts[i].qwen2_only)
            add(m, name, parts[i].rows, parts[i].columns, parts[i].norm);
    }
}

/* ---- files ---- */

static FILE *create(const char *folder, const char *name, char path[4096]) {
    snprintf(path, 4096, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail(strerror(errno), path);
    return file;
}

static void finish(FILE *file, const char *path) {
    if (fclose(file) != 0)
        fail(strerror(errno), path);
}

static void shard_name(char name[64], unsigned shard, unsigned n_shards) {
    snprintf(name, 64, "model-%05u-of-%05u.safetensors", shard, n_shards);
}

/* [format: github.com/huggingface/safetensors#format] */
static void write_shard(const char *folder, const model *m, unsigned shard) {
    char path[4096], name[64], *json = malloc(m->count * 192 + 64);
    size_t n = 0;
    uint64_t at = 0;
    if (json == NULL)
        fail("no memory", folder);
    shard_name(name, shard, m->n_shards);
    FILE *file = create(folder, name, path);
    n += (size_t)sprintf(json, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < m->count; i++) {
        const tensor *t = &m->tensors[i];
        if (t->shard != shard)
            continue;
        n += (size_t)sprintf(json + n, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[%lu", t->name,
                             t->rows);
        if (t->columns > 0)
            n += (size_t)sprintf(json + n, ",%lu", t->columns);
        uint64_t end = at + 2 * n_elements(t);
        n += (size_t)sprintf(json + n, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                             (unsigned long long)end);
        at = end;
    }
    json[n++] = '}';
    while (n % 8 != 0)
        json[n++] = ' ';
    unsigned char length[8];
    for (unsigned k = 0; k < 8; k++)
        length[k] = (unsigned char)((uint64_t)n >> (8 * k));
    if (fwrite(length, 1, 8, file) != 8 || fwrite(json, 1, n, file) != n)
        fail(strerror(errno), path);
    for (size_t i = 0; i < m->count; i++) {
        if (m->tensors[i].shard == shard)
            write_values(file, m->tensors[i].norm ? norms : weights, n_elements(&m->tensors[i]),
                         path);
    }
    finish(file, path);
    free(json);
}

static void write_index(const char *folder, const model *m) {
    char path[4096], name[64];
    uint64_t total = 0;
    FILE *file = create(folder, "model.safetensors.index.json", path);
    for (size_t i = 0; i < m->count; i++)
        total += 2 * n_elements(&m->tensors[i]);
    fprintf(file, "{\"metadata\":{\"total_size\":%llu},\"weight_map\":{",
            (unsigned long long)total);
    for (size_t i = 0; i < m->count; i++) {
        shard_name(name, m->tensors[i].shard, m->n_shards);
        fprintf(file, "%s\n\"%s\":\"%s\"", i == 0 ? "" : ",", m->tensors[i].name, name);
    }
    fprintf(file, "}}\n");
    finish(file, path);
    printf("%s: %zu tensors, %llu bytes, %u files\n", folder, m->count, (unsigned long long)total,
           m->n_shards);
}

static void write_config(const char *folder, const shape *s) {
    char path[4096];
    FILE *file = create(folder, "config.json", path);
    fprintf(file,
            "{\"architectures\": [\"%s\"], \"model_type\": \"%s\",\n"
            " \"hidden_size\": %lu, \"intermediate_size\": %lu, \"num_hidden_layers\": %lu,\n"
            " \"num_attention_heads\": %lu, \"num_key_value_heads\": %lu, \"head_dim\": %lu,\n"
            " \"vocab_size\": %lu, \"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-05,\n"
            " \"rope_theta\": %.1f, \"max_position_embeddings\": 32768,\n"
            " \"tie_word_embeddings\": %s, \"torch_dtype\": \"bfloat16\"}\n",
            s->qwen2 ? "Qwen2ForCausalLM" : "LlamaForCausalLM", s->qwen2 ? "qwen2" : "llama",
            s->hidden, s->ffn, s->layers, s->heads, s->kv_heads, s->head_dim, s->vocab,
            s->rope_theta, s->tied ? "true" : "false");
    finish(file, path);
}

static void copy_tokenizer(const char *folder, const char *from) {
    static char bytes[1 << 16];
    char path[4096];
    size_t n;
    FILE *in = fopen(from, "rb"), *out = create(folder, "tokenizer.json", path);
    if (in == NULL)
        fail(strerror(errno), from);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        if (fwrite(bytes, 1, n, out) != n)
            fail(strerror(errno), path);
    }
    fclose(in);
    finish(out, path);
}

/* ---- options ---- */

static int usage(void) {
    fprintf(
        stderr,
        "usage: make_checkpoint OUT --like NAME [--layers N] [--hidden N] [--ffn N] [--heads N]\n"
        "       [--kv-heads N] [--head-dim N] [--vocab N] [--seed N] [--tokenizer FILE]\n"
        "NAME:");
    for (size_t i = 0; i < N_SHAPES; i++)
        fprintf(stderr, " %s", shapes[i].name);
    fprintf(stderr, "\n");
    return 2;
}

static int set_number(shape *s, const char *name, const char *value) {
    const struct {
        const char *name;
        unsigned long *target;
    } numbers[] = {{"--layers", &s->layers},     {"--hidden", &s->hidden},
                   {"--ffn", &s->ffn},           {"--heads", &s->heads},
                   {"--kv-heads", &s->kv_heads}, {"--head-dim", &s->head_dim},
                   {"--vocab", &s->vocab}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(numbers[i].name, name) == 0)
            return (*numbers[i].target = strtoul(value, NULL, 10)) > 0;
    }
    if (strcmp(name, "--seed") == 0)
        return (state = strtoul(value, NULL, 10)) > 0;
    return 0;
}

int main(int argc, char **argv) {
    shape s = {0};
    model m = {0};
    const char *tokenizer = NULL;
    if (argc < 4 || strcmp(argv[2], "--like") != 0 || argc % 2 != 0)
        return usage();
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, argv[3]) == 0)
            s = shapes[i];
    }
    if (s.name == NULL)
        return usage();
    for (int i = 4; i < argc; i += 2) {
        if (strcmp(argv[i], "--tokenizer") == 0)
            tokenizer = argv[i + 1];
        else if (!set_number(&s, argv[i], argv[i + 1]))
            return usage();
    }
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST)
        fail(strerror(errno), argv[1]);
    fill_values(weights, 0, 0.02);
    fill_values(norms, 1, 0.1);
    add(&m, "model.embed_tokens.weight", s.vocab, s.hidden, 0);
    for (unsigned long layer = 0; layer < s.layers; layer++)
        add_block(&m, &s, layer);
    add(&m, "model.norm.weight", s.hidden, 0, 1);
    if (!s.tied)
        add(&m, "lm_head.weight", s.vocab, s.hidden, 0);
    write_config(argv[1], &s);
    if (tokenizer != NULL)
        copy_tokenizer(argv[1], tokenizer);
    for (unsigned shard = 1; shard <= m.n_shards; shard++)
        write_shard(argv[1], &m, shard);
    write_index(argv[1], &m);
    free(m.tensors);
    return 0;
}
