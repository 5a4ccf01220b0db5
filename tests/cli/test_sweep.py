"""A sweep: planned, run, stopped, gone on with, changed, reported."""

import fcntl
import json
import os
import signal
import time

from harness import CliTest, main, read_text


class SweepTest(CliTest):
    def sweep(self, extra="", rows="{off: {loss: {consistency: 0}}, on: {loss: {consistency: 1}}}"):
        self.tiny(self.dir)
        return self.write("s.yaml", "base: tiny.yaml\nset: {train: {steps: 3}, log: {every: 1}}\n"
                                    "metrics: [rewrite, discrepancy]\nrows: %s\n%s\n" % (rows, extra))

    def command(self, what, file, *flags, code=0):
        return self.gigacat("sweep", what, file, "-o", self.path("out"), *flags, code=code)

    def states(self):
        folder = self.path("out", "s", "runs")
        return {name: json.loads(read_text(os.path.join(folder, name, "state.json"))) for name in os.listdir(folder)}

    def test_plan_run_status_report(self):
        file = self.sweep("seeds: [1, 2]")
        plan = self.command("plan", file).stdout
        self.assertIn("4 runs on top of", plan)
        self.assertIn("keys that differ: loss.consistency, seed", plan)
        self.assertFalse(os.path.exists(self.path("out")), "a plan writes nothing")
        self.command("run", file, "--jobs", 2)
        status = self.command("status", file).stdout
        self.assertEqual(status.count("3 of 3"), 4)
        self.assertEqual({state["status"] for state in self.states().values()}, {"done"})
        report = self.command("report", file).stdout
        self.assertRegex(report, r"\| off \| 2 of 2 \| [\d.e-]+ ± ")
        page = read_text(self.path("out", "s", "report.html"))
        self.assertIn("data:image/png;base64,iVBORw0KGgo", page)
        self.assertEqual(len(read_text(self.path("out", "s", "report.csv")).splitlines()), 5)

    def test_what_stands_is_used_again(self):
        self.command("run", self.sweep())
        before = self.states()
        log = self.command("run", self.sweep(rows="{off: {loss: {consistency: 0}}, other: {loss: {consistency: 2}}}")).stderr
        self.assertIn("2 runs, 1 done before, 0 failed before, 1 to do", log)
        after = self.states()
        self.assertEqual(len(after), 3)
        self.assertEqual({name: after[name] for name in before}, before)

    def test_a_failed_run_stops_no_other(self):
        file = self.sweep(rows="{bad: {data: {path: /nowhere}}, good: {loss: {consistency: 1}}}")
        self.assertIn("/nowhere", self.command("run", file, code=1).stderr)
        states = sorted((state["status"], state["error"]) for state in self.states().values())
        self.assertEqual([status for status, _ in states], ["done", "failed"])
        self.assertIn("/nowhere", states[1][1])
        self.assertIn("Failed: bad", self.command("report", file).stdout)
        self.assertIn("1 failed before, 0 to do", self.command("run", file, code=1).stderr)
        self.assertIn("1 to do", self.command("run", file, "--retry", code=1).stderr)

    def test_stopped_and_gone_on_with(self):
        file = self.sweep("seeds: [1, 2]")
        text = read_text(file).replace("steps: 3", "steps: 80")
        file = self.write("s.yaml", text.replace("log: {every: 1}", "log: {every: 1}, checkpoint: {every: 80}"))
        process = self.start("sweep", "run", file, "-o", self.path("out"))
        deadline = time.monotonic() + 60
        metrics = None
        while time.monotonic() < deadline and not metrics:
            metrics = [os.path.join(folder, "metrics.jsonl") for folder, _, files in os.walk(self.path("out"))
                       if "metrics.jsonl" in files and os.path.getsize(os.path.join(folder, "metrics.jsonl"))]
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.communicate()
        self.assertEqual(process.returncode, 143)
        status = self.command("status", file).stdout
        self.assertIn("stopped", status)
        self.assertIn("waiting", status)
        with open(self.path("out", "s", ".lock"), "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("is in use by", self.command("run", file, code=2).stderr, "two processes on one sweep")
        self.gigacat("sweep", "run", file, "-o", self.path("out"), timeout=250)
        self.assertEqual({state["status"] for state in self.states().values()}, {"done"})
        for folder in os.listdir(self.path("out", "s", "runs")):
            runs = [name for name in os.listdir(self.path("out", "s", "runs", folder)) if name.startswith("0000")]
            self.assertEqual(len(runs), 1, "it goes on in the same run folder")

    def test_refusals(self):
        self.assertIn("GPUs", self.command("run", self.sweep(), "--gpus", "0", "--jobs", 2, code=2).stderr)
        self.assertIn("unknown key", self.command("plan", self.sweep("gird: {seed: [1]}"), code=2).stderr)


if __name__ == "__main__":
    main()
