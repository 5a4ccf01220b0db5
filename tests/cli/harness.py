"""Runs the program as a user does. Standard library only.

GIGACAT_BIN names the program, GIGACAT_SOURCE the source tree; ctest sets both.
"""

import array
import io
import json
import os
import re
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zlib

BIN = os.environ["GIGACAT_BIN"]
SOURCE = os.environ["GIGACAT_SOURCE"]
# GIGACAT_TORCH_PYTHON: an interpreter that has PyTorch, where the one that runs the tests has not.
PYTHON = os.environ.get("GIGACAT_TORCH_PYTHON", sys.executable)

# Smallest CAT that still has every part: it steps in milliseconds.
TINY = """\
recipe: cat
name: tiny
seed: 3
out: {out}
data: {{path: {data}, resolution: 8, workers: 1}}
model:
  generator: {{depth: 4, hidden: 32, heads: 2, patch: 2, z_dim: 16}}
  discriminator: {{depth: 2, hidden: 32, heads: 2, patch: 2, cmap_dim: 32, projector_dim: 32}}
train: {{steps: 6, batch: 8, threads: 1, device: cpu}}
log: {{every: 1, samples_every: 3, sample_count: 4, plain_every: 1}}
checkpoint: {{every: 2}}
"""

# Smallest upsampler: 8 px become 32.
TINY_UPSAMPLER = """\
recipe: upsampler
name: tiny
out: {out}
data: {{path: {data}, resolution: 32, labels: false, crop: window, workers: 1}}
model:
  noise: 0
  text: {{width: 8, layers: 1, heads: 1, length: 4, vocabulary: 16}}
  generator: {{z_dim: 4, w_dim: 8, mapping_layers: 1, channel_base: 256, channel_max: 8, down: 1, bank_up: 2, attention: [1], head_dim: 8}}
  discriminator: {{channel_base: 256, channel_max: 8, blocks: [1, 1, 1, 1], attention: [8], head_dim: 8, head_layers: 1}}
loss: {{lpips: 0, pixel: 10}}
train: {{steps: 4, batch: 4, threads: 1, device: cpu}}
log: {{every: 1, samples_every: 2, sample_count: 4, plain_every: 1}}
checkpoint: {{every: 2}}
"""

# What launchers set; a test that runs inside such a job must not pass it on.
LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def png(width, height, pixel):
    """PNG bytes of an RGB image; `pixel(x, y)` gives its three values."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_tar(path, members):
    """`members`: name -> bytes."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def image_folder(path, classes=2, per_class=12, size=8):
    """class/file.png with a colour for each class and a gradient for each file."""
    for label in range(classes):
        folder = os.path.join(path, "class%d" % label)
        os.makedirs(folder)
        for i in range(per_class):
            def pixel(x, y, label=label, i=i):
                return ((40 + 180 * label) % 256, (x * 255 // size + 9 * i) % 256, (y * 255 // size + 5 * i) % 256)
            with open(os.path.join(folder, "%03d.png" % i), "wb") as file:
                file.write(png(size, size, pixel))
    return path


def npy(values, shape):
    """.npy bytes of float32 values."""
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + array.array("f", values).tobytes()


def latent_folder(path, count=4, channels=4, size=32):
    """Latents in the layout of guided-diffusion and REPA: moments of 2C channels, labels in dataset.json."""
    folder = os.path.join(path, "vae-sd", "00000")
    os.makedirs(folder)
    draw = random.Random(5)
    labels = []
    for i in range(count):
        shape = (2 * channels, size, size)
        values = [draw.gauss(0, 1) for _ in range(channels * size * size)] + [-4.0] * (channels * size * size)
        name = "00000/img-mean-std-%08d.npy" % i
        with open(os.path.join(path, "vae-sd", name), "wb") as file:
            file.write(npy(values, shape))
        labels.append([name, i])
    with open(os.path.join(path, "vae-sd", "dataset.json"), "w") as file:
        json.dump({"labels": labels}, file)
    return path


def read_safetensors(path):
    """name -> array of floats, of a float32 file."""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", (name, entry["dtype"])
        begin, end = entry["data_offsets"]
        values = array.array("f")
        values.frombytes(data[8 + length + begin:8 + length + end])
        tensors[name] = values
    return tensors


def write_safetensors(path, tensors):
    """`tensors`: name -> (shape, array of floats)."""
    header, parts, offset = {}, [], 0
    for name, (shape, values) in sorted(tensors.items()):
        size = 4 * len(values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        parts.append(values.tobytes())
        offset += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
    return path


def golden_weights(path, case):
    """Random weights of the names, shapes and scales of a golden case."""
    draw = random.Random(7)
    noise = [draw.uniform(-1, 1) for _ in range(4093)]
    tensors = {}
    for entry in case["weights"]:
        count = 1
        for side in entry["shape"]:
            count *= side
        scaled = array.array("f", [entry["offset"] + entry["scale"] * value for value in noise])
        tensors[entry["name"]] = (entry["shape"], (scaled * (count // len(scaled) + 1))[:count])
    return write_safetensors(path, tensors)


def golden_case(name):
    with open(os.path.join(SOURCE, "tests/golden/cases", name, "case.json")) as file:
        return json.load(file)


def taesd_weights(path):
    """A TAESD with random weights."""
    return golden_weights(path, golden_case("eval/taesd_formula"))


def aura_sr(folder):
    """A small AuraSR with random weights: its folder."""
    os.makedirs(folder)
    case = golden_case("gigagan/aura_sr_small")
    golden_weights(os.path.join(folder, "model.safetensors"), case)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(case["config"]["constructor"], file)
    return folder


def has_torch():
    return subprocess.run([PYTHON, "-c", "import torch"], capture_output=True, check=False).returncode == 0


def png_chunks(data):
    """(kind, body) of each chunk of a PNG."""
    at, chunks = 8, []
    while at < len(data):
        size = struct.unpack(">I", data[at:at + 4])[0]
        chunks.append((data[at + 4:at + 8], data[at + 8:at + 8 + size]))
        at += 12 + size
    return chunks


def png_texts(path):
    """Keys and values of the texts (tEXt and iTXt that is not packed) of a PNG file."""
    texts = {}
    for kind, body in png_chunks(read_bytes(path)):
        key, _, rest = body.partition(b"\0")
        if kind == b"tEXt":
            texts[key.decode("latin-1")] = rest.decode("latin-1")
        elif kind == b"iTXt":
            texts[key.decode("latin-1")] = rest[2:].split(b"\0", 2)[2].decode()
    return texts


def png_pixels(path):
    """What two PNG files of equal pixels have in common, whatever their texts say."""
    return [chunk for chunk in png_chunks(read_bytes(path)) if chunk[0] not in (b"tEXt", b"iTXt", b"zTXt")]


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def read_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def last_values(args):
    """Arguments of which the last KEY=VALUE of a key stays: the program refuses a key that is given twice."""
    words = [str(word) for word in args]
    keys = [match[1] if (match := re.match(r"([a-z_]+(?:\.[a-z_0-9]+)*)=", word)) else None for word in words]
    last = {key: at for at, key in enumerate(keys)}
    return [word for at, (word, key) in enumerate(zip(words, keys)) if key is None or last[key] == at]


def clean_environment(extra=None):
    env = {key: value for key, value in os.environ.items()
           if key not in LAUNCHER_VARIABLES and not key.startswith(("SLURM_", "OMPI_", "TORCHELASTIC_"))}
    env["OMP_NUM_THREADS"] = "1"
    env.update(extra or {})
    return env


class CliTest(unittest.TestCase):
    """A folder of its own, and `gigacat(...)` that checks the exit code."""

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="gigacat-cli-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared, ignore_errors=True)

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.shared)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
        return path

    @staticmethod
    def start(*args, env=None, cwd=None):
        return subprocess.Popen([BIN, *last_values(args)], env=clean_environment(env), cwd=cwd, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @classmethod
    def gigacat(cls, *args, code=0, env=None, cwd=None, timeout=100):
        """Runs the program; returns it with stdout and stderr once its exit code is `code`."""
        words = last_values(args) if code == 0 else [str(word) for word in args]
        done = subprocess.run([BIN, *words], env=clean_environment(env), cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if done.returncode != code:
            raise AssertionError("gigacat %s: exit code %d, not %d\n%s\n%s" % (
                " ".join(map(str, args)), done.returncode, code, done.stdout, done.stderr))
        return done

    def refused(self, *args, code=2, env=None):
        """stderr of a command that must fail; every line of the failure begins with "error: "."""
        done = self.gigacat(*args, code=code, env=env)
        self.assertIn("error: ", done.stderr)
        self.assertNotIn("terminate called", done.stderr)
        return done.stderr

    @classmethod
    def tiny(cls, folder, **images):
        """Makes a data set and a config in `folder`; returns the config's path. Runs go to folder/runs."""
        data = os.path.join(folder, "images")
        if not os.path.exists(data):
            image_folder(data, **images)
        config = os.path.join(folder, "tiny.yaml")
        with open(config, "w") as file:
            file.write(TINY.format(out=os.path.join(folder, "runs"), data=data))
        return config

    @classmethod
    def tiny_upsampler(cls, folder):
        """Trains a small upsampler on images of 40 px in `folder`; returns its run."""
        data = image_folder(os.path.join(folder, "pictures"), per_class=4, size=40)
        config = os.path.join(folder, "upsampler.yaml")
        with open(config, "w") as file:
            file.write(TINY_UPSAMPLER.format(out=os.path.join(folder, "runs"), data=data))
        cls.gigacat("train", config)
        return cls.run_folder(folder)

    @staticmethod
    def run_folder(folder, number=0):
        return os.path.join(folder, "runs", "%05d-tiny" % number)

    @staticmethod
    def checkpoint(run, step):
        return os.path.join(run, "checkpoints", "step-%07d" % step)

    def assert_same_weights(self, a, b, tolerance=0.0):
        """Tensor files of two checkpoints: equal bytes, or values within a relative tolerance of each tensor's largest."""
        names = sorted(name for name in os.listdir(a) if name.endswith(".safetensors"))
        self.assertIn("generator.safetensors", names)
        self.assertEqual(names, sorted(name for name in os.listdir(b) if name.endswith(".safetensors")))
        for name in names:
            one, two = os.path.join(a, name), os.path.join(b, name)
            if tolerance == 0:
                self.assertEqual(read_bytes(one), read_bytes(two), name)
                continue
            if name.startswith("optimizer"):
                continue
            left, right = read_safetensors(one), read_safetensors(two)
            self.assertEqual(left.keys(), right.keys())
            for key, values in left.items():
                if key == "final_layer.1.bias":
                    continue  # its gradient is zero in exact arithmetic: Adam makes whole steps of what rounding leaves
                scale = max(max(map(abs, values)), 1e-3)
                worst = max(abs(x - y) for x, y in zip(values, right[key]))
                self.assertLessEqual(worst, tolerance * scale, "%s in %s" % (key, name))


def main():
    unittest.main(verbosity=2, argv=sys.argv)
