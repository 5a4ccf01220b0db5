"""The quickstart in small: emoji -> train -> sample, and a second run beside the first."""

import os

from harness import CliTest, main, read_bytes


class QuickstartTest(CliTest):
    def test_emoji_train_sample(self):
        emoji = self.path("emoji")
        said = self.gigacat("data", "emoji", emoji, "size=16").stdout
        self.assertRegex(said, r"\d{4} images of \d+ classes")
        self.assertTrue(os.path.exists(emoji + "/provenance.json"))
        again = self.gigacat("data", "emoji", emoji, "size=16")
        self.assertEqual(said, again.stdout, "a complete set is kept")

        config = self.tiny(self.dir)
        keys = ["data.path=" + emoji, "data.kind=emoji", "data.resolution=16", "train.steps=4"]
        self.gigacat("train", config, *keys)
        run = self.run_folder(self.dir)
        self.assertTrue(os.path.exists(self.checkpoint(run, 4) + "/COMMIT"))

        grid = self.path("grid.png")
        said = self.gigacat("sample", run, "-o", grid, "--labels", "0-3", "--count", 8, "--truncation", 0.7).stdout
        self.assertIn("8 samples of " + self.checkpoint(run, 4), said)
        self.assertTrue(read_bytes(grid).startswith(b"\x89PNG"))

        first = read_bytes(run + "/config.yaml")
        self.gigacat("train", config, *keys, "seed=9")
        self.assertEqual(read_bytes(run + "/config.yaml"), first)
        self.assertTrue(os.path.exists(self.run_folder(self.dir, 1) + "/config.yaml"), "a new run has a new folder")

    def test_emoji_settings_are_checked(self):
        self.assertIn("size", self.refused("data", "emoji", self.path("e"), "sise=16"))
        self.assertIn("skin_tones", self.refused("data", "emoji", self.path("e"), "skin_tones=blue"))
        message = self.refused("data", "emoji", self.path("e"), "font=/nowhere.ttf")
        self.assertIn("/nowhere.ttf", message)
        self.assertFalse(os.path.exists(self.path("e")))


if __name__ == "__main__":
    main()
