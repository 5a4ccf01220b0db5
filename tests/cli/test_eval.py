"""Metrics from the command line, with Inception weights drawn here: the network's size is fixed, its weights are not."""

import array
import json
import math
import os
import random
import shutil
import struct

from harness import CliTest, image_folder, main, read_bytes, read_text

# Convolutions of the FID Inception: name, input channels, output channels, kernel height, kernel width.
STEM = [("Conv2d_1a_3x3", 3, 32, 3, 3), ("Conv2d_2a_3x3", 32, 32, 3, 3), ("Conv2d_2b_3x3", 32, 64, 3, 3),
        ("Conv2d_3b_1x1", 64, 80, 1, 1), ("Conv2d_4a_3x3", 80, 192, 3, 3)]


def block_a(name, width, pool):
    return [(name + ".branch1x1", width, 64, 1, 1), (name + ".branch5x5_1", width, 48, 1, 1),
            (name + ".branch5x5_2", 48, 64, 5, 5), (name + ".branch3x3dbl_1", width, 64, 1, 1),
            (name + ".branch3x3dbl_2", 64, 96, 3, 3), (name + ".branch3x3dbl_3", 96, 96, 3, 3),
            (name + ".branch_pool", width, pool, 1, 1)]


def block_c(name, c):
    return [(name + ".branch1x1", 768, 192, 1, 1), (name + ".branch7x7_1", 768, c, 1, 1),
            (name + ".branch7x7_2", c, c, 1, 7), (name + ".branch7x7_3", c, 192, 7, 1),
            (name + ".branch7x7dbl_1", 768, c, 1, 1), (name + ".branch7x7dbl_2", c, c, 7, 1),
            (name + ".branch7x7dbl_3", c, c, 1, 7), (name + ".branch7x7dbl_4", c, c, 7, 1),
            (name + ".branch7x7dbl_5", c, 192, 1, 7), (name + ".branch_pool", 768, 192, 1, 1)]


def block_e(name, width):
    return [(name + ".branch1x1", width, 320, 1, 1), (name + ".branch3x3_1", width, 384, 1, 1),
            (name + ".branch3x3_2a", 384, 384, 1, 3), (name + ".branch3x3_2b", 384, 384, 3, 1),
            (name + ".branch3x3dbl_1", width, 448, 1, 1), (name + ".branch3x3dbl_2", 448, 384, 3, 3),
            (name + ".branch3x3dbl_3a", 384, 384, 1, 3), (name + ".branch3x3dbl_3b", 384, 384, 3, 1),
            (name + ".branch_pool", width, 192, 1, 1)]


CONVOLUTIONS = (
    STEM + block_a("Mixed_5b", 192, 32) + block_a("Mixed_5c", 256, 64) + block_a("Mixed_5d", 288, 64) +
    [("Mixed_6a.branch3x3", 288, 384, 3, 3), ("Mixed_6a.branch3x3dbl_1", 288, 64, 1, 1),
     ("Mixed_6a.branch3x3dbl_2", 64, 96, 3, 3), ("Mixed_6a.branch3x3dbl_3", 96, 96, 3, 3)] +
    block_c("Mixed_6b", 128) + block_c("Mixed_6c", 160) + block_c("Mixed_6d", 160) + block_c("Mixed_6e", 192) +
    [("Mixed_7a.branch3x3_1", 768, 192, 1, 1), ("Mixed_7a.branch3x3_2", 192, 320, 3, 3),
     ("Mixed_7a.branch7x7x3_1", 768, 192, 1, 1), ("Mixed_7a.branch7x7x3_2", 192, 192, 1, 7),
     ("Mixed_7a.branch7x7x3_3", 192, 192, 7, 1), ("Mixed_7a.branch7x7x3_4", 192, 192, 3, 3)] +
    block_e("Mixed_7b", 1280) + block_e("Mixed_7c", 2048))


def noise(draw, count, deviation):
    """`count` values of one deviation: a drawn block, repeated at random offsets."""
    block = noise.block
    if len(block) == 0:
        block.extend(draw.gauss(0, 1) for _ in range(4099))
    values = array.array("f", (v * deviation for v in block))
    begin = draw.randrange(4099)
    whole = values[begin:] + values[:begin]
    return (whole * (count // 4099 + 1))[:count]


noise.block = []


def inception_weights(path, fault=None):
    draw = random.Random(7)
    tensors = {}
    for name, inputs, outputs, height, width in CONVOLUTIONS:
        count = inputs * height * width
        tensors[name + ".conv.weight"] = ((outputs, inputs, height, width),
                                          noise(draw, outputs * count, math.sqrt(2 / count)))
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            tensors[name + ".bn." + part] = ((outputs,), array.array("f", [value]) * outputs)
    tensors["fc.weight"] = ((1008, 2048), noise(draw, 1008 * 2048, 0.05))
    tensors["fc.bias"] = ((1008,), array.array("f", [0]) * 1008)
    if fault == "nan":
        tensors["fc.weight"][1][5] = tensors["Conv2d_1a_3x3.bn.bias"][1][0] = math.nan
    if fault == "missing":
        del tensors["Mixed_7c.branch1x1.conv.weight"]
    return write_safetensors(path, tensors)


def write_safetensors(path, tensors):
    """`tensors`: name -> (shape, array of floats)."""
    header, offset = {}, 0
    for name, (shape, values) in sorted(tensors.items()):
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * len(values)]}
        offset += 4 * len(values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            tensors[name][1].tofile(file)
    return path


def clip_weights(path, width=64, size=64, patch=16):
    """An image tower of CLIP of one block, by Hugging Face's names, and a text tower as small."""
    draw, tensors = random.Random(8), {}

    def add(name, *shape, deviation=0.2, mean=0.0):
        tensors[name] = (shape, array.array("f", (v + mean for v in noise(draw, math.prod(shape), deviation))))

    for tower in ("vision_model", "text_model"):
        block = tower + ".encoder.layers.0."
        for part in ("k", "v", "q", "out"):
            add(block + "self_attn.%s_proj.weight" % part, width, width)
            add(block + "self_attn.%s_proj.bias" % part, width)
        for norm in ("layer_norm1", "layer_norm2"):
            add(block + norm + ".weight", width, mean=1)
            add(block + norm + ".bias", width)
        add(block + "mlp.fc1.weight", 2 * width, width)
        add(block + "mlp.fc1.bias", 2 * width)
        add(block + "mlp.fc2.weight", width, 2 * width)
        add(block + "mlp.fc2.bias", width)
    for norm in ("vision_model.pre_layrnorm", "vision_model.post_layernorm", "text_model.final_layer_norm"):
        add(norm + ".weight", width, mean=1)
        add(norm + ".bias", width)
    add("vision_model.embeddings.class_embedding", width)
    add("vision_model.embeddings.patch_embedding.weight", width, 3, patch, patch)
    add("vision_model.embeddings.position_embedding.weight", 1 + (size // patch) ** 2, width)
    add("text_model.embeddings.token_embedding.weight", 99, width)
    add("text_model.embeddings.position_embedding.weight", 20, width)
    add("visual_projection.weight", 32, width)
    add("text_projection.weight", 32, width)
    tensors["logit_scale"] = ((), array.array("f", [2.6592]))
    return write_safetensors(path, tensors)


def lpips_weights(backbone, heads):
    """AlexNet's convolutions by torchvision's names, and the heads of lpips."""
    draw, tensors, weights = random.Random(9), {}, {}
    for k, (place, inputs, outputs, kernel) in enumerate(((0, 3, 64, 11), (3, 64, 192, 5), (6, 192, 384, 3),
                                                          (8, 384, 256, 3), (10, 256, 256, 3))):
        count = inputs * kernel * kernel
        tensors["features.%d.weight" % place] = ((outputs, inputs, kernel, kernel),
                                                 noise(draw, outputs * count, math.sqrt(2 / count)))
        tensors["features.%d.bias" % place] = ((outputs,), array.array("f", [0]) * outputs)
        weights["lin%d.model.1.weight" % k] = ((1, outputs, 1, 1), array.array("f", [1 / outputs]) * outputs)
    write_safetensors(backbone, tensors)
    write_safetensors(heads, weights)


class EvalTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weights = inception_weights(os.path.join(cls.shared, "inception.safetensors"))
        cls.real = image_folder(os.path.join(cls.shared, "real"), per_class=4, size=24)
        cls.fake = image_folder(os.path.join(cls.shared, "fake"), classes=1, per_class=7, size=24)
        cls.cache = os.path.join(cls.shared, "cache")

    def eval(self, *words, code=0, weights=True):
        flags = ("--weights", self.weights) if weights else ()
        return self.gigacat("eval", *words, *flags, code=code, env={"GIGACAT_CACHE": self.cache}, timeout=280)

    def results(self, *words):
        out, merged = self.path("out.json"), {}
        self.eval(*words, "-o", out)
        for result in json.loads(read_text(out)):
            merged.update(result["results"])
        return merged

    def test_one_rank_and_two_agree(self):
        words = ("fid", "sfid", "is", "pr", "dc", "diversity", "--real", self.real, "--fake", self.fake, "--batch", 4)
        one, two = self.results(*words), self.results(*words, "--ranks", 2)
        self.assertEqual(json.loads(self.eval("psnr", "--real", self.real, "--fake", self.real, "--json").stdout)[0]["metric"],
                         "psnr")
        self.assertEqual(one.keys(), two.keys())
        self.assertIn("precision", one)
        for name, value in one.items():
            self.assertAlmostEqual(two[name], value, delta=1e-6 * abs(value) + 1e-12, msg=name)
        self.assertGreater(one["fid"], 0)

    def test_statistics_stand_for_the_images(self):
        stats = self.path("real.npz")
        self.gigacat("data", "stats", self.real, "-o", stats, "--weights", self.weights, timeout=280)
        fid = self.results("fid", "--real", self.real, "--fake", self.fake)["fid"]
        done = self.eval("fid", "--real", stats, "--fake", self.fake)
        self.assertRegex(done.stdout, r"^fid [\d.]+  protocol adm  real 8 of .*real.npz  fake 7 of .*  inception [0-9a-f]{8}")
        self.assertIn("does not compare with that of 50000", done.stderr)
        again = self.results("fid", "--real", stats, "--fake", self.fake)["fid"]
        self.assertAlmostEqual(again, fid, delta=1e-6 * fid)
        self.assertIn("from the cache", self.eval("fid", "--real", self.real, "--fake", self.fake).stderr)
        self.assertIn("protocol adm, not clean", self.eval("fid", "--real", stats, "--fake", self.fake, "--protocol", "clean",
                                                           code=2).stderr)
        # Two files of statistics need no network.
        alone = self.gigacat("eval", "fid", "--real", stats, "--fake", stats, "--json", env={"GIGACAT_CACHE": self.path("none")})
        self.assertLess(abs(json.loads(alone.stdout)[0]["results"]["fid"]), 1e-4)
        self.assertIn("holds statistics", self.eval("kid", "--real", stats, "--fake", self.fake, code=2).stderr)

    def test_a_run_is_sampled_and_told_of_its_score(self):
        config = self.tiny(self.dir)
        self.gigacat("train", config, "train.steps=2")
        run = self.run_folder(self.dir)
        out = self.path("result.json")
        done = self.eval("fid", "is", "--real", self.real, "--fake", run, "--num", 8, "--truncation", 0.7, "-o", out)
        self.assertIn("truncation 0.7", done.stdout)
        result = json.loads(read_text(out))[0]
        self.assertEqual(result["fake_images"], 8)
        self.assertEqual(result["description"]["truncation"], "0.7")
        lines = [json.loads(line) for line in read_text(os.path.join(run, "metrics.jsonl")).splitlines()]
        self.assertEqual([line["eval"]["metric"] for line in lines if "eval" in line], ["fid", "is"])
        self.assertEqual(lines[-1]["step"], 2)
        # The same images from files give the same number.
        self.gigacat("sample", run, "-o", self.path("samples"), "--count", 8, "--truncation", 0.7)
        fid = self.results("fid", "--real", self.real, "--fake", self.path("samples"))["fid"]
        self.assertAlmostEqual(fid, result["results"]["fid"], delta=1e-5 * fid)
        self.assertIn("--num", self.eval("fid", "--real", self.real, "--fake", run, code=2).stderr)
        self.gigacat("train", "--resume", run, "train.steps=4")

    def test_trajectory_of_a_generator(self):
        config = self.tiny(self.dir)
        self.gigacat("train", config, "train.steps=2")
        run = self.run_folder(self.dir)
        figures = self.results("trajectory", "--fake", run, "--num", 24)
        self.assertEqual(sorted(figures), ["direction", "discrepancy", "rewrite"])
        self.assertGreater(figures["rewrite"], 0)
        two = self.path("two.json")
        self.gigacat("eval", "trajectory", "--fake", run, "--num", 24, "-o", two, "--ranks", 2)
        for name, value in json.loads(read_text(two))[0]["results"].items():
            self.assertAlmostEqual(value, figures[name], places=5)
        self.assertIn("generator with stages", self.eval("trajectory", "--fake", self.fake, code=2).stderr)

    def test_training_measures_and_keeps_the_best(self):
        config = self.tiny(self.dir, per_class=4)
        words = ("eval.every=2", "eval.samples=8", "eval.weights=[%s]" % self.weights, "eval.metrics=[fid, is]",
                 "train.steps=4", "optimizer.lr=0.002", "eval.truncation=[1, 0.5]")
        env = {"GIGACAT_CACHE": self.path("cache")}
        self.gigacat("train", config, *words, env=env, timeout=280)
        run = self.run_folder(self.dir)
        lines = [json.loads(line) for line in read_text(os.path.join(run, "metrics.jsonl")).splitlines()]
        scores = [(line["step"], line["eval"]["metric"]) for line in lines if "eval" in line]
        self.assertEqual(scores, [(2, "fid"), (2, "is")] * 2 + [(4, "fid"), (4, "is")] * 2)
        figures = {(line["step"], name): value for line in lines for name, value in line.get("eval", {}).get("results", {}).items()}
        fids = {step: figures[step, "fid"] for step in (2, 4)}
        self.assertNotEqual(figures[4, "fid@0.5"], fids[4])
        best = json.loads(read_text(os.path.join(run, "best.json")))
        self.assertEqual((best["metric"], best["value"]), ("fid", min(fids.values())))
        self.assertEqual(fids[best["step"]], best["value"])
        kept = os.path.join(run, "best")
        self.assertEqual(read_bytes(os.path.join(kept, "ema.safetensors")),
                         read_bytes(os.path.join(self.checkpoint(run, best["step"]), "ema.safetensors")))
        self.gigacat("sample", kept, "-o", self.path("samples"), "--count", 2)
        # Two ranks give the same scores, and a resumed run knows what it has to beat.
        self.gigacat("train", config, *words, "train.steps=2", "--ranks", 2, env=env, timeout=280)
        both = [json.loads(line) for line in read_text(os.path.join(self.run_folder(self.dir, 1), "metrics.jsonl")).splitlines()]
        two = [line["eval"]["results"]["fid"] for line in both if "fid" in line.get("eval", {}).get("results", {})]
        self.assertAlmostEqual(two[0], fids[2], delta=1e-3 * fids[2])
        self.gigacat("train", "--resume", run, *words, "train.steps=5", env=env, timeout=280)
        self.assertLessEqual(json.loads(read_text(os.path.join(run, "best.json")))["value"], best["value"])
        self.assertIn("eval.metrics", self.refused("train", config, "eval.every=1", "eval.metrics=[fidd]"))
        self.assertIn("no weights of inception", self.refused("train", config, "eval.every=1", env=env))

    def test_pairs_need_no_network(self):
        for name in ("a", "b"):
            image_folder(self.path(name), size=16)
        done = self.eval("psnr", "ssim", "--real", self.path("a"), "--fake", self.path("b"), weights=False)
        self.assertRegex(done.stdout, r"psnr inf .*\nssim 1 ")
        os.remove(self.path("a", "class0", "003.png"))
        self.assertIn("class0/003 has no partner",
                      self.eval("psnr", "--real", self.path("a"), "--fake", self.path("b"), weights=False, code=1).stderr)

    def test_clip_networks(self):
        clip = clip_weights(self.path("clip.safetensors"))
        words = ("fid-clip", "cmmd", "--real", self.real, "--weights", "clip=" + clip, "--weights", "clip-l14=" + clip)
        apart = self.results(*words, "--fake", self.fake)
        self.assertGreater(apart["fid-clip"], 0)
        self.assertGreater(apart["cmmd"], 0)
        same = self.results(*words, "--fake", self.real)
        self.assertLess(abs(same["fid-clip"]), 1e-6 * apart["fid-clip"] + 1e-4)
        self.assertLess(abs(same["cmmd"]), 1e-6)
        self.assertIn("no weights of clip:", self.eval("fid-clip", "--real", self.real, "--fake", self.fake, code=2).stderr)
        said = self.eval("clip", "--fake", self.fake, "--weights", "clip=" + clip, code=1).stderr
        self.assertIn("000.txt", said)

    def test_lpips(self):
        for name, size in (("a", 64), ("b", 64)):
            image_folder(self.path(name), per_class=2, size=size)
        shutil.copy(self.path("b", "class0", "000.png"), self.path("b", "class1", "001.png"))
        backbone, heads = self.path("alex.safetensors"), self.path("heads.safetensors")
        lpips_weights(backbone, heads)
        words = ("lpips", "psnr", "--weights", "lpips=" + backbone, "--weights", "lpips-heads=" + heads)
        self.assertEqual(self.results(*words, "--real", self.path("a"), "--fake", self.path("a"))["lpips"], 0)
        apart = self.results(*words, "--real", self.path("a"), "--fake", self.path("b"))
        self.assertGreater(apart["lpips"], 1e-4)

    def test_warnings(self):
        folder = image_folder(self.path("odd"), per_class=2, size=12)
        shutil.copy(os.path.join(folder, "class0", "000.png"), os.path.join(folder, "class0", "zzz.png"))
        other = image_folder(self.path("other"), classes=1, per_class=1, size=10)
        shutil.move(os.path.join(other, "class0", "000.png"), os.path.join(folder, "class1", "zzz.png"))
        said = self.eval("is", "--fake", folder).stderr
        self.assertIn("images are equal to another", said)
        self.assertIn("from 10x10 to 12x12", said)

    def test_refusals(self):
        real, fake = ("--real", self.real), ("--fake", self.fake)
        self.assertIn("did you mean fid", self.eval("fidd", *real, *fake, code=2).stderr)
        self.assertIn("--real", self.eval("fid", *fake, code=2).stderr)
        self.assertIn("--fake", self.eval("fid", *real, code=2).stderr)
        self.assertIn("known: adm", self.eval("fid", *real, *fake, "--protocol", "best", code=2).stderr)
        self.assertIn("no weights of inception", self.eval("fid", *real, *fake, weights=False, code=2).stderr)
        self.assertIn("there is nothing at", self.eval("fid", "--real", self.path("no"), *fake, code=2).stderr)
        self.assertIn("7 images, not 9", self.eval("is", *fake, "--num", 9, code=2).stderr)
        self.assertIn("smaller than a patch", self.eval("patch-fid", *real, *fake, code=1).stderr)
        self.assertIn("no network", self.eval("is", *fake, "--weights", "vgg=x", code=2).stderr)

    def test_weights_that_do_not_fit(self):
        broken = inception_weights(self.path("broken.safetensors"), "missing")
        said = self.gigacat("eval", "is", "--fake", self.fake, "--weights", broken, code=1).stderr
        self.assertIn("Mixed_7c.branch1x1", said)
        nan = inception_weights(self.path("nan.safetensors"), "nan")
        said = self.gigacat("eval", "is", "--fake", self.fake, "--weights", nan, code=1).stderr
        self.assertIn("not finite", said)
        self.write("image.png", read_bytes(os.path.join(self.real, "class0", "000.png")))
        os.makedirs(self.path("bad"))
        self.write("bad/x.png", b"no image")
        self.assertIn("x.png", self.eval("is", "--fake", self.path("bad"), code=1).stderr)


if __name__ == "__main__":
    main()
