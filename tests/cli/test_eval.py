"""Metrics from the command line, with Inception weights drawn here: the network's size is fixed, its weights are not."""

import json
import os
import shutil
import struct
import zipfile

from harness import CliTest, image_folder, main, png, read_bytes, read_text, write_tar
from weights import classifier_weights, clip_weights, inception_weights, lpips_weights


def bmp(size, pixel):
    """BMP bytes of an RGB image: of one size whatever is in it."""
    rows = b"".join(b"".join(bytes(reversed(pixel(x, y))) for x in range(size)) + bytes(-3 * size % 4) for y in range(size))
    return (b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) +
            struct.pack("<IiiHHIIiiII", 40, size, size, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + rows)


class EvalTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weights = inception_weights(os.path.join(cls.shared, "inception.safetensors"))
        cls.real = image_folder(os.path.join(cls.shared, "real"), per_class=4, size=24)
        cls.fake = image_folder(os.path.join(cls.shared, "fake"), classes=1, per_class=7, size=24)
        cls.cache = os.path.join(cls.shared, "cache")

    def eval(self, *words, code=0, weights=True):
        flags = ("--weights", self.weights) if weights else ()
        return self.gigacat("eval", *words, *flags, code=code, env={"GIGACAT_CACHE": self.cache}, timeout=280)

    def results(self, *words):
        merged = {}
        for result in json.loads(self.eval(*words, "--json").stdout):
            merged.update(result["results"])
        return merged

    def test_one_rank_and_two_agree(self):
        words = ("fid", "sfid", "is", "pr", "dc", "diversity", "--real", self.real, "--fake", self.fake, "--batch", 4)
        one, two = self.results(*words), self.results(*words, "--ranks", 2)
        self.assertEqual(json.loads(self.eval("psnr", "--real", self.real, "--fake", self.real, "--json").stdout)[0]["metric"],
                         "psnr")
        self.assertEqual(one.keys(), two.keys())
        self.assertIn("precision", one)
        for name, value in one.items():
            self.assertAlmostEqual(two[name], value, delta=1e-6 * abs(value) + 1e-12, msg=name)
        self.assertGreater(one["fid"], 0)

    def test_statistics_stand_for_the_images(self):
        stats = self.path("real.npz")
        said = self.gigacat("data", "stats", self.real, "-o", stats, "--weights", self.weights, timeout=280).stdout
        self.assertIn("mean and covariance of pool and spatial features of 8 images of %s, protocol adm" % self.real, said)
        with zipfile.ZipFile(stats) as file:
            self.assertEqual(json.loads(file.read("gigacat.json"))["images"], 8)
        fid = self.results("fid", "--real", self.real, "--fake", self.fake)["fid"]
        done = self.eval("fid", "--real", stats, "--fake", self.fake)
        self.assertRegex(done.stdout, r"^fid [\d.]+  protocol adm  real 8 of .*real.npz  fake 7 of .*  inception [0-9a-f]{8}")
        self.assertIn("does not compare with that of 50000", done.stderr)
        again = self.results("fid", "--real", stats, "--fake", self.fake)["fid"]
        self.assertAlmostEqual(again, fid, delta=1e-6 * fid)
        self.assertIn("from the cache", self.eval("fid", "--real", self.real, "--fake", self.fake).stderr)
        self.assertIn("protocol adm, not clean", self.eval("fid", "--real", stats, "--fake", self.fake, "--protocol", "clean",
                                                           code=2).stderr)
        # Two files of statistics need no network.
        alone = self.gigacat("eval", "fid", "--real", stats, "--fake", stats, "--json", env={"GIGACAT_CACHE": self.path("none")})
        self.assertLess(abs(json.loads(alone.stdout)[0]["results"]["fid"]), 1e-4)
        self.assertIn("holds statistics", self.eval("kid", "--real", stats, "--fake", self.fake, code=2).stderr)
        done = self.eval("fid", "kid", "--real", stats, "--fake", self.fake, "--json", code=1)
        both = json.loads(done.stdout)
        self.assertEqual([result["metric"] for result in both], ["fid", "kid"])
        self.assertAlmostEqual(both[0]["results"]["fid"], fid, delta=1e-6 * fid)
        self.assertIn("holds statistics", both[1]["error"])
        self.assertIn("warning: kid will be left out: ", done.stderr)

    def test_a_run_is_sampled_and_told_of_its_score(self):
        config = self.tiny(self.dir)
        self.gigacat("train", config, "train.steps=2")
        run = self.run_folder(self.dir)
        out = self.path("result.json")
        done = self.eval("fid", "is", "--real", self.real, "--fake", run, "--num", 8, "--truncation", 0.7, "-o", out)
        self.assertIn("truncation 0.7", done.stdout)
        result = json.loads(read_text(out))[0]
        self.assertEqual(result["fake_images"], 8)
        self.assertEqual(result["description"]["truncation"], 0.7)
        self.assertEqual((result["description"]["guidance"], result["description"]["seed"]), (1, 0))
        lines = [json.loads(line) for line in read_text(os.path.join(run, "metrics.jsonl")).splitlines()]
        self.assertEqual([line["eval"]["metric"] for line in lines if "eval" in line], ["fid", "is"])
        self.assertEqual(lines[-1]["step"], 2)
        self.assertEqual(lines[-1]["eval"]["description"]["truncation"], 0.7)
        # Random samples have the names 0, 1, ... and are no partners of images called so.
        os.makedirs(self.path("numbered"))
        for i in range(8):
            shutil.copy(self.path("images", "class0", "%03d.png" % i), self.path("numbered", "%d.png" % i))
        done = self.eval("psnr", "is", "--real", self.path("numbered"), "--fake", run, "--num", 8, "--json", code=1)
        self.assertIn("error: psnr could not be computed: it compares pairs of images; random samples have no partners",
                      done.stderr)
        self.eval("psnr", "--real", self.path("numbered"), "--fake", run, "--num", 8, code=2)
        # The same images from files give the same number.
        self.gigacat("sample", run, "-o", self.path("samples"), "--count", 8, "--truncation", 0.7)
        fid = self.results("fid", "--real", self.real, "--fake", self.path("samples"))["fid"]
        self.assertAlmostEqual(fid, result["results"]["fid"], delta=1e-5 * fid)
        self.assertIn("--num", self.eval("fid", "--real", self.real, "--fake", run, code=2).stderr)
        self.gigacat("train", "--resume", run, "train.steps=4")

    def test_trajectory_of_a_generator(self):
        config = self.tiny(self.dir)
        self.gigacat("train", config, "train.steps=2")
        run = self.run_folder(self.dir)
        figures = self.results("trajectory", "--fake", run, "--num", 24)
        self.assertEqual(sorted(figures), ["direction", "discrepancy", "rewrite"])
        self.assertGreater(figures["rewrite"], 0)
        two = self.path("two.json")
        self.gigacat("eval", "trajectory", "--fake", run, "--num", 24, "-o", two, "--ranks", 2)
        for name, value in json.loads(read_text(two))[0]["results"].items():
            self.assertAlmostEqual(value, figures[name], places=5)
        self.assertIn("generator with stages", self.eval("trajectory", "--fake", self.fake, code=2).stderr)

    def test_training_measures_and_keeps_the_best(self):
        config = self.tiny(self.dir, per_class=4)
        words = ("eval.every=2", "eval.samples=8", "eval.weights=[%s]" % self.weights, "eval.metrics=[fid, is]",
                 "train.steps=4", "optimizer.lr=0.002", "eval.truncation=[1, 0.5]")
        env = {"GIGACAT_CACHE": self.path("cache")}
        self.gigacat("train", config, *words, env=env, timeout=280)
        run = self.run_folder(self.dir)
        lines = [json.loads(line) for line in read_text(os.path.join(run, "metrics.jsonl")).splitlines()]
        scores = [(line["step"], line["eval"]["metric"]) for line in lines if "eval" in line]
        self.assertEqual(scores, [(2, "fid"), (2, "is")] * 2 + [(4, "fid"), (4, "is")] * 2)
        figures = {(line["step"], name): value for line in lines for name, value in line.get("eval", {}).get("results", {}).items()}
        fids = {step: figures[step, "fid"] for step in (2, 4)}
        self.assertNotEqual(figures[4, "fid@0.5"], fids[4])
        best = json.loads(read_text(os.path.join(run, "best.json")))
        self.assertEqual((best["metric"], best["value"]), ("fid", min(fids.values())))
        self.assertEqual(fids[best["step"]], best["value"])
        kept = os.path.join(run, "best")
        self.assertEqual(read_bytes(os.path.join(kept, "ema.safetensors")),
                         read_bytes(os.path.join(self.checkpoint(run, best["step"]), "ema.safetensors")))
        self.gigacat("sample", kept, "-o", self.path("samples"), "--count", 2)
        # Two ranks give the same scores, and a resumed run knows what it has to beat.
        self.gigacat("train", config, *words, "train.steps=2", "--ranks", 2, env=env, timeout=280)
        both = [json.loads(line) for line in read_text(os.path.join(self.run_folder(self.dir, 1), "metrics.jsonl")).splitlines()]
        two = [line["eval"]["results"]["fid"] for line in both if "fid" in line.get("eval", {}).get("results", {})]
        self.assertAlmostEqual(two[0], fids[2], delta=1e-3 * fids[2])
        self.gigacat("train", "--resume", run, *words, "train.steps=5", env=env, timeout=280)
        self.assertLessEqual(json.loads(read_text(os.path.join(run, "best.json")))["value"], best["value"])
        self.assertIn("eval.metrics", self.refused("train", config, "eval.every=1", "eval.metrics=[fidd]"))
        self.assertIn("no weights of inception", self.refused("train", config, "eval.every=1", env=env))
        said = self.refused("train", config, "eval.every=1", "eval.metrics=[psnr]", env=env)
        self.assertIn("eval.metrics: psnr cannot be computed: it compares pairs of images; random samples have no partners", said)

    def test_training_measures_without_weights(self):
        config = self.tiny(self.dir)
        words = ("train.steps=2", "eval.every=2", "eval.samples=24", "eval.metrics=[trajectory, swd]")
        env = {"GIGACAT_CACHE": self.path("cache")}
        logged = []
        for number, ranks in enumerate((1, 2)):
            done = self.gigacat("train", config, *words, "--ranks", ranks, env=env)
            self.assertIn("swd could not be computed: it needs images of 16 pixels", done.stderr)
            lines = read_text(os.path.join(self.run_folder(self.dir, number), "metrics.jsonl")).splitlines()
            logged.append([json.loads(line)["eval"] for line in lines if "eval" in json.loads(line)])
            self.assertEqual([result["metric"] for result in logged[-1]], ["trajectory", "swd"])
        one, two = (result[0]["results"] for result in logged)
        self.assertEqual(sorted(one), ["direction", "discrepancy", "rewrite"])
        for name, value in one.items():
            self.assertAlmostEqual(two[name], value, places=4)
        self.assertIn("did you mean", self.refused("train", config, *words, "eval.best=rewrit"))
        self.assertIn("does not hold is", self.refused("train", config, *words, "eval.best=is"))

    def test_pairs_need_no_network(self):
        for name in ("a", "b"):
            image_folder(self.path(name), size=16)
        words = ("--real", self.path("a"), "--fake", self.path("b"))
        done = self.eval("psnr", "ssim", *words, weights=False)
        self.assertRegex(done.stdout, r"psnr inf .*24 of 24 pairs are of equal images.*\nssim 1 ")
        os.remove(self.path("a", "class0", "003.png"))
        for ranks in (1, 2):
            done = self.eval("psnr", *words, "--json", "--ranks", ranks, weights=False)
            self.assertIn("1 of the 24 images of %s has no partner" % self.path("b"), done.stderr)
            result = json.loads(done.stdout)[0]
            self.assertIsNone(result["results"]["psnr"])
            self.assertIn("23 of 23", result["notes"]["psnr"])
            self.assertIn("class0/003", result["notes"]["missing_real"])

    def test_pairs_that_cannot_be_compared_are_left_out(self):
        for name in ("a", "b"):
            image_folder(self.path(name), size=16)
        self.write("b/class0/004.png", png(9, 9, lambda x, y: (x, y, 9)))
        self.write("b/class1/005.png", b"no image")
        words = ("psnr", "ssim", "--real", self.path("a"), "--fake", self.path("b"))
        for ranks in (1, 2):
            done = self.eval(*words, "--max-bad-fraction", 0.05, "--ranks", ranks, "--json", weights=False)
            for result in json.loads(done.stdout):
                self.assertEqual((result["real_images"], result["fake_images"]), (22, 22))
                self.assertIn("1 of the 24 pairs cannot be compared", result["notes"]["incomparable"])
                self.assertIn("class0/004: images of 16x16 and 9x9 pixels", result["notes"]["incomparable"])
                self.assertIn("1 of 24 pairs cannot be read", result["notes"]["unreadable"])
                self.assertIn("class1/005", result["notes"]["unreadable"])
            self.assertIn("left out: ", done.stderr)
        self.assertIn("--max-bad-fraction", self.eval(*words, weights=False, code=1).stderr)
        os.remove(self.path("b", "class1", "005.png"))
        shutil.copy(self.path("b", "class1", "006.png"), self.path("b", "class1", "006.jpg"))
        self.assertIn("two images called class1/006", self.eval(*words, weights=False, code=1).stderr)

    def test_unreadable_images_are_left_out(self):
        folder = image_folder(self.path("some"), per_class=10, size=16)
        self.write("some/class0/003.png", b"no image")
        words = ("swd", "--real", self.real, "--fake", folder)
        for ranks in (1, 2):
            done = self.eval(*words, "--max-bad-fraction", 0.1, "--ranks", ranks, "--batch", 4, "--json", weights=False)
            note = json.loads(done.stdout)[0]["notes"]["unreadable_fake"]
            self.assertIn("1 of 20 images of %s cannot be read, the first: " % folder, note)
            self.assertIn("class0/003.png", note)
        said = self.eval(*words, weights=False, code=1).stderr
        self.assertIn("1 of 20 images", said)
        self.assertIn("--max-bad-fraction", said)

    def test_replaced_pictures_are_measured_anew(self):
        os.makedirs(self.path("bm"))
        judge = classifier_weights(self.path("judge.safetensors"))
        words = ("fid", "--real", self.path("bm"), "--fake", self.fake, "--network", judge, "--json")
        seen = []
        for shift in (0, 90):
            for i in range(6):
                def pixel(x, y, i=i, shift=shift):
                    return (shift + 9 * x) % 256, (7 * y + 30 * i) % 256, shift
                self.write("bm/%d.bmp" % i, bmp(16, pixel))
            for _ in range(2):
                done = self.eval(*words, weights=False)
                seen.append((json.loads(done.stdout)[0]["results"]["fid"], "from the cache" in done.stderr))
        self.assertEqual([cached for _, cached in seen], [False, True, False, True])
        self.assertNotEqual(seen[0][0], seen[2][0])

    def test_unquoted_patterns_are_explained(self):
        shards = [write_tar(self.path("%d.tar" % i), {"0.png": png(4, 4, lambda x, y: (x, y, 0))}) for i in range(3)]
        quotes = "put quotes around a pattern, 'DIR/{000..127}.tar'"
        self.assertIn(quotes, self.refused("eval", "--real", *shards, "--fake", self.fake))
        self.assertIn(quotes, self.refused("eval", "is", "--fake", *shards))
        self.assertIn(quotes, self.refused("data", "stats", *shards, "-o", self.path("x.npz")))
        for command in ("encode", "filter"):
            self.assertIn(quotes, self.refused("data", command, *shards[:2]))
            self.assertIn(quotes, self.refused("data", command, *shards, self.path("out")))

    def test_a_metric_that_fails_does_not_cost_the_others(self):
        few = image_folder(self.path("few"), classes=1, per_class=3, size=24)
        words = ("fid", "pr", "kid", "--real", self.real, "--fake", few)
        for ranks in (1, 2):
            done = self.eval(*words, "--json", "--ranks", ranks, code=1)
            fid, pr, kid = json.loads(done.stdout)
            self.assertGreater(fid["results"]["fid"], 0)
            self.assertIsNone(pr["results"]["pr"])
            self.assertIn("3-th neighbour", pr["error"])
            self.assertIn("error: pr could not be computed: ", done.stderr)
            self.assertEqual(kid["notes"]["subset"], "100 subsets of 3 images")
            self.assertIn("kid: subsets of 3 images, not 1000", done.stderr)
        self.assertRegex(self.eval(*words, code=1).stdout, r"^fid [\d.e+-]+ .*\nkid [\d.e+-]+ .*\n$")
        chosen = json.loads(self.eval("kid", *words[3:], "--kid-subset", 2, "--json").stdout)[0]
        self.assertEqual(chosen["notes"]["subset"], "100 subsets of 2 images")

    def test_swd_needs_no_weights(self):
        words = ("swd", "--fake", self.fake)
        apart = self.gigacat("eval", *words, "--real", self.real, "--json").stdout
        result = json.loads(apart)[0]
        self.assertEqual(sorted(result["results"]), ["swd", "swd_16"])
        self.assertEqual((result["protocol"], result["weights"]), ("pyramid-16", {}))
        two = json.loads(self.gigacat("eval", *words, "--real", self.real, "--json", "--ranks", 2, "--batch", 2).stdout)[0]
        self.assertAlmostEqual(two["results"]["swd"], result["results"]["swd"], places=9)
        self.assertEqual(json.loads(self.gigacat("eval", *words, "--real", self.fake, "--json").stdout)[0]["results"]["swd"], 0)

    def test_ones_own_classifier(self):
        judge = classifier_weights(self.path("judge.safetensors"))
        words = ("--real", self.real, "--fake", self.fake, "--network", judge)
        result = json.loads(self.eval("fid", *words, "--json", weights=False).stdout)
        self.assertEqual(result[0]["protocol"], "bicubic-16")
        self.assertEqual(list(result[0]["weights"]), ["judge.safetensors"])
        # The weights drawn here tell these images apart by less than single precision shows.
        several = self.eval("is", "--fake", self.real, *words[4:], "--json", weights=False)
        self.assertAlmostEqual(json.loads(several.stdout)[0]["results"]["is"], 1, delta=1e-3)
        two = json.loads(self.eval("fid", *words, "--ranks", 2, "--json", weights=False).stdout)[0]["results"]["fid"]
        self.assertAlmostEqual(two, result[0]["results"]["fid"], delta=1e-6 * two + 1e-9)
        self.assertIn("spatial", self.eval("sfid", *words, weights=False, code=2).stderr)
        stats = self.path("real.npz")
        said = self.gigacat("data", "stats", self.real, "-o", stats, "--network", judge).stdout
        self.assertIn("mean and covariance of pool features of 8 images of %s, protocol bicubic-16" % self.real, said)
        again = json.loads(self.eval("fid", "--real", stats, *words[2:], "--json", weights=False).stdout)[0]["results"]["fid"]
        self.assertAlmostEqual(again, result[0]["results"]["fid"], delta=1e-6 * again + 1e-9)
        self.assertIn("protocol bicubic-16", self.eval("fid", "--real", stats, "--fake", self.fake, code=2).stderr)
        broken = classifier_weights(self.path("broken.safetensors"), broken=True)
        self.assertIn("layer 1", self.eval("fid", *words[:-1], broken, weights=False, code=1).stderr)
        self.assertIn("there is no file", self.eval("fid", *words[:-1], "nothing.pt", weights=False, code=2).stderr)
        self.assertIn("no TorchScript", self.eval("fid", *words[:-1], self.write("x.pt", "x"), weights=False, code=1).stderr)

    def test_clip_networks(self):
        clip = clip_weights(self.path("clip.safetensors"))
        words = ("fid-clip", "cmmd", "--real", self.real, "--weights", "clip=" + clip, "--weights", "clip-l14=" + clip)
        apart = self.results(*words, "--fake", self.fake)
        self.assertGreater(apart["fid-clip"], 0)
        self.assertGreater(apart["cmmd"], 0)
        same = self.results(*words, "--fake", self.real)
        self.assertLess(abs(same["fid-clip"]), 1e-6 * apart["fid-clip"] + 1e-4)
        self.assertLess(abs(same["cmmd"]), 1e-6)
        self.assertIn("no weights of clip:", self.eval("fid-clip", "--real", self.real, "--fake", self.fake, code=2).stderr)
        # Images without captions cost clip, and nothing else.
        done = self.eval("clip", "fid-clip", *words[2:], "--fake", self.fake, "--json", code=1)
        first, second = json.loads(done.stdout)
        self.assertAlmostEqual(first["results"]["fid-clip"], apart["fid-clip"], delta=1e-6 * apart["fid-clip"] + 1e-9)
        self.assertIn("class0/000 has no caption to compare it with", second["error"])
        self.assertIn("has no caption", self.eval("clip", "--fake", self.fake, code=2).stderr)
        captioned = shutil.copytree(self.fake, self.path("captioned"))
        for i in range(7):
            self.write("captioned/class0/%03d.txt" % i, "a square")
        said = self.eval("clip", "--fake", captioned, "--weights", "clip=" + clip, code=2).stderr
        self.assertIn("no weights of vocabulary: gigacat weights get clip-vocabulary", said)

    def test_lpips(self):
        for name, size in (("a", 64), ("b", 64)):
            image_folder(self.path(name), per_class=2, size=size)
        shutil.copy(self.path("b", "class0", "000.png"), self.path("b", "class1", "001.png"))
        backbone, heads = self.path("alex.safetensors"), self.path("heads.safetensors")
        lpips_weights(backbone, heads)
        words = ("lpips", "psnr", "--weights", "lpips=" + backbone, "--weights", "lpips-heads=" + heads)
        self.assertEqual(self.results(*words, "--real", self.path("a"), "--fake", self.path("a"))["lpips"], 0)
        apart = self.results(*words, "--real", self.path("a"), "--fake", self.path("b"))
        self.assertGreater(apart["lpips"], 1e-4)

    def test_warnings(self):
        folder = image_folder(self.path("odd"), per_class=2, size=12)
        shutil.copy(os.path.join(folder, "class0", "000.png"), os.path.join(folder, "class0", "zzz.png"))
        other = image_folder(self.path("other"), classes=1, per_class=1, size=10)
        shutil.move(os.path.join(other, "class0", "000.png"), os.path.join(folder, "class1", "zzz.png"))
        said = self.eval("is", "--fake", folder).stderr
        self.assertIn("images are equal to another", said)
        self.assertIn("from 10x10 to 12x12", said)

    def test_refusals(self):
        real, fake = ("--real", self.real), ("--fake", self.fake)
        self.assertIn("did you mean fid", self.eval("fidd", *real, *fake, code=2).stderr)
        self.assertIn("gigacat eval fid --real %s --fake %s" % (self.real, self.fake),
                      self.eval("fid", self.real, self.fake, code=2).stderr)
        self.assertIn("--real", self.eval("fid", *fake, code=2).stderr)
        self.assertIn("--fake", self.eval("fid", *real, code=2).stderr)
        self.assertIn("known: adm", self.eval("fid", *real, *fake, "--protocol", "best", code=2).stderr)
        self.assertIn("no weights of inception", self.eval("fid", *real, *fake, weights=False, code=2).stderr)
        self.assertIn("there is nothing at", self.eval("fid", "--real", self.path("no"), *fake, code=2).stderr)
        self.assertIn("7 images, not 9", self.eval("is", *fake, "--num", 9, code=2).stderr)
        self.assertIn("smaller than a patch", self.eval("patch-fid", *real, *fake, code=1).stderr)
        self.assertIn("no network", self.eval("is", *fake, "--weights", "vgg=x", code=2).stderr)

    def test_weights_that_do_not_fit(self):
        broken = inception_weights(self.path("broken.safetensors"), "missing")
        said = self.gigacat("eval", "is", "--fake", self.fake, "--weights", broken, code=1).stderr
        self.assertIn("Mixed_7c.branch1x1", said)
        nan = inception_weights(self.path("nan.safetensors"), "nan")
        said = self.gigacat("eval", "is", "--fake", self.fake, "--weights", nan, code=1).stderr
        self.assertIn("not finite", said)
        self.write("image.png", read_bytes(os.path.join(self.real, "class0", "000.png")))
        os.makedirs(self.path("bad"))
        self.write("bad/x.png", b"no image")
        self.assertIn("x.png", self.eval("is", "--fake", self.path("bad"), code=1).stderr)


if __name__ == "__main__":
    main()
