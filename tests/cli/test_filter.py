"""gigacat data filter: which pairs stay, a call that goes on, and what it refuses."""

import json
import os
import tarfile

from harness import CliTest, main, png, read_bytes, read_text, write_tar

NOTHING = ("similarity=0", "aesthetic=0", "size=0")


class FilterTest(CliTest):
    def shard(self, name, pairs):
        """`pairs`: key -> (side of the image, caption, scores or None)."""
        os.makedirs(self.path("in"), exist_ok=True)
        members = {}
        for key, (side, caption, scores) in pairs.items():
            members[key + ".png"] = png(side, side + 3, lambda x, y: (x, y, 0))
            members[key + ".txt"] = caption.encode()
            if scores is not None:
                members[key + ".json"] = json.dumps(scores).encode()
        return write_tar(self.path("in", name), members)

    def keys(self, name):
        with tarfile.open(self.path("out", name)) as tar:
            return [member.name for member in tar.getmembers()]

    def two_shards(self):
        good = {"similarity": 0.35, "aesthetic": 5.5}
        self.shard("0.tar", {"a": (16, "red", good), "b": (8, "small", good), "c": (16, "ugly", {"similarity": 0.4, "aesthetic": 5}),
                             "d": (16, "other", {"similarity": 0.3, "aesthetic": 6}), "e": (16, "none", None)})
        self.shard("1.tar", {"f": (20, "green", {"clip_similarity_vitb32": 0.31, "aesthetic_score": 9})})
        self.shard("2.tar", {"g": (8, "small", good)})

    def test_keeps_what_passes(self):
        self.two_shards()
        done = self.gigacat("data", "filter", self.path("in"), self.path("out"), "size=16")
        self.assertIn("2 of 7 pairs of 3 shards", done.stdout)
        self.assertEqual(self.keys("0.tar"), ["a.png", "a.txt", "a.json"])
        self.assertEqual(self.keys("1.tar"), ["f.png", "f.txt", "f.json"])
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["0.tar", "1.tar", "provenance.json"])
        counts = json.loads(read_text(self.path("out", "provenance.json")))["pairs"]["dropped"]
        self.assertEqual(counts, {"too small": 2, "low aesthetic": 1, "low similarity": 1, "no aesthetic": 1})
        again = self.gigacat("data", "filter", self.path("in"), self.path("out"), "size=16")
        self.assertIn("3 shards were done", again.stdout)
        self.assertIn("other settings", self.refused("data", "filter", self.path("in"), self.path("out"), "size=8"))
        self.gigacat("data", "inspect", self.path("out"), "data.captions=true")

    def test_an_interrupted_call_goes_on(self):
        self.two_shards()
        words = ("data", "filter", self.path("in", "{0..2}.tar"), self.path("out"), "size=16", "missing=keep")
        with open(self.path("in", "1.tar"), "r+b") as file:  # a shard that cannot be read stops the call behind the first
            whole = file.read()
            file.seek(0)
            file.write(b"x" * 512)
        self.refused(*words, code=1)
        self.assertTrue(os.path.exists(self.path("out", "0.tar")))
        self.assertFalse(os.path.exists(self.path("out", "provenance.json")))
        first = os.stat(self.path("out", "0.tar")).st_mtime_ns
        with open(self.path("in", "1.tar"), "wb") as file:
            file.write(whole)
        done = self.gigacat(*words, "--ranks", 2)
        self.assertIn("1 shards were done", done.stdout)
        self.assertEqual(os.stat(self.path("out", "0.tar")).st_mtime_ns, first)
        self.assertEqual(self.keys("0.tar"), ["a.png", "a.txt", "a.json", "e.png", "e.txt"])

    def test_scores_that_are_computed(self):
        self.shard("0.tar", {"a": (32, "one", None), "b": (40, "two", None), "c": (32, "", None)})
        self.gigacat("data", "filter", self.path("in"), self.path("out"), "similarity=0.0001", "aesthetic=0", "size=0", "encoder=fake")
        counts = json.loads(read_text(self.path("out", "provenance.json")))["pairs"]
        self.assertEqual(counts["dropped"]["no caption"], 1)
        self.assertEqual(counts["read"], 3)
        self.assertNotIn("no similarity", counts["dropped"])

    def test_refusals(self):
        self.assertIn("no shard", self.refused("data", "filter", self.dir, self.path("out"), *NOTHING))
        self.shard("0.tar", {"a": (8, "x", None)})
        os.makedirs(self.path("full"))
        self.write("full/notes.txt", "mine")
        self.assertIn("did not make", self.refused("data", "filter", self.path("in"), self.path("full"), *NOTHING))
        self.assertIn("clip", self.refused("data", "filter", self.path("in"), self.path("out"), "encoder=clip"))


if __name__ == "__main__":
    main()
