"""More mistakes (see audit_mistakes.py): what is rarer, or spread over a block."""
import math

import torch

from audit_mistakes import (MATRICES, NOTHING, block, entry, for_each, mistake, own_head, projection,
                            roped, scores, softmax, windowed, wrap, wrap_block, wrong_queries)

# ---- norms ----


@mistake("attention", "epsilon of the q and k norms")
def qk_eps(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    for n in (a.q_norm, a.k_norm):
        n.variance_epsilon = 1e-2


@mistake("attention", "norm of queries is missing")
def no_q_norm(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    a.q_norm = torch.nn.Identity()


@mistake("attention", "norm of keys is missing")
def no_k_norm(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    a.k_norm = torch.nn.Identity()


@mistake("attention", "q_norm|norm of queries|norms of queries")
def qk_norm_exchanged(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    a.q_norm, a.k_norm = a.k_norm, a.q_norm


@mistake("attention", "weight")
def qk_norm_weight(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    a.q_norm.weight.data.fill_(1)
    a.k_norm.weight.data.fill_(1)


@mistake("attention", "q_norm.weight[")
def q_norm_entry(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    entry(rng, a.q_norm.weight, 0.5)


@mistake("attention", "input_layernorm.weight[")
def norm_entry_attention(model, layer, rng):
    entry(rng, block(model, layer).input_layernorm.weight, 0.3)


@mistake("attention", "LayerNorm")
def norm_mean_attention(model, layer, rng):
    n = block(model, layer).input_layernorm
    wrap(n, lambda f, x: f(x - x.mean(-1, keepdim=True)))


@mistake("MLP", "LayerNorm")
def norm_mean_mlp(model, layer, rng):
    n = block(model, layer).post_attention_layernorm
    wrap(n, lambda f, x: f(x - x.mean(-1, keepdim=True)))


@mistake("MLP", "sum of squares|norm|factor")
def norm_sum_mlp(model, layer, rng):
    n = block(model, layer).post_attention_layernorm
    wrap(n, lambda f, x: f(x) / math.sqrt(x.shape[-1]))


@mistake("MLP", "epsilon")
def eps_mlp_large(model, layer, rng):
    block(model, layer).post_attention_layernorm.variance_epsilon = 1e-2


@mistake("attention", "epsilon")
def eps_attention_zero(model, layer, rng):
    block(model, layer).input_layernorm.variance_epsilon = 0.0


# ---- attention ----


@mistake("attention", "rope theta")
def rope_theta_1000(model, layer, rng):
    config = model.config
    parameters = {**config.rope_parameters, "rope_theta": 1000.0}
    rotary = type(model.model.rotary_emb)(type(config)(**{**config.to_dict(), "rope_parameters": parameters}))
    roped(model, layer, lambda cos, sin: rotary(cos, torch.arange(cos.shape[1])[None]))


@mistake("rope theta")
def rope_theta_everywhere(model, layer, rng):
    config = model.config
    parameters = {**config.rope_parameters, "rope_theta": config.rope_parameters["rope_theta"] / 10}
    model.model.rotary_emb = type(model.model.rotary_emb)(
        type(config)(**{**config.to_dict(), "rope_parameters": parameters}))
    return "block 1"


@mistake("scaling")
def rope_unscaled_everywhere(model, layer, rng):
    config = model.config
    if config.rope_parameters["rope_type"] == "default":
        return NOTHING
    parameters = {"rope_theta": config.rope_parameters["rope_theta"], "rope_type": "default"}
    model.model.rotary_emb = type(model.model.rotary_emb)(
        type(config)(**{**config.to_dict(), "rope_parameters": parameters}))
    return "block 1"


def rope_parameter(name, value):
    def plant(model, layer, rng):
        config = model.config
        if config.rope_parameters["rope_type"] == "default":
            return NOTHING
        parameters = {**config.rope_parameters, name: value}
        rotary = type(model.model.rotary_emb)(
            type(config)(**{**config.to_dict(), "rope_parameters": parameters}))
        roped(model, layer, lambda cos, sin: rotary(cos, torch.arange(cos.shape[1])[None]))

    plant.__name__ = f"rope_{name}"
    mistake("attention", "rotary embedding")(plant)


rope_parameter("factor", 32.0)
rope_parameter("original_max_position_embeddings", 8192)
rope_parameter("low_freq_factor", 2.0)
rope_parameter("high_freq_factor", 2.0)


@mistake("attention", "linear scaling|rotary")
def rope_linear(model, layer, rng):
    rotary = model.model.rotary_emb
    roped(model, layer, lambda cos, sin: rotary(cos, torch.arange(cos.shape[1])[None] / 4))


@mistake("attention", "keys are not rotated")
def rope_q_only(model, layer, rng):
    wrong_queries(model, layer, lambda rotate, q, k, cos, sin: (rotate(q, k, cos, sin)[0], k))


@mistake("attention", "queries are not rotated")
def rope_k_only(model, layer, rng):
    wrong_queries(model, layer, lambda rotate, q, k, cos, sin: (q, rotate(q, k, cos, sin)[1]))


@mistake("attention", "rotat|rotary")
def rope_values(model, layer, rng):
    """The values are rotated too."""
    a = block(model, layer).self_attn
    held = {}

    def change(rotate, q, k, cos, sin):
        held["cs"] = cos, sin
        held["rotate"] = rotate
        return rotate(q, k, cos, sin)

    wrong_queries(model, layer, change)

    def values(f, x):
        v = f(x)
        n, d = v.shape[1], a.head_dim
        heads = v.view(1, n, -1, d).transpose(1, 2)
        rotary = model.model.rotary_emb
        cos, sin = rotary(x, torch.arange(n)[None])
        half = d // 2
        turned = torch.cat((-heads[..., half:], heads[..., :half]), -1)
        heads = heads * cos[:, None] + turned * sin[:, None]
        return heads.transpose(1, 2).reshape(1, n, -1)

    wrap(a.v_proj, values)


@mistake("attention", "queries only")
def positions_q_back(model, layer, rng):
    rotary = model.model.rotary_emb

    def change(rotate, q, k, cos, sin):
        c, s = rotary(q, torch.arange(cos.shape[1])[None] - 1)
        return rotate(q, q, c, s)[0], rotate(k, k, cos, sin)[1]

    wrong_queries(model, layer, change)


@mistake("attention", "in place of|exchanged")
def v_from_k(model, layer, rng):
    a = block(model, layer).self_attn
    a.v_proj = a.k_proj


@mistake("attention", "exchanged")
def kv_exchanged(model, layer, rng):
    a = block(model, layer).self_attn
    a.v_proj, a.k_proj = a.k_proj, a.v_proj


@mistake("attention", "exchanged")
def qk_exchanged(model, layer, rng):
    a = block(model, layer).self_attn
    if a.q_proj.weight.shape != a.k_proj.weight.shape:
        return NOTHING
    a.q_proj, a.k_proj = a.k_proj, a.q_proj


@mistake("attention", "bias")
def bias_kv_exchanged(model, layer, rng):
    a = block(model, layer).self_attn
    if a.k_proj.bias is None:
        return NOTHING
    a.v_proj.bias.data, a.k_proj.bias.data = a.k_proj.bias.data.clone(), a.v_proj.bias.data.clone()


@mistake("attention", "bias[")
def bias_entry(model, layer, rng):
    a = block(model, layer).self_attn
    if a.k_proj.bias is None:
        return NOTHING
    entry(rng, a.v_proj.bias, 2)


@mistake("attention", "hides the position itself")
def mask_strict(model, layer, rng):
    def change(s, m, v, q, k):
        n = s.shape[-1]
        m = m.clone()
        for t in range(1, n):
            m[..., t, t] = torch.finfo(m.dtype).min
        return softmax(s + m) @ v

    scores(model, layer, change)


@mistake("attention", "one later position")
def mask_loose(model, layer, rng):
    def change(s, m, v, q, k):
        m = m.clone()
        for t in range(s.shape[-1] - 1):
            m[..., t, t + 1] = 0
        return softmax(s + m) @ v

    scores(model, layer, change)


@mistake("attention", "first position|position 0")
def mask_first(model, layer, rng):
    """Position 0 is taken for padding: no other position sees it."""
    def change(s, m, v, q, k):
        m = m.clone()
        m[..., 1:, 0] = torch.finfo(m.dtype).min
        return softmax(s + m) @ v

    scores(model, layer, change)


@mistake("window")
def window_everywhere(model, layer, rng):
    has = getattr(block(model, layer).self_attn, "sliding_window", None)
    for l in range(1, model.config.num_hidden_layers + 1):
        windowed(model, l, None if has else 4)
    return "block 1"


@mistake("attention", "sliding window")
def window_two(model, layer, rng):
    windowed(model, layer, 2)


@mistake("attention", "sink|denominator|softmax")
def softmax_plus_one(model, layer, rng):
    def change(s, m, v, q, k):
        zero = torch.zeros_like(s[..., :1])
        return softmax(torch.cat((zero, s + m), -1))[..., 1:] @ v

    scores(model, layer, change)


@mistake("attention", "softmax")
def softmax_missing(model, layer, rng):
    """Scores are divided by their number in place of the softmax."""
    scores(model, layer, lambda s, m, v, q, k:
           (s * (m == 0)) / (m == 0).sum(-1, keepdim=True) @ v)


@mistake("attention", "ALiBi")
def alibi(model, layer, rng):
    def change(s, m, v, q, k):
        n, h = s.shape[-1], s.shape[1]
        away = (torch.arange(n)[None] - torch.arange(n)[:, None]).to(s.dtype)
        slope = 2.0 ** (-8 * (torch.arange(h, dtype=s.dtype) + 1) / h)
        return softmax(s + slope[:, None, None] * away + m) @ v

    scores(model, layer, change)


@mistake("attention", "head")
def kv_head_0(model, layer, rng):
    """All queries use the first key/value head."""
    a = block(model, layer).self_attn
    if model.config.num_key_value_heads == 1:
        return NOTHING
    d = a.head_dim
    for p in (a.k_proj, a.v_proj):
        p.weight.data = p.weight.data[:d].repeat(p.weight.shape[0] // d, 1)
        if p.bias is not None:
            p.bias.data = p.bias.data[:d].repeat(p.bias.shape[0] // d)


@mistake("attention", "layout|heads|transpos")
def heads_not_gathered(model, layer, rng):
    """[heads, T, dim] read as [T, heads * dim]: the transposition before o_proj is missing."""
    a = block(model, layer).self_attn
    d = a.head_dim

    def change(f, z):
        n = z.shape[1]
        return f(z.view(1, n, -1, d).transpose(1, 2).reshape(1, n, -1))

    wrap(a.o_proj, change)


@mistake("attention", "layout|order|head")
def heads_interleaved(model, layer, rng):
    """z as [dim, heads] in place of [heads, dim]."""
    a = block(model, layer).self_attn
    d = a.head_dim
    wrap(a.o_proj, lambda f, z: f(z.view(*z.shape[:-1], -1, d).transpose(-1, -2).reshape(z.shape)))


@mistake("attention", "missing")
def head_missing(model, layer, rng):
    a = block(model, layer).self_attn
    h = int(rng.integers(0, model.config.num_attention_heads))
    a.o_proj.weight.data[:, h * a.head_dim:(h + 1) * a.head_dim] = 0


@mistake("attention", "head")
def heads_rotated(model, layer, rng):
    """Query heads in a cycle: each takes the next one's place."""
    a = block(model, layer).self_attn
    if model.config.num_attention_heads < 3:
        return NOTHING
    a.q_proj.weight.data = torch.roll(a.q_proj.weight.data, a.head_dim, 0)
    if a.q_proj.bias is not None:
        a.q_proj.bias.data = torch.roll(a.q_proj.bias.data, a.head_dim, 0)


@mistake("attention", "pairs neighbours|permuted")
def q_permuted(model, layer, rng):
    """Rows of q in the interleaved order, rotated on halves."""
    a = block(model, layer).self_attn
    d = a.head_dim

    def permute(w):
        return w.view(-1, d // 2, 2, *w.shape[1:]).transpose(1, 2).reshape(w.shape)

    a.q_proj.weight.data = permute(a.q_proj.weight.data)
    if a.q_proj.bias is not None:
        a.q_proj.bias.data = permute(a.q_proj.bias.data)


@mistake("attention", "o_proj")
def o_missing(model, layer, rng):
    a = block(model, layer).self_attn
    if a.o_proj.weight.shape[0] != a.o_proj.weight.shape[1]:
        return NOTHING
    wrap(a.o_proj, lambda f, z: z)


# ---- matrices ----


def tail_column(p, rng):
    """The last two columns, which vectors of four leave over, are left out."""
    p.weight.data[:, -2:] = 0


def tail_row(p, rng):
    p.weight.data[-2:] = 0


def row_scaled(p, rng):
    p.weight.data[int(rng.integers(0, p.weight.shape[0]))] *= 1.5


def rows_swapped(p, rng):
    w = p.weight.data
    a, b = (int(i) for i in rng.choice(w.shape[0], 2, replace=False))
    w[[a, b]] = w[[b, a]].clone()


def columns_swapped(p, rng):
    w = p.weight.data
    a, b = (int(i) for i in rng.choice(w.shape[1], 2, replace=False))
    w[:, [a, b]] = w[:, [b, a]].clone()


def read_transposed(p, rng):
    """Read column by column: of a square one the transpose."""
    w = p.weight.data
    p.weight.data = w.reshape(w.shape[1], w.shape[0]).T.contiguous()


def truncated(p, rng):
    """bf16 by cutting off; f32 checkpoints only."""
    w = p.weight.data
    if w.dtype != torch.float32 or torch.equal(w, w.to(torch.bfloat16).float()):
        return NOTHING
    p.weight.data = (w.view(torch.int32) & -65536).view(torch.float32).clone()


def rolled(p, rng):
    p.weight.data = torch.roll(p.weight.data, 1, 0)


def permuted(p, rng):
    p.weight.data = p.weight.data[torch.from_numpy(rng.permutation(p.weight.shape[0]))]


def two_entries(p, rng):
    for _ in range(2):
        entry(rng, p.weight, 1)


def five_entries(p, rng):
    for _ in range(5):
        entry(rng, p.weight, 3)


def sign(p, rng):
    w = p.weight.data
    i, j = (int(rng.integers(0, n)) for n in w.shape)
    w[i, j] = -w[i, j] if abs(float(w[i, j])) > 1e-3 else w[i, j] + 0.5


def half_entry(p, rng):
    """As the planted `oneweight`: 0.5 is added."""
    w = p.weight.data
    i, j = (int(rng.integers(0, n)) for n in w.shape)
    w[i, j] += 0.5


def block_zero(p, rng):
    """A tile of 4 x 4 left out."""
    w = p.weight.data
    i, j = (int(rng.integers(0, n - 4)) for n in w.shape)
    w[i:i + 4, j:j + 4] = 0


def row_wrong(p, rng):
    """A row of other numbers."""
    w = p.weight.data
    i = int(rng.integers(0, w.shape[0]))
    w[i] = torch.from_numpy(rng.standard_normal(w.shape[1])).to(w.dtype) * w.float().pow(2).mean().sqrt()


def column_wrong(p, rng):
    w = p.weight.data
    i = int(rng.integers(0, w.shape[1]))
    w[:, i] = torch.from_numpy(rng.standard_normal(w.shape[0])).to(w.dtype) * w.float().pow(2).mean().sqrt()


def negative(p, rng):
    p.weight.data.neg_()


for_each("tail_column", MATRICES, ["{}_proj"], tail_column)
for_each("tail_row", MATRICES, ["{}_proj"], tail_row)
for_each("row_scaled", MATRICES, ["{}_proj"], row_scaled)
for_each("rows_swapped", MATRICES, ["{}_proj"], rows_swapped)
for_each("columns_swapped", MATRICES, ["{}_proj"], columns_swapped)
for_each("read_transposed", MATRICES, ["{}_proj"], read_transposed)
for_each("truncated", MATRICES, ["{}_proj", "cut to bf16"], truncated)
for_each("rolled", MATRICES, ["{}_proj"], rolled)
for_each("permuted", MATRICES, [], permuted)
for_each("two_entries", MATRICES, ["{}_proj"], two_entries)
for_each("five_entries", MATRICES, ["{}_proj"], five_entries)
for_each("sign", MATRICES, ["{}_proj"], sign)
for_each("half_entry", MATRICES, ["{}_proj"], half_entry)
for_each("block_zero", MATRICES, ["{}_proj"], block_zero)
for_each("row_wrong", MATRICES, ["{}_proj"], row_wrong)
for_each("column_wrong", MATRICES, ["{}_proj"], column_wrong)
for_each("negative", MATRICES, ["is negated"], negative)


# ---- the MLP, the residual ----


class Function(torch.nn.Module):
    def __init__(self, f):
        super().__init__()
        self.forward = f


@mistake("MLP", "activation")
def quick_gelu(model, layer, rng):
    block(model, layer).mlp.act_fn = Function(lambda x: x * torch.sigmoid(1.702 * x))


@mistake("MLP", "activation")
def sigmoid(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.Sigmoid()


@mistake("MLP", "activation")
def relu_squared(model, layer, rng):
    block(model, layer).mlp.act_fn = Function(lambda x: torch.relu(x) ** 2)


@mistake("MLP", "activation")
def tanh(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.Tanh()


@mistake("MLP", "activation")
def hard_swish(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.Hardswish()


@mistake("MLP")
def neurons_permuted(model, layer, rng):
    """gate's rows in another order than up's and down's."""
    p = block(model, layer).mlp.gate_proj
    p.weight.data = p.weight.data[torch.from_numpy(rng.permutation(p.weight.shape[0]))]


@mistake("MLP", "fused, then split at every second row")
def gate_up_interleaved(model, layer, rng):
    """A fused matrix split at every second row in place of in halves."""
    m = block(model, layer).mlp
    for name in ("weight", "bias"):
        gate, up = getattr(m.gate_proj, name), getattr(m.up_proj, name)
        if gate is not None:
            both = torch.cat((gate.data, up.data))
            gate.data, up.data = both[0::2].clone(), both[1::2].clone()


@mistake("MLP", "the block's input")
def parallel(model, layer, rng):
    b = block(model, layer)
    held = {}
    wrap(b.input_layernorm, lambda f, x: (held.__setitem__("x", x), f(x))[1])
    wrap(b.post_attention_layernorm, lambda f, x: f(held["x"]))


@mistake("attention", "normed|norm")
def residual_normed_attention(model, layer, rng):
    """The residual carries the norm's output."""
    b = block(model, layer)
    held = {}
    wrap(b.input_layernorm, lambda f, x: held.setdefault(id(x), (x, f(x)))[1])
    attention = b.self_attn
    forward = attention.forward

    def changed(hidden_states, **k):
        out = forward(hidden_states, **k)
        x = [x for x, y in held.values() if y is hidden_states][0]
        held.clear()
        return (out[0] - x + hidden_states, *out[1:])

    attention.forward = changed


@mistake("MLP", "normed|norm")
def residual_normed_mlp(model, layer, rng):
    b = block(model, layer)
    held = {}
    wrap(b.post_attention_layernorm, lambda f, x: (held.__setitem__("x", x), f(x))[1])
    wrap(b.mlp, lambda f, x: f(x) - held["x"] + x)


@mistake("attention", "twice")
def attention_twice(model, layer, rng):
    wrap_out(block(model, layer).self_attn, 2)


@mistake("MLP", "twice")
def mlp_twice(model, layer, rng):
    wrap(block(model, layer).mlp, lambda f, x: 2 * f(x))


@mistake("attention", "factor|multiplied")
def attention_scaled(model, layer, rng):
    wrap_out(block(model, layer).self_attn, 0.9)


def wrap_out(attention, factor):
    forward = attention.forward

    def changed(*a, **k):
        out = forward(*a, **k)
        return (out[0] * factor, *out[1:])

    attention.forward = changed


@mistake("attention and MLP", "the weights of block")
def last_blocks(model, layer, rng):
    """Its weights are those of the block farthest away."""
    n = model.config.num_hidden_layers
    other = 1 if layer > n / 2 else n
    block(model, layer).load_state_dict(block(model, other).state_dict())


@mistake("residual|factor|multiplied")
def block_scaled(model, layer, rng):
    if layer == model.config.num_hidden_layers:  # the final norm takes it out
        return NOTHING
    wrap_block(block(model, layer), lambda f, x, **k: 1.01 * f(x, **k))


@mistake("shift|position|order")
def block_shifted(model, layer, rng):
    """Rows in the wrong place: the output of position t is written to t + 1."""
    wrap_block(block(model, layer), lambda f, x, **k: torch.roll(f(x, **k), 1, 1))


@mistake("position")
def one_position(model, layer, rng):
    """One position is not computed: it keeps its input."""
    t = int(rng.integers(0, 5))

    def change(f, x, **k):
        y = f(x, **k).clone()
        y[:, t] = x[:, t]
        return y

    wrap_block(block(model, layer), change)


# ---- the ends ----


@mistake("token id|row")
def embedding_entry(model, layer, rng):
    ids = model.audit_ids
    table = model.model.embed_tokens
    own_head(model)
    table.weight.data = table.weight.data.clone()
    table.weight.data[ids[0], int(rng.integers(0, table.weight.shape[1]))] += 0.5
    return "embedding"


@mistake("token id|position")
def embedding_shifted(model, layer, rng):
    """The ids of each position are those of the one before (a BOS added that the file lacks)."""
    wrap(model.model.embed_tokens, lambda f, ids: f(torch.roll(ids, 1, 1)))
    return "embedding"


@mistake("row|token id")
def embedding_zero_row(model, layer, rng):
    table = model.model.embed_tokens
    own_head(model)
    table.weight.data = table.weight.data.clone()
    table.weight.data[model.audit_ids[1]] = 0
    return "embedding"


@mistake("epsilon")
def final_norm_eps_large(model, layer, rng):
    model.model.norm.variance_epsilon = 1e-1
    return "final norm"


@mistake("weight")
def final_norm_entry(model, layer, rng):
    entry(rng, model.model.norm.weight, 0.5)
    return "final norm"


@mistake("LayerNorm")
def final_norm_mean(model, layer, rng):
    wrap(model.model.norm, lambda f, x: f(x - x.mean(-1, keepdim=True)))
    return "final norm"


@mistake("block|norm")
def final_norm_neighbour(model, layer, rng):
    model.model.norm.weight.data = block(model, layer).input_layernorm.weight.data.clone()
    return "final norm"


@mistake("multiplied by")
def logits_scaled_little(model, layer, rng):
    wrap(model.lm_head, lambda f, x: f(x) * 1.03)
    return "unembed"


@mistake("log")
def logits_logprobs(model, layer, rng):
    wrap(model.lm_head, lambda f, x: torch.log_softmax(f(x), -1))
    return "unembed"


@mistake("probabilities|softmax")
def logits_probs(model, layer, rng):
    wrap(model.lm_head, lambda f, x: torch.softmax(f(x), -1))
    return "unembed"


@mistake("position")
def logits_next(model, layer, rng):
    wrap(model.lm_head, lambda f, x: torch.roll(f(x), 1, 1))
    return "unembed"


@mistake("row|lm_head|embedding")
def unembed_entry(model, layer, rng):
    w = own_head(model)
    w[int(rng.integers(0, w.shape[0])), int(rng.integers(0, w.shape[1]))] += 0.5
    return "unembed"


@mistake("row")
def unembed_zero_row(model, layer, rng):
    own_head(model)[int(rng.integers(0, model.lm_head.weight.shape[0]))] = 0
    return "unembed"


@mistake("bias|add")
def unembed_bias(model, layer, rng):
    v = model.lm_head.weight.shape[0]
    bias = torch.from_numpy(rng.standard_normal(v)).to(model.lm_head.weight.dtype)
    wrap(model.lm_head, lambda f, x: f(x) + bias)
    return "unembed"
