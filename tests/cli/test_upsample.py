"""Images made larger: files, folders, pipes, the flags that upscalers' users know."""

import os
import struct
import subprocess

from harness import BIN, CliTest, aura_sr, clean_environment, main, png, read_bytes


def size_of(data):
    return struct.unpack(">II", data[16:24])


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
        self.assertEqual(sorted(os.listdir(self.path("out"))), [".upsample.json", "a.png", "deeper"])
        self.assertIn("other settings", self.refused(*arguments, "--seed", 5))

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


if __name__ == "__main__":
    main()
