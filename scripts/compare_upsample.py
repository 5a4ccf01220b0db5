#!/usr/bin/env python3
"""Times the package aura-sr beside `gigacat upsample`: AuraSR's released size with random weights, 64 -> 256 px.

    scripts/compare_upsample.py [--images 6] [--rounds 3] [--precision fp32] [--python PY]

PY is a Python with torch, torchvision, einops, safetensors and aura-sr 0.0.4. Each measurement is a process of its own and
the two take turns. An image's time is that of --images images less that of one, so that loading does not count; it stands
beside. Prints a Markdown table as it stands in docs/performance.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASE = ROOT / "tests/golden/cases/gigagan/aura_sr/case.json"

REFERENCE = """
import json, sys, torch
from PIL import Image
from aura_sr import AuraSR
folder, count = sys.argv[1], int(sys.argv[2])
from safetensors.torch import load_file
model = AuraSR(json.load(open(folder + "/config.json")), device="cpu")
model.upsampler.load_state_dict(load_file(folder + "/model.safetensors"), strict=True)
for i in range(count):
    model.upscale_4x(Image.open(folder + "/in/%d.png" % i).convert("RGB"))
"""

WEIGHTS = """
import json, os, sys, torch
from safetensors.torch import save_file
case = json.load(open(sys.argv[1]))
torch.manual_seed(0)
save_file({w["name"]: w["offset"] + w["scale"] * (2 * torch.rand(w["shape"]) - 1) for w in case["weights"]},
          sys.argv[2] + "/model.safetensors")
json.dump(case["config"]["constructor"], open(sys.argv[2] + "/config.json", "w"))
from PIL import Image
import os
os.makedirs(sys.argv[2] + "/in")
for i in range(int(sys.argv[3])):
    pixels = (torch.rand(64, 64, 3) * 255).byte().numpy()
    Image.fromarray(pixels).save(sys.argv[2] + "/in/%d.png" % i)
"""


def measure(command, env=None):
    """Seconds and peak bytes of one process."""
    began = time.time()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("failed: " + " ".join(command))
    return time.time() - began, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of ours")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/gigacat"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([args.python, "-c", WEIGHTS, str(CASE), folder, str(args.images)], check=True)

        def ours(count):
            out = tempfile.mkdtemp(dir=folder)
            images = [folder + "/in/%d.png" % i for i in range(count)]
            return measure([args.program, "upsample", *images, "-o", out, "--weights", folder, "--precision",
                            args.precision])

        def reference(count):
            return measure([args.python, "-c", REFERENCE, folder, str(count)])

        figures = {"aura-sr": [], "gigacat": []}
        for _ in range(args.rounds):
            for name, run in (("aura-sr", reference), ("gigacat", ours)):
                one, _ = run(1)
                many, peak = run(args.images)
                figures[name].append(((many - one) / (args.images - 1), one, peak))
    print("| | s an image | first image after | peak memory |\n| --- | --- | --- | --- |")
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    for name, (each, first, peak) in median.items():
        print(f"| {name} | {each:.2f} | {first:.1f} s | {peak / 2**30:.2f} GiB |")
    a, b = median["aura-sr"], median["gigacat"]
    print(f"\nimages/s {a[0] / b[0]:.2f} times aura-sr's, peak memory {b[2] / a[2]:.2f} of it ({args.precision})")


if __name__ == "__main__":
    main()
