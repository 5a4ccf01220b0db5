# The generator of GAT and CAT as functions of its weights: Python with torch, and TorchScript at the same time.
# Letters: B batch, Z latent width, D width, T tokens, h heads, d head width, C channels, p patch.
from typing import Dict, List

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention, silu


def affine(w: Dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return linear(x, w[name + ".weight"], w[name + ".bias"])


def slow_affine(w: Dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return linear(x, w[name + ".weight"] * 0.01, w[name + ".bias"] * 0.01)


def unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-8)


def rms(x: Tensor, eps: float) -> Tensor:
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def rotary_axis(count: int, width: int, like: Tensor) -> Tensor:
    exponent = torch.arange(0, width, 2, device=like.device).double() / width
    angle = torch.outer(torch.arange(count, device=like.device).double(), torch.pow(10000.0, -exponent))
    return angle.repeat_interleave(2, 1)  # [count, width]


def rotary(rows: int, columns: int, width: int, like: Tensor) -> Tensor:
    row = rotary_axis(rows, width // 2, like).repeat_interleave(columns, 0)
    column = rotary_axis(columns, width // 2, like).repeat([rows, 1])
    return torch.cat([row, column], 1)  # angles [T, d]


def rotate(x: Tensor, angle: Tensor) -> Tensor:
    pairs = x.unflatten(-1, [-1, 2])
    turned = torch.stack([-pairs.select(-1, 1), pairs.select(-1, 0)], -1).flatten(-2)
    return x * torch.cos(angle).to(x.dtype) + turned * torch.sin(angle).to(x.dtype)


def attention(w: Dict[str, Tensor], name: str, x: Tensor, angle: Tensor, heads: int) -> Tensor:
    mixed = affine(w, name + ".qkv", x).unflatten(-1, [3, heads, -1]).permute([2, 0, 3, 1, 4])  # [3, B, h, T, d]
    q = mixed[0]
    k = mixed[1]
    if name + ".q_norm.weight" in w:
        q = rms(q, 1.1920928955078125e-07) * w[name + ".q_norm.weight"]
        k = rms(k, 1.1920928955078125e-07) * w[name + ".k_norm.weight"]
    y = scaled_dot_product_attention(rotate(q, angle), rotate(k, angle), mixed[2])  # [B, h, T, d]
    return affine(w, name + ".proj", y.transpose(1, 2).flatten(2))


def modulated(x: Tensor, m: List[Tensor], at: int, shift: bool) -> Tensor:
    # m holds shift (where there is one) and scale at place `at`.
    if shift:
        return rms(x, 1e-6) * (1 + m[at + 1]) + m[at]
    return rms(x, 1e-6) * (1 + m[at])


def block(w: Dict[str, Tensor], name: str, x: Tensor, s: Tensor, angle: Tensor, heads: int, shift: bool) -> Tensor:
    parts = 3 if shift else 2  # of a half of the block; the last is its gate
    m = torch.chunk(affine(w, name + ".adaLN_modulation.1", s).unsqueeze(1), 2 * parts, -1)  # each [B, 1, D]
    x = x + m[parts - 1] * attention(w, name + ".attn", modulated(x, m, 0, shift), angle, heads)
    f = affine(w, name + ".mlp.w12", modulated(x, m, parts, shift)).chunk(2, -1)
    return x + m[2 * parts - 1] * affine(w, name + ".mlp.w3", silu(f[0]) * f[1])


def pixels(w: Dict[str, Tensor], name: str, x: Tensor, s: Tensor, c: Dict[str, float]) -> Tensor:
    rows, columns, p = int(c["rows"]), int(c["columns"]), int(c["patch"])
    shift = c["shift"] != 0
    m = torch.chunk(affine(w, name + ".adaLN_modulation.1", s).unsqueeze(1), 2 if shift else 1, -1)
    y = affine(w, name + ".linear", modulated(x, m, 0, shift))  # [B, T, p * p * C]
    cells = y.unflatten(2, [p, p, -1]).unflatten(1, [rows, columns]).permute([0, 5, 1, 3, 2, 4])
    return cells.reshape([y.shape[0], -1, rows * p, columns * p]).float()


def generate(w: Dict[str, Tensor], c: Dict[str, float], z: Tensor, labels: Tensor, truncation: float) -> Tensor:
    # z [B, Z], labels [B] -> [B, C, H, W].
    table = w["y_embedder.embedding_table.weight"]
    x = torch.cat([unit(table.index_select(0, labels)), unit(z.to(table.dtype))], -1)
    style = slow_affine(w, "latent_embedder.2", silu(slow_affine(w, "latent_embedder.0", x)))  # [B, D]
    if truncation != 1.0:
        style = torch.lerp(w["w_avg"].index_select(0, labels).to(style.dtype), style, truncation)
    s = silu(style)
    heads, depth, stages = int(c["heads"]), int(c["depth"]), int(c["stages"])
    angle = rotary(int(c["rows"]), int(c["columns"]), style.shape[1] // heads, style)
    x = w["pos_embed"].expand([style.shape[0], -1, -1])  # [B, T, D]
    image = torch.zeros([1], device=style.device)
    for i in range(depth):
        x = block(w, "blocks." + str(i), x, s, angle, heads, c["shift"] != 0)
        if (i + 1) % (depth // stages) == 0:
            image = image + pixels(w, "final_layers." + str(i // (depth // stages)), x, s, c)
    if c["clamp"] != 0:
        image = image.clamp(-1, 1)
    return image
