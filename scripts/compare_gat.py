#!/usr/bin/env python3
"""Times the official PyTorch training step of GAT beside ours.

    scripts/compare_gat.py --reference DIR [--model S/2] [--precision fp32] [--device cpu] [--rounds 3] [--python PY]

DIR is a checkout of github.com/hse1032/GAT, PY a Python with torch, timm and einops. A step is one update of D and one of G
with clipping, AdamW and EMA, on random latents [B, 4, 32, 32] of 1000 classes, without alignment. Every measurement is
a process of its own, and the programs take turns, so that what else slows the machine slows all of them. Between steps
each process times matrix products of the model's shapes: the step's floor is its FLOPs at that rate.

Prints Markdown tables as they stand in docs/performance.md; --json FILE keeps every figure.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = {"S/2": 384, "B/2": 768, "L/2": 1024, "XL/2": 1152}
OFFICIAL, OFFICIAL_PLAIN = "official", "official, no checkpointing"
OURS, OURS_CHECKPOINTED = "gigacat", "gigacat, checkpointing"
PAIRS = [(OURS, OFFICIAL), (OURS, OFFICIAL_PLAIN), (OURS_CHECKPOINTED, OFFICIAL)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="checkout of hse1032/GAT")
    parser.add_argument("--model", choices=HIDDEN, default="S/2")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a process, after the first")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each program")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--ours", type=Path, default=ROOT / "build/release/bin", help="folder that holds bench_step")
    parser.add_argument("--python", default=sys.executable, help="Python that has torch, timm and einops")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one process")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--worker", choices=["checkpointing", "plain"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.reference / "models" / "generator.py").is_file():
        parser.error(f"{args.reference}: no checkout of hse1032/GAT (models/generator.py is not there)")
    if args.batch < 2:
        parser.error("--batch: the official generator needs at least 2")
    if args.ours.is_file():
        args.ours = args.ours.parent
    if not args.worker and not (args.ours / "bench_step").is_file():
        parser.error(f"{args.ours}/bench_step is not there: build it, or name its folder with --ours")
    return args


# The official step, in a process of its own.


def since_process_start():
    """Seconds since the kernel started this process."""
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def peak_memory(torch, args):
    """High-water mark of the GPU's memory, or of this process's resident memory, bytes."""
    if args.device == "cuda":
        return torch.cuda.max_memory_allocated()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def synchronize(torch, args):
    if args.device == "cuda":
        torch.cuda.synchronize()


def product_rate(torch, args):
    """GFLOP/s of the four matrix products of a block, on the rows of D's batch of real, fake and perturbed images."""
    width, rows = HIDDEN[args.model], 4 * args.batch * 257
    inner = int(2 / 3 * 4 * width)
    shapes = [(width, 3 * width), (width, width), (width, 2 * inner), (inner, width)]
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    made = dict(dtype=dtype, device=args.device)
    operands = [(torch.randn(rows, k, **made), torch.randn(n, k, **made).t(), torch.empty(rows, n, **made)) for k, n in shapes]
    for repeats in (1, 5):  # the first pass touches the memory
        synchronize(torch, args)
        start = time.perf_counter()
        for _ in range(repeats):
            for left, right, out in operands:
                torch.mm(left, right, out=out)
        synchronize(torch, args)
        seconds = time.perf_counter() - start
    return 5 * sum(2 * rows * k * n for k, n in shapes) / seconds / 1e9


class Prepared:
    """What accelerate makes of a network on one process: `.module`, and calls under autocast with float32 results."""

    def __init__(self, torch, module, device, bf16):
        self.module = module
        self.autocast = lambda: torch.autocast(device, torch.bfloat16, enabled=bf16)

    def __call__(self, *inputs, **keywords):
        with self.autocast():
            result = self.module(*inputs, **keywords)
        return result.float()


class OfficialStep:
    """Networks, loss, optimisers and EMA of the official trainer at its defaults."""

    def __init__(self, torch, args):
        from losses import RpGANLoss
        from models.discriminator import GATD_models
        from models.generator import GAT_models

        self.torch, self.batch, self.device, self.count = torch, args.batch, args.device, 0
        sizes = dict(input_size=32, num_classes=1000, z_dims=[0], fused_attn=True, qk_norm=True)
        networks = [table[f"GAT-{args.model}"](**sizes).to(args.device) for table in (GAT_models, GATD_models)]
        self.generator, self.discriminator = (Prepared(torch, n, args.device, args.precision == "bf16") for n in networks)
        self.ema = GAT_models[f"GAT-{args.model}"](**sizes).to(args.device).requires_grad_(False)
        self.ema.load_state_dict(networks[0].state_dict())
        self.loss = RpGANLoss(encoders=None, r1_every=1, r2_every=1, r1_gamma=0.1, r2_gamma=0.1, approximate=True)
        rate = 2e-4 * 768 / HIDDEN[args.model]
        self.optimizers = [torch.optim.AdamW(n.parameters(), lr=rate, betas=(0.0, 0.99), weight_decay=0) for n in networks]

    def update(self, network, optimizer, loss_of, images, keywords):
        network.module.requires_grad_(True)
        loss, _, _ = loss_of(self.generator, self.discriminator, None, images, None, self.count, keywords)
        loss.mean().backward()
        self.torch.nn.utils.clip_grad_norm_(network.module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.mean().item()

    def average(self):
        with self.torch.no_grad():
            for mean, value in zip(self.ema.parameters(), self.generator.module.parameters()):
                mean.mul_(0.999).add_(value, alpha=0.001)
            for mean, value in zip(self.ema.buffers(), self.generator.module.buffers()):
                mean.copy_(value)

    def __call__(self):
        images = self.torch.randn(self.batch, 4, 32, 32, device=self.device)
        keywords = {"y": self.torch.randint(0, 1000, (self.batch,), device=self.device)}
        self.update(self.discriminator, self.optimizers[1], self.loss.step_disc, images, keywords)
        self.discriminator.module.requires_grad_(False)
        loss = self.update(self.generator, self.optimizers[0], self.loss.step_gen, images, keywords)
        self.average()
        self.generator.module.requires_grad_(False)
        self.count += 1
        return loss


def official(args):
    """Runs the official step and prints its figures as JSON."""
    sys.path.insert(0, str(args.reference.resolve()))
    import numpy
    import torch
    import torch.utils.checkpoint

    if args.worker == "plain":
        torch.utils.checkpoint.checkpoint = lambda function, *inputs, **_: function(*inputs)
    torch.manual_seed(0)
    numpy.random.seed(0)
    step = OfficialStep(torch, args)
    step()
    first = since_process_start()
    seconds, rates = [], [product_rate(torch, args)]
    for _ in range(args.steps):
        start = time.perf_counter()
        loss = step()
        synchronize(torch, args)
        seconds.append(time.perf_counter() - start)
        rates.append(product_rate(torch, args))
    if not numpy.isfinite(loss):
        raise RuntimeError(f"the official step's loss is {loss}")
    print(json.dumps({"step_seconds": seconds, "first_step_seconds": first, "peak_bytes": peak_memory(torch, args),
                      "product_gflops": rates, "threads": torch.get_num_threads(), "torch": torch.__version__}))


# The comparison.


def commands(args):
    """Command line of each program."""
    steps = ["--steps", str(args.steps)]
    theirs = [args.python, __file__, "--reference", str(args.reference), "--model", args.model,
              "--batch", str(args.batch), "--precision", args.precision, "--device", args.device, *steps, "--worker"]
    preset = ROOT / "configs" / "gat" / f"imagenet256-{args.model.lower().replace('/', '-')}.yaml"
    ours = [str(args.ours / "bench_step"), str(preset), *steps, f"train.batch={args.batch}",
            f"train.precision={args.precision}", f"train.device={args.device}", "loss.align=none", "data.features=none"]
    return {OFFICIAL: theirs + ["checkpointing"], OFFICIAL_PLAIN: theirs + ["plain"],
            OURS: ours, OURS_CHECKPOINTED: ours + ["train.activation_checkpoint=blocks"]}


def measure(command, timeout, cache):
    # The official code compiles its rotary embedding. A cache of this comparison's own: only its first process compiles,
    # and no lock of another program's is waited for.
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    except subprocess.TimeoutExpired:
        sys.exit(f"{shlex.join(command)} was not done after {timeout:.0f} s (--timeout)")
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)} failed with {done.returncode}:\n{done.stderr[-4000:]}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if figures.get("peak_device_bytes"):
        figures["peak_bytes"] = figures["peak_device_bytes"]
    return figures


def run_rounds(args, cache):
    """Figures of every round by program; the program that goes first moves on by one each round."""
    todo = list(commands(args).items())
    results = {name: [] for name, _ in todo}
    for turn in range(args.rounds):
        first = turn % len(todo)
        for name, command in todo[first:] + todo[:first]:
            figures = measure(command, args.timeout, cache)
            results[name].append(figures)
            step = statistics.median(figures["step_seconds"])
            print(f"round {turn + 1}, {name}: {step:.3g} s a step", file=sys.stderr, flush=True)
    return results


def figure(runs, key):
    """Median over the rounds of each process's own median."""
    return statistics.median(statistics.median(r[key]) if isinstance(r[key], list) else r[key] for r in runs)


def main_table(results, batch):
    flop = results[OURS][0]["step_gflop"]
    rows = ["| step | s | images/s | peak memory | start to end of first step | matrix products | floor | step / floor |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, runs in results.items():
        step, rate = figure(runs, "step_seconds"), figure(runs, "product_gflops")
        rows.append(f"| {name} | {step:.3g} | {batch / step:.4g} | {figure(runs, 'peak_bytes') / 2**30:.2f} GiB "
                    f"| {figure(runs, 'first_step_seconds'):.1f} s | {rate:.0f} GFLOP/s | {flop / rate:.3g} s "
                    f"| {step * rate / flop:.2f} |")
    return "\n".join(rows)


def ratios(ours, theirs, key):
    """Ours over theirs, round by round."""
    return [figure([a], key) / figure([b], key) for a, b in zip(ours, theirs)]


def ratio_table(results):
    rows = ["| ratio | images/s | lowest, highest round | peak memory | start to end of first step |",
            "| --- | --- | --- | --- | --- |"]
    for ours, theirs in PAIRS:
        speed = [1 / r for r in ratios(results[ours], results[theirs], "step_seconds")]
        memory, start = (statistics.median(ratios(results[ours], results[theirs], key))
                         for key in ("peak_bytes", "first_step_seconds"))
        rows.append(f"| {ours} / {theirs} | {statistics.median(speed):.2f} | {min(speed):.2f}, {max(speed):.2f} "
                    f"| {memory:.2f} | {start:.2f} |")
    return "\n".join(rows)


def processor(args):
    if args.device == "cuda":
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    args = arguments()
    if args.worker:
        official(args)
        return
    with tempfile.TemporaryDirectory() as cache:
        results = run_rounds(args, cache)
    theirs = results[OFFICIAL][0]
    print(f"GAT-{args.model}, batch {args.batch}, {args.precision}; {processor(args)}, {theirs['threads']} threads (ours "
          f"{results[OURS][0]['threads']}), PyTorch {theirs['torch']}; {results[OURS][0]['step_gflop']:.0f} GFLOP a step; "
          f"medians of {args.rounds} processes of {args.steps} steps.\n")
    print(main_table(results, args.batch), ratio_table(results), sep="\n\n")
    if args.json:
        args.json.write_text(json.dumps({"arguments": sys.argv[1:], "results": results}, indent=1))


if __name__ == "__main__":
    main()
