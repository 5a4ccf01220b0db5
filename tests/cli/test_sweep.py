"""A sweep: planned, run, stopped, gone on with, changed, reported."""

import fcntl
import json
import os
import signal
import subprocess
import time

from harness import SOURCE, CliTest, main, read_text


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

    def test_a_small_twin_of_the_repository(self):
        emoji = self.path("emoji")
        self.gigacat("data", "emoji", emoji, "size=32")
        file = os.path.join(SOURCE, "configs", "sweeps", "gat-small.yaml")
        done = self.gigacat("sweep", "run", file, "-o", self.path("out"), "--jobs", 2, env={"EMOJI": emoji}, timeout=800)
        self.assertIn("report.html", done.stdout)
        report = read_text(self.path("out", "gat-small", "report.md"))
        self.assertEqual(report.count("2 of 2"), 4, report)

    def test_losing_runs_stop_early(self):
        rows = "{%s}" % ", ".join("c%d: {loss: {consistency: %d}}" % (n, n) for n in range(4))
        file = self.sweep("seeds: [1, 2]\nhalving: {metric: G/loss, first: 2, factor: 2}", rows)
        file = self.write("s.yaml", read_text(file).replace("steps: 3", "steps: 6"))
        self.command("run", file, "--jobs", 2)
        steps = sorted(self.steps().values())
        self.assertEqual(steps, [2, 2, 2, 2, 4, 4, 6, 6], "two labels leave after step 2, one after step 4")
        self.assertEqual(sorted(state["status"] for state in self.states().values()), ["done"] * 2 + ["pruned"] * 6)
        before = self.states()
        self.command("run", file)
        self.assertEqual(self.states(), before, "what is pruned stays")
        self.command("run", file, "--all")
        self.assertEqual(set(self.steps().values()), {6})
        self.assertIn("halving.first", self.command("plan", self.sweep("halving: {metric: G/loss}"), code=2).stderr)
        self.assertIn("halving.frist", self.command("plan", self.sweep("halving: {frist: 3}"), code=2).stderr)

    def steps(self):
        """The last step of each run."""
        folder = self.path("out", "s", "runs")
        return {name: json.loads(read_text(os.path.join(folder, name, "00000-" + self.name_of(folder, name), "metrics.jsonl"))
                                 .splitlines()[-1])["step"] for name in os.listdir(folder)}

    @staticmethod
    def name_of(folder, run):
        return next(name for name in os.listdir(os.path.join(folder, run)) if name.startswith("00000-"))[6:]

    def test_a_job_array_trains_each_run(self):
        file = self.sweep()
        os.mkdir(self.path("bin"))
        sbatch = self.write("bin/sbatch", '#!/bin/bash\ncp "$1" %s\necho Submitted batch job 7\n' % self.path("job.sh"))
        os.chmod(sbatch, 0o755)
        env = {"PATH": self.path("bin") + ":" + os.environ["PATH"]}
        done = self.gigacat("sweep", "run", file, "-o", self.path("out"), "--submit", "slurm", "--slurm", "--gpus=2",
                            "--jobs", 3, env=env)
        self.assertIn("Submitted batch job 7", done.stdout)
        script = read_text(self.path("job.sh"))
        self.assertIn("#SBATCH --array=0-1%3\n", script)
        self.assertIn("#SBATCH --gpus=2\n", script)
        for task in range(2):
            variables = dict(os.environ, SLURM_ARRAY_TASK_ID=str(task), SLURM_PROCID="0", SLURM_NTASKS="1")
            subprocess.run(["bash", self.path("job.sh")], env=variables, check=True, capture_output=True, timeout=100)
        self.assertEqual([state["status"] for state in self.states().values()], ["done", "done"])
        again = self.gigacat("sweep", "run", file, "-o", self.path("out"), "--submit", "slurm", env=env)
        self.assertIn("nothing to submit", again.stdout)
        self.assertIn("sbatch", self.gigacat("sweep", "run", self.sweep("seeds: [5]"), "-o", self.path("out"), "--submit",
                                             "slurm", env={"PATH": "/nowhere"}, code=1).stderr)

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
