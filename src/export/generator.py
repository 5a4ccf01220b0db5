"""Draws images from model.safetensors. Needs torch and safetensors alone.

    python gigacat_generator.py CONDITION... --out samples        PNGs of classes, or of captions of a model of text
    python gigacat_generator.py --count 3 --out samples           of a model without either
    from gigacat_generator import Generator                       the network itself
"""
import argparse
import json
import math
import os
import re
import struct
import zlib
from typing import Sequence, Tuple, Union

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gigacat_network import generate

MASK = 0xFFFFFFFFFFFFFFFF


class Generator(torch.nn.Module):
    """The network of a folder with config.json and model.safetensors: z and conditions -> images in [-1, 1]."""

    def __init__(self, folder: str = os.path.dirname(os.path.abspath(__file__))):
        super().__init__()
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        for name, tensor in load_file(os.path.join(folder, "model.safetensors")).items():
            owner, (*path, last) = self, name.split(".")
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, torch.nn.Module())
                owner = owner._modules[part]
            owner.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
        if "text" in self.config:
            self.register_buffer("truncation_z", self.latents(0, range(256), "truncation.z"), persistent=False)

    def forward(self, z: Tensor, *inputs: Tensor, truncation: float = 1.0) -> Tensor:
        """z [B, Z]; labels [B], or of a model of text tokens [B, L] and the place of each text's end [B]."""
        weights = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return generate(weights, self.config["numbers"], z, *inputs, truncation)

    def latents(self, seed: int, samples: Sequence[int], purpose: str = "sample.z") -> Tensor:
        """Latents [B, Z] of samples of a seed: those that `gigacat sample --seed` draws."""
        return torch.stack([normal(seed, purpose, i, self.config["z_dim"]) for i in samples])

    def label_of(self, text: str) -> int:
        """A class by its number or its name."""
        names, count = self.config.get("class_names", []), self.config["num_classes"]
        if text.isdecimal() and int(text) < count:
            return int(text)
        if text in names:
            return names.index(text)
        raise ValueError("no class %s: there are 0..%d%s" % (text, count - 1, "".join(", " + name for name in names[:20])))

    def inputs_of(self, conditions: Union[Sequence[str], int]) -> Tuple[Tensor, ...]:
        """What forward takes beside z, for classes as "3" or "horse", for captions, or for a number of samples of neither."""
        if "text" not in self.config and "num_classes" not in self.config:
            return (torch.zeros(conditions if isinstance(conditions, int) else len(conditions), dtype=torch.int64),)
        if "text" not in self.config:
            return (torch.tensor([self.label_of(text) for text in conditions]),)
        text = self.config["text"]
        if text["encoder"] != "embedded" or text["tokenizer"] != "words":
            kind = "CLIP's tokens" if text["encoder"] == "embedded" else "features of " + text["encoder"]
            raise ValueError("this model reads %s: give them, and the place of each end, to forward()" % kind)
        tokens = torch.zeros(len(conditions), text["length"], dtype=torch.int64)
        end = torch.zeros(len(conditions), dtype=torch.int64)
        for i, caption in enumerate(conditions):
            words = re.findall(rb"[0-9a-z\x80-\xff]+", re.sub(rb"[A-Z]", lambda c: c[0].lower(), caption.encode()))
            words = words[: text["length"] - 1]
            end[i] = len(words)
            for place, word in enumerate(words):
                tokens[i, place] = 1 + fnv1a64(word) % (text["vocabulary"] - 1)
        return tokens, end


def fnv1a64(text: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def normal(seed: int, purpose: str, sample: int, count: int) -> Tensor:
    """Standard normal values by Philox-4x32-10 and Box and Muller's method."""
    key = fnv1a64(purpose.encode())
    for index in (seed, 0):
        key = mix(key + mix(index + 0x9E3779B97F4A7C15 & MASK) & MASK)
    low = 0xFFFFFFFF
    block = torch.arange((count + 3) // 4)
    x = [torch.full_like(block, sample & low), torch.full_like(block, sample >> 32), block, torch.ones_like(block)]
    for turn in range(10):
        k0, k1 = (key & low) + turn * 0x9E3779B9 & low, (key >> 32) + turn * 0xBB67AE85 & low
        a, b = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57  # products wrap to 64 bits
        x = [(b >> 32 & low) ^ x[1] ^ k0, b & low, (a >> 32 & low) ^ x[3] ^ k1, a & low]
    out = []
    for u, v in ((x[0], x[1]), (x[2], x[3])):
        radius = torch.sqrt(-2 * torch.log((u.double() + 0.5) / 2**32))
        out += [radius * torch.cos(v.double() * (math.pi / 2**31)), radius * torch.sin(v.double() * (math.pi / 2**31))]
    return torch.stack(out, 1).flatten()[:count].float()


def write_png(path: str, image: Tensor) -> None:
    """An image [C, H, W] in [-1, 1], C 1 or 3."""
    rows = ((image + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    body = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in rows)
    head = struct.pack(">IIBBBBB", image.shape[2], image.shape[1], 8, 2 if image.shape[0] == 3 else 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws images from model.safetensors, or writes an ONNX file.")
    parser.add_argument("conditions", nargs="*", help="classes by number or name, or captions of a model of text")
    parser.add_argument("--count", type=int, help="number of samples, for the conditions in turn; default: one for each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truncation", type=float, default=1.0)
    parser.add_argument("--out", default="samples", help="folder for PNGs; of latents a .safetensors file")
    parser.add_argument("--onnx", help="file for the network, at truncation 1")
    flags = parser.parse_args()
    generator = Generator()
    if flags.conditions and "text" not in generator.config and "num_classes" not in generator.config:
        parser.error("this model has neither classes nor text: give --count")
    given = flags.conditions or ["0"]
    conditions = [given[i % len(given)] for i in range(flags.count or len(given))]
    z, inputs = generator.latents(flags.seed, range(len(conditions))), generator.inputs_of(conditions)
    if flags.onnx:
        names = ["z"] + generator.config["inputs"]
        # GigaGAN convolves with a kernel for each sample, one group each: ONNX wants the number of groups, the batch, fixed.
        axes = None if "text" in generator.config else {name: {0: "batch"} for name in names + ["images"]}
        traced = torch.jit.trace(lambda z, *inputs: generator(z, *inputs), (z, *inputs), check_trace=False)
        torch.onnx.export(traced, (z, *inputs), flags.onnx, input_names=names, output_names=["images"],
                          dynamic_axes=axes, dynamo=False)
        return
    with torch.no_grad():
        images = generator(z, *inputs, truncation=flags.truncation)
    if "latents" in generator.config:
        space = generator.config["latents"]
        save_file({"latents": images / space["scale"] + space["shift"]}, flags.out)
        return
    os.makedirs(flags.out, exist_ok=True)
    for i, image in enumerate(images):
        write_png(os.path.join(flags.out, "%06d.png" % i), image)


if __name__ == "__main__":
    main()
