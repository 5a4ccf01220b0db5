"""The commands in README and docs: each is run here, or marked there as needing a GPU or a cluster."""

import glob
import os
import re
import shlex

from harness import SOURCE, CliTest, aura_sr, image_folder, main, read_text, taesd_weights

PAGES = [SOURCE + "/README.md"] + sorted(glob.glob(SOURCE + "/docs/*.md"))
ELSEWHERE = {  # commands that other tests or CI run as they are
    "scripts/quickstart": "tests/style/quickstart_test.sh",
    "scripts/test": ".ci/run",
    "scripts/chaos.sh": "ctest -R cli.chaos",
    "scripts/fuzz": "needs clang; what it began from and found: ctest -R fuzz",
    "scripts/measure_index.py": "tests/cli/test_data.py",
    "scripts/stability": "tests/cli/test_stability.py",
    "scripts/compare_gat.py": "needs the reference's checkout",
    "scripts/compare_eval.py": "needs the reference's packages",
    "scripts/compare_upsample.py": "needs the package aura-sr",
    "scripts/compare_gigagan.py": "needs the package gigagan-pytorch",
    "scripts/compare_loader.py": "needs the reference's packages",
}
MARKS = ("needs a GPU", "needs data", "needs weights", "needs a cluster", "eight GPUs")


def commands():
    """(page, command, remark) of every line in a fenced block that starts a program of ours."""
    for page in PAGES:
        for block in re.findall(r"^```(?:sh|bash)?\n(.*?)^```", read_text(page), re.M | re.S):
            for line in block.splitlines():
                command, _, remark = line.partition("#")
                if re.match(r"\s*(build/release/bin/gigacat|gigacat|scripts/|torchrun|srun|mpirun)", command):
                    yield os.path.relpath(page, SOURCE), command.split("(needs")[0].strip(), line


class DocsTest(CliTest):
    def run_here(self, words):
        """Runs a gigacat command of the docs on a small run, small data and few steps."""
        run, data = self.the_run, self.images
        words = [re.sub(r"^(train\.init=)?runs/00000-[\w-]+", lambda match: (match[1] or "") + run, word) for word in words]
        if "--resume" in words:
            words = [re.sub(r"step-\d+$", "step-0000002", word) for word in words] + ["out=" + os.path.dirname(run)]
        if words[0] == "train" and "--resume" not in words and "--dry-run" not in words:
            words += ["--dry-run"]
            if "--ranks" in words:
                at = words.index("--ranks")
                words[at] = "--world"
        if "--downscale" in words:  # by the upsampler, of the small images
            words[words.index("--real") + 1] = data
            words[words.index("--fake") + 1] = self.upsampler
        if "--upsampler" in words:
            words[words.index("--upsampler") + 1] = self.upsampler
        if words[0] == "upsample":
            return self.gigacat("upsample", data + "/class0/000.png", "-o", self.path("large.png"), "--weights", self.upsampler)
        if "--text" in words or any(word.startswith("model.text.stored=") for word in words):
            return None  # of captions: tests/cli/test_edit.py
        if words[:2] == ["data", "encode"]:
            words = words[:2] + [data, self.path("latents"), "data.resolution=32", "autoencoder.kind=taesd",
                                 "autoencoder.weights=" + taesd_weights(self.path("taesd.safetensors"))]
        if words[0] == "train" and "autoencoder.kind=taesd" in words:
            words = words[:2] + ["data.kind=latents", "data.flip=false", "data.path=" + self.path("latents"), "data.channels=4", "data.resolution=4", "--dry-run",
                                 "autoencoder.kind=taesd", "autoencoder.weights=" + self.path("taesd.safetensors")]
        elif words[0] == "train" and "--resume" not in words:
            words = [w for w in words if not w.startswith(("data.path=", "data.kind="))] + ["data.path=" + data, "data.kind=folder"]
        if words[:2] == ["data", "emoji"]:
            words[2] = self.path("emoji")
        if words[:2] == ["data", "inspect"]:
            words = [w for w in words if not w.startswith("data.path=")] + ["data.path=" + data, "data.kind=folder"]
        if words[0] == "edit" or "--prompt" in words or "configs/quickstart/emoji-text.yaml" in words:
            return None  # of a model of text: tests/cli/test_edit.py
        if words[0] == "import":
            return None  # its file comes from elsewhere: tests/cli/test_import.py
        if words[0] == "export":
            if "official" in words:
                return None  # of a GAT run: tests/cli/test_import.py
            at = words.index("-o") + 1
            words[at] = self.path("export", words[at])
        if words[0] == "report":
            words = ["report", *[run for word in words if re.match(r"runs/|/", word) and not word.endswith(".html")],
                     "-o", self.path("report.html")]
        if words[0] == "sweep":
            words += ["-o", self.path("sweeps")]
        if words[0] == "sample":
            words[words.index("-o") + 1] = self.path("samples.npz")
            if "--count" in words:
                words[words.index("--count") + 1] = "3"
        return self.gigacat(*words)

    def test_every_command_of_the_docs(self):
        self.upsampler = aura_sr(self.path("aura"))
        self.images = image_folder(self.path("images"), size=32)
        self.gigacat("train", self.tiny(self.dir), "train.steps=2")
        self.the_run = self.run_folder(self.dir)
        seen = 0
        os.chdir(SOURCE)
        for page, command, line in commands():
            with self.subTest(page=page, command=command):
                words = shlex.split(command)
                if words[0] in ELSEWHERE or any(mark in line for mark in MARKS):
                    continue
                self.assertTrue(words[0].endswith("gigacat"), "neither run here nor marked: " + line)
                self.run_here([w.replace("CONFIG.yaml", "configs/cat/cifar10-s.yaml") for w in words[1:]])
                seen += 1
        self.assertGreater(seen, 5)


if __name__ == "__main__":
    main()
