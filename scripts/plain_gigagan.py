"""GigaGAN's layers as the paper writes them, in plain PyTorch: what compare_gigagan.py times beside ours.

Each layer is the straightforward one: a kernel for each sample and one grouped convolution, attention by a table of distances, FIR
filters as convolutions. Sizes and losses are those of a gigacat config; weights are random.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


def act(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Linear(nn.Module):
    def __init__(self, n, m, bias=0.0, lr=1.0):
        super().__init__()
        self.weight, self.bias, self.lr = nn.Parameter(torch.randn(m, n) / lr), nn.Parameter(torch.full((m,), bias / lr)), lr

    def forward(self, x):
        return F.linear(x, self.weight * (self.lr / math.sqrt(self.weight.shape[1])), self.bias * self.lr)


def fir(x, up=1, down=1, pads=(1, 1), gain=1.0):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (taps[:, None] * taps[None] / 64 * gain).expand(x.shape[1], 1, 4, 4)
    if up == 2:
        b, c, h, w = x.shape
        x = F.pad(x.reshape(b, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(b, c, 2 * h, 2 * w)
    return F.conv2d(F.pad(x, pads + pads), kernel, stride=down, groups=x.shape[1])


def upsample(x):
    return fir(x, up=2, pads=(2, 1), gain=4)


def downsample(x):
    return fir(x, down=2)


class Conv(nn.Module):
    def __init__(self, n, m, k, down=1):
        super().__init__()
        self.weight, self.bias, self.down = nn.Parameter(torch.randn(m, n, k, k)), nn.Parameter(torch.zeros(m)), down

    def forward(self, x):
        k = self.weight.shape[2]
        weight = self.weight / math.sqrt(self.weight[0].numel())
        if self.down == 1:
            return F.conv2d(x, weight, self.bias, padding=k // 2)
        return F.conv2d(fir(x, pads=(2, 2)), weight, self.bias, stride=2)


class AdaptiveConv(nn.Module):
    def __init__(self, n, m, k, bank, style, up=1, demodulate=True):
        super().__init__()
        self.bank, self.bias = nn.Parameter(torch.randn(bank, m, n, k, k)), nn.Parameter(torch.zeros(m))
        self.affine, self.select = Linear(style, n, 1.0), Linear(style, bank) if bank > 1 else None
        self.up, self.demodulate = up, demodulate

    def forward(self, x, w):
        b, n, k = x.shape[0], x.shape[1], self.bank.shape[3]
        if self.select is None:
            kernel = self.bank.expand(b, -1, -1, -1, -1)
        else:
            kernel = (torch.softmax(self.select(w), 1)[:, :, None, None, None, None] * self.bank[None]).sum(1)
        kernel = kernel * self.affine(w)[:, None, :, None, None]
        if self.demodulate:
            kernel = kernel * (kernel.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        else:
            kernel = kernel / math.sqrt(n)
        m, one = kernel.shape[1], x.reshape(1, b * n, *x.shape[2:])
        if self.up == 2:
            y = F.conv_transpose2d(one, kernel.transpose(1, 2).reshape(b * n, m, k, k), stride=2, groups=b)
            y = fir(y.reshape(b, m, *y.shape[2:]), gain=4)
        else:
            y = F.conv2d(one, kernel.reshape(b * m, n, k, k), padding=k // 2, groups=b)
            y = y.reshape(b, m, *y.shape[2:])
        return y + self.bias[None, :, None, None]


class Norm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))

    def forward(self, x):
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * self.weight


def heads_of(x, heads):
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


class SelfAttention(nn.Module):
    def __init__(self, n, heads, style=0):
        super().__init__()
        self.heads, self.modulation = heads, Linear(style, n) if style else None
        self.norm, self.ff_norm = Norm(n), Norm(n)
        self.qk, self.v, self.out = Linear(n, n), Linear(n, n), Linear(n, n)
        self.up, self.down = Linear(n, 4 * n), Linear(4 * n, n)

    def forward(self, f, w=None):
        b, n, h, width = f.shape
        x = f.flatten(2).transpose(1, 2)
        near = self.norm(x)
        if self.modulation is not None:
            near = near * (1 + self.modulation(w)[:, None])
        q, v = heads_of(self.qk(near), self.heads), heads_of(self.v(near), self.heads)
        squares = q.square().sum(-1)
        distance = squares[..., :, None] + squares[..., None, :] - 2 * q @ q.transpose(2, 3)
        mixed = torch.softmax(-distance / math.sqrt(q.shape[3]), -1) @ v
        x = x + 0.3 * self.out(mixed.transpose(1, 2).flatten(2))
        x = x + 0.3 * self.down(act(self.up(self.ff_norm(x))))
        return x.transpose(1, 2).reshape(b, n, h, width)


class CrossAttention(nn.Module):
    def __init__(self, n, text, heads):
        super().__init__()
        self.heads, self.norm, self.null = heads, Norm(n), nn.Parameter(torch.randn(1, 1, text))
        self.q, self.k, self.v, self.out = Linear(n, n), Linear(text, n), Linear(text, n), Linear(n, n)

    def forward(self, f, tokens):
        b, n, h, width = f.shape
        x = f.flatten(2).transpose(1, 2)
        seen = torch.cat([self.null.expand(b, -1, -1), tokens], 1)
        q, k, v = (heads_of(y, self.heads) for y in (self.q(self.norm(x)), self.k(seen), self.v(seen)))
        mixed = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), -1) @ v
        x = x + 0.3 * self.out(mixed.transpose(1, 2).flatten(2))
        return x.transpose(1, 2).reshape(b, n, h, width)


class Text(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        n = sizes["width"]
        self.embedding = nn.Parameter(torch.randn(sizes["vocabulary"], n))
        self.position = nn.Parameter(torch.randn(sizes["length"], n) * 0.1)
        layer = nn.TransformerEncoderLayer(n, sizes["heads"], 4 * n, 0.0, batch_first=True, norm_first=True)
        self.layers, self.norm = nn.TransformerEncoder(layer, sizes["layers"], enable_nested_tensor=False), nn.LayerNorm(n)

    def forward(self, ids):
        x = self.norm(self.layers(self.embedding[ids] + self.position))
        return x, x[:, 3]


class Generator(nn.Module):
    def __init__(self, c):
        super().__init__()
        g, t = c["generator"], c["text"]
        style, width = g["w_dim"], t["width"]
        channels = lambda r: min(g["channel_base"] // r, g["channel_max"])
        self.z_dim, self.text = g["z_dim"], Text(t)
        sizes = [g["z_dim"] + width] + [style] * g["mapping_layers"]
        self.mapping = nn.ModuleList(Linear(a, b, lr=0.01) for a, b in zip(sizes, sizes[1:]))
        self.constant = nn.Parameter(torch.randn(1, channels(4), 4, 4))
        self.levels, n = nn.ModuleList(), channels(4)
        for i, (count, bank, units) in enumerate(zip(g["blocks"], g["bank"], g["attention"])):
            r = 4 << i
            m, level = channels(r), nn.Module()
            heads = max(1, m // g["head_dim"])
            level.blocks = nn.ModuleList()
            for j in range(count):
                block = nn.Module()
                block.up = i > 0 and j == 0
                block.conv0 = AdaptiveConv(n, m, 3, bank, style, 2 if block.up else 1)
                block.conv1 = AdaptiveConv(m, m, 3, bank, style)
                block.skip = Conv(n, m, 1) if n != m else nn.Identity()
                level.blocks.append(block)
                n = m
            level.units = nn.ModuleList(
                nn.ModuleList([SelfAttention(m, heads, style), CrossAttention(m, width, heads)]) for _ in range(units))
            level.rgb = AdaptiveConv(m, 3, 1, 1, style, demodulate=False)
            self.levels.append(level)

    def forward(self, z, ids):
        tokens, w_text = self.text(ids)
        unit = lambda x: x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        w = torch.cat([unit(z), unit(w_text)], 1)
        for layer in self.mapping:
            w = act(layer(w))
        f, image, images = self.constant.expand(z.shape[0], -1, -1, -1), None, []
        for level in self.levels:
            for block in level.blocks:
                y = act(block.conv1(act(block.conv0(f, w)), w))
                narrow = block.skip(f)
                f = (upsample(narrow) if block.up else narrow) + 0.4 * y
            for attend, cross in level.units:
                f = cross(attend(f, w), tokens)
            rgb = level.rgb(f, w)
            image = rgb if image is None else rgb + upsample(image)
            images.insert(0, image)
        return images


class Discriminator(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, width = c["discriminator"], c["text"]["width"]
        levels = len(d["blocks"])
        self.sides = [4 << (levels - 1 - i) for i in range(levels)]
        channels = lambda r: min(d["channel_base"] // r, d["channel_max"])
        self.text, self.rgb = Text(c["text"]), nn.ModuleList(Conv(3, channels(r), 1) for r in self.sides)
        self.stages, self.heads = nn.ModuleList(), nn.ModuleList()
        for i, (r, count) in enumerate(zip(self.sides, d["blocks"])):
            stage, n, last = nn.Module(), channels(r), i + 1 == levels
            m = n if last else channels(r // 2)
            stage.blocks = nn.ModuleList()
            for j in range(count):
                block = nn.Module()
                block.down = j + 1 == count and not last
                out = m if block.down else n
                block.conv0, block.conv1 = Conv(n, n, 3), Conv(n, out, 3, 2 if block.down else 1)
                block.skip = Conv(n, out, 1) if n != out else nn.Identity()
                stage.blocks.append(block)
            stage.attend = SelfAttention(m, max(1, m // d["head_dim"])) if r // 2 in d["attention"] and not last else None
            stage.last = nn.ModuleList([Conv(n + 1, n, 3), Linear(16 * n, n)]) if last else None
            self.stages.append(stage)
            head = nn.Module()
            count = d["head_layers"]
            head.psi = nn.ModuleList(
                AdaptiveConv(m, 1 if k + 1 == count else m, 1, 1, width, demodulate=k + 1 < count) for k in range(count))
            head.plain = Conv(m, 1, 1)
            self.heads.append(head)

    def run(self, stage, f):
        for block in stage.blocks:
            y = act(block.conv1(act(block.conv0(f))))
            f = block.skip(downsample(f) if block.down else f) + 0.4 * y
        if stage.attend is not None:
            f = stage.attend(f)
        if stage.last is not None:
            group = min(4, f.shape[0])
            spread = f.reshape(group, -1, *f.shape[1:])
            spread = (spread - spread.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
            f = torch.cat([f, spread.repeat(group).view(-1, 1, 1, 1).expand(-1, 1, *f.shape[2:])], 1)
            f = act(stage.last[1](act(stage.last[0](f)).flatten(1)))[:, :, None, None]
        return f

    def features(self, images):
        """(level, scale, features) of every level at every coarser scale; each level runs alone."""
        found = []
        for i, image in enumerate(images):
            f = act(self.rgb[i](image))
            for j in range(i, len(self.stages)):
                f = self.run(self.stages[j], f)
                found.append((i, j, f))
        return found

    def judge(self, found, t):
        predictions = []
        for i, j, f in found:
            y = f
            for k, layer in enumerate(self.heads[j].psi):
                y = layer(y, t)
                if k + 1 < len(self.heads[j].psi):
                    y = act(y)
            predictions.append((i, j, y + self.heads[j].plain(f)))
        return predictions


class Step:
    """One update of D and one of G, without the penalty, with the average of the generator."""

    def __init__(self, config, batch):
        self.config, self.batch = config, batch
        self.g, self.d, self.average = Generator(config), Discriminator(config), Generator(config).requires_grad_(False)
        self.optimizers = [torch.optim.AdamW(n.parameters(), lr=1e-4, betas=(0.0, 0.99), weight_decay=0) for n in (self.g, self.d)]
        self.side = self.d.sides[0]

    def weighed(self, predictions, term, inner):
        weights = (0.33, 0.17, 0.17, 0.17, 0.17)
        last = len(self.d.stages) - 1
        return sum(weights[i] * (1 if j == last else inner) * term(y) for i, j, y in predictions)

    def update(self, network, optimizer, loss):
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def __call__(self):
        b, text = self.batch, self.config["text"]
        ids = torch.randint(0, text["vocabulary"], (b, text["length"]))
        real = [torch.randn(b, 3, self.side, self.side)]
        while len(real) < len(self.d.sides):
            real.append(downsample(real[-1]))
        soft = lambda sign: (lambda y: F.softplus(sign * y).mean())
        fakes = self.g(torch.randn(b, self.g.z_dim), ids)
        t = self.d.text(ids)[1]
        loss = 0
        for images, sign in ((real, -1), ([x.detach() for x in fakes], 1)):
            seen = self.d.features(images)
            loss = loss + self.weighed(self.d.judge(seen, t), soft(sign), 0.01)
            loss = loss + self.weighed(self.d.judge(seen, t.roll(1, 0)), soft(1), 0.05)
        self.update(self.d, self.optimizers[1], loss)
        self.d.requires_grad_(False)
        seen = self.d.features(fakes)
        t = self.d.text(ids)[1]
        loss = self.weighed(self.d.judge(seen, t), soft(-1), 0.01) - self.weighed(self.d.judge(seen, t.roll(1, 0)), soft(1), 0.05)
        self.update(self.g, self.optimizers[0], loss)
        self.d.requires_grad_(True)
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.g.parameters()):
                mean.lerp_(value, 0.001)
