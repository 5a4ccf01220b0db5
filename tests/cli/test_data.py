"""Data sets are counted and shown; broken files are survived, up to a share of them."""

import os
import subprocess
import sys

from harness import BIN, SOURCE, CliTest, clean_environment, image_folder, main, npy, png, read_bytes, read_text, write_tar


def spoil(folder, count):
    """Breaks `count` files in different ways."""
    files = sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    for i, path in enumerate(files[::2][:count]):
        content = read_bytes(path)
        with open(path, "wb") as file:
            file.write((b"", content[:40], b"not an image", content[:-20])[i % 4])
    return files[::2][:count]


class InspectTest(CliTest):
    def test_counts_sizes_and_sheet(self):
        images = image_folder(self.path("images"), classes=3, per_class=5)
        text = self.gigacat("data", "inspect", images, "--sheet", self.path("sheet.png"), "data.resolution=8").stdout
        self.assertIn("samples: 15 (15 labelled, 0 with a caption)", text)
        self.assertIn("classes: 3", text)
        self.assertIn("8x8", text)
        self.assertIn("bad: 0", text)
        self.assertTrue(read_bytes(self.path("sheet.png")).startswith(b"\x89PNG"))

    def test_emoji_of_some_words(self):
        out = self.path("emoji")
        self.gigacat("data", "emoji", out, "size=16", "only=[red,green]")
        found = self.gigacat("data", "inspect", out, "data.captions=true").stdout
        count = int(found.split("samples: ")[1].split()[0])
        self.assertTrue(20 < count < 60, found)
        self.assertIn('"only":["red","green"]', found.replace(" ", "").replace("\n", ""))
        self.assertIn("no emoji", self.refused("data", "emoji", out, "only=[Red]"))

    def test_bad_files_are_named(self):
        images = image_folder(self.path("images"))
        bad = spoil(images, 4)
        text = self.gigacat("data", "inspect", images).stdout
        self.assertIn("bad: 4", text)
        for path in bad:
            self.assertIn(os.path.basename(path), text)

    def test_config_and_refusals(self):
        config = self.tiny(self.dir)
        self.assertIn("samples: 24", self.gigacat("data", "inspect", config).stdout)
        self.assertIn("nowhere", self.refused("data", "inspect", self.path("nowhere")))
        os.makedirs(self.path("empty"))
        self.refused("data", "inspect", self.path("empty"))
        self.refused("data", "inspect", config, "--limit", "-1")


class OwnDataTest(CliTest):
    """Data sets as people have them (webdataset#237, torchvision#109, clean-fid#52)."""

    def test_unquoted_patterns_are_explained(self):
        for number in range(2):
            write_tar(self.path("%d.tar" % number), {"0.png": png(4, 4, lambda x, y: (x, y, 0))})
        config = self.tiny(self.dir)
        shards = [self.path("0.tar"), self.path("1.tar")]
        said = self.refused("train", config, *["data.path=" + shard for shard in shards])
        self.assertIn("data.path is given twice", said)
        self.assertIn("put quotes around a pattern", said)
        self.assertIn("put quotes around a pattern", self.refused("data", "inspect", *shards))
        said = self.refused("config", "show", config, "train.batch=8", "train.batch=16")
        self.assertIn("train.batch is given twice, as 8 and as 16: give it once", said)
        self.assertIn("samples: 2", self.gigacat("data", "inspect", self.path("{0..1}.tar")).stdout)

    def test_what_it_was_taken_for_and_what_was_left_out(self):
        picture = png(4, 4, lambda x, y: (x, y, 0))
        write_tar(self.path("0.tar"), {"photo 2.5.png": picture, "photo 2.5.txt": b"a photo", "a.gif": b"GIF89a"})
        done = self.gigacat("data", "inspect", self.path("0.tar"), "data.captions=true")
        self.assertIn("taken for: 1 WebDataset shards of images", done.stdout)
        self.assertIn("samples: 1 (0 labelled, 1 with a caption)", done.stdout)
        self.assertRegex(done.stdout, r"left out: pictures that end in .gif.*: 1, such as 0.tar/a.gif")
        self.assertIn("left out", done.stderr)
        with open(self.path("unit.npy"), "wb") as file:
            file.write(npy([0.25] * 96, (2, 3, 4, 4)))
        done = self.gigacat("data", "inspect", self.path("unit.npy"))
        self.assertIn("taken for: float32 [2, 3, 4, 4] in [0, 1], channels first: images of 4x4, not latents", done.stdout)

    def test_paths(self):
        image_folder(self.path("home", "pictures"))
        image_folder(self.path("images"))
        self.write("c.yaml", "recipe: cat\ndata: {path: images, resolution: 8}\n")
        self.assertIn("samples: 24", self.gigacat("data", "inspect", self.path("c.yaml")).stdout)
        environment = clean_environment({"HOME": self.path("home")})
        done = subprocess.run([BIN, "data", "inspect", self.path("c.yaml"), "data.path=~/pictures"], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertIn("samples: 24", done.stdout, done.stderr)
        self.assertIn("looked for " + os.getcwd(), self.refused("data", "inspect", "no/such"))


class LargeIndexTest(CliTest):
    def test_the_measurement(self):
        done = subprocess.run([sys.executable, SOURCE + "/scripts/measure_index.py", "--samples", "12000", "--folder", self.dir,
                               "--gigacat", BIN], env=clean_environment(), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"all, index from the cache +\d")
        self.assertEqual(os.listdir(self.dir), [])


class BrokenDataTest(CliTest):
    def train(self, bad, fraction, code):
        config = self.tiny(self.dir, per_class=40)
        spoil(self.path("images"), bad)
        return self.gigacat("train", config, "train.steps=20", "data.max_bad_fraction=%s" % fraction, "log.samples_every=0",
                            code=code)

    def test_few_are_skipped_and_named(self):
        done = self.train(bad=4, fraction=0.2, code=0)
        log = read_text(self.run_folder(self.dir) + "/log.txt")
        self.assertIn("class0", log)
        self.assertRegex(done.stderr, r"(?i)bad|cannot|skip")

    def test_too_many_end_the_run(self):
        done = self.train(bad=38, fraction=0.05, code=1)
        self.assertIn("error: ", done.stderr)
        self.assertIn("max_bad_fraction", done.stderr)


if __name__ == "__main__":
    main()
