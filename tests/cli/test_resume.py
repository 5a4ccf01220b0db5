"""Runs that are killed, stopped or damaged go on to the bit."""

import os
import random
import signal
import time

from harness import CliTest, main, read_bytes, read_text


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

    def test_nothing_to_resume(self):
        self.assertIn("no run folder", self.refused("train", "--resume", self.path("nowhere")))


if __name__ == "__main__":
    main()
