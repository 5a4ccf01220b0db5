"""Training and sampling on a GPU; skipped where there is none."""

import array
import ctypes
import json
import os
import signal
import time
import unittest
import zipfile

from harness import TINY, TINY_UPSAMPLER, CliTest, aura_sr, image_folder, main, png, read_bytes, read_text, taesd_weights, write_tar
from weights import inception_weights


def has_gpu():
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


# Smallest text-to-image GigaGAN.
TINY_GIGAGAN = """\
recipe: gigagan
name: tiny
out: {out}
data: {{kind: webdataset, path: {data}, resolution: 16, labels: false, captions: true, workers: 1}}
model:
  text: {{width: 8, layers: 1, heads: 1, length: 4, vocabulary: 16}}
  generator: {{z_dim: 4, w_dim: 8, mapping_layers: 1, channel_base: 128, channel_max: 8, blocks: [1, 1, 1], bank: [1, 1, 2], attention: [0, 1, 0], head_dim: 8}}
  discriminator: {{channel_base: 128, channel_max: 8, blocks: [1, 1, 1], attention: [8], head_dim: 8, head_layers: 1}}
train: {{steps: 4, batch: 4, threads: 1, device: cpu}}
log: {{every: 1, samples_every: 2, sample_count: 4, plain_every: 1}}
checkpoint: {{every: 2}}
"""


@unittest.skipUnless(has_gpu(), "needs a GPU")
class GpuTest(CliTest):
    STEPS = 10

    def shard(self):
        """Images of 16 px with captions."""
        members = {}
        for i in range(16):
            members["%03d.png" % i] = png(16, 16, lambda x, y, i=i: (16 * x, 16 * y, 15 * i))
            members["%03d.txt" % i] = b"blue %d" % i
        return write_tar(self.path("pairs.tar"), members)

    def make(self, text, size):
        pairs = text == TINY_GIGAGAN
        data = self.shard() if pairs else image_folder(self.path("images"), per_class=8, size=size)
        return self.write("tiny.yaml", text.format(out=self.path("runs"), data=data))

    def train(self, config, out, *keys):
        self.gigacat("train", config, "out=" + self.path(out), *keys)
        return self.path(out, "00000-tiny")

    @staticmethod
    def losses(run):
        return [json.loads(line) for line in read_text(run + "/metrics.jsonl").splitlines()]

    def assert_close_to_the_cpu(self, text, size, steps):
        """Trains on both; every loss and gradient norm of each step agrees. Returns the runs."""
        config, keys = self.make(text, size), ["train.steps=%d" % steps, "checkpoint.every=%d" % steps]
        on_cpu, on_gpu = self.train(config, "cpu", *keys), self.train(config, "gpu", *keys, "train.device=cuda")
        self.assertEqual(json.loads(read_text(on_gpu + "/run.json"))["device"], "cuda:0")
        for one, two in zip(self.losses(on_cpu), self.losses(on_gpu), strict=True):
            for key, value in one.items():
                if key.startswith(("D/", "G/", "grad_norm")):
                    self.assertAlmostEqual(value, two[key], delta=2e-3 * (1e-2 + abs(value)), msg="%s of step %d" % (key, one["step"]))
        return on_cpu, on_gpu

    def test_doctor_sees_it(self):
        self.assertIn("GPU", self.gigacat("doctor").stdout)

    def test_cat_is_as_on_the_cpu(self):
        on_cpu, on_gpu = self.assert_close_to_the_cpu(TINY, 8, self.STEPS)
        self.assert_same_weights(self.checkpoint(on_gpu, self.STEPS), self.checkpoint(on_cpu, self.STEPS), 2e-3)

    def test_gigagan_is_as_on_the_cpu(self):
        self.assert_close_to_the_cpu(TINY_GIGAGAN, 16, 3)

    def test_upsampler_is_as_on_the_cpu(self):
        self.assert_close_to_the_cpu(TINY_UPSAMPLER, 40, 3)

    def test_precisions(self):
        config = self.make(TINY, 8)
        for precision in ("tf32", "bf16", "fp16"):
            for policy in ("off", "blocks"):
                with self.subTest(precision=precision, policy=policy):
                    run = self.train(config, precision + policy, "train.device=cuda", "train.precision=" + precision,
                                     "train.activation_checkpoint=" + policy, "train.steps=6")
                    self.assertIn("done: 6 steps", read_text(run + "/log.txt"))
                    self.assertTrue(all(value == value for value in self.losses(run)[-1].values()
                                        if isinstance(value, float)))

    def test_exact_penalty(self):
        self.train(self.make(TINY, 8), "exact", "train.device=cuda", "loss.penalty=exact", "train.steps=3")

    def test_killed_and_resumed_is_equal_to_the_bit(self):
        config = self.make(TINY, 8)
        keys = ["train.device=cuda", "train.deterministic=true", "train.steps=200", "checkpoint.every=10",
                "checkpoint.keep_last=100", "log.every=50", "log.samples_every=0"]
        reference = self.train(config, "whole", *keys)
        process = self.start("train", config, "out=" + self.path("killed"), *keys)
        run = self.path("killed", "00000-tiny")
        until = time.monotonic() + 100
        while not os.path.exists(self.checkpoint(run, 10) + "/COMMIT"):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), until)
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.gigacat("train", "--resume", run)
        self.assertIn("going on after step", read_text(run + "/log.txt"))
        self.assert_same_weights(self.checkpoint(run, 200), self.checkpoint(reference, 200))

    def test_two_ranks_on_one_gpu_over_gloo(self):
        config, keys = self.make(TINY, 8), ["train.device=cuda", "train.steps=10", "checkpoint.every=10"]
        one = self.train(config, "one", *keys)
        self.gigacat("train", config, "out=" + self.path("two"), *keys, "train.backend=gloo", "--ranks", 2,
                     env={"CUDA_VISIBLE_DEVICES": "0"})
        self.assert_same_weights(self.checkpoint(self.path("two", "00000-tiny"), 10), self.checkpoint(one, 10), 1e-3)

    def test_more_ranks_than_gpus_are_refused(self):
        config = self.make(TINY, 8)
        done = self.gigacat("train", config, "train.device=cuda", "--ranks", 64, "train.batch=64", code=2)
        self.assertIn("has no GPU of its own", done.stderr)

    def test_ranks_that_share_a_gpu_are_told(self):
        done = self.gigacat("train", self.make(TINY, 8), "train.device=cuda", "--ranks", 2, code=2,
                            env={"CUDA_VISIBLE_DEVICES": "0"})
        self.assertIn("ranks 0 and 1 share one GPU", done.stderr)

    def test_samples_are_as_on_the_cpu(self):
        run = self.train(self.make(TINY, 8), "cpu", "train.steps=4")
        for device in ("cpu", "cuda"):
            self.gigacat("sample", run, "-o", self.path(device + ".npz"), "--seeds", "0-7", "train.device=" + device)
        with zipfile.ZipFile(self.path("cpu.npz")) as a, zipfile.ZipFile(self.path("cuda.npz")) as b:
            one, two = a.read("arr_0.npy"), b.read("arr_0.npy")
        self.assertEqual(len(one), len(two))
        self.assertLessEqual(max(abs(x - y) for x, y in zip(one, two)), 1)

    def test_images_are_enlarged_as_on_the_cpu(self):
        images, weights = image_folder(self.path("images"), per_class=2, size=40), aura_sr(self.path("aura"))
        for device in ("cpu", "cuda"):
            self.gigacat("upsample", images, "-o", self.path(device), "--weights", weights, "--device", device)
        done = self.gigacat("eval", "psnr", "--real", self.path("cpu"), "--fake", self.path("cuda"), "--json")
        self.assertGreater(float(json.loads(done.stdout)[0]["results"]["psnr"]), 50)

    def test_metrics_are_as_on_the_cpu(self):
        weights = inception_weights(self.path("inception.safetensors"))
        sides = ("--real", image_folder(self.path("real"), per_class=8, size=24),
                 "--fake", image_folder(self.path("fake"), classes=1, per_class=12, size=24))
        found = []
        for visible in ("", "0"):
            done = self.gigacat("eval", "fid", "sfid", "is", *sides, "--weights", weights, "--json", timeout=200,
                                env={"CUDA_VISIBLE_DEVICES": visible, "GIGACAT_CACHE": self.path("cache" + visible)})
            found.append({name: value for result in json.loads(done.stdout) for name, value in result["results"].items()})
        for name, value in found[0].items():
            self.assertAlmostEqual(found[1][name], value, delta=1e-4 * abs(value) + 1e-6, msg=name)

    def test_latents_are_as_on_the_cpu(self):
        images, weights = image_folder(self.path("images"), per_class=6, size=32), taesd_weights(self.path("taesd.safetensors"))
        for name, visible in (("cpu", ""), ("gpu", "0")):
            self.gigacat("data", "encode", images, self.path(name), "data.resolution=32", "autoencoder.kind=taesd",
                         "autoencoder.weights=" + weights, "encode.layout=repa", env={"CUDA_VISIBLE_DEVICES": visible})
        compared = 0
        for folder, _, names in os.walk(self.path("cpu")):
            for name in names:
                if not name.endswith(".npy"):
                    continue
                one = os.path.join(folder, name)
                two = one.replace(self.path("cpu"), self.path("gpu"))
                for x, y in zip(*(array.array("f", read_bytes(path)[128:]) for path in (one, two)), strict=True):
                    self.assertAlmostEqual(x, y, delta=1e-3)
                compared += 1
        self.assertEqual(compared, 12)


if __name__ == "__main__":
    main()
