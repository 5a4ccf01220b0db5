"""Exported generators in other programs: TorchScript, the Hugging Face folder, ONNX. Python needs PyTorch for most of it."""

import json
import os
import subprocess
import sys
import unittest

from harness import CliTest, clean_environment, main, read_text

# GIGACAT_TORCH_PYTHON: an interpreter that has PyTorch and safetensors, where the one that runs the tests has not.
PYTHON = os.environ.get("GIGACAT_TORCH_PYTHON", sys.executable)
TEXT = """\
recipe: gigagan
name: tiny
out: {out}
data: {{path: {data}, resolution: 16, workers: 1, captions: true, labels: false}}
model:
  text: {{width: 16, layers: 1, heads: 2, length: 6, vocabulary: 64, prompts: [red heart, "Blue CIRCLE, small"]}}
  generator: {{z_dim: 8, w_dim: 16, mapping_layers: 2, channel_base: 256, channel_max: 16, blocks: [1, 1, 1],
              bank: [1, 2, 2], attention: [0, 1, 0], head_dim: 8}}
  discriminator: {{channel_base: 256, channel_max: 16, blocks: [1, 1, 1], attention: [8], head_dim: 8}}
train: {{steps: 2, batch: 4, threads: 1, device: cpu}}
log: {{every: 1, samples_every: 2, sample_count: 2, plain_every: 1}}
checkpoint: {{every: 2}}
"""


def has(modules):
    return subprocess.run([PYTHON, "-c", "import " + modules], capture_output=True, check=False).returncode == 0


TORCH = has("torch, safetensors")

COMPARE = """
import sys, numpy, torch
sys.path.insert(0, sys.argv[1])
from gigacat_generator import Generator
generator, script = Generator(), torch.jit.load(sys.argv[2]).eval()
conditions, psi = sys.argv[4].split(";"), float(sys.argv[5])
drawn = numpy.load(sys.argv[3])["arr_0"].astype(int)
count = len(drawn)
told = generator.inputs_of([conditions[i % len(conditions)] for i in range(count)])
with torch.no_grad():
    z = generator.latents(7, range(count))
    images = generator(z, *told, truncation=psi)
    alone = generator(z[1:2], *[t[1:2] for t in told], truncation=psi)
    scripted = script(z, *told, psi)
bytes_ = ((images + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy().astype(int)
assert drawn.std() > 1, "the samples are flat"
print("script", float((images - scripted).abs().max()), "alone", float((images[1:2] - alone).abs().max()),
      "drawn", abs(bytes_ - drawn).max(), len(dict(script.named_parameters())))
"""

ONNX = """
import subprocess, sys, numpy, onnxruntime, torch
sys.path.insert(0, sys.argv[1])
from gigacat_generator import Generator
generator, session = Generator(), onnxruntime.InferenceSession(sys.argv[2])
worst = 0
for count in (1, 5):
    z, told = generator.latents(3, range(count)), generator.inputs_of([str(i % 2) for i in range(count)])
    with torch.no_grad():
        wanted = generator(z, *told).numpy()
    got = session.run(None, {"z": z.numpy(), "labels": told[0].numpy()})[0]
    worst = max(worst, abs(got - wanted).max())
print("onnx", worst)
"""


class ExportTest(CliTest):
    def python(self, code, *args):
        done = subprocess.run([PYTHON, self.write("script.py", code), *map(str, args)], capture_output=True, text=True,
                              check=False, env=clean_environment({"PYTHONPATH": ""}))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def trained(self, config=None):
        """A short run whose learning rate is high enough to give samples that differ."""
        path = self.tiny(self.dir, size=16) if config else self.tiny(self.dir)
        if config:
            for label, caption in enumerate(("red heart", "blue circle")):
                folder = self.path("images", "class%d" % label)
                for name in os.listdir(folder):
                    with open(os.path.join(folder, name[:-4] + ".txt"), "w") as file:
                        file.write(caption)
            path = self.write("text.yaml", config.format(out=self.path("runs"), data=self.path("images")))
        self.gigacat("train", path, "optimizer.lr=0.01", "optimizer.warmup=0", "optimizer.ema=0.5")
        return self.run_folder(self.dir)

    def compare(self, run, conditions, psi, flags):
        """The folder's Python, the TorchScript file and `gigacat sample` draw the same images of the same latents."""
        self.gigacat("export", run, "--to", "huggingface", "-o", self.path("hub"), "--license", "cc0-1.0")
        self.gigacat("export", run, "--to", "torchscript", "-o", self.path("g.pt"))
        self.gigacat("sample", run, "-o", self.path("s.npz"), "--count", 5, "--seed", 7, "--truncation", psi, *flags)
        words = self.python(COMPARE, self.path("hub"), self.path("g.pt"), self.path("s.npz"), conditions, psi)
        self.assertLess(float(words[1]), 1e-5)
        self.assertLess(float(words[3]), 1e-5)
        self.assertLessEqual(int(words[5]), 1)
        self.assertGreater(int(words[6]), 20)

    def test_card_says_what_the_run_was(self):
        run = self.trained()
        self.gigacat("export", run, "--to", "huggingface", "-o", self.path("hub"), "--license", "cc0-1.0")
        card = read_text(self.path("hub", "README.md"))
        for words in ("license: cc0-1.0", "# tiny", "| training steps | 6 |", "| images seen | 48 |", "| weights | float32, moving average |",
                      "| classes | 2: class0, class1 |", "gigacat_generator.py 0 1 --seed 0",
                      "| data | images (24 samples, 2 classes) |", "None were measured"):
            self.assertIn(words, card)
        self.gigacat("sample", self.path("hub", "model.safetensors"), "-o", self.path("a.npz"), "--count", 2, "--class", "class1")
        self.assertEqual(json.loads(read_text(self.path("hub", "config.json")))["class_names"], ["class0", "class1"])

    @unittest.skipUnless(TORCH, "needs PyTorch and safetensors: set GIGACAT_TORCH_PYTHON")
    def test_python_draws_the_same_images(self):
        run = self.trained()
        self.compare(run, "0;1", 1.0, [])
        self.compare(run, "0;1", 0.5, [])
        done = subprocess.run([PYTHON, self.path("hub", "gigacat_generator.py"), "class1", "0", "--out", self.path("png")],
                              capture_output=True, text=True, check=False, env=clean_environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(os.listdir(self.path("png"))), ["000000.png", "000001.png"])
        self.assertLess(len(read_text(self.path("hub", "gigacat_generator.py")).splitlines()), 200)

    @unittest.skipUnless(TORCH, "needs PyTorch and safetensors: set GIGACAT_TORCH_PYTHON")
    def test_python_draws_the_same_images_of_captions(self):
        run = self.trained(TEXT)
        self.compare(run, "red heart;Blue CIRCLE, small", 1.0, [])
        self.compare(run, "red heart;Blue CIRCLE, small", 0.5, [])

    @unittest.skipUnless(has("torch, safetensors, onnx, onnxruntime"),
                         "needs PyTorch, safetensors, onnx and onnxruntime: set GIGACAT_TORCH_PYTHON")
    def test_onnx_gives_the_same_images(self):
        run = self.trained()
        self.gigacat("export", run, "--to", "huggingface", "-o", self.path("hub"))
        done = subprocess.run([PYTHON, self.path("hub", "gigacat_generator.py"), "0", "1", "--onnx", self.path("g.onnx")],
                              capture_output=True, text=True, check=False, env=clean_environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(float(self.python(ONNX, self.path("hub"), self.path("g.onnx"))[1]), 1e-5)


if __name__ == "__main__":
    main()
