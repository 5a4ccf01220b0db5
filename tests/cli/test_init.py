"""New runs that begin with the weights of another, for every recipe."""

import json
import os
import shutil

from harness import TINY, CliTest, image_folder, main, read_safetensors, read_text

GIGAGAN = """\
recipe: gigagan
name: tiny
out: {out}
data: {{kind: emoji, path: {data}, resolution: 16, captions: true, labels: false, workers: 1}}
model:
  text: {{width: 16, layers: 1, heads: 2, length: 6, vocabulary: 64, prompts: [red heart, blue heart]}}
  generator: {{z_dim: 8, w_dim: 16, mapping_layers: 1, channel_base: 128, channel_max: 8, blocks: [1, 1, 1], bank: [1, 1, 2],
    attention: [0, 1, 0]}}
  discriminator: {{channel_base: 128, channel_max: 8, blocks: [1, 1, 1], attention: [8], head_layers: 1}}
train: {{steps: 2, batch: 4, threads: 1, device: cpu}}
log: {{sample_count: 4}}
"""


class InitTest(CliTest):
    def begin(self, config, source, *extra):
        """A run of one step in which nothing is learned, from `source`: its folder and init.json."""
        out = self.path("fine-%d" % len(os.listdir(self.dir)))
        self.gigacat("train", config, "train.init=" + source, "optimizer.lr=0", "train.steps=1", "out=" + out, *extra)
        run = os.path.join(out, "00000-tiny")
        return run, json.loads(read_text(run + "/init.json"))

    def assert_taken(self, run, source, step, record):
        """The networks of `run` are the averaged generator and the discriminator of `source`."""
        for network, there, here in (("generator", "ema", "generator"), ("generator", "ema", "ema"),
                                     ("discriminator", "discriminator", "discriminator")):
            self.assertEqual([record[network]["drawn"], record[network]["left"]], [[], []])
            left = read_safetensors(self.checkpoint(source, step) + "/%s.safetensors" % there)
            right = read_safetensors(self.checkpoint(run, 1) + "/%s.safetensors" % here)
            self.assertEqual(sorted(left), sorted(record[network]["taken"]))
            for name, values in left.items():
                if not name.endswith("w_avg"):  # follows each step's styles
                    self.assertEqual(values, right[name], "%s of the %s" % (name, here))

    def test_every_recipe_takes_all_of_its_own_weights(self):
        images = image_folder(self.path("images"))
        emoji = self.path("emoji")
        self.gigacat("data", "emoji", emoji, "size=16", "shard_size=4000")
        cat = TINY.format(out=self.path("runs"), data=images)
        for recipe, text in (("cat", cat), ("gat", cat.replace("recipe: cat", "recipe: gat")),
                             ("gigagan", GIGAGAN.format(out=self.path("runs"), data=emoji))):
            shutil.rmtree(self.path("runs"), ignore_errors=True)
            config = self.write(recipe + ".yaml", text)
            self.gigacat("train", config, "train.steps=2")
            source = self.run_folder(self.dir)
            run, record = self.begin(config, source)
            self.assert_taken(run, source, 2, record)
        shutil.rmtree(self.path("runs"))
        source = self.tiny_upsampler(self.dir)
        run, record = self.begin(self.path("upsampler.yaml"), source, "checkpoint.every=1")
        self.assert_taken(run, source, 4, record)

    def test_classes_by_name_on_two_ranks_and_from_a_file(self):
        config = self.tiny(self.dir)
        self.gigacat("train", config, "train.steps=2")
        source = self.run_folder(self.dir)
        ema = read_safetensors(self.checkpoint(source, 2) + "/ema.safetensors")
        other = image_folder(self.path("other"), classes=3)
        os.rename(other + "/class0", other + "/zebra")  # class1, class2, zebra: class1 is row 0 now
        run, record = self.begin(config, source, "data.path=" + other, "--ranks", "2")
        self.assertEqual(record["generator"]["rows"], ["w_avg", "y_embedder.embedding_table.weight"])
        got = read_safetensors(self.checkpoint(run, 1) + "/generator.safetensors")
        table = record["generator"]["rows"][1]
        width = len(ema[table]) // 2
        self.assertEqual(got[table][:width], ema[table][width:])
        self.assertNotIn(ema[table][:width], (got[table][width:2 * width],
                                                            got[table][2 * width:]))

        weights = self.checkpoint(source, 2) + "/ema.safetensors"
        _, record = self.begin(config, weights)  # a generator alone: the discriminator stays as it was drawn
        self.assertEqual([record["generator"]["drawn"], record["discriminator"]["taken"]], [[], []])

        before = read_text(run + "/init.json")
        shutil.rmtree(source)  # a run that goes on does not look for it
        self.gigacat("train", "--resume", run, "train.steps=2")
        self.assertEqual(read_text(run + "/init.json"), before)

    def test_what_does_not_fit_is_refused(self):
        config = self.tiny(self.dir)
        for words in ((), ("--dry-run",)):
            said = self.refused("train", config, "train.init=" + self.path("nowhere"), *words)
            self.assertIn("train.init: " + self.path("nowhere"), said)
        self.assertFalse(os.path.exists(self.path("runs")))
        self.assertIn("none of the", self.refused("train", config, "train.init=" + self.tiny_upsampler(self.dir)))
        self.assertEqual(os.listdir(self.path("runs", "00001-tiny", "checkpoints")), [])


if __name__ == "__main__":
    main()
