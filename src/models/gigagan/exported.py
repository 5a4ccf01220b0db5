# GigaGAN's generator as functions of its weights: Python with torch, and TorchScript at the same time.
# Letters: B batch, Z latent width, V style width, L tokens, D text width, C channels, T = H W pixels, h heads, d head
# width, r resolution.
from typing import Dict, Tuple

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, leaky_relu, linear, scaled_dot_product_attention


def act(x: Tensor) -> Tensor:
    return leaky_relu(x, 0.2) * 2.0 ** 0.5


def unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-8)


def affine(w: Dict[str, Tensor], name: str, x: Tensor, lr: float = 1.0) -> Tensor:
    weight = w[name + ".weight"] * (lr / w[name + ".weight"].shape[1] ** 0.5)
    return linear(x, weight, w[name + ".bias"] * lr) if name + ".bias" in w else linear(x, weight)


def rms(x: Tensor) -> Tensor:
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def normed(w: Dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return layer_norm(x, [w[name + "_weight"].shape[0]], w[name + "_weight"], w[name + "_bias"], 1e-5)


def split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, [heads, -1]).transpose(1, 2)  # [B, T, h d] -> [B, h, T, d]


def binomial(x: Tensor, gain: float) -> Tensor:
    f = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device) / 8
    return (torch.outer(f, f) * gain).to(x.dtype).expand([x.shape[1], 1, 4, 4])


def upsample(x: Tensor) -> Tensor:
    return torch.conv_transpose2d(x, binomial(x, 4.0), None, 2, 1, 0, x.shape[1])


def distance_attention(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
    # softmax of -|q - k|^2 / sqrt(d); hidden [B, 1, 1, S], true where a key is not to be seen.
    centre = k.float().mean(2, keepdim=True)
    q, k = q.float() - centre, k.float() - centre
    logits = (2 * torch.matmul(q, k.transpose(2, 3)) - k.square().sum(-1).unsqueeze(2)) / q.shape[3] ** 0.5
    return torch.matmul(torch.softmax(logits.masked_fill(hidden, float("-inf")), -1), v.float()).to(v.dtype)


def self_attention(w: Dict[str, Tensor], name: str, x: Tensor, style: Tensor, heads: int, gain: float) -> Tensor:
    near = rms(x) * (1 + affine(w, name + ".modulation", style).unsqueeze(1))
    at = name + ".attend."
    tied = at + "qk.weight" in w
    q = split(affine(w, at + ("qk" if tied else "q"), near), heads)
    k = q if tied else split(affine(w, at + "k", near), heads)
    hidden = torch.zeros([1], device=x.device) > 0
    y = distance_attention(q, k, split(affine(w, at + "v", near), heads), hidden)
    x = x + gain * affine(w, at + "out", y.transpose(1, 2).flatten(2))
    return x + gain * affine(w, name + ".down", act(affine(w, name + ".up", rms(x) * w[name + ".ff_norm.weight"])))


def cross_attention(w: Dict[str, Tensor], name: str, x: Tensor, text: Tensor, seen: Tensor, heads: int,
                    c: Dict[str, float]) -> Tensor:
    at = name + ".attend."
    if at + "null" in w:
        text = torch.cat([w[at + "null"].expand([text.shape[0], 1, -1]), text], 1)  # [B, 1 + L, D]
    q = split(affine(w, at + "q", rms(x) * w[name + ".norm.weight"]), heads)
    k = split(affine(w, at + "k", text), heads)
    v = split(affine(w, at + "v", text), heads)
    if at + "null_k" in w:
        k = torch.cat([w[at + "null_k"].unsqueeze(1).expand([k.shape[0], -1, -1, -1]), k], 2)
        v = torch.cat([w[at + "null_v"].unsqueeze(1).expand([k.shape[0], -1, -1, -1]), v], 2)
    seen = torch.cat([torch.ones_like(seen[:, :1]), seen], 1).unsqueeze(1).unsqueeze(1)  # [B, 1, 1, 1 + L]
    if c["cross_l2"] != 0:
        y = distance_attention(q, k, v, torch.logical_not(seen))
    else:
        y = scaled_dot_product_attention(q, k, v, seen)
    return x + c["attention_gain"] * affine(w, at + "out", y.transpose(1, 2).flatten(2))


def adaptive_conv(w: Dict[str, Tensor], name: str, x: Tensor, style: Tensor, up: bool) -> Tensor:
    bank = w[name + ".bank"].float()  # [N, O, I, k, k]
    b, o, i, k = x.shape[0], bank.shape[1], bank.shape[2], bank.shape[3]
    kernel = bank
    if name + ".select.weight" in w:
        share = torch.softmax(affine(w, name + ".select", style).float(), -1)  # [B, N]
        kernel = torch.matmul(share, bank.flatten(1)).view([b, o, i, k, k])
    kernel = kernel * affine(w, name + ".affine", style).float().view([b, 1, i, 1, 1])
    kernel = kernel * torch.rsqrt(kernel.square().sum([2, 3, 4], keepdim=True) + 1e-8)
    kernel = kernel.to(x.dtype)
    x = x.reshape([1, b * i, x.shape[2], x.shape[3]])
    if up:
        y = torch.conv_transpose2d(x, kernel.transpose(1, 2).reshape([b * i, o, k, k]), None, 2, 0, 0, b)
        y = torch.conv2d(y, binomial(y, 4.0), None, 1, 1, 1, b * o)
    else:
        y = torch.conv2d(x, kernel.reshape([b * o, i, k, k]), None, 1, k // 2, 1, b)
    return y.view([b, o, y.shape[2], y.shape[3]]) + w[name + ".bias"].view([1, -1, 1, 1])


def block(w: Dict[str, Tensor], name: str, x: Tensor, style: Tensor, up: bool, gain: float) -> Tensor:
    y = act(adaptive_conv(w, name + ".conv0", x, style, up))
    y = act(adaptive_conv(w, name + ".conv1", y, style, False))
    if name + ".skip.weight" in w:
        skip = w[name + ".skip.weight"]
        x = torch.conv2d(x, skip / skip.shape[1] ** 0.5)
    return (upsample(x) if up else x) + gain * y


def read(w: Dict[str, Tensor], c: Dict[str, float], tokens: Tensor, end: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    # tokens [B, L], end [B] -> t_local [B, L, D], the tokens that pixels see [B, L], t_global [B, D].
    x = tokens
    if "text.embedding" in w:
        x = w["text.embedding"][tokens] + w["text.position"][: tokens.shape[1]]
    elif "text.in.weight" in w:
        x = affine(w, "text.in", tokens)
    place = torch.arange(tokens.shape[1], device=end.device).unsqueeze(0)
    visible = (place <= end.unsqueeze(1)).unsqueeze(1).unsqueeze(1)  # [B, 1, 1, L]
    heads, i = int(c["text_heads"]), 0
    while "text.layers." + str(i) + ".q.weight" in w:
        name = "text.layers." + str(i) + "."
        a = normed(w, name + "norm1", x)
        q, k, v = affine(w, name + "q", a), affine(w, name + "k", a), affine(w, name + "v", a)
        y = scaled_dot_product_attention(split(q, heads), split(k, heads), split(v, heads), visible)
        x = x + affine(w, name + "out", y.transpose(1, 2).flatten(2))
        x = x + affine(w, name + "down", act(affine(w, name + "up", normed(w, name + "norm2", x))))
        i += 1
    x = normed(w, "text.norm", x)
    at_end = end.view([-1, 1, 1]).expand([-1, 1, x.shape[2]])
    return x, place < end.unsqueeze(1), x.gather(1, at_end).squeeze(1)


def mapping(w: Dict[str, Tensor], c: Dict[str, float], z: Tensor, told: Tensor) -> Tensor:
    x, i = torch.cat([unit(z), unit(told)], 1), 0
    while "mapping.fc" + str(i) + ".weight" in w:
        x = act(affine(w, "mapping.fc" + str(i), x, c["mapping_lr"]))
        i += 1
    return x  # [B, V]


def truncate(w: Dict[str, Tensor], c: Dict[str, float], style: Tensor, told: Tensor, z: Tensor, psi: float) -> Tensor:
    # Toward the mean style of each caption over the latents z [n, Z], by way of the mean of all styles.
    style = w["w_avg"].to(style.dtype) + (style - w["w_avg"].to(style.dtype)) * psi
    means = [mapping(w, c, z, one.expand([z.shape[0], -1])).mean(0) for one in told.unbind(0)]
    mean = torch.stack(means)
    return mean + (style - mean) * psi


def generate(w: Dict[str, Tensor], c: Dict[str, float], z: Tensor, tokens: Tensor, end: Tensor,
             truncation: float) -> Tensor:
    # z [B, Z], tokens [B, L], end [B] -> [B, 3, H, W].
    text, seen, told = read(w, c, tokens, end)
    style = mapping(w, c, z.to(told.dtype), told)
    if truncation != 1.0:
        style = truncate(w, c, style, told, w["truncation_z"].to(told.dtype), truncation)
    x = w["b4.constant"].expand([z.shape[0], -1, -1, -1])
    image = torch.zeros([z.shape[0], w["b4.rgb.weight"].shape[0], 2, 2], device=z.device)
    r = 4
    while "b" + str(r) + ".rgb.weight" in w:
        level = "b" + str(r) + "."
        blocks, units = 0, 0
        while level + "block" + str(blocks) + ".conv0.bank" in w:
            blocks += 1
        while level + "self" + str(units) + ".up.weight" in w:
            units += 1
        for i in range(blocks):
            x = block(w, level + "block" + str(i), x, style, r > 4 and i == 0, c["conv_gain"])
            first = i - (blocks - units)
            for u in range(0 if i == 0 else max(0, first), first + 1):
                heads = max(1, int(x.shape[1] / c["head_dim"]))
                while x.shape[1] % heads != 0:
                    heads -= 1
                y = x.flatten(2).transpose(1, 2)  # [B, T, C]
                y = self_attention(w, level + "self" + str(u), y, style, heads, c["attention_gain"])
                y = cross_attention(w, level + "cross" + str(u), y, text, seen, heads, c)
                x = y.transpose(1, 2).unflatten(2, [r, r])
        scale = affine(w, level + "rgb.affine", style) / x.shape[1] ** 0.5
        rgb = torch.conv2d(x * scale.unsqueeze(2).unsqueeze(3), w[level + "rgb.weight"], w[level + "rgb.bias"])
        image = rgb.float() + upsample(image)
        r *= 2
    return image.clamp(-1, 1)
