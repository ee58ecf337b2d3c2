/* plens: look inside a Transformer from C.
 *
 * plens opens a Hugging Face model folder, runs its Transformer on the CPU and lets a program
 * read the residual stream and the logit lens of every layer. This header is the manual.
 *
 * A first program (tests/examples/top_tokens.c):
 *
 *     plens_context_create(NULL, &context, &error);
 *     plens_model_open(context, "DIR", &model, &error);
 *     plens_tokenizer_open(context, "DIR", &tokenizer, &error);
 *     plens_tokenizer_encode(context, tokenizer, text, strlen(text), 1, &ids, &error);
 *     plens_run(context, model, &prompt, 1, &options, &error);     calls your lens function
 *
 * Numbers. The same input gives the same bits: for every instruction set, number of threads,
 *   batch, memory budget and compiler. Each output element has one written-down order of
 *   operations (runtime/kernels/kernels.h); nothing is left to the compiler.
 * Errors. Every function that can fail returns a plens_status and takes a plens_error (or NULL)
 *   last; its message is one line that names the file, tensor or line, what was expected and what
 *   was found. On failure outputs are untouched and nothing leaks.
 * Ownership. plens_X_open and plens_X_create make an object that plens_X_close and plens_X_destroy
 *   end; both take NULL. Arrays handed out in plens_ids and plens_text belong to the caller and go
 *   back with plens_ids_free and plens_text_free. Pointers that a callback receives live until it
 *   returns. Everything else handed out is owned by the object it was asked from.
 * Threads. A model and a tokenizer never change once open: any number of threads may share them.
 *   A context serves one call at a time. Callbacks run on the thread that called plens_run;
 *   they may use its context for tokens, texts and tables, but not for another run.
 * Effects. The library never prints, exits, reads the environment, sets a signal handler or keeps
 *   global state, but for one permission of the system's, AMX's: see plens_options. The caller's
 *   floating-point modes are put back before anything returns.
 * Options. A structure of options that is all zero asks for the defaults.
 *
 * Names are the field's: block l has number l = 1..n_layers; "layer l" of the lens is the output
 * of block l (resid_post); positions count from 0.
 */
#ifndef PLENS_H
#define PLENS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLENS_VERSION "0.1.0"

/* ---- Errors ------------------------------------------------------------------------------- */

typedef enum plens_status {
    PLENS_OK = 0,
    PLENS_ERROR_ARGUMENT = 1,    /* the call itself is wrong: NULL, a number out of range */
    PLENS_ERROR_MEMORY = 2,      /* the allocator said no, or the memory budget is too small */
    PLENS_ERROR_IO = 3,          /* the system said no: missing, unreadable, cut short */
    PLENS_ERROR_FORMAT = 4,      /* the bytes read break their format */
    PLENS_ERROR_UNSUPPORTED = 5, /* well formed, but nothing plens knows how to compute */
    PLENS_CANCELLED = 6          /* a callback asked to stop */
} plens_status;

typedef struct plens_error {
    plens_status status;
    char message[1024]; /* one line of UTF-8, zero-terminated, control bytes escaped */
} plens_error;

/* The status's name, as "PLENS_ERROR_IO". Never NULL. */
const char *plens_status_name(plens_status status);

/* ---- Context ------------------------------------------------------------------------------ */

/* The one allocator hook. new_size 0 frees `old`; `old` NULL allocates (old_size is then 0);
 * otherwise it resizes, keeping the smaller of both sizes. Returns NULL when there is no memory
 * (`old` is then still valid). It may be called from any thread that uses an object made with it.
 */
typedef struct plens_allocator {
    void *(*reallocate)(void *user, void *old, size_t old_size, size_t new_size);
    void *user;
} plens_allocator;

/* How matrices are multiplied; everything else (norms, attention, softmax, the residual stream) is
 * float in each of them. runtime/kernels/product.h has the order of every operation.
 * f32: weights widened exactly, one float accumulator per output, fused multiply-add, k ascending.
 * bf16: activations and weights rounded to bf16 (weights of bf16 files are as they are), products
 *   and sums in float in the order of Intel's TDPBF16PS.
 * bf16x3: as bf16, with each activation the exact sum of three bf16 numbers: as accurate as f32.
 *   Weights that are not bf16 in the file are PLENS_ERROR_UNSUPPORTED. */
typedef enum plens_precision {
    PLENS_PRECISION_DEFAULT = 0, /* bf16 where all the model's matrices are BF16, else f32 */
    PLENS_PRECISION_F32 = 1,
    PLENS_PRECISION_BF16 = 2,
    PLENS_PRECISION_BF16X3 = 3
} plens_precision;

/* "f32", "bf16", "bf16x3"; NULL for another value. */
const char *plens_precision_name(plens_precision precision);

/* Instruction sets, in the order in which a limit cuts them off. A limit that names a set of
 * another family of processors (NEON on x86-64) is PLENS_ERROR_ARGUMENT. */
typedef enum plens_isa {
    PLENS_ISA_DEFAULT = 0,    /* as a limit: none */
    PLENS_ISA_SCALAR = 1,     /* portable C: the definition */
    PLENS_ISA_AVX2 = 2,       /* AVX2 + FMA (+ F16C) */
    PLENS_ISA_AVX512 = 3,     /* AVX-512 F, BW, DQ, VL */
    PLENS_ISA_AVX512BF16 = 4, /* AVX-512 BF16: VDPBF16PS */
    PLENS_ISA_AMX = 5,        /* AMX BF16: TDPBF16PS */
    PLENS_ISA_NEON = 6        /* AArch64 */
} plens_isa;

/* "scalar", "avx2", "avx512", "avx512bf16", "amx", "neon"; NULL for another value. */
const char *plens_isa_name(plens_isa isa);

typedef struct plens_options {
    plens_precision precision;
    plens_isa isa_limit;       /* the most that may be used. AMX needs Linux's permission, which
                                  holds for the whole process, its threads and its later children,
                                  for good, and makes the frames of signals some 8 KiB larger. A
                                  context asks for it if the processor has AMX, the limit allows it
                                  and the precision is not f32: PLENS_ISA_AVX512BF16 avoids it. */
    int threads;               /* 0: one per processor that the process may use */
    uint64_t memory;           /* budget of a run in bytes; 0: no limit. A run is cut into parts
                                  that fit; too small for one prompt is PLENS_ERROR_MEMORY. */
    plens_allocator allocator; /* reallocate NULL: malloc and free */
} plens_options;

typedef struct plens_context plens_context;

/* Makes a context: picks the kernels and checks that they give the definition's bits.
 * options may be NULL. Errors: ARGUMENT (negative threads, unknown precision), MEMORY. */
plens_status plens_context_create(const plens_options *options, plens_context **context,
                                  plens_error *error);
void plens_context_destroy(plens_context *context);

/* What a context uses, and why. */
typedef struct plens_context_info {
    plens_isa isa;             /* of everything but matrix products */
    plens_isa products[4];     /* of those, by plens_precision from 1 on */
    plens_precision precision; /* as asked: see plens_run_precision */
    int threads;
    int processors; /* that the process may use */
    int openmp;     /* 1 if built with OpenMP; otherwise threads is 1 */
    uint64_t memory;
    size_t n_kernels;       /* one line for each set known to this build, the fastest first: */
    const char *kernels[8]; /* "avx512: chosen for rows, f32", "avx2: not needed", "amx: above the
                               limit" … valid as long as the context */
} plens_context_info;

void plens_context_describe(const plens_context *context, plens_context_info *info);

typedef enum plens_selftest_outcome {
    PLENS_SELFTEST_PASSED = 0,
    PLENS_SELFTEST_FAILED = 1,
    PLENS_SELFTEST_SKIPPED = 2 /* not on this processor, in this build, or within the limit */
} plens_selftest_outcome;

typedef struct plens_selftest_result {
    plens_isa isa;
    const char *part; /* "rows": everything but matrix products; those: "f32", "bf16", "bf16x3";
                         "all" of a set that is skipped */
    plens_selftest_outcome outcome;
    const char *detail; /* the first difference, or why it was skipped ("no AMX"); else "" */
} plens_selftest_result;

/* Called for each set and part as it is done. Returns 0 to go on; anything else ends the test with
 * PLENS_CANCELLED. */
typedef int plens_selftest_fn(void *user, const plens_selftest_result *result);

/* Compares all kernels that the processor and the context's isa_limit allow with the definition,
 * bit by bit, on random shapes and values: cancelling, around 2^-126, denormal, infinite, NaN; and
 * the definition with bits that were recorded elsewhere. Takes seconds, on one thread. That
 * something failed is no error: `fn` counts. Asks for AMX's permission (see plens_options) if the
 * limit allows AMX. Errors: MEMORY, CANCELLED. */
plens_status plens_selftest(plens_context *context, plens_selftest_fn *fn, void *user,
                            plens_error *error);

/* ---- Model -------------------------------------------------------------------------------- */

typedef enum plens_dtype {
    PLENS_F32 = 1,
    PLENS_F16 = 2, /* IEEE 754 binary16 */
    PLENS_BF16 = 3 /* the upper half of a float */
} plens_dtype;

typedef struct plens_model plens_model;

/* Opens a Hugging Face folder: config.json, and model.safetensors or
 * model.safetensors.index.json with its shards. Only headers are read and checked here.
 * Architectures: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, with
 * the semantics of Hugging Face Transformers. Anything in the folder that would change the result
 * and is not known is PLENS_ERROR_UNSUPPORTED and named. The model does not keep the context. */
plens_status plens_model_open(plens_context *context, const char *folder, plens_model **model,
                              plens_error *error);
void plens_model_close(plens_model *model);

typedef struct plens_model_info {
    const char *folder;
    const char *architecture; /* "LlamaForCausalLM" */
    size_t n_layers, d_model, d_ff;
    size_t n_heads, n_kv_heads, head_dim;
    size_t vocab_size;     /* rows of the embedding; a tokenizer may know fewer ids */
    size_t max_positions;  /* that the model was made for (max_position_embeddings), 0: not said;
                              longer prompts run all the same, as in Transformers */
    size_t sliding_window; /* the largest of any block, 0: none */
    double rope_theta, rms_norm_eps;
    const char *rope_scaling; /* "default", "linear", "llama3" */
    int tied_embeddings, qkv_bias, o_bias, mlp_bias, qk_norm;
    plens_dtype dtype; /* of the embedding */
    uint64_t n_parameters, n_bytes;
    size_t n_shards, n_tensors;
} plens_model_info;

void plens_model_describe(const plens_model *model, plens_model_info *info);

/* Tells models apart without reading all of them: config.json, tokenizer.json, and of each shard
 * its size, its header and the first bytes of its tensors. Errors: IO, MEMORY. */
plens_status plens_model_fingerprint(const plens_model *model, uint64_t *fingerprint,
                                     plens_error *error);

/* A tensor of the checkpoint as it lies in its file: row-major, little-endian, maybe unaligned. */
typedef struct plens_tensor {
    const char *name;
    plens_dtype dtype;
    size_t rank;
    const uint64_t *shape; /* [rank] */
    const void *data;      /* n_bytes, read-only, valid until plens_model_close */
    uint64_t n_bytes;
} plens_tensor;

/* The i-th tensor, i < n_tensors, in the order of their names. Reading `data` of a file that
 * another process cuts short raises SIGBUS where the file is mapped (plens_run never reads so). */
plens_status plens_model_tensor(const plens_model *model, size_t i, plens_tensor *tensor,
                                plens_error *error);

/* The same by name; ARGUMENT if there is none. */
plens_status plens_model_find_tensor(const plens_model *model, const char *name,
                                     plens_tensor *tensor, plens_error *error);

/* ---- Tokenizer ---------------------------------------------------------------------------- */

typedef struct plens_tokenizer plens_tokenizer;

typedef struct plens_ids { /* token ids */
    int32_t *data;
    size_t count;
} plens_ids;

typedef struct plens_text { /* bytes, count without the zero that follows them */
    char *data;
    size_t count;
} plens_text;

void plens_ids_free(plens_context *context, plens_ids *ids);
void plens_text_free(plens_context *context, plens_text *text);

/* Opens folder/tokenizer.json (Hugging Face tokenizers): byte-level BPE, BPE and Unigram with byte
 * fallback. A component that plens does not know is PLENS_ERROR_UNSUPPORTED and named. The
 * tokenizer does not keep the context. */
plens_status plens_tokenizer_open(plens_context *context, const char *folder,
                                  plens_tokenizer **tokenizer, plens_error *error);
void plens_tokenizer_close(plens_tokenizer *tokenizer);

/* One more than the largest id that has a token. */
size_t plens_tokenizer_size(const plens_tokenizer *tokenizer);

/* Text [n_bytes] of UTF-8 to ids; special != 0 adds what the post-processor adds (BOS).
 * FORMAT with the byte's offset if the text is no UTF-8. Free ids with plens_ids_free. */
plens_status plens_tokenizer_encode(plens_context *context, const plens_tokenizer *tokenizer,
                                    const char *text, size_t n_bytes, int special, plens_ids *ids,
                                    plens_error *error);

/* Ids to text, special tokens included; bytes that are no UTF-8 become U+FFFD, as the reference
 * has it. ARGUMENT for an id without a token. Free text with plens_text_free. */
plens_status plens_tokenizer_decode(plens_context *context, const plens_tokenizer *tokenizer,
                                    const int32_t *ids, size_t n_ids, plens_text *text,
                                    plens_error *error);

/* The bytes that one token contributes in the middle of a text (a leading space stays; may be a
 * fragment of a character), not zero-terminated. Returns NULL and count 0 for an id without a
 * token. n_bytes may be NULL. */
const char *plens_tokenizer_token(const plens_tokenizer *tokenizer, int32_t id, size_t *n_bytes);

/* ---- Gold tokens --------------------------------------------------------------------------- */

typedef enum plens_gold_form {
    PLENS_GOLD_AUTO = 0,  /* no space if the text ends in white space or gold begins with Han, kana
                             or Thai, else one space */
    PLENS_GOLD_NONE = 1,  /* gold follows the text at once */
    PLENS_GOLD_SPACE = 2, /* after one space */
    PLENS_GOLD_EITHER = 3 /* both of them are gold (two ids, unless they agree) */
} plens_gold_form;

typedef struct plens_gold {
    int32_t ids[2];  /* the token by which gold would follow the text */
    size_t n_ids;    /* 1, or 2 for PLENS_GOLD_EITHER */
    size_t n_tokens; /* of gold after the text (the larger number for EITHER) */
    int merged;      /* the text's own last token changes when gold follows it */
    int bare_space;  /* the gold token is only white space */
} plens_gold;

/* The token by which `gold` would follow `text`. With P = ids(text), F = ids(text + sep + gold):
 * the first of F after the prefix common with P; if that prefix is shorter than P, the first of
 * ids(sep + gold), noted as merged. Errors: ARGUMENT (an empty gold, one that adds no token, an
 * unknown form), FORMAT (no UTF-8), MEMORY. */
plens_status plens_gold_token(plens_context *context, const plens_tokenizer *tokenizer,
                              const char *text, size_t n_text, const char *gold, size_t n_gold,
                              plens_gold_form form, plens_gold *result, plens_error *error);

/* ---- Run ----------------------------------------------------------------------------------- */

/* One sequence of tokens. targets are tokens whose probability and rank the lens reports. */
typedef struct plens_prompt {
    const int32_t *ids; /* [n_ids], n_ids >= 1, each 0 <= id < vocab_size */
    size_t n_ids;
    const int32_t *targets; /* [n_targets], may be NULL if n_targets is 0 */
    size_t n_targets;
} plens_prompt;

typedef enum plens_positions {
    PLENS_POSITIONS_ALL = 0,
    PLENS_POSITIONS_LAST = 1 /* the last position of each prompt */
} plens_positions;

/* Points of the forward pass that a hook can see and change, in the order in which they come. A
 * row's values are `width` floats, at points with heads [n_heads, width / n_heads]. H is n_heads, K
 * n_kv_heads, D head_dim. In the other two's names b = l - 1: they count blocks from 0.
 *
 *   point          a row       TransformerLens                Transformers
 *   EMBED          d_model     hook_embed                     embed_tokens; hidden_states[0]
 *                              blocks.b.                      layers.b. (the module's output)
 *   RESID_PRE      d_model     hook_resid_pre                 hidden_states[b]
 *   ATTN_NORM      d_model     ln1.hook_normalized (1)        input_layernorm
 *   Q              H, D        attn.hook_q                    self_attn.q_proj
 *   K              K, D        attn.hook_k                    self_attn.k_proj
 *   V              K, D        attn.hook_v                    self_attn.v_proj
 *   Q_ROT          H, D        attn.hook_rot_q                - (after q_norm, if any, and RoPE)
 *   K_ROT          K, D        attn.hook_rot_k                - (after k_norm, if any, and RoPE)
 *   ATTN_SCORES    H, keys     attn.hook_attn_scores (2)      -
 *   ATTN_PATTERN   H, keys     attn.hook_pattern              attentions[b]
 *   Z              H, D        attn.hook_z                    self_attn.o_proj, its input
 *   HEAD_OUT       H, d_model  attn.hook_result               - (the head's share of o_proj)
 *   ATTN_OUT       d_model     hook_attn_out                  self_attn
 *   RESID_MID      d_model     hook_resid_mid                 post_attention_layernorm, its input
 *   MLP_NORM       d_model     ln2.hook_normalized (1)        post_attention_layernorm
 *   MLP_GATE       d_ff        mlp.hook_pre                   mlp.gate_proj
 *   MLP_UP         d_ff        mlp.hook_pre_linear            mlp.up_proj
 *   MLP_ACT        d_ff        -                              mlp.act_fn
 *   MLP_POST       d_ff        mlp.hook_post                  mlp.down_proj, its input
 *   MLP_OUT        d_model     hook_mlp_out                   mlp
 *   RESID_POST     d_model     hook_resid_post                hidden_states[l], l < L
 *
 *   FINAL_NORM     d_model     ln_final.hook_normalized (1)   norm; hidden_states[L]
 *   LOGITS         vocab_size  -                              lm_head; logits
 *
 * (1) theirs is before the norm's weight, ours after it. (2) Scaled; theirs is after the mask
 * (-inf), ours before it. `keys` are the positions 0.. of the row's own prompt, as many as the
 * call's longest row needs: n_keys = width / n_heads. What a row does not attend to is 0, written
 * there or not. */
typedef enum plens_point {
    PLENS_EMBED = 1,
    PLENS_RESID_PRE,
    PLENS_ATTN_NORM,
    PLENS_Q,
    PLENS_K,
    PLENS_V,
    PLENS_Q_ROT,
    PLENS_K_ROT,
    PLENS_ATTN_SCORES,
    PLENS_ATTN_PATTERN,
    PLENS_Z,
    PLENS_HEAD_OUT,
    PLENS_ATTN_OUT,
    PLENS_RESID_MID,
    PLENS_MLP_NORM,
    PLENS_MLP_GATE,
    PLENS_MLP_UP,
    PLENS_MLP_ACT,
    PLENS_MLP_POST,
    PLENS_MLP_OUT,
    PLENS_RESID_POST,
    PLENS_FINAL_NORM,
    PLENS_LOGITS
} plens_point;

typedef struct plens_point_info {
    const char *name;  /* "resid_mid" */
    int in_block;      /* 1: every block has it; 0: embed, final_norm, logits */
    size_t n_heads;    /* heads in a row, 0 for points without */
    size_t head_width; /* floats of a head, or of the row; 0: one for each key */
} plens_point_info;

/* "resid_mid", …; NULL for a value that is no point. */
const char *plens_point_name(plens_point point);

/* The point of this name; ARGUMENT, listing all names, if there is none. */
plens_status plens_point_find(const char *name, plens_point *point, plens_error *error);

/* A point's shape in a model; ARGUMENT for a value that is no point. */
plens_status plens_point_describe(const plens_model *model, plens_point point,
                                  plens_point_info *info, plens_error *error);

/* Prompts that begin alike share rows: a row is one distinct prefix, computed once. */
typedef struct plens_row {
    size_t position;       /* of the prefix's last token */
    const size_t *prompts; /* [n_prompts] the prompts that have this prefix, by their index */
    size_t n_prompts;
} plens_row;

typedef struct plens_activations {
    plens_point point;
    size_t layer; /* the block, 1..L; 0 for points without one */
    size_t n_rows, width;
    const plens_row *rows;      /* [n_rows] */
    float *values;              /* [n_rows, width]; to be changed by hooks that say `writes` only */
    size_t first_head, n_heads; /* those in a row, from 0; n_heads 0 at points without heads */
} plens_activations;

/* Called with each distinct row once for each point and block asked for; a block's rows may come
 * in several calls. Returns 0 to go on; anything else ends the run with PLENS_CANCELLED. */
typedef int plens_hook_fn(void *user, const plens_activations *activations);

/* Who is called where. All zero after `fn` and `user`: everywhere, to look only. In the ranges
 * below n 0 means all from the first on. Rows and heads that are not asked for are neither copied
 * nor shown, and points that no hook asks for cost nothing.
 *
 * Writing. What a hook with `writes` leaves in `values` is what the run goes on with, and what
 * later hooks on the same point see (hooks are called in their order). Values left as they are
 * change no bit of anything.
 * - A write concerns one prompt: rows are shared only before the first position that a writing hook
 *   asks for, in the prompts that it asks for. A row it sees has n_prompts 1. Name the prompts and
 *   positions, and the others go on sharing.
 * - HEAD_OUT: where a row's values were changed, ATTN_OUT is the sum of its heads, ascending, plus
 *   o_proj's bias.
 * - ATTN_SCORES: -INFINITY stops a query from attending to a key; a query all of whose scores are
 *   -INFINITY attends to nothing, its pattern is 0.
 * - The lens reads RESID_POST as hooks leave it. Of FINAL_NORM and LOGITS it knows nothing. */
typedef struct plens_hook {
    plens_point point;
    size_t first_layer, last_layer; /* blocks; 0 and 0: all */
    plens_positions positions;
    plens_hook_fn *fn;
    void *user;
    int writes;
    size_t first_position, n_positions; /* with PLENS_POSITIONS_ALL */
    size_t first_prompt, n_prompts;     /* rows that one of these prompts has */
    size_t first_head, n_heads;         /* at points with heads */
} plens_hook;

/* One token as the lens sees it. */
typedef struct plens_lens_token {
    int32_t id;
    float logit;
    float prob;    /* softmax over the whole vocabulary */
    uint32_t rank; /* the number of tokens of strictly larger logit: 0 is the top */
} plens_lens_token;

/* The logit lens of one layer at one position of one prompt: softmax(W_U norm_final(h_l)).
 * [nostalgebraist 2020, "interpreting GPT: the logit lens"]. The final norm's scale is computed
 * anew for each h_l; at the last layer it is the model's output, bit for bit. */
typedef struct plens_lens_result {
    size_t prompt, position;
    size_t layer;                    /* the output of block `layer`, 1..L */
    const plens_lens_token *top;     /* [n_top] by falling logit, ties to the lowest id */
    size_t n_top;                    /* min(top_k, vocab_size) */
    const plens_lens_token *targets; /* [n_targets] the prompt's, in its order */
    size_t n_targets;
    plens_lens_token final_top; /* here, the token that is top at the last layer (same position) */
    float entropy;              /* of the distribution, nats */
    int finite;                 /* 0 if a logit is infinite or NaN: the numbers mean nothing then */
    float kl; /* with plens_lens.kl: KL(last layer || this layer), the sum over the vocabulary of
                 p_L ln(p_L / p_l), nats; >= 0, and 0 at layer L. NaN if layer L is not finite. */
    const float *groups; /* [n_groups] the probability of each of plens_lens.groups */
    size_t n_groups;
    plens_point point; /* whose lens it is: RESID_POST, or the component of plens_lens.point */
    size_t head;       /* of HEAD_OUT, from 0 */
} plens_lens_result;

/* Called once for each prompt, position and layer asked for (and head), ascending within a part.
 * Returns 0 to go on; anything else ends the run with PLENS_CANCELLED. */
typedef int plens_lens_fn(void *user, const plens_lens_result *result);

/* Tokens whose probabilities are added up: a word's spellings, the answers of one persona. */
typedef struct plens_group {
    const int32_t *ids; /* [n_ids], n_ids >= 1, distinct */
    size_t n_ids;
} plens_group;

/* point ATTN_OUT, MLP_OUT or HEAD_OUT asks for the lens of this component: which tokens does it
 * speak for, by itself? It is the other kind of lens, direct logit attribution: a state c is not
 * normed anew but by the *frozen* final norm, with the scale of the last state h_L, so that the
 * logits of all components (and the embedding) sum to the model's.
 *     logit = (c / rms(h_L) * weight) . W_U      the share of the token's logit, + or -
 * top and ranks go by that share; targets and final_top have it too. Shares are no distribution:
 * prob and entropy are NaN, kl and groups ARGUMENT. plens_attribute has the shares of given tokens
 * more exactly, summed in double. */
typedef struct plens_lens {
    plens_lens_fn *fn;
    void *user;
    plens_positions positions;
    size_t top_k;                   /* 0: 1 */
    size_t first_layer, last_layer; /* 0 and 0: all */
    int kl;                         /* 1: results have kl */
    const plens_group *groups;      /* [n_groups] */
    size_t n_groups;
    plens_point point;          /* 0: RESID_POST */
    size_t first_head, n_heads; /* at HEAD_OUT; n 0: all from the first on */
} plens_lens;

typedef struct plens_progress {
    size_t part, n_parts;   /* from 1: how often the weights are read */
    size_t layer, n_layers; /* the block in hand, 1..L; L + 1 while the lens is computed */
    double fraction;        /* of the whole run's work, 0..1 */
} plens_progress;

/* Called from time to time. Returns 0 to go on; anything else ends the run with
 * PLENS_CANCELLED. */
typedef int plens_progress_fn(void *user, const plens_progress *progress);

/* A run that can go on after it was ended, from the last state that its caller has kept. The same
 * prompts and options give the same bits then, in any number of interruptions; threads, instruction
 * set and memory may be others. Nothing of what was handed to hooks and the lens before that state
 * is handed out again: keep it with the state. */
typedef struct plens_saver {
    /* Asked at the end of each block and part. 1: the state, n_bytes, follows; 0: not now. NULL:
     * never. */
    int (*begin)(void *user, const plens_progress *progress, uint64_t n_bytes);
    /* Its bytes, in order. Returns 0; anything else abandons this state, not the run. */
    int (*write)(void *user, const void *bytes, size_t n_bytes);
    void (*end)(void *user, int complete);
    /* NULL: the run begins at its beginning. Otherwise it goes on: this hands over the next n_bytes
     * of the state kept. Returns 0, or anything else if there are no more. A state of another run
     * is PLENS_ERROR_FORMAT, as far as shape, precision, prompts and lens tell; whether the weights
     * are the same is for the caller to know (plens_model_fingerprint). */
    int (*read)(void *user, void *bytes, size_t n_bytes);
    void *user;
} plens_saver;

/* What a run spends its time on. */
typedef enum plens_work {
    PLENS_WORK_READ = 0, /* waiting for weights */
    PLENS_WORK_PACK = 1, /* activations, for the matrix products that follow */
    PLENS_WORK_Q = 2,    /* a block's matrix products, the packing of their weights included */
    PLENS_WORK_K = 3,
    PLENS_WORK_V = 4,
    PLENS_WORK_O = 5,
    PLENS_WORK_GATE = 6,
    PLENS_WORK_UP = 7,
    PLENS_WORK_DOWN = 8,
    PLENS_WORK_ATTENTION = 9, /* scores, softmax, values */
    PLENS_WORK_ROWS = 10,     /* norms, RoPE, activation, additions */
    PLENS_WORK_UNEMBED = 11,  /* the lens's and the logits' matrix products */
    PLENS_WORK_REDUCE = 12,   /* softmax, entropy, top-k and ranks over the vocabulary */
    PLENS_WORK_HOOKS = 13,    /* the caller's functions, and what is gathered for them */
    PLENS_WORK_REST = 14,     /* batch, embedding, saved states, results */
    PLENS_N_WORKS = 15
} plens_work;

/* "read", "q_proj", "attention" ...; NULL for another value. */
const char *plens_work_name(plens_work work);

/* Seconds of the clock on the wall; their sum is the run's time. */
typedef struct plens_profile {
    double seconds[PLENS_N_WORKS];
} plens_profile;

typedef struct plens_run_options {
    const plens_hook *hooks; /* [n_hooks] */
    size_t n_hooks;
    const plens_lens *lens; /* NULL: none */
    plens_progress_fn *progress;
    void *progress_user;
    int no_sharing;  /* 1: compute common prefixes once for each prompt (same bits, slower) */
    uint64_t memory; /* budget of this run in bytes; 0: the context's */
    const plens_saver *saver; /* NULL: none */
    plens_profile *profile;   /* NULL, or it gets where the time went, whatever the outcome */
} plens_run_options;

/* Runs the prompts through the model, layer by layer, the whole batch together; weights are read
 * from disk once for each part that fits the context's memory budget (twice where there is no room
 * for the lens's states of all layers: see computes_twice in plens_plan). Prompts may be of any
 * lengths; there is no padding. options may be NULL (then nothing can be seen).
 * Errors: ARGUMENT (no prompts, an empty one, an id, layer, position, prompt or head out of range,
 * a group that is empty or names an id twice, a point that has no lens, no function), UNSUPPORTED
 * (bf16x3 for weights that are not BF16), MEMORY, IO (a shard that is shorter than when it was
 * opened), CANCELLED. */
plens_status plens_run(plens_context *context, const plens_model *model,
                       const plens_prompt *prompts, size_t n_prompts,
                       const plens_run_options *options, plens_error *error);

/* The precision in which a context runs a model: what the context was asked for, or what DEFAULT
 * means for this model. Never DEFAULT. */
plens_precision plens_run_precision(const plens_context *context, const plens_model *model);

/* What a run will need, without running it. */
typedef struct plens_plan {
    plens_precision precision; /* never DEFAULT */
    size_t n_parts;
    uint64_t n_tokens, n_rows;  /* of all prompts; distinct prefixes among them */
    uint64_t weight_bytes_read; /* from the checkpoint, all parts together */
    uint64_t staging_bytes;     /* buffers: blocks' weights, tiles, per-thread scratch */
    uint64_t activation_bytes;  /* of the largest part: rows, K and V, lens states */
    double flops;               /* multiply-adds count two */
    uint64_t scratch_bytes;     /* of staging_bytes: the context's own */
    uint64_t tile_bytes;        /* of staging_bytes: tiles of the unembedding */
    uint64_t kv_bytes;          /* of activation_bytes: K and V of one block */
    uint64_t lens_bytes;        /* of activation_bytes: states and results of the lens */
    int reads_ahead;            /* 1: a block's weights are read while the one before computes */
    size_t lens_layers;         /* whose states are kept together, layer L among them */
    int computes_twice;         /* 1: for want of memory these are not all: the lens's layers are
                                   unembedded as they come, once layer L is known */
} plens_plan;

/* Reads no weights. Errors: those of plens_run but IO and CANCELLED. */
plens_status plens_run_plan(plens_context *context, const plens_model *model,
                            const plens_prompt *prompts, size_t n_prompts,
                            const plens_run_options *options, plens_plan *plan, plens_error *error);

/* ---- Interventions ------------------------------------------------------------------------- */

/* Hooks that come with the library: keep what one run computes and put it into another, ablate,
 * steer, stop attention. */
typedef enum plens_action {
    PLENS_RECORD = 1,  /* values = x: to look only */
    PLENS_REPLACE = 2, /* x = values: patching with a record; mean ablation with a mean */
    PLENS_ZERO = 3,    /* x = 0: zero ablation */
    PLENS_ADD = 4,     /* x = x + scale * values, the product rounded first: steering */
    PLENS_STOP = 5     /* x = -INFINITY, on attn_scores: queries do not attend to these keys */
} plens_action;

/* What is done, and where. In values a row is what the hook sees of one: the floats of its point,
 * of the chosen heads, of the chosen keys. */
typedef struct plens_intervention {
    plens_hook where; /* a hook but for fn, user and writes */
    plens_action action;
    float *values;   /* RECORD: [layers, prompts, positions, row], in the order of the ranges in
                        `where` (positions that a prompt does not reach stay as they were); REPLACE,
                        ADD: the same, or one row for all places */
    size_t n_values; /* floats of it */
    float scale;
    size_t first_key, n_keys; /* at attn_scores and attn_pattern; n 0: all from the first on */
} plens_intervention;

/* The floats of [layers, prompts, positions, row]. Where n_prompts, n_positions (with
 * PLENS_POSITIONS_ALL) or, at points with keys, n_keys is 0 there is no telling: ARGUMENT. */
plens_status plens_intervention_size(const plens_model *model, const plens_intervention *what,
                                     size_t *n_values, plens_error *error);

/* Makes the hook that does it; `what` and its values must live until the run is over.
 * ARGUMENT: an unknown action or point, layers or heads out of range, values of a wrong size. */
plens_status plens_intervention_hook(const plens_model *model, const plens_intervention *what,
                                     plens_hook *hook, plens_error *error);

/* mean [width] = the mean of the rows of values [n_rows, width], n_rows >= 1, summed in double. */
void plens_mean(const float *values, size_t n_rows, size_t width, float *mean);

/* ---- Attribution --------------------------------------------------------------------------- */

/* Direct logit attribution: how much each component's output adds to a token's logit, or to the
 * difference of two logits. The final norm is *frozen*: a component is multiplied with the norm's
 * weight and with the scale 1 / rms of the last state h_L, the same for all of them, so that the
 * shares add up. (The lens above is the other kind: it norms each state anew.)
 *     share(c) = (c / rms(h_L) * weight) . (W_U[a] - W_U[b])
 * Tokens are the prompt's targets: a, or a and b. */
typedef struct plens_attribution_result {
    size_t prompt, position;
    size_t n_layers, n_heads; /* n_heads 0 without plens_attribution.heads */
    double embed;             /* the embedding's share */
    const double *attn, *mlp; /* [n_layers] those of attn_out and mlp_out, biases included */
    const double *heads;      /* [n_layers, n_heads] those of head_out, or NULL */
    const double *o_bias;     /* [n_layers] that of o_proj's bias: attn = its heads + o_bias */
    double sum;               /* embed + all attn + all mlp */
    double logit;             /* the run's own logit, or difference, which sum explains: they
                                 differ by the rounding of the run's precision */
} plens_attribution_result;

/* Called once for each prompt and position, both ascending within a part. Returns 0 to go on;
 * anything else ends the run with PLENS_CANCELLED. */
typedef int plens_attribution_fn(void *user, const plens_attribution_result *result);

typedef struct plens_attribution {
    plens_attribution_fn *fn;
    void *user;
    plens_positions positions;
    int heads; /* 1: single heads too */
    plens_progress_fn *progress;
    void *progress_user;
    uint64_t memory; /* as in plens_run_options; the shares' own memory comes on top */
    /* [n_hooks] as in plens_run_options: attribution under interventions. Shares are of components
     * as hooks leave them. What is written at resid_pre, resid_mid or resid_post is nobody's share:
     * sum then differs from logit by just that. */
    const plens_hook *hooks;
    size_t n_hooks;
} plens_attribution;

/* Errors: those of plens_run; ARGUMENT for a prompt that has not 1 or 2 targets. */
plens_status plens_attribute(plens_context *context, const plens_model *model,
                             const plens_prompt *prompts, size_t n_prompts,
                             const plens_attribution *options, plens_error *error);

/* ---- Audit --------------------------------------------------------------------------------- */

/* What another engine computed for one sequence of tokens. Everything is borrowed. */
typedef struct plens_states {
    const int32_t *ids; /* [n_ids], n_ids >= 1 */
    size_t n_ids;
    const float *const *resid; /* [n_layers + 1] arrays [n_ids, d_model]: the embedding, then the
                                  output of blocks 1..L */
    int last_is_normed;        /* 1: the last array went through the final norm, as Transformers'
                                  hidden_states[L] did */
    const float *logits;       /* [n_ids, vocab_size], or NULL */
    const char *source;        /* for messages: a file's name; may be NULL */
} plens_states;

/* States in a safetensors file: hidden_states.0 .. hidden_states.L (Transformers, the last one
 * normed) or resid.0 .. resid.L (plens dump), input_ids (I32 or I64), maybe logits; F32, F16 or
 * BF16, with or without a leading dimension of 1. Read into memory whole.
 * Errors: IO, MEMORY, FORMAT (a tensor missing, or of another shape or type than the model's). */
typedef struct plens_dump plens_dump;
plens_status plens_dump_open(plens_context *context, const plens_model *model, const char *path,
                             plens_dump **dump, plens_error *error);
void plens_dump_close(plens_dump *dump);
const plens_states *plens_dump_states(const plens_dump *dump);

typedef enum plens_verdict {
    PLENS_AGREES = 0,   /* within the rounding of float32 */
    PLENS_ROUNDING = 1, /* within the rounding of the precision that the states were made in */
    PLENS_DEPARTS = 2   /* a mistake */
} plens_verdict;

typedef enum plens_place {
    PLENS_PLACE_EMBEDDING = 0,
    PLENS_PLACE_BLOCK = 1,
    PLENS_PLACE_FINAL_NORM = 2,
    PLENS_PLACE_UNEMBED = 3
} plens_place;

/* One step, judged by itself: the states' own input to it, taken through it in float64, against
 * the states' output. Distances are |a - b| / |b| (Euclidean), a theirs, b ours. */
typedef struct plens_audit_row {
    plens_place place;
    size_t block;          /* 1..L; 0 for the others. With last_is_normed block L and the final norm
                              are one step. */
    double distance;       /* over all positions */
    double worst;          /* of the worst position */
    size_t worst_position; /* from 0 */
    double change;         /* |a - b| over what the step changes, |output - input| (0 if it has no
                              such) */
    double rounding;       /* the distance that rounding would make */
    double excess;         /* the departure in units of what rounding could explain at most; where
                              only all blocks together depart, theirs */
    plens_verdict verdict;
} plens_audit_row;

typedef struct plens_audit_result {
    plens_verdict verdict;
    plens_place place;     /* the first that departs, */
    size_t block;          /* and its number if it is a block */
    int or_final_norm;     /* 1: the final norm could explain it as well as block L */
    const char *part;      /* "attention", "MLP", "attention and MLP" …, "" if unknown; static */
    int explained;         /* 1: `cause` brings the departure down to rounding */
    char cause[512];       /* what is wrong, or the best guess, or "" */
    const char *precision; /* that the states were made in: "float32", "bf16" …; static */
    char text[1024];       /* the verdict in one line: "ok: ...", "rounding: ...",
                              "departs at block 3: ..." */
} plens_audit_result;

typedef struct plens_audit_options {
    double tolerance; /* 0: rounding decides. Else the largest distance of any position at which a
                         step still agrees. */
    /* Called for each step in order once all are judged: embedding, blocks 1..L, and the logits if
     * there are any. Returns 0 to go on; anything else ends the audit with PLENS_CANCELLED. */
    int (*row)(void *user, const plens_audit_row *row);
    void *row_user;
    plens_progress_fn *progress;
    void *progress_user;
} plens_audit_options;

/* Says at which step another engine's states depart from the model, and why: re-runs the first bad
 * block with the mistakes that engines make (epsilons, scales, activations, rotary embeddings,
 * masks, heads, biases ...) and searches for single wrong weights, until the departure falls to
 * rounding, also with other blocks' weights. In states of 16 bits an epsilon or the attention scale
 * that is wrong by little is told by all blocks together. options may be NULL. A departure is an
 * answer, not an error: the status is then OK. Memory: one block's weights as they lie in the file
 * (two while a cause is searched for) and some twenty float64 activations a position of each width;
 * no matrix is widened whole. A clean audit costs a few runs of the model, a cause some hundred of
 * one block; options->progress is asked throughout. Errors: ARGUMENT (an id out of range, a number
 * that is not finite: both named), MEMORY, IO, CANCELLED. */
plens_status plens_audit(plens_context *context, const plens_model *model,
                         const plens_states *states, const plens_audit_options *options,
                         plens_audit_result *result, plens_error *error);

/* ---- Score --------------------------------------------------------------------------------- */

/* A share of the layers in exact decimal arithmetic: "0.6" is 6/10. */
typedef struct plens_ratio {
    uint64_t numerator, denominator;
} plens_ratio;

/* Parses "1", "0.6", ".25": 0 < R <= 1, at most 9 decimals. */
plens_status plens_ratio_parse(const char *text, plens_ratio *ratio, plens_error *error);

/* floor(L * R): how many layers, counted from the last, the share takes in. */
size_t plens_ratio_layers(plens_ratio ratio, size_t n_layers);

/* The persona-consistency score of one prompt (NLP 2025, see README):
 *     S = sum over l in (L - n_counted, L], ascending, of p_l w_l 1(token_l is gold),
 *     w_l = 1 - (l - 1) / L.
 * top_ids and top_probs are [n_layers]: the lens's top token at layers 1..L. */
double plens_score(const int32_t *top_ids, const float *top_probs, size_t n_layers,
                   size_t n_counted, const int32_t *gold_ids, size_t n_gold);

/* ---- Text formats -------------------------------------------------------------------------- */

/* A TSV file with a header, all of it in memory. UTF-8, LF or CRLF, a BOM is skipped; \t \n \r \\
 * are the only escapes. Columns are found by name. */
typedef struct plens_table plens_table;

/* FORMAT with file and line for: no header, a doubled column name, a wrong number of cells, a bad
 * escape, bytes that are no UTF-8. */
plens_status plens_table_open(plens_context *context, const char *path, plens_table **table,
                              plens_error *error);
void plens_table_close(plens_table *table);
size_t plens_table_rows(const plens_table *table);

/* FORMAT, naming the file and the columns it has, if there is no such column. */
plens_status plens_table_column(const plens_table *table, const char *name, size_t *column,
                                plens_error *error);

/* A cell, escapes resolved, zero-terminated (it cannot hold a zero byte). row < rows. n_bytes may
 * be NULL. */
const char *plens_table_cell(const plens_table *table, size_t row, size_t column, size_t *n_bytes);

/* The line on which a row begins, from 1 (the header is line 1). */
size_t plens_table_line(const plens_table *table, size_t row);

/* Writes bytes as a TSV cell: \t \n \r \\, and \xHH for control bytes and bytes that are no UTF-8.
 * Like snprintf: at most `capacity` bytes with the closing zero; returns the full length. */
size_t plens_tsv_escape(const char *bytes, size_t n_bytes, char *out, size_t capacity);

/* One JSON string (a whole line) to text; one JSON array of integers to ids. FORMAT with the byte's
 * offset. */
plens_status plens_json_to_text(plens_context *context, const char *json, size_t n_bytes,
                                plens_text *text, plens_error *error);
plens_status plens_json_to_ids(plens_context *context, const char *json, size_t n_bytes,
                               plens_ids *ids, plens_error *error);

typedef enum plens_json_kind {
    PLENS_JSON_MISSING = 0, /* the text has no such value */
    PLENS_JSON_NULL = 1,
    PLENS_JSON_FALSE = 2,
    PLENS_JSON_TRUE = 3,
    PLENS_JSON_NUMBER = 4,
    PLENS_JSON_STRING = 5,
    PLENS_JSON_ARRAY = 6,
    PLENS_JSON_OBJECT = 7
} plens_json_kind;

/* The value at `path` in a JSON text: names of members and, in arrays, numbers from 0, joined by
 * "/", such as "choices/0/message"; "" is the whole (a name that holds a "/" cannot be reached).
 * text gets a string's characters, a number as it is written, and nothing for the other kinds; free
 * it with plens_text_free. FORMAT with the byte's offset, also where an object names a member
 * twice. */
plens_status plens_json_find(plens_context *context, const char *json, size_t n_bytes,
                             const char *path, plens_json_kind *kind, plens_text *text,
                             plens_error *error);

/* Writes bytes as the inside of a JSON string: escapes; bytes that are no UTF-8 become U+FFFD.
 * Like snprintf. */
size_t plens_json_escape(const char *bytes, size_t n_bytes, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
