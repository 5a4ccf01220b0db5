#!/usr/bin/env python3
"""Times our loader beside PyTorch's DataLoader with PIL on the same folder of images.

    scripts/compare_loader.py --images DIR [--workers 2] [--size 256] [--rounds 3] [--python PY]

PY is a Python with torch and Pillow. Both read in random order, decode, crop as guided-diffusion does (halvings by box,
bicubic, middle square), flip half of the images and give uint8 batches [B, 3, S, S]. The two take turns, each time in a
process of its own; the first batches of a process are not timed. Prints a Markdown table for docs/performance.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
THEIRS, OURS = "DataLoader with PIL", "gigacat"
WARM_UP = 4  # batches


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=256, help="px, of the square crop")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5, help="timed part of a process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours", type=Path, default=ROOT / "build/release/bin", help="folder that holds bench_data")
    parser.add_argument("--python", default=sys.executable, help="Python that has torch and Pillow")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ours.is_file():
        args.ours = args.ours.parent
    if not args.images.is_dir():
        parser.error(f"{args.images} is no folder")
    if not args.worker and not (args.ours / "bench_data").is_file():
        parser.error(f"{args.ours}/bench_data is not there: build it, or name its folder with --ours")
    return args


def center_crop(image, size):
    """The middle size x size square after scaling the short side to `size`."""
    from PIL import Image

    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


class Images:
    """The folder's images over and over, so that no epoch ends while the clock runs."""

    def __init__(self, folder, size, repeats=1000):
        self.paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        self.size, self.repeats = size, repeats
        if not self.paths:
            sys.exit(f"{folder} holds no images")

    def __len__(self):
        return len(self.paths) * self.repeats

    def __getitem__(self, index):
        import numpy
        import torch
        from PIL import Image

        with Image.open(self.paths[index % len(self.paths)]) as file:
            pixels = numpy.asarray(center_crop(file.convert("RGB"), self.size))
        if torch.rand(()) < 0.5:
            pixels = pixels[:, ::-1]
        return torch.from_numpy(numpy.ascontiguousarray(pixels.transpose(2, 0, 1)))


def data_loader(args):
    """Prints the images per second of PyTorch's loader."""
    from torch.utils.data import DataLoader

    loader = DataLoader(Images(args.images, args.size), args.batch, shuffle=True, num_workers=args.workers, drop_last=True)
    batches = iter(loader)
    for _ in range(WARM_UP):
        next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < args.seconds:
        count += len(next(batches))
    print(json.dumps({"images_per_second": count / (time.perf_counter() - start)}))


def output_of(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout)


def theirs(args):
    settings = ["--images", args.images, "--workers", args.workers, "--size", args.size, "--batch", args.batch]
    return output_of([args.python, __file__, "--worker", "--seconds", args.seconds, *settings])["images_per_second"]


def ours(args):
    settings = ["--images", args.images, "--workers", args.workers, "--size", args.size, "--batch", args.batch]
    report = output_of([args.ours / "bench_data", "--benchmark_filter=^loader", "--benchmark_format=json",
                        f"--benchmark_min_time={args.seconds}", *settings])
    return report["benchmarks"][0]["items_per_second"]


def main():
    args = arguments()
    if args.worker:
        data_loader(args)
        return
    programs, rates = {THEIRS: theirs, OURS: ours}, {THEIRS: [], OURS: []}
    for turn in range(args.rounds):
        for name in list(programs)[:: 1 if turn % 2 == 0 else -1]:
            rates[name].append(programs[name](args))
            print(f"round {turn + 1}, {name}: {rates[name][-1]:.0f} images/s", file=sys.stderr, flush=True)
    speedups = [a / b for a, b in zip(rates[OURS], rates[THEIRS])]
    print(f"{args.workers} workers, {args.size} px, batch {args.batch}, medians of {args.rounds} rounds.\n")
    print("| loader | images/s | lowest, highest round |", "| --- | --- | --- |", sep="\n")
    for name, values in rates.items():
        print(f"| {name} | {statistics.median(values):.0f} | {min(values):.0f}, {max(values):.0f} |")
    print(f"| ratio | {statistics.median(speedups):.2f} | {min(speedups):.2f}, {max(speedups):.2f} |")


if __name__ == "__main__":
    main()
