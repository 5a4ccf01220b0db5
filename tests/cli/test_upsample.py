"""Images made larger: files, folders, pipes, the flags that upscalers' users know."""

import json
import os
import struct
import subprocess
import time
import zlib

from harness import BIN, CliTest, aura_sr, clean_environment, main, png, read_bytes


def size_of(data):
    return struct.unpack(">II", data[16:24])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def transparent_png(depth, color, pixel, *chunks):
    """16 x 16 pixels that hold the same bits (a text of 0 and 1 for a pixel)."""
    row = b"\0" + int(pixel * 16, 2).to_bytes(len(pixel) * 2, "big")
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, depth, color, 0, 0, 0)), *chunks,
                     chunk(b"IDAT", zlib.compress(row * 16)), chunk(b"IEND", b"")])


def rgba_pixels(data):
    """The pixels of an RGBA file of 8 bits."""
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    assert (depth, color) == (8, 6), (depth, color)
    at, packed = 8, b""
    while at < len(data):
        size, = struct.unpack(">I", data[at:at + 4])
        packed += data[at + 8:at + 8 + size] if data[at + 4:at + 8] == b"IDAT" else b""
        at += size + 12
    raw, above, out = zlib.decompress(packed), bytearray(4 * width), []
    for y in range(height):
        line = raw[y * (4 * width + 1):(y + 1) * (4 * width + 1)]
        row = bytearray(line[1:])
        for i, value in enumerate(row):
            left, up, corner = (row[i - 4], above[i], above[i - 4]) if i >= 4 else (0, above[i], 0)
            paeth = min((left, up, corner), key=lambda c: abs(left + up - corner - c))
            row[i] = value + (0, left, up, (left + up) // 2, paeth)[line[0]] & 255
        out += [tuple(row[i:i + 4]) for i in range(0, len(row), 4)]
        above = row
    return out


class UpsampleTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weights = aura_sr(os.path.join(cls.shared, "aura"))

    def picture(self, name, width=20, height=14):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        return self.write(name, png(width, height, lambda x, y: (x * 12 % 256, y * 17 % 256, (x + y) * 5 % 256)))

    def test_one_file_by_either_set_of_flags(self):
        image = self.picture("a.png")
        self.gigacat("upsample", image, "-o", self.path("one.png"), "--weights", self.weights)
        self.assertEqual(size_of(read_bytes(self.path("one.png"))), (80, 56))
        self.gigacat("upsample", "-i", image, "-o", self.path("dir"), "-s", 4, "-t", 16, "--tile_pad", 4, "--suffix", "out",
                     "--ext", "png", "--weights", self.weights)
        self.assertEqual(size_of(read_bytes(self.path("dir/aout.png"))), (80, 56))

    def test_a_folder_goes_on_where_it_stopped(self):
        self.picture("in/a.png")
        self.picture("in/deeper/b.png", width=5, height=3)
        self.write("in/c.png", b"\x89PNG\r\n\x1a\n broken")
        arguments = ("upsample", self.path("in"), "-o", self.path("out"), "--weights", self.weights, "--scale", 2)
        done = self.gigacat(*arguments, code=1)
        self.assertIn("c.png", done.stderr)
        self.assertIn("2 images", done.stdout)
        os.remove(self.path("in/c.png"))
        before = read_bytes(self.path("out/deeper/b.png"))
        self.assertEqual(size_of(before), (10, 6))
        os.remove(self.path("out/a.png"))
        self.assertIn("1 were there", self.gigacat(*arguments).stdout)
        self.assertEqual(sorted(os.listdir(self.path("out"))), [".upsample.json", ".upsample.jsonl", "a.png", "deeper"])
        self.assertIn("other settings", self.refused(*arguments, "--seed", 5))

    def test_transparency_of_every_kind_survives(self):
        bits = "{:08b}".format
        palette, half = chunk(b"PLTE", b"abcdef"), chunk(b"tRNS", b"\x80")
        forms = {
            "rgba8": (128, transparent_png(8, 6, bits(200) + bits(100) + bits(50) + bits(128))),
            "rgba16": (128, transparent_png(16, 6, (bits(200) + bits(1)) * 3 + bits(128) + bits(255))),
            "grey_alpha8": (128, transparent_png(8, 4, bits(200) + bits(128))),
            "grey_alpha16": (128, transparent_png(16, 4, bits(200) + bits(1) + bits(128) + bits(255))),
            **{"palette%d" % depth: (128, transparent_png(depth, 3, "0" * depth, palette, half)) for depth in (1, 2, 4, 8)},
            **{"grey_key%d" % depth: (0, transparent_png(depth, 0, "0" * (depth - 1) + "1", chunk(b"tRNS", b"\0\1")))
               for depth in (1, 2, 4, 8, 16)},
            "rgb_key8": (0, transparent_png(8, 2, bits(1) + bits(2) + bits(3), chunk(b"tRNS", b"\0\1\0\2\0\3"))),
            "rgb_key16": (0, transparent_png(16, 2, (bits(1) + bits(2)) * 3, chunk(b"tRNS", b"\1\2" * 3))),
        }
        os.makedirs(self.path("forms"))
        for name, (_, data) in forms.items():
            self.write("forms/%s.png" % name, data)
        self.gigacat("upsample", self.path("forms"), "-o", self.path("large"), "--weights", self.weights, "--scale", 2)
        for name, (alpha, _) in forms.items():
            pixels = rgba_pixels(read_bytes(self.path("large/%s.png" % name)))
            self.assertEqual({pixel[3] for pixel in pixels}, {alpha}, name)

    def test_folders_as_people_have_them(self):
        """upscayl#283: leftovers of systems are neither pictures nor failures; links are followed; results stay results."""
        self.picture("in/a.png", width=5, height=3)
        self.picture("elsewhere/b.png", width=5, height=3)
        self.picture("in/.ipynb_checkpoints/a-checkpoint.png")
        os.makedirs(self.path("in/__MACOSX"))
        for name in ("in/._a.png", "in/__MACOSX/._a.png", "in/.DS_Store", "in/Thumbs.db"):
            self.write(name, b"no picture")
        os.symlink(self.path("elsewhere"), self.path("in/linked"))
        arguments = ("upsample", self.path("in"), "-o", self.path("in/large"), "--weights", self.weights, "--scale", 2)
        self.assertIn("2 images", self.gigacat(*arguments).stdout)
        self.assertIn("2 were there", self.gigacat(*arguments).stdout)
        self.assertEqual(sorted(os.listdir(self.path("in/large"))), [".upsample.json", ".upsample.jsonl", "a.png", "linked"])

    def test_pictures_that_are_not_read_are_named(self):
        self.picture("in/a.png", width=5, height=3)
        self.write("in/x.gif", b"GIF89a" + bytes(20))
        self.write("in/without_ending", png(2, 2, lambda x, y: (x, y, 0)))
        arguments = ("upsample", self.path("in"), "-o", self.path("out"), "--weights", self.weights, "--scale", 2)
        done = self.gigacat(*arguments)
        self.assertIn("1 images", done.stdout)
        self.assertRegex(done.stderr, r"left out: pictures that end in \.gif.*: 1, such as x\.gif")
        self.assertRegex(done.stderr, r"left out: pictures by content.*: 1, such as without_ending")
        os.remove(self.path("in/a.png"))
        message = self.refused(*arguments)
        for part in ("holds no image", "x.gif", "without_ending"):
            self.assertIn(part, message)

    def test_a_changed_input_is_made_anew(self):
        """upscayl#276: a picture replaced under its name keeps the enlargement of the old one."""
        image, other = self.picture("in/a.png", width=5, height=3), self.picture("in/b.png", width=4, height=4)
        arguments = ("upsample", self.path("in"), "-o", self.path("out"), "--weights", self.weights, "--scale", 2)
        self.assertNotIn("anew", self.gigacat(*arguments).stdout)
        self.assertIn("2 were there", self.gigacat(*arguments).stdout)
        self.write("in/a.png", png(6, 2, lambda x, y: (90, x, y)))
        os.utime(image, (10 ** 9, 10 ** 9))  # older than its result, as a picture copied with its time is
        self.assertIn("1 were there, 1 made anew", self.gigacat(*arguments).stdout)
        self.assertEqual(size_of(read_bytes(self.path("out/a.png"))), (12, 4))
        self.assertIn("2 were there", self.gigacat(*arguments).stdout)
        os.remove(self.path("out/.upsample.jsonl"))  # a folder of a call that kept no record: the newer file counts
        later = os.stat(self.path("out/b.png")).st_mtime + 100
        os.utime(other, (later, later))
        self.assertIn("1 were there, 1 made anew", self.gigacat(*arguments).stdout)

    def test_results_are_not_enlarged_again(self):
        image = self.picture("in/a.png", width=5, height=3)
        flags = ("-o", self.path("in") + "/", "--suffix", "_x2", "--weights", self.weights, "--scale", 2)
        wanted = [".upsample.json", ".upsample.jsonl", "a.png", "a_x2.png"]
        self.gigacat("upsample", self.path("in"), *flags)
        for inputs in ([self.path("in")], [image, self.path("in/a_x2.png")]):
            done = self.gigacat("upsample", *inputs, *flags)
            self.assertIn("1 were there", done.stdout)
            self.assertIn("not enlarged again: 1, such as", done.stderr)
            self.assertEqual(sorted(os.listdir(self.path("in"))), wanted)
        own = self.picture("own/a.png", width=5, height=3)
        mine = read_bytes(self.picture("own/a_x2.png", width=3, height=3))
        os.utime(own, (2 * 10 ** 9, 2 * 10 ** 9))
        self.gigacat("upsample", self.path("own"), "-o", self.path("own"), *flags[2:])
        self.assertEqual(read_bytes(self.path("own/a_x2.png")), mine)

    def test_what_a_killed_call_leaves_is_removed(self):
        self.picture("in/a.png", width=300, height=300)
        arguments = ("upsample", self.path("in"), "-o", self.path("out"), "--weights", self.weights)

        def left():
            if not os.path.exists(self.path("out/.upsample.json")):  # it has a temporary file of its own
                return []
            return [name for name in os.listdir(self.path("out")) if name.endswith(".tmp")]

        process = self.start(*arguments)
        while process.poll() is None and not left():
            time.sleep(0.002)
        process.kill()
        process.communicate()
        self.assertEqual(len(left()), 1)
        self.assertIn("1 images", self.gigacat(*arguments).stdout)
        self.assertEqual(left(), [])

    def test_transparency_that_is_lost_is_said(self):
        pixel = "".join(map("{:08b}".format, (200, 100, 50, 128)))
        self.write("a.png", transparent_png(8, 6, pixel))
        self.write("opaque.png", transparent_png(8, 6, pixel[:24] + "1" * 8))
        flags = ("--weights", self.weights, "--scale", 2)
        done = self.gigacat("upsample", self.path("a.png"), "-o", self.path("a.jpg"), *flags)
        self.assertIn("JPEG has no transparency, so it was laid on white: 1 images", done.stderr)
        for words in ((self.path("a.png"), "-o", self.path("b.webp")), (self.path("opaque.png"), "-o", self.path("c.jpg"))):
            self.assertNotIn("transparency", self.gigacat("upsample", *words, *flags).stderr)

    def test_names_of_files_make_no_folders(self):
        image, flags = self.picture("a.png", width=5, height=3), ("--weights", self.weights, "--scale", 2)
        for name in ("a.bmp", "a.gif", "a.npz"):
            message = self.refused("upsample", image, "-o", self.path(name), *flags)
            self.assertIn("no .%s is written: give a .png, .jpg or .webp, or a folder" % name[2:], message)
            self.assertFalse(os.path.exists(self.path(name)))
        self.assertIn("give a folder", self.refused("upsample", image, self.picture("b.png"), "-o", self.path("x.png"), *flags))
        self.gigacat("upsample", image, "-o", self.path("a.bmp") + "/", *flags)
        self.assertTrue(os.path.exists(self.path("a.bmp/a.png")))

    def test_pipes(self):
        image = self.picture("a.png")
        done = subprocess.run([BIN, "upsample", "-", "-o", "-", "--weights", self.weights], input=read_bytes(image),
                              env=clean_environment(), stdout=subprocess.PIPE, check=True, timeout=100)
        self.gigacat("upsample", image, "-o", self.path("file.png"), "--weights", self.weights)
        self.assertEqual(done.stdout, read_bytes(self.path("file.png")))

    def test_memory_bounds_the_tiles_not_the_result(self):
        image = self.picture("a.png", width=60, height=40)
        for memory in ("1M", "1G"):
            self.gigacat("upsample", image, "-o", self.path(memory + ".png"), "--memory", memory, "--weights", self.weights)
        self.assertEqual(size_of(read_bytes(self.path("1M.png"))), (240, 160))

    def test_refusals(self):
        image = self.picture("a.png")
        out = ("-o", self.path("x.png"), "--weights", self.weights)
        self.assertIn("nowhere.png", self.refused("upsample", self.path("nowhere.png"), *out, code=1))
        self.assertIn("scale 1", self.refused("upsample", image, *out, "--scale", 1))
        self.assertIn("--memory", self.refused("upsample", image, *out, "--memory", "lots"))
        self.assertIn("blend", self.refused("upsample", image, *out, "--blend", "glue"))
        self.assertIn("config.json", self.refused("upsample", image, "-o", self.path("y.png"), "--weights",
                                                  self.write("model.safetensors", b""), code=1))
        self.assertFalse(os.path.exists(self.path("x.png")))


class TrainedTest(CliTest):
    """An upsampler of our own: trained, used, judged, behind another model."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place = os.path.join(cls.shared, "trained")
        os.makedirs(cls.place)
        cls.run_of = cls.tiny_upsampler(cls.place)
        cls.pictures = os.path.join(cls.place, "pictures")
        cls.picture = os.path.join(cls.pictures, "class0", "000.png")

    def test_the_run_shows_what_it_learns(self):
        with open(os.path.join(self.run_of, "metrics.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        for name in ("psnr", "psnr_bicubic", "g_pixel"):
            self.assertTrue(any(name in json.dumps(line) for line in lines), name)
        self.assertTrue(any(name.startswith("fakes") for _, _, names in os.walk(self.run_of) for name in names))

    def test_a_run_goes_on_to_equal_weights(self):
        place = self.path("again")
        os.makedirs(place)
        with open(os.path.join(self.place, "upsampler.yaml"), encoding="utf-8") as file:
            text = file.read().replace(os.path.join(self.place, "runs"), os.path.join(place, "runs"))
        config = self.write("again.yaml", text)
        self.gigacat("train", config, "train.steps=2")
        self.gigacat("train", "--resume", self.run_folder(place), "train.steps=4")
        self.assert_same_weights(self.checkpoint(self.run_of, 4), self.checkpoint(self.run_folder(place), 4))

    def test_run_checkpoint_and_file_give_one_picture(self):
        checkpoint = self.checkpoint(self.run_of, 4)
        outputs = []
        for i, weights in enumerate((self.run_of, checkpoint, os.path.join(checkpoint, "ema.safetensors"))):
            out = self.path("%d.png" % i)
            self.gigacat("upsample", self.picture, "-o", out, "--weights", weights)
            outputs.append(read_bytes(out))
        self.assertEqual(size_of(outputs[0]), (160, 160))
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0], outputs[2])
        self.gigacat("upsample", self.picture, "-o", self.path("bf16.png"), "--weights", self.run_of, "--precision", "bf16",
                     "--scale", 8, "--tile", 16)
        self.assertEqual(size_of(read_bytes(self.path("bf16.png"))), (320, 320))
        self.assertIn("without text", self.refused("upsample", self.picture, "-o", self.path("x.png"), "--weights", self.run_of,
                                                   "--prompt", "a cat"))

    def test_eval_makes_its_own_small_images(self):
        done = self.gigacat("eval", "psnr", "ssim", "--real", self.pictures, "--fake", self.run_of, "--downscale", 4, "--json")
        results = json.loads(done.stdout)
        self.assertEqual([(r["metric"], r["fake"]) for r in results],
                         [(m, f) for f in ("bicubic", "lanczos", self.run_of) for m in ("psnr", "ssim")])
        by = {(r["metric"], r["fake"]): r["results"][r["metric"]] for r in results}
        self.assertGreater(by["psnr", "bicubic"], 20)
        self.assertGreater(by["psnr", self.run_of], 10)
        floor = json.loads(self.gigacat("eval", "psnr", "--real", self.pictures, "--downscale", 4, "--json").stdout)
        self.assertEqual(floor, [dict(r, seconds=f["seconds"]) for r, f in zip(results[0:4:2], floor)])
        self.assertIn("--real", self.refused("eval", "psnr", "--fake", self.run_of, "--downscale", 4))

    def test_samples_of_another_model_are_enlarged(self):
        self.gigacat("train", self.tiny(self.dir), "train.steps=2")
        base = self.run_folder(self.dir)
        self.gigacat("sample", base, "-o", self.path("large"), "--count", 3, "--upsampler", self.run_of)
        names = sorted(name for name in os.listdir(self.path("large")) if name.endswith(".png"))
        self.assertEqual(len(names), 3)
        self.assertEqual(size_of(read_bytes(self.path("large", names[0]))), (32, 32))
        self.gigacat("sample", base, "-o", self.path("grid.png"), "--count", 4, "--upsampler", self.run_of, "--scale", 16)
        self.assertEqual(size_of(read_bytes(self.path("grid.png"))), (2 * 128 + 2, 2 * 128 + 2))
        self.assertIn("all-stages", self.refused("sample", base, "-o", self.path("x.png"), "--all-stages", "--upsampler",
                                                 self.run_of))
        self.assertIn("gigacat upsample", self.refused("sample", self.run_of, "-o", self.path("x.png")))
        self.assertIn("recipe cat", self.refused("upsample", self.picture, "-o", self.path("x.png"), "--weights", base))


if __name__ == "__main__":
    main()
