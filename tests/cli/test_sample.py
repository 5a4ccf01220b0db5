"""Samples are a function of weights, seed and label, and an interrupted call goes on."""

import json
import os
import signal
import struct
import time
import zipfile

from harness import CliTest, main, read_bytes


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
        self.assertEqual(self.images("stages")["000001-3.png"], self.images("plain")["000001.png"])
        for name, flags in (("psi", ("--truncation", 0)), ("guided", ("--guidance", 4)), ("raw", ("--weights", "generator"))):
            self.sample(name, "--count", 2, *flags)
            self.assertNotEqual(self.images(name), self.images("plain"), name)
        self.sample("psi2", "--seeds", "5,6", "--truncation", 0, "--labels", 1)
        self.assertEqual(len(set(self.images("psi2").values())), 1, "psi 0 is the class's mean")

    def test_needs_no_data_set(self):
        os.rename(self.shared + "/images", self.shared + "/images-away")
        try:
            self.sample("alone", "--count", 1)
        finally:
            os.rename(self.shared + "/images-away", self.shared + "/images")

    def test_refusals(self):
        self.assertIn("2 classes", self.sample("x", "--labels", "2", code=2).stderr)
        self.assertIn("--seeds", self.sample("x", "--seeds", "3-1", code=2).stderr)
        self.assertIn("nothing to sample", self.refused("sample", self.path("nowhere"), "-o", self.path("x")))
        self.assertIn("ema or generator", self.sample("x", "--weights", "d", code=2).stderr)
        self.assertFalse(os.path.exists(self.path("x")))
        self.sample("ranked", "--labels", "9", "--ranks", "2", code=2)


if __name__ == "__main__":
    main()
