"""The page of one run and of two: what it holds, and how a browser shows it."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from harness import CliTest, main, read_bytes, read_text

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") for path in [shutil.which(name)] if path), None)
# Moves the slider to its first step, and writes what the page then shows into its own title.
PROBE = """<script>
addEventListener("load", () => {
  const slider = document.getElementById("step");
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  const chart = document.querySelector("svg.chart"), box = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + box.height / 2}));
  const images = [...document.querySelectorAll("img")];
  document.body.dataset.seen = JSON.stringify({
    shown: document.getElementById("shown").textContent,
    visible: images.filter((image) => image.dataset.step && !image.hidden).map((image) => image.dataset.step),
    broken: images.filter((image) => !image.complete || image.naturalWidth === 0).length,
    charts: document.querySelectorAll("svg.chart").length,
    rules: document.querySelectorAll("line.step[visibility=visible]").length,
    hover: chart.querySelector(".hover").textContent,
  });
});
</script></body>"""


class ReportTest(CliTest):
    def run_killed_and_resumed(self):
        """A run that was killed and taken up again, and its last step."""
        config = self.tiny(self.dir)
        keys = ["train.steps=100000", "checkpoint.every=4", "log.samples_every=4", "optimizer.lr=3e-4"]
        process = self.start("train", config, *keys)
        run = self.run_folder(self.dir)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not os.path.exists(self.checkpoint(run, 8) + "/COMMIT"):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        steps = json.loads(read_text(os.path.join(run, "metrics.jsonl")).splitlines()[-2])["step"] + 8
        self.gigacat("train", "--resume", run, "train.steps=%d" % steps)
        return run, steps

    def page_of(self, *words):
        page = self.path("page.html")
        said = self.gigacat("report", *words, "-o", page).stdout
        self.assertIn(page, said)
        return page

    def browser(self, *words):
        # The profile goes into a folder of the test; without a sandbox, which needs rights that a container lacks.
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--user-data-dir=" + self.path("browser"), *words]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180, check=True)

    def test_one_run(self):
        run, steps = self.run_killed_and_resumed()
        page = self.page_of(run)
        text = read_text(page)
        self.assertIn("was killed, or the machine went down", text)
        self.assertIn("was resumed after step", text)
        self.assertIn("in 2 sessions", text)
        self.assertIn("%d of %d" % (steps, steps), text)
        self.assertRegex(text, r"<code>optimizer.lr</code></td><td>0.0003</td>")
        grids = [int(step) for step in re.findall(r'<img data-step="(\d+)"', text)]
        self.assertEqual(grids[0], 4)
        self.assertEqual(grids[-1], steps)
        self.assertNotIn("<link", text)
        self.assertNotRegex(text, r'(src|href)="(?!data:)')
        if BROWSER is None:
            self.skipTest("no Chromium here (apt-get install chromium): the page was read as text only")
        probe = self.write("probe.html", text.replace("</body>", PROBE))
        shown = self.browser("--virtual-time-budget=5000", "--dump-dom", "file://" + probe).stdout
        found = re.search(r'data-seen="([^"]*)"', shown)
        self.assertTrue(found, "the page's script did not run to its end")
        seen = json.loads(found.group(1).replace("&quot;", '"'))
        self.assertEqual(seen["shown"], "step 4")
        self.assertEqual(seen["visible"], ["4"])
        self.assertEqual(seen["broken"], 0)
        self.assertGreater(seen["charts"], 8)
        self.assertGreater(seen["rules"], 8, "the slider's step is marked in the charts")
        self.assertRegex(seen["hover"], r"loss -?[\d.e-]+ at \d+")
        picture = self.path("page.png")
        self.browser("--window-size=1300,2400", "--screenshot=" + picture, "file://" + page)
        self.assertGreater(len(read_bytes(picture)), 50000)

    def test_two_runs(self):
        config = self.tiny(self.dir)
        self.gigacat("train", config)
        self.gigacat("train", config, "seed=4", "optimizer.lr=7e-4")
        runs = [self.run_folder(self.dir, number) for number in range(2)]
        before = {run: sorted(os.listdir(run)) for run in runs}
        text = read_text(self.page_of(*runs, "--title", "Two rates"))
        self.assertIn("<h1>Two rates</h1>", text)
        table = text[text.index("Values that differ between the runs"):]
        table = table[:table.index("</table>")]
        self.assertEqual(re.findall(r"<tr><td><code>([\w.]+)</code>", table), ["optimizer.lr", "seed"])
        self.assertEqual({run: sorted(os.listdir(run)) for run in runs}, before, "a report leaves the runs as they are")

    def test_refusals(self):
        self.assertIn("no run folder", self.refused("report", self.path("nowhere"), "-o", self.path("page.html")))
        self.assertIn("--out", self.refused("report", self.path("nowhere")))
        self.assertFalse(os.path.exists(self.path("page.html")))


if __name__ == "__main__":
    main()
