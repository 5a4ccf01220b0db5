#!/usr/bin/env python3
"""How well the colours of a text model's samples agree with its prompts.

Draws "COLOUR NOUN" for every pair, takes the mean colour of each sample where it is not white or a shape's pale edge, and counts
the samples whose nearest colour word is the prompt's. The same samples against shuffled prompts give what chance gives.

    scripts/prompt_colours.py RUN [--count N] [--truncation PSI] [--gigacat build/release/bin/gigacat]
"""
import argparse
import ast
import itertools
import os
import random
import subprocess
import sys
import tempfile
import zipfile

# Of the emoji called "red heart", "orange circle", ...
COLOURS = {"red": (221, 46, 68), "orange": (244, 144, 12), "yellow": (253, 203, 88), "green": (120, 177, 89),
           "blue": (85, 172, 238), "purple": (170, 142, 214), "brown": (193, 105, 79), "black": (49, 55, 61)}
NOUNS = ("heart", "circle", "square")


def read_images(path):
    """(height, width, [bytes of one sample]) of arr_0 in an npz."""
    with zipfile.ZipFile(path) as archive:
        data = archive.read("arr_0.npy")
    length = int.from_bytes(data[8:10], "little")
    count, height, width, channels = ast.literal_eval(data[10:10 + length].decode())["shape"]
    size, start = height * width * channels, 10 + length
    return [data[start + i * size:start + (i + 1) * size] for i in range(count)]


def mean_colour(image):
    """Mean RGB of the half that is farthest from white of those pixels that are not nearly white; white when all are."""
    pixels = [image[i:i + 3] for i in range(0, len(image), 3)]
    drawn = sorted((p for p in pixels if min(p) < 220), key=min) or [(255, 255, 255)]
    drawn = drawn[:(len(drawn) + 1) // 2]
    return tuple(sum(p[c] for p in drawn) / len(drawn) for c in range(3))


def nearest(colour):
    return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], colour)))


def share(found, wanted):
    return sum(a == b for a, b in zip(found, wanted)) / len(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--count", type=int, default=8, help="samples of a prompt")
    parser.add_argument("--truncation", type=float, default=1.0)
    parser.add_argument("--gigacat", default="build/release/bin/gigacat")
    given = parser.parse_args()
    prompts = ["%s %s" % pair for pair in itertools.product(COLOURS, NOUNS)]
    with tempfile.TemporaryDirectory() as folder:
        listed, out = os.path.join(folder, "prompts.txt"), os.path.join(folder, "out.npz")
        with open(listed, "w") as file:
            file.write("\n".join(prompts))
        subprocess.run([given.gigacat, "sample", given.run, "-o", out, "--prompts", listed, "--count",
                        str(given.count * len(prompts)), "--truncation", str(given.truncation)], check=True)
        means = [mean_colour(image) for image in read_images(out)]
    wanted = [prompts[i % len(prompts)].split()[0] for i in range(len(means))]
    found = [nearest(mean) for mean in means]
    chance = []
    for seed in range(200):
        shuffled = wanted[:]
        random.Random(seed).shuffle(shuffled)
        chance.append(share(found, shuffled))
    print("%-8s %9s  %s" % ("colour", "agreement", "mean RGB"))
    for colour in COLOURS:
        mine = [i for i, name in enumerate(wanted) if name == colour]
        rgb = [sum(means[i][c] for i in mine) / len(mine) for c in range(3)]
        print("%-8s %8.0f%%  %3.0f %3.0f %3.0f" % ((colour, 100 * share([found[i] for i in mine], [colour] * len(mine))) + tuple(rgb)))
    print("all colours %.1f%%, shuffled prompts %.1f%%, %d samples" % (100 * share(found, wanted), 100 * sum(chance) / len(chance), len(means)))
    redness = lambda name: sum(means[i][0] - means[i][1] for i, p in enumerate(itertools.islice(itertools.cycle(prompts), len(means))) if p == name) / given.count
    print("red minus green: red heart %.0f, green heart %.0f" % (redness("red heart"), redness("green heart")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
