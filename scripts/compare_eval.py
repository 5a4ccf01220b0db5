#!/usr/bin/env python3
"""Measures `gigacat eval fid` beside pytorch-fid and clean-fid: same images, same random Inception weights.

    scripts/compare_eval.py --program build/release/bin/gigacat [--images 2000] [--size 256] [--peer NAME] [--json FILE]

Needs the packages torch, torchvision, pytorch-fid 0.3.0, clean-fid, Pillow and SciPy below 1.18 in the Python that runs it.
Two folders of JPEGs are made (smooth noise of different spectra), and Inception weights drawn once for all programs.
Prints, as a Markdown table, images a second and peak memory of each program over both folders, the distances and how
far ours is from each: below 1e-4 is wanted. The covariances' square root is timed apart. Exit code 1 when a distance
disagrees.
"""
import argparse
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

AGREEMENT = 1e-4


def draw_weights(path):
    """Inception weights of pytorch-fid's names: He-scaled normal convolutions, so that features neither die nor explode."""
    import torch
    from pytorch_fid.inception import FIDInceptionE_1  # noqa: F401  (says early that the package is there)
    from safetensors.torch import save_file
    state = random_state()
    torch.save(state, path / "inception.pth")
    save_file({name: tensor.contiguous() for name, tensor in state.items() if "num_batches" not in name},
              path / "inception.safetensors")


def random_state():
    import torch
    import torchvision
    from pytorch_fid import inception
    model = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    for name, block in (("Mixed_5b", inception.FIDInceptionA(192, pool_features=32)),
                        ("Mixed_5c", inception.FIDInceptionA(256, pool_features=64)),
                        ("Mixed_5d", inception.FIDInceptionA(288, pool_features=64)),
                        ("Mixed_6b", inception.FIDInceptionC(768, channels_7x7=128)),
                        ("Mixed_6c", inception.FIDInceptionC(768, channels_7x7=160)),
                        ("Mixed_6d", inception.FIDInceptionC(768, channels_7x7=160)),
                        ("Mixed_6e", inception.FIDInceptionC(768, channels_7x7=192)),
                        ("Mixed_7b", inception.FIDInceptionE_1(1280)), ("Mixed_7c", inception.FIDInceptionE_2(2048))):
        setattr(model, name, block)
    torch.manual_seed(0)
    state = model.state_dict()
    for name, tensor in state.items():
        if tensor.dim() == 4:
            tensor.normal_(0, math.sqrt(2 / tensor[0].numel()))
        elif name.endswith("bn.weight"):
            tensor.uniform_(0.8, 1.2)
        elif name.endswith("bn.bias"):
            tensor.normal_(0, 0.1)
    return state


def draw_images(folder, count, size, seed, slope):
    """JPEGs of noise whose spectrum falls by `slope`."""
    import numpy
    from PIL import Image
    folder.mkdir()
    random = numpy.random.RandomState(seed)
    y, x = numpy.meshgrid(numpy.fft.fftfreq(size), numpy.fft.rfftfreq(size), indexing="ij")
    filter_ = 1 / numpy.maximum(numpy.hypot(y, x), 1 / size) ** slope
    for i in range(count):
        planes = numpy.fft.irfft2(numpy.fft.rfft2(random.randn(3, size, size)) * filter_, (size, size))
        planes = planes / planes.std(axis=(1, 2), keepdims=True) * random.uniform(20, 70) + random.uniform(90, 160, (3, 1, 1))
        Image.fromarray(planes.clip(0, 255).astype("uint8").transpose(1, 2, 0)).save(folder / ("%05d.jpg" % i), quality=90)


PYTORCH_FID = """
import sys, time, torch
import pytorch_fid.inception as inception
inception.load_state_dict_from_url = lambda *a, **k: torch.load(sys.argv[3], weights_only=True)
from pytorch_fid.fid_score import calculate_fid_given_paths
print("FID", calculate_fid_given_paths(sys.argv[1:3], 50, "cpu", 2048, int(sys.argv[4])))
"""

# clean-fid runs a TorchScript file of the same network: pytorch-fid's, without its resizing.
CLEAN_FID = """
import sys, torch
import pytorch_fid.inception as inception
inception.load_state_dict_from_url = lambda *a, **k: torch.load(sys.argv[3], weights_only=True)
from cleanfid import fid
model = inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()
def features(batch):
    with torch.no_grad():
        return model((batch.float() - 128) / 128)[0].flatten(1)
print("FID", fid.compute_fid(sys.argv[1], sys.argv[2], mode="clean", num_workers=int(sys.argv[4]), batch_size=32,
                             device=torch.device("cpu"), custom_feat_extractor=features, verbose=False))
"""


def timed(command, env=None):
    """Seconds, peak memory in MB of the process with its children, and standard output."""
    began = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.1)
    out, err = process.communicate()
    if process.returncode != 0:
        sys.exit("compare_eval: %s failed:\n%s" % (command[0], err[-3000:]))
    return time.time() - began, peak / 1e6, out


def memory_of(pid):
    """Proportional set size: shared pages are counted once over all processes."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            rollup = pathlib.Path("/proc/%d/smaps_rollup" % one).read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M).group(1)) * 1024
            waiting += [int(child) for task in pathlib.Path("/proc/%d/task" % one).iterdir()
                        for child in (task / "children").read_text().split()]
        except (OSError, AttributeError):
            continue
    return total


def ours(program, folders, weights, protocol):
    env = dict(os.environ, GIGACAT_CACHE=str(weights.parent / ("cache-" + protocol)))
    seconds, peak, out = timed([program, "eval", "fid", "--real", str(folders[0]), "--fake", str(folders[1]),
                                "--protocol", protocol, "--weights", str(weights), "--json"], env)
    return seconds, peak, json.loads(out)[0]["results"]["fid"]


def theirs(script, folders, weights, workers):
    seconds, peak, out = timed([sys.executable, "-c", script, str(folders[0]), str(folders[1]), str(weights), str(workers)])
    return seconds, peak, float(re.search(r"^FID ([-\d.e+]+)", out, re.M).group(1))


def square_root(program, folder):
    """Seconds of SciPy's sqrtm at 2048, and of our whole command on two files of statistics."""
    import numpy
    from scipy import linalg
    random = numpy.random.RandomState(1)
    sigmas = []
    for name in "ab":
        x = random.randn(4000, 2048) @ (random.randn(2048, 2048) / 45)
        sigmas.append(numpy.cov(x, rowvar=False))
        numpy.savez(folder / (name + ".npz"), mu=x.mean(0), sigma=sigmas[-1])
    began = time.time()
    root = linalg.sqrtm(sigmas[0] @ sigmas[1])
    root = root[0] if isinstance(root, tuple) else root
    scipy_seconds = time.time() - began
    seconds, _, _ = timed([program, "eval", "fid", "--real", str(folder / "a.npz"), "--fake", str(folder / "b.npz"), "--json"])
    return scipy_seconds, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/bin/gigacat")
    parser.add_argument("--images", type=int, default=2000, help="in each folder")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2, help="of the Python loaders")
    parser.add_argument("--peer", choices=("pytorch-fid", "clean-fid"), help="this one alone")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draw_weights(folder)
        folders = [folder / "real", folder / "fake"]
        for i, path in enumerate(folders):
            draw_images(path, args.images, args.size, seed=i, slope=1.2 + 0.3 * i)
        rows, faults = [], 0
        for peer, script, protocol in (("pytorch-fid", PYTORCH_FID, "legacy"), ("clean-fid", CLEAN_FID, "clean")):
            if args.peer not in (None, peer):
                continue
            for who, run in ((peer, lambda: theirs(script, folders, folder / "inception.pth", args.workers)),
                             ("gigacat " + protocol, lambda: ours(args.program, folders, folder / "inception.safetensors", protocol))):
                seconds, peak, fid = run()
                rows.append({"program": who, "images_per_second": 2 * args.images / seconds, "peak_mb": peak, "fid": fid})
                print("%s: %.1f images/s" % (who, rows[-1]["images_per_second"]), file=sys.stderr)
            off = abs(rows[-1]["fid"] - rows[-2]["fid"]) / abs(rows[-2]["fid"])
            rows[-1]["off"] = off
            faults += not off < AGREEMENT
        scipy_seconds, seconds = square_root(args.program, folder)
    print("| program | images/s | peak memory, MB | FID | off by |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        print("| %s | %.1f | %.0f | %.6f | %s |" % (row["program"], row["images_per_second"], row["peak_mb"], row["fid"],
                                                   "%.1e" % row["off"] if "off" in row else ""))
    print("\nSquare root at 2048: SciPy's sqrtm %.1f s; our whole command on two files of statistics %.1f s." %
          (scipy_seconds, seconds))
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "sqrtm_seconds": scipy_seconds, "command_seconds": seconds}, indent=1))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
