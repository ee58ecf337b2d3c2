/* One block in float64, every choice of which is a parameter: the audit's reference. It shares no
 * arithmetic with the forward pass (block.c), so each can tell on the other. Speed matters little:
 * it runs over the positions of one dump.
 *
 * Shapes: n positions; q_width = n_heads * head_dim, kv_width = n_kv_heads * head_dim. */
#ifndef PLENS_RUNTIME_AUDIT_BLOCK_H
#define PLENS_RUNTIME_AUDIT_BLOCK_H

#include "runtime/engine.h"
#include "runtime/weights.h"

/* The parameters of a block. Slots below PLENS__N_LINEAR are matrices. */
typedef enum plens__slot {
    PLENS__SLOT_Q,
    PLENS__SLOT_K,
    PLENS__SLOT_V,
    PLENS__SLOT_O,
    PLENS__SLOT_GATE,
    PLENS__SLOT_UP,
    PLENS__SLOT_DOWN,
    PLENS__N_LINEAR,
    PLENS__SLOT_BIAS = PLENS__N_LINEAR, /* the bias of matrix s is SLOT_BIAS + s */
    PLENS__SLOT_ATTN_NORM = 2 * PLENS__N_LINEAR,
    PLENS__SLOT_MLP_NORM,
    PLENS__SLOT_Q_NORM,
    PLENS__SLOT_K_NORM,
    PLENS__N_SLOTS
} plens__slot;

/* ---- how numbers are rounded ---- */

typedef enum plens__format {
    PLENS__EXACT, /* float64 */
    PLENS__FLOAT,
    PLENS__HALF,
    PLENS__BFLOAT
} plens__format;

/* Where an engine rounds. All zero: nowhere. */
typedef struct plens__arithmetic {
    plens__format weights, operands; /* of matrix products */
    plens__format results;           /* of every operation; sums are then in float */
    plens__format residual;
    plens__format stored; /* the dump's: input and output were rounded when they were written */
    int core_only; /* attention's own products have these operands, its projections float's */
    uint64_t seed; /* 0: to nearest; else stochastic rounding, another for each seed */
} plens__arithmetic;

/* x in a format. `at` numbers the value for stochastic rounding. */
double plens__round_to(plens__format format, uint64_t seed, uint64_t at, double x);

/* A number from among those that are rounded to x in a format; another for each seed and `at`. */
double plens__blur(plens__format format, uint64_t seed, uint64_t at, double x);

/* The distance between neighbours of a format around x. */
double plens__unit(plens__format format, double x);

/* ---- what a block may do otherwise than the model says ---- */

typedef enum plens__norm_kind {
    PLENS__NORM_RMS,
    PLENS__NORM_NO_WEIGHT,
    PLENS__NORM_WEIGHT_PLUS_ONE,
    PLENS__NORM_NONE,
    PLENS__NORM_MEAN,  /* LayerNorm: the mean subtracted */
    PLENS__NORM_OTHER, /* with the weight of the block's other norm */
    PLENS__NORM_TWICE,
    PLENS__NORM_SUM /* divided by the root of the squares' sum, not of their mean */
} plens__norm_kind;

typedef enum plens__activation {
    PLENS__SILU,
    PLENS__GELU,
    PLENS__GELU_TANH,
    PLENS__GELU_QUICK,
    PLENS__RELU,
    PLENS__SIGMOID,
    PLENS__RELU_SQUARED,
    PLENS__TANH,
    PLENS__HARD_SWISH,
    PLENS__IDENTITY
} plens__activation;

typedef enum plens__swap {
    PLENS__SWAP_NONE,
    PLENS__SWAP_QUERIES,     /* two query heads */
    PLENS__SWAP_KEYS,        /* two key heads */
    PLENS__SWAP_VALUES,      /* two value heads */
    PLENS__SWAP_KEYS_VALUES, /* both */
    PLENS__SWAP_OUTPUTS      /* two heads' outputs before o_proj */
} plens__swap;

/* What o_proj reads, where the heads' outputs [position, head, element] are laid out otherwise. */
typedef enum plens__gathering {
    PLENS__GATHER_HEADS,
    PLENS__GATHER_ELEMENTS, /* [position, element, head] */
    PLENS__GATHER_NOTHING   /* [head, position, element], read as if it were the first */
} plens__gathering;

typedef enum plens__kv_map {
    PLENS__KV_GROUPS, /* query head h uses KV head h / (n_heads / n_kv_heads) */
    PLENS__KV_MODULO, /* h mod n_kv_heads */
    PLENS__KV_FIRST   /* 0 */
} plens__kv_map;

/* What a query's scores become. */
typedef enum plens__weighting {
    PLENS__SOFTMAX,
    PLENS__DIVIDED, /* by their number: there is no softmax */
    PLENS__SCORES   /* nothing else */
} plens__weighting;

/* In what a matrix of the checkpoint, or a head's key or value, is kept by the engine. */
typedef enum plens__keeping {
    PLENS__KEPT_AS_IS,
    PLENS__KEPT_IN_8_BITS,       /* -127 to 127, one scale for the matrix */
    PLENS__KEPT_IN_8_BITS_A_ROW, /* one for each row */
    PLENS__KEPT_IN_8_BITS_OF_32, /* one for 32 columns of a row, in f16 */
    PLENS__KEPT_IN_HALF,
    PLENS__KEPT_IN_BFLOAT,
    PLENS__KEPT_CUT_TO_BFLOAT, /* not rounded: the lower 16 bits left out */
    PLENS__N_KEEPINGS
} plens__keeping;

/* Adds value to W[row, column], or to element `row` of a vector; with column = PLENS__WHOLE_ROW
 * adds value times the row to it, with row = PLENS__WHOLE_COLUMN value times the column. */
typedef struct plens__edit {
    plens__slot slot;
    size_t row, column;
    double value;
} plens__edit;

#define PLENS__WHOLE_ROW    (SIZE_MAX - 1)
#define PLENS__WHOLE_COLUMN (SIZE_MAX - 1)

#define PLENS__EDITS 12

/* Two rows or columns of a matrix in each other's place; with a == b: nothing. */
typedef struct plens__exchange {
    plens__slot slot;
    int is_column;
    size_t a, b;
} plens__exchange;

/* Adds to a matrix: to row `index` what makes its output at position t greater by added[t]; to
 * column `index` added[o] in row o. added NULL: nothing. */
typedef struct plens__line {
    plens__slot slot;
    int is_column;
    size_t index;
    const double *added; /* [n], or [n_out] */
} plens__line;

typedef struct plens__variant {
    plens__config config; /* rope's parameters are read from here */
    double attn_eps, mlp_eps, qk_eps;
    plens__norm_kind attn_norm, mlp_norm;
    double attn_norm_out, mlp_norm_out; /* factors of what the norms give: 1 */
    int no_q_norm, no_k_norm, norm_after_rope;
    plens__norm_kind q_norm, k_norm; /* OTHER: each with the other's weight */
    double scale;                    /* of the scores */
    int no_rope_q, no_rope_k, rope_interleaved, rope_reversed;
    int rope_v;               /* values are rotated too */
    int permute_q, permute_k; /* elements of a head in another order: 1: even ones, then odd ones;
                                 -1: the first half is put at even places */
    double rope_stretch;      /* positions are divided by it: 1 */
    size_t rope_dims;         /* of each head that are rotated, the first ones: head_dim */
    int shift_q, shift_k;     /* added to the positions of queries and keys */
    size_t window;
    int look_ahead; /* a query also sees this many later positions; negative: fewer */
    int mask_late;  /* the softmax is over all positions, then those out of sight are left out */
    int hide_first; /* position 0 is seen by itself only */
    plens__weighting weighting;
    plens__keeping k_kept, v_kept; /* keys, rotated, and values; a row is a head's at a position */
    int sink;                      /* a score of 0 more in the softmax's denominator */
    double score_cap;              /* cap tanh(score / cap); 0: none */
    int alibi; /* head h of H adds -2^(-8 (h + 1) / H) times the distance to its scores */
    plens__kv_map kv_map;
    int roll_queries; /* head h has the query of head h + this, in a circle */
    plens__gathering gathering;
    plens__swap swap;
    size_t swap_a, swap_b;
    size_t silent_head; /* counted from 1: its output is 0 */
    plens__activation activation;
    int fused; /* rows of gate_proj, then up_proj: 1: taken in turns for gate and up;
                  -1: laid out in turns, taken in halves */
    int no_up; /* the activation is not multiplied by up_proj's output */
    double skip_attn, skip_mlp; /* factors of the residual that is added back: 1 */
    double attn_out, mlp_out;   /* factors of what is added to it: 1 */
    int carry_attn, carry_mlp;  /* what is added back is the norm's output */
    int parallel_mlp;           /* the MLP reads the block's input */
    int twice;                  /* the block is applied to its own output again */
    int later; /* position t has the output of position t + this, in a circle: -1, 0, 1 */
    const plens__block *from[PLENS__N_SLOTS]; /* another block's; NULL: its own */
    plens__slot matrix[PLENS__N_LINEAR];      /* whose matrix and bias are used */
    int exchange_biases;                      /* k has the bias of v, v that of k */
    int no_o;                                 /* o_proj is left out */
    double factor[PLENS__N_LINEAR];           /* of the matrix: 1 */
    int transposed[PLENS__N_LINEAR];
    int shift[PLENS__N_LINEAR]; /* row i of the matrix is row i - this, in a circle */
    plens__exchange exchange;
    plens__keeping kept[PLENS__N_LINEAR];
    plens__line line;
    double bias[PLENS__N_LINEAR]; /* factors of the biases: 1 */
    size_t n_edits;
    plens__edit edits[PLENS__EDITS];
} plens__variant;

/* Block `layer` (1..L) as the model says. */
void plens__variant_of_model(const plens__config *config, size_t layer, plens__variant *variant);

/* ---- running it ---- */

typedef struct plens__trace { /* what a run leaves behind, all [n, …] */
    double *attn_normed;      /* d_model */
    double *q, *k, *v;        /* q, k before their norm and rotation */
    double *q_rotated, *k_rotated;
    double *z;                  /* q_width: what o_proj reads */
    double *mid;                /* d_model */
    double *mlp_normed;         /* d_model */
    double *gate, *up, *hidden; /* d_ff; hidden is what down_proj reads */
    double *out;                /* d_model */
} plens__trace;

typedef struct plens__reference {
    const plens__engine *engine;
    const plens__config *config;
    const plens__block *block;
    size_t n;
    double *product; /* [n, widest] */
    double *scratch; /* [n_threads, scratch_width] */
    size_t scratch_width;
} plens__reference;

void plens__trace_carve(const plens__config *config, size_t n, plens__trace *trace,
                        plens__carver *carver);
void plens__reference_carve(plens__reference *reference, const plens__engine *engine,
                            const plens__config *config, size_t n, plens__carver *carver);

/* x [n, d_model] through the block; trace->mid, then trace->out. plens__block_run does both. */
void plens__block_attention(const plens__reference *reference, const plens__variant *variant,
                            const plens__arithmetic *arithmetic, const double *x,
                            plens__trace *trace);
void plens__block_mlp(const plens__reference *reference, const plens__variant *variant,
                      const plens__arithmetic *arithmetic, const double *x, plens__trace *trace);
void plens__block_run(const plens__reference *reference, const plens__variant *variant,
                      const plens__arithmetic *arithmetic, const double *x, plens__trace *trace);

/* Rows [n, d] one place down the circle, so that row t is what row t + 1 was, or up; by way of one
 * in `row` [d]. */
void plens__roll_rows(int later, size_t n, size_t d, double *row, double *rows);

/* The final norm: `to` [n, d_model]; weight [d_model]. */
void plens__reference_norm(const plens__reference *reference, plens__norm_kind kind,
                           const float *weight, const float *other, double eps,
                           const plens__arithmetic *arithmetic, const double *x, double *to);

/* y [n, n_out] = x W^T, W as in the file, but kept in some format; in `arithmetic`. */
void plens__reference_multiply_kept(const plens__reference *reference, const plens__matrix *matrix,
                                    plens__keeping kept, const plens__arithmetic *arithmetic,
                                    const double *x, size_t n, double *y);
/* The same with W as in the file. */
void plens__reference_multiply(const plens__reference *reference, const plens__matrix *matrix,
                               const plens__arithmetic *arithmetic, const double *x, size_t n,
                               double *y);
/* x [n] as it is kept; in 8 bits with one scale for all of x. */
void plens__keep(plens__keeping kept, double *x, size_t n);
/* An entry as it lies in the file. */
double plens__matrix_at(const plens__matrix *matrix, size_t row, size_t column);
/* y [n, n_in] = x W, for x [n, n_out]; exact. */
void plens__reference_multiply_back(const plens__reference *reference, const plens__matrix *matrix,
                                    const double *x, size_t n, double *y);

/* The adjoint of plens__block_run of the model's own block at `trace`: for each linear layer the
 * gradient of <seed, out> with respect to its output, and with respect to both normed inputs and
 * what the q/k norms give. [n, …] as in the trace. */
typedef struct plens__adjoint {
    double *linear[PLENS__N_LINEAR];
    double *attn_normed, *mlp_normed; /* d_model */
    double *q_rotated, *k_rotated;    /* the heads after their norm, before the rotation */
    double *z, *hidden;               /* what o_proj and down_proj read */
} plens__adjoint;

void plens__adjoint_carve(const plens__config *config, size_t n, plens__adjoint *adjoint,
                          plens__carver *carver);
void plens__block_backward(const plens__reference *reference, const plens__variant *variant,
                           const double *x, const plens__trace *trace, const double *seed,
                           plens__adjoint *adjoint);

#endif
