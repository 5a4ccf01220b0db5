"""Files of other programs: torch.save, TorchScript, the official GAT code. PyTorch's part is skipped where it is absent."""

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
import unittest
import zipfile

from harness import PYTHON, CliTest, clean_environment, has_torch, main, npy, png, read_bytes, read_safetensors, read_text

GAT = """\
recipe: gat
name: tiny
seed: 3
out: {out}
data: {{path: {data}, resolution: 8, workers: 1}}
model:
  generator: {{depth: 4, hidden: 32, heads: 2, patch: 2, z_dim: 64}}
  discriminator: {{depth: 2, hidden: 32, heads: 2, patch: 2, cmap_dim: 32, projector_dim: 32}}
optimizer: {{lr: 0.0002}}
train: {{steps: 4, batch: 8, threads: 1, device: cpu}}
log: {{every: 1, samples_every: 4, sample_count: 4, plain_every: 1}}
checkpoint: {{every: 2}}
"""

TORCH = has_torch()


class ImportTest(CliTest):
    def python(self, code, *args):
        script = self.write("script.py", code)
        done = subprocess.run([PYTHON, script, *map(str, args)], capture_output=True, text=True, check=False,
                              env=clean_environment({"PYTHONPATH": ""}))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def train_gat(self):
        self.tiny(self.dir)
        with open(self.path("gat.yaml"), "w") as file:
            file.write(GAT.format(out=self.path("runs"), data=self.path("images")))
        self.gigacat("train", self.path("gat.yaml"))
        return self.run_folder(self.dir)

    def test_official_gat_there_and_back(self):
        """A run exported for the official code and imported again goes on and samples as the run itself."""
        run = self.train_gat()
        self.gigacat("export", run, "--to", "official", "-o", self.path("official.pt"))
        done = self.gigacat("import", self.path("official.pt"), "-o", self.path("imported"), "data.kind=folder",
                            "data.path=" + self.path("images"), "train.batch=8", "seed=3", "train.threads=1",
                            "train.device=cpu", "data.workers=1")
        self.assertIn("official GAT code after 4 steps", done.stdout)
        self.assertIn("x_embedder.proj.weight", done.stdout)
        imported = self.path("imported", "00000-imported-gat")
        for name in ("generator", "ema", "discriminator", "optimizer_generator", "optimizer_discriminator"):
            ours = self.checkpoint(run, 4) + "/%s.safetensors" % name
            theirs = self.checkpoint(imported, 4) + "/%s.safetensors" % name
            if name.startswith("optimizer"):
                continue  # holds an integer too
            self.assertEqual(read_safetensors(ours), read_safetensors(theirs), name)
        for folder, out in ((run, "a.npz"), (imported, "b.npz")):
            self.gigacat("sample", folder, "-o", self.path(out), "--count", 4)
        self.assertEqual(read_bytes(self.path("a.npz")), read_bytes(self.path("b.npz")))
        self.gigacat("train", "--resume", run, "train.steps=6")
        self.gigacat("train", "--resume", imported, "train.steps=6")
        for name in ("generator", "ema", "discriminator"):
            self.assertEqual(read_safetensors(self.checkpoint(run, 6) + "/%s.safetensors" % name),
                             read_safetensors(self.checkpoint(imported, 6) + "/%s.safetensors" % name), name)

    def test_exports(self):
        run = self.train_gat()
        self.gigacat("export", run, "-o", self.path("out", "g.safetensors"))
        self.gigacat("sample", self.path("out", "g.safetensors"), "-o", self.path("a.npz"), "--count", 2)
        self.gigacat("sample", run, "-o", self.path("b.npz"), "--count", 2)
        self.assertEqual(read_bytes(self.path("a.npz")), read_bytes(self.path("b.npz")))
        self.gigacat("export", run, "-o", self.path("half"), "--dtype", "float16")
        self.assertLess(os.path.getsize(self.path("half", "generator.safetensors")),
                        0.6 * os.path.getsize(self.path("out", "g.safetensors")))
        self.assertIn("official", self.refused("export", run, "-o", self.path("x"), "--to", "onnx"))
        self.gigacat("import", self.path("out", "g.safetensors"), "-o", self.path("again"))
        info = json.loads(read_text(self.path("again", "g.json")))
        self.assertEqual(info["kind"], "gat-generator")
        self.assertEqual(info["architecture"], {"depth": 4, "hidden": 32, "classes": 2})

    def test_refusals(self):
        self.assertIn("no file at", self.refused("import", self.path("absent.pt")))
        self.assertIn("neither as a zip nor as a pickle", self.refused("import", self.write("a.pt", b"\1\2\3"), code=1))
        self.assertIn("not a zip", self.refused("import", self.write("b.pt", b"PK\3\4xx"), code=1))
        run = os.path.join(self.dir, "cat")
        config = self.tiny(self.dir)
        self.gigacat("train", config, "train.steps=2", "out=" + run)
        message = self.refused("export", run + "/00000-tiny", "--to", "official", "-o", self.path("x.pt"))
        self.assertIn("only GAT", message)

    def test_other_files_are_named(self):
        """What people have under the names of weights: each is called what it is, under every ending."""
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n" % (b"0" * 64)
        with zipfile.ZipFile(self.path("arrays.npz"), "w") as arrays:
            arrays.writestr("x.npy", npy([1.0], (1,)))
        files = {
            "run git lfs pull": pointer, "an HTML page": b"<!DOCTYPE html>\n<html>", "gunzip": gzip.compress(b"weights"),
            "arrays (.npz)": read_bytes(self.path("arrays.npz")), "a pickle of Python": pickle.dumps({"a": 1}),
            "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(40), "ONNX": b"\x08\x07\x12\x07pytorch\x1a\x051.9.0" + bytes(30),
            "GGUF": b"GGUF\3\0\0\0" + bytes(40), "a PNG picture": png(2, 2, lambda x, y: (x, y, 0)), "an empty file": b"",
        }
        for number, (kind, content) in enumerate(files.items()):
            for ending in ("safetensors", "pt", "pth", "bin"):
                with self.subTest(kind=kind, ending=ending):
                    message = self.refused("import", self.write("%d.%s" % (number, ending), content), code=1)
                    self.assertIn(kind, message)
                    self.assertNotIn("header length", message)

    @unittest.skipUnless(TORCH, "needs PyTorch: set GIGACAT_TORCH_PYTHON")
    def test_files_of_torch(self):
        self.python("""
import sys, torch
torch.manual_seed(0)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(*[torch.nn.Conv2d(3 if i == 0 else 4, 4, 11 if i == 0 else 3) if i in (0, 3, 6, 8, 10)
                                              else torch.nn.ReLU() for i in range(12)])
    def forward(self, x):
        return self.features(x)
net = Net()
folder = sys.argv[1]
torch.save(net.state_dict(), folder + "/zip.pth")
torch.save(net.state_dict(), folder + "/legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "state_dict": torch.nn.DataParallel(net).state_dict()}, folder + "/wrapped.pt")
torch.save(net, folder + "/module.pt")
torch.jit.save(torch.jit.script(net), folder + "/script.pt")
sys.path.insert(0, folder)
open(folder + "/values.txt", "w").write(" ".join(repr(v) for v in net.features[3].weight.flatten().tolist()))
""", self.dir)
        wanted = [float(v) for v in read_text(self.path("values.txt")).split()]
        for name in ("zip.pth", "legacy.pth", "wrapped.pt", "module.pt", "script.pt"):
            with self.subTest(name=name):
                done = self.gigacat("import", self.path(name), "-o", self.path("out"))
                self.assertIn("AlexNet", done.stdout)
                tensors = read_safetensors(self.path("out", name.split(".")[0] + ".safetensors"))
                self.assertEqual(len(tensors), 10)
                self.assertLess(max(abs(a - b) for a, b in zip(tensors["features.3.weight"], wanted)), 1e-7)

    @unittest.skipUnless(TORCH, "needs PyTorch: set GIGACAT_TORCH_PYTHON")
    def test_hostile_pickle_is_not_executed(self):
        self.python("""
import os, sys, torch
class Bad:
    def __reduce__(self):
        return (os.system, ("touch %s/executed" % sys.argv[1],))
torch.save({"features.0.weight": torch.zeros(4, 3, 11, 11), "features.10.weight": torch.zeros(1), "bad": Bad()}, sys.argv[1] + "/bad.pt")
""", self.dir)
        self.assertIn("AlexNet", self.gigacat("import", self.path("bad.pt"), "-o", self.path("out")).stdout)
        self.assertFalse(os.path.exists(self.path("executed")))

    @unittest.skipUnless(TORCH, "needs PyTorch: set GIGACAT_TORCH_PYTHON")
    def test_torch_reads_the_official_file(self):
        run = self.train_gat()
        self.gigacat("export", run, "--to", "official", "-o", self.path("official.pt"))
        text = self.python("""
import json, sys, torch
file = torch.load(sys.argv[1], weights_only=True)
buffers = lambda name: name == "w_avg" or name.startswith("feat_rope.")
for key, optimizer in (("generator", "optG"), ("discriminator", "optD")):
    parameters = [torch.nn.Parameter(v) for k, v in file[key].items() if not buffers(k)]
    torch.optim.AdamW(parameters).load_state_dict(file[optimizer])
    for number, entry in file[optimizer]["state"].items():
        assert entry["exp_avg"].shape == parameters[number].shape, number
print(json.dumps([sorted(file), list(file["ema"])[:7], file["steps"], tuple(file["ema"]["feat_rope.freqs_cos"].shape)]))
""", self.path("official.pt"))
        keys, names, steps, rope = json.loads(text)
        self.assertEqual(keys, sorted(["args", "discriminator", "ema", "generator", "optD", "optG", "steps", "wallclock_time"]))
        self.assertEqual(names[:2], ["pos_embed", "w_avg"])
        self.assertEqual((steps, rope), (4, [16, 16]))

    @unittest.skipUnless(TORCH and os.environ.get("GIGACAT_GAT_CODE"),
                         "needs PyTorch and GIGACAT_GAT_CODE, a checkout of the official GAT code")
    def test_official_code_loads_and_agrees(self):
        run = self.train_gat()
        self.gigacat("export", run, "--to", "official", "-o", self.path("official.pt"))
        self.gigacat("sample", run, "-o", self.path("s"), "--seeds", "5", "--labels", "1")
        text = self.python("""
import sys, types, torch
sys.path.insert(0, sys.argv[2])
torch.compile = lambda *a, **k: (lambda f: f)
from models.generator import GAT
from models.discriminator import GATD
file = torch.load(sys.argv[1], weights_only=True)
common = dict(input_size=8, patch_size=2, in_channels=3, hidden_size=32, num_heads=2, num_classes=2, qk_norm=True, fused_attn=True)
g = GAT(depth=4, **common)
g.load_state_dict(file["ema"], strict=True)
d = GATD(depth=2, z_dims=[0], cmap_dim=32, **common)
d.load_state_dict(file["discriminator"], strict=True)
torch.optim.AdamW(g.parameters()).load_state_dict(file["optG"])
torch.optim.AdamW(d.parameters()).load_state_dict(file["optD"])
print("loaded", [k for k, _ in g.named_parameters()] == [k for k in file["ema"] if k != "w_avg" and not k.startswith("feat_rope")],
      [k for k, _ in d.named_parameters()] == [k for k in file["discriminator"] if not k.startswith("feat_rope")])
torch.save({"generator": g.state_dict(), "discriminator": d.state_dict(), "ema": g.state_dict(), "optG": file["optG"],
            "optD": file["optD"], "args": types.SimpleNamespace(batch_size=8, R1_gamma=0.2), "steps": 4}, sys.argv[3])
""", self.path("official.pt"), os.environ["GIGACAT_GAT_CODE"], self.path("theirs.pt"))
        self.assertIn("loaded True True", text)
        self.gigacat("import", self.path("theirs.pt"), "-o", self.path("imported"))
        imported = self.path("imported", "00000-imported-gat")
        self.gigacat("sample", imported, "-o", self.path("t"), "--seeds", "5", "--labels", "1")
        self.assertEqual(read_bytes(self.path("s", "000000.png")), read_bytes(self.path("t", "000000.png")))
        config = read_text(os.path.join(imported, "config.yaml"))
        self.assertIn("gamma_r1: 0.2", config)


if __name__ == "__main__":
    main()
