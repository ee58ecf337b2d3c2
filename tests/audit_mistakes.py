"""Mistakes that engines make, planted in a model of Transformers: what make_audit_dumps.py draws on.

plant(model, layer, rng) changes the model in place and returns the step that departs if that is not
"block LAYER", and NOTHING if the model has nothing to get wrong there."""
import sys

import torch

MISTAKES = {}


def mistake(*words):
    """Registers a mistake: plant(model, layer, rng) returns the step that departs if it is not
    "block LAYER", and None if the model has nothing to get wrong there."""

    def register(plant):
        MISTAKES[plant.__name__] = (words, plant)
        return plant

    return register


NOTHING = "nothing to get wrong"


def block(model, layer):
    return model.model.layers[layer - 1]


def entry(rng, matrix, size):
    """Changes one entry by about size times the matrix's root mean square."""
    w = matrix.data
    index = tuple(int(rng.integers(0, n)) for n in w.shape)
    w[index] += float(w.float().pow(2).mean().sqrt()) * size * (1 if rng.random() < 0.5 else -1)


def wrap(module, change):
    """Replaces module.forward(x) by change(forward, x)."""
    forward = module.forward
    module.forward = lambda *a, **k: change(forward, *a, **k)


def roped(model, layer, change):
    """Gives one block other cosines and sines: change(cos, sin, positions, rotary module)."""
    attention = block(model, layer).self_attn
    forward = attention.forward

    def changed(hidden_states, position_embeddings=None, **k):
        cos, sin = position_embeddings
        return forward(hidden_states, position_embeddings=change(cos, sin), **k)

    attention.forward = changed


# ---- norms ----


@mistake("attention", "epsilon")
def eps_attention(model, layer, rng):
    n = block(model, layer).input_layernorm
    n.variance_epsilon = 1e-6 if n.variance_epsilon == 1e-5 else 1e-5


@mistake("MLP", "epsilon")
def eps_mlp(model, layer, rng):
    n = block(model, layer).post_attention_layernorm
    n.variance_epsilon = 1e-6 if n.variance_epsilon == 1e-5 else 1e-5


@mistake("attention and MLP", "epsilon")
def eps_both(model, layer, rng):
    for n in (block(model, layer).input_layernorm, block(model, layer).post_attention_layernorm):
        n.variance_epsilon = 3e-5


@mistake("attention", "weight is missing")
def norm_weight_attention(model, layer, rng):
    block(model, layer).input_layernorm.weight.data.fill_(1)


@mistake("MLP", "1 + weight")
def norm_plus_one(model, layer, rng):
    block(model, layer).post_attention_layernorm.weight.data.add_(1)


@mistake("MLP", "other norm")
def norm_swapped(model, layer, rng):
    b = block(model, layer)
    b.post_attention_layernorm.weight.data.copy_(b.input_layernorm.weight.data)


@mistake("MLP", "post_attention_layernorm.weight[")
def norm_entry(model, layer, rng):
    entry(rng, block(model, layer).post_attention_layernorm.weight, 0.3)


@mistake("attention", "epsilon")
def eps_attention_10(model, layer, rng):
    block(model, layer).input_layernorm.variance_epsilon *= 10


@mistake("MLP", "epsilon")
def eps_mlp_10(model, layer, rng):
    block(model, layer).post_attention_layernorm.variance_epsilon *= 10


@mistake("attention", "1 + weight")
def norm_plus_one_attention(model, layer, rng):
    block(model, layer).input_layernorm.weight.data.add_(1)


@mistake("MLP", "weight is missing")
def norm_weight_mlp(model, layer, rng):
    block(model, layer).post_attention_layernorm.weight.data.fill_(1)


@mistake("attention", "norm (input_layernorm) itself is missing")
def norm_missing_attention(model, layer, rng):
    block(model, layer).input_layernorm.forward = lambda x: x


@mistake("MLP", "norm (post_attention_layernorm) itself is missing")
def norm_missing_mlp(model, layer, rng):
    block(model, layer).post_attention_layernorm.forward = lambda x: x


@mistake("attention and MLP", "other norm")
def norms_exchanged(model, layer, rng):
    b = block(model, layer)
    b.input_layernorm, b.post_attention_layernorm = b.post_attention_layernorm, b.input_layernorm


@mistake("attention", "input_layernorm.weight is that of block")
def norm_neighbour(model, layer, rng):
    other = layer + 1 if layer == 1 else layer - 1
    block(model, layer).input_layernorm.weight.data = block(model, other).input_layernorm.weight.data


@mistake("attention", "after the rotation")
def qk_norm_after_rope(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    norms = a.q_norm, a.k_norm
    a.q_norm = a.k_norm = torch.nn.Identity()

    def change(rotate, q, k, cos, sin):
        q, k = rotate(q, k, cos, sin)
        return norms[0](q), norms[1](k)

    wrong_queries(model, layer, change)


@mistake("attention", "norm of queries")
def no_qk_norm(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    a.q_norm = a.k_norm = torch.nn.Identity()


@mistake("epsilon")
def eps_everywhere(model, layer, rng):
    for b in model.model.layers:
        b.input_layernorm.variance_epsilon = b.post_attention_layernorm.variance_epsilon = 1e-3
    return "block 1"


@mistake("attention scale")
def scale_everywhere(model, layer, rng):
    for b in model.model.layers:
        b.self_attn.scaling *= 1.01
    return "block 1"


@mistake("activation")
def gelu_tanh_everywhere(model, layer, rng):
    for b in model.model.layers:
        b.mlp.act_fn = torch.nn.GELU(approximate="tanh")
    return "block 1"


# ---- attention ----


@mistake("attention", "attention scale")
def scale(model, layer, rng):
    block(model, layer).self_attn.scaling *= 1.07


@mistake("attention", "attention scale")
def scale_missing(model, layer, rng):
    block(model, layer).self_attn.scaling = 1.0


@mistake("attention", "attention scale")
def scale_d_model(model, layer, rng):
    block(model, layer).self_attn.scaling = model.config.hidden_size ** -0.5


@mistake("attention", "attention scale")
def scale_double(model, layer, rng):
    block(model, layer).self_attn.scaling *= 2


@mistake("attention", "attention scale|temperature")
def scale_head_dim(model, layer, rng):
    block(model, layer).self_attn.scaling **= 2


def scores(model, layer, change):
    """One block's attention by change(scores before softmax, mask or None, values)."""
    module = sys.modules[type(block(model, layer).self_attn).__module__]
    attention, eager = block(model, layer).self_attn, module.eager_attention_forward
    forward = attention.forward

    def attend(self, q, k, v, mask, scaling, **kw):
        k, v = (module.repeat_kv(x, self.num_key_value_groups) for x in (k, v))
        z = change(q @ k.transpose(2, 3) * scaling, mask, v, q, k)
        return z.transpose(1, 2).contiguous(), None

    def changed(*a, **k):
        module.eager_attention_forward = attend
        try:
            return forward(*a, **k)
        finally:
            module.eager_attention_forward = eager

    attention.forward = changed


def softmax(x):
    return torch.softmax(x, -1, dtype=torch.float32).to(x.dtype)


@mistake("attention")
def softmax_axis(model, layer, rng):
    scores(model, layer, lambda s, m, v, q, k: torch.softmax(s + m, 1) @ v)


@mistake("attention", "softmax is taken before the causal mask")
def softmax_before_mask(model, layer, rng):
    scores(model, layer, lambda s, m, v, q, k: (softmax(s) * (m == 0)) @ v)


@mistake("attention")
def attention_bf16(model, layer, rng):
    if next(model.parameters()).dtype != torch.float32:
        return NOTHING
    h = lambda x: x.to(torch.bfloat16).float()
    scores(model, layer, lambda s, m, v, q, k:
           h(h(softmax(h(h(q) @ h(k).mT * model.model.layers[layer - 1].self_attn.scaling) + m)) @ h(v)))


@mistake("attention", "keys and values are kept in 8 bits, one scale for a head")
def kv_int8(model, layer, rng):
    def eight(x):
        unit = x.abs().amax(-1, keepdim=True) / 127
        return (x / unit).round() * unit

    scores(model, layer, lambda s, m, v, q, k:
           softmax(q @ eight(k).mT * model.model.layers[layer - 1].self_attn.scaling + m) @ eight(v))


@mistake("attention", "cap of the scores")
def softcap_scores(model, layer, rng):
    scores(model, layer, lambda s, m, v, q, k: softmax(5 * torch.tanh(s / 5) + m) @ v)


@mistake("attention", "rope theta")
def rope_base(model, layer, rng):
    config = model.config
    parameters = dict(config.rope_parameters)
    old = model.model.rotary_emb

    def change(cos, sin):
        other = type(config)(**{**config.to_dict(), "rope_parameters": {
            **parameters, "rope_theta": 1e6 if parameters["rope_theta"] != 1e6 else 10000.0}})
        rotary = type(old)(other)
        positions = torch.arange(cos.shape[1])[None]
        return rotary(torch.zeros(1, dtype=cos.dtype), positions)

    roped(model, layer, change)


@mistake("attention", "rotary embedding is missing")
def rope_missing(model, layer, rng):
    roped(model, layer, lambda cos, sin: (torch.ones_like(cos), torch.zeros_like(sin)))


def wrong_queries(model, layer, change):
    """Transformers rotates q and k together; one block's rotation is replaced."""
    module = sys.modules[type(block(model, layer).self_attn).__module__]
    attention, rotate = block(model, layer).self_attn, module.apply_rotary_pos_emb
    forward = attention.forward

    def changed(*a, **k):
        module.apply_rotary_pos_emb = lambda q, k_, cos, sin, **kw: change(rotate, q, k_, cos, sin)
        try:
            return forward(*a, **k)
        finally:
            module.apply_rotary_pos_emb = rotate

    attention.forward = changed


@mistake("attention", "scaling")
def rope_unscaled(model, layer, rng):
    config = model.config
    parameters = dict(config.rope_parameters)
    if parameters["rope_type"] == "default":
        return NOTHING
    other = type(config)(**{**config.to_dict(), "rope_parameters": {
        "rope_theta": parameters["rope_theta"], "rope_type": "default"}})
    rotary = type(model.model.rotary_emb)(other)
    roped(model, layer, lambda cos, sin: rotary(cos, torch.arange(cos.shape[1])[None]))


@mistake("attention", "wrong way")
def rope_reversed(model, layer, rng):
    roped(model, layer, lambda cos, sin: (cos, -sin))


@mistake("attention", "dimensions are rotated")
def rope_partial(model, layer, rng):
    """The first half of each head, with its own frequencies."""
    theta = model.config.rope_parameters["rope_theta"]
    head = block(model, layer).self_attn.head_dim
    if head % 4 != 0 or model.config.rope_parameters["rope_type"] != "default":
        return NOTHING

    def change(rotate, q, k, cos, sin):
        n, half = cos.shape[1], head // 2
        f = theta ** (-torch.arange(0, half, 2, dtype=torch.float32) / half)
        angle = torch.arange(n, dtype=torch.float32)[:, None] * f
        c, s = (torch.cat((x, x), -1)[None].to(q.dtype) for x in (angle.cos(), angle.sin()))
        turned = rotate(q[..., :half], k[..., :half], c, s)
        return [torch.cat((t, x[..., half:]), -1) for t, x in zip(turned, (q, k))]

    wrong_queries(model, layer, change)


@mistake()
def positions_both(model, layer, rng):
    rotary = model.model.rotary_emb
    roped(model, layer, lambda cos, sin: rotary(cos, 3 + torch.arange(cos.shape[1])[None]))
    return None


@mistake("attention", "off by one in the queries only")
def positions_k(model, layer, rng):
    rotary = model.model.rotary_emb

    def change(rotate, q, k, cos, sin):
        c, s = rotary(q, 1 + torch.arange(cos.shape[1])[None])
        return rotate(q, q, cos, sin)[0], rotate(k, k, c, s)[1]

    wrong_queries(model, layer, change)


@mistake("attention", "off by one in the queries only")
def positions_q(model, layer, rng):
    rotary = model.model.rotary_emb

    def change(rotate, q, k, cos, sin):
        c, s = rotary(q, 1 + torch.arange(cos.shape[1])[None])
        return rotate(q, q, c, s)[0], rotate(k, k, cos, sin)[1]

    wrong_queries(model, layer, change)


@mistake("attention", "pairs neighbours")
def rope_interleaved(model, layer, rng):
    def change(rotate, q, k, cos, sin):
        half = cos.shape[-1] // 2
        order = torch.arange(2 * half).reshape(2, half).T.reshape(-1)  # (0, half, 1, half+1, ...)

        def turn(x):
            a, b = x[..., 0::2], x[..., 1::2]
            c, s = cos[:, None, :, :half], sin[:, None, :, :half]
            return torch.stack((a * c - b * s, b * c + a * s), -1).flatten(-2)

        return turn(q), turn(k)

    wrong_queries(model, layer, change)


def swap_rows(matrix, a, b, size):
    w = matrix.data
    w[a * size:(a + 1) * size], w[b * size:(b + 1) * size] = (
        w[b * size:(b + 1) * size].clone(), w[a * size:(a + 1) * size].clone())


@mistake("attention", "query heads 0 and 1 are swapped")
def heads_q(model, layer, rng):
    a = block(model, layer).self_attn
    swap_rows(a.q_proj.weight, 0, 1, a.head_dim)
    if a.q_proj.bias is not None:
        swap_rows(a.q_proj.bias, 0, 1, a.head_dim)


@mistake("attention", "value heads 0 and 1 are swapped")
def heads_kv(model, layer, rng):
    a = block(model, layer).self_attn
    if model.config.num_key_value_heads < 2:
        return NOTHING
    for p in (a.k_proj, a.v_proj):
        swap_rows(p.weight, 0, 1, a.head_dim)
        if p.bias is not None:
            swap_rows(p.bias, 0, 1, a.head_dim)


@mistake("attention", "key heads 0 and 1 are swapped")
def heads_k(model, layer, rng):
    a = block(model, layer).self_attn
    if model.config.num_key_value_heads < 2:
        return NOTHING
    swap_rows(a.k_proj.weight, 0, 1, a.head_dim)
    if a.k_proj.bias is not None:
        swap_rows(a.k_proj.bias, 0, 1, a.head_dim)


@mistake("attention", "are swapped")
def heads_out(model, layer, rng):
    a = block(model, layer).self_attn
    w = a.o_proj.weight.data
    n = a.head_dim
    last = model.config.num_attention_heads - 1
    w[:, :n], w[:, last * n:] = w[:, last * n:].clone(), w[:, :n].clone()


@mistake("attention", "mod n_kv_heads")
def heads_grouped(model, layer, rng):
    a = block(model, layer).self_attn
    groups = model.config.num_attention_heads // model.config.num_key_value_heads
    if groups == 1 or model.config.num_key_value_heads == 1:
        return NOTHING
    module = sys.modules[type(a).__module__]
    repeat, forward = module.repeat_kv, a.forward

    def changed(*args, **k):
        module.repeat_kv = lambda x, n: x.repeat(1, n, 1, 1)
        try:
            return forward(*args, **k)
        finally:
            module.repeat_kv = repeat

    a.forward = changed


@mistake("attention", "is transposed")
def transposed(model, layer, rng):
    w = block(model, layer).self_attn.o_proj.weight
    if w.shape[0] != w.shape[1]:
        return NOTHING
    w.data = w.data.T.contiguous()


@mistake("attention", "q_proj.weight is transposed")
def transposed_q(model, layer, rng):
    w = block(model, layer).self_attn.q_proj.weight
    if w.shape[0] != w.shape[1]:
        return NOTHING
    w.data = w.data.T.contiguous()


@mistake("attention", "causal mask")
def no_mask(model, layer, rng):
    attention = block(model, layer).self_attn
    forward = attention.forward

    def changed(*a, attention_mask=None, **k):
        return forward(*a, attention_mask=torch.zeros_like(attention_mask), **k)

    attention.forward = changed


def windowed(model, layer, width, minus=None):
    """Another window: width is None for none."""
    attention = block(model, layer).self_attn
    forward = attention.forward

    def changed(*a, attention_mask=None, **k):
        mask = attention_mask.clone()
        n = mask.shape[-1]
        i, j = torch.arange(n)[:, None], torch.arange(n)[None]
        seen = (j <= i) if width is None else (j <= i) & (j > i - width)
        mask[..., :, :] = torch.where(seen, 0.0, torch.finfo(mask.dtype).min)
        return forward(*a, attention_mask=mask, **k)

    attention.forward = changed


@mistake("attention", "sliding window")
def window(model, layer, rng):
    has = getattr(block(model, layer).self_attn, "sliding_window", None)
    windowed(model, layer, None if has else 5)


@mistake("attention", "sliding window")
def window_more(model, layer, rng):
    has = getattr(block(model, layer).self_attn, "sliding_window", None)
    if not has:
        return NOTHING
    windowed(model, layer, has + 1)


@mistake("attention", "sliding window")
def window_less(model, layer, rng):
    has = getattr(block(model, layer).self_attn, "sliding_window", None)
    if not has:
        return NOTHING
    windowed(model, layer, has - 1)


@mistake("attention", "biases of q, k and v")
def bias_qkv(model, layer, rng):
    a = block(model, layer).self_attn
    if a.q_proj.bias is None:
        return NOTHING
    for p in (a.q_proj, a.k_proj, a.v_proj):
        p.bias.data.zero_()


MATRICES = {"q": "self_attn", "k": "self_attn", "v": "self_attn", "o": "self_attn",
            "gate": "mlp", "up": "mlp", "down": "mlp"}


def projection(model, layer, which):
    return getattr(getattr(block(model, layer), MATRICES[which]), f"{which}_proj")


def for_each(prefix, matrices, words, change):
    """Registers prefix_MATRIX for each: change(projection, rng) may return NOTHING."""
    for which in matrices:
        def plant(model, layer, rng, which=which):
            return change(projection(model, layer, which), rng)

        plant.__name__ = f"{prefix}_{which}"
        part = "MLP" if MATRICES[which] == "mlp" else "attention"
        mistake(part, *(w.format(which) for w in words))(plant)


def entries(size, count=1):
    def change(p, rng):
        for _ in range(count):
            entry(rng, p.weight, size)

    return change


for_each("entry", MATRICES, ["{}_proj"], entries(3))
for_each("entry_large", MATRICES, ["{}_proj"], entries(100))
for_each("entry_tiny", MATRICES, ["{}_proj"], entries(0.01))
for_each("entries", MATRICES, ["{}_proj"], entries(2, 3))


def zero_row(p, rng):
    p.weight.data[int(rng.integers(0, p.weight.shape[0]))] = 0


def zero_column(p, rng):
    p.weight.data[:, int(rng.integers(0, p.weight.shape[1]))] = 0


def quantized(p, rng):
    """Eight bits and one scale for the whole matrix."""
    w = p.weight.data.float()
    scale = w.abs().max() / 127
    p.weight.data = ((w / scale).round() * scale).to(p.weight.dtype)


def quantized_rows(p, rng):
    """One scale for each row."""
    w = p.weight.data.float()
    scale = w.abs().amax(1, keepdim=True) / 127
    p.weight.data = ((w / scale).round() * scale).to(p.weight.dtype)


def quantized_32(p, rng):
    """One scale for 32 columns of a row, kept in f16."""
    w = p.weight.data.float()
    for at in range(0, w.shape[1], 32):
        part = w[:, at:at + 32]
        scale = part.abs().amax(1, keepdim=True) / 127
        w[:, at:at + 32] = (part / scale).round() * scale.half().float()
    p.weight.data = w.to(p.weight.dtype)


def no_bias(p, rng):
    if p.bias is None:
        return NOTHING
    p.bias.data.zero_()


def bias_twice(p, rng):
    if p.bias is None:
        return NOTHING
    p.bias.data.mul_(2)


for_each("row", MATRICES, ["{}_proj"], zero_row)
for_each("column", MATRICES, [], zero_column)
for_each("int8", MATRICES, ["{}_proj", "one scale for a matrix"], quantized)
for_each("int8_rows", MATRICES, ["{}_proj", "one scale for a row"], quantized_rows)
for_each("int8_32", MATRICES, ["{}_proj", "32 columns"], quantized_32)
for_each("bias", MATRICES, ["bias of {}"], no_bias)
for_each("bias_twice", MATRICES, ["bias of {}", "twice"], bias_twice)


# ---- the MLP ----


@mistake("MLP", "swapped")
def swapgate(model, layer, rng):
    m = block(model, layer).mlp
    m.gate_proj, m.up_proj = m.up_proj, m.gate_proj


@mistake("MLP", "activation is gelu")
def gelu(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.GELU()


@mistake("MLP", "activation is gelu (tanh")
def gelu_tanh(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.GELU(approximate="tanh")


@mistake("MLP", "activation is relu")
def relu(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.ReLU()


@mistake("MLP", "residual connection around the MLP")
def no_residual(model, layer, rng):
    b = block(model, layer)
    held = {}
    wrap(b.post_attention_layernorm, lambda f, x: (held.__setitem__("x", x), f(x))[1])
    wrap(b.mlp, lambda f, x: f(x) - held["x"])


@mistake("MLP", "activation is missing")
def identity(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.Identity()


@mistake("MLP", "up_proj is missing")
def no_up(model, layer, rng):
    m = block(model, layer).mlp
    m.forward = lambda x: m.down_proj(m.act_fn(m.gate_proj(x)))


@mistake("attention", "residual connection around attention")
def no_residual_attention(model, layer, rng):
    b = block(model, layer)
    held = {}
    wrap(b.input_layernorm, lambda f, x: (held.__setitem__("x", x), f(x))[1])
    forward = b.self_attn.forward

    def changed(*a, **k):
        out = forward(*a, **k)
        return (out[0] - held["x"], *out[1:])

    b.self_attn.forward = changed


@mistake("attention", "attention is missing")
def no_attention(model, layer, rng):
    a = block(model, layer).self_attn
    forward = a.forward

    def changed(*args, **k):
        out = forward(*args, **k)
        return (out[0] * 0, *out[1:])

    a.forward = changed


@mistake("attention and MLP", "whole block is missing")
def skipped(model, layer, rng):
    b = block(model, layer)
    b.forward = lambda x, *a, **k: x


@mistake("attention and MLP", "block is applied twice")
def twice(model, layer, rng):
    wrap_block(block(model, layer), lambda f, x, **k: f(f(x, **k), **k))


def wrap_block(b, change):
    forward = b.forward
    b.forward = lambda x, *a, **k: change(forward, x, **k)


@mistake("attention and MLP", "the weights of block")
def neighbour(model, layer, rng):
    """Its weights are another block's."""
    other = layer + 1 if layer == 1 else layer - 1
    block(model, layer).load_state_dict(block(model, other).state_dict())


@mistake("attention and MLP", "the weights of block")
def exchanged(model, layer, rng):
    """Two neighbours in the wrong order; the first of them departs."""
    layers = model.model.layers
    first = min(layer, len(layers) - 1)
    layers[first - 1], layers[first] = layers[first], layers[first - 1]
    return f"block {first}"


@mistake("attention", "has the weights of block")
def neighbour_attention(model, layer, rng):
    other = layer + 1 if layer == 1 else layer - 1
    block(model, layer).self_attn.load_state_dict(block(model, other).self_attn.state_dict())


@mistake("MLP", "has the weights of block")
def neighbour_mlp(model, layer, rng):
    other = layer + 1 if layer == 1 else layer - 1
    block(model, layer).mlp.load_state_dict(block(model, other).mlp.state_dict())


@mistake("attention", "v_proj.weight is that of block")
def neighbour_v(model, layer, rng):
    other = layer + 1 if layer == 1 else layer - 1
    projection(model, layer, "v").weight.data = projection(model, other, "v").weight.data


@mistake("MLP", "down_proj.weight is that of block")
def neighbour_down(model, layer, rng):
    other = layer + 1 if layer == 1 else layer - 1
    projection(model, layer, "down").weight.data = projection(model, other, "down").weight.data


@mistake("MLP", "the MLP is missing")
def no_mlp(model, layer, rng):
    wrap(block(model, layer).mlp, lambda f, x: f(x) * 0)


@mistake("MLP", "factor")
def scaled_up(model, layer, rng):
    block(model, layer).mlp.up_proj.weight.data.mul_(1.25)


# ---- the ends ----


@mistake("weight")
def final_norm_weight(model, layer, rng):
    model.model.norm.weight.data.fill_(1)
    return "final norm"


@mistake("missing")
def final_norm_missing(model, layer, rng):
    model.model.norm.forward = lambda x: x
    return "final norm"


@mistake("epsilon")
def final_norm_eps(model, layer, rng):
    model.model.norm.variance_epsilon = 1e-3
    return "final norm"


@mistake("token id")
def embedding_row(model, layer, rng):
    table = model.model.embed_tokens
    old = table.forward

    def changed(ids):
        ids = ids.clone()
        t = int(rng.integers(0, ids.shape[1]))
        ids[0, t] = (ids[0, t] + 1) % table.weight.shape[0]
        return old(ids)

    table.forward = changed
    return "embedding"


@mistake("twice")
def final_norm_twice(model, layer, rng):
    norm = model.model.norm
    wrap(norm, lambda f, x: f(f(x)))
    return "final norm"


@mistake("1 + weight")
def final_norm_plus_one(model, layer, rng):
    model.model.norm.weight.data.add_(1)
    return "final norm"


@mistake("multiplied by")
def embedding_scaled(model, layer, rng):
    table = model.model.embed_tokens
    wrap(table, lambda f, ids: f(ids) * model.config.hidden_size ** 0.5)
    return "embedding"


@mistake("token id")
def embedding_off_by_one(model, layer, rng):
    table = model.model.embed_tokens
    wrap(table, lambda f, ids: f((ids + 1) % table.weight.shape[0]))
    return "embedding"


def own_head(model):
    """A copy, so that a tied embedding stays right."""
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.data.clone())
    return model.lm_head.weight.data


@mistake("embedding")
def unembed_tied(model, layer, rng):
    if model.config.tie_word_embeddings:
        return NOTHING
    own_head(model).copy_(model.model.embed_tokens.weight.data)
    return "unembed"


@mistake("multiplied by")
def logits_scaled(model, layer, rng):
    wrap(model.lm_head, lambda f, x: f(x) * 0.25)
    return "unembed"


@mistake("cap")
def logits_softcap(model, layer, rng):
    wrap(model.lm_head, lambda f, x: 3 * torch.tanh(f(x) / 3))
    return "unembed"


@mistake("row")
def logits_shifted(model, layer, rng):
    own_head(model).copy_(torch.roll(model.lm_head.weight.data.clone(), 1, 0))
    return "unembed"


@mistake("row")
def unembed_row(model, layer, rng):
    own_head(model)[int(rng.integers(0, model.lm_head.weight.shape[0]))] *= 1.1
    return "unembed"


@mistake()
def clean(model, layer, rng):
    return None
