"""scripts/stability on runs of seconds: steady ones, and ones made to run away."""

import csv
import os
import subprocess
import sys

from harness import BIN, SOURCE, CliTest, clean_environment, image_folder, main, read_text


class StabilityTest(CliTest):
    def stability(self, *args, code):
        command = [sys.executable, SOURCE + "/scripts/stability", "--gigacat", BIN, "--out", self.path("out"), "--threads", "1"]
        done = subprocess.run(command + list(map(str, args)), env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=250)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        with open(self.path("out", "table.csv")) as file:
            return done.stdout, list(csv.DictReader(file))

    def test_steady_runs(self):
        images = image_folder(self.path("images"), size=32)
        said, rows = self.stability("--cifar", images, "--recipes", "cat,gat", "--hidden", 16, "--depth", 4, "--batch", 4, "--patch", 8,
                                    "--steps", 10, code=0)
        self.assertEqual([(row["recipe"], row["data"]) for row in rows],
                         [("cat", "emoji"), ("cat", "cifar"), ("gat", "emoji"), ("gat", "cifar")])
        for row in rows:
            self.assertEqual((row["finite"], row["verdict"]), ("True", "steady"), row)
        self.assertIn("4 runs, 0 unstable", said)
        self.assertIn("| cat | emoji | 32 | 16 | 4 | 4 | 10 | yes |", read_text(self.path("out", "table.md")))
        before = sorted(os.listdir(self.path("out", "runs")))
        self.stability("--cifar", images, "--recipes", "cat", "--hidden", 16, "--depth", 4, "--batch", 4, "--patch", 8, "--steps", 10, code=0)
        self.assertEqual(before, sorted(os.listdir(self.path("out", "runs"))), "what stands is not run again")

    def test_a_run_made_to_run_away(self):
        _, rows = self.stability("--recipes", "cat", "--hidden", 16, "--depth", 4, "--batch", 4, "--patch", 8, "--steps", 20,
                                 "optimizer.lr=3", "loss.anchor=detached", "loss.consistency=100", code=1)
        self.assertIn(rows[0]["verdict"], ("runs away", "not finite", "D wins"), rows)


if __name__ == "__main__":
    main()
