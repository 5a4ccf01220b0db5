"""Samples are a function of weights, seed and label, and an interrupted call goes on."""

import json
import os
import signal
import struct
import time
import zipfile

from harness import CliTest, main, png_pixels, png_texts, read_bytes


class SampleTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config = cls.tiny(cls.shared)
        cls.gigacat("train", config, "train.steps=4", "optimizer.lr=0.002")
        cls.the_run = cls.run_folder(cls.shared)

    def sample(self, name, *flags, code=0):
        return self.gigacat("sample", self.the_run, "-o", self.path(name), *flags, code=code)

    def images(self, name):
        return {file: read_bytes(self.path(name, file)) for file in sorted(os.listdir(self.path(name))) if file.endswith(".png")}

    def test_batches_and_ranks_do_not_matter(self):
        self.sample("b8", "--count", 21, "--batch", 8)
        expected = self.images("b8")
        self.assertEqual(list(expected), ["%06d.png" % i for i in range(21)])
        self.assertEqual(len(set(expected.values())), 21, "all differ")
        for name, flags in (("b1", ("--batch", 1)), ("b3", ("--batch", 3)), ("r2", ("--ranks", 2)), ("r3", ("--ranks", 3))):
            self.sample(name, "--count", 21, *flags)
            self.assertEqual(self.images(name), expected, name)

    def test_seeds_stand_alone(self):
        self.sample("many", "--seeds", "0-9,40", "--labels", "1")
        self.sample("one", "--seeds", "40", "--class", "1")
        self.assertEqual(self.images("many")["000010.png"], self.images("one")["000000.png"])
        self.sample("other", "--seeds", "40", "--class", "0")
        self.assertNotEqual(self.images("one"), self.images("other"))

    def test_interrupted_call_goes_on(self):
        self.sample("whole", "--count", 40)
        process = self.start("sample", self.the_run, "-o", self.path("cut"), "--count", 40)
        while not os.path.exists(self.path("cut", "000007.png")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.sample("cut", "--count", 40)
        self.assertEqual(self.images("cut"), self.images("whole"))
        done = self.sample("cut", "--count", 40)
        self.assertIn("40 were there", done.stdout)
        self.assertEqual(json.loads(read_bytes(self.path("cut", "samples.json")))["count"], 40)
        self.assertIn("truncation", self.sample("cut", "--count", 40, "--trunc", 0.5, code=2).stderr)

    def test_npz_is_guided_diffusions(self):
        for name, flags in (("one.npz", ()), ("two.npz", ("--ranks", 2))):
            self.sample(name, "--count", 20, *flags)
        self.assertEqual(read_bytes(self.path("one.npz")), read_bytes(self.path("two.npz")))
        with zipfile.ZipFile(self.path("one.npz")) as archive:
            self.assertIsNone(archive.testzip())
            images, labels = archive.read("arr_0.npy"), archive.read("arr_1.npy")
        self.assertIn(b"'shape': (20, 8, 8, 3)", images)
        self.assertIn(b"|u1", images)
        self.assertEqual(struct.unpack("<20q", labels[-160:]), (0, 1) * 10)

    def test_stages_truncation_guidance_weights(self):
        self.sample("plain", "--count", 2)
        self.sample("stages", "--count", 2, "--all-stages")
        self.assertEqual(list(self.images("stages")), ["%06d-%d.png" % (i, k) for i in range(2) for k in range(4)])
        self.assertEqual(png_pixels(self.path("stages/000001-3.png")), png_pixels(self.path("plain/000001.png")))
        self.assertEqual(png_texts(self.path("stages/000001-2.png"))["stage"], "2")
        entry = json.loads(read_bytes(self.path("stages/samples.json")))["samples"][1]
        self.assertEqual((entry["file"], entry["files"]), ("000001-3.png", ["000001-%d.png" % k for k in range(4)]))
        for name, flags in (("psi", ("--truncation", 0)), ("guided", ("--guidance", 4)), ("raw", ("--weights", "generator"))):
            self.sample(name, "--count", 2, *flags)
            self.assertNotEqual(png_pixels(self.path(name, "000001.png")), png_pixels(self.path("plain/000001.png")), name)
        self.sample("psi2", "--seeds", "5,6", "--truncation", 0, "--labels", 1)
        first, second = (png_pixels(self.path("psi2", name)) for name in ("000000.png", "000001.png"))
        self.assertEqual(first, second, "psi 0 is the class's mean")

    def test_needs_no_data_set(self):
        os.rename(self.shared + "/images", self.shared + "/images-away")
        try:
            self.sample("alone", "--count", 1)
        finally:
            os.rename(self.shared + "/images-away", self.shared + "/images")

    def test_classes_by_name(self):
        """The folders' names go into the run and its checkpoints, and stand in files and captions."""
        self.assertEqual(json.loads(read_bytes(self.the_run + "/classes.json")), ["class0", "class1"])
        self.assertEqual(read_bytes(self.checkpoint(self.the_run, 4) + "/classes.json"), read_bytes(self.the_run + "/classes.json"))
        for what in (self.the_run, self.checkpoint(self.the_run, 4)):
            self.assertIn("2 classes\nClasses: class0, class1\n", self.gigacat("info", what).stdout)
        self.sample("named", "--class", "class1", "--seeds", "4", "--trunc", 0.5)
        self.sample("numbered", "--class", "1", "--seeds", "4", "--trunc", 0.5)
        self.assertEqual(self.images("named"), self.images("numbered"))
        texts = png_texts(self.path("named/000000.png"))
        self.assertRegex(texts.pop("Software"), r"^gigacat \d")
        self.assertRegex(texts.pop("weights_crc32c"), r"^[0-9a-f]{8}$")
        self.assertEqual(texts, {"seed": "4", "class": "1", "class_name": "class1", "truncation": "0.5", "guidance": "1",
                                 "checkpoint": "00000-tiny/step-0000004"})
        entry = json.loads(read_bytes(self.path("named/samples.json")))["samples"][0]
        self.assertEqual((entry["class"], entry["class_name"]), (1, "class1"))
        self.sample("grid.png", "--class", "class1,0", "--count", 6)
        width, height = struct.unpack(">II", read_bytes(self.path("grid.png"))[16:24])
        self.assertEqual(height, 2 * 96 + 2)  # a row for each class
        self.assertGreater(width, 3 * 96 + 2 * 2)  # with its name
        self.assertEqual(png_texts(self.path("grid.png"))["labels"], "class1,0")
        self.assertIn("did you mean class1?", self.sample("x", "--class", "clas1", code=2).stderr)
        self.gigacat("edit", "interpolate", self.the_run, "-o", self.path("e.png"), "--class", "class0,1", "--steps", 3)
        self.assertEqual(png_texts(self.path("e.png"))["class_name"], "class0,class1")
        self.assertIn("did you mean", self.refused("edit", "truncation", self.the_run, "-o", self.path("f.png"), "--class", "clas1"))
        self.assertIn("did you mean", self.refused("eval", "fid", "--fake", self.the_run, "--num", 4, "--class", "clas1"))
        self.gigacat("export", self.the_run, "-o", self.path("exported", "g.safetensors"))
        self.gigacat("sample", self.path("exported", "g.safetensors"), "-o", self.path("h.png"), "--class", "class1,class0")

    def test_kinds_of_grids(self):
        for name, magic in (("a.jpg", b"\xff\xd8\xff"), ("a.jpeg", b"\xff\xd8\xff"), ("a.webp", b"RIFF")):
            self.sample(name, "--count", 4)
            self.assertTrue(read_bytes(self.path(name)).startswith(magic), name)
        for name in ("a.bmp", "a.npy", "a.zip", "a.gif"):
            self.assertIn("a .png, .jpg or .webp for a grid", self.sample(name, code=2).stderr)
            self.assertFalse(os.path.exists(self.path(name)))

    def test_models_without_classes_speak_of_none(self):
        config = self.tiny(self.dir)
        self.assertNotIn("class", self.gigacat("train", config, "--dry-run", "data.labels=false").stdout.replace("/class", ""))
        self.gigacat("train", config, "train.steps=2", "data.labels=false")
        run = self.run_folder(self.dir)
        self.assertFalse(os.path.exists(run + "/classes.json"))
        self.assertNotIn("classes", self.gigacat("info", run).stdout)
        self.gigacat("sample", run, "-o", self.path("out"), "--count", 1)
        self.assertNotIn("class", png_texts(self.path("out/000000.png")))
        settings = json.loads(read_bytes(self.path("out/samples.json")))
        self.assertNotIn("labels", settings)
        self.assertNotIn("class", settings["samples"][0])
        photo = self.path("images/class0/000.png")
        for words in (("sample", run, "-o", self.path("x")), ("edit", "truncation", run, "-o", self.path("x.png")),
                      ("edit", "project", run, photo, "-o", self.path("x.safetensors")),
                      ("eval", "fid", "--fake", run, "--num", 4)):
            self.assertIn("this model has no classes: leave the option out", self.refused(*words, "--class", "0"))
        self.gigacat("export", run, "--to", "huggingface", "-o", self.path("hub"))
        card = read_bytes(self.path("hub/README.md")).decode()
        self.assertIn("gigacat_generator.py --count 3 --seed 0", card)
        self.assertIn("inputs_of(2)", card)
        self.assertNotIn("| classes |", card)

    def test_refusals(self):
        self.assertIn("2 classes", self.sample("x", "--labels", "2", code=2).stderr)
        self.assertIn("--seeds", self.sample("x", "--seeds", "3-1", code=2).stderr)
        self.assertIn("nothing to sample", self.refused("sample", self.path("nowhere"), "-o", self.path("x")))
        self.assertIn("ema or generator", self.sample("x", "--weights", "d", code=2).stderr)
        self.assertFalse(os.path.exists(self.path("x")))
        self.sample("ranked", "--labels", "9", "--ranks", "2", code=2)


if __name__ == "__main__":
    main()
