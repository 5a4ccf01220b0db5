"""Runs that are killed, stopped or damaged go on to the bit."""

import json
import os
import random
import signal
import time

from harness import CliTest, image_folder, main, read_bytes, read_text


class ResumeTest(CliTest):
    STEPS = 100  # enough that a run does not end before the test has seen its first checkpoint

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = cls.tiny(cls.shared)
        cls.gigacat("train", cls.config, *cls.keys("reference"))
        cls.reference = cls.checkpoint(cls.shared + "/reference/00000-tiny", cls.STEPS)

    @classmethod
    def keys(cls, out):
        return ["out=%s/%s" % (cls.shared, out), "train.steps=%d" % cls.STEPS, "checkpoint.every=5",
                "checkpoint.keep_last=100", "log.samples_every=20"]

    def wait_for(self, process, path):
        """Until `path` is there; fails when the process ends before."""
        until = time.monotonic() + 60
        while not os.path.exists(path):
            if process.poll() is not None:
                self.fail("ended with %d\n%s" % (process.returncode, process.communicate()[1]))
            self.assertLess(time.monotonic(), until, "no " + path)
            time.sleep(0.005)

    def start_until(self, out, step, *extra):
        """Starts a run and returns process and run folder once the checkpoint of `step` is there."""
        run = "%s/%s/00000-tiny" % (self.shared, out)
        process = self.start("train", self.config, *self.keys(out), *extra)
        self.wait_for(process, self.checkpoint(run, step) + "/COMMIT")
        return process, run

    def test_killed_at_any_moment(self):
        draw = random.Random()
        run = self.shared + "/killed/00000-tiny"
        words, kills = ["train", self.config, *self.keys("killed")], 0
        while not os.path.exists(self.checkpoint(run, self.STEPS)):
            process = self.start(*words)
            if not os.path.exists(run + "/config.yaml"):
                self.wait_for(process, self.checkpoint(run, 5) + "/COMMIT")
                words = ["train", "--resume", run]
            if kills < 4:
                time.sleep(draw.uniform(0, 1.5))
                process.kill()
                kills += 1
            _, errors = process.communicate(timeout=100)
            self.assertIn(process.returncode, (0, -signal.SIGKILL), errors)
        self.gigacat("train", "--resume", run)
        self.assert_same_weights(self.checkpoint(run, self.STEPS), self.reference)
        steps = [line.split('"step":')[1].split(",")[0] for line in read_text(run + "/metrics.jsonl").splitlines()]
        self.assertEqual(len(steps), len(set(steps)), "each step stands once in metrics.jsonl")

    def test_signals_leave_a_checkpoint_and_a_code(self):
        for name, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 85)):
            with self.subTest(signal=name):
                process, run = self.start_until(name.name, 5)
                process.send_signal(name)
                _, errors = process.communicate(timeout=60)
                self.assertEqual(process.returncode, code, errors)
                steps = sorted(os.listdir(run + "/checkpoints"))
                self.assertTrue(os.path.exists("%s/checkpoints/%s/COMMIT" % (run, steps[-1])), steps)
                self.gigacat("train", "--resume", run)
                self.assert_same_weights(self.checkpoint(run, self.STEPS), self.reference)

    def test_damaged_checkpoint_gives_way_to_the_one_before(self):
        process, run = self.start_until("damaged", 15)
        process.kill()
        process.communicate()
        newest = "%s/checkpoints/%s" % (run, sorted(n for n in os.listdir(run + "/checkpoints") if n[0] == "s")[-1])
        path = newest + "/generator.safetensors"
        content = bytearray(read_bytes(path))
        content[len(content) // 2] ^= 1
        with open(path, "wb") as file:
            file.write(content)
        done = self.gigacat("train", "--resume", run)
        self.assertIn(os.path.basename(newest), done.stderr)
        self.assertIn("generator.safetensors", read_text(run + "/log.txt"))
        self.assert_same_weights(self.checkpoint(run, self.STEPS), self.reference)

    def test_a_run_has_one_process(self):
        process, run = self.start_until("busy", 5, "train.steps=1000000")
        try:
            self.assertIn("in use", self.refused("train", "--resume", run))
        finally:
            process.kill()
            process.communicate()

    def test_a_config_that_differs_is_refused(self):
        process, run = self.start_until("differs", 5)
        process.kill()
        process.communicate()
        message = self.refused("train", "--resume", run, "optimizer.lr=0.001")
        self.assertIn("optimizer.lr", message)
        self.assertIn("0.001", message)
        self.assertIn("train.batch", self.refused("train", self.config, *self.keys("differs"), "train.batch=4", "--resume", run))
        self.gigacat("train", "--resume", run, "optimizer.lr=0.001", "--allow", "optimizer.lr", "train.steps=20")
        self.assertTrue(os.path.exists(self.checkpoint(run, 20)))

    def test_a_longer_run_is_the_same_run(self):
        out = self.shared + "/longer"
        self.gigacat("train", self.config, *self.keys("longer"), "train.steps=10")
        self.gigacat("train", "--resume", out + "/00000-tiny", "train.steps=%d" % self.STEPS)
        self.assert_same_weights(self.checkpoint(out + "/00000-tiny", self.STEPS), self.reference)

    def test_a_list_of_keys_to_allow(self):
        _, run = self.finished("allow")
        change = ["optimizer.lr=0.001", "train.batch=4", "train.steps=12"]
        message = self.refused("train", "--resume", run, *change)
        flag = message.split("add: ")[1].split()
        self.assertEqual(sorted(flag[1].split(",")), ["optimizer.lr", "train.batch"])
        self.gigacat("train", "--resume", run, *change, *flag)
        starts = json.loads(read_text(run + "/run.json"))["starts"]
        self.assertEqual([start["step"] for start in starts], [0, 10])
        self.assertIn("train.batch: 8 -> 4", starts[1]["changes"])

    def finished(self, out):
        """A run of ten steps: its folder of runs and its own."""
        self.gigacat("train", self.config, *self.keys(out), "train.steps=10")
        return "%s/%s" % (self.shared, out), "%s/%s/00000-tiny" % (self.shared, out)

    def test_latest(self):
        keys = self.keys("latest")
        first = self.gigacat("train", self.config, *keys, "train.steps=5", "--resume", "latest")
        self.assertIn("a new one begins", first.stderr)
        self.gigacat("train", self.config, *keys, "train.steps=10", "--resume", "latest")
        self.gigacat("train", "--resume", "latest", keys[0], "train.steps=%d" % self.STEPS)
        self.assertEqual(os.listdir(self.shared + "/latest"), ["00000-tiny"])
        self.assert_same_weights(self.checkpoint(self.shared + "/latest/00000-tiny", self.STEPS), self.reference)
        self.assertIn("no run in", self.refused("train", "--resume", "latest", "out=" + self.path("none")))

    def test_a_checkpoint_is_never_trained_in(self):
        out, run = self.finished("branch")
        checkpoint = self.checkpoint(run, 10)
        before = {name: read_bytes(checkpoint + "/" + name) for name in os.listdir(checkpoint)}
        self.gigacat("train", "--resume", checkpoint, "train.steps=%d" % self.STEPS)
        self.assertEqual(before, {name: read_bytes(checkpoint + "/" + name) for name in os.listdir(checkpoint)})
        self.assertEqual(sorted(os.listdir(out)), ["00000-tiny", "00001-tiny"])
        self.assert_same_weights(self.checkpoint(out + "/00001-tiny", self.STEPS), self.reference)

    def test_nothing_to_do(self):
        _, run = self.finished("done")
        for steps in (10, 5):
            done = self.gigacat("train", "--resume", run, "train.steps=%d" % steps)
            self.assertIn("nothing to do: the run has taken 10 of train.steps=%d steps" % steps, done.stderr)
        self.assertEqual(len(read_text(run + "/metrics.jsonl").splitlines()), 10)

    def test_the_same_data_elsewhere(self):
        folder = self.path("data")
        config = self.tiny(folder) if os.makedirs(folder) is None else None
        runs = folder + "/runs"
        text = read_text(config).replace(folder + "/images", "images").replace(runs, "runs")
        relative = self.write("data/relative.yaml", text)
        keys = ["train.steps=4", "checkpoint.every=4"]
        self.gigacat("train", relative, *keys, "train.steps=8", cwd=folder)
        self.gigacat("train", relative, *keys, cwd=folder)
        run = runs + "/00001-tiny"
        message = self.gigacat("train", "--resume", run, "train.steps=8", cwd=self.dir, code=2).stderr
        self.assertIn("data.path: there is nothing at images (looked for %s/images" % self.dir, message)
        os.rename(folder + "/images", folder + "/pictures")
        image_folder(folder + "/images", per_class=13)
        message = self.refused("train", "--resume", run, "train.steps=8", "data.path=" + folder + "/images")
        self.assertIn("the data set is not the one", message)
        self.gigacat("train", "--resume", run, "train.steps=8", "data.path=" + folder + "/pictures")
        self.assert_same_weights(self.checkpoint(run, 8), self.checkpoint(runs + "/00000-tiny", 8))

    def test_nothing_to_resume(self):
        self.assertIn("no run folder", self.refused("train", "--resume", self.path("nowhere")))


if __name__ == "__main__":
    main()
