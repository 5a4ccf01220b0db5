#!/usr/bin/env python3
"""Times a training step of GigaGAN beside gigagan-pytorch and beside the paper's layers in plain PyTorch.

    scripts/compare_gigagan.py [--batch 4] [--steps 3] [--rounds 2] [--python PY] [--json FILE]

PY is a Python with torch and gigagan-pytorch (0.3.0 from PyPI, with its dependencies). All make 64 px images with equal channels
(2048 / resolution, at most 512) and two kernels in every adaptive convolution; a step is one update of D and one of G with
AdamW and the generator's average, without the lazy penalty. scripts/plain_gigagan.py has our networks and losses;
gigagan-pytorch has its own (fewer predictions, an auxiliary decoder, attention of fixed width) with its text encoder on random
features in CLIP's place. Each measurement is a process of its own, and the programs take turns.

Prints Markdown tables as they stand in docs/performance.md.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEVELS = 5
SIZES = {
    "text": dict(width=512, layers=4, heads=8, length=77, vocabulary=1024),
    "generator": dict(z_dim=512, w_dim=512, mapping_layers=4, channel_base=2048, channel_max=512, blocks=[1] * LEVELS,
                      bank=[2] * LEVELS, attention=[0, 0, 1, 1, 0], head_dim=64),
    "discriminator": dict(channel_base=2048, channel_max=512, blocks=[1] * LEVELS, attention=[32, 16], head_dim=64,
                          head_layers=2),
}
NAMES = {"community": "gigagan-pytorch 0.3.0", "plain": "plain PyTorch", "ours": "gigacat"}


def peak_memory():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def community_step(torch, batch):
    """The package's own trainer, its penalty never due."""
    from gigagan_pytorch import GigaGAN
    from gigagan_pytorch.open_clip import OpenClipAdapter

    class Features(OpenClipAdapter):
        """Random features where CLIP's would be."""

        def __init__(self):
            torch.nn.Module.__init__(self)
            self._dim_latent = 512

        def embed_texts(self, texts):
            return torch.randn(len(texts), 512), torch.randn(len(texts), 77, 512)

    text = dict(dim=512, depth=4, dim_head=64, heads=8, clip=Features())
    folder = tempfile.mkdtemp()
    gan = GigaGAN(
        generator=dict(dim_capacity=16, dim_max=512, image_size=64, dim_latent=512, num_conv_kernels=2,
                       style_network=dict(dim=512, depth=4, dim_text_latent=512), text_encoder=text),
        discriminator=dict(dim_capacity=16, dim_max=512, image_size=64, num_conv_kernels=2, text_encoder=text),
        generator_contrastive_loss_weight=0.0, model_folder=folder + "/models", results_folder=folder + "/results")

    def batches():
        while True:
            yield torch.randn(batch, 3, 64, 64), ["a thing, number %d" % i for i in range(batch)]

    loader = batches()

    def step():
        gan.train_discriminator_step(dl_iter=loader, apply_gradient_penalty=False, calc_multiscale_loss=True)
        gan.train_generator_step(dl_iter=loader, batch_size=batch, calc_multiscale_loss=True)

    return step


def worker(args):
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.worker == "community":
        step = community_step(torch, args.batch)
    else:
        sys.path.insert(0, str(ROOT / "scripts"))
        from plain_gigagan import Step

        step = Step(SIZES, args.batch)
    step()
    seconds = []
    for _ in range(args.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"step_seconds": seconds, "peak_bytes": peak_memory()}))


def config_overrides():
    for section, fields in SIZES.items():
        for key, value in fields.items():
            yield "model.%s.%s=%s" % (section, key, value)


def measure(args, name):
    if name == "ours":
        command = [str(args.ours / "bench_step"), str(ROOT / "configs/quickstart/emoji-text.yaml"), "--steps", str(args.steps),
                   "data.resolution=64", "train.batch=%d" % args.batch, "train.threads=%d" % args.threads,
                   "loss.matching_generator=adversarial", "loss.r1_gamma=0", *config_overrides()]
    else:
        command = [args.python, __file__, "--worker", name, "--batch", str(args.batch), "--steps", str(args.steps),
                   "--threads", str(args.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=args.timeout)
    if done.returncode != 0:
        sys.exit("failed: " + " ".join(command))
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a process, after the first")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ours", type=Path, default=ROOT / "build/release/bin", help="folder that holds bench_step")
    parser.add_argument("--python", default=sys.executable, help="Python that has torch and gigagan-pytorch")
    parser.add_argument("--programs", default="community,plain,ours", help="which take part")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one process")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--worker", choices=["community", "plain"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args)
    programs = args.programs.split(",")
    figures = {name: [] for name in programs}
    for _ in range(args.rounds):
        for name in programs:
            figures[name].append(measure(args, name))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    rows = {}
    print("| step, batch of %d | s | images/s | peak memory |\n| --- | --- | --- | --- |" % args.batch)
    for name in programs:
        seconds = statistics.median(s for one in figures[name] for s in one["step_seconds"])
        rows[name] = args.batch / seconds, max(one["peak_bytes"] for one in figures[name])
        print("| %s | %.2f | %.2f | %.2f GiB |" % (NAMES[name], seconds, rows[name][0], rows[name][1] / 2**30))
    print("\n| ratio | images/s | peak memory |\n| --- | --- | --- |")
    for name in programs:
        if name != "ours" and "ours" in rows:
            print("| gigacat / %s | %.2f | %.2f |" % (NAMES[name], rows["ours"][0] / rows[name][0], rows["ours"][1] / rows[name][1]))


if __name__ == "__main__":
    sys.exit(main())
