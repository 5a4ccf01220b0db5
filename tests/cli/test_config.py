"""Presets are right, bad configs are explained, show, schema and docs follow the declarations."""

import glob
import json
import os

from harness import SOURCE, CliTest, image_folder, latent_folder, main, read_text

PRESETS = sorted(glob.glob(os.path.join(SOURCE, "configs", "**", "*.yaml"), recursive=True))


class PresetTest(CliTest):
    def test_every_preset_checks(self):
        names = [os.path.relpath(path, SOURCE + "/configs") for path in PRESETS]
        for size in "s b l xl".split():
            for patch in "248":
                self.assertIn("gat/imagenet256-%s-%s.yaml" % (size, patch), names)
        for size in "bmh":
            self.assertIn("cat/imagenet256-%s-2.yaml" % size, names)
        for path in PRESETS:
            with self.subTest(path=path):
                if os.path.basename(path).startswith("base") or os.path.dirname(path).endswith(("/data", "/sweeps")):
                    continue  # what others include; sweeps are checked below
                self.assertIn("ok", self.gigacat("config", "check", path).stdout)

    def test_every_sweep_of_small_runs_plans(self):
        sweeps = [path for path in PRESETS if path.endswith("-small.yaml") and os.path.dirname(path).endswith("/sweeps")]
        self.assertGreaterEqual(len(sweeps), 2)
        for path in sweeps:
            self.assertIn("all runs:", self.gigacat("sweep", "plan", path).stdout)

    def test_presets_are_the_papers(self):
        def values(name):
            shown = self.gigacat("config", "show", "%s/configs/%s.yaml" % (SOURCE, name)).stdout
            return "\n".join(line.split(" #")[0].rstrip() for line in shown.splitlines())

        xl = values("gat/imagenet256-xl-2")
        for line in ("  num_classes: 1000", "  resolution: 32", "    depth: 28", "    hidden: 1152", "    heads: 16",
                     "  batch: 512", "  precision: bf16", "  align_translation: official"):
            self.assertIn(line, xl)
        h = values("cat/imagenet256-h-2")
        for line in ("    depth: 32", "    hidden: 1280", "    depth: 12", "    hidden: 768", "  batch: 512"):
            self.assertIn(line, h)

    def test_dry_run_says_shapes_and_memory(self):
        latents = latent_folder(self.path("latents"))
        images = image_folder(self.path("images"), size=32)
        for name, data in (("gat/imagenet256-s-8", latents), ("gat/cifar10-s", images), ("cat/cifar10-s", images)):
            with self.subTest(name=name):
                extra = ["data.path=" + data, "train.device=cpu", "train.batch=16"]
                if data == latents:
                    extra += ["loss.align=none", "data.features=none"]
                done = self.gigacat("train", "%s/configs/%s.yaml" % (SOURCE, name), *extra, "--dry-run", "--world", 4)
                self.assertIn("4", done.stdout)
                self.assertRegex(done.stdout, r"(?i)memory")
                self.assertFalse(os.path.exists(os.path.join(os.getcwd(), "runs")))


class PresetByNameTest(CliTest):
    """A preset is found by its name from any folder: configs/ is not where people are who installed the program."""

    def listed(self, **options):
        lines = self.gigacat("config", "list", cwd=self.dir, **options).stdout.splitlines()
        return dict(line.strip().split(None, 1) if " " in line.strip() else (line.strip(), "")
                    for line in lines if line.startswith("  "))

    def test_list_has_a_line_for_each(self):
        listed = self.listed()
        for path in PRESETS:
            name = os.path.relpath(path, SOURCE + "/configs")
            is_part = os.path.basename(name) == "base.yaml" or "/base/" in name or name.startswith("data/")
            self.assertEqual(name in listed, not is_part, name)
        for name, text in listed.items():
            self.assertGreater(len(text), 10, "%s begins with no comment that says what it is for" % name)

    def test_names_work_anywhere(self):
        for name in ("quickstart/emoji-cat.yaml", "configs/quickstart/emoji-cat.yaml", "photos-64", "photos-256-gpu.yaml",
                     "cat/ffhq256-b-2.yaml", "cat/afhq256-s-2.yaml"):
            self.assertIn("ok", self.gigacat("config", "check", name, cwd=self.dir).stdout)
        self.assertIn("all runs:", self.gigacat("sweep", "plan", "sweeps/cat-small.yaml", cwd=self.dir).stdout)

    def test_pictures_of_ones_own(self):
        images = image_folder(self.path("images"), size=40)
        for name in ("photos-64", "photos-128", "photos-256", "photos-64-gpu"):
            done = self.gigacat("train", name, "data.path=" + images, "train.device=cpu", "--dry-run", cwd=self.dir)
            self.assertRegex(done.stdout, r"(?i)memory")

    def test_a_file_here_comes_first(self):
        os.makedirs(self.path("quickstart"))
        self.write("quickstart/emoji-cat.yaml", "recipe: cat\nname: mine\ndata: {path: x, resolution: 8}\n")
        self.assertIn("name: mine", self.gigacat("config", "show", "quickstart/emoji-cat.yaml", cwd=self.dir).stdout)

    def test_own_files_include_presets(self):
        own = self.write("own.yaml", "include: photos-64.yaml\nname: mine\ntrain: {batch: 4}\n")
        shown = self.gigacat("config", "show", own, cwd=self.dir).stdout
        for line in ("name: mine", "batch: 4", "anchor: attached"):
            self.assertIn(line, shown)

    def test_unknown_names(self):
        message = self.refused("config", "check", "photo-64.yaml")
        self.assertIn("did you mean photos-64.yaml?", message)
        self.assertIn(os.getcwd(), message)
        self.assertIn("gigacat config list", self.refused("train", "nothing-of-that-kind.yaml"))
        self.assertIn("is a folder", self.refused("config", "check", self.dir))

    def test_another_share_folder(self):
        os.makedirs(self.path("share", "configs"))
        self.write("share/configs/ours.yaml", "# Ours.\nrecipe: cat\nname: ours\ndata: {path: x, resolution: 8}\n")
        env = {"GIGACAT_SHARE": self.path("share")}
        self.assertEqual(self.listed(env=env), {"ours.yaml": "Ours"})
        self.gigacat("config", "list", cwd=self.dir, env={"GIGACAT_SHARE": self.path("nowhere")}, code=1)


class BadConfigTest(CliTest):
    def complaint(self, text, *overrides):
        path = self.write("bad.yaml", text)
        message = self.refused("config", "check", path, *overrides)
        self.assertEqual(message, self.refused("train", path, *overrides), "train says the same before it starts")
        return message

    def test_unknown_key_names_place_and_nearest(self):
        message = self.complaint("recipe: cat\ndata: {path: x, resolution: 8}\ntrain:\n  stpes: 3\n")
        self.assertIn("bad.yaml:4:3: train.stpes:", message)
        self.assertIn("train.steps", message)

    def test_all_mistakes_at_once(self):
        message = self.complaint(
            "recipe: cat\ndata: {path: x, resolution: 8}\ntrain: {steps: many, batch: -4, precision: fp8}\nlgo: {}\n")
        lines = message.strip().splitlines()
        self.assertEqual(len(lines), 4, message)
        for word in ("train.steps", "train.batch", "train.precision", "lgo"):
            self.assertTrue(any(word in line and line.startswith("error: ") for line in lines), (word, message))
        self.assertIn("bf16", message)

    def test_impossible_combinations(self):
        start = "recipe: cat\ndata: {path: x, resolution: 8}\n"
        self.assertIn("divisible", self.complaint(start + "model: {generator: {hidden: 100, heads: 3}}\n"))
        self.assertIn("divisible", self.complaint(start + "train: {batch: 8, accumulate: 3}\n"))

    def test_what_only_a_build_can_know(self):
        config = self.tiny(self.dir)
        self.assertIn("divisible", self.refused("train", config, "model.generator.patch=3"))
        self.assertIn("divisible", self.refused("train", config, "train.batch=9", "--dry-run", "--world", 2))
        self.assertIn("nowhere", self.refused("train", config, "data.path=/nowhere/at/all"))

    def test_broken_files(self):
        self.assertIn("bad.yaml:2", self.complaint("recipe: cat\nrecipe: gat\n"))
        self.assertIn("recipe", self.complaint("train: {steps: 3}\n"))
        self.assertIn("cat", self.complaint("recipe: cta\n"))
        self.assertIn("bad.yaml", self.complaint("recipe: [cat\n"))
        self.assertIn("bad.yaml", self.complaint("include: bad.yaml\nrecipe: cat\n"))
        self.assertIn("missing.yaml", self.refused("config", "check", self.path("missing.yaml")))
        self.write("binary.yaml", os.urandom(256))
        self.refused("config", "check", self.path("binary.yaml"))

    def test_overrides(self):
        config = self.tiny(self.dir)
        self.assertIn("command line", self.refused("config", "check", config, "train.steps=x"))
        self.assertIn("train.batch", self.refused("config", "check", config, "train.btach=4"))
        self.assertIn("KEY", self.refused("config", "check", config, "train.batch"))


class ShowTest(CliTest):
    def test_show_names_the_source_of_each_value(self):
        config = self.tiny(self.dir)
        shown = self.gigacat("config", "show", config, "train.steps=9").stdout
        lines = {line.split(":")[0].strip(): line for line in reversed(shown.splitlines()) if "#" in line}  # the first of a name
        self.assertRegex(lines["steps"], r"steps: 9 +# command line")
        self.assertRegex(shown, r"(?m)^  batch: 8 +# .*tiny.yaml:9:")
        self.assertRegex(lines["lr"], r"# default")

    def test_what_is_shown_is_a_config(self):
        config = self.tiny(self.dir)
        shown = self.gigacat("config", "show", config).stdout
        again = self.gigacat("config", "show", self.write("again.yaml", shown)).stdout
        values = [[line.split(" #")[0].rstrip() for line in text.splitlines()] for text in (shown, again)]
        self.assertEqual(*values)

    def test_environment_variables(self):
        config = self.write("env.yaml", "recipe: cat\nname: ${RUN_NAME:-plain}\ndata: {path: x, resolution: 8}\n")
        self.assertIn("name: plain", self.gigacat("config", "show", config).stdout)
        self.assertIn("name: fancy", self.gigacat("config", "show", config, env={"RUN_NAME": "fancy"}).stdout)

    def test_schema_is_json_schema(self):
        one = json.loads(self.gigacat("config", "schema", "cat").stdout)
        self.assertIn("2020-12", one["$schema"])
        self.assertIn("batch", one["properties"]["train"]["properties"])
        every = json.loads(self.gigacat("config", "schema").stdout)
        self.assertGreaterEqual(len(every["anyOf"]), 2)
        self.assertIn("cat", self.refused("config", "schema", "cta"))

    def test_reference_page_is_up_to_date(self):
        """`gigacat config docs > docs/configuration.md` makes it."""
        page = self.gigacat("config", "docs").stdout
        self.assertIn("## Recipe cat", page)
        self.assertEqual(page, read_text(SOURCE + "/docs/configuration.md"))

    def test_info(self):
        config = self.tiny(self.dir)
        text = self.gigacat("info", config).stdout
        for word in ("Generator", "Discriminator", "blocks", "training step", "AdamW moments", "3 x 8 x 8"):
            self.assertIn(word, text)
        self.assertIn("nothing at", self.refused("info", self.path("nowhere")))


if __name__ == "__main__":
    main()
