#!/usr/bin/env python3
"""Memory and start time of an index of many samples.

Writes WebDataset shards of 8 px PNGs with labels, then opens them three times with `train --dry-run`: one shard, all of them for
the first time (the shards are read to make the index), all of them again (the index comes from the cache).

    scripts/measure_index.py [--samples N] [--folder DIR] [--gigacat build/release/bin/gigacat]
"""
import argparse
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
IN_A_SHARD = 10_000
CONFIG = ROOT / "configs/quickstart/emoji-cat.yaml"


def png():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = zlib.compress(b"".join(b"\0" + bytes(24) for _ in range(8)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows)
            + chunk(b"IEND", b""))


def member(name, body):
    """A file of a tar archive: its header and its blocks."""
    head = bytearray(512)
    head[:len(name)] = name
    head[100:108] = b"0000644\0"
    head[108:116] = head[116:124] = b"0000000\0"
    head[124:136] = b"%011o\0" % len(body)
    head[136:148] = b"00000000000\0"
    head[148:156] = b" " * 8
    head[156:157] = b"0"
    head[257:265] = b"ustar\x0000"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + body + bytes(-len(body) % 512)


def write_shards(folder, samples):
    image = png()
    for first in range(0, samples, IN_A_SHARD):
        with open(os.path.join(folder, "shard-%05d.tar" % (first // IN_A_SHARD)), "wb", buffering=1 << 22) as file:
            for i in range(first, min(samples, first + IN_A_SHARD)):
                file.write(member(b"%09d.png" % i, image) + member(b"%09d.cls" % i, b"%d" % (i % 1000)))
            file.write(bytes(1024))


def open_data(gigacat, path, cache):
    """Seconds and peak memory in MB of a dry run."""
    began = time.monotonic()
    process = subprocess.Popen([gigacat, "train", CONFIG, "--dry-run", "data.kind=webdataset", "data.path=" + path,
                                "data.resolution=32"], env=dict(os.environ, GIGACAT_CACHE=cache),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("measure_index: " + said)
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where the shards go (2 KB a sample) and are deleted; a temporary one otherwise")
    parser.add_argument("--gigacat", default=str(ROOT / "build/release/bin/gigacat"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        write_shards(folder, given.samples)
        cache, everything = os.path.join(folder, "cache"), os.path.join(folder, "*.tar")
        print("%-34s %8s %8s" % ("%d samples" % given.samples, "s", "MB"))
        for name, path in (("one shard", os.path.join(folder, "shard-00000.tar")), ("all, first time", everything),
                           ("all, index from the cache", everything)):
            print("%-34s %8.2f %8.0f" % ((name,) + open_data(given.gigacat, path, cache)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
