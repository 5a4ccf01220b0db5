#!/usr/bin/env python3
"""Steps of an upsampled image across the borders of its tiles, beside steps inside.

A step is the difference of two neighbouring columns (rows), averaged along them and over colours, so that a border that
runs through the whole image stands out. Where tiles leave no seam, the largest step at a border is no larger than the
largest one inside. Needs numpy and Pillow.

    scripts/measure_seams.py large.png --tile 16 --overlap 4 --scale 4
"""
import argparse

import numpy
from PIL import Image


def borders(size, tile, overlap, scale):
    """Places where a tile begins or ends, and where its ramps do, in pixels of the large image."""
    found, start = set(), 0
    while True:
        for at in (start, start + tile, start + overlap, start + tile - overlap):
            if 0 < at * scale < size:
                found.add(at * scale)
        if (start + tile) * scale >= size:
            return sorted(found)
        start += tile - overlap


def steps(pixels, axis):
    """[size - 1]: element i is the step from line i to line i + 1."""
    return numpy.abs(numpy.diff(pixels, axis=axis)).mean(axis=(1 - axis, 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--tile", type=int, required=True, help="px of the small image")
    parser.add_argument("--overlap", type=int, required=True, help="px of the small image; 0 with --blend plain")
    parser.add_argument("--scale", type=int, default=4)
    args = parser.parse_args()
    pixels = numpy.asarray(Image.open(args.image).convert("RGB"), dtype=numpy.float64)
    for axis, name in ((1, "columns"), (0, "rows")):
        all_steps = steps(pixels, axis)
        places = [at - 1 for at in borders(pixels.shape[axis], args.tile, args.overlap, args.scale)]
        inside = numpy.delete(all_steps, places)
        at_borders = all_steps[places]
        print("%-8s at borders: mean %.3f, largest %.3f   inside: mean %.3f, largest %.3f   of 255" % (
            name, at_borders.mean(), at_borders.max(), inside.mean(), inside.max()))


if __name__ == "__main__":
    main()
