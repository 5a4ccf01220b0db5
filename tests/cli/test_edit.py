"""gigacat edit, and samples of a model of text."""

import os

from harness import CliTest, main, png, png_texts, read_bytes, read_text
from weights import lpips_weights


class TextModelTest(CliTest):
    def model(self, *settings):
        """The run folder of a tiny GigaGAN after two steps on emoji."""
        if not os.path.exists(self.path("emoji")):
            self.gigacat("data", "emoji", self.path("emoji"), "size=16", "shard_size=4000")
        out = self.path("runs%d" % len(os.listdir(self.dir)))
        self.gigacat(
            "train", self.write("tiny.yaml", """
recipe: gigagan
data: {kind: emoji, path: %s, resolution: 16, captions: true, labels: false, workers: 1}
model:
  text: {width: 16, layers: 1, heads: 2, length: 6, vocabulary: 64, prompts: [red heart, blue heart]}
  generator: {z_dim: 8, w_dim: 16, mapping_layers: 1, channel_base: 128, channel_max: 8, blocks: [1, 1, 1], bank: [1, 1, 2],
    attention: [0, 1, 0]}
  discriminator: {channel_base: 128, channel_max: 8, blocks: [1, 1, 1], attention: [8], head_layers: 1}
train: {steps: 2, batch: 4}
log: {sample_count: 4}
out: %s
""" % (self.path("emoji"), out)), *settings)
        return os.path.join(out, os.listdir(out)[0])

    def test_a_resumed_run_ends_at_the_same_weights(self):
        whole, half = self.model("train.steps=4"), self.model()
        self.gigacat("train", "--resume", half, "train.steps=4")
        self.assert_same_weights(self.checkpoint(whole, 4), self.checkpoint(half, 4))
        with self.assertRaisesRegex(AssertionError, "2 samples at once, no multiple of the 4"):
            self.model("train.steps=4", "--ranks", "2")
        two = self.model("train.steps=4", "train.batch=8", "--ranks", "2")
        self.gigacat("sample", two, "-o", self.path("x.png"), "--prompt", "red heart", "--count", 2)

    def test_features_of_captions_are_made_ahead(self):
        fly = self.model("model.text.encoder=fake", "loss.encoder=fake", "loss.clip=0.5")
        words = ("data", "encode", self.path("emoji"), self.path("text"), "--text", "text.encoder=fake", "text.type=fp32",
                 "text.piece=700")
        done = self.gigacat(*words)
        self.assertIn("captions of 1870 samples", done.stdout)
        self.assertEqual(self.gigacat(*words).stdout.split(" (")[0], done.stdout.split(" (")[0])
        self.assertIn("type: ", self.refused(*words[:-2], "text.piece=700"))
        two = self.path("two")
        self.gigacat(*words[:3], two, *words[4:], "--ranks", 2)
        self.assertEqual(sorted(os.listdir(two)), ["provenance.json"] + ["text-%06d.safetensors" % i for i in range(3)])
        for name in os.listdir(two):
            self.assertEqual(read_bytes(os.path.join(two, name)), read_bytes(os.path.join(self.path("text"), name)))
        hint = done.stdout.split("train on them with\n")[1].split()
        ahead = self.model(*hint, "loss.encoder=fake", "loss.clip=0.5")
        self.assert_same_weights(*(self.checkpoint(run, 2) for run in (fly, ahead)))
        # A caption that is not stored.
        out = self.path("x.png")
        self.gigacat("sample", ahead, "-o", out, "--prompt", "words that no emoji has", "--count", 2)

    def test_samples_and_edits(self):
        run = self.model()
        out = self.path("out.png")
        self.gigacat("sample", run, "-o", out, "--prompt", "red heart", "--prompt", "a cat", "--count", 4)
        width, height = (int.from_bytes(read_bytes(out)[16 + at:20 + at], "big") for at in (0, 4))
        self.assertEqual(height, 2 * 96 + 2)  # a row for each prompt
        self.assertGreater(width, 2 * 16 + 2 + 30)  # with its caption
        prompts = self.write("prompts.txt", "one\n\n two \n")
        self.gigacat("sample", run, "-o", self.path("list"), "--prompts", prompts, "--count", 4, "--truncation", 0.7)
        listed = read_text(os.path.join(self.path("list"), "samples.json"))
        self.assertIn('"two"', listed)
        self.assertNotIn('"labels"', listed)
        self.assertEqual(png_texts(os.path.join(self.path("list"), "000001.png"))["prompt"], "two")
        red, blue = ("--prompt", "red heart"), ("--prompt", "blue heart")
        for words, shape in ((("interpolate",) + red + blue + ("--steps", 3, "--seeds", "0,1"), "2 x 3"),
                             (("interpolate",) + red + ("--steps", 3, "--seeds", "0-2"), "2 x 3"),
                             (("style-mix",) + red + ("--seeds", "0,1", "--columns", "2-4"), "2 x 3"),
                             (("prompt-mix",) + red + blue + ("--seeds", "0"), "1 x 4"),
                             (("truncation",) + red + ("--psi", "1,0.5"), "4 x 2")):
            with self.subTest(words=words):
                done = self.gigacat("edit", words[0], run, "-o", out, *words[1:])
                self.assertIn(shape, done.stdout)
                self.assertEqual(read_bytes(out)[:8], b"\x89PNG\r\n\x1a\n")
        texts = png_texts(out)
        self.assertEqual((texts["edit"], texts["prompts"], texts["truncation"]), ("truncation", "red heart", "1,0.5"))
        moving = self.path("out.webp")
        self.gigacat("edit", "interpolate", run, "-o", moving, *red, *blue, "--steps", 3)
        data = read_bytes(moving)
        self.assertEqual((data[:4], data[8:16], data.count(b"ANMF")), (b"RIFF", b"WEBPVP8X", 4))
        self.assertEqual(int.from_bytes(data[4:8], "little") + 8, len(data))

    def test_prompts_reach_the_upsampler(self):
        run = self.model()
        self.gigacat("data", "emoji", self.path("large"), "size=32", "shard_size=4000", "only=[red,blue]")
        self.tiny_upsampler(self.dir)
        self.gigacat("train", self.path("upsampler.yaml"), "data.kind=emoji", "data.path=" + self.path("large"), "data.crop=adm",
                     "data.captions=true", "model.conditioned=true", "optimizer.lr=0.02")
        upsampler, out = self.run_folder(self.dir, 1), self.path("out.png")
        self.gigacat("sample", run, "-o", out, "--prompt", "red heart", "--prompt", "a cat", "--count", 4, "--upsampler", upsampler)
        self.assertEqual(int.from_bytes(read_bytes(out)[20:24], "big"), 2 * 128 + 2)
        small = self.write("small.png", png(8, 8, lambda x, y: (30 * x, 30 * y, 9)))
        made = []
        for prompt in ("red heart", "blue heart"):
            self.gigacat("upsample", small, "-o", out, "--weights", upsampler, "--prompt", prompt)
            made.append(read_bytes(out))
        self.assertNotEqual(*made)

    def test_projection(self):
        run = self.model()
        image = self.write("photo.png", png(20, 24, lambda x, y: (250, 10 * x, 5)))
        style = self.path("photo.safetensors")
        words = ("edit", "project", run, image, "-o", style, "--steps", 20)
        done = self.gigacat(*words, "--prompt", "red heart")
        near, far = (float(part.split()[-1]) for part in done.stdout.rsplit("distance ", 1)[1].split(", of the mean style's image"))
        self.assertLess(near, far)
        self.assertEqual(read_bytes(self.path("photo.found.png"))[:8], b"\x89PNG\r\n\x1a\n")
        first = read_bytes(style)
        self.gigacat(*words, "--prompt", "red heart")
        self.assertEqual(first, read_bytes(style))
        backbone, heads = self.path("alex.safetensors"), self.path("heads.safetensors")
        lpips_weights(backbone, heads)
        done = self.gigacat(*words, "--prompt", "red heart", "--lpips", backbone + "," + heads)
        self.assertNotEqual(first, read_bytes(style))
        self.gigacat(*words, "--prompt", "red heart")
        other = self.path("other.safetensors")
        self.gigacat("edit", "project", run, image, "-o", other, "--steps", 3, "--each-layer", "--seed", 2)
        out = self.path("out.png")
        both = ("--styles", style, "--styles", other)
        for what, more, shape in (("interpolate", ("--styles", style, "--styles", style, "--steps", 3), "1 x 3"),
                                  ("style-mix", both + ("--columns", "4,5"), None),
                                  ("prompt-mix", ("--styles", style, "--prompt", "a", "--prompt", "b"), "1 x 4"),
                                  ("truncation", ("--styles", style, "--psi", "1,0"), "1 x 2")):
            with self.subTest(what=what):
                if shape is None:
                    self.assertIn("layers", self.refused("edit", what, run, "-o", out, *more))
                else:
                    self.assertIn(shape, self.gigacat("edit", what, run, "-o", out, *more).stdout)
        weights = os.path.join(run, "checkpoints", os.listdir(os.path.join(run, "checkpoints"))[-1], "ema.safetensors")
        self.assertIn("holds no style", self.refused("edit", "truncation", run, "-o", out, "--styles", weights, code=1))

    def test_refusals(self):
        run = self.model()
        out = self.path("out.png")
        self.assertIn("two", self.refused("edit", "prompt-mix", run, "-o", out, "--prompt", "red heart"))
        self.assertIn("0..3", self.refused("edit", "style-mix", run, "-o", out, "--prompt", "a", "--crossover", 4))
        self.assertIn(".png", self.refused("edit", "truncation", run, "-o", self.path("out.webp"), "--prompt", "a"))
        for words in (("sample", run, "-o", out), ("edit", "truncation", run, "-o", out), ("eval", "fid", "--fake", run, "--num", 4)):
            self.assertIn("model of text", self.refused(*words, "--class", "1"))
        self.assertNotIn("classes", self.gigacat("info", run).stdout)
        self.assertNotIn("class", self.gigacat("train", os.path.join(run, "config.yaml"), "--dry-run").stdout)
        self.assertIn("no caption", self.refused("sample", run, "-o", out, "--prompts", self.write("none.txt", "\n")))


if __name__ == "__main__":
    main()
