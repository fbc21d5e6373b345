"""The reference Llama in PyTorch, as one would write it: the same mathematics and tensor names as the engine's."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

REFERENCE = dict(layers=4, width=128, heads=4, kv_heads=2, feed_forward=344, context=64, vocabulary=256)


def sizes(text):
    """`width=256,layers=2` to a shape; `feed_forward` follows `width` unless it is given."""
    shape = dict(REFERENCE)
    given = dict(item.split("=") for item in text.split(",") if item)
    shape.update({name: int(size) for name, size in given.items()})
    if "feed_forward" not in given:
        shape["feed_forward"] = shape["width"] * REFERENCE["feed_forward"] // REFERENCE["width"]
    return argparse.Namespace(**shape)


def rotate(x, cosines, sines):
    a, b = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-b, a), dim=-1) * sines


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads, self.kv_heads, self.head = shape.heads, shape.kv_heads, shape.width // shape.heads
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.q_proj = linear(shape.width, shape.width)
        self.k_proj = linear(shape.width, self.head * shape.kv_heads)
        self.v_proj = linear(shape.width, self.head * shape.kv_heads)
        self.o_proj = linear(shape.width, shape.width)

    def forward(self, x, cosines, sines):
        batch, length, width = x.shape
        split = lambda y, heads: y.view(batch, length, heads, self.head).transpose(1, 2)
        q = rotate(split(self.q_proj(x), self.heads), cosines, sines)
        k = rotate(split(self.k_proj(x), self.kv_heads), cosines, sines)
        v = split(self.v_proj(x), self.kv_heads)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, width))


class FeedForward(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down_proj = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.width, eps=1e-5)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.width, eps=1e-5)
        self.mlp = FeedForward(shape)

    def forward(self, x, cosines, sines):
        x = x + self.self_attn(self.input_layernorm(x), cosines, sines)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=1e-5)


class Llama(nn.Module):
    """Mean cross-entropy of rows of T + 1 tokens."""

    def __init__(self, shape):
        super().__init__()
        self.model = Body(shape)
        self.lm_head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        head = shape.width // shape.heads
        frequencies = 10_000 ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
        angles = torch.outer(torch.arange(shape.context, dtype=torch.float64), frequencies).repeat(1, 2)
        self.register_buffer("cosines", angles.cos().float(), persistent=False)
        self.register_buffer("sines", angles.sin().float(), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, rows):
        inputs, targets = rows[:, :-1], rows[:, 1:]
        x = self.model.embed_tokens(inputs)
        for layer in self.model.layers:
            x = layer(x, self.cosines, self.sines)
        logits = self.lm_head(self.model.norm(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def adamw(model, lr=1e-3):
    """The optimizer of the reference work; clipping to a norm of 1 is the caller's."""
    return torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
