"""Latents: images are encoded, a GAN is trained on them, its samples are decoded."""

import json
import os
import re

from harness import CliTest, image_folder, main, read_bytes, read_text, taesd_weights


def png_size(path):
    data = read_bytes(path)
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


class EncodeTest(CliTest):
    def encode(self, out, *settings, **how):
        return self.gigacat("data", "encode", self.images, out, "data.resolution=32", "encode.piece=5",
                            "autoencoder.kind=taesd", "autoencoder.weights=" + self.weights, *settings, **how)

    def setUp(self):
        super().setUp()
        self.images = image_folder(self.path("images"), per_class=6, size=32)
        self.weights = taesd_weights(self.path("taesd.safetensors"))

    def test_encode_train_sample(self):
        done = self.encode(self.path("latents"))
        self.assertIn("12 latents [4, 4, 4]", done.stdout)
        hint = re.search(r"^  (data.kind=latents .*)$", done.stdout, re.M).group(1).split()
        recipe = json.loads(read_bytes(self.path("latents", "provenance.json")))
        self.assertEqual(recipe["samples"], 12)

        # Two ranks write the same files.
        self.encode(self.path("two"), "--ranks", 2)
        for name in ("latents-000000.tar", "latents-000002.tar"):
            self.assertEqual(read_bytes(self.path("latents", name)), read_bytes(self.path("two", name)))

        config = self.tiny(self.dir)
        self.gigacat("train", config, "data.resolution=0", "train.steps=3", *hint)
        run = self.run_folder(self.dir)
        grid = 2 * 96 + 2  # four samples, decoded to 32 px, each enlarged three times, with a gap
        self.assertEqual(png_size(os.path.join(run, "samples/fakes-0000003.png")), (grid, grid))
        self.gigacat("sample", run, "-o", self.path("samples"), "--count", 2)
        self.assertEqual(png_size(self.path("samples/000001.png")), (32, 32))
        settings = json.loads(read_bytes(self.path("samples/samples.json")))
        self.assertEqual(settings["autoencoder"].split()[0], "taesd")

        # The weights have moved: the error names the key, and a value of it helps.
        moved = self.path("moved.safetensors")
        os.rename(self.weights, moved)
        self.assertIn(self.weights, self.refused("sample", run, "-o", self.path("again")))
        self.gigacat("sample", run, "-o", self.path("again"), "--count", 2, "autoencoder.weights=" + moved)
        self.assertEqual(read_bytes(self.path("again/000001.png")), read_bytes(self.path("samples/000001.png")))

    def test_features_for_alignment_are_stored_beside(self):
        out = self.path("aligned")
        done = self.encode(out, "encode.features=fake", "encode.flip=true")
        hint = done.stdout.split("train on them with\n")[1].replace("'", "").split()
        self.assertIn("loss.align_dim=32", hint)
        self.gigacat("train", self.tiny(self.dir), "data.resolution=0", "train.steps=2", *hint)
        metrics = [json.loads(line) for line in read_text(os.path.join(self.run_folder(self.dir), "metrics.jsonl")).splitlines()]
        # The encoder on the stored image gives the same loss as its stored features.
        hint = [word for word in hint if not word.startswith(("data.features", "loss.align"))]
        self.gigacat("train", self.tiny(self.dir), "data.resolution=0", "train.steps=2", *hint, "loss.align=fake",
                     "loss.augment=false", "data.raw_resolution=32", "out=" + self.path("fly"))
        self.gigacat("train", self.tiny(self.dir), "data.resolution=0", "train.steps=2", *hint, "loss.align=precomputed",
                     "loss.align_dim=32", "data.features=%s/*.tar" % out, "loss.augment=false", "out=" + self.path("ahead"))
        fly, ahead = ([json.loads(line)["D/align_patch"] for line in read_text(os.path.join(run, "metrics.jsonl")).splitlines()]
                      for run in (self.path("fly/00000-tiny"), self.path("ahead/00000-tiny")))
        for a, b in zip(fly, ahead):
            self.assertAlmostEqual(a, b, places=4)
        self.assertIn("D/align_cls", metrics[0])
        self.assertIn("encode.layout", self.encode(self.path("r"), "encode.features=fake", "encode.layout=repa", code=2).stderr)
        self.assertIn("features_weights", self.encode(self.path("r"), "encode.features=dinov2-s", code=2).stderr)

    def test_images_are_not_trained_on_with_an_autoencoder(self):
        message = self.refused("train", self.tiny(self.dir), "autoencoder.kind=taesd", "autoencoder.weights=" + self.weights)
        self.assertIn("gigacat data encode", message)

    def test_refusals(self):
        self.encode(self.path("out"))
        before = read_bytes(self.path("out/provenance.json"))
        self.assertIn("flip: false -> true", self.refused("data", "encode", self.images, self.path("out"), "data.resolution=32",
                                                   "encode.piece=5", "autoencoder.kind=taesd",
                                                   "autoencoder.weights=" + self.weights, "encode.flip=true"))
        self.assertEqual(read_bytes(self.path("out/provenance.json")), before)
        self.assertIn("12 were there", self.encode(self.path("out")).stdout)
        self.assertIn("encode.layout", self.refused("data", "encode", self.images, self.path("x"), "encode.layout=zip",
                                                    "data.resolution=32"))


if __name__ == "__main__":
    main()
