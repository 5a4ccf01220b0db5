#!/usr/bin/env python3
"""Trains a small classifier on a labelled image folder (class/file) for `gigacat eval --network`, in minutes.

    scripts/train_judge.py data/train -o judge.safetensors --test data/test

Needs PyTorch, NumPy and Pillow. The file holds float32 tensors (docs/evaluation.md): convs.N.weight and convs.N.bias
of 3 x 3 convolutions with ReLU, whose steps are `strides`; linear.weight and linear.bias; `mean`, `std` and `size` of
the images in [0, 1]. Batch norms are folded into the convolutions.
"""

import argparse
import json
import pathlib
import struct

import numpy as np
import torch
from PIL import Image
from torch import nn

WIDTHS, STRIDES = (32, 64, 64, 128, 128, 128), (1, 2, 1, 2, 1, 1)


def read_folder(folder, classes, size):
    """Images [N, 3, size, size] uint8 and labels [N] of class folders, in the order of names."""
    images, labels = [], []
    for label, name in enumerate(classes):
        for file in sorted((pathlib.Path(folder) / name).iterdir()):
            image = Image.open(file).convert("RGB")
            if image.size != (size, size):
                image = image.resize((size, size), Image.BICUBIC)
            images.append(np.asarray(image).transpose(2, 0, 1))
            labels.append(label)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        inputs = (3, *WIDTHS[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, s, 1, bias=False) for i, o, s in zip(inputs, WIDTHS, STRIDES))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.linear = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = norm(conv(x)).relu()
        return self.linear(x.mean((2, 3)))

    def folded(self):
        """Tensors of the file, each batch norm inside its convolution."""
        tensors = {"linear.weight": self.linear.weight, "linear.bias": self.linear.bias}
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            tensors["convs.%d.weight" % i] = conv.weight * factor[:, None, None, None]
            tensors["convs.%d.bias" % i] = norm.bias - norm.running_mean * factor
        return tensors


def augmented(images):
    """Mirrored and moved by up to an eighth of the side, each image in its own way."""
    side = images.shape[-1]
    pad = side // 8
    padded = nn.functional.pad(images, (pad,) * 4, mode="reflect")
    out = torch.empty_like(images)
    for i, (y, x) in enumerate(torch.randint(0, 2 * pad + 1, (len(images), 2)).tolist()):
        out[i] = padded[i, :, y:y + side, x:x + side]
    mirrored = torch.rand(len(images)) < 0.5
    out[mirrored] = out[mirrored].flip(-1)
    return out


def accuracy(model, images, labels, scaled):
    model.eval()
    with torch.no_grad():
        right = sum((model(scaled(i)).argmax(1) == l).sum().item() for i, l in zip(images.split(500), labels.split(500)))
    return right / len(labels)


def save_safetensors(path, tensors):
    header, body = {}, b""
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="training images: class/file")
    parser.add_argument("-o", "--out", required=True, help="file.safetensors to write")
    parser.add_argument("--test", help="folder of the same classes, for the accuracy")
    parser.add_argument("--size", type=int, default=32, help="side of the images")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    flags = parser.parse_args()
    torch.manual_seed(flags.seed)
    if flags.threads:
        torch.set_num_threads(flags.threads)
    classes = sorted(folder.name for folder in pathlib.Path(flags.folder).iterdir() if folder.is_dir())
    images, labels = read_folder(flags.folder, classes, flags.size)
    pixels = images.float() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    scaled = lambda batch: (batch.float() / 255 - mean[:, None, None]) / std[:, None, None]
    model = Classifier(len(classes))
    steps = flags.epochs * (len(images) // flags.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for epoch in range(flags.epochs):
        model.train()
        order, total = torch.randperm(len(images)), 0.0
        for rows in order[:len(images) // flags.batch * flags.batch].split(flags.batch):
            loss = nn.functional.cross_entropy(model(augmented(scaled(images[rows]))), labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print("epoch %d of %d: loss %.3f" % (epoch + 1, flags.epochs, total / (len(images) // flags.batch)), flush=True)
    model.eval()
    if flags.test:
        print("accuracy on %s: %.3f" % (flags.test, accuracy(model, *read_folder(flags.test, classes, flags.size), scaled)))
    tensors = model.folded()
    tensors.update(mean=mean, std=std, size=torch.tensor([flags.size]), strides=torch.tensor(STRIDES))
    save_safetensors(flags.out, tensors)
    print("written:", flags.out)


if __name__ == "__main__":
    main()
