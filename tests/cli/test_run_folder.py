"""A run explains itself: everything it makes is in its folder, in formats that other tools read."""

import json
import os
import subprocess
import sys
import time

from harness import BIN, SOURCE, CliTest, main, read_bytes, read_text

BUILD = os.environ.get("GIGACAT_BUILD", os.path.dirname(os.path.dirname(BIN)))


def tensorboard_python():
    """An interpreter with the tensorboard package, in a venv made once; None where no registry can be reached."""
    folder = os.path.join(BUILD, "tensorboard-venv")
    python = os.path.join(folder, "bin", "python")
    have = [python, "-c", "import tensorboard.backend.event_processing.event_accumulator"]
    if os.path.exists(python) and subprocess.run(have, capture_output=True).returncode == 0:
        return python
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    install = [python, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15", "tensorboard<3"]
    return python if subprocess.run(install, capture_output=True, timeout=200).returncode == 0 else None


class RunFolderTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done = cls.gigacat("train", cls.tiny(cls.shared), "checkpoint.keep_last=2")
        cls.the_run = cls.run_folder(cls.shared)

    def test_files(self):
        names = sorted(os.listdir(self.the_run))
        for name in ("checkpoints", "config.yaml", "log.txt", "metrics.jsonl", "run.json", "samples"):
            self.assertIn(name, names)
        self.assertEqual(len([name for name in names if name.startswith("events.out.tfevents.")]), 1)

    def test_curves_of_a_run_that_was_killed(self):
        python = tensorboard_python()
        if python is None:
            self.skipTest("no tensorboard package and no registry to take it from")
        run = self.path("runs/00000-tiny")
        process = self.start("train", self.tiny(self.dir), "train.steps=100000", "checkpoint.every=20")
        while not (os.path.exists(run + "/metrics.jsonl") and len(read_text(run + "/metrics.jsonl").splitlines()) >= 35):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.kill()
        process.communicate()
        end = len(read_text(run + "/metrics.jsonl").splitlines()) + 20
        for steps in (end, end + 5):
            self.gigacat("train", "--resume", run, "train.steps=%d" % steps)
        read = subprocess.run([python, SOURCE + "/tests/io/read_events.py", run], capture_output=True, check=True)
        events = json.loads(read.stdout)
        for tag, points in events["scalars"].items():
            steps = [step for step, _ in points]
            self.assertEqual(steps, sorted(set(steps)), tag)
            self.assertEqual(steps[-1], end + 5)
        self.assertEqual([step for step, _ in events["scalars"]["D/loss"]], list(range(1, end + 6)))

    def test_config_is_the_whole_config(self):
        text = read_text(self.the_run + "/config.yaml")
        self.assertIn("num_classes: 2", text, "found in the data")
        self.assertIn("depth: 4", text)
        self.assertIn("beta2: 0.99", text)
        self.assertIn("ok", self.gigacat("config", "check", self.the_run + "/config.yaml").stdout)

    def test_run_json(self):
        info = json.loads(read_text(self.the_run + "/run.json"))
        for key in ("version", "command", "device", "data"):
            self.assertIn(key, json.dumps(list(info)), info)
        self.assertIn("tiny.yaml", json.dumps(info))

    def test_metrics(self):
        lines = [json.loads(line) for line in read_text(self.the_run + "/metrics.jsonl").splitlines()]
        self.assertEqual([line["step"] for line in lines], [1, 2, 3, 4, 5, 6])
        for word in ("kimg", "images_per_second", "norm", "lr", "data", "accuracy", "diversity"):
            self.assertTrue(any(word in key for key in lines[-1]), "%s in %s" % (word, sorted(lines[-1])))

    def test_checkpoints(self):
        self.assertEqual(sorted(os.listdir(self.the_run + "/checkpoints")), ["step-0000004", "step-0000006"])
        for name in ("COMMIT", "config.yaml", "state.json", "ema.safetensors", "generator.safetensors",
                     "discriminator.safetensors", "optimizer_generator.safetensors"):
            self.assertTrue(os.path.exists(os.path.join(self.checkpoint(self.the_run, 6), name)), name)
        self.assertIn("blocks", self.gigacat("info", self.checkpoint(self.the_run, 6)).stdout)
        self.assertIn("blocks", self.gigacat("info", self.the_run).stdout)

    def test_sample_grids(self):
        grids = sorted(name for name in os.listdir(self.the_run + "/samples") if name.endswith(".png"))
        self.assertGreaterEqual(len(grids), 2, grids)
        for name in grids:
            self.assertTrue(read_bytes(os.path.join(self.the_run, "samples", name)).startswith(b"\x89PNG"))

    def test_terminal_and_log(self):
        self.assertNotIn("\r", self.done.stderr, "no bar without a terminal")
        log = read_text(self.the_run + "/log.txt")
        self.assertRegex(log, r"(?i)step +6")
        self.assertIn("kimg", log)

    def test_events_are_read_by_tensorboard(self):
        python = tensorboard_python()
        if python is None:
            self.skipTest("no package registry can be reached for tensorboard")
        done = subprocess.run([python, SOURCE + "/tests/io/read_events.py", self.the_run], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        events = json.loads(done.stdout)
        self.assertEqual([step for step, _ in events["scalars"]["kimg"]], [1, 2, 3, 4, 5, 6])
        lines = [json.loads(line) for line in read_text(self.the_run + "/metrics.jsonl").splitlines()]
        for (_, read), line in zip(events["scalars"]["D/loss"], lines):
            self.assertAlmostEqual(read, line["D/loss"], places=5)
        self.assertEqual([step for step, *_ in events["images"]["fakes"]], [3, 6])


if __name__ == "__main__":
    main()
